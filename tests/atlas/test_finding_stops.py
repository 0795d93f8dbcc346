"""Stops by what a person types."""

from functools import cache

import pytest
from litestar import Litestar
from litestar.di import Provide
from litestar.testing import TestClient

from hansa import atlas
from hansa.atlas.stop_routes import ROUTES
from hansa.kernel import InvalidInput
from hansa.store import Context


@cache
def network(city_id: str) -> atlas.Network:
    return atlas.network_of(atlas.read_city(atlas.city_folder(city_id)))


@pytest.mark.parametrize(
    ("city", "text", "first"),
    [
        ("hong-kong", "hong-kong/central", "hong-kong/central"),
        ("hong-kong", "central", "hong-kong/central"),
        ("hong-kong", "中環", "hong-kong/central"),
        ("hong-kong", "Mongkok", "hong-kong/mong-kok"),
        ("hong-kong", "Tsim  sha-TSUI", "hong-kong/tsim-sha-tsui"),
        ("beijing", "西直门", "beijing/xizhimen"),
        ("beijing", "xizimen", "beijing/xizhimen"),
        ("london", "king's cross", "london/kings-cross-st-pancras"),
    ],
)
def test_what_is_typed_finds_the_stop(city: str, text: str, first: str) -> None:
    found = atlas.find_stops(network(city), text)

    assert found and found[0].stop_id == first


@pytest.mark.parametrize("text", ["", "   ", "!?", "qqqqqqqq"])
def test_what_means_nothing_finds_nothing(text: str) -> None:
    assert atlas.find_stops(network("hong-kong"), text) == []


def test_every_stop_is_found_first_by_its_id_and_among_the_first_by_its_name() -> None:
    for city in ("hong-kong", "london", "toronto"):
        for stop in network(city).stops.values():
            assert atlas.get_stop(network(city), stop.stop_id, where="origin") == stop
            assert stop in atlas.find_stops(network(city), stop.name)[:4]


def test_an_unknown_stop_is_refused_with_what_may_have_been_meant() -> None:
    with pytest.raises(InvalidInput) as refused:
        atlas.get_stop(network("hong-kong"), "Mong Kock", where="origin")

    (problem,) = refused.value.problems
    assert (problem.where, "hong-kong/mong-kok" in problem.remedy) == ("origin", True)


def test_stops_are_searched_over_http(ctx: Context) -> None:
    with ctx.tx() as tx:
        atlas.import_city(tx, atlas.read_city(atlas.city_folder("hong-kong")))
    with TestClient(
        Litestar(ROUTES, dependencies={"ctx": Provide(lambda: ctx, sync_to_thread=False)})
    ) as client:
        found = client.get("/v1/stops", params={"city": "hong-kong", "q": "kowloon"}).json()["stops"]
        blank = client.get("/v1/stops", params={"city": "hong-kong", "q": ""})

    names = [one["name"] for one in found]
    assert names[0] == "Kowloon" and "Kowloon Tong" in names and found[0]["lines"]
    assert blank.status_code == 400  # the application makes a 422 of it
