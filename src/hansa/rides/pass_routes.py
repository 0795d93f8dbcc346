"""HTTP for passes: what operators sell, and what riders bought; a rider or the rider's issuer buys and gives back."""

from datetime import date, datetime
from typing import Annotated
from uuid import UUID

import msgspec
from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from hansa import identity, payments, trust
from hansa.fares import RiderClass
from hansa.kernel import InvalidInput, Money, Problem
from hansa.rides import passes
from hansa.rides.clauses import line_of
from hansa.rides.model import UnknownTariff
from hansa.rides.passes import BoughtPass, PassOffer
from hansa.rides.tariffs import Tariffs
from hansa.store import Context, Tx

NO_CONTROL = r"^[^\x00-\x1f]*$"
AskedName = Annotated[str, QueryParameter(min_length=1, max_length=200, pattern=NO_CONTROL)]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=200, pattern=NO_CONTROL)]


class PassOfferView(msgspec.Struct, frozen=True):
    """A pass on sale. until_day: inclusive, where it begins on ``from_day``.

    percent: what its rides still cost. clause, line: where the tariff says so, and what the pass covers.
    """

    operator_id: str
    name: str
    price: Money
    from_day: date
    until_day: date
    percent: int
    clause: str
    line: int | None


class PassOffers(msgspec.Struct, frozen=True):
    """What an operator sells to a class of rider, in the order of its tariff."""

    rider_class: str
    offers: list[PassOfferView]


