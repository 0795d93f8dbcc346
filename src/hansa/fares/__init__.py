"""Fares: what a journey costs and why, worked out from a tariff that is data.

In flow a tariff (text and tables), journeys, and a network's stops and distances; out flow fares, each with the steps
that led to it. Pure: it needs the kernel only, no database and no clock.
"""

from hansa.fares.check import Finding, check_dates, check_tariff, refuse_unsound
from hansa.fares.legs import Leg, Quote
from hansa.fares.model import (
    RIDER_CLASSES,
    Around,
    Counters,
    Fare,
    HeldPass,
    Journey,
    JourneyId,
    Kind,
    Payment,
    Places,
    RiderClass,
    Status,
    Step,
    StopFacts,
)
from hansa.fares.parts.feed import FeedBasis
from hansa.fares.parts.pairing import PLAIN, PairingRules, StatedRules
from hansa.fares.parts.reductions import Pass
from hansa.fares.parts.ride import Circumstances, Unpriceable
from hansa.fares.pricing import Pricer, price_day
from hansa.fares.reading import read_source, read_tariff, tariff_folder
from hansa.fares.tariff import Tariff, TariffSource, open_window, period_end, period_start
from hansa.fares.wording import LANGUAGES

__all__ = [
    "LANGUAGES",
    "PLAIN",
    "RIDER_CLASSES",
    "Around",
    "Circumstances",
    "Counters",
    "Fare",
    "FeedBasis",
    "Finding",
    "HeldPass",
    "Journey",
    "JourneyId",
    "Kind",
    "Leg",
    "PairingRules",
    "Pass",
    "Payment",
    "Places",
    "Pricer",
    "Quote",
    "RiderClass",
    "StatedRules",
    "Status",
    "Step",
    "StopFacts",
    "Tariff",
    "TariffSource",
    "Unpriceable",
    "check_dates",
    "check_tariff",
    "open_window",
    "period_end",
    "period_start",
    "price_day",
    "read_source",
    "read_tariff",
    "refuse_unsound",
    "tariff_folder",
]
