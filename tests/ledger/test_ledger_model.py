"""The books against a model so simple that a reader can check it, in every order hypothesis can think of.

The model keeps a list of what was booked and adds it up anew for every question. It knows limits, holds, chains and
repeats; it shares nothing with the decider but the words.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import count

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from hansa import ledger
from hansa.kernel import FixedClock
from hansa.ledger import Account, AccountCode, AccountFlag, Balance, Transfer, TransferFlag
from hansa.ledger.blocks import block_hash, pack_rows
from hansa.ledger.decide import Book, Standing, decide
from hansa.store import Context
from ledger.books import MORNING, Books, a_transfer, account_id

PARTITIONS = count(1_000)
"""Each run of the machine has a partition of its own in the same database, rolled back at the end."""

LIMITS = {
    "bank": AccountFlag.NONE,
    "shop": AccountFlag.NONE,
    "ann": AccountFlag.DEBITS_MUST_NOT_EXCEED_CREDITS,
    "bob": AccountFlag.DEBITS_MUST_NOT_EXCEED_CREDITS,
    "supplier": AccountFlag.CREDITS_MUST_NOT_EXCEED_DEBITS,
}
NAMES = sorted(LIMITS)


@dataclass(frozen=True)
class Event:
    """What was booked: ``hold`` names the event it ends, ``took`` is what it moved or held."""

    name: str
    kind: str
    debit: str
    credit: str
    took: int
    hold: str = ""
    ends_at: datetime | None = None


@dataclass
class Model:
    """The naive ledger."""

    events: list[Event] = field(default_factory=list[Event])
    bodies: dict[str, tuple[object, ...]] = field(default_factory=dict[str, tuple[object, ...]])

    def end_of(self, hold: str) -> str:
        return next((event.kind for event in self.events if event.hold == hold), "")

    def sums(self, account: str) -> Balance:
        moved = [event for event in self.events if event.kind in ("plain", "post")]
        held = [event for event in self.events if event.kind == "hold" and not self.end_of(event.name)]
        return Balance(
            sum(event.took for event in held if event.debit == account),
            sum(event.took for event in moved if event.debit == account),
            sum(event.took for event in held if event.credit == account),
            sum(event.took for event in moved if event.credit == account),
        )

    def body(self, wish: "Wish") -> tuple[object, ...]:
        """All that makes it this transfer and no other; amount 0 is all of the hold."""
        if wish.kind in ("post", "void"):
            held = next((event.took for event in self.events if event.name == wish.hold), 0)
            return (wish.kind, wish.amount or held, wish.hold, wish.linked)
        timeout_s = wish.timeout_s if wish.kind == "hold" else 0
        return (wish.kind, wish.debit, wish.credit, wish.amount, timeout_s, wish.linked)

    def post(self, batch: "Sequence[Wish]", now: datetime) -> list[str]:
        told: list[str] = []
        chain: list[Wish] = []
        for index, wish in enumerate(batch):
            chain.append(wish)
            if wish.linked and index < len(batch) - 1:
                continue
            told += self.take(chain, now)
            chain = []
        return told

    def take(self, chain: "list[Wish]", now: datetime) -> list[str]:
        if len(chain) == 1 and not chain[0].linked:
            return [self.one(chain[0], now)]
        if all(self.bodies.get(wish.name) == self.body(wish) for wish in chain):
            return ["exists"] * len(chain)
        before = (list(self.events), dict(self.bodies))
        for index, wish in enumerate(chain):
            is_open_end = wish.linked and index == len(chain) - 1
            code = "linked_event_chain_open" if is_open_end else self.one(wish, now)
            if code != "ok":
                self.events, self.bodies = before
                told = ["linked_event_failed"] * len(chain)
                told[index] = code
                if chain[-1].linked:
                    told[-1] = "linked_event_chain_open"
                return told
        return ["ok"] * len(chain)

    def one(self, wish: "Wish", now: datetime) -> str:
        if wish.name in self.bodies:
            return "exists" if self.bodies[wish.name] == self.body(wish) else "exists_with_different_"
        code = self.end(wish, now) if wish.kind in ("post", "void") else self.move(wish, now)
        if code == "ok":
            self.bodies[wish.name] = self.body(wish)
        return code

    def move(self, wish: "Wish", now: datetime) -> str:
        if wish.debit == wish.credit:
            return "accounts_must_be_different"
        if wish.amount == 0:
            return "amount_must_not_be_zero"
        debit, credit = self.sums(wish.debit), self.sums(wish.credit)
        if (
            LIMITS[wish.debit] == AccountFlag.DEBITS_MUST_NOT_EXCEED_CREDITS
            and debit.debits_posted + debit.debits_pending + wish.amount > debit.credits_posted
        ):
            return "exceeds_credits"
        if (
            LIMITS[wish.credit] == AccountFlag.CREDITS_MUST_NOT_EXCEED_DEBITS
            and credit.credits_posted + credit.credits_pending + wish.amount > credit.debits_posted
        ):
            return "exceeds_debits"
        ends_at = now + timedelta(seconds=wish.timeout_s) if wish.timeout_s else None
        self.events.append(Event(wish.name, wish.kind, wish.debit, wish.credit, wish.amount, ends_at=ends_at))
        return "ok"

    def end(self, wish: "Wish", now: datetime) -> str:
        if wish.hold == wish.name:
            return "pending_id_must_be_different"
        hold = next((event for event in self.events if event.name == wish.hold), None)
        if hold is None:
            return "pending_transfer_not_found"
        if hold.kind != "hold":
            return "pending_transfer_not_pending"
        if wish.amount > hold.took:
            return "exceeds_pending_transfer_amount"
        if wish.kind == "void" and wish.amount not in (0, hold.took):
            return "pending_transfer_has_different_amount"
        ended = self.end_of(hold.name)
        if ended:
            return {
                "post": "pending_transfer_already_posted",
                "void": "pending_transfer_already_voided",
                "expiry": "pending_transfer_expired",
            }[ended]
        if hold.ends_at is not None and hold.ends_at <= now:
            return "pending_transfer_expired"
        took = wish.amount or hold.took
        self.events.append(Event(wish.name, wish.kind, hold.debit, hold.credit, took, hold=hold.name))
        return "ok"

    def expire(self, now: datetime) -> int:
        due = [
            event
            for event in self.events
            if event.kind == "hold" and event.ends_at and event.ends_at <= now and not self.end_of(event.name)
        ]
        for hold in due:
            self.events.append(
                Event(f"expiry of {hold.name}", "expiry", hold.debit, hold.credit, hold.took, hold=hold.name)
            )
        return len(due)


@dataclass(frozen=True)
class Wish:
    """A transfer somebody wants, in words."""

    name: str
    kind: str
    debit: str
    credit: str
    amount: int
    hold: str
    timeout_s: int
    linked: bool

    def transfer(self, partition: int) -> Transfer:
        linked = "linked " if self.linked else ""
        if self.kind in ("post", "void"):
            return a_transfer(
                self.name,
                "-",
                "-",
                self.amount,
                f"{linked}{self.kind} of:{self.hold}",
                currency="",
                code=0,
                partition=partition,
            )
        hold = f"pending {self.timeout_s}s" if self.kind == "hold" else ""
        return a_transfer(self.name, self.debit, self.credit, self.amount, linked + hold, partition=partition)


# Few names and much money from the bank, so that holds are met by their ends, ids by their repeats, and most
# transfers get through.
HOLDS, ENDS, PLAINS = ([f"{letter}{number}" for number in range(8)] for letter in "het")
PAYERS = st.sampled_from(["bank", "bank", *NAMES])
LINKED = st.sampled_from([False, False, False, True])
PAYEES = st.sampled_from(["ann", "ann", "bob", *NAMES])

plain_wishes = st.builds(
    Wish,
    name=st.sampled_from(PLAINS),
    kind=st.just("plain"),
    debit=PAYERS,
    credit=PAYEES,
    amount=st.integers(0, 20),
    hold=st.just(""),
    timeout_s=st.just(0),
    linked=LINKED,
)
hold_wishes = st.builds(
    Wish,
    name=st.sampled_from(HOLDS),
    kind=st.just("hold"),
    debit=PAYERS,
    credit=PAYEES,
    amount=st.integers(0, 20),
    hold=st.just(""),
    timeout_s=st.sampled_from([0, 0, 30, 60]),
    linked=LINKED,
)
end_wishes = st.builds(
    Wish,
    name=st.sampled_from(ENDS),
    kind=st.sampled_from(["post", "post", "void"]),
    debit=st.just(""),
    credit=st.just(""),
    amount=st.sampled_from([0, 0, 1, 5, 10, 20]),
    hold=st.sampled_from([*HOLDS, *HOLDS, *PLAINS, *ENDS]),
    timeout_s=st.just(0),
    linked=LINKED,
)
wishes = st.one_of(plain_wishes, hold_wishes, end_wishes)


def same(told: str, expected: str) -> bool:
    """The model does not say which field differs."""
    return told.startswith(expected) if expected.endswith("_") else told == expected


class LedgerAgainstModel(RuleBasedStateMachine):
    ctx: Context

    @initialize()
    def open_the_books(self) -> None:
        self.partition = next(PARTITIONS)
        self.clock = self.ctx.clock
        assert isinstance(self.clock, FixedClock)
        self.clock.at = MORNING
        self.model = Model()
        self.ids = {name: account_id(f"{name} of {self.partition}") for name in NAMES}
        ledger.open_accounts(
            self.ctx,
            [
                Account(self.ids[name], "CNY", AccountCode.WALLET, name, LIMITS[name], self.partition)
                for name in NAMES
            ],
        )

    @rule(seconds=st.sampled_from([0, 0, 0, 1, 29, 30]), batch=st.lists(wishes, min_size=2, max_size=12))
    def post(self, seconds: int, batch: list[Wish]) -> None:
        assert isinstance(self.clock, FixedClock)
        self.clock.at += timedelta(seconds=seconds)
        expected = self.model.post(batch, self.ctx.clock.now())

        results = ledger.post(self.ctx, [self.of_partition(wish) for wish in batch])

        pairs = [(result.code.value, code) for result, code in zip(results, expected, strict=True)]
        assert all(same(*pair) for pair in pairs), pairs

    @precondition(lambda self: self.clock.at.second in (29, 30, 59, 0))
    @rule()
    def expire(self) -> None:
        assert ledger.expire_pending(self.ctx, partition=self.partition) == self.model.expire(
            self.ctx.clock.now()
        )

    @invariant()
    def balances_are_the_models(self) -> None:
        with self.ctx.tx() as tx:
            stands = ledger.balances(tx, self.ids.values())
        assert {name: stands[self.ids[name]] for name in NAMES} == {
            name: self.model.sums(name) for name in NAMES
        }

    def teardown(self) -> None:
        with self.ctx.tx() as tx:
            assert ledger.verify(tx, self.partition) == []

    def of_partition(self, wish: Wish) -> Transfer:
        transfer = wish.transfer(self.partition)
        if wish.kind in ("post", "void"):
            return transfer
        return replace(transfer, debit=self.ids[wish.debit], credit=self.ids[wish.credit])


def test_the_books_do_what_the_model_does(ctx: Context) -> None:
    class Machine(LedgerAgainstModel):
        pass

    Machine.ctx = ctx
    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=60,
            stateful_step_count=20,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
        ),
    )


# --- how transfers are cut into batches makes no difference


def in_memory() -> Book:
    return Book({account_id(name).int: Standing("CNY", int(LIMITS[name])) for name in NAMES})


def units(batch: Sequence[Transfer]) -> list[list[Transfer]]:
    """The batch as single transfers and whole chains."""
    found: list[list[Transfer]] = [[]]
    for transfer in batch:
        found[-1].append(transfer)
        if not transfer.flags & TransferFlag.LINKED:
            found.append([])
    return [unit for unit in found if unit]


@given(batch=st.lists(wishes, max_size=40), cuts=st.integers(0, 2**32))
@settings(max_examples=150, deadline=None)
def test_one_batch_or_many_gives_the_same_results_rows_and_balances(batch: list[Wish], cuts: int) -> None:
    transfers = [wish.transfer(0) for wish in batch]
    whole_book, cut_book = in_memory(), in_memory()

    whole = decide(whole_book, transfers, now=MORNING)
    chance = random.Random(cuts)
    codes: list[str] = []
    rows: list[object] = []
    waiting: list[Transfer] = []
    for unit in units(transfers):
        waiting += unit
        if chance.random() < 0.4:
            decision = decide(cut_book, waiting, now=MORNING)
            codes += decision.codes
            rows += decision.rows
            waiting = []
    decision = decide(cut_book, waiting, now=MORNING)

    assert codes + decision.codes == whole.codes
    assert rows + decision.rows == whole.rows
    assert cut_book == whole_book


@given(batch=st.lists(wishes, max_size=30), cut=st.integers(0, 30))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_one_batch_or_two_gives_the_same_through_the_database(
    ctx: Context, batch: list[Wish], cut: int
) -> None:
    """What the poster loads for a later batch is what memory would have held."""
    partition = next(PARTITIONS)
    books = Books(ctx, partition)
    memory = in_memory()
    ledger.open_accounts(
        ctx,
        [
            Account(account_id(name), "CNY", AccountCode.WALLET, name, LIMITS[name], partition)
            for name in NAMES
        ],
    )
    parts = units([wish.transfer(partition) for wish in batch])
    first = [transfer for unit in parts[:cut] for transfer in unit]
    second = [transfer for unit in parts[cut:] for transfer in unit]

    told = books.post(*first) + books.post(*second)

    # A chain left open is one only at the end of a batch, which both ways of cutting share.
    assert told == list(decide(memory, first + second, now=MORNING).codes)
    with ctx.tx() as tx:
        stands = {
            name: tx.execute(
                "select debits_pending, debits_posted, credits_pending, credits_posted from ledger.accounts"
                " where partition = %s and account_id = %s",
                (partition, account_id(name)),
            ).fetchone()
            for name in NAMES
        }
        assert ledger.verify(tx, partition) == []
    assert stands == {
        name: (s.debits_pending, s.debits_posted, s.credits_pending, s.credits_posted)
        for name in NAMES
        for s in [memory.accounts[account_id(name).int]]
    }


@given(batch=st.lists(wishes, min_size=1, max_size=40))
@settings(max_examples=100, deadline=None)
def test_whatever_is_posted_debits_equal_credits_and_limits_hold(batch: list[Wish]) -> None:
    book = in_memory()

    decide(book, [wish.transfer(0) for wish in batch], now=MORNING)

    stands = list(book.accounts.values())
    assert sum(s.debits_posted for s in stands) == sum(s.credits_posted for s in stands)
    assert sum(s.debits_pending for s in stands) == sum(s.credits_pending for s in stands)
    assert all(
        min(s.debits_pending, s.debits_posted, s.credits_pending, s.credits_posted) >= 0 for s in stands
    )
    assert all(s.debits_pending + s.debits_posted <= s.credits_posted for s in stands if s.flags & 1)
    assert all(s.credits_pending + s.credits_posted <= s.debits_posted for s in stands if s.flags & 2)


@given(batch=st.lists(wishes, min_size=1, max_size=20))
@settings(max_examples=50, deadline=None)
def test_posting_a_batch_again_books_nothing_that_was_booked(batch: list[Wish]) -> None:
    transfers = [wish.transfer(0) for wish in batch]
    book = in_memory()

    first = decide(book, transfers, now=MORNING)
    booked = {row.transfer.transfer_id for row in first.rows}
    second = decide(book, transfers, now=MORNING)

    assert booked.isdisjoint(row.transfer.transfer_id for row in second.rows)
    plain = [
        code
        for code, was, transfer in zip(second.codes, first.codes, transfers, strict=True)
        if was == "ok" and not transfer.flags & TransferFlag.LINKED
    ]
    assert all(code in ("exists", "linked_event_failed") for code in plain)


def test_the_bytes_that_are_hashed_are_fixed_for_ever() -> None:
    """A change here would make every chain ever written unverifiable."""
    book = in_memory()
    rows = decide(
        book,
        [
            a_transfer("top-up", "bank", "ann", 100, memo="北京"),
            a_transfer("hold", "ann", "shop", 7, "pending 60s"),
        ],
        now=MORNING,
    ).rows

    packed = pack_rows(rows, partition=5, block=9, booked_at=MORNING)
    digest = block_hash(bytes(32), partition=5, number=9, booked_at=MORNING, count=2, rows=packed)

    assert len(packed) == 492
    assert digest.hex() == "06dce054bb9db9a623945028fc240abaad0238c883daac57ed62835f111cb8be"
