"""The bank statement: camt.053.001.08, read from any bank and written by the simulated one. Pure.

Seen from the league's settlement account: a credit is a member paying in, a debit a member being paid. Versions .02 to
.13 of the message are read; where they differ (the status is a bare text before .08), both forms are taken.
Source: the message definition report of camt.053 (ISO 20022, bank-to-customer cash management).
"""

import re
from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from xml.etree import ElementTree as ET

from hansa.kernel import CURRENCY_EXPONENTS, Money, Problem
from hansa.settlement.iso20022 import (
    CAMT_053,
    DocumentRefused,
    instant,
    is_iban,
    read_account,
    read_xml,
    split_tag,
    write_xml,
)
from hansa.settlement.model import STATEMENT_BYTES_MAX, BadStatement, Direction, Entry, Statement

_VERSION = re.compile(r"urn:iso:std:iso:20022:tech:xsd:camt\.053\.001\.(0[2-9]|1[0-3])")
_AMOUNT = re.compile(r"[0-9]{1,18}(\.[0-9]{1,5})?")
_OPENING = ("OPBD", "PRCD")
_CLOSING = ("CLBD",)
_PROBLEMS_MAX = 50


def read_camt053(document: bytes, *, size_max: int = STATEMENT_BYTES_MAX) -> Statement:
    """A statement of one account. Errors: BadStatement, with every problem found, each with its place and remedy."""
    try:
        root = read_xml(document, size_max=size_max)
    except DocumentRefused as refused:
        raise _bad(Problem(refused.where, refused.what, refused.remedy)) from refused
    namespace, name = split_tag(root)
    if name != "Document" or not _VERSION.fullmatch(namespace):
        what = f"it is a {name!r} of {namespace or 'no namespace'}"
        raise _bad(Problem("the root", what, f"Send a camt.053, best {CAMT_053}"))
    statements = _Reader(root, "Document").child("BkToCstmrStmt").children("Stmt")
    if len(statements) != 1:
        what = f"there are {len(statements)} statements"
        raise _bad(Problem("Document/BkToCstmrStmt/Stmt", what, "Send one statement in a file"))
    return _statement(statements[0])


def write_camt053(statement: Statement) -> bytes:
    """A statement as a bank would send it."""
    document = ET.Element("Document", {"xmlns": CAMT_053})
    root = ET.SubElement(document, "BkToCstmrStmt")
    header = ET.SubElement(root, "GrpHdr")
    _text(header, "MsgId", statement.statement_id)
    _text(header, "CreDtTm", instant(statement.created_at))
    body = ET.SubElement(root, "Stmt")
    _text(body, "Id", statement.statement_id)
    _text(body, "CreDtTm", instant(statement.created_at))
    _account(ET.SubElement(body, "Acct"), statement)
    for code, minor in (("OPBD", statement.opening_minor), ("CLBD", statement.closing_minor)):
        _balance(body, code, minor, statement)
    for entry in statement.entries:
        _entry(body, entry)
    return write_xml(document)


# --- reading


