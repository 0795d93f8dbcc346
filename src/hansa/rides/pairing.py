"""Taps become journeys, and each decision on the way leaves a note.

An entry is answered by the exit that follows it; a boarding is a journey by itself; what a city needs beyond that
stands in its tariff (``[pairing]``). docs/journeys.md shows each rule by taps in and journeys out.

Pure, and the same for the same set of taps, in whatever order they come. Every rule looks only so far around a tap that
a day comes out right with ``reach(rules)`` around it.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import groupby, pairwise
from operator import attrgetter
from typing import Literal
from uuid import UUID

from hansa.fares import PLAIN, Journey, JourneyId, Kind, PairingRules, Step
from hansa.rides.clocks import Corrected
from hansa.rides.model import Touch

StatedBy = Literal["rider", "operator"]

TOO_LATE_TOLD = timedelta(minutes=30)
"""An exit that comes later than a journey lasts is told of with its entry up to this much later."""


@dataclass(frozen=True, slots=True)
class StatedEnd:
    """Where and when a journey with a missing tap began or ended, as its rider or a clerk of the operator says.

    journey_id: of the journey as it was then, which is the id of its only tap.
    """

    journey_id: UUID
    stop_id: str
    at: datetime
    by: StatedBy
    reason: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known beside the taps, all by tap id: corrected instants, stated ends, and when taps reached us."""

    clocks: Mapping[UUID, Corrected] = field(default_factory=dict[UUID, Corrected])
    stated: Mapping[UUID, StatedEnd] = field(default_factory=dict[UUID, StatedEnd])
    received: Mapping[UUID, datetime] = field(default_factory=dict[UUID, datetime])


TAPS_ALONE = Evidence()


@dataclass(frozen=True, slots=True)
class Paired:
    """A journey, why it is one, and the taps that lie in it beside its first and last.

    notes: steps of amount 0, the rule named ``pairing...``; one that tells of taps beside those has their ids in
    ``taps``.
    """

    journey: Journey
    notes: tuple[Step, ...] = ()
    beside: tuple[UUID, ...] = ()


def reach(rules: PairingRules) -> timedelta:
    """How far around a span of time taps must be known for the journeys that begin in it to come out right."""
    return (2 if rules.plain else 3) * rules.journey_max


def edge(rules: PairingRules) -> timedelta:
    """How far before or after a span of time lie journeys of which something hangs on the taps in it."""
    return rules.journey_max + min(TOO_LATE_TOLD, rules.journey_max)


def decided(notes: Iterable[tuple[str, Mapping[str, str | int]]]) -> tuple[object, ...]:
    """Notes as (rule, figures), without names, which are those of a day: what two days compare of a journey."""
    return tuple(
        (rule, *sorted((key, what) for key, what in facts.items() if isinstance(what, int) or key == "why"))
        for rule, facts in notes
    )


def via_of(notes: Iterable[tuple[str, Mapping[str, str | int]]]) -> tuple[str, ...]:
    """The stops that prove a journey's way, in the order of its taps there, by its notes as (rule, figures)."""
    stops = (str(facts.get("stop", "")) for rule, facts in notes if rule == "pairing.interchange")
    return tuple(stop for stop, _ in groupby(stops) if stop)


def taps_beside(notes: Iterable[Step]) -> list[UUID]:
    """The taps of a journey beside its first and last, as its notes tell."""
    return [UUID(one) for note in notes for one in str(note.facts.get("taps", "")).split()]


def pair_taps(taps: Iterable[Touch], *, journey_max: timedelta, rules: PairingRules = PLAIN) -> list[Journey]:
    """All journeys in one account's taps with one operator, in order of their start; see ``pair``.

    journey_max: an exit later than this after its entry does not answer it; both are incomplete.
    """
    if rules.journey_max != journey_max:
        rules = replace(rules, journey_max=journey_max)
    return [one.journey for one in pair(taps, rules)]


def pair(
    taps: Iterable[Touch],
    rules: PairingRules = PLAIN,
    evidence: Evidence = TAPS_ALONE,
    *,
    name_of: Callable[[str], str] = str,
) -> list[Paired]:
    """All journeys in one account's taps with one operator, in order of their start, with the reasons for them.

    The taps may come in any order and more than once: they are put in order of (time, gate, sequence) first, so a
    late tap gives the very journeys it would have given in time. Each rider is paired apart: the holders of the
    account's tokens, and those who ride along, by their number. Of the same number each token is paired by itself,
    since two phones of one account may travel at once; what is left over is then paired across tokens, because a
    phone's token may change on the way. Each tap lies in one journey, save those of an interchange without a ride.
    name_of: what a stop is called in notes.
    """
    work = _Pairing(rules, evidence, name_of)
    by_companion: dict[int, list[Touch]] = {}
    before: Touch | None = None
    for tap in sorted(map(work.timed, taps) if evidence.clocks else taps, key=_order):
        if before is None or tap.tapped_at != before.tapped_at or tap.tap_id != before.tap_id:
            by_companion.setdefault(tap.companion, []).append(tap)
        before = tap
    paired = [one for ordered in by_companion.values() for one in work.rider(ordered)]
    if len(paired) > 1:
        paired.sort(key=_start)
    return paired


