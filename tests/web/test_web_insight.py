"""Where money went: every line in one row, sums that are the ledger's, months of the person's own time zone."""

import csv
import io
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from litestar.testing import TestClient

from hansa import ledger, payments, wallets
from hansa.apps import spending
from hansa.apps.spending import CATEGORIES, category_of, month_before, read_month, starts_at
from hansa.apps.web import languages
from hansa.apps.web.insight_pages import month_short
from hansa.kernel import new_id
from hansa.store import Context
from payments.shopping import ANN, BANK, BEN, asks, held, made, open_town, set_clock
from web.little_league import LittleLeague

Client = TestClient[Any]
SHANGHAI = "Asia/Shanghai"


def month(ctx: Context, first: date, zone: str = "UTC") -> spending.Month:
    with ctx.tx() as tx:
        return read_month(tx, ANN, first, currency="CNY", zone=zone, now=ctx.clock.now())


def check_sums(found: spending.Month) -> None:
    """Each line is in one row, and the rows lead from the beginning to the end."""
    assert sum(row.minor for row in found.rows) == found.spent_minor == found.months[-1][1]
    gained = sum(row.minor for row in found.other)
    assert found.opening_minor + gained - found.spent_minor == found.closing_minor
    assert gained - found.spent_minor == sum(one.minor for one in found.lines)


def test_sums_of_all_months_are_what_the_ledger_holds_and_refunds_lower_their_category(ctx: Context) -> None:
    open_town(ctx, money=500_00)
    monthly: list[int] = []
    for place, day in enumerate(
        ("2026-11-30T15:30", "2026-11-30T16:30", "2026-12-31T12:00", "2027-01-10T12:00")
    ):
        set_clock(ctx, datetime.fromisoformat(day).replace(tzinfo=UTC))
        one = made(ctx, asks(30_00 + place, n=place))
        made(ctx, asks(2_00, n=f"kiosk {place}", payee_id="kiosk"))
        if place == 3:
            payments.refund(ctx, one.payment_id, refund_id=new_id(), by=BANK, minor=10_00)

    months = [
        month(ctx, first, SHANGHAI) for first in (date(2026, 11, 1), date(2026, 12, 1), date(2027, 1, 1))
    ]

    for one in months:
        check_sums(one)
        monthly.append(one.spent_minor)
    assert monthly == [32_00, 64_03, 22_03], "the second payment was in December, by a clock in Shanghai"
    assert [one.closing_minor for one in months[:-1]] == [one.opening_minor for one in months[1:]]
    assert months[-1].closing_minor == held(ctx)[0]
    assert {row.code: row.minor for row in months[-1].rows} == {"eating": 20_03, "shops": 2_00}
    assert months[-1].payees[0] == spending.Payee("Tea house", 20_03, 1)
    assert [minor for _, minor in months[-1].months[-3:]] == monthly
    with ctx.tx() as tx:
        assert ledger.trial_balance(tx).is_even


def test_a_month_that_runs_is_compared_with_the_same_days_of_the_one_before(ctx: Context) -> None:
    open_town(ctx, money=500_00)
    for place, day in enumerate(("2026-11-25T12:00", "2026-11-29T12:00", "2026-12-26T12:00")):
        set_clock(ctx, datetime.fromisoformat(day).replace(tzinfo=UTC))
        made(ctx, asks(10_00 + place, n=place))

    running = month(ctx, date(2026, 12, 1))
    assert (running.running, running.spent_minor, running.before_minor) == (True, 10_02, 10_00)

    set_clock(ctx, datetime(2027, 1, 1, 12, tzinfo=UTC))
    over = month(ctx, date(2026, 12, 1))
    assert (over.running, over.spent_minor, over.before_minor) == (False, 10_02, 20_01)


def test_a_month_without_lines_begins_and_ends_with_what_was_held(ctx: Context) -> None:
    open_town(ctx, money=500_00)
    set_clock(ctx, datetime(2027, 3, 5, tzinfo=UTC))

    found = month(ctx, date(2027, 3, 1))

    check_sums(found)
    assert (found.opening_minor, found.closing_minor, list(found.rows)) == (500_00, 500_00, [])
    assert month(ctx, date(2020, 3, 1)).closing_minor == 0


def test_what_was_sent_is_spending_with_a_masked_name_and_what_came_is_none(ctx: Context) -> None:
    open_town(ctx, money=500_00)
    for sender, receiver, minor in ((ANN, BEN, 7_00), (BEN, ANN, 3_00)):
        new = wallets.NewTransfer(
            transfer_id=new_id(),
            sender_id=sender,
            receiver_id=receiver,
            amount=spending_money(minor),
            note="",
            session_at=ctx.clock.now(),
        )
        wallets.transfers.send(ctx, new)

    found = month(ctx, ctx.clock.now().date().replace(day=1))

    check_sums(found)
    sent = {row.code: row.minor for row in found.rows}
    if sent:  # policy may ask for more than a sign-in
        assert sent == {"people": 7_00}
        assert {row.code: row.minor for row in found.other}["received"] == 3_00


