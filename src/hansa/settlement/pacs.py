"""Credit transfers between banks: pacs.008.001.08 and pacs.009.001.08, written from instructions and checked. Pure.

pacs.008 moves money between customers of banks, so it names members and their accounts; pacs.009 moves the banks' own
money, so each side is a bank by its BIC. Both carry the same identifiers as the pain.001 of the same instructions.
Source: the published XSDs and message definition reports of pacs.008.001.08 and pacs.009.001.08.
"""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from xml.etree import ElementTree as ET

from hansa.kernel import Money, Problem
from hansa.settlement.iso20022 import (
    PACS_008,
    PACS_009,
    BankAccount,
    DocumentRefused,
    add_account,
    add_agent,
    add_text,
    instant,
    plain,
    read_account,
    read_xml,
    split_tag,
    uetr_of,
    write_xml,
)
from hansa.settlement.model import Direction, FileRecord, Instruction
from hansa.settlement.pain001 import FILE_BYTES_MAX, control_sum, execution_day
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

_ROOTS = {PACS_008: "FIToFICstmrCdtTrf", PACS_009: "FICdtTrf"}


def write_pacs008(file: FileRecord, instructions: Sequence[Instruction]) -> bytes:
    """Customer credit transfers: members and the league's settlement account pay each other through their banks."""
    return _write(PACS_008, file, instructions)


def write_pacs009(file: FileRecord, instructions: Sequence[Instruction]) -> bytes:
    """Transfers between settlement banks: each side is the bank at which the account is kept."""
    return _write(PACS_009, file, instructions)


def validate_pacs(document: bytes) -> list[Problem]:
    """Everything in a pacs.008 or pacs.009 that a bank would refuse; an empty list for a good one."""
    try:
        root = read_xml(document, size_max=FILE_BYTES_MAX)
    except DocumentRefused as refused:
        return [Problem(refused.where, refused.what, refused.remedy)]
    namespace, _ = split_tag(root)
    if namespace not in _ROOTS:
        return [
            Problem(
                "Document", f"its namespace is {namespace!r}", f"Write one of {', '.join(sorted(_ROOTS))}"
            )
        ]
    problems = list(check(root, "Document", _DOCUMENTS[namespace], namespace))
    return problems or list(_check_figures(root, namespace))


# --- writing


def _write(namespace: str, file: FileRecord, instructions: Sequence[Instruction]) -> bytes:
    assert instructions, "an empty file is not sent"
    ordered = sorted(instructions, key=lambda told: told.end_to_end_id)
    total = Money(control_sum(ordered), file.currency).decimal()
    own = read_account(file.account)
    day = execution_day(file).isoformat()
    document = ET.Element("Document", {"xmlns": namespace})
    root = ET.SubElement(document, _ROOTS[namespace])
    header = ET.SubElement(root, "GrpHdr")
    add_text(header, "MsgId", file.message_id)
    add_text(header, "CreDtTm", instant(file.created_at))
    add_text(header, "NbOfTxs", str(len(ordered)))
    add_text(header, "CtrlSum", total)
    _amount(header, "TtlIntrBkSttlmAmt", Money(control_sum(ordered), file.currency))
    add_text(header, "IntrBkSttlmDt", day)
    add_text(ET.SubElement(header, "SttlmInf"), "SttlmMtd", "CLRG")
    for told in ordered:
        member = (told.name, read_account(told.account))
        league = (file.holder, own)
        debtor, creditor = (member, league) if told.direction is Direction.IN else (league, member)
        payment = ET.SubElement(root, "CdtTrfTxInf")
        ids = ET.SubElement(payment, "PmtId")
        add_text(ids, "InstrId", told.end_to_end_id)
        add_text(ids, "EndToEndId", told.end_to_end_id)
        add_text(ids, "TxId", told.end_to_end_id)
        add_text(ids, "UETR", uetr_of(told.end_to_end_id))
        _amount(payment, "IntrBkSttlmAmt", told.amount)
        if namespace == PACS_008:
            add_text(payment, "ChrgBr", "SLEV")
        _side(payment, namespace, "Dbtr", debtor, file.currency)
        _side(payment, namespace, "Cdtr", creditor, file.currency)
        about = plain(f"HANSA clearing {file.day} {told.member_id}", 140, instead="HANSA clearing")
        add_text(ET.SubElement(payment, "RmtInf"), "Ustrd", about)
    return write_xml(document)


