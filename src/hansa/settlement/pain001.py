"""The bank file: pain.001.001.09, written from instructions and checked before it leaves. Pure.

Each net debtor's account pays the league's settlement account (one payment block each), and the settlement account
pays all net creditors (one block). Source: the published XSD of pain.001.001.09 and its message definition report;
identifiers and texts as the EPC's guidelines ask (EPC132-08).
"""

import re
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from xml.etree import ElementTree as ET

from hansa.kernel import CURRENCY_EXPONENTS, Money, Problem
from hansa.settlement.iso20022 import (
    BIC,
    NOT_PROVIDED,
    PAIN_001,
    TEXT,
    UETR,
    BankAccount,
    DocumentRefused,
    instant,
    is_iban,
    plain,
    read_account,
    read_xml,
    short,
    split_tag,
    uetr_of,
    write_xml,
)
from hansa.settlement.model import Direction, FileRecord, Instruction

FILE_BYTES_MAX = 32 * 1024 * 1024


def write_pain001(file: FileRecord, instructions: Sequence[Instruction]) -> bytes:
    """The file that tells the bank to move these amounts; the same bytes for the same day, whenever it is written."""
    assert instructions, "an empty file is not sent"
    ordered = sorted(instructions, key=lambda told: told.end_to_end_id)
    document = ET.Element("Document", {"xmlns": PAIN_001})
    root = ET.SubElement(document, "CstmrCdtTrfInitn")
    header = ET.SubElement(root, "GrpHdr")
    _text(header, "MsgId", file.message_id)
    _text(header, "CreDtTm", instant(file.created_at))
    _text(header, "NbOfTxs", str(len(ordered)))
    _text(header, "CtrlSum", _sum(ordered))
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
    problems = list(_check(root, "Document", _DOCUMENT))
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
    _text(block, "PmtInfId", block_id)
    _text(block, "PmtMtd", "TRF")
    _text(block, "BtchBookg", "false")
    _text(block, "NbOfTxs", str(len(told)))
    _text(block, "CtrlSum", _sum(told))
    _text(ET.SubElement(block, "ReqdExctnDt"), "Dt", _execution_day(file).isoformat())
    _party(block, "Dbtr", payer[0])
    _account(block, "DbtrAcct", payer[1], file.currency)
    _agent(block, "DbtrAgt", payer[1])
    _text(block, "ChrgBr", "SLEV")
    for instruction, (name, account) in payments:
        payment = ET.SubElement(block, "CdtTrfTxInf")
        ids = ET.SubElement(payment, "PmtId")
        _text(ids, "InstrId", instruction.end_to_end_id)
        _text(ids, "EndToEndId", instruction.end_to_end_id)
        _text(ids, "UETR", uetr_of(instruction.end_to_end_id))
        amount = ET.SubElement(ET.SubElement(payment, "Amt"), "InstdAmt", {"Ccy": file.currency})
        amount.text = instruction.amount.decimal()
        _agent(payment, "CdtrAgt", account)
        _party(payment, "Cdtr", name)
        _account(payment, "CdtrAcct", account, file.currency)
        about = plain(f"HANSA clearing {file.day} {instruction.member_id}", 140, instead="HANSA clearing")
        _text(ET.SubElement(payment, "RmtInf"), "Ustrd", about)


def _execution_day(file: FileRecord) -> date:
    """When the bank is to move the money: the day after the business day, or the day the file is made if later."""
    return max(file.day + timedelta(days=1), file.created_at.astimezone(UTC).date())


def _text(parent: ET.Element, name: str, text: str) -> None:
    ET.SubElement(parent, name).text = text


def _sum(instructions: Sequence[Instruction]) -> str:
    return Money(control_sum(instructions), instructions[0].currency).decimal()


def _party(parent: ET.Element, name: str, party: str) -> None:
    _text(ET.SubElement(parent, name), "Nm", plain(party, 70, instead="Hansa member"))


def _account(parent: ET.Element, name: str, account: BankAccount, currency: str) -> None:
    element = ET.SubElement(parent, name)
    number = ET.SubElement(element, "Id")
    if account.is_iban:
        _text(number, "IBAN", account.number)
    else:
        _text(ET.SubElement(number, "Othr"), "Id", account.number or NOT_PROVIDED)
    _text(element, "Ccy", currency)


