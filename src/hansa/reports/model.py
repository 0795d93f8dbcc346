"""A member's statement: what it is made of, and the sums that must hold. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import ClassVar
from zoneinfo import ZoneInfo

from hansa import clearing
from hansa.kernel import HansaError, Money
from hansa.ledger import AccountId, CodeSum
from hansa.reports.products import CLEARINGS_OWN, kind_of


class FiguresDiffer(HansaError):
    """A report's figures do not add up to those of clearing. Nothing was given out; have the books verified."""

    code: ClassVar[str] = "reports.figures_differ"
    status: ClassVar[int] = 500


class NoStatement(HansaError):
    """There is no statement yet: the window is still being closed."""

    code: ClassVar[str] = "reports.no_statement"
    status: ClassVar[int] = 404


class Section(StrEnum):
    """The parts of a statement, in order."""

    ITEMS = "items"
    ADJUSTMENTS = "adjustments"
    FEES = "fees"
    PAYMENTS = "payments"


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a statement. minor: what it adds to what the member is to receive; below zero where it takes from it.

    issuer_id, operator_id: the position that it comes from; empty for a payment by the bank. counterparty_id: who is
    on the other side. product, kind: of the items; for a fee whose it is. count: items or payments behind it.
    reference: a payment's end-to-end id.
    """

    section: Section
    counterparty_id: str
    issuer_id: str
    operator_id: str
    product: str
    kind: str
    count: int
    minor: int
    reference: str = ""


@dataclass(frozen=True, slots=True)
class CurrencyStatement:
    """A statement in one currency, in minor units: closing = opening + net - paid.

    opening: what earlier windows left unsettled, above zero where the member is to receive. net: of this window. paid:
    what the bank has moved to the member in the ledger's blocks of the window; below zero where the member paid in.
    """

    currency: str
    opening: int
    lines: tuple[Line, ...]
    net: int
    paid: int
    closing: int

    def of(self, section: Section) -> list[Line]:
        """The lines of one part."""
        return [line for line in self.lines if line.section is section]

    def sum_of(self, section: Section) -> int:
        """What the lines of one part come to."""
        return sum(line.minor for line in self.lines if line.section is section)

    def money(self, minor: int) -> Money:
        """An amount of this statement."""
        return Money(minor, self.currency)


@dataclass(frozen=True, slots=True)
class Statement:
    """What a member receives and pays for a window: the league's business day, or another model's.

    label: what people call the window. tz: the member's own time zone, UTC where it named none.
    settles: whether it settles for itself. One that clears as another has no balance of its own: its opening is zero,
    nothing is paid to it, and its closing is what it adds to the net of the one that settles for it.
    """

    member_id: str
    name: str
    clears_as: str
    settles: bool
    window_id: str
    label: str
    day: date
    ends_at: datetime
    closed_at: datetime | None
    tz: str
    names: Mapping[str, str]
    currencies: tuple[CurrencyStatement, ...]

    def at(self, instant: datetime) -> str:
        """An instant by the member's clock: ``2026-11-18 04:00 Asia/Shanghai``."""
        return f"{instant.astimezone(ZoneInfo(self.tz)):%Y-%m-%d %H:%M} {self.tz}"

    @property
    def number(self) -> str:
        """What the statement is called, on paper and in file names."""
        return f"{self.member_id}-{self.window_id}"

    def name_of(self, member_id: str) -> str:
        """A member's name, else its id."""
        return self.names.get(member_id, member_id)


@dataclass(frozen=True, slots=True)
class Balance:
    """What a member's account with the league comes to at the end of a window, in one currency."""

    window_id: str
    member_id: str
    currency: str
    opening: int
    net: int
    paid: int

    @property
    def closing(self) -> int:
        return self.opening + self.net - self.paid


PositionKey = tuple[str, str, str]
"""Issuer, operator, currency."""


@dataclass(frozen=True, slots=True)
class KindSum:
    """Items of one position and code, as they add to what the issuer owes."""

    code: int
    count: int
    minor: int


def sums_of_figures(figures: Iterable[clearing.Figure]) -> dict[PositionKey, list[KindSum]]:
    """What a window took on each position, by code."""
    found: dict[PositionKey, list[KindSum]] = {}
    for one in figures:
        key = (one.issuer_id, one.operator_id, one.currency)
        found.setdefault(key, []).append(KindSum(one.code, one.items, one.minor))
    return found


