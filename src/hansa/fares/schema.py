"""The words of a tariff file, as data: from them come the JSON Schema and the reference in docs/tariffs.

``python -m hansa.fares.schema DIRECTORY`` writes both. A test holds them against what the readers know.
"""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hansa.fares.model import RIDER_CLASSES
from hansa.fares.parts.basis import KINDS, SINGLE_KINDS
from hansa.fares.parts.condition import TAPS
from hansa.fares.parts.distance import MEASURES
from hansa.fares.parts.feed import UNKNOWN_EXITS
from hansa.fares.parts.links import JOIN_HOURS, JOIN_WAYS
from hansa.fares.tables import DAY_TYPES, WORD

Node = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Word:
    """One field. kind: how it is written, a key of ``KINDS_OF_VALUE``, a choice, a range, or ``table``/``tables``.

    default: what holds without it; None where it must stand, empty where nothing does.
    """

    name: str
    kind: str
    meaning: str
    default: str | None = ""
    options: tuple[str, ...] = ()
    low: int = 0
    high: int = 0
    of: str = ""


def _whole(name: str, low: int, high: int, meaning: str, default: str | None = "") -> Word:
    return Word(name, "whole", meaning, default, low=low, high=high)


def _choice(name: str, options: tuple[str, ...], meaning: str, default: str | None = "") -> Word:
    return Word(name, "choice", meaning, default, options)


_CONDITION = (
    Word("products", "words", "modes, as taps name them"),
    Word("lines", "words", "lines"),
    Word("operators", "words", "whose lines, where a tariff tells operators apart"),
    Word("stops", "words", "either end"),
    Word("from_stops", "words", "where the ride begins"),
    Word("to_stops", "words", "where it ends"),
    Word("via", "words", "stops of readers inside, `interchange_stops`, one of which proves the way"),
    Word("from_zones", "texts", "zone where it begins; on a boundary either"),
    Word("to_zones", "texts", "zone where it ends"),
    Word("zones", "texts", "all zones it touches lie among these"),
    Word("classes", "texts", "classes of this tariff"),
    Word("media", "texts", "media of this tariff"),
    Word("bands", "texts", "time bands of this tariff"),
    Word("seasons", "texts", "seasons of this tariff, on the service day of the first tap"),
    Word("days", "day_types", "day types", "every day"),
    Word("from", "clock", "from this time of day", "00:00"),
    Word("to", "clock", "to this time of day, itself not in", "24:00"),
    _choice("tap", TAPS, "whose time counts: entry, exit, or the first tap of the trip", "entry"),
    Word("unless", "table", "rides that are left out, in the same words", of="condition"),
)
_UNTIMED = tuple(word for word in _CONDITION if word.name not in ("days", "from", "to", "tap"))
_MEASURE = _choice(
    "measure", MEASURES, "what counts: metres in five ways, stops, or minutes from tap to tap", "network"
)
_THROUGH = Word("through", "flag", "zones passed on the shortest way count too", "true")
_ROUNDING = Word("rounding", "table", "how a worked-out amount is rounded", of="rounding")
_WALKS = Word("at", "pairs", "pairs of stops, out at one and in at the other, either way round", "anywhere")
_SAME_LINE = _choice(
    "same_line", ("allowed", "not_next", "never"), "whether a line may be ridden again", "allowed"
)
_FEED = (
    _whole(
        "apart_minutes", 1, 1_440, "`gtfs-v2`: a ride so long after the one before begins another journey"
    ),
    Word("categories", "table", "`gtfs-v2`: the feed's rider category of each class", of="categories"),
    Word("fare_media", "texts", "`gtfs-v2`: the feed's media with which rides may be paid", "any"),
    Word("medium", "table", "`gtfs-v2`: the same for each medium of this tariff", of="medium"),
    _choice("exit_unknown", UNKNOWN_EXITS, "`gtfs-v2`: a boarding whose fare hangs on the exit", "held"),
)
_ACROSS = Word("across_days", "flag", "it holds over the edge of a service day", "false")
_BASIS = (
    _choice("kind", KINDS, "which basis", None),
    Word("fare", "price", "`flat`: the fare"),
    Word("line", "table", "`lines`: a price for each line, by its id", of="line"),
    _MEASURE,
    _whole("grace_m", 0, 10_000, "`distance`: metres given free at each boundary", "0"),
    Word("band", "tables", "`distance`: the bands in rising order", of="distance band"),
    Word(
        "beyond",
        "table or tables",
        "`distance`: what longer rides add; without it they have no fare",
        of="beyond",
    ),
    Word("base", "price", "`rate`: what each ride costs before its metres", "0"),
    Word("per_km", "rate", "`rate`: for each kilometre, where one rate holds for all"),
    Word("per_stop", "rate", "the same by stops"),
    Word("per_minute", "rate", "the same by minutes"),
    Word("rate", "tables", "`rate`: rates by stretch", of="rate"),
    _whole("every_m", 1, 1_000_000, "`rate`: metres count in whole steps of this", "1"),
    _whole("every_stops", 1, 1_000_000, "the same by stops", "1"),
    _whole("every_minutes", 1, 1_000_000, "the same by minutes", "1"),
    Word("least", "price", "`rate`: the least a ride costs"),
    Word("most", "price", "`rate`: the most a ride costs"),
    _ROUNDING,
    Word("order", "words", "`zones`: from the centre outwards"),
    Word("span", "tables", "`zones`: a fare for every span of the order", of="span"),
    _THROUGH,
    Word(
        "set", "tables", "`zone-sets`: the sets, of which the cheapest that holds the ride counts", of="set"
    ),
    Word("count", "tables", "`zone-count`: for one zone, two zones, and so on", of="count"),
    Word("highest_stays", "flag", "`zone-count`: the last fare stands for any greater number", "false"),
    Word("either", "tables", "`cheapest`: the bases of which the cheapest counts", of="either"),
    Word("file", "text", '`pairs`, and `measure = "table"`: the CSV file beside tariff.toml'),
    _choice("amounts", ("minor", "major"), "`pairs`: cents, or 12.50"),
    Word("prefix", "text", "the same: put before every stop id"),
    Word("symmetric", "flag", "the same: one row serves both ways", "true"),
    _choice("by", ("stop", "zone"), "`pairs`: what the table names", "stop"),
    *_FEED,
)

