"""How heavy the wallet's first page is, how soon it can be used, and how soon a ride code is there without a network.

    python benchmarks/_wallet_pages.py [--runs 9]

Chromium, as a phone of 390 x 844, asks a Hansa in another process with the little league of the tests. The throttled
phone: each request waits 150 ms, 1.6 Mbit/s down, 0.75 up, the processor slowed four times (Lighthouse's phone).

- ``first_page_kb``: bytes over the wire, heads included, until the page can be used, nothing kept before: the larger of
  the page to sign in, and the page of the ride code of who is signed in, on a phone that is connected. Baseline: 50.
- ``first_page_usable_ms``: on the throttled phone, from asking for it until it can be used: signing in, when its form
  listens; the ride code, when it is drawn. Median of so many runs, the larger of both. Baseline: 1,000.
- ``offline_code_ms``: from opening the page of the ride code until the code is drawn, the server gone and the network
  off, in a browser that was just started. Median; baseline: 500.

The last line is JSON, as ``benchmarks/wallet.py`` prints it.
"""

import argparse
import json
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import BrowserContext, Page, Playwright, sync_playwright

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from hansa import trust
from hansa.apps.rooms import migrate_all
from hansa.apps.web import create_app, serve
from hansa.store import EmbeddedServer, open_context
from web import little_league  # pyright: ignore[reportMissingImports]

RIDER = "Gao Lan"
PHONE = {"width": 390, "height": 844}
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
LATENCY_MS, DOWN_KBIT_S, UP_KBIT_S, SLOWER = 150, 1638.4, 750, 4
GOALS = {"first_page_kb": 50, "first_page_usable_ms": 1_000, "offline_code_ms": 500}
UNITS = {"first_page_kb": "kB", "first_page_usable_ms": "ms", "offline_code_ms": "ms"}

