"""The arithmetic of a day: fees shared out, members netted. Tables an accountant could check."""

from bisect import bisect_right
from collections.abc import Sequence
from datetime import date
from fractions import Fraction
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa.clearing.netting import (
    DEFAULT_AGREEMENT,
    NO_FEE,
    Agreement,
    ChargebackTerms,
    Fee,
    Obligation,
    Parts,
    Shares,
    Terms,
    agreement_of,
    matrix,
    net,
    share_items,
    share_out,
    share_parts,
)
from hansa.trust import MemberId

DAY = date(2026, 11, 17)

# gross | issuer's and league's basis points | to the operator, the issuer, the league
SHARED = [
    (10_000, 120, 30, (9_850, 120, 30)),
    (700, 120, 30, (690, 8, 2)),  # 689.5, 8.4, 2.1: the half cent goes to the largest remainder
    (300, 120, 30, (295, 4, 1)),  # 295.5, 3.6, 0.9
    (1, 120, 30, (1, 0, 0)),
    (33, 120, 30, (33, 0, 0)),  # 32.505, 0.396, 0.099
    (0, 120, 30, (0, 0, 0)),
    (-700, 120, 30, (-690, -8, -2)),  # a correction takes back what it gave
    (999, 0, 0, (999, 0, 0)),
    (999, 10_000, 0, (0, 999, 0)),
    (101, 5_000, 5_000, (0, 51, 50)),  # a tie goes to the issuer before the league
]


@pytest.mark.parametrize(("gross", "issuer_bp", "league_bp", "shares"), SHARED)
def test_a_gross_amount_is_shared_out_by_basis_points(
    gross: int, issuer_bp: int, league_bp: int, shares: tuple[int, int, int]
) -> None:
    agreement = Agreement("*", "*", issuer_bp, league_bp, DAY)

    assert share_out(gross, agreement) == Shares(*shares)


@given(gross=st.integers(-(10**15), 10**15), issuer_bp=st.integers(0, 10_000), data=st.data())
def test_what_is_shared_out_is_what_came_in(gross: int, issuer_bp: int, data: st.DataObject) -> None:
    league_bp = data.draw(st.integers(0, 10_000 - issuer_bp))

    shares = share_out(gross, Agreement("*", "*", issuer_bp, league_bp, DAY))

    assert shares.operator_share + shares.issuer_fee + shares.league_fee == gross
    assert abs(shares.issuer_fee - Fraction(gross * issuer_bp, 10_000)) < 1
    opposite = share_out(-gross, Agreement("*", "*", issuer_bp, league_bp, DAY))
    assert opposite == Shares(-shares.operator_share, -shares.issuer_fee, -shares.league_fee)


# the fee | an item | what is kept of it, in cents and their ten-thousandths
KEPT = [
    (Fee(120), 300, "3.6"),
    (Fee(120), -300, "-3.6"),
    (Fee(120, fixed_minor=2), 300, "5.6"),
    (Fee(120, fixed_minor=2), -300, "-1.6"),  # a correction gives back its share and is work as any other
    (Fee(120, floor_minor=5), 300, "5"),
    (Fee(120, floor_minor=5), -300, "-3.6"),  # the floor is for what adds
    (Fee(120, floor_minor=5), 0, "0"),
    (Fee(120, cap_minor=50), 100_000, "50"),
    (Fee(120, cap_minor=50), -100_000, "-50"),
    (Fee(120, fixed_minor=1, floor_minor=5, cap_minor=50), 100_000, "51"),
    (Fee(2_000, all_above_minor=100), 110, "22"),  # a fifth is more than what lies beyond 1.00
    (Fee(2_000, all_above_minor=100), 130, "30"),
    (Fee(2_000, all_above_minor=100), -130, "-26"),
    (Fee(all_above_minor=100), 90, "0"),
]


@pytest.mark.parametrize(("fee", "item", "kept"), KEPT)
def test_what_is_kept_of_an_item(fee: Fee, item: int, kept: str) -> None:
    assert fee.of_item(item) == Fraction(kept) * 10_000


