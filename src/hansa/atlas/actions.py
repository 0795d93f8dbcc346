"""What can be done in the atlas: import a city, read one back."""

import hashlib
from collections import OrderedDict
from dataclasses import replace
from datetime import date
from pathlib import Path

from hansa.atlas import store
from hansa.atlas.cityfile import read_city
from hansa.atlas.faresv2 import FaresV2, pack_fares, unpack_fares
from hansa.atlas.gtfs import read_gtfs
from hansa.atlas.model import City, CityFile, CityVersion, ImportReport, Line, Network, Stop, UnknownCity
from hansa.store import Context, Tx

NETWORKS_KEPT_MAX = 64

_networks: OrderedDict[tuple[str, int, bytes], Network] = OrderedDict()


def import_city(
    tx: Tx, file: CityFile, *, valid_from: date | None = None, fares: FaresV2 | None = None
) -> ImportReport:
    """Make this the city's network from a day on; earlier versions stay readable, and the same again changes nothing.

    file: from ``read_city`` or ``read_gtfs``, which have checked it whole. fares: the Fares v2 that came with it.
    valid_from: the first service day it holds; None puts it in the place of what holds today, from the same day.
    """
    city_id = file.city.city_id
    packed = pack_fares(fares) if fares else None
    digest = file.digest() if packed is None else hashlib.sha256(file.digest() + packed).digest()
    highest = store.lock_city(tx, city_id)
    current = store.find_current(tx, city_id, valid_from)
    begins = valid_from or (current.valid_from if current else date.min)
    version, changed = highest + 1, True
    if current is not None and current.digest == digest and current.valid_from == begins:
        version, begins, changed = current.version, current.valid_from, False
    else:
        store.add_version(tx, file, version=version, digest=digest, valid_from=begins, fares=packed)
    return ImportReport(
        city_id, file.city.name, version, changed, len(file.stops), len(file.lines), valid_from=begins
    )


def import_city_folder(ctx: Context, folder: Path) -> ImportReport:
    """Read a city's folder and make it the city's network.

    Errors: InvalidInput naming every problem; then nothing was imported.
    """
    file = read_city(folder)
    with ctx.tx() as tx:
        return import_city(tx, file)


def import_gtfs(
    ctx: Context, source: Path | bytes, *, city: City, operator_id: str, valid_from: date | None = None
) -> ImportReport:
    """Read a GTFS feed and make it the city's network from a day on, with its Fares v2.

    Its Fares v1 are for the rides room, which makes a tariff of them: ``read_gtfs`` gives them.
    valid_from: as for ``import_city``.
    Errors: InvalidInput naming every problem; then nothing was imported.
    """
    feed = read_gtfs(source, city=city, operator_id=operator_id)
    with ctx.tx() as tx:
        report = import_city(tx, feed.city_file, valid_from=valid_from, fares=feed.fares_v2)
    return replace(report, trips=feed.trips, fares=len(feed.fares_v1.attributes))


def list_cities(tx: Tx) -> list[City]:
    """All cities of the league, by id."""
    return store.cities(tx)


def get_city(tx: Tx, city_id: str) -> City:
    """Errors: UnknownCity."""
    found = store.cities(tx, city_id)
    if not found:
        raise UnknownCity(f"The league has no city {city_id!r}.")
    return found[0]


def list_stops(tx: Tx, city_id: str, *, after: str | None = None, limit: int | None = None) -> list[Stop]:
    """A city's stops by stop_id, those after one. Errors: UnknownCity."""
    return store.stops(tx, city_id, _current(tx, city_id).version, after=after, limit=limit)


def list_lines(tx: Tx, city_id: str) -> list[Line]:
    """A city's lines in the order of its file. Errors: UnknownCity."""
    return store.lines(tx, city_id, _current(tx, city_id).version)


def list_versions(tx: Tx, city_id: str) -> list[CityVersion]:
    """All versions of a city in the order of their import; none where it has none."""
    return store.versions(tx, city_id)


def get_fares_v2(
    tx: Tx, city_id: str, *, version: int | None = None, day: date | None = None
) -> FaresV2 | None:
    """A city's Fares v2 as they hold today, on another service day, or at a version; None where its feed has none.

    Errors: UnknownCity.
    """
    packed = store.find_fares(tx, city_id, _current(tx, city_id, version=version, day=day).version)
    return unpack_fares(packed) if packed is not None else None


def get_network(tx: Tx, city_id: str, *, version: int | None = None, day: date | None = None) -> Network:
    """A city's network as it holds today, on another service day, or at a version.

    It is kept in memory, since it never changes. Errors: UnknownCity.
    """
    current = _current(tx, city_id, version=version, day=day)
    key = (city_id, current.version, current.digest)
    network = _networks.get(key)
    if network is None:
        network = Network(
            store.city_at(tx, city_id, current.version),
            {stop.stop_id: stop for stop in store.stops(tx, city_id, current.version)},
            {line.line_id: line for line in store.lines(tx, city_id, current.version)},
            current.version,
            store.operators(tx, city_id, current.version),
        )
        _networks[key] = network
        while len(_networks) > NETWORKS_KEPT_MAX:
            _networks.popitem(last=False)
    return network


def _current(tx: Tx, city_id: str, *, version: int | None = None, day: date | None = None) -> store.Current:
    if version is not None:
        current, what = store.find_version(tx, city_id, version), f"{city_id!r} has no version {version}."
    else:
        current, what = store.find_current(tx, city_id, day), f"The league has no city {city_id!r}."
        if day is not None:
            what = f"{city_id!r} has no network on {day}."
    if current is None:
        raise UnknownCity(what)
    return current
