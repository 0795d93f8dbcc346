"""Phones in a browser: connected, offline for days, with companions and digits, lost, stepped up, clock wrong."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, Route, expect

from browser.conftest import Served, shown_code, sign_in, until
from browser.test_browser_console import POOR_CONTRAST, UNNAMED, watch
from hansa import codes, gate, identity, rides, trust
from web.little_league import WAY_IN

pytestmark = pytest.mark.browser


def offline(phone: BrowserContext, wallet: Page) -> None:
    """No network, and a reload that must do without: the page comes from the service worker."""
    wallet.evaluate("navigator.serviceWorker.ready.then(() => true)")
    wallet.wait_for_function("() => navigator.serviceWorker.controller !== null")
    wallet.wait_for_function(
        "() => caches.open('hansa-pages').then(kept => kept.match('/wallet/home')).then(found => Boolean(found))"
    )
    phone.set_offline(True)
    wallet.reload()


def a_gate(served: Served, *, cell: bytes = bytes(3)) -> gate.Gate:
    """A gate with the league's lists of now."""
    with served.ctx.tx() as tx:
        trust_list = trust.current_trust_list(tx, at=served.ctx.clock.now())
        version, denied = trust.current_deny_list(tx, at=served.ctx.clock.now())
    identity_ = gate.GateIdentity(WAY_IN, "hangzhou-metro", "hangzhou/xianghu", "entry", "metro", cell)
    device = gate.Gate(identity_, trust_list, tokens=codes.TokenCache())
    device.use_deny_list(gate.DenyList(version, denied))
    return device


def state(wallet: Page) -> str:
    return wallet.locator("[data-ride-code]").get_attribute("data-state") or ""


def await_state(wallet: Page, wanted: str) -> None:
    expect(wallet.locator("[data-ride-code]")).to_have_attribute("data-state", wanted)


def more(wallet: Page) -> None:
    wallet.get_by_text("More for this code").click()


def kept(wallet: Page) -> dict[str, Any]:
    """What the phone keeps, but for its key."""
    return wallet.evaluate(
        """async () => {
          const opening = indexedDB.open('hansa-wallet', 1);
          await new Promise(done => opening.onsuccess = done);
          const asked = opening.result.transaction('phones').objectStore('phones').getAll();
          await new Promise(done => asked.onsuccess = done);
          const { keyPair, ...rest } = asked.result[0];
          return { ...rest, tokens: rest.tokens.map(({ token, ...one }) => one) };
        }"""
    )


def ids_kept(wallet: Page) -> set[str]:
    """The ids of the tokens that the phone keeps."""
    return {one["cti"] for one in kept(wallet)["tokens"]}


def phones_of(served: Served, name: str) -> list[identity.Phone]:
    with served.ctx.tx() as tx:
        return identity.list_phones(tx, served.league.riders[name].account_id)


def set_standing(served: Served, name: str, level: identity.Level) -> None:
    with served.ctx.tx() as tx:
        account_id = served.league.riders[name].account_id
        identity.set_standing(tx, account_id, level=level, reason="a test", at=served.ctx.clock.now())


def test_signing_in_connects_the_phone_and_says_until_when_it_is_good(
    served: Served, phone: BrowserContext
) -> None:
    wallet = phone.new_page()
    sign_in(wallet, served.url, "Gao Lan")

    await_state(wallet, "ready")
    (connected,) = phones_of(served, "Gao Lan")
    assert connected.status == "active" and connected.name.startswith("Gao Lan’s ")
    assert len(kept(wallet)["tokens"]) == 4
    expect(wallet.locator("[data-good]")).to_contain_text("Good until")
    assert a_gate(served).decide(shown_code(wallet), served.ctx.clock.now()).reason == "ok"


