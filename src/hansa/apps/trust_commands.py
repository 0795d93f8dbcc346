"""``hansa trust publish`` and ``show``: the league's trust list, signed where its root's key is."""

import sys
from collections.abc import Callable
from time import monotonic
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from hansa import trust
from hansa.apps.open import opened
from hansa.apps.options import DEFAULT_HOME, Home
from hansa.codes import TrustList
from hansa.kernel import InvalidInput, Problem
from hansa.store import Context

trust_app = typer.Typer(no_args_is_help=True, help="The trust list: which keys gates believe.")

out = Console(width=None if sys.stdout.isatty() else 120)

LOOK_EVERY_S = 60.0


@trust_app.command()
def publish(
    list_key: Annotated[
        str | None,
        typer.Option(
            help="The key that signs deny lists and settings: 64 hex digits; this folder's if not given."
        ),
    ] = None,
    home: Home = DEFAULT_HOME,
) -> None:
    """Sign the trust list with the league's root, as a new version, for gates to fetch.

    Run it where the root's key is (keys/league-root.pem in the folder), at least once in a week. A league whose root is
    kept offline brings the key, runs this, and takes the key away again.
    """
    keys = trust.KeyFolder(home / "keys")
    public = _key(list_key) if list_key is not None else keys.lists().public_key().public_bytes_raw()
    with opened(home, join=True) as ctx, ctx.tx() as tx:
        at = ctx.clock.now()
        trust.set_list_key(tx, public, at)
        if trust.renew_trust_list(tx, keys.league_root(), at=at) is None:
            out.print("The list was signed within a day and has not changed; gates go on with it.")
        _show(trust.current_trust_list(tx, at=at))
    root = keys.league_root().public_key().public_bytes_raw().hex()
    out.print(f"Root: {root}", highlight=False, soft_wrap=True)


@trust_app.command()
def show(home: Home = DEFAULT_HOME) -> None:
    """Print which keys gates believe, and until when the signed list is good."""
    with opened(home, join=True) as ctx, ctx.tx() as tx:
        trust_list = trust.current_trust_list(tx)
        ends_at = trust.trust_list_ends_at(tx)
    _show(trust_list)
    out.print(
        "Nobody has signed a list yet: hansa trust publish."
        if ends_at is None
        else f"The signed list is good until {ends_at:%Y-%m-%d %H:%M} UTC.",
        highlight=False,
    )


def keep_trust_list(ctx: Context, keys: trust.KeyFolder) -> Callable[[], None]:
    """Signs the list anew when it is due, where the root's key is at hand; elsewhere it does nothing."""
    looked_at = -LOOK_EVERY_S

    def keep() -> None:
        nonlocal looked_at
        if monotonic() < looked_at + LOOK_EVERY_S or not keys.has_league_root:
            return
        looked_at = monotonic()
        with ctx.tx() as tx:
            trust.renew_trust_list(tx, keys.league_root(), at=ctx.clock.now())

    return keep


def _key(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        problem = Problem("--list-key", f"{text[:80]!r} is no hex", "Give 64 hex digits of Ed25519")
        raise InvalidInput("This cannot be the list key.", problems=(problem,)) from None


def _show(trust_list: TrustList) -> None:
    table = Table(title=f"Trust list, version {trust_list.version}", title_justify="left")
    for name in ("Key", "Issuer", "From", "Until", "Products", "Status"):
        table.add_column(name)
    for key in trust_list.keys:
        table.add_row(
            key.kid.hex(),
            key.issuer_id,
            f"{key.not_before:%Y-%m-%d}",
            f"{key.not_after:%Y-%m-%d}",
            ", ".join(key.products),
            key.status,
        )
    out.print(table)
    named = "none" if trust_list.list_key is None else trust_list.list_key.hex()
    out.print(f"List key: {named}", highlight=False, soft_wrap=True)
