"""The HTTP face of rides, asked over HTTP."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from litestar import Litestar, Request, Response
from litestar.datastructures import State
from litestar.di import Provide
from litestar.testing import TestClient

from hansa import gate, rides, trust
from hansa.kernel import HansaError
from hansa.rides.routes import ROUTES
from hansa.store import Context
from rides.riding import TUESDAY, League, account_of, local, tariff_of

BEIJING = "beijing-subway"
NEAR = ("beijing/xizhimen", "beijing/chegongzhuang")
NOON = local(tariff_of(BEIJING), "12:00")

LEAGUE = trust.Caller("league", "league", frozenset({"taps:write", "tokens:write", "league:read"}))
OPERATOR = trust.Caller("operator", "operator", frozenset({"taps:write"}), member_id=trust.MemberId(BEIJING))
ISSUER = trust.Caller(
    "issuer", "member", frozenset({"tokens:write"}), member_id=trust.MemberId("beijing-card")
)
GATE = trust.Caller(
    f"{NEAR[0]}/entry",
    "gate",
    frozenset({"taps:write"}),
    member_id=trust.MemberId(BEIJING),
    gate_id=f"{NEAR[0]}/entry",
)
RIDER = trust.Caller("person", "person", frozenset({"wallet"}), account_id=str(account_of(1)))
STRANGER = trust.Caller("person", "person", frozenset({"wallet"}), account_id=str(account_of(2)))

ClientOf = Callable[[trust.Caller], TestClient[Litestar]]


def problem(_: Request[object, object, State], error: HansaError) -> Response[dict[str, str]]:
    return Response({"code": error.code, "detail": str(error)}, status_code=error.status)


@pytest.fixture
def client_of(ctx: Context) -> Iterator[ClientOf]:
    caller = [trust.ANONYMOUS]
    app = Litestar(
        ROUTES,
        dependencies={
            "ctx": Provide(lambda: ctx, sync_to_thread=False),
            "caller": Provide(lambda: caller[0], sync_to_thread=False),
        },
        exception_handlers={HansaError: problem},
    )
    with TestClient(app) as client:

        def speak(now: trust.Caller) -> TestClient[Litestar]:
            caller[0] = now
            return client

        yield speak


@pytest.fixture
def league(ctx: Context) -> League:
    ctx.clock.at = datetime(2026, 11, 17, 14, tzinfo=UTC)  # type: ignore[attr-defined]
    return League(ctx, BEIJING)


def body(tap: rides.Tap) -> dict[str, Any]:
    """The tap as the gate library writes it."""
    return gate.Tap(
        tap.tap_id,
        tap.gate_id,
        tap.sequence,
        tap.action,
        tap.stop_id,
        tap.tapped_at,
        tap.cti,
        tap.counter,
        tap.kid,
        tap.made_at,
        tap.list_version,
        tap.chain,
        tap.companion,
    ).json()


def a_ride(league: League) -> list[rides.Tap]:
    return league.ride(BEIJING, *NEAR, NOON, league.rider(1))


def test_an_operator_hands_in_taps_and_a_repeat_is_harmless(league: League, client_of: ClientOf) -> None:
    taps = [body(tap) for tap in a_ride(league)]
    client = client_of(OPERATOR)

    first, second = (client.post("/v1/taps", json={"taps": taps}) for _ in range(2))

    assert first.status_code == 200
    assert first.json() == {"recorded": 2, "duplicates": 0, "refused": []}
    assert second.json() == {"recorded": 0, "duplicates": 2, "refused": []}


def test_another_operators_gates_are_unknown(league: League, client_of: ClientOf) -> None:
    other = trust.Caller("o", "operator", frozenset({"taps:write"}), member_id=trust.MemberId("london-tfl"))

    answer = client_of(other).post("/v1/taps", json={"taps": [body(a_ride(league)[0])]}).json()

    assert [one["code"] for one in answer["refused"]] == ["rides.unknown_gate"]
    assert league.books("taps") == 0


def test_a_gate_hands_in_its_own_taps_only(league: League, client_of: ClientOf) -> None:
    own, other = (body(tap) for tap in a_ride(league))

    answer = client_of(GATE).post("/v1/taps", json={"taps": [other, own]}).json()

    assert answer["recorded"] == 1
    assert [(one["index"], one["code"]) for one in answer["refused"]] == [(0, "rides.unknown_gate")]
    assert league.books("taps") == 1


def test_a_gate_tells_of_its_own_refusals_only(league: League, client_of: ClientOf) -> None:
    told = [
        {"gate_id": f"{stop}/entry", "minute": "2026-11-17T04:00:00Z", "reason": "replay", "count": 2}
        for stop in NEAR
    ]
    client = client_of(GATE)

    other = client.post("/v1/refusals", json={"refusals": told})
    with league.ctx.tx() as tx:
        kept = tx.execute("select count(*) from rides.refusals").fetchone()
    own = client.post("/v1/refusals", json={"refusals": told[:1]})

    assert (other.status_code, other.json()["code"]) == (404, "trust.unknown_gate")
    assert kept == (0,)
    assert own.json() == {"taken": 1}


def test_a_gate_tells_of_its_own_refused_codes_only(league: League, client_of: ClientOf) -> None:
    told = [
        {
            "gate_id": f"{stop}/entry",
            "at": "2026-11-17T04:00:09Z",
            "reason": "replay",
            "kid": "01020304",
            "cti": "0102030405060708",
            "companion": 2,
            "counter": 77,
            "made_at": "2026-11-17T04:00:00Z",
        }
        for stop in NEAR
    ]
    client = client_of(GATE)

    other = client.post("/v1/refused-codes", json={"codes": told})
    with league.ctx.tx() as tx:
        kept = tx.execute("select count(*) from rides.refused_codes").fetchone()
    own, again = (client.post("/v1/refused-codes", json={"codes": told[:1]}) for _ in range(2))
    misfits = [
        client.post("/v1/refused-codes", json={"codes": codes}).status_code
        for codes in ([], told[:1] * 1_001, [told[0] | {"companion": 16}], [told[0] | {"cti": "00"}])
    ]

    assert (other.status_code, other.json()["code"]) == (404, "trust.unknown_gate")
    assert kept == (0,)
    assert own.json() == {"recorded": 1, "duplicates": 0}
    assert again.json() == {"recorded": 0, "duplicates": 1}
    assert misfits == [400] * 4


OUT_OF_TIME = ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"]


@pytest.mark.parametrize("instant", OUT_OF_TIME)
@pytest.mark.parametrize("field", ["tapped_at", "made_at"])
def test_a_tap_out_of_time_is_refused(league: League, client_of: ClientOf, field: str, instant: str) -> None:
    tap = body(a_ride(league)[0]) | {field: instant}

    answer = client_of(OPERATOR).post("/v1/taps", json={"taps": [tap]})

    assert (answer.status_code, answer.json()["code"]) == (422, "hansa.invalid_input")
    assert league.books("taps") == 0


@pytest.mark.parametrize("minute", [*OUT_OF_TIME, "0001-01-01T00:00:00Z", "9999-12-31T23:59:00Z"])
def test_refusals_out_of_time_are_refused(league: League, client_of: ClientOf, minute: str) -> None:
    told = {"gate_id": f"{NEAR[0]}/entry", "minute": minute, "reason": "replay", "count": 2}

    answer = client_of(OPERATOR).post("/v1/refusals", json={"refusals": [told]})

    with league.ctx.tx() as tx:
        kept = tx.execute("select count(*) from rides.refusals").fetchone()
    assert (answer.status_code, answer.json()["code"]) == (422, "hansa.invalid_input")
    assert kept == (0,)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("gate_id", ""),
        ("gate_id", "x" * 201),
        ("gate_id", "a\0b"),
        ("stop_id", "a\0b"),
        ("action", "jump"),
        ("sequence", 0),
        ("sequence", 2**60),
        ("tapped_at", "2026-11-17T04:00:00"),
        ("tapped_at", "noon"),
        ("cti", "zz"),
        ("cti", "00"),
        ("counter", 2**31),
        ("chain", "00"),
        ("companion", -1),
        ("companion", 16),
        ("extra", 1),
    ],
)
def test_a_body_that_does_not_fit_is_refused_whole(
    league: League, client_of: ClientOf, field: str, value: object
) -> None:
    tap = body(a_ride(league)[0]) | {field: value}

    answer = client_of(OPERATOR).post("/v1/taps", json={"taps": [tap]})

    assert answer.status_code == 400
    assert league.books("taps") == 0


def test_too_many_taps_are_refused_whole(league: League, client_of: ClientOf) -> None:
    answer = client_of(OPERATOR).post("/v1/taps", json={"taps": [body(a_ride(league)[0])] * 5_001})

    assert (answer.status_code, answer.json()["code"]) == (413, "rides.batch_too_large")
    assert league.books("taps") == 0


def test_a_tap_from_before_all_rides_is_refused(league: League, client_of: ClientOf) -> None:
    tap = body(league.tap(BEIJING, NEAR[0], "entry", datetime(1970, 1, 1, tzinfo=UTC), league.rider(1)))

    answer = client_of(OPERATOR).post("/v1/taps", json={"taps": [tap]}).json()

    assert [one["code"] for one in answer["refused"]] == ["rides.tap_too_old"]


@pytest.mark.parametrize(
    ("path", "caller", "status", "code"),
    [
        ("/v1/taps", trust.ANONYMOUS, 401, "trust.not_signed_in"),
        ("/v1/taps", RIDER, 403, "trust.not_allowed"),
        ("/v1/tokens", OPERATOR, 403, "trust.not_allowed"),
    ],
)
def test_only_who_may_hands_in(
    league: League, client_of: ClientOf, path: str, caller: trust.Caller, status: int, code: str
) -> None:
    answer = client_of(caller).post(path, json={"taps": [], "tokens": []})

    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_an_issuer_tells_of_its_own_tokens_only(league: League, client_of: ClientOf) -> None:
    league.open_money(7, 0)
    token = {
        "cti": "0102030405060708",
        "account_id": str(account_of(7)),
        "issuer_id": "beijing-card",
        "wallet_currency": "CNY",
        "rider_class": "student",
        "expires_at": "2026-11-18T00:00:00Z",
    }
    client = client_of(ISSUER)

    own = client.post("/v1/tokens", json={"tokens": [token]})
    again = client.post("/v1/tokens", json={"tokens": [token]})
    other = client.post("/v1/tokens", json={"tokens": [token | {"issuer_id": "london-card"}]})
    changed = client.post("/v1/tokens", json={"tokens": [token | {"rider_class": "child"}]})

    assert (own.json(), again.json()) == ({"taken": 1}, {"taken": 1})
    assert other.status_code == 403
    assert (changed.status_code, changed.json()["code"]) == (409, "rides.token_conflict")


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"account_id": str(account_of(8))}, 404, "identity.unknown_account"),
        ({"account_id": str(account_of(9))}, 404, "identity.unknown_account"),  # another issuer's
        ({"wallet_currency": "ZZZ"}, 422, "money.unknown_currency"),
        ({"expires_at": OUT_OF_TIME[0]}, 422, "hansa.invalid_input"),
    ],
)
def test_a_token_stands_for_an_account_of_its_issuer(
    league: League, client_of: ClientOf, change: dict[str, str], status: int, code: str
) -> None:
    league.open_money(7, 0)
    league.open_money(9, 0, issuer="london-card", currency="GBP")
    good = {
        "cti": "0102030405060708",
        "account_id": str(account_of(7)),
        "issuer_id": "beijing-card",
        "wallet_currency": "CNY",
        "rider_class": "adult",
        "expires_at": "2026-11-18T00:00:00Z",
    }
    bad = good | {"cti": "0102030405060709"} | change

    answer = client_of(ISSUER).post("/v1/tokens", json={"tokens": [good, bad]})

    with league.ctx.tx() as tx:
        kept = tx.execute("select count(*) from rides.tokens").fetchone()
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert kept == (0,)


def test_a_rider_sees_a_journey_down_to_its_taps_and_a_stranger_does_not(
    league: League, client_of: ClientOf
) -> None:
    taps = a_ride(league)
    league.hand_in(taps)
    rides.rate(league.ctx)
    path = f"/v1/journeys/{taps[0].tap_id}"

    seen = client_of(RIDER).get(path).json()
    strangers = [client_of(one).get(path) for one in (STRANGER, ISSUER, OPERATOR, GATE, trust.ANONYMOUS)]

    assert seen["journey"]["fare"] == {"minor": 300, "currency": "CNY"}
    assert [step["text"] for step in seen["journey"]["steps"]][1] == "Up to 6 km, adult: ¥3.00"
    assert [tap["tap_id"] for tap in seen["taps"]] == [str(tap.tap_id) for tap in taps]
    assert [charge["revision"] for charge in seen["charges"]] == [0]
    assert [one.status_code for one in strangers] == [404, 200, 200, 404, 401]


def test_journeys_come_page_by_page(league: League, client_of: ClientOf) -> None:
    cti = league.rider(1)
    for hour in range(8, 11):
        league.hand_in(league.ride(BEIJING, *NEAR, local(tariff_of(BEIJING), f"{hour}:00"), cti))
    rides.rate(league.ctx)
    client = client_of(RIDER)

    first = client.get("/v1/journeys", params={"limit": 2}).json()
    rest = client.get("/v1/journeys", params={"limit": 2, "after": first["next"]}).json()
    bad = client.get("/v1/journeys", params={"after": "yesterday"})

    assert (len(first["journeys"]), len(rest["journeys"]), rest["next"]) == (2, 1, None)
    assert bad.status_code == 422


def test_another_riders_journeys_are_for_the_league_alone(league: League, client_of: ClientOf) -> None:
    params = {"account": str(account_of(1))}

    assert client_of(STRANGER).get("/v1/journeys", params=params).status_code == 403
    assert client_of(trust.ANONYMOUS).get("/v1/journeys").status_code == 401
    assert client_of(LEAGUE).get("/v1/journeys").status_code == 403  # it names no account
    assert client_of(LEAGUE).get("/v1/journeys", params=params).json() == {"journeys": [], "next": None}


def test_anybody_reads_tariffs_and_asks_for_a_fare(league: League, client_of: ClientOf) -> None:
    client = client_of(trust.ANONYMOUS)
    asked = {
        "operator_id": BEIJING,
        "origin": NEAR[0],
        "destination": "beijing/guomao",
        "at": NOON.isoformat(),
        "rider_class": "adult",
    }

    listed = client.get("/v1/tariffs").json()["tariffs"]
    text = client.get(f"/v1/tariffs/{BEIJING}").json()
    fare = client.get("/v1/fares", params=asked).json()

    assert [(one["operator_id"], one["valid_from"]) for one in listed] == [(BEIJING, "2025-01-01")]
    assert text["toml"] == tariff_of(BEIJING).source.toml
    assert sum(step["amount"]["minor"] for step in fare["steps"]) == fare["fare"]["minor"] == 400


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"operator_id": "nobody"}, 404),
        ({"origin": "beijing/nowhere"}, 422),
        ({"at": "1999-01-01T00:00:00Z"}, 422),
        ({"at": "2020-01-01T00:00:00Z"}, 404),
    ],
)
def test_a_fare_that_cannot_be_told_says_why(
    league: League, client_of: ClientOf, change: dict[str, str], status: int
) -> None:
    asked = {"operator_id": BEIJING, "origin": NEAR[0], "destination": NEAR[1]} | change

    answer = client_of(trust.ANONYMOUS).get("/v1/fares", params=asked)

    assert answer.status_code == status
    assert answer.json()["detail"]


def test_the_flow_of_a_day_is_for_the_league(league: League, client_of: ClientOf) -> None:
    league.hand_in(a_ride(league))
    refusal = {
        "gate_id": f"{NEAR[0]}/entry",
        "minute": "2026-11-17T04:00:00Z",
        "reason": "replay",
        "count": 2,
    }
    told = client_of(OPERATOR).post("/v1/refusals", json={"refusals": [refusal]})

    flow = client_of(LEAGUE).get(f"/v1/flow/{TUESDAY}").json()

    assert told.json() == {"taken": 1}
    assert flow["cities"][0]["taps"] == 2
    assert flow["cities"][0]["refusals"] == {"replay": 2}
    assert client_of(RIDER).get(f"/v1/flow/{TUESDAY}").status_code == 403
