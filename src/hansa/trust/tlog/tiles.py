"""Where a log's hashes and entries lie, as files or over HTTP: the tiles of tlog-tiles, 256 wide."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from hansa.trust.tlog.errors import BadTile

HASH_BYTES = 32
TILE_HEIGHT = 8
TILE_WIDTH = 256
LEVEL_MAX = 63
ENTRY_BYTES_MAX = 2**16 - 1

CHECKPOINT_PATH = "checkpoint"
CHECKPOINT_TYPE = "text/plain; charset=utf-8"
TILE_TYPE = "application/octet-stream"

_PATH = re.compile(
    r"tile/(?P<level>entries|0|[1-9][0-9]?)/(?P<index>(?:x[0-9]{3}/)*[0-9]{3})(?:\.p/(?P<width>[1-9][0-9]{0,2}))?",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class Tile:
    """The name of a tile. level: None for a bundle of entries. width: 256 when full, 1 to 255 at the growing edge."""

    level: int | None
    index: int
    width: int = TILE_WIDTH

    def __str__(self) -> str:
        place = "entries" if self.level is None else str(self.level)
        digits = f"{self.index:03d}"
        digits = digits.zfill(-(-len(digits) // 3) * 3)
        groups = [digits[at : at + 3] for at in range(0, len(digits), 3)]
        number = "/".join([*(f"x{group}" for group in groups[:-1]), groups[-1]])
        return f"tile/{place}/{number}" + ("" if self.width == TILE_WIDTH else f".p/{self.width}")


def tile_path(level: int, index: int, width: int = TILE_WIDTH) -> str:
    """The path of a tile of hashes: level 0, index 1,234,067 is ``tile/0/x001/x234/067``; partial, ``….p/17``."""
    return str(Tile(level, index, width))


def entries_path(index: int, width: int = TILE_WIDTH) -> str:
    """The path of a bundle of entries, such as ``tile/entries/003``."""
    return str(Tile(None, index, width))


def parse_path(path: str) -> Tile | None:
    """The tile that this path names, or None when it names none. Each tile has one path only."""
    if len(path) > 100 or not (found := _PATH.fullmatch(path)):
        return None
    place, groups, width = found["level"], found["index"], found["width"]
    tile = Tile(
        level=None if place == "entries" else int(place),
        index=int(groups.replace("x", "").replace("/", "")),
        width=int(width or TILE_WIDTH),
    )
    fits = (tile.level or 0) <= LEVEL_MAX and tile.index < 2**63 and str(tile) == path
    return tile if fits else None


def tile_width(level: int, index: int, size: int) -> int:
    """How many hashes the tile has while the log has ``size`` entries: 0, when there is no such tile, to 256."""
    return max(0, min(TILE_WIDTH, (size >> TILE_HEIGHT * level) - index * TILE_WIDTH))


def encode_bundle(entries: Sequence[bytes]) -> bytes:
    """A bundle of 1 to 256 entries, each after its length in two bytes. Errors: BadTile."""
    if not 1 <= len(entries) <= TILE_WIDTH:
        raise BadTile(f"A bundle has 1 to {TILE_WIDTH} entries, not {len(entries)}.")
    if any(len(entry) > ENTRY_BYTES_MAX for entry in entries):
        raise BadTile(f"An entry has at most {ENTRY_BYTES_MAX} bytes.")
    return b"".join(len(entry).to_bytes(2, "big") + entry for entry in entries)


def decode_bundle(data: bytes, width: int = TILE_WIDTH) -> list[bytes]:
    """The ``width`` entries of a bundle. Errors: BadTile when it is shorter or longer than it says."""
    entries: list[bytes] = []
    at = 0
    while at < len(data) and len(entries) < width:
        begin = at + 2
        at = begin + int.from_bytes(data[at:begin], "big")
        entries.append(data[begin:at])
    if at != len(data) or len(entries) != width:
        raise BadTile(f"This bundle does not hold {width} whole entries.")
    return entries
