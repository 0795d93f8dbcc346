"""The console in a browser: in by passkey, confirmed by passkey, apart from the wallet; and no text becomes code."""

import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest
import uvicorn
from playwright.sync_api import BrowserContext, Page, expect

from browser import passkeys
from browser.conftest import PATIENCE_S
from browser.passkeys import VirtualAuthenticator
from browser.test_browser_money import check
from hansa import audit, trust
from hansa.apps.web import create_app, listen
from hansa.apps.web.origins import Origins
from hansa.kernel import FixedClock, SystemClock, new_id
from hansa.store import Context
from hansa.trust import staff, staff_store
from hansa.trust.staff_model import Proposal
from web import little_league

pytestmark = pytest.mark.browser

Authenticator = Callable[[Page], VirtualAuthenticator]
authenticator = passkeys.authenticator


class Apart:
    """A Hansa whose wallet and console are under names of their own; not a demonstration."""

    def __init__(self, ctx: Context, port: int) -> None:
        self.ctx = ctx
        self.wallet, self.console = f"http://localhost:{port}", f"http://console.localhost:{port}"

    def invite(self, handle: str, *roles: str) -> str:
        with self.ctx.tx() as tx:
            return staff.invite_staff(
                tx,
                handle,
                name=handle.title(),
                roles=roles,
                by="operator:root",
                at=self.ctx.clock.now(),
                reason="joins",
            )


@contextmanager
def _served(ctx: Context, home: Path) -> Generator[Apart]:
    listening = listen("127.0.0.1", 0)
    apart = Apart(ctx, listening.getsockname()[1])
    app = create_app(ctx, home=home, demo=False, origins=Origins(apart.wallet, apart.console))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive(), "the server did not start"
        time.sleep(0.02)
    try:
        yield apart
    finally:
        server.should_exit = True
        thread.join(timeout=PATIENCE_S)


@pytest.fixture
def apart(committed_ctx: Context, tmp_path: Path) -> Iterator[Apart]:
    ctx = replace(committed_ctx, clock=FixedClock(SystemClock().now()))
    little_league.build(ctx, trust.KeyFolder(tmp_path / "keys"))
    with _served(ctx, tmp_path) as served:
        yield served


def _join(page: Page, apart: Apart, handle: str, *roles: str) -> None:
    """Come in with an invitation: a passkey is made, and then used."""
    page.goto(f"{apart.console}/console/join")
    page.get_by_label("Invitation").fill(apart.invite(handle, *roles))
    page.get_by_role("button", name="Go on").click()
    page.get_by_label("What do you call this device?").fill("Laptop")
    page.get_by_role("button", name="Register a passkey").click()
    page.get_by_role("button", name="Sign in with a passkey").click()
    page.wait_for_url("**/console/me")
    page.wait_for_load_state("networkidle")


def _proposed(apart: Apart) -> UUID:
    """Something that waits for a second person; its id."""
    at = apart.ctx.clock.now()
    fields = {"whose": "toronto CAD", "currency": "CAD", "cap": "15000.01"}
    with apart.ctx.tx() as tx:
        admin = staff.get_staff(tx, "ada")
        one = Proposal(
            new_id(),
            "/console/liquidity/cap",
            fields,
            admin.member_id,
            "liquidity.write",
            "winter",
            "staff:bo",
            at,
            at + timedelta(hours=8),
        )
        staff_store.add_proposal(tx, one)
    return one.proposal_id


