"""HTTP for looking at what was made: top-ups by the issuer that made them, a payment's attempts and captures."""

from typing import Annotated
from uuid import UUID

import msgspec
from litestar import get
from litestar.di import NamedDependency
from litestar.params import FromPath, QueryParameter
from psycopg.rows import class_row

from hansa import identity, trust
from hansa.identity import AccountId
from hansa.kernel import InvalidInput, Mark, Money, Problem, mark_text, paged, read_mark
from hansa.payments import changing, quotes, store
from hansa.payments.model import UnknownTopUp
from hansa.payments.payment import UnknownPayment
from hansa.payments.payment_routes import (
    After,
    Attempt,
    CaptureAnswer,
    attempts_of,
    captures_of,
    own_payment,
)
from hansa.payments.quotes_routes import QuoteAnswer, quote_answer
from hansa.payments.routes import TopUpView, account_to_read
from hansa.payments.store import TopUpRow
from hansa.store import Context, Tx

Limit = Annotated[int, QueryParameter(ge=1, le=1_000)]

LIST_TOP_UPS = """
select partition, top_up_id, account_id, issuer_id, amount_minor, currency, top_up_at, state
from payments.top_ups
where partition = %(partition)s and account_id = %(account)s and state = 'posted'
    and (top_up_at, top_up_id) < (%(at)s::timestamptz, %(id)s::uuid)
order by top_up_at desc, top_up_id desc limit %(limit)s
"""


class TopUps(msgspec.Struct, frozen=True):
    """Some top-ups, latest first; `next` asks for those before them, null at the end."""

    top_ups: list[TopUpView]
    next: str | None


class Quotes(msgspec.Struct, frozen=True):
    """Some quotes, latest first; `next` asks for those before them, null at the end."""

    quotes: list[QuoteAnswer]
    next: str | None


class Attempts(msgspec.Struct, frozen=True):
    """All tries to pay a payment, in order."""

    attempts: list[Attempt]


class Captures(msgspec.Struct, frozen=True):
    """All that was captured of a payment, in order."""

    captures: list[CaptureAnswer]


@get(
    "/v1/top-ups",
    sync_to_thread=True,
    tags=["Payments"],
    opt={"needs": "payments:read", "refuses": (identity.UnknownAccount, InvalidInput)},
)
def list_top_ups(
    ctx: NamedDependency[Context],
    caller: NamedDependency[trust.Caller],
    account_id: Annotated[UUID, QueryParameter(description="of one of your riders")],
    after: After = "",
    limit: Limit = 100,
) -> TopUps:
    """Top-ups that you put into a rider's wallet, latest first. What a rider's bank paid in is at `/v1/wallets/…`."""
    caller.require("payments:read")
    before = read_mark(after)
    with ctx.tx() as tx:
        account = account_to_read(tx, caller, account_id, ctx.clock.now())
        found = _top_ups(tx, ctx, account.account_id, before, limit + 1)
    page, more = paged(found, limit, lambda one: mark_text(one.top_up_at, one.top_up_id))
    return TopUps([_top_up(one) for one in page], more)


@get(
    "/v1/top-ups/{top_up_id:uuid}",
    sync_to_thread=True,
    tags=["Payments"],
    opt={"needs": "payments:read", "refuses": (UnknownTopUp,)},
)
def read_top_up(
    ctx: NamedDependency[Context], caller: NamedDependency[trust.Caller], top_up_id: FromPath[UUID]
) -> TopUpView:
    """A top-up that you made."""
    caller.require("payments:read")
    keys = [(partition, top_up_id) for partition in ctx.directory.partitions]
    with ctx.tx() as tx:
        found = store.fetch_top_ups(tx, keys).get(top_up_id)
    mine = found is not None and (caller.kind == "league" or caller.member_id == found.issuer_id)
    if found is None or not mine or found.state != "posted":
        raise UnknownTopUp(f"There is no top-up {top_up_id}.")
    return _top_up(found)


@get(
    "/v1/quotes",
    sync_to_thread=True,
    tags=["Payments"],
    opt={
        "needs": "payments:read",
        "who": ("key", "session"),
        "refuses": (identity.UnknownAccount, InvalidInput),
    },
)
def list_quotes(
    ctx: NamedDependency[Context],
    caller: NamedDependency[trust.Caller],
    account_id: Annotated[
        UUID | None, QueryParameter(description="with a key: of one of your riders")
    ] = None,
    after: After = "",
    limit: Limit = 100,
) -> Quotes:
    """An account's quotes, latest first; your own with a sign-in. Unused ones are forgotten a day after they ended."""
    before, now = read_mark(after), ctx.clock.now()
    if caller.account_id is None:
        caller.require("payments:read")
    wanted = account_id or (UUID(caller.account_id) if caller.account_id is not None else None)
    if wanted is None:
        problem = Problem("account_id", "it is missing", "Name one of your riders")
        raise InvalidInput("Say whose quotes are meant.", problems=(problem,))
    with ctx.tx() as tx:
        account = account_to_read(tx, caller, wanted, now)
        partition = ctx.directory.partition_of(account.account_id)
        found = quotes.list_quotes(
            tx, account.account_id, partition=partition, before=before, limit=limit + 1
        )
    page, more = paged(found, limit, lambda one: mark_text(one.made_at, one.quote_id))
    return Quotes([quote_answer(one, now) for one in page], more)


@get(
    "/v1/payments/{payment_id:uuid}/attempts",
    sync_to_thread=True,
    tags=["Payments"],
    opt={"needs": "payments:read", "who": ("key", "session"), "refuses": (UnknownPayment,)},
)
def list_attempts(
    ctx: NamedDependency[Context], caller: NamedDependency[trust.Caller], payment_id: FromPath[UUID]
) -> Attempts:
    """Each try to pay a payment, and what became of it. An offer that one payer declined has as many as payers came."""
    if caller.account_id is None:
        caller.require("payments:read")
    with ctx.tx() as tx:
        payment = own_payment(ctx, tx, caller, payment_id)
        return Attempts(attempts_of(changing.payers_of(tx, payment), changing.steps_of(tx, payment)))


@get(
    "/v1/payments/{payment_id:uuid}/captures",
    sync_to_thread=True,
    tags=["Payments"],
    opt={"needs": "payments:read", "who": ("key", "session"), "refuses": (UnknownPayment,)},
)
def list_captures(
    ctx: NamedDependency[Context], caller: NamedDependency[trust.Caller], payment_id: FromPath[UUID]
) -> Captures:
    """What was captured of a payment, part by part."""
    if caller.account_id is None:
        caller.require("payments:read")
    with ctx.tx() as tx:
        payment = own_payment(ctx, tx, caller, payment_id)
        return Captures(captures_of(payment, changing.steps_of(tx, payment)))


ROUTES = [list_top_ups, read_top_up, list_quotes, list_attempts, list_captures]


def _top_ups(tx: Tx, ctx: Context, account_id: AccountId, before: Mark | None, limit: int) -> list[TopUpRow]:
    at, last = before or ("infinity", UUID(int=2**128 - 1))
    partition = ctx.directory.partition_of(account_id)
    values = {"partition": partition, "account": account_id, "at": at, "id": last, "limit": limit}
    with tx.cursor(row_factory=class_row(TopUpRow)) as cursor:
        return cursor.execute(LIST_TOP_UPS, values).fetchall()


def _top_up(one: TopUpRow) -> TopUpView:
    amount = Money(one.amount_minor, one.currency)
    return TopUpView(one.top_up_id, one.account_id, one.issuer_id, amount, one.top_up_at)