_UP_TO = (
    _whole("up_to_m", 1, 10_000_000, "up to and including, by metres; the last part beyond may have none"),
    _whole("up_to_stops", 1, 10_000_000, "the same by stops"),
    _whole("up_to_minutes", 1, 10_000_000, "the same by minutes"),
)

TABLES: dict[str, tuple[Word, ...]] = {
    "": (
        _whole("format", 1, 1, "the form of this file", None),
        Word("operator", "word", "the member who runs the gates", None),
        Word("city", "word", "its city", None),
        Word("name", "text", "what the tariff is called", None),
        Word("currency", "text", "ISO 4217", None),
        Word("valid_from", "day", "first service day it prices", None),
        Word("valid_to", "day", "last service day, inclusive", "until the next version"),
        Word("tz", "text", "IANA time zone", None),
        Word("day_starts", "clock", "when a service day begins", None),
        Word("default_band", "word", "the time band outside all others; needed where there are bands"),
        Word("holidays", "days", "days that are `holiday` and no weekday"),
        Word("season", "tables", "parts of the year, and days that are named", of="season"),
        _choice("day_types_by", ("calendar", "service"), "which day a ride at 02:00 is of", "calendar"),
        Word("media", "words", "how fares can be paid, where it matters"),
        Word("companions", "word", "the class that those pay as who ride along", "adult"),
        Word("minimum_balance", "price", "what a wallet must hold to enter"),
        Word("classes", "table", "who pays how", None, of="classes"),
        _ROUNDING,
        Word("basis", "table", "what rides cost that no `[[fare]]` speaks of", None, of="basis"),
        Word("journey", "table", "what a journey is", None, of="journey"),
        Word("pairing", "table", "which taps make one journey, beyond entry and exit", of="pairing"),
        Word("incomplete", "table", "a missing tap", None, of="incomplete"),
        Word("band", "tables", "hours with prices of their own", of="band"),
        Word("fare", "tables", "rules for some rides, in order; the first that holds", of="fare"),
        Word("override", "tables", "stops or lines with a fare of their own", of="override"),
        Word("fee", "tables", "what is added", of="fee"),
        Word("discount", "tables", "what some rides cost less", of="discount"),
        Word("join", "tables", "rides priced as one", of="join"),
        Word("transfers", "table", "one rule for transfers, counted from the first tap", of="transfers"),
        Word("transfer", "tables", "rides soon after another", of="transfer"),
        Word("pass", "tables", "products the rider may hold", of="pass"),
        Word("tier", "tables", "cheaper, the more is used", of="tier"),
        Word("cap", "tables", "the most that rides cost in a period", of="cap"),
        Word("carnet", "tables", "so many rides for one price", of="carnet"),
    ),
    "classes": (Word("*", "table", "a class; the league's four must be there", of="class"),),
    "class": (
        Word("column", "flag", "it has amounts of its own wherever a price stands", "false"),
        Word("percent", "percent", "its share of the adult's, in percent; by time band too"),
        Word("fare", "amount", "every ride costs this"),
        Word("as", "word", "it pays as another class of this tariff"),
        _ROUNDING,
        Word("subsidy", "table", "what another member pays of it", of="subsidy"),
    ),
    "subsidy": (
        Word("payer", "word", "the member", None),
        Word("residents", "words", "of these cities", "everybody"),
        _whole("percent", 1, 100, "of what is left after caps"),
        Word("amount", "amount", "or an amount, at most all of it"),
    ),
    "rounding": (
        Word("step", "amount", "to a multiple of this", None),
        _choice("mode", ("half_even", "half_up", "up", "down"), "which way", None),
    ),
    "basis": _BASIS,
    "either": tuple(
        _choice("kind", SINGLE_KINDS, "which basis", None) if word.name == "kind" else word
        for word in _BASIS
        if word.name != "either" and word not in _FEED
    ),
    "categories": (Word("*", "text", "a class of this tariff", "the feed's default"),),
    "medium": (Word("*", "texts", "a medium of this tariff"),),
    "distance band": (
        *_UP_TO,
        Word("fare", "price", "the fare", None),
    ),
    "beyond": (
        _whole("every_m", 1, 10_000_000, "for each stretch begun"),
        _whole("every_stops", 1, 10_000_000, "the same by stops"),
        _whole("every_minutes", 1, 10_000_000, "the same by minutes"),
        Word("add", "price", "so much more", None),
        *_UP_TO,
    ),
    "rate": (
        Word("per_km", "rate", "for each kilometre"),
        Word("per_stop", "rate", "the same by stops"),
        Word("per_minute", "rate", "the same by minutes"),
        *_UP_TO,
    ),
    "span": (
        Word("zones", "texts", "spans, `1` or `1-3`", None),
        Word("fare", "price", "the fare", None),
    ),
    "set": (
        Word("zones", "texts", "the zones", None),
        Word("name", "text", "what it is called", "the zones"),
        Word("fare", "price", "the fare", None),
    ),
    "count": (
        _whole("zones", 1, 1_000, "how many", None),
        Word("fare", "price", "the fare", None),
    ),
    "line": (Word("*", "price", "the fare of a line", ""),),
    "journey": (
        _whole("max_minutes", 1, 1_440, "an exit later than this does not answer its entry", None),
        Word("same_stop", "price", "leaving where one entered", "as the basis says"),
    ),
    "pairing": (
        _whole("double_seconds", 0, 300, "taps at one side of one place within this are one", "0"),
        _whole(
            "vehicle_change_minutes",
            0,
            1_440,
            "boarding the same line again at another reader within this is the same ride",
            "0",
        ),
        _whole(
            "reentry_minutes",
            0,
            1_440,
            "coming back in where one left, within this, goes on with the journey",
            "0",
        ),
        _whole(
            "same_stop_minutes",
            0,
            1_440,
            "leaving where one entered after more than this is an incomplete journey",
            "any time",
        ),
        Word("tap_off", "words", "products with a tap on the vehicle when boarding and when leaving"),
        Word("interchange_stops", "words", "where a `board` tap of no line proves the way and is no ride"),
        _whole("late_minutes", 1, 1_440, "a tap that reaches us later than this is noted", "60"),
        Word("stated", "table", "missing ends that riders state", of="stated"),
    ),
    "stated": (
        _whole("per_month", 0, 100, "how many a rider may state in a calendar month", None),
        _whole("within_days", 1, 366, "how long after the journey", "14"),
        _whole("speed_max_kmh", 5, 1_000, "nobody travels faster over the network", "150"),
    ),
    "incomplete": (
        Word("fare", "price or highest", "a price, or the highest fare from the known stop", None),
        Word("counts", "flag", "towards tiers and into caps", "false"),
        Word("habit", "table", "take the rider's usual other end", of="habit"),
    ),
    "habit": (
        _whole("percent", 51, 100, "at least this share of earlier rides went there", None),
        _whole("rides", 2, 1_000, "of at least so many", None),
    ),
    "band": (
        Word("name", "word", "what prices call it; may stand several times", None),
        Word("days", "day_types", "day types", None),
        Word("from", "clock", "begins", None),
        Word("to", "clock", "ends, itself not in", None),
        Word("unless_into", "words", "not for rides from outside these zones into them"),
        _choice("tap", TAPS, "whose time counts", "entry"),
        *(word for word in _UNTIMED if word.name not in ("zones", "classes", "bands")),
    ),
    "season": (
        Word("name", "word", "what conditions call it; may stand several times", None),
        Word("from", "month_day", "its first day, every year"),
        Word("until", "month_day", "its last day, itself in; a season may go over the new year"),
        Word("dates", "days", "or single days"),
    ),
    "fare": (
        Word("name", "text", "what it is called", None),
        *_CONDITION,
        *_BASIS,
        Word("joined", "flag", "for joined rides that name it, and no ride by itself", "false"),
        Word(
            "inside", "text", "the zones its rides count in for caps; `*` is inside any", "as the basis tells"
        ),
    ),
    "override": (
        Word("name", "text", "what it is called", None),
        Word("fare", "price", "what it costs", None),
        Word("stops", "words", "rides that begin or end here"),
        Word("gateways", "words", "the rest of the way is paid from the nearest of these", "it covers all"),
        Word("lines", "words", "boardings of these lines"),
        Word("tiers", "flag", "counts towards tiers", "true"),
        Word("caps", "flag", "is taken into caps", "true"),
    ),
    "fee": (
        Word("name", "text", "what it is called", None),
        Word("amount", "price", "by class; a class that is not named pays the adult's", None),
        *_CONDITION,
        _choice("per", ("leg", "trip", "day"), "once each", "leg"),
        Word("discounts", "flag", "discounts take from it", "false"),
        Word("tiers", "flag", "tiers take from it and count it", "false"),
        Word("caps", "flag", "caps take it in", "false"),
        Word("most", "table", "the most it costs", of="most"),
    ),
    "most": (
        _choice("period", ("day", "week", "month"), "in each", None),
        Word("amount", "price", "by class", None),
    ),
    "discount": (
        Word("name", "text", "what it is called", None),
        _whole("percent", 0, 99, "what is still paid"),
        Word("less", "price", "or an amount off, at most all"),
        *_CONDITION,
        Word("adds", "flag", "it counts beside others; else the first that holds", "false"),
        Word("of_whole", "flag", "of the fare before any discount", "false"),
        Word("any_ride", "flag", "among joined rides one that fits is enough", "false"),
    ),
    "join": (
        Word("name", "text", "what it is called", None),
        _whole("within_minutes", 0, 1_440, "after the exit before", None),
        *_CONDITION,
        Word(
            "before", "table", "what the ride just before must be", "as the ride that joins", of="condition"
        ),
        _WALKS,
        Word("same_stop", "flag", "one goes on where one got off", "false"),
        _whole("legs_max", 2, 1_000, "rides in all", "any"),
        _whole("max_minutes", 1, 1_440, "from the first tap to the tap that joins", "any"),
        Word("same_product", "flag", "all of one product", "false"),
        _SAME_LINE,
        Word("once", "words", "products that may be entered once only"),
        _choice(
            "priced_by",
            JOIN_WAYS,
            "from end to end, through all zones, by all metres, or by the most from any entry to any exit",
            "ends",
        ),
        _choice(
            "hour",
            JOIN_HOURS,
            "under whose hour; by `each`, every ride adds under its own",
            "first",
        ),
        Word("fare", "text", "the `[[fare]]` that prices it", "the dearest of its rides' rules"),
        Word("never_more", "flag", "no more in all than each ride by itself would cost", "true"),
        _ACROSS,
    ),
    "transfers": (
        _choice("window_from", ("first_tap",), "of the ride that was paid", None),
        _whole("window_minutes", 1, 1_440, "for so long", None),
        _whole("percent", 0, 99, "what a transfer still pays", "0"),
        _whole("count_max", 1, 1_000, "transfers to one paid ride", "any"),
        Word("products", "words", "of both rides", "all"),
    ),
    "transfer": (
        Word("name", "text", "what it is called"),
        _choice(
            "window_from", ("first_tap", "next_hour", "last_tap", "exit"), "from where the window runs", None
        ),
        _whole("window_minutes", 1, 1_440, "for so long", None),
        Word("percent", "percents", "one of five: what a transfer still pays; 100 only makes it one trip"),
        Word("fare", "prices", "one of five: what a transfer costs, at most its own fare"),
        Word("less", "price", "one of five: an amount off, by class"),
        Word("difference", "flag", "one of five: only what it costs more than the dearest before"),
        Word("chain_max", "price", "one of five: the most that all rides of the window cost"),
        _whole("count_max", 1, 1_000, "transfers to one paid ride", "any"),
        Word("before", "table", "the ride that opens the window", "any", of="condition"),
        Word("after", "table", "the ride that costs less", "any", of="condition"),
        _SAME_LINE,
        Word("other_product", "flag", "not of the product just before", "false"),
        Word("same_product", "flag", "of the product just before only", "false"),
        _ACROSS,
        _WALKS,
    ),
    "condition": _CONDITION,
    "pass": (
        Word("name", "text", "the product", None),
        _whole("percent", 0, 99, "what is still paid", "0"),
        *_CONDITION,
        Word("within", "words", "both ends of the ride lie among these stops", "anywhere"),
        Word(
            "extend",
            "flag",
            "rides that leave it pay what is beyond, from the best of its stops",
            "false",
        ),
        Word("price", "price", "what it is sold for, by class", "not sold here"),
        Word("lasts", "text", "`day`, `week`, `month`, or so many: `10 days`"),
    ),
    "tier": (
        _choice("period", ("week", "month"), "counted over", None),
        Word("from", "amount", "from so much paid on"),
        _whole("from_rides", 1, 100_000, "or after so many trips"),
        _whole("percent", 0, 100, "what later rides cost", None),
        Word("name", "text", "the ladder it belongs to; needed where it is for some rides only"),
        *_UNTIMED,
    ),
    "cap": (
        Word(
            "period",
            "text",
            "`day`, `week` from Monday, `month`, `7 days` from the first ride, or `24 hours` from its tap",
            None,
        ),
        Word("amount", "price", "by class; a class that is not named has the adult's", None),
        Word("name", "text", "what it is called", "from period and scope"),
        Word("zones", "text or texts", "a span of the order, `1-3`, or a list of zones", "everywhere"),
        Word("products", "words", "of these products", "all"),
        Word("days", "day_types", "a daily cap on these day types", "every day"),
        *(word for word in _UNTIMED if word.name not in ("zones", "products")),
        Word("extend", "flag", "rides that leave its zones pay the zones beyond", "false"),
        Word("currency", "text", "the tariff's; another is refused"),
    ),
    "carnet": (
        Word("name", "text", "what it is called", None),
        _whole("rides", 2, 1_000, "how many", None),
        Word("fare", "price", "by class", None),
        _choice("period", ("day", "week", "month"), "within which they must lie", "day"),
        *_CONDITION,
    ),
}


