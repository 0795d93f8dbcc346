"""The bank statement, camt.053.001.08, and the notification, camt.054.001.08: read, and written by the simulated bank.

Seen from the league's settlement account: a credit is a member paying in, a debit a member being paid. Versions .02 to
.13 of the message are read; where they differ (the status is a bare text before .08), both forms are taken.
Source: the message definition report of camt.053 (ISO 20022, bank-to-customer cash management).
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from xml.etree import ElementTree as ET

from hansa.kernel import Money, Problem, is_iban
from hansa.settlement.iso20022 import (
    CAMT_053,
    CAMT_054,
    add_account,
    add_text,
    instant,
    read_account,
    read_xml,
    split_tag,
    uetr_of,
    write_xml,
)
from hansa.settlement.model import STATEMENT_BYTES_MAX, BadStatement, Direction, Entry, Notice, Statement
from hansa.settlement.xml_reading import Reader, Unreadable, refusals

_VERSION = re.compile(r"urn:iso:std:iso:20022:tech:xsd:camt\.053\.001\.(0[2-9]|1[0-3])")
_OPENING = ("OPBD", "PRCD")
_CLOSING = ("CLBD",)
_PROBLEMS_MAX = 50


def read_camt053(document: bytes, *, size_max: int = STATEMENT_BYTES_MAX) -> Statement:
    """A statement of one account. Errors: BadStatement, with every problem found, each with its place and remedy."""
    with refusals(lambda problems: BadStatement(problems=problems)):
        root = read_xml(document, size_max=size_max)
        namespace, name = split_tag(root)
        if name != "Document" or not _VERSION.fullmatch(namespace):
            what = f"it is a {name!r} of {namespace or 'no namespace'}"
            raise Unreadable(Problem("the root", what, f"Send a camt.053, best {CAMT_053}"))
        statements = Reader(root, "Document").child("BkToCstmrStmt").children("Stmt")
        if len(statements) != 1:
            what = f"there are {len(statements)} statements"
            raise Unreadable(Problem("Document/BkToCstmrStmt/Stmt", what, "Send one statement in a file"))
        return _statement(statements[0])


def read_camt054(document: bytes, *, size_max: int = STATEMENT_BYTES_MAX) -> Notice:
    """What the bank announces of one account. Errors: BadStatement, with every problem found."""
    with refusals(lambda problems: BadStatement(problems=problems)):
        root = read_xml(document, size_max=size_max)
        namespace, _ = split_tag(root)
        if namespace != CAMT_054:
            raise Unreadable(
                Problem("the root", f"it is of {namespace[:80] or 'no namespace'}", f"Send {CAMT_054}")
            )
        body = Reader(root, "Document").child("BkToCstmrDbtCdtNtfctn")
        notices = body.children("Ntfctn")
        if len(notices) != 1:
            raise Unreadable(
                Problem(
                    f"{body.where}/Ntfctn", f"there are {len(notices)}", "Send one notification in a file"
                )
            )
        return Notice(
            message_id=body.child("GrpHdr").child("MsgId").identifier(),
            account=_number(notices[0].child("Acct")),
            created_at=body.child("GrpHdr").child("CreDtTm").instant(),
            entries=_all_entries(notices[0]),
        )


def write_camt053(statement: Statement) -> bytes:
    """A statement as a bank would send it."""
    document = ET.Element("Document", {"xmlns": CAMT_053})
    root = ET.SubElement(document, "BkToCstmrStmt")
    header = ET.SubElement(root, "GrpHdr")
    add_text(header, "MsgId", statement.statement_id)
    add_text(header, "CreDtTm", instant(statement.created_at))
    body = ET.SubElement(root, "Stmt")
    add_text(body, "Id", statement.statement_id)
    add_text(body, "CreDtTm", instant(statement.created_at))
    add_account(body, "Acct", read_account(statement.account), statement.currency)
    for code, minor in (("OPBD", statement.opening_minor), ("CLBD", statement.closing_minor)):
        _balance(body, code, minor, statement)
    for entry in statement.entries:
        _entry(body, entry)
    return write_xml(document)


def write_camt054(notice: Notice, currency: str) -> bytes:
    """An announcement as a bank would send it."""
    document = ET.Element("Document", {"xmlns": CAMT_054})
    root = ET.SubElement(document, "BkToCstmrDbtCdtNtfctn")
    header = ET.SubElement(root, "GrpHdr")
    add_text(header, "MsgId", notice.message_id)
    add_text(header, "CreDtTm", instant(notice.created_at))
    body = ET.SubElement(root, "Ntfctn")
    add_text(body, "Id", notice.message_id)
    add_text(body, "CreDtTm", instant(notice.created_at))
    add_account(body, "Acct", read_account(notice.account), currency)
    for entry in notice.entries:
        _entry(body, entry, with_uetr=True)
    return write_xml(document)


# --- reading


def _statement(reader: Reader) -> Statement:
    account = reader.child("Acct")
    unit = account.find("Ccy")
    balances = reader.children("Bal")
    opening, closing = _find_balance(reader, balances, _OPENING), _find_balance(reader, balances, _CLOSING)
    currency = unit.currency(unit.text()) if unit else closing.currency
    entries = _all_entries(reader)
    statement = Statement(
        statement_id=reader.child("Id").identifier(),
        account=_number(account),
        currency=currency,
        created_at=reader.child("CreDtTm").instant()
        if reader.find("CreDtTm")
        else datetime.min.replace(tzinfo=UTC),
        opening_minor=opening.minor,
        closing_minor=closing.minor,
        entries=entries,
    )
    booked = sum(
        entry.amount.minor if entry.direction is Direction.IN else -entry.amount.minor
        for entry in entries
        if entry.booked and entry.amount.currency == currency
    )
    if opening.currency != currency or closing.currency != currency:
        raise Unreadable(
            Problem(f"{reader.where}/Bal", f"not in {currency}", "Send balances in the account's currency")
        )
    if opening.minor + booked != closing.minor:
        what = f"{opening} and the entries make {opening + Money(booked, currency)}, it says {closing}"
        raise Unreadable(Problem(f"{reader.where}/Bal", what, "Ask the bank for a statement that adds up"))
    return statement


def _all_entries(reader: Reader) -> tuple[Entry, ...]:
    """Every entry; with every fault told at once."""
    entries: list[Entry] = []
    problems: list[Problem] = []
    for place, entry in enumerate(reader.children("Ntry"), start=1):
        try:
            entries.extend(_entries(entry, len(entries) + 1))
        except Unreadable as unreadable:
            problems.extend(unreadable.problems)
        if len(problems) >= _PROBLEMS_MAX:
            problems.append(
                Problem(entry.where, f"reading stopped after {place} entries", "Mend those first")
            )
            break
    if problems:
        raise Unreadable(*problems)
    return tuple(entries)


def _find_balance(reader: Reader, balances: Sequence[Reader], codes: Sequence[str]) -> Money:
    for balance in balances:
        if balance.child("Tp").child("CdOrPrtry").child("Cd").text() in codes:
            amount = balance.child("Amt").money()
            return amount if balance.child("CdtDbtInd").sign() > 0 else -amount
    raise Unreadable(
        Problem(f"{reader.where}/Bal", f"no {codes[0]} balance", "Ask the bank for a full statement")
    )


def _entries(reader: Reader, place: int) -> list[Entry]:
    """An entry, one for each payment it holds: a bank may book several in one sum."""
    whole, sign = reader.child("Amt").money(), reader.child("CdtDbtInd").sign()
    reversal = reader.find("RvslInd")
    undone = reversal is not None and reversal.text() in ("true", "1")
    status = reader.child("Sts")
    booked = (status.find("Cd") or status).text() == "BOOK"
    day = reader.find("BookgDt") or reader.find("ValDt")
    if day is None:
        raise Unreadable(
            Problem(f"{reader.where}/BookgDt", "it is not there", "Say on which day it was booked")
        )
    own = reader.find("AcctSvcrRef")
    direction = Direction.IN if sign > 0 else Direction.OUT
    payments = [
        payment for details in reader.children("NtryDtls") for payment in details.children("TxDtls")
    ] or [reader]
    entries: list[Entry] = []
    for offset, payment in enumerate(payments):
        refs = payment.find("Refs")
        named = refs.find("EndToEndId") if refs else None
        amount = whole if len(payments) == 1 else payment.child("Amt").money()
        entries.append(
            Entry(
                place=place + offset,
                end_to_end_id=named.identifier() if named else "",
                amount=amount,
                direction=direction,
                booked=booked,
                booked_day=day.day(),
                bank_reference=own.text()[:35] if own else "",
                reversal=undone or payment.find("RtrInf") is not None,
            )
        )
    if len(entries) > 1 and sum(entry.amount.minor for entry in entries) != whole.minor:
        raise reader.wrong(
            f"its payments do not add up to {whole}", "Ask the bank for a statement that adds up"
        )
    return entries


def _number(account: Reader) -> str:
    inside = account.child("Id")
    iban = inside.find("IBAN")
    found = iban or inside.child("Othr").child("Id")
    if iban is not None and not is_iban(iban.text()):
        raise iban.wrong(f"{iban.text()[:40]!r} is not an IBAN", "Mend its check digits")
    return found.text()[:34]


# --- writing


def _amount(parent: ET.Element, money: Money) -> None:
    element = ET.SubElement(parent, "Amt", {"Ccy": money.currency})
    element.text = Money(abs(money.minor), money.currency).decimal()


def _balance(body: ET.Element, code: str, minor: int, statement: Statement) -> None:
    balance = ET.SubElement(body, "Bal")
    add_text(ET.SubElement(ET.SubElement(balance, "Tp"), "CdOrPrtry"), "Cd", code)
    _amount(balance, Money(minor, statement.currency))
    add_text(balance, "CdtDbtInd", "CRDT" if minor >= 0 else "DBIT")
    add_text(ET.SubElement(balance, "Dt"), "Dt", statement.created_at.date().isoformat())


def _entry(body: ET.Element, entry: Entry, *, with_uetr: bool = False) -> None:
    element = ET.SubElement(body, "Ntry")
    _amount(element, entry.amount)
    add_text(element, "CdtDbtInd", "CRDT" if entry.direction is Direction.IN else "DBIT")
    if entry.reversal:
        add_text(element, "RvslInd", "true")
    add_text(ET.SubElement(element, "Sts"), "Cd", "BOOK" if entry.booked else "PDNG")
    add_text(ET.SubElement(element, "BookgDt"), "Dt", entry.booked_day.isoformat())
    add_text(element, "AcctSvcrRef", entry.bank_reference)
    domain = ET.SubElement(ET.SubElement(element, "BkTxCd"), "Domn")
    add_text(domain, "Cd", "PMNT")
    family = ET.SubElement(domain, "Fmly")
    add_text(family, "Cd", "RCDT" if entry.direction is Direction.IN else "ICDT")
    add_text(family, "SubFmlyCd", "OTHR")
    if not entry.end_to_end_id:
        return
    refs = ET.SubElement(ET.SubElement(ET.SubElement(element, "NtryDtls"), "TxDtls"), "Refs")
    add_text(refs, "EndToEndId", entry.end_to_end_id)
    if with_uetr:
        add_text(refs, "UETR", uetr_of(entry.end_to_end_id))
