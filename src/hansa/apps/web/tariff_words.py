"""A tariff in words and tables, for a clerk who does not read TOML: every rule with the line on which it stands.

Written from the text itself and not from what was made of it, so that nothing can be said that is not there; a field
that has no words here is told by its name, so that nothing that is there goes unsaid.
"""

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any, cast

from hansa.fares import TariffSource
from hansa.kernel import CURRENCY_EXPONENTS, Money

Raw = Mapping[str, Any]

DAYS = {
    "mon": "Monday",
    "tue": "Tuesday",
    "wed": "Wednesday",
    "thu": "Thursday",
    "fri": "Friday",
    "sat": "Saturday",
    "sun": "Sunday",
    "holiday": "holidays",
}

TITLES = {
    "fare": "Fares for some rides",
    "override": "Places with a fare of their own",
    "discount": "Discounts",
    "fee": "Fees",
    "join": "Rides that are one journey",
    "transfer": "Transfers",
    "transfers": "Transfers",
    "tier": "Cheaper with use",
    "cap": "Caps",
    "carnet": "Carnets",
    "pass": "Passes",
}
"""Rules on top of the basis, in the order in which a day is priced."""

OTHERS = {"pairing": "How taps become journeys", "season": "Seasons"}
"""Titles of what is told field by field; another table is called by its name."""

MEASURES = {
    "network": "the shortest way over the network",
    "line": "the way along the line",
    "straight": "the straight line between the stops",
    "given": "the metres that come with the ride",
    "stops": "the stops ridden",
    "minutes": "the minutes from tap to tap",
}


@dataclass(frozen=True, slots=True)
class Figures:
    """A table of prices: one row for each band, zone or the like, a column for each class and hour."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule in words. line: where it stands in tariff.toml; None where it has no heading of its own."""

    title: str
    line: int | None
    sentences: tuple[str, ...]
    figures: tuple[Figures, ...] = ()


@dataclass(frozen=True, slots=True)
class Section:
    """Rules of one kind."""

    name: str
    title: str
    rules: tuple[Rule, ...]


def tariff_in_words(source: TariffSource, names: Mapping[str, str] | None = None) -> tuple[Section, ...]:
    """The sections of a tariff that can be read. names: of stops and lines, by id.

    Errors: none; a text that is no TOML has no sections.
    """
    try:
        raw = tomllib.loads(source.toml)
    except tomllib.TOMLDecodeError:
        return ()
    found = _Teller(raw, source).sections()
    return tuple(_with_names(section, names) for section in found) if names else found


_ID = re.compile(r"[A-Za-z0-9_.-]+/[A-Za-z0-9_./-]*[A-Za-z0-9_]")


def _with_names(section: Section, names: Mapping[str, str]) -> Section:
    def named(text: str) -> str:
        return _ID.sub(lambda found: names.get(found[0], found[0]), text)

    rules = tuple(
        replace(
            rule,
            sentences=tuple(map(named, rule.sentences)),
            figures=tuple(
                Figures(one.head, tuple((named(row[0]), *row[1:]) for row in one.rows))
                for one in rule.figures
            ),
        )
        for rule in section.rules
    )
    return Section(section.name, section.title, rules)


def headings(toml: str) -> dict[str, list[int]]:
    """The lines of each top heading, by name: ``{"basis": [25], "cap": [80, 84]}``."""
    found: dict[str, list[int]] = {}
    for number, line in enumerate(toml.splitlines(), start=1):
        if match := re.match(r"\s*\[{1,2}\s*([A-Za-z0-9_-]+)\s*\]{1,2}", line):
            found.setdefault(match[1], []).append(number)
        elif match := re.match(r"\s*\[\s*classes\.([A-Za-z0-9_-]+)\s*\]", line):
            found.setdefault(f"classes.{match[1]}", []).append(number)
    return found


class _Fields:
    """A table of the text, of which is remembered what was told."""

    def __init__(self, raw: Raw) -> None:
        self.raw, self.told = raw, set[str]()

    def take(self, key: str, default: Any = None) -> Any:
        self.told.add(key)
        return self.raw.get(key, default)

    def rest(self) -> list[str]:
        """What nobody told, by its name."""
        return [
            f"{_worded(key)}: {_plain(value)}." for key, value in self.raw.items() if key not in self.told
        ]


