"""Wallets, top-ups and rates over HTTP: who may, what is refused, and that a refusal changes nothing."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from typing import Any
from uuid import UUID

import pytest
from litestar import Litestar, Request, Response
from litestar.datastructures import State
from litestar.di import Provide
from litestar.exceptions import ValidationException
from litestar.testing import TestClient

from hansa import identity, ledger, payments, trust
from hansa.kernel import HansaError, Money, fact_id, new_id
from hansa.payments.routes import ROUTES, TOP_UP_MAX
from hansa.store import Context

Client = TestClient[Litestar]
Ask = Callable[[trust.Caller], Client]

AT = datetime(2026, 11, 17, 12, tzinfo=UTC)
DAY = date(2026, 11, 17)
PAYEE = ledger.AccountId(fact_id(None, "payee"))

ISSUER = trust.Caller(
    "beijing-card", "member", frozenset({"payments:read", "payments:write"}), trust.MemberId("beijing-card")
)
OTHER_ISSUER = trust.Caller(
    "london-card", "member", frozenset({"payments:read", "payments:write"}), trust.MemberId("london-card")
)
LEAGUE = trust.Caller("league", "league", frozenset({"payments:read", "payments:write", "rates:write"}))


def problem(_: Request[object, object, State], error: HansaError) -> Response[dict[str, str]]:
    return Response({"code": error.code}, status_code=error.status)


def unfit(_: Request[object, object, State], __: ValidationException) -> Response[dict[str, str]]:
    return Response({"code": "does not fit"}, status_code=422)


@pytest.fixture
def ask(ctx: Context) -> Iterator[Ask]:
    """A client for whoever calls."""
    with ExitStack() as open_clients:

        def client_of(caller: trust.Caller) -> Client:
            app = Litestar(
                ROUTES,
                dependencies={
                    "ctx": Provide(lambda: ctx, sync_to_thread=False),
                    "caller": Provide(lambda: caller, sync_to_thread=False),
                    "asked_id": Provide(new_id, sync_to_thread=False),
                },
                exception_handlers={HansaError: problem, ValidationException: unfit},
            )
            return open_clients.enter_context(TestClient(app))

        yield client_of


@pytest.fixture
def rider(ctx: Context) -> identity.Account:
    """A rider of Beijing's issuer with an empty wallet in yuan."""
    account = identity.Account(
        identity.AccountId(fact_id(None, "rider", 1)),
        "Wang Fang",
        "beijing-card",
        "beijing",
        "adult",
        "zh",
        AT,
    )
    with ctx.tx() as tx:
        identity.open_accounts(tx, [account])
    payments.open_wallets(ctx, [(account, "CNY")])
    return account


def person(account_id: UUID) -> trust.Caller:
    return trust.Caller(f"person:{account_id}", "person", frozenset({"wallet"}), account_id=str(account_id))


def body(rider: identity.Account, **other: Any) -> dict[str, Any]:
    return {
        "top_up_id": str(fact_id(AT, "top-up", 1)),
        "account_id": str(rider.account_id),
        "amount": {"minor": 5_000, "currency": "CNY"},
        "at": "2026-11-17T11:00:00Z",
        **other,
    }


def books(ctx: Context, rider: identity.Account) -> tuple[object, ...]:
    """All that a top-up could change."""
    with ctx.tx() as tx:
        rows = tx.execute("select * from payments.top_ups order by top_up_id").fetchall()
        return (
            rows,
            payments.balance_of(tx, rider.account_id),
            tx.execute("select count(*) from ledger.blocks").fetchone(),
        )


def test_a_top_up_sent_twice_is_paid_once_and_answered_alike(
    ctx: Context, ask: Ask, rider: identity.Account
) -> None:
    client = ask(ISSUER)

    first = client.post("/v1/top-ups", json=body(rider))
    second = client.post("/v1/top-ups", json=body(rider))

    assert (first.status_code, second.status_code) == (200, 200)
    assert first.json() == second.json() == {**body(rider), "issuer_id": "beijing-card"}
    assert client.get(f"/v1/wallets/{rider.account_id}").json() == {
        "account_id": str(rider.account_id),
        "balances": [{"minor": 5_000, "currency": "CNY"}],
        "debts": [],
    }


