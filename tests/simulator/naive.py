"""A ledger so simple that a reader can check it: dictionaries, one transfer after the other, no database.

It follows the words of the reference (docs/ledger.md) and shares nothing with the decider but the names of results.
"""

from collections.abc import Iterable, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from hansa.ledger import (
    AMOUNT_MAX,
    AS_PENDING,
    Account,
    AccountFlag,
    AccountId,
    Balance,
    Transfer,
    TransferFlag,
    TransferId,
)

CREATED = "created"
EXISTS = "exists"
DIFFERS = "exists_with_different_"

_BALANCING = TransferFlag.BALANCING_DEBIT | TransferFlag.BALANCING_CREDIT
_ENDS = TransferFlag.POST_PENDING | TransferFlag.VOID_PENDING


@dataclass
class NaiveAccount:
    """An account's limits and its four sums."""

    currency: str
    flags: AccountFlag
    closed: bool = False
    debits_pending: int = 0
    debits: int = 0
    credits_pending: int = 0
    credits: int = 0

    @property
    def balance(self) -> Balance:
        return Balance(self.debits_pending, self.debits, self.credits_pending, self.credits)

    def holds_its_limit(self) -> bool:
        if self.flags & AccountFlag.DEBITS_MUST_NOT_EXCEED_CREDITS:
            return self.debits_pending + self.debits <= self.credits
        if self.flags & AccountFlag.CREDITS_MUST_NOT_EXCEED_DEBITS:
            return self.credits_pending + self.credits <= self.debits
        return True


@dataclass
class NaiveHold:
    """A hold: what was handed in, until when, and how it ended ("" while it is open)."""

    transfer: Transfer
    held: int
    ends_at: datetime | None
    ended: str = ""


