"""Batches by the column: what they say and keep is what ``record_taps`` says and keeps, tap by tap."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hansa import rides
from hansa.kernel import BUCKETS, Directory, fact_id
from hansa.rides.columns import PlainBatch, read_columns, take_in
from hansa.rides.model import tap_digest
from hansa.store import Context
from rides.riding import League, account_of, network_of
from rides.taken_in import days_of, numbers_of, written

BEIJING, TORONTO = "beijing-subway", "toronto-ttc"
A, B = "beijing/xizhimen", "beijing/chegongzhuang"
EIGHT = datetime(2026, 11, 17, 0, 0, 3, 250_001, tzinfo=UTC)
EXAMPLES = count(1)


@pytest.fixture
def league(ctx: Context) -> League:
    return League(ctx, BEIJING, TORONTO)


def body(taps: list[rides.Tap]) -> bytes:
    return msgspec.json.encode({"taps": [written(tap) for tap in taps]})


def plain(taps: list[rides.Tap], gate_id: str | None = None, operator_id: str | None = None) -> PlainBatch:
    columns = read_columns(body(taps))
    assert columns is not None
    return PlainBatch(columns, gate_id, operator_id)


def books(league: League) -> dict[str, list[tuple[object, ...]]]:
    """Everything that taking taps in writes, but when it was received and in which transaction."""
    with league.ctx.tx() as tx:
        return {
            "taps": tx.execute(
                "select partition, tap_id, account_id, operator_id, gate_id, sequence, action, stop_id, line_id,"
                " product, tapped_at, cti, counter, kid, made_at, list_version, chain, companion, received_at"
                " from rides.every_tap order by tap_id"
            ).fetchall(),
            "numbers": numbers_of(tx),
            "days": days_of(league.ctx, tx),
        }


def empty(league: League) -> None:
    with league.ctx.tx() as tx:
        for table in (
            "taps",
            "tap_numbers",
            "dirty_days",
            "tap_runs",
            "tap_spans",
            "tap_places",
            "tap_payers",
        ):
            tx.execute(f"delete from rides.{table}".encode())


def a_batch(league: League, seed: int, taps_max: int = 12) -> list[rides.Tap]:
    """Taps of several gates, days, riders and companions; also aboard, with and without a stop."""
    dice = Random(seed)
    places = [one for one in league.gates if dice.random() < 0.05] or list(league.gates)[:3]
    league.first_sequence = dice.choice((1, 9, 99_999, 2**53 - 1_000))
    league.sequences.clear()
    taps: list[rides.Tap] = []
    for _ in range(dice.randint(1, taps_max)):
        operator, place, action = dice.choice(places)
        assert place is not None
        at = EIGHT - timedelta(
            days=dice.randint(0, 3),
            seconds=dice.randint(0, 80_000),
            microseconds=dice.choice((0, 1, 250_001)),
        )
        tap = league.tap(operator, place, action, at, league.rider(dice.randint(1, 4)))
        taps.append(
            replace(
                tap,
                companion=dice.choice((0, 0, 1, 15)),
                counter=dice.choice((0, 1, 2**31 - 1)),
                stop_id=tap.stop_id if action != "board" or dice.random() < 0.5 else _a_stop(operator, dice),
                chain=dice.randbytes(32),
                kid=dice.randbytes(4),
            )
        )
    return taps


def _a_stop(operator: str, dice: Random) -> str:
    return dice.choice(sorted(network_of(operator).stops))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 1_000_000), partitions=st.integers(1, 3))
def test_a_plain_batch_is_kept_as_tap_by_tap(ctx: Context, seed: int, partitions: int) -> None:
    ctx = replace(ctx, directory=Directory(2, tuple(bucket % partitions for bucket in range(BUCKETS))))
    league = League(ctx, BEIJING, TORONTO)
    taps = a_batch(league, seed)
    assert league.hand_in(taps) == rides.TapReceipt(len(taps), 0, ())
    one_by_one = books(league)
    empty(league)

    assert take_in(ctx, [plain(taps)]) == [len(taps)]

    assert books(league) == one_by_one
    assert len(one_by_one["taps"]) == len(taps)
    empty(league)


def test_columns_say_what_the_taps_say(league: League) -> None:
    taps = a_batch(league, 7, 200)

    columns = plain(taps).taps

    assert columns.digests == b"".join(tap_digest(tap) for tap in taps)
    assert columns.tap_ids == b"".join(tap.tap_id.bytes for tap in taps)
    assert columns.tapped_us.tolist() == [round(tap.tapped_at.timestamp() * 1e6) for tap in taps]
    assert [columns.places[place] for place in columns.gates.tolist()] == [
        (tap.gate_id, tap.action, tap.stop_id) for tap in taps
    ]


@given(us=st.integers(0, 2**52), sequence=st.integers(1, 2**53 - 1), name=st.text(min_size=1, max_size=9))
def test_ids_of_any_instant_are_recognised(us: int, sequence: int, name: str) -> None:
    at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=us)
    tap = rides.Tap(
        fact_id(at, name, sequence), name, sequence, "entry", None, at, bytes(8), 1, b"kid1", at, 1, bytes(32)
    )

    columns = read_columns(body([tap]))

    if any(letter < " " for letter in name):
        assert columns is None
    else:
        assert columns is not None
        assert columns.digests == tap_digest(tap)


CHANGES: dict[str, tuple[str, Callable[[str], object]]] = {
    "an id in capitals": ("tap_id", str.upper),
    "an id without hyphens": ("tap_id", lambda text: text.replace("-", "")),
    "another id": ("tap_id", lambda text: text[:-1] + ("0" if text[-1] != "0" else "1")),
    "an offset": ("tapped_at", lambda text: text.replace("Z", "+00:00")),
    "another offset": ("made_at", lambda text: text.replace("Z", "+08:00")),
    "no offset": ("tapped_at", lambda text: text[:-1]),
    "milliseconds": ("made_at", lambda text: text[:19] + ".250Z"),
    "a thirteenth month": ("made_at", lambda text: "2026-13-01T00:00:00Z"),
    "a day too many": ("made_at", lambda text: "2026-02-29T00:00:00Z"),
    "an hour too many": ("made_at", lambda text: "2026-02-28T24:00:00Z"),
    "the year one": ("made_at", lambda text: "0001-01-01T00:00:00Z"),
    "a token in capitals": ("cti", lambda text: "ABCDEF0123456789"),
    "a token of other digits": ("cti", lambda text: "０" * 16),
    "a token with a space": ("cti", lambda text: " " + text[1:]),
    "a short token": ("cti", lambda text: text[2:]),
    "a long chain": ("chain", lambda text: text + "00"),
    "a companion too many": ("companion", lambda _: 16),
    "a negative counter": ("counter", lambda _: -1),
    "a number of none": ("sequence", lambda _: 0),
    "a name more": ("surprise", lambda _: 1),
    "a gate without a name": ("gate_id", lambda _: ""),
    "a stop with a NUL": ("stop_id", lambda _: "a\0b"),
    "a stop of a long name": ("stop_id", lambda _: "x" * 201),
    "half a letter": ("stop_id", lambda _: "\ud800"),
    "another action": ("action", lambda _: "jump"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_is_written_otherwise_is_left_to_the_slower_way(league: League, name: str) -> None:
    taps = [written(tap) for tap in league.ride(BEIJING, A, B, EIGHT, league.rider(1))]
    field, change = CHANGES[name]
    taps[1][field] = change(str(taps[1].get(field)))

    assert read_columns(json.dumps({"taps": taps}).encode()) is None


@pytest.mark.parametrize(
    "text", [b"", b"{", b"[]", b'{"taps": []}', b'{"taps": "\xff"}', b'{"taps":' * 5_000]
)
def test_what_is_no_batch_is_left_to_the_slower_way(text: bytes) -> None:
    assert read_columns(text) is None


def test_too_many_taps_are_left_to_the_slower_way(league: League) -> None:
    (tap,) = league.ride(BEIJING, A, B, EIGHT, league.rider(1))[:1]
    some = [written(tap) | {"sequence": number} for number in range(1, 5_002)]

    assert read_columns(msgspec.json.encode({"taps": some})) is None


def test_two_taps_of_one_number_are_left_to_the_slower_way(league: League) -> None:
    taps = league.ride(BEIJING, A, B, EIGHT, league.rider(1))

    assert read_columns(body([*taps, taps[0]])) is None


@pytest.mark.parametrize(
    "change",
    [
        {"gate_id": "beijing/nowhere/entry"},
        {"cti": b"stranger"},
        {"action": "entry"},
        {"stop_id": A},
        {"tapped_at": datetime(2026, 11, 17, 12, 5, 1, tzinfo=UTC)},
        {"tapped_at": datetime(1999, 12, 31, tzinfo=UTC)},
        {"tapped_at": datetime(2027, 1, 1, 0, 0, 31, tzinfo=UTC)},
    ],
    ids=str,
)
def test_a_doubtful_tap_leaves_its_batch_alone_to_the_slower_way(
    league: League, change: dict[str, Any]
) -> None:
    cti = league.rider(1)
    good, bad = league.ride(BEIJING, A, B, EIGHT, cti)
    bad = replace(bad, **change)
    bad = replace(bad, tap_id=fact_id(bad.tapped_at, bad.gate_id, bad.sequence))
    other = league.ride(BEIJING, A, B, EIGHT + timedelta(hours=1), cti)

    assert take_in(league.ctx, [plain([good, bad]), plain(other)]) == [None, 2]

    assert [row[1] for row in books(league)["taps"]] == sorted(tap.tap_id for tap in other)


@pytest.mark.parametrize(("gate_id", "operator_id"), [(f"{A}/entry", None), (None, TORONTO)])
def test_only_who_speaks_for_its_gates_hands_a_batch_in(
    league: League, gate_id: str | None, operator_id: str | None
) -> None:
    taps = league.ride(BEIJING, A, B, EIGHT, league.rider(1))

    assert take_in(league.ctx, [plain(taps, gate_id, operator_id)]) == [None]

    assert not books(league)["taps"]


def test_a_known_tap_leaves_its_batch_to_the_slower_way_and_others_are_kept(league: League) -> None:
    cti = league.rider(1)
    known, fresh, more = (league.ride(BEIJING, A, B, EIGHT + timedelta(hours=hour), cti) for hour in range(3))
    league.hand_in(known)

    assert take_in(league.ctx, [plain(more), plain([known[0], *fresh])]) == [2, None]

    assert len(books(league)["taps"]) == 4


def test_a_day_that_waits_is_marked_for_now(league: League) -> None:
    cti = league.rider(1)
    with league.ctx.tx() as tx:
        tx.execute(
            "insert into rides.dirty_days values (0, %s, %s, '2026-11-17', '2026-11-18T00:00Z')",
            (account_of(1), BEIJING),
        )

    take_in(league.ctx, [plain(league.ride(BEIJING, A, B, EIGHT, cti))])

    assert [row[4] for row in books(league)["days"]] == [league.ctx.clock.now()]
