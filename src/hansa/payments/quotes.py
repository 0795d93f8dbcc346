"""What can be done with quotes: make one, look at it, use it once; what issuers ask; what they hold by changing money.

The issuer of the payer's wallet changes the money, and bears what the rate does from then on;
``open_exchange`` says how much it has of each currency by it.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from hansa import audit, identity, ledger
from hansa.identity import AccountId
from hansa.kernel import CURRENCY_EXPONENTS, InvalidInput, Money, Problem
from hansa.payments import quotes_store
from hansa.payments.actions import balance_of, rate
from hansa.payments.model import NoRate, WrongCurrency
from hansa.payments.model import quote as in_currency
from hansa.payments.quotes_model import (
    USUAL,
    NewQuote,
    Quote,
    Terms,
    UnknownQuote,
    changing_accounts,
    check_terms,
    work_out,
)
from hansa.store import Context, Tx

KEPT_FOR = timedelta(days=1)
"""How long a quote that nobody used is kept after its time was up."""

PAYEE_KEY_MAX = 100

PAGE = 1_000
"""Accounts read at once."""


@dataclass(frozen=True, slots=True)
class OpenExchange:
    """What an issuer holds (+) or owes (-) of a currency by having changed money.

    worth: the same in another currency at the day's rate, half to even; None where no rate is set.
    """

    currency: str
    minor: int
    worth: Money | None


def make_quote(ctx: Context, new: NewQuote) -> Quote:
    """Lock amounts and rate for a while; the same again gives the same quote.

    Errors, and nothing is kept then: InvalidInput, identity.UnknownAccount, WrongCurrency where the account has no such
    wallet, NoRate where none is set for today, UnknownQuote where the id is another account's.
    """
    _check_new(new)
    partition = ctx.directory.partition_of(new.account_id)
    now = ctx.clock.now()
    with ctx.tx() as tx:
        known = quotes_store.find(tx, [partition], [new.quote_id]).get(new.quote_id)
        if known is not None:
            return _same(known, new)
        account = identity.get_account(tx, new.account_id)
        currency, into = _currencies(new)
        if currency not in {one.currency for one in balance_of(tx, new.account_id, partition=partition)}:
            raise WrongCurrency(f"This account has no wallet in {currency}.")
        terms = quotes_store.find_terms(tx, account.issuer_id, currency, into) or USUAL
        mid = rate(tx, now.date(), currency, into)
        quote = work_out(new, terms, mid, issuer_id=account.issuer_id, partition=partition, at=now)
        ledger.open_accounts(tx, changing_accounts(account.issuer_id, (currency, into), partition), at=now)
        if quotes_store.insert(tx, quote):
            return quote
        return _same(quotes_store.find(tx, [partition], [new.quote_id])[new.quote_id], new)


def find_quote(ctx: Context, tx: Tx, quote_id: UUID) -> Quote | None:
    """A quote, or None; unused ones are forgotten a day after their time was up."""
    return quotes_store.find(tx, ctx.directory.partitions, [quote_id]).get(quote_id)


def get_quote(ctx: Context, tx: Tx, quote_id: UUID) -> Quote:
    """A quote. Errors: UnknownQuote."""
    found = find_quote(ctx, tx, quote_id)
    if found is None:
        raise UnknownQuote(f"There is no quote {quote_id}.")
    return found


def list_quotes(
    tx: Tx,
    account_id: AccountId,
    *,
    partition: int = 0,
    before: tuple[datetime, UUID] | None = None,
    limit: int = 50,
) -> list[Quote]:
    """An account's quotes, the latest first; those that nobody used are forgotten a day after their time was up."""
    return quotes_store.list_of(tx, partition, account_id, before, limit)


