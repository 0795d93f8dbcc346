"""How payments get into settlement windows: gathered into lots, booked on positions, taken by windows, released.

Only payments of currencies that windows settle are gathered; where settlement is gross, each moved its cover already. A
lot is read from the ledger's blocks, so it has what is in the books and each payment once. Every step is written down
before the ledger is told, under ids worked out from the lot, so a kill anywhere is ended by doing the same again.
Positions are clearing's, beside this room: whoever stands above both says which account one is (`apps.hub_clearing`).
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from hansa import ledger
from hansa.hub import liquidity_store as lines
from hansa.hub import lots_store as store
from hansa.hub import payments_store
from hansa.hub.model import (
    Lot,
    Payment,
    Step,
    Taken,
    UnknownLot,
    headroom_account,
    no_step,
    sent_account,
)
from hansa.kernel import InvalidInput, Problem, fact_id
from hansa.store import Bookmark, Context, Tx

PositionOf = Callable[[str, str, str, int], ledger.AccountId]
"""The account on which a payer owes a payee in a currency, in a partition of the ledger."""

EVERY = timedelta(minutes=1)
"""How often payments are gathered: as each minute begins, since windows end at whole minutes."""

_Pair = tuple[str, str, str]


def gather(ctx: Context) -> int:
    """Put what was paid since the last look into lots, once a minute; gives how many lots.

    Whoever runs it beside others, or again in the same minute, changes nothing.
    """
    now = ctx.clock.now()
    with ctx.tx() as tx:
        accounts: dict[int, dict[bytes, tuple[str, str]]] = {}
        for row in lines.list_rows(tx):
            if row.model == "deferred":
                account = headroom_account(row.member_id, row.currency, row.partition)
                accounts.setdefault(row.partition, {})[account.bytes] = row.member_id, row.currency
        if not accounts:
            return 0
        blocks = store.lock_gathered(tx, list(accounts), now.replace(second=0, microsecond=0))
        found: list[Lot] = []
        for head in ledger.list_heads(tx):
            after = blocks.get(head.partition)
            if after is None:
                continue
            for pair, (payments, minor) in sorted(
                _paid(tx, accounts[head.partition], head.partition, after, head.number).items()
            ):
                lot_id = fact_id(now, "hub.lot", head.partition, head.number, *pair)
                found.append(
                    Lot(lot_id, head.partition, *pair, after, head.number, payments, minor, gathered_at=now)
                )
            store.set_gathered(tx, head.partition, head.number, now)
        for currency in sorted({one.currency for one in found}):
            lines.lock_currency(tx, currency)
        otherwise = store.settled_otherwise(tx)
        kept = [one for one in found if one.currency not in otherwise]
        if kept:
            store.insert(tx, kept)
    return len(kept)


def clears_in_windows(tx: Tx, currency: str) -> bool:
    """Whether payments in this currency go onto positions, so that clearing's windows settle them and nobody else."""
    return store.has_lots(tx, currency)


def list_open_lots(tx: Tx) -> list[Lot]:
    """Lots that the ledger is still to be told of, the oldest first, as many as fit a batch."""
    return store.list_open(tx, ledger.BATCH_MAX)


def book_lots(ctx: Context, lots: Sequence[Lot], position_of: PositionOf, *, step: Step = no_step) -> int:
    """Book open lots on the positions of their members, which must be open; gives how many that newly were.

    Again is harmless.
    """
    if not lots:
        return 0
    _open_sent(ctx, lots)
    step("opened")
    results = ledger.post(ctx, [_transfer(one, position_of) for one in lots])
    refused = [result for result in results if not result.ok]
    assert not refused, refused
    step("booked")
    with ctx.tx() as tx:
        news = store.close(tx, [one.lot_id for one in lots])
        minors: dict[tuple[str, str], int] = {}
        for one in lots:
            if one.lot_id in news:
                for member, sign in ((one.payer_id, 1), (one.payee_id, -1)):
                    key = member, one.currency
                    minors[key] = minors.get(key, 0) + sign * one.amount_minor
        store.carry(tx, minors)
    step("carried")
    return len(news)


def note_taken(tx: Tx, window_id: str, owed: Mapping[_Pair, int], at: datetime) -> None:
    """Keep what a window took of payments: minor units by (payer, payee, currency). Again changes nothing."""
    minors: dict[tuple[str, str], int] = {}
    for (payer, payee, currency), minor in owed.items():
        for member, sign in ((payer, 1), (payee, -1)):
            minors[member, currency] = minors.get((member, currency), 0) + sign * minor
    rows = lines.rows_of(tx, list(minors)) if minors else {}
    taken = {key: minor for key, minor in sorted(minors.items()) if minor and key in rows}
    if taken:
        store.take(tx, window_id, taken, at)


def list_taken(tx: Tx, window_id: str, currency: str | None = None) -> list[Taken]:
    """What a window took of each member's payments, by currency and member."""
    return store.list_taken(tx, window_id, currency)


def heard_to(tx: Tx) -> Bookmark:
    """Up to where what becomes of windows was heard of."""
    return store.heard(tx)


def hear_to(tx: Tx, bookmark: Bookmark) -> None:
    """What becomes of windows was heard of up to here; never back."""
    store.hear(tx, bookmark)


def get_lot(tx: Tx, lot_id: UUID) -> Lot:
    """A lot. Errors: UnknownLot."""
    found = store.find(tx, lot_id)
    if found is None:
        raise UnknownLot(f"There is no lot {lot_id}.")
    return found


