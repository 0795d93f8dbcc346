"""The header Idempotency-Key on a route: missing, in flight, another body, replay, and what frees a key."""

from typing import Any
from uuid import UUID

import msgspec
import pytest
from litestar import Litestar, Request, post
from litestar.di import NamedDependency, Provide
from litestar.params import JSONBody
from litestar.testing import TestClient

from hansa import store, trust
from hansa.apps.web import idempotent
from hansa.apps.web.idempotent import asked_id, with_key
from hansa.apps.web.problems import EXCEPTION_HANDLERS
from hansa.kernel import HansaError
from hansa.store import Context

SITE = "hansa_site"
CALLERS = {
    name: trust.Caller(name, "member", frozenset({"things:write"}), trust.MemberId(name))
    for name in ("a", "b")
} | {
    "a without": trust.Caller("a", "member", frozenset({"things:read"}), trust.MemberId("a")),
    "person": trust.Caller("person:p", "person", frozenset({"wallet"}), account_id="p"),
}


class Refused(HansaError):
    """No."""

    code = "test.refused"
    status = 409


class NotPaid(HansaError):
    """No money."""

    code = "test.not_paid"
    status = 402


class Body(msgspec.Struct):
    """What is asked."""

    n: int


class _Site:
    def __init__(self, ctx: Context) -> None:
        self.ctx = ctx


@pytest.fixture
def asked(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Asks a route behind keys; gives (status, body, replayed). ``asked.runs``: each time its work was done."""
    runs: list[UUID] = []
    refuses: list[Exception] = []

    @post(
        "/things",
        sync_to_thread=True,
        opt={"idempotent": True, "needs": "things:write", "who": ("key", "session")},
    )
    def make(data: JSONBody[Body], asked_id: NamedDependency[UUID]) -> dict[str, Any]:
        runs.append(asked_id)
        if refuses:
            raise refuses.pop()
        return {"n": data.n, "run": len(runs)}

    def who(request: Request[Any, Any, Any], _: object) -> trust.Caller:
        return CALLERS.get(request.headers.get("authorization", ""), trust.ANONYMOUS)

    monkeypatch.setattr(idempotent, "find_caller", who)
    app = Litestar(
        [with_key(make, SITE)],
        dependencies={"asked_id": Provide(asked_id, sync_to_thread=False)},
        exception_handlers=EXCEPTION_HANDLERS,
        openapi_config=None,
    )

    async def on_site(scope: Any, receive: Any, send: Any) -> None:
        scope.setdefault("state", {})[SITE] = _Site(ctx)
        await app(scope, receive, send)

    with TestClient(on_site) as client:  # pyright: ignore[reportArgumentType]

        def ask(n: int, key: str | None, who: str = "a") -> tuple[int, Any, bool]:
            headers = {"authorization": who} | ({} if key is None else {"idempotency-key": key})
            answer = client.post("/things", json={"n": n}, headers=headers)
            return answer.status_code, answer.json(), "idempotency-replayed" in answer.headers

        ask.runs, ask.refuses = runs, refuses  # pyright: ignore[reportFunctionMemberAccess]
        yield ask


def test_sent_again_a_request_gets_its_first_answer_and_its_work_is_done_once(asked: Any) -> None:
    first = asked(1, "k")

    assert first == (201, {"n": 1, "run": 1}, False)
    assert asked(1, "k") == (201, {"n": 1, "run": 1}, True)
    status, told, _ = asked(2, "k")
    assert (status, told["code"]) == (422, "store.key_reused")
    assert asked(2, "k", "b") == (201, {"n": 2, "run": 2}, False)
    assert len(set(asked.runs)) == 2


def test_a_key_that_lost_its_right_is_not_told_the_answer_of_before(asked: Any) -> None:
    asked(1, "k")

    status, told, replayed = asked(1, "k", "a without")

    assert (status, told["code"], replayed) == (403, "trust.not_allowed", False)
    assert asked(1, "new", "a without")[0] == 403 and len(asked.runs) == 1
    assert asked(1, "k") == (201, {"n": 1, "run": 1}, True)
    assert asked(1, "k", "person")[0] == 201  # who is signed in needs no scope here


def test_a_request_without_a_key_is_refused_before_its_work(asked: Any) -> None:
    status, told, _ = asked(1, None)

    assert (status, told["code"]) == (400, "store.key_missing")
    assert asked.runs == []


def test_a_request_under_way_is_told_so(asked: Any, ctx: Context) -> None:
    body = store.request_digest(b'{"n":1}')
    with ctx.tx() as tx:
        store.claim(tx, [store.Claim("a /things", "k", body)], ctx.clock.now())

    status, told, _ = asked(1, "k")

    assert (status, told["code"], asked.runs) == (409, "store.key_in_flight", [])


@pytest.mark.parametrize(
    ("error", "then"), [(Refused(), (201, 2)), (ZeroDivisionError(), (201, 2)), (NotPaid(), (402, 1))]
)
def test_what_changed_nothing_frees_the_key_and_a_refused_payment_is_an_answer(
    asked: Any, error: Exception, then: tuple[int, int]
) -> None:
    asked.refuses.append(error)

    first = asked(1, "k")
    again = asked(1, "k")

    assert (again[0], len(asked.runs)) == then
    assert len(set(asked.runs)) == 1, "what is made again has the same id"
    assert first[1] == again[1] or then[0] == 201
