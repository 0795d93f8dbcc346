"""Phones over HTTP: connected by proof, given tokens by policy, and refused everywhere soon after they are lost."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from litestar.testing import TestClient

from hansa import codes, gate, identity, rides, trust
from hansa.apps.web import create_app
from hansa.kernel import FixedClock
from hansa.risk.doors import LEAGUE_HANDS
from hansa.store import Context
from web.conftest import HERE, seen_from
from web.little_league import WAY_IN, LittleLeague
from web.web_phone import WebPhone

Client = TestClient[Any]
HOUR = timedelta(hours=1)


@pytest.fixture
def phone(ctx: Context, client: Client, league: LittleLeague) -> WebPhone:
    """A phone in Gao Lan's hands, signed in and not connected."""
    phone = WebPhone(ctx, client)
    phone.sign_in(league.riders["Gao Lan"])
    return phone


@pytest.fixture
def tablet(ctx: Context, home: Path, league: LittleLeague) -> Iterator[WebPhone]:
    """Another browser in Gao Lan's hands."""
    app = create_app(ctx, home=home, demo=True)
    with TestClient(seen_from(app, "127.0.0.1"), base_url=HERE, raise_server_exceptions=False) as client:
        tablet = WebPhone(ctx, client)
        tablet.sign_in(league.riders["Gao Lan"])
        yield tablet


def pass_time(ctx: Context, time: timedelta) -> None:
    assert isinstance(ctx.clock, FixedClock)
    ctx.clock.at += time


def kept(ctx: Context) -> list[object]:
    """Phones, standings, tokens and deny list as they are."""
    with ctx.tx() as tx:
        return [
            tx.execute("select * from identity.phones order by 1").fetchall(),
            tx.execute("select * from identity.standings order by 1, 2").fetchall(),
            tx.execute("select * from rides.tokens order by 1").fetchall(),
            tx.execute("select * from trust.revoked_tokens order by 1").fetchall(),
            tx.execute(
                "select secret_hash, phone_id, expires_at from identity.sessions order by 1"
            ).fetchall(),
        ]


def set_standing(ctx: Context, league: LittleLeague, level: identity.Level) -> None:
    with ctx.tx() as tx:
        account_id = league.riders["Gao Lan"].account_id
        identity.set_standing(tx, account_id, level=level, reason="a test", at=ctx.clock.now())


def the_gate(ctx: Context, home: Path) -> gate.Gate:
    """A gate with the league's lists; its list key is on the trust list."""
    with ctx.tx() as tx:
        keys = trust.KeyFolder(home / "keys")
        trust.set_list_key(tx, keys.lists().public_key().public_bytes_raw(), ctx.clock.now())
        trust_list = trust.current_trust_list(tx, at=ctx.clock.now())
    identity_ = gate.GateIdentity(WAY_IN, "hangzhou-metro", "hangzhou/xianghu", "entry", "metro", bytes(3))
    return gate.Gate(identity_, trust_list, tokens=codes.TokenCache())


def poll(ctx: Context, client: Client, device: gate.Gate, home: Path) -> None:
    """What a gate does every half minute: fetch the signed deny list, check it, use it."""
    public = trust.KeyFolder(home / "keys").lists().public_key()
    update = codes.read_deny_update(client.get("/v1/deny-list.cose").content, public)
    denied = frozenset(cti for cti, _ in update.tokens())
    device.use_deny_list(gate.DenyList(update.version, denied, update.issued_at))


# -- connecting and tokens ----------------------------------------------------------------------------------


def test_a_phone_is_connected_gets_tokens_and_opens_a_gate(ctx: Context, phone: WebPhone, home: Path) -> None:
    connected = phone.connect().json()
    given = phone.ask().json()

    assert connected["phone"]["name"] == "Anna's phone" and connected["phone"]["status"] == "active"
    assert len(given["tokens"]) == 4 and given["drop"] == [] and given["standing"]["level"] == "clear"
    decision = the_gate(ctx, home).decide(phone.show(), ctx.clock.now())
    assert decision.reason == "ok" and decision.tap is not None


