"""HTTP for wallets: what they hold and what changed them, top-ups from issuers, the exchange rates of a day."""

from datetime import date, datetime, timedelta
from fractions import Fraction
from typing import Annotated
from uuid import UUID

import msgspec
from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter

from hansa import approval, identity, trust
from hansa.identity import AccountId
from hansa.kernel import CURRENCY_EXPONENTS, InvalidInput, Money, Problem, in_utc, mark_text, paged, read_mark
from hansa.payments import actions, payment_routes, quotes_routes
from hansa.payments.model import Movement, RateDiffers, TopUp, TopUpDiffers, WalletClosed, WrongCurrency
from hansa.store import Context, Tx

TOP_UP_MAX = 1_000_000_000_000
"""Minor units of one top-up at most: a slip of the keyboard ends here."""

AHEAD_MAX = timedelta(minutes=5)
"""How far the clock of an issuer may be ahead of ours."""

Limit = Annotated[int, QueryParameter(ge=1, le=1_000)]
After = Annotated[str, QueryParameter(max_length=100, description="`next` of the page before")]
Currency = Annotated[str, msgspec.Meta(pattern=r"^[A-Z]{3}$")]
Part = Annotated[int, msgspec.Meta(ge=1, le=9_007_199_254_740_991)]
"""A whole number that every JSON reader keeps exactly."""


class WalletView(msgspec.Struct, frozen=True):
    """An account's wallets by currency, and what it owes its issuer for fares the wallet could not pay."""

    account_id: UUID
    balances: list[Money]
    debts: list[Money]


class MovementView(msgspec.Struct, frozen=True):
    """A line of a wallet. amount: gained (+) or lost (-); balance: what the wallet held after it.

    price: what was asked, in the payee's currency. owed: what the issuer carried (+) or wrote off the debt (-).
    reference: the journey, payment, transfer, withdrawal or top-up, as kind says. finished: false while it is posted.
    """

    movement_id: UUID
    at: datetime
    kind: str
    amount: Money
    balance: Money
    price: Money
    owed: Money
    reference: UUID
    finished: bool


class MovementPage(msgspec.Struct, frozen=True):
    """Some lines, newest first; ``next`` asks for those before them, null at the end."""

    movements: list[MovementView]
    next: str | None


