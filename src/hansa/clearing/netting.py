"""The arithmetic of a clearing day: how a fare is shared out, and what each member pays or receives. Pure.

Fees are counted in ten-thousandths of a minor unit, so that basis points of a cent are whole numbers: what is summed
item by item and what is worked out from a sum and a count are then the same to the last digit, and only the shares of a
whole position are rounded, once.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Literal, Self, get_args

from hansa.ledger import TransferCode
from hansa.trust import MemberId

WHOLE_BP = 10_000
"""Basis points in a whole, and the parts of a minor unit in which fees are counted."""

LOWEST = -(2**62)
"""Below every item."""

ANYONE: Literal["*"] = "*"

Product = Literal["ride", "subsidy", "chargeback", "payment"]
"""What an item is, as far as fees go: a fare and its corrections, what a member pays of a fare, money that a dispute
gave back, a payment to another member or to its payees."""

PRODUCTS: tuple[Product, ...] = get_args(Product)

_PRODUCT_OF: Mapping[int, Product] = {
    TransferCode.SUBSIDY: "subsidy",
    TransferCode.CHARGEBACK: "chargeback",
    TransferCode.PAYMENT: "payment",
    TransferCode.PURCHASE: "payment",
    TransferCode.SEND: "payment",
    TransferCode.PURCHASE_REFUND: "payment",
}


def product_of(code: int) -> Product:
    """What an item with this transfer code is; a fare where the code says nothing else."""
    return _PRODUCT_OF.get(code, "ride")


# -- what is kept of an item ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Fee:
    """What one party keeps of each item: basis points of it, within floor and cap, and a fixed part beside them.

    All in minor units but bp. floor, cap: the least and the most that the basis points come to. all_above: of an item
    above it, what is beyond is kept as a whole, if that is more. An item below zero gives back basis points, at most
    the cap; floor and all_above are not for it. The fixed part is for the work an item makes, so each item bears it,
    also one that corrects.
    """

    bp: int = 0
    fixed_minor: int = 0
    floor_minor: int = 0
    cap_minor: int | None = None
    all_above_minor: int | None = None

    def __post_init__(self) -> None:
        assert 0 <= self.bp <= WHOLE_BP, "basis points: from none to the whole"
        assert min(self.fixed_minor, self.floor_minor) >= 0, "no part below zero"
        assert self.cap_minor is None or self.cap_minor >= self.floor_minor, (
            "the cap is no less than the floor"
        )
        assert self.all_above_minor is None or self.all_above_minor >= 0, "no part below zero"

    @property
    def by_sum(self) -> bool:
        """Whether the sum and the count of items are enough to know the fee; else each item must be looked at."""
        return not self.floor_minor and self.cap_minor is None and self.all_above_minor is None

    def of_item(self, minor: int) -> int:
        """The fee of one item, in ten-thousandths of a minor unit."""
        slope, constant = self.line_at(minor)
        return slope * minor + constant

    def of_sum(self, items: int, gross_minor: int) -> int:
        """The fee of so many items that sum to this, in ten-thousandths of a minor unit; only where ``by_sum``."""
        assert self.by_sum, "a floor or a cap is for each item by itself"
        return gross_minor * self.bp + items * self.fixed_minor * WHOLE_BP

    def line_at(self, minor: int) -> tuple[int, int]:
        """The straight line that the fee of an item of this size lies on: slope and constant, in ten-thousandths."""
        fixed = self.fixed_minor * WHOLE_BP
        lines = [(self.bp, 0)]
        if minor > 0:
            lines += [(0, self.floor_minor * WHOLE_BP)] if self.floor_minor else []
            lines += self._beyond
        slope, constant = max(lines, key=lambda line: line[0] * minor + line[1])
        cap = None if self.cap_minor is None else self.cap_minor * WHOLE_BP
        if cap is not None and abs(slope * minor + constant) > cap:
            slope, constant = 0, cap if minor > 0 else -cap
        return slope, constant + fixed

    @property
    def steps(self) -> frozenset[int]:
        """The sizes of items from which on the fee lies on another line; none where ``by_sum``."""
        if self.by_sum:
            return frozenset()
        lines = [(self.bp, 0), (0, self.floor_minor * WHOLE_BP), *self._beyond]
        if self.cap_minor is not None:
            lines.append((0, self.cap_minor * WHOLE_BP))
        crossed = {0, 1}
        for slope, constant in lines:
            for other, at in lines:
                if slope > other:
                    first = -((constant - at) // (slope - other))  # the first item not below the crossing
                    crossed |= {first, first + 1}
        if self.cap_minor is not None and self.bp:
            last = self.cap_minor * WHOLE_BP // self.bp
            crossed |= {-last, 1 - last}
        return frozenset(crossed)

    @property
    def _beyond(self) -> list[tuple[int, int]]:
        above = self.all_above_minor
        return [] if above is None else [(WHOLE_BP, -above * WHOLE_BP)]


NO_FEE = Fee()


@dataclass(frozen=True, slots=True)
class Parts:
    """What is kept of some items before rounding, in ten-thousandths of a minor unit. Parts of more items add up.

    interchange: from the operator's city to the issuer's; below zero the other way.
    """

    issuer: int = 0
    league: int = 0
    interchange: int = 0

    def __add__(self, other: Self) -> "Parts":
        return Parts(
            self.issuer + other.issuer, self.league + other.league, self.interchange + other.interchange
        )


@dataclass(frozen=True, slots=True)
class Shares:
    """How one amount is shared out; operator, issuer and league add up to it exactly.

    interchange: how much of the issuer's fee is interchange; below zero where the issuer pays it.
    """

    operator_share: int
    issuer_fee: int
    league_fee: int
    interchange: int = 0


@dataclass(frozen=True, slots=True)
class ChargebackTerms:
    """What two members agreed on about disputed items; None or empty is as the league's rules say.

    within_days: calendar days after the booking. days: business days for each state of a dispute. undecided_bp: the
    share of the claim that an arbitration past its time gives. fee_minor: to the league for each chargeback, borne by
    the one it went against (``loser``) or by one of the two; in the currency of the item.
    """

    within_days: int | None = None
    days: Mapping[str, int] = field(default_factory=dict[str, int])
    undecided_bp: int | None = None
    fee_minor: int = 0
    borne_by: Literal["loser", "issuer", "operator"] = "loser"


@dataclass(frozen=True, slots=True)
class Terms:
    """What holds between an issuer and an operator for a product on a day, and by which agreement.

    Of a subsidy the issuer is the member that pays it, and its fee is what the operator bears. interchange_sign: 1
    where the operator pays it, -1 where the issuer does; 0 where both are of one city, or none was agreed.
    """

    agreement_id: str
    product: Product
    issuer: Fee
    league: Fee
    interchange: Fee = NO_FEE
    interchange_sign: Literal[-1, 0, 1] = 0
    chargeback: ChargebackTerms = field(default_factory=ChargebackTerms)

    @property
    def by_sum(self) -> bool:
        """Whether a sum and a count of items are enough to share them out; else sum ``parts_of_item``."""
        each = self._chargeback_fee and self.chargeback.borne_by == "loser"
        return self.issuer.by_sum and self.league.by_sum and self._across.by_sum and not each

    @property
    def fees(self) -> tuple[Fee, Fee, Fee, int, int, str]:
        """All that ``parts_of_item`` hangs on: parts that were summed with equal fees may be added."""
        borne_by = self.chargeback.borne_by if self._chargeback_fee else ""
        return self.issuer, self.league, self._across, self.interchange_sign, self._chargeback_fee, borne_by

    def parts_of_item(self, minor: int) -> Parts:
        """What is kept of one item, before rounding."""
        borne_by = self.chargeback.borne_by
        by_issuer = borne_by == "issuer" or (borne_by == "loser" and minor > 0)
        return self._parts(
            self.issuer.of_item(minor),
            self.league.of_item(minor),
            self._across.of_item(minor),
            items=1,
            by_issuer=by_issuer,
        )

    def parts_of_items(self, minors: Iterable[int]) -> Parts:
        """What is kept of some items, before rounding: the sum of ``parts_of_item``."""
        amounts = list(minors)
        if self.by_sum:
            return self.parts_of_sum(len(amounts), sum(amounts))
        return sum((self.parts_of_item(minor) for minor in amounts), Parts())

    def parts_of_sum(self, items: int, gross_minor: int) -> Parts:
        """What is kept of so many items that sum to this, before rounding; only where ``by_sum``."""
        assert self.by_sum, "these items must be looked at one by one"
        return self._parts(
            self.issuer.of_sum(items, gross_minor),
            self.league.of_sum(items, gross_minor),
            self._across.of_sum(items, gross_minor),
            items=items,
            by_issuer=self.chargeback.borne_by == "issuer",
        )

    @property
    def steps(self) -> tuple[int, ...]:
        """The sizes of items from which on other lines of the fees hold, ascending; no item is below the first.

        Items from one step up to the next may be counted and summed together: ``parts_of_step``.
        """
        if self.by_sum:
            return (LOWEST,)
        each = {0, 1} if self._chargeback_fee else set[int]()
        return LOWEST, *sorted(self.issuer.steps | self.league.steps | self._across.steps | each)

    def parts_of_step(self, from_minor: int, items: int, gross_minor: int) -> Parts:
        """What is kept of so many items that sum to this, before rounding, all of them within one step.

        from_minor: one of ``steps``.
        """
        low = from_minor if from_minor != LOWEST or self.by_sum else self.steps[1] - 1
        issuer, league, across = (
            slope * gross_minor + constant * items
            for slope, constant in (fee.line_at(low) for fee in (self.issuer, self.league, self._across))
        )
        borne_by = self.chargeback.borne_by
        by_issuer = borne_by == "issuer" or (borne_by == "loser" and low > 0)
        return self._parts(issuer, league, across, items=items, by_issuer=by_issuer)

    @property
    def _across(self) -> Fee:
        return self.interchange if self.interchange_sign else NO_FEE

    @property
    def _chargeback_fee(self) -> int:
        return self.chargeback.fee_minor if self.product == "chargeback" else 0

    def _parts(self, issuer: int, league: int, across: int, *, items: int, by_issuer: bool) -> Parts:
        fee = items * self._chargeback_fee * WHOLE_BP
        return Parts(issuer - fee * by_issuer, league + fee, self.interchange_sign * across)


def share_parts(gross_minor: int, parts: Parts) -> Shares:
    """A gross amount of any sign shared out in whole minor units: exact parts, largest remainder.

    A tie goes to the operator, then the issuer, the league, the interchange. The shares add up to the gross.
    """
    sign = -1 if gross_minor < 0 else 1
    kept = (parts.issuer, parts.league, parts.interchange)
    exact = [sign * one for one in (gross_minor * WHOLE_BP - sum(kept), *kept)]
    shares = [divmod(one, WHOLE_BP) for one in exact]
    left = abs(gross_minor) - sum(whole for whole, _ in shares)
    by_remainder = sorted(range(len(shares)), key=lambda i: (-shares[i][1], i))
    extra = set(by_remainder[:left])
    operator, issuer, league, across = (sign * (whole + (i in extra)) for i, (whole, _) in enumerate(shares))
    return Shares(operator, issuer + across, league, across)


def apportion(total: int, exact: Sequence[int]) -> list[int]:
    """A rounded total taken apart again: whole minor units for each exact part, which add up to it.

    exact: in ten-thousandths of a minor unit; they sum to the total but for its rounding. Largest remainder first.
    """
    parts = [divmod(one, WHOLE_BP) for one in exact]
    left = total - sum(whole for whole, _ in parts)
    assert 0 <= left <= len(parts), (total, exact)
    first = set(sorted(range(len(parts)), key=lambda i: (-parts[i][1], i))[:left])
    return [whole + (i in first) for i, (whole, _) in enumerate(parts)]


def share_items(minors: Sequence[int], terms: Terms) -> Shares:
    """Some items shared out together by what holds for them."""
    return share_parts(sum(minors), terms.parts_of_items(minors))


# -- the simple form: basis points alone ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Agreement:
    """What the issuer and the league keep of each fare between these two, from a day on.

    The simple form, in basis points alone; agreements with more in them are texts (``agreements``). issuer_id,
    operator_id: a member, or ``*`` for any. The more exact agreement wins, the issuer's name counting before the
    operator's; among equals the latest ``valid_from`` that is not after the day.
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


def agreement_of(agreements: Iterable[Agreement], issuer_id: str, operator_id: str, day: date) -> Agreement:
    """The agreement of the simple form that holds between these two on that day."""
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
    kept = Parts(gross_minor * agreement.issuer_fee_bp, gross_minor * agreement.league_fee_bp)
    return share_parts(gross_minor, kept)


# -- nets -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Obligation:
    """That one member owes another an amount of minor units. Negative where corrections outweigh fares."""

    debtor: MemberId
    creditor: MemberId
    currency: str
    minor: int


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
