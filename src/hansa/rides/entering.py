"""What a tariff wants a wallet to hold before its rider enters.

No gate refuses by it: a gate without network knows no wallet. The rider is told before the gate, in the wallet and with
every fare that is asked for.
"""

from dataclasses import dataclass
from datetime import date, datetime

from hansa import payments
from hansa.fares import Tariff
from hansa.kernel import Money
from hansa.rides.tariffs import Tariffs
from hansa.store import Tx


@dataclass(frozen=True, slots=True)
class EntryMinimum:
    """What an operator wants a wallet to hold, and what that is in the wallet's own currency.

    lacking: how much the wallet holds too little, in its currency; above zero.
    """

    operator_id: str
    city_id: str
    tariff_name: str
    wanted: Money
    lacking: Money


def entry_minimum(tariff: Tariff, rider_class: str, medium: str = "") -> int:
    """What a wallet must hold to enter, in minor units of the tariff; zero where it asks for nothing.

    A class that the tariff names no amount for is asked for none.
    """
    wanted = tariff.minimum_balance
    return 0 if wanted is None else wanted.find("", rider_class, medium) or 0


def entries_lacking(tx: Tx, wallet: Money, rider_class: str, at: datetime) -> list[EntryMinimum]:
    """The operators whose tariff in force wants more than this wallet holds, by operator.

    wallet: what the one that pays holds. An operator is left out for whose currency no rate stands on its service day:
    nobody could tell whether it is enough.
    """
    tariffs = Tariffs(tx)
    found: list[EntryMinimum] = []
    for latest in sorted(tariffs.all_latest(), key=lambda one: one.operator_id):
        day = tariffs.day_of(latest.operator_id, at)
        version = tariffs.version_on(latest.operator_id, day)
        if version is None:
            continue
        tariff = tariffs.read(version)
        wanted = Money(entry_minimum(tariff, rider_class), tariff.currency)
        needed = _in_currency(tx, wanted, wallet.currency, day) if wanted.minor else None
        if needed is not None and needed.minor > wallet.minor:
            lacking = Money(needed.minor - wallet.minor, wallet.currency)
            found.append(EntryMinimum(version.operator_id, version.city_id, tariff.name, wanted, lacking))
    return found


def _in_currency(tx: Tx, amount: Money, currency: str, day: date) -> Money | None:
    """What an amount is in another currency by the rate of the day; None where there is none."""
    if amount.currency == currency:
        return amount
    try:
        rate = payments.rate(tx, day, amount.currency, currency)
    except payments.NoRate:
        return None
    return payments.quote(amount, currency, rate)
