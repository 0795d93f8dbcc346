"""Passkeys in a browser: joined, signed in, a second device added and the first removed, come back by a code."""

from collections.abc import Callable

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from browser.conftest import Served
from browser.passkeys import VirtualAuthenticator, at_localhost, authenticator
from browser.test_browser_console import POOR_CONTRAST, UNNAMED, watch
from hansa import identity

pytestmark = pytest.mark.browser
__all__ = ["authenticator"]

PutInto = Callable[..., VirtualAuthenticator]

WITHOUT_FIELDS = "delete PublicKeyCredential.isConditionalMediationAvailable"
"""A browser that offers no passkeys where a name is typed."""


def join(page: Page, url: str, name: str) -> None:
    """Open an account in Hangzhou, in the browser's language."""
    page.goto(f"{url}/wallet/join")
    page.get_by_label("Your name").fill(name)
    page.get_by_label("Where you live").select_option("hangzhou-card")
    page.get_by_label("Day of birth").fill("1990-03-07")
    page.get_by_role("button", name="Go on").click()
    page.get_by_role("button", name="Make my passkey and open the account").click()
    page.wait_for_url("**/wallet/security?done=joined")


def account_of(served: Served, name: str) -> identity.Account:
    with served.ctx.tx() as tx:
        (account,) = identity.search_accounts(tx, name)
    return account


def test_a_life_with_passkeys_from_joining_to_a_lost_phone(
    served: Served,
    phone: BrowserContext,
    desk: BrowserContext,
    authenticator: PutInto,
) -> None:
    url = at_localhost(served.url)
    page = phone.new_page()
    troubles = watch(page)
    first = authenticator(page)

    join(page, url, "Lin Hui")
    expect(page.get_by_role("status").first).to_contain_text("Welcome")
    expect(page.get_by_text("1 passkey", exact=True)).to_be_visible()
    assert [one["isResidentCredential"] for one in first.credentials()] == [True]
    (cookie,) = [one for one in phone.cookies() if one.get("name") == "__Host-hansa_session"]
    assert cookie.get("httpOnly") and cookie.get("secure")
    assert page.evaluate(UNNAMED) == [] and page.evaluate(POOR_CONTRAST) == []

    # signing out, and in again: offered where a name is typed (the virtual owner says yes at once), then by the button
    page.get_by_role("banner").get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/wallet/home")
    page.add_init_script(WITHOUT_FIELDS)
    page.get_by_role("banner").get_by_role("button", name="Sign out").click()
    page.get_by_role("button", name="Sign in with a passkey").click()
    page.wait_for_url("**/wallet/home")

    # a second passkey, as on a key in the drawer
    page.goto(f"{url}/wallet/security")
    authenticator(page, transport="usb")
    first.answers(False)
    page.get_by_label("What to call it").fill("Key in the drawer")
    page.get_by_role("button", name="Add a passkey").click()
    page.wait_for_url("**/wallet/security?done=added")
    expect(page.get_by_text("2 passkeys", exact=True)).to_be_visible()
    first.answers(True)

    # recovery codes, shown once
    page.get_by_role("button", name="Make recovery codes").click()
    expect(page.locator(".codes-shown li")).to_have_count(identity.own_people_policy().codes)
    codes = page.locator(".codes-shown li").all_inner_texts()
    page.goto(f"{url}/wallet/security")
    assert page.locator(".codes-shown").count() == 0

    # all is lost: another browser, with a code, a day later
    other = desk.new_page()
    authenticator(other)
    other.goto(f"{url}/wallet/recover")
    other.get_by_role("textbox", name="Recovery code").fill(codes[0].lower())
    other.get_by_role("button", name="Go on with this code").click()
    expect(other.get_by_text("You can go on from")).to_be_visible()
    page.goto(f"{url}/wallet/home")
    expect(page.get_by_text("Somebody wants to come back")).to_be_visible()
    with served.ctx.tx() as tx:
        tx.execute(
            "update identity.recoveries set asked_at = asked_at - interval '1 day', "
            "ready_at = ready_at - interval '1 day'"
        )
    other.get_by_role("link", name="Look again").click()
    other.get_by_label("What to call it").fill("New phone")
    other.get_by_role("button", name="Make my passkey and sign in").click()
    other.wait_for_url("**/wallet/security?done=recovered")
    expect(other.get_by_text("1 passkey", exact=True)).to_be_visible()
    expect(other.get_by_text("your limits are lower until")).to_be_visible()

    # the first browser is signed out, and its passkeys open nothing
    page.goto(f"{url}/wallet/home")
    page.wait_for_url("**/wallet/")
    page.get_by_role("button", name="Sign in with a passkey").click()
    expect(page.get_by_role("alert")).to_contain_text("opens no account here")
    assert account_of(served, "Lin Hui").home_city_id == "hangzhou"
    # signing out has the browser delete its storage, also under a page that is still reading it
    harmless = ("Failed to load resource", "UnknownError: Connection is closing because of: Force close")
    assert [one for one in troubles if not one.startswith(harmless)] == []


def test_whoever_says_no_to_the_passkey_stays_where_they_are_and_is_told(
    served: Served,
    phone: BrowserContext,
    authenticator: PutInto,
) -> None:
    url = at_localhost(served.url)
    page = phone.new_page()
    device = authenticator(page)
    device.verifies(False)
    page.goto(f"{url}/wallet/join")
    page.get_by_label("Your name").fill("Lin Hui")
    page.get_by_label("Where you live").select_option("hangzhou-card")
    page.get_by_label("Day of birth").fill("1990-03-07")
    page.get_by_role("button", name="Go on").click()

    page.get_by_role("button", name="Make my passkey and open the account").click()

    expect(page.locator("[data-told]")).to_contain_text("nothing was done")
    with served.ctx.tx() as tx:
        assert identity.search_accounts(tx, "Lin Hui") == []
    device.verifies(True)
    page.get_by_role("button", name="Make my passkey and open the account").click()
    page.wait_for_url("**/wallet/security?done=joined")
