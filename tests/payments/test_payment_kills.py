"""The plug pulled at every step, any order of things done, many at one key, and a process killed: one effect each."""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from itertools import count
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from hansa import ledger, payments, trust
from hansa.kernel import FixedClock, HansaError, Money, fact_id
from hansa.payments import Heard, SimulatedConnector, no_step
from hansa.payments.model import Step as Watch
from hansa.store import Context, open_context
from ledger.engines import run_python
from payments.shopping import (
    ANN,
    BANK,
    BEN,
    CARD,
    KIOSK,
    NOW,
    TEA,
    as_it_stands,
    asks,
    check_books,
    held,
    made,
    open_town,
    pass_time,
    person,
    told,
)


class Killed(Exception):
    """The plug is pulled."""


def killed_at(name: str) -> Callable[[str], None]:
    """A step that pulls the plug when it comes to this one."""

    def watch(here: str) -> None:
        if here == name:
            raise Killed

    return watch


# --- each step


@pytest.mark.parametrize("at", ["received", "posted", "recorded"])
@pytest.mark.parametrize("again", ["asked again", "finished"])
@pytest.mark.parametrize("capture", ["automatic", "manual"])
def test_a_payment_killed_at_any_step_is_paid_once(ctx: Context, at: str, again: str, capture: str) -> None:
    open_town(ctx, money=50_00)
    both = [asks(30_00, n=1, capture=capture), asks(30_00, n=2, capture=capture)]

    with pytest.raises(Killed):
        payments.create(ctx, both, watch=killed_at(at))
    if again == "finished":
        payments.finish(ctx)
    else:
        if at != "recorded":
            assert all(isinstance(one, payments.PaymentInFlight) for one in payments.create(ctx, both))
        pass_time(ctx, seconds=30)
    answers = payments.create(ctx, both)

    done = "captured" if capture == "automatic" else "authorized"
    assert [one.state for one in answers if isinstance(one, payments.Payment)] == [done, "failed"]
    assert held(ctx) == ((20_00, 0) if capture == "automatic" else (50_00, 30_00))
    payments.finish(ctx)
    assert sorted(told(ctx)) == [f"payment.{done}", "payment.failed"]
    check_books(ctx)


@pytest.mark.parametrize("at", ["intended", "posted", "recorded"])
@pytest.mark.parametrize("again", ["asked again", "finished", "another comes"])
def test_a_capture_and_a_refund_killed_at_any_step_are_done_once(ctx: Context, at: str, again: str) -> None:
    open_town(ctx)
    one = made(ctx, asks(60_00, capture="manual")).payment_id
    ids = [fact_id(None, "kill", n) for n in range(3)]

    def go_on() -> None:
        if again == "finished":
            payments.finish(ctx)

    with pytest.raises(Killed):
        payments.capture(ctx, one, capture_id=ids[0], by=BANK, minor=20_00, final=False, watch=killed_at(at))
    go_on()
    if again == "another comes":
        payments.capture(ctx, one, capture_id=ids[1], by=BANK, minor=1_00, final=False)
    payments.capture(ctx, one, capture_id=ids[0], by=BANK, minor=20_00, final=False)
    with pytest.raises(Killed):
        payments.refund(ctx, one, refund_id=ids[2], by=BANK, minor=15_00, watch=killed_at(at))
    go_on()
    payments.refund(ctx, one, refund_id=ids[2], by=BANK, minor=15_00)

    found = as_it_stands(ctx, one)
    extra = 1_00 if again == "another comes" else 0
    assert (found.captured_minor, found.refunded_minor) == (20_00 + extra, 15_00)
    assert found.held_minor == 40_00 - extra
    check_books(ctx)


@pytest.mark.parametrize("at", ["heard", "received", "given back", "posted", "recorded"])
def test_late_success_killed_at_any_step_goes_back_once(ctx: Context, at: str) -> None:
    open_town(ctx)
    one = made(ctx, asks(30_00, payer=None, method="connector", connector="card")).payment_id
    card = SimulatedConnector({one: [Heard.PENDING, Heard.SUCCEEDED]})
    payments.advance(ctx, one, connectors={"card": card})
    payments.cancel(ctx, one, by=BANK)

    with pytest.raises(Killed):
        payments.advance(ctx, one, connectors={"card": card}, watch=killed_at(at))
    payments.turn(ctx, connectors={"card": card})
    pass_time(ctx, minutes=1)
    payments.turn(ctx, connectors={"card": card})

    assert as_it_stands(ctx, one).state == "reversed"
    assert list(card.given_back[one].values()) == [30_00]
    check_books(ctx)


