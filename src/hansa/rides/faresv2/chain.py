"""A rider's rides one after the other, each charged what it adds to the cheapest lawful sum of its journey."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from hansa import fares
from hansa.rides.faresv2.book import FareBook
from hansa.rides.faresv2.model import FareUnknown, Leg, Priced, Rider
from hansa.rides.faresv2.model import Step as FeedStep
from hansa.rides.faresv2.pricing import price


@dataclass(frozen=True, slots=True)
class Added:
    """What a ride costs after those before it, and why; the steps add up to the amount."""

    amount: int
    steps: tuple[fares.Step, ...]


@dataclass(slots=True)
class Chain:
    """The rides of one journey so far, in order.

    added: what each ride costs; only the last ones may still change,
    when a later ride makes the whole cheaper than what was charged for it.
    """

    book: FareBook
    rider: Rider
    currency: str
    apart: timedelta
    legs: list[Leg] = field(default_factory=list[Leg])
    added: list[Added] = field(default_factory=list[Added])
    total: int = 0
    until: datetime | None = None

    def goes_on(self, rider: Rider, starts_at: datetime) -> bool:
        """Whether a ride belongs to this journey: the same rider, soon after the ride before."""
        return self.until is not None and rider == self.rider and starts_at - self.until < self.apart

    def ride(self, legs: Sequence[Leg], until: datetime, notes: Iterable[fares.Step] = ()) -> None:
        """Take one more ride in. Errors: fares.Unpriceable, with the chain as it was."""
        try:
            priced = price(self.book, [*self.legs, *legs], self.rider)
        except FareUnknown as error:
            raise fares.Unpriceable(error.problems[0].what) from error
        if priced.total.minor < 0:
            raise fares.Unpriceable("feed_below_nothing")
        steps = [*notes, *_steps(priced, len(self.legs) + 1, self.currency)]
        adds = priced.total.minor - self.total
        rest = adds - sum(step.amount for step in steps)
        if rest:
            steps.append(fares.Step("feed_before", rest, self.currency))
        self.added.append(Added(adds, tuple(steps)))
        self.legs += legs
        self.total, self.until = priced.total.minor, until
        self._lay_back()

    def _lay_back(self) -> None:
        """No ride costs less than nothing: what a ride takes off the whole is taken off those before it."""
        for place in range(len(self.added) - 1, 0, -1):
            short = -self.added[place].amount
            if short <= 0:
                break
            before = self.added[place - 1]
            up = fares.Step("feed_before", short, self.currency)
            self.added[place] = replace(self.added[place], amount=0, steps=(*self.added[place].steps, up))
            down = fares.Step("feed_later", -short, self.currency)
            self.added[place - 1] = Added(before.amount - short, (*before.steps, down))


def _steps(priced: Priced, first: int, currency: str) -> Iterable[fares.Step]:
    """The steps of the legs from one on; of those that began before it, the whole."""
    return [_step(step, first, currency) for step in priced.steps if step.legs[1] >= first]


def _step(step: FeedStep, first: int, currency: str) -> fares.Step:
    """inside, of its facts: that a join or a transfer lies between legs of this one ride.

    Its clause names a row of the feed; a ``line`` of a clause is one of the tariff's own text.
    """
    details = dict(step.details)
    facts: dict[str, str | int] = {"clause": step.row.replace(" line ", " row "), "field": step.clause}
    begins = step.legs[0]
    if (step.rule == "transfer" and begins > first) or (step.rule == "join" and begins >= first):
        facts["inside"] = 1
    product = details.get("fare_product_name") or details.get("fare_product_id")
    if product:
        facts["product"] = product
    return fares.Step(f"feed_{step.rule}", step.amount.minor, currency, facts)
