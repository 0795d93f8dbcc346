"""The HTTP face of atlas, asked over HTTP."""

from collections.abc import Iterator

import pytest
from litestar import Litestar, Request, Response
from litestar.datastructures import State
from litestar.di import Provide
from litestar.testing import TestClient

from hansa import atlas, trust
from hansa.atlas.routes import ROUTES
from hansa.kernel import HansaError
from hansa.store import Context


def problem(_: Request[object, object, State], error: HansaError) -> Response[dict[str, str]]:
    return Response({"code": error.code}, status_code=error.status)


@pytest.fixture
def client(ctx: Context) -> Iterator[TestClient[Litestar]]:
    for city_id in ("beijing", "london"):
        atlas.import_city_folder(ctx, atlas.city_folder(city_id))
    app = Litestar(
        ROUTES,
        dependencies={
            "ctx": Provide(lambda: ctx, sync_to_thread=False),
            "caller": Provide(lambda: trust.ANONYMOUS, sync_to_thread=False),
        },
        exception_handlers={HansaError: problem},
    )
    with TestClient(app) as client:
        yield client


def test_cities_are_listed_and_shown(client: TestClient[Litestar]) -> None:
    listed, one = client.get("/v1/cities"), client.get("/v1/cities/london")

    assert [city["city_id"] for city in listed.json()] == ["beijing", "london"]
    assert one.json() == listed.json()[1]
    assert (one.json()["day_starts"], one.json()["currency"]) == ("04:30:00", "GBP")


def test_stops_come_page_by_page_and_each_once(client: TestClient[Litestar]) -> None:
    seen: list[str] = []
    after: str | None = ""
    while after is not None:
        page = client.get(
            "/v1/cities/london/stops", params={"limit": 50, **({"after": after} if after else {})}
        ).json()
        seen += [stop["stop_id"] for stop in page["stops"]]
        after = page["next"]

    assert len(seen) == len(set(seen)) == 147 and seen == sorted(seen)


def test_lines_have_their_stops_in_order(client: TestClient[Litestar]) -> None:
    lines = client.get("/v1/cities/beijing/lines").json()

    assert len(lines) == 25
    ring = next(line for line in lines if line["line_id"] == "beijing/line-2")
    assert ring["loop"] and ring["stops"][0] == {"stop_id": "beijing/xizhimen", "distance_m": 1899}


def test_a_distance_can_be_asked_for(client: TestClient[Litestar]) -> None:
    asked = {"origin": "beijing/xizhimen", "destination": "beijing/dongzhimen"}

    assert client.get("/v1/cities/beijing/distance", params=asked).json() == {
        **asked,
        "distance_m": 7922,
        "common_m": 7922,
    }


def test_the_network_is_geojson(client: TestClient[Litestar]) -> None:
    body = client.get("/v1/cities/london/network.geojson").json()

    kinds = [feature["geometry"]["type"] for feature in body["features"]]
    assert body["type"] == "FeatureCollection"
    assert (kinds.count("LineString"), kinds.count("Point")) == (9, 147)
    assert all(-0.6 < feature["geometry"]["coordinates"][0] < 0.2 for feature in body["features"][9:])


def test_the_network_can_be_had_as_a_drawing(client: TestClient[Litestar]) -> None:
    body = client.get("/v1/cities/beijing/picture", params={"width": 500, "height": 400}).json()

    assert (body["width"], body["height"]) == (500, 400)
    assert body["lines"][0]["color"] == "#C43830" and len(body["stops"]) == 405


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/v1/cities/atlantis", 404, "atlas.unknown_city"),
        ("/v1/cities/atlantis/stops", 404, "atlas.unknown_city"),
        ("/v1/cities/atlantis/lines", 404, "atlas.unknown_city"),
        ("/v1/cities/atlantis/picture", 404, "atlas.unknown_city"),
        ("/v1/cities/london/distance?origin=london/bank&destination=x", 404, "atlas.unknown_stop"),
        ("/v1/cities/london/picture?width=99999", 400, None),
        ("/v1/cities/london/stops?limit=0", 400, None),
    ],
)
def test_what_cannot_be_answered_is_refused(
    client: TestClient[Litestar], path: str, status: int, code: str | None
) -> None:
    answer = client.get(path)

    assert answer.status_code == status
    if code:
        assert answer.json()["code"] == code
