"""The cheapest lawful sum of a chain of legs, found by keeping the best way to every state a chain can be in."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import NamedTuple, NoReturn

from hansa.atlas import ProductPrice, TransferRule
from hansa.kernel import Money, Problem
from hansa.rides.faresv2.book import EffectiveLeg, FareBook, Option
from hansa.rides.faresv2.model import FareUnknown, Journey, Priced, Rider, SeveralCurrencies, Step

_UNLIMITED = 10**9
_LEG_FIELDS = (
    "network_id", "from_area_id", "to_area_id", "from_timeframe_group_id", "to_timeframe_group_id", "leg_group_id",
)  # fmt: skip


class _Run(NamedTuple):
    """Consecutive transfers by rules from one leg group to itself. first: the leg they began at."""

    group: str | None
    transfers: int
    first: int


class _State(NamedTuple):
    """What of the past still matters: how this leg is paid, whether a transfer led to it, and the run it stands in."""

    option: Option
    transferred: bool
    run: _Run | None


class _Bought(NamedTuple):
    """What was decided at a leg: how it is paid, and the transfer that led to it, if one did."""

    option: Option
    transfer: TransferRule | None
    price: ProductPrice | None
    replaced: Option | None


@dataclass(frozen=True, slots=True)
class _Way:
    """A way to pay for the legs so far. rows: the rows it goes by, so that of equal sums the first rows count."""

    minor: int
    rows: tuple[int, ...]
    bought: tuple[_Bought, ...]


def price(book: FareBook, journey: Journey, rider: Rider = Rider()) -> Priced:  # noqa: B008 - a frozen value
    """What a journey costs: the cheapest sum over all choices of products that the rules leave to the rider.

    A transfer rule that matches is always applied; where several rows of equal standing match, the cheapest counts.
    Errors: FareUnknown naming the leg that no rule prices (fare_leg_rules.txt, step 5); SeveralCurrencies.
    """
    assert journey, "a journey has a leg"
    legs = book.effective_legs(journey)
    rider = _one_currency(book, legs, rider)
    ways = {
        _State(option, False, None): _Way(
            option.money.minor, (option.rule.row, option.price.row), (_start(option),)
        )
        for option in book.options(legs[0], rider, transferred=False)
    }
    for number in range(len(legs)):
        if number:
            ways = _go_on(book, legs, number, ways, rider)
        if not ways:
            _refuse(book, legs, number, rider)
    best = min(ways.values(), key=lambda way: (way.minor, way.rows))
    currency = best.bought[0].option.money.currency
    steps = tuple(_steps(legs, best.bought))
    products = tuple(_products(best.bought))
    return Priced(Money(best.minor, currency), steps, products)


def price_by_medium(book: FareBook, journey: Journey, rider: Rider = Rider()) -> dict[str, Priced]:  # noqa: B008
    """What a journey costs with each medium of the feed alone, by fare_media_id; media it cannot be paid with are out.

    Errors: SeveralCurrencies.
    """
    found: dict[str, Priced] = {}
    for medium in book.fares.media:
        if rider.media is None or medium.fare_media_id in rider.media:
            try:
                found[medium.fare_media_id] = price(
                    book, journey, replace(rider, media=frozenset({medium.fare_media_id}))
                )
            except FareUnknown:
                continue
    return found


def _go_on(
    book: FareBook, legs: Sequence[EffectiveLeg], number: int, ways: dict[_State, _Way], rider: Rider
) -> dict[_State, _Way]:
    """The best way to every state after one more leg."""
    alone = book.options(legs[number], rider, transferred=False)
    led_to = book.options(legs[number], rider, transferred=True)
    found: dict[_State, _Way] = {}
    for state, way in ways.items():
        for option in led_to:
            for rule, run, money in _transfers(book, legs, number, state, option, rider):
                bought = _Bought(option, rule, money, _replaced(rule, state))
                minor = way.minor + _added(bought)
                rows = (rule.row, money.row if money else 0, option.rule.row, option.price.row)
                _keep(
                    found, _State(option, True, run), _Way(minor, (*way.rows, *rows), (*way.bought, bought))
                )
        for option in alone:
            if not any(_transfers(book, legs, number, state, option, rider)):
                rows = (*way.rows, option.rule.row, option.price.row)
                bought = (*way.bought, _start(option))
                _keep(found, _State(option, False, None), _Way(way.minor + option.money.minor, rows, bought))
    return found


def _transfers(
    book: FareBook, legs: Sequence[EffectiveLeg], number: int, state: _State, option: Option, rider: Rider
) -> Iterator[tuple[TransferRule, _Run | None, ProductPrice | None]]:
    """The transfer rules by which a leg is reached, with the run each makes and the price of its product.

    They are the rules between the two leg groups whose time limit holds and whose product this rider may have, of these
    the ones with the least sufficient count. Source: fare_transfer_rules.txt, transfer_count, duration_limit,
    duration_limit_type.
    """
    lawful: list[tuple[int, TransferRule, _Run | None, ProductPrice | None]] = []
    for rule in book.transfer_rules(state.option.rule.leg_group_id, option.rule.leg_group_id):
        run = _run(rule, state, number)
        most = _UNLIMITED if rule.transfer_count in (None, -1) else rule.transfer_count
        assert most is not None, "a count that is not given is without limit"
        first = number - 1 if run is None else run.first
        if (run is None or run.transfers <= most) and _in_time(rule, legs[first], legs[number]):
            if rule.fare_product_id is None:
                lawful.append((most, rule, run, None))
            else:
                prices = book.prices(rule.fare_product_id, rider)[:1]
                lawful += [(most, rule, run, money) for money in prices]
    least = min((most for most, *_ in lawful), default=0)
    yield from ((rule, run, money) for most, rule, run, money in lawful if most == least)


def _run(rule: TransferRule, state: _State, number: int) -> _Run | None:
    """The run a rule from a leg group to itself makes or goes on with; None for a rule between two groups."""
    if rule.from_leg_group_id != rule.to_leg_group_id:
        return None
    group, run = rule.from_leg_group_id, state.run
    return (
        _Run(group, run.transfers + 1, run.first)
        if run and run.group == group
        else _Run(group, 1, number - 1)
    )


def _in_time(rule: TransferRule, first: EffectiveLeg, last: EffectiveLeg) -> bool:
    if rule.duration_limit_s is None:
        return True
    kind = rule.duration_limit_type or 0
    start: datetime = first.departs_at if kind in (0, 1) else first.arrives_at
    end: datetime = last.departs_at if kind in (1, 2) else last.arrives_at
    return (end - start).total_seconds() <= rule.duration_limit_s


def _replaced(rule: TransferRule, state: _State) -> Option | None:
    """The fare a transfer takes the place of: only the first of a chain, and only by type 2, drops the leg before."""
    return state.option if rule.fare_transfer_type == 2 and not state.transferred else None


def _added(bought: _Bought) -> int:
    """What a transfer adds. Source: fare_transfer_rules.txt, fare_transfer_type, both tables."""
    assert bought.transfer is not None, "only transfers add"
    minor = bought.price.price.minor if bought.price else 0
    if bought.transfer.fare_transfer_type == 1:
        minor += bought.option.money.minor
    if bought.replaced is not None:
        minor -= bought.replaced.money.minor
    return minor


def _start(option: Option) -> _Bought:
    return _Bought(option, None, None, None)


def _keep(found: dict[_State, _Way], state: _State, way: _Way) -> None:
    known = found.get(state)
    if known is None or (way.minor, way.rows) < (known.minor, known.rows):
        found[state] = way


def _one_currency(book: FareBook, legs: Sequence[EffectiveLeg], rider: Rider) -> Rider:
    """The rider with the one currency in which all of the legs can be paid. Errors: SeveralCurrencies."""
    currencies = {
        option.money.currency for leg in legs for option in book.options(leg, rider, transferred=True)
    }
    if len(currencies) > 1:
        names = ", ".join(sorted(currencies))
        problem = Problem(
            "currency", f"the feed has prices in {names}", "Name the one that the rider pays in"
        )
        raise SeveralCurrencies(problems=(problem,))
    return replace(rider, currency=currencies.pop()) if currencies else rider


def _refuse(book: FareBook, legs: Sequence[EffectiveLeg], number: int, rider: Rider) -> NoReturn:
    leg = legs[number]
    where = f"legs[{leg.first}]"
    ruled = book.leg_rules(leg, transferred=number > 0)
    if ruled:
        what = f"no product of fare_leg_rules.txt line {ruled[0].row} is for this rider and medium"
        remedy = "Add a row to fare_products.txt, or offer another medium"
        if rider.category is not None or rider.media is not None:
            remedy += "; or ask for another category"
    else:
        network = book.fares.networks.get(leg.legs[0].route_id, "")
        what = (
            f"fare_leg_rules.txt has no rule for network {network or '(none)'}"
            f" from {leg.legs[0].from_stop_id} to {leg.legs[-1].to_stop_id} at that time"
        )
        remedy = "Add a rule to the feed, or hold the ride"
    raise FareUnknown(problems=(Problem(where, what, remedy),))


def _steps(legs: Sequence[EffectiveLeg], bought: Iterable[_Bought]) -> Iterator[Step]:
    for leg, one in zip(legs, bought, strict=True):
        span, option = (leg.first + 1, leg.last + 1), one.option
        nothing = Money(0, option.money.currency)
        for join in leg.joins:
            row = f"fare_leg_join_rules.txt line {join.row}"
            yield Step("join", "fare_leg_join_rules.txt", row, nothing, span, _pairs(join._asdict()))
        if one.replaced is not None:
            row = f"fare_products.txt line {one.replaced.price.row}"
            clause = "fare_transfer_rules.txt, fare_transfer_type 2"
            yield Step("dropped", clause, row, -one.replaced.money, span, _product(one.replaced.price))
        if one.transfer is not None:
            row = f"fare_transfer_rules.txt line {one.transfer.row}"
            clause = f"fare_transfer_rules.txt, fare_transfer_type {one.transfer.fare_transfer_type}"
            details = _pairs(one.transfer._asdict()) + (_product(one.price) if one.price else ())
            amount = one.price.price if one.price else nothing
            yield Step("transfer", clause, row, amount, span, details)
        if one.transfer is None or one.transfer.fare_transfer_type == 1:
            row = f"fare_leg_rules.txt line {option.rule.row}"
            rule = {name: value for name, value in option.rule._asdict().items() if name in _LEG_FIELDS}
            details = _pairs(rule) + _product(option.price)
            fields = ", ".join(name for name in _LEG_FIELDS[:-1] if rule[name]) or "all fields empty"
            yield Step("leg", f"fare_leg_rules.txt, {fields}", row, option.money, span, details)


def _pairs(fields: dict[str, object]) -> tuple[tuple[str, str], ...]:
    return tuple(
        (name, "" if value is None else str(value)) for name, value in fields.items() if name != "row"
    )


def _product(price: ProductPrice) -> tuple[tuple[str, str], ...]:
    return (
        ("fare_product_id", price.fare_product_id),
        ("fare_product_name", price.name),
        ("fare_media_id", price.fare_media_id or ""),
        ("price_row", f"fare_products.txt line {price.row}"),
    )


def _products(bought: Iterable[_Bought]) -> Iterator[str]:
    """Fare products to hold: that of every leg that is paid for, and that of every transfer that has one."""
    held: list[str] = []
    for one in bought:
        if one.replaced is not None:
            held.pop()
        if one.price is not None:
            held.append(one.price.fare_product_id)
        if one.transfer is None or one.transfer.fare_transfer_type == 1:
            held.append(one.option.price.fare_product_id)
    return iter(held)
