"""Reading a tariff from its folder: strict, whole or not at all, every problem with file, line, field and remedy."""

import csv
import io
import re
import tomllib
from collections.abc import Mapping, Sequence
from datetime import date, time, timedelta
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, cast
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from hansa.fares.model import RIDER_CLASSES, RiderClass
from hansa.fares.tariff import (
    ANY_TIME,
    WEEKDAYS,
    Basis,
    Cap,
    ClassRule,
    Discount,
    DistanceBand,
    DistanceBasis,
    FlatBasis,
    Incomplete,
    Override,
    PairBasis,
    Price,
    Rounding,
    RoundingMode,
    Tariff,
    TariffSource,
    Tier,
    TimeBand,
    Transfers,
    ZoneBasis,
)
from hansa.kernel import CURRENCY_EXPONENTS, InvalidInput, Problem

_CAPS_MAX = 8
_BYTES_MAX = 50_000_000
_AMOUNT = re.compile(r"\d{1,12}(\.\d{1,4})?")
_WORD = re.compile(r"[a-z0-9][a-z0-9/_-]{0,119}")
_FREE = Price({(ANY_TIME, rider_class): 0 for rider_class in RIDER_CLASSES})


def tariff_folder(operator_id: str) -> Path:
    """The folder of a tariff that comes with Hansa. Errors: InvalidInput when there is none."""
    folder = Path(str(files("hansa.fares") / "tariffs")) / operator_id
    if not _WORD.fullmatch(operator_id) or not folder.is_dir():
        known = ", ".join(sorted(path.name for path in folder.parent.iterdir() if path.is_dir()))
        raise InvalidInput(
            "No such tariff.",
            problems=(
                Problem(operator_id, "no tariff of this operator comes with Hansa", f"Known: {known}"),
            ),
        )
    return folder


def read_tariff(path: Path) -> Tariff:
    """The tariff in ``path``: a folder with ``tariff.toml``, or one such file with its tables beside it.

    Errors: InvalidInput with every problem found; nothing is taken then.
    """
    file = path / "tariff.toml" if path.is_dir() else path
    text = _text_of(file)
    tables: dict[str, str] = {}
    for name in _tables_named(text):
        tables[name] = _text_of(file.parent / name)
    return read_source(TariffSource(text, tables), file=file.name)


def read_source(source: TariffSource, *, file: str = "tariff.toml") -> Tariff:
    """The tariff that this text states. Errors: as read_tariff."""
    try:
        raw = tomllib.loads(source.toml)
    except tomllib.TOMLDecodeError as error:
        line = re.search(r"line (\d+)", str(error))
        where = f"{file} line {line[1]}" if line else file
        raise InvalidInput(
            "The tariff cannot be read.",
            problems=(Problem(where, f"not TOML: {error}", "Mend the line; texts stand in quotes"),),
        ) from error
    return _Reader(source, file).tariff(raw)


def _text_of(file: Path) -> str:
    def refuse(what: str, remedy: str) -> InvalidInput:
        return InvalidInput("The tariff cannot be read.", problems=(Problem(file.name, what, remedy),))

    try:
        if file.stat().st_size > _BYTES_MAX:
            raise refuse("is larger than 50 MB", "Leave out what the tariff does not need")
        return file.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise refuse(f"is not UTF-8: {error.reason}", "Save it as UTF-8") from error
    except OSError as error:
        raise refuse("cannot be opened", "Put the file into the tariff's folder") from error


def _tables_named(text: str) -> list[str]:
    """Names of the CSV files a tariff refers to; a wrong name is reported by the reader."""
    try:
        basis = tomllib.loads(text).get("basis")
    except tomllib.TOMLDecodeError:
        return []
    name = cast("dict[str, object]", basis).get("file") if isinstance(basis, dict) else None
    return [name] if isinstance(name, str) and re.fullmatch(r"[A-Za-z0-9_.-]+\.csv", name) else []