def test_tokens_ahead_open_gates_for_days_without_network(ctx: Context, phone: WebPhone, home: Path) -> None:
    phone.connect()
    phone.ask()
    device = the_gate(ctx, home)
    start = ctx.clock.now()

    for hours in range(0, 95, 1):
        at = start + hours * HOUR
        phone.counter += 1
        assert device.decide(phone.show(at=at), at).reason == "ok", hours

    last = start + timedelta(hours=96)
    assert device.decide(phone.show(at=last), last).reason == "token_expired"


def test_a_token_of_tomorrow_opens_nothing_today(ctx: Context, phone: WebPhone, home: Path) -> None:
    phone.connect()
    phone.ask()
    phone.tokens = phone.tokens[1:2]
    begins_at = datetime.fromisoformat(phone.tokens[0]["begins_at"])
    phone.tokens[0]["begins_at"] = ctx.clock.now().isoformat()

    device = the_gate(ctx, home)

    assert device.decide(phone.show(), ctx.clock.now()).reason == "token_not_yet_valid"
    assert device.decide(phone.show(at=begins_at), begins_at).reason == "ok"


def test_asking_again_gives_only_what_is_lacking(ctx: Context, phone: WebPhone) -> None:
    phone.connect()
    first = phone.ask().json()
    before = kept(ctx)

    assert phone.ask().json()["tokens"] == [] and kept(ctx)[2:4] == before[2:4]
    assert phone.client.get("/v1/me/phones").json()["phones"][0]["live_tokens"] == 4
    pass_time(ctx, datetime.fromisoformat(first["ask_again_at"]) - ctx.clock.now())
    assert len(phone.ask().json()["tokens"]) == 1


def test_a_phone_that_lost_its_tokens_gets_new_ones_and_the_old_ones_end(
    ctx: Context, phone: WebPhone, home: Path
) -> None:
    phone.connect()
    phone.ask()
    lost = phone.show()

    given = phone.ask(hold=()).json()

    assert len(given["tokens"]) == 4
    device = the_gate(ctx, home)
    poll(ctx, phone.client, device, home)
    assert device.decide(lost, ctx.clock.now()).reason == "revoked"
    phone.tokens = given["tokens"]
    assert device.decide(phone.show(), ctx.clock.now()).reason == "ok"


def test_nobody_makes_the_deny_list_long(ctx: Context, phone: WebPhone) -> None:
    phone.connect()
    times = rides.own_token_policy().ended_max // 4 + 1
    answers = [phone.ask(hold=()) for _ in range(times)]
    before = kept(ctx)

    refused = phone.ask(hold=())

    assert [one.status_code for one in answers] == [200] * times
    assert (refused.status_code, refused.json()["code"]) == (409, "rides.too_many_tokens")
    assert kept(ctx) == before
    pass_time(ctx, timedelta(days=4))
    assert phone.ask(hold=()).status_code == 200


def test_a_class_gets_the_companions_of_its_rule(ctx: Context, client: Client, league: LittleLeague) -> None:
    given: dict[str, set[int]] = {}
    for name in ("Gao Lan", "Qian Qing", "Omar Singh"):
        phone = WebPhone(ctx, client)
        phone.sign_in(league.riders[name])
        phone.connect()
        given[name] = {one["companions"] for one in phone.ask().json()["tokens"]}

    assert given == {"Gao Lan": {15}, "Qian Qing": {0}, "Omar Singh": {5}}


# -- refusals -----------------------------------------------------------------------------------------------


def test_a_stolen_sign_in_gets_no_token_for_another_key(ctx: Context, phone: WebPhone) -> None:
    phone.connect()
    phone.ask()
    thief = WebPhone(ctx, phone.client, phone_id=phone.phone_id)
    before = kept(ctx)

    refused = thief.ask()

    assert (refused.status_code, refused.json()["code"]) == (422, "identity.proof_refused")
    assert refused.json()["violations"][0]["param"] == "DPoP jwk" and kept(ctx) == before
    for minutes in (0, 16):
        pass_time(ctx, timedelta(minutes=minutes))
        own = WebPhone(ctx, phone.client).connect()
        assert (own.status_code, own.json()["code"]) == (409, "identity.sign_in_anew")
    assert kept(ctx) == before


