"""Passes: products of a tariff that riders buy before they ride, and may give back before they used them.

In flow a rider's wish and the tariff's price; out flow a charge, like a journey's, under the pass's id, and days that
are rated again with the pass (or without it). Of several passes a ride takes the one that leaves least to pay, and its
step says which.
"""

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import ClassVar
from uuid import UUID

from hansa import identity, payments
from hansa.fares import Pass, Tariff
from hansa.kernel import HansaError, InvalidInput, Money, Problem, fact_id
from hansa.rides import passes_store, rating_store
from hansa.rides.model import UnknownTariff
from hansa.rides.passes_store import PassRow
from hansa.rides.rating_store import LaterDays, NewCharge
from hansa.rides.tariffs import Tariffs
from hansa.store import Context, Tx

PASS_AHEAD_MAX = timedelta(days=60)
"""How long before it begins a pass may be bought."""


class PassConflict(HansaError):
    """A pass of this id is bought already and says something else; another pass needs an id of its own."""

    code: ClassVar[str] = "rides.pass_conflict"
    status: ClassVar[int] = 409


class PassHeld(HansaError):
    """The rider holds this pass already on some of these days; choose a later first day."""

    code: ClassVar[str] = "rides.pass_held"
    status: ClassVar[int] = 409


class PassUsed(HansaError):
    """The pass was used or its days are over, so it cannot be given back."""

    code: ClassVar[str] = "rides.pass_used"
    status: ClassVar[int] = 409


class PassNotPaid(HansaError):
    """The wallet holds less than the pass costs; top it up first. Nothing was charged."""

    code: ClassVar[str] = "rides.pass_not_paid"
    status: ClassVar[int] = 402


class UnknownPass(HansaError):
    """The account has no such pass."""

    code: ClassVar[str] = "rides.unknown_pass"
    status: ClassVar[int] = 404


@dataclass(frozen=True, slots=True)
class PassOffer:
    """A pass on sale to a rider. until_day: inclusive, where it begins on ``from_day``.

    terms: which rides it covers and what they still cost, as the tariff says.
    """

    operator_id: str
    name: str
    price: Money
    from_day: date
    until_day: date
    clause: str
    terms: Pass


@dataclass(frozen=True, slots=True)
class BoughtPass:
    """A pass of a rider. used: rides it made cheaper by now. saved: by how much. refunded_at: given back then."""

    pass_id: UUID
    operator_id: str
    name: str
    price: Money
    from_day: date
    until_day: date
    bought_at: datetime
    refunded_at: datetime | None
    used: int
    saved: Money


def offer_passes(tx: Tx, *, operator_id: str, rider_class: str, from_day: date) -> list[PassOffer]:
    """What an operator sells to a rider of this class for days from one on, in the order of its tariff.

    Errors: UnknownTariff.
    """
    _, tariff = _tariff_on(tx, operator_id, from_day)
    pays_as = tariff.people.verified.get(rider_class, rider_class)
    return [
        PassOffer(
            operator_id,
            one.name,
            Money(price, tariff.currency),
            from_day,
            one.last_day(from_day),
            one.clause,
            one,
        )
        for one in tariff.passes
        for price in (one.amount(pays_as),)
        if price is not None
    ]


def buy_pass(
    ctx: Context,
    *,
    pass_id: UUID,
    account_id: identity.AccountId,
    operator_id: str,
    name: str,
    from_day: date,
    wallet_currency: str,
) -> BoughtPass:
    """Sell a pass by the tariff that holds on its first day; it covers whole service days from then on.

    Its price is charged to the wallet like a fare, by ``post_charges``. Rides of its days that are priced already are
    rated again. Safe to repeat by ``pass_id``.
    Errors: identity.UnknownAccount, UnknownTariff, PassConflict, PassHeld, PassNotPaid, payments.NoRate; InvalidInput
    for a pass that is not on sale or days that are over or too far ahead. Nothing is kept then.
    """
    now, partition = ctx.clock.now(), ctx.directory.partition_of(account_id)
    with ctx.tx() as tx:
        account = identity.get_account(tx, account_id)
        rating_store.lock_rater(tx, partition)
        wish = operator_id, name, from_day, wallet_currency
        for kept in passes_store.list_passes(tx, partition, account_id):
            if kept.pass_id == pass_id:
                if (kept.operator_id, kept.name, kept.from_day, kept.wallet_currency) != wish:
                    raise PassConflict(f"Pass {pass_id} is known with other content.")
                return _bought(kept)
        tariffs, tariff = _tariff_on(tx, operator_id, from_day)
        _refuse_days(from_day, tariffs.day_of(operator_id, now))
        offers = offer_passes(tx, operator_id=operator_id, rider_class=account.rider_class, from_day=from_day)
        offer = next((one for one in offers if one.name == name), None)
        if offer is None:
            known = ", ".join(one.name for one in offers) or "none"
            problem = Problem("name", f"{name!r} is not on sale", f"On sale to this rider: {known}")
            raise InvalidInput("The operator sells no such pass to this rider.", problems=(problem,))
        row = PassRow(
            pass_id,
            account_id,
            operator_id,
            name,
            from_day,
            offer.until_day,
            account.rider_class,
            account.issuer_id,
            wallet_currency,
            offer.price.minor,
            tariff.currency,
            tariff.valid_from,
            now,
            None,
            0,
            0,
        )
        _refuse_twice(tx, partition, row)
        _refuse_unpaid(tx, partition, row, now.date())
        passes_store.add_pass(tx, partition, row)
        _charge(tx, partition, row, 0, offer.price.minor, now)
        _rate_again(tx, partition, row, now)
    return _bought(row)


