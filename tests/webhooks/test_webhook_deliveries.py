"""Deliveries to a real receiver: numbers, order, retries, what ends an endpoint, and who waits for whom."""

import asyncio
import threading
from datetime import timedelta
from ipaddress import ip_address
from itertools import count
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hansa import webhooks
from hansa.kernel import new_id
from hansa.store import Context
from hansa.webhooks.addresses import Address
from hansa.webhooks.model import ATTEMPTS_MAX, JITTER, RETRIES_S
from webhooks.receiving import (
    INSIDE,
    SECRETS,
    A,
    B,
    Got,
    attempts_of,
    join_league,
    listen,
    now_is,
    pass_time,
    receiving,
    send_all,
    sending,
    step,
    tell,
)

DAY = timedelta(days=1)
NUMBERS = count(100)


@pytest.fixture
def league(committed_ctx: Context) -> Context:
    join_league(committed_ctx)
    return committed_ctx


def test_facts_are_numbered_once_without_gaps_for_each_member(league: Context) -> None:
    tell(league, step(1, at=league), step(2, to=(A, B), at=league))
    tell(league, step(2, to=(A, B), at=league), step(3, to=(B,), at=league), step(4, to=(), at=league))
    try:
        with league.tx() as tx:
            webhooks.record(tx, step(5, at=league))
            raise RuntimeError
    except RuntimeError:
        tell(league, step(6, at=league))

    with league.tx() as tx:
        feeds = {member: webhooks.read_feed(tx, member) for member in (A, B)}
        after = webhooks.read_feed(tx, A, after=2)
        none = webhooks.read_feed(tx, A, types=["dispute.raised"])
        left = tx.execute("select count(*) from store.outbox where topic = 'webhooks'").fetchone()
    assert [(one.seq, one.data["n"]) for one in feeds[A]] == [(1, 1), (2, 2), (3, 6)]
    assert [(one.seq, one.data["n"]) for one in feeds[B]] == [(1, 2), (2, 3)]
    assert [one.seq for one in after] == [3] and none == []
    assert left == (0,)


def test_a_reader_misses_nothing_while_slow_transactions_commit_late(league: Context) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def slow() -> None:
        with league.tx() as tx:
            webhooks.record(tx, step(1, at=league))
            begun.set()
            go_on.wait(120)

    thread = threading.Thread(target=slow)
    thread.start()
    begun.wait(120)
    with league.tx() as tx:
        webhooks.record(tx, step(2, at=league))
    webhooks.number(league)
    with league.tx() as tx:
        early = webhooks.read_feed(tx, A)
    go_on.set()
    thread.join()
    tell(league)

    with league.tx() as tx:
        late = webhooks.read_feed(tx, A)
    assert early == []  # a number is given when nothing can slip in before it
    assert [(one.seq, one.data["n"]) for one in late] == [(1, 1), (2, 2)]


def test_an_endpoint_has_its_events_signed_and_in_order(league: Context) -> None:
    with receiving() as receiver, sending(league) as sender:
        tell(league, step(1, at=league))
        made = listen(league, receiver.url)
        tell(league, *(step(n, at=league) for n in range(2, 80)), step(99, to=(B,), at=league))
        sent = send_all(league, sender)

    assert sent == 78
    assert receiver.seqs == list(range(2, 80))  # those from its beginning on
    first = receiver.got[0]
    secret = SECRETS.secret(made.endpoint_id, 1)
    for text in (secret.shared_text, secret.public_text):
        event_id = webhooks.verify(first.body, first.headers, text, now_s=league.clock.now().timestamp())
        assert event_id == first.told["id"]
    assert first.told == {
        "type": "dispute.moved",
        "timestamp": "2026-11-17T12:00:00.000000Z",
        "data": {"dispute_id": "dispute-2", "n": 2, "action": "answer", "state": "open"},
        "id": event_id,
        "seq": 2,
        "subject": "dispute-2",
        "version": "2026-11-28",
    }
    assert [(one.status, one.body) for one in attempts_of(league, made.endpoint_id)][:1] == [(200, b"seen")]
    assert now_is(league, made.endpoint_id).behind == 0


