"""Asking for a fare on a phone, by keyboard and without scripts, and reading it in another language."""

import pytest
from playwright.sync_api import Browser, BrowserContext, expect

from browser.conftest import PHONE, Served
from browser.test_browser_console import POOR_CONTRAST, UNNAMED, watch

pytestmark = pytest.mark.browser


def test_a_fare_is_asked_for_without_scripts_by_keyboard_and_read_in_chinese(
    served: Served, chromium: Browser
) -> None:
    context = chromium.new_context(viewport=PHONE, java_script_enabled=False, locale="en-GB")  # pyright: ignore[reportArgumentType]
    page = context.new_page()
    page.goto(f"{served.url}/fares")
    page.get_by_role("link", name="Hangzhou").click()

    page.get_by_label("From").fill("Xianghu")
    page.keyboard.press("Tab")
    page.keyboard.type("Binkang")
    page.keyboard.press("Enter")
    page.get_by_role("link", name="Binkang Lu").click()

    expect(page.get_by_role("heading", name="Xianghu → Binkang Lu")).to_be_visible()
    expect(page.locator("ol.steps li.total .money")).to_have_text("¥2.00")
    page.get_by_text("What the tariff says").first.click()
    expect(page.locator("details.rule-text pre").first).to_contain_text("[[basis.band]]")
    page.get_by_role("link", name="The whole tariff").first.click()
    expect(page.locator("mark").first).to_be_visible()
    page.go_back()
    page.locator("details.tongues summary").click()
    page.get_by_role("link", name="中文").click()
    expect(page.get_by_role("heading", name="湘湖 → 滨康路")).to_be_visible()
    assert page.locator("html").get_attribute("lang") == "zh"
    context.close()


PAGES = (
    "/fares",
    "/fares?operator_id=hangzhou-metro&origin=Xianghu&destination=Binkang+Lu",
    "/fares?operator_id=hangzhou-metro&origin=Xiang&destination=Bin",
    "/fares/hangzhou-metro/tariff?clause=basis.band[0]",
)


def test_the_pages_of_fares_fit_their_screen_in_both_languages(served: Served, phone: BrowserContext) -> None:
    page = phone.new_page()
    said = watch(page)
    for width, scheme in ((390, "light"), (1440, "light"), (390, "dark"), (1440, "dark")):
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # pyright: ignore[reportArgumentType]
        page.set_viewport_size({"width": width, "height": 900})
        for path in PAGES:
            page.goto(f"{served.url}{path}{'&' if '?' in path else '?'}language={LANGUAGE[scheme]}")
            for summary in page.locator("main summary").all():
                summary.click()
            too_wide = page.evaluate(
                "document.documentElement.scrollWidth - document.documentElement.clientWidth"
            )
            assert too_wide <= 0, f"{path} is {too_wide} px wider than the screen"
            assert page.locator("main h1").count() == 1
            assert page.evaluate(UNNAMED) == []
            assert page.evaluate(POOR_CONTRAST) == []
    assert [one for one in said if "422" not in one] == []  # a browser notes each answer that refuses


LANGUAGE = {"light": "en", "dark": "zh"}
