"""What a wallet's statement tells from the ledger alone: plain fares, and all that has a life of its own elsewhere.

``carry_fares`` has the ledger move plain fares and keeps nothing of its own. Charges and top-ups have rows here; ids
of their transfers follow from those rows, so they are told apart from all else. Whatever is left on the wallet is a
line, known by its code or by nothing, so that the lines of a wallet always come to what it holds.
"""

from collections.abc import Mapping
from datetime import timedelta

from hansa import ledger
from hansa.identity import AccountId
from hansa.payments import store
from hansa.payments.model import Mark, MovementKind, fare_transfer, top_up_transfer, wallet_transfer_of
from hansa.payments.store import Line
from hansa.store import Tx

AHEAD = timedelta(days=1)
"""How much later than it was booked a fare may say that it happened: gates' clocks are not exact."""

PAGE = 100
"""Lines of a statement read at once, at least."""


_CODE = ledger.TransferCode
_KINDS: Mapping[tuple[int, bool], MovementKind] = {
    (_CODE.TOP_UP, False): MovementKind.TOP_UP,
    (_CODE.TOP_UP, True): MovementKind.TOP_UP_RETURNED,
    (_CODE.FARE, True): MovementKind.FARE,
    (_CODE.FARE, False): MovementKind.CORRECTION,
    (_CODE.FARE_CORRECTION, True): MovementKind.FARE,
    (_CODE.FARE_CORRECTION, False): MovementKind.CORRECTION,
    (_CODE.REFUND, False): MovementKind.CORRECTION,
    (_CODE.PURCHASE, True): MovementKind.PAYMENT,
    (_CODE.PURCHASE_REFUND, False): MovementKind.REFUND,
    (_CODE.SEND, True): MovementKind.SENT,
    (_CODE.SEND, False): MovementKind.RECEIVED,
    (_CODE.WITHDRAWAL, True): MovementKind.WITHDRAWAL,
    (_CODE.WITHDRAWAL, False): MovementKind.WITHDRAWAL,
    (_CODE.VOUCHER, True): MovementKind.VOUCHER,
    (_CODE.VOUCHER, False): MovementKind.VOUCHER,
    (_CODE.EXCHANGE, True): MovementKind.EXCHANGE,
    (_CODE.EXCHANGE, False): MovementKind.EXCHANGE,
}
"""By transfer code, and whether the wallet is its debit side."""


def kind_of_posting(code: int, *, is_debit: bool) -> MovementKind:
    """What a posting on a wallet is, by its transfer code and whether the wallet is its debit side."""
    return _KINDS.get((code, is_debit), MovementKind.OTHER)


def list_plain_fares(
    tx: Tx,
    partition: int,
    account_id: AccountId,
    wallets: Mapping[ledger.AccountId, str],
    limit: int,
    before: Mark | None,
) -> list[Line]:
    """The account's lines without rows, newest first by when they happened: all from ``before`` on, ``limit`` older.

    wallets: its wallets' ledger accounts, with their currencies. Reads as much of the statements as that takes: what
    was booked before a line happened cannot be newer than it.
    """
    found: list[Line] = []
    for wallet, currency in wallets.items():
        found += _of_wallet(tx, wallet, currency, limit, before)
    if not found:
        return []
    first, last = min(line.at for line in found), max(line.at for line in found)
    with_rows = {
        transfer_id
        for row_id, at, what in store.rows_between(tx, partition, account_id, first, last)
        for transfer_id in (
            (top_up_transfer(row_id, at),)
            if what == "top_up"
            else (fare_transfer(row_id, at), wallet_transfer_of(row_id, at))
        )
    }
    plain = [line for line in found if line.movement_id not in with_rows]
    return sorted(plain, key=_mark, reverse=True)


def _of_wallet(
    tx: Tx, wallet: ledger.AccountId, currency: str, limit: int, before: Mark | None
) -> list[Line]:
    found: list[Line] = []
    place: ledger.Place | None = None
    while True:
        entries = ledger.statement(tx, wallet, after=place, limit=max(PAGE, limit), newest_first=True)
        for entry in entries:
            moved = entry.booked.transfer
            if entry.booked.moves_minor:
                found.append(
                    Line(
                        at=moved.event_at,
                        kind=kind_of_posting(moved.code, is_debit=entry.is_debit),
                        wallet_minor=entry.credit_minor,
                        wallet_currency=currency,
                        price_minor=moved.amount,
                        price_currency=currency,
                        owed_minor=0,
                        reference=moved.reference or moved.transfer_id,
                        finished=True,
                        movement_id=moved.transfer_id,
                        has_row=False,
                    )
                )
        if len(entries) < max(PAGE, limit):
            return found
        place = entries[-1].booked.place
        older = sorted((line.at for line in found if before is None or _mark(line) < before), reverse=True)
        if len(older) >= limit and older[limit - 1] > entries[-1].booked.booked_at + AHEAD:
            return found


def _mark(line: Line) -> Mark:
    return line.at, line.movement_id
