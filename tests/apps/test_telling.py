"""What rooms write to their topics becomes events of the members that it concerns, once."""

import time
from datetime import date, timedelta
from typing import Any

from bank.weeks import BankSpec, Weeks
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
from hansa import clearing, hub, trust, webhooks
from hansa.apps.bank import Conduct
from hansa.apps.telling import TOPICS, tell_members
from hansa.settlement import desk
from hansa.store import Context
from hub.paying import MEMBERS, A, B, asks, open_hub, shows

KINDS = {one.name: one for one in webhooks.TYPES}


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
    assert all(one.data.keys() == KINDS[one.type].data.keys() for feed in feeds.values() for one in feed)


def recorded(ctx: Context) -> list[dict[str, Any]]:
    """What waits for its number."""
    with ctx.tx() as tx:
        found = tx.execute("select body from store.outbox where topic = 'webhooks' order by xid, seq")
        return [body for (body,) in found]


def test_a_member_is_told_what_becomes_of_its_payments_by_banks(ctx: Context) -> None:
    day = date(2028, 3, 1)
    weeks = Weeks(
        ctx,
        [BankSpec("east-bank", ("CNY",), "UTC")],
        {"east-bank": Conduct()},
        day,
        1,
        kills=0.0,
        rests=2,
    )
    weeks.run()

    with ctx.tx() as tx:
        payments = {one.told.end_to_end_id: one for one in desk.list_payments(tx)}
    told = [one for one in recorded(ctx) if one["type"].startswith("settlement.payment.")]
    assert payments
    for end_to_end_id, payment in payments.items():
        mine = [one for one in told if one["data"]["end_to_end_id"] == end_to_end_id]
        assert {member for one in mine for member in one["to"]} == {payment.told.member_id}
        assert {one["data"].get("answer") for one in mine} >= {"accepted", None}
        assert [one["type"] for one in mine].count("settlement.payment.booked") == 1
    assert all(one["data"].keys() == KINDS[one["type"]].data.keys() for one in told)


def test_a_member_is_told_of_its_alarms_and_their_end(ctx: Context) -> None:
    open_hub(ctx, covers=dict.fromkeys(MEMBERS, 100))
    for payer, payee in ((A, B), (B, A)):
        one = asks(payer, payee, 85, now=ctx.clock.now())
        hub.prepare(ctx, [one])
        hub.fulfil(ctx, [shows(one)])
        for _ in range(2):
            hub.turn(ctx)

    told = [one for one in recorded(ctx) if one["type"].startswith("hub.alarm.") and A in one["to"]]
    assert [(one["type"], one["data"]["kind"]) for one in told] == [
        ("hub.alarm.raised", "warning"),
        ("hub.alarm.ended", "warning"),
    ]
    assert told[0]["data"] | {"position_minor": 85, "limit_minor": 100} == told[0]["data"]