def test_a_request_that_was_overheard_is_good_once(ctx: Context, phone: WebPhone) -> None:
    phone.connect()
    path = f"/v1/me/phones/{phone.phone_id}/tokens"
    headers = phone.proof("POST", path)
    first = phone.client.post(path, json={"hold": []}, headers=headers)
    before = kept(ctx)

    again = phone.client.post(path, json={"hold": []}, headers=headers)

    assert first.status_code == 200
    assert (again.status_code, again.json()["code"]) == (409, "identity.nonce_refused")
    assert kept(ctx) == before


@pytest.mark.parametrize(
    ("changed", "where"),
    [
        ({"htu": "http://127.0.0.1/v1/me/phones"}, "DPoP htu"),
        ({"htu": "http://evil.example/v1/me/phones"}, "DPoP htu"),
        ({"htm": "PUT"}, "DPoP htm"),
        ({"iat": 1}, "DPoP iat"),
        ({"nonce": None}, "DPoP payload"),
    ],
)
def test_a_proof_of_something_else_gets_no_token(
    ctx: Context, phone: WebPhone, changed: dict[str, Any], where: str
) -> None:
    phone.connect()
    path = f"/v1/me/phones/{phone.phone_id}/tokens"
    headers = phone.proof("POST", path, **changed)
    before = kept(ctx)

    refused = phone.client.post(path, json={"hold": []}, headers=headers)

    assert (refused.status_code, refused.json()["code"]) == (422, "identity.proof_refused")
    assert refused.json()["violations"][0]["param"] == where and kept(ctx) == before


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/me/nonces"),
        ("GET", "/v1/me/phones"),
        ("POST", "/v1/me/phones"),
        ("PATCH", f"/v1/me/phones/{uuid4()}"),
        ("DELETE", f"/v1/me/phones/{uuid4()}"),
        ("POST", f"/v1/me/phones/{uuid4()}/lost"),
        ("POST", f"/v1/me/phones/{uuid4()}/tokens"),
    ],
)
def test_nobody_speaks_for_phones_without_a_sign_in(stranger: Client, method: str, path: str) -> None:
    body = {} if path.endswith("tokens") else {"name": "phone"}

    answer = stranger.request(method, path, json=body, headers={"DPoP": "x"})

    assert (answer.status_code, answer.json()["code"]) == (401, "trust.not_signed_in")


def test_another_riders_phone_is_not_there(
    ctx: Context, phone: WebPhone, client: Client, league: LittleLeague
) -> None:
    phone.connect()
    phone.ask()
    other = WebPhone(ctx, client, key=phone.key, phone_id=phone.phone_id)
    other.sign_in(league.riders["Qian Qing"])
    before = kept(ctx)

    answers = [
        other.ask(),
        client.post(f"/v1/me/phones/{phone.phone_id}/lost"),
        client.delete(f"/v1/me/phones/{phone.phone_id}"),
        client.patch(f"/v1/me/phones/{phone.phone_id}", json={"name": "mine"}),
    ]

    assert {(one.status_code, one.json()["code"]) for one in answers} == {(404, "identity.unknown_phone")}
    assert kept(ctx) == before


@pytest.mark.parametrize(
    "body",
    [{"hold": ["xyz"]}, {"hold": ["0" * 16] * 65}, {"hold": "0" * 16}, {"holds": []}, {"hold": ["0" * 18]}],
)
def test_what_does_not_fit_is_refused(ctx: Context, phone: WebPhone, body: dict[str, Any]) -> None:
    phone.connect()
    path = f"/v1/me/phones/{phone.phone_id}/tokens"
    headers = phone.proof("POST", path)
    before = kept(ctx)

    answer = phone.client.post(path, json=body, headers=headers)

    assert answer.status_code in (400, 422) and kept(ctx) == before