def sums_of_codes(
    sums: Iterable[CodeSum], keys: Mapping[AccountId, PositionKey]
) -> dict[PositionKey, list[KindSum]]:
    """Sums by account as sums by position, all partitions together. keys: which position an account is."""
    found: dict[PositionKey, dict[int, tuple[int, int]]] = {}
    for one in sums:
        if one.code in CLEARINGS_OWN:
            continue
        of_position = found.setdefault(keys[one.account_id], {})
        count, minor = of_position.get(one.code, (0, 0))
        of_position[one.code] = (count + one.count, minor + one.credit_minor)
    return {
        key: [KindSum(code, count, minor) for code, (count, minor) in sorted(codes.items())]
        for key, codes in found.items()
    }


def check_position(position: clearing.Position, sums: Sequence[KindSum]) -> None:
    """Go on only if the items of a position come to what clearing says. Errors: FiguresDiffer."""
    count, minor = sum(one.count for one in sums), sum(one.minor for one in sums)
    if (count, minor) != (position.items, position.gross):
        raise FiguresDiffer(
            f"{position.issuer_id} to {position.operator_id} on {position.day}: {count} items of {minor} in the books, "
            f"{position.items} of {position.gross} cleared ({position.currency}, minor units)."
        )


def lines_of(
    member_id: str, positions: Sequence[clearing.Position], sums: Mapping[PositionKey, Sequence[KindSum]]
) -> list[Line]:
    """A member's lines of one currency: its positions' items and the fees on them, as seen from it.

    An operator receives the gross and bears both fees; an issuer pays the gross and receives its fee; the league
    receives its own, here added up by operator.
    """
    lines: list[Line] = []
    league: dict[str, tuple[int, int]] = {}
    for one in positions:
        items = sums.get((one.issuer_id, one.operator_id, one.currency), ())
        for side, other, sign in (
            ((one.issuer_id, one.debtor_id), one.operator_id, -1),
            ((one.operator_id, one.creditor_id), one.issuer_id, 1),
        ):
            if member_id not in side:
                continue
            pair = (other, one.issuer_id, one.operator_id)
            for item in items:
                kind = kind_of(item.code)
                section = Section.ADJUSTMENTS if kind.adjusts else Section.ITEMS
                lines.append(Line(section, *pair, kind.product, kind.kind, item.count, sign * item.minor))
            if one.issuer_fee:
                lines.append(
                    Line(Section.FEES, *pair, "fee", "issuer fee", one.items, -sign * one.issuer_fee)
                )
            if one.league_fee and sign > 0:
                lines.append(
                    Line(
                        Section.FEES,
                        clearing.LEAGUE,
                        one.issuer_id,
                        one.operator_id,
                        "fee",
                        "league fee",
                        one.items,
                        -one.league_fee,
                    )
                )
        if member_id == clearing.LEAGUE:
            count, minor = league.get(one.operator_id, (0, 0))
            league[one.operator_id] = (count + one.items, minor + one.league_fee)
    lines += [
        Line(Section.FEES, operator, "", operator, "fee", "league fee", count, minor)
        for operator, (count, minor) in sorted(league.items())
        if minor
    ]
    order = list(Section)
    return sorted(
        lines, key=lambda line: (order.index(line.section), line.counterparty_id, line.issuer_id, line.kind)
    )


def statement_of(currency: str, lines: Sequence[Line], balance: Balance) -> CurrencyStatement:
    """A statement in one currency. Errors: FiguresDiffer where its lines do not come to the net and what was paid."""
    made = CurrencyStatement(
        currency, balance.opening, tuple(lines), balance.net, balance.paid, balance.closing
    )
    come_to = sum(made.sum_of(part) for part in (Section.ITEMS, Section.ADJUSTMENTS, Section.FEES))
    if come_to != balance.net or -made.sum_of(Section.PAYMENTS) != balance.paid:
        raise FiguresDiffer(
            f"{balance.member_id} in {balance.window_id}: items and fees come to {come_to}, its net is {balance.net}; "
            f"payments come to {-made.sum_of(Section.PAYMENTS)}, {balance.paid} was paid ({currency}, minor units)."
        )
    return made
