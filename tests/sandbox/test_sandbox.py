"""The sandbox: people who act by themselves, a bank that misbehaves by the amount, faults by header, a clock to set."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from litestar import Litestar
from litestar.testing import TestClient

from client.making import make_client_in
from hansa import ledger, trust
from hansa.apps.sandbox import CONNECTOR, PAYEE, PEOPLE, SandboxClock, SandboxConnector, account_of, seed
from hansa.apps.sandbox.command import MARK, NotASandbox, _claim
from hansa.apps.sandbox.faults import Faults
from hansa.apps.sandbox.turning import TURNS, Turning
from hansa.apps.web import create_app
from hansa.apps.web.advancing import turn as carry_on
from hansa.apps.web.interface import every_scope
from hansa.apps.web.problems import on_hansa_error
from hansa.apps.web.short_way import request_of
from hansa.kernel import InvalidInput
from hansa.store import Context, open_context
from scratch import ScratchServer

HOUR, DAY = 3_600, 86_400


@dataclass(frozen=True)
class Sandbox:
    """A sandbox that is served, and its shop's client."""

    ctx: Context
    client: TestClient[Any]
    shop: Any
    key: str

    def pay(self, minor: int, key: str, **more: Any) -> Any:
        """A payment to the test café."""
        amount = {"minor": minor, "currency": "GBP"}
        return self.shop.payments.create_payment(payee_id=PAYEE, amount=amount, idempotency_key=key, **more)

    def state(self, payment: Any) -> tuple[str, str]:
        """What it is now, and why."""
        now = self.shop.payments.read_payment(payment.payment_id).payment
        return now.state, now.reason

    def set_on(self, seconds: int) -> Any:
        return self.shop.sandbox.set_clock(advance_s=seconds)


@pytest.fixture(scope="module")
def sdk(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return make_client_in(tmp_path_factory.mktemp("sandbox-client"))


@pytest.fixture(scope="module")
def sandbox(
    scratch_server: ScratchServer, tmp_path_factory: pytest.TempPathFactory, sdk: Any
) -> Iterator[Sandbox]:
    """One for all of these tests, since a city is read into it."""
    tmp_path = tmp_path_factory.mktemp("sandbox")
    clock = SandboxClock(tmp_path / "clock.json")
    name = scratch_server.make_migrated()
    ctx = open_context(scratch_server.url_of(name), clock=clock)
    keys = trust.KeyFolder(tmp_path / "keys")
    with ledger.Engine(ctx):
        made = seed(ctx, keys, league_scopes=every_scope())
        TURNS[clock] = Turning(ctx, SandboxConnector(tmp_path / "connector.json", clock.now), carry_on)
        app: Any = Faults(
            create_app(ctx, home=tmp_path, demo=True),
            lambda scope, error: on_hansa_error(request_of(scope), error),
        )
        with TestClient[Litestar](
            app, base_url="http://127.0.0.1:8018", raise_server_exceptions=False
        ) as client:
            yield Sandbox(ctx, client, sdk.Hansa(http=client, key=made.shop), made.shop)
    ctx.close()
    scratch_server.drop(name)


def test_people_approve_refuse_wait_and_lack_money_by_themselves(sandbox: Sandbox) -> None:
    asked = {one.name: sandbox.pay(350, one.name, payer=str(one.account_id)) for one in PEOPLE}

    sandbox.set_on(0)
    at_once = {name: sandbox.state(one) for name, one in asked.items()}
    sandbox.set_on(2 * HOUR)

    assert at_once == {
        "Ada": ("captured", ""),
        "Bo": ("failed", "payments.payer_refused"),
        "Cleo": ("requires_approval", "session"),
        "Dora": ("failed", "payments.insufficient_funds"),
    }
    assert sandbox.state(asked["Cleo"])[0] == "expired"


def test_what_was_paid_is_refunded_once_and_never_more(sandbox: Sandbox, sdk: Any) -> None:
    paid = sandbox.pay(350, "to be refunded", payer=str(account_of("Ada")))
    sandbox.set_on(0)

    first = sandbox.shop.payments.refund_payment(paid.payment_id, minor=100, idempotency_key="refund-1")
    again = sandbox.shop.payments.refund_payment(paid.payment_id, minor=100, idempotency_key="refund-1")
    with pytest.raises(sdk.errors.PaymentsMoreThanCaptured) as too_much:
        sandbox.shop.payments.refund_payment(paid.payment_id, minor=251)
    sandbox.set_on(0)

    whole = sandbox.shop.payments.read_payment(paid.payment_id)
    assert first.refund_id == again.refund_id and too_much.value.status == 409
    assert (whole.payment.captured_minor, whole.payment.refunded_minor) == (350, 100)
    assert [one.state for one in whole.refunds] == ["settled"]


def test_the_bank_misbehaves_by_the_amount(sandbox: Sandbox) -> None:
    asked = {
        minor: sandbox.pay(minor, str(minor), method="connector", connector=CONNECTOR)
        for minor in (300, 351, 352, 353, 354, 355)
    }

    def states(seconds: int) -> dict[int, str]:
        sandbox.set_on(seconds)
        return {minor: sandbox.state(one)[0] for minor, one in asked.items()}

    at_once, later, next_day = states(0), states(2 * HOUR), states(DAY)

    assert (at_once[300], at_once[351], at_once[352]) == ("captured", "failed", "unknown")
    assert at_once[355] == "unknown" and at_once[353] not in ("captured", "failed")
    assert (later[352], later[353], later[354]) == ("captured", "captured", "failed")
    assert next_day[355] not in ("captured", "processing")


def test_a_lost_answer_is_found_again_with_the_same_key(sandbox: Sandbox) -> None:
    headers = {"hansa-fault": "lost", "idempotency-key": "order-1", "authorization": f"Bearer {sandbox.key}"}
    body = {"payee_id": PAYEE, "amount": {"minor": 350, "currency": "GBP"}, "reference": "table 9"}

    lost = sandbox.client.post("/v1/payments", json=body, headers=headers)
    found = sandbox.pay(350, "order-1", reference="table 9")

    assert (lost.status_code, lost.json()["code"]) == (504, "sandbox.answer_lost")
    made = [one for one in sandbox.shop.payments.iter_payments() if one.reference == "table 9"]
    assert [one.payment_id for one in made] == [found.payment_id]


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [("busy", 503, "store.busy"), ("slow=1", 200, ""), ("slow=soon", 422, "hansa.invalid_input")],
)
def test_faults_are_named_by_a_header(sandbox: Sandbox, fault: str, status: int, code: str) -> None:
    answer = sandbox.client.get("/v1/members", headers={"hansa-fault": fault})

    assert answer.status_code == status and answer.json().get("code", "") == code


