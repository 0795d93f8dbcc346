"""Test helper: a ledger so simple that a reader can check it against docs/ledger.md, and stories to try it with.

The model keeps the transfers that were booked, in order, and nothing else; every question is answered by going
through them anew. It shares no code with the decider: only the words ``Transfer`` and ``TransferFlag``.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from hansa.ledger import AMOUNT_MAX, AccountId, Balance, Transfer, TransferId
from hansa.ledger import TransferFlag as F
from ledger.books import MORNING, account_id, transfer_id

NO_ACCOUNT, LAST_ACCOUNT = account_id("-"), account_id("max")
NO_ID, LAST_ID = transfer_id("0"), transfer_id("max")
CALLERS = F.LINKED | F.PENDING | F.POST_PENDING | F.VOID_PENDING | F(16 | 32 | 64 | 128)


@dataclass
class Model:
    """The naive ledger. accounts: each one's currency and limit, in the words of ``books.LIMITS``."""

    accounts: dict[AccountId, tuple[str, str]]
    booked: list[Transfer] = field(default_factory=list[Transfer])
    booked_at: dict[TransferId, datetime] = field(default_factory=dict[TransferId, datetime])

    # --- what follows from what was booked

    def find(self, transfer_id: TransferId | None) -> Transfer | None:
        return next((one for one in self.booked if one.transfer_id == transfer_id), None)

    def end_of(self, hold: Transfer) -> Transfer | None:
        return next((one for one in self.booked if one.pending_id == hold.transfer_id), None)

    def falls_at(self, hold: Transfer) -> datetime | None:
        if not hold.timeout_s:
            return None
        return self.booked_at[hold.transfer_id] + timedelta(seconds=hold.timeout_s)

    def balance(self, account: AccountId) -> Balance:
        moved = [one for one in self.booked if not one.flags & (F.PENDING | F.VOID_PENDING)]
        held = [one for one in self.booked if one.flags & F.PENDING and not self.end_of(one)]
        return Balance(
            sum(one.amount for one in held if one.debit == account),
            sum(one.amount for one in moved if one.debit == account),
            sum(one.amount for one in held if one.credit == account),
            sum(one.amount for one in moved if one.credit == account),
        )

    def is_closed(self, account: AccountId) -> bool:
        return any(
            (one.flags & F.CLOSING_DEBIT and one.debit == account)
            or (one.flags & F.CLOSING_CREDIT and one.credit == account)
            for one in self.booked
            if one.flags & F.PENDING and not self.end_of(one)
        )

    # --- posting

    def post(self, batch: Sequence[Transfer], now: datetime) -> list[str]:
        told: list[str] = []
        chain: list[Transfer] = []
        for index, transfer in enumerate(batch):
            names_none = transfer.pending_id == NO_ID  # the id of zeros stands for none
            chain.append(replace(transfer, pending_id=None) if names_none else transfer)
            if not transfer.flags & F.LINKED or index == len(batch) - 1:
                told += self.post_chain(chain, now)
                chain = []
        return told

    def post_chain(self, chain: list[Transfer], now: datetime) -> list[str]:
        """All of it or nothing; one that is there whole is there. A single transfer is a chain of one."""
        is_open = bool(chain[-1].flags & F.LINKED)
        if not is_open and all(next(self.faults(one, now), "") == "exists" for one in chain):
            return ["exists"] * len(chain)
        before = list(self.booked)
        for index, transfer in enumerate(chain):
            last = is_open and index == len(chain) - 1
            fault = "linked_event_chain_open" if last else next(self.faults(transfer, now), None)
            if fault:
                self.booked = before
                told = ["linked_event_failed"] * len(chain)
                told[index] = fault
                if is_open:
                    told[-1] = "linked_event_chain_open"
                return told
            self.book(transfer, now)
        return ["created"] * len(chain)

    def book(self, transfer: Transfer, now: datetime) -> None:
        self.booked.append(self.filled(transfer))
        self.booked_at[transfer.transfer_id] = now

    def filled(self, t: Transfer) -> Transfer:
        """The transfer as it comes out: with what it moves, and what it leaves to its hold."""
        hold = self.find(t.pending_id)
        if not t.flags & (F.POST_PENDING | F.VOID_PENDING) or hold is None:
            return replace(t, amount=self.balanced(t))
        all_of_it = 0 if t.flags & F.VOID_PENDING else AMOUNT_MAX
        return replace(
            t,
            debit=hold.debit,
            credit=hold.credit,
            amount=hold.amount if t.amount == all_of_it else t.amount,
            currency=hold.currency,
            code=hold.code,
            reference=t.reference or hold.reference,
            tag=t.tag or hold.tag,
            memo=t.memo or hold.memo,
        )

    def balanced(self, t: Transfer) -> int:
        debit, credit = self.balance(t.debit), self.balance(t.credit)
        amount = t.amount
        if t.flags & F.BALANCING_DEBIT:
            amount = min(amount, max(0, debit.available_minor))
        if t.flags & F.BALANCING_CREDIT:
            amount = min(
                amount, max(0, credit.debits_posted - credit.credits_posted - credit.credits_pending)
            )
        return amount

    def expire(self, now: datetime, ids: Sequence[TransferId]) -> int:
        """End the holds whose time is up, oldest first; ids: names for the releases."""
        due = [
            (falls_at, hold.transfer_id.bytes, hold)
            for hold in self.booked
            if hold.flags & F.PENDING and not self.end_of(hold) and (falls_at := self.falls_at(hold))
        ]
        due = [one for one in sorted(due, key=lambda one: one[:2]) if one[0] <= now]
        for (_, _, hold), name in zip(due, ids, strict=False):
            self.booked.append(
                replace(
                    hold,
                    transfer_id=name,
                    flags=F.VOID_PENDING | F.EXPIRED,
                    pending_id=hold.transfer_id,
                    timeout_s=0,
                )
            )
        return len(due)

    # --- what may be wrong with a transfer, in the order in which it is told

    def faults(self, t: Transfer, now: datetime) -> Iterator[str]:
        if not 0 <= t.amount <= AMOUNT_MAX:
            yield "amount_out_of_range"
        if t.event_at.tzinfo is None:
            yield "event_at_out_of_range"
        if "\0" in t.memo:
            yield "memo_must_be_short_text"
        if t.flags & ~CALLERS:
            yield "reserved_flag"
        if t.transfer_id == NO_ID:
            yield "id_must_not_be_zero"
        if t.transfer_id == LAST_ID:
            yield "id_must_not_be_int_max"
        there = self.find(t.transfer_id)
        if there is not None:
            yield from self.differences(there, t)
            yield "exists"
        if t.flags & (F.POST_PENDING | F.VOID_PENDING):
            yield from self.faults_of_an_end(t, now)
        else:
            yield from self.faults_of_a_move(t, now)

    def differences(self, there: Transfer, t: Transfer) -> Iterator[str]:
        if t.flags != there.flags:
            yield "exists_with_different_flags"
        if t.pending_id != there.pending_id:
            yield "exists_with_different_pending_id"
        if t.timeout_s != there.timeout_s:
            yield "exists_with_different_timeout"
        if t.flags & (F.POST_PENDING | F.VOID_PENDING):
            left = self.find(t.pending_id)
            assert left is not None
            t = replace(
                self.filled(t),
                debit=left.debit if t.debit == NO_ACCOUNT else t.debit,
                credit=left.credit if t.credit == NO_ACCOUNT else t.credit,
                currency=t.currency or left.currency,
                code=t.code or left.code,
            )
        if t.debit != there.debit:
            yield "exists_with_different_debit_account_id"
        if t.credit != there.credit:
            yield "exists_with_different_credit_account_id"
        balancing = t.flags & (F.BALANCING_DEBIT | F.BALANCING_CREDIT)
        if t.amount < there.amount or (t.amount != there.amount and not balancing):
            yield "exists_with_different_amount"
        for name in ("reference", "event_at", "tag", "memo"):
            if getattr(t, name) != getattr(there, name):
                yield f"exists_with_different_{name}"
        if t.currency != there.currency:
            yield "exists_with_different_ledger"
        if t.code != there.code:
            yield "exists_with_different_code"

    def faults_of_a_move(self, t: Transfer, now: datetime) -> Iterator[str]:
        if t.debit == NO_ACCOUNT:
            yield "debit_account_id_must_not_be_zero"
        if t.debit == LAST_ACCOUNT:
            yield "debit_account_id_must_not_be_int_max"
        if t.credit == NO_ACCOUNT:
            yield "credit_account_id_must_not_be_zero"
        if t.credit == LAST_ACCOUNT:
            yield "credit_account_id_must_not_be_int_max"
        if t.debit == t.credit:
            yield "accounts_must_be_different"
        if t.pending_id is not None:
            yield "pending_id_must_be_zero"
        if t.timeout_s and not t.flags & F.PENDING:
            yield "timeout_reserved_for_pending_transfer"
        if t.flags & (F.CLOSING_DEBIT | F.CLOSING_CREDIT) and not t.flags & F.PENDING:
            yield "closing_transfer_must_be_pending"
        if not t.currency:
            yield "ledger_must_not_be_zero"
        if not t.code:
            yield "code_must_not_be_zero"
        if t.debit not in self.accounts:
            yield "debit_account_not_found"
        if t.credit not in self.accounts:
            yield "credit_account_not_found"
        (debit_currency, debit_limit), (credit_currency, credit_limit) = (
            self.accounts[t.debit],
            self.accounts[t.credit],
        )
        if debit_currency != credit_currency:
            yield "accounts_must_have_the_same_ledger"
        if t.currency != debit_currency:
            yield "transfer_must_have_the_same_ledger_as_accounts"
        if self.is_closed(t.debit):
            yield "debit_account_already_closed"
        if self.is_closed(t.credit):
            yield "credit_account_already_closed"
        amount = self.balanced(t)
        debit, credit = self.balance(t.debit), self.balance(t.credit)
        debits = debit.debits_pending + debit.debits_posted + amount
        credits = credit.credits_pending + credit.credits_posted + amount
        if t.flags & F.PENDING and debit.debits_pending + amount > AMOUNT_MAX:
            yield "overflows_debits_pending"
        if t.flags & F.PENDING and credit.credits_pending + amount > AMOUNT_MAX:
            yield "overflows_credits_pending"
        if debit.debits_posted + amount > AMOUNT_MAX:
            yield "overflows_debits_posted"
        if credit.credits_posted + amount > AMOUNT_MAX:
            yield "overflows_credits_posted"
        if debits > AMOUNT_MAX:
            yield "overflows_debits"
        if credits > AMOUNT_MAX:
            yield "overflows_credits"
        if now.timestamp() + t.timeout_s > datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC).timestamp():
            yield "overflows_timeout"
        if debit_limit == "no overdraft" and debits > debit.credits_posted:
            yield "exceeds_credits"
        if credit_limit == "no prepayment" and credits > credit.debits_posted:
            yield "exceeds_debits"

    def faults_of_an_end(self, t: Transfer, now: datetime) -> Iterator[str]:
        if F.POST_PENDING | F.VOID_PENDING in t.flags or t.flags & (F.PENDING | F(16 | 32 | 64 | 128)):
            yield "flags_are_mutually_exclusive"
        if t.pending_id is None:
            yield "pending_id_must_not_be_zero"
        if t.pending_id == LAST_ID:
            yield "pending_id_must_not_be_int_max"
        if t.pending_id == t.transfer_id:
            yield "pending_id_must_be_different"
        if t.timeout_s:
            yield "timeout_reserved_for_pending_transfer"
        hold = self.find(t.pending_id)
        if hold is None:
            yield "pending_transfer_not_found"
            return
        if not hold.flags & F.PENDING:
            yield "pending_transfer_not_pending"
        if t.debit not in (NO_ACCOUNT, hold.debit):
            yield "pending_transfer_has_different_debit_account_id"
        if t.credit not in (NO_ACCOUNT, hold.credit):
            yield "pending_transfer_has_different_credit_account_id"
        if t.currency not in ("", hold.currency):
            yield "pending_transfer_has_different_ledger"
        if t.code not in (0, hold.code):
            yield "pending_transfer_has_different_code"
        amount = self.filled(t).amount
        if amount > hold.amount:
            yield "exceeds_pending_transfer_amount"
        if t.flags & F.VOID_PENDING and amount != hold.amount:
            yield "pending_transfer_has_different_amount"
        end = self.end_of(hold)
        if end is not None and end.flags & F.POST_PENDING:
            yield "pending_transfer_already_posted"
        if end is not None and not end.flags & F.EXPIRED:
            yield "pending_transfer_already_voided"
        falls_at = self.falls_at(hold)
        if end is not None or (falls_at is not None and falls_at <= now):
            yield "pending_transfer_expired"
        if t.flags & F.POST_PENDING and self.is_closed(hold.debit):
            yield "debit_account_already_closed"
        if t.flags & F.POST_PENDING and self.is_closed(hold.credit):
            yield "credit_account_already_closed"


