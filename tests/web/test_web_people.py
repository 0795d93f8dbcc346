"""People over HTTP: joined by a passkey, signed in, proved anew, what opens an account ended, come back without."""

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from litestar.testing import TestClient

from hansa import identity, payments
from hansa.apps.personal_means import means_of
from hansa.apps.web import create_app
from hansa.kernel import FixedClock, new_id
from hansa.store import Context
from identity.authenticating import Authenticator
from identity.sealed import card, resident
from web.conftest import seen_from
from web.little_league import LittleLeague

Client = TestClient[Any]
POLICY = identity.own_people_policy()
BORN = "1990-03-07"
LATE = new_id()
CHROME = (
    "Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0 Mobile Safari/537.36"
)


class Person:
    """Somebody with a browser and a device that keeps passkeys."""

    def __init__(self, ctx: Context, client: Client, device: Authenticator | None = None) -> None:
        self.ctx, self.client = ctx, client
        self.device = device or Authenticator(origin="http://localhost")

    def options(self, path: str, **form: str) -> str:
        answer = self.client.post(path, data=form)
        assert answer.status_code == 200, answer.text
        return answer.text

    def post(self, path: str, **form: str) -> httpx.Response:
        return self.client.post(path, data=form, follow_redirects=False)

    def join(self, name: str = "Lin Hui", issuer_id: str = "hangzhou-card") -> httpx.Response:
        who = {"name": name, "issuer_id": issuer_id, "language": "en", "born": BORN}
        credential = self.device.create(self.options("/wallet/join/options", **who))
        return self.post("/wallet/join/passkey", credential=credential, **who)

    def sign_in(self, **form: str) -> httpx.Response:
        credential = self.device.get(self.options("/wallet/passkey/options"))
        return self.post("/wallet/passkey", credential=credential, **form)

    def verify(self) -> httpx.Response:
        credential = self.device.get(self.options("/wallet/verify/options"))
        return self.post("/wallet/verify", credential=credential, next="/wallet/security")

    def add(self, device: Authenticator, name: str = "Key in the drawer") -> httpx.Response:
        credential = device.create(self.options("/wallet/security/options"))
        return self.post("/wallet/security/passkeys", credential=credential, name=name)

    def codes(self) -> list[str]:
        answer = self.post("/wallet/security/codes")
        assert answer.status_code == 200, answer.text
        return re.findall(r'<li class="mono">([0-9A-Z-]{23})</li>', answer.text)

    @property
    def account(self) -> identity.Account:
        with self.ctx.tx() as tx:
            found = identity.search_accounts(tx, "Lin Hui")
        assert len(found) == 1
        return found[0]


def browser(ctx: Context, home: Path, host: str = "localhost") -> Client:
    app = create_app(ctx, home=home, demo=True)
    client = TestClient(seen_from(app, "127.0.0.1"), base_url=f"http://{host}", raise_server_exceptions=False)
    client.headers["accept"] = "text/html"
    return client


@pytest.fixture
def person(ctx: Context, home: Path, league: LittleLeague) -> Iterator[Person]:
    with browser(ctx, home) as client:
        yield Person(ctx, client)


@pytest.fixture
def elsewhere(ctx: Context, home: Path, person: Person) -> Iterator[Person]:
    """The same person's other browser, with the same passkeys in it."""
    with browser(ctx, home) as client:
        yield Person(ctx, client, person.device)


def pass_time(ctx: Context, time: timedelta) -> None:
    assert isinstance(ctx.clock, FixedClock)
    ctx.clock.at += time


def kept(ctx: Context) -> list[object]:
    tables = ("accounts", "passkeys", "sessions", "recoveries", "recovery_codes", "security_events", "phones")
    with ctx.tx() as tx:
        return [
            tx.execute(f"select t::text from identity.{table} t order by 1").fetchall() for table in tables
        ]


# -- joining and signing in ---------------------------------------------------------------------------------


