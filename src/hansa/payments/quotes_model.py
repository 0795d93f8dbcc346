"""Quotes: what a payer pays and a receiver gets in another currency, locked for a while. Pure.

A quote's amounts are worked out once, by one rounding, half to even; all else that is ever booked of it is a share of
these amounts, so that parts always come to the whole. Who changes the money, the payer's issuer, bears what the rate
does afterwards.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from fractions import Fraction
from functools import lru_cache
from typing import ClassVar, Literal
from uuid import UUID

from hansa import ledger
from hansa.identity import AccountId
from hansa.kernel import (
    CURRENCY_EXPONENTS,
    HansaError,
    InvalidInput,
    Money,
    Problem,
    fact_id,
    round_half_even,
)
from hansa.payments.model import exchange_account

Fixed = Literal["pays", "gets"]
"""Which amount was asked for; the other one follows from it."""

Favours = Literal["payer", "issuer", "nobody"]
QuoteSubject = Literal["payment", "transfer"]

WHOLE_BP = 10_000
MARGIN_MAX_BP = 2_000
AMOUNT_MAX = 10**12
LASTS_MIN, LASTS_MAX = timedelta(seconds=60), timedelta(minutes=10)


NEW_RATE = "This rate is no longer good. Please ask for a new one."
"""What a payer is shown where a quote cannot be used."""


class UnknownQuote(HansaError):
    """There is no such quote, or it is another account's. Nothing was done."""

    code: ClassVar[str] = "payments.unknown_quote"
    status: ClassVar[int] = 404
    remedy: ClassVar[str] = "Ask for a quote for the account that pays, at /v1/quotes."
    next_action: ClassVar[str] = "quote"
    user_message: ClassVar[str] = NEW_RATE


class QuoteExpired(HansaError):
    """The quote's time is up, so its rate holds no more. Nothing was done."""

    code: ClassVar[str] = "payments.quote_expired"
    status: ClassVar[int] = 409
    remedy: ClassVar[str] = "Ask for a new quote and show it to the payer."
    next_action: ClassVar[str] = "quote"
    user_message: ClassVar[str] = NEW_RATE


class QuoteUsed(HansaError):
    """The quote was used already, and one is good once. Nothing was done."""

    code: ClassVar[str] = "payments.quote_used"
    status: ClassVar[int] = 409
    remedy: ClassVar[str] = (
        "Ask for a new quote; to repeat a request, send it with its first Idempotency-Key."
    )
    next_action: ClassVar[str] = "quote"
    user_message: ClassVar[str] = NEW_RATE


class QuoteDiffers(HansaError):
    """The quote is for another receiver or another amount than this. Nothing was done."""

    code: ClassVar[str] = "payments.quote_differs"
    status: ClassVar[int] = 409
    remedy: ClassVar[str] = "Pay exactly what the quote says its receiver gets, or ask for a new quote."
    next_action: ClassVar[str] = "quote"
    user_message: ClassVar[str] = NEW_RATE


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What an issuer asks.

    margin_bp: basis points off the rate of the day, 0 to 2,000. fee_minor: of each quote, in the payer's currency.
    lasts: how long its quotes are good, 60 seconds to 10 minutes.
    """

    margin_bp: int = 50
    fee_minor: int = 0
    lasts: timedelta = timedelta(minutes=2)


USUAL = Terms()
"""What holds where an issuer set no terms of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewQuote:
    """A quote as it is asked for. Of ``pays`` and ``gets`` one is an amount and the other a currency.

    pays: all that leaves the wallet, with the fee. payee_key: whom it is for, as approval knows them (``payee:…`` or
    ``account:…``); empty is anybody. by: who asks, for the record.
    """

    quote_id: UUID
    account_id: AccountId
    pays: Money | str
    gets: Money | str
    payee_key: str = ""
    by: str


@dataclass(frozen=True, slots=True)
class Share:
    """A share of what a payer pays, with the fee in it; and that fee. Minor units of the payer's currency."""

    pays_minor: int
    fee_minor: int