class _Teller:
    def __init__(self, raw: Raw, source: TariffSource) -> None:
        self.raw, self.source = raw, source
        self.lines = headings(source.toml)
        self.currency = str(raw.get("currency", ""))

    def sections(self) -> tuple[Section, ...]:
        found = [
            Section("facts", "In short", (self._facts(),)),
            Section("classes", "Who pays how", self._classes()),
            Section("band", "Hours with prices of their own", self._bands()),
            Section("basis", "What a ride costs", self._basis_section()),
        ]
        for kind, title in TITLES.items():
            items = _tables(self.raw.get(kind))
            tell = getattr(self, f"_{kind.rstrip('s') if kind == 'transfers' else kind}")
            rules = [self._rule(kind, place, item, tell) for place, item in enumerate(items)]
            found.append(Section(kind, title, tuple(rules)))
        found.append(Section("missing", "The longest journey, and missing taps", self._ends()))
        known = {*TITLES, "classes", "band", "basis", "journey", "incomplete", *_TOP}
        for key, value in self.raw.items():
            if key in known:
                continue
            items = _tables(value)
            rules = [
                Rule(str(item.get("name", "")), self._line(key, place), tuple(_Fields(item).rest()))
                for place, item in enumerate(items)
            ] or [Rule("", None, (f"{_worded(key)}: {_plain(value)}.",))]
            found.append(Section(key, OTHERS.get(key, _worded(key)), tuple(rules)))
        return tuple(one for one in found if one.rules)

    def _line(self, name: str, place: int = 0) -> int | None:
        lines = self.lines.get(name, [])
        return lines[place] if place < len(lines) else None

    # -- what stands above and below the rules -------------------------------------------------------------

    def _facts(self) -> Rule:
        raw = self.raw
        until = raw.get("valid_to")
        sentences = [
            f"Fares of {raw.get('operator')} in {self.currency}, from {_day(raw.get('valid_from'))}"
            + (f" to {_day(until)}." if until else " on, until another tariff begins."),
            f"The service day begins at {raw.get('day_starts')} ({raw.get('tz')}).",
        ]
        if holidays := raw.get("holidays"):
            shown = [_day(one) for one in holidays[:8]]
            more = f" and {len(holidays) - 8} more" if len(holidays) > 8 else ""
            sentences.append(f"Holidays: {', '.join(shown)}{more}.")
        if raw.get("companions"):
            sentences.append(f"Who rides along on another’s token pays as {raw['companions']}.")
        if raw.get("media"):
            sentences.append(f"Paid by {_any(raw['media'])}.")
        if raw.get("rounding"):
            sentences.append(f"Amounts are rounded: {_rounding(raw['rounding'])}.")
        if raw.get("minimum_balance") is not None:
            sentences.append(f"To enter, a wallet must hold {self._price(raw['minimum_balance'])}.")
        return Rule(str(raw.get("name", "")), None, tuple(sentences))

    def _classes(self) -> tuple[Rule, ...]:
        rows = [
            (
                str(name).capitalize(),
                self._pays(str(name), cast(Raw, rule)),
                _at(self._line(f"classes.{name}")),
            )
            for name, rule in cast(Raw, self.raw.get("classes", {})).items()
        ]
        figures = Figures(("Class", "Pays", "Line"), tuple(rows))
        return (Rule("", self._line("classes"), (), (figures,)),)

    def _pays(self, name: str, rule: Raw) -> str:
        fields = _Fields(rule)
        words: list[str] = []
        percent = fields.take("percent")
        if isinstance(percent, Mapping):
            words.append(", ".join(f"{band}: {_share(share)}" for band, share in cast(Raw, percent).items()))
        elif percent is not None:
            words.append("the full fare" if name == "adult" and percent == 100 else _share(percent))
        if fields.take("column"):
            words.append("amounts of its own, wherever a price stands")
        if (fare := fields.take("fare")) is not None:
            words.append(f"{self._price(fare)} for every ride")
        if other := fields.take("as"):
            words.append(f"as {other}")
        if rounding := fields.take("rounding"):
            words.append(_rounding(rounding))
        if subsidy := fields.take("subsidy"):
            words.append(self._subsidy(cast(Raw, subsidy)))
        return "; ".join([*words, *(one.rstrip(".") for one in fields.rest())])

    def _subsidy(self, subsidy: Raw) -> str:
        part = f"{subsidy['percent']} %" if "percent" in subsidy else self._price(subsidy.get("amount", "0"))
        whom = f" for those who live in {_any(subsidy['residents'])}" if subsidy.get("residents") else ""
        return f"{subsidy.get('payer')} pays {part} of it{whom}"

    def _bands(self) -> tuple[Rule, ...]:
        items = _tables(self.raw.get("band"))
        if not items:
            return ()
        rows: list[tuple[str, ...]] = []
        for place, item in enumerate(items):
            fields = _Fields(item)
            name, hours = str(fields.take("name")), _hours(fields)
            more: list[str] = []
            if into := fields.take("unless_into"):
                more.append(f"not for rides from outside into {_zones(into)}")
            if products := fields.take("products"):
                more.append(f"only {_any(products)}")
            more += [one.rstrip(".") for one in fields.rest()]
            rows.append((name, hours, "; ".join(more), _at(self._line("band", place))))
        figures = Figures(("Hours", "When", "More", "Line"), tuple(rows))
        return (Rule("", None, (f"All other hours are {self.raw.get('default_band')}.",), (figures,)),)

    def _ends(self) -> tuple[Rule, ...]:
        found: list[Rule] = []
        for name, title in (("journey", "The longest journey"), ("incomplete", "When a tap is missing")):
            if name not in self.raw:
                continue
            fields, sentences = _Fields(cast(Raw, self.raw[name])), list[str]()
            if name == "journey":
                minutes = fields.take("max_minutes")
                sentences.append(f"An exit later than {minutes} minutes after the entry does not answer it.")
                if (same := fields.take("same_stop")) is not None:
                    sentences.append(f"Leaving where one entered costs {self._price(same)}.")
            else:
                fare = fields.take("fare")
                whole = "the highest fare from the known stop" if fare == "highest" else self._price(fare)
                sentences.append(f"The journey costs {whole}.")
                counts = fields.take("counts")
                sentences.append(
                    "It counts towards caps and tiers." if counts else "It counts towards no cap and no tier."
                )
                if habit := fields.take("habit"):
                    sentences.append(
                        f"But where {habit.get('percent')} % of at least {habit.get('rides')} earlier rides had one "
                        "other end, that one is taken."
                    )
            found.append(Rule(title, self._line(name), (*sentences, *fields.rest())))
        return tuple(found)

    # -- the basis -----------------------------------------------------------------------------------------

    def _basis_section(self) -> tuple[Rule, ...]:
        if not isinstance(self.raw.get("basis"), Mapping):
            return ()
        fields = _Fields(cast(Raw, self.raw["basis"]))
        sentences, figures = self._basis(fields)
        return (Rule("Every ride", self._line("basis"), (*sentences, *fields.rest()), figures),)

    def _basis(self, fields: _Fields) -> tuple[list[str], tuple[Figures, ...]]:
        kind = str(fields.take("kind"))
        tell = {
            "flat": self._flat,
            "lines": self._lines,
            "distance": self._distance,
            "rate": self._rate,
            "zones": self._zone_spans,
            "zone-sets": self._zone_sets,
            "pairs": self._pairs,
            "cheapest": self._cheapest,
        }.get(kind)
        if kind == "gtfs-v2":
            return ["By the fares that the city’s feed publishes (GTFS Fares v2)."], ()
        if tell is None:
            return [f"By {_worded(kind).lower()}."], ()
        return tell(fields)

    def _flat(self, fields: _Fields) -> tuple[list[str], tuple[Figures, ...]]:
        fare = fields.take("fare", "0")
        if isinstance(fare, str):
            return [f"Every ride costs {self._price(fare)}."], ()
        return ["Every ride costs the same."], self._figures("", [("Fare", fare)])

    def _lines(self, fields: _Fields) -> tuple[list[str], tuple[Figures, ...]]:
        prices = cast(Raw, fields.take("line", {}))
        return ["A fare for each line."], self._figures("Line", list(prices.items()))

    def _distance(self, fields: _Fields) -> tuple[list[str], tuple[Figures, ...]]:
        measure = str(fields.take("measure", "network"))
        sentences = [f"By distance: {MEASURES.get(measure, measure)}."]
        if grace := fields.take("grace_m", 0):
            sentences.append(f"{grace:,} m are given free at each boundary.")
        rows: list[tuple[str, Any]] = []
        low = 0
        for band in _tables(fields.take("band")):
            high, unit = _edge(band, "up_to")
            rows.append(
                (
                    f"over {_length(low, unit)} up to {_length(high, unit)}"
                    if low
                    else f"up to {_length(high, unit)}",
                    band.get("fare", "0"),
                )
            )
            low = high
        for part in _tables(fields.take("beyond")):
            every, unit = _edge(part, "every")
            end = f", up to {_length(_edge(part, 'up_to')[0], unit)}" if _edge(part, "up_to")[0] else ""
            rows.append((f"then each further {_length(every, unit)} begun{end}: more", part.get("add", "0")))
        return sentences, self._figures("Distance", rows)

    def _rate(self, fields: _Fields) -> tuple[list[str], tuple[Figures, ...]]:
        measure = str(fields.take("measure", "network"))
        sentences = [f"A base and so much for each part of the way: {MEASURES.get(measure, measure)}."]
        rows = [
            (words, fields.take(key))
            for key, words in (
                ("base", "base"),
                ("per_km", "each kilometre"),
                ("per_stop", "each stop"),
                ("per_minute", "each minute"),
                ("least", "at least"),
                ("most", "at most"),
            )
            if key in fields.raw
        ]
        for part in _tables(fields.take("rate")):
            high, unit = _edge(part, "up_to")
            per = next((part[key] for key in ("per_km", "per_stop", "per_minute") if key in part), "0")
            words = f"each {unit if unit in ('stops', 'minutes') else 'kilometre'}"
            rows.append((f"{words} up to {_length(high, unit)}" if high else f"{words} beyond", per))
        if rounding := fields.take("rounding"):
            sentences.append(f"Rounded once, at the end: {_rounding(rounding)}.")
        return sentences, self._figures("Part", rows)

    def _zone_spans(self, fields: _Fields) -> tuple[list[str], tuple[Figures, ...]]:
        order = cast(Sequence[str], fields.take("order", []))
        sentences = [f"By the zones that are touched, from the centre outwards: {', '.join(order)}."]
        if fields.take("through"):
            sentences.append("Zones passed on the shortest way count too.")
        rows = [
            (", ".join(map(str, span.get("zones", []))), span.get("fare", "0"))
            for span in _tables(fields.take("span"))
        ]
        return sentences, self._figures("Zones", rows)

    def _zone_sets(self, fields: _Fields) -> tuple[list[str], tuple[Figures, ...]]:
        rows = [
            (f"{one.get('name')}: {_any(one.get('zones', []))}", one.get("fare", "0"))
            for one in _tables(fields.take("set"))
        ]
        return ["The cheapest set of zones that takes in the ride."], self._figures("Zones", rows)

    def _pairs(self, fields: _Fields) -> tuple[list[str], tuple[Figures, ...]]:
        name = str(fields.take("file", ""))
        text = self.source.tables.get(name, "")
        rows = max(0, text.count("\n") - (1 if text.endswith("\n") else 0))
        by = "fare zones" if fields.take("by") == "zone" else "stops"
        both = "one row serves both ways" if fields.take("symmetric", True) else "a row for each way"
        columns = text.partition("\n")[0].strip().split(",")[2:]
        fields.take("amounts")
        fields.take("prefix")
        return [
            f"By the table {name}: {rows:,} pairs of {by}, {both}; amounts for {_all(columns)}.",
        ], ()

    def _cheapest(self, fields: _Fields) -> tuple[list[str], tuple[Figures, ...]]:
        sentences, figures = ["The cheapest of these:"], list[Figures]()
        for item in _tables(fields.take("either")):
            inner = _Fields(item)
            words, tables = self._basis(inner)
            sentences += [*words, *inner.rest()]
            figures += tables
        return sentences, tuple(figures)

    # -- rules on top --------------------------------------------------------------------------------------

    def _rule(self, kind: str, place: int, item: Raw, tell: Any) -> Rule:
        fields = _Fields(item)
        name = str(fields.take("name", "") or "")
        sentences, figures = tell(fields)
        whom = _condition(fields)
        for_whom = [f"For {whom}."] if whom else []
        return Rule(name, self._line(kind, place), (*for_whom, *sentences, *fields.rest()), figures)

    def _fare(self, fields: _Fields) -> tuple[list[str], tuple[Figures, ...]]:
        sentences, figures = self._basis(fields)
        if fields.take("joined"):
            sentences.append("Only for rides that a join makes one.")
        if inside := fields.take("inside"):
            sentences.append("Inside every cap by zones." if inside == "*" else f"Counts as zones {inside}.")
        return sentences, figures

    def _override(self, fields: _Fields) -> tuple[list[str], tuple[Figures, ...]]:
        sentences = [f"Costs {self._price(fields.take('fare', '0'))}."]
        if gateways := fields.take("gateways"):
            sentences.append(f"The rest of the way is paid from the nearest of {_any(gateways)}.")
        if fields.take("tiers") is False:
            sentences.append("Stays out of what makes rides cheaper with use.")
        if fields.take("caps") is False:
            sentences.append("Stays out of the caps.")
        return sentences, ()

    def _discount(self, fields: _Fields) -> tuple[list[str], tuple[Figures, ...]]:
        sentences = []
        if (percent := fields.take("percent")) is not None:
            sentences.append(f"Rides cost {percent} % of their fare.")
        if (less := fields.take("less")) is not None:
            sentences.append(f"{self._price(less)} off.")
        if fields.take("adds"):
            sentences.append("Counts beside other discounts.")
        return sentences, ()

    def _fee(self, fields: _Fields) -> tuple[list[str], tuple[Figures, ...]]:
        per = {"leg": "each ride", "trip": "each trip", "day": "each day"}.get(str(fields.take("per", "leg")))
        sentences = [f"Adds {self._price(fields.take('amount', '0'))}, once {per}."]
        if most := fields.take("most"):
            sentences.append(f"At most {self._price(most.get('amount', '0'))} in a {most.get('period')}.")
        touched = [name for name in ("discounts", "tiers", "caps") if fields.take(name)]
        sentences.append(f"Touched by {_all(touched)}." if touched else "Outside discounts, tiers and caps.")
        return sentences, ()

    def _join(self, fields: _Fields) -> tuple[list[str], tuple[Figures, ...]]:
        sentences = [f"Rides within {fields.take('within_minutes')} minutes of the exit before are one fare."]
        by = {
            "ends": "from the first stop to the last",
            "zones": "by all zones touched",
            "distances": "by the sum of their metres",
        }
        sentences.append(f"Priced {by.get(str(fields.take('priced_by', 'ends')))}.")
        if fare := fields.take("fare"):
            sentences.append(f"By the rule “{fare}”.")
        if legs := fields.take("legs_max"):
            sentences.append(f"At most {legs} rides.")
        if minutes := fields.take("max_minutes"):
            sentences.append(f"At most {minutes} minutes from the first tap.")
        if fields.take("same_product"):
            sentences.append("All by the same means of travel.")
        return self._linked(fields, sentences), ()

    def _transfer(self, fields: _Fields) -> tuple[list[str], tuple[Figures, ...]]:
        since = {
            "first_tap": "the first tap of the ride that was paid",
            "next_hour": "the full hour after the first tap",
            "last_tap": "the last tap before",
            "exit": "the exit before",
        }.get(str(fields.take("window_from", "first_tap")))
        window = f"within {fields.take('window_minutes')} minutes of {since}"
        price = "is free"
        percent = fields.take("percent", 0)
        if "percent" in fields.raw or not fields.raw.keys() & {"less", "fare", "difference", "chain_max"}:
            shares = cast(Sequence[int], percent if isinstance(percent, list) else [percent])
            if any(shares):
                price = f"costs {', then '.join(f'{one} %' for one in shares)} of its fare"
        if (less := fields.take("less")) is not None:
            price = f"costs {self._price(less)} less"
        if (fare := fields.take("fare")) is not None:
            each = cast(Sequence[Any], fare if isinstance(fare, list) else [fare])
            price = f"costs {', then '.join(self._price(one) for one in each)}"
        if fields.take("difference"):
            price = "costs only what it is dearer than the rides before"
        if (most := fields.take("chain_max")) is not None:
            price = f"costs no more than makes {self._price(most)} in all"
        sentences = [f"A ride {window} {price}."]
        if count := fields.take("count_max"):
            sentences.append(f"At most {count} times.")
        if fields.take("other_product"):
            sentences.append("Only to another means of travel.")
        return self._linked(fields, sentences), ()

    def _linked(self, fields: _Fields, sentences: list[str]) -> list[str]:
        for key, words in (("before", "The ride before"), ("after", "The ride after")):
            side = fields.take(key)
            if isinstance(side, Mapping):
                inner = _Fields(cast(Raw, side))
                whom = _condition(inner)
                sentences += [f"{words}: {whom or 'any'}.", *inner.rest()]
        same = fields.take("same_line", "allowed")
        if same != "allowed":
            sentences.append("Not to the line just ridden." if same == "not_next" else "No line twice.")
        if at := fields.take("at"):
            pairs = [" and ".join(map(str, pair)) for pair in cast(Sequence[Sequence[str]], at)]
            sentences.append(
                f"Between {'; '.join(pairs[:6])}{f' and {len(pairs) - 6} more' if len(pairs) > 6 else ''}."
            )
        return sentences

    def _tier(self, fields: _Fields) -> tuple[list[str], tuple[Figures, ...]]:
        period, percent = fields.take("period"), fields.take("percent")
        rides, paid = fields.take("from_rides"), fields.take("from")
        once = f"{rides} rides are made" if rides else f"{self._price(paid)} is paid"
        return [f"Once {once} in a {period}, later rides cost {percent} % of their fare."], ()

    def _cap(self, fields: _Fields) -> tuple[list[str], tuple[Figures, ...]]:
        period = str(fields.take("period"))
        zones = fields.take("zones")
        inside = "" if zones is None else f" inside zones {zones if isinstance(zones, str) else _any(zones)}"
        amount = fields.take("amount", "0")
        when = f"in a {period}" if period in ("day", "week", "month") else f"in {period} from the first ride"
        sentences = [f"Rides{inside} cost at most {self._price(amount)} {when}."]
        if fields.take("extend"):
            sentences.append("A ride that leaves these zones pays only the zones beyond.")
        return sentences, ()

    def _carnet(self, fields: _Fields) -> tuple[list[str], tuple[Figures, ...]]:
        rides, fare = fields.take("rides"), self._price(fields.take("fare", "0"))
        return [f"{rides} rides in a {fields.take('period', 'day')} for {fare}, where that is cheaper."], ()

    def _pass(self, fields: _Fields) -> tuple[list[str], tuple[Figures, ...]]:
        percent = fields.take("percent", 0)
        sentences = [f"Who holds it pays {_share(percent)}."]
        if fields.take("extend"):
            sentences.append("A ride that leaves its zones pays only the zones beyond.")
        if price := fields.take("price"):
            lasts = str(fields.take("lasts"))
            length = f"a {lasts}" if lasts in ("day", "week", "month") else lasts
            sentences.append(f"It is sold here for {length}: {self._price(price)}.")
        return sentences, ()

    # -- amounts -------------------------------------------------------------------------------------------

    def _price(self, price: Any) -> str:
        flat = _flat_price(price)
        if list(flat) == [""]:
            return self._money(flat[""])
        return ", ".join(f"{self._money(amount)} ({name})" for name, amount in flat.items())

    def _money(self, text: Any) -> str:
        try:
            minor = Decimal(str(text)).scaleb(CURRENCY_EXPONENTS[self.currency])
            if minor == minor.to_integral_value():
                return str(Money(int(minor), self.currency))
        except (InvalidOperation, KeyError, ValueError):
            pass
        return f"{text} {self.currency}"

    def _figures(self, head: str, rows: Sequence[tuple[str, Any]]) -> tuple[Figures, ...]:
        prices = [(name, _flat_price(price)) for name, price in rows]
        columns = list(dict.fromkeys(column for _, price in prices for column in price))
        if not prices:
            return ()
        names = [column or "Fare" for column in columns]
        cells = tuple(
            (name, *(self._money(price[column]) if column in price else "–" for column in columns))
            for name, price in prices
        )
        return (Figures((head, *names), cells),)


