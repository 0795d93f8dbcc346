"""The drawing of a network: on the sheet, north up, in proportion, with names that do not cover each other."""

import pytest

from hansa import atlas
from hansa.atlas import Network, PictureStop, picture
from hansa.atlas.diagram import LABEL_HEIGHT, LETTER_WIDTH

CITIES = ("beijing", "hangzhou", "hong-kong", "london", "toronto")


def network(city_id: str) -> Network:
    return atlas.network_of(atlas.read_city(atlas.city_folder(city_id)))


def at(stops: tuple[PictureStop, ...], stop_id: str) -> PictureStop:
    return next(stop for stop in stops if stop.stop_id == stop_id)


@pytest.mark.parametrize("city_id", CITIES)
@pytest.mark.parametrize(("width", "height"), [(800, 600), (360, 640)])
def test_everything_is_on_the_sheet(city_id: str, width: int, height: int) -> None:
    town = network(city_id)

    drawing = picture(town, width, height)

    assert len(drawing.stops) == len(town.stops) and len(drawing.lines) == len(town.lines)
    points = [point for line in drawing.lines for point in line.points] + [(s.x, s.y) for s in drawing.stops]
    assert all(23.9 <= x <= width - 23.9 and 23.9 <= y <= height - 23.9 for x, y in points)
    spread = [max(side) - min(side) for side in zip(*points, strict=True)]
    assert spread[0] > width - 50 or spread[1] > height - 50


def test_north_is_up_east_is_right_and_proportions_are_kept() -> None:
    stops = picture(network("beijing"), 1000, 800).stops
    west, east = at(stops, "beijing/wukesong"), at(stops, "beijing/sihui")
    north, south = at(stops, "beijing/tiantongyuanbei"), at(stops, "beijing/songjiazhuang")

    assert west.x < east.x and north.y < south.y
    # 18.7 km from west to east and 26.9 km from north to south on the ground.
    assert (south.y - north.y) / (east.x - west.x) == pytest.approx(26.9 / 18.7, rel=0.03)


def test_a_loop_is_drawn_closed() -> None:
    ring = next(
        line for line in picture(network("beijing"), 800, 600).lines if line.line_id == "beijing/line-2"
    )

    assert ring.points[0] == ring.points[-1] and len(ring.points) == 19


@pytest.mark.parametrize("city_id", CITIES)
def test_names_stand_at_hubs_and_cover_no_other(city_id: str) -> None:
    named = [stop for stop in picture(network(city_id), 900, 700).stops if stop.label]
    boxes = [
        (left, stop.y - LABEL_HEIGHT, left + 4 + LETTER_WIDTH * len(stop.label), stop.y + 2)
        for stop in named
        for left in [stop.x + 4 if stop.anchor == "start" else stop.x - 8 - LETTER_WIDTH * len(stop.label)]
    ]

    assert len(named) >= 5 and all(stop.hub for stop in named)
    for number, (left, top, right, bottom) in enumerate(boxes):
        assert left >= 0 and right <= 900 and top >= 0 and bottom <= 700
        for other in boxes[number + 1 :]:
            assert right <= other[0] or other[2] <= left or bottom <= other[1] or other[3] <= top


def test_stops_without_a_place_are_left_out() -> None:
    file = atlas.read_city(atlas.city_folder("toronto"))
    blank = [atlas.Stop(s.stop_id, s.city_id, s.name, s.local_name, None, None, s.zone) for s in file.stops]
    lost = atlas.network_of(atlas.CityFile(file.city, file.operators, tuple(blank), file.lines))

    drawing = picture(lost, 400, 400)

    assert drawing.stops == () and drawing.lines == ()


@pytest.mark.parametrize("city_id", CITIES)
def test_a_small_map_has_few_names_and_room_around_each(city_id: str) -> None:
    named = [
        stop
        for stop in picture(network(city_id), 420, 290, margin=14, labels=5, letter=1.2, apart=5).stops
        if stop.label
    ]
    boxes = [
        (left, stop.y - LABEL_HEIGHT * 1.2, left + 4 + long, stop.y + 2)
        for stop in named
        for long in [LETTER_WIDTH * 1.2 * len(stop.label)]
        for left in [stop.x + 4 if stop.anchor == "start" else stop.x - 8 - long]
    ]

    assert 3 <= len(named) <= 5
    for number, (left, top, right, bottom) in enumerate(boxes):
        for other in boxes[number + 1 :]:
            apart = max(other[0] - right, left - other[2], other[1] - bottom, top - other[3])
            assert apart >= 4.9
