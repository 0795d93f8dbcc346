"""The Python client against the application: operations, pages, errors, retries, webhooks."""

from collections.abc import Callable
from datetime import UTC, datetime
from html import unescape
from typing import Any
from uuid import uuid4

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from litestar.testing import TestClient

from client.conftest import at_once
from client.making import ROOT
from hansa.apps.web.description import description_of, method_of
from hansa.kernel import new_id
from hansa.store import Context
from hansa.webhooks import signing
from web.little_league import LittleLeague

Client = TestClient[Any]
Asked = Callable[..., Any]
TAKEN = {
    "top_up_id": str(uuid4()),
    "account_id": str(uuid4()),
    "issuer_id": "a",
    "at": "2026-11-17T12:00:00Z",
}


def test_every_operation_of_the_description_is_a_method(sdk: Any, hansa_as: Asked) -> None:
    from hansa.apps.web.app import _application

    hansa = hansa_as("league")
    operations = [
        one for item in description_of(_application(None))["paths"].values() for one in item.values()
    ]

    assert len(operations) > 150
    for one in operations:
        room, method = method_of(one)
        assert callable(getattr(getattr(hansa, room), method)), one["operationId"]


def test_money_is_put_in_once_and_told_in_types(hansa_as: Asked, league: LittleLeague, ctx: Context) -> None:
    hansa = hansa_as("hangzhou-card")
    account = league.riders["Gao Lan"].account_id
    asked = {
        "top_up_id": new_id(),
        "account_id": account,
        "amount": {"minor": 2_500, "currency": "CNY"},
        "at": ctx.clock.now(),
    }

    first = hansa.payments.top_up(**asked)
    again = hansa.payments.top_up(**asked)
    wallet = hansa.payments.read_wallet(account)

    assert first == again and first.amount.minor == 2_500 and isinstance(first.at, datetime)
    assert [(one.minor, one.currency) for one in wallet.balances] == [(12_500, "CNY")]
    movements = list(hansa.payments.iter_movements(account, limit=1))
    assert len(movements) == 2 and movements[0].amount.minor == 2_500


