"""The wallet's pages of approvals, PIN, limits, delegated spending and standing approvals, without JavaScript."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from litestar.testing import TestClient

from hansa import approval, identity, wallets
from hansa.approval import ApprovalLevel, Channel, Needs
from hansa.apps.web import advancing
from hansa.kernel import FixedClock, Money, new_id
from hansa.store import Context
from web.little_league import LittleLeague

Client = TestClient[Any]
PIN = "845291"
KIND = "test"


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[UUID]:
    """Who goes on with subjects of a test's own kind."""
    found: list[UUID] = []
    monkeypatch.setitem(advancing.ADVANCE, KIND, lambda _, subject_id: found.append(subject_id))
    return found


def sign_in(client: Client, league: LittleLeague, place: int = 0) -> identity.Account:
    account = list(league.riders.values())[place]
    client.post("/wallet/sign-in", data={"account_id": str(account.account_id)})
    return account


def later(ctx: Context, **more: float) -> None:
    assert isinstance(ctx.clock, FixedClock)
    ctx.clock.at += timedelta(**more)


def ask(
    ctx: Context,
    account: identity.Account,
    minor: int = 10_00,
    *,
    known: bool = True,
    name: str = "Tea <house>",
) -> approval.Approval:
    """Ask this person for a payment in their currency."""
    at = ctx.clock.now()
    currency = "CNY" if account.home_city_id == "hangzhou" else "CAD"
    one = approval.Spend(
        spend_id=new_id(),
        account_id=account.account_id,
        amount=Money(minor, currency),
        payee_key="merchant:tea",
        payee_name=name,
        channel=Channel.QR,
    )
    with ctx.tx() as tx:
        if known:
            tx.execute(
                "insert into approval.payees values (0, %s, 'merchant:tea', %s, %s) on conflict do nothing",
                (account.account_id, at - timedelta(days=9), new_id()),
            )
        verdict = approval.decide(tx, [one], at)[0]
        assert isinstance(verdict, Needs)
        subject = approval.subject_for(one, kind=KIND, subject_id=one.spend_id, asked_at=at, about="Two pots")
        return approval.open_approval(
            tx, one, verdict.level, subject, "/wallet/home?paid=1", at, reasons=verdict.reasons
        )


def test_a_small_payment_is_approved_by_one_click_and_goes_on(
    client: Client, ctx: Context, league: LittleLeague, told: list[UUID]
) -> None:
    account = sign_in(client, league)
    asked = ask(ctx, account)
    address = f"/wallet/approvals/{asked.approval_id}"

    shown = client.get(address).text
    done = client.post(address, data={"method": "session"}).text

    assert "Tea &lt;house&gt;" in shown and "¥10.00" in shown and "Two pots" in shown
    assert "Approved" in done and 'href="/wallet/home?paid=1"' in done
    assert told == [asked.subject_id]


def test_a_pin_is_set_and_approves(
    client: Client, ctx: Context, league: LittleLeague, told: list[UUID]
) -> None:
    account = sign_in(client, league)
    assert client.post("/wallet/pin", data={"pin": "123456", "again": "123456"}).status_code == 422
    assert "not the same" in client.post("/wallet/pin", data={"pin": PIN, "again": "845292"}).text
    assert "Your PIN is set" in client.post("/wallet/pin", data={"pin": PIN, "again": PIN}).text
    later(ctx, days=2)
    sign_in(client, league)
    asked = ask(ctx, account, 120_00)
    address = f"/wallet/approvals/{asked.approval_id}"
    assert (
        asked.level == ApprovalLevel.PIN
        and "This amount is more than a small purchase." in client.get(address).text
    )

    wrong = client.post(address, data={"method": "pin", "pin": "111111"})
    assert wrong.status_code == 403 and "4 tries left" in wrong.text and told == []
    done = client.post(address, data={"method": "pin", "pin": PIN})

    assert "Approved" in done.text and told == [asked.subject_id]


def test_a_click_does_not_do_where_more_is_asked(client: Client, ctx: Context, league: LittleLeague) -> None:
    account = sign_in(client, league)
    asked = ask(ctx, account, 120_00, known=False)
    address = f"/wallet/approvals/{asked.approval_id}"

    assert "You pay this payee for the first time" in client.get(address).text
    refused = client.post(address, data={"method": "session"})

    assert refused.status_code == 403 and "needs more than that" in refused.text
    assert "you have none" in refused.text


