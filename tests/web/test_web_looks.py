"""Staff of a member help who stands at their counter: found by what they have with them, for a reason that is kept."""

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from litestar.testing import TestClient

from hansa import approval, audit, cards, identity, rides
from hansa.apps.personal_means import means_of
from hansa.store import Context
from web.little_league import LittleLeague
from web.test_web_console import ridden as ridden
from web.test_web_staff import House
from web.test_web_staff import house as house

Client = TestClient[Any]
NUMBER = "+86 138 0013 8000"
WHY = "asked at the counter about a fare"


@pytest.fixture
def known(ctx: Context, ridden: LittleLeague, home: Path) -> LittleLeague:
    """Gao Lan has proved her number; she and Emily Tremblay hold a card of their cities."""
    sealer = means_of(home, demo=True).sealer
    gao, emily = (ridden.riders[name].account_id for name in ("Gao Lan", "Emily Tremblay"))
    sent = identity.ask_contact(ctx, sealer, gao, "phone", NUMBER, country="CN")
    identity.verify_contact(ctx, sealer, gao, sent.contact.contact_id, sent.code)
    for one in (gao, emily):
        cards.own_cards(ctx, sealer, one)
    return ridden


def _journeys(ctx: Context, league: LittleLeague) -> dict[str, str]:
    """The one journey of each rider: Gao Lan's in Toronto, Emily Tremblay's in Hangzhou."""
    with ctx.tx() as tx:
        return {
            name: str(rides.journeys(tx, league.riders[name].account_id)[0].journey_id)
            for name in ("Gao Lan", "Emily Tremblay")
        }


def _card_number(ctx: Context, home: Path, account_id: identity.AccountId) -> str:
    sealer = means_of(home, demo=True).sealer
    [card] = cards.own_cards(ctx, sealer, account_id)
    with ctx.tx() as tx:
        return cards.number_of(tx, sealer, card) or ""


def _look(browser: Client, text: str, why: str = WHY) -> str:
    """Where a search leads; its status where it leads nowhere."""
    answer = browser.post("/console/riders/look", data={"text": text, "reason": why})
    return answer.headers.get("location", str(answer.status_code))


def test_a_members_staff_find_their_own_riders_and_nobody_elses(
    house: House, ctx: Context, known: LittleLeague, home: Path
) -> None:
    gao, emily = (known.riders[name].account_id for name in ("Gao Lan", "Emily Tremblay"))
    journeys = _journeys(ctx, known)
    hangzhou = house.person("hu", "operator", member="hangzhou")
    toronto = house.person("tom", "operator", member="toronto")
    viewer = house.person("vi", "viewer", member="hangzhou")

    for written in (NUMBER, "138 0013 8000", _card_number(ctx, home, gao), str(gao)):
        assert _look(hangzhou, written) == f"/console/riders/{gao}", written
        assert _look(toronto, written) == "404", written
    assert _look(toronto, journeys["Gao Lan"]) == f"/console/journeys/{journeys['Gao Lan']}"
    assert _look(hangzhou, journeys["Gao Lan"]) == f"/console/riders/{gao}", "hers, but not where she rode"
    assert _look(hangzhou, journeys["Emily Tremblay"]) == f"/console/journeys/{journeys['Emily Tremblay']}"
    assert [_look(hangzhou, text) for text in ("", "Gao", "+86 138 0013 8001", str(emily))] == [
        "422",
        *["404"] * 3,
    ]
    assert _look(viewer, NUMBER) == "403"
    unsaid = hangzhou.post("/console/riders/look", data={"text": NUMBER, "reason": " "})
    assert "Nothing has been done yet" in unsaid.text
    listed = hangzhou.get("/console/riders?q=gao").text
    assert "Gao Lan" not in listed and "By name" not in listed


def test_a_look_shows_what_helps_and_no_journey_of_other_members(
    house: House, ctx: Context, known: LittleLeague
) -> None:
    emily = known.riders["Emily Tremblay"].account_id
    journeys = _journeys(ctx, known)
    browser = house.person("hu", "operator", member="hangzhou")
    closed = [f"/console/riders/{emily}", f"/console/journeys/{journeys['Gao Lan']}"]
    before = [browser.get(path).status_code for path in closed]

    own = browser.get(_look(browser, NUMBER)).text
    ride = browser.get(_look(browser, journeys["Emily Tremblay"])).text
    visitor = browser.get(f"/console/riders/{emily}").text

    assert before == [404, 404] and browser.get(closed[1]).status_code == 404
    assert "Gao Lan" in own and "Top-up" in own and "Fare elsewhere" in own and "good standing" in own
    assert "Dufferin" not in own and journeys["Gao Lan"] not in own and "/console/ledger" not in own
    assert "Xianghu" in ride and "Emily" not in ride and "In the books" not in ride
    assert "another member’s" in visitor and "Top-up" not in visitor and "Phones" not in visitor
    assert journeys["Emily Tremblay"] in visitor and "Freeze" not in visitor
    assert set(re.findall(r'<a href="(/console/[^"?#]*)', own)) <= {
        *("/console/mine", "/console/riders", "/console/shops", "/console/disputes", "/console/cards"),
        *("/console/recoveries", "/console/counter", "/console/"),
    }


def test_each_look_is_kept_with_its_reason_and_the_rider_reads_whose_staff_it_was(
    house: House, ctx: Context, known: LittleLeague
) -> None:
    gao = known.riders["Gao Lan"].account_id
    browser = house.person("hu", "operator", member="hangzhou")

    browser.get(_look(browser, NUMBER))
    house.clock.at += timedelta(minutes=16)
    browser.cookies.clear()
    again = house.person("ho", "operator", member="hangzhou").get(f"/console/riders/{gao}").text

    assert "Say why" in again and "Gao Lan" not in again, "a colleague says why anew"
    with ctx.tx() as tx:
        [seen] = identity.list_accesses(tx, gao)
        acts = [(one.action, one.reason, one.chain) for one in audit.search(tx, actor="staff:hu", limit=9)]
    assert (seen.reader, seen.part, seen.why, seen.times) == ("hangzhou:staff:hu", "everything", WHY, 2)
    assert ("person.read", WHY, "hangzhou") in acts and ("rider.look", WHY, "hangzhou") in acts


def test_a_members_staff_freeze_their_own_riders_alone(
    house: House, ctx: Context, known: LittleLeague
) -> None:
    gao, emily = (known.riders[name].account_id for name in ("Gao Lan", "Emily Tremblay"))
    browser = house.person("hu", "operator", member="hangzhou")
    form = {"do": "freeze", "reason": "says that the phone was stolen"}

    own = browser.post(f"/console/riders/{gao}/spending", data=form)
    other = browser.post(f"/console/riders/{emily}/spending", data=form)

    assert (own.status_code, other.status_code) == (303, 404)
    with ctx.tx() as tx:
        frozen = [
            approval.find_freeze(tx, ctx.directory.partition_of(one), one) is not None for one in (gao, emily)
        ]
    assert frozen == [True, False]


def test_who_tries_numbers_is_stopped(house: House, known: LittleLeague) -> None:
    browser = house.person("hu", "operator", member="hangzhou")

    tried = [_look(browser, f"+86 138 0013 8{number:03}") for number in range(1, 33)]

    assert tried == ["404"] * 30 + ["429"] * 2
