"""The SQL of atlas."""

from collections.abc import Sequence
from typing import NamedTuple, cast

from psycopg.rows import class_row

from hansa.atlas.model import Call, City, CityFile, Line, Mode, Operator, Stop
from hansa.store import Tx

MAKE_PLACE = "insert into atlas.cities (city_id) values (%s) on conflict (city_id) do nothing"

LOCK_CITY = """
select c.version, v.digest
from atlas.cities c
left join atlas.versions v using (city_id, version)
where c.city_id = %s
for no key update of c
"""

ADD_VERSION = """
insert into atlas.versions
    (city_id, version, digest, name, local_name, country, tz, currency, day_starts, character)
values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
"""

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
insert into atlas.lines (city_id, version, line_id, place, operator_id, name, mode, color, loop, own_fare)
select %s, %s, * from unnest(
    %s::text[], %s::int[], %s::text[], %s::text[], %s::text[], %s::text[], %s::bool[], %s::bool[])
"""

ADD_CALLS = """
insert into atlas.calls (city_id, version, line_id, place, stop_id, distance_m)
select %s, %s, * from unnest(%s::text[], %s::int[], %s::text[], %s::int[])
"""

TURN_TO = "update atlas.cities set version = %s where city_id = %s"

CITIES = """
select city_id, name, local_name, country, tz, currency, day_starts, character
from atlas.cities
join atlas.versions using (city_id, version)
where %(city_id)s::text is null or city_id = %(city_id)s
order by city_id
"""

CURRENT = """
select version, digest
from atlas.cities
join atlas.versions using (city_id, version)
where city_id = %s
"""

VERSION = "select version, digest from atlas.versions where city_id = %s and version = %s"

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
select l.line_id, l.operator_id, l.name, l.mode, l.color, l.loop, l.own_fare,
    array_agg(c.stop_id order by c.place), array_agg(c.distance_m order by c.place)
from atlas.lines l
join atlas.calls c using (city_id, version, line_id)
where l.city_id = %s and l.version = %s
group by l.city_id, l.version, l.line_id
order by l.place
"""


class Current(NamedTuple):
    """Which version of a city holds now, and its content's digest."""

    version: int
    digest: bytes


def lock_city(tx: Tx, city_id: str) -> Current:
    """The city's current version, 0 when it has none, held against other imports until the transaction ends."""
    tx.execute(MAKE_PLACE, (city_id,))
    row = tx.execute(LOCK_CITY, (city_id,)).fetchone()
    assert row is not None, "the row was made just before"
    return Current(row[0], bytes(row[1] or b""))


def add_version(tx: Tx, file: CityFile, *, version: int, digest: bytes) -> None:
    """Write a city at a version and turn to it. The caller holds the city's lock."""
    city, key = file.city, (file.city.city_id, version)
    tx.execute(
        ADD_VERSION,
        (
            *key,
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
    tx.execute(ADD_OPERATORS, (*key, *_columns(file.operators, 3)))
    stops = [(s.stop_id, s.name, s.local_name, s.lat, s.lon, s.zone, s.code) for s in file.stops]
    tx.execute(ADD_STOPS, (*key, *_columns(stops, 7)))
    lines = [
        (line.line_id, place, line.operator_id, line.name, line.mode, line.color, line.loop, line.own_fare)
        for place, line in enumerate(file.lines)
    ]
    tx.execute(ADD_LINES, (*key, *_columns(lines, 8)))
    calls = [
        (line.line_id, place, call.stop_id, call.distance_m)
        for line in file.lines
        for place, call in enumerate(line.stops)
    ]
    tx.execute(ADD_CALLS, (*key, *_columns(calls, 4)))
    tx.execute(TURN_TO, (version, city.city_id))


def cities(tx: Tx, city_id: str | None = None) -> list[City]:
    """All cities, or the one of this id if there is one."""
    with tx.cursor(row_factory=class_row(City)) as cursor:
        return cursor.execute(CITIES, {"city_id": city_id}).fetchall()


def find_current(tx: Tx, city_id: str) -> Current | None:
    row = tx.execute(CURRENT, (city_id,)).fetchone()
    return Current(row[0], bytes(row[1])) if row else None


def find_version(tx: Tx, city_id: str, version: int) -> Current | None:
    row = tx.execute(VERSION, (city_id, version)).fetchone()
    return Current(row[0], bytes(row[1])) if row else None


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
        )
        for line_id, operator_id, name, mode, color, loop, own_fare, stop_ids, distances in tx.execute(
            LINES, (city_id, version)
        )
    ]


def _columns(rows: Sequence[Operator] | Sequence[tuple[object, ...]], width: int) -> list[list[object]]:
    """Rows turned into columns, one list for each parameter of unnest."""
    tuples = [(r.operator_id, r.name, r.local_name) if isinstance(r, Operator) else r for r in rows]
    return [[row[place] for row in tuples] for place in range(width)]
