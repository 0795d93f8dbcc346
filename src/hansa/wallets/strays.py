"""What banks said that belongs to nothing we know: money that found no wallet, and words about orders we never gave.

It lies at the bank and in no book of ours until a treasurer decides, once and with a reason: money goes into the wallet
it was meant for, as if its reference had been right, or back the way it came: the bank is told to return it, or did so
when somebody asked for it there; other words are closed once somebody looked into them. Each decision is in the audit
record.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar
from uuid import UUID

from hansa import audit, identity, payments
from hansa.identity import AccountId
from hansa.kernel import HansaError, InvalidInput, Money, Problem
from hansa.store import Context, Tx
from hansa.wallets import bank_store as store
from hansa.wallets import returns, top_ups
from hansa.wallets.bank_model import BankTopUp, Return
from hansa.wallets.rails import Entry, EntryKind

WORDS_MAX = 500
BANK_REFERENCE_MAX = 70


class UnknownStray(HansaError):
    """A bank said nothing of this name that still waits for somebody to decide."""

    code: ClassVar[str] = "wallets.unknown_stray"
    status: ClassVar[int] = 404
    remedy: ClassVar[str] = "Look at the list again: somebody else may have decided."


@dataclass(frozen=True, slots=True)
class Stray:
    """What a bank said, and belongs to nothing. entry_id: the bank's own name for it, unique on its rail.

    order_id: of an outcome or a return. reference: of an arrival, what the payer wrote. reason: the bank's code.
    not_returned: why its bank did not return it when it was told to, as a code; empty where it was not told. is_money:
    whether money lies at the bank that is in no wallet: it arrived, or came back of a withdrawal.
    """

    rail_id: str
    entry_id: str
    kind: EntryKind
    order_id: UUID | None
    reference: str
    amount: Money
    reason: str
    at: datetime
    not_returned: str
    is_money: bool


def list_strays(tx: Tx, *, limit: int = 200) -> list[Stray]:
    """What waits for a decision, the oldest first."""
    return [_stray(row) for row in store.list_strays(tx, limit)]


def assign(
    ctx: Context, rail_id: str, entry_id: str, account_id: AccountId, *, expected: Money, by: str, reason: str
) -> BankTopUp:
    """Put money that found no wallet into the one it was meant for; gives the top-up, which is settled or aside.

    expected: what whoever decides saw, so that nothing else is decided. Its wallet hears of it as of any transfer; what
    it may not hold waits aside. The decision is one commit, and what a kill leaves the worker settles.
    Errors: UnknownStray, identity.UnknownAccount, InvalidInput naming the field at fault. Nothing is changed then.
    """
    at = ctx.clock.now()
    with ctx.tx() as tx:
        stray = _locked(tx, rail_id, entry_id, expected)
        why = _said("reason", reason, WORDS_MAX)
        if not stray.is_money:
            raise _unfit("do", "no money came with this", "Close it once you looked into it")
        account = identity.get_account(tx, account_id)
        partition = ctx.directory.partition_of(account_id)
        held = {one.currency for one in payments.balance_of(tx, account_id, partition=partition)}
        if stray.amount.currency not in held:
            told = f"it holds {', '.join(sorted(held)) or 'nothing'}"
            raise _unfit("to", f"{told}, and this is {stray.amount.currency}", "Have the bank return it")
        if identity.is_closed(tx, account_id):
            raise _unfit("to", "this account was deleted", "Have the bank return it")
        entry = Entry(0, entry_id, stray.kind, stray.amount, stray.at, reference=stray.reference)
        one = top_ups.take_arrival(tx, rail_id, entry, account, at, ctx.directory)
        store.decide_stray(tx, rail_id, entry_id, "assigned")
        details = {"to": str(account_id), "top_up_id": str(one.top_up_id), "reference": stray.reference}
        _keep(tx, "stray.assign", stray, by, why, details, at)
    return top_ups.advance(ctx, None, one)


def send_back(ctx: Context, rail_id: str, entry_id: str, *, expected: Money, by: str, reason: str) -> Return:
    """Have the bank return money that found no wallet; gives how far it is. The worker tells the bank.

    What the bank does not return waits here again. Errors: UnknownStray; InvalidInput naming the field at fault.
    Nothing is changed then.
    """
    with ctx.tx() as tx:
        stray = _locked(tx, rail_id, entry_id, expected)
        why = _said("reason", reason, WORDS_MAX)
        if not stray.is_money:
            raise _unfit("do", "no money came with this", "Close it once you looked into it")
        at = ctx.clock.now()
        one = returns.keep(tx, rail_id, entry_id, stray.amount, at)
        _keep(tx, "stray.send-back", stray, by, why, {"return_id": str(one.return_id)}, at)
    return one


def give_back(
    ctx: Context, rail_id: str, entry_id: str, *, expected: Money, bank_reference: str, by: str, reason: str
) -> None:
    """Keep that money was given back at the bank, under the bank's reference of 1 to 70 characters.

    Errors: UnknownStray; InvalidInput naming the field at fault. Nothing is changed then.
    """
    with ctx.tx() as tx:
        stray = _locked(tx, rail_id, entry_id, expected)
        told = _said("bank_reference", bank_reference, BANK_REFERENCE_MAX)
        why = _said("reason", reason, WORDS_MAX)
        if not stray.is_money:
            raise _unfit("do", "no money came with this", "Close it once you looked into it")
        store.decide_stray(tx, rail_id, entry_id, "given_back")
        _keep(tx, "stray.give-back", stray, by, why, {"bank_reference": told}, ctx.clock.now())


def close(ctx: Context, rail_id: str, entry_id: str, *, expected: Money, by: str, reason: str) -> None:
    """Keep that somebody looked into a bank's word about an order that is not ours, or not so.

    Errors: UnknownStray; InvalidInput naming the field at fault, also for money: that goes somewhere. Nothing is
    changed then.
    """
    with ctx.tx() as tx:
        stray = _locked(tx, rail_id, entry_id, expected)
        why = _said("reason", reason, WORDS_MAX)
        if stray.is_money:
            raise _unfit("do", "there is money", "Put it into a wallet, or have it returned")
        store.decide_stray(tx, rail_id, entry_id, "closed")
        _keep(tx, "stray.close", stray, by, why, {}, ctx.clock.now())


def _locked(tx: Tx, rail_id: str, entry_id: str, expected: Money) -> Stray:
    row = store.lock_stray(tx, rail_id, entry_id)
    if row is None:
        raise UnknownStray
    stray = _stray(row)
    if stray.amount != expected:
        raise _unfit("amount", f"it is {stray.amount}, and not {expected}", "Open the list again")
    return stray


def _keep(
    tx: Tx, action: str, stray: Stray, by: str, reason: str, details: Mapping[str, object], at: datetime
) -> None:
    told = {"amount_minor": stray.amount.minor, "currency": stray.amount.currency, "kind": stray.kind.value}
    subject = f"bank-entry:{stray.rail_id}/{stray.entry_id}"[:200]
    audit.record(tx, audit.Act(by, action, subject, reason, {**told, **details}), at)


def _stray(row: tuple[object, ...]) -> Stray:
    rail_id, entry_id, kind, order_id, reference, minor, currency, reason, at, not_returned, is_money = row
    assert isinstance(minor, int) and isinstance(at, datetime)
    return Stray(
        str(rail_id),
        str(entry_id),
        EntryKind(str(kind)),
        order_id if isinstance(order_id, UUID) else None,
        str(reference),
        Money(minor, str(currency)),
        str(reason),
        at,
        str(not_returned),
        bool(is_money),
    )


def _said(where: str, text: str, longest: int) -> str:
    said = "".join(letter if letter.isprintable() else " " for letter in text).strip()
    if not 1 <= len(said) <= longest:
        raise _unfit(where, "it is empty or too long", f"Write 1 to {longest} characters")
    return said


def _unfit(where: str, what: str, remedy: str) -> InvalidInput:
    return InvalidInput("Nothing was decided.", problems=(Problem(where, what, remedy),))
