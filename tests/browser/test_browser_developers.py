"""Pages for developers on a phone: folded, opened by their anchors, also without a script."""

import pytest
from playwright.sync_api import Browser, expect

from browser.conftest import PATIENCE_S, PHONE, Served

pytestmark = pytest.mark.browser

SCREENS_MAX = 8
"""How long a page may be on a phone before anything of it is opened, in screens."""


@pytest.mark.parametrize("script", [True, False])
@pytest.mark.parametrize(
    ("address", "anchor", "opened"),
    [
        ("/developers/reference/payments", "payments_create_payment", "amount.minor"),
        ("/errors", "payments", "payments.insufficient_funds"),
    ],
)
def test_a_long_page_is_a_list_whose_anchors_open_what_they_lead_to(
    served: Served, chromium: Browser, address: str, anchor: str, opened: str, script: bool
) -> None:
    context = chromium.new_context(viewport=PHONE, java_script_enabled=script)  # pyright: ignore[reportArgumentType]
    context.set_default_timeout(PATIENCE_S * 1000)
    page = context.new_page()

    page.goto(f"{served.url}{address}")
    tall = page.locator("body").bounding_box()
    folded = page.locator("details.op[open]").count()
    page.goto(f"{served.url}{address}#{anchor}")

    assert tall is not None and tall["height"] < SCREENS_MAX * PHONE["height"] and folded == 0
    expect(page.locator("details.op[open]")).to_have_count(1)
    expect(page.locator(f"#{anchor}")).to_contain_text(opened)
    expect(page.locator("details.op[open] > summary")).to_be_in_viewport()
    page.goto(f"{served.url}{address}?open=all")
    expect(page.locator("details.op:not([open])")).to_have_count(0)
    context.close()
