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
from hansa.settlement.iso20022 import PAIN_001, read_account, read_xml, short
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


@dataclass(slots=True)
class SimulatedBank:
    """A bank that checks what it is given, carries it out at once, and can be told to make mistakes.

    account: the league's settlement account, as trust keeps it. mishaps: by end-to-end id.
    """

    account: str
    clock: Clock = field(default_factory=SystemClock)
    mishaps: Mapping[str, Mishap] = field(default_factory=dict[str, Mishap])
    _orders: dict[str, tuple[datetime, list[Entry]]] = field(
        default_factory=dict[str, tuple[datetime, list[Entry]]]
    )

    def instruct(self, document: bytes) -> str:
        """Carry out a file. Errors: BankRefused with the problems of the file."""
        problems = validate_pain001(document)
        if problems:
            raise BankRefused(problems=tuple(problems))
        root = read_xml(document, size_max=FILE_BYTES_MAX)
        message_id = root.findtext(f".//{_INSIDE}MsgId", "")
        created = datetime.fromisoformat(root.findtext(f".//{_INSIDE}CreDtTm", ""))
        now = max(created, self.clock.now())
        if message_id not in self._orders:
            self._orders[message_id] = (now, _payments(root, read_account(self.account).number, now))
        return message_id

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

    def _statement(self, message_id: str, suffix: str, *, lost: bool) -> bytes:
        at, payments = self._orders[message_id]
        entries: list[Entry] = []
        for payment in payments:
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
                        booked_day=at.date(),
                        bank_reference=fact_id(None, message_id, suffix, len(entries)).hex[:16].upper(),
                    )
                )
        return write_camt053(
            Statement(
                statement_id=short(f"CAMT053-{message_id}{suffix}", 35),
                account=self.account,
                currency=payments[0].amount.currency,
                created_at=at,
                opening_minor=0,
                closing_minor=sum(_signed(entry) for entry in entries),
                entries=tuple(entries),
            )
        )


def _payments(root: ET.Element, own_number: str, at: datetime) -> list[Entry]:
    found: list[Entry] = []
    for block in root.iter(f"{_INSIDE}PmtInf"):
        payer = block.find(f"{_INSIDE}DbtrAcct")
        assert payer is not None, "the file was checked"
        paid_by_us = own_number in ("".join(element.itertext()) for element in payer.iter(f"{_INSIDE}Id"))
        for payment in block.iter(f"{_INSIDE}CdtTrfTxInf"):
            amount = payment.find(f"{_INSIDE}Amt/{_INSIDE}InstdAmt")
            assert amount is not None, "the file was checked"
            currency = amount.get("Ccy", "")
            whole, _, part = (amount.text or "").partition(".")
            minor = int(whole + part.ljust(CURRENCY_EXPONENTS[currency], "0"))
            found.append(
                Entry(
                    place=len(found) + 1,
                    end_to_end_id=payment.findtext(f"{_INSIDE}PmtId/{_INSIDE}EndToEndId", ""),
                    amount=Money(minor, currency),
                    direction=Direction.OUT if paid_by_us else Direction.IN,
                    booked=True,
                    booked_day=at.date(),
                    bank_reference="",
                )
            )
    return found


def _signed(entry: Entry) -> int:
    return entry.amount.minor if entry.direction is Direction.IN else -entry.amount.minor
