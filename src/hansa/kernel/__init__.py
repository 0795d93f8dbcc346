"""Kernel: the pure words every room speaks.

Money in whole minor units, instants in UTC, service days, ids made by whoever first sees a fact, and the
one error that is told to a caller. Nothing flows in or out; only the standard library is used.
"""

from hansa.kernel.bank_accounts import BIC, is_iban
from hansa.kernel.errors import HansaError, InvalidInput, Problem
from hansa.kernel.ids import fact_id, fact_ids, hex_id, new_id
from hansa.kernel.instants import Clock, FixedClock, SystemClock, in_utc, service_day, service_day_bounds
from hansa.kernel.languages import accepted_languages, choose_language
from hansa.kernel.marks import Mark, mark_text, no_such_page, paged, read_mark
from hansa.kernel.money import (
    CURRENCY_EXPONENTS,
    CurrencyMismatch,
    Money,
    UnknownCurrency,
    round_half_even,
    split_minor,
)
from hansa.kernel.partitions import BUCKETS, Directory, bucket_of
from hansa.kernel.texts import cell_text, fault_of_text

__all__ = [
    "BIC",
    "BUCKETS",
    "CURRENCY_EXPONENTS",
    "Clock",
    "CurrencyMismatch",
    "Directory",
    "FixedClock",
    "HansaError",
    "InvalidInput",
    "Mark",
    "Money",
    "Problem",
    "SystemClock",
    "UnknownCurrency",
    "accepted_languages",
    "bucket_of",
    "cell_text",
    "choose_language",
    "fact_id",
    "fact_ids",
    "fault_of_text",
    "hex_id",
    "in_utc",
    "is_iban",
    "mark_text",
    "new_id",
    "no_such_page",
    "paged",
    "read_mark",
    "round_half_even",
    "service_day",
    "service_day_bounds",
    "split_minor",
]