class _Reader:
    """An element and where it stands, so that whatever is wrong can be pointed at."""

    def __init__(self, element: ET.Element, where: str) -> None:
        self.element, self.where = element, where

    def find(self, name: str) -> "_Reader | None":
        for child in self.element:
            if split_tag(child)[1] == name:
                return _Reader(child, f"{self.where}/{name}")
        return None

    def child(self, name: str) -> "_Reader":
        found = self.find(name)
        if found is None:
            raise _bad(
                Problem(f"{self.where}/{name}", "it is not there", "Ask the bank for a full statement")
            )
        return found

    def children(self, name: str) -> "list[_Reader]":
        found = [child for child in self.element if split_tag(child)[1] == name]
        return [_Reader(child, f"{self.where}/{name}[{n}]") for n, child in enumerate(found, start=1)]

    def text(self) -> str:
        return (self.element.text or "").strip()

    def wrong(self, what: str, remedy: str) -> BadStatement:
        return _bad(Problem(self.where, what, remedy))

    def identifier(self) -> str:
        text = self.text()
        if not 1 <= len(text) <= 35:
            raise self.wrong(f"{len(text)} characters", "Give 1 to 35")
        return text

    def currency(self, code: str) -> str:
        if code not in CURRENCY_EXPONENTS:
            raise self.wrong(f"{code[:10]!r} is no currency", "Give an ISO 4217 code")
        return code

    def money(self) -> Money:
        currency, text = self.currency(self.element.get("Ccy", "")), self.text()
        exponent = CURRENCY_EXPONENTS[currency]
        if not _AMOUNT.fullmatch(text):
            raise self.wrong(f"{text[:40]!r} is not an amount", "Give digits and at most one point")
        minor = Decimal(text).scaleb(exponent)
        try:
            if minor != minor.to_integral_exact():
                raise self.wrong(f"{text} has more decimals than {currency}", f"Give at most {exponent}")
        except InvalidOperation as error:
            raise self.wrong(f"{text} is too large", "Give at most 18 digits") from error
        if minor >= 2**63:
            raise self.wrong(f"{text} is too large", "Split it")
        return Money(int(minor), currency)

    def sign(self) -> int:
        text = self.text()
        if text not in ("CRDT", "DBIT"):
            raise self.wrong(f"{text[:10]!r} is neither credit nor debit", "Give CRDT or DBIT")
        return 1 if text == "CRDT" else -1

    def day(self) -> date:
        """A choice of date and instant."""
        inner = self.find("Dt") or self.find("DtTm") or self
        try:
            return datetime.fromisoformat(inner.text()).date()
        except ValueError as error:
            raise inner.wrong(f"{inner.text()[:40]!r} is no date", "Give it as 2026-11-17") from error

    def instant(self) -> datetime:
        try:
            at = datetime.fromisoformat(self.text())
        except ValueError as error:
            raise self.wrong(
                f"{self.text()[:40]!r} is no instant", "Give it as 2026-11-17T06:00:00Z"
            ) from error
        return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)


def _statement(reader: _Reader) -> Statement:
    account = reader.child("Acct")
    unit = account.find("Ccy")
    balances = reader.children("Bal")
    opening, closing = _find_balance(reader, balances, _OPENING), _find_balance(reader, balances, _CLOSING)
    currency = unit.currency(unit.text()) if unit else closing.currency
    entries: list[Entry] = []
    problems: list[Problem] = []
    for place, entry in enumerate(reader.children("Ntry"), start=1):
        try:
            entries.extend(_entries(entry, len(entries) + 1))
        except BadStatement as bad:
            problems.extend(bad.problems)
        if len(problems) >= _PROBLEMS_MAX:
            problems.append(
                Problem(entry.where, f"reading stopped after {place} entries", "Mend those first")
            )
            break
    if problems:
        raise _bad(*problems)
    statement = Statement(
        statement_id=reader.child("Id").identifier(),
        account=_number(account),
        currency=currency,
        created_at=reader.child("CreDtTm").instant()
        if reader.find("CreDtTm")
        else datetime.min.replace(tzinfo=UTC),
        opening_minor=opening.minor,
        closing_minor=closing.minor,
        entries=tuple(entries),
    )
    booked = sum(
        entry.amount.minor if entry.direction is Direction.IN else -entry.amount.minor
        for entry in entries
        if entry.booked and entry.amount.currency == currency
    )
    if opening.currency != currency or closing.currency != currency:
        raise _bad(
            Problem(f"{reader.where}/Bal", f"not in {currency}", "Send balances in the account's currency")
        )
    if opening.minor + booked != closing.minor:
        what = f"{opening} and the entries make {opening + Money(booked, currency)}, it says {closing}"
        raise _bad(Problem(f"{reader.where}/Bal", what, "Ask the bank for a statement that adds up"))
    return statement


