"""The console's desks of members and agreements: two persons, refusals told in place, closed to others."""

import re
from datetime import timedelta
from typing import Any

from litestar.testing import TestClient

from hansa import clearing, trust
from hansa.apps.web.agreement_pages import SKELETON as AGREEMENT
from hansa.apps.web.member_pages import SKELETON as APPLICATION
from hansa.store import Context
from web.little_league import LittleLeague

Client = TestClient[Any]


def act_as(client: Client, name: str) -> None:
    client.post("/console/clerk", data={"clerk": name, "back": "/console/members"})


def send(client: Client, address: str, **fields: str) -> Any:
    return client.post(address, data=fields, follow_redirects=False)


def text_of(client: Client, address: str) -> str:
    answer = client.get(address)
    assert answer.status_code == 200, answer.text
    return " ".join(re.sub(r"<[^>]+>", " ", answer.text).split())


def test_a_city_applies_and_is_let_in_by_another_clerk(
    ctx: Context, client: Client, league: LittleLeague
) -> None:
    assert league.riders
    bad = APPLICATION.replace("FR14", "FR15")
    told = send(client, "/console/members/apply", toml=bad, nonce="1", what="apply")
    assert told.status_code == 422 and "check digits" in told.text and "FR15" in told.text
    assert "Nothing is wrong" in send(client, "/console/members/apply", toml=APPLICATION, nonce="1").text

    answer = send(
        client, "/console/members/apply", toml=APPLICATION, nonce="1", what="apply", note="a letter"
    )
    again = send(client, "/console/members/apply", toml=APPLICATION, nonce="1", what="apply", note="a letter")
    link = answer.headers["location"]
    assert answer.status_code == 303 and again.headers["location"] == link
    assert "cannot approve it" in text_of(client, link)
    refused = send(client, f"{link}/decide", what="approve", why="me again")
    assert refused.status_code == 409 and "Let somebody else look at it" in refused.text

    act_as(client, "Bo")
    assert "needs its reason" in send(client, f"{link}/decide", what="approve", why=" ").text
    assert send(client, f"{link}/decide", what="approve", why="met them").status_code == 303

    assert "TCL" in text_of(client, "/console/members")
    page = text_of(client, "/console/members/lyon-card")
    assert "let in" in page and "Claire Petit" in page


def test_a_member_is_suspended_goes_on_and_changes_its_account(
    ctx: Context, client: Client, league: LittleLeague
) -> None:
    assert league.riders
    at = "/console/members/hangzhou/decide"
    assert send(client, at, what="suspend", why="does not answer").status_code == 303
    page = text_of(client, "/console/members/hangzhou-metro")
    assert "suspended" in page and "as hangzhou is" in page and "does not answer" in page

    assert send(client, at, what="resume", why="answers").status_code == 303
    assert send(client, at, what="resume_yes", why="me").status_code == 409
    assert (
        send(client, at, what="account", why="new bank", bic="BNPA", number="1", nonce="1").status_code == 422
    )
    account = {"bic": "CRLYFRPPXXX", "number": "FR76 3000 6000 0112 3456 7890 189"}
    assert send(client, at, what="account", why="new bank", nonce="1", **account).status_code == 303
    act_as(client, "Bo")
    assert send(client, at, what="resume_yes", why="heard them").status_code == 303
    with ctx.tx() as tx:
        (change,) = trust.list_account_changes(tx, "hangzhou")
        assert trust.member_standing(tx, "hangzhou-metro", ctx.clock.now()) == "active"
    decided = send(client, at, what="account_yes", why="called them", change=str(change.change_id))
    assert decided.status_code == 303
    assert "cools until" in text_of(client, "/console/members/hangzhou")
    assert "holds from" in text_of(client, "/console/members")


def test_a_member_that_runs_down_is_told_what_keeps_it(
    ctx: Context, client: Client, league: LittleLeague
) -> None:
    assert league.riders
    at = "/console/members/hangzhou/decide"
    day = (ctx.clock.now() + timedelta(days=30)).date().isoformat()
    assert send(client, at, what="leave", why="merges", day="soon").status_code == 422
    assert send(client, at, what="leave", why="merges", day=day).status_code == 303
    act_as(client, "Bo")
    assert send(client, at, what="leave_yes", why="letter").status_code == 303

    page = text_of(client, "/console/members/hangzhou")
    assert "What keeps it from leaving" in page and "new business until" in page
    refused = send(client, at, what="finish", why="done", reserve="")
    assert refused.status_code == 409 and "new business" in refused.text
    assert send(client, at, what="finish", why="done", reserve="much").status_code == 422


def test_an_agreement_is_checked_proposed_and_approved_and_a_fare_is_worked_out(
    ctx: Context, client: Client, league: LittleLeague
) -> None:
    assert league.riders
    first = (ctx.clock.now() + timedelta(days=20)).date()
    toml = AGREEMENT.format(
        issuer="hangzhou-card", operator="hangzhou-metro", valid_from=first, currency="CNY"
    )
    toml = toml.replace('fixed = "0.00"', 'fixed = "0.02"')
    form = client.get("/console/agreements/new?issuer=hangzhou-card&operator=hangzhou-metro")
    assert form.status_code == 200 and "hangzhou-metro" in form.text
    checked = send(client, "/console/agreements/new", toml=toml, nonce="1", what="check").text
    assert "Nothing is wrong" in checked and "¥2.93" in checked, (
        "of 3.00: 3.6 cents and 2 to the issuer, 0.9 to the league"
    )
    bad = send(
        client,
        "/console/agreements/new",
        toml=toml.replace("hangzhou-card", "atlantis"),
        nonce="1",
        what="propose",
    )
    assert bad.status_code == 422 and "atlantis" in bad.text

    answer = send(client, "/console/agreements/new", toml=toml, nonce="1", what="propose", note="as signed")
    link = answer.headers["location"]
    assert send(client, f"{link}/decide", what="approve", why="me").status_code == 409
    act_as(client, "Bo")
    assert send(client, f"{link}/decide", what="approve", why="as signed").status_code == 303
    assert "scheduled" in text_of(client, link)

    page = text_of(
        client,
        f"/console/agreements?issuer=hangzhou-card&operator=hangzhou-metro&amount=3.00&currency=CNY&day={first}",
    )
    assert "hangzhou-card and hangzhou-metro" in page and "+ ¥0.02" in page
    assert client.get("/console/agreements?amount=x").status_code == 422
    last = (first + timedelta(days=60)).isoformat()
    assert send(client, f"{link}/decide", what="end", why="notice", last_day=last).status_code == 303
    act_as(client, "Ada")
    assert send(client, f"{link}/decide", what="end_yes", why="seen").status_code == 303
    with ctx.tx() as tx:
        (agreed,) = clearing.list_agreed(tx, ctx.clock.now())
    assert agreed.ends_on is not None and agreed.ends_on.isoformat() == last


def test_the_desks_are_closed_to_others(stranger: Client) -> None:
    for address in (
        "/console/members",
        "/console/members/hangzhou",
        "/console/agreements",
        "/console/agreements/new",
    ):
        assert stranger.get(address).status_code == 401
    assert send(stranger, "/console/members/hangzhou/decide", what="suspend", why="x").status_code == 401
