"""The bank, which is outside: what we need of one, and a simulated one that others can run."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import ClassVar, Protocol
from xml.etree import ElementTree as ET

from hansa.kernel import CURRENCY_EXPONENTS, Clock, HansaError, Money, SystemClock, fact_id
from hansa.settlement.camt053 import write_camt053
from hansa.settlement.iso20022 import PAIN_001, read_xml, short
from hansa.settlement.model import Direction, Entry, Statement
from hansa.settlement.pain001 import FILE_BYTES_MAX, validate_pain001

_INSIDE = f"{{{PAIN_001}}}"


class BankRefused(HansaError):
    """The bank does not take this file."""

    code: ClassVar[str] = "settlement.bank_refused"
    status: ClassVar[int] = 422


class Bank(Protocol):
    """What a settlement bank does for the league."""

    def instruct(self, document: bytes) -> str:
        """Hand in a pain.001; gives its message id. The same file again is carried out once."""
        ...

    def statement(self, message_id: str) -> bytes:
        """The camt.053 of what came of a file."""
        ...


class Mishap(StrEnum):
    """What a simulated bank does wrong with a payment."""

    LOSE = "lose"
    DUPLICATE = "duplicate"
    MISSTATE = "misstate"


@dataclass(frozen=True, slots=True)
class _Order:
    """A file as the bank carried it out. account: the number of the league's own account."""

    at: datetime
    account: str
    payments: list[Entry]


@dataclass(slots=True)
class SimulatedBank:
    """A bank that checks what it is given, carries it out at once, and can be told to make mistakes.

    mishaps: by end-to-end id. The league's settlement account is the one that every block of a file has in common.
    """

    clock: Clock = field(default_factory=SystemClock)
    mishaps: Mapping[str, Mishap] = field(default_factory=dict[str, Mishap])
    _orders: dict[str, _Order] = field(default_factory=dict[str, _Order])

    def instruct(self, document: bytes) -> str:
        """Carry out a file. Errors: BankRefused with the problems of the file."""
        return self._carry_out(document, self.clock.now())

    def statement_for(self, document: bytes, *, at: datetime) -> bytes:
        """Carry out a file at an instant, and say so at once."""
        return self.statement(self._carry_out(document, at))

    def statement(self, message_id: str) -> bytes:
        """What came of a file, with the mistakes this bank was told to make."""
        return self._statement(message_id, "", lost=False)

    def late_statement(self, message_id: str) -> bytes:
        """A second statement of the same file: what the first had lost."""
        return self._statement(message_id, "-2", lost=True)

    def run(self, folder: Path) -> list[Path]:
        """Carry out every pain.001 in a folder; the statements it wrote beside them."""
        written: list[Path] = []
        for file in sorted(folder.glob("HANSA-*.xml")):
            message_id = self.instruct(file.read_bytes())
            target = folder / f"{short(f'CAMT053-{message_id}', 35)}.xml"
            target.write_bytes(self.statement(message_id))
            written.append(target)
        return written

    def _carry_out(self, document: bytes, at: datetime) -> str:
        problems = validate_pain001(document)
        if problems:
            raise BankRefused(problems=tuple(problems))
        root = read_xml(document, size_max=FILE_BYTES_MAX)
        message_id = root.findtext(f".//{_INSIDE}MsgId", "")
        if message_id not in self._orders:
            created = datetime.fromisoformat(root.findtext(f".//{_INSIDE}CreDtTm", ""))
            self._orders[message_id] = _order(root, max(created, at))
        return message_id

    def _statement(self, message_id: str, suffix: str, *, lost: bool) -> bytes:
        order = self._orders[message_id]
        entries: list[Entry] = []
        for payment in order.payments:
            mishap = self.mishaps.get(payment.end_to_end_id)
            if (mishap is Mishap.LOSE) is not lost:
                continue
            amount = (
                payment.amount + Money(1, payment.amount.currency)
                if mishap is Mishap.MISSTATE
                else payment.amount
            )
            for _ in range(2 if mishap is Mishap.DUPLICATE else 1):
                entries.append(
                    Entry(
                        place=len(entries) + 1,
                        end_to_end_id=payment.end_to_end_id,
                        amount=amount,
                        direction=payment.direction,
                        booked=True,
                        booked_day=order.at.date(),
                        bank_reference=fact_id(None, message_id, suffix, len(entries)).hex[:16].upper(),
                    )
                )
        return write_camt053(
            Statement(
                statement_id=short(f"CAMT053-{message_id}{suffix}", 35),
                account=order.account,
                currency=order.payments[0].amount.currency,
                created_at=order.at,
                opening_minor=0,
                closing_minor=sum(_signed(entry) for entry in entries),
                entries=tuple(entries),
            )
        )


def _order(root: ET.Element, at: datetime) -> _Order:
    """The payments of a file that was checked, and whose they are."""
    blocks = list(root.iter(f"{_INSIDE}PmtInf"))
    common = set[str].intersection(
        *({*_numbers(block, "DbtrAcct"), *_numbers(block, "CdtrAcct")} for block in blocks)
    )
    own = min(common, default="")
    payments: list[Entry] = []
    for block in blocks:
        direction = Direction.OUT if own in _numbers(block, "DbtrAcct") else Direction.IN
        for payment in block.iter(f"{_INSIDE}CdtTrfTxInf"):
            amount = payment.find(f"{_INSIDE}Amt/{_INSIDE}InstdAmt")
            assert amount is not None, "the file was checked"
            currency = amount.get("Ccy", "")
            whole, _, part = (amount.text or "").partition(".")
            payments.append(
                Entry(
                    place=len(payments) + 1,
                    end_to_end_id=payment.findtext(f"{_INSIDE}PmtId/{_INSIDE}EndToEndId", ""),
                    amount=Money(int(whole + part.ljust(CURRENCY_EXPONENTS[currency], "0")), currency),
                    direction=direction,
                    booked=True,
                    booked_day=at.date(),
                    bank_reference="",
                )
            )
    return _Order(at, own, payments)


def _numbers(block: ET.Element, name: str) -> list[str]:
    """The account numbers that stand under these elements."""
    return [
        number.text or ""
        for account in block.iter(f"{_INSIDE}{name}")
        for kind in ("IBAN", f"Othr/{_INSIDE}Id")
        for number in account.findall(f"{_INSIDE}Id/{_INSIDE}{kind}")
    ]


def _signed(entry: Entry) -> int:
    return entry.amount.minor if entry.direction is Direction.IN else -entry.amount.minor
