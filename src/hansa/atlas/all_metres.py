"""Metres from every stop of a network to every other at once.

One origin after the other takes seconds in a large city. Here stops are taken out one by one, the one with the fewest
neighbours first, and those neighbours are told how far they are from each other through it; most stops of a line have
two. Then each is put back, the last one first: all its ways lead through the neighbours it had, so its metres to
all stops that are there already are one sum of columns for each of them.
"""

from collections.abc import Mapping, Sequence
from heapq import heapify, heappop, heappush
from itertools import combinations

import numpy as np
import numpy.typing as npt

Int32 = npt.NDArray[np.int32]

FAR_M = 1 << 29
"""Farther than any way: no line leads there. Twice of it still fits."""


def all_metres(stops: Sequence[str], hops: Mapping[str, Mapping[str, int]]) -> Int32:
    """Metres of the shortest way from each of these stops to each; ``FAR_M`` where no way leads.

    stops: all of the network. hops: metres from a stop to each of its neighbours, the same in both directions.
    """
    place = {stop: at for at, stop in enumerate(stops)}
    metres = np.full((len(stops), len(stops)), FAR_M, np.int32)
    for stop, near in reversed(_taken_out(hops)):
        at = place[stop]
        if near:
            by = np.array([place[one] for one in near])
            lengths = np.array(list(near.values()), np.int32)
            metres[at] = metres[:, at] = np.minimum((metres[by] + lengths[:, None]).min(axis=0), FAR_M)
        metres[at, at] = 0
    np.fill_diagonal(metres, 0)
    return metres


def _taken_out(hops: Mapping[str, Mapping[str, int]]) -> list[tuple[str, dict[str, int]]]:
    """Stops in the order in which they are taken out, each with the metres to the neighbours it had then."""
    near = {stop: {one: length for one, length in of.items() if one != stop} for stop, of in hops.items()}
    queue = [(len(of), stop) for stop, of in near.items()]
    heapify(queue)
    taken: list[tuple[str, dict[str, int]]] = []
    while queue:
        count, stop = heappop(queue)
        own = near.get(stop)
        if own is None or len(own) != count:
            continue  # taken out already, or waiting with another number
        taken.append((stop, own))
        del near[stop]
        for one in own:
            del near[one][stop]
        for (one, first), (other, second) in combinations(own.items(), 2):
            through = first + second
            if through < near[one].get(other, FAR_M):
                near[one][other] = near[other][one] = through
        for one in own:
            heappush(queue, (len(near[one]), one))
    return taken