# what is wrong | status | code
WRONG: list[tuple[dict[str, Any], int, str]] = [
    ({"amount": {"minor": 5_000, "currency": "GBP"}}, 422, "payments.wrong_currency"),
    ({"amount": {"minor": 5_000, "currency": "XYZ"}}, 422, "payments.wrong_currency"),
    ({"amount": {"minor": 5_000, "currency": "yuan"}}, 422, "does not fit"),
    ({"account_id": str(fact_id(None, "nobody"))}, 404, "identity.unknown_account"),
    (
        {"top_up_id": str(fact_id(AT, "top-up", 2)), "amount": {"minor": 95_001, "currency": "CNY"}},
        409,
        "approval.balance_cap_reached",
    ),
    ({"amount": {"minor": 0, "currency": "CNY"}}, 422, "does not fit"),
    ({"amount": {"minor": -1, "currency": "CNY"}}, 422, "does not fit"),
    ({"amount": {"minor": TOP_UP_MAX + 1, "currency": "CNY"}}, 422, "does not fit"),
    ({"amount": {"minor": 0.5, "currency": "CNY"}}, 422, "does not fit"),
    ({"amount": {"minor": 6_000, "currency": "CNY"}}, 409, "payments.top_up_differs"),
    ({"at": "2026-11-17T10:00:00Z"}, 409, "payments.top_up_differs"),
    ({"at": "2026-11-17T12:06:00Z"}, 422, "hansa.invalid_input"),
    ({"at": "0001-01-01T00:00:00+08:00"}, 422, "hansa.invalid_input"),
    ({"at": "2026-11-17T11:00:00"}, 422, "does not fit"),
    ({"note": "hello"}, 422, "does not fit"),
]


@pytest.mark.parametrize(("wrong", "status", "code"), WRONG)
def test_a_top_up_that_does_not_fit_is_refused_and_nothing_changes(
    ctx: Context, ask: Ask, rider: identity.Account, wrong: dict[str, Any], status: int, code: str
) -> None:
    client = ask(ISSUER)
    client.post("/v1/top-ups", json=body(rider))
    before = books(ctx, rider)

    answer = client.post("/v1/top-ups", json=body(rider, **wrong))

    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert books(ctx, rider) == before


def test_only_a_riders_own_issuer_and_the_league_put_money_in(
    ctx: Context, ask: Ask, rider: identity.Account
) -> None:
    before = books(ctx, rider)
    refused = [
        (trust.ANONYMOUS, 401, "trust.not_signed_in"),
        (person(rider.account_id), 403, "trust.not_allowed"),
        (trust.Caller("beijing-card", "member", frozenset(), ISSUER.member_id), 403, "trust.not_allowed"),
        (OTHER_ISSUER, 404, "identity.unknown_account"),
    ]

    for caller, status, code in refused:
        answer = ask(caller).post("/v1/top-ups", json=body(rider))
        assert (answer.status_code, answer.json()["code"]) == (status, code), caller

    assert books(ctx, rider) == before
    assert ask(LEAGUE).post("/v1/top-ups", json=body(rider)).status_code == 200


def test_a_wallet_is_there_for_its_rider_its_issuer_and_the_league_alone(
    ask: Ask, rider: identity.Account
) -> None:
    path = f"/v1/wallets/{rider.account_id}"
    asked = [
        (person(rider.account_id), 200),
        (ISSUER, 200),
        (LEAGUE, 200),
        (person(fact_id(None, "rider", 2)), 404),
        (OTHER_ISSUER, 404),
        (trust.ANONYMOUS, 401),
        (trust.Caller("beijing-card", "member", frozenset(), ISSUER.member_id), 403),
    ]

    for caller, status in asked:
        client = ask(caller)
        assert client.get(path).status_code == status, caller
        assert client.get(f"{path}/movements").status_code == status, caller

    assert ask(LEAGUE).get(f"/v1/wallets/{fact_id(None, 'nobody')}").status_code == 404


