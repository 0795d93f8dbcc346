"""Reading a tariff from its folder: strict, whole or not at all, every problem with file, line, field and remedy."""

import re
import tomllib
from datetime import date, timedelta
from importlib.resources import files
from pathlib import Path
from typing import Any, cast
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from hansa.fares.parts.basis import Basis, FareRule, read_basis, read_fare_rule
from hansa.fares.parts.caps import read_caps, read_carnets
from hansa.fares.parts.classes import read_classes
from hansa.fares.parts.extras import read_fee, read_override
from hansa.fares.parts.feed import beside_feed
from hansa.fares.parts.hours import read_bands
from hansa.fares.parts.links import read_join, read_plain_transfers, read_transfer
from hansa.fares.parts.missing import read_incomplete
from hansa.fares.parts.pairing import read_pairing
from hansa.fares.parts.price import Rounding
from hansa.fares.parts.reductions import read_discount, read_pass, read_tiers
from hansa.fares.parts.seasons import read_seasons
from hansa.fares.parts.zones import ZoneBasis
from hansa.fares.tables import WORD, Reading, Table
from hansa.fares.tariff import Tariff, TariffSource
from hansa.kernel import CURRENCY_EXPONENTS, InvalidInput, Problem

_BYTES_MAX = 50_000_000
_CSV_NAME = re.compile(r"[A-Za-z0-9_.-]+\.csv")


def tariff_folder(operator_id: str) -> Path:
    """The folder of a tariff that comes with Hansa. Errors: InvalidInput when there is none."""
    folder = Path(str(files("hansa.fares") / "tariffs")) / operator_id
    if not WORD.fullmatch(operator_id) or not folder.is_dir():
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
    return _tariff(raw, source, file)


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
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return []
    bases: list[object] = [raw.get("basis")]
    fares = raw.get("fare")
    bases += fares if isinstance(fares, list) else []
    for basis in tuple(bases):
        either = cast("dict[str, object]", basis).get("either") if isinstance(basis, dict) else None
        bases += either if isinstance(either, list) else []
    names = [cast("dict[str, object]", basis).get("file") for basis in bases if isinstance(basis, dict)]
    return sorted({name for name in names if isinstance(name, str) and _CSV_NAME.fullmatch(name)})