_TOP = {
    "format",
    "operator",
    "city",
    "name",
    "currency",
    "valid_from",
    "valid_to",
    "tz",
    "day_starts",
    "default_band",
    "holidays",
    "companions",
    "media",
    "rounding",
    "minimum_balance",
}
"""Fields above the first heading that ``_facts`` and ``_bands`` tell."""


def _condition(fields: _Fields) -> str:
    """The rides that a rule speaks of, in words; empty for all."""
    words: list[str] = []
    for key, form in (
        ("classes", "{}"),
        ("products", "{} rides"),
        ("operators", "lines of {}"),
        ("lines", "line {}"),
        ("stops", "rides that begin or end at {}"),
        ("from_stops", "from {}"),
        ("to_stops", "to {}"),
        ("via", "with a tap on the way at {}"),
        ("from_zones", "from zone {}"),
        ("to_zones", "to zone {}"),
        ("media", "paid by {}"),
        ("bands", "in hours that are {}"),
        ("seasons", "in {}"),
    ):
        if key not in fields.told and (names := fields.take(key)):
            words.append(form.format(_any(cast(Sequence[object], names))))
    if "zones" not in fields.told and (zones := fields.take("zones")):
        words.append(f"inside zones {zones if isinstance(zones, str) else _any(zones)}")
    if fields.raw.keys() & {"days", "from", "to"}:
        words.append(_hours(fields))
    if unless := fields.take("unless"):
        if isinstance(unless, Mapping):
            inner = _Fields(cast(Raw, unless))
            words.append("but not " + " ".join([_condition(inner), *inner.rest()]))
        else:
            words.append(f"but not {_plain(unless)}")
    return ", ".join(words)


