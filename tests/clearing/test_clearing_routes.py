"""The HTTP face of clearing, asked over HTTP."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest
from litestar import Litestar, Request, Response
from litestar.datastructures import State
from litestar.di import Provide
from litestar.handlers import HTTPRouteHandler
from litestar.testing import TestClient

from clearing.example_day import DAY, OVER, RIDES, journey_of, ride_all, set_clock
from clearing.test_schedule import TWICE
from clearing.test_windows import MORNING, NOON
from hansa import clearing, trust
from hansa.clearing import window_routes
from hansa.clearing.routes import ROUTES
from hansa.kernel import HansaError
from hansa.store import Context

SCOPES = frozenset({"clearing:close", "clearing:read", "clearing:models"})
LEAGUE = trust.Caller("league", "league", SCOPES)
READ = frozenset({"clearing:read"})


def problem(_: Request[object, object, State], error: HansaError) -> Response[dict[str, str]]:
    return Response({"code": error.code}, status_code=error.status)


def client_of(
    ctx: Context, caller: trust.Caller, routes: Sequence[HTTPRouteHandler] = (*ROUTES, *window_routes.ROUTES)
) -> TestClient[Litestar]:
    app = Litestar(
        [*routes],
        dependencies={
            "ctx": Provide(lambda: ctx, sync_to_thread=False),
            "caller": Provide(lambda: caller, sync_to_thread=False),
        },
        exception_handlers={HansaError: problem},
    )
    return TestClient(app)


@pytest.fixture
def client(ctx: Context) -> Iterator[TestClient[Litestar]]:
    ride_all(ctx)
    set_clock(ctx, OVER)
    with client_of(ctx, LEAGUE) as client:
        yield client


def test_a_day_is_closed_and_read_down_to_its_items(client: TestClient[Litestar]) -> None:
    closed = client.post(f"/v1/clearing/days/{DAY}/close")
    again = client.post(f"/v1/clearing/days/{DAY}/close")
    listed = client.get("/v1/clearing/days").json()
    positions = client.get(f"/v1/clearing/days/{DAY}/positions").json()["positions"]
    nets = client.get(f"/v1/clearing/days/{DAY}/net-positions").json()
    asked = {"issuer_id": "hangzhou-card", "operator_id": "beijing-subway", "currency": "CNY", "limit": 2}
    page = client.get(f"/v1/clearing/days/{DAY}/items", params=asked).json()
    rest = client.get(f"/v1/clearing/days/{DAY}/items", params={**asked, "after": page["next"]}).json()

    assert closed.status_code == 200 and again.json() == closed.json()
    assert (closed.json()["status"], closed.json()["items"]) == ("closed", 8)
    assert listed == {"days": [client.get(f"/v1/clearing/days/{DAY}").json()], "next": None}
    assert positions[2]["gross"] == {"minor": 900, "currency": "CNY"} and len(positions) == 6
    assert nets["net_positions"][0] == {"member_id": "beijing", "net": {"minor": 982, "currency": "CNY"}}
    assert {
        "debtor_id": "beijing",
        "creditor_id": "hangzhou",
        "owed": {"minor": 493, "currency": "CNY"},
    } in nets["matrix"]
    assert [item["amount"]["minor"] for item in page["items"] + rest["items"]] == [700, 400, -200]
    assert page["items"][0]["reference"] == str(journey_of(RIDES[0])) and rest["next"] is None


# method | path | status | code
REFUSED = [
    ("GET", "/v1/clearing/days/2026-11-16", 404, "clearing.unknown_day"),
    ("GET", "/v1/clearing/days/2026-11-16/positions", 404, "clearing.unknown_day"),
    ("GET", "/v1/clearing/days/2026-11-16/net-positions", 404, "clearing.unknown_day"),
    (
        "GET",
        "/v1/clearing/days/2026-11-16/items?issuer_id=a&operator_id=b&currency=CNY",
        404,
        "clearing.unknown_day",
    ),
    (
        "GET",
        "/v1/clearing/days/2026-11-17/items?issuer_id=a&operator_id=b&currency=CNY&after=x",
        422,
        "hansa.invalid_input",
    ),
    (
        "GET",
        "/v1/clearing/days/2026-11-17/items?issuer_id=%00&operator_id=b&currency=CNY",
        422,
        "hansa.invalid_input",
    ),
    ("GET", "/v1/clearing/windows/daily-20261116", 404, "clearing.unknown_window"),
    ("GET", "/v1/clearing/windows/daily-20261116/positions", 404, "clearing.unknown_window"),
    ("GET", "/v1/clearing/windows/daily-20261116/net-positions", 404, "clearing.unknown_window"),
    (
        "GET",
        "/v1/clearing/windows/daily-20261116/items?issuer_id=a&operator_id=b&currency=CNY",
        404,
        "clearing.unknown_window",
    ),
    ("GET", "/v1/clearing/windows/%00", 422, "hansa.invalid_input"),
    ("POST", "/v1/clearing/models/daily/close", 409, "clearing.no_window_due"),
    ("POST", "/v1/clearing/models/nobody/close", 404, "clearing.unknown_model"),
    ("POST", "/v1/clearing/days/2026-11-18/close", 409, "clearing.day_not_over"),
    ("POST", "/v1/clearing/days/2026-11-16/close", 409, "clearing.day_closed"),
]


@pytest.mark.parametrize(("method", "path", "status", "code"), REFUSED)
def test_a_refusal_has_a_stable_code(
    client: TestClient[Litestar], method: str, path: str, status: int, code: str
) -> None:
    client.post(f"/v1/clearing/days/{DAY}/close")
    before = client.get("/v1/clearing/days").json()

    answer = client.request(method, path)

    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert client.get("/v1/clearing/days").json() == before


def test_closing_needs_the_scope(ctx: Context) -> None:
    ride_all(ctx)
    set_clock(ctx, OVER)

    for caller, code in ((trust.ANONYMOUS, 401), (trust.Caller("a", "member"), 403)):
        with client_of(ctx, caller) as client:
            assert client.post(f"/v1/clearing/days/{DAY}/close").status_code == code

    with ctx.tx() as tx:
        assert clearing.list_days(tx) == []


def reading(member_id: str) -> trust.Caller:
    return trust.Caller(member_id, "member", READ, trust.MemberId(member_id))


PATHS = ["", f"/{DAY}", f"/{DAY}/positions", f"/{DAY}/net-positions"]
PATHS.append(f"/{DAY}/items?issuer_id=hangzhou-card&operator_id=beijing-subway&currency=CNY")


@pytest.mark.parametrize(
    ("caller", "status", "code"),
    [
        (trust.ANONYMOUS, 401, "trust.not_signed_in"),
        (trust.Caller("a", "member", frozenset(), trust.MemberId("beijing")), 403, "trust.not_allowed"),
    ],
)
def test_cleared_days_are_for_those_with_the_scope(
    ctx: Context, client: TestClient[Litestar], caller: trust.Caller, status: int, code: str
) -> None:
    client.post(f"/v1/clearing/days/{DAY}/close")

    with client_of(ctx, caller) as asking:
        answers = [asking.get(f"/v1/clearing/days{path}") for path in PATHS]

    assert {(answer.status_code, answer.json()["code"]) for answer in answers} == {(status, code)}


# who | positions it is a party to | whose net it sees | items of hangzhou-card at beijing-subway
@pytest.mark.parametrize(
    ("member", "parties", "nets", "items"),
    [
        ("hangzhou-card", {"hangzhou-card"}, {"hangzhou"}, 3),
        ("beijing-subway", {"beijing-subway"}, {"beijing"}, 3),
        ("hong-kong-mtr", {"hong-kong-mtr"}, {"hong-kong"}, 0),
        ("beijing", {"beijing-card", "beijing-subway"}, {"beijing"}, 3),
        ("league-bank", set[str](), set[str](), 0),
    ],
)
def test_a_member_sees_its_own_positions(
    ctx: Context,
    client: TestClient[Litestar],
    member: str,
    parties: set[str],
    nets: set[str],
    items: int,
) -> None:
    client.post(f"/v1/clearing/days/{DAY}/close")
    everything = client.get(f"/v1/clearing/days/{DAY}/positions").json()["positions"]

    with client_of(ctx, reading(member)) as asking:
        positions, net, found = (asking.get(f"/v1/clearing/days{path}").json() for path in PATHS[2:])

    assert positions["positions"] == [
        one for one in everything if parties & {one["issuer_id"], one["operator_id"]}
    ]
    assert {one["member_id"] for one in net["net_positions"]} == nets
    assert all(nets & {cell["debtor_id"], cell["creditor_id"]} for cell in net["matrix"])
    assert len(found["items"]) == items


def test_a_gates_key_sees_no_positions(ctx: Context, client: TestClient[Litestar]) -> None:
    client.post(f"/v1/clearing/days/{DAY}/close")
    gate = trust.Caller("gate", "gate", READ, trust.MemberId("beijing-subway"), gate_id="gate")

    with client_of(ctx, gate) as asking:
        answers = [asking.get(f"/v1/clearing/days{path}") for path in PATHS[2:]]

    assert {answer.json()["code"] for answer in answers} == {"trust.not_allowed"}


def test_a_model_is_proposed_approved_and_its_window_closed_over_http(ctx: Context) -> None:
    ride_all(ctx)
    set_clock(ctx, MORNING)
    proposal = {"spec": TWICE, "in_force_from": DAY.isoformat(), "why": "agreed"}
    yes = {"decision": "approved", "why": "voted"}
    anna = replace(LEAGUE, person="anna", key_id="a" * 16)
    bert = replace(LEAGUE, person="bert", key_id="b" * 16)

    with client_of(ctx, anna) as client:
        bad = client.post(
            "/v1/clearing/models", json={**proposal, "spec": TWICE.replace("Hong_Kong", "Nowhere")}
        )
        made = client.post("/v1/clearing/models", json=proposal)
        again = client.post("/v1/clearing/models", json=proposal)
        same = client.post("/v1/clearing/models/twice/versions/1/decision", json=yes)
    with client_of(ctx, bert) as client:
        done = client.post("/v1/clearing/models/twice/versions/1/decision", json=yes)
        none = client.post("/v1/clearing/models/twice/versions/2/decision", json=yes)
        set_clock(ctx, NOON)
        closed = client.post("/v1/clearing/models/twice/close")
        twice = client.post("/v1/clearing/models/twice/close")
        listed = client.get("/v1/clearing/windows", params={"model": "twice"}).json()
        nets = client.get("/v1/clearing/windows/twice-20261117-1/net-positions").json()
        models = client.get("/v1/clearing/models").json()["models"]

    assert [answer.status_code for answer in (bad, made, again, same, done, none)] == [
        422,
        200,
        200,
        409,
        200,
        404,
    ]
    assert made.json() == again.json() and made.json()["decision"] is None
    assert (closed.status_code, closed.json()["items"], twice.json()["code"]) == (
        200,
        1,
        "clearing.no_window_due",
    )
    assert listed == {"windows": [closed.json()], "next": None}
    assert nets["net_positions"][0] == {"member_id": "beijing", "net": {"minor": 591, "currency": "CNY"}}
    assert [(one["version"], one["decided_by"]) for one in models] == [(1, bert.who)]
