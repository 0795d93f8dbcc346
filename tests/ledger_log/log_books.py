"""Test helper: books of many blocks with their log, and the one-file verifier as a stranger runs it."""

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

from hansa import ledger
from hansa.kernel import fact_id
from hansa.ledger import AccountCode, Signer, TransferCode, TransferFlag
from hansa.store import Context
from hansa.trust import KeyFolder, tlog
from hansa.trust.tlog.standalone import hansa_verify

NAME = "london.example"
VERIFIER = Path(hansa_verify.__file__)


def account(name: str) -> ledger.AccountId:
    return ledger.AccountId(fact_id(None, "log account", name))


def transfer(number: int, partition: int = 0) -> ledger.Transfer:
    """A transfer of its own for each number: some hold, some have a reference, a tag, a memo."""
    pending = number % 7 == 3
    return ledger.Transfer(
        ledger.TransferId(fact_id(None, "log transfer", number, partition)),
        account("bank"),
        account(f"rider {number % 5}"),
        280 + number,
        "GBP",
        TransferCode.FARE,
        fact_time(number),
        partition=partition,
        flags=TransferFlag.PENDING if pending else TransferFlag.NONE,
        timeout_s=60 if pending else 0,
        reference=UUID(int=2**80 + number) if number % 2 else None,
        memo="Bank → Angel · £2.80" if number % 3 == 0 else "",
        tag=number if number % 4 == 0 else 0,
    )


def fact_time(number: int) -> datetime:
    """When the transfer of this number happened."""
    return datetime(2026, 11, 17, 8, tzinfo=UTC) + timedelta(seconds=number, microseconds=number)


@dataclass
class LogBooks:
    """Books with a log. post: one block of so many transfers."""

    ctx: Context
    signer: Signer
    size: int = 0
    partition: int = 0

    def open(self) -> "LogBooks":
        names = ["bank", *(f"rider {number}" for number in range(5))]
        ledger.open_accounts(
            self.ctx,
            [
                ledger.Account(account(name), "GBP", AccountCode.WALLET, name, partition=self.partition)
                for name in names
            ],
        )
        return self

    def post(self, *blocks: int) -> "LogBooks":
        for count in blocks:
            numbers = range(self.size, self.size + count)
            results = ledger.post(self.ctx, [transfer(number, self.partition) for number in numbers])
            assert all(result.ok for result in results)
            self.size += count
        return self

    @property
    def key(self) -> tlog.VerifierKey:
        return self.signer.verifier_key(self.partition)

    def receipt(self, number: int) -> tlog.Receipt:
        with self.ctx.tx() as tx:
            return ledger.receipt(tx, transfer(number, self.partition).transfer_id, self.signer)

    def checkpoint(self) -> tlog.Note:
        with self.ctx.tx() as tx:
            return ledger.LogReader(tx, self.partition).checkpoint(self.signer)


def books_on(ctx: Context, folder: Path) -> LogBooks:
    return LogBooks(ctx, ledger.signer_for(KeyFolder(folder / "keys"), NAME)).open()


def verifier(*words: str | Path) -> "subprocess.CompletedProcess[str]":
    """The verifier as a program of its own, with nothing of ours to import."""
    return subprocess.run(
        [sys.executable, "-I", str(VERIFIER), *map(str, words)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def verify(
    receipt: tlog.Receipt, key: tlog.VerifierKey, witnesses: Sequence[tlog.VerifierKey] = ()
) -> tlog.Proven:
    """Check a receipt with ``tlog``. Errors: as ``Proof.verify``."""
    policy = tlog.Policy((key,), tuple(witnesses), len(witnesses))
    return receipt.proof.verify(tlog.entry_of(receipt.salt, receipt.row), policy)


def fails(receipt: tlog.Receipt, key: tlog.VerifierKey) -> list[str]:
    """The verifier's steps that a receipt does not pass."""
    policy = hansa_verify.Policy(hansa_verify.parse_key(str(key)), (), 0)
    return [step.name for step in hansa_verify.check_receipt(str(receipt), policy) if step.ok is False]