def test_whoever_joins_has_an_account_a_wallet_a_passkey_and_is_signed_in(
    ctx: Context, person: Person
) -> None:
    assert person.join().headers["location"] == "/wallet/security?done=joined"

    account = person.account
    assert (account.issuer_id, account.home_city_id, account.rider_class) == (
        "hangzhou-card",
        "hangzhou",
        "adult",
    )
    partition = ctx.directory.partition_of(account.account_id)
    with ctx.tx() as tx:
        assert [one.currency for one in payments.balance_of(tx, account.account_id, partition=partition)] == [
            "CNY"
        ]
        (session,) = identity.list_sessions(tx, account.account_id, ctx.clock.now())
        (passkey,) = identity.list_passkeys(tx, account.account_id)
    assert session.method == "passkey" and session.verified_at == ctx.clock.now()
    assert passkey.rp_id == "localhost" and session.passkey_id == passkey.passkey_id
    assert "Lin Hui" in person.client.get("/wallet/home").text
    assert "Add a passkey" in person.client.get("/wallet/home").text


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"name": " "}, "name"),
        ({"name": "A\u202eB"}, "name"),
        ({"issuer_id": "atlantis-card"}, "issuer_id"),
        ({"issuer_id": ""}, "issuer_id"),
        ({"language": "tlh"}, "language"),
        ({"born": ""}, "born"),
        ({"born": "yesterday"}, "born"),
        ({"born": "2999-01-01"}, "born"),
    ],
)
def test_what_is_missing_to_join_is_marked_and_nothing_is_opened(
    ctx: Context, person: Person, changed: dict[str, str], field: str
) -> None:
    before = kept(ctx)
    form = {"name": "Lin Hui", "issuer_id": "hangzhou-card", "language": "en", "born": BORN} | changed

    answer = person.post("/wallet/join", **form)
    options = person.post("/wallet/join/options", **form)

    assert answer.status_code == 422 and f'id="{field}-wrong"' in answer.text
    assert options.status_code == 422 and kept(ctx) == before


def test_the_passkey_signs_in_again_with_a_new_secret(ctx: Context, person: Person) -> None:
    person.join()
    first = person.client.cookies["hansa_session"]
    person.post("/wallet/sign-out")
    assert person.client.get("/wallet/home", follow_redirects=False).headers["location"] == "/wallet/"

    answer = person.sign_in()

    assert answer.headers["location"] == "/wallet/home"
    second = person.client.cookies["hansa_session"]
    assert len({first, second}) == 2
    with ctx.tx() as tx:
        assert identity.session_of(tx, first, ctx.clock.now()) is None
        assert identity.session_of(tx, second, ctx.clock.now()) == person.account


def test_signing_in_again_ends_the_session_of_before(ctx: Context, person: Person) -> None:
    person.join()
    person.sign_in()

    with ctx.tx() as tx:
        assert len(identity.list_sessions(tx, person.account.account_id, ctx.clock.now())) == 1


def test_a_shared_device_is_signed_out_soon_and_when_its_browser_closes(ctx: Context, person: Person) -> None:
    person.join()
    answer = person.sign_in(shared="1")
    (session,) = [one for one in answer.headers.get_list("set-cookie") if one.startswith("hansa_session")]
    assert "max-age" not in session.lower()
    pass_time(ctx, timedelta(seconds=POLICY.shared_idle_s))

    assert person.client.get("/wallet/home", follow_redirects=False).headers["location"] == "/wallet/"


@pytest.mark.parametrize(
    ("agent", "scheme", "name", "secure"),
    [
        (CHROME, "https", "__Host-hansa_session", True),
        (CHROME, "http", "__Host-hansa_session", True),
        ("Safari/605.1.15 Version/18.0", "http", "hansa_session", False),
        ("Safari/605.1.15 Version/18.0", "https", "__Host-hansa_session", True),
    ],
)
def test_the_cookie_is_as_strict_as_the_browser_keeps_it(
    ctx: Context, person: Person, agent: str, scheme: str, name: str, secure: bool
) -> None:
    person.device.origin = f"{scheme}://localhost"
    person.client.base_url = f"{scheme}://localhost"
    person.client.headers["user-agent"] = agent
    person.client.headers["origin"] = f"{scheme}://localhost"

    browser_cookie = person.client.post(
        "/wallet/join/options",
        data={"name": "Lin Hui", "issuer_id": "hangzhou-card", "language": "en", "born": BORN},
    )
    credential = person.device.create(browser_cookie.text)
    cookie = browser_cookie.headers["set-cookie"].split(";")[0]
    answer = person.client.post(
        "/wallet/join/passkey",
        data={
            "name": "Lin Hui",
            "issuer_id": "hangzhou-card",
            "language": "en",
            "born": BORN,
            "credential": credential,
        },
        headers={"cookie": cookie},
        follow_redirects=False,
    )

    set_cookie = answer.headers["set-cookie"]
    assert answer.status_code == 303 and set_cookie.startswith(f"{name}=")
    assert "HttpOnly" in set_cookie and "Path=/" in set_cookie and "SameSite=lax" in set_cookie
    assert ("Secure" in set_cookie) == secure and "Domain" not in set_cookie