# --- any order, against a model


@dataclass
class Expected:
    """A payment as the model has it."""

    payer: int
    amount: int
    state: str = "authorized"
    held: int = 0
    captured: int = 0
    refunded: int = 0


_runs = count()
MONEY = 150


class Undone(Exception):
    """An example is over, and nothing of it stays."""


class Shopping(RuleBasedStateMachine):
    """Two people and two shops; each thing that is done may be killed at a step, and is then done again or finished."""

    ctx: Context

    def __init__(self) -> None:
        super().__init__()
        self.run = next(_runs)
        self.expected: dict[UUID, Expected] = {}
        self.n = 0
        self.undo = self.ctx.open_tx()
        self.undo.__enter__()
        open_town(self.ctx, money=MONEY)

    def ids(self) -> UUID:
        self.n += 1
        return fact_id(None, "shopping run", self.run, self.n)

    def done(self, do: Callable[[Watch], Any], at: str | None, again: str) -> Any:
        """Do it, killed at a step or not, and then what comes after a crash; gives its answer or refusal."""
        if at is not None:
            with suppress(Killed, HansaError):
                do(killed_at(at))
            if again == "finish":
                payments.finish(self.ctx)
            pass_time(self.ctx, seconds=31)
        try:
            return do(no_step)
        except HansaError as error:
            return error

    kills = st.sampled_from([None, None, "received", "intended", "posted", "recorded"])
    agains = st.sampled_from(["again", "finish"])

    @rule(
        payer=st.integers(0, 1),
        minor=st.integers(1, 60),
        manual=st.booleans(),
        shop=st.sampled_from([TEA, KIOSK]),
        at=kills,
        again=agains,
    )
    def create(self, payer: int, minor: int, manual: bool, shop: str, at: str | None, again: str) -> None:
        new = asks(
            minor,
            n=self.ids(),
            payer=(ANN, BEN)[payer],
            payee_id=shop,
            capture="manual" if manual else "automatic",
        )
        found = self.done(lambda watch: payments.create(self.ctx, [new], watch=watch)[0], at, again)
        assert isinstance(found, payments.Payment), found
        one = Expected(payer, minor)
        free = self.free(payer)
        if minor > free:
            one.state = "failed"
        elif manual:
            one.held = minor
        else:
            one.state, one.captured = "captured", minor
        self.expected[found.payment_id] = one
        assert found.state == one.state

    def free(self, payer: int) -> int:
        mine = [one for one in self.expected.values() if one.payer == payer]
        return MONEY - sum(one.held + one.captured - one.refunded for one in mine)

    def some(self, index: int) -> tuple[UUID, Expected] | None:
        found = list(self.expected.items())
        return found[index % len(found)] if found else None

    @rule(index=st.integers(0, 50), minor=st.integers(1, 40), final=st.booleans(), at=kills, again=agains)
    def capture(self, index: int, minor: int, final: bool, at: str | None, again: str) -> None:
        found = self.some(index)
        if found is None:
            return
        key, one = found
        capture_id = self.ids()
        answer = self.done(
            lambda watch: payments.capture(
                self.ctx, key, capture_id=capture_id, by=BANK, minor=minor, final=final, watch=watch
            ),
            at,
            again,
        )
        if one.state in ("authorized", "captured") and minor <= one.held:
            assert isinstance(answer, payments.Payment), answer
            one.state, one.captured = "captured", one.captured + minor
            one.held = 0 if final else one.held - minor
        else:
            assert isinstance(answer, HansaError), answer

    @rule(index=st.integers(0, 50), at=kills, again=agains)
    def void(self, index: int, at: str | None, again: str) -> None:
        found = self.some(index)
        if found is None:
            return
        key, one = found
        answer = self.done(lambda watch: payments.void(self.ctx, key, by=BANK, watch=watch), at, again)
        if one.held:
            assert isinstance(answer, payments.Payment), answer
            one.state = "captured" if one.captured else "voided"
            one.held = 0

    @rule(index=st.integers(0, 50), minor=st.integers(1, 40), at=kills, again=agains)
    def refund(self, index: int, minor: int, at: str | None, again: str) -> None:
        found = self.some(index)
        if found is None:
            return
        key, one = found
        refund_id = self.ids()
        answer = self.done(
            lambda watch: payments.refund(
                self.ctx, key, refund_id=refund_id, by=BANK, minor=minor, watch=watch
            ),
            at,
            again,
        )
        if minor <= one.captured - one.refunded:
            assert isinstance(answer, payments.Refund) and answer.state == "settled", answer
            one.refunded += minor
        else:
            assert isinstance(answer, HansaError), answer

    @rule(index=st.integers(0, 50))
    def cancel(self, index: int) -> None:
        found = self.some(index)
        if found is not None:
            with pytest.raises(payments.StateForbids):
                payments.cancel(self.ctx, found[0], by=BANK)

    @rule()
    def a_week_passes(self) -> None:
        pass_time(self.ctx, days=7, minutes=1)
        while payments.turn(self.ctx):
            pass
        for one in self.expected.values():
            if one.held:
                one.held = 0
                one.state = "captured" if one.captured else "expired"

    @invariant()
    def payments_and_wallets_are_as_the_model_has_them(self) -> None:
        for key, one in self.expected.items():
            found = as_it_stands(self.ctx, key)
            assert (found.state, found.held_minor, found.captured_minor, found.refunded_minor) == (
                one.state,
                one.held,
                one.captured,
                one.refunded,
            )
        for payer, account in enumerate((ANN, BEN)):
            balance, pending = held(self.ctx, account)
            assert balance - pending == self.free(payer)

    def teardown(self) -> None:
        payments.finish(self.ctx)
        try:
            check_books(self.ctx)
        finally:
            with suppress(Undone):
                self.undo.__exit__(Undone, Undone(), None)


