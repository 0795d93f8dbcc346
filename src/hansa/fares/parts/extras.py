"""What stands apart from the basis: overrides with fares of their own, and fees that are added."""

from dataclasses import dataclass, field

from hansa.fares.parts.condition import Condition, read_condition
from hansa.fares.parts.price import FREE, Price
from hansa.fares.tables import Table


@dataclass(frozen=True, slots=True)
class Override:
    """Stops or lines with a fare of their own: an airport express.

    stops: a journey that begins or ends here pays ``price``; the rest of it, from the nearest of ``gateways``, pays
        the main fare as well, unless ``gateways`` is empty: then the price covers the whole journey.
    lines: a boarding of these lines pays ``price``.
    tiers, caps: whether this part counts towards cumulative tiers and is taken into caps.
    """

    name: str
    price: Price
    stops: frozenset[str] = frozenset()
    gateways: tuple[str, ...] = ()
    lines: frozenset[str] = frozenset()
    tiers: bool = True
    caps: bool = True
    clause: str = ""


def read_override(item: Table) -> Override:
    """One ``[[override]]``."""
    stops, lines = frozenset(item.words("stops")), frozenset(item.words("lines"))
    if not stops and not lines:
        item.wrong("stops", "names no stop and no line", "Say where this fare holds")
    override = Override(
        name=item.text("name"),
        price=item.price("fare") or FREE,
        stops=stops,
        gateways=item.words("gateways"),
        lines=lines,
        tiers=item.flag("tiers", default=True),
        caps=item.flag("caps", default=True),
        clause=item.clause,
    )
    item.done()
    return override


@dataclass(frozen=True)
class Fee:
    """Added to the fare: for boarding, or for the use of a stop.

    price: amounts by class; a class that is not named pays the adult's, whatever share of fares it pays. per: once each
        ``leg``, ``trip`` (of joined rides and transfers) or ``day``. discounts, tiers, caps: whether they touch it.
    most, most_period: the most that the fee costs a rider in a day, week or month.
    """

    name: str
    price: Price
    condition: Condition = field(default_factory=Condition)
    per: str = "leg"
    discounts: bool = False
    tiers: bool = False
    caps: bool = False
    most: Price | None = None
    most_period: str = "day"
    clause: str = ""


def read_fee(item: Table) -> Fee:
    """One ``[[fee]]``."""
    most = item.table("most", required=False)
    fee = Fee(
        name=item.text("name"),
        price=item.price("amount", adult_only=True) or FREE,
        condition=read_condition(item),
        per=item.choice("per", ("leg", "trip", "day"), required=False, default="leg"),
        discounts=item.flag("discounts", default=False),
        tiers=item.flag("tiers", default=False),
        caps=item.flag("caps", default=False),
        most=most.price("amount", adult_only=True) if most.present else None,
        most_period=most.choice("period", ("day", "week", "month")) if most.present else "day",
        clause=item.clause,
    )
    if fee.discounts and fee.per != "leg":
        item.wrong("discounts", "only a fee for each leg can be discounted", "Leave discounts out")
    most.done()
    item.done()
    return fee
