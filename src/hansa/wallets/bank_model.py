"""The words of money in and out: bank accounts, top-ups, withdrawals, automatic ones, vouchers. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import ClassVar
from uuid import UUID

from hansa import ledger
from hansa.identity import AccountId
from hansa.kernel import HansaError, Money, fact_id

COOLING = timedelta(hours=24)
"""So long a new bank account is paid nothing: time to notice that somebody else added it."""

ASIDE_LOOKS = 7 * 24
"""How often, an hour apart, it is seen whether a wallet has room by now for money that waits aside: for a week."""

RETRIES_S = (5, 30, 120, 600, 1_800, 3_600, 7_200)
"""Seconds until a bank that said nothing is asked again; the last one for as long as it takes."""

VOUCHERS_MAX = 5_000
"""Vouchers of one batch."""

VOUCHER_LETTERS = 15
"""Random letters of a voucher's code, 75 bits; a check letter follows."""


class TopUpState(StrEnum):
    """How far a top-up is."""

    PROCESSING = "processing"
    SENT = "sent"
    UNKNOWN = "unknown"
    SETTLING = "settling"
    ASIDE = "aside"
    SETTLED = "settled"
    FAILED = "failed"
    RETURNING = "returning"
    RETURNED = "returned"


TOP_UP_WAYS: Mapping[TopUpState, frozenset[TopUpState]] = {
    TopUpState.PROCESSING: frozenset(
        (TopUpState.SENT, TopUpState.UNKNOWN, TopUpState.SETTLING, TopUpState.FAILED)
    ),
    TopUpState.SENT: frozenset((TopUpState.SETTLING, TopUpState.FAILED)),
    TopUpState.UNKNOWN: frozenset((TopUpState.SENT, TopUpState.SETTLING, TopUpState.FAILED)),
    TopUpState.SETTLING: frozenset((TopUpState.SETTLED, TopUpState.ASIDE, TopUpState.FAILED)),
    TopUpState.ASIDE: frozenset((TopUpState.SETTLING, TopUpState.FAILED)),
    TopUpState.SETTLED: frozenset((TopUpState.RETURNING,)),
    TopUpState.FAILED: frozenset((TopUpState.SETTLING,)),
    TopUpState.RETURNING: frozenset((TopUpState.RETURNED,)),
    TopUpState.RETURNED: frozenset(),
}
"""Every way from a state to the next. A failed one may settle late: the bank moved the money after all. One that is
settling fails only where the wallet is closed, and one that waits aside where no room came in a week, or the bank took
it back: in the first two its issuer has the money, and gives it back.
"""


class WithdrawalState(StrEnum):
    """How far a withdrawal is."""

    REQUIRES_APPROVAL = "requires_approval"
    PROCESSING = "processing"
    HELD = "held"
    SENT = "sent"
    UNKNOWN = "unknown"
    SETTLING = "settling"
    SETTLED = "settled"
    RELEASING = "releasing"
    FAILED = "failed"
    RETURNING = "returning"
    RETURNED = "returned"
    COLLECTING = "collecting"
    CANCELED = "canceled"
    EXPIRED = "expired"


_W = WithdrawalState
WITHDRAWAL_WAYS: Mapping[WithdrawalState, frozenset[WithdrawalState]] = {
    _W.REQUIRES_APPROVAL: frozenset((_W.PROCESSING, _W.FAILED, _W.CANCELED, _W.EXPIRED)),
    _W.PROCESSING: frozenset((_W.HELD, _W.FAILED)),
    _W.HELD: frozenset((_W.SENT, _W.UNKNOWN, _W.SETTLING, _W.RELEASING)),
    _W.SENT: frozenset((_W.SETTLING, _W.RELEASING)),
    _W.UNKNOWN: frozenset((_W.SENT, _W.SETTLING, _W.RELEASING)),
    _W.SETTLING: frozenset((_W.SETTLED,)),
    _W.SETTLED: frozenset((_W.RETURNING,)),
    _W.RELEASING: frozenset((_W.FAILED,)),
    _W.FAILED: frozenset((_W.COLLECTING,)),
    _W.RETURNING: frozenset((_W.RETURNED,)),
    _W.RETURNED: frozenset(),
    _W.COLLECTING: frozenset((_W.SETTLED,)),
    _W.CANCELED: frozenset(),
    _W.EXPIRED: frozenset(),
}
"""Every way from a state to the next. What a bank refused and paid nevertheless is collected from the wallet again."""


class ReturnState(StrEnum):
    """How far a return is."""

    PROCESSING = "processing"
    SENT = "sent"
    UNKNOWN = "unknown"
    SETTLING = "settling"
    SETTLED = "settled"
    FAILED = "failed"
    RETURNED = "returned"