def _hours(fields: _Fields) -> str:
    days, starts, ends = fields.take("days"), fields.take("from"), fields.take("to")
    tap = {"exit": " at the exit", "first": " at the first tap of the trip"}.get(
        str(fields.take("tap", "entry")), ""
    )
    when = f"{starts}–{ends}{tap}" if isinstance(starts, str) and isinstance(ends, str) else ""
    return " ".join(filter(None, (_days(days) if days else "", when)))


def _days(days: Sequence[str]) -> str:
    if set(days) == set(DAYS):
        return "every day"
    week = tuple(DAYS)[:7]
    if len(days) > 2 and days[0] in week:
        first = week.index(days[0])
        if tuple(days) == week[first : first + len(days)]:
            return f"{DAYS[days[0]]} to {DAYS[days[-1]]}"
    return _all([DAYS.get(one, one) for one in days])


def _flat_price(price: Any) -> dict[str, Any]:
    """An amount, or amounts by class, hour and medium at any depth, by their names."""
    if not isinstance(price, Mapping):
        return {"": price}
    found: dict[str, Any] = {}
    for name, inner in cast(Raw, price).items():
        for more, amount in _flat_price(inner).items():
            found[f"{name}, {more}" if more else str(name)] = amount
    return found


def _tables(value: Any) -> list[Raw]:
    if isinstance(value, Mapping):
        return [cast(Raw, value)]
    if isinstance(value, list):
        return [cast(Raw, one) for one in cast(list[Any], value) if isinstance(one, Mapping)]
    return []


