"""The HTTP face of the desk, asked over HTTP."""

from collections.abc import Iterator

import pytest
from litestar import Litestar
from litestar.testing import TestClient

from bank.weeks import BankSpec, bank_key
from clearing.example_day import DAY, OVER, ride_all, set_clock
from hansa import clearing, trust
from hansa.settlement.life import Answer
from hansa.settlement.signing import sign_file
from hansa.settlement.status import PaymentStatus, StatusReport, write_status
from hansa.store import Context
from settlement.test_settlement_routes import client_of

SCOPES = frozenset({"settlement:read", "settlement:write", "settlement:release"})
ANN, BOB = (
    trust.Caller("league", "league", SCOPES, key_id="0a1b2c3d4e5f6071", person=name)
    for name in ("ann", "bob")
)
PROFILE = BankSpec("league-bank", ("CNY", "HKD"), "Asia/Shanghai").profile
FILE = "HANSA-20261117-CNY"


@pytest.fixture
def client(ctx: Context) -> Iterator[TestClient[Litestar]]:
    """What Ann sees of the example day once it is closed."""
    ride_all(ctx)
    set_clock(ctx, OVER)
    clearing.close_day(ctx, DAY)
    with client_of(ctx, ANN) as client:
        yield client


def test_a_file_is_prepared_by_one_person_and_released_by_another(
    ctx: Context, client: TestClient[Litestar]
) -> None:
    banks = client.put("/v1/settlement/banks", content=PROFILE)
    files = client.post(f"/v1/settlement/days/{DAY}/prepare").json()["files"]
    told = {"count": files[0]["count"], "control_sum": files[0]["control_sum"]}

    own = client.post(f"/v1/settlement/files/{FILE}/release", json=told)
    with client_of(ctx, BOB) as other:
        wrong = other.post(f"/v1/settlement/files/{FILE}/release", json={**told, "count": told["count"] + 1})
        released = other.post(f"/v1/settlement/files/{FILE}/release", json={**told, "why": "looked at it"})

    assert banks.json()["banks"][0]["set_by"] == "league:ann"
    assert [file["message_id"] for file in files] == [FILE, "HANSA-20261117-HKD"]
    assert (own.status_code, own.json()["code"]) == (409, "settlement.same_person")
    assert (wrong.status_code, wrong.json()["code"]) == (409, "settlement.totals_differ")
    assert released.status_code == 200 and released.json()["lacking"] == 0
    assert [(fact["what"], fact["by"]) for fact in released.json()["facts"]] == [
        ("approved", "league:bob"),
        ("prepared", "league:ann"),
        ("released", "league:bob"),
    ]
    sums = {one["member_id"]: (one["pays"]["minor"], one["receives"]["minor"]) for one in files[0]["members"]}
    assert sums == {"beijing": (0, 982), "hangzhou": (396, 0), "hong-kong": (593, 0), "league": (0, 7)}
    payments = client.get("/v1/settlement/payments", params={"day": str(DAY), "currency": "CNY"}).json()
    assert {one["state"] for one in payments["payments"]} == {"released"} and payments["next"] is None
    first = client.get("/v1/settlement/payments", params={"limit": 3}).json()
    rest = client.get("/v1/settlement/payments", params={"limit": 9, "after": first["next"]}).json()
    assert len(first["payments"]) + len(rest["payments"]) == 8 and rest["next"] is None


def test_what_a_bank_says_is_handed_in_and_shown(client: TestClient[Litestar]) -> None:
    client.put("/v1/settlement/banks", content=PROFILE)
    client.post(f"/v1/settlement/days/{DAY}/prepare")
    name = f"{FILE}-beijing"
    report = StatusReport(
        "S1", OVER, FILE, "pain.001.001.09", None, (PaymentStatus(name, "", Answer.REJECTED, "RJCT", "AC04"),)
    )
    document = write_status(report)
    signature = sign_file(bank_key("league-bank"), document).decode().strip()
    place = "/v1/settlement/banks/league-bank/messages"

    taken = client.post(place, content=document, params={"signature": signature})
    unsigned = client.post(place, content=document)
    life = client.get(f"/v1/settlement/payments/{name}").json()
    anew = client.post("/v1/settlement/payments/anew", json={"end_to_end_ids": [name], "why": "at once"})

    assert taken.json() == {"message_id": "S1", "form": "pain.002.001.10", "taken": True, "why": "", "new": 1}
    assert (unsigned.status_code, unsigned.json()["code"]) == (401, "settlement.bad_signature")
    assert life["payment"]["state"] == "rejected" and not life["payment"]["anew"]
    assert [(fact["what"], fact["source"], fact["why"]) for fact in life["facts"]][-1] == (
        "rejected",
        "S1",
        "AC04",
    )
    assert (anew.status_code, anew.json()["code"]) == (409, "settlement.not_replaceable")
    assert client.get("/v1/settlement/messages/aside").json() == {"messages": []}
    assert client.get("/v1/settlement/gaps").json() == {"gaps": []}


# method | path | body | status | code
REFUSED = [
    ("PUT", "/v1/settlement/banks", b"bank_id = 1", 422, "settlement.bad_profile"),
    ("PUT", "/v1/settlement/banks", b"\xff", 422, "settlement.bad_profile"),
    (
        "PUT",
        "/v1/settlement/banks",
        PROFILE.replace("league-bank", "no-bank").encode(),
        404,
        "trust.unknown_member",
    ),
    ("POST", "/v1/settlement/days/2026-11-16/prepare", b"", 404, "clearing.unknown_day"),
    ("GET", f"/v1/settlement/files/{FILE}/release", b"", 404, "settlement.unknown_file"),
    ("GET", "/v1/settlement/files/%00/release", b"", 422, "hansa.invalid_input"),
    ("GET", "/v1/settlement/payments/HANSA-NOBODY", b"", 404, "settlement.unknown_payment"),
    ("POST", "/v1/settlement/banks/no-bank/messages", b"<a/>", 404, "settlement.unknown_bank"),
]


@pytest.mark.parametrize(("method", "path", "body", "status", "code"), REFUSED)
def test_a_refusal_has_a_stable_code(
    client: TestClient[Litestar], method: str, path: str, body: bytes, status: int, code: str
) -> None:
    answer = client.request(method, path, content=body)

    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert client.get("/v1/settlement/banks").json() == {"banks": []}
    assert client.get("/v1/settlement/payments").json() == {"payments": [], "next": None}


def test_every_route_needs_its_scope(ctx: Context) -> None:
    paths = [
        ("GET", "/v1/settlement/banks"),
        ("PUT", "/v1/settlement/banks"),
        ("POST", f"/v1/settlement/days/{DAY}/prepare"),
        ("GET", f"/v1/settlement/files/{FILE}/release"),
        ("GET", "/v1/settlement/payments"),
        ("GET", "/v1/settlement/payments/x"),
        ("POST", "/v1/settlement/banks/x/messages"),
        ("GET", "/v1/settlement/messages/aside"),
        ("GET", "/v1/settlement/gaps"),
    ]

    for caller, code in ((trust.ANONYMOUS, 401), (trust.Caller("a", "member"), 403)):
        with client_of(ctx, caller) as client:
            assert [client.request(method, path).status_code for method, path in paths] == [code] * len(paths)
