"""Witnesses asked by the books they follow, over real HTTP: they sign growth, and nothing else."""

import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import pytest
import uvicorn

from hansa import ledger
from hansa.apps.web import listen
from hansa.apps.witness import witness_asgi
from hansa.apps.witnessing import (
    Answer,
    BadWitnessFile,
    HttpDoor,
    Witnessing,
    ask_witnesses,
    doors_of,
    log_signer,
    read_witnesses,
)
from hansa.kernel import FixedClock
from hansa.store import Context
from hansa.trust import KeyFolder, tlog
from hansa.trust.tlog import KeyKind, VerifierKey, Witness
from ledger_log.log_books import LogBooks, books_on, verify
from scratch import NOON
from trust.tlog_books import key_of, witness_key

PARIS = "paris.example/w"


@contextmanager
def serving(witness: Witness) -> Generator[str]:
    """The witness on a port of this machine; its address."""
    listening = listen("127.0.0.1", 0)
    server = uvicorn.Server(uvicorn.Config(witness_asgi(witness), log_level="warning"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(timeout=60)
        listening.close()


@contextmanager
def paris(folder: Path, key: VerifierKey) -> Generator[HttpDoor]:
    """A witness in Paris that follows this log."""
    with (
        Witness(folder, name=PARIS, key=key_of(PARIS), logs=[key], clock=FixedClock(NOON)) as witness,
        serving(witness) as url,
    ):
        yield HttpDoor(url, witness_key(PARIS))


@pytest.fixture
def books(ctx: Context, tmp_path: Path) -> LogBooks:
    return books_on(ctx, tmp_path).post(3, 300)


def cosigned(books: LogBooks) -> list[tuple[str, int]]:
    with books.ctx.tx() as tx:
        return [(one.witness, one.size) for one in ledger.LogReader(tx).cosignatures()]


def test_a_witness_signs_the_growing_log_and_receipts_carry_it(books: LogBooks, tmp_path: Path) -> None:
    with paris(tmp_path / "w", books.key) as door:
        assert ask_witnesses(books.ctx, books.signer, [door]) == [Answer(0, PARIS, 303)]
        assert ask_witnesses(books.ctx, books.signer, [door]) == []  # it has signed this one
        books.post(400)
        assert ask_witnesses(books.ctx, books.signer, [door]) == [Answer(0, PARIS, 703)]

    assert cosigned(books) == [(PARIS, 703)]
    proven = verify(books.receipt(700), books.key, [witness_key(PARIS)])
    assert [(one.name, one.at) for one in proven.witnessed] == [(PARIS, NOON)]


def test_a_log_that_forgot_what_it_was_given_is_told_the_size(books: LogBooks, tmp_path: Path) -> None:
    with paris(tmp_path / "w", books.key) as door:
        ask_witnesses(books.ctx, books.signer, [door])
        with books.ctx.tx() as tx:
            tx.execute("delete from ledger.cosignatures")
        books.post(5)

        assert ask_witnesses(books.ctx, books.signer, [door]) == [Answer(0, PARIS, 308)]


def test_a_rewritten_history_gets_no_signature(books: LogBooks, tmp_path: Path) -> None:
    with paris(tmp_path / "w", books.key) as door:
        ask_witnesses(books.ctx, books.signer, [door])
        with books.ctx.tx() as tx:
            tx.execute("update ledger.blocks set salt_key = sha256(salt_key)")
            tx.execute("delete from ledger.nodes")
            rewritten = tlog.Tree()
            for node in rewritten.append(ledger.LogReader(tx).entries(0, 303)):
                tx.execute(
                    "insert into ledger.nodes values (0, %s, %s, %s)", (node.level, node.index, node.hash)
                )
            peaks = b"".join(rewritten.peaks)
            tx.execute("update ledger.heads set peaks = %s", (peaks,))
        books.post(9)

        (answer,) = ask_witnesses(books.ctx, books.signer, [door])

    assert "422" in answer.words
    assert cosigned(books) == [(PARIS, 303)]


def test_books_put_back_from_an_older_copy_are_told_so(books: LogBooks, tmp_path: Path) -> None:
    with paris(tmp_path / "w", books.key) as door:
        longer = books.signer.note(0, 400, bytes(32))
        door.ask(0, [], longer)

        (answer,) = ask_witnesses(books.ctx, books.signer, [door])

    assert "put back from an older copy" in answer.words
    assert cosigned(books) == []


def test_a_silent_witness_costs_no_other_its_signature(books: LogBooks, tmp_path: Path) -> None:
    silent = HttpDoor("http://127.0.0.1:9", witness_key("oslo.example/w"), timeout_s=0.5)
    with paris(tmp_path / "w", books.key) as door:
        said = ask_witnesses(books.ctx, books.signer, [silent, door])

    assert [bool(answer.words) for answer in said] == [True, False]
    assert cosigned(books) == [(PARIS, 303)]


def test_two_witnesses_sign_the_very_same_checkpoint(books: LogBooks, tmp_path: Path) -> None:
    """A quorum counts under one checkpoint only, however fast the log grows meanwhile."""

    class Growing:
        key = witness_key(PARIS)

        def __init__(self, door: HttpDoor) -> None:
            self.door = door

        def ask(self, old_size: int, proof: "list[bytes]", checkpoint: tlog.Note) -> str:
            books.post(2)
            return self.door.ask(old_size, proof, checkpoint)

    oslo = Witness(
        tmp_path / "o",
        name="oslo.example/w",
        key=key_of("oslo.example/w"),
        logs=[books.key],
        clock=FixedClock(NOON),
    )
    with paris(tmp_path / "w", books.key) as door, oslo, serving(oslo) as url:
        doors = [Growing(door), HttpDoor(url, witness_key("oslo.example/w"))]
        ask_witnesses(books.ctx, books.signer, doors)  # pyright: ignore[reportArgumentType]

    assert cosigned(books) == [("oslo.example/w", 303), (PARIS, 303)]


def wait_for(what: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not what():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.05)


def test_witnesses_of_the_home_are_asked_in_the_background(committed_ctx: Context, tmp_path: Path) -> None:
    books = books_on(committed_ctx, tmp_path).post(7)
    (tmp_path / "log-name").write_text("london.example\n")
    assert str(log_signer(tmp_path).verifier_key(0)) == str(books.key)
    with (
        Witnessing(committed_ctx, tmp_path, every_s=0.05, timeout_s=1) as witnessing,
        paris(tmp_path / "w", books.key) as door,
    ):
        (tmp_path / "witnesses").write_text(f"# ours\n\n{door.url} {door.key}\n")  # added while it runs
        wait_for(lambda: cosigned(books) == [(PARIS, 7)])
        books.post(2)
        wait_for(lambda: cosigned(books) == [(PARIS, 9)])

        assert witnessing.answer_of(0, PARIS) == Answer(0, PARIS, 9)
        assert witnessing.answer_of(0, "nobody") is None


def test_a_witness_in_the_house_needs_no_address(books: LogBooks, tmp_path: Path) -> None:
    key = VerifierKey.of(
        KeyFolder(tmp_path / "city" / "keys").witness(), "city.example/w", KeyKind.COSIGNATURE
    )
    (tmp_path / "witnesses").write_text(f"folder:city {key}\n")
    lines = read_witnesses(tmp_path)

    with doors_of(tmp_path, lines, books.signer, partitions=[0], clock=FixedClock(NOON)) as doors:
        assert [answer.words for answer in ask_witnesses(books.ctx, books.signer, doors)] == [""]
        with doors_of(tmp_path, lines, books.signer, partitions=[0], clock=FixedClock(NOON)) as taken:
            assert taken == []  # another process would keep it: nobody signs for it twice

    assert cosigned(books) == [("city.example/w", 303)]


@pytest.mark.parametrize(
    "line", ["http://a.example", "http://a.example key", f"{witness_key(PARIS)}", "a b c"]
)
def test_a_line_that_names_no_witness_is_told_with_its_number(tmp_path: Path, line: str) -> None:
    (tmp_path / "witnesses").write_text(f"# first\n{line}\n")

    with pytest.raises(BadWitnessFile, match="line 2"):
        read_witnesses(tmp_path)