def test_over_tls_a_cookie_that_a_neighbour_could_set_counts_for_nothing(
    ctx: Context, home: Path, person: Person
) -> None:
    person.join()
    secret = person.client.cookies["hansa_session"]

    def asked(name: str) -> int:
        answer = person.client.get(
            "https://localhost/v1/me", headers={"cookie": f"{name}={secret}", "accept": "application/json"}
        )
        return answer.status_code

    assert asked("__Host-hansa_session") == 200
    with browser(ctx, home) as other:
        answer = other.get(
            "https://localhost/v1/me",
            headers={"cookie": f"hansa_session={secret}", "accept": "application/json"},
        )
    assert answer.status_code == 401


# -- refusals -----------------------------------------------------------------------------------------------


def test_an_answer_is_good_once_soon_for_its_purpose_and_in_its_browser(
    ctx: Context, person: Person, elsewhere: Person
) -> None:
    person.join()
    options = person.options("/wallet/passkey/options")
    credential = person.device.get(options)

    assert elsewhere.post("/wallet/passkey", credential=credential).status_code == 409
    assert person.post("/wallet/verify", credential=credential).status_code == 409
    assert person.post("/wallet/passkey", credential=credential).status_code == 303
    assert person.post("/wallet/passkey", credential=credential).status_code == 409

    late = person.device.get(person.options("/wallet/passkey/options"))
    pass_time(ctx, timedelta(seconds=POLICY.challenge_s))
    assert person.post("/wallet/passkey", credential=late).status_code == 409


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        ({"origin": "http://evil.example"}, 422),
        ({"crossOrigin": True}, 422),
        ({"type": "webauthn.create"}, 422),
    ],
)
def test_a_passkey_used_elsewhere_signs_nobody_in(
    ctx: Context, person: Person, changed: dict[str, Any], status: int
) -> None:
    person.join()
    person.post("/wallet/sign-out")
    options = person.options("/wallet/passkey/options")
    before = kept(ctx)

    answer = person.post("/wallet/passkey", credential=person.device.get(options, **changed))

    assert answer.status_code == status and "hansa_session" not in answer.headers.get("set-cookie", "")
    assert kept(ctx) == before


def test_a_copied_passkey_is_refused_and_its_person_told(ctx: Context, person: Person) -> None:
    person.join()
    person.sign_in()
    person.device.credentials[0].count = 0

    answer = person.sign_in()

    assert answer.status_code == 409 and "may have been copied" in answer.text
    with ctx.tx() as tx:
        events = identity.list_security_events(tx, person.account.account_id)
    assert events[0].kind == "passkey_copied"


def test_an_unknown_passkey_is_told_to_the_browser_and_opens_nothing(ctx: Context, person: Person) -> None:
    stranger = Authenticator(origin="http://localhost")
    person.join()
    person.post("/wallet/sign-out")
    stranger.create(
        person.options("/wallet/join/options", name="X", issuer_id="hangzhou-card", language="en", born=BORN)
    )

    answer = person.post(
        "/wallet/passkey", credential=stranger.get(person.options("/wallet/passkey/options"))
    )

    assert answer.status_code == 404 and "data-unknown-credential" in answer.text


def test_somebody_elses_passkey_proves_nothing_in_my_session(
    ctx: Context, person: Person, home: Path
) -> None:
    person.join()
    with browser(ctx, home) as client:
        other = Person(ctx, client)
        other.join("Zhu Bo")
        options = other.options("/wallet/verify/options")
    stolen = Authenticator(origin="http://localhost", credentials=other.device.credentials)
    mine = person.options("/wallet/verify/options")
    mine = re.sub(r'"allowCredentials": \[.*?\]', '"allowCredentials": []', mine)
    before = kept(ctx)

    answer = person.post("/wallet/verify", credential=stolen.get(mine))

    assert options and answer.status_code == 404 and kept(ctx) == before


