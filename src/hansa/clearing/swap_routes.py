"""HTTP for swaps: one member quotes a rate for another's net, and that one accepts it for a window."""

from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from typing import Annotated
from uuid import UUID

import msgspec
from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, PathParameter

from hansa import trust
from hansa.clearing import actions, swaps
from hansa.clearing.model import UnknownWindow
from hansa.clearing.routes import refuse_nul
from hansa.kernel import InvalidInput
from hansa.store import Context

WindowName = Annotated[str, PathParameter(max_length=60)]
Member = Annotated[str, msgspec.Meta(min_length=1, max_length=100, pattern=r"^[^\x00]*\Z")]
Code = Annotated[str, msgspec.Meta(min_length=3, max_length=3, pattern=r"^[A-Z]*\Z")]
Rate = Annotated[str, msgspec.Meta(min_length=1, max_length=40, pattern=r"^[0-9]+(\.[0-9]+)?\Z")]


class QuoteRequest(msgspec.Struct, frozen=True):
    """A member's offer to settle another's net of one currency in another. quote_id: the caller's own.

    rate: a decimal, how many of ``paid_currency`` one of ``net_currency`` is, both in major units.
    """

    quote_id: UUID
    member_id: Member
    net_currency: Code
    paid_currency: Code
    rate: Rate
    expires_at: Annotated[datetime, msgspec.Meta(tz=True)]


class QuoteView(msgspec.Struct, frozen=True):
    """An offer. provider_id: whose it is. window_id: for which it was taken up, null while it was not."""

    quote_id: UUID
    provider_id: str
    member_id: str
    net_currency: str
    paid_currency: str
    rate: str
    expires_at: datetime
    quoted_by: str
    quoted_at: datetime
    window_id: str | None


class AcceptRequest(msgspec.Struct, frozen=True):
    """For which window a quote is taken up."""

    window_id: Annotated[str, msgspec.Meta(min_length=1, max_length=60, pattern=r"^[^\x00]*\Z")]


class SwapView(msgspec.Struct, frozen=True):
    """A net that settles in another currency. Amounts in minor units, received above zero, paid below; same sign."""

    quote_id: UUID
    window_id: str
    member_id: str
    provider_id: str
    net_currency: str
    net_minor: int
    paid_currency: str
    paid_minor: int
    accepted_at: datetime


class Swaps(msgspec.Struct, frozen=True):
    """What of a window settles in another currency."""

    window_id: str
    swaps: list[SwapView]


@post(
    "/v1/clearing/quotes",
    sync_to_thread=True,
    status_code=200,
    tags=["Clearing"],
    opt={
        "needs": "clearing:swap",
        "refuses": (trust.UnknownMember, trust.MemberMayNot, swaps.QuoteDiffers, InvalidInput),
    },
)
def quote_swap(
    ctx: NamedDependency[Context], caller: NamedDependency[trust.Caller], data: JSONBody[QuoteRequest]
) -> QuoteView:
    """Offer another member a rate for its net of one currency. Needs `clearing:swap`; again gives the first.

    The caller provides the other currency: what the member's net comes to at the rate stands between the two.
    """
    caller.require("clearing:swap")
    found = swaps.quote(
        ctx,
        data.quote_id,
        provider_id=_own(caller),
        member_id=data.member_id,
        net_currency=data.net_currency,
        paid_currency=data.paid_currency,
        rate=Fraction(Decimal(data.rate)),
        expires_at=data.expires_at,
        by=caller.who,
    )
    return _quote(found)


@get(
    "/v1/clearing/quotes/{quote_id:uuid}",
    sync_to_thread=True,
    tags=["Clearing"],
    opt={"needs": "clearing:read", "refuses": (swaps.UnknownQuote,)},
)
def get_quote(
    ctx: NamedDependency[Context], caller: NamedDependency[trust.Caller], quote_id: FromPath[UUID]
) -> QuoteView:
    """A quote that you gave or were given; of others' there is none to see. The league sees all."""
    caller.require("clearing:read")
    with ctx.tx() as tx:
        return _quote(_get_seen(swaps.get_quote(tx, quote_id), caller))


@post(
    "/v1/clearing/quotes/{quote_id:uuid}/accept",
    sync_to_thread=True,
    status_code=200,
    tags=["Clearing"],
    opt={
        "needs": "clearing:swap",
        "refuses": (
            swaps.UnknownQuote,
            UnknownWindow,
            swaps.QuoteOver,
            swaps.NotSwappable,
            trust.MemberMayNot,
            trust.NotAllowed,
        ),
    },
)
def accept_quote(
    ctx: NamedDependency[Context],
    caller: NamedDependency[trust.Caller],
    quote_id: FromPath[UUID],
    data: JSONBody[AcceptRequest],
) -> SwapView:
    """Take up a quote that was given to you, for your net of a closed window. Needs `clearing:swap`.

    Both legs are booked with it. Accepting it again for that window gives the same.
    """
    caller.require("clearing:swap")
    with ctx.tx() as tx:
        found = _get_seen(swaps.get_quote(tx, quote_id), caller)
    if found.member_id != _own(caller):
        raise trust.NotAllowed("Only the member to whom it was quoted accepts it.")
    return _swap(swaps.accept(ctx, data.window_id, quote_id, by=caller.who))


@get(
    "/v1/clearing/windows/{window_id:str}/swaps",
    sync_to_thread=True,
    tags=["Clearing"],
    opt={"needs": "clearing:read", "refuses": (UnknownWindow, InvalidInput)},
)
def window_swaps(
    ctx: NamedDependency[Context], caller: NamedDependency[trust.Caller], window_id: WindowName
) -> Swaps:
    """What of a window settles in another currency. A member sees the swaps of which it is a side."""
    caller.require("clearing:read")
    refuse_nul(window_id=window_id)
    with ctx.tx() as tx:
        actions.get_window(tx, window_id)
        found = swaps.list_swaps(tx, window_id)
    own = None if caller.kind == "league" else _own(caller)
    return Swaps(
        window_id, [_swap(one) for one in found if own is None or own in (one.member_id, one.provider_id)]
    )


def _own(caller: trust.Caller) -> str:
    if caller.kind == "gate" or caller.member_id is None:
        raise trust.NotAllowed("Only a member of the league may do this.")
    return caller.member_id


def _get_seen(found: swaps.Quote, caller: trust.Caller) -> swaps.Quote:
    """Errors: UnknownQuote for one of others, as if there were none."""
    if caller.kind != "league" and _own(caller) not in (found.member_id, found.provider_id):
        raise swaps.UnknownQuote(f"There is no quote {found.quote_id}.")
    return found


def _quote(found: swaps.Quote) -> QuoteView:
    return QuoteView(
        found.quote_id,
        found.provider_id,
        found.member_id,
        found.net_currency,
        found.paid_currency,
        _decimal(found.rate),
        found.expires_at,
        found.quoted_by,
        found.quoted_at,
        found.window_id,
    )


def _swap(found: swaps.Swap) -> SwapView:
    return SwapView(
        found.quote_id,
        found.window_id,
        found.member_id,
        found.provider_id,
        found.net_currency,
        found.net_minor,
        found.paid_currency,
        found.paid_minor,
        found.accepted_at,
    )


def _decimal(rate: Fraction) -> str:
    """A rate as it was sent; one that was quoted in the house and has no end as a decimal is written as a fraction."""
    for places in range(61):
        scaled = rate * 10**places
        if scaled.denominator == 1:
            return f"{Decimal(scaled.numerator).scaleb(-places):f}"
    return str(rate)


ROUTES = [quote_swap, get_quote, accept_quote, window_swaps]
