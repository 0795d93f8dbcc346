"""Quotes in Chromium: the time that is left is seen to pass, and in the end the button is closed; axe finds nothing."""

import os
import re
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from browser.conftest import DESK, PHONE, Served
from hansa import clearing, merchants
from hansa.kernel import Money, fact_id
from merchants.shops import SHOP

AXE = Path(__file__).parents[2] / "node_modules" / "axe-core" / "axe.min.js"
SHOTS = os.environ.get("HANSA_PICTURES")
RUNS = re.compile(r"^[12]:[0-9]{2}$")

pytestmark = [pytest.mark.browser]


def look(page: Page, name: str) -> None:
    """No fault that axe finds, and no page wider than its screen, on a phone by day and a desk by night."""
    for size, scheme in ((DESK, "dark"), (PHONE, "light")):
        page.set_viewport_size(size)  # pyright: ignore[reportArgumentType]
        # Without motion a button has its colour at once; with it, axe may look while the old one fades.
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # pyright: ignore[reportArgumentType]
        if SHOTS:
            page.screenshot(path=f"{SHOTS}/{name}-{size['width']}-{scheme}.png", full_page=True)
        if page.evaluate("typeof axe") == "undefined":
            page.evaluate(AXE.read_text(encoding="utf-8"))
        found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        assert [one["id"] for one in found["violations"]] == [], found["violations"]
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_quote_counts_down_closes_its_button_and_is_made_anew(
    served: Served, phone: BrowserContext
) -> None:
    ctx, league = served.ctx, served.league
    now = ctx.clock.now()
    with ctx.tx() as tx:
        owner = league.riders["Gao Lan"].account_id
        merchants.apply(
            tx,
            SHOP,
            account_id=owner,
            member_id="hangzhou-card",
            name="West Lake Tea",
            local_name="西湖茶庄",
            category="5441",
            address="1 Nanshan Road",
            at=now,
        )
    merchants.decide(ctx, SHOP, yes=True, by="test", at=now, fee_bp=60)
    clearing.open_positions(ctx, [("toronto-card", "hangzhou-card", "CNY")])
    with ctx.tx() as tx:
        order = merchants.make_order(
            tx, fact_id(None, "quoted"), SHOP, amount=Money(51_20, "CNY"), made_by="test", at=now
        )
    account_id = str(league.riders["Omar Singh"].account_id)
    page = phone.new_page()
    page.context.request.post(f"{served.url}/wallet/sign-in", form={"account_id": account_id})
    page.clock.install()
    page.goto(f"{served.url}/wallet/pay/order/{order.order_id}")
    look(page, "order")
    page.get_by_role("button", name="Pay from another currency").click()
    left = page.locator("[data-left]")
    expect(left).to_have_text(RUNS)
    look(page, "quote")
    page.clock.run_for(125_000)
    expect(left).to_have_text("0:00")
    expect(page.get_by_role("status").filter(has_text="has ended")).to_be_visible()
    expect(page.get_by_role("button", name="Pay CA$10.05")).to_be_disabled()
    look(page, "ended")
    page.get_by_role("button", name="Make a new quote").click()
    expect(left).to_have_text(RUNS)
    page.get_by_role("button", name="Pay CA$10.05").click()
    expect(page.get_by_text("Paid", exact=True).first).to_be_visible()
    look(page, "done")
    page.goto(f"{served.url}/wallet/send")
    page.get_by_label("To", exact=True).fill("7K3D9-QX2M1")
    page.get_by_label("Amount").fill("10")
    look(page, "send")
    page.get_by_role("button", name="They get another currency").click()
    look(page, "choose")
