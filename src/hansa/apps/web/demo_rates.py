"""In a demo the world goes on after the simulated day: the days people try it on need exchange rates too."""

from datetime import date, timedelta

from hansa import atlas, payments
from hansa.apps.demo.spec import league_facts
from hansa.store import Context


def keep_rates(ctx: Context, day: date) -> None:
    """Set the demonstration league's rates for a day and its neighbours, unless they stand. Again is harmless.

    The neighbours, because a service day in one city is yesterday or tomorrow in another.
    """
    facts = league_facts()
    with ctx.tx() as tx:
        currencies = sorted({city.currency for city in atlas.list_cities(tx)} & facts.cny_per_unit.keys())
        pairs = [(base, quote) for base in currencies for quote in currencies if base != quote]
        for near in (day - timedelta(days=1), day, day + timedelta(days=1)):
            try:
                for base, quote in pairs:
                    payments.rate(tx, near, base, quote)
            except payments.NoRate:
                payments.set_rates(
                    tx, near, [(base, quote, facts.rate(base, quote)) for base, quote in pairs]
                )