def test_at_an_address_without_a_name_there_are_no_passkeys_and_the_way_is_told(
    ctx: Context, home: Path, league: LittleLeague
) -> None:
    with browser(ctx, home, "127.0.0.1") as client:
        sign_in = client.get("/wallet/")
        options = client.post("/wallet/passkey/options", headers={"accept": "application/json"})

    assert "http://localhost/wallet/" in sign_in.text
    assert options.status_code == 409 and options.json()["code"] == "identity.no_passkeys_here"


def test_too_many_tries_are_refused_for_a_while(ctx: Context, person: Person) -> None:
    answers = [person.post("/wallet/recover/code", code="0" * 20).status_code for _ in range(11)]
    assert answers == [422] * 10 + [429]

    pass_time(ctx, timedelta(minutes=2))
    assert person.post("/wallet/recover/code", code="0" * 20).status_code == 422


# -- what opens an account ----------------------------------------------------------------------------------


def test_changes_ask_for_a_passkey_just_before(ctx: Context, person: Person) -> None:
    person.join()
    pass_time(ctx, timedelta(seconds=POLICY.fresh_s + 1))
    before = kept(ctx)

    asked = person.client.post("/wallet/security/options", headers={"accept": "application/json"})
    codes = person.post("/wallet/security/codes")
    with ctx.tx() as tx:
        (passkey,) = identity.list_passkeys(tx, person.account.account_id)
    removed = person.post(f"/wallet/security/passkeys/{passkey.passkey_id}/remove")

    assert asked.status_code == 403 and asked.json()["code"] == "identity.verify_anew"
    assert codes.headers["location"] == removed.headers["location"] == "/wallet/verify?next=/wallet/security"
    after = kept(ctx)
    assert after[1] == before[1] and after[4:] == before[4:]

    secret = person.client.cookies["hansa_session"]
    assert person.verify().headers["location"] == "/wallet/security"
    assert person.client.cookies["hansa_session"] != secret
    with ctx.tx() as tx:
        assert identity.session_of(tx, secret, ctx.clock.now()) is None
    assert len(person.codes()) == POLICY.codes


def test_a_second_passkey_is_added_named_and_the_first_removed(
    ctx: Context, person: Person, elsewhere: Person
) -> None:
    person.join()
    first = person.device
    elsewhere.sign_in()
    assert elsewhere.client.get("/v1/me").status_code == 200

    key = Authenticator(origin="http://localhost", kind="EdDSA")
    assert person.add(key).headers["location"] == "/wallet/security?done=added"
    with ctx.tx() as tx:
        one, two = identity.list_passkeys(tx, person.account.account_id)
    assert two.name == "Key in the drawer"
    named = person.post(f"/wallet/security/passkeys/{two.passkey_id}/name", name="Key at work")
    removed = person.post(f"/wallet/security/passkeys/{one.passkey_id}/remove")

    assert named.status_code == 303 and removed.headers["location"] == "/wallet/"
    assert elsewhere.client.get("/v1/me").status_code == 401  # signed out everywhere
    assert person.client.get("/v1/me").status_code == 401  # this session was by the one that is gone
    person.device = first
    assert person.sign_in().status_code == 404
    person.device = key
    assert person.sign_in().status_code == 303
    assert "Key at work" in person.client.get("/wallet/security").text


def test_the_last_passkey_stays_until_there_is_another_way(ctx: Context, person: Person) -> None:
    person.join()
    with ctx.tx() as tx:
        (passkey,) = identity.list_passkeys(tx, person.account.account_id)
    path = f"/wallet/security/passkeys/{passkey.passkey_id}/remove"
    before = kept(ctx)

    assert person.post(path).status_code == 409 and kept(ctx) == before

    person.codes()
    assert person.post(path).status_code == 303