def _one_or_list(name: str) -> Node:
    one = {"$ref": f"#/$defs/{name}"}
    return {"anyOf": [one, {"type": "array", "minItems": 1, "items": one}]}


_VALUES: dict[str, tuple[str, Node]] = {
    "text": ("text", {"type": "string", "minLength": 1, "maxLength": 200}),
    "word": ("word", {"type": "string", "pattern": f"^{WORD.pattern}$"}),
    "words": (
        "list of words",
        {"type": "array", "minItems": 1, "items": {"type": "string", "pattern": f"^{WORD.pattern}$"}},
    ),
    "texts": ("list of texts", {"type": "array", "minItems": 1, "items": {"type": "string", "minLength": 1}}),
    "text or texts": ("text or list", {"type": ["string", "array"], "minLength": 1, "minItems": 1}),
    "flag": ("true or false", {"type": "boolean"}),
    "day": ("day, bare", {"type": "string", "format": "date"}),
    "days": ("list of days", {"type": "array", "items": {"type": "string", "format": "date"}}),
    "month_day": (
        "day of the year",
        {"type": "string", "pattern": "^(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$"},
    ),
    "clock": ("time of day", {"type": "string", "pattern": "^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$"}),
    "day_types": ("list of day types", {"type": "array", "minItems": 1, "items": {"enum": list(DAY_TYPES)}}),
    "amount": ("amount", {"type": "string", "pattern": "^[0-9]{1,12}(\\.[0-9]{1,4})?$"}),
    "price": ("price", {"$ref": "#/$defs/price"}),
    "price or highest": ("price, or `highest`", {"anyOf": [{"const": "highest"}, {"$ref": "#/$defs/price"}]}),
    "rate": ("price, however fine", {"$ref": "#/$defs/fine-price"}),
    "percent": (
        "0 to 100, or by band",
        {
            "anyOf": [
                {"$ref": "#/$defs/percent"},
                {"type": "object", "additionalProperties": {"$ref": "#/$defs/percent"}},
            ]
        },
    ),
    "percents": ("0 to 100, or a list for the first, second, ... transfer", _one_or_list("percent")),
    "prices": ("price, or a list for the first, second, ... transfer", _one_or_list("price")),
    "pairs": (
        "list of pairs of stops",
        {
            "type": "array",
            "items": {"type": "array", "minItems": 2, "maxItems": 2, "items": {"type": "string"}},
        },
    ),
}