def _agent(parent: ET.Element, name: str, account: BankAccount) -> None:
    bank = ET.SubElement(ET.SubElement(parent, name), "FinInstnId")
    if account.bic:
        _text(bank, "BICFI", account.bic)
    else:
        _text(ET.SubElement(bank, "Othr"), "Id", NOT_PROVIDED)


# --- checking: the part of the standard that Hansa writes, as data

Rule = Callable[[str], str]
"""What is wrong with a text; empty where nothing is."""


def _matches(pattern: re.Pattern[str], what: str) -> Rule:
    return lambda text: "" if pattern.fullmatch(text) else f"{text!r} is not {what}"


def _at_most(limit: int) -> Rule:
    def check(text: str) -> str:
        if not 1 <= len(text) <= limit:
            return f"{len(text)} characters, and 1 to {limit} are allowed"
        return "" if TEXT.fullmatch(text) else f"{text!r} holds a character that banks do not take"

    return check


def _one_of(*allowed: str) -> Rule:
    return lambda text: "" if text in allowed else f"{text!r} is none of {', '.join(allowed)}"


def _is_date(text: str) -> str:
    try:
        return "" if date.fromisoformat(text).isoformat() == text else f"{text!r} is not a date"
    except ValueError:
        return f"{text!r} is not a date"


def _is_instant(text: str) -> str:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return f"{text!r} is not an instant"
    return ""


_DECIMAL = re.compile(r"[0-9]{1,18}(\.[0-9]{1,17})?")
_IBAN: Rule = lambda text: "" if is_iban(text) else f"{text!r} is not an IBAN, or its check digits are wrong"  # noqa: E731
_COUNT = _matches(re.compile(r"[0-9]{1,15}"), "a count")
_AMOUNT = _matches(_DECIMAL, "an amount")
_CURRENCY = _one_of(*CURRENCY_EXPONENTS)

Shape = Rule | tuple[tuple[str, int, int | None, "Shape"], ...]
"""A text's rule, or the children in order: name, how many at least, how many at most (None: any), shape."""

_NAME: Shape = (("Nm", 1, 1, _at_most(140)),)
_OTHER_34: Shape = (("Id", 1, 1, _at_most(34)),)
_OTHER_35: Shape = (("Id", 1, 1, _at_most(35)),)
_ACCOUNT: Shape = (
    ("Id", 1, 1, (("IBAN", 0, 1, _IBAN), ("Othr", 0, 1, _OTHER_34))),
    ("Ccy", 0, 1, _CURRENCY),
)
_AGENT: Shape = (("FinInstnId", 1, 1, (("BICFI", 0, 1, _matches(BIC, "a BIC")), ("Othr", 0, 1, _OTHER_35))),)
_PAYMENT: Shape = (
    (
        "PmtId",
        1,
        1,
        (
            ("InstrId", 0, 1, _at_most(35)),
            ("EndToEndId", 1, 1, _at_most(35)),
            ("UETR", 0, 1, _matches(UETR, "a UUIDv4")),
        ),
    ),
    ("Amt", 1, 1, (("InstdAmt", 1, 1, _AMOUNT),)),
    ("CdtrAgt", 0, 1, _AGENT),
    ("Cdtr", 0, 1, _NAME),
    ("CdtrAcct", 0, 1, _ACCOUNT),
    ("RmtInf", 0, 1, (("Ustrd", 0, None, _at_most(140)),)),
)
_BLOCK: Shape = (
    ("PmtInfId", 1, 1, _at_most(35)),
    ("PmtMtd", 1, 1, _one_of("CHK", "TRF", "TRA")),
    ("BtchBookg", 0, 1, _one_of("true", "false")),
    ("NbOfTxs", 0, 1, _COUNT),
    ("CtrlSum", 0, 1, _AMOUNT),
    ("ReqdExctnDt", 1, 1, (("Dt", 1, 1, _is_date),)),
    ("Dbtr", 1, 1, _NAME),
    ("DbtrAcct", 1, 1, _ACCOUNT),
    ("DbtrAgt", 1, 1, _AGENT),
    ("ChrgBr", 0, 1, _one_of("DEBT", "CRED", "SHAR", "SLEV")),
    ("CdtTrfTxInf", 1, None, _PAYMENT),
)
_HEADER: Shape = (
    ("MsgId", 1, 1, _at_most(35)),
    ("CreDtTm", 1, 1, _is_instant),
    ("NbOfTxs", 1, 1, _COUNT),
    ("CtrlSum", 0, 1, _AMOUNT),
    ("InitgPty", 1, 1, _NAME),
)
_DOCUMENT: Shape = (("CstmrCdtTrfInitn", 1, 1, (("GrpHdr", 1, 1, _HEADER), ("PmtInf", 1, None, _BLOCK))),)