# --- stories

ACCOUNTS = {
    "bank": ("CNY", "free"),
    "shop": ("CNY", "free"),
    "ann": ("CNY", "no overdraft"),
    "bob": ("CNY", "no overdraft"),
    "supplier": ("CNY", "no prepayment"),
    "peak": ("HKD", "free"),
}


def a_model() -> Model:
    return Model({account_id(name): facts for name, facts in ACCOUNTS.items()})


# Few names and much money from the bank, so that holds are met by their ends, ids by their repeats, and most transfers
# get through. One in five is then twisted in one field into something that is likely to be refused.
HOLDS, ENDS, MOVES = ([transfer_id(f"{letter}{number}") for number in range(5)] for letter in "hem")
_PAYERS = st.sampled_from([account_id(name) for name in ("bank", "bank", "bank", "ann", "bob", "shop")])
_PAYEES = st.sampled_from([account_id(name) for name in ("ann", "ann", "bob", "shop", "supplier")])
_SMALL = st.sampled_from([*range(1, 21), 0])


def _flags(*words: F) -> st.SearchStrategy[F]:
    return st.builds(F.__or__, st.sampled_from(words), st.sampled_from([F.NONE] * 6 + [F.LINKED]))


moves = st.builds(
    Transfer,
    st.sampled_from(MOVES),
    _PAYERS,
    _PAYEES,
    _SMALL,
    st.just("CNY"),
    st.just(12),
    st.just(MORNING),
    flags=_flags(F.NONE, F.NONE, F.NONE, F.BALANCING_DEBIT, F.BALANCING_CREDIT),
    tag=st.sampled_from([0, 0, 0, 7]),
)
holds = st.builds(
    Transfer,
    st.sampled_from(HOLDS),
    _PAYERS,
    _PAYEES,
    _SMALL,
    st.just("CNY"),
    st.just(12),
    st.just(MORNING),
    flags=_flags(*[F.PENDING] * 6, F(2 | 16), F(2 | 32), F(2 | 64), F(2 | 128)),
    timeout_s=st.sampled_from([0, 30, 60]),
    memo=st.sampled_from(["", "taxi"]),
    tag=st.sampled_from([0, 8]),
    reference=st.sampled_from([None, HOLDS[0]]),
)
posts = st.builds(
    Transfer,
    st.sampled_from(ENDS),
    st.just(NO_ACCOUNT),
    st.just(NO_ACCOUNT),
    st.sampled_from([AMOUNT_MAX, AMOUNT_MAX, 1, 0]),
    st.just(""),
    st.just(0),
    st.just(MORNING),
    flags=_flags(F.POST_PENDING),
    pending_id=st.sampled_from(HOLDS),
    memo=st.sampled_from(["", "", "end"]),
)


