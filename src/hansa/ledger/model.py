"""What the ledger speaks of: accounts, transfers, and the one result each transfer gets."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntFlag, StrEnum
from typing import ClassVar, NewType
from uuid import UUID

from hansa.kernel import HansaError
from hansa.ledger.chart import AccountCode, AccountFlag, TransferCode

AccountId = NewType("AccountId", UUID)
TransferId = NewType("TransferId", UUID)

BATCH_MAX = 8_192
"""Transfers one call may carry."""

AMOUNT_MAX = 2**128 - 1
"""The largest amount, and the largest sum of an account's pending and posted amounts together. As the amount of a
transfer that balances: as much as there is; of one that posts a hold: all of it."""

TIMEOUT_MAX_S = 2**32 - 1
TAG_MAX = 2**32 - 1
CODE_MAX = 2**15 - 1
MEMO_MAX = 200

PATH_MAX = 200
LABELS_MAX = 16

AS_PENDING = AccountId(UUID(int=0))
"""In a transfer that posts or voids: the same account as the pending transfer's."""


def is_path(path: str) -> bool:
    """Whether it is a place in the tree of accounts; empty is none and allowed."""
    return len(path) <= PATH_MAX and _PATH.fullmatch(path) is not None


_PATH = re.compile(r"(?:[a-z0-9-]+(?::[a-z0-9-]+)*)?")


class TransferFlag(IntFlag):
    """How a transfer is to be taken; the numbers are TigerBeetle's.

    LINKED: it and the next one stand or fall together. PENDING: hold the amount; post or void it later.
    POST_PENDING, VOID_PENDING: end the hold named by ``pending_id``.
    BALANCING_DEBIT, BALANCING_CREDIT: move at most ``amount``, and no more than the debit (credit) account has.
    CLOSING_DEBIT, CLOSING_CREDIT: a hold that closes the debit (credit) account until it is voided.
    EXPIRED: the ledger itself ended this hold when its time was up; nobody else may set it.
    """

    NONE = 0
    LINKED = 1
    PENDING = 2
    POST_PENDING = 4
    VOID_PENDING = 8
    BALANCING_DEBIT = 16
    BALANCING_CREDIT = 32
    CLOSING_DEBIT = 64
    CLOSING_CREDIT = 128
    EXPIRED = 512


@dataclass(frozen=True, slots=True)
class Account:
    """An account as it is opened. holder: whose it is, in the words of the room that opened it.

    path: where it stands in the tree of accounts, words of small letters, digits and hyphens parted by colons, such as
    ``league:beijing-card:wallet``; empty is no place. labels: a few words to find it by, at most 16 of 200 characters.
    """

    account_id: AccountId
    currency: str
    code: AccountCode
    holder: str
    flags: AccountFlag = AccountFlag.NONE
    partition: int = 0
    path: str = ""
    labels: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class Transfer:
    """One amount from one account to another, as it is handed in.

    amount: minor units, 0 to 2**128 - 1. When posting a hold, ``AMOUNT_MAX`` means all of it; when voiding, 0 does.
    event_at: when the thing it pays for happened; the ledger adds when it was booked.
    timeout_s: of a pending transfer, seconds after booking until the hold falls away; 0 is never.
    reference: what it is for, e.g. a journey's id. tag: a number of the caller's, 0 to 2**32 - 1; 0 is none.
    memo: a few words for people, at most 200 characters.
    A transfer that posts or voids may leave accounts (``AS_PENDING``), currency (""), code (0), reference, tag and
    memo to the hold.
    """

    transfer_id: TransferId
    debit: AccountId
    credit: AccountId
    amount: int
    currency: str
    code: TransferCode | int
    event_at: datetime
    partition: int = 0
    flags: TransferFlag = TransferFlag.NONE
    pending_id: TransferId | None = None
    timeout_s: int = 0
    reference: UUID | None = None
    memo: str = ""
    tag: int = 0


