"""What each kind of rule looks for: pure functions over what is known of one account.

Each is monotone: a fact more never takes a finding back. So it does not matter in which order facts are heard, or how
often. What a function compares is bounded by ``NEAR``, so an account with very many taps costs no square.
"""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from datetime import timedelta
from itertools import pairwise
from math import asin, cos, radians, sin, sqrt
from typing import TypeVar

from hansa.risk.model import Evidence, Facts, Figure, Finding, Point, Seen, Turned
from hansa.risk.rules import Rule

NEAR = 200
"""With how many later taps of its token a tap is compared."""

EVIDENCE_MAX = 60
"""Facts of a kind kept on one case, the earliest ones."""

EARTH_RADIUS_M = 6_371_008.8

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")


def judge(rule: Rule, facts: Facts) -> list[Finding]:
    """What this rule finds in these facts."""
    kind = _KINDS.get(rule.kind)
    return list(kind(rule, facts)) if kind is not None else []


def copied_code(rule: Rule, facts: Facts) -> Iterator[Finding]:
    """One code, signed once, accepted by two gates (or twice by one that forgot)."""
    found: dict[str, set[Seen]] = defaultdict(set)
    stations: dict[str, set[str]] = defaultdict(set)
    elsewhere = rule.word("where") == "other_station"
    for taps in _doubles(facts.taps, lambda tap: tap.code):
        for station, here in _grouped(taps, lambda tap: tap.station).items():
            if elsewhere and len(here) < len(taps):
                found[here[0].cti] |= set(taps)
                stations[here[0].cti].add(station)
            elif not elsewhere and len(here) > 1:
                found[here[0].cti] |= set(here)
                stations[here[0].cti].add(station)
    for cti, taps in found.items():
        ordered = _in_order(taps)
        gap = ordered[1].at - ordered[0].at
        metres = _metres(facts, ordered[0].station, ordered[1].station)
        figures: dict[str, Figure] = {
            "stations": len(stations[cti]),
            "seconds_between": _seconds(gap),
            "counter": ordered[0].counter,
        }
        if metres is not None and elsewhere:
            figures["metres_between"] = round(metres)
        yield _finding(rule, cti, taps, figures=figures)


def counters(rule: Rule, facts: Facts) -> Iterator[Finding]:
    """A phone counts up with every code, so a later counter was made later; two phones with one key break that."""
    slack = timedelta(seconds=rule.number("clock_s"))
    found: dict[str, set[Seen]] = defaultdict(set)
    worst: dict[str, tuple[timedelta, dict[str, Figure]]] = {}
    for (_, cti, _), taps in _grouped(facts.taps, lambda tap: (tap.kid, tap.cti, tap.companion)).items():
        if len(taps) < 2:
            continue
        ordered = sorted(taps, key=lambda tap: (tap.counter, tap.made_at, tap.tap_id))
        latest = ordered[0]
        for before, tap in pairwise(ordered):
            pairs = [(before, tap)] if tap.counter == before.counter and tap.made_at != before.made_at else []
            if latest.made_at - tap.made_at > slack:
                pairs.append((latest, tap))
            for first, then in pairs:
                found[cti] |= {first, then}
                gap = abs(first.made_at - then.made_at)
                if cti not in worst or gap > worst[cti][0]:
                    figures: dict[str, Figure] = {
                        "seconds_back": _seconds(gap),
                        "counter": first.counter,
                        "later_counter": then.counter,
                    }
                    worst[cti] = gap, figures
            if tap.made_at > latest.made_at:
                latest = tap
    for cti, taps in found.items():
        yield _finding(rule, cti, taps, figures=worst[cti][1])


def travel(rule: Rule, facts: Facts) -> Iterator[Finding]:
    """Two taps of one phone, farther apart than anything carries a person in that time."""
    clock_s, near_m = rule.number("clock_s"), rule.number("near_m")
    speeds = {True: rule.number("city_m_per_s"), False: rule.number("far_m_per_s")}
    found: dict[str, set[Seen]] = defaultdict(set)
    worst: dict[str, tuple[float, dict[str, Figure]]] = {}
    for (_, cti), taps in _grouped(facts.taps, lambda tap: (tap.kid, tap.cti)).items():
        one_city = len({tap.city_id for tap in taps}) == 1
        for place, first in enumerate(taps):
            here = facts.places.get(first.station)
            if here is None:
                continue
            for then in taps[place + 1 : place + 1 + NEAR]:
                seconds = (then.at - first.at).total_seconds()
                if one_city and seconds * speeds[True] > CITY_WIDE_M:
                    break
                there = facts.places.get(then.station)
                if there is None or then.station == first.station:
                    continue
                metres = distance_m(here, there) - here.within_m - there.within_m
                speed = speeds[first.city_id == then.city_id]
                if metres - near_m > speed * (seconds + clock_s):
                    found[cti] |= {first, then}
                    pace = metres / max(seconds, 1.0)
                    if cti not in worst or pace > worst[cti][0]:
                        figures: dict[str, Figure] = {
                            "metres": round(metres),
                            "seconds": round(seconds),
                            "m_per_s": round(pace, 1),
                            "m_per_s_max": speed,
                        }
                        worst[cti] = pace, figures
    for cti, taps in found.items():
        yield _finding(rule, cti, taps, figures=worst[cti][1])


