"""Every page there is, by axe: in light and in dark, on a phone and on a desk, at 320 pixels too (WCAG 2.2 AA).

The pages are those of the application's own routes, so none is forgotten: an address with an id in it is found by
following the links of the pages before it, and a route to which no link leads stands in ``NEEDS`` with what it needs.
"""

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Error, Page

from browser.conftest import DESK, PHONE, Served
from hansa import clearing, merchants, settlement, trust
from hansa.apps.web.app import _application  # pyright: ignore[reportPrivateUsage]
from hansa.apps.web.gatehouse import GateHouse
from hansa.kernel import FixedClock, Money, fact_id
from merchants.shops import SHOP
from web.little_league import BUS, WAY_IN, WAY_OUT, Phone

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.limit(1_500)]

AXE = Path(__file__).parents[2] / "node_modules" / "axe-core" / "axe.min.js"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
CONTRAST = ["color-contrast", "link-in-text-block", "target-size"]
"""What may differ where only colours or only the width is another."""
NARROW = 320
"""CSS pixels: a desk's window at 400 % (WCAG 2.2, 1.4.10)."""
PICTURES = os.environ.get("HANSA_PICTURES", "")
"""A folder for a picture of every page, where one is named."""

NO_PAGE = re.compile(
    r"/(static|vendor|v1|openapi\.json|\.well-known|favicon\.ico|healthz)"
    r"|\.(csv|json|pdf|svg|js|py|webmanifest)$|/(live|state|balance|report|bundle|sales|paid|stream|list)$"
    r"|^/console/me$|^/wallet/home/|^/console/(files/\{name|reports/(statements|audit))|^/docs$|^/console/tariffs/files/"
)
"""Files and parts of pages; and the page of a person of the console's staff, whom this league does not have."""

ORDER = fact_id(None, "axe order")
NEEDS = {
    "an address that is in a message": (
        "/merchant/join/{secret:str}",
        "/wallet/claim/{secret:str}",
    ),
    "a payment, an order or a ticket": (
        "/merchant/{merchant_id:uuid}/sales/{payment_id:uuid}",
        "/wallet/approvals/{approval_id:uuid}",
        "/wallet/pay/done/{payment_id:uuid}",
        "/wallet/pay/offer/{payment_id:uuid}",
        "/wallet/pay/order/{order_id:uuid}",
        "/wallet/pay/shop/{merchant_id:uuid}",
        "/wallet/tickets/buy/{product_id:uuid}",
        "/wallet/tickets/{ticket_id:uuid}",
    ),
    "money sent: by axe in test_browser_money.py": (
        "/wallet/requests/{request_id:uuid}",
        "/wallet/split/{split_id:uuid}",
        "/wallet/top-up/{top_up_id:uuid}",
        "/wallet/transfers/{transfer_id:uuid}",
        "/wallet/withdraw/{withdrawal_id:uuid}",
    ),
    "a card, a ward": (
        "/wallet/cards/{card_id:uuid}",
        "/wallet/me/wards/{account_id:uuid}",
    ),
    "cases of clerks": (
        "/console/agreements/{agreement_id:uuid}",
        "/console/audit-trail/{act_id:uuid}",
        "/console/counter/batches/{batch_id:uuid}",
        "/console/counter/top-ups/{account_id:uuid}/{top_up_id:uuid}",
        "/console/devices/{device_id:str}",
        "/console/disputes/{dispute_id:uuid}",
        "/console/liquidity/lots/{lot_id:uuid}",
        "/console/members/applications/{application_id:uuid}",
        "/console/models/{model_id:str}/{version:int}",
        "/console/networks/feeds/{feed_id:uuid}",
        "/console/networks/{city_id:str}/changes",
        "/console/proposals/{proposal_id:uuid}",
        "/console/reconciliation/files/{file_id:uuid}",
        "/console/reports/invoices/{number:str}",
        "/console/reports/matrix/{window_id:str}",
        "/console/risk/{case_id:uuid}",
        "/console/staff/{handle:str}",
        "/console/tariffs/proposals/{proposal_id:uuid}",
        "/console/tariffs/proposals/{proposal_id:uuid}/decide",
        "/console/webhooks/{endpoint_id:uuid}",
        "/console/windows/{window_id:str}",
        "/console/windows/{window_id:str}/members/{member_id:str}/{currency:str}",
        "/console/windows/{window_id:str}/positions/{issuer_id:str}/{operator_id:str}/{currency:str}",
        "/console/reconciliation/{day:date}",
    ),
}
APART = {one for routes in NEEDS.values() for one in routes}
"""Pages to which no link leads from what this league has, with what they need."""