class _Lines:
    """Where in a TOML text a key stands: by table headers and ``key =`` at the start of a line."""

    def __init__(self, text: str) -> None:
        self._at: dict[str, int] = {}
        counts: dict[str, int] = {}
        table = ""
        for number, line in enumerate(text.splitlines(), 1):
            bare = line.strip()
            if bare.startswith("[["):
                name = bare[2:].split("]]")[0].strip()
                index = counts[name] = counts.get(name, -1) + 1
                table = f"{name}[{index}]"
                self._at[table] = number
            elif bare.startswith("[") and "=" not in bare.split("]")[0]:
                table = bare[1:].split("]")[0].strip()
                self._at.setdefault(table, number)
                self._at.setdefault(table.split(".")[0], number)
            elif match := re.match(r"""["']?([A-Za-z0-9_.-]+)["']?\s*=""", bare):
                self._at.setdefault(f"{table}.{match[1]}" if table else match[1], number)

    def find(self, field: str) -> int | None:
        """The line of the field, else of the nearest thing around it."""
        while field:
            if field in self._at:
                return self._at[field]
            cut = max(field.rfind("."), field.rfind("["))
            field = field[:cut] if cut > 0 else ""
        return None


class _Reader:
    """Gathers problems as it reads, and gives a tariff only when there are none."""

    def __init__(self, source: TariffSource, file: str) -> None:
        self.source = source
        self.file = file
        self.lines = _Lines(source.toml)
        self.problems: list[Problem] = []
        self.exponent = 2
        self.bands: frozenset[str] = frozenset()
        self.own: frozenset[str] = frozenset({"adult"})

    # -- the whole -----------------------------------------------------------------------------------------

    def tariff(self, raw: dict[str, Any]) -> Tariff:
        top = _Table(self, raw, "")
        if top.whole("format", 1, 1_000) not in (1, 0):
            top.wrong("format", "is not a format this version reads", "Write format = 1")
        currency = top.word("currency", pattern=r"[A-Z]{3}", remedy="Write an ISO 4217 code such as EUR")
        if currency and currency not in CURRENCY_EXPONENTS:
            top.wrong("currency", f"{currency} is not an active ISO 4217 code", "Write a code such as EUR")
        self.exponent = CURRENCY_EXPONENTS.get(currency, 2)
        operator_id, city_id = top.word("operator"), top.word("city")
        name = top.text("name")
        valid_from = top.day("valid_from") or date.max
        valid_to = top.day("valid_to", required=False)
        if valid_to is not None and valid_to < valid_from:
            top.wrong("valid_to", "is before valid_from", "Write a later day, or leave it out")
        tz = top.text("tz")
        try:
            ZoneInfo(tz or "UTC")
        except (ZoneInfoNotFoundError, ValueError):
            top.wrong("tz", f"{tz!r} is not a time zone", "Write an IANA name such as Europe/London")
        day_starts = top.clock("day_starts")
        time_bands, default_band = self._bands(top)
        holidays = top.days("holidays")
        classes = self._classes(top.table("classes"))
        rounding = self._rounding(top.table("rounding", required=False)) or Rounding()
        basis = self._basis(top.table("basis"))
        journey = top.table("journey")
        journey_max = timedelta(minutes=journey.whole("max_minutes", 1, 24 * 60))
        same_stop = journey.price("same_stop", required=False)
        journey.done()
        incomplete = self._incomplete(top.table("incomplete"))
        overrides = tuple(self._override(item) for item in top.tables("override"))
        discounts = tuple(self._discount(item) for item in top.tables("discount"))
        transfers = self._transfers(top.table("transfers", required=False))
        tiers = self._tiers(top.tables("tier"))
        caps = self._caps(top.tables("cap"), basis)
        companions = self._companions(top)
        top.done()
        if self.problems:
            raise InvalidInput(
                "The tariff has problems; nothing of it was taken.", problems=tuple(self.problems)
            )
        return Tariff(
            operator_id=operator_id,
            city_id=city_id,
            name=name,
            currency=currency,
            valid_from=valid_from,
            valid_to=valid_to,
            tz=tz,
            day_starts=day_starts,
            basis=basis,
            classes=classes,
            journey_max=journey_max,
            incomplete=incomplete,
            source=self.source,
            rounding=rounding,
            same_stop=same_stop,
            time_bands=time_bands,
            default_band=default_band,
            holidays=holidays,
            overrides=overrides,
            discounts=discounts,
            transfers=transfers,
            tiers=tiers,
            caps=caps,
            companions=companions,
        )

    # -- its parts -----------------------------------------------------------------------------------------

    def _bands(self, top: "_Table") -> tuple[tuple[TimeBand, ...], str]:
        bands: list[TimeBand] = []
        for item in top.tables("band"):
            name = item.word("name")
            days, starts, ends = item.day_types("days"), item.clock("from"), item.clock("to")
            if starts >= ends:
                item.wrong("to", "is not after from", "Split a band at midnight into two")
            bands.append(TimeBand(name, days, starts, ends, frozenset(item.words("unless_into"))))
            item.done()
        default = top.word("default_band", required=bool(bands))
        self.bands = frozenset({band.name for band in bands} | ({default} if default else set()))
        if clash := self.bands & set(RIDER_CLASSES):
            top.wrong("band", f"{min(clash)} is a rider class", "Name the band after its hours: peak")
        return tuple(bands), default

    def _classes(self, table: "_Table") -> dict[RiderClass, ClassRule]:
        rules: dict[RiderClass, ClassRule] = {}
        for rider_class in RIDER_CLASSES:
            item = table.table(rider_class)
            ways = [key for key in ("column", "percent", "fare") if key in item.raw]
            rounding = self._rounding(item.table("rounding", required=False))
            if len(ways) != 1 and item.present:
                item.wrong(
                    "", "says how this class pays in no way or several", "Write one of column, percent, fare"
                )
            own = item.flag("column", default=False)
            percent = self._percent(item) if "percent" in item.raw else None
            flat = item.amount("fare") if "fare" in item.raw else None
            item.done()
            rules[rider_class] = ClassRule(own_column=own, percent=percent, flat=flat, rounding=rounding)
        table.done()
        self.own = frozenset({"adult"} | {name for name, rule in rules.items() if rule.own_column})
        return rules

    def _companions(self, top: "_Table") -> RiderClass:
        name = top.word("companions", required=False) or "adult"
        for rider_class in RIDER_CLASSES:
            if name == rider_class:
                return rider_class
        top.wrong("companions", f"{name!r} is no rider class", f"Known: {', '.join(RIDER_CLASSES)}")
        return "adult"

    def _percent(self, item: "_Table") -> dict[str, int]:
        if isinstance(item.raw.get("percent"), dict):
            inner = item.table("percent")
            shares = {band: inner.whole(band, 0, 100) for band in sorted(self.bands & set(inner.raw))}
            inner.done()
            if missing := self.bands - set(shares):
                inner.wrong(
                    "", f"says nothing for {', '.join(sorted(missing))}", "Give every time band a share"
                )
            return shares
        return {ANY_TIME: item.whole("percent", 0, 100)}

    def _rounding(self, table: "_Table") -> Rounding | None:
        if not table.present:
            return None
        step = table.amount("step")
        mode = table.choice("mode", ("half_even", "half_up", "up", "down"))
        if step <= 0:
            table.wrong("step", "is not more than nothing", 'Write the smallest coin, such as "0.05"')
        table.done()
        return Rounding(max(step, 1), cast(RoundingMode, mode or "half_even"))

    def _basis(self, table: "_Table") -> Basis:
        kind = table.choice("kind", ("flat", "distance", "zones", "pairs"))
        match kind:
            case "flat":
                basis: Basis = FlatBasis(table.price("fare") or _FREE)
            case "distance":
                basis = self._distance(table)
            case "zones":
                basis = self._zones(table)
            case "pairs":
                basis = self._pairs(table)
            case _:
                return FlatBasis(_FREE)
        table.done()
        return basis

    def _distance(self, table: "_Table") -> DistanceBasis:
        bands: list[DistanceBand] = []
        for item in table.tables("band"):
            up_to_m = item.whole("up_to_m", 1, 10_000_000)
            if bands and up_to_m <= bands[-1].up_to_m:
                item.wrong("up_to_m", "is not beyond the band before it", "Put the bands in rising order")
            bands.append(DistanceBand(up_to_m, item.price("fare") or _FREE))
            item.done()
        if not bands:
            table.wrong("band", "there is no distance band", "Write at least one [[basis.band]]")
        beyond = table.table("beyond", required=False)
        every_m = beyond.whole("every_m", 1, 10_000_000) if beyond.present else None
        add = beyond.price("add") if beyond.present else None
        beyond.done()
        grace_m = table.whole("grace_m", 0, 10_000, required=False)
        return DistanceBasis(tuple(bands), grace_m, every_m, add)

    def _zones(self, table: "_Table") -> ZoneBasis:
        order = table.words("order")
        if len(set(order)) != len(order) or not order:
            table.wrong("order", "is empty or names a zone twice", 'Write each zone once: ["1", "2", "3"]')
            order = tuple(dict.fromkeys(order)) or ("1",)
        spans: dict[tuple[int, int], Price] = {}
        for item in table.tables("span"):
            price = item.price("fare") or _FREE
            for label in item.texts("zones"):
                first, _, last = label.partition("-")
                last = last or first
                if first not in order or last not in order or order.index(first) > order.index(last):
                    item.wrong(
                        "zones",
                        f"{label!r} is not a span of the zones",
                        'Write "2", or "2-4" from the centre',
                    )
                    continue
                span = order.index(first), order.index(last)
                if span in spans:
                    item.wrong("zones", f"{label!r} has two fares", "Leave it in one place")
                spans[span] = price
            item.done()
        for first in range(len(order)):
            for last in range(first, len(order)):
                if (first, last) not in spans:
                    label = order[first] if first == last else f"{order[first]}-{order[last]}"
                    table.wrong("span", f"zones {label} have no fare", "Add them to a [[basis.span]]")
        through = table.flag("through", default=True)
        return ZoneBasis(order, spans, through)

    def _pairs(self, table: "_Table") -> PairBasis:
        name = table.text("file")
        minor = table.choice("amounts", ("minor", "major")) == "minor"
        symmetric = table.flag("symmetric", default=True)
        by_zone = "by" in table.raw and table.choice("by", ("stop", "zone")) == "zone"
        prefix = table.text("prefix") if "prefix" in table.raw else ""
        text = self.source.tables.get(name)
        if text is None:
            table.wrong(
                "file", f"{name!r} is not there", "Put the CSV file beside tariff.toml, named without folders"
            )
            return PairBasis((), {}, symmetric, by_zone)
        columns, rows = self._pair_rows(name, text, minor=minor, symmetric=symmetric, prefix=prefix)
        return PairBasis(columns, rows, symmetric, by_zone)

    def _pair_rows(
        self, file: str, text: str, *, minor: bool, symmetric: bool, prefix: str
    ) -> tuple[tuple[tuple[str, str], ...], dict[tuple[str, str], tuple[int, ...]]]:
        def wrong(line: int, field: str, what: str, remedy: str) -> None:
            if len(self.problems) < 200:
                self.problems.append(Problem(f"{file} line {line}, field {field}", what, remedy))

        lines = csv.reader(io.StringIO(text), strict=True)
        rows: dict[tuple[str, str], tuple[int, ...]] = {}
        columns: list[tuple[str, str]] = []
        try:
            header = next(lines, [])
            if header[:2] != ["origin", "destination"]:
                wrong(
                    1,
                    "origin",
                    "the first two columns are not origin and destination",
                    "Begin with that header",
                )
                return (), {}
            for column in header[2:]:
                rider_class, _, band = column.partition("@")
                if rider_class not in RIDER_CLASSES or (band and band not in self.bands):
                    wrong(
                        1,
                        column,
                        "is no rider class",
                        "Name columns adult, child, senior, student, or child@peak",
                    )
                columns.append((band or ANY_TIME, rider_class))
            have = {rider_class for band, rider_class in columns if band == ANY_TIME} | {
                rider_class
                for _, rider_class in columns
                if self.bands and {b for b, c in columns if c == rider_class} >= self.bands
            }
            for missing in sorted(self.own - have):
                wrong(1, missing, "this class pays by its own column and has none", "Add the column")
            for cells in lines:
                line = lines.line_num
                if not cells:
                    continue
                if len(cells) != len(header):
                    wrong(
                        line,
                        "origin",
                        f"has {len(cells)} cells, not {len(header)}",
                        "One cell for each column",
                    )
                    continue
                pair = prefix + cells[0], prefix + cells[1]
                if not (_WORD.fullmatch(cells[0]) and _WORD.fullmatch(cells[1])):
                    wrong(line, "origin", "is no stop id", "Write it as the network does: beijing/xizhimen")
                    continue
                amounts: list[int] = []
                for column, cell in zip(header[2:], cells[2:], strict=True):
                    amount = self._pair_amount(cell, minor=minor)
                    if amount is None:
                        wrong(
                            line,
                            column,
                            f"{cell!r} is no amount",
                            "Write digits only" if minor else "Write 12.50",
                        )
                    amounts.append(amount or 0)
                if pair in rows or (symmetric and pair[::-1] in rows):
                    wrong(line, "destination", "this pair has two fares", "Leave one row")
                rows[pair] = tuple(amounts)
        except csv.Error as error:
            wrong(lines.line_num, "origin", f"not CSV: {error}", "Close every quote")
        if not rows and not self.problems:
            wrong(1, "origin", "there is no row", "Write a row for each pair of stops")
        return tuple(columns), rows

    def _pair_amount(self, cell: str, *, minor: bool) -> int | None:
        if minor:
            return int(cell) if re.fullmatch(r"\d{1,12}", cell) else None
        return _minor(cell, self.exponent)

    def _incomplete(self, table: "_Table") -> Incomplete:
        highest = table.raw.get("fare") == "highest"
        table.known("fare")
        price = None if highest else table.price("fare")
        counts = table.flag("counts", default=False)
        table.done()
        return Incomplete(price, counts)

    def _override(self, item: "_Table") -> Override:
        stops, lines = frozenset(item.words("stops")), frozenset(item.words("lines"))
        if not stops and not lines:
            item.wrong("stops", "names no stop and no line", "Say where this fare holds")
        override = Override(
            name=item.text("name"),
            price=item.price("fare") or _FREE,
            stops=stops,
            gateways=item.words("gateways"),
            lines=lines,
            tiers=item.flag("tiers", default=True),
            caps=item.flag("caps", default=True),
        )
        item.done()
        return override

    def _discount(self, item: "_Table") -> Discount:
        discount = Discount(
            name=item.text("name"),
            percent=item.whole("percent", 0, 99),
            days=item.day_types("days"),
            starts=item.clock("from"),
            ends=item.clock("to"),
            stops=frozenset(item.words("stops")),
        )
        if discount.starts >= discount.ends:
            item.wrong("to", "is not after from", "Split it at midnight into two")
        item.done()
        return discount

    def _transfers(self, table: "_Table") -> Transfers | None:
        if not table.present:
            return None
        table.choice("window_from", ("first_tap",))
        count_max = table.whole("count_max", 1, 1_000) if "count_max" in table.raw else None
        transfers = Transfers(
            window=timedelta(minutes=table.whole("window_minutes", 1, 24 * 60)),
            percent=table.whole("percent", 0, 99, required=False),
            count_max=count_max,
            products=frozenset(table.words("products")),
        )
        table.done()
        return transfers

    def _tiers(self, items: Sequence["_Table"]) -> tuple[Tier, ...]:
        tiers: list[Tier] = []
        for item in items:
            tier = Tier(item.amount("from"), item.whole("percent", 0, 100))
            item.choice("period", ("month",))
            if tiers and tier.from_minor <= tiers[-1].from_minor:
                item.wrong("from", "is not more than the tier before it", "Put the tiers in rising order")
            tiers.append(tier)
            item.done()
        return tuple(tiers)

    def _caps(self, items: Sequence["_Table"], basis: Basis) -> tuple[Cap, ...]:
        caps: list[Cap] = []
        for item in items:
            period = item.choice("period", ("day", "week", "month"))
            zones = self._cap_zones(item, basis)
            label = {"day": "Daily", "week": "Weekly", "month": "Monthly"}.get(period, "") + " cap"
            products = frozenset(item.words("products"))
            if products:
                label += f" {' and '.join(sorted(products))}"
            if zones is not None and isinstance(basis, ZoneBasis):
                first, last = basis.order[zones[0]], basis.order[zones[1]]
                label += f" zone {first}" if first == last else f" zones {first}–{last}"
            price = item.price("amount", adult_only=True) or _FREE
            caps.append(
                Cap(cast(Literal["day", "week", "month"], period or "day"), label, price, zones, products)
            )
            item.done()
        if {"week", "month"} <= {cap.period for cap in caps}:
            items[0].wrong("period", "there are weekly and monthly caps", "Keep one of the two")
        if any(sum(cap.period == period for cap in caps) > _CAPS_MAX for period in ("day", "week", "month")):
            items[0].wrong("period", f"there are more than {_CAPS_MAX} caps of one period", "Leave some out")
        return tuple(caps)

    def _cap_zones(self, item: "_Table", basis: Basis) -> tuple[int, int] | None:
        if "zones" not in item.raw:
            return None
        label = item.text("zones")
        first, _, last = label.partition("-")
        last = last or first
        if not isinstance(basis, ZoneBasis) or first not in basis.order or last not in basis.order:
            item.wrong("zones", f"{label!r} is not a span of the zones", 'Write zones of the basis: "1-3"')
            return None
        span = basis.order.index(first), basis.order.index(last)
        if span[0] > span[1]:
            item.wrong("zones", f"{label!r} runs backwards", f'Write "{last}-{first}"')
            return None
        return span