def schema() -> Node:
    """The JSON Schema (2020-12) of a tariff file; days as ISO 8601 texts."""
    prices = {
        name: {
            "anyOf": [
                {"type": "string", "pattern": f"^[0-9]{{1,12}}(\\.[0-9]{{1,{digits}}})?$"},
                {"type": "object", "minProperties": 1, "additionalProperties": {"$ref": f"#/$defs/{name}"}},
            ]
        }
        for name, digits in (("price", 4), ("fine-price", 9))
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A tariff of Hansa, format 1",
        **_table(""),
        "$defs": {
            **prices,
            "percent": {"type": "integer", "minimum": 0, "maximum": 100},
            **{_slug(name): _table(name) for name in TABLES if name},
        },
    }


def _table(name: str) -> Node:
    words = TABLES[name]
    if words[0].name == "*":
        node: Node = {"type": "object", "additionalProperties": _value(words[0])}
        return node | ({"required": list(RIDER_CLASSES)} if name == "classes" else {})
    node = {
        "type": "object",
        "additionalProperties": False,
        "properties": {word.name: {**_value(word), "description": word.meaning} for word in words},
    }
    required = [word.name for word in words if word.default is None]
    return node | ({"required": required} if required else {})


def _value(word: Word) -> Node:
    match word.kind:
        case "choice":
            return {"enum": list(word.options)}
        case "whole":
            return {"type": "integer", "minimum": word.low, "maximum": word.high}
        case "table":
            return {"$ref": f"#/$defs/{_slug(word.of)}"}
        case "tables":
            return {"type": "array", "items": {"$ref": f"#/$defs/{_slug(word.of)}"}}
        case "table or tables":
            one = {"$ref": f"#/$defs/{_slug(word.of)}"}
            return {"anyOf": [one, {"type": "array", "items": one}]}
        case _:
            return _VALUES[word.kind][1]