def test_the_example_of_the_portal_runs_as_it_stands(
    sdk: Any, hansa_as: Asked, client: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    hansa = hansa_as("toronto-card")
    hansa.payments.open_payee(payee_id="quick-cafe", name="Quick Café", currency="CAD", category="5814")
    page = client.get("/developers/client", headers={"accept": "text/html"}).text
    _, _, example = page.partition('<pre data-step="use"')
    lines = unescape(example.partition("<code>")[2].partition("</code>")[0]).replace("GBP", "CAD").split("\n")
    assert lines[0] == "from hansa_client import Hansa, errors" and lines[2].startswith("hansa = Hansa(")

    exec("\n".join(lines[3:]), {"hansa": hansa, "errors": sdk.errors})

    told = capsys.readouterr().out.splitlines()
    assert told[0] == "created 350" and len(told) == 2


def test_members_and_the_hub_are_read_in_types(hansa_as: Asked, league: LittleLeague) -> None:
    hansa = hansa_as("league")

    members = {one.member_id: one.role for one in hansa.trust.members().members}
    standing = hansa.trust.get_standing("toronto")

    assert members["toronto-ttc"] == "operator" and standing.member_id == "toronto"
    assert hansa.hub.list_liquidity().liquidity == [] and list(hansa.webhooks.iter_events()) == []


def test_pages_are_asked_for_when_they_are_needed(hansa_as: Asked, league: LittleLeague) -> None:
    hansa = hansa_as("league")

    gates = [one.gate_id for one in hansa.trust.iter_gates(limit=1)]

    assert len(gates) == 3 == len(set(gates))


def test_errors_are_types_that_say_what_to_do(sdk: Any, hansa_as: Asked, league: LittleLeague) -> None:
    hansa = hansa_as("hangzhou-card")
    asked = {
        "top_up_id": new_id(),
        "account_id": league.riders["Gao Lan"].account_id,
        "amount": {"minor": 100, "currency": "CNY"},
        "at": datetime(2026, 11, 17, 11, tzinfo=UTC),
    }
    hansa.payments.top_up(**asked)

    with pytest.raises(sdk.errors.PaymentsTopUpDiffers) as differs:
        hansa.payments.top_up(**asked | {"amount": {"minor": 200, "currency": "CNY"}})
    with pytest.raises(sdk.Invalid) as invalid:
        hansa.payments.top_up(**asked | {"amount": {"minor": 0, "currency": "CNY"}})
    with pytest.raises(sdk.NotAllowed):
        hansa_as("hangzhou-card", scopes=("taps:write",)).payments.top_up(**asked)

    assert issubclass(sdk.errors.PaymentsTopUpDiffers, sdk.errors.Conflict) and sdk.errors.HansaError
    assert isinstance(differs.value, sdk.Conflict) and differs.value.next_action == "use_new_id"
    assert differs.value.request_id and differs.value.user_message
    assert invalid.value.violations[0].param == "minor" or invalid.value.violations[0].remedy


def answering(*answers: httpx.Response | Exception) -> tuple[httpx.Client, list[httpx.Request]]:
    """A server that gives these answers one after another, and what it was asked."""
    left, asked = list(answers), list[httpx.Request]()

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        one = left.pop(0)
        if isinstance(one, Exception):
            raise one
        return one

    return httpx.Client(base_url="https://hansa.example", transport=httpx.MockTransport(answer)), asked


def busy() -> httpx.Response:
    told = {"code": "store.unavailable", "detail": "away", "next_action": "retry"}
    return httpx.Response(503, json=told, headers={"retry-after": "7"})


def test_what_could_not_be_done_is_sent_again_the_same(sdk: Any) -> None:
    done = httpx.Response(200, json=TAKEN | {"amount": {"minor": 1, "currency": "EUR"}})
    http, asked = answering(busy(), httpx.ConnectError("refused"), httpx.ReadTimeout("late"), done)
    waited: list[float] = []
    hansa = sdk.Hansa(http=http, sleep=waited.append)

    hansa.payments.top_up(
        top_up_id=TAKEN["top_up_id"], account_id="a", amount={"minor": 1, "currency": "EUR"}, at="now"
    )

    assert len(asked) == 4 and len({one.content for one in asked}) == 1
    assert waited[0] >= 7 and all(wait > 0 for wait in waited)


def test_an_idempotency_key_is_made_once_and_kept_through_retries(sdk: Any) -> None:
    http, asked = answering(busy(), httpx.ReadTimeout("late"), httpx.Response(200, json={}))
    asking = sdk.core.Asking(http, sleep=at_once)

    asking.ask("POST", "/v1/anything", parts={}, query={}, body={}, takes_key=True)

    keys = {one.headers["idempotency-key"] for one in asked}
    assert len(asked) == 3 and len(keys) == 1


def test_what_may_have_been_done_and_has_no_id_is_not_sent_again(sdk: Any) -> None:
    http, asked = answering(httpx.ReadTimeout("late"))
    asking = sdk.core.Asking(http, sleep=at_once)

    with pytest.raises(sdk.Unreached):
        asking.ask("POST", "/v1/anything", parts={}, query={}, body={"why": "x"})

    assert len(asked) == 1


def test_a_refusal_that_stays_is_raised_after_the_retries(sdk: Any) -> None:
    http, asked = answering(busy(), busy(), busy(), busy())
    hansa = sdk.Hansa(http=http, sleep=at_once)

    with pytest.raises(sdk.Failed) as failed:
        hansa.trust.members()

    assert len(asked) == 4 and failed.value.status == 503 and failed.value.retry_after_s == 7


def test_an_answer_that_is_no_problem_is_an_error_all_the_same(sdk: Any) -> None:
    http, _ = answering(httpx.Response(404, text="<html>"))

    with pytest.raises(sdk.NotFound):
        sdk.Hansa(http=http).trust.members()


@pytest.mark.parametrize("public", [False, True])
def test_webhooks_are_verified(sdk: Any, public: bool) -> None:
    signed = webhook_of(b'{"type":"x"}', public=public)
    secret, headers, body, at_s = signed

    assert sdk.verify_webhook(body, headers, secret, now_s=at_s) == headers["webhook-id"]
    for changed, later in ((body + b" ", 0), (body, 301), (body, -301)):
        with pytest.raises(sdk.BadSignature):
            sdk.verify_webhook(changed, headers, secret, now_s=at_s + later)
    with pytest.raises(sdk.BadSignature):
        sdk.verify_webhook(body, {}, secret, now_s=at_s)
    with pytest.raises(sdk.BadSignature):
        sdk.verify_webhook(body, headers, "whsec_AAAA", now_s=at_s)


def webhook_of(body: bytes, *, public: bool) -> tuple[str, dict[str, str], bytes, int]:
    """A body as Hansa signs it, and what verifies it."""
    at_s = 1_794_916_800
    secret = signing.Secrets(Ed25519PrivateKey.generate()).secret(uuid4(), 1)
    headers = signing.sign([secret], str(uuid4()), datetime.fromtimestamp(at_s, UTC), body)
    return secret.public_text if public else secret.shared_text, headers, body, at_s


def test_the_readme_says_what_there_is(sdk: Any) -> None:
    words = (ROOT / "packages" / "hansa-client" / "README.md").read_text(encoding="utf-8")

    for name in ("Hansa", "HansaError", "verify_webhook"):
        assert name in words and hasattr(sdk, name)
