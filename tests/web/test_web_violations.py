"""What does not fit is told by its name, in words of whoever writes JSON, with what would fit."""

from collections.abc import Mapping
from typing import Any
from uuid import uuid4

import pytest
from litestar.testing import TestClient

from hansa import trust
from hansa.apps.web import error_book, remedies
from hansa.payments.payment_routes import NewPaymentRequest
from hansa.store import Context
from web.little_league import LittleLeague

Client = TestClient[Any]

PAYMENT: dict[str, object] = {"payee_id": "cafe", "amount": {"minor": 350, "currency": "CNY"}}
MINOR = "Send a whole number from 1 to 1,000,000,000,000"
FIELDS = ", ".join(NewPaymentRequest.__struct_fields__)
TAP = "Send a UUID, as 3f1c9a52-6c1e-4f57-9d5e-0b8f5a7c2d11"


def amount(minor: object = 350, currency: object = "CNY") -> dict[str, object]:
    return PAYMENT | {"amount": {"minor": minor, "currency": currency}}


# sent to | body | param, detail, remedy, code
BODIES: tuple[tuple[str, object, tuple[str, str, str, str]], ...] = (
    (
        "payments",
        {"payee_id": "cafe"},
        ("amount", "it is missing", "Send an object with minor, currency", "missing"),
    ),
    (
        "payments",
        PAYMENT | {"amuont": 1},
        ("amuont", "there is no such field", f"Call it amount; there is {FIELDS}", "unknown"),
    ),
    (
        "payments",
        PAYMENT | {"zzz": 1},
        ("zzz", "there is no such field", f"Leave it out; there is {FIELDS}", "unknown"),
    ),
    ("payments", amount(-5), ("amount.minor", "it is below 1", MINOR, "range")),
    ("payments", amount(10**13), ("amount.minor", "it is above 1000000000000", MINOR, "range")),
    (
        "payments",
        amount(3.5),
        ("amount.minor", "it is a number with a fraction, not a whole number", MINOR, "type"),
    ),
    (
        "payments",
        PAYMENT | {"amount": 350},
        ("amount", "it is a whole number, not an object", "Send an object with minor, currency", "type"),
    ),
    (
        "payments",
        {**PAYMENT, "amount": {"minor": 1}},
        ("amount.currency", "it is missing", "Send a text that matches ^[A-Z]{3}$", "missing"),
    ),
    (
        "payments",
        amount(1, "gbp"),
        ("amount.currency", "it does not match ^[A-Z]{3}$", "Send a text that matches ^[A-Z]{3}$", "pattern"),
    ),
    (
        "payments",
        PAYMENT | {"payee_id": ""},
        ("payee_id", "it is shorter than 1 character", "Send a text of 1 to 64 characters", "length"),
    ),
    (
        "payments",
        PAYMENT | {"method": "cash"},
        ("method", "'cash' is no choice here", "Send one of code, connector, mandate, wallet", "value"),
    ),
    ("payments", PAYMENT | {"payer": "ada"}, ("payer", "it is no UUID", TAP, "value")),
    (
        "payments",
        PAYMENT | {"expires_at": "2027-01-01T00:00:00"},
        (
            "expires_at",
            "it has no offset from UTC",
            "Send an instant with its offset, as 2026-11-28T12:00:00Z",
            "value",
        ),
    ),
    ("payments", [], ("body", "it is a list, not an object", "Send an object with payee_id, amount", "type")),
    ("payments", None, ("body", "it is missing", "Send an object with payee_id, amount", "missing")),
    ("taps", {"taps": [{"tap_id": 5}]}, ("taps[0].tap_id", "it is a whole number, not a UUID", TAP, "type")),
    (
        "taps",
        {"taps": "all"},
        ("taps", "it is a text, not a list", "Send a list of at most 20,000 items", "type"),
    ),
    (
        "ledger/transfers",
        {"transfers": [{}] * 8_193},
        ("transfers", "it has more than 8,192 items", "Send a list of 1 to 8,192 items", "length"),
    ),
)


@pytest.mark.parametrize(("where", "body", "told"), BODIES, ids=[told[1] for _, _, told in BODIES])
def test_a_body_that_does_not_fit_is_told_what_would(
    client: Client, league: LittleLeague, where: str, body: object, told: tuple[str, str, str, str]
) -> None:
    more: Mapping[str, Any] = {} if body is None else {"json": body}

    refused = client.post(f"/v1/{where}", headers={"idempotency-key": str(uuid4())}, **more)

    (violation,) = refused.json()["violations"]
    found = tuple(violation[name] for name in ("param", "detail", "remedy", "code"))
    assert (refused.status_code, refused.json()["code"]) == (422, "web.does_not_fit")
    assert found == told and refused.json()["param"] == told[0]


