"""Payments to payees and settlement windows: between payments, which book on positions, and clearing, above them.

Positions are opened between every issuer of wallets and every member that has payees, in the payees' currencies; when a
window is settled in a currency, the payments whose items it took are so too, and what acquirers awaited for them, and
issuers for what their people were sent, is awaited no more.
"""

from collections.abc import Iterable
from datetime import datetime

from hansa import clearing, ledger, payments, trust
from hansa.kernel import fact_id
from hansa.store import Context, Tx, read_outbox

EVENTS_MAX = 100
ITEMS = 1_000
"""Items of a position that are settled in one commit."""


AWAITED = (ledger.TransferCode.PURCHASE, ledger.TransferCode.PURCHASE_REFUND, ledger.TransferCode.SEND)
"""Items for which somebody was given money before clearing brought it."""


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
                window_id, currency = str(event.body["window_id"]), str(event.body["currency"])
                receive(ctx, window_id, currency)
                settle(ctx, window_id, currency)
            with ctx.tx() as tx:
                payments.hear_to(tx, event.bookmark)
        done += len(events)
        if len(events) < EVENTS_MAX:
            return done


def receive(ctx: Context, window_id: str, currency: str) -> int:
    """Take what a settled window brought for payments and sends off what members awaited; gives how many transfers.

    Settlement made all that a window brought a member its earnings; of those, what its payees and people were given
    long before is no earning: it goes from EARNED to RECEIVABLE, gross, so that fees stay where they are. One transfer
    for each member, currency and partition, its id worked out from the window, so that hearing of it again is harmless.
    """
    with ctx.tx() as tx:
        window = clearing.get_window(tx, window_id)
        sums: dict[tuple[str, str, int], int] = {}
        for partition, one in clearing.parted_figures(tx, window_id, AWAITED):
            if currency in ("", one.currency):
                key = (one.operator_id, one.currency, partition)
                sums[key] = sums.get(key, 0) + one.minor
    at = window.closed_at or window.decided_at
    transfers = [
        _received(window, member, unit, partition, minor, at)
        for (member, unit, partition), minor in sorted(sums.items())
        if minor
    ]
    for start in range(0, len(transfers), ledger.BATCH_MAX):
        results = ledger.post(ctx, transfers[start : start + ledger.BATCH_MAX])
        assert all(result.ok for result in results), [result for result in results if not result.ok]
    return len(transfers)


def _received(
    window: clearing.Window, member: str, currency: str, partition: int, minor: int, at: datetime
) -> ledger.Transfer:
    """What was awaited of a window has come; where refunds outweigh, the other way round."""
    earned = clearing.earned_account(member, currency, partition)
    awaited = payments.receivable_account(member, currency, partition)
    return ledger.Transfer(
        transfer_id=ledger.TransferId(fact_id(at, "received", window.window_id, member, currency, partition)),
        debit=earned if minor > 0 else awaited,
        credit=awaited if minor > 0 else earned,
        amount=abs(minor),
        currency=currency,
        code=ledger.TransferCode.RECEIVED,
        event_at=at,
        partition=partition,
        reference=clearing.window_reference(window.window_id),
        memo=f"{window.label} {member}"[:200],
    )


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
