"""The bank file: pain.001.001.09, written from instructions and checked before it leaves. Pure.

Each net debtor's account pays the league's settlement account (one payment block each), and the settlement account
pays all net creditors (one block). Source: the published XSD of pain.001.001.09 and its message definition report;
identifiers and texts as the EPC's guidelines ask (EPC132-08).
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, date, timedelta
from decimal import Decimal
from xml.etree import ElementTree as ET

from hansa.kernel import Money, Problem
from hansa.settlement.iso20022 import (
    PAIN_001,
    BankAccount,
    DocumentRefused,
    add_account,
    add_agent,
    add_text,
    instant,
    plain,
    read_account,
    read_xml,
    short,
    split_tag,
    uetr_of,
    write_xml,
)
from hansa.settlement.model import Direction, FileRecord, Instruction
from hansa.settlement.shapes import (
    ACCOUNT,
    AGENT,
    AMOUNT,
    COUNT,
    NAME,
    UETR_TEXT,
    Shape,
    at_most,
    check,
    check_amounts,
    check_once,
    check_sums,
    is_date,
    is_instant,
    one_of,
)

FILE_BYTES_MAX = 32 * 1024 * 1024


def write_pain001(file: FileRecord, instructions: Sequence[Instruction]) -> bytes:
    """The file that tells the bank to move these amounts; the same bytes for the same day, whenever it is written."""
    assert instructions, "an empty file is not sent"
    ordered = sorted(instructions, key=lambda told: told.end_to_end_id)
    document = ET.Element("Document", {"xmlns": PAIN_001})
    root = ET.SubElement(document, "CstmrCdtTrfInitn")
    header = ET.SubElement(root, "GrpHdr")
    add_text(header, "MsgId", file.message_id)
    add_text(header, "CreDtTm", instant(file.created_at))
    add_text(header, "NbOfTxs", str(len(ordered)))
    add_text(header, "CtrlSum", _sum(ordered))
    _party(header, "InitgPty", file.holder)
    settlement = (file.holder, read_account(file.account))
    for told in ordered:
        if told.direction is Direction.IN:
            payer = (told.name, read_account(told.account))
            _block(root, told.end_to_end_id, file, payer, [(told, settlement)])
    paid_out = [told for told in ordered if told.direction is Direction.OUT]
    if paid_out:
        payees = [(told, (told.name, read_account(told.account))) for told in paid_out]
        _block(root, short(f"{file.message_id}-OUT", 35), file, settlement, payees)
    return write_xml(document)


def control_sum(instructions: Sequence[Instruction]) -> int:
    """What all payments of a file add up to, in minor units."""
    return sum(told.amount_minor for told in instructions)


def validate_pain001(document: bytes) -> list[Problem]:
    """Everything in a bank file that a bank would refuse; an empty list for a good one.

    Structure and value rules of pain.001.001.09 as far as Hansa writes it, and the sums and counts that no schema
    checks. Only the elements that Hansa writes are known; any other is a problem, though the standard may allow it.
    """
    try:
        root = read_xml(document, size_max=FILE_BYTES_MAX)
    except DocumentRefused as refused:
        return [Problem(refused.where, refused.what, refused.remedy)]
    namespace, _ = split_tag(root)
    if namespace != PAIN_001:
        return [Problem("Document", f"its namespace is {namespace!r}", f"Write {PAIN_001}")]
    problems = list(check(root, "Document", _DOCUMENT, PAIN_001))
    return problems or list(_check_figures(root))


# --- writing

Party = tuple[str, BankAccount]


def _block(
    root: ET.Element,
    block_id: str,
    file: FileRecord,
    payer: Party,
    payments: Sequence[tuple[Instruction, Party]],
) -> None:
    told = [instruction for instruction, _ in payments]
    block = ET.SubElement(root, "PmtInf")
    add_text(block, "PmtInfId", block_id)
    add_text(block, "PmtMtd", "TRF")
    add_text(block, "BtchBookg", "false")
    add_text(block, "NbOfTxs", str(len(told)))
    add_text(block, "CtrlSum", _sum(told))
    add_text(ET.SubElement(block, "ReqdExctnDt"), "Dt", execution_day(file).isoformat())
    _party(block, "Dbtr", payer[0])
    add_account(block, "DbtrAcct", payer[1], file.currency)
    add_agent(block, "DbtrAgt", payer[1].bic)
    add_text(block, "ChrgBr", "SLEV")
    for instruction, (name, account) in payments:
        payment = ET.SubElement(block, "CdtTrfTxInf")
        ids = ET.SubElement(payment, "PmtId")
        add_text(ids, "InstrId", instruction.end_to_end_id)
        add_text(ids, "EndToEndId", instruction.end_to_end_id)
        add_text(ids, "UETR", uetr_of(instruction.end_to_end_id))
        amount = ET.SubElement(ET.SubElement(payment, "Amt"), "InstdAmt", {"Ccy": file.currency})
        amount.text = instruction.amount.decimal()
        add_agent(payment, "CdtrAgt", account.bic)
        _party(payment, "Cdtr", name)
        add_account(payment, "CdtrAcct", account, file.currency)
        about = plain(f"HANSA clearing {file.day} {instruction.member_id}", 140, instead="HANSA clearing")
        add_text(ET.SubElement(payment, "RmtInf"), "Ustrd", about)


def execution_day(file: FileRecord) -> date:
    """When the bank is to move the money.

    As the bank's calendar has it; without one the day after the business day, or the day the file is made if later.
    """
    if file.execution_day is not None:
        return file.execution_day
    return max(file.day + timedelta(days=1), file.created_at.astimezone(UTC).date())


def _sum(instructions: Sequence[Instruction]) -> str:
    return Money(control_sum(instructions), instructions[0].currency).decimal()


def _party(parent: ET.Element, name: str, party: str) -> None:
    add_text(ET.SubElement(parent, name), "Nm", plain(party, 70, instead="Hansa member"))


# --- checking: the part of the standard that Hansa writes, as data

_PAYMENT: Shape = (
    (
        "PmtId",
        1,
        1,
        (
            ("InstrId", 0, 1, at_most(35)),
            ("EndToEndId", 1, 1, at_most(35)),
            ("UETR", 0, 1, UETR_TEXT),
        ),
    ),
    ("Amt", 1, 1, (("InstdAmt", 1, 1, AMOUNT),)),
    ("CdtrAgt", 0, 1, AGENT),
    ("Cdtr", 0, 1, NAME),
    ("CdtrAcct", 0, 1, ACCOUNT),
    ("RmtInf", 0, 1, (("Ustrd", 0, None, at_most(140)),)),
)
_BLOCK: Shape = (
    ("PmtInfId", 1, 1, at_most(35)),
    ("PmtMtd", 1, 1, one_of("CHK", "TRF", "TRA")),
    ("BtchBookg", 0, 1, one_of("true", "false")),
    ("NbOfTxs", 0, 1, COUNT),
    ("CtrlSum", 0, 1, AMOUNT),
    ("ReqdExctnDt", 1, 1, (("Dt", 1, 1, is_date),)),
    ("Dbtr", 1, 1, NAME),
    ("DbtrAcct", 1, 1, ACCOUNT),
    ("DbtrAgt", 1, 1, AGENT),
    ("ChrgBr", 0, 1, one_of("DEBT", "CRED", "SHAR", "SLEV")),
    ("CdtTrfTxInf", 1, None, _PAYMENT),
)
_HEADER: Shape = (
    ("MsgId", 1, 1, at_most(35)),
    ("CreDtTm", 1, 1, is_instant),
    ("NbOfTxs", 1, 1, COUNT),
    ("CtrlSum", 0, 1, AMOUNT),
    ("InitgPty", 1, 1, NAME),
)
_DOCUMENT: Shape = (("CstmrCdtTrfInitn", 1, 1, (("GrpHdr", 1, 1, _HEADER), ("PmtInf", 1, None, _BLOCK))),)


def _check_figures(root: ET.Element) -> Iterator[Problem]:
    """What no schema checks: counts, sums, decimals, and identifiers that are each used once."""
    inside = f"{{{PAIN_001}}}"
    whole = root.find(f"{inside}CstmrCdtTrfInitn")
    assert whole is not None, "the structure was checked"
    header = whole.find(f"{inside}GrpHdr")
    assert header is not None, "the structure was checked"
    blocks = whole.findall(f"{inside}PmtInf")
    yield from check_sums(
        header, "GrpHdr", [amount for block in blocks for amount in _amounts(block)], PAIN_001
    )
    for number, block in enumerate(blocks, start=1):
        yield from check_sums(block, f"PmtInf[{number}]", list(_amounts(block)), PAIN_001)
    yield from check_once(whole, ("PmtInfId", "EndToEndId", "UETR"), PAIN_001)
    yield from check_amounts(whole, "InstdAmt", PAIN_001)


def _amounts(block: ET.Element) -> Iterator[Decimal]:
    for element in block.iter(f"{{{PAIN_001}}}InstdAmt"):
        yield Decimal(element.text or "0")
