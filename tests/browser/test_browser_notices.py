"""Notices in a browser: a new one appears by itself while somebody looks at the page."""

import pytest
from playwright.sync_api import BrowserContext, expect

from browser.conftest import Served, sign_in
from hansa import notifications, webhooks

pytestmark = pytest.mark.browser


def tell(served: Served, fact: str) -> None:
    ctx = served.ctx
    one = webhooks.ForPerson(
        account_id=served.league.riders["Gao Lan"].account_id,
        kind="spending.limit_lowered",
        at=ctx.clock.now(),
        subject="",
        facts={"about": fact},
        fact=(fact,),
    )
    with ctx.tx() as tx:
        webhooks.tell(tx, one)
    while notifications.hear(ctx) == 0:
        pass  # another transaction is still running


def test_a_notice_appears_while_the_page_is_looked_at(served: Served, phone: BrowserContext) -> None:
    tell(served, "¥1.00")
    page = phone.new_page()
    sign_in(page, served.url, "Gao Lan")
    page.goto(f"{served.url}/wallet/notices")
    expect(page.get_by_text("New notices appear by themselves.")).to_be_visible()

    tell(served, "¥2.00")

    expect(page.get_by_role("listitem").filter(has_text="¥2.00")).to_be_visible()
    expect(page.get_by_role("listitem").filter(has_text="¥1.00")).to_be_visible()
    expect(page.locator("[data-stream]")).to_contain_text("¥2.00")
