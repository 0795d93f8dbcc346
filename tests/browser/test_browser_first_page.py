"""The wallet's first page: light enough for any phone, in the reader's language, and of use without scripts."""

from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, expect

from browser.conftest import PHONE, Served, shown_code, sign_in

pytestmark = pytest.mark.browser

FIRST_PAGE_MAX = 50_000
"""Bytes over the wire, heads and all files included."""


def test_the_first_pages_weigh_little_and_nothing_is_fetched_twice(
    served: Served, phone: BrowserContext
) -> None:
    page = phone.new_page()
    sign_in(page, served.url, "Gao Lan")

    for path in ("/wallet/?again=1", "/wallet/home"):
        asked = phone.new_page()
        tools = phone.new_cdp_session(asked)
        sizes: list[float] = []
        paths: list[str] = []

        def weigh(told: dict[str, Any], sizes: list[float] = sizes) -> None:
            sizes.append(told["encodedDataLength"])

        tools.on("Network.loadingFinished", weigh)
        asked.on("request", lambda one, paths=paths: paths.append(one.url))
        tools.send("Network.enable")
        tools.send("Network.setBypassServiceWorker", {"bypass": True})
        tools.send("Network.clearBrowserCache")
        asked.goto(f"{served.url}{path}", wait_until="networkidle" if "again" in path else "load")
        if "home" in path:
            shown_code(asked)

        assert 5_000 < sum(sizes) <= FIRST_PAGE_MAX, (path, sizes)
        files = [one for one in paths if "/static/" in one]
        assert len(files) == len(set(files))
        asked.close()


def test_the_page_and_its_scripts_speak_the_language_that_was_chosen(
    served: Served, phone: BrowserContext
) -> None:
    page = phone.new_page()
    sign_in(page, served.url, "Gao Lan")

    page.locator("details.tongues summary").click()
    page.get_by_role("button", name="Français").click()

    expect(page.locator("html")).to_have_attribute("lang", "fr")
    shown_code(page)
    expect(page.locator("[data-good]")).to_contain_text("Valable jusqu’à")
    page.get_by_text("Plus d’options pour ce code").click()
    page.get_by_role("button", name="Copier").click()
    expect(page.get_by_role("button", name="Copié")).to_be_visible()
    for tab, heading in (("Argent", "Argent"), ("Voyages", "Voyages"), ("Moi", "Gao Lan")):
        page.get_by_role("navigation", name="Portefeuille").get_by_role("link", name=tab).click()
        expect(page.get_by_role("heading", level=1)).to_have_text(heading)


def test_essentials_work_without_scripts(served: Served, chromium: Browser) -> None:
    context = chromium.new_context(viewport=PHONE, java_script_enabled=False)  # pyright: ignore[reportArgumentType]
    page = context.new_page()
    page.goto(f"{served.url}/wallet/?language=zh")
    expect(page.locator("html")).to_have_attribute("lang", "zh")
    page.get_by_role("button", name="Gao Lan").click()
    page.locator("details.tongues summary").click()
    page.get_by_role("button", name="English").click()
    expect(page.locator("html")).to_have_attribute("lang", "en")

    page.get_by_role("link", name="Pay", exact=True).click()
    expect(page.get_by_label("Type or paste a code")).to_be_visible()
    page.goto(f"{served.url}/wallet/limits")
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    page.goto(f"{served.url}/wallet/phones")
    expect(page.get_by_text("No phone is connected.")).to_be_visible()
    page.goto(f"{served.url}/wallet/statement")
    expect(page.get_by_text("+¥100.00")).to_be_visible()
    page.goto(f"{served.url}/fares?operator_id=hangzhou-metro")
    expect(page.get_by_role("button", name="Tell the fare")).to_be_visible()
    page.goto(f"{served.url}/wallet/home")
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in to your wallet")).to_be_visible()
    context.close()
