"""The arithmetic of a day: fees shared out, members netted. Tables an accountant could check."""

from collections.abc import Sequence
from datetime import date
from fractions import Fraction
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa.clearing.netting import (
    DEFAULT_AGREEMENT,
    Agreement,
    Obligation,
    Shares,
    agreement_of,
    matrix,
    net,
    share_out,
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
