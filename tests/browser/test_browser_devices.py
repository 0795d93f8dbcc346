"""The console's pages of devices in a browser: by keyboard, fresh by themselves, and at each width."""

from dataclasses import replace
from datetime import timedelta

import pytest
from playwright.sync_api import BrowserContext, expect

from browser.conftest import DESK, PHONE, Served
from hansa import trust
from web.little_league import BUS, WAY_IN

pytestmark = pytest.mark.browser


@pytest.fixture
def boxes(served: Served) -> Served:
    """A gate that was heard of a minute ago, and one on a bus that never was."""
    now = served.ctx.clock.now()
    with served.ctx.tx() as tx:
        gates = trust.find_gates(tx, [WAY_IN, BUS])
        trust.add_devices(
            tx,
            [
                trust.NewDevice("xianghu-in", "gate", gates[WAY_IN].operator_id, WAY_IN, roles=("taps",)),
                trust.NewDevice("cab", "validator", gates[BUS].operator_id, BUS, vehicle="TTC 8412"),
            ],
            now,
        )
        tx.execute("update trust.devices set status = 'active' where device_id = 'xianghu-in'")
        trust.record_states(tx, [trust.StateReport("xianghu-in", True, "s", "2.1.0")], now)
        for minutes in (50, 30, 10):
            told = trust.Telemetry(
                "xianghu-in", "s", clock_offset_ms=90 * minutes, pending=2, tally={"ok": 900 - minutes}
            )
            trust.record_telemetry(tx, [told], now - timedelta(minutes=minutes))
        trust.check_devices(tx, now)
    return served


def test_a_device_is_found_set_and_shut_out_by_keyboard_alone(boxes: Served, desk: BrowserContext) -> None:
    page = desk.new_page()
    page.goto(f"{boxes.url}/console/devices")
    page.get_by_label("Part of a name").focus()
    page.keyboard.type("xiang")
    page.keyboard.press("Enter")
    page.wait_for_url("**q=xiang**")
    page.get_by_role("link", name="xianghu-in", exact=True).last.focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/console/devices/xianghu-in")

    page.get_by_label("A setting a line").focus()
    page.keyboard.type("digits = true")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("cell", name="digits = true")).to_be_visible()
    page.get_by_label("Why").focus()
    page.keyboard.type("Moved to the depot")
    page.get_by_role("button", name="Suspend").focus()
    page.keyboard.press("Enter")

    expect(page.get_by_text("Suspended: Moved to the depot")).to_be_visible()
    with boxes.ctx.tx() as tx:
        assert trust.get_device(tx, "xianghu-in").status == "suspended"


def test_the_list_keeps_itself_fresh(boxes: Served, desk: BrowserContext) -> None:
    page = desk.new_page()
    page.goto(f"{boxes.url}/console/devices")
    expect(page.locator("[data-device=xianghu-in]")).to_contain_text("2.1.0")

    with boxes.ctx.tx() as tx:
        report = trust.StateReport("xianghu-in", True, "t", "2.2.0")
        trust.record_states(tx, [report, replace(report, device_id="cab")], boxes.ctx.clock.now())

    expect(page.locator("[data-device=xianghu-in]")).to_contain_text("2.2.0")


@pytest.mark.parametrize("width", [PHONE, DESK], ids=["phone", "desk"])
@pytest.mark.parametrize("address", ["devices", "devices/xianghu-in"])
def test_the_pages_fit_their_width_and_say_nothing_in_the_log(
    boxes: Served, desk: BrowserContext, width: dict[str, int], address: str
) -> None:
    page = desk.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.set_viewport_size(width)  # pyright: ignore[reportArgumentType]

    page.goto(f"{boxes.url}/console/{address}")

    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    assert said == []
