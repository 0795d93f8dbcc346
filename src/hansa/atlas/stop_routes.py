"""HTTP for finding a stop by what a person types. Anybody may ask."""

from typing import Annotated

import msgspec
from litestar import get
from litestar.di import NamedDependency
from litestar.params import QueryParameter

from hansa.atlas import actions
from hansa.atlas.finding import FOUND_MAX, find_stops
from hansa.atlas.model import Stop, UnknownCity
from hansa.store import Context


class FoundStop(msgspec.Struct, frozen=True):
    """A stop that may be meant, with the names of the lines that call there."""

    stop_id: str
    name: str
    local_name: str
    zone: str | None
    lines: list[str]


class FoundStops(msgspec.Struct, frozen=True):
    """Stops that may be meant, the likeliest first."""

    stops: list[FoundStop]


@get("/v1/stops", sync_to_thread=True, tags=["Atlas"], opt={"refuses": (UnknownCity,)})
def search_stops(
    ctx: NamedDependency[Context],
    city: Annotated[str, QueryParameter(max_length=60, description="A city's id, as hong-kong.")],
    q: Annotated[str, QueryParameter(min_length=1, max_length=100, description="A name, or a part of it.")],
    limit: Annotated[int, QueryParameter(ge=1, le=FOUND_MAX)] = 10,
) -> FoundStops:
    """Stops by name. The likeliest first: whole names, then beginnings, then parts, then names that are alike."""
    with ctx.tx() as tx:
        network = actions.get_network(tx, city)

    def told(stop: Stop) -> FoundStop:
        lines = [line.name for line in network.lines_at(stop.stop_id)]
        return FoundStop(stop.stop_id, stop.name, stop.local_name, stop.zone, lines)

    return FoundStops([told(one) for one in find_stops(network, q, limit=limit)])


ROUTES = [search_stops]
