"""Reading one table of a tariff's text: each field is checked, and each fault has file, line, field and remedy."""

import re
from collections.abc import Callable, Mapping
from datetime import date, time
from fractions import Fraction
from typing import Any, TypeVar, cast

from hansa.fares.parts.price import ANY_TIME, Price, Rate, Rounding, RoundingMode
from hansa.kernel import Problem

WORD = re.compile(r"[a-z0-9][a-z0-9/_-]{0,119}")
DAY_TYPES = ("mon", "tue", "wed", "thu", "fri", "sat", "sun", "holiday")
PROBLEMS_MAX = 200
_AMOUNT = re.compile(r"\d{1,12}(\.\d{1,4})?")
Figure = TypeVar("Figure", int, Fraction)
_RATE = re.compile(r"\d{1,9}(\.\d{1,9})?")


class Lines:
    """Where in a TOML text a key stands: by table headers and ``key =`` at the start of a line."""

    def __init__(self, text: str) -> None:
        self._at: dict[str, int] = {}
        counts: dict[str, int] = {}
        table = ""
        for number, line in enumerate(text.splitlines(), 1):
            bare = line.strip()
            if bare.startswith("[["):
                name = self._within(bare[2:].split("]]")[0].strip(), counts)
                index = counts[name] = counts.get(name, -1) + 1
                table = f"{name}[{index}]"
                self._at[table] = number
                self._at.setdefault(name, number)
            elif bare.startswith("[") and "=" not in bare.split("]")[0]:
                table = self._within(bare[1:].split("]")[0].strip(), counts, whole=True)
                self._at.setdefault(table, number)
                self._at.setdefault(table.split(".")[0], number)
            elif match := re.match(r"""["']?([A-Za-z0-9_.-]+)["']?\s*=""", bare):
                self._at.setdefault(f"{table}.{match[1]}" if table else match[1], number)

    @staticmethod
    def _within(name: str, counts: Mapping[str, int], *, whole: bool = False) -> str:
        """``fare.band`` as ``fare[2].band``: a part that is a list means its last element."""
        path = ""
        parts = name.split(".")
        for place, part in enumerate(parts):
            path = f"{path}.{part}" if path else part
            if path in counts and (whole or place < len(parts) - 1):
                path = f"{path}[{counts[path]}]"
        return path

    def find(self, field: str) -> int | None:
        """The line of the field, else of the nearest thing around it."""
        while field:
            if field in self._at:
                return self._at[field]
            cut = max(field.rfind("."), field.rfind("["))
            field = field[:cut] if cut > 0 else ""
        return None


class Reading:
    """What reading a tariff knows by now, and every fault found so far.

    classes, media, bands, seasons: the names the tariff has. own: classes that need an amount of their own in every
        price.
    """

    def __init__(self, toml: str, tables: Mapping[str, str], file: str) -> None:
        self.tables = tables
        self.file = file
        self.lines = Lines(toml)
        self.problems: list[Problem] = []
        self.currency = ""
        self.exponent = 2
        self.bands: frozenset[str] = frozenset()
        self.default_band = ANY_TIME
        self.classes: tuple[str, ...] = ()
        self.media: tuple[str, ...] = ()
        self.seasons: tuple[str, ...] = ()
        self.own: frozenset[str] = frozenset({"adult"})

    def wrong(self, where: str, what: str, remedy: str) -> None:
        """Note a fault; a few hundred are enough."""
        if len(self.problems) < PROBLEMS_MAX:
            self.problems.append(Problem(where, what, remedy))

    def minor(self, text: str) -> int | None:
        """``"8.90"`` in minor units, exactly; None when it is no amount of this currency."""
        if not _AMOUNT.fullmatch(text):
            return None
        whole, _, fraction = text.partition(".")
        if len(fraction.rstrip("0")) > self.exponent:
            return None
        return int(whole) * 10**self.exponent + int((fraction + "0" * self.exponent)[: self.exponent] or "0")

    def rate(self, text: str) -> Fraction | None:
        """``"0.2115"`` in minor units, exactly, however fine; None when it is no number."""
        return Fraction(text) * 10**self.exponent if _RATE.fullmatch(text) else None


