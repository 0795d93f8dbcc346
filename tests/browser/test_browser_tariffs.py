"""The tariff desk in a browser: a clerk changes an amount by keyboard, another approves it, and it is compared."""

import pytest
from playwright.sync_api import BrowserContext, expect

from browser.conftest import Served
from browser.test_browser_console import watch

pytestmark = pytest.mark.browser


def test_a_clerk_changes_an_amount_by_keyboard_and_another_approves(
    served: Served, desk: BrowserContext
) -> None:
    page = desk.new_page()
    said = watch(page)
    page.goto(f"{served.url}/console/tariffs")
    metro = page.locator("section", has=page.get_by_role("heading", name="Hangzhou Metro"))
    metro.get_by_role("link", name="Write the next tariff").press("Enter")

    amount = page.locator("input[name^=amount-]").first
    expect(amount).to_have_value("2.00")
    why = page.locator("details[open]").get_by_label("What changes, and why")
    why.fill("Short rides dearer")
    amount.fill("dear")
    amount.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("'dear' is no amount")
    amount = page.locator("input[name^=amount-]").first
    amount.fill("2.50")
    expect(why).to_have_value("Short rides dearer")
    page.locator("details[open]").get_by_role("button", name="Keep as a draft").press("Enter")

    expect(page.get_by_text("Nothing is wrong with it")).to_be_visible()
    page.get_by_role("link", name="Propose it").press("Enter")
    page.get_by_label("Why", exact=True).fill("The council decided so in June")
    page.get_by_role("button", name="Propose", exact=True).press("Enter")
    page.get_by_role("link", name="Approve…").press("Enter")
    expect(page.get_by_text("cannot approve it")).to_be_visible()
    page.get_by_role("button", name="Act as Bo").press("Enter")
    expect(page.get_by_text("No ride of the past is priced again.")).to_be_visible()
    page.get_by_label("Why", exact=True).fill("As the council decided")
    page.get_by_role("button", name="Approve", exact=True).press("Enter")
    expect(page.locator(".tag", has_text="scheduled")).to_be_visible()

    page.get_by_label("From", exact=True).fill("Xianghu")
    page.get_by_label("To", exact=True).fill("Binkang Lu")
    page.get_by_role("button", name="Try it").press("Enter")
    expect(page.locator("[role=status] .total")).to_contain_text("¥2.50")
    page.get_by_role("link", name="Compare it over past journeys").press("Enter")
    expect(page.get_by_text("No journey has been made with this operator yet.")).to_be_visible()
    assert said == [one for one in said if "422" in one]