def set_terms(
    tx: Tx, issuer_id: str, currency: str, into_currency: str, terms: Terms, *, at: datetime, by: str
) -> None:
    """From now on the issuer asks this for changing ``currency`` into another one, or into any (empty).

    Quotes that are made stay as they are. Errors: InvalidInput.
    """
    check_terms(terms)
    for where, unit in (("currency", currency), ("into_currency", into_currency or currency)):
        if unit not in CURRENCY_EXPONENTS:
            problem = Problem(where, f"{unit[:8]!r} is no active one", "Use a code of ISO 4217")
            raise InvalidInput("These terms cannot be set.", problems=(problem,))
    quotes_store.set_terms(tx, issuer_id, currency, into_currency, terms, at, by)
    details = {
        "into": into_currency,
        "margin_bp": terms.margin_bp,
        "fee_minor": terms.fee_minor,
        "lasts_s": int(terms.lasts.total_seconds()),
    }
    audit.record(tx, audit.Act(by, "terms.set", f"quote_terms:{issuer_id}:{currency}", details=details), at)


def list_terms(tx: Tx, issuer_id: str) -> list[tuple[str, str, Terms, datetime, str]]:
    """What an issuer asks now: currency, into which (empty: any), terms, since when, set by whom."""
    return quotes_store.list_terms(tx, issuer_id)


def open_exchange(tx: Tx, issuer_id: str, currency: str, *, at: datetime) -> list[OpenExchange]:
    """What an issuer has of each currency by changing money, over all partitions, and its worth in ``currency`` now."""
    accounts: dict[ledger.AccountId, str] = {}
    last: ledger.AccountId | None = None
    while page := ledger.search_accounts(
        tx, holder=issuer_id, code=ledger.AccountCode.EXCHANGE, after=last, limit=PAGE
    ):
        accounts |= {one.account_id: one.currency for one in page}
        last = page[-1].account_id
    sums: dict[str, int] = {}
    for account_id, balance in ledger.balances(tx, accounts).items():
        unit = accounts[account_id]
        sums[unit] = sums.get(unit, 0) + balance.credit_minor
    return [
        OpenExchange(unit, minor, _worth(tx, Money(minor, unit), currency, at))
        for unit, minor in sorted(sums.items())
    ]


def forget(ctx: Context, *, limit: int = 1_000) -> int:
    """Forget quotes that nobody used and whose time was up a day ago; gives how many."""
    with ctx.tx() as tx:
        return quotes_store.forget(tx, ctx.clock.now() - KEPT_FOR, limit)


def _worth(tx: Tx, amount: Money, currency: str, at: datetime) -> Money | None:
    if amount.currency == currency:
        return amount
    try:
        day_rate = rate(tx, at.date(), amount.currency, currency)
    except NoRate:
        return None
    return in_currency(amount, currency, day_rate)


def _currencies(new: NewQuote) -> tuple[str, str]:
    pays = new.pays.currency if isinstance(new.pays, Money) else new.pays
    return pays, new.gets.currency if isinstance(new.gets, Money) else new.gets


def _check_new(new: NewQuote) -> None:
    currency, into = _currencies(new)
    problem = None
    if isinstance(new.pays, Money) == isinstance(new.gets, Money):
        problem = Problem(
            "pays.minor", "one amount is fixed, and the other follows", "Send minor in one alone"
        )
    elif currency not in CURRENCY_EXPONENTS:
        problem = Problem("pays.currency", f"{currency[:8]!r} is no active one", "Use a code of ISO 4217")
    elif into not in CURRENCY_EXPONENTS:
        problem = Problem("gets.currency", f"{into[:8]!r} is no active one", "Use a code of ISO 4217")
    elif currency == into:
        problem = Problem("gets.currency", "it is the payer's own", "Pay without a quote")
    elif len(new.payee_key) > PAYEE_KEY_MAX or "\0" in new.payee_key:
        problem = Problem("payee_key", "it is too long or holds a NUL", "Name the receiver")
    if problem is not None:
        raise InvalidInput(f"{problem.where}: {problem.what}.", problems=(problem,))


def _same(known: Quote, new: NewQuote) -> Quote:
    """A quote that is known, if it is of this account. A repeat has the same body: its key says so."""
    if known.account_id != new.account_id:
        raise UnknownQuote(f"There is no quote {new.quote_id} of this account.")
    return known