def test_an_issuer_without_a_key_in_force_gives_none(ctx: Context, phone: WebPhone, home: Path) -> None:
    phone.connect()
    with ctx.tx() as tx:
        for key in trust.current_trust_list(tx).keys:
            trust.set_key_status(tx, key.kid, "retired", ctx.clock.now())
    before = kept(ctx)

    refused = phone.ask()

    assert (refused.status_code, refused.json()["code"]) == (409, "rides.no_issuer_key")
    assert kept(ctx) == before


# -- standings ----------------------------------------------------------------------------------------------


def test_a_step_up_gives_one_short_token_until_it_is_answered(
    ctx: Context, phone: WebPhone, tablet: WebPhone, league: LittleLeague, home: Path
) -> None:
    phone.connect()
    phone.ask()
    pass_time(ctx, HOUR)
    set_standing(ctx, league, "step_up")
    old_code = phone.show()

    (token,) = phone.ask().json()["tokens"]

    assert (token["offline_cap"], token["companions"]) == (1, 0)
    assert [one["cti"] for one in phone.tokens] == [token["cti"]]
    life = datetime.fromisoformat(token["expires_at"]) - ctx.clock.now()
    assert life < timedelta(hours=12)
    device = the_gate(ctx, home)
    poll(ctx, phone.client, device, home)
    assert device.decide(old_code, ctx.clock.now()).reason == "revoked"
    assert device.decide(phone.show(), ctx.clock.now()).reason == "ok"

    pass_time(ctx, HOUR)
    anew = WebPhone(ctx, phone.client)
    anew.sign_in(league.riders["Gao Lan"])
    connected = anew.connect("Anna's phone, again").json()

    assert connected["step_up_cleared"] and connected["replaced"] == [phone.phone_id]
    assert len(anew.ask().json()["tokens"]) == 4
    poll(ctx, anew.client, device, home)
    assert device.decide(phone.show(), ctx.clock.now()).reason == "revoked"
    assert device.decide(anew.show(), ctx.clock.now()).reason == "ok"


def test_a_blocked_account_gets_nothing_and_is_told_what_to_do(
    ctx: Context, phone: WebPhone, league: LittleLeague
) -> None:
    phone.connect()
    set_standing(ctx, league, "blocked")
    before = kept(ctx)

    for refused in (phone.ask(), WebPhone(ctx, phone.client).connect()):
        assert (refused.status_code, refused.json()["code"]) == (409, "identity.account_blocked")
        assert "issuer" in refused.json()["detail"]
    assert kept(ctx) == before
    assert phone.client.get("/v1/me/phones").json()["standing"]["level"] == "blocked"


def test_risk_rotates_steps_up_and_takes_it_back_through_its_doors(
    ctx: Context, phone: WebPhone, league: LittleLeague
) -> None:
    phone.connect()
    phone.ask()
    account, case, other = league.riders["Gao Lan"].account_id, uuid4(), uuid4()
    at = ctx.clock.now()

    with ctx.tx() as tx:
        assert LEAGUE_HANDS.rotate(tx, account, at=at, reason="risk: two_phones") == 4
        asked = LEAGUE_HANDS.raise_standing(
            tx, account, level="step_up", reason="two phones", at=at, case_id=case
        )
        less = LEAGUE_HANDS.raise_standing(tx, account, level="step_up", reason="again", at=at, case_id=other)
        standing = identity.standing_of(tx, account)
    assert (asked, less) == (True, False)
    assert (standing.level, standing.case_id) == ("step_up", case)
    assert len(phone.ask().json()["tokens"]) == 1

    with ctx.tx() as tx:
        assert not LEAGUE_HANDS.clear_standing(tx, account, reason="not this", at=at, case_id=other)
        assert LEAGUE_HANDS.clear_standing(tx, account, reason="a mistake", at=at, case_id=case)
    pass_time(ctx, timedelta(minutes=1))
    assert phone.client.get("/v1/me/phones").json()["standing"]["level"] == "clear"
    assert len(phone.ask().json()["tokens"]) == 3  # the short one goes on, what lacked comes beside it