def test_only_wanted_types_come_and_a_test_comes_to_the_one_that_asked(league: Context) -> None:
    with receiving() as receiver, sending(league) as sender:
        wants = listen(league, receiver.url + "?1", 1, types=("dispute.raised",))
        listen(league, receiver.url + "?2", 2, types=("dispute.moved",))
        tell(league, step(1, at=league))
        webhooks.send_test(league, wants.endpoint_id)
        send_all(league, sender)

    assert sorted((one.path, one.told["type"]) for one in receiver.got) == [
        ("/hook?1", "webhooks.endpoint.test"),
        ("/hook?2", "dispute.moved"),
    ]


def test_what_is_refused_is_tried_by_the_schedule_and_its_subject_waits(league: Context) -> None:
    def answers(one: Got) -> tuple[int, dict[str, str], float]:
        return (500 if one.told["subject"] == "bad" else 200), {}, 0

    with receiving() as receiver, sending(league) as sender:
        receiver.answers = answers
        made = listen(league, receiver.url)
        tell(league, step(1, subject="bad", at=league), step(2, at=league), step(3, subject="bad", at=league))
        send_all(league, sender)
        first_day = receiver.seqs
        for delay_s in RETRIES_S:
            pass_time(league, timedelta(seconds=delay_s * 0.99))
            send_all(league, sender)
            pass_time(league, timedelta(seconds=delay_s * (JITTER + 0.02)))
            send_all(league, sender)
        after_all = [one for one in receiver.seqs if one == 1]
        receiver.answers = lambda _: (200, {}, 0)
        send_all(league, sender)

    assert first_day == [1, 2]
    assert len(after_all) == ATTEMPTS_MAX
    assert receiver.seqs[-1] == 3  # once the first was given up, the next of its subject went
    ones = [one for one in attempts_of(league, made.endpoint_id) if one.seq == 1]
    assert [one.number for one in ones] == list(range(1, ATTEMPTS_MAX + 1))
    assert [one.next_at is None for one in ones] == [False] * (ATTEMPTS_MAX - 1) + [True]
    assert now_is(league, made.endpoint_id).behind == 0


def test_an_endpoint_that_is_away_is_left_alone_and_goes_on_where_it_was(league: Context) -> None:
    with receiving() as receiver, sending(league) as sender:
        made = listen(league, receiver.url)
        receiver.answers = lambda _: (503, {"retry-after": "3600"}, 0)
        tell(league, *(step(n, at=league) for n in range(1, 6)))
        send_all(league, sender)
        pass_time(league, timedelta(seconds=3_500))
        send_all(league, sender)
        tried = len(receiver.got)
        receiver.answers = lambda _: (200, {}, 0)
        pass_time(league, timedelta(seconds=101))
        send_all(league, sender)

    assert tried == 1
    assert sorted(receiver.seqs[1:]) == [1, 2, 3, 4, 5]
    assert now_is(league, made.endpoint_id).failing_since is None


@pytest.mark.parametrize("how", ["gone", "days"])
def test_an_endpoint_that_is_gone_is_disabled_and_its_member_told(league: Context, how: str) -> None:
    with receiving() as receiver, sending(league) as sender:
        made = listen(league, receiver.url)
        receiver.answers = lambda _: (410 if how == "gone" else 404, {}, 0)
        tell(league, step(1, at=league), step(2, at=league))
        for _ in range(1 if how == "gone" else 9):
            send_all(league, sender)
            tell(league, step(1000 + len(receiver.got), at=league))
            pass_time(league, DAY)
        ended = now_is(league, made.endpoint_id)
        tried = len(receiver.got)
        pass_time(league, DAY)
        send_all(league, sender)
        tell(league)
        receiver.answers = lambda _: (200, {}, 0)
        webhooks.enable_endpoint(league, made.endpoint_id)
        caught_up = len(receiver.got)
        send_all(league, sender)

    assert (ended.state, len(receiver.got[:tried])) == ("disabled", caught_up)
    with league.tx() as tx:
        told = webhooks.read_feed(tx, A, types=["webhooks.endpoint.disabled"])
    assert [one.data["endpoint_id"] for one in told] == [str(made.endpoint_id)]
    assert ("410" in told[0].data["why"]) == (how == "gone")
    assert len(receiver.got) > caught_up  # enabled again, it hears what it missed
    assert now_is(league, made.endpoint_id).behind == 0


