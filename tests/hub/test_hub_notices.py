"""Feeds and their delivery: at least once, in order for each payment, again and again until taken."""

from collections.abc import Sequence
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hansa import hub
from hansa.store import Context
from hub.paying import MEMBERS, A, B, C, asks, open_hub, pass_time, shows


class Post:
    """A sender whose members take what they like. down: members that nobody reaches. refusals: how many to refuse."""

    def __init__(self, refusals: Sequence[bool] = ()) -> None:
        self.down: set[str] = set()
        self.refused: set[UUID] = set()
        self.took: list[tuple[str, int, str, UUID]] = []
        self.calls = 0
        self._refusals = list(refusals)

    def send(self, member_id: str, notices: Sequence[hub.Notice]) -> Sequence[bool]:
        self.calls += 1
        if member_id in self.down:
            raise OSError("nobody there")
        stopped: set[UUID] = set()
        taken: list[bool] = []
        for one in notices:
            assert one.payment is not None
            payment_id = one.payment.payment_id
            no = payment_id in stopped or payment_id in self.refused or self._refuses()
            if no:
                stopped.add(payment_id)
            else:
                self.took.append((member_id, one.seq, one.kind, payment_id))
            taken.append(not no)
        return taken

    def _refuses(self) -> bool:
        return bool(self._refusals) and self._refusals.pop()

    def of(self, member_id: str) -> list[int]:
        return [seq for member, seq, _, _ in self.took if member == member_id]


def pay(ctx: Context, payer: str, payee: str) -> UUID:
    """A payment from end to end."""
    one = asks(payer, payee, 1, now=ctx.clock.now())
    hub.prepare(ctx, [one])
    hub.fulfil(ctx, [shows(one)])
    return one.payment_id


def test_a_member_that_is_away_is_tried_later_and_later_and_hears_all_in_the_end(ctx: Context) -> None:
    open_hub(ctx, covers=dict.fromkeys(MEMBERS, 100))
    post = Post()
    post.down.add(B)
    pay(ctx, A, B)
    pay(ctx, A, C)

    tried: list[int] = []
    for _ in range(20):
        hub.deliver(ctx, post)
        tried.append(post.calls)
        pass_time(ctx, seconds=1)

    assert post.of(A) == [1, 2]
    assert post.of(C) == [1, 2]
    assert tried[-1] - 2 == 4  # at once, after 1, 2 and 5 seconds
    post.down.clear()
    pass_time(ctx, minutes=5)
    hub.deliver(ctx, post)
    assert post.of(B) == [1, 2]
    assert hub.deliver(ctx, post) == hub.Delivered(0, 0)


def test_one_notice_that_is_not_taken_holds_up_only_its_payment(ctx: Context) -> None:
    open_hub(ctx, covers=dict.fromkeys(MEMBERS, 100))
    post = Post()
    bad = pay(ctx, A, B)
    post.refused.add(bad)
    pay(ctx, A, B)

    hub.deliver(ctx, post)
    pay(ctx, A, B)
    hub.deliver(ctx, post)

    assert post.of(B) == [3, 4, 5, 6]
    with ctx.tx() as tx:
        (state,) = hub.feed_states(tx, B)
    assert (state.delivered_seq, state.kept_back) == (6, 2)
    post.refused.clear()
    for _ in range(3):
        pass_time(ctx, minutes=5)
        hub.deliver(ctx, post)
    assert post.of(B) == [3, 4, 5, 6, 1, 2]


def test_who_died_while_sending_is_followed_after_its_lease(ctx: Context) -> None:
    open_hub(ctx, covers=dict.fromkeys(MEMBERS, 100))
    pay(ctx, A, B)
    post = Post()

    class Dies(Post):
        def send(self, member_id: str, notices: Sequence[hub.Notice]) -> Sequence[bool]:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        hub.deliver(ctx, Dies())
    hub.deliver(ctx, post)
    assert post.took == []
    pass_time(ctx, seconds=61)
    hub.deliver(ctx, post)

    assert (post.of(A), post.of(B)) == ([1], [1, 2])


def test_a_feed_is_read_by_number_from_anywhere(ctx: Context) -> None:
    open_hub(ctx, covers=dict.fromkeys(MEMBERS, 100))
    for _ in range(3):
        pay(ctx, A, B)

    with ctx.tx() as tx:
        pages = [hub.read_notices(tx, B, after=after, limit=4) for after in (0, 4, 6)]

    assert [[one.seq for one in page] for page in pages] == [[1, 2, 3, 4], [5, 6], []]


@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(refusals=st.lists(st.booleans(), max_size=40), steps=st.lists(st.booleans(), min_size=1, max_size=8))
def test_whatever_is_refused_everyone_hears_all_and_each_payment_in_order(
    ctx: Context, refusals: list[bool], steps: list[bool]
) -> None:
    with ctx.tx() as tx:
        tx.execute("savepoint example")
        open_hub(ctx, covers=dict.fromkeys(MEMBERS, 100))
        post = Post(refusals)
        for is_payment in steps:
            if is_payment:
                pay(ctx, A, B)
            hub.deliver(ctx, post)
            pass_time(ctx, seconds=3)
        for _ in range(60):
            hub.deliver(ctx, post)
            pass_time(ctx, minutes=6)

        count = steps.count(True)
        assert sorted(post.of(A)) == list(range(1, count + 1))
        assert sorted(set(post.of(B))) == list(range(1, 2 * count + 1))
        for payment_id in {one[3] for one in post.took}:
            kinds = [kind for member, _, kind, one in post.took if (member, one) == (B, payment_id)]
            assert kinds == ["reserved", "committed"]
        tx.execute("rollback to savepoint example")