# -- lost ---------------------------------------------------------------------------------------------------


def test_a_lost_phone_opens_no_online_gate_once_it_has_polled(
    ctx: Context, phone: WebPhone, tablet: WebPhone, home: Path
) -> None:
    phone.connect()
    phone.ask()
    device = the_gate(ctx, home)
    poll(ctx, phone.client, device, home)
    assert device.decide(phone.show(), ctx.clock.now()).reason == "ok"

    gone = tablet.client.post(f"/v1/me/phones/{phone.phone_id}/lost").json()

    assert gone["tokens_ended"] == 4 and gone["phone"]["status"] == "lost"
    pass_time(ctx, timedelta(seconds=30))  # the gate's next poll: half of the minute that may pass
    poll(ctx, tablet.client, device, home)
    assert device.decide(phone.show(), ctx.clock.now()).reason == "revoked"
    for day in (1, 2, 3):
        at = ctx.clock.now() + timedelta(days=day)
        assert device.decide(phone.show(at=at), at).reason == "revoked"
    assert phone.client.post("/v1/me/nonces").status_code == 401  # whoever has it is signed out
    assert tablet.client.get("/v1/me/phones").json()["phones"][0]["status"] == "lost"


def test_reporting_it_again_is_harmless(ctx: Context, phone: WebPhone, tablet: WebPhone) -> None:
    phone.connect()
    phone.ask()
    tablet.client.post(f"/v1/me/phones/{phone.phone_id}/lost")
    before = kept(ctx)

    again = tablet.client.post(f"/v1/me/phones/{phone.phone_id}/lost").json()
    removed = tablet.client.delete(f"/v1/me/phones/{phone.phone_id}").json()

    assert again["tokens_ended"] == removed["tokens_ended"] == 0
    assert kept(ctx) == before


def test_a_lost_phone_gets_no_tokens_even_with_a_sign_in(
    ctx: Context, phone: WebPhone, tablet: WebPhone, league: LittleLeague
) -> None:
    phone.connect()
    tablet.client.post(f"/v1/me/phones/{phone.phone_id}/lost")
    phone.sign_in(league.riders["Gao Lan"])
    before = kept(ctx)

    refused = phone.ask()

    assert (refused.status_code, refused.json()["code"]) == (409, "identity.phone_ended")
    assert "lost" in refused.json()["detail"] and kept(ctx) == before


def test_other_phones_of_the_account_go_on(
    ctx: Context, phone: WebPhone, tablet: WebPhone, home: Path
) -> None:
    for one in (phone, tablet):
        one.connect()
        one.ask()

    tablet.client.post(f"/v1/me/phones/{phone.phone_id}/lost")

    device = the_gate(ctx, home)
    poll(ctx, tablet.client, device, home)
    assert device.decide(tablet.show(), ctx.clock.now()).reason == "ok"


def test_tokens_of_an_account_end_together(
    ctx: Context, phone: WebPhone, tablet: WebPhone, league: LittleLeague
) -> None:
    account = league.riders["Gao Lan"].account_id
    for one in (phone, tablet):
        one.connect()
        one.ask()
    at = ctx.clock.now()

    with ctx.tx() as tx:
        ended = rides.end_tokens(tx, account_id=account, at=at, reason="rotate")
        again = rides.end_tokens(tx, account_id=account, at=at, reason="rotate")
        _, denied = trust.current_deny_list(tx, at=at)

    assert (ended, again, len(denied)) == (8, 0, 8)
    live = [one["live_tokens"] for one in phone.client.get("/v1/me/phones").json()["phones"]]
    assert live == [0, 0]  # by which each phone sees that it must ask
    assert len(phone.ask().json()["tokens"]) == 4  # rotation: the phone gets new ones at its next contact


