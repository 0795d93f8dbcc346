"""Acts are kept with the deed, sealed in chains that never fork, and whatever is changed afterwards is named."""

import threading
from datetime import timedelta

import psycopg
import pytest

from hansa import audit
from hansa.audit import Act, Head
from hansa.kernel import InvalidInput
from hansa.store import Context
from scratch import NOON

SECOND = "(select act_id from audit.seals where chain = 'b' and place = 2)"
EDIT = f"update audit.acts set reason = 'none' where act_id = {SECOND}"
LOSE_ACT = f"""
alter table audit.seals drop constraint seals_act_id_fkey; delete from audit.acts where act_id = {SECOND}
"""
SWAP = """
alter table audit.seals drop constraint seals_act_id_key;
update audit.seals set act_id = (select act_id from audit.seals where chain = 'b' and place = 5 - s.place)
from audit.seals s where seals.chain = 'b' and seals.place in (2, 3) and s.chain = 'b' and s.place = seals.place
"""
MOVE = f"update audit.acts set chain = 'a' where act_id = {SECOND}"
FORGE = """
insert into audit.acts (act_id, chain, at, actor, action, subject, reason, details)
select gen_random_uuid(), 'b', now(), 'staff:x', 'key.make', 'key:1', '', '{}'
"""


def _act(number: int, chain: str = "b") -> Act:
    return Act(
        f"staff:{number}",
        "tariff.approve",
        f"tariff:{number}",
        f"reason “{number}”\nand more",
        {"after": number, "before": None, "lines": ["ü", True, {"z": 1, "a": 2}]},
        chain,
    )


def _some(ctx: Context) -> None:
    for number in range(3):
        with ctx.tx() as tx:
            audit.record_all(tx, [_act(number, "b"), _act(number + 10, "a"), _act(number + 20, "b")], NOON)
        audit.seal(ctx)


def _unlock(tx: psycopg.Connection) -> None:
    """As an administrator of the database could."""
    tx.execute("alter table audit.acts disable trigger user; alter table audit.seals disable trigger user")


def test_an_act_is_kept_if_and_only_if_its_deed_is(ctx: Context) -> None:
    with pytest.raises(ZeroDivisionError), ctx.tx() as tx:  # noqa: PT012 - the error ends the transaction
        audit.record(tx, _act(1), NOON)
        _ = 1 / 0
    with ctx.tx() as tx:
        act_id = audit.record(tx, _act(2), NOON)

        assert audit.find_act(tx, act_id) is not None
        assert [act.subject for act in audit.search(tx)] == ["tariff:2"]


def test_sealed_acts_are_chained_by_member_in_the_order_written(ctx: Context) -> None:
    _some(ctx)

    with ctx.tx() as tx:
        checked = audit.check(tx)
        found = {(act.chain, act.place): act.actor for act in audit.search(tx)}

    assert checked.broken is None
    assert [(head.chain, head.place) for head in checked.heads] == [("a", 3), ("b", 6)]
    assert [found["b", place] for place in range(1, 7)] == [
        "staff:0",
        "staff:20",
        "staff:1",
        "staff:21",
        "staff:2",
        "staff:22",
    ]
    assert audit.seal(ctx) == 0


def test_the_database_refuses_every_change(ctx: Context) -> None:
    _some(ctx)

    for change in (EDIT, "delete from audit.seals", "truncate audit.checkpoints", "delete from audit.acts"):
        with pytest.raises(psycopg.errors.RestrictViolation, match="only added to"), ctx.tx() as tx:
            tx.execute(change.encode())

    with ctx.tx() as tx:
        assert audit.check(tx).broken is None


@pytest.mark.parametrize(
    ("change", "chain", "place", "what"),
    [
        (EDIT, "b", 2, "not what was sealed"),
        (LOSE_ACT, "b", 2, "its act is gone"),
        ("delete from audit.seals where chain = 'b' and place = 4", "b", 4, "its seal is gone"),
        ("delete from audit.seals where chain = 'b' and place = 6", "b", 6, "sealed up to 6 and ends before"),
        (SWAP, "b", 2, "not what was sealed"),
        (MOVE, "b", 2, "says that it is of a"),
        (FORGE, "b", 7, "in no chain"),
        ("delete from audit.waiting", "a", 4, "in no chain"),
    ],
)
def test_the_first_broken_place_is_named(
    ctx: Context, change: str, chain: str, place: int, what: str
) -> None:
    _some(ctx)
    with ctx.tx() as tx:
        audit.record(tx, _act(99, "a"), NOON)
    with ctx.tx() as tx:
        _unlock(tx)
        tx.execute(change.encode())

        broken = audit.check(tx).broken

    assert broken is not None
    assert (broken.chain, broken.place) == (chain, place)
    assert what in str(broken)