class NewPass(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A pass to buy. You make its id, so that sending it again is harmless.

    account_id: whose wallet pays and who holds it; a rider who is signed in need not say. wallet_currency: needed only
    where the account has more than one wallet.
    """

    pass_id: UUID
    operator_id: Name
    name: Name
    from_day: date
    account_id: UUID | None = None
    wallet_currency: Annotated[str, msgspec.Meta(pattern=r"^[A-Z]{3}$")] | None = None


class GiveBack(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whose pass is given back; a rider who is signed in need not say."""

    account_id: UUID | None = None


class PassView(msgspec.Struct, frozen=True):
    """A pass that was bought. until_day: inclusive. used: rides it made cheaper by now; saved: by how much.

    refunded_at: when it was given back, else null.
    """

    pass_id: UUID
    account_id: UUID
    operator_id: str
    name: str
    price: Money
    from_day: date
    until_day: date
    bought_at: datetime
    refunded_at: datetime | None
    used: int
    saved: Money


class PassList(msgspec.Struct, frozen=True):
    """An account's passes, latest first, those given back too."""

    passes: list[PassView]


@get("/v1/pass-offers", sync_to_thread=True, tags=["Rides"], opt={"refuses": (UnknownTariff, InvalidInput)})
def list_pass_offers(
    ctx: NamedDependency[Context],
    operator_id: AskedName,
    from_day: FromQuery[date | None] = None,
    rider_class: Annotated[RiderClass, QueryParameter()] = "adult",
) -> PassOffers:
    """What an operator sells for service days from `from_day` on, today if none is named. Anybody may ask.

    By the tariff that holds on that day; an empty list where it sells no pass. `rides.unknown_tariff` where none holds.
    """
    with ctx.tx() as tx:
        tariffs = Tariffs(tx)
        if not tariffs.knows(operator_id):
            raise UnknownTariff(f"{operator_id} has no tariff.")
        day = from_day or tariffs.day_of(operator_id, ctx.clock.now())
        _check_day(day)
        offers = passes.offer_passes(tx, operator_id=operator_id, rider_class=rider_class, from_day=day)
    return PassOffers(rider_class, [_offer(one) for one in offers])


@get(
    "/v1/passes",
    sync_to_thread=True,
    tags=["Rides"],
    opt={
        "needs": "payments:read",
        "who": ("key", "session"),
        "refuses": (identity.UnknownAccount, InvalidInput),
    },
)
def list_passes(
    ctx: NamedDependency[Context],
    caller: NamedDependency[trust.Caller],
    account: FromQuery[UUID | None] = None,
) -> PassList:
    """A rider's passes, latest first: your own when signed in, or those of the `account` named, as its issuer.

    `identity.unknown_account` for everyone else.
    """
    if caller.account_id is None:
        caller.require("payments:read")
    with ctx.tx() as tx:
        found = _account(tx, caller, account)
        if caller.account_id is None:
            identity.saw(tx, found.account_id, caller.who, "wallet", identity.BY_PROGRAM, ctx.clock.now())
        partition = ctx.directory.partition_of(found.account_id)
        held = passes.list_passes(tx, found.account_id, partition=partition)
    return PassList([_pass(one, found) for one in held])


@post(
    "/v1/passes",
    sync_to_thread=True,
    status_code=200,
    tags=["Rides"],
    opt={
        "needs": "payments:write",
        "who": ("key", "session"),
        "refuses": (
            passes.PassNotPaid,
            identity.UnknownAccount,
            UnknownTariff,
            passes.PassConflict,
            passes.PassHeld,
            payments.NoRate,
            payments.WrongCurrency,
            InvalidInput,
        ),
    },
)
def buy_pass(
    ctx: NamedDependency[Context], caller: NamedDependency[trust.Caller], data: JSONBody[NewPass]
) -> PassView:
    """Buy a pass from the wallet. Sending it again gives the same pass and charges nothing more.

    A rider buys for themselves, an issuer for its own riders. It covers whole service days from `from_day` on, by the
    tariff of that day; rides of its days that were made before are priced anew. Nothing is kept and nothing charged
    where it is refused.
    """
    if caller.account_id is None:
        caller.require("payments:write")
    with ctx.tx() as tx:
        account = _account(tx, caller, data.account_id)
        currency = _wallet(ctx, tx, account, data.wallet_currency)
    _check_day(data.from_day)
    bought = passes.buy_pass(
        ctx,
        pass_id=data.pass_id,
        account_id=account.account_id,
        operator_id=data.operator_id,
        name=data.name,
        from_day=data.from_day,
        wallet_currency=currency,
    )
    return _pass(bought, account)


@post(
    "/v1/passes/{pass_id:uuid}/refund",
    sync_to_thread=True,
    status_code=200,
    tags=["Rides"],
    opt={
        "needs": "payments:write",
        "who": ("key", "session"),
        "refuses": (
            identity.UnknownAccount,
            passes.UnknownPass,
            passes.PassUsed,
            InvalidInput,
        ),
    },
)
def refund_pass(
    ctx: NamedDependency[Context],
    caller: NamedDependency[trust.Caller],
    pass_id: FromPath[UUID],
    data: JSONBody[GiveBack],
) -> PassView:
    """Give a pass back before its first use: its price goes back to the wallet it came from. Again is harmless.

    `rides.pass_used` once a ride used it or its days are over; nothing is changed then.
    """
    if caller.account_id is None:
        caller.require("payments:write")
    with ctx.tx() as tx:
        account = _account(tx, caller, data.account_id)
    return _pass(passes.refund_pass(ctx, pass_id=pass_id, account_id=account.account_id), account)


ROUTES = [list_pass_offers, list_passes, buy_pass, refund_pass]


def _account(tx: Tx, caller: trust.Caller, account_id: UUID | None) -> identity.Account:
    """Whose passes a caller may speak of: a rider of their own, an issuer of its riders', the league of all.

    Errors: identity.UnknownAccount for a stranger's; InvalidInput for a key that names none.
    """
    if caller.account_id is not None:
        if account_id is not None and str(account_id) != caller.account_id:
            raise identity.UnknownAccount(f"No account {account_id} is open here.")
        return identity.get_account(tx, identity.AccountId(UUID(caller.account_id)))
    if account_id is None:
        problem = Problem("account", "is not named", "Name the account; only a rider signed in need not")
        raise InvalidInput("Whose passes?", problems=(problem,))
    account = identity.get_account(tx, identity.AccountId(account_id))
    if caller.kind != "league" and caller.member_id != account.issuer_id:
        raise identity.UnknownAccount(f"No account {account_id} is open here.")
    return account


def _wallet(ctx: Context, tx: Tx, account: identity.Account, wanted: str | None) -> str:
    """The currency of the wallet that pays. Errors: payments.WrongCurrency, InvalidInput where there are several."""
    partition = ctx.directory.partition_of(account.account_id)
    held = [one.currency for one in payments.balance_of(tx, account.account_id, partition=partition)]
    told = ", ".join(held) or "no currency"
    if wanted is not None and wanted not in held:
        raise payments.WrongCurrency(f"This account has no wallet in {wanted}, but in {told}.")
    if wanted is None and len(held) != 1:
        problem = Problem("wallet_currency", "is not named", f"Choose one of the wallets: {told}")
        raise InvalidInput("Which wallet pays?", problems=(problem,))
    return wanted or held[0]


def _check_day(day: date) -> None:
    if not 2000 <= day.year < 2200:
        problem = Problem("from_day", f"the year is {day.year}", "Give a year from 2000 to 2199")
        raise InvalidInput("Hansa knows the years 2000 to 2199.", problems=(problem,))


def _offer(one: PassOffer) -> PassOfferView:
    return PassOfferView(
        one.operator_id,
        one.name,
        one.price,
        one.from_day,
        one.until_day,
        one.terms.percent,
        one.clause,
        line_of(one.clause),
    )


def _pass(one: BoughtPass, account: identity.Account) -> PassView:
    return PassView(
        one.pass_id,
        account.account_id,
        one.operator_id,
        one.name,
        one.price,
        one.from_day,
        one.until_day,
        one.bought_at,
        one.refunded_at,
        one.used,
        one.saved,
    )