# what holds | items | to the operator, the issuer, the league, and the interchange in the issuer's
SHARED_TERMS = [
    (Terms("x", "ride", Fee(120, fixed_minor=2), Fee(30)), [300, 300], (587, 11, 2, 0)),  # 587, 11.2, 1.8
    (Terms("x", "ride", Fee(100), Fee(0), Fee(50), 1), [1_000], (985, 15, 0, 5)),
    (Terms("x", "ride", Fee(100), Fee(0), Fee(50), -1), [1_000], (995, 5, 0, -5)),
    (Terms("x", "ride", Fee(0), Fee(0), Fee(50, fixed_minor=3), 0), [1_000], (1_000, 0, 0, 0)),
    (Terms("x", "subsidy", Fee(2_000), NO_FEE), [100, 50], (120, 30, 0, 0)),
    (
        Terms("x", "chargeback", NO_FEE, NO_FEE, chargeback=ChargebackTerms(fee_minor=500)),
        [-300],
        (-800, 0, 500, 0),  # the operator lost, and bears it
    ),
    (
        Terms("x", "chargeback", NO_FEE, NO_FEE, chargeback=ChargebackTerms(fee_minor=500)),
        [300],
        (300, -500, 500, 0),
    ),
    (
        Terms("x", "ride", NO_FEE, NO_FEE, chargeback=ChargebackTerms(fee_minor=500)),
        [-300],
        (-300, 0, 0, 0),  # a correction is no chargeback
    ),
]


@pytest.mark.parametrize(("terms", "items", "shares"), SHARED_TERMS)
def test_items_are_shared_out_by_terms(
    terms: Terms, items: list[int], shares: tuple[int, int, int, int]
) -> None:
    assert share_items(items, terms) == Shares(*shares)


@st.composite
def some_fees(draw: st.DrawFn) -> Fee:
    floor = draw(st.sampled_from([0, 0, 5, 40]))
    room = draw(st.none() | st.integers(0, 500))
    return Fee(
        bp=draw(st.integers(0, 10_000)),
        fixed_minor=draw(st.integers(0, 50)),
        floor_minor=floor,
        cap_minor=None if room is None else floor + room,
        all_above_minor=draw(st.none() | st.integers(0, 2_000)),
    )


fees = some_fees()
all_terms = st.builds(
    Terms,
    st.just("agreed"),
    st.sampled_from(["ride", "subsidy", "chargeback", "payment"]),
    fees,
    fees,
    fees,
    st.sampled_from([-1, 0, 1]),
    st.builds(
        ChargebackTerms,
        fee_minor=st.integers(0, 900),
        borne_by=st.sampled_from(["loser", "issuer", "operator"]),
    ),
)


items_of_any_size = st.integers(-500, 3_000) | st.integers(-(10**9), 10**9)


def kept_of(fee: Fee, minor: int) -> Fraction:
    """A clerk's way: the share, not under the floor, not over the cap, and the fixed part. In cents."""
    share = Fraction(abs(minor) * fee.bp, 10_000)
    if minor > 0:
        share = max(share, Fraction(fee.floor_minor))
        if fee.all_above_minor is not None:
            share = max(share, Fraction(minor - fee.all_above_minor))
    if fee.cap_minor is not None:
        share = min(share, Fraction(fee.cap_minor))
    return (share if minor > 0 else -share) + fee.fixed_minor


