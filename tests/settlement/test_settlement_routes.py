"""The HTTP face of settlement, asked over HTTP."""

from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest
from litestar import Litestar, Request, Response
from litestar.datastructures import State
from litestar.di import Provide
from litestar.testing import TestClient

from clearing.example_day import DAY, OVER, ride_all, set_clock
from hansa import clearing, settlement, trust
from hansa.kernel import HansaError
from hansa.settlement import Mishap, SimulatedBank
from hansa.settlement.routes import ROUTES
from hansa.store import Context

LEAGUE = trust.Caller("league", "league", frozenset({"settlement:read", "settlement:write"}))


def problem(_: Request[object, object, State], error: HansaError) -> Response[dict[str, str]]:
    return Response({"code": error.code}, status_code=error.status)


def client_of(ctx: Context, caller: trust.Caller) -> TestClient[Litestar]:
    app = Litestar(
        ROUTES,
        dependencies={
            "ctx": Provide(lambda: ctx, sync_to_thread=False),
            "caller": Provide(lambda: caller, sync_to_thread=False),
        },
        exception_handlers={HansaError: problem},
    )
    return TestClient(app)


@pytest.fixture
def client(ctx: Context, tmp_path: Path) -> Iterator[TestClient[Litestar]]:
    ride_all(ctx)
    set_clock(ctx, OVER)
    clearing.close_day(ctx, DAY)
    settlement.write_files(ctx, DAY, tmp_path)
    with client_of(ctx, LEAGUE) as client:
        yield client


def test_files_are_downloaded_and_the_statement_is_handed_in(client: TestClient[Litestar]) -> None:
    listed = client.get(f"/v1/settlement/days/{DAY}/files").json()
    file = client.get(f"/v1/settlement/files/{listed['files'][0]['message_id']}")
    bank = SimulatedBank(mishaps={"HANSA-20261117-CNY-league": Mishap.LOSE})
    statement = bank.statement_for(file.content, at=OVER)

    receipt = client.post("/v1/settlement/statements", content=statement)
    again = client.post("/v1/settlement/statements", content=statement)
    breaks = client.get("/v1/settlement/breaks").json()
    late = client.post("/v1/settlement/statements", content=bank.late_statement("HANSA-20261117-CNY"))

    assert listed["progress"] == {"CNY": "instructed", "HKD": "instructed"}
    assert sha256(file.content).hexdigest() == listed["files"][0]["sha256"]
    assert file.headers["content-type"].startswith("application/xml")
    assert receipt.status_code == 200 and again.json() == receipt.json()
    assert (receipt.json()["matched"], receipt.json()["breaks"]) == (3, breaks["breaks"])
    assert breaks["breaks"][0]["kind"] == "missing" and breaks["next"] is None
    assert late.json()["settled"] == [{"day": str(DAY), "currency": "CNY"}]
    assert client.get("/v1/settlement/breaks").json() == {"breaks": [], "next": None}


def test_breaks_come_page_by_page(client: TestClient[Litestar]) -> None:
    document = client.get("/v1/settlement/files/HANSA-20261117-CNY").content
    ids = [f"HANSA-20261117-CNY-{member}" for member in ("beijing", "hangzhou", "hong-kong", "league")]
    bank = SimulatedBank(mishaps=dict.fromkeys(ids, Mishap.MISSTATE))
    client.post("/v1/settlement/statements", content=bank.statement_for(document, at=OVER))

    whole = client.get("/v1/settlement/breaks").json()["breaks"]
    first = client.get("/v1/settlement/breaks", params={"limit": 3}).json()
    rest = client.get("/v1/settlement/breaks", params={"limit": 3, "after": first["next"]}).json()

    assert first["breaks"] + rest["breaks"] == whole and len(whole) == 4 and rest["next"] is None


# method | path | body | status | code
REFUSED = [
    ("GET", "/v1/settlement/days/2026-11-16/files", b"", 404, "clearing.unknown_day"),
    ("GET", "/v1/settlement/files/HANSA-20261116-CNY", b"", 404, "settlement.unknown_file"),
    ("GET", "/v1/settlement/files/%00", b"", 422, "hansa.invalid_input"),
    ("GET", "/v1/settlement/breaks?after=nowhere", b"", 422, "hansa.invalid_input"),
    ("POST", "/v1/settlement/statements", b"", 422, "settlement.bad_statement"),
    ("POST", "/v1/settlement/statements", b"<a/>", 422, "settlement.bad_statement"),
    ("POST", "/v1/settlement/statements", b"{}", 422, "settlement.bad_statement"),
]


@pytest.mark.parametrize(("method", "path", "body", "status", "code"), REFUSED)
def test_a_refusal_has_a_stable_code(
    client: TestClient[Litestar], method: str, path: str, body: bytes, status: int, code: str
) -> None:
    answer = client.request(method, path, content=body)

    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert client.get(f"/v1/settlement/days/{DAY}/files").json()["progress"]["CNY"] == "instructed"


def test_every_route_needs_its_scope(ctx: Context) -> None:
    paths = [
        ("GET", f"/v1/settlement/days/{DAY}/files"),
        ("GET", "/v1/settlement/files/HANSA-20261117-CNY"),
        ("GET", "/v1/settlement/breaks"),
        ("POST", "/v1/settlement/statements"),
    ]

    for caller, code in ((trust.ANONYMOUS, 401), (trust.Caller("a", "member"), 403)):
        with client_of(ctx, caller) as client:
            assert [client.request(method, path).status_code for method, path in paths] == [code] * 4
