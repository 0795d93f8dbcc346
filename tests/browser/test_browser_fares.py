"""Asking for a fare on a phone, by keyboard and without scripts, and reading it in another language."""

import pytest
from playwright.sync_api import Browser, expect

from browser.conftest import PHONE, Served

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
    page.get_by_role("link", name="中文").click()
    expect(page.get_by_role("heading", name="湘湖 → 滨康路")).to_be_visible()
    assert page.locator("html").get_attribute("lang") == "zh"
    context.close()