@given(terms=all_terms, items=st.lists(items_of_any_size, max_size=12), cut=st.integers(0, 12))
def test_items_shared_out_together_are_what_a_clerk_finds_one_by_one(
    terms: Terms, items: list[int], cut: int
) -> None:
    issuer = league = Fraction(0)
    for minor in items:
        across = terms.interchange_sign * kept_of(terms.interchange, minor)
        issuer += kept_of(terms.issuer, minor) + across
        league += kept_of(terms.league, minor)
        if terms.product == "chargeback":
            league += terms.chargeback.fee_minor
            bearer = terms.chargeback.borne_by
            issuer -= terms.chargeback.fee_minor * (bearer == "issuer" or (bearer == "loser" and minor > 0))

    shares = share_items(items, terms)

    assert shares.operator_share + shares.issuer_fee + shares.league_fee == sum(items)
    assert abs(shares.issuer_fee - issuer) < 2 and abs(shares.league_fee - league) < 1
    # In whatever order and portions they come, they come to the same.
    portions = terms.parts_of_items(items[:cut]) + terms.parts_of_items(reversed(items[cut:]))
    assert share_parts(sum(items), portions) == shares
    if terms.by_sum:
        assert portions == terms.parts_of_sum(len(items), sum(items))
    # Counted and summed by the steps of their sizes, they need not be looked at again.
    steps = terms.steps
    running: dict[int, list[int]] = {}
    for minor in items:
        running.setdefault(steps[bisect_right(steps, minor) - 1], []).append(minor)
    by_step = (terms.parts_of_step(low, len(some), sum(some)) for low, some in running.items())
    assert sum(by_step, Parts()) == portions


AGREEMENTS = [
    Agreement("*", "*", 100, 20, date(2026, 1, 1)),
    Agreement("a", "*", 90, 20, date(2026, 1, 1)),
    Agreement("*", "y", 80, 20, date(2026, 1, 1)),
    Agreement("a", "y", 70, 20, date(2026, 1, 1)),
    Agreement("a", "y", 60, 20, date(2026, 11, 17)),
    Agreement("a", "y", 50, 20, date(2026, 11, 18)),
]

# issuer | operator | day | issuer's basis points
AGREED = [
    ("b", "x", DAY, 100),
    ("a", "x", DAY, 90),
    ("b", "y", DAY, 80),
    ("a", "y", DAY, 60),
    ("a", "y", date(2026, 11, 16), 70),
    ("a", "y", date(2026, 11, 18), 50),
    ("b", "x", date(2025, 12, 31), 120),  # before anything was agreed: the default
]


@pytest.mark.parametrize(("issuer", "operator", "day", "issuer_bp"), AGREED)
def test_the_most_exact_agreement_of_the_day_holds(
    issuer: str, operator: str, day: date, issuer_bp: int
) -> None:
    assert agreement_of(AGREEMENTS, issuer, operator, day).issuer_fee_bp == issuer_bp
    assert agreement_of([], issuer, operator, day) == DEFAULT_AGREEMENT


def test_an_agreement_cannot_keep_more_than_there_is() -> None:
    with pytest.raises(AssertionError):
        Agreement("*", "*", 9_000, 1_001, DAY)
    with pytest.raises(AssertionError):
        Agreement("*", "*", -1, 30, DAY)


def owed(debtor: str, creditor: str, minor: int, currency: str = "CNY") -> Obligation:
    return Obligation(MemberId(debtor), MemberId(creditor), currency, minor)


def test_three_cities_that_owe_each_other_in_a_ring_pay_only_the_difference() -> None:
    ring = [owed("a", "b", 100), owed("b", "c", 90), owed("c", "a", 70), owed("a", "a", 5)]

    assert net(ring) == {("a", "CNY"): -30, ("b", "CNY"): 10, ("c", "CNY"): 20}
    assert matrix(ring) == {("a", "b", "CNY"): 100, ("b", "c", "CNY"): 90, ("c", "a", "CNY"): 70}


MEMBERS = st.sampled_from(["a", "b", "c", "d", "league"])
OBLIGATIONS = st.lists(
    st.builds(owed, MEMBERS, MEMBERS, st.integers(-(10**12), 10**12), st.sampled_from(["CNY", "HKD", "JPY"])),
    max_size=40,
)


@given(obligations=OBLIGATIONS)
def test_every_currency_nets_to_zero_whatever_is_owed(obligations: Sequence[Obligation]) -> None:
    nets = net(obligations)

    for currency in {one.currency for one in obligations}:
        assert sum(minor for (_, unit), minor in nets.items() if unit == currency) == 0


@given(obligations=OBLIGATIONS, order=st.randoms(use_true_random=False))
def test_the_order_of_arrival_changes_no_net(obligations: list[Obligation], order: Random) -> None:
    shuffled = list(obligations)
    order.shuffle(shuffled)

    assert net(shuffled) == net(obligations)
