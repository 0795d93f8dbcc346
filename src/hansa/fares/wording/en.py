"""A fare's steps in plain English. The books keep the rule and its figures; the words are made when read."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from hansa.kernel import Money

Facts = Mapping[str, str | int]


def say(rule: str, amount: int, currency: str, facts: Facts) -> str:
    """One step as a sentence with its figures. An unknown rule is said by its name."""
    words = _WORDS.get(rule)
    if words is None:
        return f"{rule}: {money(amount, currency)}"
    return words(_Said(facts, money(amount, currency), currency))


def money(amount: int, currency: str) -> str:
    """An amount with its sign in front: ``"£8.90"``, ``"−£1.20"``."""
    return ("−" if amount < 0 else "") + str(Money(abs(amount), currency))


def kilometres(metres: int) -> str:
    """``"12"`` for 12,000 m, ``"3.5"`` for 3,500 m."""
    whole, rest = divmod(metres, 1000)
    return f"{whole:,}" if rest == 0 else f"{whole:,}.{rest:03d}".rstrip("0")


class _Said(NamedTuple):
    """What a sentence is made from. paid: the step's amount in words."""

    facts: Facts
    paid: str
    currency: str


def _ride(said: _Said) -> str:
    text = f"{said.facts['from']} to {said.facts['to']}"
    if "distance_m" in said.facts:
        text += f": {said.facts['distance_m']:,} m over the network"
    return text


def _distance(said: _Said) -> str:
    low, high = int(said.facts["over_m"]), int(said.facts["up_to_m"])
    stretch = f"Up to {kilometres(high)} km" if low == 0 else f"{kilometres(low)}–{kilometres(high)} km band"
    return f"{stretch}{_for(said.facts)}: {said.paid}"


def _zones(said: _Said) -> str:
    zones = str(said.facts["zones"])
    name = f"Zones {zones.replace('-', '–')}" if "-" in zones else f"Zone {zones}"
    return f"{name}{_for(said.facts)}: {said.paid}"


def _pair(said: _Said) -> str:
    return f"Fare table{_for(said.facts)}: {said.paid}"


def _flat(said: _Said) -> str:
    return f"Flat fare{_for(said.facts)}: {said.paid}"


def _override(said: _Said) -> str:
    return f"{said.facts['name']}{_for(said.facts)}: {said.paid}"


def _same_stop(said: _Said) -> str:
    return f"In and out at the same stop: {said.paid}"


def _class(said: _Said) -> str:
    if said.facts["percent"] == 0:
        return f"{_who(said.facts)} rides free: {said.paid}"
    return f"{_who(said.facts)} pays {said.facts['percent']} %: {said.paid}"


def _class_flat(said: _Said) -> str:
    return f"{_who(said.facts)} fare is {money(int(said.facts['fare_minor']), said.currency)}: {said.paid}"


def _discount(said: _Said) -> str:
    return f"{said.facts['name']}, {said.facts['percent']} % is paid: {said.paid}"


def _transfer(said: _Said) -> str:
    price = "free" if said.facts["percent"] == 0 else f"at {said.facts['percent']} %"
    return (
        f"Transfer {said.facts['since_minutes']} minutes after the first tap, {price} within "
        f"{said.facts['window_minutes']} minutes: {said.paid}"
    )


def _tier(said: _Said) -> str:
    return (
        f"{money(int(said.facts['month_minor']), said.currency)} paid this month; from "
        f"{money(int(said.facts['from_minor']), said.currency)} on, rides cost {said.facts['percent']} %: {said.paid}"
    )


def _cap(said: _Said) -> str:
    return f"{said.facts['label']} {money(int(said.facts['cap_minor']), said.currency)} reached: {said.paid}"


def _incomplete(said: _Said) -> str:
    missing = "No exit tap" if said.facts["kind"] == "no_exit" else "No entry tap"
    if "stop" in said.facts:
        return f"{missing}; highest fare from {said.facts['stop']}: {said.paid}"
    return f"{missing}; maximum fare: {said.paid}"


def _held(said: _Said) -> str:
    return f"Held for the operator, nothing is charged: {said.facts['why']}"


def _companion(said: _Said) -> str:
    return f"Companion {said.facts['number']} rides along, at the {said.facts['class']} fare"


def _for(facts: Facts) -> str:
    said = [str(facts[key]) for key in ("band", "class") if facts.get(key)]
    return f", {' '.join(said)}" if said else ""


def _who(facts: Facts) -> str:
    return str(facts["class"]).capitalize()


_WORDS: dict[str, Callable[[_Said], str]] = {
    "ride": _ride,
    "distance": _distance,
    "zones": _zones,
    "pair": _pair,
    "flat": _flat,
    "override": _override,
    "same_stop": _same_stop,
    "class": _class,
    "class_flat": _class_flat,
    "discount": _discount,
    "transfer": _transfer,
    "tier": _tier,
    "cap": _cap,
    "companion": _companion,
    "incomplete": _incomplete,
    "held": _held,
}
