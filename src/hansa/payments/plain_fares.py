"""What a wallet's statement tells from the ledger alone: plain fares, and all that has a life of its own elsewhere.

``carry_fares`` has the ledger move plain fares and keeps nothing of its own. Whatever else takes a fare from a wallet
has a row in ``payments.charges``; the id of its transfer follows from that row, so the two are told apart. Payments to
payees, money between people, withdrawals and vouchers are one posting each on the wallet, known by their codes.
"""

from collections.abc import Mapping
from datetime import timedelta

from hansa import ledger
from hansa.identity import AccountId
from hansa.payments import store
from hansa.payments.model import Mark, MovementKind, fare_transfer
from hansa.payments.store import Line
from hansa.store import Tx

AHEAD = timedelta(days=1)
"""How much later than it was booked a fare may say that it happened: gates' clocks are not exact."""

PAGE = 100
"""Lines of a statement read at once, at least."""


_CODE = ledger.TransferCode
_KINDS: Mapping[tuple[int, bool], MovementKind] = {
    (_CODE.FARE, True): MovementKind.FARE,
    (_CODE.PURCHASE, True): MovementKind.PAYMENT,
    (_CODE.PURCHASE_REFUND, False): MovementKind.REFUND,
    (_CODE.SEND, True): MovementKind.SENT,
    (_CODE.SEND, False): MovementKind.RECEIVED,
    (_CODE.WITHDRAWAL, True): MovementKind.WITHDRAWAL,
    (_CODE.WITHDRAWAL, False): MovementKind.WITHDRAWAL,
    (_CODE.VOUCHER, True): MovementKind.VOUCHER,
    (_CODE.VOUCHER, False): MovementKind.VOUCHER,
}
"""By transfer code, and whether the wallet is its debit side."""


def list_plain_fares(
    tx: Tx,
    partition: int,
    account_id: AccountId,
    wallets: Mapping[ledger.AccountId, str],
    limit: int,
    before: Mark | None,
) -> list[Line]:
    """The account's lines of these kinds, newest first by when they happened: all from ``before`` on, ``limit`` older.

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
        fare_transfer(charge_id, at)
        for charge_id, at in store.charges_between(tx, partition, account_id, first, last)
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
            kind = _KINDS.get((moved.code, entry.is_debit))
            if kind is not None and entry.booked.moves_minor and moved.reference is not None:
                found.append(
                    Line(
                        at=moved.event_at,
                        kind=kind,
                        wallet_minor=entry.credit_minor,
                        wallet_currency=currency,
                        price_minor=moved.amount,
                        price_currency=currency,
                        owed_minor=0,
                        reference=moved.reference,
                        finished=True,
                        movement_id=moved.transfer_id,
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