def _slug(name: str) -> str:
    return name.replace(" ", "-")


_TITLES = {
    "": "Above the first heading, and the headings there are",
    "classes": "`[classes]`",
    "class": "`[classes.NAME]`",
    "basis": "`[basis]`, and the same words in a `[[fare]]`",
    "condition": "Conditions: `before`, `after`, and among the fields of rules",
}
_MANY = {
    "band",
    "season",
    "fare",
    "override",
    "fee",
    "discount",
    "join",
    "transfer",
    "pass",
    "tier",
    "cap",
    "carnet",
}


def reference() -> str:
    """The page that says what each word means, its type, its range and its default."""
    parts = [_INTRODUCTION]
    for name, words in TABLES.items():
        title = _TITLES.get(name) or (f"`[[{name}]]`" if name in _MANY else f"`{name}`")
        parts.append(f"## {title}\n")
        shared = name != "condition" and all(word in words for word in _CONDITION)
        same = _BASIS if name == "fare" else TABLES["either"] if name == "either" else ()
        if shared:
            parts.append("Conditions may stand here too (see there).\n")
        parts.append("| word | written as | means | without it |\n|---|---|---|---|")
        for word in words:
            if (shared and word in _CONDITION) or (word in same and word.name != "kind"):
                continue
            missing = "must stand" if word.default is None else word.default
            parts.append(f"| `{word.name}` | {_written(word)} | {word.meaning} | {missing} |")
        if same:
            parts.append("\nThe words of `[basis]` stand in the same table.")
        parts.append("")
    return "\n".join(parts)


