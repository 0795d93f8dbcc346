"""The SQL of atlas."""

from collections.abc import Sequence
from datetime import date
from typing import NamedTuple, cast

from psycopg.rows import class_row

from hansa.atlas.model import Call, City, CityFile, CityVersion, Line, Mode, Operator, Stop
from hansa.store import Tx

MAKE_PLACE = "insert into atlas.cities (city_id) values (%s) on conflict (city_id) do nothing"

LOCK_CITY = "select version from atlas.cities where city_id = %s for no key update"

ADD_VERSION = """
insert into atlas.versions
    (city_id, version, valid_from, digest, name, local_name, country, tz, currency, day_starts, character)
values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
"""

ADD_FARES = "insert into atlas.fares_v2 (city_id, version, fares) values (%s, %s, %s)"

ADD_OPERATORS = """
insert into atlas.operators (city_id, version, operator_id, name, local_name)
select %s, %s, * from unnest(%s::text[], %s::text[], %s::text[])
"""

ADD_STOPS = """
insert into atlas.stops (city_id, version, stop_id, name, local_name, lat, lon, zone, code)
select %s, %s, * from unnest(
    %s::text[], %s::text[], %s::text[], %s::float8[], %s::float8[], %s::text[], %s::text[])
"""

ADD_LINES = """
insert into atlas.lines (city_id, version, line_id, place, operator_id, name, mode, color, loop, own_fare, shape)
select %s, %s, line_id, place, operator_id, name, mode, color, loop, own_fare, shape::float8[] from unnest(
    %s::text[], %s::int[], %s::text[], %s::text[], %s::text[], %s::text[], %s::bool[], %s::bool[], %s::text[])
    as given (line_id, place, operator_id, name, mode, color, loop, own_fare, shape)
"""

ADD_CALLS = """
insert into atlas.calls (city_id, version, line_id, place, stop_id, distance_m)
select %s, %s, * from unnest(%s::text[], %s::int[], %s::text[], %s::int[])
"""

COUNT_VERSION = "update atlas.cities set version = %s where city_id = %s"

CITIES = """
select distinct on (city_id) city_id, name, local_name, country, tz, currency, day_starts, character
from atlas.versions
where (%(city_id)s::text is null or city_id = %(city_id)s) and valid_from <= (now() at time zone tz)::date
order by city_id, valid_from desc, version desc
"""

IN_FORCE = """
select version, digest, valid_from
from atlas.versions
where city_id = %(city_id)s and valid_from <= coalesce(%(day)s::date, (now() at time zone tz)::date)
order by valid_from desc, version desc
limit 1
"""

VERSION = "select version, digest, valid_from from atlas.versions where city_id = %s and version = %s"

VERSIONS = """
select v.version, v.valid_from, v.imported_at, v.digest, f.city_id is not null as has_fares_v2
from atlas.versions v
left join atlas.fares_v2 f using (city_id, version)
where v.city_id = %s
order by v.version
"""

FARES = "select fares from atlas.fares_v2 where city_id = %s and version = %s"

CITY_AT = """
select city_id, name, local_name, country, tz, currency, day_starts, character
from atlas.versions
where city_id = %s and version = %s
"""

OPERATORS = """
select operator_id, name, local_name from atlas.operators where city_id = %s and version = %s order by operator_id
"""

STOPS = """
select stop_id, city_id, name, local_name, lat, lon, zone, code
from atlas.stops
where city_id = %(city_id)s and version = %(version)s and (%(after)s::text is null or stop_id > %(after)s)
order by stop_id
limit %(limit)s
"""

LINES = """
select l.line_id, l.operator_id, l.name, l.mode, l.color, l.loop, l.own_fare, l.shape,
    array_agg(c.stop_id order by c.place), array_agg(c.distance_m order by c.place)
from atlas.lines l
join atlas.calls c using (city_id, version, line_id)
where l.city_id = %s and l.version = %s
group by l.city_id, l.version, l.line_id
order by l.place
"""


class Current(NamedTuple):
    """A version of a city that holds on some day, with its content's digest."""

    version: int
    digest: bytes
    valid_from: date


def lock_city(tx: Tx, city_id: str) -> int:
    """The city's highest version, 0 when it has none, held against other imports until the transaction ends."""
    tx.execute(MAKE_PLACE, (city_id,))
    row = tx.execute(LOCK_CITY, (city_id,)).fetchone()
    assert row is not None, "the row was made just before"
    return row[0]


