"""All that this room keeps of a person, for the person: read whole, page by page, without the tokens of rails."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import TypeVar
from uuid import UUID

from hansa.identity import AccountId
from hansa.kernel import Mark
from hansa.store import Tx
from hansa.wallets import (
    automatic,
    bank_accounts,
    requests,
    returns_store,
    top_ups,
    transfers,
    transfers_store,
    withdrawals,
)
from hansa.wallets.bank_model import Automatic, BankAccount, BankTopUp, Return, Withdrawal
from hansa.wallets.model import Arrival, Request, Split, Transfer

PAGE = 500

REFERENCES = (
    "select currency, reference from wallets.payment_references where account_id = %s order by currency"
)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class PaidBy:
    """Something by which a person is paid. way: ``code`` or ``reference``, which is of one currency."""

    way: str
    text: str
    currency: str | None


def sent(tx: Tx, account_id: AccountId, partition: int) -> list[Transfer]:
    """What the person sent."""
    return _whole(
        lambda before: transfers.list_sent(tx, account_id, partition=partition, limit=PAGE, before=before),
        lambda one: (one.created_at, one.transfer_id),
    )


def received(tx: Tx, account_id: AccountId, partition: int) -> list[Arrival]:
    """What came to the person."""
    return _whole(
        lambda before: transfers.list_arrivals(
            tx, account_id, partition=partition, limit=PAGE, before=before
        ),
        lambda one: (one.arrived_at, one.transfer_id),
    )


def transfers_among(
    tx: Tx, account_id: AccountId, transfer_ids: Collection[UUID], *, partition: int = 0
) -> tuple[dict[UUID, Transfer], dict[UUID, Arrival]]:
    """Those of these transfers that the person sent, and those that came to them, by id."""
    if not transfer_ids:
        return {}, {}
    sent = transfers_store.find_all(tx, [partition], transfer_ids)
    own = {one: transfer for one, transfer in sent.items() if transfer.sender_id == account_id}
    return own, transfers_store.arrivals_among(tx, partition, account_id, transfer_ids)


def how_paid(tx: Tx, account_id: AccountId) -> list[PaidBy]:
    """By what the person is paid: the code that others type, and the references of credit transfers."""
    code = transfers_store.code_of(tx, account_id)
    found = [] if code is None else [PaidBy("code", code, None)]
    for currency, reference in tx.execute(REFERENCES, (account_id,)).fetchall():
        found.append(PaidBy("reference", reference, currency))
    return found


def asked(tx: Tx, account_id: AccountId) -> list[Request]:
    """Requests that the person made or received."""
    return _whole(
        lambda before: requests.list_requests(tx, account_id, limit=PAGE, before=before),
        lambda one: (one.created_at, one.request_id),
    )


def splits(tx: Tx, account_id: AccountId) -> list[Split]:
    """Bills that the person split."""
    return _whole(
        lambda before: requests.list_splits(tx, account_id, limit=PAGE, before=before),
        lambda one: (one.created_at, one.split_id),
    )


def banks(tx: Tx, account_id: AccountId) -> list[BankAccount]:
    """The person's bank accounts."""
    return [replace(one, token="") for one in bank_accounts.list_of(tx, account_id)]


def paid_in(tx: Tx, account_id: AccountId, partition: int) -> list[BankTopUp]:
    """Top-ups by bank, reference, voucher and counter."""
    found = _whole(
        lambda before: top_ups.list_of(tx, account_id, partition=partition, limit=PAGE, before=before),
        lambda one: (one.created_at, one.top_up_id),
    )
    return [replace(one, token="") for one in found]


def gone_back(tx: Tx, account_id: AccountId) -> list[Return]:
    """Top-ups that went back to the bank they came from."""
    return returns_store.list_of_account(tx, account_id)


def paid_out(tx: Tx, account_id: AccountId, partition: int) -> list[Withdrawal]:
    """Withdrawals."""
    found = _whole(
        lambda before: withdrawals.list_of(tx, account_id, partition=partition, limit=PAGE, before=before),
        lambda one: (one.created_at, one.withdrawal_id),
    )
    return [replace(one, token="") for one in found]


def rules(tx: Tx, account_id: AccountId, partition: int) -> list[Automatic]:
    """Automatic top-ups."""
    return automatic.list_of(tx, account_id, partition=partition)


def _whole(read: Callable[[Mark | None], list[T]], mark_of: Callable[[T], Mark]) -> list[T]:
    found: list[T] = []
    before: Mark | None = None
    while page := read(before):
        found += page
        before = mark_of(page[-1])
    return found
