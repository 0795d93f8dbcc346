"""When taps were really made, where a gate's clock was wrong.

A gate numbers its taps, so their order is known however its clock ran. Instants that do not rise with the numbers
show that the clock jumped; instants far from the minute in the phones' codes show that it was wrong all the while; and
no tap was made after we received it. A correction changes when more of the gate's taps come; the tap never does.

Pure, and the same for the same set of taps.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

CLOCK_OFF = timedelta(minutes=1)
"""Less than this is no fault of a clock: gates set theirs by the network, by small steps either way."""

CODE_OFF = timedelta(minutes=5)
"""How far a code's minute may be from the gate's clock: codes live for seconds, phones' clocks differ by minutes."""

PHONES_SURE = 3
"""So many different tokens in a row, whose codes all disagree with the gate, are right and the gate is wrong."""

BLOCK = 256
"""A gate's taps are looked at in blocks of so many numbers, each with the block before it and the block after."""

Why = Literal["sequence", "code", "received"]


@dataclass(frozen=True, slots=True)
class GateTap:
    """A tap as its gate's clock is judged by it: its number, what the gate and the code say, when it reached us."""

    tap_id: UUID
    sequence: int
    tapped_at: datetime
    made_at: datetime
    cti: bytes
    received_at: datetime


@dataclass(frozen=True, slots=True)
class Corrected:
    """The instant at which a tap was made as far as can be known, and why.

    read_at: what the gate's clock said. not_before, not_after: the bounds that its neighbours and its receipt give;
    None where nothing does. why: the bounds of ``sequence``, the minute in the ``code`` within them, or the time at
    which it was ``received``.
    """

    tap_id: UUID
    sequence: int
    read_at: datetime
    at: datetime
    why: Why
    not_before: datetime | None
    not_after: datetime


def correct_clock(taps: Iterable[GateTap]) -> list[Corrected]:
    """The taps of one gate whose instants are wrong, in the order of their numbers, with the right ones.

    The gate's clock is taken to be right at those taps that agree with their codes and of which the most rise together
    with their numbers. Any other tap was made between its nearest right neighbours and before we received it: at the
    minute of its code where that lies there, else at the bound that is nearest to what the gate said.
    """
    ordered = sorted({tap.sequence: tap for tap in taps}.values(), key=lambda tap: tap.sequence)
    right = _right(ordered)
    found: list[Corrected] = []
    begin = 0
    for place in [*right, len(ordered)]:
        run = ordered[begin:place]
        if run:
            low = ordered[begin - 1].tapped_at if begin else None
            high = ordered[place].tapped_at if place < len(ordered) else None
            found += _corrected(run, low, high)
        begin = place + 1
    return found


def _right(ordered: Sequence[GateTap]) -> list[int]:
    """The places of the taps at which the clock was right: the longest row of them that never falls."""
    tails: list[datetime] = []
    ends: list[int] = []
    before: dict[int, int] = {}
    for place, tap in enumerate(ordered):
        if not _agrees(tap):
            continue
        at = bisect_right(tails, tap.tapped_at)
        if at:
            before[place] = ends[at - 1]
        if at == len(tails):
            tails.append(tap.tapped_at)
            ends.append(place)
        else:
            tails[at], ends[at] = tap.tapped_at, place
    row: list[int] = []
    place: int | None = ends[-1] if ends else None
    while place is not None:
        row.append(place)
        place = before.get(place)
    return row[::-1]


def _agrees(tap: GateTap) -> bool:
    return abs(tap.tapped_at - tap.made_at) <= CODE_OFF and tap.tapped_at - tap.received_at <= CODE_OFF


def _corrected(run: Sequence[GateTap], low: datetime | None, high: datetime | None) -> Iterable[Corrected]:
    """Taps in a row at which the clock is in doubt, between two at which it was right."""
    doubted = {tap.cti for tap in run if not _agrees(tap)}
    codes_are_right = len(doubted) >= PHONES_SURE
    least = low
    for tap in run:
        most = tap.received_at if high is None else min(high, tap.received_at)
        floor = None if least is None else min(least, most)
        inside = _within(tap.tapped_at, floor, most) == tap.tapped_at
        if inside and (_agrees(tap) or not codes_are_right):
            least = tap.tapped_at
            continue
        at, why = _within(tap.made_at, floor, most), "code"
        if at != tap.made_at:
            at = _within(tap.tapped_at, floor, most)
            why = "received" if at == most != high else "sequence"
        least = at
        if abs(at - tap.tapped_at) > CLOCK_OFF:
            assert why in ("code", "received", "sequence")
            yield Corrected(tap.tap_id, tap.sequence, tap.tapped_at, at, why, low, most)


def _within(at: datetime, low: datetime | None, high: datetime) -> datetime:
    return min(high, at if low is None else max(low, at))