def test_whatever_is_done_in_whatever_order_and_killed_wherever_has_one_effect(ctx: Context) -> None:
    class OnThese(Shopping):
        pass

    OnThese.ctx = ctx
    run_state_machine_as_test(
        OnThese,
        settings=settings(
            max_examples=8,
            stateful_step_count=12,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow],
            phases=(Phase.explicit, Phase.generate, Phase.shrink),
        ),
    )


# --- many at once


def test_fifty_threads_on_one_key_make_one_payment(committed_ctx: Context) -> None:
    ctx = committed_ctx
    open_town(ctx)
    answers: list[payments.Answer] = []
    start = threading.Barrier(50)

    def ask() -> None:
        start.wait()
        answers.extend(payments.create(ctx, [asks(30_00)]))

    _all_at_once([ask] * 50)

    paid = [one for one in answers if isinstance(one, payments.Payment)]
    assert len(answers) == 50
    assert sum(not one.is_replay for one in paid) == 1
    assert {one.step for one in paid} == {paid[0].step}
    assert all(isinstance(one, payments.PaymentInFlight) for one in answers if one not in paid)
    assert held(ctx) == (70_00, 0)
    check_books(ctx)


def test_return_pages_and_webhooks_that_race_have_one_effect(committed_ctx: Context) -> None:
    ctx = committed_ctx
    open_town(ctx)
    one = made(ctx, asks(30_00, payer=None, method="connector", connector="card")).payment_id
    card = SimulatedConnector()
    errors: list[HansaError] = []

    def hear() -> None:
        try:
            payments.advance(ctx, one, connectors={"card": card})
        except payments.PaymentInFlight as error:  # somebody else is at it; a webhook comes again
            errors.append(error)

    _all_at_once([hear] * 16)
    hear()

    assert as_it_stands(ctx, one).state == "captured"
    assert told(ctx) == ["payment.captured"]
    check_books(ctx)


def test_refunds_that_race_never_pass_what_was_captured(committed_ctx: Context) -> None:
    ctx = committed_ctx
    open_town(ctx)
    one = made(ctx, asks(30_00)).payment_id
    errors: list[HansaError] = []
    refunds: list[payments.Refund] = []

    def refund(n: int) -> None:
        while True:
            try:
                refunds.append(
                    payments.refund(ctx, one, refund_id=fact_id(None, "race", n), by=BANK, minor=7_00)
                )
            except payments.PaymentInFlight:
                continue
            except payments.MoreThanCaptured as error:
                errors.append(error)
            return

    _all_at_once([lambda n=n: refund(n) for n in range(10)])

    assert (len({one.refund_id for one in refunds}), len(errors)) == (4, 6)
    assert as_it_stands(ctx, one).refunded_minor == 28_00
    check_books(ctx)