def _tariff(raw: dict[str, Any], source: TariffSource, file: str) -> Tariff:
    """The tariff, or every problem that was found."""
    reading = Reading(source.toml, source.tables, file)
    top = Table(reading, raw, "")
    if top.whole("format", 1, 1_000) not in (1, 0):
        top.wrong("format", "is not a format this version reads", "Write format = 1")
    currency = top.word("currency", pattern=r"[A-Z]{3}", remedy="Write an ISO 4217 code such as EUR")
    if currency and currency not in CURRENCY_EXPONENTS:
        top.wrong("currency", f"{currency} is not an active ISO 4217 code", "Write a code such as EUR")
    reading.currency, reading.exponent = currency, CURRENCY_EXPONENTS.get(currency, 2)
    operator_id, city_id = top.word("operator"), top.word("city")
    name = top.text("name")
    valid_from = top.day("valid_from") or date.max
    valid_to = top.day("valid_to", required=False)
    if valid_to is not None and valid_to < valid_from:
        top.wrong("valid_to", "is before valid_from", "Write a later day, or leave it out")
    tz = _tz(top)
    day_starts = top.clock("day_starts")
    reading.media = top.words("media")
    seasons = read_seasons(top)
    time_bands, default_band = read_bands(top)
    holidays = top.days("holidays")
    by_service_day = top.choice("day_types_by", ("calendar", "service"), required=False) == "service"
    people = read_classes(top.table("classes"))
    _one_meaning(top)
    rounding = top.rounding() or Rounding()
    basis_table = top.table("basis")
    basis = read_basis(basis_table)
    if basis_table.present:
        basis_table.done()
    journey = top.table("journey")
    journey_max = timedelta(minutes=journey.whole("max_minutes", 1, 24 * 60))
    same_stop = journey.price("same_stop", required=False)
    journey.done()
    fares = tuple(read_fare_rule(item) for item in top.tables("fare"))
    plain = read_plain_transfers(top.table("transfers", required=False))
    transfers = tuple(read_transfer(item) for item in top.tables("transfer"))
    if plain is not None and transfers:
        top.wrong("transfers", "stands beside [[transfer]]", "Write it as one more [[transfer]]")
    joins = tuple(read_join(item) for item in top.tables("join"))
    named = {rule.name for rule in fares}
    for place, join in enumerate(joins):
        if join.fare and join.fare not in named:
            remedy = f"Known: {', '.join(sorted(named)) or '-'}"
            top.wrong(f"join[{place}].fare", f"{join.fare!r} is no [[fare]] of this tariff", remedy)
    caps = read_caps(top.tables("cap"), _ordered(basis, fares))
    all_transfers = transfers if plain is None else (plain,)
    pairing = read_pairing(top.table("pairing", required=False), journey, journey_max, joins, all_transfers)
    tariff = Tariff(
        operator_id=operator_id,
        city_id=city_id,
        name=name,
        currency=currency,
        valid_from=valid_from,
        valid_to=valid_to,
        tz=tz,
        day_starts=day_starts,
        basis=basis,
        people=people,
        journey_max=journey_max,
        incomplete=read_incomplete(top.table("incomplete")),
        source=source,
        rounding=rounding,
        same_stop=same_stop,
        time_bands=time_bands,
        default_band=default_band,
        holidays=holidays,
        seasons=seasons,
        day_types_by="service" if by_service_day else "calendar",
        fares=fares,
        overrides=tuple(read_override(item) for item in top.tables("override")),
        fees=tuple(read_fee(item) for item in top.tables("fee")),
        joins=joins,
        transfers=all_transfers,
        discounts=tuple(read_discount(item) for item in top.tables("discount")),
        passes=tuple(read_pass(item) for item in top.tables("pass")),
        tiers=read_tiers(top.tables("tier")),
        caps=caps,
        carnets=read_carnets(top.tables("carnet"), caps),
        companions=_companions(top),
        media=reading.media,
        minimum_balance=top.price("minimum_balance", required=False, adult_only=True),
        pairing=pairing,
    )
    top.done()
    for beside in beside_feed(tariff):
        top.wrong(*beside)
    if reading.problems:
        raise InvalidInput(
            "The tariff has problems; nothing of it was taken.", problems=tuple(reading.problems)
        )
    return tariff


def _tz(top: Table) -> str:
    tz = top.text("tz")
    try:
        ZoneInfo(tz or "UTC")
    except (ZoneInfoNotFoundError, ValueError):
        top.wrong("tz", f"{tz!r} is not a time zone", "Write an IANA name such as Europe/London")
    return tz


def _one_meaning(top: Table) -> None:
    """A name in a price must tell by itself whether it is a class, a time band or a medium."""
    reading = top.reading
    kinds = (
        ("a rider class", set(reading.classes)),
        ("a time band", set(reading.bands)),
        ("a medium", set(reading.media)),
    )
    for place, (kind, names) in enumerate(kinds):
        for other, others in kinds[place + 1 :]:
            if clash := names & others:
                key = "band" if other == "a time band" else "media"
                top.wrong(key, f"{min(clash)} is {kind} and {other}", "Name the band after its hours: peak")


def _companions(top: Table) -> str:
    name = top.word("companions", required=False) or "adult"
    if name not in top.reading.classes:
        known = ", ".join(top.reading.classes)
        top.wrong("companions", f"{name!r} is no rider class", f"Known: {known}")
    return name


def _ordered(basis: Basis, fares: tuple[FareRule, ...]) -> Basis:
    """The basis whose zone order the caps use."""
    bases = (basis, *(rule.basis for rule in fares))
    return next((one for one in bases if isinstance(one, ZoneBasis)), basis)
