"""Asking for money back on a phone when nothing answers: kept, shown as waiting, sent once; the desk by keyboard."""

import time
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from browser.conftest import Served, until
from hansa import disputes, identity, rides
from web.little_league import BUS, Phone

pytestmark = pytest.mark.browser


@pytest.fixture
def ride(served: Served, phone: BrowserContext) -> tuple[Page, str]:
    """Gao Lan's wallet with its service worker, and the address of a booked ride that the phone has not looked at."""
    account = served.league.riders["Gao Lan"].account_id
    phone.request.post(f"{served.url}/wallet/sign-in", form={"account_id": str(account)}, max_redirects=0)
    code = Phone(served.ctx, served.league, "Gao Lan").show()
    read = phone.request.post(f"{served.url}/gate/{BUS}/read", data={"text": code})
    assert read.json()["accepted"], read.text()
    wallet, journey = phone.new_page(), booked(served, account)
    wallet.goto(f"{served.url}/wallet/home")
    wallet.wait_for_function("() => navigator.serviceWorker.controller !== null")
    wallet.wait_for_function("() => caches.match('/wallet/refund-form').then(found => Boolean(found))")
    wallet.wait_for_function("() => caches.match('/wallet/home').then(found => Boolean(found))")
    return wallet, f"{served.url}/wallet/journeys/{journey.journey_id}/refund"


def booked(served: Served, account: identity.AccountId) -> rides.JourneyRecord:
    """The journey, once the server has priced it."""
    for _ in range(1_200):
        with served.ctx.tx() as tx:
            found = rides.journeys(tx, account)
        if found:
            rides.post_charges(served.ctx)
            return found[0]
        time.sleep(0.05)
    raise AssertionError("the ride was not priced")


def asked(served: Served) -> list[disputes.Case]:
    with served.ctx.tx() as tx:
        return disputes.list_disputes(tx)


def write(wallet: Page, reason: str = "not_me") -> None:
    wallet.get_by_label("Reason").select_option(reason)
    wallet.get_by_label("What happened").fill("I was at home.")
    wallet.get_by_role("button", name="Send it").click()


def waits(wallet: Page) -> None:
    expect(wallet.locator("[data-outbox] li[data-state=waiting]")).to_contain_text("Waiting to be sent")


def test_without_a_server_it_is_kept_and_sent_once_when_there_is_one(
    served: Served, ride: tuple[Page, str]
) -> None:
    wallet, address = ride
    served.stop()
    wallet.goto(address)
    expect(wallet.get_by_text("kept on this phone and sent as soon as Hansa answers")).to_be_visible()
    write(wallet)
    waits(wallet)
    expect(wallet.get_by_role("button", name="Send it")).to_be_hidden()
    wallet.reload()
    waits(wallet)
    wallet.goto(f"{served.url}/wallet/home")
    waits(wallet)
    served.start()

    wallet.evaluate("globalThis.dispatchEvent(new Event('online'))")

    expect(wallet.locator("[data-outbox] li[data-state=sent]")).to_contain_text("Sent")
    (case,) = asked(served)
    assert (case.reason, case.words, case.state) == ("not_me", "I was at home.", "asked")
    wallet.reload()
    expect(wallet.locator("[data-refund-id]")).to_contain_text("The operator answers by")
    expect(wallet.locator("[data-outbox] li")).to_have_count(0)
    wallet.goto(f"{served.url}/wallet/refunds?language=zh")
    expect(wallet.locator("[data-refund-id]")).to_contain_text("运营方将在")


def test_an_answer_that_is_lost_on_the_way_is_asked_for_again_and_nothing_is_asked_twice(
    served: Served, ride: tuple[Page, str]
) -> None:
    wallet, address = ride
    wallet.goto(address)
    wallet.evaluate(
        "() => { SyncManager.prototype.register = () => Promise.reject(); globalThis.sent = fetch; "
        "globalThis.fetch = async (...asked) => { await sent(...asked); throw TypeError(); } }"
    )
    write(wallet)
    waits(wallet)
    assert len(asked(served)) == 1
    wallet.reload()

    expect(wallet.get_by_text("The operator answers by")).to_be_visible()
    assert len(asked(served)) == 1


def test_a_refusal_is_told_in_place_and_the_words_stay(served: Served, ride: tuple[Page, str]) -> None:
    wallet, address = ride
    wallet.goto(address)
    wallet.evaluate("document.querySelector('#reason').lastElementChild.value = 'bored'")
    write(wallet, "bored")

    expect(wallet.locator("[data-alarm]")).to_contain_text("there is no reason")
    assert wallet.get_by_label("What happened").input_value() == "I was at home."
    assert asked(served) == []
    write(wallet, "gate_stayed_shut")
    expect(wallet.get_by_text("came back to your wallet.")).to_be_visible()


def test_the_browser_sends_in_the_background_when_no_page_is_open(
    served: Served, phone: BrowserContext, ride: tuple[Page, str]
) -> None:
    wallet, address = ride
    served.stop()
    wallet.goto(address)
    write(wallet)
    waits(wallet)
    served.start()
    seen: list[dict[str, Any]] = []
    tools = phone.new_cdp_session(wallet)
    hear: Callable[[dict[str, Any]], None] = lambda told: seen.extend(told["registrations"])  # noqa: E731
    tools.on("ServiceWorker.workerRegistrationUpdated", hear)
    tools.send("ServiceWorker.enable")
    until(wallet, "the service worker is registered", lambda: any(map(is_wallets, seen)))
    number = next(one["registrationId"] for one in seen if is_wallets(one))
    wallet.goto("about:blank")

    tools.send(
        "ServiceWorker.dispatchSyncEvent",
        {"origin": served.url, "registrationId": number, "tag": "hansa-outbox", "lastChance": False},
    )

    until(wallet, "it is sent", lambda: len(asked(served)) == 1)


def is_wallets(registration: dict[str, Any]) -> bool:
    return registration["scopeURL"].endswith("/wallet/")


def test_another_riders_words_are_neither_shown_nor_sent(served: Served, ride: tuple[Page, str]) -> None:
    wallet, address = ride
    served.stop()
    wallet.goto(address)
    write(wallet)
    waits(wallet)
    wallet.evaluate("hansaOutbox.setAccount('another')")
    served.start()
    left = wallet.evaluate("hansaOutbox.send()")

    assert left == 0 and asked(served) == []


def test_the_desk_goes_by_keyboard(served: Served, ride: tuple[Page, str], desk: BrowserContext) -> None:
    wallet, address = ride
    wallet.goto(address)
    write(wallet)
    expect(wallet.get_by_text("The operator answers by")).to_be_visible()
    console = desk.new_page()
    console.goto(f"{served.url}/console/disputes")
    console.keyboard.press("/")
    expect(console.locator("[data-search]")).to_be_focused()
    console.keyboard.press("Escape")
    console.keyboard.press("j")
    expect(console.locator("[data-row]")).to_be_focused()
    console.keyboard.press("Enter")
    expect(console.get_by_role("heading", name="I did not ride")).to_be_visible()
    assert UUID(console.url.rpartition("/")[2]) == asked(served)[0].dispute_id
    console.go_back()
    console.locator("[data-keys]").uncheck()
    console.keyboard.press("/")
    expect(console.locator("[data-search]")).not_to_be_focused()