RETURN_WAYS: Mapping[ReturnState, frozenset[ReturnState]] = {
    ReturnState.PROCESSING: frozenset(
        (ReturnState.SENT, ReturnState.UNKNOWN, ReturnState.SETTLING, ReturnState.FAILED)
    ),
    ReturnState.SENT: frozenset((ReturnState.SETTLING, ReturnState.FAILED)),
    ReturnState.UNKNOWN: frozenset((ReturnState.SENT, ReturnState.SETTLING, ReturnState.FAILED)),
    ReturnState.SETTLING: frozenset((ReturnState.SETTLED,)),
    ReturnState.SETTLED: frozenset((ReturnState.RETURNED,)),
    ReturnState.FAILED: frozenset((ReturnState.SETTLING,)),
    ReturnState.RETURNED: frozenset(),
}
"""Every way from a state to the next. A failed one may settle late. One that came back is over: what it was of waits
for a treasurer again, as after a failed one.
"""


class Way(StrEnum):
    """How money comes into a wallet."""

    TRANSFER = "transfer"
    DEBIT = "debit"
    INSTANT = "instant"
    VOUCHER = "voucher"
    COUNTER = "counter"


class UnknownBankAccount(HansaError):
    """You have no such bank account here."""

    code: ClassVar[str] = "wallets.unknown_bank_account"
    status: ClassVar[int] = 404


class NotYourBankAccount(HansaError):
    """The bank knows this account under another name. Only accounts in your own name can be added."""

    code: ClassVar[str] = "wallets.not_your_bank_account"
    status: ClassVar[int] = 409


class NameNotProved(HansaError):
    """Money goes to and comes from bank accounts in your own name only, so your name has to be proved first."""

    code: ClassVar[str] = "wallets.name_not_proved"
    status: ClassVar[int] = 403
    remedy: ClassVar[str] = "Prove your name at /wallet/me/name, then do this again."
    next_action: ClassVar[str] = "prove_name"


class BankAccountInUse(HansaError):
    """A withdrawal to this bank account is under way. Nothing was changed."""

    code: ClassVar[str] = "wallets.bank_account_in_use"
    status: ClassVar[int] = 409
    remedy: ClassVar[str] = (
        "Call the withdrawal off where it still waits for your approval; else take the bank account out once it has"
        " ended."
    )


class BankAccountCooling(HansaError):
    """This bank account was added less than a day ago, and is paid nothing yet. Wait, or choose an older one."""

    code: ClassVar[str] = "wallets.bank_account_cooling"
    status: ClassVar[int] = 409


class NoMandate(HansaError):
    """You gave no mandate to collect from this bank account. Give one, or top up in another way."""

    code: ClassVar[str] = "wallets.no_mandate"
    status: ClassVar[int] = 409


class UnknownTopUp(HansaError):
    """You have no such top-up."""

    code: ClassVar[str] = "wallets.unknown_top_up"
    status: ClassVar[int] = 404


class TopUpDiffers(HansaError):
    """This top-up is known with other content; another one needs an id of its own."""

    code: ClassVar[str] = "wallets.top_up_differs"
    status: ClassVar[int] = 409


class UnknownWithdrawal(HansaError):
    """You have no such withdrawal."""

    code: ClassVar[str] = "wallets.unknown_withdrawal"
    status: ClassVar[int] = 404


class WithdrawalDiffers(HansaError):
    """This withdrawal is known with other content; another one needs an id of its own."""

    code: ClassVar[str] = "wallets.withdrawal_differs"
    status: ClassVar[int] = 409


class WithdrawalMoved(HansaError):
    """The withdrawal has gone on meanwhile and can no longer be cancelled."""

    code: ClassVar[str] = "wallets.withdrawal_moved"
    status: ClassVar[int] = 409


class VoucherRefused(HansaError):
    """This code tops up nothing: it is mistyped, not sold yet, used, or has run out. Nothing was changed."""

    code: ClassVar[str] = "wallets.voucher_refused"
    status: ClassVar[int] = 409


class UnknownBatch(HansaError):
    """You have no such batch of vouchers."""

    code: ClassVar[str] = "wallets.unknown_batch"
    status: ClassVar[int] = 404


class BatchDiffers(HansaError):
    """This batch is made already. Its codes were told once; void it and make another."""

    code: ClassVar[str] = "wallets.batch_made"
    status: ClassVar[int] = 409


class VoucherMoved(HansaError):
    """Some of these vouchers are not in the state that this needs. Nothing was changed."""

    code: ClassVar[str] = "wallets.voucher_moved"
    status: ClassVar[int] = 409


