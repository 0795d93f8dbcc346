"""The ways to people's banks that a running Hansa has: in a demonstration the simulated bank, in the home folder."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

from hansa import wallets
from hansa.apps.bank.people_bank import PeopleBank
from hansa.store import Context

FILE = "people-bank.sqlite"


@cache
def rails_at(home: Path, *, demo: bool) -> wallets.Rails:
    """The rails of this home folder, one set for a process. Outside of a demonstration there is none yet."""
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