# address | param, detail, remedy
QUERIES = (
    ("/v1/payments?limit=5000", ("limit", "it is above 1000", "Send a whole number from 1 to 1,000")),
    (
        "/v1/payments?limit=ten",
        ("limit", "it is a text, not a whole number", "Send a whole number from 1 to 1,000"),
    ),
    (
        "/v1/fares?operator_id=x&origin=y",
        ("destination", "it is missing", "Send a text of 1 to 200 characters"),
    ),
)


@pytest.mark.parametrize(("address", "told"), QUERIES)
def test_a_query_that_does_not_fit_is_told_what_would(
    client: Client, league: LittleLeague, address: str, told: tuple[str, str, str]
) -> None:
    (violation,) = client.get(address).json()["violations"]

    assert (violation["param"], violation["detail"]) == told[:2]
    assert violation["remedy"].startswith(told[2])


def test_a_query_is_named_as_it_is_sent_and_not_as_our_code_has_it(
    client: Client, league: LittleLeague
) -> None:
    told = client.get("/v1/payments?state=paid").json()

    assert told["param"] == "state" and "captured" in told["violations"][0]["remedy"]


def test_errors_that_are_always_about_one_field_name_it(client: Client, league: LittleLeague) -> None:
    unknown = client.get(f"/v1/payments/{uuid4()}").json()
    keyless = client.post("/v1/payments", json=PAYMENT)
    payeeless = client.post("/v1/payments", json=PAYMENT, headers={"idempotency-key": "one"}).json()

    assert (unknown["code"], unknown["param"]) == ("payments.unknown_payment", "payment_id")
    assert (keyless.status_code, keyless.json()["param"]) == (400, "Idempotency-Key")
    assert (payeeless["code"], payeeless["param"]) == ("payments.unknown_payee_id", "payee_id")
    assert all(one["violations"][0]["remedy"] for one in (unknown, keyless.json(), payeeless))
    assert set(remedies.params()) <= {error.code for error in error_book.every_error()}


def test_a_mistyped_address_is_told_what_there_is(client: Client, league: LittleLeague) -> None:
    def told(address: str) -> str:
        refused = client.get(address)
        assert (refused.status_code, refused.json()["code"]) == (404, "web.not_found")
        return refused.json()["detail"]

    assert "There is /v1/payments." in told("/v1/paymentz")
    assert "/developers/reference?q=/v1/payments" in told("/v1/payments/pay_123")
    assert told("/v1/qqqqqqqqq").endswith("All addresses stand at /developers/reference.")
    assert told("/v2/payments") == "There is nothing at /v2/payments."


def test_a_wrong_method_is_told_the_right_ones(client: Client, league: LittleLeague) -> None:
    refused = client.put("/v1/payments", json={})

    assert refused.status_code == 405 and "it does GET, POST." in refused.json()["detail"]


@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [
        ("application/x-www-form-urlencoded", 415, "web.media_type"),
        ("application/xml", 415, "web.media_type"),
        ("application/json", 400, "web.malformed"),
    ],
)
def test_a_body_of_another_kind_is_told_which_one_is_read(
    client: Client, league: LittleLeague, kind: str, status: int, code: str
) -> None:
    headers = {"content-type": kind, "idempotency-key": "one"}

    refused = client.post("/v1/payments", content=b"payee_id=cafe", headers=headers)

    assert (refused.status_code, refused.json()["code"]) == (status, code)
    assert refused.json()["title"] == error_book.error_pages()[code].meaning
    assert kind in refused.json()["detail"] or status == 400


@pytest.mark.parametrize("scheme", ["", "Basic ", "Key "])
def test_a_key_that_is_not_sent_as_a_bearer_token_is_not_taken_for_the_person_at_the_machine(
    ctx: Context, client: Client, league: LittleLeague, scheme: str
) -> None:
    with ctx.tx() as tx:
        secret = trust.create_api_key(tx, "toronto-ttc", ["payments:read"], at=ctx.clock.now(), test=True)

    refused = client.get("/v1/payments", headers={"authorization": f"{scheme}{secret}"})
    taken = client.get("/v1/payments", headers={"authorization": f"Bearer {secret}"})

    assert (refused.status_code, refused.json()["code"]) == (401, "trust.not_signed_in")
    assert "Authorization: Bearer" in refused.json()["detail"] and taken.status_code == 200
