"""Payments to payees and settlement windows: between payments, which book on positions, and clearing, above them.

Positions are opened between every issuer of wallets and every member that has payees, in the payees' currencies; when a
window is settled in a currency, the payments whose items it took are so too.
"""

from collections.abc import Iterable

from hansa import clearing, ledger, payments, trust
from hansa.store import Context, Tx, read_outbox

EVENTS_MAX = 100
ITEMS = 1_000
"""Items of a position that are settled in one commit."""


class Connections:
    """Keeps positions open for all payees; remembers for whom it did, so that a turn of the worker is cheap."""

    def __init__(self) -> None:
        self._known: tuple[set[tuple[str, str]], set[str]] | None = None

    def turn(self, ctx: Context) -> int:
        """Open what is missing since the last turn; gives how many positions."""
        with ctx.tx() as tx:
            acquirers = payments.acquirers(tx)
            risks = ledger.search_accounts(tx, code=ledger.AccountCode.RISK, limit=1_000) if acquirers else []
        issuers = {one.holder for one in risks}
        known = (set(acquirers), issuers)
        if not acquirers or known == self._known:
            return 0
        opened = connect(ctx, issuers)
        self._known = known
        return opened


def connect(ctx: Context, issuers: Iterable[str]) -> int:
    """Let these issuers' people pay all payees: opens the positions that are not open; gives how many.

    Again is harmless. Members that may not open any now are left out.
    """
    with ctx.tx() as tx:
        lives = trust.member_lives(tx, ctx.clock.now())
        may = {one for one, life in lives.items() if life.may("open", ctx.clock.now())}
        wanted = [
            (issuer, acquirer, currency)
            for acquirer, currency in payments.acquirers(tx)
            for issuer in sorted(set(issuers))
            if issuer != acquirer and {issuer, acquirer} <= may
        ]
        missing = [one for one in wanted if not _is_open(tx, one)]
    clearing.open_positions(ctx, missing)
    return len(missing)


def hear(ctx: Context) -> int:
    """Note as settled what settled windows took of payments; gives how many events were heard.

    Events come in the order of their commits, and hearing one again changes nothing.
    """
    done = 0
    while True:
        with ctx.tx() as tx:
            events = read_outbox(tx, clearing.WINDOWS_TOPIC, payments.heard_to(tx), EVENTS_MAX)
        for event in events:
            if str(event.body["status"]) == clearing.WindowStatus.SETTLED:
                settle(ctx, str(event.body["window_id"]), str(event.body["currency"]))
            with ctx.tx() as tx:
                payments.hear_to(tx, event.bookmark)
        done += len(events)
        if len(events) < EVENTS_MAX:
            return done


def settle(ctx: Context, window_id: str, currency: str) -> int:
    """Note as settled the payments that a window took in a currency; gives how many newly are."""
    with ctx.tx() as tx:
        figures = [
            one
            for one in clearing.window_figures(tx, window_id)
            if one.code == ledger.TransferCode.PURCHASE and currency in ("", one.currency)
        ]
    done = 0
    for one in figures:
        after = ""
        while True:
            with ctx.tx() as tx:
                items = clearing.window_items(
                    tx, window_id, one.issuer_id, one.operator_id, one.currency, after=after, limit=ITEMS
                )
                keys = {
                    (ctx.directory.partition_of(item.reference), item.reference)
                    for item in items
                    if item.code == ledger.TransferCode.PURCHASE and item.reference is not None
                }
                done += payments.settle(tx, sorted(keys), at=ctx.clock.now(), by=f"window:{window_id}")
            if len(items) < ITEMS:
                break
            after = items[-1].cursor
    return done


def _is_open(tx: Tx, position: tuple[str, str, str]) -> bool:
    try:
        ledger.get_account(tx, payments.position_account(*position))
    except ledger.UnknownAccount:
        return False
    return True
