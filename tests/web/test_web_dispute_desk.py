"""The console's desk of disputes: who sees what, what can be done there, and two persons over an amount."""

import re
from typing import Any
from uuid import UUID

import pytest
from litestar.testing import TestClient

from hansa import disputes, identity, payments, rides, trust
from hansa.disputes import bundle
from hansa.identity import AccountId
from hansa.kernel import fact_id
from hansa.store import Context
from web.little_league import BUS, LittleLeague, Phone

Client = TestClient[Any]
CARD, TTC = "hangzhou-card", "toronto-ttc"


@pytest.fixture
def journey(ctx: Context, client: Client, league: LittleLeague) -> rides.JourneyRecord:
    """Gao Lan of Hangzhou took a bus in Toronto, and it is booked."""
    client.post(f"/gate/{BUS}/read", json={"text": Phone(ctx, league, "Gao Lan").show()})
    rides.post_charges(ctx)
    with ctx.tx() as tx:
        (journey,) = rides.journeys(tx, league.riders["Gao Lan"].account_id)
    return journey


def at_desk(client: Client, desk: str, clerk: str = "Ada") -> None:
    """Act for a member, as one of the two clerks of the demonstration."""
    client.post(
        "/console/disputes/desk", data={"desk": desk, "back": "/console/disputes"}, follow_redirects=False
    )
    client.post("/console/clerk", data={"clerk": clerk, "back": "/console/disputes"}, follow_redirects=False)


def hidden(page: str, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]+)"', page)
    assert found is not None, page
    return found[1]


def asked(ctx: Context, journey: rides.JourneyRecord) -> disputes.Dispute:
    """The rider asks for all of it back."""
    rider = trust.Caller(f"person:{journey.account_id}", "person", account_id=str(journey.account_id))
    return disputes.ask_refund(
        ctx,
        rider,
        dispute_id=fact_id(None, "refund of the desk's tests"),
        journey_id=journey.journey_id,
        reason="not_me",
        words="<b>I was at home.</b>",
    )


def raised(ctx: Context, client: Client, journey: rides.JourneyRecord) -> disputes.Case:
    """The issuer disputes the ride at its desk."""
    at_desk(client, CARD)
    page = client.get(f"/console/disputes/new?journey={journey.journey_id}").text
    answer = client.post(
        "/console/disputes/new",
        data={
            "dispute_id": hidden(page, "dispute_id"),
            "journey": str(journey.journey_id),
            "item_id": hidden(page, "item_id"),
            "reason": "no_evidence",
            "amount": journey.fare.decimal(),
            "words": "Show the taps.",
        },
        follow_redirects=False,
    )
    assert answer.status_code == 303, answer.text
    with ctx.tx() as tx:
        return disputes.list_disputes(tx, kind=disputes.Kind.ITEM)[0]


def test_the_league_sees_the_queue_and_the_operator_answers(
    ctx: Context, client: Client, journey: rides.JourneyRecord
) -> None:
    case = asked(ctx, journey).case
    own = f"/console/disputes/{case.dispute_id}"

    queue = client.get("/console/disputes").text
    assert f'href="{own}"' in queue and "I did not ride" in queue and "left" in queue
    assert f'href="{own}"' in client.get(f"/console/disputes?q={str(case.dispute_id)[:8]}&show=all").text
    for none in (
        "q=ffff0000",
        "q=%00x",
        "kind=item",
        "in_state=closed",
        "member=hangzhou-metro",
        "reason=bored",
    ):
        assert f'href="{own}"' not in client.get(f"/console/disputes?{none}").text
    at_desk(client, "hangzhou-metro")
    assert f'href="{own}"' not in client.get("/console/disputes").text
    assert client.get(own).status_code == client.get(f"{own}/bundle").status_code == 404

    at_desk(client, TTC)
    page = client.get(own).text
    assert "&lt;b&gt;I was at home." in page and "Chain" in page and "Why it costs this" in page
    bad = client.post(
        f"{own}/act", data={"action_id": hidden(page, "action_id"), "action": "refuse", "words": " "}
    )
    assert bad.status_code == 422 and 'role="alert"' in bad.text
    client.post(
        f"{own}/act",
        data={
            "action_id": hidden(page, "action_id"),
            "action": "refuse",
            "words": "Your phone was there.",
            "amount": "9",
        },
    )

    with ctx.tx() as tx:
        found = disputes.get_dispute(tx, case.dispute_id)
        readers = {one.reader for one in identity.list_accesses(tx, AccountId(journey.account_id))}
    assert f"{TTC}:demo:Ada" in readers, "the rider reads for which member somebody looked"
    assert found.case.state == "refused" and found.facts[-1].caller_id == "demo:Ada"
    assert "Your phone was there." in client.get(own).text


