"""The outbox tells each fact that was committed, exactly as often as it is asked, and never skips one."""

import random
import threading
import time
from uuid import UUID

import psycopg
import pytest

from hansa.kernel import new_id
from hansa.store import (
    START,
    Bookmark,
    Context,
    Event,
    begin_outbox_anew,
    forget_outbox,
    read_outbox,
    write_outbox,
)


def _write(ctx: Context, *names: str, topic: str = "rides") -> None:
    with ctx.tx() as tx:
        write_outbox(tx, topic, [Event(new_id(), {"name": name}) for name in names])


def _names(ctx: Context, after: Bookmark = START, *, topic: str = "rides", limit: int = 1000) -> list[str]:
    with ctx.tx() as tx:
        return [event.body["name"] for event in read_outbox(tx, topic, after, limit)]


def test_events_come_in_the_order_written_each_topic_on_its_own(committed_ctx: Context) -> None:
    _write(committed_ctx, "a", "b")
    _write(committed_ctx, "other", topic="fines")
    _write(committed_ctx, "c")

    assert _names(committed_ctx) == ["a", "b", "c"]
    assert _names(committed_ctx, topic="fines") == ["other"]


def test_two_writes_in_one_transaction_keep_their_order(committed_ctx: Context) -> None:
    with committed_ctx.tx() as tx:
        write_outbox(tx, "rides", [Event(new_id(), {"name": name}) for name in "ab"])
        write_outbox(tx, "rides", [Event(new_id(), {"name": name}) for name in "cd"])

    assert _names(committed_ctx) == ["a", "b", "c", "d"]


def test_reading_goes_on_from_a_bookmark_in_pages(committed_ctx: Context) -> None:
    _write(committed_ctx, *"abcde")
    _write(committed_ctx, *"fg")
    read: list[str] = []
    bookmark = START

    while True:
        with committed_ctx.tx() as tx:
            page = read_outbox(tx, "rides", bookmark, limit=3)
        if not page:
            break
        assert len(page) <= 3
        read += [event.body["name"] for event in page]
        bookmark = page[-1].bookmark

    assert read == list("abcdefg")


def test_what_was_rolled_back_is_not_told(committed_ctx: Context) -> None:
    with pytest.raises(ZeroDivisionError), committed_ctx.tx() as tx:  # noqa: PT012 - the error ends the transaction
        write_outbox(tx, "rides", [Event(new_id(), {"name": "never"})])
        raise ZeroDivisionError

    assert _names(committed_ctx) == []


def test_what_all_have_read_can_be_forgotten(committed_ctx: Context) -> None:
    _write(committed_ctx, *"abc")
    with committed_ctx.tx() as tx:
        second = read_outbox(tx, "rides")[1].bookmark

    with committed_ctx.tx() as tx:
        gone = forget_outbox(tx, "rides", second)

    assert gone == 2
    assert _names(committed_ctx) == ["c"]


def test_events_of_another_servers_dump_are_told_in_their_old_order(committed_ctx: Context) -> None:
    for name in "abc":
        _write(committed_ctx, name)
    with committed_ctx.tx() as tx:  # as loaded from a server that had come much further
        tx.execute("update store.outbox set xid = (xid::text::bigint + 1000000)::text::xid8")
    as_loaded = _names(committed_ctx)

    with committed_ctx.tx() as tx:
        count = begin_outbox_anew(tx)
    _write(committed_ctx, "d")

    assert as_loaded == []
    assert count == 3
    assert _names(committed_ctx) == ["a", "b", "c", "d"]


def test_events_of_a_dump_whose_ids_overlap_ours_can_begin_anew_too(committed_ctx: Context) -> None:
    for name in "abc":
        _write(committed_ctx, name)
    with committed_ctx.tx() as tx:  # one of them bears the very id of the transaction that renumbers
        tx.execute("update store.outbox set xid = pg_current_xact_id() where body ->> 'name' = 'c'")

        assert begin_outbox_anew(tx) == 3

    assert _names(committed_ctx) == ["a", "b", "c"]


BY_NUMBER = """
select body ->> 'name', seq from store.outbox where topic = 'rides' and seq > %s order by seq
"""


def test_a_slow_writer_is_waited_for_where_a_reader_by_number_would_lose_it(committed_ctx: Context) -> None:
    """The mutation that must fail: a reader that remembers the highest number it saw. It is run here beside ours."""
    with psycopg.connect(committed_ctx.url) as slow:
        # Numbers as a sequence would give them: the slow one takes the lower, the fast one commits first.
        write_outbox(slow, "rides", [Event(new_id(), {"name": "slow"})])
        slow.execute("update store.outbox set seq = 1")
        with committed_ctx.tx() as tx:
            write_outbox(tx, "rides", [Event(new_id(), {"name": "fast"})])
            tx.execute("update store.outbox set seq = 2")

        by_number = psycopg.connect(committed_ctx.url, autocommit=True)
        naive_first = by_number.execute(BY_NUMBER, (0,)).fetchall()
        ours_first = _names(committed_ctx)
        slow.commit()
        naive_second = by_number.execute(BY_NUMBER, (naive_first[-1][1],)).fetchall()
        ours_second = _names(committed_ctx)
        by_number.close()

    assert [name for name, _ in naive_first + naive_second] == ["fast"]  # lost for ever
    assert ours_first == []  # the fast one waits for the slow one
    assert ours_second == ["slow", "fast"]


def test_with_many_writers_of_every_speed_nothing_is_lost_or_told_twice(committed_ctx: Context) -> None:
    written: list[UUID] = []
    lock = threading.Lock()

    def write(seed: int) -> None:
        chance = random.Random(seed)
        for _ in range(12):
            events = [Event(new_id(), {}) for _ in range(chance.randint(1, 4))]
            with committed_ctx.tx() as tx:
                write_outbox(tx, "rides", events[:1])
                time.sleep(chance.random() * 0.01)
                write_outbox(tx, "rides", events[1:])
                if chance.random() < 0.2:
                    tx.rollback()
                    continue
            with lock:
                written.extend(event.event_id for event in events)

    threads = [threading.Thread(target=write, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    read: list[UUID] = []
    bookmark = START
    while True:
        finished = not any(thread.is_alive() for thread in threads)
        with committed_ctx.tx() as tx:
            page = read_outbox(tx, "rides", bookmark, limit=7)
        read += [event.event_id for event in page]
        if page:
            assert page[0].bookmark > bookmark
            bookmark = page[-1].bookmark
        elif finished:
            break

    assert len(read) == len(set(read))
    assert set(read) == set(written)
