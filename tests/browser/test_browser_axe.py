"""Every page there is, by axe: in light and in dark, on a phone and on a desk, at 320 pixels too (WCAG 2.2 AA).

The pages are those of the application's own routes, so none is forgotten: an address with an id in it is found by
following the links of the pages before it, and a route that is looked at elsewhere stands in ``APART`` with the reason.
"""

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import pytest
from playwright.sync_api import BrowserContext, Error, Page

from browser.conftest import DESK, PHONE
from browser.lived import Lived, live
from browser.passkeys import at_localhost
from hansa.apps.demo.spec import DEMO_DAY
from hansa.apps.web.app import _application  # pyright: ignore[reportPrivateUsage]

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
    r"|^/wallet/home/|^/console/(files/\{name|reports/(statements|audit))|^/docs$|^/console/tariffs/files/"
)
"""Files and parts of pages."""

ELSEWHERE = "the demonstration has no staff; by axe in test_browser_security.py"
APART = {
    "/console/me": ELSEWHERE,
    "/console/proposals/{proposal_id:uuid}": ELSEWHERE,
    "/console/staff/{handle:str}": ELSEWHERE,
    "/wallet/cards/{card_id:uuid}/quote": "who comes here by a link is led to the card's page",
}
"""Pages that are looked at elsewhere, and why."""


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
    "/console": ("/console/search?q=hangzhou",),
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

HUBS = ("approvals", "money", "requests", "split", "statement", "tickets", "top-up", "withdraw")
"""Pages of the wallet that lead to what another person has done."""


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

    def gather(self) -> None:
        """The addresses to which this page leads."""
        self.links |= set(self.page.eval_on_selector_all("a[href^='/'], form[action^='/']", HREFS))

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
        self.gather()
        self.page.evaluate("document.querySelectorAll('main details').forEach(one => one.open = true)")
        self.page.evaluate(AXE.read_text(encoding="utf-8"))
        for size, scheme, rules in (
            (PHONE, "light", RULES),
            (PHONE, "dark", CONTRAST),
            (DESK, "dark", RULES),
        ):
            self.page.set_viewport_size(size)  # pyright: ignore[reportArgumentType]
            height = self.page.evaluate("document.documentElement.scrollHeight")
            tall = (
                height + size["height"]
            )  # so that the tabs hide nothing, also of what comes while axe looks
            self.page.set_viewport_size({"width": size["width"], "height": tall})
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


@pytest.fixture(scope="module")
def lived() -> Iterator[Lived]:
    """One league for all of these tests: they change nothing in it but what ``hand_in`` does."""
    with live() as league:
        yield league


@pytest.fixture
def opened_page(desk: BrowserContext) -> Page:
    desk.set_default_timeout(60_000)
    return desk.new_page()


def sign_in(page: Page, url: str, account_id: UUID) -> None:
    """As this rider of the demonstration, also one whom its first page does not offer."""
    page.context.clear_cookies()
    page.goto(f"{url}/wallet/")
    page.locator(".riders button").first.evaluate(
        "(one, id) => { one.value = id; one.click(); }", str(account_id)
    )
    page.wait_for_url("**/wallet/home")


def hand_in(page: Page, url: str) -> None:
    """What clerks hand in at the console: an applicant, and the fees of a day to be invoiced."""
    page.goto(f"{url}/console/members/apply")
    page.get_by_role("button", name="Hand in").click()
    page.goto(f"{url}/console/reports/invoices")
    for label in ("First day", "Last day"):
        page.get_by_label(label).fill(f"{DEMO_DAY}")
    page.get_by_role("button", name="Invoice", exact=True).click()


@pytest.mark.parametrize("part", ["/wallet", "/merchant", "/console", ""])
def test_axe_finds_nothing_on_any_page(lived: Lived, opened_page: Page, part: str) -> None:
    page, url = opened_page, at_localhost(lived.served.url)
    others = () if part else ("/wallet", "/merchant", "/console")
    routes = {one for one in routes_of(part) if not one.startswith(others or ("-",))}
    walk = Walk(page, url, [], {*lived.addresses, *lived.desk, *BEGIN.get(part, ())})
    if part == "/console":
        hand_in(page, url)
    else:
        sign_in(page, url, lived.person)

    left = walk.over(routes - APART.keys(), narrow=part != "/console")
    for address in BEGIN.get(part, ()):
        walk.look(address, address, narrow=True)
    for account_id in lived.others if part == "/wallet" else ():
        sign_in(page, url, account_id)
        walk.links.clear()
        for hub in HUBS:
            page.goto(f"{url}/wallet/{hub}", wait_until="domcontentloaded")
            walk.gather()
        left = walk.over(left)

    assert not walk.faults, "\n".join(walk.faults)
    assert not left, sorted(left)