def test_hooks_keep_what_they_are_sent_and_answer_as_their_names_say(sandbox: Sandbox) -> None:
    statuses = {
        name: sandbox.client.post(
            f"/v1/sandbox/hooks/{name}", content=b'{"a":1}', headers={"webhook-id": name}
        )
        for name in ("ok", "ok-2", "down", "gone")
    }
    kept = sandbox.shop.sandbox.read_hook("ok-2")
    unknown = sandbox.client.post("/v1/sandbox/hooks/other", json={})

    assert {name: one.status_code for name, one in statuses.items()} == {
        "ok": 200,
        "ok-2": 200,
        "down": 503,
        "gone": 410,
    }
    assert [(one.headers["webhook-id"], one.body) for one in kept.received] == [("ok-2", '{"a":1}')]
    assert unknown.status_code == 422


def test_a_sandbox_says_what_it_has_and_elsewhere_there_is_none(
    sandbox: Sandbox, committed_ctx: Context, tmp_path: Path
) -> None:
    told = sandbox.shop.sandbox.show_sandbox()
    with TestClient(create_app(committed_ctx, home=tmp_path, demo=True)) as other:
        none = other.get("/v1/sandbox")
        clock = other.post("/v1/sandbox/clock", json={"advance_s": 1})

    assert [one.name for one in told.people] == [one.name for one in PEOPLE] and told.connector == CONNECTOR
    assert (none.status_code, none.json()["code"]) == (404, "sandbox.none_here")
    assert clock.status_code == 404


def test_the_clock_goes_on_and_a_restart_keeps_it(tmp_path: Path) -> None:
    clock = SandboxClock(tmp_path / "clock.json")
    before = clock.now()
    clock.advance(timedelta(hours=5))

    assert clock.now() - before >= timedelta(hours=5)
    assert SandboxClock(tmp_path / "clock.json").ahead == timedelta(hours=5)
    for by in (timedelta(seconds=-1), timedelta(days=4_000)):
        with pytest.raises(InvalidInput):
            clock.advance(by)
    assert clock.ahead == timedelta(hours=5)


def test_a_sandbox_mixes_with_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "demo.json").write_text(json.dumps({}))
    monkeypatch.delenv("HANSA_DATABASE_URL", raising=False)

    with pytest.raises(NotASandbox):
        _claim(tmp_path / "taken", fresh=True)
    _claim(tmp_path / "new", fresh=False)
    monkeypatch.setenv("HANSA_DATABASE_URL", "postgresql://db.example/hansa")
    with pytest.raises(NotASandbox):
        _claim(tmp_path / "new", fresh=False)

    assert (tmp_path / "taken" / "demo.json").exists() and (tmp_path / "new" / MARK).is_file()


def test_its_people_are_the_same_in_every_sandbox() -> None:
    accounts = [account_of(one.name) for one in PEOPLE]

    assert accounts == [one.account_id for one in PEOPLE] and len(set(accounts)) == len(PEOPLE)
