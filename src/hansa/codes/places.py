"""Where a phone or a gate is, in 3 bytes: coarse enough to give nobody away, fine enough to tell cities apart.

The world is cut into 4,096 rows from the South Pole to the North and 4,096 columns eastward from 180 degrees West: a
cell is 4.9 km high and, at the equator, 9.8 km wide. The bytes are row * 4096 + column, big-endian.
"""

from math import floor

NO_PLACE = bytes(3)
"""Whoever does not know where it is; the cell of these bytes is ice at the South Pole."""

_SIDE = 4096


def place_cell(latitude: float, longitude: float) -> bytes:
    """The cell of a place in degrees (WGS 84)."""
    assert -90 <= latitude <= 90, "latitudes go from -90 to 90"
    row = min(_SIDE - 1, floor((latitude + 90) * _SIDE / 180))
    column = floor((longitude + 180) * _SIDE / 360) % _SIDE
    return (row * _SIDE + column).to_bytes(3, "big")


def are_near(one: bytes, other: bytes) -> bool:
    """Whether two cells are the same or touch, so that no border runs through a station; or one is unknown."""
    if NO_PLACE in (one, other) or one == other:
        return True
    (row, column), (other_row, other_column) = _row_and_column(one), _row_and_column(other)
    return abs(row - other_row) <= 1 and (column - other_column + 1) % _SIDE <= 2


def _row_and_column(cell: bytes) -> tuple[int, int]:
    return divmod(int.from_bytes(cell, "big"), _SIDE)
