"""A basis that a city publishes: rides cost what the Fares v2 of its GTFS feed say."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from hansa.fares.parts.ride import Found, Ride, Unpriceable
from hansa.fares.tables import Table

if TYPE_CHECKING:
    from hansa.fares.tariff import Tariff

KIND = "gtfs-v2"
UNKNOWN_EXITS = ("held", "dearest")


@dataclass(frozen=True, slots=True)
class FeedBasis:
    """Rides cost what the feed's Fares v2 say, each with those before it of the same journey.

    apart: a ride that begins so long after the one before begins another journey.
    categories: rider_category_id by class of this tariff; a class that is not named pays as the feed's default.
    media: fare_media_ids with which rides may be paid; empty is any. by_medium: the same by medium of this tariff.
    exit_unknown: what a boarding costs whose fare hangs on where the rider gets off: ``held``, or the ``dearest``.
    """

    apart: timedelta
    categories: Mapping[str, str]
    media: frozenset[str] = frozenset()
    by_medium: Mapping[str, frozenset[str]] = field(default_factory=dict[str, frozenset[str]])
    exit_unknown: str = "held"
    clause: str = ""

    def find(self, ride: Ride) -> Found:  # noqa: ARG002  (as every basis)
        """Errors: Unpriceable always: a ride is priced with those before it, by who has the feed."""
        raise Unpriceable("no_feed")


class Beside(NamedTuple):
    """A rule that cannot stand beside this basis. name: its heading."""

    name: str
    what: str
    remedy: str


def read_feed(table: Table) -> FeedBasis:
    """``kind = "gtfs-v2"``."""
    reading = table.reading
    inner = table.table("categories", required=False)
    categories = {name: inner.text(name) for name in reading.classes if name in inner.raw}
    inner.done()
    media = table.table("medium", required=False)
    by_medium = {name: frozenset(media.texts(name)) for name in reading.media if name in media.raw}
    media.done()
    return FeedBasis(
        apart=timedelta(minutes=table.whole("apart_minutes", 1, 24 * 60)),
        categories=categories,
        media=frozenset(table.texts("fare_media", required=False)),
        by_medium=by_medium,
        exit_unknown=table.choice("exit_unknown", UNKNOWN_EXITS, required=False, default="held"),
        clause=table.clause,
    )


def beside_feed(tariff: "Tariff") -> Iterator[Beside]:
    """What a tariff with this basis says that the feed says already, or that would be said twice."""
    if any(isinstance(rule.basis, FeedBasis) for rule in tariff.fares):
        yield Beside("fare", f"{KIND} prices all rides or none", f'Write kind = "{KIND}" under [basis]')
    if not isinstance(tariff.basis, FeedBasis):
        return
    for heading, rules in (
        ("fare", tariff.fares),
        ("override", tariff.overrides),
        ("join", tariff.joins),
        ("transfer", tariff.transfers),
        ("discount", tariff.discounts),
        ("fee", [fee for fee in tariff.fees if fee.per == "trip"]),
    ):
        if rules:
            what = "stands beside fares that the feed gives, transfers and joins among them"
            yield Beside(heading, what, "Say it in the feed, or write the whole tariff here")
    for name, rule in tariff.classes.items():
        if rule.own_column or rule.flat is not None or set((rule.percent or {}).values()) - {100}:
            what = "has a share of its own, and the feed prices rider categories"
            remedy = f"Write percent = 100, and the feed's category in [basis.categories] as {name}"
            yield Beside(f"classes.{name}", what, remedy)