def routes_of(prefix: str) -> list[str]:
    """The addresses below this one that give a page, as the application has them."""
    found: set[str] = set()
    for route in _application(None).routes:
        for handler in getattr(route, "route_handlers", ()):
            if "GET" in handler.http_methods and not handler.include_in_schema:
                found.add(route.path)
    return sorted(one for one in found if not NO_PAGE.search(one) and one.startswith(prefix))


def pattern_of(route: str) -> re.Pattern[str]:
    """What an address of this route looks like."""
    kinds = {"uuid": "[0-9a-f-]{36}", "date": r"\d{4}-\d\d-\d\d", "int": r"\d+"}

    def part(found: re.Match[str]) -> str:
        return kinds.get(found[1], "[^/?]+")

    return re.compile("^" + re.sub(r"\{\w+:(\w+)\}", part, route) + r"/?(\?.*)?$")


BEGIN = {
    "/merchant": (f"/merchant/{SHOP}/orders/{ORDER}",),
    "": (
        "/fares?operator_id=hangzhou-metro",
        "/fares?operator_id=hangzhou-metro&origin=Xianghu&destination=Binkang+Lu&at=2026-11-17T08:30",
        "/fares/hangzhou-metro/tariff",
        "/gate/?city=hangzhou",
        "/wallet/",
        "/wallet/join",
        "/wallet/recover",
        "/nothing",
    ),
}
"""Addresses that are looked at besides."""


FAIL = ("/nothing",)
"""Addresses whose page is a refusal."""


@dataclass
class Walk:
    """Goes through pages by their routes and by the links on them, and notes what axe finds."""

    page: Page
    url: str
    faults: list[str]
    links: set[str]
    plain: frozenset[str] = frozenset(one for one in routes_of("") if "{" not in one)

    def over(self, routes: Iterable[str], *, narrow: bool = True) -> set[str]:
        """Look at each of these routes; those to which no address was found."""
        left = set(routes)
        while left:
            ready = {route: address for route in left if (address := self._address(route))}
            if not ready:
                break
            for route, address in sorted(ready.items()):
                left.discard(route)
                self.look(route, address, narrow=narrow)
        return left

    def _address(self, route: str) -> str:
        if "{" not in route:
            return route
        pattern = pattern_of(route)
        found = {one for one in self.links if pattern.match(one) and one.split("?")[0] not in self.plain}
        return min(found, key=lambda one: (len(one), one), default="")

    def look(self, route: str, address: str, *, narrow: bool) -> None:
        self.page.set_viewport_size(PHONE)  # pyright: ignore[reportArgumentType]
        self.page.emulate_media(color_scheme="light", reduced_motion="reduce")
        try:
            answer = self.page.goto(f"{self.url}{address}", wait_until="load")
        except Error as error:
            if "Download is starting" not in str(error):
                raise
            return  # a file and no page
        assert answer is not None and answer.status < 500, (address, answer and answer.status)
        queried = next((one for one in sorted(self.links) if one.startswith(f"{address}?")), "")
        if answer.status == 422 and queried:  # a page that needs to be told what it is about
            answer = self.page.goto(f"{self.url}{queried}", wait_until="load")
            assert answer is not None
        if (answer.status >= 400 and address not in FAIL) or "text/html" not in answer.headers.get(
            "content-type", ""
        ):
            self.faults.append(
                f"{route}: {address} answers {answer.status} {answer.headers.get('content-type')}"
            )
            return
        self.links |= set(self.page.eval_on_selector_all("a[href^='/'], form[action^='/']", HREFS))
        self.page.evaluate("document.querySelectorAll('main details').forEach(one => one.open = true)")
        self.page.evaluate(AXE.read_text(encoding="utf-8"))
        for size, scheme, rules in (
            (PHONE, "light", RULES),
            (PHONE, "dark", CONTRAST),
            (DESK, "dark", RULES),
        ):
            self.page.set_viewport_size(size)  # pyright: ignore[reportArgumentType]
            height = self.page.evaluate(
                "document.documentElement.scrollHeight"
            )  # so that the tabs hide nothing
            self.page.set_viewport_size({"width": size["width"], "height": max(height, size["height"])})
            self.page.emulate_media(color_scheme=scheme)  # pyright: ignore[reportArgumentType]
            if PICTURES:
                name = address.strip("/").replace("/", "-")[:60] or "front"
                self.page.screenshot(path=f"{PICTURES}/{name}-{size['width']}-{scheme}.png", full_page=True)
            kind = "tag" if rules is RULES else "rule"
            found = self.page.evaluate(RUN, {"type": kind, "values": rules})
            self.faults += [f"{route} {size['width']} {scheme}: {one}" for one in found]
        if narrow:
            self.page.set_viewport_size({"width": NARROW, "height": 640})
            wide = self.page.evaluate(WIDER)
            if wide:
                self.faults.append(f"{route} is wider than {NARROW}: {wide}")