def test_who_writes_the_whole_chain_anew_is_found_by_a_head_kept_elsewhere(ctx: Context) -> None:
    _some(ctx)
    with ctx.tx() as tx:
        kept = audit.keep_checkpoints(tx, lambda head: f"{head.chain} {head.place} {head.hash.hex()}", NOON)
        heads = audit.list_heads(tx)
        _unlock(tx)
        tx.execute("delete from audit.seals; delete from audit.heads")
        tx.execute("update audit.acts set reason = 'nothing'")
        tx.execute("insert into audit.waiting (act_id) select act_id from audit.acts order by at, act_id")
    audit.seal(ctx)

    with ctx.tx() as tx:
        alone, against = audit.check(tx), audit.check(tx, heads)
        longer = audit.check(tx, [Head("c", 4, bytes(32))])

    assert [one.note for one in kept] == [f"{head.chain} {head.place} {head.hash.hex()}" for head in heads]
    assert alone.broken is None
    assert against.broken is not None
    assert (against.broken.chain, against.broken.place) == ("a", 3)
    assert longer.broken is not None
    assert longer.broken.chain == "c"


def test_a_head_is_signed_once_and_again_only_when_it_has_grown_and_time_has_passed(ctx: Context) -> None:
    _some(ctx)
    hour = timedelta(hours=1)

    with ctx.tx() as tx:
        first = audit.keep_checkpoints(tx, str, NOON)
        same = audit.keep_checkpoints(tx, str, NOON + hour)
        audit.record(tx, _act(5, "a"), NOON)
    audit.seal(ctx)
    with ctx.tx() as tx:
        early = audit.keep_checkpoints(tx, str, NOON + hour / 2)
        later = audit.keep_checkpoints(tx, str, NOON + hour)
        kept = audit.list_checkpoints(tx)

    assert [(one.chain, one.place) for one in first] == [("a", 3), ("b", 6)]
    assert (same, early) == ([], [])
    assert [(one.chain, one.place) for one in later] == [("a", 4)]
    assert len(kept) == 3


def test_many_writers_and_sealers_at_once_make_one_unbroken_chain(committed_ctx: Context) -> None:
    def write(of: int) -> None:
        for number in range(20):
            with committed_ctx.tx() as tx:
                audit.record_all(tx, [_act(of * 100 + number, chain) for chain in ("b", "a")], NOON)
            if number % 4 == 0:
                audit.seal(committed_ctx, limit=7)

    threads = [threading.Thread(target=write, args=(of,)) for of in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    while audit.seal(committed_ctx):
        pass

    with committed_ctx.tx() as tx:
        checked = audit.check(tx)
    assert (checked.broken, checked.acts, checked.waiting) == (None, 240, 0)


def test_the_record_is_searched_by_who_what_when_and_by_words(ctx: Context) -> None:
    with ctx.tx() as tx:
        for hour, (actor, action, reason) in enumerate(
            [
                ("staff:ada", "tariff.approve", "fairer"),
                ("staff:bo", "tariff.propose", ""),
                ("staff:ada", "key.make", "gate"),
            ]
        ):
            audit.record(tx, Act(actor, action, f"thing:{hour}", reason), NOON + timedelta(hours=hour))

        def found(**asked: object) -> list[str]:
            return [act.subject for act in audit.search(tx, **asked)]  # pyright: ignore[reportArgumentType]

        assert found() == ["thing:2", "thing:1", "thing:0"]
        assert found(actor="staff:ada") == ["thing:2", "thing:0"]
        assert found(action="tariff") == ["thing:1", "thing:0"]
        assert found(action="key.make") == ["thing:2"]
        assert found(words="FAIR") == ["thing:0"]
        assert found(words="100%") == []
        assert found(since=NOON + timedelta(hours=1), until=NOON + timedelta(hours=2)) == ["thing:1"]
        assert found(subject="thing:1", chain=audit.LEAGUE) == ["thing:1"]
        newest = audit.search(tx, limit=1)[0]
        assert found(before=(newest.at, newest.act_id), limit=1) == ["thing:1"]


@pytest.mark.parametrize("reason", ["x" * 2_001, "a\0b"])
def test_a_reason_that_cannot_be_kept_is_refused(reason: str) -> None:
    with pytest.raises(InvalidInput, match="reason"):
        Act("staff:ada", "tariff.approve", "tariff:1", reason)