def _check(element: ET.Element, where: str, shape: Shape) -> Iterator[Problem]:
    """An element against its shape: a text's rule, or the children, their order and their number."""
    if not isinstance(shape, tuple):
        complaint = "it holds elements" if len(element) else shape(element.text or "")
        if complaint:
            yield Problem(where, complaint, "Write it as pain.001.001.09 has it")
        return
    children = list(element)
    at = 0
    for name, least, most, inner in shape:
        found = 0
        while at < len(children) and split_tag(children[at]) == (PAIN_001, name):
            found += 1
            place = f"{where}/{name}" + (f"[{found}]" if most is None else "")
            yield from _check(children[at], place, inner)
            at += 1
        if found < least:
            yield Problem(f"{where}/{name}", "it is not there, or not in its place", "Write it in order")
        if most is not None and found > most:
            yield Problem(f"{where}/{name}", f"it stands {found} times", f"Write it at most {most} times")
    if at < len(children):
        name = split_tag(children[at])[1]
        yield Problem(f"{where}/{name}", "it does not belong here", "Take it out, or put it in its place")
    if where.endswith(("/Id", "/FinInstnId")) and len(children) != 1:
        yield Problem(where, f"it has {len(children)} identifications", "Give exactly one")


def _check_figures(root: ET.Element) -> Iterator[Problem]:
    """What no schema checks: counts, sums, decimals, and identifiers that are each used once."""
    inside = f"{{{PAIN_001}}}"
    whole = root.find(f"{inside}CstmrCdtTrfInitn")
    assert whole is not None, "the structure was checked"
    header = whole.find(f"{inside}GrpHdr")
    assert header is not None, "the structure was checked"
    blocks = whole.findall(f"{inside}PmtInf")
    yield from _check_sums(header, "GrpHdr", [amount for block in blocks for amount in _amounts(block)])
    for number, block in enumerate(blocks, start=1):
        yield from _check_sums(block, f"PmtInf[{number}]", list(_amounts(block)))
    for name in ("PmtInfId", "EndToEndId", "UETR"):
        seen: set[str] = set()
        for element in whole.iter(f"{inside}{name}"):
            text = element.text or ""
            if text in seen:
                yield Problem(name, f"{text} stands twice", "Give each its own")
            seen.add(text)
    for element in whole.iter(f"{inside}InstdAmt"):
        currency, text = element.get("Ccy", ""), element.text or ""
        decimals = len(text.partition(".")[2])
        if currency not in CURRENCY_EXPONENTS:
            yield Problem("InstdAmt/@Ccy", f"{currency!r} is no currency", "Give an ISO 4217 code")
        elif decimals > CURRENCY_EXPONENTS[currency]:
            yield Problem(
                "InstdAmt",
                f"{text} has {decimals} decimals",
                f"{currency} has {CURRENCY_EXPONENTS[currency]}",
            )
        elif Decimal(text) <= 0:
            yield Problem("InstdAmt", f"{text} moves nothing", "Leave the payment out")


def _amounts(block: ET.Element) -> Iterator[Decimal]:
    for element in block.iter(f"{{{PAIN_001}}}InstdAmt"):
        yield Decimal(element.text or "0")


def _check_sums(element: ET.Element, where: str, amounts: Sequence[Decimal]) -> Iterator[Problem]:
    count = element.findtext(f"{{{PAIN_001}}}NbOfTxs")
    total = element.findtext(f"{{{PAIN_001}}}CtrlSum")
    if count is not None and int(count) != len(amounts):
        yield Problem(f"{where}/NbOfTxs", f"it says {count}, there are {len(amounts)}", "Count again")
    if total is not None and Decimal(total) != sum(amounts):
        yield Problem(f"{where}/CtrlSum", f"it says {total}, they add up to {sum(amounts)}", "Add up again")
