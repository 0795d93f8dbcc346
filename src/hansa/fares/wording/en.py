"""A fare's steps in plain English."""

from collections.abc import Callable

from hansa.fares.wording.held import why
from hansa.fares.wording.said import Facts, Said, kilometres, money

_MEASURES = {
    "line": "along the line",
    "straight": "in a straight line",
    "given": "as measured",
    "table": "by the operator's table",
}
_SINCE = {
    "next_hour": "the hour after the first tap",
    "first_tap": "the first tap",
    "last_tap": "the last tap",
    "exit": "the last exit",
}
_PERIODS = {"day": "today", "week": "this week", "month": "this month"}


def _ride(said: Said) -> str:
    text = f"{said.facts['from']} to {said.facts['to']}"
    if "via" in said.facts:
        text += f" via {said.facts['via']}"
    if "distance_m" in said.facts:
        measure = _MEASURES.get(str(said.facts.get("measure", "")), "over the network")
        text += f": {said.facts['distance_m']:,} m {measure}"
    for unit in ("stops", "minutes"):
        if unit in said.facts:
            count = int(said.facts[unit])
            text += f": {count:,} {unit if count != 1 else unit[:-1]}"
    return text


def _distance(said: Said) -> str:
    low, high = int(said.facts["over_m"]), int(said.facts["up_to_m"])
    if unit := said.facts.get("unit"):
        from_to = str(high) if high == low + 1 else f"{low + 1} to {high}"
        stretch = f"Up to {high} {unit}" if low == 0 else f"{from_to} {unit}"
        return f"{_named(said)}{stretch}{_for(said.facts)}: {said.paid}"
    stretch = f"Up to {kilometres(high)} km" if low == 0 else f"{kilometres(low)}–{kilometres(high)} km band"
    return f"{_named(said)}{stretch}{_for(said.facts)}: {said.paid}"


def _zones(said: Said) -> str:
    zones = str(said.facts["zones"])
    name = f"Zones {zones.replace('-', '–')}" if "-" in zones else f"Zone {zones}"
    return f"{_named(said)}{name}{_for(said.facts)}: {said.paid}"


def _zone_set(said: Said) -> str:
    return f"{_named(said)}Zones {said.facts['zones']}{_for(said.facts)}: {said.paid}"


def _zone_count(said: Said) -> str:
    count = said.facts["count"]
    return f"{_named(said)}{count} zone{'' if count == 1 else 's'}{_for(said.facts)}: {said.paid}"


def _rate(said: Said) -> str:
    base = f"{said.money('base_minor')} and " if said.facts["base_minor"] else ""
    metres, unit = int(said.facts["metres"]), said.facts.get("unit")
    length = f"{metres} {unit}" if unit else f"{kilometres(metres)} km"
    return f"{_named(said)}{base}{length}{_for(said.facts)}: {said.paid}"


def _line(said: Said) -> str:
    return f"{_named(said)}Line {said.facts['line']}{_for(said.facts)}: {said.paid}"


def _pair(said: Said) -> str:
    return f"{_named(said)}Fare table{_for(said.facts)}: {said.paid}"


def _flat(said: Said) -> str:
    return f"{_named(said)}Flat fare{_for(said.facts)}: {said.paid}"


def _override(said: Said) -> str:
    return f"{said.facts['name']}{_for(said.facts)}: {said.paid}"


def _same_stop(said: Said) -> str:
    return f"In and out at the same stop: {said.paid}"


def _class(said: Said) -> str:
    if said.facts["percent"] == 0:
        return f"{_who(said.facts)} rides free: {said.paid}"
    return f"{_who(said.facts)} pays {said.facts['percent']} %: {said.paid}"


def _class_flat(said: Said) -> str:
    return f"{_who(said.facts)} fare is {money(int(said.facts['fare_minor']), said.currency)}: {said.paid}"


def _discount(said: Said) -> str:
    share = f", {said.facts['percent']} % is paid" if "percent" in said.facts else ""
    return f"{said.facts['name']}{share}: {said.paid}"


def _transfer(said: Said) -> str:
    facts = said.facts
    if "dearest_minor" in facts:
        price = f"only what it costs more than {said.money('dearest_minor')}"
    elif "most_minor" in facts:
        price = f"{said.money('most_minor')} for all at most"
    elif "percent" not in facts:
        price = "cheaper"
    else:
        price = "free" if facts["percent"] == 0 else f"at {facts['percent']} %"
    name = f"{facts['name']}: " if "name" in facts else ""
    return (
        f"{name}Transfer {facts['since_minutes']} minutes after {_SINCE[str(facts.get('window_from', 'first_tap'))]}, "
        f"{price} within {facts['window_minutes']} minutes: {said.paid}"
    )