@dataclass(frozen=True, slots=True)
class Rounding:
    """The one rounding of a quote. of: the amount that was rounded. exact: that amount before, in minor units.

    favours: who has the part of a minor unit by which they differ.
    """

    of: Fixed
    exact: Fraction
    favours: Favours


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """Amounts that hold until ``expires_at``. pays: all that leaves the wallet, ``fee`` in it. gets: what arrives.

    mid: units of the receiver's currency for one of the payer's, as set for ``rate_day``; ``rate`` is what is left
    of it after the margin. used_for: the payment or transfer that it was used for.
    """

    quote_id: UUID
    partition: int
    account_id: AccountId
    issuer_id: str
    pays: Money
    fee: Money
    gets: Money
    fixed: Fixed
    mid: Fraction
    margin_bp: int
    rate_day: date
    payee_key: str
    by: str
    made_at: datetime
    expires_at: datetime
    used_for: UUID | None = None

    @property
    def rate(self) -> Fraction:
        """Units of the receiver's currency for one unit of the payer's."""
        return with_margin(self.mid, self.margin_bp)

    @property
    def changed(self) -> Money:
        """What is changed: what is paid, less the fee."""
        return self.pays - self.fee

    @property
    def margin(self) -> Money:
        """What the margin is worth in the payer's currency: what is changed, less what it costs at the day's rate."""
        cost = self.gets.minor / (self.mid * _scale(self.pays.currency, self.gets.currency))
        return Money(self.changed.minor - round_half_even(cost), self.pays.currency)

    @property
    def rounding(self) -> Rounding:
        """What was rounded, and to whose good."""
        rate = self.rate * _scale(self.pays.currency, self.gets.currency)
        if self.fixed == "pays":
            exact = self.changed.minor * rate
            gain = Fraction(self.gets.minor) - exact
            of: Fixed = "gets"
        else:
            exact = Fraction(self.gets.minor) / rate
            gain = exact - self.changed.minor
            of = "pays"
        return Rounding(of, exact, "nobody" if gain == 0 else "payer" if gain > 0 else "issuer")

    def share(self, before_minor: int, minor: int) -> Share:
        """What of the payer's money goes with the next ``minor`` of what arrives, after ``before_minor`` of it.

        Each is the difference of two roundings of the running sum, so shares of parts come to the share of the whole.
        Captures and refunds take the same shares, so what was captured and is refunded whole comes back to the cent.
        """
        after_minor = before_minor + minor
        assert 0 <= before_minor <= after_minor <= self.gets.minor, (before_minor, minor, self.gets)
        return Share(
            self._of(self.pays.minor, after_minor) - self._of(self.pays.minor, before_minor),
            self._of(self.fee.minor, after_minor) - self._of(self.fee.minor, before_minor),
        )

    def _of(self, whole: int, so_far: int) -> int:
        return round_half_even(Fraction(whole * so_far, self.gets.minor))

    @property
    def shown(self) -> dict[str, str]:
        """What its payer reads before they approve, and signs: by the words that a page says."""
        rows = {
            "They get": str(self.gets),
            "Rate": f"1 {self.pays.currency} = {rate_text(self.rate)} {self.gets.currency}",
            "Rate of the day": f"1 {self.pays.currency} = {rate_text(self.mid)} {self.gets.currency}",
            "Margin": f"{self.margin_bp / 100:.2f} % ({self.margin})",
            "Good until": f"{self.expires_at:%Y-%m-%d %H:%M:%S} UTC",
        }
        return rows | ({"Fee": str(self.fee)} if self.fee.minor else {})


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """What wants to use a quote: a payment or transfer of this account, to this payee, of this amount."""

    quote_id: UUID
    subject: QuoteSubject
    subject_id: UUID
    account_id: AccountId
    partition: int
    payee_key: str
    gets: Money


def with_margin(mid: Fraction, margin_bp: int) -> Fraction:
    """A rate less its margin; exact."""
    return mid * Fraction(WHOLE_BP - margin_bp, WHOLE_BP)


def rate_text(rate: Fraction) -> str:
    """A rate for people, six digits that count; its fraction is exact."""
    return f"{float(rate):.6g}"