def refund_pass(ctx: Context, *, pass_id: UUID, account_id: identity.AccountId) -> BoughtPass:
    """Give a pass back before its first use: its price goes back to the wallet it came from. Again is harmless.

    Rides of its days that are rated later, such as by a late tap, are priced without it.
    Errors: UnknownPass; PassUsed, with nothing changed.
    """
    now, partition = ctx.clock.now(), ctx.directory.partition_of(account_id)
    with ctx.tx() as tx:
        rating_store.lock_rater(tx, partition)
        found = passes_store.list_passes(tx, partition, account_id, pass_id)
        if not found:
            raise UnknownPass(f"This account has no pass {pass_id}.")
        row = found[0]
        if row.refunded_at is not None:
            return _bought(row)
        if row.used or row.until_day < Tariffs(tx).day_of(row.operator_id, now):
            raise PassUsed
        passes_store.refund_pass(tx, partition, pass_id, now)
        _charge(tx, partition, row, 1, -row.price_minor, now)
        _rate_again(tx, partition, row, now)
    return _bought(replace(row, refunded_at=now))


def list_passes(tx: Tx, account_id: identity.AccountId, *, partition: int = 0) -> list[BoughtPass]:
    """An account's passes, latest first, those given back too."""
    return [_bought(row) for row in passes_store.list_passes(tx, partition, account_id)]


def _tariff_on(tx: Tx, operator_id: str, day: date) -> tuple[Tariffs, Tariff]:
    tariffs = Tariffs(tx)
    version = tariffs.version_on(operator_id, day)
    if version is None:
        raise UnknownTariff(f"{operator_id} has no tariff in force on {day}.")
    return tariffs, tariffs.read(version)


def _refuse_days(from_day: date, today: date) -> None:
    if not today <= from_day <= today + PASS_AHEAD_MAX:
        problem = Problem(
            "from_day", f"is {from_day}", f"Begin on a service day from {today} to {today + PASS_AHEAD_MAX}"
        )
        raise InvalidInput("A pass cannot begin on that day.", problems=(problem,))


def _refuse_twice(tx: Tx, partition: int, wanted: PassRow) -> None:
    for kept in passes_store.list_passes(tx, partition, wanted.account_id):
        same = (kept.operator_id, kept.name) == (wanted.operator_id, wanted.name)
        meets = kept.from_day <= wanted.until_day and wanted.from_day <= kept.until_day
        if same and meets and kept.refunded_at is None:
            raise PassHeld(f"This pass is held from {kept.from_day} to {kept.until_day}.")


def _refuse_unpaid(tx: Tx, partition: int, wanted: PassRow, day: date) -> None:
    """The issuer carries a ride that is over, and no pass that is still to be used.

    Passes that are not charged yet count too. They are read before the wallet: one that is being charged just now may
    then count twice, and never not at all.
    """
    currency, price = wanted.wallet_currency, Money(wanted.price_minor, wanted.currency)
    waiting = passes_store.list_waiting(tx, partition, wanted.account_id, currency)
    debit = _in_wallet(tx, price, currency, day)
    spoken_for = sum(_in_wallet(tx, one, currency, day).minor for one in waiting)
    held = payments.balance_of(tx, identity.AccountId(wanted.account_id), partition=partition)
    there = next((one.minor for one in held if one.currency == currency), 0) - spoken_for
    if there < debit.minor:
        raise PassNotPaid(f"The pass costs {debit}; the wallet holds {Money(there, currency)}.")


def _in_wallet(tx: Tx, price: Money, currency: str, day: date) -> Money:
    """A price at the rate of a day. Errors: payments.NoRate."""
    if price.currency == currency:
        return price
    return payments.quote(price, currency, payments.rate(tx, day, price.currency, currency))


def _charge(tx: Tx, partition: int, row: PassRow, revision: int, amount_minor: int, at: datetime) -> None:
    """What a pass costs, sent to the ledger as journeys are; a refund at the rate of the day of its purchase."""
    if amount_minor:
        charge = NewCharge(
            partition=partition,
            journey_id=row.pass_id,
            revision=revision,
            charge_id=fact_id(at, "rides.pass", row.pass_id, revision),
            account_id=row.account_id,
            issuer_id=row.issuer_id,
            operator_id=row.operator_id,
            wallet_currency=row.wallet_currency,
            amount_minor=amount_minor,
            currency=row.currency,
            event_at=at,
            service_day=row.bought_at.date(),
        )
        rating_store.add_charges(tx, [charge], at)


def _rate_again(tx: Tx, partition: int, row: PassRow, at: datetime) -> None:
    before = row.from_day - timedelta(days=1)
    days = LaterDays(row.account_id, row.operator_id, before, row.until_day)
    rating_store.mark_later_days(tx, partition, [days], at)


def _bought(row: PassRow) -> BoughtPass:
    return BoughtPass(
        row.pass_id,
        row.operator_id,
        row.name,
        Money(row.price_minor, row.currency),
        row.from_day,
        row.until_day,
        row.bought_at,
        row.refunded_at,
        row.used,
        Money(row.saved_minor, row.currency),
    )
