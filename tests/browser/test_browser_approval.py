"""Approving in a browser: a passkey signs the very payment; limits, PIN and the freeze work with JavaScript off."""

from collections.abc import Callable
from uuid import UUID

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from browser.conftest import Served
from browser.passkeys import VirtualAuthenticator, at_localhost, authenticator
from hansa import approval, identity
from hansa.apps.web import advancing
from web.test_web_approval import KIND, PIN, ask

__all__ = ["authenticator"]
pytestmark = pytest.mark.browser

PutInto = Callable[[Page], VirtualAuthenticator]


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[UUID]:
    found: list[UUID] = []
    monkeypatch.setitem(advancing.ADVANCE, KIND, lambda _, subject_id: found.append(subject_id))
    return found


def signed_in(served: Served, page: Page) -> identity.Account:
    """The first rider, by the demonstration's one click."""
    account = next(one for one in served.league.riders.values() if one.home_city_id == "hangzhou")
    page.goto(f"{at_localhost(served.url)}/wallet/")
    page.locator(
        f"form:has(input[value='{account.account_id}']) button, button[value='{account.account_id}']"
    ).first.click()
    page.wait_for_url("**/wallet/home")
    return account


def test_a_passkey_approves_the_very_payment_that_is_shown(
    served: Served, phone: BrowserContext, authenticator: PutInto, told: list[UUID]
) -> None:
    page = phone.new_page()
    device = authenticator(page)
    account = signed_in(served, page)
    page.goto(f"{at_localhost(served.url)}/wallet/security")
    page.get_by_role("button", name="Add a passkey").click()
    page.wait_for_url("**/wallet/security?done=*")
    with served.ctx.tx() as tx:  # the passkey has been theirs for a while
        tx.execute(
            "update identity.passkeys set created_at = created_at - interval '9 days' where account_id = %s",
            (account.account_id,),
        )
    asked = ask(served.ctx, account, 600_00)
    page.goto(f"{at_localhost(served.url)}/wallet/approvals/{asked.approval_id}")
    expect(page.get_by_role("heading", name="Tea <house>")).to_be_visible()

    device.answers(False)
    device.verifies(False)
    device.answers(True)
    page.get_by_role("button", name="Approve ¥600.00").click()
    expect(page.get_by_text("No passkey was used, and nothing was done.")).to_be_visible()
    assert told == []
    device.verifies(True)
    page.get_by_role("button", name="Approve ¥600.00").click()

    expect(page.get_by_role("link", name="Go on")).to_be_visible()
    assert told == [asked.subject_id]
    with served.ctx.tx() as tx:
        _, (proof,) = approval.check(tx, asked.approval_id)
    assert (proof.method, proof.origin) == ("passkey", at_localhost(served.url))
    page.get_by_role("link", name="Go on").click()
    page.wait_for_url("**/wallet/home?paid=1")


def test_pin_limits_and_the_freeze_work_without_javascript(
    served: Served, chromium: object, told: list[UUID]
) -> None:
    context = chromium.new_context(viewport={"width": 390, "height": 844}, java_script_enabled=False)  # pyright: ignore
    try:
        page: Page = context.new_page()  # pyright: ignore
        account = signed_in(served, page)
        page.goto(f"{at_localhost(served.url)}/wallet/pin")
        page.get_by_label("New PIN").fill(PIN)
        page.get_by_label("Once more").fill(PIN)
        page.get_by_role("button", name="Set the PIN").click()
        expect(page.get_by_text("Your PIN is set.")).to_be_visible()
        with served.ctx.tx() as tx:
            tx.execute("update approval.pins set set_at = set_at - interval '9 days'")
        asked = ask(served.ctx, account, 120_00)
        page.goto(f"{at_localhost(served.url)}/wallet/approvals/{asked.approval_id}")
        page.get_by_label("Your payment PIN").fill(PIN)
        page.get_by_role("button", name="Approve ¥120.00").click()
        expect(page.get_by_role("link", name="Go on")).to_be_visible()
        assert told == [asked.subject_id]

        page.goto(f"{at_localhost(served.url)}/wallet/limits")
        page.get_by_label("At most CNY").fill("300")
        page.get_by_role("button", name="Set this limit").click()
        expect(page.get_by_text("The limit holds from now on.")).to_be_visible()
        page.get_by_role("button", name="Freeze my wallet").click()
        expect(page.get_by_role("heading", name="Your wallet is frozen")).to_be_visible()
    finally:
        context.close()  # pyright: ignore