@dataclass
class NaiveBooks:
    """The naive ledger of one partition."""

    accounts: dict[AccountId, NaiveAccount] = field(default_factory=dict[AccountId, NaiveAccount])
    sent: dict[TransferId, Transfer] = field(default_factory=dict[TransferId, Transfer])
    moved: dict[TransferId, int] = field(default_factory=dict[TransferId, int])
    holds: dict[TransferId, NaiveHold] = field(default_factory=dict[TransferId, NaiveHold])

    def open(self, accounts: Iterable[Account]) -> None:
        for account in accounts:
            self.accounts.setdefault(account.account_id, NaiveAccount(account.currency, account.flags))

    def balances(self) -> dict[AccountId, Balance]:
        return {account_id: account.balance for account_id, account in self.accounts.items()}

    def post(self, transfers: Sequence[Transfer], now: datetime, *, expiring: bool = False) -> list[str]:
        """What becomes of each; a result that ends in "_" stands for all that begin with it."""
        told: list[str] = []
        chain: list[Transfer] = []
        for index, transfer in enumerate(transfers):
            chain.append(transfer)
            if transfer.flags & TransferFlag.LINKED and index < len(transfers) - 1:
                continue
            if len(chain) == 1 and not transfer.flags & TransferFlag.LINKED:
                told.append(self.one(transfer, now, expiring=expiring))
            else:
                told += self._chain(chain, now)
            chain = []
        return told

    def _chain(self, chain: Sequence[Transfer], now: datetime) -> list[str]:
        is_open = bool(chain[-1].flags & TransferFlag.LINKED)
        if not is_open and all(self.sent.get(transfer.transfer_id) == transfer for transfer in chain):
            return [EXISTS] * len(chain)
        before = (
            {key: copy(account) for key, account in self.accounts.items()},
            {key: copy(hold) for key, hold in self.holds.items()},
            dict(self.sent),
            dict(self.moved),
        )
        for index, transfer in enumerate(chain):
            is_open_end = is_open and index == len(chain) - 1
            code = "linked_event_chain_open" if is_open_end else self.one(transfer, now)
            if code != CREATED:
                self.accounts, self.holds, self.sent, self.moved = before
                told = ["linked_event_failed"] * len(chain)
                told[index] = code
                if is_open:
                    told[-1] = "linked_event_chain_open"
                return told
        return [CREATED] * len(chain)

    def one(self, transfer: Transfer, now: datetime, *, expiring: bool = False) -> str:
        """What becomes of this one alone."""
        known = self.sent.get(transfer.transfer_id)
        if known is not None:
            return EXISTS if known == transfer else DIFFERS
        if transfer.flags & TransferFlag.EXPIRED and not expiring:
            return "reserved_flag"
        if transfer.flags & _ENDS:
            return self._end(transfer, now, expiring=expiring)
        return self._move(transfer, now)

    def _move(self, transfer: Transfer, now: datetime) -> str:
        if transfer.debit == transfer.credit:
            return "accounts_must_be_different"
        debit, credit = self.accounts.get(transfer.debit), self.accounts.get(transfer.credit)
        if debit is None:
            return "debit_account_not_found"
        if credit is None:
            return "credit_account_not_found"
        if debit.currency != credit.currency:
            return "accounts_must_have_the_same_ledger"
        if debit.currency != transfer.currency:
            return "transfer_must_have_the_same_ledger_as_accounts"
        if debit.closed:
            return "debit_account_already_closed"
        if credit.closed:
            return "credit_account_already_closed"
        amount = transfer.amount
        if transfer.flags & TransferFlag.BALANCING_DEBIT:
            amount = min(amount, max(0, debit.credits - debit.debits - debit.debits_pending))
        if transfer.flags & TransferFlag.BALANCING_CREDIT:
            amount = min(amount, max(0, credit.debits - credit.credits - credit.credits_pending))
        if (
            debit.flags & AccountFlag.DEBITS_MUST_NOT_EXCEED_CREDITS
            and debit.debits + debit.debits_pending + amount > debit.credits
        ):
            return "exceeds_credits"
        if (
            credit.flags & AccountFlag.CREDITS_MUST_NOT_EXCEED_DEBITS
            and credit.credits + credit.credits_pending + amount > credit.debits
        ):
            return "exceeds_debits"
        if transfer.flags & TransferFlag.PENDING:
            debit.debits_pending += amount
            credit.credits_pending += amount
            ends_at = now + timedelta(seconds=transfer.timeout_s) if transfer.timeout_s else None
            self.holds[transfer.transfer_id] = NaiveHold(transfer, amount, ends_at)
            debit.closed = bool(transfer.flags & TransferFlag.CLOSING_DEBIT)
            credit.closed = bool(transfer.flags & TransferFlag.CLOSING_CREDIT)
        else:
            debit.debits += amount
            credit.credits += amount
        self._keep(transfer, amount)
        return CREATED

    def _end(self, transfer: Transfer, now: datetime, *, expiring: bool) -> str:
        assert transfer.pending_id is not None
        if transfer.pending_id not in self.sent:
            return "pending_transfer_not_found"
        hold = self.holds.get(transfer.pending_id)
        if hold is None:
            return "pending_transfer_not_pending"
        voids = bool(transfer.flags & TransferFlag.VOID_PENDING)
        amount = hold.held if transfer.amount == (0 if voids else AMOUNT_MAX) else transfer.amount
        if amount > hold.held:
            return "exceeds_pending_transfer_amount"
        if voids and amount != hold.held:
            return "pending_transfer_has_different_amount"
        if hold.ended:
            return hold.ended
        if not expiring and hold.ends_at is not None and hold.ends_at <= now:
            return "pending_transfer_expired"
        debit, credit = self.accounts[hold.transfer.debit], self.accounts[hold.transfer.credit]
        if not voids and debit.closed:
            return "debit_account_already_closed"
        if not voids and credit.closed:
            return "credit_account_already_closed"
        debit.debits_pending -= hold.held
        credit.credits_pending -= hold.held
        if voids:
            hold.ended = "pending_transfer_expired" if expiring else "pending_transfer_already_voided"
            if hold.transfer.flags & TransferFlag.CLOSING_DEBIT:
                debit.closed = False
            if hold.transfer.flags & TransferFlag.CLOSING_CREDIT:
                credit.closed = False
        else:
            hold.ended = "pending_transfer_already_posted"
            debit.debits += amount
            credit.credits += amount
        self._keep(transfer, amount)
        return CREATED

    def _keep(self, transfer: Transfer, amount: int) -> None:
        self.sent[transfer.transfer_id] = transfer
        self.moved[transfer.transfer_id] = amount


def as_it_must_be_booked(books: NaiveBooks, transfer_id: TransferId) -> Transfer:
    """The transfer as the journal must show it: with what it moved, and with what it took from its hold."""
    transfer, amount = books.sent[transfer_id], books.moved[transfer_id]
    if transfer.pending_id is None:
        return replace(transfer, amount=amount)
    hold = books.holds[transfer.pending_id].transfer
    return replace(
        transfer,
        amount=amount,
        debit=hold.debit if transfer.debit == AS_PENDING else transfer.debit,
        credit=hold.credit if transfer.credit == AS_PENDING else transfer.credit,
        currency=transfer.currency or hold.currency,
        code=transfer.code or hold.code,
        reference=transfer.reference or hold.reference,
        tag=transfer.tag or hold.tag,
        memo=transfer.memo or hold.memo,
    )


def same(told: str, expected: str) -> bool:
    """Whether a result is the one expected; the naive books do not say which field of a body differs."""
    return told.startswith(expected) if expected.endswith("_") else told == expected
