"""Fares v2: what a chain of legs costs by the rules of a GTFS feed, worked out as the reference says, rule by rule.

In flow the fares of a feed (``atlas.FaresV2``), the legs a rider travelled, and who the rider is. Out flows the
cheapest sum that the rules allow, with every step that led to it: the rule, its clause in the reference, the row of the
feed, and the amount. Pure: no database, no clock. docs/gtfs.md says how the text of the reference is read.
"""

from hansa.rides.faresv2.book import FareBook
from hansa.rides.faresv2.model import FareUnknown, Journey, Leg, Priced, Rider, SeveralCurrencies, Step
from hansa.rides.faresv2.pricer import FeedPricer, pricer_of
from hansa.rides.faresv2.pricing import price, price_by_medium
from hansa.rides.faresv2.wording import told

__all__ = [
    "FareBook",
    "FareUnknown",
    "FeedPricer",
    "Journey",
    "Leg",
    "Priced",
    "Rider",
    "SeveralCurrencies",
    "Step",
    "price",
    "price_by_medium",
    "pricer_of",
    "told",
]