def test_days_offline_each_day_has_its_own_token(served: Served, phone: BrowserContext) -> None:
    wallet = phone.new_page()
    sign_in(wallet, served.url, "Gao Lan")
    first = shown_code(wallet)
    offline(phone, wallet)
    device = a_gate(served)
    ids: set[bytes] = set()

    for day in range(4):
        at = served.ctx.clock.now() + timedelta(days=day)
        wallet.clock.set_system_time(at)
        wallet.reload()
        code = shown_code(wallet, other_than=first)
        decision = device.decide(code, at)
        assert decision.reason == "ok" and decision.tap is not None, (day, decision)
        ids.add(decision.tap.cti)
        expect(wallet.locator("[data-offline]")).to_be_visible()

    assert len(ids) == 4
    wallet.clock.set_system_time(served.ctx.clock.now() + timedelta(days=4))
    wallet.reload()
    await_state(wallet, "no_network")
    expect(wallet.get_by_text("Go online once and your code comes back.")).to_be_visible()
    expect(wallet.locator("[data-frame]")).to_be_hidden()


def test_each_companion_has_a_code_of_their_own(served: Served, phone: BrowserContext) -> None:
    wallet = phone.new_page()
    sign_in(wallet, served.url, "Gao Lan")
    device = a_gate(served)
    shown = shown_code(wallet)
    found: list[tuple[int, int]] = []

    for companion in range(3):
        if companion:
            wallet.get_by_role("button", name="The code of the next who rides along").click()
            expect(wallet.locator("[data-whose]")).to_have_text(f"Companion {companion}")
            shown = shown_code(wallet, other_than=shown)
        decision = device.decide(shown, served.ctx.clock.now())
        assert decision.tap is not None, decision
        found.append((decision.tap.companion, decision.tap.counter))

    assert [companion for companion, _ in found] == [0, 1, 2]
    assert found[1][1] == found[2][1] == 1  # counters of their own
    wallet.get_by_role("button", name="The code of the one before").click()
    expect(wallet.locator("[data-whose]")).to_have_text("Companion 1")


def test_a_child_takes_nobody_along(served: Served, phone: BrowserContext) -> None:
    wallet = phone.new_page()
    sign_in(wallet, served.url, "Qian Qing")

    await_state(wallet, "ready")
    expect(wallet.locator("[data-along]")).to_be_hidden()


def test_the_gates_digits_are_signed_once_all_four_are_typed(served: Served, phone: BrowserContext) -> None:
    wallet = phone.new_page()
    sign_in(wallet, served.url, "Gao Lan")
    device = a_gate(served)
    before = shown_code(wallet)
    assert device.decide(before, served.ctx.clock.now(), challenge=42).reason == "wrong_challenge"
    more(wallet)

    wallet.get_by_label("Digits on the gate").fill("0042")
    code = shown_code(wallet, other_than=before)

    assert device.decide(code, served.ctx.clock.now(), challenge=42).reason == "ok"
    wallet.get_by_label("Digits on the gate").fill("")
    plain = shown_code(wallet, other_than=code)
    assert device.decide(plain, served.ctx.clock.now()).reason == "ok"


PLACES = [
    (0.0, 0.0),
    (39.9, 116.4),
    (30.18, 120.26),
    (51.5, -0.12),
    (43.7, -79.4),
    (90.0, 180.0),
    (-90.0, -180.0),
    (-33.9, 179.9999),
    (12.3456, -179.9999),
]


def test_cells_are_those_of_python(served: Served, desk: BrowserContext) -> None:
    page = desk.new_page()
    page.goto(served.url)

    cells = page.evaluate(
        """async places => { const { placeCell } = await import('/static/js/place.js');
           return places.map(([latitude, longitude]) => [...placeCell(latitude, longitude)]) }""",
        [list(place) for place in PLACES],
    )

    assert [bytes(cell) for cell in cells] == [codes.place_cell(*place) for place in PLACES]