def test_a_phone_gets_another_name(phone: WebPhone) -> None:
    phone.connect()

    named = phone.client.patch(f"/v1/me/phones/{phone.phone_id}", json={"name": "The old one"}).json()

    assert named["name"] == "The old one"
    bad = phone.client.patch(f"/v1/me/phones/{phone.phone_id}", json={"name": "\u200b"})
    assert (bad.status_code, bad.json()["violations"][0]["param"]) == (422, "name")
    assert phone.client.get("/v1/me/phones").json()["phones"][0]["name"] == "The old one"


# -- the wallet's pages -------------------------------------------------------------------------------------


def test_the_page_of_phones_tells_them_apart_and_reports_one_lost(
    ctx: Context, phone: WebPhone, tablet: WebPhone, home: Path
) -> None:
    phone.connect("Gao’s old phone")
    phone.ask()
    tablet.connect("Tablet <b>")
    device = the_gate(ctx, home)

    page = tablet.client.get("/wallet/phones").text
    assert "Gao’s old phone" in page and "Tablet &lt;b&gt;" in page and page.count("this phone</span>") == 1
    after = tablet.client.post(f"/wallet/phones/{phone.phone_id}/lost").text

    assert "refuse its codes within a minute" in after and ">lost</span>" in after
    poll(ctx, tablet.client, device, home)
    assert device.decide(phone.show(), ctx.clock.now()).reason == "revoked"


def test_a_phone_is_renamed_and_removed_on_its_page(phone: WebPhone, tablet: WebPhone) -> None:
    phone.connect()
    phone.ask()

    renamed = phone.client.post(f"/wallet/phones/{phone.phone_id}/name", data={"name": "The red one"}).text
    removed = tablet.client.post(f"/wallet/phones/{phone.phone_id}/removed").text

    assert "The red one" in renamed and "has its new name" in renamed
    assert "The phone was removed" in removed and ">removed</span>" in removed


@pytest.mark.parametrize("what", ["lost", "removed", "name"])
def test_pages_end_and_rename_nobody_elses_phone(
    ctx: Context, phone: WebPhone, client: Client, league: LittleLeague, what: str
) -> None:
    phone.connect()
    phone.ask()
    phone.sign_in(league.riders["Qian Qing"])
    before = kept(ctx)

    answer = client.post(f"/wallet/phones/{phone.phone_id}/{what}", data={"name": "mine"})

    assert answer.status_code == 404 and kept(ctx) == before


def test_signing_out_removes_the_phone_and_ends_its_tokens(
    ctx: Context, phone: WebPhone, tablet: WebPhone, home: Path
) -> None:
    phone.connect()
    phone.ask()

    phone.client.post("/wallet/sign-out", follow_redirects=False)

    (gone,) = tablet.client.get("/v1/me/phones").json()["phones"]
    assert gone["status"] == "removed"
    device = the_gate(ctx, home)
    poll(ctx, tablet.client, device, home)
    assert device.decide(phone.show(), ctx.clock.now()).reason == "revoked"


def test_signing_in_again_ends_the_sign_in_before_and_keeps_the_phone(
    ctx: Context, phone: WebPhone, league: LittleLeague
) -> None:
    phone.connect()
    before = phone.client.cookies["hansa_session"]
    assert "Choose a rider" in phone.client.get("/wallet/?again=1").text

    phone.sign_in(league.riders["Gao Lan"])

    with ctx.tx() as tx:
        assert identity.session_of(tx, before, ctx.clock.now()) is None
    assert len(phone.ask().json()["tokens"]) == 4


@pytest.mark.parametrize("level", ["step_up", "blocked"])
def test_the_page_of_phones_says_how_the_account_stands(
    ctx: Context, phone: WebPhone, league: LittleLeague, level: identity.Level
) -> None:
    set_standing(ctx, league, level)

    page = phone.client.get("/wallet/phones").text

    assert {"step_up": "connect this phone anew", "blocked": "has blocked this account"}[level] in page
