"""Passkeys in a browser under test: Chromium's virtual authenticator, which says yes by itself.

    from browser.passkeys import at_localhost, authenticator  # noqa: F401 - a fixture

    def test_…(served, phone, authenticator):
        page = phone.new_page()
        device = authenticator(page)          # before the page asks for a passkey
        page.goto(f"{at_localhost(served.url)}/wallet/")

The page must be opened at http://localhost: browsers make passkeys for names, not for 127.0.0.1.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pytest
from playwright.sync_api import CDPSession, Page


@dataclass
class VirtualAuthenticator:
    """A phone's own authenticator, with its owner's finger on it."""

    session: CDPSession
    authenticator_id: str

    def credentials(self) -> list[dict[str, Any]]:
        """The passkeys on it."""
        found = self.session.send("WebAuthn.getCredentials", {"authenticatorId": self.authenticator_id})
        return found["credentials"]

    def verifies(self, yes: bool) -> None:
        """Whether it knows its owner from now on."""
        self.session.send(
            "WebAuthn.setUserVerified",
            {"authenticatorId": self.authenticator_id, "isUserVerified": yes},
        )

    def answers(self, yes: bool) -> None:
        """Whether its owner says yes by themselves; a page then waits for them."""
        self.session.send(
            "WebAuthn.setAutomaticPresenceSimulation",
            {"authenticatorId": self.authenticator_id, "enabled": yes},
        )

    def forget(self) -> None:
        """It lost all its passkeys."""
        self.session.send("WebAuthn.clearCredentials", {"authenticatorId": self.authenticator_id})

    def take_out(self) -> None:
        """It is gone, as a phone that was lost."""
        self.session.send("WebAuthn.removeVirtualAuthenticator", {"authenticatorId": self.authenticator_id})


def at_localhost(url: str) -> str:
    """The same address by its name."""
    return url.replace("127.0.0.1", "localhost")


@pytest.fixture
def authenticator() -> Iterator[Callable[[Page], VirtualAuthenticator]]:
    """Puts an authenticator into the browser of a page. A second one for the same page is another device."""
    sessions: list[CDPSession] = []
    by_page: dict[Page, CDPSession] = {}

    def put_into(page: Page, *, transport: str = "internal") -> VirtualAuthenticator:
        if page not in by_page:
            by_page[page] = page.context.new_cdp_session(page)
            sessions.append(by_page[page])
            by_page[page].send("WebAuthn.enable", {"enableUI": False})
        options = {
            "protocol": "ctap2",
            "transport": transport,
            "hasResidentKey": True,
            "hasUserVerification": True,
            "isUserVerified": True,
            "automaticPresenceSimulation": True,
        }
        made = by_page[page].send("WebAuthn.addVirtualAuthenticator", {"options": options})
        return VirtualAuthenticator(by_page[page], made["authenticatorId"])

    yield put_into
    for session in sessions:
        with suppress(Exception):
            session.detach()
