"""Rides one after the other: joined into one fare, or a transfer that costs less."""

from dataclasses import dataclass, field
from datetime import timedelta

from hansa.fares.parts.condition import Condition, read_condition
from hansa.fares.parts.price import FREE, Price
from hansa.fares.tables import WORD, Table

JOIN_WAYS = ("ends", "zones", "distances", "farthest")
JOIN_HOURS = ("first", "last", "farthest", "dearest", "cheapest", "each")
_MINUTES_MAX = 24 * 60


@dataclass(frozen=True)
class Join:
    """Rides that are priced as one; each is charged what it adds.

    condition: the ride that is added. before: the ride just before it; None is
    any that ``condition`` speaks of, hours left aside. within: after the exit before it.
    at: pairs of stops (out, in) between which one may walk; empty is anywhere, unless ``same_stop``: then one goes on
        where one got off.
    legs_max: rides in all. long_max: from the first tap to the tap that joins. same_product: all of one product.
    same_line: ``allowed``, ``not_next`` to the ride before, or ``never`` twice in all.
    once: products that may be entered only once (one entry to the rail network).
    by: ``ends``: as if ridden from the first stop to the last; ``zones``: also through where one changed;
        ``distances``: by the sum of metres; ``farthest``: by the most metres from any entry to any exit.
    hour: under whose it is priced: that of the ``first`` ride, the ``last``, the entry of the ``farthest`` pair, the
        ``dearest`` or ``cheapest`` of all, or ``each`` ride adds under its own.
    fare: the rule that prices it; otherwise the dearest of the rules that price its rides.
    never_more: joined rides cost no more in all than each by itself would.
    across_days: it holds over the edge of a service day; otherwise the first ride of a day begins anew.
    """

    name: str
    within: timedelta
    condition: Condition = field(default_factory=Condition)
    at: frozenset[tuple[str, str]] = frozenset()
    same_stop: bool = False
    legs_max: int | None = None
    long_max: timedelta | None = None
    same_product: bool = False
    before: Condition | None = None
    same_line: str = "allowed"
    once: frozenset[str] = frozenset()
    by: str = "ends"
    hour: str = "first"
    fare: str = ""
    never_more: bool = True
    across_days: bool = False
    clause: str = ""


@dataclass(frozen=True)
class Transfer:
    """Rides soon after another.

    before, after: the ride that opens the window, and the ride that is cheaper.
    window_from: ``first_tap`` of the ride that was paid, the ``next_hour`` after that, or ``last_tap`` or ``exit`` of
        the ride just before.
    percent: what the first, the second, ... transfer still pays of its fare; the last stands for all that follow.
    fares: what they cost instead, at most their own fare. less: an amount off instead, by class.
    difference: only what it costs more than the dearest before it. chain_max: the most that the chain costs in all.
    same_line: as of ``Join``. other_product: not of the product just before.
    count_max: how many transfers one paid ride gives; None is any. same_product: of the product just before only.
    across_days: as of ``Join``.
    """

    window: timedelta
    percent: tuple[int, ...] = (0,)
    count_max: int | None = None
    before: Condition = field(default_factory=Condition)
    after: Condition = field(default_factory=Condition)
    window_from: str = "first_tap"
    same_line: str = "allowed"
    other_product: bool = False
    same_product: bool = False
    less: Price | None = None
    fares: tuple[Price, ...] = ()
    difference: bool = False
    chain_max: Price | None = None
    at: frozenset[tuple[str, str]] = frozenset()
    name: str = ""
    clause: str = ""
    across_days: bool = False


def read_join(item: Table) -> Join:
    """One ``[[join]]``."""
    join = Join(
        name=item.text("name"),
        within=timedelta(minutes=item.whole("within_minutes", 0, _MINUTES_MAX)),
        condition=read_condition(item),
        at=_walks(item),
        same_stop=item.flag("same_stop", default=False),
        legs_max=item.whole("legs_max", 2, 1_000) if "legs_max" in item else None,
        long_max=timedelta(minutes=item.whole("max_minutes", 1, _MINUTES_MAX))
        if "max_minutes" in item
        else None,
        same_product=item.flag("same_product", default=False),
        before=_side(item, "before") if "before" in item else None,
        same_line=_same_line(item),
        once=frozenset(item.words("once")),
        by=item.choice("priced_by", JOIN_WAYS, required=False, default="ends"),
        never_more=item.flag("never_more", default=True),
        across_days=item.flag("across_days", default=False),
        hour=item.choice("hour", JOIN_HOURS, required=False, default="first"),
        fare=item.text("fare", required=False),
        clause=item.clause,
    )
    if join.hour == "farthest" and join.by != "farthest":
        item.wrong("hour", "is that of the farthest, and the fare is not", 'Write priced_by = "farthest"')
    item.done()
    return join