def test_sessions_are_seen_and_ended_one_or_all(
    ctx: Context, home: Path, person: Person, elsewhere: Person
) -> None:
    person.join()
    elsewhere.client.headers["user-agent"] = (
        "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0) Version/18.0 Safari/604.1"
    )
    elsewhere.sign_in()
    pass_time(ctx, timedelta(minutes=2))

    shown = person.client.get("/wallet/security").text
    assert "Safari, iPhone" in shown
    with ctx.tx() as tx:
        sessions = identity.list_sessions(tx, person.account.account_id, ctx.clock.now())
    other = next(one for one in sessions if one.device.startswith("Safari"))
    assert person.post(f"/wallet/security/sessions/{other.session_id}/end").status_code == 303
    assert elsewhere.client.get("/v1/me").status_code == 401

    elsewhere.sign_in()
    person.post("/wallet/security/sessions/end")
    assert (
        elsewhere.client.get("/v1/me").status_code == 401 and person.client.get("/v1/me").status_code == 200
    )


def test_somebody_elses_session_and_passkey_are_not_there_for_me(
    ctx: Context, home: Path, person: Person
) -> None:
    person.join()
    with browser(ctx, home) as client:
        other = Person(ctx, client)
        other.join("Zhu Bo")
        with ctx.tx() as tx:
            (bo,) = identity.search_accounts(tx, "Zhu Bo")
            (session,) = identity.list_sessions(tx, bo.account_id, ctx.clock.now())
            (passkey,) = identity.list_passkeys(tx, bo.account_id)
        before = kept(ctx)
        for path in (
            f"/wallet/security/sessions/{session.session_id}/end",
            f"/wallet/security/passkeys/{passkey.passkey_id}/remove",
            f"/wallet/security/passkeys/{passkey.passkey_id}/name",
        ):
            assert person.post(path, name="Mine").status_code == 404
        assert kept(ctx) == before


def test_the_interface_lists_names_and_ends_what_opens_an_account(
    ctx: Context, person: Person, elsewhere: Person
) -> None:
    person.join()
    elsewhere.sign_in()
    person.client.headers["accept"] = "application/json"
    sessions = person.client.get("/v1/me/sessions").json()["sessions"]
    keys = person.client.get("/v1/me/passkeys").json()
    (key,) = keys["passkeys"]
    assert [one["current"] for one in sessions].count(True) == 1 and len(sessions) == 2
    assert keys["recovery_codes"] == 0 and key["rp_id"] == "localhost"

    path = f"/v1/me/passkeys/{key['passkey_id']}"
    assert person.client.patch(path, json={"name": " My  phone "}).json()["name"] == "My phone"
    assert person.client.patch(path, json={"name": "A\u202eB"}).status_code == 422
    assert person.client.delete(path).json()["code"] == "identity.last_passkey"
    other = next(one for one in sessions if not one["current"])
    assert person.client.delete(f"/v1/me/sessions/{other['session_id']}").status_code == 204
    assert person.client.delete(f"/v1/me/sessions/{other['session_id']}").status_code == 404
    assert elsewhere.client.get("/v1/me/passkeys").status_code == 401
    elsewhere.sign_in()
    assert person.client.post("/v1/me/sessions/end-others").json() == {"ended": 1}
    pass_time(ctx, POLICY.fresh + timedelta(seconds=1))
    stale = person.client.delete(path)
    assert stale.status_code == 403 and stale.json()["code"] == "identity.verify_anew"


# -- coming back --------------------------------------------------------------------------------------------


def test_a_lost_passkey_is_replaced_by_a_code_after_a_day(
    ctx: Context, home: Path, person: Person, elsewhere: Person
) -> None:
    person.join()
    code = person.codes()[0]
    elsewhere.device = Authenticator(origin="http://localhost")
    asked = elsewhere.post("/wallet/recover/code", code=code.lower())
    assert asked.headers["location"] == "/wallet/recover"
    assert "You can go on from" in elsewhere.client.get("/wallet/recover").text
    early = elsewhere.client.post("/wallet/recover/options", headers={"accept": "application/json"})
    assert early.status_code == 409
    assert "Somebody wants to come back" in person.client.get("/wallet/home").text

    pass_time(ctx, timedelta(seconds=POLICY.code_wait_s))
    options = elsewhere.options("/wallet/recover/options")
    back = elsewhere.post("/wallet/recover/passkey", credential=elsewhere.device.create(options), name="New")

    assert back.headers["location"] == "/wallet/security?done=recovered"
    assert elsewhere.client.get("/v1/me").json()["name"] == "Lin Hui"
    assert person.client.get("/v1/me").status_code == 401
    assert person.sign_in().status_code == 404
    assert "your limits are lower until" in elsewhere.client.get("/wallet/security").text


