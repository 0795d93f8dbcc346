"""Stops by what a person types: an id, a name in either script, the beginning of one, or nearly that."""

import unicodedata
from difflib import get_close_matches

from hansa.atlas.model import Network, Stop
from hansa.kernel import InvalidInput, Problem

FOUND_MAX = 20
NEAR_ENOUGH = 0.6
"""How alike a name must be to be meant by another, from 0 to 1, as difflib measures it."""


def find_stops(network: Network, text: str, *, limit: int = FOUND_MAX) -> list[Stop]:
    """The stops that a text may mean, the likeliest first; names alike where none fits, nothing for a blank.

    Case, accents and punctuation make no difference. Order: the id, the whole name, its beginning, the beginning of
    one of its words, any part of it.
    """
    if text in network.stops:
        return [network.stops[text]]
    asked = _plain(text)
    if not asked:
        return []
    ranked: list[tuple[int, str, str]] = []
    for stop in network.stops.values():
        rank = min(_rank(asked, _plain(name)) for name in (stop.name, stop.local_name, _own_id(stop)))
        if rank < _NOT_AT_ALL:
            ranked.append((rank, stop.name, stop.stop_id))
    if ranked:
        return [network.stops[stop_id] for _, _, stop_id in sorted(ranked)[:limit]]
    by_name: dict[str, list[Stop]] = {}
    for stop in network.stops.values():
        by_name.setdefault(_plain(stop.name), []).append(stop)
    near = get_close_matches(asked, by_name, n=limit, cutoff=NEAR_ENOUGH)
    return [stop for name in near for stop in by_name[name]][:limit]


def get_stop(network: Network, text: str, *, where: str) -> Stop:
    """The one stop that a text names: by its id, or by its whole name if no other has that.

    where: the field, for the refusal. Errors: InvalidInput, with what may have been meant.
    """
    if text in network.stops:
        return network.stops[text]
    found = find_stops(network, text, limit=6)
    asked = _plain(text)
    named = [
        one for one in found if asked in (_plain(one.name), _plain(one.local_name), _plain(_own_id(one)))
    ]
    if len(named) == 1:
        return named[0]
    if named:
        what, choices = f"{len(named)} stops of {network.city.name} are called {text!r}", named
    else:
        what, choices = f"{network.city.name} has no stop {text!r}", found
    meant = ", ".join(f"{one.name} ({one.stop_id})" for one in choices)
    remedy = f"Did you mean {meant}?" if meant else "Give a stop's id, or its whole name"
    raise InvalidInput("This stop is not known.", problems=(Problem(where, what, remedy),))


_NOT_AT_ALL = 9


def _rank(asked: str, name: str) -> int:
    if name == asked:
        return 0
    if name.startswith(asked):
        return 1
    if f" {asked}" in name:
        return 2
    return 3 if len(asked) > 1 and asked in name else _NOT_AT_ALL


def _own_id(stop: Stop) -> str:
    return stop.stop_id.partition("/")[2]


def _plain(text: str) -> str:
    """Small letters without accents; anything else but letters and digits is one space."""
    bare = "".join(one for one in unicodedata.normalize("NFKD", text) if not unicodedata.combining(one))
    return " ".join("".join(one if one.isalnum() else " " for one in bare.casefold()).split())
