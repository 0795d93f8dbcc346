"""What a wallet may hold: money that is on its way in has its place under the cap of its holder's level, or is refused.

Whoever is about to bring money asks first, in the transaction that writes down that it will come. The account's row is
locked and what is on its way counts with what the wallet holds, so two that fit one by one never pass the cap together.
Refunds ask nobody: what a person had already comes back in any case.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar
from uuid import UUID

from hansa import identity, ledger
from hansa.approval.deciding import lock_accounts
from hansa.identity import AccountId, ProofLevel
from hansa.kernel import HansaError, Money, Problem
from hansa.store import Tx

KNOWN = """
select i.incoming_id from approval.incoming i
join unnest(%s::integer[], %s::uuid[]) as w (partition, incoming_id) using (partition, incoming_id)
"""

UNDER_WAY = """
select i.account_id, i.currency, sum(i.minor)::bigint from approval.incoming i
join unnest(%s::integer[], %s::uuid[]) as w (partition, account_id) using (partition, account_id)
group by i.account_id, i.currency
"""

ADD = """
insert into approval.incoming (partition, incoming_id, account_id, currency, minor, since)
select w.*, %s from unnest(%s::integer[], %s::uuid[], %s::uuid[], %s::text[], %s::bigint[]) as w
"""

END = """
delete from approval.incoming i using unnest(%s::integer[], %s::uuid[]) as w (partition, incoming_id)
where i.partition = w.partition and i.incoming_id = w.incoming_id
"""


class BalanceCapReached(HansaError):
    """The wallet would hold more than it may, by how well its holder is known. Nothing was paid into it."""

    code: ClassVar[str] = "approval.balance_cap_reached"
    status: ClassVar[int] = 409
    remedy: ClassVar[str] = (
        "Prove your name, or your document, for a higher level; or bring less, or spend some of it first."
    )
    next_action: ClassVar[str] = "prove_name"


@dataclass(frozen=True, slots=True, kw_only=True)
class Incoming:
    """Money that is to come into a wallet. incoming_id: of the top-up or transfer; it has one place, however often it
    is asked for. wallet: its account in the ledger. partition: the ledger partition of the account.
    """

    incoming_id: UUID
    account_id: AccountId
    wallet: ledger.AccountId
    amount: Money
    partition: int = 0


def admit(tx: Tx, incoming: Sequence[Incoming], at: datetime) -> list[BalanceCapReached | None]:
    """Give each its place under the cap of its wallet, in the order given, as if they came one by one; None: it has it.

    A place counts if this transaction commits, until ``end_incoming``. The accounts stay locked until the transaction
    ends. Errors: identity.UnknownAccount.
    """
    if not incoming:
        return []
    accounts = lock_accounts(tx, {(one.partition, one.account_id) for one in incoming})
    partitions, ids = [one.partition for one in incoming], [one.incoming_id for one in incoming]
    known = {row[0] for row in tx.execute(KNOWN, (partitions, ids)).fetchall()}
    levels = identity.proof_levels(tx, list(accounts))
    held = _held(tx, incoming)
    answers: list[BalanceCapReached | None] = []
    new: list[Incoming] = []
    for one in incoming:
        refused = None
        if one.incoming_id not in known:
            level, currency = levels[one.account_id], one.amount.currency
            cap = identity.balance_cap(accounts[one.account_id].issuer_id, int(level), currency)
            if cap is not None and held[one.wallet] + one.amount.minor > cap:
                refused = _reached(level, Money(cap, currency), held[one.wallet])
            else:
                held[one.wallet] += one.amount.minor
                known.add(one.incoming_id)
                new.append(one)
        answers.append(refused)
    if new:
        tx.execute(
            ADD,
            (
                at,
                [one.partition for one in new],
                [one.incoming_id for one in new],
                [one.account_id for one in new],
                [one.amount.currency for one in new],
                [one.amount.minor for one in new],
            ),
        )
    return answers


def end_incoming(tx: Tx, incoming_ids: Collection[UUID], *, partition: int = 0) -> None:
    """These are in the books by now, or came to nothing: they keep no place any more. Again is harmless."""
    if incoming_ids:
        tx.execute(END, ([partition] * len(incoming_ids), list(incoming_ids)))


def _held(tx: Tx, incoming: Sequence[Incoming]) -> dict[ledger.AccountId, int]:
    """What these wallets hold and what is on its way to them, in minor units.

    What is on its way is read first: what gets into the books meanwhile counts twice, and never not at all.
    """
    wallets = {(one.account_id, one.amount.currency): one.wallet for one in incoming}
    return _held_by(tx, wallets, {one.account_id: one.partition for one in incoming})


def held_in(
    tx: Tx, partition: int, account_id: AccountId, wallets: Mapping[str, ledger.AccountId]
) -> dict[str, int]:
    """What counts against the cap of each of these wallets of an account, by currency, in minor units.

    That is what they hold and what is on its way to them.
    """
    keys = {(account_id, currency): wallet for currency, wallet in wallets.items()}
    held = _held_by(tx, keys, {account_id: partition}) if keys else {}
    return {currency: held[wallet] for currency, wallet in wallets.items()}


def _held_by(
    tx: Tx, wallets: Mapping[tuple[AccountId, str], ledger.AccountId], accounts: Mapping[AccountId, int]
) -> dict[ledger.AccountId, int]:
    held = dict.fromkeys(wallets.values(), 0)
    for account_id, currency, minor in tx.execute(
        UNDER_WAY, (list(accounts.values()), list(accounts))
    ).fetchall():
        wallet = wallets.get((account_id, currency))
        if wallet is not None:
            held[wallet] += minor
    for wallet, minor in _balances(tx, held).items():
        held[wallet] += minor
    return held


def _balances(tx: Tx, wallets: Collection[ledger.AccountId]) -> dict[ledger.AccountId, int]:
    """What these wallets hold; one that is not open yet holds nothing."""
    try:
        return {one: found.credit_minor for one, found in ledger.balances(tx, wallets).items()}
    except ledger.UnknownAccount:
        if len(wallets) == 1:
            return {}
    return {one: minor for wallet in wallets for one, minor in _balances(tx, [wallet]).items()}


def _reached(level: ProofLevel, cap: Money, held: int) -> BalanceCapReached:
    room = Money(max(0, cap.minor - held), cap.currency)
    remedy = "Bring less, or spend some of it first"
    if level < ProofLevel.DOCUMENT:
        remedy = "Prove your name at /wallet/me/name, or bring less"
    return BalanceCapReached(
        f"A wallet of level {level.name.lower()} holds {cap} at most, and has room for {room}.",
        problems=(Problem("amount", f"more than {room}", remedy),),
    )
