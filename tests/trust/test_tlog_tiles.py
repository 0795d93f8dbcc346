"""The names of tiles, and bundles of entries."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa.trust import tlog
from hansa.trust.tlog import BadTile, Tile

# level | index | width | path
PATHS = [
    (0, 0, 256, "tile/0/000"),
    (0, 999, 256, "tile/0/999"),
    (0, 1000, 256, "tile/0/x001/000"),
    (0, 1_234_067, 256, "tile/0/x001/x234/067"),
    (1, 5, 17, "tile/1/005.p/17"),
    (63, 0, 1, "tile/63/000.p/1"),
    (None, 1_234_067, 256, "tile/entries/x001/x234/067"),
    (None, 273, 112, "tile/entries/273.p/112"),
]


@pytest.mark.parametrize(("level", "index", "width", "path"), PATHS)
def test_a_tile_has_one_path(level: int | None, index: int, width: int, path: str) -> None:
    told = tlog.entries_path(index, width) if level is None else tlog.tile_path(level, index, width)

    assert told == path
    assert tlog.parse_path(path) == Tile(level, index, width)


@given(
    st.none() | st.integers(0, 63),
    st.integers(0, 2**63 - 1),
    st.integers(1, 256),
)
def test_every_path_leads_back(level: int | None, index: int, width: int) -> None:
    tile = Tile(level, index, width)

    assert tlog.parse_path(str(tile)) == tile


@pytest.mark.parametrize(
    "path",
    [
        "",
        "tile/0/0",
        "tile/0/00",
        "tile/0/0000",
        "tile/00/000",
        "tile/64/000",
        "tile/-1/000",
        "tile/0/x000/001",
        "tile/0/001/002",
        "tile/0/x001/x002",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/01",
        "tile/0/000.p/",
        "tile/0/000/",
        "/tile/0/000",
        "tile/0/000\n",
        "tile/0/../000",
        "tile/0/٠٠٠",
        "tile/Entries/000",
        "tile/0/x999/x999/x999/x999/x999/x999/999",
        "tile/0/" + "x001/" * 40 + "000",
    ],
)
def test_other_paths_name_no_tile(path: str) -> None:
    assert tlog.parse_path(path) is None


# size | level | index | width
WIDTHS = [
    (70_000, 0, 272, 256),
    (70_000, 0, 273, 112),
    (70_000, 0, 274, 0),
    (70_000, 1, 0, 256),
    (70_000, 1, 1, 17),
    (70_000, 2, 0, 1),
    (70_000, 3, 0, 0),
    (256, 0, 0, 256),
    (256, 1, 0, 1),
    (0, 0, 0, 0),
]


@pytest.mark.parametrize(("size", "level", "index", "width"), WIDTHS)
def test_a_tile_is_as_wide_as_the_log_is_long(size: int, level: int, index: int, width: int) -> None:
    assert tlog.tile_width(level, index, size) == width


@given(st.lists(st.binary(max_size=70), min_size=1, max_size=256))
def test_a_bundle_gives_back_its_entries(entries: list[bytes]) -> None:
    assert tlog.decode_bundle(tlog.encode_bundle(entries), len(entries)) == entries


def test_a_bundle_has_each_entry_after_its_length() -> None:
    assert tlog.encode_bundle([b"ab", b"", bytes(300)]) == b"\x00\x02ab\x00\x00\x01\x2c" + bytes(300)


@pytest.mark.parametrize(
    "entries", [[], [b""] * 257, [bytes(65_536)]], ids=["none", "too many", "one too long"]
)
def test_what_cannot_be_bundled_is_refused(entries: list[bytes]) -> None:
    with pytest.raises(BadTile):
        tlog.encode_bundle(entries)


@pytest.mark.parametrize(
    ("data", "width"),
    [
        (b"", 1),
        (b"\x00", 1),
        (b"\x00\x02a", 1),
        (b"\x00\x01a\x00", 1),
        (b"\x00\x01a", 2),
        (b"\x00\x01a\x00\x01b", 1),
    ],
)
def test_a_broken_bundle_is_refused(data: bytes, width: int) -> None:
    with pytest.raises(BadTile):
        tlog.decode_bundle(data, width)