def test_an_item_is_disputed_from_its_journey_and_its_evidence_is_kept(
    ctx: Context, client: Client, journey: rides.JourneyRecord
) -> None:
    case = raised(ctx, client, journey)
    assert (case.issuer_id, case.operator_id, case.claim, case.root_id) == (
        CARD,
        TTC,
        journey.fare,
        journey.journey_id,
    )

    kept = client.get(f"/console/disputes/{case.dispute_id}/bundle")

    assert kept.headers["content-type"] == "application/zip"
    assert [one.ok for one in bundle.check(kept.content) if one.what.startswith(("files", "tap", "receipts"))]
    page = client.get(f"/console/disputes/{case.dispute_id}").text
    assert "holds" in page and "does not hold" not in page
    assert (
        f"/console/disputes/new?journey={journey.journey_id}"
        in client.get(f"/console/journeys/{journey.journey_id}").text
    )


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"amount": "1.005"}, "is no amount of CAD"),
        ({"amount": "NaN"}, "is no amount of CAD"),
        ({"amount": "99999"}, "what is left of it"),
        ({"reason": "token_denied"}, "denied_at, list_version is missing"),
        ({"item_id": "nothing"}, "Choose the item"),
        ({"item_id": str(UUID(int=5)), "journey": ""}, "no item that"),
        ({"words": "   "}, "Write 1 to"),
        ({"dispute_id": "7"}, "Open the form again"),
    ],
)
def test_what_cannot_be_raised_is_told_in_place_and_nothing_is_kept(
    ctx: Context, client: Client, journey: rides.JourneyRecord, change: dict[str, str], told: str
) -> None:
    at_desk(client, CARD)
    page = client.get(f"/console/disputes/new?journey={journey.journey_id}").text
    form = {
        "dispute_id": hidden(page, "dispute_id"),
        "journey": str(journey.journey_id),
        "item_id": hidden(page, "item_id"),
        "reason": "no_evidence",
        "amount": "1.00",
        "words": "Show the taps.",
    }

    answer = client.post("/console/disputes/new", data=form | change)

    assert answer.status_code in (404, 422) and told in answer.text and 'role="alert"' in answer.text
    with ctx.tx() as tx:
        assert disputes.list_disputes(tx) == []


def test_over_an_amount_ada_proposes_and_bo_agrees(
    ctx: Context, client: Client, journey: rides.JourneyRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    def little(_: disputes.Rules, currency: str) -> int:
        return len(currency)

    monkeypatch.setattr(disputes.Rules, "alone_minor", little)
    case = raised(ctx, client, journey)
    own = f"/console/disputes/{case.dispute_id}"
    at_desk(client, TTC, "Ada")
    form = {"action_id": str(UUID(int=1)), "action": "accept", "words": "The bus had no network."}

    client.post(f"{own}/act", data=form)
    mine = client.get(own).text
    assert (
        "Another person of this side must do the same." in mine and "Agree as the second person" not in mine
    )
    at_desk(client, TTC, "Bo")
    page = client.get(own).text
    assert "Agree as the second person" in page
    client.post(f"{own}/act", data=form | {"action_id": hidden(page, "action_id"), "words": "So it was."})

    with ctx.tx() as tx:
        done = disputes.get_dispute(tx, case.dispute_id)
        assert payments.balance_of(tx, AccountId(journey.account_id))
    assert done.case.state == "closed" and [one.amount_minor for one in done.bookings] == [journey.fare.minor]
    page = client.get(own).text
    assert "Ada" in page and "proposed: accept the claim" in page and "Chargeback" in page


def test_the_desk_is_for_who_may_see_it(client: Client, journey: rides.JourneyRecord) -> None:
    away = {"host": "hansa.example"}

    for address in ("/console/disputes", f"/console/disputes/{UUID(int=7)}", "/console/disputes/new"):
        assert client.get(address, headers=away).status_code == 401
    assert client.get(f"/console/disputes/{UUID(int=7)}").status_code == 404
    at_desk(client, "nobody")
    assert "What a ride" not in client.get(f"/console/disputes/new?journey={journey.journey_id}").text