def _written(word: Word) -> str:
    match word.kind:
        case "choice":
            return " · ".join(f"`{option}`" for option in word.options)
        case "whole":
            return f"{word.low:,} to {word.high:,}" if word.low != word.high else str(word.low)
        case "table" | "tables" | "table or tables":
            return f"{word.kind}: {word.of}"
        case _:
            return _VALUES[word.kind][0]


_INTRODUCTION = """# Every word of a tariff

Made from the words as the program knows them (`src/hansa/fares/schema.py`), like `schema.json` beside it. How to write
a tariff is told in [README.md](README.md), with examples from cities in [examples.md](examples.md).

- **word**: small letters, digits, `/`, `-`, `_`: `beijing/xizhimen`.
- **amount**: in quotes, in major units, exactly: `"8.90"`.
- **price**: an amount, or a table of amounts by class, time band and medium, one inside the other in any order.
- **time of day**: `"06:30"`, up to `"24:00"`. **day**: `2026-01-01`, without quotes.
- **day type**: `mon` to `sun`; a holiday is `holiday` and no weekday.
- A word that is not known is a fault, so a misspelt rule is never left out in silence.
"""


def main() -> None:
    """Write ``schema.json`` and ``reference.md``."""
    folder = Path(sys.argv[1])
    (folder / "schema.json").write_text(
        json.dumps(schema(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
    )
    (folder / "reference.md").write_text(reference(), encoding="utf-8")


if __name__ == "__main__":
    main()
