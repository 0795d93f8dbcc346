"""Swaps: a member settles its net of one currency in another, at a rate that another member quoted and until when.

    quote -> [accepted: the member's net and the provider's change places] -> both legs in the ledger, linked

The provider takes the member's net, and the member owes the provider, or is owed by it, the same in the other currency.
So each currency still sums to zero. An amount is rounded to the nearest minor unit of the other currency, halves to the
even one, once for the whole net.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from fractions import Fraction
from typing import Any, ClassVar
from uuid import UUID

from hansa import ledger, trust
from hansa.clearing import store
from hansa.clearing.model import (
    NetPosition,
    UnknownWindow,
    Window,
    WindowStatus,
    obligations,
    window_reference,
)
from hansa.clearing.netting import matrix
from hansa.kernel import (
    CURRENCY_EXPONENTS,
    HansaError,
    InvalidInput,
    Problem,
    fact_id,
    round_half_even,
)
from hansa.store import Context, Tx
from hansa.trust import MemberId

ADD_QUOTE = """
insert into clearing.quotes (quote_id, provider_id, member_id, net_currency, paid_currency, rate_numerator,
    rate_denominator, expires_at, quoted_by, quoted_at)
values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
on conflict do nothing
"""

QUOTES = """
select q.quote_id, q.provider_id, q.member_id, q.net_currency, q.paid_currency, q.rate_numerator, q.rate_denominator,
    q.expires_at, q.quoted_by, q.quoted_at, s.window_id
from clearing.quotes q
left join clearing.swaps s using (quote_id)
where q.quote_id = any(%s::uuid[])
"""

LOCK_WINDOW = "select 1 from clearing.windows where window_id = %s for no key update"

ADD_SWAP = """
insert into clearing.swaps (window_id, member_id, net_currency, quote_id, provider_id, paid_currency, net_minor,
    paid_minor, accepted_by, accepted_at)
