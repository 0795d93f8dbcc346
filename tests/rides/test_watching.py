"""What others read as it comes in: each fact once and in order, none missed whichever transaction ends first."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from hansa import rides, trust
from hansa.kernel import InvalidInput
from hansa.rides import RefusedCode, WatchMark
from hansa.store import Context
from rides.riding import League, account_of

EIGHT = datetime(2026, 11, 17, 0, tzinfo=UTC)
A, B = "beijing/xizhimen", "beijing/chegongzhuang"
OPERATOR = "beijing-subway"
GATE = f"{A}/entry"


@pytest.fixture
def league(committed_ctx: Context) -> League:
    return League(committed_ctx, OPERATOR)


def refused(number: int = 1, **changes: object) -> RefusedCode:
    code = RefusedCode(
        GATE, EIGHT + timedelta(seconds=number), "replay", b"kid1", b"a token.", 0, number, EIGHT
    )
    return replace(code, **changes)  # pyright: ignore[reportArgumentType]


def test_taps_are_read_once_each_in_parts(league: League) -> None:
    cti = league.rider(1)
    taps = [
        tap for hour in range(4) for tap in league.ride(OPERATOR, A, B, EIGHT + timedelta(hours=hour), cti)
    ]
    for one in range(0, len(taps), 3):
        league.hand_in(taps[one : one + 3])
    seen: list[rides.WatchedTap] = []
    mark: WatchMark | None = None

    with league.ctx.tx() as tx:
        while True:
            found, mark = rides.watch_taps(tx, mark, 3)
            if not found:
                break
            seen += found

    assert [one.tap_id for one in seen] == [one.tap_id for one in taps]
    assert {one.account_id for one in seen} == {account_of(1)}
    assert msgspec.convert(msgspec.to_builtins(mark), WatchMark) == mark


def test_nothing_appears_behind_the_mark_when_a_slow_transaction_ends_last(league: League) -> None:
    first, second = (
        RefusedCode(GATE, EIGHT, "replay", b"kid1", b"a token.", 0, number, EIGHT) for number in (1, 2)
    )
    with league.ctx.tx() as slow:
        slow.execute("select pg_current_xact_id()")
        rides.record_refused_codes(league.ctx, None, [second])
        with league.ctx.tx() as tx:
            before, mark = rides.watch_refused_codes(tx, None, 10)
        slow.execute(
            "insert into rides.refused_codes (refused_id, gate_id, operator_id, at, reason, kid, cti, companion,"
            " counter, made_at, received_at) values (gen_random_uuid(), %s, %s, %s, 'replay', %s, %s, 0, 1, %s, %s)",
            (GATE, OPERATOR, first.at, first.kid, first.cti, first.made_at, EIGHT),
        )
    with league.ctx.tx() as tx:
        after, _ = rides.watch_refused_codes(tx, mark, 10)

    assert before == []
    assert [one.counter for one in after] == [1, 2]


def test_refused_codes_are_kept_once_and_know_their_account(league: League) -> None:
    cti = league.rider(1)
    codes = [refused(1, cti=cti), refused(2), refused(1, cti=cti, companion=2)]

    first = rides.record_refused_codes(league.ctx, None, codes)
    second = rides.record_refused_codes(league.ctx, GATE, [*codes, refused(3)], operator_id=OPERATOR)
    with league.ctx.tx() as tx:
        found, mark = rides.watch_refused_codes(tx, None, 10)
        rest, _ = rides.watch_refused_codes(tx, mark, 10)

    assert (first.recorded, first.duplicates) == (3, 0)
    assert (second.recorded, second.duplicates) == (1, 3)
    assert {(one.account_id, one.companion, one.counter) for one in found} == {
        (account_of(1), 0, 1),
        (None, 0, 2),
        (account_of(1), 2, 1),
        (None, 0, 3),
    }
    assert rest == []


@pytest.mark.parametrize(
    ("gate_id", "operator_id", "codes"),
    [
        (None, None, [refused(), refused(gate_id="beijing/nowhere")]),
        (None, "london-tfl", [refused()]),
        (f"{B}/exit", None, [refused()]),
    ],
    ids=["no such gate", "another operator's", "another gate's"],
)
def test_only_who_speaks_for_a_gate_tells_of_its_refused_codes(
    league: League, gate_id: str | None, operator_id: str | None, codes: list[RefusedCode]
) -> None:
    with pytest.raises(trust.UnknownGate):
        rides.record_refused_codes(league.ctx, gate_id, codes, operator_id=operator_id)

    with league.ctx.tx() as tx:
        assert rides.watch_refused_codes(tx, None, 10)[0] == []


@pytest.mark.parametrize(
    "codes", [[], [refused()] * 1_001, [refused(), refused(at=EIGHT + timedelta(days=2))]]
)
def test_refused_codes_that_cannot_be_are_not_kept(league: League, codes: list[RefusedCode]) -> None:
    with pytest.raises(InvalidInput):
        rides.record_refused_codes(league.ctx, None, codes)

    with league.ctx.tx() as tx:
        assert rides.watch_refused_codes(tx, None, 10)[0] == []


def test_asking_for_nothing_is_refused(league: League) -> None:
    with league.ctx.tx() as tx, pytest.raises(InvalidInput):
        rides.watch_taps(tx, None, 0)


def test_after_a_dump_was_loaded_elsewhere_everything_is_read_anew(league: League) -> None:
    taps = league.ride(OPERATOR, A, B, EIGHT, league.rider(1))
    league.hand_in(taps)
    rides.record_refused_codes(league.ctx, None, [refused()])
    rides.check_chains(league.ctx)
    with league.ctx.tx() as tx:  # as from a server that had seen far more transactions
        for table in ("taps", "refused_codes"):
            tx.execute(f"update rides.{table} set xid = '999999999999'::xid8".encode())
        tx.execute("update rides.chain_breaks set told_xid = '999999999999'::xid8")
        tx.execute("update rides.marks set xid = '999999999999'::xid8")
        assert rides.watch_taps(tx, None, 9)[0] == []

    with league.ctx.tx() as tx:
        told = rides.begin_watching_anew(tx)

    assert told == 5
    with league.ctx.tx() as tx:
        assert [one.tap_id for one in rides.watch_taps(tx, None, 9)[0]] == [tap.tap_id for tap in taps]
        assert len(rides.watch_refused_codes(tx, None, 9)[0]) == 1
        assert len(rides.watch_chain_breaks(tx, None, 9)[0]) == 2
    assert rides.check_chains(league.ctx).taps == 2