MARK = """
(() => {
  const usable = () => document.querySelector("[data-code]")
    ? document.querySelector("[data-code]").dataset.code && document.querySelector("svg.qr path").getAttribute("d")
    : document.querySelector("[data-passkey]") && document.readyState === "complete";
  const look = () => {
    if (usable()) globalThis.usableAt = performance.now();
    else setTimeout(look, 2);
  };
  look();
})();
"""
"""Notes in a page when it can be used: milliseconds since it was asked for."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=9, help="of each measurement; the median counts")
    parser.add_argument("--serve", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        keep_serving(*options.serve)
        return
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    print(json.dumps(page_figures(options.runs)))


def page_figures(runs: int) -> dict[str, Any]:
    """The three figures, each {value, unit, baseline, ratio}; what lies under them is printed."""
    home = Path(tempfile.mkdtemp(prefix="hansa-bench-"))
    home.chmod(0o755)
    try:
        with EmbeddedServer(home / "db") as database:
            migrate_all(database.url)
            with open_context(database.url) as ctx:
                little_league.build(ctx, trust.KeyFolder(home / "keys"))
            with sync_playwright() as playwright, serving(database.url, home) as (url, stop):
                found = measure(playwright, url, stop, home, runs)
    finally:
        shutil.rmtree(home, ignore_errors=True)
    return {
        name: {
            "value": round(value, 1) if name.endswith("kb") else round(value),
            "unit": UNITS[name],
            "baseline": GOALS[name],
            "ratio": round(value / GOALS[name], 3),
        }
        for name, value in found.items()
    }


def measure(
    playwright: Playwright, url: str, stop: Callable[[], None], home: Path, runs: int
) -> dict[str, float]:
    program = shutil.which("chromium") or shutil.which("google-chrome")
    folder = home / "browser"

    @contextmanager
    def browser() -> Generator[BrowserContext]:
        context = playwright.chromium.launch_persistent_context(
            folder,
            executable_path=program,
            args=ARGUMENTS,
            viewport=PHONE,  # pyright: ignore[reportArgumentType]
        )
        context.add_init_script(MARK)
        yield context
        context.close()

    with browser() as context:
        sign_in_kb, sign_in_ms = cold(context, f"{url}/wallet/", runs)
        page = context.new_page()
        page.goto(f"{url}/wallet/")
        page.get_by_role("button", name=RIDER).click()
        page.wait_for_url("**/wallet/home")
        first_ms = usable_ms(page)
        print(f"the first code of a new phone, not throttled, with connecting it: {first_ms:,.0f} ms")
        home_kb, home_ms = cold(context, f"{url}/wallet/home", runs)
        page.goto(f"{url}/wallet/home")
        page.evaluate("navigator.serviceWorker.ready.then(() => true)")
        page.wait_for_function(
            "() => caches.open('hansa-pages').then(kept => kept.match('/wallet/home')).then(found => !!found)"
        )
        page.goto(f"{url}/wallet/home")
        usable_ms(page)
        stop()
        context.set_offline(True)
        warm = [opened_ms(context, f"{url}/wallet/home") for _ in range(runs)]
    fresh: list[float] = []
    for _ in range(runs):
        with browser() as context:
            context.set_offline(True)
            fresh.append(opened_ms(context, f"{url}/wallet/home"))
    print(f"signing in: {sign_in_kb:.1f} kB, usable in {sign_in_ms:,.0f} ms on the throttled phone")
    print(f"ride code: {home_kb:.1f} kB, drawn in {home_ms:,.0f} ms on the throttled phone")
    print(
        f"without network: drawn in {statistics.median(warm):,.0f} ms, in a browser just started in"
        f" {statistics.median(fresh):,.0f} ms (slowest {max(fresh):,.0f})"
    )
    return {
        "first_page_kb": max(sign_in_kb, home_kb),
        "first_page_usable_ms": max(sign_in_ms, home_ms),
        "offline_code_ms": statistics.median(fresh),
    }


def cold(context: BrowserContext, address: str, runs: int) -> tuple[float, float]:
    """kB over the wire until the page can be used, and milliseconds until then; medians, with nothing kept before."""
    sizes: list[float] = []
    times: list[float] = []
    for _ in range(runs):
        page = context.new_page()
        tools = context.new_cdp_session(page)
        received: list[float] = []
        tools.on("Network.loadingFinished", _counting(received))
        tools.send("Network.enable")
        tools.send("Network.setBypassServiceWorker", {"bypass": True})
        tools.send("Network.clearBrowserCache")
        tools.send(
            "Network.emulateNetworkConditions",
            {
                "offline": False,
                "latency": LATENCY_MS,
                "downloadThroughput": DOWN_KBIT_S * 1024 / 8,
                "uploadThroughput": UP_KBIT_S * 1024 / 8,
            },
        )
        tools.send("Emulation.setCPUThrottlingRate", {"rate": SLOWER})
        page.goto(address)
        times.append(usable_ms(page))
        page.wait_for_timeout(20)
        sizes.append(sum(received) / 1000)
        page.close()
    return statistics.median(sizes), statistics.median(times)


def _counting(sizes: list[float]) -> Callable[[dict[str, Any]], None]:
    def count(told: dict[str, Any]) -> None:
        sizes.append(told["encodedDataLength"])

    return count


def opened_ms(context: BrowserContext, address: str) -> float:
    page = context.new_page()
    page.goto(address)
    taken = usable_ms(page)
    page.close()
    return taken


def usable_ms(page: Page) -> float:
    page.wait_for_function("() => globalThis.usableAt !== undefined")
    return page.evaluate("globalThis.usableAt")


@contextmanager
def serving(url: str, home: Path) -> Generator[tuple[str, Callable[[], None]]]:
    """A Hansa in another process: its address, and what ends it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    server = subprocess.Popen([sys.executable, __file__, "--serve", url, str(home), str(port)])

    def stop() -> None:
        if server.poll() is None:
            server.send_signal(signal.SIGTERM)
            server.wait()

    try:
        until = time.monotonic() + 60
        while time.monotonic() < until:
            assert server.poll() is None, "the server ended"
            with socket.socket() as door:
                if door.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield f"http://localhost:{port}", stop
    finally:
        stop()


def keep_serving(url: str, home: str, port: str) -> None:
    with open_context(url) as ctx:
        serve(create_app(ctx, home=Path(home), demo=True), port=int(port))


if __name__ == "__main__":
    main()
