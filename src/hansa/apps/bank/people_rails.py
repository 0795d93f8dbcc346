"""The ways to people's banks that a running Hansa has: one over HTTP, or the simulated one."""

import base64
import os
from collections.abc import Callable
from functools import cache
from pathlib import Path

from hansa import wallets
from hansa.apps.bank.people_bank import PeopleBank
from hansa.apps.bank.people_wire import HttpRail
from hansa.store import Context, read_secret

FILE = "people-bank.sqlite"
URL, NAME = "HANSA_PEOPLE_BANK_URL", "HANSA_PEOPLE_BANK_NAME"
KNOWN_BY = "people-bank"
"""The secret that the bank of HANSA_PEOPLE_BANK_URL knows us by."""


@cache
def rails_at(home: Path, *, demo: bool) -> wallets.Rails:
    """The rails of this home folder, one set for a process: the bank of HANSA_PEOPLE_BANK_URL, where it is set; else
    in a demonstration the simulated one, and elsewhere none.

    Errors: store.SecretMissing with how to make the secret that a bank knows us by.
    """
    url = os.environ.get(URL)
    if url:
        token = base64.urlsafe_b64encode(read_secret(KNOWN_BY, home / "keys").value).decode().rstrip("=")
        name = os.environ.get(NAME, "bank")
        return {name: HttpRail(name, url, token)}
    if not demo:
        return {}
    home.mkdir(parents=True, exist_ok=True)
    bank = PeopleBank(file=home / FILE)
    return {bank.rail_id: bank}


def keep_people_rails(ctx: Context, home: Path) -> Callable[[], None]:
    """What the worker does before each turn: hear people's banks, and go on with what waits for them."""
    demo = (home / "demo.json").is_file()

    def turn() -> None:
        wallets.turn(ctx, rails_at(home, demo=demo))

    return turn