def _edge(item: Raw, word: str) -> tuple[int, str]:
    for unit in ("m", "stops", "minutes"):
        value = item.get(f"{word}_{unit}")
        if isinstance(value, int):
            return value, unit
    return 0, "m"


def _length(value: int, unit: str) -> str:
    if unit != "m":
        return f"{value:,} {unit}"
    return f"{value / 1000:g} km" if value >= 1000 and value % 10 == 0 else f"{value:,} m"


def _share(percent: Any) -> str:
    return (
        "nothing"
        if percent == 0
        else "the adult fare"
        if percent == 100
        else f"{percent} % of the adult fare"
    )


def _rounding(rounding: Any) -> str:
    if not isinstance(rounding, Mapping):
        return _plain(rounding)
    way = {
        "half_even": "to the nearest",
        "half_up": "to the nearest",
        "up": "up to the next",
        "down": "down to the last",
    }
    told = cast(Raw, rounding)
    return f"{way.get(str(told.get('mode', 'half_even')), 'to')} {told.get('step', 'minor unit')}"


def _zones(zones: Sequence[object]) -> str:
    return f"zone {_any(zones)}"


def _day(day: object) -> str:
    return f"{day.day} {day:%B %Y}" if isinstance(day, date) else str(day)


def _any(names: Sequence[object]) -> str:
    return _listed(names, "or")


def _all(names: Sequence[object]) -> str:
    return _listed(names, "and")


def _listed(names: Sequence[object], word: str) -> str:
    told = [str(one) for one in names]
    if len(told) > 8:
        told = [*told[:7], f"{len(told) - 7} more"]
        word = "and"
    return told[0] if len(told) == 1 else f"{', '.join(told[:-1])} {word} {told[-1]}" if told else ""


def _worded(name: str) -> str:
    return name.replace("_", " ").replace("-", " ").capitalize()


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return ", ".join(
            f"{_worded(str(key)).lower()} {_plain(one)}" for key, one in cast(Raw, value).items()
        )
    if isinstance(value, list):
        return _all([_plain(one) for one in cast(list[Any], value)])
    return str(value)


def _at(line: int | None) -> str:
    return str(line) if line else ""