CITY_WIDE_M = 200_000
"""No two stations of a city are farther apart."""


def velocity(rule: Rule, facts: Facts) -> Iterator[Finding]:
    """More rides begun on one phone within a window than one person takes."""
    window, most = timedelta(seconds=rule.number("window_s")), rule.number("starts_max")
    found: dict[str, set[Seen]] = defaultdict(set)
    peak: dict[str, int] = {}
    starts = [tap for tap in facts.taps if tap.starts]
    if len(starts) <= most:
        return
    for (cti, _), taps in _grouped(starts, lambda tap: (tap.cti, tap.companion)).items():
        begin = 0
        for place, tap in enumerate(taps):
            while tap.at - taps[begin].at > window:
                begin += 1
            number = place - begin + 1
            if number > most:
                found[cti] |= set(taps[begin : place + 1])
                peak[cti] = max(peak.get(cti, 0), number)
    for cti, taps in found.items():
        figures: dict[str, Figure] = {
            "starts": peak[cti],
            "starts_max": most,
            "window_s": rule.number("window_s"),
        }
        yield _finding(rule, cti, taps, figures=figures)


def pairing(rule: Rule, facts: Facts) -> Iterator[Finding]:
    """Two entries, or two exits, at stations apart and within minutes: entry pairs with exit for one person."""
    within, apart_m = timedelta(seconds=rule.number("within_s")), rule.number("apart_m")
    found: dict[str, set[Seen]] = defaultdict(set)
    closest: dict[str, tuple[float, dict[str, Figure]]] = {}
    kept = [tap for tap in facts.taps if tap.action != "board"]
    for (cti, _, action), taps in _grouped(kept, lambda tap: (tap.cti, tap.companion, tap.action)).items():
        for place, first in enumerate(taps):
            for then in taps[place + 1 : place + 1 + NEAR]:
                gap = then.at - first.at
                if gap > within:
                    break
                metres = _metres(facts, first.station, then.station)
                if metres is None or metres < apart_m:
                    continue
                found[cti] |= {first, then}
                if cti not in closest or gap.total_seconds() < closest[cti][0]:
                    figures: dict[str, Figure] = {
                        "seconds": _seconds(gap),
                        "metres": round(metres),
                        "twice": action,
                    }
                    closest[cti] = gap.total_seconds(), figures
    for cti, taps in found.items():
        yield _finding(rule, cti, taps, figures=closest[cti][1])


def picture(rule: Rule, facts: Facts) -> Iterator[Finding]:
    """A refused code that was shown at another station too, or that had opened a gate well before."""
    if not facts.refused:
        return
    reasons, old = frozenset(rule.list_of("reasons")), timedelta(seconds=rule.number("old_s"))
    accepted = _grouped(facts.taps, lambda tap: tap.code)
    refused = _grouped([one for one in facts.refused if one.reason in reasons], lambda one: one.code)
    found: dict[str, tuple[set[Seen], set[Turned]]] = {}
    for code, tries in refused.items():
        opened = accepted.get(code, [])
        stations = {one.station for one in tries} | {tap.station for tap in opened}
        late = [one for one in tries if opened and one.at - one.made_at >= old]
        if len(stations) > 1 or late:
            taps, turned = found.setdefault(tries[0].cti, (set(), set()))
            taps |= set(opened)
            turned |= set(tries)
    for cti, (taps, turned) in found.items():
        figures: dict[str, Figure] = {
            "tries": len(turned),
            "gates": len({one.gate_id for one in turned}),
            "seconds_old": max(_seconds(one.at - one.made_at) for one in turned),
        }
        yield _finding(rule, cti, taps, turned, figures=figures)


