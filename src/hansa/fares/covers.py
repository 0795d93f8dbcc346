"""The cheapest way to pay for what was ridden: caps, a carnet, and single fares for the rest. Exact, ride by ride.

A cover is a choice of caps that are paid in full; a ride inside one of them costs nothing more (or, where a cap can be
extended, the zones beyond), all others their own fare. Of those a carnet takes in the dearest, as many carnets as pay.
What has to be paid in all is the cheapest cover; a ride is charged what it adds to that, which is never negative and
never more than its fare.
"""

from bisect import insort
from collections.abc import Sequence
from operator import add

from hansa.fares.parts.caps import Cap

Cover = tuple[Cap, ...]


class Covers:
    """All covers of one period with what each comes to so far."""

    __slots__ = ("_carnet", "_eligible", "_least", "_plain", "_totals")

    def __init__(self, caps_minor: Sequence[int], carnet: tuple[int, int] | None = None) -> None:
        """caps_minor: what the caps of each cover cost together. carnet: (rides, price)."""
        self._totals = list(caps_minor)
        self._least = min(self._totals)
        self._carnet = carnet
        self._plain = list(caps_minor) if carnet else []
        self._eligible: list[list[int]] = [[] for _ in caps_minor] if carnet else []

    def add(self, costs: Sequence[int], *, eligible: bool = False) -> tuple[int, int]:
        """What a ride adds to the cheapest total, and which cover that is.

        costs: of the ride beside each cover. eligible: a carnet may take it in.
        """
        if self._carnet is None:
            totals = self._totals = list(map(add, self._totals, costs))
        else:
            totals = self._beside_a_carnet(costs, eligible=eligible)
        least = min(totals)
        charged, self._least = least - self._least, least
        return charged, totals.index(least)

    def _beside_a_carnet(self, costs: Sequence[int], *, eligible: bool) -> list[int]:
        totals = self._totals
        for place, cost in enumerate(costs):
            if eligible:
                insort(self._eligible[place], -cost)
                totals[place] = self._plain[place] + self._with_carnets(self._eligible[place])
            else:
                self._plain[place] += cost
                totals[place] += cost
        return totals

    def _with_carnets(self, costs: list[int]) -> int:
        """The cheapest for these rides, dearest first and negative: the first of them by carnet, the rest singly."""
        assert self._carnet is not None, "asked for where there is one"
        rides, price = self._carnet
        best = rest = -sum(costs)
        for count, start in enumerate(range(0, len(costs), rides), 1):
            rest += sum(costs[start : start + rides])
            best = min(best, count * price + rest)
        return best