def spending_money(minor: int) -> Any:
    from hansa.kernel import Money

    return Money(minor, "CNY")


@given(st.integers(0, 9999))
def test_every_merchant_category_code_has_one_category(code: int) -> None:
    assert category_of(f"{code:04}") in CATEGORIES


@pytest.mark.parametrize(
    ("code", "category"),
    [("5411", "groceries"), ("5812", "eating"), ("4111", "getting_around"), ("8062", "health"), ("5912", "health"),
     ("7991", "leisure"), ("9222", "public"), ("4900", "home"), ("3010", "travel"), ("", "shops"), ("0000", "shops"),
     ("8299", "education"), ("5651", "shopping")],
)  # fmt: skip
def test_codes_of_every_day(code: str, category: str) -> None:
    assert category_of(code) == category


@given(
    st.dates(date(2001, 1, 1), date(2199, 12, 31)),
    st.sampled_from([SHANGHAI, "Europe/London", "America/Toronto"]),
)
def test_months_follow_each_other_without_a_gap(day: date, zone: str) -> None:
    first = day.replace(day=1)
    before = month_before(first)

    assert month_before(before, -1) == first and (first - timedelta(days=1)).replace(day=1) == before
    assert starts_at(first, zone).astimezone(ZoneInfo(zone)).date() == first


# --- the page


@pytest.fixture
def gao(client: Client, league: LittleLeague) -> Client:
    client.post("/wallet/sign-in", data={"account_id": str(league.riders["Gao Lan"].account_id)})
    return client


def test_the_page_tells_a_month_with_a_picture_and_its_table(gao: Client) -> None:
    page = gao.get("/wallet/insight")

    assert page.status_code == 200 and "<table" in page.text
    assert "¥100.00" in page.text and "Topped up" in page.text
    assert "Asia/Shanghai" in page.text and 'style="' not in page.text
    assert "花在哪里" in gao.get("/wallet/insight?language=zh").text
    assert "Où est allé" in gao.get("/wallet/insight?language=fr").text


def test_what_is_no_month_or_no_wallet_is_refused(gao: Client) -> None:
    for query in ("month=2026-13", "month=no", "currency=EUR", "month=0001-01"):
        for path in ("/wallet/insight", "/wallet/insight.csv"):
            assert gao.get(f"{path}?{query}", headers={"accept": "application/json"}).status_code == 422, (
                query
            )


def test_the_file_has_each_line_once_as_exact_decimals(gao: Client) -> None:
    answer = gao.get("/wallet/insight.csv")

    rows = list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"))))
    assert [(row["amount"], row["currency"], row["balance"], row["kind"]) for row in rows] == [
        ("100.00", "CNY", "100.00", "top_up")
    ]


def test_nothing_of_spending_is_for_a_stranger(client: Client, league: LittleLeague) -> None:
    for path in ("/wallet/insight", "/wallet/insight.csv"):
        assert client.get(path, headers={"accept": "application/json"}).status_code == 401


def test_budgets_are_planned_by_a_plain_form_and_shown_beside_what_is_spent(gao: Client) -> None:
    address = "/wallet/insight/budgets"

    kept = gao.post(address, data={"currency": "CNY", "all": "100", "eating": "12.50", "travel": ""})
    wrong = gao.post(address, data={"currency": "CNY", "all": "x", "eating": "5"})
    gone = gao.post(address, data={"currency": "CNY", "all": "", "eating": "12.50"})

    assert kept.status_code == 200 and "¥0.00 of ¥100.00" in kept.text and "¥0.00 of ¥12.50" in kept.text
    assert wrong.status_code == 422 and 'name="all" inputmode="decimal" value="x"' in wrong.text
    assert "¥0.00 of ¥100.00" not in gone.text and "¥0.00 of ¥12.50" in gone.text
    assert "每月预算" in gao.get("/wallet/insight?language=zh").text
    assert "Budgets du mois" in gao.get("/wallet/insight?language=fr").text


def test_no_two_months_of_the_picture_have_the_same_name() -> None:
    months = [date(2026, month, 1) for month in range(1, 13)]

    for language in languages.LANGUAGES:
        say = languages.Words(language, languages.catalogue(language))
        assert len({month_short(one, say) for one in months}) == 12, language