def test_of_two_at_one_payment_the_first_word_counts_and_the_books_agree(committed_ctx: Context) -> None:
    ctx = committed_ctx
    open_town(ctx, money=10_00)
    booked, refused = threading.Event(), threading.Event()

    def slow(
        at: str,
    ) -> None:  # it was told that there is too little, and says so only after the other booked it
        if at == "posted":
            top_up = payments.TopUp(
                fact_id(None, "late"), ANN, trust.MemberId(CARD), Money(50_00, "CNY"), NOW
            )
            payments.top_up(ctx, [top_up])
            pass_time(ctx, minutes=1)
            other.start()
            booked.wait(120)
        elif at == "recorded":
            refused.set()

    def quick(at: str) -> None:
        if at == "posted":
            booked.set()
            refused.wait(120)

    other = threading.Thread(target=lambda: payments.finish_payments(ctx, watch=quick))

    one = made(ctx, asks(30_00), watch=slow)
    other.join()

    assert (one.state, as_it_stands(ctx, one.payment_id).state) == ("failed", "failed")
    assert held(ctx) == (60_00, 0)
    check_books(ctx)


def _all_at_once(work: list[Callable[[], None]]) -> None:
    threads = [threading.Thread(target=one) for one in work]
    for one in threads:
        one.start()
    for one in threads:
        one.join()


# --- killed


PAYING = "from payments.test_payment_kills import keep_paying; keep_paying(*sys.argv[1:])"


def keep_paying(url: str, first: str) -> None:
    """What the process that is killed runs: batches of payments, and a line for each answer that a shop had."""
    with open_context(url, clock=FixedClock(NOW + timedelta(hours=int(first)))) as ctx, ledger.Engine(ctx):
        n = 0
        while True:
            new = [
                asks(
                    3,
                    n=(first, n + k),
                    payer=person(f"person-{k % 8}"),
                    capture="manual" if k % 3 else "automatic",
                )
                for k in range(20)
            ]
            n += 20
            for one in payments.create(ctx, new):
                assert isinstance(one, payments.Payment), one
                sys.stdout.write(f"{one.state} {one.payment_id}\n")
            sys.stdout.flush()
            for one in new[1::3]:
                done = payments.capture(ctx, one.payment_id, capture_id=one.payment_id, by=BANK)
                sys.stdout.write(f"{done.state} {one.payment_id}\n")
            sys.stdout.flush()


def test_what_was_answered_before_a_kill_is_in_the_books(committed_ctx: Context) -> None:
    ctx = committed_ctx
    open_town(ctx, money=1_000_00, more=8)
    answered: dict[UUID, str] = {}

    for n in range(3):
        process = run_python(PAYING, ctx.url, str(n))
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(30)]  # it pays
        time.sleep(0.1 * (n + 1))  # any instant will do
        os.kill(process.pid, signal.SIGKILL)
        lines += process.stdout.readlines()
        process.wait()
        for line in lines:
            if line.endswith("\n"):
                state, _, payment_id = line.strip().partition(" ")
                answered[UUID(payment_id)] = state

    assert len(answered) > 20
    pass_time(ctx, hours=4)
    payments.finish(ctx)
    for payment_id, state in answered.items():
        now = as_it_stands(ctx, payment_id).state
        assert now == state or (state, now) == ("authorized", "captured"), (payment_id, state, now)
    with ctx.tx() as tx:
        everything = payments.list_payments(tx, limit=100_000)
        counted = tx.execute("select count(*) from approval.uses where given_back_at is null").fetchone()
        accounts = [payments.merchant_account(shop, "CNY") for shop in (TEA, KIOSK)]
        owed = sum(one.credit_minor for one in ledger.balances(tx, accounts).values())
        wallets = [payments.wallet_id(person(f"person-{n}"), "CNY") for n in range(8)]
        pending = sum(one.debits_pending for one in ledger.balances(tx, wallets).values())
        left = tx.execute("select count(*) from payments.under_way").fetchone()
        assert ledger.verify(tx) == []
    assert all(one.step is not None for one in everything)
    assert counted == (len(everything),)
    assert owed == sum(one.captured_minor for one in everything)
    assert pending == sum(one.held_minor for one in everything)
    assert left == (0,)