def read_transfer(item: Table) -> Transfer:
    """One ``[[transfer]]``; ``before`` and ``after`` are tables of conditions."""
    ways = [key for key in _WAYS if key in item]
    if len(ways) != 1:
        item.wrong("", "says what a transfer costs in no way or several", f"Write one of {', '.join(_WAYS)}")
    transfer = Transfer(
        window=timedelta(minutes=item.whole("window_minutes", 1, _MINUTES_MAX)),
        percent=_percents(item) if "percent" in item else (100,),
        count_max=item.whole("count_max", 1, 1_000) if "count_max" in item else None,
        before=_side(item, "before"),
        after=_side(item, "after"),
        window_from=item.choice("window_from", ("first_tap", "next_hour", "last_tap", "exit")),
        same_line=_same_line(item),
        other_product=item.flag("other_product", default=False),
        same_product=item.flag("same_product", default=False),
        less=item.price("less", adult_only=True) if "less" in item else None,
        fares=_prices(item) if "fare" in item else (),
        difference=item.flag("difference", default=False),
        chain_max=item.price("chain_max", adult_only=True) if "chain_max" in item else None,
        at=_walks(item),
        name=item.text("name", required=False),
        clause=item.clause,
        across_days=item.flag("across_days", default=False),
    )
    if transfer.same_product and transfer.other_product:
        item.wrong("same_product", "stands beside other_product", "Keep one of the two")
    item.done()
    return transfer


_WAYS = ("percent", "fare", "less", "difference", "chain_max")


def _percents(item: Table) -> tuple[int, ...]:
    """One share, or one for each transfer after another."""
    value = item.value("percent", required=True)
    shares: list[object] = list(value) if isinstance(value, list) else [value]
    found = [one for one in shares if isinstance(one, int) and not isinstance(one, bool) and 0 <= one <= 100]
    if len(found) != len(shares) or not found:
        item.wrong(
            "percent", "is not a whole number in range", "Write a number from 0 to 100, or a list: [50, 25]"
        )
        return (100,)
    return tuple(found)


def _prices(item: Table) -> tuple[Price, ...]:
    """One price, or one for each transfer after another."""
    value = item.value("fare", required=True)
    if not isinstance(value, list):
        return (item.price("fare", adult_only=True) or FREE,)
    if not value:
        item.wrong("fare", "is an empty list", 'Write a price, or a list: ["1.00", "0.50"]')
    return tuple(
        Table(item.reading, {"fare": one}, item.path).price("fare", adult_only=True) or FREE for one in value
    )


def read_plain_transfers(table: Table) -> Transfer | None:
    """The one ``[transfers]`` table: a window from the first tap, one set of products on both sides."""
    if not table.present:
        return None
    table.choice("window_from", ("first_tap",))
    count_max = table.whole("count_max", 1, 1_000) if "count_max" in table else None
    window = timedelta(minutes=table.whole("window_minutes", 1, _MINUTES_MAX))
    percent = (table.whole("percent", 0, 99, required=False),)
    both = Condition(products=frozenset(table.words("products")))
    table.done()
    return Transfer(window, percent, count_max, both, both, clause=table.clause)


def _same_line(item: Table) -> str:
    return item.choice("same_line", ("allowed", "not_next", "never"), required=False, default="allowed")


def _side(item: Table, key: str) -> Condition:
    table = item.table(key, required=False)
    condition = read_condition(table)
    table.done()
    return condition


def _walks(item: Table) -> frozenset[tuple[str, str]]:
    """``at = [["a", "b"]]``: out at one and in at the other, either way round."""
    value = item.value("at", required=False)
    if value is None:
        return frozenset()
    found: set[tuple[str, str]] = set()
    for pair in value if isinstance(value, list) else [value]:
        if (
            not isinstance(pair, list)
            or len(pair) != 2
            or not all(isinstance(stop, str) and WORD.fullmatch(stop) for stop in pair)
        ):
            item.wrong("at", f"{pair!r} is no pair of stops", 'Write [["city/one", "city/two"]]')
            continue
        found |= {(pair[0], pair[1]), (pair[1], pair[0])}
    return frozenset(found)