class ResultCode(StrEnum):
    """What became of a transfer; in order of precedence, as in TigerBeetle's reference (docs/ledger.md)."""

    CREATED = "created"
    LINKED_EVENT_FAILED = "linked_event_failed"
    LINKED_EVENT_CHAIN_OPEN = "linked_event_chain_open"
    LINKED_EVENT_CROSSES_PARTITIONS = "linked_event_crosses_partitions"
    AMOUNT_OUT_OF_RANGE = "amount_out_of_range"
    TIMEOUT_OUT_OF_RANGE = "timeout_out_of_range"
    TAG_OUT_OF_RANGE = "tag_out_of_range"
    CODE_OUT_OF_RANGE = "code_out_of_range"
    FLAGS_OUT_OF_RANGE = "flags_out_of_range"
    EVENT_AT_OUT_OF_RANGE = "event_at_out_of_range"
    CURRENCY_MUST_BE_A_CODE = "currency_must_be_a_code"
    MEMO_MUST_BE_SHORT_TEXT = "memo_must_be_short_text"
    RESERVED_FLAG = "reserved_flag"
    ID_MUST_NOT_BE_ZERO = "id_must_not_be_zero"
    ID_MUST_NOT_BE_INT_MAX = "id_must_not_be_int_max"
    EXISTS_WITH_DIFFERENT_FLAGS = "exists_with_different_flags"
    EXISTS_WITH_DIFFERENT_PENDING_ID = "exists_with_different_pending_id"
    EXISTS_WITH_DIFFERENT_TIMEOUT = "exists_with_different_timeout"
    EXISTS_WITH_DIFFERENT_DEBIT_ACCOUNT_ID = "exists_with_different_debit_account_id"
    EXISTS_WITH_DIFFERENT_CREDIT_ACCOUNT_ID = "exists_with_different_credit_account_id"
    EXISTS_WITH_DIFFERENT_AMOUNT = "exists_with_different_amount"
    EXISTS_WITH_DIFFERENT_REFERENCE = "exists_with_different_reference"
    EXISTS_WITH_DIFFERENT_EVENT_AT = "exists_with_different_event_at"
    EXISTS_WITH_DIFFERENT_TAG = "exists_with_different_tag"
    EXISTS_WITH_DIFFERENT_MEMO = "exists_with_different_memo"
    EXISTS_WITH_DIFFERENT_LEDGER = "exists_with_different_ledger"
    EXISTS_WITH_DIFFERENT_CODE = "exists_with_different_code"
    EXISTS = "exists"
    FLAGS_ARE_MUTUALLY_EXCLUSIVE = "flags_are_mutually_exclusive"
    DEBIT_ACCOUNT_ID_MUST_NOT_BE_ZERO = "debit_account_id_must_not_be_zero"
    DEBIT_ACCOUNT_ID_MUST_NOT_BE_INT_MAX = "debit_account_id_must_not_be_int_max"
    CREDIT_ACCOUNT_ID_MUST_NOT_BE_ZERO = "credit_account_id_must_not_be_zero"
    CREDIT_ACCOUNT_ID_MUST_NOT_BE_INT_MAX = "credit_account_id_must_not_be_int_max"
    ACCOUNTS_MUST_BE_DIFFERENT = "accounts_must_be_different"
    PENDING_ID_MUST_BE_ZERO = "pending_id_must_be_zero"
    PENDING_ID_MUST_NOT_BE_ZERO = "pending_id_must_not_be_zero"
    PENDING_ID_MUST_NOT_BE_INT_MAX = "pending_id_must_not_be_int_max"
    PENDING_ID_MUST_BE_DIFFERENT = "pending_id_must_be_different"
    TIMEOUT_RESERVED_FOR_PENDING_TRANSFER = "timeout_reserved_for_pending_transfer"
    CLOSING_TRANSFER_MUST_BE_PENDING = "closing_transfer_must_be_pending"
    LEDGER_MUST_NOT_BE_ZERO = "ledger_must_not_be_zero"
    CODE_MUST_NOT_BE_ZERO = "code_must_not_be_zero"
    DEBIT_ACCOUNT_NOT_FOUND = "debit_account_not_found"
    CREDIT_ACCOUNT_NOT_FOUND = "credit_account_not_found"
    ACCOUNTS_MUST_HAVE_THE_SAME_LEDGER = "accounts_must_have_the_same_ledger"
    TRANSFER_MUST_HAVE_THE_SAME_LEDGER_AS_ACCOUNTS = "transfer_must_have_the_same_ledger_as_accounts"
    PENDING_TRANSFER_NOT_FOUND = "pending_transfer_not_found"
    PENDING_TRANSFER_NOT_PENDING = "pending_transfer_not_pending"
    PENDING_TRANSFER_HAS_DIFFERENT_DEBIT_ACCOUNT_ID = "pending_transfer_has_different_debit_account_id"
    PENDING_TRANSFER_HAS_DIFFERENT_CREDIT_ACCOUNT_ID = "pending_transfer_has_different_credit_account_id"
    PENDING_TRANSFER_HAS_DIFFERENT_LEDGER = "pending_transfer_has_different_ledger"
    PENDING_TRANSFER_HAS_DIFFERENT_CODE = "pending_transfer_has_different_code"
    EXCEEDS_PENDING_TRANSFER_AMOUNT = "exceeds_pending_transfer_amount"
    PENDING_TRANSFER_HAS_DIFFERENT_AMOUNT = "pending_transfer_has_different_amount"
    PENDING_TRANSFER_ALREADY_POSTED = "pending_transfer_already_posted"
    PENDING_TRANSFER_ALREADY_VOIDED = "pending_transfer_already_voided"
    PENDING_TRANSFER_EXPIRED = "pending_transfer_expired"
    DEBIT_ACCOUNT_ALREADY_CLOSED = "debit_account_already_closed"
    CREDIT_ACCOUNT_ALREADY_CLOSED = "credit_account_already_closed"
    OVERFLOWS_DEBITS_PENDING = "overflows_debits_pending"
    OVERFLOWS_CREDITS_PENDING = "overflows_credits_pending"
    OVERFLOWS_DEBITS_POSTED = "overflows_debits_posted"
    OVERFLOWS_CREDITS_POSTED = "overflows_credits_posted"
    OVERFLOWS_DEBITS = "overflows_debits"
    OVERFLOWS_CREDITS = "overflows_credits"
    OVERFLOWS_TIMEOUT = "overflows_timeout"
    EXCEEDS_CREDITS = "exceeds_credits"
    EXCEEDS_DEBITS = "exceeds_debits"