def _find_balance(reader: _Reader, balances: Sequence[_Reader], codes: Sequence[str]) -> Money:
    for balance in balances:
        if balance.child("Tp").child("CdOrPrtry").child("Cd").text() in codes:
            amount = balance.child("Amt").money()
            return amount if balance.child("CdtDbtInd").sign() > 0 else -amount
    raise _bad(Problem(f"{reader.where}/Bal", f"no {codes[0]} balance", "Ask the bank for a full statement"))


def _entries(reader: _Reader, place: int) -> list[Entry]:
    """An entry, one for each payment it holds: a bank may book several in one sum."""
    whole, sign = reader.child("Amt").money(), reader.child("CdtDbtInd").sign()
    reversal = reader.find("RvslInd")
    if reversal is not None and reversal.text() == "true":
        raise reversal.wrong("a reversal", "Ask the bank for the corrected statement")
    status = reader.child("Sts")
    booked = (status.find("Cd") or status).text() == "BOOK"
    day = reader.find("BookgDt") or reader.find("ValDt")
    if day is None:
        raise _bad(Problem(f"{reader.where}/BookgDt", "it is not there", "Say on which day it was booked"))
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
            )
        )
    if len(entries) > 1 and sum(entry.amount.minor for entry in entries) != whole.minor:
        raise reader.wrong(
            f"its payments do not add up to {whole}", "Ask the bank for a statement that adds up"
        )
    return entries


def _number(account: _Reader) -> str:
    inside = account.child("Id")
    iban = inside.find("IBAN")
    found = iban or inside.child("Othr").child("Id")
    if iban is not None and not is_iban(iban.text()):
        raise iban.wrong(f"{iban.text()[:40]!r} is not an IBAN", "Mend its check digits")
    return found.text()[:34]


def _bad(*problems: Problem) -> BadStatement:
    return BadStatement(problems=problems)


# --- writing


def _text(parent: ET.Element, name: str, text: str) -> None:
    ET.SubElement(parent, name).text = text


def _amount(parent: ET.Element, money: Money) -> None:
    element = ET.SubElement(parent, "Amt", {"Ccy": money.currency})
    element.text = Money(abs(money.minor), money.currency).decimal()


def _account(element: ET.Element, statement: Statement) -> None:
    account = read_account(statement.account)
    number = ET.SubElement(element, "Id")
    if account.is_iban:
        _text(number, "IBAN", account.number)
    else:
        _text(ET.SubElement(number, "Othr"), "Id", account.number)
    _text(element, "Ccy", statement.currency)


def _balance(body: ET.Element, code: str, minor: int, statement: Statement) -> None:
    balance = ET.SubElement(body, "Bal")
    _text(ET.SubElement(ET.SubElement(balance, "Tp"), "CdOrPrtry"), "Cd", code)
    _amount(balance, Money(minor, statement.currency))
    _text(balance, "CdtDbtInd", "CRDT" if minor >= 0 else "DBIT")
    _text(ET.SubElement(balance, "Dt"), "Dt", statement.created_at.date().isoformat())


def _entry(body: ET.Element, entry: Entry) -> None:
    element = ET.SubElement(body, "Ntry")
    _amount(element, entry.amount)
    _text(element, "CdtDbtInd", "CRDT" if entry.direction is Direction.IN else "DBIT")
    _text(ET.SubElement(element, "Sts"), "Cd", "BOOK" if entry.booked else "PDNG")
    _text(ET.SubElement(element, "BookgDt"), "Dt", entry.booked_day.isoformat())
    _text(element, "AcctSvcrRef", entry.bank_reference)
    domain = ET.SubElement(ET.SubElement(element, "BkTxCd"), "Domn")
    _text(domain, "Cd", "PMNT")
    family = ET.SubElement(domain, "Fmly")
    _text(family, "Cd", "RCDT" if entry.direction is Direction.IN else "ICDT")
    _text(family, "SubFmlyCd", "OTHR")
    refs = ET.SubElement(ET.SubElement(ET.SubElement(element, "NtryDtls"), "TxDtls"), "Refs")
    _text(refs, "EndToEndId", entry.end_to_end_id)
