"""The wallet on a phone: its code opens a gate with the network off and the server stopped."""

import pytest
from playwright.sync_api import BrowserContext, expect

from browser.conftest import Served, show_to_gate, shown_code, sign_in
from hansa import rides
from web.little_league import BUS, WAY_IN, WAY_OUT

pytestmark = pytest.mark.browser


def test_the_code_renews_without_server_and_network_and_opens_a_gate(
    served: Served, phone: BrowserContext, desk: BrowserContext
) -> None:
    wallet = phone.new_page()
    sign_in(wallet, served.url, "Gao Lan")
    wallet.evaluate("navigator.serviceWorker.ready.then(() => true)")
    wallet.wait_for_function("() => navigator.serviceWorker.controller !== null")
    wallet.wait_for_function(
        "() => caches.open('hansa-pages').then(kept => kept.match('/wallet/home')).then(found => Boolean(found))"
    )
    online = shown_code(wallet)

    phone.set_offline(True)
    served.stop()
    wallet.reload()
    first = shown_code(wallet, other_than=online)
    expect(wallet.locator("[data-offline]")).to_be_visible()
    second = shown_code(wallet, other_than=first)

    assert len({online, first, second}) == 3
    assert wallet.locator("svg.qr path").get_attribute("d")
    served.start()
    gate = desk.new_page()
    gate.goto(f"{served.url}/gate/{WAY_IN}")
    before = shown_code(wallet)
    third = shown_code(wallet, other_than=before)  # made this moment: a code is good for 20 s
    assert "Go in" in show_to_gate(gate, third)
    refused = show_to_gate(gate, third)
    assert "used here already" in refused and "replay" in refused
    older = show_to_gate(gate, before)
    assert "replay" in older or "clock_skew" in older


def test_a_bus_ride_abroad_appears_on_the_open_wallet_in_seconds(
    served: Served, phone: BrowserContext, desk: BrowserContext
) -> None:
    wallet = phone.new_page()
    sign_in(wallet, served.url, "Gao Lan")
    expect(wallet.locator(".face .money")).to_have_text("¥100.00")
    gate = desk.new_page()
    gate.goto(f"{served.url}/gate/{BUS}")

    assert "Welcome aboard" in show_to_gate(gate, shown_code(wallet))

    expect(wallet.get_by_role("link", name="Bus 29 Dufferin")).to_be_visible()
    expect(wallet.locator(".face .money")).not_to_have_text("¥100.00")
    wallet.get_by_role("link", name="Bus 29 Dufferin").click()
    expect(wallet.get_by_role("heading", name="Why it costs this")).to_be_visible()
    expect(wallet.get_by_text("exchanged to ¥")).to_be_visible()


def test_a_metro_ride_is_in_and_out(served: Served, phone: BrowserContext, desk: BrowserContext) -> None:
    wallet, gate = phone.new_page(), desk.new_page()
    sign_in(wallet, served.url, "Qian Qing")
    gate.goto(f"{served.url}/gate/{WAY_IN}")
    first = shown_code(wallet)
    assert "Go in" in show_to_gate(gate, first)

    gate.goto(f"{served.url}/gate/{WAY_OUT}")
    assert "Go out" in show_to_gate(gate, shown_code(wallet, other_than=first))

    expect(wallet.get_by_role("link", name="Xianghu → Binkang Lu")).to_be_visible()
    with served.ctx.tx() as tx:
        (journey,) = rides.journeys(tx, served.league.riders["Qian Qing"].account_id)
    assert (journey.kind, journey.rider_class) == ("complete", "child")


def test_the_phones_key_cannot_leave_it_and_counters_never_repeat(
    served: Served, phone: BrowserContext
) -> None:
    wallet = phone.new_page()
    sign_in(wallet, served.url, "Gao Lan")

    kept = wallet.evaluate(
        """async () => {
          const opening = indexedDB.open('hansa-wallet', 1);
          await new Promise(done => opening.onsuccess = done);
          const store = opening.result.transaction('phones').objectStore('phones');
          const asked = store.getAll();
          await new Promise(done => asked.onsuccess = done);
          const all = asked.result;
          const key = all[0].keyPair.privateKey;
          const out = await crypto.subtle.exportKey('jwk', key).then(() => 'left', error => error.name);
          return { extractable: key.extractable, out };
        }"""
    )
    assert kept == {"extractable": False, "out": "InvalidAccessError"}

    counters = wallet.evaluate(
        """async account => {
          const { openPhone } = await import('/static/js/phone.js');
          const phones = await Promise.all([1, 2, 3].map(() => openPhone(account)));
          return Promise.all(Array.from({length: 30}, (_, i) => phones[i % 3].nextCounter('a token')));
        }""",
        str(served.league.riders["Gao Lan"].account_id),
    )
    assert len(set(counters)) == 30


def test_signing_out_leaves_nothing_on_the_phone(served: Served, phone: BrowserContext) -> None:
    wallet = phone.new_page()
    sign_in(wallet, served.url, "Gao Lan")

    wallet.get_by_role("button", name="Sign out").click()
    wallet.wait_for_url("**/wallet/")

    left = wallet.evaluate(
        "caches.keys().then(async keys => [keys, (await indexedDB.databases()).map(d => d.name)])"
    )
    assert left == [[], []]


def test_without_the_qr_library_the_server_draws_and_the_page_says_so(
    served: Served, phone: BrowserContext
) -> None:
    phone.route("**/vendor/**", lambda route: route.abort())
    wallet = phone.new_page()

    sign_in(wallet, served.url, "Gao Lan")

    expect(wallet.get_by_text("make setup")).to_be_visible()
    assert wallet.locator("svg.qr path").get_attribute("d")


def test_the_wallet_reads_without_javascript(served: Served, desk: BrowserContext) -> None:
    browser = desk.browser
    assert browser is not None
    plain = browser.new_context(java_script_enabled=False)
    page = plain.new_page()

    page.goto(f"{served.url}/wallet/")
    page.get_by_role("button", name="Gao Lan").click()
    expect(page.locator(".face .money")).to_have_text("¥100.00")
    page.get_by_role("link", name="Top up").click()
    page.get_by_text("¥200.00").click()
    page.get_by_role("button", name="Pay").click()

    expect(page.get_by_text("+¥200.00")).to_be_visible()
    plain.close()
