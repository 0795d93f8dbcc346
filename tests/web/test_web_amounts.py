"""Amounts that people type: exact, or refused by their field, however they are written."""

import pytest

from hansa.apps.web.amounts import read_minor
from hansa.kernel import InvalidInput, UnknownCurrency


@pytest.mark.parametrize(
    ("text", "currency", "minor"),
    [
        ("12.50", "CNY", 1250),
        ("12,5", "CNY", 1250),
        (" 1 250 ", "JPY", 1250),
        ("-0.001", "KWD", -1),
        (".5", "GBP", 50),
    ],
)
def test_an_amount_is_read_exactly(text: str, currency: str, minor: int) -> None:
    assert read_minor(text, currency, where="amount") == minor


@pytest.mark.parametrize(
    "text", ["", ".", "1.005", "1e3", "1e999999", "1e-999999", "NaN", "inf", "1_0", "１", "9" * 25]
)
def test_what_is_no_amount_is_refused_by_its_field(text: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        read_minor(text, "CNY", where="amount")

    assert [one.where for one in refused.value.problems] == ["amount"]
    with pytest.raises(UnknownCurrency):
        read_minor(text, "ABC", where="amount")
