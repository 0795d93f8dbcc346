"""The console by passkey alone: rights, one's own, reasons, a passkey used just now, two persons, all of it kept."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from litestar.testing import TestClient

from hansa import audit, identity, payments, trust
from hansa.apps.web import create_app
from hansa.apps.web.app import _application  # pyright: ignore[reportPrivateUsage]
from hansa.apps.web.console_rights import Two, own_rights, read_rights
from hansa.kernel import FixedClock, InvalidInput, Money, new_id
from hansa.store import Context
from hansa.trust import staff
from hansa.trust.staff_model import NewPasskey, own_staff_policy
from web.conftest import seen_from
from web.little_league import LittleLeague

BASE = "https://console.example"
OWN = {"origin": BASE, "sec-fetch-site": "same-origin", "accept": "text/html"}
Client = TestClient[Any]


class House:
    """A Hansa that is no demonstration, and the browsers of its staff."""

    def __init__(self, ctx: Context, home: Path, stack: ExitStack) -> None:
        self.ctx, self._stack = ctx, stack
        self.clock = FixedClock(ctx.clock.now())
        self._app = seen_from(
            create_app(replace(ctx, clock=self.clock), home=home, demo=False), "203.0.113.9"
        )

    def browser(self) -> Client:
        client = TestClient(self._app, base_url=BASE, raise_server_exceptions=False)
        client.headers.update(OWN)
        client.follow_redirects = False
        return self._stack.enter_context(client)

    def person(self, handle: str, *roles: str, member: str | None = None) -> Client:
        """Somebody who is signed in; as if their passkey had been used, which tests/browser does for real."""
        now = self.clock.now()
        client = self.browser()
        with self.ctx.tx() as tx:
            code = staff.invite_staff(
                tx,
                handle,
                name=handle.title(),
                roles=roles,
                by="operator:root",
                at=now,
                reason="joins us",
                member_id=trust.MemberId(member) if member else None,
            )
            key = NewPasskey(handle.encode().ljust(20, b"."), b"key", 0, (), False)
            one = staff.register_by_code(tx, code, key, name="Laptop", at=now)
            _, passkey = staff.get_passkey(tx, key.credential_id)
            secret = staff.sign_in(tx, one, passkey, sign_count=0, backed_up=False, agent="Test", at=now)
        client.cookies.set("__Host-hansa_staff", secret)
        return client


@pytest.fixture
def house(ctx: Context, home: Path, league: LittleLeague) -> Iterator[House]:
    with ExitStack() as stack:
        yield House(ctx, home, stack)


Acts = Callable[..., list[tuple[str, str, str]]]


@pytest.fixture
def acts(ctx: Context) -> Acts:
    def found(**asked: str) -> list[tuple[str, str, str]]:
        with ctx.tx() as tx:
            return [(act.actor, act.action, act.reason) for act in audit.search(tx, **asked)]  # pyright: ignore[reportArgumentType]

    return found


def test_who_is_not_signed_in_is_shown_the_way_in_and_where_it_leads(house: House) -> None:
    browser = house.browser()

    shown = browser.get("/console/tariffs?x=1")
    sent = browser.post("/console/liquidity/cap", data={})

    assert (shown.status_code, sent.status_code) == (401, 401)
    assert 'name="next" value="/console/tariffs?x=1"' in shown.text


@pytest.mark.parametrize(
    "away", ["//evil.example", "https://evil.example", "/console/\\evil", "/wallet/", "/consolex"]
)
def test_the_way_in_leads_nowhere_else(house: House, away: str) -> None:
    page = house.browser().get("/console/sign-in", params={"next": away}).text

    assert 'name="next" value="/console/"' in page


def test_a_key_of_a_program_opens_no_page(house: House, ctx: Context) -> None:
    with ctx.tx() as tx:
        secret = trust.create_api_key(tx, "league", ["ledger:read"], at=ctx.clock.now())

    answer = house.browser().get("/console/", headers={"authorization": f"Bearer {secret}"})

    assert answer.status_code == 403
    assert 'href="/console/"' in answer.text and 'href="/wallet/"' not in answer.text, (
        "it stays at the console"
    )


def test_each_role_opens_what_the_table_says_and_no_more(house: House) -> None:
    asked = {
        "/console/": {"viewer", "operator", "treasurer", "security", "admin"},
        "/console/riders": {"operator", "security"},
        "/console/staff": {"security", "admin"},
        "/console/audit-trail": {"security", "admin"},
        "/console/disputes": {"operator"},
        "/console/members/apply": {"admin"},
        "/console/shops": {"operator", "admin"},
    }
    people = {role: house.person(role, role) for role in own_staff_policy().roles}

    for path, roles in asked.items():
        opened = {role for role, browser in people.items() if browser.get(path).status_code == 200}
        assert opened == roles, path


def test_every_address_of_the_console_is_in_the_table_and_every_right_is_some_roles(house: House) -> None:
    paths = [route for route in _application(None).routes if route.path.startswith("/console")]
    rights = own_rights()
    held = {right for given in own_staff_policy().roles.values() for right in given}

    for route in paths:
        for method in getattr(route, "methods", set()) - {"OPTIONS", "HEAD"}:
            path = route.path.rstrip("/")
            if not rights.is_open(path):
                assert rights.find_rule(method, path, {}) is not None, (method, path)
    assert {rule.right for rule in (*rights.page, *rights.deed)} <= held


def test_every_page_leads_a_members_staff_where_they_may_go(house: House) -> None:
    browser = house.person("hu", "viewer", "operator", member="hangzhou")
    league = house.person("ada", "admin")

    for path in ("mine", "me", "proposals", "riders", "shops", "recoveries", "members/hangzhou", "disputes"):
        head = browser.get(f"/console/{path}").text.partition("<main")[0]
        assert 'href="/console/mine"' in head and 'href="/console/ledger"' not in head, path
        assert 'href="/console/days"' not in head and 'href="/console/search"' not in head, path
    assert 'href="/console/search"' in league.get("/console/me").text.partition("<main")[0]


def test_a_members_staff_see_what_is_their_members_own(house: House) -> None:
    browser = house.person("hu", "viewer", "operator", member="hangzhou")
    own = [
        "/console/mine",
        "/console/members/hangzhou",
        "/console/members/hangzhou-metro",
        "/console/networks/hangzhou",
        "/console/tariffs/compare?operator=hangzhou-metro",
        "/console/disputes",
        "/console/riders",
    ]
    others = [
        "/console/members/toronto",
        "/console/networks/toronto",
        "/console/ledger",
        "/console/days",
        "/console/tariffs/compare?operator=toronto-ttc",
        "/console/devices",
        "/console/staff",
        "/console/tariffs/compare?operator=hangzhou-metro&operator=toronto-ttc",
    ]

    assert browser.get("/console/").headers["location"] == "/console/mine"
    assert {path: browser.get(path).status_code for path in own} == dict.fromkeys(own, 200)
    assert {path: browser.get(path).status_code for path in others} == dict.fromkeys(others, 403)


def test_a_members_staff_choose_among_their_own_operators_and_write_for_them(
    house: House, acts: Acts
) -> None:
    browser = house.person("hu", "viewer", "operator", member="hangzhou")
    form = {"operator": "hangzhou-metro", "toml": "x = ", "way": "text", "nonce": "1", "base": ""}
    files = {"files": ("", b"")}

    for path in ("/console/tariffs/new", "/console/tariffs/compare"):
        page = browser.get(path).text
        assert 'value="hangzhou-metro"' in page and "toronto" not in page, path
    unsaid = browser.post("/console/tariffs/new", data=form, files=files)
    other = browser.post(
        "/console/tariffs/new", data=form | {"operator": "toronto-ttc", "note": "n"}, files=files
    )
    kept = browser.post("/console/tariffs/new", data=form | {"note": "up by 3 %"}, files=files)
    link = kept.headers["location"]
    pages = [
        house.person(name, "operator", member=name).get(link).status_code for name in ("hangzhou", "toronto")
    ]
    decided = house.person("tom", "operator", member="toronto").post(
        f"{link}/decide", data={"what": "withdraw", "why": "not theirs"}
    )

    assert "Nothing has been done yet" in unsaid.text
    assert (other.status_code, kept.status_code) == (403, 303)
    assert ("staff:hu", "tariff.write", "up by 3 %") in acts(action="tariff")
    assert (pages, decided.status_code) == ([200, 404], 404)


def test_a_members_treasurers_have_a_counter_for_their_own_riders_alone(
    house: House, league: LittleLeague, acts: Acts
) -> None:
    ours, theirs = (house.person(name[:3], "treasurer", member=name) for name in ("hangzhou", "toronto"))
    clerk = house.person("hu", "viewer", "operator", member="hangzhou")
    rider = league.riders["Gao Lan"].account_id
    batch = {
        "batch_id": str(new_id()), "issuer": "hangzhou-card", "value": "20", "currency": "CNY", "count": "3",
        "until": "2027-06-30", "expiry": "keep", "about": "Spring",
    }  # fmt: skip
    cash = {
        "top_up_id": str(new_id()),
        "to": str(rider),
        "amount": "15",
        "currency": "CNY",
        "at_counter": "West",
    }
    counter = "/console/counter"

    def holds() -> list[Money]:
        with house.ctx.tx() as tx:
            return payments.balance_of(tx, rider)

    money = f'<p><a href="{counter}">'
    assert money in ours.get("/console/mine").text and money not in clerk.get("/console/mine").text
    shown = ours.get(counter).text
    assert 'value="hangzhou-card"' in shown and "toronto" not in shown and "/console/ledger" not in shown
    refused = [
        clerk.get(counter), clerk.post(f"{counter}/top-ups", data=cash), clerk.post(f"{counter}/batches", data=batch),
        theirs.post(f"{counter}/top-ups", data=cash), theirs.post(f"{counter}/batches", data=batch),
        ours.post(f"{counter}/batches", data=batch | {"issuer": "toronto-card"}),
        ours.post(f"{counter}/batches", data=batch | {"issuer": "hangzhou-metro"}),
    ]  # fmt: skip
    assert [one.status_code for one in refused] == [403] * 3 + [422] * 4
    assert holds() == [Money(100_00, "CNY")] and "None yet." in ours.get(counter).text

    receipt = ours.post(f"{counter}/top-ups", data=cash).headers["location"]
    assert ours.post(f"{counter}/batches", data=batch).status_code == 200
    own = f"{counter}/batches/{batch['batch_id']}"
    others = [theirs.get(receipt), theirs.get(own), theirs.post(f"{own}/sell", data={"first": "1"})]
    others.append(theirs.post(f"{own}/void", data={"hansa_reason": "mischief"}))
    assert [one.status_code for one in others] == [404] * 4 and own not in theirs.get(counter).text
    assert ours.get(receipt).status_code == ours.get(own).status_code == 200
    assert ours.post(f"{own}/sell", data={"first": "1", "last": "3"}).headers["location"].endswith("sold=1-3")
    assert holds() == [Money(115_00, "CNY")]

    # over the threshold another treasurer of theirs confirms, and nobody of another member
    form = batch | {"batch_id": str(new_id()), "value": "90000", "count": "1", "about": "Lottery"}
    waits = ours.post(f"{counter}/batches", data=form).headers["location"]
    confirm = form | {"hansa_proposal": waits.rpartition("/")[2]}
    refused = [ours.post(f"{counter}/batches", data=confirm), theirs.post(f"{counter}/batches", data=confirm)]
    assert [one.status_code for one in refused] == [409, 404] and "Lottery" not in ours.get(counter).text
    second = house.person("second", "treasurer", member="hangzhou")
    assert second.post(f"{counter}/batches", data=confirm).status_code == 200
    assert "Lottery" in ours.get(counter).text
    made = acts(action="counter.make-vouchers")
    assert ("staff:second", "counter.make-vouchers", "Lottery") in made
    assert ("staff:han", "counter.make-vouchers", "Spring") in made


def test_keys_of_programs_are_ended_by_the_league_and_by_their_own_member(house: House, acts: Acts) -> None:
    league, ours, theirs = (
        house.person("ada", "admin"),
        house.person("han", "admin", member="hangzhou"),
        house.person("tor", "admin", member="toronto"),
    )
    with house.ctx.tx() as tx:
        secrets = [trust.create_api_key(tx, "hangzhou-card", ["cards:write"]) for _ in range(2)]
        first, second = (trust.caller_of_key(tx, one).key_id or "" for one in secrets)
    page, end = "/console/members/hangzhou-card", "/console/members/hangzhou-card/keys"

    def alive() -> list[bool]:
        with house.ctx.tx() as tx:
            return [one.ended_at is None for one in reversed(trust.list_api_keys(tx, "hangzhou-card"))]

    said = {"key_id": first, "why": "it was in a log"}
    assert theirs.get(page).status_code == theirs.post(end, data=said).status_code == 403
    operator = house.person("op", "viewer", "operator")
    assert first in operator.get(page).text and operator.post(end, data=said).status_code == 403
    assert ours.post(end, data=said | {"key_id": "0" * 16}).status_code == 404
    assert "Nothing has been done yet" in ours.post(end, data=said | {"why": ""}).text and all(alive())
    assert ours.post(end, data=said).status_code == 303
    assert league.post(end, data={"key_id": second, "why": "asked to"}).status_code == 303
    assert not any(alive())
    assert {("staff:han", "key.end", "it was in a log"), ("staff:ada", "key.end", "asked to")} <= set(
        acts(action="key")
    )


def test_a_deed_is_kept_before_it_is_tried_and_with_what_became_of_it(house: House, acts: Acts) -> None:
    browser = house.person("ada", "admin")
    sent = browser.post(
        "/console/members/toronto/decide", data={"what": "suspend", "why": "late with its reserve"}
    )
    browser.post("/console/members/toronto/decide", data={"what": "leave", "day": "soon", "why": "again"})

    assert sent.status_code == 303
    assert acts(action="member") == [
        ("staff:ada", "member.decide", "again"),
        ("staff:ada", "member.decide", "late with its reserve"),
    ]
    with house.ctx.tx() as tx:
        outcomes = [act.details["done"] for act in audit.search(tx, action="console.outcome")]
    assert outcomes == [False, True]


def test_a_deed_without_a_reason_is_asked_for_one_and_nothing_is_done(house: House, acts: Acts) -> None:
    browser = house.person("ada", "treasurer")
    form = {"member": "toronto", "currency": "CAD"}

    asked = browser.post("/console/liquidity/open", data=form)
    done = browser.post("/console/liquidity/open", data=form | {"hansa_reason": "it joins the house"})

    assert asked.status_code == 200
    assert "Nothing has been done yet" in asked.text and 'name="hansa_reason"' in asked.text
    assert 'name="member" value="toronto"' in asked.text
    assert done.status_code == 303
    assert acts(action="liquidity") == [("staff:ada", "liquidity.open", "it joins the house")]


@pytest.mark.parametrize(
    "kind", ["multipart/form-data; boundary=x", "Application/X-WWW-Form-URLencoded", "text/plain"]
)
def test_a_form_sent_another_way_is_asked_for_the_same(house: House, acts: Acts, kind: str) -> None:
    """Pages read forms of files too, and whatever the letters of their kind; a reason is asked for in each way."""
    browser = house.person("ada", "treasurer")
    fields = {"member": "toronto", "currency": "CAD"}
    parts = "".join(
        f'--x\r\nContent-Disposition: form-data; name="{k}"\r\n\r\n{v}\r\n' for k, v in fields.items()
    )
    body = f"{parts}--x--\r\n" if kind.startswith("multi") else urlencode(fields)

    asked = browser.post("/console/liquidity/open", content=body, headers={"content-type": kind})

    assert "Nothing has been done yet" in asked.text
    assert acts(action="liquidity") == []


def test_what_is_marked_fresh_asks_for_the_passkey_again(house: House, acts: Acts) -> None:
    browser = house.person("ada", "admin")
    house.clock.at += timedelta(minutes=6)

    asked = browser.post("/console/members/toronto/decide", data={"what": "suspend", "why": "late"})
    forged = browser.post(
        "/console/members/toronto/decide", data={"what": "suspend", "why": "late", "credential": "{}"}
    )

    assert (asked.status_code, 'data-options="/console/confirm/options"' in asked.text) == (200, True)
    assert browser.post("/console/confirm/options").status_code == 200
    assert forged.status_code == 422
    assert acts(action="member") == []


def test_over_the_threshold_a_second_person_confirms_the_very_same_form(house: House, acts: Acts) -> None:
    ada, bo, cy = (house.person(name, "treasurer") for name in ("ada", "bo", "cy"))
    ada.post(
        "/console/liquidity/open", data={"member": "toronto", "currency": "CAD", "hansa_reason": "joins"}
    )
    form = {
        "id": "0191d9f0-0000-7000-8000-000000000001",
        "whose": "toronto|CAD",
        "cap": "15000.01",
    }
    form |= {"hansa_reason": "winter"}

    small = ada.post("/console/liquidity/cap", data=form | {"cap": "15000"})
    proposed = ada.post("/console/liquidity/cap", data=form)
    shown = ada.get(proposed.headers["location"])
    proposal = proposed.headers["location"].rpartition("/")[2]
    by_oneself = ada.post("/console/liquidity/cap", data=form | {"hansa_proposal": proposal})
    changed = bo.post("/console/liquidity/cap", data=form | {"hansa_proposal": proposal, "cap": "99999999"})
    elsewhere = bo.post("/console/liquidity/open", data=form | {"hansa_proposal": proposal})
    confirmed = bo.post("/console/liquidity/cap", data=form | {"hansa_proposal": proposal})
    again = cy.post("/console/liquidity/cap", data=form | {"hansa_proposal": proposal})
    twice = ada.post(
        "/console/liquidity/cap",
        content=urlencode(form | {"cap": "1"}) + "&cap=99999999",
        headers={"content-type": "application/x-www-form-urlencoded"},
    )

    assert not small.headers.get("location", "").startswith("/console/proposals")
    assert "somebody else confirms it" in shown.text
    assert proposed.headers["location"].startswith("/console/proposals/")
    assert [one.status_code for one in (by_oneself, changed, elsewhere, again, twice)] == [
        409,
        404,
        404,
        404,
        422,
    ]
    assert confirmed.status_code in (200, 303, 422, 409, 404) and not confirmed.headers.get(
        "location", ""
    ).startswith("/console/pro")
    assert ("staff:bo", "proposal.confirm", "winter") in acts(action="proposal")


@pytest.mark.parametrize(
    ("fields", "needs"),
    [
        ({"value": "50", "count": "200", "currency": "EUR"}, False),
        ({"value": "50", "count": "201", "currency": "EUR"}, True),
        ({"value": "10000,01", "count": " 1 ", "currency": "eur"}, True),
        ({"value": "1600001", "count": "1", "currency": "JPY"}, True),
        ({"value": "1", "count": "1", "currency": "XAU"}, True),
        ({"value": "1", "count": "1"}, True),
        ({"value": "soon", "count": "1", "currency": "EUR"}, False),
        ({"value": "99999", "count": "many", "currency": "EUR"}, False),
        ({"value": "", "count": "1"}, False),
        ({}, False),
    ],
)
def test_thresholds_are_whole_units_by_currency(fields: dict[str, str], needs: bool) -> None:
    rule = own_rights().find_rule("POST", "/console/counter/batches", fields)
    assert rule is not None and isinstance(rule.two, Two)

    assert rule.needs_two(fields) is needs


def test_the_currency_of_a_threshold_is_the_one_that_is_booked(house: House, acts: Acts) -> None:
    """A field that the page does not read changes nothing: 100,000 yen are a little, 100,000 dollars are not."""
    browser = house.person("ada", "treasurer")
    form = {"id": "0191d9f0-0000-7000-8000-000000000002", "whose": "toronto|CAD", "cap": "100000"}

    sent = browser.post("/console/liquidity/cap", data=form | {"currency": "JPY", "hansa_reason": "winter"})

    assert sent.headers["location"].startswith("/console/proposals/")


@pytest.mark.parametrize(
    ("path", "form"),
    [
        ("/console/counter/top-ups", {"to": "x", "amount": "8000.01", "currency": "CNY"}),
        ("/console/counter/batches", {"value": "100", "count": "801", "currency": "CNY", "about": "spring"}),
    ],
)
def test_money_made_at_a_counter_over_the_threshold_needs_a_reason_and_two(
    house: House, acts: Acts, path: str, form: dict[str, str]
) -> None:
    browser = house.person("ada", "treasurer")

    asked = browser.post(path, data=form)
    proposed = browser.post(path, data=form | {"hansa_reason": "sold to a school"})

    assert "about" in form or "Nothing has been done yet" in asked.text
    assert proposed.headers["location"].startswith("/console/proposals/")
    assert acts(action="counter") == []


def test_who_parts_an_amount_to_stay_under_the_threshold_needs_two_as_well(house: House, acts: Acts) -> None:
    ada, bo = (house.person(name, "treasurer") for name in ("ada", "bo"))
    form = {"to": "x", "amount": "8000", "currency": "CNY"}

    alone = [ada.post("/console/counter/top-ups", data=form).status_code for _ in range(10)]
    asked = ada.post("/console/counter/top-ups", data=form)
    proposed = ada.post("/console/counter/top-ups", data=form | {"hansa_reason": "market day"})
    proposal = proposed.headers["location"].rpartition("/")[2]
    reason = {"hansa_reason": "market day"}
    by_oneself = ada.post("/console/counter/top-ups", data=form | reason | {"hansa_proposal": proposal})
    confirmed = bo.post("/console/counter/top-ups", data=form | reason | {"hansa_proposal": proposal})
    others = bo.post("/console/counter/top-ups", data=form)
    in_euro = ada.post("/console/counter/top-ups", data=form | {"amount": "10", "currency": "EUR"})

    assert alone == [422] * 10  # nobody is "x"; it counted, and nothing stood before the page
    assert "Nothing has been done yet" in asked.text
    assert proposed.headers["location"].startswith("/console/proposals/")
    assert by_oneself.status_code == 409
    assert (confirmed.status_code, others.status_code, in_euro.status_code) == (422, 422, 422)
    assert len(acts(action="counter.take-money")) == 13


def test_reading_somebodys_data_is_kept(house: House, league: LittleLeague, acts: Acts) -> None:
    browser = house.person("ada", "operator")
    account_id = league.riders["Gao Lan"].account_id
    theirs = f"/console/riders/{account_id}"

    before = browser.get(theirs).text
    sent = browser.post("/console/riders/look", data={"text": str(account_id), "reason": "asks for a refund"})
    shown = browser.get(theirs).text
    house.clock.at += timedelta(minutes=14)
    browser.get("/console/")
    house.clock.at += timedelta(minutes=2)
    after = browser.get(theirs).text

    assert "Gao Lan" not in before and "Gao Lan" not in after and "Say why" in after
    assert (sent.status_code, sent.headers["location"]) == (303, theirs)
    assert "Gao Lan" in shown and "You look because: asks for a refund" in shown
    assert acts(subject=theirs) == [("staff:ada", "person.read", "asks for a refund")] * 2


def test_a_riders_wallet_in_the_books_is_read_for_a_reason_and_told(
    house: House, ctx: Context, league: LittleLeague
) -> None:
    rider = league.riders["Gao Lan"]
    wallet = f"/console/ledger/accounts/{payments.wallet_id(rider.account_id, 'CNY')}"
    viewer, operator = house.person("vi", "viewer"), house.person("ada", "operator")

    unsaid = [browser.get(wallet).text for browser in (viewer, operator)]
    operator.post(
        "/console/riders/look", data={"text": str(rider.account_id), "reason": "a top-up is missing"}
    )
    shown = operator.get(wallet).text

    assert all("Say why" in text and "Gao" not in text and "100.00" not in text for text in unsaid)
    assert "Wallet of Gao L." in shown and "100.00" in shown
    assert "Say why" in viewer.get(wallet).text, "each says so themselves"
    with ctx.tx() as tx:
        read = identity.list_accesses(tx, rider.account_id)
    assert {(one.reader, one.part, one.why) for one in read} == {
        ("staff:ada", "everything", "a top-up is missing"),
        ("staff:ada", "wallet", "a top-up is missing"),
    }


def test_riders_are_listed_once_somebody_searches_and_read_that_they_were_found(
    house: House, ctx: Context, league: LittleLeague
) -> None:
    browser = house.person("ada", "operator")
    gao, emily = (league.riders[name].account_id for name in ("Gao Lan", "Emily Tremblay"))

    assert "Gao Lan" not in browser.get("/console/riders").text
    assert "Gao Lan" in browser.get("/console/riders?q=gao").text

    with ctx.tx() as tx:
        assert [one.part for one in identity.list_accesses(tx, gao)] == ["profile"]
        assert identity.list_accesses(tx, emily) == []


def test_an_idle_browser_is_out_after_a_quarter_of_an_hour(house: House) -> None:
    browser = house.person("ada", "viewer")
    house.clock.at += timedelta(minutes=14)
    still = browser.get("/console/")
    house.clock.at += timedelta(minutes=16)

    assert (still.status_code, browser.get("/console/").status_code) == (200, 401)


@pytest.mark.parametrize("part", ["/console/live", "/console/devices/live"])
def test_a_part_of_a_page_that_renews_itself_is_no_use(house: House, part: str) -> None:
    browser = house.person("ada", "viewer")
    told: list[int] = []
    for _ in range(4):
        house.clock.at += timedelta(minutes=5)
        told.append(browser.get(part).status_code)

    assert 401 not in told[:3] and told[3] == 401


def test_signing_out_ends_the_sign_in_and_clears_the_browser(house: House) -> None:
    browser = house.person("ada", "viewer")
    secret = browser.cookies["__Host-hansa_staff"]

    out = browser.post("/console/sign-out")
    browser.cookies.set("__Host-hansa_staff", secret)

    assert out.headers["clear-site-data"] == '"cache", "cookies", "storage"'
    assert browser.get("/console/").status_code == 401


def test_staff_are_invited_changed_and_ended_at_the_console(house: House, acts: Acts) -> None:
    browser = house.person("ada", "admin")
    body = [
        ("name", "Bo"),
        ("handle", "bo"),
        ("roles", "viewer"),
        ("roles", "operator"),
        ("reason", "new colleague"),
    ]

    invited = browser.post(
        "/console/staff",
        content=urlencode(body),
        headers={"content-type": "application/x-www-form-urlencoded"},
    )
    unfit = browser.post("/console/staff", data={"name": "", "handle": "X Y", "reason": "new"})
    changed = browser.post(
        "/console/staff/bo", data={"what": "roles", "roles": "security", "reason": "moves"}
    )
    ended = browser.post("/console/staff/bo", data={"what": "end", "reason": "left"})
    own = browser.post("/console/staff/ada", data={"what": "roles", "roles": "viewer", "reason": "why not"})

    assert "Invitation for Bo" in invited.text
    assert (unfit.status_code, "handle" in unfit.text) == (422, True)
    assert [one.status_code for one in (changed, ended, own)] == [303, 303, 409]
    assert acts(subject="staff:bo")[:2] == [
        ("staff:ada", "staff.end", "left"),
        ("staff:ada", "staff.set-roles", "moves"),
    ]
    assert "Bo" in browser.get("/console/staff").text


def test_the_audit_record_is_searched_and_checked_at_the_console(house: House) -> None:
    browser = house.person("sy", "security")
    audit.seal(house.ctx)

    page = browser.get("/console/audit-trail?q=joins&check=true").text
    with house.ctx.tx() as tx:
        act = audit.search(tx, action="staff.invite")[0]
    one = browser.get(f"/console/audit-trail/{act.act_id}").text

    assert "staff.invite" in page and "Whole:" in page
    assert "joins us" in one and act.hash is not None and act.hash.hex() in one


def test_a_table_that_does_not_fit_is_refused() -> None:
    with pytest.raises(InvalidInput, match=r"console_rights\.toml"):
        read_rights("open = []\n[[page]]\npath = '/x'\n")
