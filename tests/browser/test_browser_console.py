"""The console in a browser: from a net position to a tap by clicking, by keyboard, and at each width."""

from dataclasses import replace
from datetime import timedelta

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from browser.conftest import DESK, PHONE, Served, until
from hansa import clearing, ledger, settlement, trust
from hansa.apps.web.gatehouse import GateHouse
from hansa.kernel import FixedClock
from web.little_league import BUS, WAY_IN, WAY_OUT, Phone

pytestmark = pytest.mark.browser


@pytest.fixture
def closed(served: Served) -> str:
    """Two riders rode in each other's city, and the day is closed; its date."""
    clock = FixedClock(served.ctx.clock.now())
    ctx = replace(served.ctx, clock=clock)
    abroad, visitor = Phone(ctx, served.league, "Gao Lan"), Phone(ctx, served.league, "Emily Tremblay")
    gates = GateHouse(served.home / "gates", demo=True)
    day = clock.at.date()
    for gate_id, phone in ((BUS, abroad), (WAY_IN, visitor), (WAY_OUT, visitor)):
        assert gates.read(ctx, gate_id, phone.show()).decision.accepted
        gates.hand_in(ctx, gate_id)
        clock.at += timedelta(minutes=9)
    clock.at += timedelta(days=2)
    clearing.close_day(ctx, day)
    with served.ctx.tx() as tx:  # the gate's screen fetches it
        trust.publish_trust_list(tx, served.league.keys.league_root(), at=served.ctx.clock.now())
    settlement.write_files(ctx, day, served.home / "files")
    return day.isoformat()


def test_a_net_position_opens_down_to_its_taps(served: Served, desk: BrowserContext, closed: str) -> None:
    page = desk.new_page()
    page.goto(f"{served.url}/console/")
    page.get_by_role("link", name="Money", exact=True).click()
    page.locator(f"a[href='/console/days/{closed}']").click()
    expect(page.locator("[data-zero-sum=CNY]")).to_have_text("¥0.00")

    page.locator(f"a[href='/console/days/{closed}/members/toronto/CNY']").click()
    expect(page.get_by_role("heading", name="Toronto: pays")).to_be_visible()
    page.locator("a[href*='/positions/toronto-card/hangzhou-metro/CNY']").click()
    page.get_by_role("link", name="Xianghu → Binkang Lu").first.click()

    expect(page.locator("[data-tap]")).to_have_count(2)
    expect(page.get_by_text(f"{WAY_IN}, number 1, entry")).to_be_visible()


def test_a_cent_is_followed_into_the_books_and_back(
    served: Served, desk: BrowserContext, closed: str
) -> None:
    page = desk.new_page()
    page.goto(f"{served.url}/console/days/{closed}/positions/hangzhou-card/toronto-ttc/CAD")
    page.get_by_role("link", name="Bus 29 Dufferin", exact=True).click()
    expect(page.get_by_role("heading", name="In the books")).to_be_visible()
    journey = page.url

    page.get_by_role("link", name="Wallet of Gao L.").click()
    expect(page.get_by_role("heading", name="Wallet of Gao L.")).to_be_visible()
    until(page, "a page that asks on after its transaction leaves one open", lambda: is_none_open(served))
    page.get_by_role("link", name="journey", exact=True).first.click()

    expect(page.get_by_role("heading", name="In the books")).to_be_visible()
    assert page.url == journey


def is_none_open(served: Served) -> bool:
    """Whether no transaction waits for somebody who went away; one at work may be seen between two questions."""
    with served.ctx.tx() as tx:
        return tx.execute(LEFT_OPEN).fetchall() == []


LEFT_OPEN = """
select query from pg_stat_activity
where datname = current_database() and state like 'idle in transaction%' and pid <> pg_backend_pid()
"""


def test_a_bank_file_downloads(served: Served, desk: BrowserContext, closed: str) -> None:
    page = desk.new_page()
    page.goto(f"{served.url}/console/files")

    with page.expect_download() as downloading:
        page.locator("a[download]").first.click()

    assert "pain.001.001.09" in downloading.value.path().read_text()


