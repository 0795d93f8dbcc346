"""City folders: what reads cleanly, and how each fault is named."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from hansa.atlas import CityFile, read_city, read_city_facts
from hansa.kernel import InvalidInput, Problem

TOML = """\
city_id = "town"
name = "Town"
local_name = "Stadt"
country = "DE"
tz = "Europe/Berlin"
currency = "EUR"
day_starts = 04:00:00
character = "Flat."

[[operator]]
operator_id = "town-rail"
name = "Town Rail"
local_name = "Stadtbahn"
"""
STOPS = """\
stop_id,name,local_name,lat,lon,zone
town/a,A,Ah,52.5,13.4,1
town/b,B,Beh,52.51,13.4,1/2
town/c,C,Zeh,,,
"""
LINES = """\
line_id,line_name,mode,color,loop,sequence,stop_id,distance_from_previous_m
town/1,Line 1,metro,#1077b5,no,1,town/a,0
town/1,Line 1,metro,#1077b5,no,2,town/b,1112
town/1,Line 1,metro,#1077b5,no,3,town/c,900
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in (("city.toml", TOML), ("stops.csv", STOPS), ("lines.csv", LINES)):
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def change(folder: Path, name: str, old: str, new: str) -> None:
    path = folder / name
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def problems_of(folder: Path) -> tuple[Problem, ...]:
    with pytest.raises(InvalidInput) as refused:
        read_city(folder)
    assert all(problem.where and problem.what and problem.remedy for problem in refused.value.problems)
    return refused.value.problems


def test_a_good_folder_becomes_a_city(folder: Path) -> None:
    file = read_city(folder)

    assert (file.city.city_id, file.city.day_starts.hour, file.city.currency) == ("town", 4, "EUR")
    assert [(stop.stop_id, stop.local_name, stop.zone, stop.lat) for stop in file.stops] == [
        ("town/a", "Ah", "1", 52.5),
        ("town/b", "Beh", "1/2", 52.51),
        ("town/c", "Zeh", None, None),
    ]
    (line,) = file.lines
    assert (line.operator_id, line.color, line.loop, line.own_fare) == ("town-rail", "#1077B5", False, False)
    assert [call.distance_m for call in line.stops] == [0, 1112, 900]


def test_the_city_alone_can_be_read(folder: Path) -> None:
    (folder / "stops.csv").unlink()

    assert read_city_facts(folder).local_name == "Stadt"


def test_a_byte_order_mark_and_windows_line_ends_are_welcome(folder: Path) -> None:
    path = folder / "stops.csv"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))

    assert len(read_city(folder).stops) == 3


# file | what stands there | what it is changed to | where the problem is said to be
FAULTS = [
    ("city.toml", 'city_id = "town"', 'city_id = "Town!"', "city.toml line 1, field city_id"),
    ("city.toml", 'country = "DE"', 'country = "de"', "city.toml line 4, field country"),
    ("city.toml", "Europe/Berlin", "Europe/Bärlin", "city.toml line 5, field tz"),
    ("city.toml", "Europe/Berlin", "../../etc/passwd", "city.toml line 5, field tz"),
    ("city.toml", '"EUR"', '"EUX"', "city.toml line 6, field currency"),
    ("city.toml", "04:00:00", '"04:00"', "city.toml line 7, field day_starts"),
    ("city.toml", "04:00:00", "25:00:00", "city.toml line 7"),
    ("city.toml", 'name = "Town"', "name = 7", "city.toml line 2, field name"),
    ("city.toml", "character", "charakter", "city.toml line 8, field charakter"),
    ("city.toml", "[[operator]]", "[[driver]]", "city.toml"),
    ("city.toml", 'operator_id = "town-rail"', 'operator_id = "Town Rail"', "city.toml, operator 1, field operator_id"),
    ("city.toml", 'name = "Town Rail"\n', "", "city.toml, operator 1, field name"),
    ("city.toml", "[[operator]]", "[[operator", "city.toml line 10"),
    ("stops.csv", "lat", "latitude", "stops.csv line 1, field lat"),
    ("stops.csv", "zone", "zone,colour", "stops.csv line 1, field 'colour'"),
    ("stops.csv", "zone", "lat", "stops.csv line 1, field 'lat'"),
    ("stops.csv", "52.5,13.4,1\n", "52.5,13.4\n", "stops.csv line 2"),
    ("stops.csv", "52.5,", "95,", "stops.csv line 2, field lat"),
    ("stops.csv", "52.5,", "nan,", "stops.csv line 2, field lat"),
    ("stops.csv", "52.5,", "52°30,", "stops.csv line 2, field lat"),
    ("stops.csv", "52.5,13.4", "52.5,", "stops.csv line 2, field lon"),
    ("stops.csv", "town/a,A,", "town/a,,", "stops.csv line 2, field name"),
    ("stops.csv", "town/a,A,", "town/a,A\x1b[2J,", "stops.csv line 2, field name"),
    ("stops.csv", "town/b", "town/a", "stops.csv line 3, field stop_id"),
    ("stops.csv", "town/a", "village/a", "stops.csv line 2, field stop_id"),
    ("stops.csv", "town/a", "town/A a", "stops.csv line 2, field stop_id"),
    ("stops.csv", "town/c,C", 'town/c,"C', "stops.csv line 4"),
    ("stops.csv", "A,Ah", "A\0,Ah", "stops.csv line 2"),
    ("stops.csv", "town/c,C,Zeh,,,\n", "town/c,C,Zeh,,,\ntown/d,D,D,,,\n", "stops.csv"),
    ("lines.csv", "Line 1,metro,#1077b5,no,2", "Line 2,metro,#1077b5,no,2", "lines.csv line 3, field line_name"),
    ("lines.csv", "metro", "monorail", "lines.csv line 2, field mode"),
    ("lines.csv", "#1077b5", "blue", "lines.csv line 2, field color"),
    ("lines.csv", ",no,", ",maybe,", "lines.csv line 2, field loop"),
    ("lines.csv", "no,2,", "no,3,", "lines.csv line 3, field sequence"),
    ("lines.csv", "town/b,1112", "town/x,1112", "lines.csv line 3, field stop_id"),
    ("lines.csv", "town/b,1112", "town/a,1112", "lines.csv line 3, field stop_id"),
    ("lines.csv", "town/a,0", "town/a,5", "lines.csv line 2, field distance_from_previous_m"),
    ("lines.csv", "town/b,1112", "town/b,0", "lines.csv line 3, field distance_from_previous_m"),
    ("lines.csv", "town/b,1112", "town/b,-3", "lines.csv line 3, field distance_from_previous_m"),
    ("lines.csv", "town/b,1112", "town/b,1.112", "lines.csv line 3, field distance_from_previous_m"),
    ("lines.csv", ",no,", ",yes,", "lines.csv line 2, field distance_from_previous_m"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "old", "new", "where"), FAULTS)