def work_out(
    new: NewQuote, terms: Terms, mid: Fraction, *, issuer_id: str, partition: int, at: datetime
) -> Quote:
    """The quote. mid: of ``at``'s day. Errors: InvalidInput where an amount would be nothing, or past what is paid."""
    if isinstance(new.pays, Money):
        assert isinstance(new.gets, str), new
        fixed: Fixed = "pays"
        pays, gets_currency = new.pays, new.gets
        _check(pays, "pays")
        rate = with_margin(mid, terms.margin_bp) * _scale(pays.currency, gets_currency)
        changed = pays.minor - terms.fee_minor
        gets = Money(round_half_even(max(0, changed) * rate), gets_currency)
        _check(gets, "pays", "it is too small for what is left of it after the fee to be anything")
    else:
        assert isinstance(new.gets, Money), new
        fixed, gets = "gets", new.gets
        _check(gets, "gets")
        rate = with_margin(mid, terms.margin_bp) * _scale(new.pays, gets.currency)
        pays = Money(max(1, round_half_even(gets.minor / rate)) + terms.fee_minor, new.pays)
        _check(pays, "gets", "it is too much to pay at once")
    return Quote(
        quote_id=new.quote_id,
        partition=partition,
        account_id=new.account_id,
        issuer_id=issuer_id,
        pays=pays,
        fee=Money(terms.fee_minor, pays.currency),
        gets=gets,
        fixed=fixed,
        mid=mid,
        margin_bp=terms.margin_bp,
        rate_day=at.date(),
        payee_key=new.payee_key,
        by=new.by,
        made_at=at,
        expires_at=at + terms.lasts,
    )


def misuse(quote: Quote | None, use: Use, at: datetime) -> HansaError | None:
    """Why this quote cannot be used for this; None where it can. One that was used for this very thing can again."""
    if quote is None or quote.account_id != use.account_id:
        return UnknownQuote(f"There is no quote {use.quote_id} of this account.")
    if quote.used_for == use.subject_id:
        return None
    if quote.used_for is not None:
        return QuoteUsed()
    if at >= quote.expires_at:
        return QuoteExpired(f"The quote was good until {quote.expires_at:%H:%M:%S} UTC.")
    if quote.payee_key not in ("", use.payee_key):
        return QuoteDiffers("The quote is for another receiver.")
    if quote.gets != use.gets:
        return QuoteDiffers(f"The quote is for {quote.gets}, and this is {use.gets}.")
    return None


def check_terms(terms: Terms) -> None:
    """Errors: InvalidInput."""
    problem = None
    if not 0 <= terms.margin_bp <= MARGIN_MAX_BP:
        problem = Problem("margin_bp", f"it is {terms.margin_bp}", f"Send 0 to {MARGIN_MAX_BP}")
    elif not 0 <= terms.fee_minor <= AMOUNT_MAX:
        problem = Problem("fee_minor", f"it is {terms.fee_minor}", f"Send 0 to {AMOUNT_MAX}")
    elif not LASTS_MIN <= terms.lasts <= LASTS_MAX:
        problem = Problem("lasts_s", f"it is {terms.lasts.total_seconds():g}", "Send 60 to 600")
    if problem is not None:
        raise InvalidInput(f"{problem.where}: {problem.what}.", problems=(problem,))


def changing_accounts(issuer_id: str, currencies: tuple[str, ...], partition: int) -> list[ledger.Account]:
    """What an issuer needs to change money of these currencies in a partition, as accounts to be opened."""
    return [
        ledger.Account(
            account_of(issuer_id, currency, partition),
            currency,
            code,
            issuer_id,
            partition=partition,
            path=ledger.account_path(code, issuer_id),
        )
        for currency in currencies
        for account_of, code in (
            (exchange_account, ledger.AccountCode.EXCHANGE),
            (earned_account, ledger.AccountCode.EARNED),
        )
    ]


@lru_cache(maxsize=4096)
def earned_account(member_id: str, currency: str, partition: int = 0) -> ledger.AccountId:
    """A member's settled revenue and fees."""
    return ledger.AccountId(fact_id(None, "earned", member_id, currency, partition))


def _scale(base: str, quote: str) -> Fraction:
    """Minor units of quote for one of base, where one unit of each is worth the same."""
    return Fraction(10) ** (CURRENCY_EXPONENTS[quote] - CURRENCY_EXPONENTS[base])


def _check(amount: Money, where: str, otherwise: str = "") -> None:
    if not 0 < amount.minor <= AMOUNT_MAX:
        problem = Problem(
            f"{where}.minor", otherwise or f"it is {amount.minor}", f"Send 1 to {AMOUNT_MAX} minor units"
        )
        raise InvalidInput("No quote can be made of this.", problems=(problem,))
