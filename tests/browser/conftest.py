"""What browser tests share: Debian's Chromium, and a little league served on a port of its own."""

import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
import uvicorn
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from hansa import trust
from hansa.apps.web import create_app, listen
from hansa.apps.web.browser_files import find_browser_files
from hansa.kernel import SystemClock
from hansa.store import Context
from web import little_league
from web.little_league import LittleLeague

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
]
# A busy machine is no failure, and some parts of a page renew themselves only every 5 s.
PATIENCE_S = 60
expect.set_options(timeout=PATIENCE_S * 1000)

PHONE = {"width": 390, "height": 844}
DESK = {"width": 1440, "height": 900}


@dataclass
class Served:
    """A running application. ``stop`` takes it away, as a lost server would be."""

    ctx: Context
    home: Path
    league: LittleLeague
    port: int = 0
    server: uvicorn.Server | None = None
    thread: threading.Thread | None = field(default=None)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        listening = listen("127.0.0.1", self.port)
        self.port = listening.getsockname()[1]
        app = create_app(self.ctx, home=self.home, demo=True)
        self.server = uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1))
        self.thread = threading.Thread(target=self.server.run, kwargs={"sockets": [listening]}, daemon=True)
        self.thread.start()
        while not self.server.started:
            assert self.thread.is_alive(), "the server did not start"
            time.sleep(0.02)

    def stop(self) -> None:
        if self.server is not None and self.thread is not None:
            self.server.should_exit = True
            self.thread.join(timeout=PATIENCE_S)
            assert not self.thread.is_alive(), "the server still has its port"
            self.server = None


def find_chromium() -> str:
    """The path of the Chromium to test with; skips the test where there is none."""
    program = os.environ.get("HANSA_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("Chromium is not installed: apt-get install chromium, or name one in HANSA_CHROMIUM.")
    return program


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """Debian's Chromium, or the one HANSA_CHROMIUM names."""
    program = find_chromium()
    if find_browser_files() is None:
        pytest.skip("The browser files are not installed: run make setup.")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def served(committed_ctx: Context, tmp_path: Path) -> Iterator[Served]:
    """A little league with the real clock, being served."""
    ctx = replace(committed_ctx, clock=SystemClock())
    league = little_league.build(ctx, trust.KeyFolder(tmp_path / "keys"))
    served = Served(ctx, tmp_path, league)
    served.start()
    yield served
    served.stop()


@pytest.fixture
def phone(chromium: Browser) -> Iterator[BrowserContext]:
    context = chromium.new_context(viewport=PHONE, has_touch=True)  # pyright: ignore[reportArgumentType]
    context.set_default_timeout(PATIENCE_S * 1000)
    yield context
    with suppress(Exception):
        context.close()


@pytest.fixture
def desk(chromium: Browser) -> Iterator[BrowserContext]:
    context = chromium.new_context(viewport=DESK)  # pyright: ignore[reportArgumentType]
    context.set_default_timeout(PATIENCE_S * 1000)
    yield context
    with suppress(Exception):
        context.close()


def sign_in(page: Page, url: str, name: str) -> None:
    """Sign in on the wallet's first page as this rider, and wait for a code."""
    page.goto(f"{url}/wallet/")
    page.get_by_role("button", name=name).click()
    page.wait_for_url("**/wallet/home")
    shown_code(page)


def shown_code(page: Page, *, other_than: str = "") -> str:
    """The code on the wallet, once there is one other than this."""
    page.wait_for_function(
        "old => { const code = document.querySelector('[data-code]')?.dataset.code; return code && code !== old }",
        arg=other_than,
    )
    return page.locator("[data-code]").input_value()


def show_to_gate(page: Page, code: str) -> str:
    """Paste a code at the gate screen; what the screen then says, and not what it said to the code before."""
    page.evaluate("document.querySelector('[data-result]').dataset.state = 'ready'")
    page.get_by_label("Paste a code").fill(code)
    with page.expect_response("**/read"):
        page.get_by_role("button", name="Show it to the gate").click()
    page.wait_for_function("() => document.querySelector('[data-result]').dataset.state !== 'ready'")
    return page.locator("[data-result]").inner_text()


def until(page: Page, what: str, holds: Callable[[], bool]) -> None:
    """Wait until this holds; what the page hears meanwhile is heard. what: said when it does not come about."""
    over = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < over, f"not within {PATIENCE_S} s: {what}"
        page.wait_for_timeout(50)