class Table:
    """One TOML table while it is read: each getter checks, reports, and remembers which keys are known."""

    def __init__(self, reading: Reading, raw: Mapping[str, Any] | None, path: str) -> None:
        self.reading, self.path = reading, path
        self.present = raw is not None
        self.raw: Mapping[str, Any] = raw or {}
        self._known: set[str] = set()

    def __contains__(self, key: str) -> bool:
        """Whether the field stands here; who asks knows it."""
        self._known.add(key)
        return key in self.raw

    @property
    def clause(self) -> str:
        """How a fare's steps name this part of the tariff: ``cap[1] line 93``."""
        line = self.reading.lines.find(self.path)
        return f"{self.path} line {line}" if line else self.path

    def wrong(self, key: str, what: str, remedy: str) -> None:
        """Note a problem with one of this table's fields."""
        field = ".".join(part for part in (self.path, key) if part)
        line = self.reading.lines.find(field)
        where = f"{self.reading.file} line {line}" if line else self.reading.file
        self.reading.wrong(f"{where}, field {field or 'tariff'}", what, remedy)

    def known(self, key: str) -> None:
        """This key may stand here."""
        self._known.add(key)

    def done(self) -> None:
        """Whatever nobody asked for is a mistake: a misspelt rule must not be left out in silence."""
        for key in self.raw:
            if key not in self._known:
                self.wrong(key, "is not a field here", f"Known: {', '.join(sorted(self._known))}")

    # -- texts ---------------------------------------------------------------------------------------------

    def text(self, key: str, *, required: bool = True) -> str:
        value = self.value(key, required=required)
        if value is None:
            return ""
        if not isinstance(value, str) or not value.strip() or len(value) > 200 or "\0" in value:
            self.wrong(key, "is not a text of 1 to 200 characters", "Write it in quotes")
            return ""
        return value

    def word(
        self,
        key: str,
        *,
        required: bool = True,
        pattern: str = WORD.pattern,
        remedy: str = "Write small letters, digits and hyphens",
    ) -> str:
        value = self.text(key, required=required)
        if value and not re.fullmatch(pattern, value):
            self.wrong(key, f"{value!r} does not fit", remedy)
            return ""
        return value

    def texts(self, key: str, *, required: bool = True) -> tuple[str, ...]:
        value = self.value(key, required=required)
        if value is None:
            return ()
        items = cast("list[object]", value) if isinstance(value, list) else []
        if not items or not all(isinstance(item, str) and 0 < len(item) <= 200 for item in items):
            self.wrong(key, "is not a list of texts", 'Write ["one", "two"]')
            return ()
        return tuple(cast("list[str]", items))

    def words(self, key: str) -> tuple[str, ...]:
        values = self.texts(key, required=False)
        for value in values:
            if not WORD.fullmatch(value):
                self.wrong(
                    key, f"{value!r} does not fit", "Write small letters, digits, hyphens: beijing/xizhimen"
                )
        return values

    def names(self, key: str, known: tuple[str, ...], kind: str) -> frozenset[str]:
        """Some of the names the tariff has."""
        values = self.texts(key, required=False)
        for value in values:
            if value not in known:
                self.wrong(key, f"{value!r} is no {kind} of this tariff", f"Known: {', '.join(known) or '-'}")
        return frozenset(values)

    def choice(self, key: str, options: tuple[str, ...], *, required: bool = True, default: str = "") -> str:
        value = self.text(key, required=required)
        if value and value not in options:
            self.wrong(key, f"{value!r} is none of the choices", f"Write one of: {', '.join(options)}")
            return default
        return value or default

    # -- numbers and flags ---------------------------------------------------------------------------------

    def whole(
        self, key: str, low: int, high: int, *, required: bool = True, default: int | None = None
    ) -> int:
        value = self.value(key, required=required)
        if value is None:
            return low if default is None else default
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            self.wrong(
                key, "is not a whole number in range", f"Write a number from {low} to {high}, without quotes"
            )
            return low
        return value

    def flag(self, key: str, *, default: bool) -> bool:
        value = self.value(key, required=False)
        if value is None:
            return default
        if not isinstance(value, bool):
            self.wrong(key, "is neither true nor false", "Write true or false, without quotes")
            return default
        return value

    # -- times ---------------------------------------------------------------------------------------------

    def day(self, key: str, *, required: bool = True) -> date | None:
        value = self.value(key, required=required)
        if value is not None and type(value) is not date:
            self.wrong(key, "is not a day", "Write 2025-03-02, without quotes")
            return None
        return value

    def days(self, key: str) -> frozenset[date]:
        value = self.value(key, required=False)
        if value is None:
            return frozenset()
        items = cast("list[object]", value) if isinstance(value, list) else [None]
        if not all(type(item) is date for item in items):
            self.wrong(key, "is not a list of days", "Write [2025-12-25, 2025-12-26], without quotes")
            return frozenset()
        return frozenset(cast("list[date]", items))

    def clock(self, key: str) -> time:
        value = self.value(key, required=True)
        if value is None:
            return time(0)
        if isinstance(value, str) and re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", value):
            return time.fromisoformat(value)
        if value == "24:00":
            return time.max
        self.wrong(key, "is not a time of day", 'Write "06:30" in quotes, 00:00 to 24:00')
        return time(0)

    def day_types(self, key: str, *, required: bool = True) -> frozenset[str]:
        values = self.texts(key, required=required)
        for value in values:
            if value not in DAY_TYPES:
                self.wrong(
                    key, f"{value!r} is no day type", "Write mon, tue, wed, thu, fri, sat, sun, holiday"
                )
        return frozenset(values)

    # -- amounts -------------------------------------------------------------------------------------------

    def amount(self, key: str) -> int:
        return self._amount(key, self.value(key, required=True))

    def price(
        self,
        key: str,
        *,
        required: bool = True,
        adult_only: bool = False,
        classes: frozenset[str] = frozenset(),
    ) -> Price | None:
        """An amount, or amounts by time band, class and medium, one inside the other in any order.

        adult_only: classes with a column of their own need none here. classes: the price is for these only, so each
        of them needs an amount, or the adult one stands for all.
        """
        value = self.value(key, required=required)
        if value is None:
            return None
        price = Price(self._columns(key, value, self._amount))
        if classes:
            for name in sorted(classes):
                if self._gaps(price, name) and self._gaps(price, "adult"):
                    self.wrong(key, f"has no {self._gaps(price, name)[0]}amount for {name}", "Add it")
            return price
        for name in sorted({"adult"} if adult_only else self.reading.own):
            for gap in self._gaps(price, name):
                self.wrong(key, f"has no {gap}amount for {name}", "Add it")
        return price

    def rate(self, key: str) -> Rate:
        """An amount for each kilometre, however fine, or several by time band, class and medium."""
        value = self.value(key, required=True)
        if value is None:
            return Rate({(ANY_TIME, "adult"): Fraction(0)})
        rate = Rate(self._columns(key, value, self._rate))
        for name in sorted(self.reading.own):
            for band in sorted(self.reading.bands or {ANY_TIME}):
                if rate.find(band, name) is None:
                    self.wrong(key, f"has no {band + ' ' if band else ''}amount for {name}", "Add it")
        return rate

    def _gaps(self, price: Price, name: str) -> list[str]:
        """The time bands without an amount for this class, each as a word and a space."""
        media = self.reading.media
        return [
            f"{band} " if band else ""
            for band in sorted(self.reading.bands or {ANY_TIME})
            if price.find(band, name) is None
            and not (media and all(price.find(band, name, medium) is not None for medium in media))
        ]

    def _columns(
        self, key: str, value: object, read: "Callable[[str, object], Figure]"
    ) -> dict[tuple[str, str], Figure]:
        amounts: dict[tuple[str, str], Figure] = {}
        self._column(key, value, ("", "", ""), amounts, read)
        return amounts

    def _column(
        self,
        key: str,
        value: object,
        at: tuple[str, str, str],
        amounts: dict[tuple[str, str], Figure],
        read: "Callable[[str, object], Figure]",
    ) -> None:
        band, rider_class, medium = at
        if not isinstance(value, dict):
            who = rider_class or "adult"
            amounts[band or ANY_TIME, f"{who}/{medium}" if medium else who] = read(key, value)
            return
        for name, inner in cast("dict[str, object]", value).items():
            path = f"{key}.{name}"
            if name in self.reading.classes and not rider_class:
                self._column(path, inner, (band, name, medium), amounts, read)
            elif name in self.reading.bands and not band:
                self._column(path, inner, (name, rider_class, medium), amounts, read)
            elif name in self.reading.media and not medium:
                self._column(path, inner, (band, rider_class, name), amounts, read)
            else:
                known = [*self.reading.classes, *sorted(self.reading.bands), *self.reading.media]
                self.wrong(path, "is neither a rider class nor a time band", f"Known: {', '.join(known)}")

    def _amount(self, key: str, value: object) -> int:
        if value is None:
            return 0
        amount = self.reading.minor(value) if isinstance(value, str) else None
        if amount is None:
            exponent = self.reading.exponent
            decimals = "8." + "90"[:exponent] if exponent else "150"
            self.wrong(key, f"{value!r} is no amount of this currency", f'Write it in quotes: "{decimals}"')
            return 0
        return amount

    def _rate(self, key: str, value: object) -> Fraction:
        rate = self.reading.rate(value) if isinstance(value, str) else None
        if rate is None:
            self.wrong(key, f"{value!r} is no amount", 'Write it in quotes, as fine as it is: "0.2115"')
            return Fraction(0)
        return rate

    def rounding(self, key: str = "rounding") -> Rounding | None:
        table = self.table(key, required=False)
        if not table.present:
            return None
        step = table.amount("step")
        mode = table.choice("mode", ("half_even", "half_up", "up", "down"))
        if step <= 0:
            table.wrong("step", "is not more than nothing", 'Write the smallest coin, such as "0.05"')
        table.done()
        return Rounding(max(step, 1), cast(RoundingMode, mode or "half_even"))

    # -- tables inside -------------------------------------------------------------------------------------

    def table(self, key: str, *, required: bool = True) -> "Table":
        path = f"{self.path}.{key}" if self.path else key
        value = self.value(key, required=required)
        if value is not None and not isinstance(value, dict):
            self.wrong(key, "is not a table", f"Write [{path}]")
            value = None
        return Table(self.reading, cast("dict[str, Any] | None", value), path)

    def tables(self, key: str) -> list["Table"]:
        path = f"{self.path}.{key}" if self.path else key
        value = self.value(key, required=False)
        if value is None:
            return []
        items = cast("list[object]", value) if isinstance(value, list) else [None]
        if not all(isinstance(item, dict) for item in items):
            self.wrong(key, "is not a list of tables", f"Write [[{path}]]")
            return []
        return [
            Table(self.reading, cast("dict[str, Any]", item), f"{path}[{index}]")
            for index, item in enumerate(items)
        ]

    def value(self, key: str, *, required: bool) -> Any:
        """The raw value. A missing table has been told once, so its fields are not."""
        self._known.add(key)
        value = self.raw.get(key)
        if value is None and required and (self.present or not self.path):
            self.wrong(key, "is missing", "Add it")
        return value