def _void(post: Transfer) -> Transfer:
    return replace(post, amount=int(post.amount == 1), flags=F.VOID_PENDING | post.flags & F.LINKED)


voids = posts.map(_void)
_TWISTS: dict[str, list[object]] = {
    "transfer_id": [NO_ID, LAST_ID, HOLDS[0], MOVES[0], ENDS[0]],
    "debit": [NO_ACCOUNT, LAST_ACCOUNT, account_id("nobody"), account_id("peak"), account_id("ann")],
    "credit": [NO_ACCOUNT, LAST_ACCOUNT, account_id("nobody"), account_id("peak"), account_id("supplier")],
    "amount": [0, 21, 10, AMOUNT_MAX, AMOUNT_MAX, AMOUNT_MAX - 9, 2**127, 2**128, -1],
    "currency": ["HKD", "", "CNY"],
    "code": [0, 11, 12],
    "event_at": [MORNING + timedelta(seconds=1), MORNING.replace(tzinfo=None)],
    "flags": [F(number) for number in (0, 1, 2, 4, 8, 12, 20, 40, 48, 50, 64, 192, 194, 256, 512, 520)],
    "pending_id": [None, NO_ID, LAST_ID, MOVES[0], ENDS[0]],
    "timeout_s": [0, 5],
    "memo": ["tram", "a\0b"],
    "tag": [0, 9],
    "reference": [ENDS[0]],
}
_twists = st.sampled_from([(name, value) for name, values in _TWISTS.items() for value in values])


def _twisted(story: Transfer, is_twisted: bool, twist: tuple[str, Any]) -> Transfer:
    return replace(story, **dict([twist])) if is_twisted else story


stories = st.builds(
    _twisted,
    st.one_of(holds, moves, holds, moves, holds, posts, voids),
    st.sampled_from([False] * 4 + [True]),
    _twists,
)
"""One transfer that somebody wants."""
