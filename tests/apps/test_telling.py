"""What rooms write to their topics becomes events of the members that it concerns, once."""

import time
from datetime import timedelta

from disputes.disputing import (
    DAY,
    ISSUER,
    NOW,
    OPERATOR,
    OTHER,
    SUBWAY,
    claim,
    do,
    item_of,
    new,
    open_books,
    ride,
    set_clock,
)
from hansa import clearing, trust, webhooks
from hansa.apps.telling import TOPICS, tell_members
from hansa.store import Context


def read_all(ctx: Context) -> None:
    """Until every topic is read and every fact has its number; others' transactions may hold that up."""
    unread: tuple[int, ...] | None = None
    for _ in range(500):
        tell_members(ctx)
        webhooks.number(ctx)
        with ctx.tx() as tx:
            unread = tx.execute(
                """
                select count(*) from store.outbox o
                left join webhooks.bookmarks b on b.topic = o.topic
                where o.topic = any(%s) and (o.topic = 'webhooks' or (o.xid, o.seq) > (coalesce(b.xid, 0)::text::xid8,
                    coalesce(b.seq, 0)))
                """,
                ([*TOPICS, "webhooks"],),
            ).fetchone()
        if unread == (0,):
            return
        time.sleep(0.01)
    raise AssertionError(unread)


def test_windows_disputes_and_standing_are_told_to_whom_they_concern(committed_ctx: Context) -> None:
    ctx = committed_ctx
    league = open_books(ctx)
    item = item_of(ctx, ride(league))
    claim(ctx, item, 200)
    do(ctx, SUBWAY, "accept")
    set_clock(ctx, NOW + timedelta(days=1))
    with ctx.tx() as tx:
        trust.suspend(tx, str(OTHER.member_id), by="anna", at=ctx.clock.now(), why="Its keys were lost.")
    clearing.close_day(ctx, DAY)
    with ctx.tx() as tx:
        clearing.note_settling(tx, clearing.get_day(tx, DAY).window_id, "CNY", ctx.clock.now())

    read_all(ctx)
    read_all(ctx)

    with ctx.tx() as tx:
        feeds = {
            member: webhooks.read_feed(tx, member)
            for member in (ISSUER, OPERATOR, "beijing", str(OTHER.member_id))
        }
    told = {member: [(one.type, one.subject) for one in feed] for member, feed in feeds.items()}
    case = f"dispute {new(1)}"
    for member in (ISSUER, OPERATOR):
        steps = [kind for kind, subject in told[member] if subject == case]
        assert steps == ["dispute.raised", "dispute.moved", "dispute.moved"], told
    assert told[str(OTHER.member_id)] == [("member.standing.changed", f"member {OTHER.member_id}")]
    windows = [one for feed in feeds.values() for one in feed if one.type.startswith("clearing.window.")]
    assert {one.data["status"] for one in windows} == {"closed", "settling"}
    assert {one.data["business_day"] for one in windows} == {DAY.isoformat()}
    assert all([one.seq for one in feed] == list(range(1, len(feed) + 1)) for feed in feeds.values())
    assert all(one.data.keys() == kinds[one.type].data.keys() for feed in feeds.values() for one in feed)


kinds = {one.name: one for one in webhooks.TYPES}
