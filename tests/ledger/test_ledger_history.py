"""A partition's history leaves as a file and comes back the same; what was changed on the way is refused whole."""

import gzip
import json
from collections.abc import Callable, Generator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from hansa import ledger
from hansa.kernel import FixedClock, InvalidInput
from hansa.ledger import HistoryBroken, PartitionInUse, ResultCode
from hansa.store import Context, open_context
from ledger.books import Books, a_transfer, account_id, transfer_id
from scratch import NOON, ScratchServer

Line = dict[str, Any]


@pytest.fixture
def books(committed_ctx: Context) -> Books:
    """Some of everything: money, holds open, posted, voided and run out, a closed account, a chain, a memo."""
    books = Books(committed_ctx)
    books.open(bank="free", ann="no overdraft", bob="no overdraft", shop="free")
    books.fund("ann", 1_000)
    books.post(a_transfer("hold", "ann", "shop", 300, "pending 60s", memo="a deposit"))
    books.post(a_transfer("post", "-", "-", 120, "post of:hold", currency="", code=0))
    books.post(
        a_transfer("fare 1", "ann", "shop", 30, "linked"),
        a_transfer("fare 2", "shop", "bob", 10),
        a_transfer("too much", "ann", "shop", 10_000),
    )
    books.post(
        a_transfer("kept", "ann", "shop", 7, "pending 1s"), a_transfer("open", "ann", "shop", 9, "pending")
    )
    clock = committed_ctx.clock
    assert isinstance(clock, FixedClock)
    clock.at += timedelta(seconds=5)
    assert ledger.expire_pending(committed_ctx) == 1
    return books


@pytest.fixture
def elsewhere(scratch_server: ScratchServer) -> Generator[Context]:
    """Another, empty database."""
    name = scratch_server.make_migrated()
    context = open_context(scratch_server.url_of(name), clock=FixedClock(NOON))
    try:
        yield context
    finally:
        context.close()
        scratch_server.drop(name)


def lines_of(path: Path) -> list[Line]:
    with gzip.open(path, "rt") as file:
        return [json.loads(line) for line in file]


def write_lines(path: Path, lines: list[Line]) -> None:
    with gzip.open(path, "wt") as file:
        file.writelines(json.dumps(line) + "\n" for line in lines)


def heads(ctx: Context) -> list[ledger.Head]:
    with ctx.tx() as tx:
        return ledger.list_heads(tx)


def test_a_history_read_elsewhere_gives_the_same_books(
    books: Books, elsewhere: Context, tmp_path: Path
) -> None:
    told = ledger.export_history(books.ctx, tmp_path / "books.gz")

    read = ledger.import_history(elsewhere, tmp_path / "books.gz")

    assert read == told
    assert (read.accounts, read.transfers) == (4, 8)
    other = Books(elsewhere, accounts=books.accounts)
    assert other.balances() == books.balances()
    other.verify()
    with books.ctx.tx() as here, elsewhere.tx() as there:
        assert ledger.statement(there, account_id("ann")) == ledger.statement(here, account_id("ann"))
        assert ledger.list_blocks(there) == ledger.list_blocks(here)


def test_books_go_on_where_their_history_ended(books: Books, elsewhere: Context, tmp_path: Path) -> None:
    ledger.export_history(books.ctx, tmp_path / "books.gz")
    ledger.import_history(elsewhere, tmp_path / "books.gz")
    other = Books(elsewhere, accounts=books.accounts)

    codes = other.post(
        a_transfer("fare 2", "shop", "bob", 10),
        a_transfer("end", "-", "-", 0, "void of:open", currency="", code=0),
        a_transfer("again", "-", "-", 0, "void of:kept", currency="", code=0),
    )

    assert codes == ["exists", "created", "pending_transfer_expired"]
    other.verify()


def test_a_history_is_read_into_empty_books_only(books: Books, tmp_path: Path) -> None:
    ledger.export_history(books.ctx, tmp_path / "books.gz")
    before = heads(books.ctx)

    with pytest.raises(PartitionInUse):
        ledger.import_history(books.ctx, tmp_path / "books.gz")

    assert heads(books.ctx) == before


def other_amount(lines: list[Line]) -> None:
    row = bytearray.fromhex(lines[-1]["transfers"][0])
    row[14 + 48 + 15] ^= 1
    lines[-1]["transfers"][0] = row.hex()


def other_time(lines: list[Line]) -> None:
    lines[-1]["block"]["booked_at"] = "2026-11-17T12:00:09+00:00"


def other_salt(lines: list[Line]) -> None:
    lines[-2]["block"]["salt_key"] = "00" * 32


def a_transfer_less(lines: list[Line]) -> None:
    lines[5]["transfers"].pop()


def a_block_less(lines: list[Line]) -> None:
    del lines[6]


def the_last_block_less(lines: list[Line]) -> None:
    del lines[-1]


@pytest.mark.parametrize(
    "change", [other_amount, other_time, other_salt, a_transfer_less, a_block_less, the_last_block_less]
)
def test_a_changed_history_is_refused_and_nothing_of_it_stays(
    books: Books, elsewhere: Context, tmp_path: Path, change: Callable[[list[Line]], None]
) -> None:
    path = tmp_path / "books.gz"
    ledger.export_history(books.ctx, path)
    lines = lines_of(path)
    change(lines)
    write_lines(path, lines)

    with pytest.raises(HistoryBroken):
        ledger.import_history(elsewhere, path)

    assert heads(elsewhere) == []
    with elsewhere.tx() as tx:
        assert ledger.search_accounts(tx) == []


DAMAGES: list[Callable[[bytes], bytes]] = [
    lambda whole: b"",
    lambda whole: b"hello",
    lambda whole: whole[:-9],
    lambda whole: whole[: len(whole) // 2],
    lambda whole: gzip.compress(b'{"format": "another"}\n'),
    lambda whole: gzip.compress(gzip.decompress(whole) + b"{not json}\n"),
    lambda whole: gzip.compress(gzip.decompress(whole).replace(b'"booked_at"', b'"booked"')),
]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_refused_by_name(
    books: Books, elsewhere: Context, tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    path = tmp_path / "books.gz"
    ledger.export_history(books.ctx, path)
    path.write_bytes(damage(path.read_bytes()))

    with pytest.raises(InvalidInput, match=r"books\.gz"):
        ledger.import_history(elsewhere, path)

    assert heads(elsewhere) == []


def test_an_export_that_fails_leaves_no_file(books: Books, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="partition"):
        ledger.export_history(books.ctx, tmp_path / "books.gz", partition=9)

    assert list(tmp_path.iterdir()) == []


def test_a_history_from_a_running_engine_is_whole(books: Books, elsewhere: Context, tmp_path: Path) -> None:
    with ledger.Engine(books.ctx, pace=ledger.Pace(fold_every_s=3_600)):
        books.fund("bob", 77)
        told = ledger.export_history(books.ctx, tmp_path / "books.gz")

    ledger.import_history(elsewhere, tmp_path / "books.gz")

    assert told.transfers == 9
    with elsewhere.tx() as tx:
        assert ledger.get_transfer(tx, transfer_id("fund bob 77")).transfer.amount == 77
    assert Books(elsewhere).post(a_transfer("fund bob 77", "bank", "bob", 77)) == [ResultCode.EXISTS]
