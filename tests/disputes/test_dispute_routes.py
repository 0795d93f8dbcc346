"""The HTTP face of disputes: scopes, sign-ins, repeats, and what a stranger may not know."""

from dataclasses import replace

import pytest
from litestar import Litestar, Request, Response
from litestar.datastructures import State
from litestar.di import Provide
from litestar.testing import TestClient

from disputes.disputing import CARD, OPERATOR, OTHER, RIDER, STRANGER, SUBWAY, item_of, new, open_books, ride
from hansa import trust
from hansa.disputes.routes import ROUTES
from hansa.kernel import HansaError
from hansa.store import Context
from rides.riding import League

BOTH = frozenset({"disputes:read", "disputes:write"})


def problem(_: Request[object, object, State], error: HansaError) -> Response[dict[str, str]]:
    return Response({"code": error.code}, status_code=error.status)


def client_of(ctx: Context, caller: trust.Caller, scopes: frozenset[str] = BOTH) -> TestClient[Litestar]:
    app = Litestar(
        ROUTES,
        dependencies={
            "ctx": Provide(lambda: ctx, sync_to_thread=False),
            "caller": Provide(lambda: replace(caller, scopes=scopes), sync_to_thread=False),
        },
        exception_handlers={HansaError: problem},
    )
    return TestClient(app)


@pytest.fixture
def league(ctx: Context) -> League:
    return open_books(ctx)


def test_a_rider_asks_the_operator_answers_and_a_stranger_sees_nothing(league: League) -> None:
    journey, ctx = str(ride(league)), league.ctx
    body = {"dispute_id": str(new(1)), "journey_id": journey, "reason": "not_me", "words": "I was at home."}
    answer = {"action_id": str(new(2)), "action": "refuse", "words": "Your phone was there."}
    path = f"/v1/disputes/{new(1)}"
    with (
        client_of(ctx, RIDER, frozenset({"wallet"})) as rider,
        client_of(ctx, SUBWAY) as clerk,
        client_of(ctx, STRANGER, frozenset({"wallet"})) as stranger,
        client_of(ctx, OTHER) as other,
    ):
        asked = rider.post("/v1/refunds", json=body)
        again = rider.post("/v1/refunds", json=body)
        assert stranger.post("/v1/refunds", json=body | {"dispute_id": str(new(9))}).status_code == 404
        assert stranger.get(path).status_code == other.get(path).status_code == 404
        assert stranger.get("/v1/disputes").json() == {"disputes": [], "next": None}
        refused = clerk.post(f"{path}/actions", json=answer)
        twice = clerk.post(f"{path}/actions", json=answer)
        late = clerk.post(f"{path}/actions", json=answer | {"action_id": str(new(3))})
        listed = rider.get("/v1/disputes").json()["disputes"]

    assert asked.status_code == 200 and again.json() == asked.json()
    assert asked.json()["case"]["can"] == {
        "grant": "respondent",
        "refuse": "respondent",
        "withdraw": "claimant",
    }
    assert asked.json()["case"]["due_at"] == "2026-11-27T20:00:00Z"
    assert refused.json() == twice.json() and refused.json()["case"]["state"] == "refused"
    assert (late.status_code, late.json()["code"]) == (409, "disputes.moved")
    assert [one["state"] for one in listed] == ["refused"]


def test_members_need_their_scopes_and_page_through_their_disputes(league: League) -> None:
    ctx, item = league.ctx, str(item_of(league.ctx, ride(league)))
    body = {
        "item_id": item,
        "other_id": OPERATOR,
        "reason": "no_evidence",
        "words": "Show it.",
        "amount": 100,
    }
    with client_of(ctx, CARD) as card, client_of(ctx, CARD, frozenset({"disputes:read"})) as reader:
        forbidden = reader.post("/v1/disputes", json=body | {"dispute_id": str(new(1))})
        for number in (1, 2):
            assert card.post("/v1/disputes", json=body | {"dispute_id": str(new(number))}).status_code == 200
        first = reader.get("/v1/disputes", params={"limit": 1, "kind": "item"}).json()
        rest = reader.get("/v1/disputes", params={"after": first["next"], "limit": 1}).json()
        odd = reader.get("/v1/disputes", params={"after": "nowhere"})
        reasons = reader.get("/v1/dispute-reasons").json()

    assert forbidden.status_code == 403 and odd.status_code == 422
    seen = {one["disputes"][0]["dispute_id"] for one in (first, rest)}
    assert seen == {str(new(1)), str(new(2))} and rest["next"] is None
    assert len(reasons["reasons"]) == 10 and reasons["version"] == 2


def test_nobody_may_ask_without_signing_in(league: League) -> None:
    body = {"dispute_id": str(new(1)), "journey_id": str(ride(league)), "reason": "not_me", "words": "No."}
    with client_of(league.ctx, trust.ANONYMOUS, frozenset()) as nobody:
        assert nobody.post("/v1/refunds", json=body).status_code == 401
        assert nobody.get("/v1/disputes").status_code == 401