def test_the_place_is_signed_only_when_the_rider_turns_it_on(served: Served, phone: BrowserContext) -> None:
    here, far = (30.18, 120.26), (39.9, 116.4)
    phone.grant_permissions(["geolocation"])
    phone.set_geolocation({"latitude": here[0], "longitude": here[1]})
    wallet = phone.new_page()
    sign_in(wallet, served.url, "Gao Lan")
    device = a_gate(served, cell=codes.place_cell(*far))
    off = shown_code(wallet)
    assert device.decide(off, served.ctx.clock.now()).reason == "ok"
    more(wallet)

    wallet.get_by_label("Sign where I am").check()
    expect(wallet.locator("[data-place-words]")).to_contain_text("good within a few kilometres")
    on = shown_code(wallet, other_than=shown_code(wallet))

    assert device.decide(on, served.ctx.clock.now()).reason == "wrong_place"
    wallet.reload()  # it is remembered
    expect(wallet.locator("[data-place-words]")).to_contain_text("good within a few kilometres")
    expect(wallet.locator("[data-place]")).to_be_checked()


@pytest.mark.parametrize(("off_by", "words"), [(-3600, "60 minutes slow"), (90, "90 seconds fast")])
def test_a_wrong_clock_is_said_and_corrected(
    served: Served, phone: BrowserContext, off_by: int, words: str
) -> None:
    wallet = phone.new_page()
    wallet.clock.set_system_time(served.ctx.clock.now() + timedelta(seconds=off_by))

    sign_in(wallet, served.url, "Gao Lan")

    expect(wallet.locator("[data-clock]")).to_contain_text(words)
    assert a_gate(served).decide(shown_code(wallet), served.ctx.clock.now()).reason == "ok"


def test_a_clock_that_went_back_offline_shows_no_code(served: Served, phone: BrowserContext) -> None:
    wallet = phone.new_page()
    sign_in(wallet, served.url, "Gao Lan")
    offline(phone, wallet)
    shown_code(wallet)

    wallet.clock.set_system_time(served.ctx.clock.now() - timedelta(hours=2))
    wallet.reload()

    await_state(wallet, "clock_back")
    expect(wallet.get_by_text("clock went back")).to_be_visible()


def test_a_phone_reported_lost_from_another_browser_is_refused_and_says_so(
    served: Served, phone: BrowserContext, desk: BrowserContext
) -> None:
    wallet, elsewhere = phone.new_page(), desk.new_page()
    sign_in(wallet, served.url, "Gao Lan")
    (lost,) = phones_of(served, "Gao Lan")
    sign_in(elsewhere, served.url, "Gao Lan")
    elsewhere.get_by_role("link", name="Phones").click()
    panel = elsewhere.locator("section").filter(has=elsewhere.locator(f"#phone-{lost.phone_id}"))

    panel.get_by_text("Lost or stolen?").click()
    panel.get_by_role("button", name="Report").click()

    expect(elsewhere.get_by_text("Gates with network refuse its codes within a minute.")).to_be_visible()
    code = shown_code(wallet, other_than=shown_code(wallet))
    assert a_gate(served).decide(code, served.ctx.clock.now()).reason == "revoked"
    wallet.reload()
    wallet.wait_for_url("**/wallet/")  # whoever has it is signed out
    sign_in_anew(wallet, "Gao Lan")
    await_state(wallet, "ended")
    expect(wallet.get_by_text("This phone was reported lost.")).to_be_visible()
    expect(wallet.locator("[data-frame]")).to_be_hidden()

    wallet.get_by_role("link", name="Sign in and connect this phone").click()
    sign_in_anew(wallet, "Gao Lan")

    await_state(wallet, "ready")
    assert a_gate(served).decide(shown_code(wallet), served.ctx.clock.now()).reason == "ok"
    assert [one.status for one in phones_of(served, "Gao Lan")].count("lost") == 1


def sign_in_anew(wallet: Page, name: str) -> None:
    wallet.get_by_role("button", name=name).click()
    wallet.wait_for_url("**/wallet/home")


