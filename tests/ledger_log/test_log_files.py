"""The log as files: laid out as tlog-tiles says, whole after every interruption, and telling nothing of anybody."""

import os
from pathlib import Path

import pytest

from hansa import ledger
from hansa.store import Context
from hansa.trust import tlog
from ledger_log.log_books import NAME, LogBooks, books_on, transfer, verifier


@pytest.fixture
def books(ctx: Context, tmp_path: Path) -> LogBooks:
    return books_on(ctx, tmp_path).post(3, 200, 400, 11)


def export(books: LogBooks, folder: Path) -> tlog.Checkpoint:
    with books.ctx.tx() as tx:
        return ledger.export_tiles(tx, books.partition, folder, books.signer)


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_the_files_are_those_that_the_specification_names(books: LogBooks, tmp_path: Path) -> None:
    written = export(books, tmp_path / "log")

    files = files_of(tmp_path / "log")
    assert written.size == 614
    assert set(files) == {
        *("checkpoint", "tile/0/000", "tile/0/001", "tile/0/002.p/102", "tile/1/000.p/2"),
        *("tile/entries/000", "tile/entries/001", "tile/entries/002.p/102"),
    }
    with books.ctx.tx() as tx:
        log = ledger.LogReader(tx)
        assert files["tile/0/001"] == log.tile(0, 1, 256)
        assert files["tile/entries/002.p/102"] == log.bundle(2, 102)


def test_a_stranger_sees_from_the_files_that_nothing_was_rewritten(books: LogBooks, tmp_path: Path) -> None:
    (tmp_path / "kept").write_text(str(books.checkpoint()), encoding="utf-8")
    books.post(1, 2_000, 5)
    export(books, tmp_path / "log")

    told = verifier(
        "history", "--tiles", tmp_path / "log", "--old", tmp_path / "kept", "--log-key", str(books.key)
    )

    assert told.returncode == 0, told.stdout + told.stderr
    assert "the first 614 of 2620 entries are the same ones" in told.stdout


def test_a_rewritten_history_is_seen_in_the_files(books: LogBooks, tmp_path: Path) -> None:
    (tmp_path / "kept").write_text(str(books.checkpoint()), encoding="utf-8")
    with books.ctx.tx() as tx:
        tx.execute(
            "update ledger.transfers set amount = 1 where transfer_id = %s", (transfer(300).transfer_id,)
        )
        tree = tlog.Tree()
        nodes = tree.append(ledger.LogReader(tx).entries(0, 614))
        tx.execute("update ledger.blocks set root = %s where number = 4", (tree.root(),))
        for node in nodes:
            tx.execute("update ledger.nodes set hash = %s where index = %s", (node.hash, node.index))
    export(books, tmp_path / "log")

    told = verifier(
        "history", "--tiles", tmp_path / "log", "--old", tmp_path / "kept", "--log-key", str(books.key)
    )

    assert told.returncode == 1
    assert "THE HISTORY WAS REWRITTEN" in told.stdout


def test_again_writes_only_what_is_new(books: LogBooks, tmp_path: Path) -> None:
    folder = tmp_path / "log"
    export(books, folder)
    before = {file: os.stat(file).st_mtime_ns for file in folder.rglob("*") if file.is_file()}
    books.post(300)

    export(books, folder)

    full = [file for file in before if ".p" not in str(file) and file.name != "checkpoint"]
    assert len(full) == 4
    assert all(os.stat(file).st_mtime_ns == before[file] for file in full)
    assert (folder / "tile/0/002").stat().st_size == 8_192


def test_what_a_crash_left_is_made_whole(books: LogBooks, tmp_path: Path) -> None:
    folder = tmp_path / "log"
    export(books, folder)
    whole = files_of(folder)
    (folder / "tile/0/000").write_bytes(b"")
    (folder / "tile/entries/001").unlink()
    (folder / "tile/1/000.p/2").write_bytes(b"half")
    (folder / "checkpoint").unlink()

    export(books, folder)

    assert files_of(folder) == whole


def test_files_of_another_log_or_a_longer_one_are_left_alone(
    ctx: Context, books: LogBooks, tmp_path: Path
) -> None:
    folder = tmp_path / "log"
    export(books, folder)
    root = tlog.Checkpoint.parse(books.checkpoint().text).root
    for note in (
        books.signer.note(0, 614, bytes(32)),
        books.signer.note(0, 615, root),
        ledger.signer_for(books.signer._keys, "oslo.example").note(0, 614, root),
    ):
        (folder / "checkpoint").write_text(str(note), encoding="utf-8")
        kept = files_of(folder)

        with pytest.raises(ledger.LogDiffers):
            export(books, folder)
        assert files_of(folder) == kept


def test_partitions_do_not_share_a_folder(ctx: Context, books: LogBooks, tmp_path: Path) -> None:
    other = LogBooks(ctx, books.signer, partition=3).open()
    other.post(2)
    export(books, tmp_path / "log")

    with pytest.raises(ledger.LogDiffers):
        export(other, tmp_path / "log")
    assert export(other, tmp_path / "log-3").origin == f"{NAME}/ledger/3"


def test_no_file_holds_anything_of_a_row(books: LogBooks, tmp_path: Path) -> None:
    export(books, tmp_path / "log")

    everything = b"".join(files_of(tmp_path / "log").values())

    for number in (0, 300, 613):
        receipt = books.receipt(number)
        row = tlog.decode_row(receipt.row)
        for secret in (receipt.salt, receipt.row, row.transfer_id.bytes, row.credit_account.bytes):
            assert secret not in everything
    assert b"Angel" not in everything
