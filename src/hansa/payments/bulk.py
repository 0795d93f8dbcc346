"""Plain fares by the column: what ``charge`` does with them, at a fraction of its cost.

A fare is plain when it is above zero and in the wallet's own currency: then it is one transfer from wallet to payee,
and that transfer says all of it. So it is kept in the ledger and nowhere else in this room; ``movements`` finds it on
the wallet's statement. Who calls keeps the intent until the ledger has answered; a kill in between is healed by asking
again, for the ledger knows each transfer by its id. What a wallet cannot carry, or the ledger has no account for, is
not booked: ``charge`` is for that.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import numpy as np
import numpy.typing as npt

from hansa import ledger
from hansa.store import Context
from hansa.store.copying import texts

Int64 = npt.NDArray[np.int64]
Ids = npt.NDArray[Any]

_FARE = int(ledger.TransferCode.FARE)
_BOOKED = (ledger.ResultCode.CREATED, ledger.ResultCode.EXISTS)


@dataclass(frozen=True, slots=True)
class FareColumns:
    """Plain fares of one partition, at most ``ledger.BATCH_MAX``, in the order in which they are to be carried.

    charge_ids, accounts, payees, references: 16 bytes each. amounts: minor units, above zero. at_us: microseconds since
    1970. parties: of each fare, its place in ``words``: (issuer, currency).
    """

    partition: int
    charge_ids: Ids
    accounts: Ids
    payees: Ids
    references: Ids
    amounts: Int64
    at_us: Int64
    parties: Int64
    words: Sequence[tuple[str, str]]

    def __len__(self) -> int:
        return len(self.amounts)


@dataclass(frozen=True, slots=True)
class CarriedFares:
    """What became of fares. booked: which of them the ledger has, by their wallets. transfer_ids: of each."""

    booked: npt.NDArray[np.bool_]
    transfer_ids: Ids


def carry_fares(ctx: Context, fares: FareColumns) -> CarriedFares:
    """Have the ledger move these from their wallets. Safe to repeat. Errors: StoreUnavailable and the like."""
    count = len(fares)
    records = np.zeros(count, ledger.RECORD)
    records["transfer_id"] = payee_transfers(fares.charge_ids, fares.at_us)
    records["debit"] = wallet_ids(fares.accounts, [fares.words[party][1] for party in fares.parties.tolist()])
    records["credit"] = fares.payees
    records["amount_low"] = fares.amounts
    records["reference"] = fares.references
    records["event_us"] = fares.at_us
    currencies = np.array([currency.encode() for _, currency in fares.words], "S3")
    records["currency"] = currencies[fares.parties]
    records["code"] = _FARE
    records["partition"] = fares.partition
    codes = ledger.post_batch(ctx, ledger.batch_of_records(records), partition=fares.partition)
    return CarriedFares(
        np.array([code in _BOOKED for code in codes], np.bool_), records["transfer_id"].copy()
    )


def payee_transfers(charge_ids: Ids, at_us: Int64) -> Ids:
    """``payee_transfer`` of each charge."""
    tail = texts("payee")
    hashed = b"".join(
        [
            sha256(b"\0\0\0$" + text + tail + repr(at).encode()).digest()
            for text, at in zip(uuid_texts(charge_ids), (at_us / 1e6).tolist(), strict=True)
        ]
    )
    return shaped_ids(hashed, at_us)


def wallet_ids(accounts: Ids, currencies: Sequence[str]) -> Ids:
    """``wallet_id`` of each account."""
    head = texts("wallet") + b"\0\0\0$"
    ends = {currency: texts(currency) for currency in set(currencies)}
    hashed = b"".join(
        [
            sha256(head + text + ends[currency]).digest()
            for text, currency in zip(uuid_texts(accounts), currencies, strict=True)
        ]
    )
    return shaped_ids(hashed, None)


def uuid_texts(ids: Ids) -> list[bytes]:
    """Ids as they are written, 36 characters each."""
    digits = np.frombuffer(np.ascontiguousarray(ids).tobytes().hex().encode(), np.uint8).reshape(-1, 32)
    letters = np.full((len(digits), 36), ord("-"), np.uint8)
    for start, end, at in ((0, 8, 0), (8, 12, 9), (12, 16, 14), (16, 20, 19), (20, 32, 24)):
        letters[:, at : at + end - start] = digits[:, start:end]
    found: list[bytes] = letters.view("S36").ravel().tolist()
    return found


def shaped_ids(hashed: bytes, at_us: Int64 | None) -> Ids:
    """Digests of 32 bytes as ids, the way ``fact_id`` makes them. at_us: when the facts happened; None is timeless."""
    digests = np.frombuffer(hashed, np.uint8).reshape(-1, 32)
    ids = np.empty((len(digests), 16), np.uint8)
    if at_us is None:
        ids[:, :6] = digests[:, 16:22]
    else:
        milliseconds = (at_us / 1e6 * 1000).astype(np.int64).astype(">i8")
        ids[:, :6] = milliseconds.view(np.uint8).reshape(-1, 8)[:, 2:]
    ids[:, 6:] = digests[:, :10]
    ids[:, 6] = ids[:, 6] & 0x0F | 0x80
    ids[:, 8] = ids[:, 8] & 0x3F | 0x80
    return ids.view("V16").ravel()