def test_a_person_comes_in_by_passkey_alone_and_confirms_with_it(
    apart: Apart,
    desk: BrowserContext,
    authenticator: Authenticator,
) -> None:
    page = desk.new_page()
    authenticator(page)
    _join(page, apart, "ada", "admin")
    expect(page.get_by_role("heading", name="Ada")).to_be_visible()
    cookie = next(one for one in desk.cookies() if one.get("name") == "hansa_staff")
    assert (cookie.get("httpOnly"), cookie.get("sameSite")) == (True, "Strict")
    assert cookie.get("domain") == "console.localhost"

    waits = _proposed(apart)
    for address in ("me", "staff", "staff/ada", "proposals", f"proposals/{waits}"):
        assert page.goto(f"{apart.console}/console/{address}").ok  # pyright: ignore[reportOptionalMemberAccess]
        check(page, address)

    apart.ctx.clock.at += timedelta(minutes=6)  # type: ignore[attr-defined]
    page.goto(f"{apart.console}/console/members/toronto")
    page.evaluate("() => document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    page.locator("form", has=page.locator('[value="suspend"]')).get_by_label("Why").first.fill("late")
    page.locator('[value="suspend"]').click()
    expect(page.get_by_text("Nothing has been done yet")).to_be_visible()
    page.get_by_role("button", name="Confirm with my passkey").click()
    page.wait_for_url("**/console/members/toronto")

    with apart.ctx.tx() as tx:
        kept = [(act.actor, act.action) for act in audit.search(tx)]
    assert ("staff:ada", "member.decide") in kept and ("staff:ada", "staff.confirm") in kept
    page.goto(f"{apart.console}/console/me")
    page.get_by_role("button", name="Sign out", exact=True).click()
    page.goto(f"{apart.console}/console/")
    expect(page.get_by_role("heading", name="Sign in to the console")).to_be_visible()


def test_another_owners_passkey_and_an_unverified_one_open_nothing(
    apart: Apart,
    desk: BrowserContext,
    authenticator: Authenticator,
) -> None:
    page = desk.new_page()
    device = authenticator(page)
    _join(page, apart, "ada", "viewer")
    with apart.ctx.tx() as tx:
        staff.invite_again(tx, "ada", by="operator:root", at=apart.ctx.clock.now(), reason="lost")

    page.goto(f"{apart.console}/console/")
    page.get_by_role("button", name="Sign in with a passkey").click()
    expect(page.get_by_role("alert")).to_contain_text("opens nothing here")
    device.verifies(False)
    page.get_by_role("button", name="Sign in with a passkey").click()
    expect(page.locator("[data-told]")).to_contain_text("nothing was done")


def test_the_wallets_pages_cannot_drive_the_console_nor_read_it(
    apart: Apart,
    desk: BrowserContext,
    authenticator: Authenticator,
) -> None:
    page = desk.new_page()
    authenticator(page)
    _join(page, apart, "ada", "admin")
    page.goto(f"{apart.wallet}/wallet/")

    sent = page.evaluate(
        """async (address) => {
          const said = (promise) => promise.then((answer) => answer.type, (error) => error.name);
          return [
            await said(fetch(address + "/console/staff", { credentials: "include" })),
            await said(fetch(address + "/console/staff/ada", { method: "POST", mode: "no-cors", credentials: "include",
              body: new URLSearchParams({ what: "end", reason: "x" }) })),
          ];
        }""",
        apart.console,
    )

    assert sent == ["TypeError", "TypeError"]
    page.goto(f"{apart.wallet}/console/staff")
    assert page.url == f"{apart.console}/console/staff"
    with apart.ctx.tx() as tx:
        assert staff.get_staff(tx, "ada").ended_at is None


def test_no_text_becomes_markup_or_code(apart: Apart, desk: BrowserContext) -> None:
    page = desk.new_page()
    page.goto(f"{apart.wallet}/wallet/")

    refused = page.evaluate(
        """() => {
          const tries = [
            () => { document.body.innerHTML = "<b>x</b>"; },
            () => { document.createElement("script").src = "https://evil.example/x.js"; },
            () => { document.createElement("iframe").srcdoc = "<b>x</b>"; },
            () => { trustedTypes.createPolicy("mine", { createHTML: (text) => text }); },
            () => { new Range().createContextualFragment("<b>x</b>"); },
          ];
          return tries.map((one) => { try { one(); return "done"; } catch (error) { return error.name; } });
        }"""
    )

    assert refused == ["TypeError"] * 5
