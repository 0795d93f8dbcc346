"""Who pays how: rider classes, what the verified ones are called here, and who pays a concession."""

from collections.abc import Mapping
from dataclasses import dataclass

from hansa.fares.model import RIDER_CLASSES
from hansa.fares.parts.price import ANY_TIME, Rounding
from hansa.fares.tables import WORD, Table


@dataclass(frozen=True, slots=True)
class Subsidy:
    """What another member pays of each fare of this class.

    payer: the member. residents: city ids whose residents it holds for; empty is everybody. percent, minor: a share of
    what is left to pay after caps, or an amount, at most all of it.
    """

    payer: str
    residents: frozenset[str] = frozenset()
    percent: int | None = None
    minor: int = 0
    clause: str = ""


@dataclass(frozen=True, slots=True)
class ClassRule:
    """How a class of riders pays: from its own column, a share of the adult fare, or one flat amount.

    percent: by time band (ANY_TIME for the rest); 100 is the adult fare, 0 is free.
    """

    own_column: bool = False
    percent: Mapping[str, int] | None = None
    flat: int | None = None
    rounding: Rounding | None = None
    subsidy: Subsidy | None = None
    clause: str = ""


@dataclass(frozen=True, slots=True)
class Classes:
    """The classes of a tariff. verified: what each of the league's four classes pays as."""

    rules: Mapping[str, ClassRule]
    verified: Mapping[str, str]


def read_classes(table: Table) -> Classes:
    """``[classes.adult]`` and so on; each of the league's four is there, or pays as another (``as``)."""
    rules: dict[str, ClassRule] = {}
    verified: dict[str, str] = {}
    own_names = [name for name, raw in table.raw.items() if isinstance(raw, dict) and "as" not in raw]
    for name in dict.fromkeys([*RIDER_CLASSES, *table.raw]):
        item = table.table(name)
        if not WORD.fullmatch(name) or "/" in name:
            item.wrong("", "is no name for a class", "Write small letters, digits and hyphens")
        if "as" in item:
            other = item.word("as")
            if other not in own_names:
                item.wrong("as", f"{other!r} is no class here", f"Known: {', '.join(own_names)}")
            verified[name] = other
            item.done()
            continue
        rules[name] = _rule(item)
        verified[name] = name
    table.done()
    if "adult" in verified and verified["adult"] != "adult":
        table.wrong("adult", "pays as another class", "Give adults a way of their own: they are the measure")
    table.reading.classes = tuple(rules)
    table.reading.own = frozenset({"adult"} | {name for name, rule in rules.items() if rule.own_column})
    return Classes(rules, verified)


def _rule(item: Table) -> ClassRule:
    ways = [key for key in ("column", "percent", "fare") if key in item]
    rounding = item.rounding()
    if len(ways) != 1 and item.present:
        item.wrong("", "says how this class pays in no way or several", "Write one of column, percent, fare")
    rule = ClassRule(
        own_column=item.flag("column", default=False),
        percent=_percent(item) if "percent" in item else None,
        flat=item.amount("fare") if "fare" in item else None,
        rounding=rounding,
        subsidy=_subsidy(item.table("subsidy", required=False)),
        clause=item.clause,
    )
    item.done()
    return rule


def _percent(item: Table) -> dict[str, int]:
    if not isinstance(item.raw.get("percent"), dict):
        return {ANY_TIME: item.whole("percent", 0, 100)}
    bands = item.reading.bands
    inner = item.table("percent")
    shares = {band: inner.whole(band, 0, 100) for band in sorted(bands & set(inner.raw))}
    inner.done()
    if missing := bands - set(shares):
        inner.wrong("", f"says nothing for {', '.join(sorted(missing))}", "Give every time band a share")
    return shares


def _subsidy(item: Table) -> Subsidy | None:
    if not item.present:
        return None
    if ("percent" in item) == ("amount" in item):
        item.wrong("", "says what is paid in no way or two", "Write one of percent, amount")
    subsidy = Subsidy(
        payer=item.word("payer"),
        residents=frozenset(item.words("residents")),
        percent=item.whole("percent", 1, 100) if "percent" in item else None,
        minor=item.amount("amount") if "amount" in item else 0,
        clause=item.clause,
    )
    item.done()
    return subsidy
