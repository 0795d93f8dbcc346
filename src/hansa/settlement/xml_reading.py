"""Reading messages from outside, element by element, so that whatever is wrong can be pointed at. Pure."""

import re
from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from xml.etree import ElementTree as ET

from hansa.kernel import CURRENCY_EXPONENTS, Money, Problem
from hansa.settlement.iso20022 import DocumentRefused, read_xml, split_tag

_AMOUNT = re.compile(r"[0-9]{1,18}(\.[0-9]{1,5})?")


class Unreadable(Exception):
    """Some of a message cannot be read. The reader of the message turns it into an error of its own."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__(*problems)
        self.problems = problems


class Reader:
    """An element and where it stands."""

    def __init__(self, element: ET.Element, where: str) -> None:
        self.element, self.where = element, where

    def find(self, name: str) -> "Reader | None":
        """The first child of this name."""
        for child in self.element:
            if split_tag(child)[1] == name:
                return Reader(child, f"{self.where}/{name}")
        return None

    def child(self, name: str) -> "Reader":
        """The child that must be there. Errors: Unreadable."""
        found = self.find(name)
        if found is None:
            raise Unreadable(
                Problem(f"{self.where}/{name}", "it is not there", "Ask the bank for a full message")
            )
        return found

    def children(self, name: str) -> "list[Reader]":
        """All children of this name, each with its number."""
        found = [child for child in self.element if split_tag(child)[1] == name]
        return [Reader(child, f"{self.where}/{name}[{n}]") for n, child in enumerate(found, start=1)]

    def text(self) -> str:
        """Its text without the blanks around it."""
        return (self.element.text or "").strip()

    def text_of(self, name: str) -> str:
        """The text of a child, empty where there is none."""
        found = self.find(name)
        return found.text() if found else ""

    def wrong(self, what: str, remedy: str) -> Unreadable:
        """What is wrong with this element."""
        return Unreadable(Problem(self.where, what, remedy))

    def identifier(self) -> str:
        """A text of 1 to 35 characters. Errors: Unreadable."""
        text = self.text()
        if not 1 <= len(text) <= 35:
            raise self.wrong(f"{len(text)} characters", "Give 1 to 35")
        return text

    def currency(self, code: str) -> str:
        """An active currency. Errors: Unreadable."""
        if code not in CURRENCY_EXPONENTS:
            raise self.wrong(f"{code[:10]!r} is no currency", "Give an ISO 4217 code")
        return code

    def money(self) -> Money:
        """An amount with its currency, in whole minor units. Errors: Unreadable."""
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
        """1 for a credit, -1 for a debit. Errors: Unreadable."""
        text = self.text()
        if text not in ("CRDT", "DBIT"):
            raise self.wrong(f"{text[:10]!r} is neither credit nor debit", "Give CRDT or DBIT")
        return 1 if text == "CRDT" else -1

    def day(self) -> date:
        """A choice of date and instant. Errors: Unreadable."""
        inner = self.find("Dt") or self.find("DtTm") or self
        try:
            return datetime.fromisoformat(inner.text()).date()
        except ValueError as error:
            raise inner.wrong(f"{inner.text()[:40]!r} is no date", "Give it as 2026-11-17") from error

    def instant(self) -> datetime:
        """An instant; one without an offset is in UTC. Errors: Unreadable."""
        try:
            at = datetime.fromisoformat(self.text())
            return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
        except (ValueError, OverflowError) as error:
            raise self.wrong(
                f"{self.text()[:40]!r} is no instant", "Give it as 2026-11-17T06:00:00Z"
            ) from error


@contextmanager
def refusals(error: Callable[[tuple[Problem, ...]], Exception]) -> Generator[None]:
    """Turn what cannot be read into the caller's error."""
    try:
        yield
    except DocumentRefused as refused:
        raise error((Problem(refused.where, refused.what, refused.remedy),)) from refused
    except Unreadable as unreadable:
        raise error(unreadable.problems) from unreadable


def read_root(document: bytes, *, size_max: int) -> tuple[str, Reader]:
    """The namespace and the first element inside ``Document``. Errors: DocumentRefused, Unreadable."""
    root = read_xml(document, size_max=size_max)
    namespace, name = split_tag(root)
    if name != "Document" or not len(root):
        raise Unreadable(
            Problem("the root", f"it is {name[:40]!r} of {namespace[:80]!r}", "Send an ISO 20022 Document")
        )
    return namespace, Reader(root[0], f"Document/{split_tag(root[0])[1]}")
