"""HTTP for quotes, for what issuers ask, and for what they hold by changing money."""

from datetime import datetime, timedelta
from fractions import Fraction
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter

from hansa import identity, trust
from hansa.identity import AccountId
from hansa.kernel import CURRENCY_EXPONENTS, InvalidInput, Money, Problem
from hansa.payments import quotes
from hansa.payments.model import NoRate, WrongCurrency
from hansa.payments.payment import payee_key
from hansa.payments.quotes_model import (
    AMOUNT_MAX,
    MARGIN_MAX_BP,
    Favours,
    Fixed,
    NewQuote,
    Quote,
    Terms,
    UnknownQuote,
)
from hansa.store import Context, Tx

Currency = Annotated[str, msgspec.Meta(pattern=r"^[A-Z]{3}$")]
Minor = Annotated[int, msgspec.Meta(ge=1, le=AMOUNT_MAX)]

ROUNDED = (
    "Rounded once, half to even, to whole minor units; the issuer gains or bears the rest of a minor unit."
)


class Side(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A currency, and on one of the two sides how much of it, in whole minor units."""

    currency: Currency
    minor: Minor | None = None


class NewQuoteRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is to be changed. pays: all that leaves the wallet, fee and all. gets: what arrives. `minor` in one of them.

    account_id: whose wallet; with a sign-in your own. payee_id or receiver_id: whom it is for; without, it is good for
    anybody of that currency.
    """

    pays: Side
    gets: Side
    account_id: UUID | None = None
    payee_id: Annotated[str, msgspec.Meta(max_length=64)] = ""
    receiver_id: UUID | None = None


class ExactRate(msgspec.Struct, frozen=True):
    """Units of the receiver's currency for one of the payer's, exactly: numerator / denominator. about: for people."""

    numerator: int
    denominator: int
    about: str


class RoundingAnswer(msgspec.Struct, frozen=True):
    """The one rounding. of: the amount that was rounded, from numerator / denominator minor units.

    favours: who has the part of a minor unit between the two; less than one half.
    """

    mode: Literal["half_even"]
    of: Fixed
    numerator: int
    denominator: int
    favours: Favours
    words: str


class QuoteAnswer(msgspec.Struct, frozen=True):
    """Amounts that hold until expires_at, once. pays: all that leaves the wallet, with fee. gets: what arrives.

    rate: what is paid less the fee, times this, is what arrives. day_rate: the rate of the day, before the issuer's
    margin; margin_bp, margin: that margin in basis points, and its worth in the payer's currency.
    """

    quote_id: UUID
    account_id: UUID
    state: Literal["open", "used", "expired"]
    pays: Money
    fee: Money
    gets: Money
    fixed: Fixed
    rate: ExactRate
    day_rate: ExactRate
    margin_bp: int
    margin: Money
    rounding: RoundingAnswer
    receiver: str
    made_at: datetime
    expires_at: datetime


class QuoteTerms(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What you ask for changing money. into_currency: empty is any. fee_minor: of each quote, in `currency`."""

    currency: Currency
    into_currency: Annotated[str, msgspec.Meta(pattern=r"^([A-Z]{3})?$")] = ""
    margin_bp: Annotated[int, msgspec.Meta(ge=0, le=MARGIN_MAX_BP)] = 0
    fee_minor: Annotated[int, msgspec.Meta(ge=0, le=AMOUNT_MAX)] = 0
    lasts_s: Annotated[int, msgspec.Meta(ge=60, le=600)] = 120


class TermsInForce(msgspec.Struct, frozen=True):
    """Terms as they stand, since when, and who set them."""

    terms: QuoteTerms
    set_at: datetime
    set_by: str


class TermsList(msgspec.Struct, frozen=True):
    """All of an issuer's terms that stand, by currency."""

    issuer_id: str
    terms: list[TermsInForce]


class ExchangePosition(msgspec.Struct, frozen=True):
    """What an issuer holds (+) or owes (-) of a currency by changing money. worth: in the currency asked for."""

    currency: str
    minor: int
    worth: Money | None


class ExchangePositions(msgspec.Struct, frozen=True):
    """An issuer's open positions by currency, and what they come to; total is null where a rate is missing."""

    issuer_id: str
    positions: list[ExchangePosition]
    total: Money | None


@post(
    "/v1/quotes",
    sync_to_thread=True,
    status_code=200,
    tags=["Payments"],
    opt={
        "needs": "payments:write",
        "who": ("key", "session"),
        "idempotent": True,
        "refuses": (InvalidInput, identity.UnknownAccount, WrongCurrency, NoRate, UnknownQuote),
    },
)
def create_quote(
    ctx: NamedDependency[Context],
    caller: NamedDependency[trust.Caller],
    asked_id: NamedDependency[UUID],
    data: JSONBody[NewQuoteRequest],
) -> QuoteAnswer:
    """Lock what is paid and what arrives in another currency, for a minute to ten. Then pay or send by its id.

    With a sign-in: from your own wallet. With a key: of an issuer, for one of its own accounts. A quote is good once.
    """
    if caller.account_id is None:
        caller.require("payments:write")
    if data.payee_id and data.receiver_id is not None:
        raise _unfit("receiver_id", "a payee is named already", "Name one receiver")
    if data.account_id is None and caller.account_id is None:
        raise _unfit("account_id", "it is missing", "Say whose wallet pays")
    account_id = AccountId(data.account_id or UUID(caller.account_id))
    with ctx.tx() as tx:
        _check_whose(tx, caller, account_id, "payments:write")
    key = ""
    if data.payee_id:
        key = payee_key(data.payee_id)
    elif data.receiver_id is not None:
        key = f"account:{data.receiver_id}"
    new = NewQuote(
        quote_id=asked_id,
        account_id=account_id,
        pays=_side(data.pays),
        gets=_side(data.gets),
        payee_key=key,
        by=caller.who,
    )
    return quote_answer(quotes.make_quote(ctx, new), ctx.clock.now())


@get(
    "/v1/quotes/{quote_id:uuid}",
    sync_to_thread=True,
    tags=["Payments"],
    opt={"needs": "payments:read", "who": ("key", "session"), "refuses": (UnknownQuote,)},
)
def read_quote(
    ctx: NamedDependency[Context], caller: NamedDependency[trust.Caller], quote_id: FromPath[UUID]
) -> QuoteAnswer:
    """A quote as it stands: open, used or expired. One that nobody used is forgotten a day after it expired."""
    if caller.account_id is None:
        caller.require("payments:read")
    with ctx.tx() as tx:
        found = quotes.get_quote(ctx, tx, quote_id)
        try:
            _check_whose(tx, caller, found.account_id, "payments:read")
        except identity.UnknownAccount as error:
            raise UnknownQuote(f"There is no quote {quote_id}.") from error
        if caller.account_id is None:
            identity.saw(tx, found.account_id, caller.who, "wallet", identity.BY_PROGRAM, ctx.clock.now())
    return quote_answer(found, ctx.clock.now())


@post(
    "/v1/quote-terms",
    sync_to_thread=True,
    status_code=200,
    tags=["Payments"],
    opt={"needs": "payments:write", "refuses": (InvalidInput,)},
)
def set_quote_terms(
    ctx: NamedDependency[Context], caller: NamedDependency[trust.Caller], data: JSONBody[QuoteTerms]
) -> TermsList:
    """Say what you ask for changing your people's money from now on. Quotes that are made stay as they are."""
    issuer = _issuer(caller, "payments:write")
    terms = Terms(margin_bp=data.margin_bp, fee_minor=data.fee_minor, lasts=timedelta(seconds=data.lasts_s))
    with ctx.tx() as tx:
        quotes.set_terms(
            tx, issuer, data.currency, data.into_currency, terms, at=ctx.clock.now(), by=caller.who
        )
        return _terms_list(tx, issuer)


@get("/v1/quote-terms", sync_to_thread=True, tags=["Payments"], opt={"needs": "payments:read"})
def list_quote_terms(ctx: NamedDependency[Context], caller: NamedDependency[trust.Caller]) -> TermsList:
    """What you ask now. Where you said nothing, 0.5 % and no fee hold, for two minutes."""
    issuer = _issuer(caller, "payments:read")
    with ctx.tx() as tx:
        return _terms_list(tx, issuer)


@get(
    "/v1/exchange-positions",
    sync_to_thread=True,
    tags=["Payments"],
    opt={"needs": "payments:read", "refuses": (InvalidInput,)},
)
def list_exchange_positions(
    ctx: NamedDependency[Context],
    caller: NamedDependency[trust.Caller],
    currency: Annotated[str, QueryParameter(pattern=r"^[A-Z]{3}$", description="in which worth is told")],
) -> ExchangePositions:
    """What you hold and owe of each currency by having changed your people's money: the exchange risk that is yours."""
    issuer = _issuer(caller, "payments:read")
    if currency not in CURRENCY_EXPONENTS:
        raise _unfit("currency", f"{currency!r} is no active one", "Use a code of ISO 4217")
    with ctx.tx() as tx:
        found = quotes.open_exchange(tx, issuer, currency, at=ctx.clock.now())
    known = [one.worth.minor for one in found if one.worth is not None]
    return ExchangePositions(
        issuer,
        [ExchangePosition(one.currency, one.minor, one.worth) for one in found],
        Money(sum(known), currency) if len(known) == len(found) else None,
    )


def quote_answer(one: Quote, now: datetime) -> QuoteAnswer:
    """A quote as it is told."""
    state: Literal["open", "used", "expired"] = "open" if now < one.expires_at else "expired"
    rounding = one.rounding
    return QuoteAnswer(
        one.quote_id,
        one.account_id,
        "used" if one.used_for is not None else state,
        one.pays,
        one.fee,
        one.gets,
        one.fixed,
        _exact(one.rate),
        _exact(one.mid),
        one.margin_bp,
        one.margin,
        RoundingAnswer(
            "half_even",
            rounding.of,
            rounding.exact.numerator,
            rounding.exact.denominator,
            rounding.favours,
            ROUNDED,
        ),
        one.payee_key,
        one.made_at,
        one.expires_at,
    )


def _exact(rate: Fraction) -> ExactRate:
    return ExactRate(rate.numerator, rate.denominator, f"{float(rate):.6g}")


def _side(side: Side) -> Money | str:
    if side.minor is None:
        return side.currency
    return Money(side.minor, side.currency)


def _check_whose(tx: Tx, caller: trust.Caller, account_id: AccountId, scope: str) -> None:
    """Go on for the account's owner, its issuer and the league. Errors: identity.UnknownAccount for anyone else."""
    if caller.account_id is not None:
        if caller.account_id == str(account_id):
            return
    else:
        caller.require(scope)
        account = identity.get_account(tx, account_id)
        if caller.kind == "league" or caller.member_id == account.issuer_id:
            return
    raise identity.UnknownAccount(f"No account {account_id} is open here.")


def _issuer(caller: trust.Caller, scope: str) -> str:
    caller.require(scope)
    if caller.member_id is None or caller.kind == "league":
        raise trust.NotAllowed("Only the member that issues wallets changes its people's money.")
    return caller.member_id


def _terms_list(tx: Tx, issuer: str) -> TermsList:
    return TermsList(
        issuer,
        [
            TermsInForce(
                QuoteTerms(
                    currency, into, terms.margin_bp, terms.fee_minor, int(terms.lasts.total_seconds())
                ),
                set_at,
                set_by,
            )
            for currency, into, terms, set_at, set_by in quotes.list_terms(tx, issuer)
        ],
    )


def _unfit(where: str, what: str, remedy: str) -> InvalidInput:
    return InvalidInput(f"{where}: {what}.", problems=(Problem(where, what, remedy),))


ROUTES = [
    create_quote,
    read_quote,
    set_quote_terms,
    list_quote_terms,
    list_exchange_positions,
]