@dataclass(frozen=True, slots=True)
class Result:
    """What became of the transfer at ``index`` of the batch."""

    index: int
    transfer_id: TransferId
    code: ResultCode

    @property
    def ok(self) -> bool:
        """It is in the books: booked now, or already before with the same body."""
        return self.code is ResultCode.CREATED or self.code is ResultCode.EXISTS


@dataclass(frozen=True, slots=True)
class Balance:
    """An account's four running sums, in minor units. Pending ones are holds, not yet money moved."""

    debits_pending: int = 0
    debits_posted: int = 0
    credits_pending: int = 0
    credits_posted: int = 0

    @property
    def credit_minor(self) -> int:
        """Posted credits less debits: what a wallet holds, what a member is owed."""
        return self.credits_posted - self.debits_posted

    @property
    def debit_minor(self) -> int:
        """Posted debits less credits: what is in a cash account."""
        return self.debits_posted - self.credits_posted

    @property
    def available_minor(self) -> int:
        """What a credit account may still pay out: posted credits less posted and held debits."""
        return self.credits_posted - self.debits_posted - self.debits_pending


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where a transfer stands in its partition's journal: the cursor of every list of postings."""

    block: int
    position: int


@dataclass(frozen=True, slots=True)
class Booked:
    """A transfer in the books: its body, with the amount that truly moved or was held, and where it stands.

    released: of a transfer that ended a hold, how much had been held.
    """

    transfer: Transfer
    place: Place
    booked_at: datetime
    debit_after: Balance
    credit_after: Balance
    released: int | None = None

    @property
    def moves_minor(self) -> int:
        """What it added to posted debits and credits: nothing for a hold or for its release."""
        still = TransferFlag.PENDING | TransferFlag.VOID_PENDING
        return 0 if self.transfer.flags & still else self.transfer.amount


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of an account's statement: its side of a booked transfer and the balance after it."""

    account_id: AccountId
    booked: Booked

    @property
    def is_debit(self) -> bool:
        return self.booked.transfer.debit == self.account_id

    @property
    def balance(self) -> Balance:
        return self.booked.debit_after if self.is_debit else self.booked.credit_after

    @property
    def credit_minor(self) -> int:
        """What this line adds to the account's credit balance; a debit counts below zero."""
        return -self.booked.moves_minor if self.is_debit else self.booked.moves_minor


