"""Pairing under every rule at once: the set of taps decides, near taps decide, and a second pairing agrees."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from random import Random
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from hansa.fares import PLAIN, PairingRules
from hansa.rides import Touch
from hansa.rides.pairing import pair, reach, taps_beside
from rides.riding import touch

EIGHT = datetime(2026, 11, 17, 8, tzinfo=UTC)
HOUR = timedelta(hours=1)
SEEDS = st.integers(0, 1_000_000)


def some_rules(dice: Random) -> PairingRules:
    """Each rule on or off, with times of the size of the gaps between taps."""

    def minutes(*choices: int) -> timedelta:
        return timedelta(minutes=dice.choice(choices))

    return PairingRules(
        journey_max=HOUR,
        double=timedelta(seconds=dice.choice((0, 60, 300))),
        vehicle_change=minutes(0, 10, 30),
        reentry=minutes(0, 10, 40),
        same_stop_max=dice.choice((None, timedelta(minutes=15))),
        tap_off=frozenset(dice.choice(((), ("tram",), ("tram", "bus")))),
        interchange=frozenset(dice.choice(((), ("m",)))),
        walks=(("a", "b", minutes(20), "join[0]"),) if dice.random() < 0.5 else (),
    )


def some_taps(dice: Random, most: int, hours: int) -> list[Touch]:
    """Taps of two phones at few places, often close together."""
    taps: list[Touch] = []
    at, inside, last_stop = EIGHT, False, "a"
    sensible = dice.random()
    for number in range(dice.randint(1, most)):
        at = EIGHT + dice.random() * hours * HOUR if dice.random() < 0.4 else at
        at += timedelta(seconds=dice.choice((0, 20, 60, 200, 400, 900, 2_400)))
        product = dice.choice(("metro", "metro", "tram", "bus"))
        on_board = product != "metro" or dice.random() < 0.1
        stop = "m" if dice.random() < 0.15 else dice.choice("abc")
        action = dice.choice(("board", "board", "exit")) if on_board else dice.choice(("entry", "exit"))
        if not on_board and dice.random() < sensible:
            action = "exit" if inside else "entry"
            stop = stop if inside or dice.random() < 0.4 else last_stop
            inside, last_stop = not inside, stop
        taps.append(
            touch(
                at,
                action,
                stop,
                cti=dice.choice((b"phone 01", b"phone 01", b"phone 02")),
                sequence=number,
                gate=dice.choice(("g1", "g2")),
                product=product,
                line=dice.choice("78") if product != "metro" else None,
                companion=dice.choice((0, 0, 0, 1)),
            )
        )
    return taps


@settings(max_examples=150)
@given(seed=SEEDS)
def test_the_set_of_taps_decides_and_each_lies_in_one_journey(seed: int) -> None:
    dice = Random(seed)
    rules, taps = some_rules(dice), some_taps(dice, 30, 8)
    more = [*taps, *dice.choices(taps, k=3)]
    dice.shuffle(more)

    paired = pair(taps, rules)

    assert pair(more, rules) == paired
    journeys = [one.journey for one in paired]
    used = [tap for j in journeys for tap in (j.first_tap, j.last_tap) if tap is not None]
    used += [tap for one in paired for tap in one.beside]
    ways = {tap.tap_id for tap in taps if is_way(tap, rules)}
    assert len(used) == len(set(used))
    assert {tap.tap_id for tap in taps} - ways <= set(used) <= {tap.tap_id for tap in taps}
    assert all(note.amount == 0 and note.text for one in paired for note in one.notes)
    assert all(sorted(taps_beside(one.notes)) == sorted(one.beside) for one in paired)


@settings(max_examples=150)
@given(seed=SEEDS)
def test_a_span_of_time_comes_out_right_with_its_reach_around_it(seed: int) -> None:
    dice = Random(seed)
    rules, taps = some_rules(dice), some_taps(dice, 40, 10)
    begins = EIGHT + dice.random() * 8 * HOUR
    ends = begins + 2 * HOUR
    around = [tap for tap in taps if begins - reach(rules) <= tap.tapped_at < ends + reach(rules)]

    whole = [one for one in pair(taps, rules) if begins <= one.journey.started_at < ends]
    part = [one for one in pair(around, rules) if begins <= one.journey.started_at < ends]

    assert part == whole


def test_a_run_of_repeats_beyond_the_reach_comes_out_the_same() -> None:
    rules = PairingRules(journey_max=HOUR, double=timedelta(minutes=5), vehicle_change=timedelta(minutes=20))
    taps = [
        touch(EIGHT + number * timedelta(minutes=4), "board", "a", line="7", product="bus", sequence=number)
        for number in range(200)
    ]
    begins, ends = EIGHT + 5 * HOUR, EIGHT + 7 * HOUR
    around = [tap for tap in taps if begins - reach(rules) <= tap.tapped_at < ends + reach(rules)]

    whole = [one for one in pair(taps, rules) if begins <= one.journey.started_at < ends]
    part = [one for one in pair(around, rules) if begins <= one.journey.started_at < ends]

    assert part == whole != []


@settings(max_examples=300)
@given(seed=SEEDS)
def test_a_second_pairing_from_what_the_rules_say_agrees(seed: int) -> None:
    dice = Random(seed)
    rules, taps = some_rules(dice), some_taps(dice, 9, 3)

    found = {
        (
            one.journey.kind,
            one.journey.first_tap,
            one.journey.last_tap,
            frozenset(one.beside) - ways(taps, rules),
        )
        for one in pair(taps, rules)
    }

    assert found == stated(taps, rules)


def test_without_rules_the_reach_is_what_it_was() -> None:
    assert reach(PLAIN) == 2 * PLAIN.journey_max


# -- the second pairing: each rule as a statement about all taps, without any order of work --------------------

Whole = tuple[str, UUID, UUID | None, frozenset[UUID]]


def is_way(tap: Touch, rules: PairingRules) -> bool:
    return tap.action == "board" and tap.line_id is None and tap.stop_id in rules.interchange


def ways(taps: Sequence[Touch], rules: PairingRules) -> frozenset[UUID]:
    return frozenset(tap.tap_id for tap in taps if is_way(tap, rules))


def stated(taps: Sequence[Touch], rules: PairingRules) -> set[Whole]:
    ordered = sorted(
        (tap for tap in taps if not is_way(tap, rules)),
        key=lambda tap: (tap.tapped_at, tap.gate_id, tap.sequence),
    )
    found: set[Whole] = set()
    for companion in {tap.companion for tap in ordered}:
        found |= rider([tap for tap in ordered if tap.companion == companion], rules)
    return found


def before(tap: Touch, among: Sequence[Touch]) -> Touch | None:
    """The tap of the same token just before this one."""
    own = [one for one in among if one.cti == tap.cti]
    place = own.index(tap)
    return own[place - 1] if place else None


def repeats(tap: Touch, among: Sequence[Touch], rules: PairingRules) -> bool:
    """Whether a tap says again what the one before it said."""
    last = before(tap, among)
    if last is None or (last.action, last.line_id, last.product) != (tap.action, tap.line_id, tap.product):
        return False
    gap, half = tap.tapped_at - last.tapped_at, HOUR / 2
    same_place = last.stop_id == tap.stop_id and gap <= min(rules.double, half) and bool(rules.double)
    other_vehicle = tap.line_id is not None and tap.action != "exit" and last.gate_id != tap.gate_id
    changed = other_vehicle and gap <= min(rules.vehicle_change, half)
    if last.stop_id == tap.stop_id and gap <= min(rules.double, half):
        return same_place
    return changed


def run_of(tap: Touch, among: Sequence[Touch], rules: PairingRules) -> list[Touch]:
    """The tap and those before it, back to the first that repeats nothing."""
    run = [tap]
    while repeats(run[0], among, rules):
        last = before(run[0], among)
        assert last is not None
        run.insert(0, last)
    return run


def rider(among: list[Touch], rules: PairingRules) -> set[Whole]:
    if not (rules.double or rules.vehicle_change):
        runs = {tap.tap_id: [tap] for tap in among}
    else:
        runs = {tap.tap_id: run_of(tap, among, rules) for tap in among}

    def counts(tap: Touch) -> bool:
        run = runs[tap.tap_id]
        return len(run) == 1 or tap.tapped_at - run[0].tapped_at > HOUR / 2

    silent: dict[UUID, set[UUID]] = {}
    for tap in among:
        if not counts(tap):
            head = [one for one in runs[tap.tap_id] if counts(one)][-1]
            silent.setdefault(head.tap_id, set()).add(tap.tap_id)
    kept = [tap for tap in among if counts(tap)]
    board = [tap for tap in kept if tap.product in rules.tap_off]
    foot = [tap for tap in kept if tap not in board and tap.action != "board"]
    rides: list[list[Touch]] = [*answered(foot, rules, by_line=False), *answered(board, rules, by_line=True)]
    alone: set[Whole] = {
        ("boarding", tap.tap_id, None, frozenset(silent.get(tap.tap_id, ())))
        for tap in kept
        if tap not in board and tap not in foot
    }
    if rules.reentry:
        rides = gone_on(rides, foot, rules)
    return alone | {whole(ride, silent, rules) for ride in rides}


def whole(ride: list[Touch], silent: dict[UUID, set[UUID]], rules: PairingRules) -> Whole:
    inside = {tap.tap_id for tap in ride[1:-1]}
    for tap in ride:
        inside |= silent.get(tap.tap_id, set())
    first, last = ride[0], ride[-1]
    if len(ride) == 1:
        kind = "no_entry" if first.action == "exit" else "no_exit"
        return kind, first.tap_id, None, frozenset(inside)
    stayed = first.stop_id == last.stop_id and rules.same_stop_max is not None
    too_long = stayed and last.tapped_at - first.tapped_at > (rules.same_stop_max or HOUR)
    return "no_exit" if too_long else "complete", first.tap_id, last.tap_id, frozenset(inside)


def answered(stream: list[Touch], rules: PairingRules, *, by_line: bool) -> list[list[Touch]]:
    """Rides as lists of their taps: within a token its neighbours, then neighbours among what is left."""

    def fits(entry: Touch, leave: Touch) -> bool:
        return (
            entry.action != "exit"
            and leave.action == "exit"
            and leave.tapped_at - entry.tapped_at <= HOUR
            and (not by_line or (entry.product, entry.line_id) == (leave.product, leave.line_id))
        )

    rides: list[list[Touch]] = []
    for cti in {tap.cti for tap in stream}:
        own = [tap for tap in stream if tap.cti == cti]
        rides += [[entry, leave] for entry, leave in pairwise(own) if fits(entry, leave)]
    used = [tap for ride in rides for tap in ride]
    left = [tap for tap in stream if tap not in used]
    across = [[e, x] for e, x in pairwise(left) if e.cti != x.cti and fits(e, x)]
    used += [tap for ride in across for tap in ride]
    return rides + across + [[tap] for tap in stream if tap not in used]


def gone_on(rides: list[list[Touch]], foot: list[Touch], rules: PairingRules) -> list[list[Touch]]:
    """Chains of whole rides of one token, each going on where the one before ended; taken as one if short enough."""

    def follows(ride: list[Touch]) -> list[Touch] | None:
        """The ride that this one goes on with."""
        if len(ride) != 2 or ride[0].cti != ride[1].cti or ride[0] not in foot:
            return None
        for other in rides:
            if (
                len(other) == 2
                and other[0].cti == other[1].cti == ride[0].cti
                and other[1] in foot
                and before(ride[0], foot) == other[1]
                and other[1].stop_id == ride[0].stop_id
                and ride[0].tapped_at - other[1].tapped_at <= rules.reentry
            ):
                return other
        return None

    found: list[list[Touch]] = []
    for ride in rides:
        if any(follows(other) is ride for other in rides):
            continue  # it is not the last of its chain
        chain = [ride]
        while (earlier := follows(chain[0])) is not None:
            chain.insert(0, earlier)
        short = chain[-1][-1].tapped_at - chain[0][0].tapped_at <= HOUR
        found += [[tap for one in chain for tap in one]] if short else chain
    return found
