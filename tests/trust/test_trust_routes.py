"""The HTTP face of trust, asked over HTTP."""

from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from litestar import Litestar, Request, Response
from litestar.datastructures import State
from litestar.di import Provide
from litestar.testing import TestClient

from hansa import trust
from hansa.codes import read_deny_update, read_trust_list
from hansa.kernel import HansaError
from hansa.store import Context
from hansa.trust import GateRecord, Member, MemberId
from hansa.trust.routes import ROUTES

ROOT = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
LISTS = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))


def problem(_: Request[object, object, State], error: HansaError) -> Response[dict[str, str]]:
    return Response({"code": error.code}, status_code=error.status)


@pytest.fixture
def client(ctx: Context) -> Iterator[TestClient[Litestar]]:
    with ctx.tx() as tx:
        trust.add_members(
            tx,
            [
                Member(MemberId("london"), "London", "city", "london", MemberId("london"), "GB00 SECRET"),
                Member(MemberId("london-tfl"), "TfL", "operator", "london", MemberId("london"), "GB01"),
            ],
        )
        trust.add_gates(
            tx,
            [
                GateRecord(f"london/bank/{n}", MemberId("london-tfl"), "london", None, "24", "board", "bus")
                for n in range(5)
            ],
        )
    app = Litestar(
        ROUTES,
        dependencies={
            "ctx": Provide(lambda: ctx, sync_to_thread=False),
            "list_signer": Provide(lambda: trust.ListSigner(LISTS), sync_to_thread=False),
        },
        exception_handlers={HansaError: problem},
    )
    with TestClient(app) as client:
        yield client


def test_members_are_public_and_their_bank_accounts_are_not(client: TestClient[Litestar]) -> None:
    answer = client.get("/v1/members")

    assert [member["member_id"] for member in answer.json()["members"]] == ["london", "london-tfl"]
    assert "SECRET" not in answer.text


def test_gates_are_read_page_by_page(client: TestClient[Litestar]) -> None:
    seen: list[str] = []
    after: str | None = ""
    while after is not None:
        page = client.get("/v1/gates", params={"after": after, "limit": 2}).json()
        seen += [gate["gate_id"] for gate in page["gates"]]
        after = page["next"]

    assert seen == [f"london/bank/{n}" for n in range(5)]


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "limit=x", "after=" + "a" * 201, "after=%00"])
def test_a_query_that_does_not_fit_is_refused(client: TestClient[Litestar], query: str) -> None:
    assert client.get(f"/v1/gates?{query}").status_code in (400, 422)


def test_the_trust_list_comes_as_cose_once_it_is_signed(ctx: Context, client: TestClient[Litestar]) -> None:
    assert client.get("/v1/trust-list").json() == {"code": "trust.no_trust_list"}
    with ctx.tx() as tx:
        trust.publish_trust_list(tx, ROOT, at=ctx.clock.now())

    answer = client.get("/v1/trust-list")

    assert answer.headers["content-type"] == "application/cose"
    assert read_trust_list(answer.content, ROOT.public_key()).version == 0


def test_a_gate_that_has_the_trust_list_is_not_sent_it_again(
    ctx: Context, client: TestClient[Litestar]
) -> None:
    with ctx.tx() as tx:
        trust.publish_trust_list(tx, ROOT, at=ctx.clock.now())
    tag = client.get("/v1/trust-list").headers["etag"]

    again = client.get("/v1/trust-list", headers={"if-none-match": tag})
    with ctx.tx() as tx:
        trust.set_list_key(tx, LISTS.public_key().public_bytes_raw(), ctx.clock.now())
        trust.publish_trust_list(tx, ROOT, at=ctx.clock.now())
    after = client.get("/v1/trust-list", headers={"if-none-match": tag})

    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    assert after.status_code == 200
    assert read_trust_list(after.content, ROOT.public_key()).version == 1


def test_a_gate_fetches_what_was_revoked_since(ctx: Context, client: TestClient[Litestar]) -> None:
    now = ctx.clock.now()
    with ctx.tx() as tx:
        trust.revoke_token(tx, b"a" * 8, now)
        trust.revoke_token(tx, b"b" * 8, now - timedelta(hours=30))
        trust.revoke_token(tx, b"c" * 8, now)

    whole = client.get("/v1/deny-list").json()
    delta = client.get("/v1/deny-list?since=1").json()
    ahead = client.get("/v1/deny-list?since=9")

    assert whole == {"version": 3, "since": 0, "added": [(b"a" * 8).hex(), (b"c" * 8).hex()]}
    assert delta == {"version": 3, "since": 1, "added": [(b"c" * 8).hex()]}
    assert (ahead.status_code, ahead.json()) == (422, {"code": "hansa.invalid_input"})


def test_the_deny_list_comes_signed_once_its_key_is_on_the_trust_list(
    ctx: Context, client: TestClient[Litestar]
) -> None:
    refused = client.get("/v1/deny-list.cose")
    with ctx.tx() as tx:
        trust.set_list_key(tx, LISTS.public_key().public_bytes_raw(), ctx.clock.now())
        trust.revoke_token(tx, b"a" * 8, ctx.clock.now())

    answer = client.get("/v1/deny-list.cose")
    ahead = client.get("/v1/deny-list.cose?since=2")

    assert (refused.status_code, refused.json()) == (409, {"code": "trust.no_list_key"})
    assert answer.headers["content-type"] == "application/cose"
    update = read_deny_update(answer.content, LISTS.public_key())
    assert (update.version, update.since, [cti for cti, _ in update.tokens()]) == (1, 0, [b"a" * 8])
    assert (ahead.status_code, ahead.json()) == (422, {"code": "hansa.invalid_input"})


def test_the_leagues_time_is_told(ctx: Context, client: TestClient[Litestar]) -> None:
    said = datetime.fromisoformat(client.get("/v1/clock").json()["now"])

    assert said == ctx.clock.now()
