"""The position matrix: which issuers owe which operators how much, for a window and currency. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from hansa import clearing

SIDE_MAX = 40
"""Rows and columns of a matrix; what is smaller stands together as others."""

OTHERS = ""
HEATS = 5


@dataclass(frozen=True, slots=True)
class Cell:
    """What an issuer owes an operator: minor units, items, and how it compares: heat 0 for nothing to 5 for most."""

    minor: int
    items: int
    heat: int


@dataclass(frozen=True, slots=True)
class Matrix:
    """Issuers down, operators across, largest first; the last of either may be ``OTHERS``, all smaller ones."""

    currency: str
    issuers: tuple[str, ...]
    operators: tuple[str, ...]
    cells: dict[tuple[str, str], Cell]
    issuer_sums: dict[str, int]
    operator_sums: dict[str, int]
    total: int
    positions: int


def matrix_of(positions: Sequence[clearing.Position], currency: str, *, side_max: int = SIDE_MAX) -> Matrix:
    """The matrix of a window's positions in one currency. Its sums are those of all positions, others among them."""
    mine = [one for one in positions if one.currency == currency]
    issuers = _side([(one.issuer_id, one.gross) for one in mine], side_max)
    operators = _side([(one.operator_id, one.gross) for one in mine], side_max)
    sums: dict[tuple[str, str], tuple[int, int]] = {}
    for one in mine:
        key = (
            one.issuer_id if one.issuer_id in issuers else OTHERS,
            one.operator_id if one.operator_id in operators else OTHERS,
        )
        minor, items = sums.get(key, (0, 0))
        sums[key] = minor + one.gross, items + one.items
    most = max((abs(minor) for minor, _ in sums.values()), default=0)
    return Matrix(
        currency,
        issuers,
        operators,
        {key: Cell(minor, items, _heat(abs(minor), most)) for key, (minor, items) in sums.items()},
        {name: sum(minor for (one, _), (minor, _) in sums.items() if one == name) for name in issuers},
        {name: sum(minor for (_, one), (minor, _) in sums.items() if one == name) for name in operators},
        sum(one.gross for one in mine),
        len(mine),
    )


def _side(amounts: Sequence[tuple[str, int]], side_max: int) -> tuple[str, ...]:
    sums: dict[str, int] = {}
    for name, minor in amounts:
        sums[name] = sums.get(name, 0) + abs(minor)
    ordered = sorted(sums, key=lambda name: (-sums[name], name))
    return tuple(ordered) if len(ordered) <= side_max else (*ordered[: side_max - 1], OTHERS)


def _heat(minor: int, most: int) -> int:
    """From 0 to 5, each step half of the one above it: amounts of a league differ by orders of magnitude."""
    if not minor:
        return 0
    for heat in range(HEATS, 1, -1):
        if minor * 2 ** (HEATS - heat + 1) > most:
            return heat
    return 1