def test_a_redirect_is_a_failure_and_leads_nowhere(league: Context) -> None:
    with receiving() as receiver, receiving() as other, sending(league) as sender:
        made = listen(league, receiver.url)
        receiver.answers = lambda _: (307, {"location": other.url}, 0)
        tell(league, step(1, at=league))
        send_all(league, sender)

    assert (len(receiver.got), other.got) == (1, [])
    assert [one.status for one in attempts_of(league, made.endpoint_id)] == [307]


def test_a_slow_endpoint_holds_up_no_other(league: Context) -> None:
    done = threading.Event()
    with receiving() as slow, receiving() as quick:
        listen(league, slow.url, 1)
        listen(league, quick.url, 2)

        def wait(_: Got) -> tuple[int, dict[str, str], float]:
            done.wait(120)
            return 200, {}, 0

        slow.answers = wait
        sender = webhooks.Sender(league, SECRETS, INSIDE)
        with webhooks.Courier(league, sender, pause_s=0.02):
            for n in range(1, 6):
                with league.tx() as tx:
                    webhooks.record(tx, step(n, at=league))
                while (
                    len(quick.got) < n
                ):  # each reaches the quick one while the slow one still thinks of the first
                    threading.Event().wait(0.01)
            at_slow = len(slow.got)
            done.set()

    assert at_slow == 1
    assert quick.seqs == [1, 2, 3, 4, 5]


def test_no_answer_in_time_or_none_at_all_is_a_failure_with_its_reason(league: Context) -> None:
    with receiving() as receiver, sending(league, timeout_s=0.2) as sender:
        made = listen(league, receiver.url)
        receiver.answers = lambda _: (200, {}, 0.6)
        tell(league, step(1, at=league))
        send_all(league, sender)
    with sending(league) as sender:
        pass_time(league, timedelta(minutes=1))
        send_all(league, sender)

    faults = [(one.status, one.fault) for one in attempts_of(league, made.endpoint_id)]
    assert [status for status, _ in faults] == [None, None]
    assert "within" in faults[0][1] and "refused" in faults[1][1].lower()


def test_a_name_that_turns_to_a_private_address_is_not_called(league: Context) -> None:
    where = {"hook.example": ["127.0.0.1"]}

    async def resolve(host: str, _: int) -> list[Address]:
        return [ip_address(one) for one in where[host]]

    with receiving() as receiver:
        url = f"https://hook.example:{receiver.port}/hook"
        made = listen(league, url)
        tell(league, step(1, at=league))
        with sending(league, webhooks.Reach(), resolve=resolve) as sender:
            send_all(league, sender)
            pass_time(league, timedelta(minutes=1))
            where["hook.example"] = ["::ffff:10.0.0.1", "169.254.169.254", "64:ff9b::7f00:1"]
            send_all(league, sender)

    assert receiver.got == []
    assert [(one.status, "not public" in one.fault) for one in attempts_of(league, made.endpoint_id)] == [
        (None, True),
        (None, True),
    ]


def test_events_are_sent_again_by_hand(league: Context) -> None:
    with receiving() as receiver, sending(league) as sender:
        made = listen(league, receiver.url)
        tell(league, *(step(n, at=league) for n in range(1, 6)))
        send_all(league, sender)
        asked = webhooks.redeliver(league, made.endpoint_id, first=2, last=4)
        twice = webhooks.redeliver(league, made.endpoint_id, first=2, last=4)
        send_all(league, sender)

    assert (asked, twice) == (3, 0)
    assert receiver.seqs == [1, 2, 3, 4, 5, 2, 3, 4]
    assert receiver.got[1].told == receiver.got[5].told