HREFS = "all => all.map(one => (one.getAttribute('href') ?? one.getAttribute('action')).split('#')[0])"
RUN = """async runOnly => {
  const { violations } = await axe.run(document, { runOnly, resultTypes: ["violations"] });
  const told = (rule, node) => rule.id === "color-contrast" ? ` ${node.any[0].data.contrastRatio}` : "";
  return violations.flatMap((rule) =>
    rule.nodes.slice(0, 3).map((node) => `${rule.id}${told(rule, node)}: ${node.html.slice(0, 160)}`));
}"""
WIDER = """() => {
  if (document.documentElement.scrollWidth <= innerWidth) return "";
  const all = [...document.querySelectorAll("main *, header *, nav *")];
  const out = all.filter((one) => one.getBoundingClientRect().right > innerWidth + 1);
  return out.slice(0, 3).map((one) => one.outerHTML.slice(0, 120)).join(" | ") || "the page";
}"""


@pytest.fixture
def lived(served: Served) -> Served:
    """A league in which much was done: rides and a closed day, a shop with an order, a sale and a ticket."""
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
    now = served.ctx.clock.now()
    with served.ctx.tx() as tx:
        trust.publish_trust_list(tx, served.league.keys.league_root(), at=now)
        merchants.apply(
            tx,
            SHOP,
            account_id=served.league.riders["Gao Lan"].account_id,
            member_id="hangzhou-card",
            name="West Lake Tea",
            local_name="",
            category="5441",
            address="1 Nanshan Road",
            at=now,
        )
    settlement.write_files(ctx, day, served.home / "files")
    merchants.decide(served.ctx, SHOP, yes=True, by="hangzhou-card:test", at=now)
    with served.ctx.tx() as tx:
        merchants.make_order(
            tx,
            ORDER,
            SHOP,
            amount=Money(5_00, "CNY"),
            made_by="person:test",
            at=now,
        )
    return served


def signed_in(context: BrowserContext, url: str, name: str) -> Page:
    page = context.new_page()
    page.goto(f"{url}/wallet/")
    page.get_by_role("button", name=name).click()
    page.wait_for_url("**/wallet/home")
    return page


@pytest.mark.parametrize("part", ["/wallet", "/merchant", "/console", ""])
def test_axe_finds_nothing_on_any_page(lived: Served, desk: BrowserContext, part: str) -> None:
    others = () if part else ("/wallet", "/merchant", "/console")
    routes = [one for one in routes_of(part) if not one.startswith(others or ("-",))]
    page = signed_in(desk, lived.url, "Gao Lan") if part != "/console" else desk.new_page()
    walk = Walk(page, lived.url, [], set())

    walk.links |= set(BEGIN.get(part, ()))

    left = walk.over(routes, narrow=part != "/console")
    for address in BEGIN.get(part, ()):
        walk.look(address, address, narrow=True)

    assert not walk.faults, "\n".join(walk.faults)
    assert left <= APART, sorted(left - APART)
