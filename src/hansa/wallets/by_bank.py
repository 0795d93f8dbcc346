"""What top-ups and withdrawals have in common: money that a bank moves for a person, one way or the other.

Who may begin, how a bank is asked and when again, what is taken from a wallet late, and what is told at the end.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

from hansa import identity, ledger, payments, webhooks
from hansa.identity import AccountId
from hansa.kernel import InvalidInput, Money, Problem, fact_id
from hansa.store import Context, Tx
from hansa.wallets import bank_accounts
from hansa.wallets.bank_model import BankAccount, wait_after
from hansa.wallets.rails import Answer, BankRail, Order, Verdict, ask_safely, order_safely

ASK_AFTER = timedelta(hours=1)
"""A bank that took an order is asked after it so long later, if it said nothing by itself."""


class ByBank(Protocol):
    """What a top-up and a withdrawal both are."""

    @property
    def partition(self) -> int: ...
    @property
    def account_id(self) -> UUID: ...
    @property
    def issuer_id(self) -> str: ...
    @property
    def amount(self) -> Money: ...
    @property
    def reason(self) -> str: ...
    @property
    def created_at(self) -> datetime: ...


@dataclass(frozen=True, slots=True)
class Waits:
    """A bank has not said how it ends. is_sent: whether it took the order at all; next_at: when it is asked again."""

    is_sent: bool
    next_at: datetime


def may_begin(
    tx: Tx, account_id: AccountId, bank_account_id: UUID, amount: Money
) -> tuple[identity.Account, BankAccount]:
    """The person's account and their bank account, between which this may move.

    Errors: identity.UnknownAccount, identity.AccountBlocked, those of ``bank_accounts.get_own``, InvalidInput.
    """
    account = identity.get_account(tx, account_id)
    if identity.standing_of(tx, account_id).level == "blocked":
        raise identity.AccountBlocked("Your account is blocked. Ask your issuer.")
    bank = bank_accounts.get_own(tx, account_id, bank_account_id)
    if bank.currency != amount.currency:
        problem = Problem(
            "amount.currency", f"the bank account is in {bank.currency}", "Choose that currency"
        )
        raise InvalidInput("The bank account has another currency.", problems=(problem,))
    return account, bank


def reference_of(order_id: UUID) -> str:
    """What stands on the person's bank statement."""
    return f"HANSA {order_id.hex[-12:].upper()}"


def ask_bank(rail: BankRail, order: Order, *, is_new: bool) -> Answer:
    """Give a bank an order, or ask what became of it; no answer is unknown."""
    return order_safely(rail, order) if is_new else ask_safely(rail, order)


def waits(answer: Answer, *, was_sent: bool, tries: int, at: datetime) -> Waits:
    """How it stands with an order whose end the bank has not said. tries: how often it was asked before."""
    accepted = answer.verdict is Verdict.ACCEPTED
    return Waits(accepted or was_sent, at + (ASK_AFTER if accepted else wait_after(tries)))


def take_late(ctx: Context, one: ByBank, which: UUID, what: str, code: ledger.TransferCode) -> None:
    """Take from the wallet what is not the person's after all, or let the issuer carry it and the person owe it.

    which: the top-up or withdrawal. what: of it this is, which makes the charge's id: again is harmless.
    """
    payments.charge(
        ctx,
        [
            payments.Charge(
                charge_id=fact_id(one.created_at, what, which),
                account_id=AccountId(one.account_id),
                issuer_id=one.issuer_id,
                wallet_currency=one.amount.currency,
                amount=one.amount,
                payee=payments.cash_account(one.issuer_id, one.amount.currency, one.partition),
                at=one.created_at,
                rate_day=one.created_at.date(),
                reference=which,
                code=code,
            )
        ],
    )


def record_end(
    tx: Tx, one: ByBank, thing: str, which: UUID, to: str, person: webhooks.ForPerson, **more: str
) -> None:
    """Tell the issuer and the person how it ended. thing: ``top_up`` or ``withdrawal``; to: the state it ended in.

    person: what the owner is told. more: further words of the event.
    """
    webhooks.record(
        tx,
        webhooks.News(
            type=f"{thing}.{to}",
            members=(one.issuer_id,),
            at=person.at,
            subject=f"{thing} {which}",
            data={
                f"{thing}_id": str(which),
                "account_id": str(one.account_id),
                "amount_minor": one.amount.minor,
                "currency": one.amount.currency,
                **more,
                "reason": one.reason,
            },
            fact=(str(which), to),
            people=[person],
        ),
    )


def for_owner(one: ByBank, thing: str, which: UUID, to: str, kind: str, at: datetime) -> webhooks.ForPerson:
    """What the wallet's owner is told of it."""
    amount = {"minor": one.amount.minor, "currency": one.amount.currency}
    return webhooks.ForPerson(
        account_id=one.account_id,
        kind=kind,
        at=at,
        subject=f"{thing} {which}",
        facts={"amount": amount, "reason": one.reason},
        fact=(which, to),
    )