@dataclass(slots=True, eq=False)
class _Ride:
    """A journey while it is made. last: None where one tap is all there is; first is the exit where no entry is."""

    kind: Kind
    first: Touch
    last: Touch | None = None
    beside: list[Touch] = field(default_factory=list[Touch])
    notes: list[Step] = field(default_factory=list[Step])

    @property
    def taps(self) -> list[Touch]:
        ends = [self.first] if self.last is None else [self.first, self.last]
        return [*ends, *self.beside]


@dataclass(slots=True)
class _Run:
    """Taps of one token, each of which repeats the one before.

    head: the one that counts. mark: that one, or the last that changed the vehicle. since: when the run began.
    """

    last: Touch
    head: Touch
    mark: Touch
    since: datetime


class _Pairing:
    """The rules at work."""

    def __init__(self, rules: PairingRules, evidence: Evidence, name_of: Callable[[str], str]) -> None:
        self.rules, self.evidence, self.name_of = rules, evidence, name_of
        self.repeats: dict[UUID, list[Touch]] = {}
        self.changes: dict[UUID, list[tuple[Touch, timedelta]]] = {}
        self.whys: dict[UUID, tuple[str, Touch]] = {}

    def timed(self, tap: Touch) -> Touch:
        """The tap at the instant at which it was really made."""
        corrected = self.evidence.clocks.get(tap.tap_id)
        return tap if corrected is None else replace(tap, tapped_at=corrected.at)

    def rider(self, ordered: list[Touch]) -> Iterable[Paired]:
        """The journeys of the riders of one number, in no order."""
        rules = self.rules
        ways: list[Touch] = []
        if rules.interchange:
            ways = [tap for tap in ordered if self._is_way(tap)]
            ordered = [tap for tap in ordered if not self._is_way(tap)]
        if rules.double or rules.vehicle_change:
            ordered = self._once(ordered)
        rides: list[_Ride] = []
        on_foot: list[Touch] = []
        on_board: list[Touch] = []
        for tap in ordered:
            if tap.product in rules.tap_off:
                on_board.append(tap)
            elif tap.action == "board":
                rides.append(_Ride("boarding", tap))
            else:
                on_foot.append(tap)
        through_gates = self._answered(on_foot)
        if rules.reentry:
            through_gates = self._gone_on(through_gates, on_foot)
        rides += through_gates
        if on_board:
            rides += self._answered(on_board)
        for ride in rides:
            self._decide(ride)
        for tap in ways:
            self._attach(tap, through_gates)
        if rules.walks:
            self._note_walks(rides, ordered)
        return [self._paired(ride) for ride in rides]

    # -- taps that are no end of a ride --------------------------------------------------------------------

    def _is_way(self, tap: Touch) -> bool:
        return tap.action == "board" and tap.line_id is None and tap.stop_id in self.rules.interchange

    def _once(self, ordered: list[Touch]) -> list[Touch]:
        """The taps that count, without those that repeat the tap before them.

        A run of repeats longer than half the longest journey is not a slip: behind that, each tap counts by itself.
        So it can be told from the taps of one longest journey before it whether a tap counts.
        """
        half = self.rules.journey_max / 2
        runs: dict[bytes, _Run] = {}
        counting: list[Touch] = []
        for tap in ordered:
            run = runs.get(tap.cti)
            repeat = None if run is None else self._repeat_of(run.last, tap, half)
            if run is None or repeat is None:
                runs[tap.cti] = _Run(tap, tap, tap, tap.tapped_at)
                counting.append(tap)
            elif tap.tapped_at - run.since > half:
                runs[tap.cti] = _Run(tap, tap, tap, run.since)
                counting.append(tap)
            else:
                if repeat == "double":
                    self.repeats.setdefault(run.mark.tap_id, []).append(tap)
                else:
                    after = tap.tapped_at - run.last.tapped_at
                    self.changes.setdefault(run.head.tap_id, []).append((tap, after))
                    run.mark = tap
                run.last = tap
        return counting

    def _repeat_of(self, before: Touch, tap: Touch, most: timedelta) -> Literal["double", "change"] | None:
        """Whether a tap is the tap before it once more, or the same ride on another vehicle."""
        if before.action != tap.action or before.line_id != tap.line_id or before.product != tap.product:
            return None
        after = tap.tapped_at - before.tapped_at
        same_place = before.stop_id == tap.stop_id and (tap.stop_id or before.gate_id == tap.gate_id)
        if same_place and after <= min(self.rules.double, most):
            return "double" if self.rules.double else None
        on_board = tap.line_id is not None and tap.action != "exit" and before.gate_id != tap.gate_id
        return "change" if on_board and after <= min(self.rules.vehicle_change, most) else None

    def _attach(self, tap: Touch, rides: Sequence[_Ride]) -> None:
        """An interchange belongs to the ride it lies in, whole or with a missing end; without one it makes none."""
        most = self.rules.journey_max
        for ride in rides:
            if tap.cti not in (ride.first.cti, (ride.last or ride.first).cti):
                continue
            after = tap.tapped_at - ride.first.tapped_at
            if ride.last is not None:
                inside = ride.first.tapped_at <= tap.tapped_at <= ride.last.tapped_at
            elif ride.kind == "no_exit":
                why, other = self.whys.get(ride.first.tap_id, ("", tap))
                inside = timedelta() <= after <= most and (why != "again" or tap.tapped_at < other.tapped_at)
            else:
                inside = timedelta() <= -after <= most and not any(
                    tap.tapped_at < one.first.tapped_at < ride.first.tapped_at
                    for one in rides
                    if one.first.cti == tap.cti
                )
            if inside:
                ride.beside.append(tap)
                facts: dict[str, str | int] = {
                    "place": self._place(tap),
                    "stop": tap.stop_id or "",
                    "taps": str(tap.tap_id),
                }
                ride.notes.append(self._note("interchange", facts))
                return

    # -- entries and exits ---------------------------------------------------------------------------------

    def _answered(self, ordered: list[Touch]) -> list[_Ride]:
        """The rides that entries and exits make, those of one token first, then across tokens."""
        rides: list[_Ride] = []
        left: list[Touch] = []
        waiting: dict[bytes, Touch] = {}
        for tap in ordered:
            before = waiting.pop(tap.cti, None)
            if tap.action != "exit":
                if before is not None:
                    left.append(before)
                    self.whys[before.tap_id] = "again", tap
                waiting[tap.cti] = tap
            elif before is not None and self._answers(before, tap):
                rides.append(_Ride("complete", before, tap))
            else:
                if before is not None:
                    left.append(before)
                    if tap.tapped_at - before.tapped_at > self.rules.journey_max:
                        self.whys[before.tap_id] = "too_late", tap
                        self.whys[tap.tap_id] = "too_late", before
                left.append(tap)
        left.extend(waiting.values())
        if left:
            left.sort(key=_order)
            rides.extend(self._across_tokens(left))
        return rides

    def _across_tokens(self, left: list[Touch]) -> Iterable[_Ride]:
        entry: Touch | None = None
        for tap in left:
            if tap.action != "exit":
                if entry is not None:
                    yield _Ride("no_exit", entry)
                entry = tap
                continue
            if entry is not None and entry.cti != tap.cti and self._answers(entry, tap):
                yield _Ride("complete", entry, tap)
                entry = None
                continue
            if entry is not None:
                yield _Ride("no_exit", entry)
                entry = None
            yield _Ride("no_entry", tap)
        if entry is not None:
            yield _Ride("no_exit", entry)

    def _answers(self, entry: Touch, leave: Touch) -> bool:
        """Whether an exit ends the ride that an entry began. A vehicle is left where it was boarded: on its line."""
        if leave.tapped_at - entry.tapped_at > self.rules.journey_max:
            return False
        if entry.product in self.rules.tap_off:
            return entry.product == leave.product and entry.line_id == leave.line_id
        return True

    def _gone_on(self, rides: list[_Ride], ordered: list[Touch]) -> list[_Ride]:
        """Rides of which one goes on where the one before ended, as one; as long as that is not too long in all."""
        counts: dict[bytes, int] = {}
        number: dict[UUID, int] = {}
        for tap in ordered:
            number[tap.tap_id] = counts[tap.cti] = counts.get(tap.cti, 0) + 1
        by_token: dict[bytes, list[_Ride]] = {}
        others: list[_Ride] = []
        for ride in rides:
            own = ride.last is not None and ride.last.cti == ride.first.cti
            (by_token.setdefault(ride.first.cti, []) if own else others).append(ride)
        for own_rides in by_token.values():
            chain: list[_Ride] = []
            for ride in sorted(own_rides, key=lambda one: _order(one.first)):
                if chain and not self._goes_on(chain[-1], ride, number):
                    others += self._as_one(chain)
                    chain = []
                chain.append(ride)
            others += self._as_one(chain)
        return others

    def _goes_on(self, before: _Ride, ride: _Ride, number: Mapping[UUID, int]) -> bool:
        out = before.last
        assert out is not None, "only whole rides are joined"
        return (
            out.stop_id is not None
            and out.stop_id == ride.first.stop_id
            and number[ride.first.tap_id] == number[out.tap_id] + 1
            and ride.first.tapped_at - out.tapped_at <= self.rules.reentry
        )

    def _as_one(self, chain: list[_Ride]) -> list[_Ride]:
        first, last = chain[0].first, chain[-1].last
        assert last is not None, "only whole rides are joined"
        if len(chain) == 1 or last.tapped_at - first.tapped_at > self.rules.journey_max:
            return chain
        whole = _Ride("complete", first, last)
        for before, after in pairwise(chain):
            out = before.last
            assert out is not None, "only whole rides are joined"
            whole.beside += [out, after.first]
            facts: dict[str, str | int] = {
                "place": self._place(out),
                "seconds": _seconds(after.first.tapped_at - out.tapped_at),
                "taps": f"{out.tap_id} {after.first.tap_id}",
            }
            whole.notes.append(self._note("reentry", facts))
        return [whole]

    # -- notes ---------------------------------------------------------------------------------------------

    def _decide(self, ride: _Ride) -> None:
        """What the tariff says of a ride by itself, and the note of what it is."""
        first, last, most = ride.first, ride.last, self.rules.same_stop_max
        if last is not None and most is not None and first.stop_id is not None:
            took = last.tapped_at - first.tapped_at
            if first.stop_id == last.stop_id and took > most:
                ride.kind = "no_exit"
                facts: dict[str, str | int] = {
                    "place": self._place(first),
                    "seconds": _seconds(took),
                    "most_seconds": _seconds(most),
                }
                ride.notes.append(self._note("stayed", facts))
                return
        if last is not None:
            if first.cti != last.cti:
                ride.notes.append(self._note("across_tokens", {}))
        elif ride.kind != "boarding":
            self._note_missing(ride)

    def _note_missing(self, ride: _Ride) -> None:
        tap, most = ride.first, self.rules.journey_max
        facts: dict[str, str | int] = {
            "place": self._place(tap),
            "why": "none",
            "most_seconds": _seconds(most),
        }
        why, other = self.whys.get(tap.tap_id, ("none", tap))
        apart = abs(other.tapped_at - tap.tapped_at)
        if (why == "too_late" and apart <= edge(self.rules)) or (why == "again" and apart <= most):
            facts["seconds"] = _seconds(apart)
            facts["why"] = why
            if why == "again":
                boarded = tap.product in self.rules.tap_off
                facts["why"] = "boarded_again" if boarded else "entered_again"
                facts["other"] = self._place(other)
        ride.notes.append(self._note(ride.kind, facts, self.rules.journey_clause))

    def _note_walks(self, rides: Sequence[_Ride], ordered: Sequence[Touch]) -> None:
        """Where a rider came on foot from another stop, by a way that the tariff names."""
        walks = {(out, into): (within, clause) for out, into, within, clause in self.rules.walks}
        before: dict[bytes, Touch] = {}
        came_from: dict[UUID, Touch] = {}
        for tap in ordered:
            known = before.get(tap.cti)
            if known is not None:
                came_from[tap.tap_id] = known
            before[tap.cti] = tap
        for ride in rides:
            out, into = came_from.get(ride.first.tap_id), ride.first
            if out is None or ride.kind == "no_entry" or out.action != "exit":
                continue
            found = walks.get((out.stop_id or "", into.stop_id or ""))
            apart = into.tapped_at - out.tapped_at
            if found is not None and apart <= found[0]:
                facts: dict[str, str | int] = {
                    "from": self._place(out),
                    "to": self._place(into),
                    "seconds": _seconds(apart),
                    "most_seconds": _seconds(found[0]),
                }
                ride.notes.append(self._note("walked", facts, found[1]))

    def _note_repeats(self, ride: _Ride) -> None:
        for end in ride.taps:
            for tap, after in self.changes.get(end.tap_id, ()):
                ride.beside.append(tap)
                changed: dict[str, str | int] = {
                    "line": tap.line_id or "",
                    "seconds": _seconds(after),
                    "taps": str(tap.tap_id),
                }
                ride.notes.append(self._note("vehicle_change", changed))
        for end in ride.taps:
            if doubles := self.repeats.get(end.tap_id):
                ride.beside += doubles
                facts: dict[str, str | int] = {
                    "place": self._place(end),
                    "times": len(doubles) + 1,
                    "seconds": _seconds(doubles[-1].tapped_at - end.tapped_at),
                    "taps": " ".join(str(tap.tap_id) for tap in doubles),
                }
                ride.notes.append(self._note("double", facts))

    def _note_taps(self, ride: _Ride) -> None:
        """Taps whose time was corrected, and taps that came late."""
        clocks, received = self.evidence.clocks, self.evidence.received
        for tap in ride.taps:
            corrected = clocks.get(tap.tap_id)
            if corrected is not None:
                facts: dict[str, str | int] = {
                    "gate": tap.gate_id,
                    "side": tap.action,
                    "by_seconds": _seconds(corrected.at - corrected.read_at),
                    "why": corrected.why,
                }
                ride.notes.append(self._note("clock_corrected", facts, ""))
            came_at = received.get(tap.tap_id)
            if came_at is not None and came_at - tap.tapped_at > self.rules.late:
                facts = {
                    "place": self._place(tap),
                    "side": tap.action,
                    "seconds": _seconds(came_at - tap.tapped_at),
                }
                ride.notes.append(self._note("late_tap", facts))

    def _place(self, tap: Touch) -> str:
        return self.name_of(tap.stop_id) if tap.stop_id is not None else tap.line_id or tap.gate_id

    def _note(self, rule: str, facts: dict[str, str | int], clause: str | None = None) -> Step:
        clause = self.rules.clause if clause is None else clause
        if clause:
            facts["clause"] = clause
        return Step(f"pairing.{rule}", 0, self.rules.currency, facts)

    # -- journeys ------------------------------------------------------------------------------------------

    def _paired(self, ride: _Ride) -> Paired:
        if self.repeats or self.changes:
            self._note_repeats(ride)
        if self.evidence.clocks or self.evidence.received:
            self._note_taps(ride)
        journey = _journey(ride.kind, ride.first, ride.last)
        if via := via_of((note.rule, note.facts) for note in ride.notes):
            journey = replace(journey, via=via)
        if self.evidence.stated:
            journey = self._stated(journey, ride)
        beside = tuple(tap.tap_id for tap in sorted(ride.beside, key=_order)) if ride.beside else ()
        return Paired(journey, tuple(ride.notes), beside)

    def _stated(self, journey: Journey, ride: _Ride) -> Journey:
        """The journey with its missing end as stated; once a tap tells, what was stated no longer counts."""
        stated = self.evidence.stated.get(journey.journey_id)
        if stated is None and ride.last is not None:
            stated = self.evidence.stated.get(ride.last.tap_id)
        if stated is None:
            return journey
        place = self.name_of(stated.stop_id)
        if journey.kind not in ("no_exit", "no_entry"):
            ride.notes.append(self._note("stated_unused", {"place": place}))
            return journey
        end = "exit" if journey.kind == "no_exit" else "entry"
        facts: dict[str, str | int] = {
            "end": end,
            "place": place,
            "by": stated.by,
            "reason": stated.reason,
        }
        ride.notes.append(self._note("stated_end", facts))
        if end == "exit":
            return replace(journey, kind="complete", destination=stated.stop_id, ended_at=stated.at)
        return replace(journey, kind="complete", origin=stated.stop_id, started_at=stated.at)


_order = attrgetter("tapped_at", "gate_id", "sequence", "tap_id")


def _start(one: Paired) -> tuple[datetime, bytes]:
    return one.journey.started_at, one.journey.journey_id.bytes


def _seconds(length: timedelta) -> int:
    return round(length.total_seconds())


def _journey(kind: Kind, first: Touch, last: Touch | None) -> Journey:
    known = last is not None and kind == "complete"
    return Journey(
        journey_id=JourneyId(first.tap_id),
        kind=kind,
        product=first.product,
        rider_class=first.rider_class,
        cti=first.cti,
        started_at=first.tapped_at,
        ended_at=first.tapped_at if last is None else last.tapped_at,
        origin=None if kind == "no_entry" else first.stop_id,
        destination=last.stop_id
        if known and last is not None
        else first.stop_id
        if kind == "no_entry"
        else None,
        line_id=first.line_id,
        first_tap=first.tap_id,
        last_tap=None if last is None else last.tap_id,
        companion=first.companion,
    )
