"""Taps become journeys: an entry and the exit that answers it; a boarding is a journey by itself."""

from collections.abc import Iterable
from datetime import timedelta

from hansa.fares import Journey, JourneyId, Kind
from hansa.rides.model import Touch


def pair_taps(taps: Iterable[Touch], *, journey_max: timedelta) -> list[Journey]:
    """All journeys in one account's taps with one operator, in order of their start.

    The taps may come in any order: they are put in order of (time, gate, sequence) first, so a late tap gives the
    very journeys it would have given in time. Each rider is paired apart: the holders of the account's tokens, and
    those who ride along, by their number. Of the same number each token is paired by itself, since two phones of one
    account may travel at once; what is left over is then paired across tokens, because a phone's token may change on
    the way.
    journey_max: an exit later than this after its entry does not answer it; both are incomplete.
    A pairing depends on taps at most twice ``journey_max`` away, so a day may be paired with that much around it.
    """
    by_companion: dict[int, list[Touch]] = {}
    for tap in sorted(taps, key=_order):
        by_companion.setdefault(tap.companion, []).append(tap)
    journeys = [one for ordered in by_companion.values() for one in _pair(ordered, journey_max)]
    journeys.sort(key=_start)
    return journeys


def _pair(ordered: list[Touch], journey_max: timedelta) -> list[Journey]:
    """The journeys of the riders of one number, in no order."""
    journeys: list[Journey] = []
    left: list[Touch] = []
    waiting: dict[bytes, Touch] = {}
    for tap in ordered:
        if tap.action == "board":
            journeys.append(_journey("boarding", tap, None))
        elif tap.action == "entry":
            before = waiting.pop(tap.cti, None)
            if before is not None:
                left.append(before)
            waiting[tap.cti] = tap
        else:
            before = waiting.pop(tap.cti, None)
            if before is not None and tap.tapped_at - before.tapped_at <= journey_max:
                journeys.append(_journey("complete", before, tap))
            else:
                if before is not None:
                    left.append(before)
                left.append(tap)
    left.extend(waiting.values())
    if left:
        left.sort(key=_order)
        journeys.extend(_pair_across_tokens(left, journey_max))
    return journeys


def _pair_across_tokens(left: list[Touch], journey_max: timedelta) -> Iterable[Journey]:
    entry: Touch | None = None
    for tap in left:
        if tap.action == "entry":
            if entry is not None:
                yield _journey("no_exit", entry, None)
            entry = tap
            continue
        if entry is not None and entry.cti != tap.cti and tap.tapped_at - entry.tapped_at <= journey_max:
            yield _journey("complete", entry, tap)
            entry = None
            continue
        if entry is not None:
            yield _journey("no_exit", entry, None)
            entry = None
        yield _journey("no_entry", tap, None)
    if entry is not None:
        yield _journey("no_exit", entry, None)


def _order(tap: Touch) -> tuple[object, str, int]:
    return tap.tapped_at, tap.gate_id, tap.sequence


def _start(journey: Journey) -> tuple[object, bytes]:
    return journey.started_at, journey.journey_id.bytes


def _journey(kind: Kind, first: Touch, last: Touch | None) -> Journey:
    return Journey(
        journey_id=JourneyId(first.tap_id),
        kind=kind,
        product=first.product,
        rider_class=first.rider_class,
        cti=first.cti,
        started_at=first.tapped_at,
        ended_at=first.tapped_at if last is None else last.tapped_at,
        origin=None if kind == "no_entry" else first.stop_id,
        destination=last.stop_id if last is not None else first.stop_id if kind == "no_entry" else None,
        line_id=first.line_id,
        first_tap=first.tap_id,
        last_tap=None if last is None else last.tap_id,
        companion=first.companion,
    )