def test_the_owner_says_no_to_whoever_found_a_code(ctx: Context, person: Person, elsewhere: Person) -> None:
    person.join()
    code = person.codes()[0]
    elsewhere.post("/wallet/recover/code", code=code)
    pass_time(ctx, timedelta(hours=1))

    assert person.post("/wallet/security/recovery/cancel").headers["location"].startswith("/wallet/verify")
    person.verify()
    assert person.post("/wallet/security/recovery/cancel").headers["location"].endswith("done=canceled")

    pass_time(ctx, timedelta(seconds=POLICY.code_wait_s))
    options = elsewhere.client.post("/wallet/recover/options", headers={"accept": "application/json"})
    assert options.status_code == 409
    assert "refused by whoever is signed in" in elsewhere.client.get("/wallet/recover").text


def test_asking_at_a_desk_tells_nobody_whether_there_is_such_an_account(
    ctx: Context, home: Path, person: Person
) -> None:
    person.join()
    person.post("/wallet/sign-out")

    def asked(name: str) -> str:
        with browser(ctx, home) as client:
            client.post("/wallet/recover/desk", data={"name": name, "issuer_id": "hangzhou-card"})
            shown = client.get("/wallet/recover").text
        return re.sub(r"[0-9A-Z]{4} [0-9A-Z]{4}", "", shown)

    assert asked("Lin Hui") == asked("Nobody At All")


def test_a_desk_looks_at_the_document_and_the_person_goes_on_an_hour_later(
    ctx: Context, home: Path, person: Person, elsewhere: Person
) -> None:
    person.join()
    elsewhere.device = Authenticator(origin="http://localhost")
    elsewhere.post("/wallet/recover/desk", name="lin hui", issuer_id="hangzhou-card")
    found = re.search(r">([0-9A-Z]{4} [0-9A-Z]{4})<", elsewhere.client.get("/wallet/recover").text)
    assert found is not None
    with browser(ctx, home, "127.0.0.1") as desk:
        shown = desk.get("/console/recoveries", params={"reference": found[1]}).text
        path = re.search(r'action="(/console/recoveries/[0-9a-f-]{36})"', shown)
        assert path is not None and str(person.account.account_id) in shown
        form = {"account_id": str(person.account.account_id), "reason": "Passport, same face"}
        before = kept(ctx)
        for poor in ({"account_id": ""}, {"reason": " "}):
            assert desk.post(path[1], data=form | poor, follow_redirects=False).status_code != 303
        assert kept(ctx) == before

        done = desk.post(path[1], data=form, follow_redirects=False)

    assert done.headers["location"] == "/console/recoveries?approved=1"
    assert "A desk has looked at a document" in person.client.get("/wallet/security").text
    pass_time(ctx, timedelta(seconds=POLICY.proofed_wait_s))
    credential = elsewhere.device.create(elsewhere.options("/wallet/recover/options"))
    assert elsewhere.post("/wallet/recover/passkey", credential=credential).status_code == 303
    assert elsewhere.client.get("/v1/me").json()["name"] == "Lin Hui"


def test_who_is_under_age_is_led_to_who_looks_after_them(person: Person) -> None:
    who = {"name": "Lin Xiao", "issuer_id": "hangzhou-card", "language": "zh", "born": "2017-06-01"}

    step = person.post("/wallet/join", **who)
    credential = person.device.create(person.options("/wallet/join/options", **who))
    answer = person.post("/wallet/join/passkey", credential=credential, **who)

    assert 'name="born" value="2017-06-01"' in step.text
    assert answer.headers["location"] == "/wallet/me/guardians"
    with person.ctx.tx() as tx:
        (child,) = identity.search_accounts(tx, "Lin Xiao")
        assert identity.knowledge_of(tx, [child.account_id])[child.account_id].lacks_guardian
        assert b"2017" not in tx.execute("select box from identity.births").fetchone()[0]  # type: ignore[index]


def present(who: Person, order: int = 1, **changed: str) -> httpx.Response:
    form = {"kind": "resident", "issuer_id": "hangzhou-card", "name": "林慧", "number": resident(order)}
    return who.post("/wallet/recover/document", **(form | {"expires": "2031-01-01"} | changed))


