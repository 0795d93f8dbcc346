"""Test helper: books whose accounts and transfers have names, and tables of events as a bookkeeper writes them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

from hansa import ledger
from hansa.kernel import fact_id
from hansa.ledger import (
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
    "expired": TransferFlag.EXPIRED,
}
LIMITS = {
    "free": AccountFlag.NONE,
    "no overdraft": AccountFlag.DEBITS_MUST_NOT_EXCEED_CREDITS,
    "no prepayment": AccountFlag.CREDITS_MUST_NOT_EXCEED_DEBITS,
}


def account_id(name: str) -> AccountId:
    """The id behind a name; "-" is the id zero."""
    return AccountId(UUID(int=0)) if name == "-" else AccountId(fact_id(None, "account", name))


def transfer_id(name: str) -> TransferId:
    """The id behind a name; "0" is the id zero, "max" the highest."""
    numbers = {"0": 0, "max": 2**128 - 1}
    return TransferId(UUID(int=numbers[name]) if name in numbers else fact_id(MORNING, "transfer", name))


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
        MORNING,
        partition=partition,
        flags=taken,
        pending_id=pending_id,
        timeout_s=timeout_s,
        memo=memo,
    )


@dataclass
class Books:
    """Accounts by name on a Context."""

    ctx: Context
    partition: int = 0
    accounts: dict[str, AccountId] = field(default_factory=dict[str, AccountId])

    def open(self, currency: str = "CNY", **limits: str) -> None:
        """Open accounts by name, with a word of ``LIMITS`` each."""
        self.accounts |= {name: account_id(name) for name in limits}
        ledger.open_accounts(
            self.ctx,
            [
                Account(
                    account_id(name), currency, AccountCode.WALLET, "someone", LIMITS[limit], self.partition
                )
                for name, limit in limits.items()
            ],
        )

    def post(self, *transfers: Transfer) -> list[str]:
        return [result.code.value for result in ledger.post(self.ctx, transfers)]

    def fund(self, name: str, amount: int, *, bank: str = "bank") -> None:
        """Put money on an account from a free one."""
        assert self.post(
            a_transfer(f"fund {name} {amount}", bank, name, amount, partition=self.partition)
        ) == ["ok"]

    def post_table(self, table: str) -> None:
        """Post the table's events in one batch and compare each with its ``result``."""
        rows = cells(table)
        transfers = [
            a_transfer(
                row["event"],
                row["debit"],
                row["credit"],
                int(row["amount"]),
                row["flags"],
                currency=row.get("currency", "CNY"),
                partition=self.partition,
            )
            for row in rows
        ]
        told = [(row["event"], result) for row, result in zip(rows, self.post(*transfers), strict=True)]
        assert told == [(row["event"], row["result"]) for row in rows]

    def balances(self) -> dict[str, Balance]:
        with self.ctx.tx() as tx:
            by_id = ledger.balances(tx, self.accounts.values())
        return {name: by_id[account] for name, account in self.accounts.items()}

    def compare(self, table: str) -> None:
        """Compare accounts with ``account | debits | held debits | credits | held credits``, and verify the books."""
        stands = self.balances()
        for row in cells(table):
            assert (row["account"], stands[row["account"]]) == (
                row["account"],
                Balance(
                    int(row["held debits"]), int(row["debits"]), int(row["held credits"]), int(row["credits"])
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