@dataclass(frozen=True, slots=True)
class WalletMove:
    """What a transfer did to a wallet. holder: the account of a person, as text. minor: gained (+) or lost (-).

    balance_minor: what the wallet held after it, holds included.
    """

    account_id: AccountId
    holder: str
    currency: str
    block: int
    code: int
    minor: int
    balance_minor: int
    reference: UUID | None
    event_at: datetime


@dataclass(frozen=True, slots=True)
class Turnover:
    """Postings of one transfer code on an account: how many, and what they add to its credit balance.

    from_minor: the step that their amounts have reached and not the next one; None where there is none.
    """

    account_id: AccountId
    code: int
    from_minor: int | None
    items: int
    minor: int


@dataclass(frozen=True, slots=True)
class Head:
    """The end of a partition's chain: its last block's number (0 before the first), hash and booking time.

    size: transfers up to and with that block, which is the size of the partition's Merkle tree.
    folded: the last block whose transfers are in the accounts' rows; those after it are in the journal alone.
    """

    partition: int
    number: int
    hash: bytes
    booked_at: datetime
    size: int = 0
    folded: int = 0


@dataclass(frozen=True, slots=True)
class Block:
    """One commit of one partition, chained by hash to the block before.

    first: how many transfers the blocks before it hold, so the log index of its first one. root: the Merkle tree's
    root after it (RFC 9162). salt_key: what its transfers' salts are worked out from; it stays with the books.
    signature: of the checkpoint after it, where the writer had the city's key.
    """

    partition: int
    number: int
    first: int
    transfers: int
    previous_hash: bytes
    root: bytes
    hash: bytes
    booked_at: datetime
    salt_key: bytes
    signature: bytes | None = None


@dataclass(frozen=True, slots=True)
class TrialRow:
    """All accounts of one kind and currency, added up."""

    currency: str
    code: AccountCode
    accounts: int
    debits_pending: int
    debits_posted: int
    credits_pending: int
    credits_posted: int


@dataclass(frozen=True, slots=True)
class TreeRow:
    """All accounts of one currency under one branch of the tree of accounts, added up."""

    branch: str
    currency: str
    accounts: int
    balance: Balance


@dataclass(frozen=True, slots=True)
class TrialBalance:
    """Every account by currency and kind; per currency all debits equal all credits.

    at: the instant it speaks of, None for now.
    """

    rows: tuple[TrialRow, ...]
    at: datetime | None = None
    totals: dict[str, tuple[int, int]] = field(init=False)

    def __post_init__(self) -> None:
        totals: dict[str, tuple[int, int]] = {}
        for row in self.rows:
            debits, credits = totals.get(row.currency, (0, 0))
            totals[row.currency] = (debits + row.debits_posted, credits + row.credits_posted)
        object.__setattr__(self, "totals", totals)

    @property
    def is_even(self) -> bool:
        """Debits equal credits in every currency."""
        return all(debits == credits for debits, credits in self.totals.values())


@dataclass(frozen=True, slots=True)
class Finding:
    """Something in the books that does not add up. block: where, if it is one block's fault."""

    partition: int
    block: int | None
    what: str

    def __str__(self) -> str:
        where = f"partition {self.partition}" + ("" if self.block is None else f", block {self.block}")
        return f"{where}: {self.what}"


class UnknownAccount(HansaError):
    """There is no such account."""

    code: ClassVar[str] = "ledger.unknown_account"
    status: ClassVar[int] = 404


class UnknownTransfer(HansaError):
    """There is no such transfer in the books."""

    code: ClassVar[str] = "ledger.unknown_transfer"
    status: ClassVar[int] = 404


class AccountConflict(HansaError):
    """An account of this id is already open with another currency, code, holder or limit."""

    code: ClassVar[str] = "ledger.account_conflict"
    status: ClassVar[int] = 409


class BatchTooLarge(HansaError):
    """One call carries at most 8,192 transfers."""

    code: ClassVar[str] = "ledger.batch_too_large"
    status: ClassVar[int] = 413
