"""HTTP for places: cities, their stops, lines and networks. Anybody may read them; feeds come with them."""

from datetime import time
from typing import Annotated, Any

import msgspec
from litestar import get
from litestar.di import NamedDependency
from litestar.params import PathParameter, QueryParameter

from hansa.atlas import actions, feed_routes
from hansa.atlas.diagram import Picture, picture
from hansa.atlas.model import City, Line, Network, NotConnected, Stop, UnknownCity, UnknownStop
from hansa.kernel import paged
from hansa.store import Context

CityId = Annotated[str, PathParameter(max_length=60, description="A city's id, as hong-kong.")]
StopId = Annotated[str, QueryParameter(max_length=200, description="A stop's id, as beijing/xizhimen.")]
Side = Annotated[int, QueryParameter(ge=100, le=4_000, description="Units of the drawing's viewBox.")]


class CityView(msgspec.Struct, frozen=True):
    """A member city. day_starts: local time at which its service day begins."""

    city_id: str
    name: str
    local_name: str
    country: str
    tz: str
    currency: str
    day_starts: time
    character: str


class StopView(msgspec.Struct, frozen=True):
    """A stop. lat and lon are WGS 84 degrees, null where not known."""

    stop_id: str
    name: str
    local_name: str
    lat: float | None
    lon: float | None
    zone: str | None
    code: str | None


class StopPage(msgspec.Struct, frozen=True):
    """Stops by id; ``next`` is the ``after`` of the page that follows, null on the last."""

    stops: list[StopView]
    next: str | None


class CallView(msgspec.Struct, frozen=True):
    """A line's call at a stop, with the metres from the stop before; a loop's first has those from its last."""

    stop_id: str
    distance_m: int


class LineView(msgspec.Struct, frozen=True):
    """A line with its stops in order. own_fare: it stands outside the city's common fare."""

    line_id: str
    operator_id: str
    name: str
    mode: str
    color: str
    loop: bool
    own_fare: bool
    stops: list[CallView]


class DistanceView(msgspec.Struct, frozen=True):
    """The shortest way between two stops. common_m: the part of it on lines of the common fare."""

    origin: str
    destination: str
    distance_m: int
    common_m: int


class GeoJson(msgspec.Struct, frozen=True):
    """A feature collection (RFC 7946): lines as LineString, stops as Point, in [lon, lat]."""

    type: str
    features: list[dict[str, Any]]


@get("/v1/cities", sync_to_thread=True, tags=["Atlas"])
def list_cities(ctx: NamedDependency[Context]) -> list[CityView]:
    """All cities of the league."""
    with ctx.tx() as tx:
        return [_city(city) for city in actions.list_cities(tx)]


@get("/v1/cities/{city_id:str}", sync_to_thread=True, tags=["Atlas"], opt={"refuses": (UnknownCity,)})
def read_city(ctx: NamedDependency[Context], city_id: CityId) -> CityView:
    """One city."""
    with ctx.tx() as tx:
        return _city(actions.get_city(tx, city_id))


@get("/v1/cities/{city_id:str}/stops", sync_to_thread=True, tags=["Atlas"], opt={"refuses": (UnknownCity,)})
def list_stops(
    ctx: NamedDependency[Context],
    city_id: CityId,
    after: Annotated[str | None, QueryParameter(max_length=200)] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=500)] = 100,
) -> StopPage:
    """A city's stops by id, page by page."""
    with ctx.tx() as tx:
        found = actions.list_stops(tx, city_id, after=after, limit=limit + 1)
    page, more = paged(found, limit, lambda one: one.stop_id)
    return StopPage([_stop(one) for one in page], more)


@get("/v1/cities/{city_id:str}/lines", sync_to_thread=True, tags=["Atlas"], opt={"refuses": (UnknownCity,)})
def list_lines(ctx: NamedDependency[Context], city_id: CityId) -> list[LineView]:
    """A city's lines with their stops in order."""
    with ctx.tx() as tx:
        return [_line(line) for line in actions.list_lines(tx, city_id)]


@get(
    "/v1/cities/{city_id:str}/distance",
    sync_to_thread=True,
    tags=["Atlas"],
    opt={"refuses": (UnknownCity, UnknownStop, NotConnected)},
)
def read_distance(
    ctx: NamedDependency[Context], city_id: CityId, origin: StopId, destination: StopId
) -> DistanceView:
    """The metres of the shortest way between two stops over the network."""
    with ctx.tx() as tx:
        way = actions.get_network(tx, city_id).way(origin, destination)
    return DistanceView(origin, destination, way.distance_m, way.common_m)


@get(
    "/v1/cities/{city_id:str}/network.geojson",
    sync_to_thread=True,
    tags=["Atlas"],
    opt={"refuses": (UnknownCity,)},
)
def read_geojson(ctx: NamedDependency[Context], city_id: CityId) -> GeoJson:
    """A city's network as GeoJSON."""
    with ctx.tx() as tx:
        return _geojson(actions.get_network(tx, city_id))


@get("/v1/cities/{city_id:str}/picture", sync_to_thread=True, tags=["Atlas"], opt={"refuses": (UnknownCity,)})
def read_picture(
    ctx: NamedDependency[Context], city_id: CityId, width: Side = 800, height: Side = 600
) -> Picture:
    """A city's network laid out on a sheet, for drawing it as SVG."""
    with ctx.tx() as tx:
        return picture(actions.get_network(tx, city_id), width, height)


def _city(city: City) -> CityView:
    return CityView(
        city.city_id,
        city.name,
        city.local_name,
        city.country,
        city.tz,
        city.currency,
        city.day_starts,
        city.character,
    )


def _stop(stop: Stop) -> StopView:
    return StopView(stop.stop_id, stop.name, stop.local_name, stop.lat, stop.lon, stop.zone, stop.code)


def _line(line: Line) -> LineView:
    return LineView(
        line.line_id,
        line.operator_id,
        line.name,
        line.mode,
        line.color,
        line.loop,
        line.own_fare,
        [CallView(call.stop_id, call.distance_m) for call in line.stops],
    )


def _geojson(network: Network) -> GeoJson:
    features: list[dict[str, Any]] = []
    for line in network.lines.values():
        calls = [*line.stops, line.stops[0]] if line.loop else line.stops
        places = [network.stops[call.stop_id] for call in calls]
        points = [[stop.lon, stop.lat] for stop in places if stop.lat is not None]
        if len(points) > 1:
            features.append(
                {
                    "type": "Feature",
                    "id": line.line_id,
                    "geometry": {"type": "LineString", "coordinates": points},
                    "properties": {"name": line.name, "mode": line.mode, "color": line.color},
                }
            )
    features += [
        {
            "type": "Feature",
            "id": stop.stop_id,
            "geometry": {"type": "Point", "coordinates": [stop.lon, stop.lat]},
            "properties": {
                "name": stop.name,
                "local_name": stop.local_name,
                "zone": stop.zone,
                "lines": [line.line_id for line in network.lines_at(stop.stop_id)],
            },
        }
        for stop in network.stops.values()
        if stop.lat is not None
    ]
    return GeoJson("FeatureCollection", features)


ROUTES = [
    list_cities,
    read_city,
    list_stops,
    list_lines,
    read_distance,
    read_geojson,
    read_picture,
    *feed_routes.ROUTES,
]
