"""Passes on a phone: chosen, bought after a question, and given back; the pages fit and can be read."""

from urllib.parse import quote

import pytest
from playwright.sync_api import BrowserContext, expect

from browser.conftest import DESK, PHONE, Served, sign_in
from browser.test_browser_console import POOR_CONTRAST, UNNAMED, watch

pytestmark = pytest.mark.browser


def test_a_pass_is_chosen_bought_and_given_back(served: Served, phone: BrowserContext) -> None:
    page = phone.new_page()
    said = watch(page)
    sign_in(page, served.url, "Gao Lan")
    page.goto(f"{served.url}/wallet/passes")

    page.get_by_role("link", name="Choose “Three days”").click()
    expect(page.get_by_role("heading", name="Buy it?")).to_be_visible()
    page.get_by_role("button", name="Buy for ¥40.00").click()

    expect(page.get_by_role("status")).to_contain_text("The pass is yours")
    expect(page.get_by_text("3 days left")).to_be_visible()
    page.get_by_text("Give it back").click()
    page.get_by_role("button", name="Give “Three days” back").click()
    expect(page.get_by_role("status")).to_contain_text("given back")
    expect(page.get_by_role("heading", name="Passes you had")).to_be_visible()
    assert said == []


@pytest.mark.parametrize(("size", "scheme"), [(PHONE, "light"), (DESK, "dark")], ids=["phone", "desk"])
def test_pages_of_passes_fit_and_can_be_read_in_both_languages(
    served: Served, phone: BrowserContext, size: dict[str, int], scheme: str
) -> None:
    page = phone.new_page()
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # pyright: ignore[reportArgumentType]
    page.set_viewport_size(size)  # pyright: ignore[reportArgumentType]
    sign_in(page, served.url, "Gao Lan")
    page.goto(f"{served.url}/wallet/passes/buy?operator_id=hangzhou-metro&name={quote('Day pass')}")
    page.get_by_role("button", name="Buy for").click()
    for language in ("en", "zh"):
        for path in (
            "/wallet/passes?",
            f"/wallet/passes/buy?operator_id=hangzhou-metro&name={quote('Three days')}&",
            "/wallet/statement?",
            "/console/held?",
        ):
            page.goto(f"{served.url}{path}language={language}")

            width = page.evaluate(
                "document.documentElement.scrollWidth - document.documentElement.clientWidth"
            )
            assert width <= 0, f"{path} is {width} px wider than the screen"
            assert page.locator("main h1").count() == 1, path
            assert page.evaluate(UNNAMED) == [], path
            assert page.evaluate(POOR_CONTRAST) == [], path
