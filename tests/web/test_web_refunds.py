"""The wallet's page of refunds: asked once, answered in words, appealed, in two languages."""

import re
from typing import Any
from uuid import UUID

from litestar.testing import TestClient

from hansa import disputes, payments, rides, trust
from hansa.identity import AccountId
from hansa.kernel import Money, fact_id
from hansa.store import Context
from web.little_league import BUS, LittleLeague, Phone

Client = TestClient[Any]


def ridden(ctx: Context, client: Client, league: LittleLeague) -> rides.JourneyRecord:
    """Gao Lan took a bus and is signed in."""
    account = league.riders["Gao Lan"]
    client.post(f"/gate/{BUS}/read", json={"text": Phone(ctx, league, "Gao Lan").show()})
    client.post("/wallet/sign-in", data={"account_id": str(account.account_id)}, follow_redirects=False)
    rides.post_charges(ctx)
    with ctx.tx() as tx:
        (journey,) = rides.journeys(tx, account.account_id)
    return journey


def hidden(page: str, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]+)"', page)
    assert found is not None, page
    return found[1]


def money(ctx: Context, journey: rides.JourneyRecord) -> list[Money]:
    with ctx.tx() as tx:
        return payments.balance_of(tx, AccountId(journey.account_id))


def test_a_rider_asks_is_refused_and_appeals(ctx: Context, client: Client, league: LittleLeague) -> None:
    journey = ridden(ctx, client, league)
    own = f"/wallet/journeys/{journey.journey_id}"
    before = money(ctx, journey)
    assert f'href="{own}/refund"' in client.get(own).text
    form = {
        "dispute_id": hidden(client.get(f"{own}/refund").text, "dispute_id"),
        "reason": "not_me",
        "words": "<b>I was at home.</b>",
    }

    page = client.post(f"{own}/refund", data=form).text
    client.post(f"{own}/refund", data=form)
    with ctx.tx() as tx:
        (case,) = disputes.list_disputes(tx)
    assert f"You asked for {journey.fare}." in page and "&lt;b&gt;I was at home." in page
    assert "您申请退回" in client.get(f"{own}/refund?language=zh").text

    operator = trust.Caller(case.operator_id, "member", member_id=trust.MemberId(case.operator_id))
    disputes.act(
        ctx,
        operator,
        case.dispute_id,
        action_id=fact_id(None, "refusal of the tests"),
        action=disputes.Action.REFUSE,
        words="Your phone was there.",
    )
    page = client.get(f"{own}/refund?language=en").text
    assert "The operator says no." in page and "Your phone was there." in page
    appeal = {"action_id": hidden(page, "action_id"), "action": "appeal", "words": "It was stolen."}
    assert "The league looks at your appeal" in client.post(f"{own}/refund/answer", data=appeal).text
    league_itself = trust.Caller("league", "league", member_id=trust.MemberId("league"))
    disputes.act(
        ctx,
        league_itself,
        case.dispute_id,
        action_id=UUID(int=7),
        action=disputes.Action.GRANT,
        words="Granted.",
    )

    assert f"{journey.fare} came back to your wallet." in client.get(f"{own}/refund").text
    assert money(ctx, journey) != before


def test_a_small_refund_is_on_the_page_at_once_and_in_the_statement(
    ctx: Context, client: Client, league: LittleLeague
) -> None:
    journey = ridden(ctx, client, league)
    own = f"/wallet/journeys/{journey.journey_id}"
    form = {
        "dispute_id": hidden(client.get(f"{own}/refund").text, "dispute_id"),
        "reason": "gate_stayed_shut",
        "words": "It stayed shut.",
    }

    page = client.post(f"{own}/refund", data=form).text

    assert "came back to your wallet." in page and "Send it" not in page
    assert f'href="{own}"' in client.get("/wallet/statement").text
    assert money(ctx, journey)[0].minor == 100_00


def test_a_bad_request_is_told_in_place_and_keeps_what_was_written(
    ctx: Context, client: Client, league: LittleLeague
) -> None:
    journey = ridden(ctx, client, league)
    own = f"/wallet/journeys/{journey.journey_id}"
    form = {"dispute_id": str(UUID(int=5)), "reason": "bored", "words": "My words."}

    answer = client.post(f"{own}/refund", data=form)

    assert answer.status_code == 422 and "My words." in answer.text and 'role="alert"' in answer.text
    with ctx.tx() as tx:
        assert disputes.list_disputes(tx) == []


def test_another_riders_refund_is_not_there(ctx: Context, client: Client, league: LittleLeague) -> None:
    journey = ridden(ctx, client, league)
    own = f"/wallet/journeys/{journey.journey_id}/refund"
    other = league.riders["Omar Singh"]
    client.post("/wallet/sign-in", data={"account_id": str(other.account_id)}, follow_redirects=False)
    form = {"dispute_id": str(UUID(int=5)), "reason": "not_me", "words": "Mine."}

    for answer in (
        client.get(own),
        client.post(own, data=form),
        client.post(f"{own}/answer", data={"action_id": str(UUID(int=6)), "action": "withdraw"}),
    ):
        assert answer.status_code == 404


def test_a_journey_is_split_from_its_own_page_and_nobody_elses(
    ctx: Context, client: Client, league: LittleLeague
) -> None:
    journey = ridden(ctx, client, league)
    source = f"journey:{journey.journey_id}"
    assert f"/wallet/split?source={source}" in client.get(f"/wallet/journeys/{journey.journey_id}").text

    def asked(source: str) -> str:
        found = re.search(r'name="source" value="([^"]*)"', client.get(f"/wallet/split?source={source}").text)
        assert found is not None
        return found[1]

    assert asked(source) == source
    other = league.riders["Qian Qing"].account_id
    client.post("/wallet/sign-in", data={"account_id": str(other)}, follow_redirects=False)
    for strange in (source, "journey:x", "payment:0198c0de-0000-7000-8000-000000000009", "nothing"):
        assert asked(strange) == ""