def add_version(
    tx: Tx, file: CityFile, *, version: int, digest: bytes, valid_from: date, fares: bytes | None = None
) -> None:
    """Write a city at a version, in force from a day. fares: its packed Fares v2. The caller holds the city's lock."""
    city, key = file.city, (file.city.city_id, version)
    tx.execute(
        ADD_VERSION,
        (
            *key,
            valid_from,
            digest,
            city.name,
            city.local_name,
            city.country,
            city.tz,
            city.currency,
            city.day_starts,
            city.character,
        ),
    )
    if fares is not None:
        tx.execute(ADD_FARES, (*key, fares))
    tx.execute(ADD_OPERATORS, (*key, *_columns(file.operators, 3)))
    stops = [(s.stop_id, s.name, s.local_name, s.lat, s.lon, s.zone, s.code) for s in file.stops]
    tx.execute(ADD_STOPS, (*key, *_columns(stops, 7)))
    lines = [
        (
            line.line_id,
            place,
            line.operator_id,
            line.name,
            line.mode,
            line.color,
            line.loop,
            line.own_fare,
            "{" + ",".join(repr(degrees) for point in line.shape for degrees in point) + "}",
        )
        for place, line in enumerate(file.lines)
    ]
    tx.execute(ADD_LINES, (*key, *_columns(lines, 9)))
    calls = [
        (line.line_id, place, call.stop_id, call.distance_m)
        for line in file.lines
        for place, call in enumerate(line.stops)
    ]
    tx.execute(ADD_CALLS, (*key, *_columns(calls, 4)))
    tx.execute(COUNT_VERSION, (version, city.city_id))


def cities(tx: Tx, city_id: str | None = None) -> list[City]:
    """All cities as they are today, or the one of this id if there is one."""
    with tx.cursor(row_factory=class_row(City)) as cursor:
        return cursor.execute(CITIES, {"city_id": city_id}).fetchall()


def find_current(tx: Tx, city_id: str, day: date | None = None) -> Current | None:
    """The version in force on a day of the city, or today."""
    row = tx.execute(IN_FORCE, {"city_id": city_id, "day": day}).fetchone()
    return Current(row[0], bytes(row[1]), row[2]) if row else None


def find_version(tx: Tx, city_id: str, version: int) -> Current | None:
    row = tx.execute(VERSION, (city_id, version)).fetchone()
    return Current(row[0], bytes(row[1]), row[2]) if row else None


def versions(tx: Tx, city_id: str) -> list[CityVersion]:
    """All versions of a city in the order of their import."""
    with tx.cursor(row_factory=class_row(CityVersion)) as cursor:
        return cursor.execute(VERSIONS, (city_id,)).fetchall()


def find_fares(tx: Tx, city_id: str, version: int) -> bytes | None:
    """The packed Fares v2 of a version, where it has any."""
    row = tx.execute(FARES, (city_id, version)).fetchone()
    return bytes(row[0]) if row else None


def city_at(tx: Tx, city_id: str, version: int) -> City:
    """The city's facts at a version that is there."""
    with tx.cursor(row_factory=class_row(City)) as cursor:
        city = cursor.execute(CITY_AT, (city_id, version)).fetchone()
    assert city is not None, "the version was found just before"
    return city


def operators(tx: Tx, city_id: str, version: int) -> tuple[Operator, ...]:
    with tx.cursor(row_factory=class_row(Operator)) as cursor:
        return tuple(cursor.execute(OPERATORS, (city_id, version)).fetchall())


def stops(
    tx: Tx, city_id: str, version: int, *, after: str | None = None, limit: int | None = None
) -> list[Stop]:
    """Stops by stop_id, those after one; all of them without a limit."""
    with tx.cursor(row_factory=class_row(Stop)) as cursor:
        where = {"city_id": city_id, "version": version, "after": after, "limit": limit}
        return cursor.execute(STOPS, where).fetchall()


def lines(tx: Tx, city_id: str, version: int) -> list[Line]:
    """Lines with their stops, in the order in which they were handed in."""
    return [
        Line(
            line_id,
            city_id,
            operator_id,
            name,
            cast("Mode", mode),
            color,
            tuple(Call(stop_id, metres) for stop_id, metres in zip(stop_ids, distances, strict=True)),
            loop,
            own_fare,
            tuple(zip(shape[::2], shape[1::2], strict=True)),
        )
        for line_id, operator_id, name, mode, color, loop, own_fare, shape, stop_ids, distances in tx.execute(
            LINES, (city_id, version)
        )
    ]


def _columns(rows: Sequence[Operator] | Sequence[tuple[object, ...]], width: int) -> list[list[object]]:
    """Rows turned into columns, one list for each parameter of unnest."""
    tuples = [(r.operator_id, r.name, r.local_name) if isinstance(r, Operator) else r for r in rows]
    return [[row[place] for row in tuples] for place in range(width)]
