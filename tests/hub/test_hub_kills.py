"""The plug pulled at every step, and any interleaving: positions are what was committed and reserved, always."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from hansa import hub, ledger
from hansa.hub.payments import finish_payments
from hansa.store import Context
from hub.paying import (
    MEMBERS,
    A,
    B,
    asks,
    check_books,
    feed,
    figures,
    open_hub,
    pass_time,
    set_cap,
    shows,
    word,
    words,
)


class Killed(Exception):
    """The plug is pulled."""


def killed_at(name: str) -> Callable[[str], None]:
    """A step that pulls the plug when it comes to this one."""

    def step(here: str) -> None:
        if here == name:
            raise Killed

    return step


@pytest.mark.parametrize("at", ["received", "held", "reserved"])
@pytest.mark.parametrize("again", ["asked again", "finished", "expired"])
def test_a_prepare_killed_at_any_step_is_reserved_once(ctx: Context, at: str, again: str) -> None:
    open_hub(ctx, covers={A: 100, B: 100})
    one, poor = asks(A, B, 60, n=1), asks(A, B, 50, n=2)
    if poor.payment_id < one.payment_id:  # of two of the same moment the lower id is first
        one, poor = replace(poor, amount=one.amount), replace(one, amount=poor.amount)

    with pytest.raises(Killed):
        hub.prepare(ctx, [one, poor], step=killed_at(at))
    if again == "expired":
        pass_time(ctx, seconds=31)
        hub.turn(ctx)
        assert words(hub.prepare(ctx, [one, poor])) == ["ABORTED expired", "ABORTED no_headroom"]
        assert figures(ctx, A) == (0, 0, 100)
    else:
        if again == "finished":
            hub.finish(ctx)
        assert words(hub.prepare(ctx, [one, poor])) == ["RESERVED", "ABORTED no_headroom"]
        assert figures(ctx, A) == (0, 60, 40)
        assert feed(ctx, B) == ["reserved"]
    check_books(ctx)


@pytest.mark.parametrize("at", ["committed", "told"])
@pytest.mark.parametrize("again", ["shown again", "finished", "expired"])
def test_a_fulfilment_killed_at_any_step_commits_once(ctx: Context, at: str, again: str) -> None:
    open_hub(ctx, covers={A: 100, B: 100})
    one = asks(A, B, 60)
    hub.prepare(ctx, [one])

    with pytest.raises(Killed):
        hub.fulfil(ctx, [shows(one)], step=killed_at(at))
    if again == "finished":
        hub.finish(ctx)
    elif again == "expired":
        pass_time(ctx, seconds=31)
        hub.turn(ctx)
    else:
        assert words(hub.fulfil(ctx, [shows(one)])) == ["COMMITTED"]

    with ctx.tx() as tx:
        kept = hub.get_payment(tx, one.payment_id)
    assert (kept.state, kept.fulfilment) == ("COMMITTED", shows(one).fulfilment)
    assert (figures(ctx, A), figures(ctx, B)) == ((60, 0, 40), (-60, 0, 160))
    assert feed(ctx, A) == ["committed"]
    assert feed(ctx, B) == ["reserved", "committed"]
    check_books(ctx)


@pytest.mark.parametrize("at", ["voided", "told"])
def test_an_abort_killed_at_any_step_gives_back_once(ctx: Context, at: str) -> None:
    open_hub(ctx, covers={A: 100, B: 100})
    one = asks(A, B, 60)
    hub.prepare(ctx, [one])
    stop = hub.Abort(one.payment_id, "closed", B)

    with pytest.raises(Killed):
        hub.abort(ctx, [stop], step=killed_at(at))
    assert words(hub.abort(ctx, [stop])) == ["ABORTED payee"]

    assert figures(ctx, A) == (0, 0, 100)
    assert feed(ctx, A) == ["aborted"]
    check_books(ctx)


def test_a_payment_that_nobody_ends_is_given_back_by_the_ledger_itself(ctx: Context) -> None:

    open_hub(ctx, covers={A: 100, B: 100})
    one = asks(A, B, 60)
    hub.prepare(ctx, [one])
    pass_time(ctx, seconds=120)

    assert ledger.expire_pending(ctx) == 1

    assert figures(ctx, A) == (0, 0, 100)
    assert words(hub.fulfil(ctx, [shows(one)])) == ["hub.payment_expired"]
    hub.turn(ctx)
    with ctx.tx() as tx:
        assert word(hub.get_payment(tx, one.payment_id)) == "ABORTED expired"


class Payments(RuleBasedStateMachine):
    """Members pay one another in any order, time passes, caps move, and now and then the plug is pulled.

    What the books say is held against a plain sum over the payments as they stand.
    """

    ctx: Context

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[hub.Prepare] = []
        self.covers: dict[str, int] = dict.fromkeys(MEMBERS, 100)
        self.is_broken = False
        self.undo = self.ctx.open_tx()
        self.undo.__enter__()
        open_hub(self.ctx, covers=self.covers)

    def teardown(self) -> None:
        with suppress(Undone):
            self.undo.__exit__(Undone, Undone(), None)

    @rule(
        payer=st.sampled_from(MEMBERS),
        others=st.lists(st.tuples(st.integers(1, 3), st.integers(1, 120), st.integers(1, 40)), max_size=3),
        at=st.sampled_from(["", "received", "held", "reserved"]),
    )
    def prepare(self, payer: str, others: list[tuple[int, int, int]], at: str) -> None:
        payees = [MEMBERS[(MEMBERS.index(payer) + by) % len(MEMBERS)] for by, _, _ in others]
        some = [
            asks(payer, payee, minor, now=self.ctx.clock.now(), lasts_s=lasts_s)
            for payee, (_, minor, lasts_s) in zip(payees, others, strict=True)
        ]
        self.asked += some
        self.do(lambda step: hub.prepare(self.ctx, some, step=step), at)

    @precondition(lambda self: self.asked)
    @rule(data=st.data(), at=st.sampled_from(["", "committed", "voided", "told"]))
    def fulfil(self, data: st.DataObject, at: str) -> None:
        some = data.draw(st.lists(st.sampled_from(self.asked), min_size=1, max_size=4))
        self.do(lambda step: hub.fulfil(self.ctx, [shows(one) for one in some], step=step), at)

    @precondition(lambda self: self.asked)
    @rule(data=st.data(), at=st.sampled_from(["", "voided", "told"]))
    def abort(self, data: st.DataObject, at: str) -> None:
        some = data.draw(st.lists(st.sampled_from(self.asked), min_size=1, max_size=3))
        stops = [hub.Abort(one.payment_id, "no", one.payee_id) for one in some]
        self.do(lambda step: hub.abort(self.ctx, stops, step=step), at)

    @rule(seconds=st.integers(1, 100))
    def wait(self, seconds: int) -> None:
        pass_time(self.ctx, seconds=seconds)

    @rule(member=st.sampled_from(MEMBERS), cap=st.integers(0, 150))
    def cap(self, member: str, cap: int) -> None:
        set_cap(self.ctx, member, cap)

    @rule()
    def turn(self) -> None:
        hub.turn(self.ctx)

    @rule()
    def restart(self) -> None:
        hub.finish(self.ctx)
        self.is_broken = False

    @invariant()
    def figures_are_those_of_the_payments(self) -> None:
        with self.ctx.tx() as tx:
            everyone = {one.member_id: one for one in hub.list_liquidity(tx)}
            payments = hub.find_payments(tx, [one.payment_id for one in self.asked])
        assert sum(one.position_minor for one in everyone.values()) == 0
        for one in everyone.values():
            assert one.headroom_minor >= 0
        if self.is_broken:  # the books are ahead of what is kept until somebody looks
            return
        for member, one in everyone.items():
            out = sum(p.amount.minor for p in payments if p.payer_id == member and p.state == "COMMITTED")
            into = sum(p.amount.minor for p in payments if p.payee_id == member and p.state == "COMMITTED")
            held = sum(p.amount.minor for p in payments if p.payer_id == member and p.state == "RESERVED")
            assert (one.position_minor, one.reserved_minor) == (out - into, held), member
            if not one.short_minor:
                assert one.used_minor <= one.limit_minor or one.limit_minor < 0

    def do(self, work: Callable[[Callable[[str], None]], object], at: str) -> None:
        try:
            work(killed_at(at))
        except Killed:
            self.is_broken = True


class Undone(Exception):
    """The machine's own transaction is rolled back."""


def test_positions_are_what_was_committed_and_reserved_whatever_happens(ctx: Context) -> None:
    class OnThese(Payments):
        pass

    OnThese.ctx = ctx
    run_state_machine_as_test(
        OnThese,
        settings=settings(
            max_examples=20,
            phases=[Phase.explicit, Phase.reuse, Phase.generate],  # to shrink takes minutes
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
        ),
    )


def test_a_start_with_nothing_left_does_nothing(ctx: Context) -> None:
    open_hub(ctx, covers={A: 100, B: 100})
    hub.prepare(ctx, [asks(A, B, 60)])

    assert finish_payments(ctx) == 0


def test_a_fulfilment_after_all_time_is_up_gives_back_at_once(ctx: Context) -> None:
    open_hub(ctx, covers={A: 100, B: 100})
    one = asks(A, B, 60)
    hub.prepare(ctx, [one])
    pass_time(ctx, hours=2)

    assert words(hub.fulfil(ctx, [shows(one)])) == ["hub.payment_expired"]

    assert figures(ctx, A) == (0, 0, 100)
    check_books(ctx)
