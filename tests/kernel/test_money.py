"""Money adds up, splits without loss, and never mixes currencies."""

from collections.abc import Callable
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa.kernel import (
    CURRENCY_EXPONENTS,
    CurrencyMismatch,
    Money,
    UnknownCurrency,
    round_half_even,
    split_minor,
)

currencies = st.sampled_from(sorted(CURRENCY_EXPONENTS))
amounts = st.integers(min_value=-(10**18), max_value=10**18)
weights = st.lists(st.integers(min_value=0, max_value=10**6), min_size=1, max_size=20).filter(any)


@pytest.mark.parametrize(
    ("minor", "weights", "shares"),
    [
        (100, [1, 1, 1], (34, 33, 33)),
        (100, [1, 2], (33, 67)),
        (1, [1, 1], (1, 0)),
        (-100, [1, 1, 1], (-34, -33, -33)),
        (0, [3, 7], (0, 0)),
        (10_000, [9850, 120, 30], (9850, 120, 30)),
        (7, [0, 1], (0, 7)),
        (5, [1], (5,)),
    ],
)
def test_a_split_by_hand(minor: int, weights: list[int], shares: tuple[int, ...]) -> None:
    assert split_minor(minor, weights) == shares


@given(amounts, weights)
def test_what_a_split_pays_out_is_what_came_in(minor: int, weights: list[int]) -> None:
    assert sum(split_minor(minor, weights)) == minor


@given(amounts, weights)
def test_no_share_is_a_whole_unit_off_its_exact_quota(minor: int, weights: list[int]) -> None:
    total = sum(weights)

    for share, weight in zip(split_minor(minor, weights), weights, strict=True):
        assert abs(share - Fraction(minor * weight, total)) < 1


@given(amounts, weights)
def test_a_refund_splits_as_the_payment_did(minor: int, weights: list[int]) -> None:
    assert split_minor(-minor, weights) == tuple(-share for share in split_minor(minor, weights))


@given(amounts, weights)
def test_who_has_no_weight_gets_nothing(minor: int, weights: list[int]) -> None:
    shares = split_minor(minor, [*weights, 0])

    assert shares[-1] == 0


@given(amounts, amounts, currencies)
def test_adding_and_taking_away_again_gives_the_same(first: int, second: int, currency: str) -> None:
    money, other = Money(first, currency), Money(second, currency)

    assert money + other - other == money
    assert money + -money == Money(0, currency)
    assert (money < other) == (first < second)


MIXED: list[Callable[[Money, Money], object]] = [
    lambda one, other: one + other,
    lambda one, other: one - other,
    lambda one, other: one < other,
    lambda one, other: one <= other,
    lambda one, other: one > other,
]


@pytest.mark.parametrize("mixed", MIXED)
def test_two_currencies_do_not_mix(mixed: Callable[[Money, Money], object]) -> None:
    with pytest.raises(CurrencyMismatch) as refused:
        mixed(Money(100, "EUR"), Money(100, "JPY"))

    assert refused.value.code == "money.currency_mismatch"


@pytest.mark.parametrize("code", ["", "eur", "EURO", "XXX", "DEM", "HRK"])
def test_only_active_currencies_are_money(code: str) -> None:
    with pytest.raises(UnknownCurrency):
        Money(1, code)


@pytest.mark.parametrize(
    ("money", "decimal", "shown"),
    [
        (Money(250, "EUR"), "2.50", "€2.50"),
        (Money(-5, "GBP"), "-0.05", "-£0.05"),
        (Money(300, "JPY"), "300", "¥300"),
        (Money(1_234_567, "HKD"), "12345.67", "HK$12,345.67"),
        (Money(1_500, "KWD"), "1.500", "1.500 KWD"),
        (Money(-123_456_789, "KRW"), "-123456789", "-123,456,789 KRW"),
        (Money(0, "CNY"), "0.00", "¥0.00"),
    ],
)
def test_money_as_bank_files_and_people_read_it(money: Money, decimal: str, shown: str) -> None:
    assert (money.decimal(), str(money)) == (decimal, shown)


@given(amounts, currencies)
def test_the_decimal_form_is_exact(minor: int, currency: str) -> None:
    assert Fraction(Money(minor, currency).decimal()) * 10 ** CURRENCY_EXPONENTS[currency] == minor


@pytest.mark.parametrize(
    ("value", "rounded"),
    [
        (Fraction(5, 2), 2),
        (Fraction(7, 2), 4),
        (Fraction(-5, 2), -2),
        (Fraction(26, 10), 3),
        (Fraction(10**20 + 1, 2), 50_000_000_000_000_000_000),
        (7, 7),
    ],
)
def test_halves_go_to_the_even_unit(value: Fraction | int, rounded: int) -> None:
    assert round_half_even(value) == rounded
