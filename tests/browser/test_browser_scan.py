"""Paying by camera: a shop's code before a payer's camera, a payer's code before a shop's, a ticket at a door."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Page, expect

from browser.conftest import ARGUMENTS, PATIENCE_S, PHONE, Served, find_chromium, sign_in
from browser.test_browser_camera import drawn, write_film
from hansa import codes, merchants
from hansa.kernel import Money, fact_id, new_id
from merchants.shops import SHOP

pytestmark = pytest.mark.browser


@pytest.fixture
def film(tmp_path: Path) -> Path:
    """What the camera sees: nothing but white until a test writes another film."""
    path = tmp_path / "camera.y4m"
    write_film(path, [[False]])
    return path


@pytest.fixture
def seeing(chromium: Browser, film: Path) -> Iterator[BrowserContext]:
    """A phone whose camera plays the film."""
    browser = chromium.browser_type.launch(
        executable_path=find_chromium(), args=[*ARGUMENTS, f"--use-file-for-fake-video-capture={film}"]
    )
    context = browser.new_context(viewport=PHONE, has_touch=True)  # pyright: ignore[reportArgumentType]
    context.set_default_timeout(PATIENCE_S * 1000)
    yield context
    browser.close()


def open_shop(served: Served, *, owner: str = "Gao Lan") -> merchants.Merchant:
    """A tea shop in Hangzhou, open."""
    now, owner_id = served.ctx.clock.now(), served.league.riders[owner].account_id
    with served.ctx.tx() as tx:
        merchants.apply(
            tx,
            SHOP,
            account_id=owner_id,
            member_id="hangzhou-card",
            name="West Lake Tea",
            local_name="西湖茶庄",
            category="5441",
            address="1 Nanshan Road",
            at=now,
        )
    return merchants.decide(served.ctx, SHOP, yes=True, by="hangzhou-card:test", at=now)


def watch(page: Page) -> list[str]:
    """What the page's policy did not let it do, and what broke in it."""
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda said: faults.append(said.text) if "Content Security" in said.text else None)
    return faults


def test_a_shops_code_before_the_camera_is_paid_and_the_till_sees_it(
    served: Served, seeing: BrowserContext, desk: BrowserContext, film: Path
) -> None:
    open_shop(served)
    till, wallet = desk.new_page(), seeing.new_page()
    sign_in(till, served.url, "Gao Lan")
    till.goto(f"{served.url}/merchant/{SHOP}")
    till.get_by_label("Amount").fill("12.50")
    till.get_by_role("button", name="Show the code").click()
    expect(till.get_by_role("heading", name="Waiting to be scanned")).to_be_visible()
    write_film(film, drawn(till.locator("[data-code-text]").text_content() or ""))
    sign_in(wallet, served.url, "Qian Qing")
    faults = watch(wallet)

    wallet.goto(f"{served.url}/wallet/pay")
    wallet.get_by_role("button", name="Turn the camera on").click()
    wallet.wait_for_url("**/wallet/pay/order/*")
    wallet.get_by_role("button", name="Pay ¥12.50").click()

    expect(wallet.get_by_role("heading", name="Paid")).to_be_visible()
    expect(till.get_by_role("heading", name="Paid")).to_be_visible()
    assert faults == []


def test_a_phones_own_code_is_scanned_by_the_shop_without_the_phones_network(
    served: Served, seeing: BrowserContext, phone: BrowserContext, film: Path
) -> None:
    open_shop(served)
    wallet, till = phone.new_page(), seeing.new_page()
    sign_in(wallet, served.url, "Qian Qing")
    faults = watch(wallet)
    wallet.goto(f"{served.url}/wallet/pay/code")
    wallet.wait_for_function("() => document.querySelector('[data-pay-code]').dataset.shown")
    wallet.reload()  # once more with what the service worker kept, then without network
    wallet.wait_for_function("() => document.querySelector('[data-pay-code]').dataset.shown")
    phone.set_offline(True)
    wallet.reload()
    wallet.wait_for_function("() => document.querySelector('[data-pay-code]').dataset.shown")
    text = wallet.locator("[data-text]").input_value()
    sign_in(till, served.url, "Gao Lan")
    till.goto(f"{served.url}/merchant/{SHOP}/scan")
    till.get_by_label("Amount").fill("7.50")
    write_film(film, drawn(text))
    till.get_by_role("button", name="Turn the camera on").click()

    expect(till.get_by_role("heading", name="Paid")).to_be_visible()
    assert [one for one in faults if "Content Security" in one] == []
    with served.ctx.tx() as tx:
        (sale,) = merchants.list_sales(served.ctx, tx, SHOP)
    assert (sale.channel, sale.total) == ("code", Money(7_50, "CNY"))


def test_a_picture_is_read_in_the_browser_and_a_ticket_is_shown_to_the_door(
    served: Served, phone: BrowserContext, desk: BrowserContext, tmp_path: Path
) -> None:
    shop = open_shop(served)
    now = served.ctx.clock.now()
    with served.ctx.tx() as tx:
        product = merchants.add_product(
            tx, fact_id(None, "pagoda"), SHOP, name="Pagoda", prices={"child": 2_00}, at=now
        )
        (slot,) = merchants.add_slots(
            tx, product.product_id, [(now - timedelta(minutes=5), now + timedelta(hours=1), 5)]
        )
    order = merchants.order_tickets(
        served.ctx,
        new_id(),
        slot.slot_id,
        account_id=served.league.riders["Qian Qing"].account_id,
        wanted={"child": 1},
        made_by="test",
    )
    with served.ctx.tx() as tx:
        text = merchants.code_of_order(tx, order)
    picture = tmp_path / "code.png"
    save(picture, text)
    wallet, door = phone.new_page(), desk.new_page()
    sign_in(wallet, served.url, "Qian Qing")

    wallet.goto(f"{served.url}/wallet/pay")
    wallet.locator("input[data-file]").set_input_files(picture)
    wallet.wait_for_url("**/wallet/pay/order/*")
    wallet.get_by_role("button", name="Pay ¥2.00").click()
    wallet.get_by_role("link", name="Show the ticket").click()
    wallet.wait_for_function("() => document.querySelector('[data-pay-code]').dataset.shown")
    shown = wallet.locator("[data-text]").input_value()
    sign_in(door, served.url, "Gao Lan")
    door.goto(f"{served.url}/merchant/{SHOP}/entry")
    door.get_by_label("Or paste a ticket code").fill(shown)
    door.get_by_role("button", name="Check it").click()

    expect(door.locator("[data-entry]")).to_have_attribute("data-state", "accepted")
    door.get_by_label("Or paste a ticket code").fill(shown)
    door.get_by_role("button", name="Check it").click()
    expect(door.locator("[data-reason]")).to_have_text("replay")
    assert shown.startswith("HRT:") and shop.status == "open"
    with pytest.raises(codes.CodeRefused):
        codes.verify_code(
            shown,
            codes.TrustList(1, now, now + timedelta(days=1), ()),
            now=now,
            product="metro",
            denied=never,
        )


def never(_: bytes) -> bool:
    return False


def save(path: Path, text: str) -> None:
    """A photograph of a code, dark on light with room around it."""
    rows = drawn(text)
    image = Image.new("L", (len(rows[0]) * 6, len(rows) * 6), 255)
    for y, row in enumerate(rows):
        for x, dark in enumerate(row):
            if dark:
                image.paste(20, (x * 6, y * 6, x * 6 + 6, y * 6 + 6))
    image.save(path)