def test_refused_expired_and_answered_are_told_apart(
    client: Client, ctx: Context, league: LittleLeague, told: list[UUID]
) -> None:
    account = sign_in(client, league)
    first, second = ask(ctx, account), ask(ctx, account)

    refused = client.post(f"/wallet/approvals/{first.approval_id}/refuse").text
    assert "Refused. Nothing is paid." in refused and told == [first.subject_id]
    again = client.post(f"/wallet/approvals/{first.approval_id}", data={"method": "session"})
    assert again.status_code == 409 and "answered already" in again.text
    later(ctx, minutes=16)
    expired = client.post(f"/wallet/approvals/{second.approval_id}", data={"method": "session"})
    assert expired.status_code == 409 and "The time to approve this is over" in expired.text
    assert advancing.turn(ctx) >= 1 and second.subject_id in told


def test_nobody_else_sees_it(client: Client, ctx: Context, league: LittleLeague) -> None:
    asked = ask(ctx, next(iter(league.riders.values())))
    address = f"/wallet/approvals/{asked.approval_id}"
    assert client.get(address).status_code == 401
    sign_in(client, league, 1)

    assert client.get(address).status_code == 404
    assert client.post(address, data={"method": "session"}).status_code == 404
    assert client.post(f"{address}/refuse").status_code == 404


def test_another_sites_form_approves_nothing(client: Client, ctx: Context, league: LittleLeague) -> None:
    account = sign_in(client, league)
    asked = ask(ctx, account)

    answer = client.post(
        f"/wallet/approvals/{asked.approval_id}",
        data={"method": "session"},
        headers={"sec-fetch-site": "cross-site"},
    )

    assert answer.status_code == 403
    with ctx.tx() as tx:
        assert approval.approval_state(tx, [asked.subject_id])[asked.subject_id].value == "waiting"


def test_what_waits_is_listed(client: Client, ctx: Context, league: LittleLeague) -> None:
    account = sign_in(client, league)
    assert "Nothing waits for you." in client.get("/wallet/approvals").text
    asked = ask(ctx, account)

    assert f"/wallet/approvals/{asked.approval_id}" in client.get("/wallet/approvals").text
    assert "1 thing waits" in client.get("/wallet/limits").text


def test_limits_fall_at_once_and_rise_later(client: Client, ctx: Context, league: LittleLeague) -> None:
    sign_in(client, league)

    def put(amount: str, **more: str) -> str:
        data = {"currency": "CNY", "span": "day", "amount": amount} | more
        return client.post("/wallet/limits", data=data).text

    assert "The limit holds from now on." in put("50")
    raised = put("80,50")
    assert "The higher limit is asked for." in raised and "rises later" in raised and "¥80.50" in raised
    assert "An amount cannot be read" in put("much")
    assert "bars" in put("10", scope="category:5813")
    assert (
        client.post("/wallet/limits", data={"currency": "CNY", "span": "day", "scope": "x"}).status_code
        == 422
    )


def test_the_freeze_stops_spending_and_a_fresh_sign_in_lifts_it(
    client: Client, ctx: Context, league: LittleLeague
) -> None:
    account = sign_in(client, league)
    frozen = client.post("/wallet/limits/freeze").text
    assert "Your wallet is frozen" in frozen
    asked_at = ctx.clock.now()
    with ctx.tx() as tx:
        assert approval.find_freeze(tx, 0, account.account_id) == approval.Freeze(asked_at, "owner", "")

    later(ctx, minutes=6)
    assert (
        client.post("/wallet/limits/unfreeze", follow_redirects=False)
        .headers["location"]
        .startswith("/wallet/verify")
    )
    sign_in(client, league)
    assert "Your wallet pays again." in client.post("/wallet/limits/unfreeze").text


def test_an_issuers_freeze_is_not_the_owners_to_lift(
    client: Client, ctx: Context, league: LittleLeague
) -> None:
    account = sign_in(client, league)
    approval.freeze(ctx, account.account_id, by="issuer", reason="Asked by the police.")

    answer = client.post("/wallet/limits/unfreeze")

    assert answer.status_code == 409 and "only its desk lifts that" in answer.text