def _join(said: Said) -> str:
    if "before_minor" in said.facts:
        return (
            f"{said.facts['name']}: {said.facts['rides']} rides are one fare; those before come to "
            f"{said.money('before_minor')} at this hour: {said.paid}"
        )
    return (
        f"{said.facts['name']}: {said.facts['rides']} rides are one fare, of which "
        f"{said.money('paid_minor')} is charged already: {said.paid}"
    )


def _fee(said: Said) -> str:
    return f"{said.facts['name']}: {said.paid}"


def _fee_most(said: Said) -> str:
    period = {"day": "a day", "week": "a week", "month": "a month"}[str(said.facts["period"])]
    return f"{said.facts['name']} is {said.money('most_minor')} {period} at most: {said.paid}"


def _pass(said: Said) -> str:
    share = f", {said.facts['percent']} % is paid" if said.facts["percent"] else ""
    return f"With {said.facts['name']}{share}: {said.paid}"


def _tier(said: Said) -> str:
    facts = said.facts
    period = _PERIODS[str(facts.get("period", "month"))]
    if "rides" in facts:
        return (
            f"{facts['rides']} trips {period}; after {facts['from_rides']}, rides cost {facts['percent']} %: "
            f"{said.paid}"
        )
    return (
        f"{said.money('month_minor')} paid {period}; from {said.money('from_minor')} on, rides cost "
        f"{facts['percent']} %: {said.paid}"
    )


def _cap(said: Said) -> str:
    if "beyond_minor" in said.facts:
        return (
            f"{said.facts['label']} {said.money('cap_minor')}, and {said.money('beyond_minor')} for the zones "
            f"beyond: {said.paid}"
        )
    return f"{said.facts['label']} {said.money('cap_minor')} reached: {said.paid}"


def _carnet(said: Said) -> str:
    return f"{said.facts['name']}, {said.facts['rides']} rides for {said.money('fare_minor')}, is cheaper: {said.paid}"


def _subsidy(said: Said) -> str:
    share = f" {said.facts['percent']} %" if "percent" in said.facts else ""
    return f"{said.facts['payer']} pays{share} of it: {said.paid}"


def _habit(said: Said) -> str:
    facts = said.facts
    missing = "No exit tap" if facts["kind"] == "no_exit" else "No entry tap"
    return (
        f"{missing}; priced as usual to or from {facts['usual']}, as {facts['times']} of {facts['of']} earlier "
        f"rides at {facts['stop']}; a tap that comes later corrects it"
    )


def _incomplete(said: Said) -> str:
    missing = "No exit tap" if said.facts["kind"] == "no_exit" else "No entry tap"
    if "stop" in said.facts:
        return f"{missing}; highest fare from {said.facts['stop']}: {said.paid}"
    return f"{missing}; maximum fare: {said.paid}"


def _held(said: Said) -> str:
    return f"Held for the operator, nothing is charged: {why(said.facts)}"


def _companion(said: Said) -> str:
    return f"Companion {said.facts['number']} rides along, at the {said.facts['class']} fare"


def _named(said: Said) -> str:
    return f"{said.facts['name']}: " if said.facts.get("name") else ""


def _for(facts: Facts) -> str:
    said = [str(facts[key]) for key in ("band", "class") if facts.get(key)]
    return f", {' '.join(said)}" if said else ""


def _who(facts: Facts) -> str:
    return str(facts["class"]).capitalize()


WORDS: dict[str, Callable[[Said], str]] = {
    "ride": _ride,
    "distance": _distance,
    "zones": _zones,
    "zone_set": _zone_set,
    "zone_count": _zone_count,
    "rate": _rate,
    "line": _line,
    "pair": _pair,
    "flat": _flat,
    "override": _override,
    "same_stop": _same_stop,
    "class": _class,
    "class_flat": _class_flat,
    "discount": _discount,
    "transfer": _transfer,
    "join": _join,
    "fee": _fee,
    "fee_most": _fee_most,
    "pass": _pass,
    "tier": _tier,
    "cap": _cap,
    "carnet": _carnet,
    "subsidy": _subsidy,
    "companion": _companion,
    "incomplete": _incomplete,
    "habit": _habit,
    "held": _held,
}
