"""What can be done in the atlas: import a city, read one back."""

from collections import OrderedDict
from pathlib import Path

from hansa.atlas import store
from hansa.atlas.cityfile import read_city
from hansa.atlas.gtfs import read_gtfs
from hansa.atlas.model import City, CityFile, ImportReport, Line, Network, Stop, UnknownCity
from hansa.store import Context, Tx

NETWORKS_KEPT_MAX = 64

_networks: OrderedDict[tuple[str, int, bytes], Network] = OrderedDict()


def import_city(tx: Tx, file: CityFile) -> ImportReport:
    """Make this the city's network. The same content again changes nothing; earlier versions stay readable.

    file: from ``read_city`` or ``read_gtfs``, which have checked it whole.
    """
    digest = file.digest()
    current = store.lock_city(tx, file.city.city_id)
    changed = current.digest != digest
    version = current.version + changed
    if changed:
        store.add_version(tx, file, version=version, digest=digest)
    return ImportReport(file.city.city_id, file.city.name, version, changed, len(file.stops), len(file.lines))


def import_city_folder(ctx: Context, folder: Path) -> ImportReport:
    """Read a city's folder and make it the city's network.

    Errors: InvalidInput naming every problem; then nothing was imported.
    """
    file = read_city(folder)
    with ctx.tx() as tx:
        return import_city(tx, file)


def import_gtfs(ctx: Context, source: Path | bytes, *, city: City, operator_id: str) -> ImportReport:
    """Read a GTFS feed and make it the city's network. Its fares are for the rides room: ``read_gtfs`` gives them.

    Errors: InvalidInput naming every problem; then nothing was imported.
    """
    feed = read_gtfs(source, city=city, operator_id=operator_id)
    with ctx.tx() as tx:
        report = import_city(tx, feed.city_file)
    return ImportReport(
        report.city_id,
        report.name,
        report.version,
        report.changed,
        report.stops,
        report.lines,
        trips=feed.trips,
        fares=len(feed.fares_v1.attributes),
    )


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


def get_network(tx: Tx, city_id: str, *, version: int | None = None) -> Network:
    """A city's network as it is now, or as it was at an earlier version; kept in memory, since it never changes.

    Errors: UnknownCity.
    """
    current = _current(tx, city_id) if version is None else store.find_version(tx, city_id, version)
    if current is None:
        raise UnknownCity(f"{city_id!r} has no version {version}.")
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


def _current(tx: Tx, city_id: str) -> store.Current:
    current = store.find_current(tx, city_id)
    if current is None:
        raise UnknownCity(f"The league has no city {city_id!r}.")
    return current