def test_a_fault_is_named_with_its_place(folder: Path, name: str, old: str, new: str, where: str) -> None:
    change(folder, name, old, new)

    assert where in [problem.where for problem in problems_of(folder)]


def test_every_fault_is_named_at_once(folder: Path) -> None:
    change(folder, "stops.csv", "52.5,", "95,")
    change(folder, "stops.csv", "town/b,B", "town/b,")
    change(folder, "lines.csv", "town/c,900", "town/z,x")

    places = [problem.where for problem in problems_of(folder)]

    assert places == [
        "stops.csv line 2, field lat",
        "stops.csv line 3, field name",
        "lines.csv line 4, field stop_id",
        "lines.csv line 4, field distance_from_previous_m",
    ]


@pytest.mark.parametrize("name", ["city.toml", "stops.csv", "lines.csv"])
def test_a_missing_or_empty_or_unreadable_file_is_named(folder: Path, name: str) -> None:
    spoil: list[Callable[[Path], object]] = [
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"\xff\xfe" + TOML.encode("utf-16-le")),
        lambda path: path.unlink(),
    ]
    for how in spoil:
        how(folder / name)
        assert any(name in problem.where for problem in problems_of(folder))


def test_a_byte_that_is_not_utf8_is_named_with_its_line(folder: Path) -> None:
    path = folder / "stops.csv"
    path.write_bytes(path.read_bytes().replace(b"Beh", b"B\xe4h"))

    (problem,) = [found for found in problems_of(folder) if "stops.csv" in found.where]

    assert (problem.where, problem.what) == ("stops.csv line 3", "the byte 0xe4 is not UTF-8")


def test_with_several_operators_each_line_names_its_own(folder: Path) -> None:
    second = '\n[[operator]]\noperator_id = "town-bus"\nname = "Bus"\nlocal_name = "Bus"\n'
    change(folder, "city.toml", TOML, TOML + second)
    assert "lines.csv line 1, field operator_id" in [problem.where for problem in problems_of(folder)]

    rows = LINES.replace("from_previous_m\n", "from_previous_m,operator_id\n")
    for metres in (",0\n", ",1112\n", ",900\n"):
        rows = rows.replace(metres, f"{metres[:-1]},town-bus\n")
    (folder / "lines.csv").write_text(rows)

    assert [line.operator_id for line in read_city(folder).lines] == ["town-bus"]


def test_a_table_of_faults_is_told_by_its_first_thousand(folder: Path) -> None:
    bad = "".join(f"town/s{number},,Local,52,13,1\n" for number in range(1_500))
    (folder / "stops.csv").write_text(f"stop_id,name,local_name,lat,lon,zone\n{bad}")

    problems = problems_of(folder)

    assert len(problems) == 1_001
    assert "more problems are not listed" in problems[-1].what


def test_equal_content_has_an_equal_digest_whatever_its_order(folder: Path) -> None:
    file = read_city(folder)
    turned = CityFile(file.city, file.operators, file.stops[::-1], file.lines[::-1])
    other = shutil.copytree(folder, folder / "other")
    change(other, "lines.csv", "900", "901")

    assert file.digest() == turned.digest()
    assert read_city(other).digest() != file.digest()
