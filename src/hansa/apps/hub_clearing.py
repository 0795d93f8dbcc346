"""Payments between members through settlement windows: between the hub, which books them, and clearing, beside it.

Each minute what was paid goes onto positions in lots; windows take lots as they take any item, by their models. What
becomes of windows is heard of in order: what one took is noted when it is decided, and released when it is settled.
"""

from collections.abc import Callable, Sequence

from hansa import clearing, hub, ledger, trust
from hansa.store import Context, Tx, read_outbox

EVENTS_MAX = 100

Step = Callable[[str], None]


def no_step(_: str) -> None:
    """Nobody watches."""


def carry(ctx: Context, *, step: Step = no_step) -> int:
    """Book what members paid one another on their positions, once a minute; gives how many lots that newly were.

    Before windows are closed: then one has what was committed before its cut-off. It may be killed at any time. Where
    the league is no member of itself there is no clearing, and payments wait for it.
    """
    if not _has_league(ctx):
        return 0
    hub.gather(ctx)
    step("gathered")
    done = 0
    while True:
        with ctx.tx() as tx:
            lots = hub.list_open_lots(tx)
        if not lots:
            return done
        _open(ctx, lots)
        done += hub.book_lots(ctx, lots, clearing.position_account, step=step)


def hear(ctx: Context, *, step: Step = no_step) -> int:
    """Note what windows took of payments, and release what was settled; gives how many events were heard.

    Events come in the order of their commits, and hearing one again changes nothing.
    """
    done = 0
    while True:
        with ctx.tx() as tx:
            events = read_outbox(tx, clearing.WINDOWS_TOPIC, hub.heard_to(tx), EVENTS_MAX)
        for event in events:
            follow(ctx, str(event.body["window_id"]), str(event.body["status"]), str(event.body["currency"]))
            step("followed")
            with ctx.tx() as tx:
                hub.hear_to(tx, event.bookmark)
            step("heard")
        done += len(events)
        if len(events) < EVENTS_MAX:
            return done


def follow(ctx: Context, window_id: str, status: str, currency: str) -> None:
    """Do what a window's new status asks for: note what it took, or release what was settled in a currency."""
    with ctx.tx() as tx:
        owed = _owed(tx, window_id)
        if not owed:
            return
        hub.note_taken(tx, window_id, owed, ctx.clock.now())
        settled = hub.list_taken(tx, window_id, currency) if status == clearing.WindowStatus.SETTLED else []
    for one in settled:
        hub.release(ctx, window_id, one.member_id, one.currency, one.taken_minor)


def _has_league(ctx: Context) -> bool:
    with ctx.tx() as tx:
        try:
            trust.get_member(tx, clearing.LEAGUE)
        except trust.UnknownMember:
            return False
        return True


def _owed(tx: Tx, window_id: str) -> dict[tuple[str, str, str], int]:
    return {
        (one.issuer_id, one.operator_id, one.currency): one.minor
        for one in clearing.window_figures(tx, window_id)
        if one.code == ledger.TransferCode.PAYMENT
    }


def _open(ctx: Context, lots: Sequence[hub.Lot]) -> None:
    """Open the positions of these lots, where one is not. They are paid, whatever their members may do now."""
    with ctx.tx() as tx:
        try:
            ledger.balances(
                tx,
                [
                    clearing.position_account(one.payer_id, one.payee_id, one.currency, one.partition)
                    for one in lots
                ],
            )
        except ledger.UnknownAccount:
            pass
        else:
            return
    pairs = {(one.payer_id, one.payee_id, one.currency) for one in lots}
    clearing.open_positions(ctx, pairs, for_the_past=True)
