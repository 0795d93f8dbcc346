"""The arithmetic of a clearing day: how a fare is shared out, and what each member pays or receives. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Literal

from hansa.kernel import split_minor
from hansa.trust import MemberId

WHOLE_BP = 10_000
"""Basis points in a whole."""

ANYONE: Literal["*"] = "*"


@dataclass(frozen=True, slots=True)
class Agreement:
    """What the issuer and the league keep of each fare between these two, from a day on.

    issuer_id, operator_id: a member, or ``*`` for any. The more exact agreement wins, the issuer's name counting
    before the operator's; among equals the latest ``valid_from`` that is not after the day.
    """

    issuer_id: str
    operator_id: str
    issuer_fee_bp: int
    league_fee_bp: int
    valid_from: date

    def __post_init__(self) -> None:
        fees = (self.issuer_fee_bp, self.league_fee_bp)
        assert min(fees) >= 0 and sum(fees) <= WHOLE_BP, "fees: none negative, together at most the whole"


DEFAULT_AGREEMENT = Agreement(ANYONE, ANYONE, 120, 30, date.min)
"""Where nothing was agreed: 1.2 % to the issuer, 0.3 % to the league, the rest to the operator."""


@dataclass(frozen=True, slots=True)
class Shares:
    """How one amount is shared out; the three add up to it exactly."""

    operator_share: int
    issuer_fee: int
    league_fee: int


@dataclass(frozen=True, slots=True)
class Obligation:
    """That one member owes another an amount of minor units. Negative where corrections outweigh fares."""

    debtor: MemberId
    creditor: MemberId
    currency: str
    minor: int


def agreement_of(agreements: Iterable[Agreement], issuer_id: str, operator_id: str, day: date) -> Agreement:
    """The agreement that holds between these two on that day."""
    fitting = [
        agreement
        for agreement in (DEFAULT_AGREEMENT, *agreements)
        if agreement.issuer_id in (issuer_id, ANYONE)
        and agreement.operator_id in (operator_id, ANYONE)
        and agreement.valid_from <= day
    ]
    return max(fitting, key=lambda fit: (fit.issuer_id != ANYONE, fit.operator_id != ANYONE, fit.valid_from))


def share_out(gross_minor: int, agreement: Agreement) -> Shares:
    """A gross amount of any sign, shared by basis points; largest remainder, a tie goes to the operator."""
    operator_bp = WHOLE_BP - agreement.issuer_fee_bp - agreement.league_fee_bp
    return Shares(*split_minor(gross_minor, (operator_bp, agreement.issuer_fee_bp, agreement.league_fee_bp)))


def net(obligations: Iterable[Obligation]) -> dict[tuple[MemberId, str], int]:
    """What each member receives (+) or pays (-) in each currency; every currency sums to zero.

    A member that owes and is owed alike stands there with 0: it took part, and no money moves.
    """
    nets: dict[tuple[MemberId, str], int] = {}
    for owed in obligations:
        debtor, creditor = (owed.debtor, owed.currency), (owed.creditor, owed.currency)
        nets[debtor] = nets.get(debtor, 0) - owed.minor
        nets[creditor] = nets.get(creditor, 0) + owed.minor
    return nets


def matrix(obligations: Iterable[Obligation]) -> Mapping[tuple[MemberId, MemberId, str], int]:
    """Who owes whom how much, before netting: (debtor, creditor, currency) to minor units; nobody owes himself."""
    cells: dict[tuple[MemberId, MemberId, str], int] = {}
    for owed in obligations:
        if owed.debtor != owed.creditor:
            cell = (owed.debtor, owed.creditor, owed.currency)
            cells[cell] = cells.get(cell, 0) + owed.minor
    return cells
