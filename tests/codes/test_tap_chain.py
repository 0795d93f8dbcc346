"""The chain of a gate's taps: whoever changes, moves, leaves out or puts in a tap cannot hide it."""

from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise
from typing import Any
from uuid import UUID

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from hansa.codes import CHAIN_START, tap_link
from hansa.kernel import InvalidInput

many = settings(max_examples=300, deadline=None)


@dataclass(frozen=True)
class Sealed:
    """What the chain seals of a tap, in the order of docs/ride-code/lists.md."""

    tap_id: UUID
    gate_id: str
    sequence: int
    action: str
    stop_id: str | None
    tapped_at: datetime
    cti: bytes
    counter: int
    kid: bytes
    made_at: datetime
    list_version: int
    companion: int


def link(previous: bytes, tap: Sealed) -> bytes:
    return tap_link(previous, **{one.name: getattr(tap, one.name) for one in fields(tap)})


def chain(taps: list[Sealed]) -> list[bytes]:
    """The link of each tap."""
    links = [CHAIN_START]
    for tap in taps:
        links.append(link(links[-1], tap))
    return links[1:]


def first_break(taps: list[Sealed], links: list[bytes]) -> int | None:
    """Where a reader finds that taps and links do not belong together, counted from 0."""
    before = [CHAIN_START, *links]
    for place, (tap, sealed) in enumerate(zip(taps, links, strict=True)):
        if link(before[place], tap) != sealed:
            return place
    return None


INSTANTS = st.datetimes(
    datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)  # noqa: DTZ001 - the zone is given beside
)  # fmt: skip
NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "tap_id": st.uuids(),
    "gate_id": NAMES,
    "sequence": st.integers(1, 2**53),
    "action": st.sampled_from(["entry", "exit", "board"]),
    "stop_id": st.none() | NAMES,
    "tapped_at": INSTANTS,
    "cti": st.binary(min_size=8, max_size=8),
    "counter": st.integers(0, 65535),
    "kid": st.binary(min_size=4, max_size=4),
    "made_at": INSTANTS,
    "list_version": st.integers(0, 2**53),
    "companion": st.integers(0, 15),
}
TAPS = st.builds(Sealed, **FIELDS)
DAYS = st.lists(TAPS, min_size=1, max_size=8)


def test_the_fields_tried_are_all_that_there_are() -> None:
    assert [one.name for one in fields(Sealed)] == list(FIELDS)


@given(taps=DAYS)
@many
def test_an_honest_day_holds(taps: list[Sealed]) -> None:
    assert first_break(taps, chain(taps)) is None


@pytest.mark.parametrize("name", FIELDS)
@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_no_field_of_any_tap_can_be_changed(name: str, data: st.DataObject) -> None:
    taps = data.draw(DAYS)
    place = data.draw(st.integers(0, len(taps) - 1))
    changed = replace(taps[place], **{name: data.draw(FIELDS[name])})
    assume(changed != taps[place])

    assert first_break([*taps[:place], changed, *taps[place + 1 :]], chain(taps)) == place


@given(taps=DAYS, places=st.tuples(st.integers(0, 7), st.integers(0, 7)))
@many
def test_taps_that_change_places_are_found(taps: list[Sealed], places: tuple[int, int]) -> None:
    one, other = (place % len(taps) for place in places)
    assume(taps[one] != taps[other])
    moved = list(taps)
    moved[one], moved[other] = moved[other], moved[one]

    assert first_break(moved, chain(taps)) == min(one, other)
    assert chain(moved)[-1] != chain(taps)[-1]


@given(taps=DAYS, place=st.integers(0, 7))
@many
def test_a_tap_left_out_is_found_by_the_next_one(taps: list[Sealed], place: int) -> None:
    place %= len(taps)
    links = chain(taps)
    kept, sealed = taps[:place] + taps[place + 1 :], links[:place] + links[place + 1 :]

    if place < len(kept):
        assert first_break(kept, sealed) == place
    else:  # the last one is missed by whoever knows where the chain ended
        assert sealed[-1:] != links[-1:]


@given(taps=DAYS, more=TAPS, place=st.integers(0, 8))
@many
def test_a_tap_put_in_is_found(taps: list[Sealed], more: Sealed, place: int) -> None:
    place %= len(taps) + 1
    links = chain(taps)
    before = links[place - 1] if place else CHAIN_START
    forged = [*taps[:place], more, *taps[place:]]
    sealed = [*links[:place], link(before, more), *links[place:]]  # the forger can count as well

    broken = first_break(forged, sealed)

    assert broken == (place + 1 if place < len(taps) else None)
    assert chain(forged)[-1] != links[-1]


@given(one=TAPS, other=TAPS, previous=st.binary(min_size=32, max_size=32))
@many
def test_two_taps_have_one_link_only_if_they_are_one_tap(one: Sealed, other: Sealed, previous: bytes) -> None:
    assert (link(previous, one) == link(previous, other)) == (one == other)


@given(tap=TAPS, hours=st.integers(-14, 14))
@many
def test_the_zone_in_which_an_instant_is_told_changes_nothing(tap: Sealed, hours: int) -> None:
    zone = timezone(timedelta(hours=hours))
    elsewhere = replace(tap, tapped_at=tap.tapped_at.astimezone(zone), made_at=tap.made_at.astimezone(zone))

    assert link(CHAIN_START, elsewhere) == link(CHAIN_START, tap)


@given(taps=st.lists(TAPS, min_size=2, max_size=6))
@many
def test_each_link_carries_all_that_went_before(taps: list[Sealed]) -> None:
    other_start = bytes(31) + b"\x01"
    links, elsewhere = chain(taps), [other_start]
    for tap in taps:
        elsewhere.append(link(elsewhere[-1], tap))

    assert not set(links) & set(elsewhere)
    assert all(one != other for one, other in pairwise(links))


def test_an_instant_without_a_zone_is_refused() -> None:
    tap = Sealed(
        UUID(int=1), "g", 1, "entry", None, datetime(2026, 11, 17, tzinfo=UTC), bytes(8), 0, bytes(4),
        datetime(2026, 11, 17), 0, 0,  # noqa: DTZ001 - what is refused
    )  # fmt: skip

    with pytest.raises((InvalidInput, ValueError)):
        link(CHAIN_START, tap)