def test_a_rotated_secret_signs_beside_the_old_one_for_a_day(league: Context) -> None:
    def good(n: int) -> list[bool]:
        one = receiver.got[n]
        found: list[bool] = []
        for version in (1, 2):
            secret = SECRETS.secret(made.endpoint_id, version).shared_text
            try:
                webhooks.verify(one.body, one.headers, secret, now_s=int(one.headers["webhook-timestamp"]))
                found.append(True)
            except webhooks.BadSignature:
                found.append(False)
        return found

    with receiving() as receiver, sending(league) as sender:
        made = listen(league, receiver.url)
        tell(league, step(1, at=league))
        send_all(league, sender)
        webhooks.rotate_secret(league, made.endpoint_id)
        with pytest.raises(webhooks.SecretIsNew):
            webhooks.rotate_secret(league, made.endpoint_id)
        tell(league, step(2, at=league))
        send_all(league, sender)
        pass_time(league, DAY)
        tell(league, step(3, at=league))
        send_all(league, sender)

    assert [good(n) for n in range(3)] == [[True, False], [True, True], [False, True]]


def test_attempts_are_forgotten_after_a_month(league: Context) -> None:
    with receiving() as receiver, sending(league) as sender:
        made = listen(league, receiver.url)
        tell(league, step(1, at=league))
        send_all(league, sender)
    pass_time(league, timedelta(days=29))
    kept = webhooks.forget(league)
    pass_time(league, timedelta(days=2))
    gone = webhooks.forget(league)

    assert (kept, gone, attempts_of(league, made.endpoint_id)) == (0, 1, [])


@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32), events=st.integers(1, 25), subjects=st.integers(1, 5))
def test_whatever_fails_and_dies_each_event_comes_and_each_subject_in_order(
    league: Context, seed: int, events: int, subjects: int
) -> None:
    dice = Random(seed)
    n = next(NUMBERS)
    name = f"example-{n}"

    def answers(one: Got) -> tuple[int, dict[str, str], float]:
        status = dice.choice(moods)
        if status == 200 and one.told["subject"].startswith(name):
            taken.append((one.told["subject"], one.told["data"]["n"]))
        return status, {}, 0

    moods = [200, 200, 200, 500, 503, 404]
    taken: list[tuple[str, int]] = []
    with receiving() as receiver, sending(league) as sender:
        receiver.answers = answers
        made = listen(league, receiver.url, n)
        for one in range(events):
            tell(league, step(one, subject=f"{name}-{one % subjects}", at=league))
            if dice.random() < 0.5:
                send_all(league, sender, turns=1)
            if dice.random() < 0.3:  # a sender takes the endpoint and dies
                _lease_and_die(league, sender)
            pass_time(league, timedelta(seconds=dice.choice([0, 10, 100, 2_000])))
        moods = [200]
        for _ in range(12):
            pass_time(league, timedelta(hours=12))
            send_all(league, sender)

    assert now_is(league, made.endpoint_id).behind == 0
    firsts = list(dict.fromkeys(taken))
    assert sorted(n for _, n in firsts) == list(range(events))
    for subject in {subject for subject, _ in firsts}:
        told = [n for one, n in firsts if one == subject]
        assert told == sorted(told)
    webhooks.disable_endpoint(league, made.endpoint_id, why="the example is over")


def _lease_and_die(ctx: Context, sender: webhooks.Sender) -> None:
    """Hold what is due as a sender does, and never give it back; its lease ends by itself."""
    asyncio.run(sender.lease(new_id(), limit=10))


def test_a_receiver_stands_in_for_many(league: Context) -> None:
    """Many endpoints of two members hear everything that is theirs."""
    with receiving() as receiver, sending(league) as sender:
        for n in range(1, 13):
            listen(league, f"{receiver.url}?{n}", n, member=A if n % 2 else B)
        tell(league, *(step(n, to=(A, B), at=league) for n in range(1, 11)))
        sent = send_all(league, sender)

    assert sent == 120 == len(receiver.got)
    assert {one.path for one in receiver.got} == {f"/hook?{n}" for n in range(1, 13)}