def _minor(text: str, exponent: int) -> int | None:
    """``"8.90"`` in minor units, exactly; None when it is no amount of this currency."""
    if not _AMOUNT.fullmatch(text):
        return None
    whole, _, fraction = text.partition(".")
    if len(fraction.rstrip("0")) > exponent:
        return None
    return int(whole) * 10**exponent + int((fraction + "0" * exponent)[:exponent] or "0")


class _Table:
    """One TOML table while it is read: each getter checks, reports, and remembers which keys are known."""

    def __init__(self, reader: _Reader, raw: Mapping[str, Any] | None, path: str) -> None:
        self.reader, self.path = reader, path
        self.present = raw is not None
        self.raw: Mapping[str, Any] = raw or {}
        self._known: set[str] = set()

    def wrong(self, key: str, what: str, remedy: str) -> None:
        """Note a problem with one of this table's fields."""
        field = ".".join(part for part in (self.path, key) if part)
        line = self.reader.lines.find(field)
        where = f"{self.reader.file} line {line}" if line else self.reader.file
        self.reader.problems.append(Problem(f"{where}, field {field or 'tariff'}", what, remedy))

    def known(self, key: str) -> None:
        """This key may stand here."""
        self._known.add(key)

    def done(self) -> None:
        """Whatever nobody asked for is a mistake: a misspelt rule must not be left out in silence."""
        for key in self.raw:
            if key not in self._known:
                self.wrong(key, "is not a field here", f"Known: {', '.join(sorted(self._known))}")

    def text(self, key: str, *, required: bool = True) -> str:
        value = self._value(key, required=required)
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
        pattern: str = _WORD.pattern,
        remedy: str = "Write small letters, digits and hyphens",
    ) -> str:
        value = self.text(key, required=required)
        if value and not re.fullmatch(pattern, value):
            self.wrong(key, f"{value!r} does not fit", remedy)
            return ""
        return value

    def texts(self, key: str, *, required: bool = True) -> tuple[str, ...]:
        value = self._value(key, required=required)
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
            if not _WORD.fullmatch(value):
                self.wrong(
                    key, f"{value!r} does not fit", "Write small letters, digits, hyphens: beijing/xizhimen"
                )
        return values

    def choice(self, key: str, options: tuple[str, ...]) -> str:
        value = self.text(key)
        if value and value not in options:
            self.wrong(key, f"{value!r} is none of the choices", f"Write one of: {', '.join(options)}")
            return ""
        return value

    def whole(self, key: str, low: int, high: int, *, required: bool = True) -> int:
        value = self._value(key, required=required)
        if value is None:
            return low
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            self.wrong(
                key, "is not a whole number in range", f"Write a number from {low} to {high}, without quotes"
            )
            return low
        return value

    def flag(self, key: str, *, default: bool) -> bool:
        value = self._value(key, required=False)
        if value is None:
            return default
        if not isinstance(value, bool):
            self.wrong(key, "is neither true nor false", "Write true or false, without quotes")
            return default
        return value

    def day(self, key: str, *, required: bool = True) -> date | None:
        value = self._value(key, required=required)
        if value is not None and type(value) is not date:
            self.wrong(key, "is not a day", "Write 2025-03-02, without quotes")
            return None
        return value

    def days(self, key: str) -> frozenset[date]:
        value = self._value(key, required=False)
        if value is None:
            return frozenset()
        items = cast("list[object]", value) if isinstance(value, list) else [None]
        if not all(type(item) is date for item in items):
            self.wrong(key, "is not a list of days", "Write [2025-12-25, 2025-12-26], without quotes")
            return frozenset()
        return frozenset(cast("list[date]", items))

    def clock(self, key: str) -> time:
        value = self._value(key, required=True)
        if value is None:
            return time(0)
        if isinstance(value, str) and re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", value):
            return time.fromisoformat(value)
        if value == "24:00":
            return time.max
        self.wrong(key, "is not a time of day", 'Write "06:30" in quotes, 00:00 to 24:00')
        return time(0)

    def day_types(self, key: str) -> frozenset[str]:
        values = self.texts(key)
        for value in values:
            if value not in WEEKDAYS | {"holiday"}:
                self.wrong(
                    key, f"{value!r} is no day type", "Write mon, tue, wed, thu, fri, sat, sun, holiday"
                )
        return frozenset(values)

    def amount(self, key: str) -> int:
        return self._amount(key, self._value(key, required=True))

    def price(self, key: str, *, required: bool = True, adult_only: bool = False) -> Price | None:
        """An amount, or amounts by time band, by class, or by band and class.

        adult_only: classes with a column of their own need none here.
        """
        value = self._value(key, required=required)
        if value is None:
            return None
        amounts: dict[tuple[str, str], int] = {}
        if not isinstance(value, dict):
            amounts[ANY_TIME, "adult"] = self._amount(key, value)
        else:
            for name, inner in cast("dict[str, object]", value).items():
                self._price_part(f"{key}.{name}", name, inner, amounts)
        price = Price(amounts)
        need = {"adult"} if adult_only else self.reader.own
        for rider_class in sorted(need):
            for band in sorted(self.reader.bands or {ANY_TIME}):
                if price.find(band, rider_class) is None:
                    hours = f" {band}" if band else ""
                    self.wrong(key, f"has no{hours} amount for {rider_class}", "Add it")
        return price

    def _price_part(self, path: str, name: str, inner: object, amounts: dict[tuple[str, str], int]) -> None:
        if name in RIDER_CLASSES:
            amounts[ANY_TIME, name] = self._amount(path, inner)
        elif name in self.reader.bands:
            by_class = cast("dict[str, object]", inner) if isinstance(inner, dict) else {"adult": inner}
            for rider_class, amount in by_class.items():
                if rider_class not in RIDER_CLASSES:
                    self.wrong(path, f"{rider_class} is no rider class", f"Known: {', '.join(RIDER_CLASSES)}")
                amounts[name, rider_class] = self._amount(path, amount)
        else:
            known = ", ".join([*RIDER_CLASSES, *sorted(self.reader.bands)])
            self.wrong(path, "is neither a rider class nor a time band", f"Known: {known}")

    def _amount(self, key: str, value: object) -> int:
        if value is None:
            return 0
        amount = _minor(value, self.reader.exponent) if isinstance(value, str) else None
        if amount is None:
            decimals = "8." + "90"[: self.reader.exponent] if self.reader.exponent else "150"
            self.wrong(key, f"{value!r} is no amount of this currency", f'Write it in quotes: "{decimals}"')
            return 0
        return amount

    def table(self, key: str, *, required: bool = True) -> "_Table":
        path = f"{self.path}.{key}" if self.path else key
        value = self._value(key, required=required)
        if value is not None and not isinstance(value, dict):
            self.wrong(key, "is not a table", f"Write [{path}]")
            value = None
        return _Table(self.reader, cast("dict[str, Any] | None", value), path)

    def tables(self, key: str) -> list["_Table"]:
        path = f"{self.path}.{key}" if self.path else key
        value = self._value(key, required=False)
        if value is None:
            return []
        items = cast("list[object]", value) if isinstance(value, list) else [None]
        if not all(isinstance(item, dict) for item in items):
            self.wrong(key, "is not a list of tables", f"Write [[{path}]]")
            return []
        return [
            _Table(self.reader, cast("dict[str, Any]", item), f"{path}[{index}]")
            for index, item in enumerate(items)
        ]

    def _value(self, key: str, *, required: bool) -> Any:
        self._known.add(key)
        value = self.raw.get(key)
        if value is None and required and (self.present or not self.path):
            self.wrong(key, "is missing", "Add it")
        elif value is None and required:
            pass  # the whole table is missing, which has been said once
        return value
