"""Wallets, top-ups, charges and the rule of exchange. Pure: what a charge becomes in the ledger is decided here."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from fractions import Fraction
from functools import lru_cache
from typing import ClassVar
from uuid import UUID

from hansa import ledger
from hansa.identity import AccountId
from hansa.kernel import CURRENCY_EXPONENTS, HansaError, Mark, Money, fact_id, round_half_even

Step = Callable[[str], None]
"""Told the name of each step once it is durable: where an operator watches, and where a test pulls the plug."""


def no_step(_: str) -> None:
    """Nobody watches."""


"""A place in the list of an account's movements: when, and which."""


class WrongCurrency(HansaError):
    """The account has no wallet in this currency."""

    code: ClassVar[str] = "payments.wrong_currency"
    status: ClassVar[int] = 422


class NoRate(HansaError):
    """No exchange rate is set between these currencies for this day; set it, then send the same again."""

    code: ClassVar[str] = "payments.no_rate"
    status: ClassVar[int] = 409


class RateDiffers(HansaError):
    """This day's rate is set already, and to another figure; a rate once set never changes."""

    code: ClassVar[str] = "payments.rate_differs"
    status: ClassVar[int] = 409


class ChargeDiffers(HansaError):
    """This charge is known with other content; another charge needs an id of its own."""

    code: ClassVar[str] = "payments.charge_differs"
    status: ClassVar[int] = 409


class UnknownTopUp(HansaError):
    """There is no such top-up of yours."""

    code: ClassVar[str] = "payments.unknown_top_up"
    status: ClassVar[int] = 404
    remedy: ClassVar[str] = "Read /v1/top-ups of the account. One that was refused is not kept."


class TopUpDiffers(HansaError):
    """This top-up is known with other content; another top-up needs an id of its own."""

    code: ClassVar[str] = "payments.top_up_differs"
    status: ClassVar[int] = 409


class WalletClosed(HansaError):
    """This wallet is closed and takes no money any more. Nothing was paid into it, and the top-up is not kept."""

    code: ClassVar[str] = "payments.wallet_closed"
    status: ClassVar[int] = 409
    remedy: ClassVar[str] = "Give the money back to whoever brought it; its holder opens another account."


class UnknownPayee(HansaError):
    """The account to be paid does not exist in the ledger; open it first. Nothing was charged."""

    code: ClassVar[str] = "payments.unknown_payee"
    status: ClassVar[int] = 404


@dataclass(frozen=True, slots=True)
class TopUp:
    """Money a rider brought to the issuer. ``amount`` is above zero and in the wallet's currency."""

    top_up_id: UUID
    account_id: AccountId
    issuer_id: str
    amount: Money
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    """What an account owes a payee, or is given back by it.

    amount: in the payee's currency; below zero gives back. rate_day: whose exchange rate holds; a give-back names
    the day of the charge that it corrects. reference: what it is for, such as a journey.
    payee: an account in the ledger partition of the account that is charged.
    """

    charge_id: UUID
    account_id: AccountId
    issuer_id: str
    wallet_currency: str
    amount: Money
    payee: ledger.AccountId
    at: datetime
    rate_day: date
    reference: UUID
    code: ledger.TransferCode = ledger.TransferCode.FARE