values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
"""


SWAPS = """
select window_id, member_id, net_currency, quote_id, provider_id, paid_currency, net_minor, paid_minor, accepted_at
from clearing.swaps where window_id = %s order by member_id, net_currency
"""

UNPOSTED = """
select window_id, member_id, net_currency, quote_id, provider_id, paid_currency, net_minor, paid_minor, accepted_at
from clearing.swaps s
where not exists (select from clearing.swap_postings p where p.quote_id = s.quote_id)
order by accepted_at, quote_id
"""

ADD_POSTING = (
    "insert into clearing.swap_postings (quote_id, posted_at) values (%s, %s) on conflict do nothing"
)


class QuoteDiffers(HansaError):
    """There is a quote of this id with other terms. Give a new one another id."""

    code: ClassVar[str] = "clearing.quote_differs"
    status: ClassVar[int] = 409


class UnknownQuote(HansaError):
    """There is no quote of this id."""

    code: ClassVar[str] = "clearing.unknown_quote"
    status: ClassVar[int] = 404


class QuoteOver(HansaError):
    """This quote has expired, or was taken up. Ask for another."""

    code: ClassVar[str] = "clearing.quote_over"
    status: ClassVar[int] = 409


class NotSwappable(HansaError):
    """This net cannot be settled in another currency any more, or there is none. Nothing was changed."""

    code: ClassVar[str] = "clearing.not_swappable"
    status: ClassVar[int] = 409


@dataclass(frozen=True, slots=True)
class Quote:
    """What a member offers: it takes another's net of one currency and settles the same in the other.

    rate: how many of paid_currency one of net_currency is, both in major units. window_id: for which it was taken up.
    """

    quote_id: UUID
    provider_id: MemberId
    member_id: MemberId
    net_currency: str
    paid_currency: str
    rate: Fraction
    expires_at: datetime
    quoted_by: str
    quoted_at: datetime
    window_id: str | None = None


@dataclass(frozen=True, slots=True)
class Swap:
    """A net that is settled in another currency. net_minor, paid_minor: received above zero, paid below; same sign."""

    window_id: str
    member_id: MemberId
    net_currency: str
    quote_id: UUID
    provider_id: MemberId
    paid_currency: str
    net_minor: int
    paid_minor: int
    accepted_at: datetime


def converted(minor: int, rate: Fraction, of: str, into: str) -> int:
    """An amount of minor units of one currency in those of another; halves to the even one."""
    scale = Fraction(10) ** (CURRENCY_EXPONENTS[into] - CURRENCY_EXPONENTS[of])
    return round_half_even(minor * rate * scale)


def quote(
    ctx: Context,
    quote_id: UUID,
    *,
    provider_id: str,
    member_id: str,
    net_currency: str,
    paid_currency: str,
    rate: Fraction,
    expires_at: datetime,
    by: str,
) -> Quote:
    """Offer to settle a member's net of one currency in another. Sending it again gives the first.

    Errors: trust.UnknownMember; trust.MemberMayNot for a provider that takes on nothing new; InvalidInput;
    QuoteDiffers. Nothing is kept then.
    """
    now = ctx.clock.now()
    problems = [
        Problem(field, f"{code[:10]!r} is no currency", "Give an ISO 4217 code")
        for field, code in (("net_currency", net_currency), ("paid_currency", paid_currency))
        if code not in CURRENCY_EXPONENTS
    ]
    if net_currency == paid_currency:
        problems.append(Problem("paid_currency", "it is that of the net", "Give another currency"))
    if provider_id == member_id:
        problems.append(Problem("provider_id", "it is the member itself", "Another member quotes"))
    if rate <= 0 or max(rate.numerator, rate.denominator) >= 10**30:
        problems.append(Problem("rate", f"{rate} is none", "Give a rate above zero of at most 30 digits"))
    made = Quote(
        quote_id,
        MemberId(provider_id),
        MemberId(member_id),
        net_currency,
        paid_currency,
        rate,
        expires_at,
        by,
        now,
    )
    with ctx.tx() as tx:
        kept = _find(tx, quote_id)
        if kept is not None:
            if replace(kept, quoted_at=now, window_id=None) != made:
                raise QuoteDiffers
            return kept
        if expires_at <= now:
            problems.append(Problem("expires_at", "it is over", "Give a later instant"))
        if problems:
            raise InvalidInput("This is no quote.", problems=tuple(problems))
        for member in (provider_id, member_id):
            trust.get_member(tx, MemberId(member))
        trust.check_may(tx, provider_id, "transfer", now)
        tx.execute(
            ADD_QUOTE,
            (
                quote_id,
                provider_id,
                member_id,
                net_currency,
                paid_currency,
                rate.numerator,
                rate.denominator,
                expires_at,
                by,
                now,
            ),
        )
        return get_quote(tx, quote_id)


def accept(ctx: Context, window_id: str, quote_id: UUID, *, by: str) -> Swap:
    """Take a quote up for the member's net of a closed window. Accepting it again for that window is harmless.

    Errors: UnknownQuote; UnknownWindow; QuoteOver; trust.MemberMayNot where its provider was suspended since or leaves;
    NotSwappable where the window does not settle by nets with all,
    where banks were told of either currency, where the net is zero, and where it was swapped. Nothing is kept then.
    """
    now = ctx.clock.now()
    with ctx.tx() as tx:
        tx.execute(LOCK_WINDOW, (window_id,))
        window = store.find_window(tx, window_id)
        if window is None:
            raise UnknownWindow(f"There is no window {window_id[:60]!r}.")
        found = get_quote(tx, quote_id)
        if found.window_id is not None:
            if found.window_id != window_id:
                raise QuoteOver(f"It was taken up for {found.window_id}.")
        else:
            if now >= found.expires_at:
                raise QuoteOver(f"It expired at {found.expires_at.isoformat()}.")
            trust.check_may(tx, found.provider_id, "transfer", now)
            net = _swappable(tx, window, found)
            paid = converted(net, found.rate, found.net_currency, found.paid_currency)
            tx.execute(
                ADD_SWAP,
                (
                    window_id,
                    found.member_id,
                    found.net_currency,
                    quote_id,
                    found.provider_id,
                    found.paid_currency,
                    net,
                    paid,
                    by,
                    now,
                ),
            )
    finish(ctx)
    with ctx.tx() as tx:
        return next(one for one in list_swaps(tx, window_id) if one.quote_id == quote_id)


def finish(ctx: Context) -> int:
    """Book what was accepted and is not in the ledger yet; gives how many swaps that were. Again is harmless."""
    with ctx.tx() as tx:
        waiting = _swaps(tx.execute(UNPOSTED).fetchall())
    for one in waiting:
        ledger.open_accounts(ctx, _accounts(one))
        results = ledger.post(ctx, _transfers(one))
        assert all(result.ok for result in results), results
        with ctx.tx() as tx:
            tx.execute(ADD_POSTING, (one.quote_id, ctx.clock.now()))
    return len(waiting)


def list_swaps(tx: Tx, window_id: str) -> list[Swap]:
    """What of a window is settled in another currency."""
    return _swaps(tx.execute(SWAPS, (window_id,)).fetchall())


def settlement_nets(tx: Tx, window_id: str, *, lock: bool = False) -> list[NetPosition]:
    """What each member pays or receives for a window once swaps are counted; every currency sums to zero.

    lock: nobody swaps until the transaction ends. Errors: UnknownWindow.
    """
    if lock:
        tx.execute(LOCK_WINDOW, (window_id,))
    window = store.find_window(tx, window_id)
    if window is None:
        raise UnknownWindow(f"There is no window {window_id[:60]!r}.")
    nets = {(one.currency, one.member_id): one.net for one in store.net_positions(tx, window_id)}
    for one in list_swaps(tx, window_id):
        moves = (
            (one.net_currency, one.member_id, -one.net_minor),
            (one.net_currency, one.provider_id, one.net_minor),
            (one.paid_currency, one.member_id, one.paid_minor),
            (one.paid_currency, one.provider_id, -one.paid_minor),
        )
        for currency, member, minor in moves:
            nets[currency, member] = nets.get((currency, member), 0) + minor
    return [
        NetPosition(window.business_day, member, currency, minor, window_id)
        for (currency, member), minor in sorted(nets.items())
    ]


def settlement_matrix(tx: Tx, window_id: str) -> Mapping[tuple[MemberId, MemberId, str], int]:
    """Who owes whom how much for a window before netting, what swaps add among it. Errors: UnknownWindow."""
    if store.find_window(tx, window_id) is None:
        raise UnknownWindow(f"There is no window {window_id[:60]!r}.")
    cells = dict(matrix(obligations(store.positions(tx, window_id))))
    for one in list_swaps(tx, window_id):
        for debtor, creditor, currency, minor in (
            (one.provider_id, one.member_id, one.net_currency, -one.net_minor),
            (one.member_id, one.provider_id, one.paid_currency, -one.paid_minor),
        ):
            key = (debtor, creditor, currency)
            cells[key] = cells.get(key, 0) + minor
    return cells


def exchange_account(member_id: str, currency: str) -> ledger.AccountId:
    """What a member has given and taken in a currency by swaps."""
    return ledger.AccountId(fact_id(None, "settlement exchange", member_id, currency))


def _swappable(tx: Tx, window: Window, found: Quote) -> int:
    """The net that a quote is for. Errors: NotSwappable."""
    if window.status is WindowStatus.CLOSING:
        raise NotSwappable(f"{window.label} is being closed.")
    if (window.basis, window.sides) != ("net", "multilateral"):
        raise NotSwappable(f"{window.label} does not settle by each member's net with all.")
    told = {total.currency: total.settling_at or total.settled_at for total in window.totals}
    for currency in (found.net_currency, found.paid_currency):
        if currency not in told:
            raise NotSwappable(f"{window.label} has no payments in {currency}.")
        if told[currency] is not None:
            raise NotSwappable(f"Banks were told of {currency} of {window.label}.")
    nets = store.net_positions(tx, window.window_id)
    net = next(
        (one.net for one in nets if (one.member_id, one.currency) == (found.member_id, found.net_currency)), 0
    )
    if not net:
        raise NotSwappable(f"{found.member_id} has no net in {found.net_currency}.")
    if any(
        (one.member_id, one.net_currency) == (found.member_id, found.net_currency)
        for one in list_swaps(tx, window.window_id)
    ):
        raise NotSwappable(f"{found.member_id}'s net in {found.net_currency} was swapped.")
    return net


def _accounts(one: Swap) -> list[ledger.Account]:
    return [
        ledger.Account(
            account_id=exchange_account(member, currency),
            currency=currency,
            code=ledger.AccountCode.EXCHANGE,
            holder=member,
            path=ledger.account_path(ledger.AccountCode.EXCHANGE, member, "settlement"),
        )
        for member in (one.member_id, one.provider_id)
        for currency in (one.net_currency, one.paid_currency)
    ]


def _transfers(one: Swap) -> list[ledger.Transfer]:
    """Both legs, one chain: what the provider gives the member in one currency and is given in the other."""
    legs = (("net", one.net_currency, -one.net_minor), ("paid", one.paid_currency, one.paid_minor))
    made: list[ledger.Transfer] = []
    for name, currency, given in legs:
        member, provider = (exchange_account(who, currency) for who in (one.member_id, one.provider_id))
        if given:
            made.append(
                ledger.Transfer(
                    transfer_id=ledger.TransferId(fact_id(one.accepted_at, "swap", one.quote_id.hex, name)),
                    debit=provider if given > 0 else member,
                    credit=member if given > 0 else provider,
                    amount=abs(given),
                    currency=currency,
                    code=ledger.TransferCode.EXCHANGE,
                    event_at=one.accepted_at,
                    reference=window_reference(one.window_id),
                    memo=f"{one.member_id} settles {one.net_currency} in {one.paid_currency}"[:200],
                )
            )
    return [
        *(replace(transfer, flags=ledger.TransferFlag.LINKED) for transfer in made[:-1]),
        made[-1],
    ]


def get_quote(tx: Tx, quote_id: UUID) -> Quote:
    """An offer, taken up or not. Errors: UnknownQuote."""
    found = _find(tx, quote_id)
    if found is None:
        raise UnknownQuote(f"There is no quote {quote_id}.")
    return found


def _find(tx: Tx, quote_id: UUID) -> Quote | None:
    row: Any = tx.execute(QUOTES, ([quote_id],)).fetchone()
    if row is None:
        return None
    at, provider, member, net_currency, paid_currency, numerator, denominator, *rest = row
    expires_at, quoted_by, quoted_at, window_id = rest
    rate = Fraction(int(numerator), int(denominator))
    return Quote(
        at, provider, member, net_currency, paid_currency, rate, expires_at, quoted_by, quoted_at, window_id
    )


def _swaps(rows: Sequence[tuple[Any, ...]]) -> list[Swap]:
    return [Swap(*row) for row in rows]