def lot_payments(
    tx: Tx, lot_id: UUID, *, after: str = "", limit: int = 100
) -> tuple[list[Payment], str | None]:
    """The payments of a lot, in order of booking, and a cursor for those after them; None at the end.

    Their amounts add up to the lot's. Errors: UnknownLot; InvalidInput for a cursor that is none.
    """
    lot = get_lot(tx, lot_id)
    payer = headroom_account(lot.payer_id, lot.currency, lot.partition)
    payee = headroom_account(lot.payee_id, lot.currency, lot.partition)
    place = _place(after) if after else None
    ids: list[UUID] = []
    while len(ids) <= limit:
        entries = ledger.postings(
            tx,
            [payer],
            after_block=lot.after_block,
            to_block=lot.up_to_block,
            partition=lot.partition,
            after=place,
            limit=1_000,
        )
        for entry in entries:
            transfer = entry.booked.transfer
            is_paid = entry.is_debit and entry.booked.moves_minor and transfer.credit == payee
            if is_paid and transfer.code == ledger.TransferCode.PAYMENT and transfer.reference is not None:
                if len(ids) == limit:
                    assert place is not None, "something was listed"
                    return _payments(tx, lot, ids), f"{place.block}.{place.position}"
                ids.append(transfer.reference)
            place = entry.booked.place
        if len(entries) < 1_000:
            break
    return _payments(tx, lot, ids), None


def verify_lots(tx: Tx) -> list[str]:
    """What does not agree between lots and the payments in the books, counted anew; empty where all does."""
    otherwise = store.settled_otherwise(tx)
    accounts: dict[int, dict[bytes, tuple[str, str]]] = {}
    for row in lines.list_rows(tx):
        if row.model == "deferred" and row.currency not in otherwise:
            account = headroom_account(row.member_id, row.currency, row.partition)
            accounts.setdefault(row.partition, {})[account.bytes] = row.member_id, row.currency
    told = store.sums(tx)
    booked: dict[_Pair, tuple[int, int]] = {}
    for partition, block in store.gathered(tx).items():
        booked |= _paid(tx, accounts.get(partition, {}), partition, 0, block)
    return [
        f"{pair}: {told.get(pair, (0, 0))} in lots, {booked.get(pair, (0, 0))} in the books"
        for pair in sorted({*told, *booked})
        if told.get(pair, (0, 0)) != booked.get(pair, (0, 0))
    ]


# --- inside


def _paid(
    tx: Tx, accounts: Mapping[bytes, tuple[str, str]], partition: int, after_block: int, to_block: int
) -> dict[_Pair, tuple[int, int]]:
    """What was paid in these blocks by (payer, payee, currency): how many payments, and their sum."""
    found: dict[_Pair, tuple[int, int]] = {}
    if to_block <= after_block or not accounts:
        return found
    members = {key.rstrip(b"\0"): whose for key, whose in accounts.items()}  # as NumPy gives ids, one by one
    for journal in ledger.read_columns(tx, after_block=after_block, to_block=to_block, partition=partition):
        some = journal[journal["code"] == ledger.TransferCode.PAYMENT]
        for debit, credit, minor in zip(
            some["debit"].tolist(), some["credit"].tolist(), some["amount"].tolist(), strict=True
        ):
            payer, payee = members.get(debit), members.get(credit)
            if payer is not None and payee is not None:
                pair = payer[0], payee[0], payer[1]
                payments, so_far = found.get(pair, (0, 0))
                found[pair] = payments + 1, so_far + minor
    return found


def _transfer(lot: Lot, position_of: PositionOf) -> ledger.Transfer:
    return ledger.Transfer(
        ledger.TransferId(fact_id(lot.gathered_at, "hub.lot.booked", lot.lot_id)),
        sent_account(lot.payer_id, lot.currency, lot.partition),
        position_of(lot.payer_id, lot.payee_id, lot.currency, lot.partition),
        lot.amount_minor,
        lot.currency,
        ledger.TransferCode.PAYMENT,
        lot.gathered_at,
        partition=lot.partition,
        reference=lot.lot_id,
        memo=f"{lot.payments} payments" if lot.payments > 1 else "1 payment",
    )


def _open_sent(ctx: Context, lots: Sequence[Lot]) -> None:
    wanted = {sent_account(one.payer_id, one.currency, one.partition): one for one in lots}
    with ctx.tx() as tx:
        try:
            ledger.balances(tx, wanted)
        except ledger.UnknownAccount:
            pass
        else:
            return
    code = ledger.AccountCode.SENT
    accounts = [
        ledger.Account(
            account_id,
            one.currency,
            code,
            one.payer_id,
            partition=one.partition,
            path=ledger.account_path(code, one.payer_id),
        )
        for account_id, one in wanted.items()
    ]
    ledger.open_accounts(ctx, accounts)


def _payments(tx: Tx, lot: Lot, ids: Sequence[UUID]) -> list[Payment]:
    found = payments_store.find(tx, [lot.partition], ids)
    return [found[one] for one in ids]


def _place(text: str) -> ledger.Place:
    parts = text.split(".")
    if len(parts) != 2 or not all(part.isascii() and part.isdigit() and len(part) < 16 for part in parts):
        problem = Problem(
            "after", f"{text[:40]!r} is no cursor", "Send `next` of the page before, or nothing"
        )
        raise InvalidInput("There is no such page.", problems=(problem,))
    return ledger.Place(int(parts[0]), int(parts[1]))
