"""A net of one currency settled in another: at the quoted rate, once, both legs linked, each currency still zero."""

from datetime import timedelta
from fractions import Fraction
from pathlib import Path
from uuid import UUID

import pytest

from clearing.example_day import DAY, OVER, ride_all, set_clock
from clearing.test_days import NETS, close
from hansa import clearing, ledger, settlement
from hansa.clearing import swaps
from hansa.kernel import HansaError, InvalidInput
from hansa.settlement import store
from hansa.store import Context

QUOTE = UUID(int=7)
WINDOW = "daily-20261117"
RATE = Fraction(1087, 1000)


def offered(ctx: Context, quote_id: UUID = QUOTE, **changes: object) -> clearing.Quote:
    terms = {
        "provider_id": "beijing",
        "member_id": "hangzhou",
        "net_currency": "CNY",
        "paid_currency": "HKD",
        "rate": RATE,
        "expires_at": OVER + timedelta(minutes=30),
        "by": "beijing:anna",
    }
    return clearing.quote_swap(ctx, quote_id, **(terms | changes))  # type: ignore[arg-type]


def nets(ctx: Context) -> list[tuple[str, str, int]]:
    with ctx.tx() as tx:
        return [(one.member_id, one.currency, one.net) for one in clearing.settlement_nets(tx, WINDOW)]


# minor of the one | of | rate in major units | into | minor of the other
AMOUNTS = [
    (-396, "CNY", RATE, "HKD", -430),  # 4.30452
    (396, "CNY", RATE, "HKD", 430),
    (100, "JPY", Fraction(1, 20), "CNY", 500),  # no decimals into two
    (1_000, "CNY", Fraction(1, 23), "KWD", 435),  # 0.43478 into three
    (5, "KWD", Fraction(500), "JPY", 2),  # 2.5: half to the even one
    (7, "KWD", Fraction(500), "JPY", 4),  # 3.5
]


@pytest.mark.parametrize(("minor", "of", "rate", "into", "other"), AMOUNTS)
def test_an_amount_is_rounded_once_halves_to_the_even(
    minor: int, of: str, rate: Fraction, into: str, other: int
) -> None:
    assert swaps.converted(minor, rate, of, into) == other


def test_a_net_is_settled_in_another_currency_at_the_quoted_rate(ctx: Context, tmp_path: Path) -> None:
    ride_all(ctx)
    close(ctx)
    assert offered(ctx) == offered(ctx)

    swap = clearing.accept_quote(ctx, WINDOW, QUOTE, by="hangzhou:li")
    again = clearing.accept_quote(ctx, WINDOW, QUOTE, by="hangzhou:li")

    assert swap == again and (swap.net_minor, swap.paid_minor) == (-396, -430)
    assert nets(ctx) == [
        ("beijing", "CNY", 982 - 396),
        ("hangzhou", "CNY", 0),
        ("hong-kong", "CNY", -593),
        ("league", "CNY", 7),
        ("beijing", "HKD", -1_136 + 430),
        ("hangzhou", "HKD", -1_976 - 430),
        ("hong-kong", "HKD", 3_103),
        ("league", "HKD", 9),
    ]
    with ctx.tx() as tx:
        legs = {
            (who, unit): ledger.balance(tx, swaps.exchange_account(who, unit)).credit_minor
            for who in ("beijing", "hangzhou")
            for unit in ("CNY", "HKD")
        }
        sums: dict[tuple[str, str], int] = {}
        for (debtor, creditor, unit), minor in clearing.settlement_matrix(tx, WINDOW).items():
            sums[debtor, unit] = sums.get((debtor, unit), 0) - minor
            sums[creditor, unit] = sums.get((creditor, unit), 0) + minor
        assert ledger.trial_balance(tx).is_even and not ledger.verify(tx)
        assert [(one.member_id, one.currency, one.net) for one in clearing.net_positions(tx, DAY)] == NETS
    assert legs == {
        ("hangzhou", "CNY"): 396,
        ("beijing", "CNY"): -396,
        ("hangzhou", "HKD"): -430,
        ("beijing", "HKD"): 430,
    }
    assert {key: minor for key, minor in sums.items() if minor} == {
        (member, unit): net for member, unit, net in nets(ctx) if net
    }
    settlement.write_files(ctx, DAY, tmp_path)
    with ctx.tx() as tx:
        told = {
            (one.member_id, one.currency): (str(one.direction), one.amount_minor)
            for one in store.instructions_of_window(tx, WINDOW)
        }
    assert ("hangzhou", "CNY") not in told and told["hangzhou", "HKD"] == ("in", 2_406)
    assert told["beijing", "CNY"] == ("out", 586)


def test_a_kill_between_accepting_and_booking_leaves_one_swap(ctx: Context) -> None:
    ride_all(ctx)
    close(ctx)
    offered(ctx)
    clearing.accept_quote(ctx, WINDOW, QUOTE, by="hangzhou:li")
    with ctx.tx() as tx:
        tx.execute("alter table clearing.swap_postings disable trigger all")
        tx.execute("delete from clearing.swap_postings")  # the outcome was not written
        before = ledger.trial_balance(tx)

    assert (clearing.finish_swaps(ctx), clearing.finish_swaps(ctx)) == (1, 0)

    with ctx.tx() as tx:
        assert ledger.trial_balance(tx) == before


def test_what_cannot_be_swapped_is_refused_and_changes_nothing(ctx: Context, tmp_path: Path) -> None:
    ride_all(ctx)
    close(ctx)
    wrong: list[tuple[dict[str, object], type[HansaError]]] = [
        ({"paid_currency": "CNY"}, InvalidInput),
        ({"paid_currency": "XXX"}, InvalidInput),
        ({"provider_id": "hangzhou"}, InvalidInput),
        ({"provider_id": "nobody"}, HansaError),
        ({"rate": Fraction(0)}, InvalidInput),
        ({"expires_at": OVER}, InvalidInput),
    ]
    for changes, error in wrong:
        with pytest.raises(error):
            offered(ctx, UUID(int=8), **changes)
    offered(ctx)
    with pytest.raises(clearing.QuoteDiffers):
        offered(ctx, rate=RATE * 2)
    with pytest.raises(clearing.UnknownQuote):
        clearing.accept_quote(ctx, WINDOW, UUID(int=8), by="hangzhou:li")
    with pytest.raises(clearing.UnknownWindow):
        clearing.accept_quote(ctx, "daily-20261116", QUOTE, by="hangzhou:li")
    set_clock(ctx, OVER + timedelta(minutes=30))
    with pytest.raises(clearing.QuoteOver):
        clearing.accept_quote(ctx, WINDOW, QUOTE, by="hangzhou:li")
    set_clock(ctx, OVER)
    offered(ctx, UUID(int=9), paid_currency="JPY")
    with pytest.raises(clearing.NotSwappable):
        clearing.accept_quote(ctx, WINDOW, UUID(int=9), by="hangzhou:li")
    settlement.write_files(ctx, DAY, tmp_path)
    with pytest.raises(clearing.NotSwappable):
        clearing.accept_quote(ctx, WINDOW, QUOTE, by="hangzhou:li")

    assert nets(ctx) == NETS