def test_the_live_picture_moves_by_itself(served: Served, desk: BrowserContext) -> None:
    page = desk.new_page()
    today = served.ctx.clock.now().date()
    page.goto(f"{served.url}/console/?day={today}")
    taps = page.locator("dl.figures div").filter(has_text="Taps").first.locator("dd")
    expect(taps).to_have_text("0")

    gates = GateHouse(served.home / "gates", demo=True)
    phone = Phone(served.ctx, served.league, "Omar Singh")
    day_of_toronto = (served.ctx.clock.now() - timedelta(hours=9)).date()
    assert gates.read(served.ctx, BUS, phone.show()).decision.accepted
    gates.hand_in(served.ctx, BUS)

    if day_of_toronto == today:
        expect(taps).to_have_text("1")


@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_fit_their_screen_and_break_no_policy(
    served: Served, desk: BrowserContext, closed: str, size: dict[str, int], scheme: str
) -> None:
    page = desk.new_page()
    said = watch(page)
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # pyright: ignore[reportArgumentType]
    page.set_viewport_size(size)  # pyright: ignore[reportArgumentType]
    with served.ctx.tx() as tx:
        (booked,) = ledger.block_transfers(tx, 0, 1, limit=1)
    for path in (
        "/",
        "/docs",
        "/wallet/",
        "/gate/",
        f"/gate/{WAY_IN}",
        "/console/",
        "/console/days",
        f"/console/days/{closed}",
        "/console/ledger",
        "/console/ledger/blocks/0/1",
        f"/console/ledger/transfers/{booked.transfer.transfer_id}",
        "/console/log",
        "/verify/",
        "/console/gates",
        "/console/riders",
        "/console/files",
    ):
        page.goto(served.url + path)

        width = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert width <= 0, f"{path} is {width} px wider than the screen"
        assert page.locator("main h1").count() == 1, path
        unnamed = page.evaluate(UNNAMED)
        assert unnamed == [], f"{path}: {unnamed}"
        poor = page.evaluate(POOR_CONTRAST)
        assert poor == [], f"{path} in {scheme}: {poor}"
    assert said == []


def test_the_first_tab_stop_skips_to_the_content(served: Served, desk: BrowserContext) -> None:
    page = desk.new_page()
    page.goto(f"{served.url}/console/")

    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("Enter")

    assert page.evaluate("document.activeElement.id") == "main"


def watch(page: Page) -> list[str]:
    """What the browser complains of: broken policy, failed scripts."""
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    return said


UNNAMED = """() => [...document.querySelectorAll(
  'a, button, input:not([type=hidden]), select, textarea, svg[role=img]')]
  .filter(one => !(one.textContent.trim() || one.getAttribute('aria-label') || one.labels?.length || one.title))
  .map(one => one.outerHTML.slice(0, 120))"""
"""Things one can use or see that have no name for a screen reader."""

POOR_CONTRAST = """() => {
  const rgb = text => (text.match(/[\\d.]+/g) || []).map(Number);
  const light = ([r, g, b]) => {
    const part = v => { v /= 255; return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4 };
    return 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
  };
  const ground = one => {
    for (let at = one; at; at = at.parentElement) {
      const style = getComputedStyle(at);
      if (style.backgroundImage !== 'none') return null;
      const color = rgb(style.backgroundColor);
      if (color.length === 3 || color[3] === 1) return color;
    }
    return [255, 255, 255];
  };
  const poor = new Set();
  for (const one of document.querySelectorAll('body *')) {
    if (one.closest('svg, datalist, option, [hidden]') || !one.offsetParent) continue;
    const says = [...one.childNodes].some(node => node.nodeType === 3 && node.textContent.trim());
    const behind = says && ground(one);
    if (!behind) continue;
    const style = getComputedStyle(one);
    const [a, b] = [light(rgb(style.color)), light(behind)].sort((x, y) => y - x);
    const large = parseFloat(style.fontSize) >= 24 || (parseFloat(style.fontSize) >= 18.66 && style.fontWeight >= 700);
    const ratio = (a + 0.05) / (b + 0.05);
    const words = one.textContent.trim().slice(0, 30);
    if (ratio < (large ? 3 : 4.5)) poor.add(`${one.tagName}.${one.className} ${ratio.toFixed(2)} ${words}`);
  }
  return [...poor];
}"""
"""Words that stand out too little from what is behind them: WCAG 2.2, 1.4.3 (AA)."""