def test_rotated_tokens_are_replaced_at_the_next_question(served: Served, phone: BrowserContext) -> None:
    wallet = phone.new_page()
    sign_in(wallet, served.url, "Gao Lan")
    before = ids_kept(wallet)
    with served.ctx.tx() as tx:
        account_id = served.league.riders["Gao Lan"].account_id
        rides.end_tokens(tx, account_id=account_id, at=served.ctx.clock.now(), reason="risk: a test")

    with wallet.expect_response("**/tokens"):
        wallet.reload()

    until(wallet, "the old tokens are gone", lambda: len(ids_kept(wallet) - before) == 4)
    assert not ids_kept(wallet) & before
    await_state(wallet, "ready")
    code = shown_code(wallet, other_than=shown_code(wallet))
    assert a_gate(served).decide(code, served.ctx.clock.now()).reason == "ok"


def test_a_network_that_hangs_keeps_no_code_waiting(served: Served, phone: BrowserContext) -> None:
    wallet = phone.new_page()
    sign_in(wallet, served.url, "Gao Lan")
    hung: list[Route] = []
    phone.route("**/v1/**", lambda route: hung.append(route))  # never answered
    wallet.reload()

    first = shown_code(wallet)
    second = shown_code(wallet, other_than=first)

    assert hung and first != second
    assert a_gate(served).decide(second, served.ctx.clock.now()).reason == "ok"


def test_tabs_of_one_phone_ask_one_after_the_other(served: Served, phone: BrowserContext) -> None:
    first, second = phone.new_page(), phone.new_page()
    first.goto(f"{served.url}/wallet/")
    sign_in_anew(first, "Gao Lan")
    second.goto(f"{served.url}/wallet/home")
    shown_code(first)
    shown_code(second)

    (connected,) = phones_of(served, "Gao Lan")
    with served.ctx.tx() as tx:
        live = tx.execute("select count(*), count(ended_at) from rides.tokens").fetchone()
    assert live == (4, 0) and connected.status == "active"
    assert len(kept(first)["tokens"]) == 4


def test_a_step_up_is_answered_on_the_phone(served: Served, phone: BrowserContext) -> None:
    wallet = phone.new_page()
    sign_in(wallet, served.url, "Gao Lan")
    set_standing(served, "Gao Lan", "step_up")
    wallet.reload()
    await_state(wallet, "step_up")
    (token,) = kept(wallet)["tokens"]
    assert (token["offlineCap"], token["companions"]) == (1, 0)
    assert a_gate(served).decide(shown_code(wallet), served.ctx.clock.now()).reason == "ok"

    wallet.get_by_role("link", name="Sign in and connect this phone").click()
    sign_in_anew(wallet, "Gao Lan")

    await_state(wallet, "ready")
    with served.ctx.tx() as tx:
        assert identity.standing_of(tx, served.league.riders["Gao Lan"].account_id).level == "clear"
    assert len(kept(wallet)["tokens"]) == 4
    assert [one.status for one in phones_of(served, "Gao Lan")] == ["active", "removed"]


def test_a_blocked_account_shows_no_code_and_says_whom_to_ask(served: Served, phone: BrowserContext) -> None:
    wallet = phone.new_page()
    sign_in(wallet, served.url, "Gao Lan")
    set_standing(served, "Gao Lan", "blocked")

    wallet.reload()

    await_state(wallet, "blocked")
    expect(wallet.get_by_text("Please ask them")).to_be_visible()
    expect(wallet.locator("[data-frame]")).to_be_hidden()


