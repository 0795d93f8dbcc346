"""The lines on which shortest ways begin, for all stops at once, against each way by itself."""

import pytest

from hansa import atlas


@pytest.mark.parametrize("product", ["metro", "bus", ""])
@pytest.mark.parametrize("city", ["hong-kong", "toronto"])
def test_the_first_lines_from_a_stop_are_those_of_each_way_by_itself(city: str, product: str) -> None:
    network = atlas.network_of(atlas.read_city(atlas.city_folder(city)))

    for origin in list(network.stops)[::5]:
        expected: dict[str, str] = {}
        for stop in network.stops:
            try:
                way = atlas.stretches(network, origin, stop, product)
            except atlas.NotConnected:
                continue
            if way:
                expected[stop] = way[0].line_id

        assert atlas.first_lines(network, origin, product) == expected


def test_lines_from_a_stop_that_is_not_there_are_refused() -> None:
    network = atlas.network_of(atlas.read_city(atlas.city_folder("toronto")))

    with pytest.raises(atlas.UnknownStop):
        atlas.first_lines(network, "toronto/nowhere")