def _side(
    payment: ET.Element, namespace: str, name: str, who: tuple[str, BankAccount], currency: str
) -> None:
    holder, account = who
    if namespace == PACS_009:
        add_agent(payment, name, account.bic)
        add_account(payment, f"{name}Acct", account, currency)
        return
    if name == "Cdtr":
        add_agent(payment, "CdtrAgt", account.bic)
    add_text(ET.SubElement(payment, name), "Nm", plain(holder, 70, instead="Hansa member"))
    add_account(payment, f"{name}Acct", account, currency)
    if name == "Dbtr":
        add_agent(payment, "DbtrAgt", account.bic)


def _amount(parent: ET.Element, name: str, money: Money) -> None:
    ET.SubElement(parent, name, {"Ccy": money.currency}).text = money.decimal()


# --- checking

_IDS: Shape = (
    ("InstrId", 0, 1, at_most(35)),
    ("EndToEndId", 1, 1, at_most(35)),
    ("TxId", 0, 1, at_most(35)),
    ("UETR", 0, 1, UETR_TEXT),
)
_ABOUT: Shape = (("Ustrd", 0, None, at_most(140)),)
_CUSTOMERS: Shape = (
    ("PmtId", 1, 1, _IDS),
    ("IntrBkSttlmAmt", 1, 1, AMOUNT),
    ("ChrgBr", 1, 1, one_of("DEBT", "CRED", "SHAR", "SLEV")),
    ("Dbtr", 1, 1, NAME),
    ("DbtrAcct", 0, 1, ACCOUNT),
    ("DbtrAgt", 1, 1, AGENT),
    ("CdtrAgt", 1, 1, AGENT),
    ("Cdtr", 1, 1, NAME),
    ("CdtrAcct", 0, 1, ACCOUNT),
    ("RmtInf", 0, 1, _ABOUT),
)
_BANKS: Shape = (
    ("PmtId", 1, 1, _IDS),
    ("IntrBkSttlmAmt", 1, 1, AMOUNT),
    ("Dbtr", 1, 1, AGENT),
    ("DbtrAcct", 0, 1, ACCOUNT),
    ("Cdtr", 1, 1, AGENT),
    ("CdtrAcct", 0, 1, ACCOUNT),
    ("RmtInf", 0, 1, _ABOUT),
)
_HEADER: Shape = (
    ("MsgId", 1, 1, at_most(35)),
    ("CreDtTm", 1, 1, is_instant),
    ("NbOfTxs", 1, 1, COUNT),
    ("CtrlSum", 0, 1, AMOUNT),
    ("TtlIntrBkSttlmAmt", 0, 1, AMOUNT),
    ("IntrBkSttlmDt", 0, 1, is_date),
    ("SttlmInf", 1, 1, (("SttlmMtd", 1, 1, one_of("INDA", "INGA", "COVE", "CLRG")),)),
)


def _document(namespace: str, payment: Shape) -> Shape:
    return ((_ROOTS[namespace], 1, 1, (("GrpHdr", 1, 1, _HEADER), ("CdtTrfTxInf", 1, None, payment))),)


_DOCUMENTS = {PACS_008: _document(PACS_008, _CUSTOMERS), PACS_009: _document(PACS_009, _BANKS)}


def _check_figures(root: ET.Element, namespace: str) -> Iterator[Problem]:
    """What no schema checks: counts, sums, decimals, and identifiers that are each used once."""
    inside = f"{{{namespace}}}"
    header = root.find(f".//{inside}GrpHdr")
    assert header is not None, "the structure was checked"
    amounts = [Decimal(one.text or "0") for one in root.iter(f"{inside}IntrBkSttlmAmt")]
    yield from check_sums(header, "GrpHdr", amounts, namespace)
    total = header.findtext(f"{inside}TtlIntrBkSttlmAmt")
    if total is not None and Decimal(total) != sum(amounts):
        where = "GrpHdr/TtlIntrBkSttlmAmt"
        yield Problem(where, f"it says {total}, they add up to {sum(amounts)}", "Add up again")
    yield from check_once(root, ("EndToEndId", "UETR"), namespace)
    yield from check_amounts(root, "IntrBkSttlmAmt", namespace)
