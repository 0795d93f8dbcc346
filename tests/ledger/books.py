"""Test helper: books whose accounts and transfers have names, and tables of events as a bookkeeper writes them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

from hansa import ledger
from hansa.kernel import FixedClock, fact_id
from hansa.ledger import (
    AMOUNT_MAX,
    Account,
    AccountCode,
    AccountFlag,
    AccountId,
    Balance,
    Transfer,
    TransferCode,
    TransferFlag,
    TransferId,
)
from hansa.store import Context

MORNING = datetime(2026, 11, 17, 8, tzinfo=UTC)

FLAGS = {
    "linked": TransferFlag.LINKED,
    "pending": TransferFlag.PENDING,
    "post": TransferFlag.POST_PENDING,
    "void": TransferFlag.VOID_PENDING,
    "balancing_debit": TransferFlag.BALANCING_DEBIT,
    "balancing_credit": TransferFlag.BALANCING_CREDIT,
    "closing_debit": TransferFlag.CLOSING_DEBIT,
    "closing_credit": TransferFlag.CLOSING_CREDIT,
    "imported": TransferFlag(256),
    "expired": TransferFlag.EXPIRED,
}
LIMITS = {
    "free": AccountFlag.NONE,
    "no overdraft": AccountFlag.DEBITS_MUST_NOT_EXCEED_CREDITS,
    "no prepayment": AccountFlag.CREDITS_MUST_NOT_EXCEED_DEBITS,
}


def account_id(name: str) -> AccountId:
    """The id behind a name; "-" is the id zero, "max" the highest."""
    numbers = {"-": 0, "max": 2**128 - 1}
    return AccountId(UUID(int=numbers[name]) if name in numbers else fact_id(None, "account", name))


def transfer_id(name: str) -> TransferId:
    """The id behind a name; "0" is the id zero, "max" the highest."""
    numbers = {"0": 0, "max": 2**128 - 1}
    return TransferId(UUID(int=numbers[name]) if name in numbers else fact_id(MORNING, "transfer", name))


def amount_of(cell: str) -> int:
    """A number, ``all`` (the largest amount, so all of a hold), or ``max`` and what is taken from it: ``max-5``."""
    if cell == "all":
        return AMOUNT_MAX
    if cell.startswith("max"):
        return AMOUNT_MAX + int(cell.removeprefix("max") or 0)
    return int(cell)


def cells(table: str) -> list[dict[str, str]]:
    """The rows of a text table; its first line names the columns."""
    lines = [[cell.strip() for cell in line.split("|")] for line in table.strip().splitlines()]
    return [dict(zip(lines[0], line, strict=True)) for line in lines[1:]]


def a_transfer(
    name: str,
    debit: str,
    credit: str,
    amount: int,
    flags: str = "",
    *,
    currency: str = "CNY",
    code: TransferCode | int = TransferCode.PAYMENT,
    partition: int = 0,
    memo: str = "",
    tag: int = 0,
    reference: str = "",
    event_at: datetime = MORNING,
) -> Transfer:
    """flags: words of ``FLAGS``; ``of:NAME`` names the hold, ``60s`` a timeout."""
    taken, pending_id, timeout_s = TransferFlag.NONE, None, 0
    for word in flags.split():
        if word.startswith("of:"):
            pending_id = transfer_id(word.removeprefix("of:"))
        elif word.endswith("s") and word[:-1].lstrip("-").isdigit():
            timeout_s = int(word[:-1])
        else:
            taken |= FLAGS[word]
    return Transfer(
        transfer_id(name),
        account_id(debit),
        account_id(credit),
        amount,
        currency,
        code,
        event_at,
        partition=partition,
        flags=taken,
        pending_id=pending_id,
        timeout_s=timeout_s,
        reference=transfer_id(reference) if reference else None,
        memo=memo,
        tag=tag,
    )


def an_end(name: str, how: str, *, amount: int = 0, partition: int = 0) -> Transfer:
    """The end of a hold that leaves everything to it. how: ``post of:HOLD`` or ``void of:HOLD``, of all of it."""
    if "post" in how:
        amount = amount or AMOUNT_MAX
    return a_transfer(name, "-", "-", amount, how, currency="", code=0, partition=partition)


def transfers_in(table: str, *, partition: int = 0) -> list[Transfer]:
    """The transfers of a table. Its columns event, debit, credit, amount and flags are always there.

    currency, code, tag, memo, reference and second (after the morning's start, when it happened) may be.
    """
    return [
        a_transfer(
            row["event"],
            row["debit"],
            row["credit"],
            amount_of(row["amount"]),
            row["flags"],
            currency=row.get("currency", "CNY"),
            code=int(row.get("code", TransferCode.PAYMENT)),
            partition=partition,
            memo=row.get("memo", ""),
            tag=int(row.get("tag") or 0),
            reference=row.get("reference", ""),
            event_at=MORNING + timedelta(seconds=int(row.get("second") or 0)),
        )
        for row in cells(table)
    ]


def accounts_in(currency: str, limits: Mapping[str, str], *, partition: int = 0) -> list[Account]:
    """Accounts by name, with a word of ``LIMITS`` each."""
    return [
        Account(account_id(name), currency, AccountCode.WALLET, "someone", LIMITS[limit], partition)
        for name, limit in limits.items()
    ]


@dataclass
class Books:
    """Accounts by name on a Context."""

    ctx: Context
    partition: int = 0
    accounts: dict[str, AccountId] = field(default_factory=dict[str, AccountId])

    def open(self, currency: str = "CNY", **limits: str) -> None:
        """Open accounts by name, with a word of ``LIMITS`` each."""
        self.accounts |= {name: account_id(name) for name in limits}
        ledger.open_accounts(self.ctx, accounts_in(currency, limits, partition=self.partition))

    @property
    def clock(self) -> FixedClock:
        assert isinstance(self.ctx.clock, FixedClock)
        return self.ctx.clock

    def post(self, *transfers: Transfer) -> list[str]:
        return [result.code.value for result in ledger.post(self.ctx, transfers)]

    def fund(self, name: str, amount: int, *, bank: str = "bank") -> None:
        """Put money on an account from a free one."""
        assert self.post(
            a_transfer(f"fund {name} {amount}", bank, name, amount, partition=self.partition)
        ) == ["created"]

    def post_table(self, table: str) -> None:
        """Post the table's events in one batch and compare each with its ``result``."""
        rows = cells(table)
        told = self.post(*transfers_in(table, partition=self.partition))
        assert list(zip((row["event"] for row in rows), told, strict=True)) == [
            (row["event"], row["result"]) for row in rows
        ]

    def refuse_table(self, table: str) -> None:
        """Post the table's events, one by one and as one batch: the same results, and nothing changes."""
        before = self.snapshot()
        rows, transfers = cells(table), transfers_in(table, partition=self.partition)
        for row, transfer in zip(rows, transfers, strict=True):
            assert (row["event"], *self.post(transfer)) == (row["event"], row["result"])
        self.post_table(table)
        assert self.snapshot() == before

    def balances(self) -> dict[str, Balance]:
        with self.ctx.tx() as tx:
            by_id = ledger.balances(tx, self.accounts.values())
        return {name: by_id[account] for name, account in self.accounts.items()}

    def snapshot(self) -> tuple[dict[str, Balance], int, bytes, dict[str, AccountFlag]]:
        """All that a refusal must leave as it was: balances, the chain's end, and which accounts are closed."""
        with self.ctx.tx() as tx:
            flags = {name: ledger.get_account(tx, one).flags for name, one in self.accounts.items()}
            return self.balances(), *ledger.block_head(tx, self.partition), flags

    def closed(self) -> list[str]:
        """Names of the accounts that are closed, as of the last fold."""
        with self.ctx.tx() as tx:
            return [
                name
                for name, account in self.accounts.items()
                if AccountFlag.CLOSED in ledger.get_account(tx, account).flags
            ]

    def compare(self, table: str) -> None:
        """Compare accounts with ``account | debits | held debits | credits | held credits``, and verify the books."""
        stands = self.balances()
        for row in cells(table):
            assert (row["account"], stands[row["account"]]) == (
                row["account"],
                Balance(
                    *(amount_of(row[sum]) for sum in ("held debits", "debits", "held credits", "credits"))
                ),
            )
        self.verify()

    def verify(self) -> None:
        with self.ctx.tx() as tx:
            assert ledger.verify(tx) == []
            assert ledger.trial_balance(tx).is_even


def money(balances: Mapping[str, Balance]) -> dict[str, int]:
    """Credit balances by name."""
    return {name: balance.credit_minor for name, balance in balances.items()}


def results_in(tables: Iterable[str]) -> Sequence[str]:
    """Every result that these tables of events name."""
    return [row["result"] for table in tables for row in cells(table)]