def test_a_freeze_ends_ride_codes_where_that_is_asked(client: Client, league: LittleLeague) -> None:
    sign_in(client, league)

    assert "ride codes end" in client.post("/wallet/limits/freeze", data={"rides": "yes"}).text


def test_a_second_person_is_named_and_removed(client: Client, ctx: Context, league: LittleLeague) -> None:
    other = list(league.riders.values())[1]
    code = wallets.finding.code_of(ctx, other.account_id)
    sign_in(client, league)

    assert "asked about large payments" in client.post("/wallet/limits/people", data={"person": code}).text
    gone = client.post("/wallet/limits/people/remove", data={"account_id": str(other.account_id)}).text
    assert "asked no more after a wait" in gone and "asked until" in gone

    assert "asked about large payments" in client.post("/wallet/limits/people", data={"person": code}).text
    later(ctx, minutes=6)
    third = wallets.finding.code_of(ctx, list(league.riders.values())[2].account_id)
    answer = client.post("/wallet/limits/people", data={"person": third}, follow_redirects=False)
    assert answer.headers["location"].startswith("/wallet/verify"), "another one makes it easier"
    sign_in(client, league)
    later_one = client.post("/wallet/limits/people", data={"person": third}).text
    assert "asked about large payments too, after a wait" in later_one and "asked from" in later_one


def test_a_mandate_is_seen_and_ended(client: Client, ctx: Context, league: LittleLeague) -> None:
    account = sign_in(client, league)
    mandate, asked = approval.ask_mandate(
        ctx,
        approval.NewMandate(
            mandate_id=new_id(), account_id=account.account_id, payee_key="merchant:tea", payee_name="Tea house",
            member_id="hangzhou-metro", currency="CNY", each_minor=30_00, period="month", period_minor=60_00,
            ends_at=ctx.clock.now() + timedelta(days=300), reference="Tea each month",
        ),
    )  # fmt: skip

    shown = client.get("/wallet/mandates").text
    assert "Tea each month" in shown and f"/wallet/approvals/{asked.approval_id}" in shown
    asked_page = client.get(f"/wallet/approvals/{asked.approval_id}").text
    assert "each month, at most" in asked_page and "¥60.00" in asked_page
    with ctx.tx() as tx:
        tx.execute("update approval.mandates set holds_from = asked_at")
    there = f"/wallet/mandates/{mandate.mandate_id}"
    pull = approval.announce_pull(
        ctx,
        approval.NewPull(
            pull_id=new_id(), mandate_id=mandate.mandate_id, amount=Money(12_00, "CNY"),
            due_at=ctx.clock.now() + timedelta(days=3), reference="Green tea",
        ),
        member="hangzhou-metro",
    )  # fmt: skip
    shown = client.get("/wallet/mandates").text
    assert "Green tea" in shown and "Take nothing this month" in shown and "3 days before" in shown
    assert "This payment is not taken." in client.post(f"{there}/pulls/{pull.pull_id}/skip").text
    assert "you are told so long before" in client.post(f"{there}/lead", data={"lead_h": "72"}).text
    paused = client.post(f"{there}/pause").text
    assert "Nothing is taken for now." in paused and "Let it go on" in paused and "Green tea" not in paused
    assert "Payments are taken again." in client.post(f"{there}/resume").text
    assert "It has ended." in client.post(f"/wallet/mandates/{mandate.mandate_id}/revoke").text


@pytest.mark.parametrize("address", ["approvals", "limits", "pin", "delegations", "mandates"])
def test_pages_speak_chinese(client: Client, league: LittleLeague, address: str) -> None:
    sign_in(client, league)

    answer = client.get(f"/wallet/{address}?language=zh")

    assert answer.headers["content-language"] == "zh" and '<html lang="zh">' in answer.text


def test_who_is_not_signed_in_is_told_to(client: Client, league: LittleLeague) -> None:
    for address in ("limits", "pin", "delegations", "mandates"):
        assert client.get(f"/wallet/{address}").status_code == 401
    assert client.get("/wallet/approvals").url.path == "/wallet/"