def revoked(rule: Rule, facts: Facts) -> Iterator[Finding]:
    """Rides on a token after it was put on the deny list, by gates that had that list, or that had not."""
    if not facts.revoked:
        return
    told, grace = rule.word("gate") == "told", timedelta(seconds=rule.number("told_s"))
    for cti, taps in _grouped(facts.taps, lambda tap: tap.cti).items():
        end = facts.revoked.get(cti)
        if end is None:
            continue
        after = {tap for tap in taps if tap.at > end.at + grace and (tap.list_version >= end.version) == told}
        if after:
            last = max(after, key=lambda tap: (tap.at, tap.tap_id))
            figures: dict[str, Figure] = {
                "revoked_in_version": end.version,
                "gate_had_version": last.list_version,
                "revoked_at": end.at.isoformat(),
                "seconds_after": _seconds(last.at - end.at),
                "taps": len(after),
            }
            yield _finding(rule, cti, after, figures=figures)


def offline(rule: Rule, facts: Facts) -> Iterator[Finding]:
    """Rides that came in late, over several gates: each gate kept its own count, nobody the sum."""
    late, most = timedelta(seconds=rule.number("late_s")), rule.number("starts_max")
    alone = [tap for tap in facts.taps if tap.starts and tap.received_at - tap.at > late]
    for cti, taps in _grouped(alone, lambda tap: tap.cti).items():
        gates = len({tap.gate_id for tap in taps})
        if len(taps) > most and gates > 1:
            figures: dict[str, Figure] = {"starts": len(taps), "starts_max": most, "gates": gates}
            yield _finding(rule, cti, set(taps), figures=figures)


def tokens(rule: Rule, facts: Facts) -> Iterator[Finding]:
    """More tokens of one account in use at a time than its phones can have; one case for each day (UTC)."""
    window, most = timedelta(seconds=rule.number("window_s")), rule.number("tokens_max")
    if len({tap.cti for tap in facts.taps}) <= most:
        return
    found: dict[str, set[Seen]] = defaultdict(set)
    peak: dict[str, int] = {}
    begin = 0
    for place, tap in enumerate(facts.taps):
        while tap.at - facts.taps[begin].at > window:
            begin += 1
        some = facts.taps[begin : place + 1]
        number = len({one.cti for one in some})
        if number > most:
            day = f"{tap.at:%Y-%m-%d}"
            found[day] |= set(some)
            peak[day] = max(peak.get(day, 0), number)
    for day, taps in found.items():
        figures: dict[str, Figure] = {
            "tokens": peak[day],
            "tokens_max": most,
            "window_s": rule.number("window_s"),
        }
        yield _finding(rule, f"{facts.account_id}/{day}", taps, figures=figures)


_KINDS: dict[str, Callable[[Rule, Facts], Iterator[Finding]]] = {
    "copied_code": copied_code,
    "counters": counters,
    "travel": travel,
    "velocity": velocity,
    "pairing": pairing,
    "picture": picture,
    "revoked": revoked,
    "offline": offline,
    "tokens": tokens,
}


def distance_m(here: Point, there: Point) -> float:
    """Metres between two places over the ground, by the haversine formula."""
    lat_1, lat_2 = radians(here.lat), radians(there.lat)
    across = radians(there.lon - here.lon)
    half = sin((lat_2 - lat_1) / 2) ** 2 + cos(lat_1) * cos(lat_2) * sin(across / 2) ** 2
    return 2 * EARTH_RADIUS_M * asin(min(1.0, sqrt(half)))


def _finding(
    rule: Rule,
    subject: str,
    taps: Iterable[Seen],
    refused: Iterable[Turned] = (),
    *,
    figures: dict[str, Figure],
) -> Finding:
    turned = sorted(set(refused), key=lambda one: one.key)
    evidence = Evidence(tuple(_in_order(taps)[:EVIDENCE_MAX]), tuple(turned[:EVIDENCE_MAX]), figures)
    return Finding(rule.name, subject, evidence)


def _in_order(taps: Iterable[Seen]) -> list[Seen]:
    return sorted(taps, key=lambda tap: (tap.at, tap.tap_id))


def _grouped(things: Iterable[T], key: Callable[[T], K]) -> dict[K, list[T]]:
    groups: dict[K, list[T]] = {}
    for one in things:
        groups.setdefault(key(one), []).append(one)
    return groups


def _doubles(things: Sequence[T], key: Callable[[T], K]) -> list[list[T]]:
    if len({key(one) for one in things}) == len(things):
        return []
    return [some for some in _grouped(things, key).values() if len(some) > 1]


def _metres(facts: Facts, one: str, other: str) -> float | None:
    here, there = facts.places.get(one), facts.places.get(other)
    if here is None or there is None:
        return None
    return max(0.0, distance_m(here, there) - here.within_m - there.within_m)


def _seconds(gap: timedelta) -> int:
    return round(gap.total_seconds())