def test_movements_are_paged_with_the_balance_after_each(
    ctx: Context, ask: Ask, rider: identity.Account
) -> None:
    ledger.open_accounts(ctx, [ledger.Account(PAYEE, "CNY", ledger.AccountCode.POSITION, "a to b")])
    payments.top_up(
        ctx,
        [payments.TopUp(fact_id(AT, "t"), rider.account_id, "beijing-card", Money(1_000, "CNY"), AT)],
    )
    payments.charge(
        ctx,
        [
            payments.Charge(
                charge_id=fact_id(AT, "charge", number),
                account_id=rider.account_id,
                issuer_id="beijing-card",
                wallet_currency="CNY",
                amount=Money(minor, "CNY"),
                payee=PAYEE,
                at=AT + timedelta(minutes=number // 2),  # two of them at the very same instant
                rate_day=DAY,
                reference=fact_id(AT, "journey", number),
            )
            for number, minor in enumerate([300, 200, -100, 400], start=2)
        ],
    )
    client, path = ask(person(rider.account_id)), f"/v1/wallets/{rider.account_id}/movements"

    whole = client.get(path).json()
    pages: list[dict[str, Any]] = []
    after = ""
    while after is not None:
        page = client.get(path, params={"limit": 2, "after": after}).json()
        pages += page["movements"]
        after = page["next"]

    assert pages == whole["movements"] and whole["next"] is None
    assert len(pages) == 5
    amounts = [one["amount"]["minor"] for one in pages]
    balances = [one["balance"]["minor"] for one in pages]
    assert sorted(amounts) == [-400, -300, -200, 100, 1_000]
    assert balances == [sum(amounts[place:]) for place in range(5)]
    assert client.get(f"/v1/wallets/{rider.account_id}").json()["balances"][0]["minor"] == balances[0] == 200


@pytest.mark.parametrize(
    "after", ["x", "2026-11-17T12:00:00Z", "2026-11-17T12:00:00~x", "0001-01-01T00:00:00Z~x"]
)
def test_a_cursor_that_is_none_is_refused(ask: Ask, rider: identity.Account, after: str) -> None:
    answer = ask(ISSUER).get(f"/v1/wallets/{rider.account_id}/movements", params={"after": after})

    assert (answer.status_code, answer.json()["code"]) == (422, "hansa.invalid_input")


def test_rates_are_set_once_and_read_by_anyone(ask: Ask) -> None:
    rate = {"base": "GBP", "quote": "CNY", "numerator": 941, "denominator": 100}
    new = {"day": "2026-11-17", "rates": [rate]}

    first = ask(LEAGUE).post("/v1/rates", json=new)
    again = ask(LEAGUE).post("/v1/rates", json=new)

    assert first.status_code == 200 and first.json() == again.json() == new
    assert ask(trust.ANONYMOUS).get("/v1/rates/2026-11-17").json() == new
    assert ask(trust.ANONYMOUS).get("/v1/rates/2026-11-18").json()["rates"] == []


# rate | day | status | code
BAD_RATES: list[tuple[dict[str, Any], str, int, str]] = [
    ({"numerator": 942}, "2026-11-17", 409, "payments.rate_differs"),
    ({"quote": "GBP"}, "2026-11-17", 422, "hansa.invalid_input"),
    ({"quote": "XYZ"}, "2026-11-17", 422, "hansa.invalid_input"),
    ({"denominator": 0}, "2026-11-17", 422, "does not fit"),
    ({"numerator": 2**60}, "2026-11-17", 422, "does not fit"),
    ({}, "1926-11-17", 422, "hansa.invalid_input"),
]


@pytest.mark.parametrize(("wrong", "day", "status", "code"), BAD_RATES)
def test_a_rate_that_does_not_fit_is_refused_with_all_sent_beside_it(
    ctx: Context, ask: Ask, wrong: dict[str, Any], day: str, status: int, code: str
) -> None:
    with ctx.tx() as tx:
        payments.set_rates(tx, DAY, [("GBP", "CNY", Fraction(941, 100))])
    rate = {"base": "GBP", "quote": "CNY", "numerator": 941, "denominator": 100}
    other = {"base": "CAD", "quote": "CNY", "numerator": 512, "denominator": 100}

    answer = ask(LEAGUE).post("/v1/rates", json={"day": day, "rates": [other, {**rate, **wrong}]})

    assert (answer.status_code, answer.json()["code"]) == (status, code)
    with ctx.tx() as tx:
        assert payments.list_rates(tx, DAY) == [("GBP", "CNY", Fraction(941, 100))]


def test_setting_rates_needs_the_scope(ctx: Context, ask: Ask) -> None:
    new = {
        "day": "2026-11-17",
        "rates": [{"base": "GBP", "quote": "CNY", "numerator": 941, "denominator": 100}],
    }

    assert ask(trust.ANONYMOUS).post("/v1/rates", json=new).status_code == 401
    assert ask(ISSUER).post("/v1/rates", json=new).status_code == 403

    with ctx.tx() as tx:
        assert payments.list_rates(tx, DAY) == []