@dataclass(frozen=True, slots=True)
class Charged:
    """What became of a charge.

    wallet_amount: taken from the wallet (+) or given back to it (-), in its currency. on_risk: the wallet held too
    little, so the issuer paid and the rider owes it.
    """

    charge_id: UUID
    wallet_amount: Money
    on_risk: bool
    transfer_ids: tuple[ledger.TransferId, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Subsidy:
    """What a member pays of a fare, or is given back of it (below zero).

    amount: in the payee's currency, not zero. reference: what it is for, such as a journey. partition: the payee's.
    """

    subsidy_id: UUID
    payer_id: str
    amount: Money
    payee: ledger.AccountId
    at: datetime
    reference: UUID
    partition: int


class MovementKind(StrEnum):
    """What changed a wallet. top_up_returned: a bank took back what it had paid in. exchange: into or out of another
    currency. other: known by nothing but its posting.
    """

    TOP_UP = "top_up"
    TOP_UP_RETURNED = "top_up_returned"
    FARE = "fare"
    CORRECTION = "correction"
    PAYMENT = "payment"
    REFUND = "refund"
    SENT = "sent"
    RECEIVED = "received"
    WITHDRAWAL = "withdrawal"
    VOUCHER = "voucher"
    EXCHANGE = "exchange"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Movement:
    """A line of the wallet page.

    amount: what the wallet gained (+) or lost (-). price: what was asked, in the payee's currency.
    reference: the journey, payment, transfer, withdrawal or top-up; of what refers to nothing, its own transfer.
    owed: what the issuer carried (+) or wrote off (-).
    balance: what the wallet held after it, by the time of the lines; a line not finished has not moved it yet.
    transfer_id: by which it moved the wallet; None where it has not.
    """

    at: datetime
    kind: MovementKind
    amount: Money
    price: Money
    owed: Money
    reference: UUID
    finished: bool
    movement_id: UUID
    balance: Money
    transfer_id: UUID | None = None

    @property
    def mark(self) -> Mark:
        """Where the lines older than this one begin."""
        return (self.at, self.movement_id)


@dataclass(frozen=True, slots=True)
class Plan:
    """How a charge is carried: by the wallet (its currency), by the risk account (payee's currency), signed."""

    wallet_minor: int
    risk_minor: int


def wallet_id(account_id: AccountId, currency: str) -> ledger.AccountId:
    """The ledger account of an account's wallet in a currency."""
    return ledger.AccountId(fact_id(None, "wallet", account_id, currency))


def cash_account(member_id: str, currency: str, partition: int = 0) -> ledger.AccountId:
    """A member's cash at the bank: what riders topped up, and what settlement moves."""
    return ledger.AccountId(fact_id(None, "cash", member_id, currency, partition))


@lru_cache(maxsize=100_000)
def position_account(issuer_id: str, operator_id: str, currency: str, partition: int = 0) -> ledger.AccountId:
    """What an issuer owes an operator, or another member whose payee was paid, for what is not yet cleared."""
    return ledger.AccountId(fact_id(None, "position", issuer_id, operator_id, currency, partition))


@lru_cache(maxsize=4096)
def risk_account(issuer_id: str, currency: str, partition: int = 0) -> ledger.AccountId:
    """Fares an issuer carries for its riders until they pay."""
    return ledger.AccountId(fact_id(None, "risk", issuer_id, currency, partition))


@lru_cache(maxsize=4096)
def exchange_account(issuer_id: str, currency: str, partition: int = 0) -> ledger.AccountId:
    """Where an issuer turns a wallet's currency into a payee's: one account for each of its currencies."""
    return ledger.AccountId(fact_id(None, "exchange", issuer_id, currency, partition))


@lru_cache(maxsize=4096)
def subsidy_account(payer_id: str, currency: str, partition: int = 0) -> ledger.AccountId:
    """What a member has paid of riders' fares."""
    return ledger.AccountId(fact_id(None, "subsidy", payer_id, currency, partition))


def subsidy_transfer(subsidy: Subsidy) -> ledger.Transfer:
    """The transfer of a subsidy: from what the member pays to the payee, or back."""
    purse = subsidy_account(subsidy.payer_id, subsidy.amount.currency, subsidy.partition)
    paid = subsidy.amount.minor > 0
    return ledger.Transfer(
        transfer_id=ledger.TransferId(fact_id(subsidy.at, subsidy.subsidy_id, "subsidy")),
        debit=purse if paid else subsidy.payee,
        credit=subsidy.payee if paid else purse,
        amount=abs(subsidy.amount.minor),
        currency=subsidy.amount.currency,
        code=ledger.TransferCode.SUBSIDY,
        partition=subsidy.partition,
        event_at=subsidy.at,
        reference=subsidy.reference,
    )


def quote(amount: Money, currency: str, rate: Fraction) -> Money:
    """``amount`` in another currency: half to even, and never less than one minor unit of something.

    rate: units of ``currency`` for one unit of the amount's, such as 21.5 yen for one yuan; exact.
    The sign is kept, and giving back what was taken at the same rate gives back the same.
    """
    if amount.currency == currency or amount.minor == 0:
        return Money(amount.minor, currency)
    scale = Fraction(10) ** (CURRENCY_EXPONENTS[currency] - CURRENCY_EXPONENTS[amount.currency])
    size = max(1, round_half_even(abs(amount.minor) * rate * scale))
    return Money(size if amount.minor > 0 else -size, currency)


def plan(charge: Charge, rate: Fraction, *, owed_minor: int) -> Plan:
    """How a charge is to be carried, before the ledger is asked whether the wallet holds enough.

    A fare is the wallet's. Of a give-back, what the rider owes the issuer in that currency is taken off first.
    owed_minor: that debt; not below zero.
    """
    if charge.amount.minor > 0:
        return Plan(quote(charge.amount, charge.wallet_currency, rate).minor, 0)
    written_off = min(-charge.amount.minor, owed_minor)
    rest = Money(charge.amount.minor + written_off, charge.amount.currency)
    return Plan(quote(rest, charge.wallet_currency, rate).minor, -written_off)


def payee_transfer(charge: Charge) -> ledger.TransferId:
    """The id of the transfer that pays the payee.

    It is the same whether the wallet or the risk account pays, so the ledger itself lets only one of them do so,
    however often and by however many the charge is tried.
    """
    return fare_transfer(charge.charge_id, charge.at)


def fare_transfer(charge_id: UUID, at: datetime) -> ledger.TransferId:
    """``payee_transfer`` of the charge with this id. at: the charge's own instant."""
    return ledger.TransferId(fact_id(at, charge_id, "payee"))


def top_up_transfer(top_up_id: UUID, at: datetime) -> ledger.TransferId:
    """The id of the transfer that brings a top-up into the wallet."""
    return ledger.TransferId(fact_id(at, top_up_id, "top-up"))


def wallet_transfer(charge: Charge) -> ledger.TransferId:
    """The id of the transfer between the wallet and the exchange account."""
    return wallet_transfer_of(charge.charge_id, charge.at)


def wallet_transfer_of(charge_id: UUID, at: datetime) -> ledger.TransferId:
    """``wallet_transfer`` of the charge with this id. at: the charge's own instant."""
    return ledger.TransferId(fact_id(at, charge_id, "wallet"))


def debt_transfer(charge: Charge) -> ledger.TransferId:
    """The id of the transfer that takes a give-back off the rider's debt."""
    return give_back_transfer(charge.charge_id, charge.at)


def give_back_transfer(charge_id: UUID, at: datetime) -> ledger.TransferId:
    """``debt_transfer`` of the charge with this id. at: the charge's own instant."""
    return ledger.TransferId(fact_id(at, charge_id, "debt"))


def legs(charge: Charge, carried: Plan, partition: int) -> tuple[ledger.Transfer, ...]:
    """The transfers of a charge, one chain that is booked as a whole or not at all."""
    wallet = wallet_id(charge.account_id, charge.wallet_currency)
    issuer, currency, size = charge.issuer_id, charge.amount.currency, abs(charge.amount.minor)
    same = charge.wallet_currency == currency
    moves: list[
        tuple[ledger.TransferId, ledger.AccountId, ledger.AccountId, int, str, ledger.TransferCode]
    ] = []
    if charge.amount.minor > 0:
        if carried.risk_minor:
            source = risk_account(issuer, currency, partition)
        elif same:
            source = wallet
        else:
            source = exchange_account(issuer, currency, partition)
            till = exchange_account(issuer, charge.wallet_currency, partition)
            moves.append((
                wallet_transfer(charge), wallet, till, carried.wallet_minor, charge.wallet_currency, EXCHANGE,
            ))  # fmt: skip
        moves.append((payee_transfer(charge), source, charge.payee, size, currency, charge.code))
    else:
        rest = size + carried.risk_minor
        if carried.risk_minor:
            debt = risk_account(issuer, currency, partition)
            moves.append(
                (debt_transfer(charge), charge.payee, debt, -carried.risk_minor, currency, charge.code)
            )
        if rest:
            target = wallet if same else exchange_account(issuer, currency, partition)
            moves.append((payee_transfer(charge), charge.payee, target, rest, currency, charge.code))
        if rest and not same:
            till = exchange_account(issuer, charge.wallet_currency, partition)
            moves.append((
                wallet_transfer(charge), till, wallet, -carried.wallet_minor, charge.wallet_currency, EXCHANGE,
            ))  # fmt: skip
    last = len(moves) - 1
    return tuple(
        ledger.Transfer(
            transfer_id=transfer_id,
            debit=debit,
            credit=credit,
            amount=minor,
            currency=unit,
            code=code,
            partition=partition,
            event_at=charge.at,
            flags=ledger.TransferFlag.LINKED if i < last else ledger.TransferFlag.NONE,
            reference=charge.reference,
        )
        for i, (transfer_id, debit, credit, minor, unit, code) in enumerate(moves)
    )


EXCHANGE = ledger.TransferCode.EXCHANGE