class Amount(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Money that is brought, in whole minor units."""

    minor: Annotated[int, msgspec.Meta(ge=1, le=TOP_UP_MAX)]
    currency: Currency


class NewTopUp(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Money a rider brought. The issuer makes its id, so that sending it again is harmless. at: when it came."""

    top_up_id: UUID
    account_id: UUID
    amount: Amount
    at: Annotated[datetime, msgspec.Meta(tz=True)]


class TopUpView(msgspec.Struct, frozen=True):
    """A top-up that is in the wallet."""

    top_up_id: UUID
    account_id: UUID
    issuer_id: str
    amount: Money
    at: datetime


class RateView(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Units of quote for one unit of base, exactly: numerator / denominator."""

    base: Currency
    quote: Currency
    numerator: Part
    denominator: Part


class Rates(msgspec.Struct, frozen=True):
    """The rates set for a day. The way back, where only one way is set, is one over it."""

    day: date
    rates: list[RateView]


class NewRates(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Rates for a day; one that is set never changes."""

    day: date
    rates: Annotated[list[RateView], msgspec.Meta(min_length=1, max_length=1_000)]


@get(
    "/v1/wallets/{account_id:uuid}",
    sync_to_thread=True,
    tags=["Payments"],
    opt={"needs": "payments:read", "who": ("key", "session"), "refuses": (identity.UnknownAccount,)},
)
def read_wallet(
    ctx: NamedDependency[Context], caller: NamedDependency[trust.Caller], account_id: FromPath[UUID]
) -> WalletView:
    """What an account's wallets hold: for its rider, and with `payments:read` for its issuer and the league.

    `identity.unknown_account` for everyone else too.
    """
    if caller.account_id is None:
        caller.require("payments:read")
    with ctx.tx() as tx:
        account = account_to_read(tx, caller, account_id, ctx.clock.now())
        partition = ctx.directory.partition_of(account.account_id)
        return WalletView(
            account.account_id,
            actions.balance_of(tx, account.account_id, partition=partition),
            actions.debts_of(tx, account.account_id, partition=partition),
        )


@get(
    "/v1/wallets/{account_id:uuid}/movements",
    sync_to_thread=True,
    tags=["Payments"],
    opt={
        "needs": "payments:read",
        "who": ("key", "session"),
        "refuses": (identity.UnknownAccount, InvalidInput),
    },
)
def list_movements(
    ctx: NamedDependency[Context],
    caller: NamedDependency[trust.Caller],
    account_id: FromPath[UUID],
    after: After = "",
    limit: Limit = 100,
) -> MovementPage:
    """What changed an account's wallets, newest first, with the balance after each line."""
    if caller.account_id is None:
        caller.require("payments:read")
    with ctx.tx() as tx:
        account = account_to_read(tx, caller, account_id, ctx.clock.now())
        found = actions.movements(
            tx,
            account.account_id,
            limit + 1,
            before=read_mark(after),
            partition=ctx.directory.partition_of(account.account_id),
        )
    page, more = paged(found, limit, lambda one: mark_text(*one.mark))
    return MovementPage([_movement(one) for one in page], more)


@post(
    "/v1/top-ups",
    sync_to_thread=True,
    status_code=200,
    tags=["Payments"],
    opt={
        "needs": "payments:write",
        "refuses": (
            identity.UnknownAccount,
            WrongCurrency,
            TopUpDiffers,
            WalletClosed,
            InvalidInput,
            approval.BalanceCapReached,
        ),
    },
)
def top_up(
    ctx: NamedDependency[Context], caller: NamedDependency[trust.Caller], data: JSONBody[NewTopUp]
) -> TopUpView:
    """Put money into the wallet of one of your riders. Sending it again gives the same answer.

    Issuers top up their own riders only; `identity.unknown_account` for those of others too.
    """
    caller.require("payments:write")
    if not 2000 <= data.at.year < 2200 or data.at > ctx.clock.now() + AHEAD_MAX:
        raise _unfit("at", "is before 2000 or ahead of our clock", "Say when the money came")
    at = in_utc(data.at, where="at")
    with ctx.tx() as tx:
        account = _account_of_issuer(tx, caller, data.account_id)
        partition = ctx.directory.partition_of(account.account_id)
        units = [money.currency for money in actions.balance_of(tx, account.account_id, partition=partition)]
    if data.amount.currency not in units:
        raise WrongCurrency(
            f"This account has no wallet in {data.amount.currency}, but in {', '.join(units)}."
        )
    amount = Money(data.amount.minor, data.amount.currency)
    one = TopUp(data.top_up_id, account.account_id, account.issuer_id, amount, at)
    actions.top_up(ctx, [one], capped=True)
    return TopUpView(data.top_up_id, account.account_id, account.issuer_id, amount, at)


@get("/v1/rates/{day:date}", sync_to_thread=True, tags=["Payments"], opt={"refuses": (InvalidInput,)})
def list_rates(ctx: NamedDependency[Context], day: FromPath[date]) -> Rates:
    """The exchange rates of a day; an empty list if none is set."""
    _check_day(day)
    with ctx.tx() as tx:
        return _rates(tx, day)


@post(
    "/v1/rates",
    sync_to_thread=True,
    status_code=200,
    tags=["Payments"],
    opt={"needs": "rates:write", "refuses": (RateDiffers, InvalidInput)},
)
def set_rates(
    ctx: NamedDependency[Context], caller: NamedDependency[trust.Caller], data: JSONBody[NewRates]
) -> Rates:
    """Set exchange rates of a day; gives all that are set. Setting the same again is harmless."""
    caller.require_league("rates:write")
    _check_day(data.day)
    for index, one in enumerate(data.rates):
        for name, unit in (("base", one.base), ("quote", one.quote)):
            if unit not in CURRENCY_EXPONENTS:
                raise _unfit(
                    f"rates[{index}].{name}", f"{unit} is no active currency", "Use a code of ISO 4217"
                )
    with ctx.tx() as tx:
        actions.set_rates(
            tx,
            data.day,
            [(one.base, one.quote, Fraction(one.numerator, one.denominator)) for one in data.rates],
        )
        return _rates(tx, data.day)


def _rates(tx: Tx, day: date) -> Rates:
    found = actions.list_rates(tx, day)
    return Rates(
        day, [RateView(base, quote, rate.numerator, rate.denominator) for base, quote, rate in found]
    )


def account_to_read(tx: Tx, caller: trust.Caller, account_id: UUID, at: datetime) -> identity.Account:
    """The account, where this caller may see its wallets; that another than its rider did is kept for the rider.

    Errors: identity.UnknownAccount where not.
    """
    if caller.account_id is not None:
        if caller.account_id != str(account_id):
            raise identity.UnknownAccount(f"No account {account_id} is open here.")
        return identity.get_account(tx, AccountId(account_id))
    account = _account_of_issuer(tx, caller, account_id)
    identity.saw(tx, account.account_id, caller.who, "wallet", identity.BY_PROGRAM, at)
    return account


def _account_of_issuer(tx: Tx, caller: trust.Caller, account_id: UUID) -> identity.Account:
    """The account, for its issuer or the league. Errors: identity.UnknownAccount for anyone else."""
    account = identity.get_account(tx, AccountId(account_id))
    if caller.kind != "league" and caller.member_id != account.issuer_id:
        raise identity.UnknownAccount(f"No account {account_id} is open here.")
    return account


def _check_day(day: date) -> None:
    if not 2000 <= day.year < 2200:
        raise _unfit("day", f"the year is {day.year}", "Give a year from 2000 to 2199")


def _unfit(where: str, what: str, remedy: str) -> InvalidInput:
    return InvalidInput(f"{where}: {what}.", problems=(Problem(where, what, remedy),))


def _movement(one: Movement) -> MovementView:
    return MovementView(
        one.movement_id,
        one.at,
        one.kind.value,
        one.amount,
        one.balance,
        one.price,
        one.owed,
        one.reference,
        one.finished,
    )


ROUTES = [
    read_wallet,
    list_movements,
    top_up,
    list_rates,
    set_rates,
    *payment_routes.ROUTES,
    *quotes_routes.ROUTES,
]
