"""Reports in a browser: from a statement to the taps by keyboard alone, and no page wider than its screen."""

from datetime import date

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from browser import test_browser_console
from browser.conftest import Served
from hansa.clearing import day_window

pytestmark = pytest.mark.browser

closed = test_browser_console.closed


def address(served: Served, closed: str, path: str) -> str:
    return f"{served.url}/console/reports/{path.format(day_window(date.fromisoformat(closed)))}"


def focused(page: Page) -> str:
    """The words of what has the keyboard."""
    return page.evaluate("document.activeElement.textContent.trim()")


def test_tables_are_walked_by_arrow_keys(served: Served, desk: BrowserContext, closed: str) -> None:
    page = desk.new_page()
    page.goto(address(served, closed, "statements/{}/hangzhou"))
    page.locator("table[data-keys] tbody a").first.focus()

    page.keyboard.press("Home")
    counterparty = focused(page)
    page.keyboard.press("End")
    amount = focused(page)
    page.keyboard.press("ArrowLeft")
    count = focused(page)
    page.keyboard.press("Enter")

    assert counterparty == "Toronto Ttc" and amount.startswith("−CA$") and count == "1"
    expect(page.get_by_role("heading", name="Hangzhou Card owes Toronto Ttc")).to_be_visible()
    page.get_by_role("link", name="Bus 29 Dufferin", exact=True).click()
    expect(page.locator("[data-tap]")).to_have_count(1)


def test_the_slash_goes_to_the_box_that_searches(served: Served, desk: BrowserContext, closed: str) -> None:
    page = desk.new_page()
    page.goto(address(served, closed, "ageing"))

    page.keyboard.press("/")
    page.keyboard.type(closed)
    page.keyboard.press("Enter")

    window = day_window(date.fromisoformat(closed))
    page.locator(f"main a[href$='/reports/matrix/{window}']").first.click()
    expect(page.get_by_role("heading", name="Who owes whom")).to_be_visible()
    assert window in page.url


def test_no_report_is_wider_than_a_phone(served: Served, phone: BrowserContext, closed: str) -> None:
    page = phone.new_page()
    faults: list[str] = []
    page.on("console", lambda said: faults.append(said.text))
    page.on("pageerror", lambda error: faults.append(str(error)))
    for path in ("statements/{}/toronto", "matrix/{}", "ageing", "revenue", "invoices", "audit/{}"):
        page.goto(address(served, closed, path))
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide == 0, path
    assert faults == []
