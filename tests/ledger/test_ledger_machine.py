"""The whole ledger against the model: inline, by engine and by mail, with stops, crashes and holds that expire."""

from dataclasses import replace
from datetime import timedelta
from itertools import count

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from hansa import ledger
from hansa.kernel import FixedClock
from hansa.ledger import Account, AccountCode, Engine, Transfer, TransferFlag
from hansa.ledger.store import BEFORE_ALL
from hansa.store import Context
from ledger.books import LIMITS, MORNING, account_id
from ledger.engines import BUSY, HELD_OFF, another_process, crash, stand
from ledger.model import ACCOUNTS, Model, a_model, stories

PARTITIONS = count(1_000)
"""Each run of the machine has a partition of its own in the same database."""

WAYS = st.sampled_from(["as it is", "as it is", "inline", "engine", "mail"])


class LedgerAgainstModel(RuleBasedStateMachine):
    ctx: Context
    other: Context

    @initialize()
    def open_the_books(self) -> None:
        self.partition = next(PARTITIONS)
        assert isinstance(self.ctx.clock, FixedClock)
        self.clock = self.ctx.clock
        self.clock.at = MORNING
        self.booked_at = BEFORE_ALL
        self.model: Model = a_model()
        self.engine: Engine | None = None
        self.ids = {account_id(name): account_id(f"{name} of {self.partition}") for name in ACCOUNTS}
        ledger.open_accounts(
            self.ctx,
            [
                Account(
                    self.ids[account_id(name)],
                    currency,
                    AccountCode.WALLET,
                    name,
                    LIMITS[limit],
                    self.partition,
                )
                for name, (currency, limit) in ACCOUNTS.items()
            ],
        )

    # --- what may happen

    @rule(
        seconds=st.sampled_from([0, 0, 1, 29, 30, 60, -40]),
        way=WAYS,
        batch=st.lists(stories, min_size=1, max_size=12),
    )
    def post(self, seconds: int, way: str, batch: list[Transfer]) -> None:
        self.go(way)
        self.clock.at += timedelta(seconds=seconds)
        ctx = self.other if way == "mail" else self.ctx
        now = max(self.clock.at, self.booked_at)
        before = len(self.model.booked)
        expected = self.model.post(batch, now)

        found = ledger.post(ctx, [self.here(transfer) for transfer in batch])

        assert [result.code.value for result in found] == expected
        if len(self.model.booked) > before:
            self.booked_at = now

    @rule(seconds=st.sampled_from([0, 30, 60]), way=WAYS)
    def expire(self, seconds: int, way: str) -> None:
        """The ledger looks at the clock as it is; a clock that went back makes it late, never early."""
        self.go(way)
        self.clock.at = max(self.clock.at, self.booked_at) + timedelta(seconds=seconds)
        if self.engine is not None:
            self.engine.fold()

        ctx = self.other if way == "mail" else self.ctx
        released = ledger.expire_pending(ctx, partition=self.partition)

        with self.ctx.tx() as tx:
            head = ledger.block_head(tx, self.partition)[0]
            lines = ledger.postings(
                tx, list(self.ids.values()), after_block=head - 1, to_block=head, partition=self.partition
            )
        releases = [
            line.booked.transfer.transfer_id
            for line in lines
            if line.is_debit and line.booked.transfer.flags & TransferFlag.EXPIRED
        ]
        if released:
            self.booked_at = self.clock.at
            assert len(releases) == released
        assert self.model.expire(self.clock.at, releases) == released

    @rule(busy=st.booleans())
    def begin_an_engine_anew(self, busy: bool) -> None:
        self.stop()
        self.engine = Engine(self.ctx, self.partition, pace=BUSY if busy else HELD_OFF)
        self.engine.start()

    @rule()
    def stop(self) -> None:
        if self.engine is not None:
            self.engine.stop()
            self.engine = None
            writer, number, folded = stand(self.ctx, self.partition)
            assert (writer, number) == (None, folded)

    @rule()
    def crash(self) -> None:
        if self.engine is not None:
            crash(self.engine)
            self.engine = None

    # --- what is always so

    @invariant()
    def balances_are_the_models(self) -> None:
        with self.ctx.tx() as tx:
            stands = ledger.balances(tx, self.ids.values())
        assert stands == {here: self.model.balance(one) for one, here in self.ids.items()}

    @invariant()
    def statements_add_up(self) -> None:
        with self.ctx.tx() as tx:
            for one in self.ids.values():
                lines = ledger.statement(tx, one, limit=1_000)
                assert ledger.statement(tx, one, limit=1_000, newest_first=True) == lines[::-1]
                total = 0
                for line in lines:
                    total += line.credit_minor
                    assert line.balance.credit_minor == total
                if lines:
                    assert lines[-1].balance == ledger.balance(tx, one)

    @invariant()
    def the_books_are_the_transfers_that_the_model_booked(self) -> None:
        with self.ctx.tx() as tx:
            head = ledger.block_head(tx, self.partition)[0]
            lines = ledger.postings(
                tx, list(self.ids.values()), after_block=0, to_block=head, partition=self.partition
            )
        booked = [line.booked.transfer for line in lines if line.is_debit]
        assert [(one.transfer_id, one.amount, one.tag, one.memo, one.reference) for one in booked] == [
            (one.transfer_id, one.amount, one.tag, one.memo, one.reference) for one in self.model.booked
        ]

    @invariant()
    def the_books_are_proven(self) -> None:
        with self.ctx.tx() as tx:
            assert ledger.verify(tx, self.partition) == []
            assert ledger.trial_balance(tx).is_even

    def teardown(self) -> None:
        self.stop()
        with self.ctx.tx() as tx:
            assert ledger.verify(tx, self.partition) == []

    def go(self, way: str) -> None:
        if way == "inline":
            self.stop()
        elif way in ("engine", "mail") and self.engine is None:
            self.begin_an_engine_anew(busy=True)

    def here(self, transfer: Transfer) -> Transfer:
        """The transfer between the accounts of this run's partition."""
        return replace(
            transfer,
            partition=self.partition,
            debit=self.ids.get(transfer.debit, transfer.debit),
            credit=self.ids.get(transfer.credit, transfer.credit),
        )


def run(ctx: Context, *, examples: int, steps: int) -> None:
    with another_process(ctx) as other:

        class Machine(LedgerAgainstModel):
            pass

        Machine.ctx, Machine.other = ctx, other
        run_state_machine_as_test(
            Machine,
            settings=settings(
                max_examples=examples,
                stateful_step_count=steps,
                deadline=None,
                suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
            ),
        )


def test_the_ledger_does_what_the_model_does(committed_ctx: Context) -> None:
    run(committed_ctx, examples=4, steps=6)


@pytest.mark.slow
def test_the_ledger_does_what_the_model_does_for_a_long_time(committed_ctx: Context) -> None:
    run(committed_ctx, examples=40, steps=20)