def prove(ctx: Context, home: Path, person: Person, *, expires: str = "2031-01-01") -> None:
    own = means_of(home, demo=True)
    identity.ask_proofing(
        ctx,
        own.sealer,
        own.provider,
        proofing_id=new_id(),
        account_id=person.account.account_id,
        name="林慧",
        document=card(1, expires=expires),
        policy=identity.own_level_policy(),
    )


def test_the_document_that_proved_the_account_brings_back_after_a_day(
    ctx: Context, home: Path, person: Person, elsewhere: Person
) -> None:
    person.join()
    prove(ctx, home, person)
    elsewhere.device = Authenticator(origin="http://localhost")
    assert "Present a document" in elsewhere.client.get("/wallet/recover").text
    assert elsewhere.client.get("/wallet/recover/document").status_code == 200

    assert present(elsewhere).headers["location"] == "/wallet/recover?document=1"
    assert "You can go on from" in elsewhere.client.get("/wallet/recover?document=1").text
    assert "Somebody wants to come back" in person.client.get("/wallet/home").text
    pass_time(ctx, timedelta(seconds=POLICY.code_wait_s - 60))
    early = elsewhere.client.post("/wallet/recover/options", headers={"accept": "application/json"})
    assert early.status_code == 409
    pass_time(ctx, timedelta(seconds=60))
    credential = elsewhere.device.create(elsewhere.options("/wallet/recover/options"))
    assert elsewhere.post("/wallet/recover/passkey", credential=credential).status_code == 303

    assert elsewhere.client.get("/v1/me").json()["name"] == "Lin Hui"
    with ctx.tx() as tx:
        acts = tx.execute("select actor, action from audit.acts where action = 'recovery.approve'").fetchall()
    assert acts == [("provider:simulated-register", "recovery.approve")]


def test_a_document_that_proved_no_account_tells_no_more_than_one_of_nobody(
    ctx: Context, home: Path, person: Person
) -> None:
    person.join()
    prove(ctx, home, person, expires="")  # the name alone is proved
    person.post("/wallet/sign-out")

    def shown(order: int, **changed: str) -> str:
        with browser(ctx, home) as client:
            assert present(Person(ctx, client), order, **changed).status_code == 303
            text = client.get("/wallet/recover?document=1").text
        return re.sub(r"[0-9A-Z]{4} [0-9A-Z]{4}", "", text)

    assert shown(1) == shown(2) == shown(1, issuer_id="toronto-card") == shown(990)
    assert "Say this at the desk" in shown(3)
    with ctx.tx() as tx:
        assert tx.execute("select 1 from identity.recoveries where account_id is not null").fetchone() is None


@pytest.mark.parametrize(
    "changed", [{"expires": ""}, {"number": "12"}, {"name": "1"}, {"issuer_id": "nobody"}]
)
def test_a_document_that_cannot_be_taken_begins_nothing(
    ctx: Context, person: Person, changed: dict[str, str]
) -> None:
    before = kept(ctx)

    answer = present(person, 1, **changed)

    assert answer.status_code == 422 and 'aria-invalid="true"' in answer.text
    assert kept(ctx) == before


def test_a_provider_that_answers_late_still_brings_back(
    ctx: Context, home: Path, person: Person, elsewhere: Person
) -> None:
    person.join()
    own = means_of(home, demo=True)
    late = card(993, expires="2031-01-01")
    for _ in range(4):
        identity.ask_proofing(
            ctx,
            own.sealer,
            own.provider,
            proofing_id=LATE,
            account_id=person.account.account_id,
            name="林慧",
            document=late,
            policy=identity.own_level_policy(),
        )
        pass_time(ctx, timedelta(hours=2))
    with ctx.tx() as tx:
        assert identity.proof_level(tx, person.account.account_id) is identity.ProofLevel.DOCUMENT
    present(elsewhere, 993)
    assert "Say this at the desk" in elsewhere.client.get("/wallet/recover").text

    for _ in range(3):
        pass_time(ctx, timedelta(hours=2))
        identity.finish_proofings(ctx, own.sealer, own.provider, policy=identity.own_level_policy())

    assert "You can go on from" in elsewhere.client.get("/wallet/recover").text