def test_a_phone_whose_key_went_asks_for_a_fresh_sign_in(
    served: Served, phone: BrowserContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    wallet = phone.new_page()
    sign_in(wallet, served.url, "Gao Lan")
    with served.ctx.tx() as tx:  # the sign-in was an hour ago
        tx.execute("update identity.sessions set started_at = started_at - interval '1 hour'")
    wallet.goto(f"{served.url}/wallet/statement")
    wallet.evaluate(
        """() => new Promise(done => {
          const deleting = indexedDB.deleteDatabase('hansa-wallet');
          deleting.onsuccess = deleting.onblocked = () => done();
        })"""
    )

    wallet.goto(f"{served.url}/wallet/home")

    await_state(wallet, "connect")
    expect(wallet.get_by_text("its key went when browser data were cleared")).to_be_visible()
    wallet.get_by_role("link", name="Sign in and connect this phone").click()
    sign_in_anew(wallet, "Gao Lan")
    await_state(wallet, "ready")


def test_too_many_phones_are_said_with_the_way_out(served: Served, phone: BrowserContext) -> None:
    wallet = phone.new_page()
    sign_in(wallet, served.url, "Gao Lan")
    account_id = served.league.riders["Gao Lan"].account_id
    with served.ctx.tx() as tx:
        tx.execute("update identity.phones set name = 'one'")
        for number in range(5):
            tx.execute(
                "insert into identity.phones (phone_id, account_id, public_key, name, enrolled_at, last_seen_at)"
                " values (gen_random_uuid(), %s, %s, %s, now(), now())",
                (account_id, bytes((number,)) * 65, f"phone {number}"),
            )
    wallet.evaluate("localStorage.setItem('hansa-connect-anew', String(Date.now()))")
    wallet.goto(f"{served.url}/wallet/?again=1")
    sign_in_anew(wallet, "Gao Lan")

    await_state(wallet, "too_many")
    wallet.get_by_role("link", name="Your phones").click()
    wallet.wait_for_url("**/wallet/phones")


def test_a_stolen_cookie_in_another_browser_gets_no_code(
    served: Served, phone: BrowserContext, desk: BrowserContext
) -> None:
    wallet, thief = phone.new_page(), desk.new_page()
    sign_in(wallet, served.url, "Gao Lan")
    with served.ctx.tx() as tx:
        tx.execute("update identity.sessions set started_at = started_at - interval '1 hour'")
    (cookie,) = [one for one in phone.cookies() if one.get("name") == "hansa_session"]
    desk.add_cookies([{"name": "hansa_session", "value": cookie.get("value", ""), "url": served.url}])

    thief.goto(f"{served.url}/wallet/home")

    await_state(thief, "connect")
    assert thief.locator("[data-code]").input_value() == ""
    assert len(phones_of(served, "Gao Lan")) == 1


PREPARE: dict[str, Callable[[Served], None]] = {
    "ready": lambda served: None,
    "step_up": lambda served: set_standing(served, "Gao Lan", "step_up"),
    "blocked": lambda served: set_standing(served, "Gao Lan", "blocked"),
}


@pytest.mark.parametrize("width", [390, 1440])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_pages_of_the_phone_fit_their_screen(
    served: Served, phone: BrowserContext, width: int, scheme: str
) -> None:
    wallet = phone.new_page()
    said = watch(wallet)
    wallet.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # pyright: ignore[reportArgumentType]
    wallet.set_viewport_size({"width": width, "height": 900})
    sign_in(wallet, served.url, "Gao Lan")

    for wanted, prepare in PREPARE.items():
        prepare(served)
        for path in ("/wallet/home", "/wallet/phones"):
            wallet.goto(served.url + path)
            if path == "/wallet/home":
                await_state(wallet, wanted)
                if wanted != "blocked":
                    more(wallet)
            else:
                for summary in wallet.locator("summary").all():
                    summary.click()
            too_wide = wallet.evaluate(
                "document.documentElement.scrollWidth - document.documentElement.clientWidth"
            )
            assert too_wide <= 0, f"{path} is {too_wide} px wider than the screen"
            assert wallet.locator("main h1").count() == 1
            assert wallet.evaluate(UNNAMED) == []
            assert wallet.evaluate(POOR_CONTRAST) == []
    assert [one for one in said if "409" not in one] == []  # a browser notes each answer that refuses


def test_what_a_phone_shows_is_made_at_the_leagues_time(served: Served, phone: BrowserContext) -> None:
    wallet = phone.new_page()
    sign_in(wallet, served.url, "Gao Lan")

    decision = a_gate(served).decide(shown_code(wallet), served.ctx.clock.now())

    assert decision.tap is not None
    assert abs((decision.tap.made_at - datetime.now(decision.tap.made_at.tzinfo)).total_seconds()) < 30
