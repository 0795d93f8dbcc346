"""People's money in Chromium: the main walks with scripts off, and no fault of accessibility on the way of money sent:
forms that are refused, what is asked once more, links. Pages as they stand are looked at in test_browser_axe.py.
"""

import os
import re
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, Page, expect

from browser.conftest import DESK, PHONE, Served
from hansa import wallets
from hansa.apps.bank.people_rails import rails_at
from hansa.apps.personal_means import means_of
from hansa.wallets import approving, finding
from identity.levels import prove_names

AXE = Path(__file__).parents[2] / "node_modules" / "axe-core" / "axe.min.js"
PICTURES = os.environ.get("HANSA_PICTURES", "")
"""A folder, where pictures of the pages are wanted."""

LOOKS: tuple[tuple[dict[str, int], Literal["light", "dark"]], ...] = ((PHONE, "light"), (DESK, "dark"))

pytestmark = [pytest.mark.browser]


@pytest.fixture(autouse=True)
def allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Approval has tests of its own."""

    def may_begin(*_: object) -> bool:
        return True

    monkeypatch.setattr(approving, "may_begin", may_begin)
    rails_at.cache_clear()


def sign_in(page: Page, url: str, name: str) -> None:
    page.goto(f"{url}/wallet/")
    page.get_by_role("button", name=name).click()
    page.wait_for_url("**/wallet/home")


def check(page: Page, name: str) -> None:
    """No fault that axe finds, and no page wider than its screen, on a phone by day and a desk by night.

    A picture of each, where wanted.
    """
    for size, scheme in LOOKS:
        page.set_viewport_size(size)  # pyright: ignore[reportArgumentType]
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        if PICTURES:
            page.screenshot(path=f"{PICTURES}/{name}-{size['width']}-{scheme}.png", full_page=True)
        if page.evaluate("typeof axe") == "undefined":
            page.evaluate(AXE.read_text(encoding="utf-8"))
        found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        told = [(one["id"], [node["html"][:200] for node in one["nodes"]]) for one in found["violations"]]
        assert told == [], (name, scheme, told)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), name


def test_money_walks_without_scripts(chromium: Browser, served: Served) -> None:
    context = chromium.new_context(viewport=PHONE, java_script_enabled=False)  # pyright: ignore[reportArgumentType]
    page = context.new_page()
    other = served.league.riders["Qian Qing"].account_id
    code = finding.code_of(served.ctx, other)
    prove_names(served.ctx, means_of(served.home, demo=True).sealer, [served.league.riders["Gao Lan"]])
    sign_in(page, served.url, "Gao Lan")

    page.goto(f"{served.url}/wallet/money")
    page.get_by_role("link", name="Send", exact=True).last.click()
    page.get_by_label("To", exact=True).fill(wallets.code_text(code))
    page.get_by_label("Amount", exact=True).fill("12.50")
    page.get_by_role("button", name="Continue").click()
    page.get_by_role("button", name="Send ¥12.50").click()
    expect(page.get_by_role("status")).to_contain_text("Arrived")
    page.reload()
    page.goto(f"{served.url}/wallet/split")
    page.get_by_label("What for").fill("Hot pot")
    page.get_by_label("Amount", exact=True).fill("30")
    page.get_by_label("Person 1", exact=True).fill(code)
    page.get_by_role("button", name="Ask them").click()
    expect(page.locator("main")).to_contain_text("¥15.00")
    page.goto(f"{served.url}/wallet/top-up")
    page.get_by_text("Add a bank account").click()
    page.get_by_label("Account number or IBAN").fill("622200014242")
    page.get_by_role("button", name="Add it").click()
    page.locator("#bank-amount").fill("20")
    page.get_by_role("button", name="Pay in now").click()
    expect(page.get_by_role("status")).to_contain_text("In your wallet")
    context.close()


@pytest.mark.slow
def test_no_page_on_the_way_of_money_has_a_fault_of_accessibility(chromium: Browser, served: Served) -> None:
    context = chromium.new_context(viewport=PHONE, bypass_csp=True)  # pyright: ignore[reportArgumentType]
    page = context.new_page()
    league, ctx = served.league, served.ctx
    qian = league.riders["Qian Qing"].account_id
    code = wallets.code_text(finding.code_of(ctx, qian))
    sign_in(page, served.url, "Gao Lan")

    page.goto(f"{served.url}/wallet/send?to={code}")
    page.get_by_label("Amount", exact=True).fill("35")
    page.get_by_text("Check the name first").click()
    page.get_by_label("The name you expect").fill("Qian Qin")
    check(page, "send")
    page.get_by_role("button", name="Continue").click()
    check(page, "send_check")
    page.get_by_role("button", name="Send ¥35.00").click()
    check(page, "transfer")
    page.goto(f"{served.url}/wallet/send")
    page.get_by_label("Amount", exact=True).fill("5000")
    page.get_by_label("To", exact=True).fill(code)
    page.get_by_role("button", name="Continue").click()
    check(page, "send_refused")
    page.goto(f"{served.url}/wallet/send")
    page.get_by_label("Amount", exact=True).fill("8")
    page.get_by_text("Send a link instead").click()
    page.get_by_role("button", name="Continue").click()
    page.get_by_role("button", name=re.compile("Send ")).click()
    page.get_by_role("button", name="Show the link").click()
    check(page, "transfer_link")
    address = page.locator("p.mono").first.inner_text()
    page.goto(address)
    check(page, "transfer_claim")
    page.goto(f"{served.url}/wallet/top-up")
    check(page, "top_up_first")
    page.goto(f"{served.url}/wallet/vouchers")
    page.get_by_label("Code").fill("0000-0000-0000-0000")
    page.get_by_role("button", name="Top up with it").click()
    check(page, "voucher")
    page.goto(f"{served.url}/wallet/money?language=zh")
    check(page, "money_zh")
    context.close()