@dataclass(frozen=True, slots=True)
class BankAccount:
    """A person's own bank account. token: as the rail names it; shown: what a person recognises it by.

    usable_at: from when it may be paid. may_pull: whether its owner gave a mandate to collect. person_id: whose name
    the bank knew it by; None for one that was added before names were proved.
    """

    bank_account_id: UUID
    account_id: UUID
    rail_id: str
    token: str
    currency: str
    shown: str
    may_pull: bool
    mandate_id: str
    added_at: datetime
    usable_at: datetime
    ended_at: datetime | None
    person_id: UUID | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewTopUp:
    """A top-up from a bank account that a person asks for. way: ``debit`` or ``instant``."""

    top_up_id: UUID
    account_id: AccountId
    amount: Money
    bank_account_id: UUID
    way: Way = Way.DEBIT


@dataclass(frozen=True, slots=True)
class BankTopUp:
    """A top-up as it is kept. words: where the money comes from, for people. next_at: when its bank is asked next."""

    partition: int
    top_up_id: UUID
    account_id: UUID
    issuer_id: str
    amount_minor: int
    currency: str
    way: Way
    bank_account_id: UUID | None
    rail_id: str
    token: str
    words: str
    is_automatic: bool
    state: TopUpState
    reason: str
    tries: int
    created_at: datetime
    changed_at: datetime
    next_at: datetime

    @property
    def amount(self) -> Money:
        """What the wallet gets."""
        return Money(self.amount_minor, self.currency)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewWithdrawal:
    """Money that a person wants at their bank."""

    withdrawal_id: UUID
    account_id: AccountId
    amount: Money
    bank_account_id: UUID


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """A withdrawal as it is kept. next_at: when its bank is asked next."""

    partition: int
    withdrawal_id: UUID
    account_id: UUID
    issuer_id: str
    amount_minor: int
    currency: str
    bank_account_id: UUID
    rail_id: str
    token: str
    shown: str
    state: WithdrawalState
    reason: str
    tries: int
    created_at: datetime
    expires_at: datetime
    changed_at: datetime
    next_at: datetime

    @property
    def amount(self) -> Money:
        """What the bank is told to pay."""
        return Money(self.amount_minor, self.currency)


@dataclass(frozen=True, slots=True)
class Return:
    """Money that came from a bank and goes back the way it came. entry_id: the bank's entry that brought it.

    holder: whose cash it is: the wallet's issuer, or the league where it found no wallet. top_up_id, account_id: of
    what found no room, or a closed wallet; None where it belonged to nobody. next_at: when its bank is asked next.
    """

    return_id: UUID
    rail_id: str
    entry_id: str
    partition: int
    holder: str
    top_up_id: UUID | None
    account_id: UUID | None
    amount_minor: int
    currency: str
    state: ReturnState
    reason: str
    tries: int
    created_at: datetime
    changed_at: datetime
    next_at: datetime

    @property
    def amount(self) -> Money:
        """What goes back."""
        return Money(self.amount_minor, self.currency)


@dataclass(frozen=True, slots=True)
class Automatic:
    """Top up by itself: where the wallet can pay less than ``below``, add ``add``.

    day_max, month_max: no more than that in 24 hours and in 30 days. state: on, off, or stopped, and why.
    """

    partition: int
    account_id: UUID
    currency: str
    below_minor: int
    add_minor: int
    day_max_minor: int
    month_max_minor: int
    bank_account_id: UUID
    state: str
    why: str
    refusals: int
    runs: int
    looked_at: datetime
    changed_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class NewBatch:
    """Vouchers that an issuer makes. expiry: what becomes of the money of a sold one that nobody used in time:
    ``keep``, it stays owed; ``earn``, it is the issuer's.
    """

    batch_id: UUID
    issuer_id: str
    value: Money
    count: int
    expires_at: datetime
    expiry: str = "keep"
    about: str = ""


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch as it is kept. states: how many of its vouchers are in each state."""

    batch_id: UUID
    issuer_id: str
    currency: str
    value_minor: int
    count: int
    expires_at: datetime
    expiry: str
    about: str
    made_by: str
    made_at: datetime
    states: Mapping[str, int]

    @property
    def value(self) -> Money:
        """What each is worth."""
        return Money(self.value_minor, self.currency)


@dataclass(frozen=True, slots=True)
class Voucher:
    """A voucher as it is kept, with what its batch says of it."""

    voucher_id: UUID
    batch_id: UUID
    serial: int
    home: int
    state: str
    account_id: UUID | None
    activated_at: datetime | None
    changed_at: datetime
    issuer_id: str
    currency: str
    value_minor: int
    expires_at: datetime
    expiry: str


def prepaid_account(issuer_id: str, currency: str, partition: int = 0) -> ledger.AccountId:
    """What an issuer owes the holders of its vouchers; the sum over all partitions counts."""
    return ledger.AccountId(fact_id(None, "prepaid", issuer_id, currency, partition))


def wait_after(tries: int) -> timedelta:
    """How long until a bank is asked again after so many tries."""
    return timedelta(seconds=RETRIES_S[min(tries, len(RETRIES_S) - 1)])
