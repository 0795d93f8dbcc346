"""A witness signs what has only grown, remembers it before it says so, and changes nothing when it refuses."""

import subprocess
import sys
import threading
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from hashlib import sha256
from pathlib import Path

import pytest

from hansa.kernel import FixedClock, HansaError
from hansa.trust import KeyFolder, tlog
from hansa.trust.tlog import (
    BadPolicy,
    BadRequest,
    BadSignature,
    Checkpoint,
    Inconsistent,
    KeyKind,
    Note,
    NotSigned,
    StaleSize,
    UnknownLog,
    VerifierKey,
    Witness,
    WitnessState,
    WitnessTaken,
)
from trust.tlog_books import NOON, ORIGIN, Books, books, key_of, witness_key

NAME = "paris.example/w"
CITY = books(1000)
OTHER = books(1000, salted="another history")
STATE = f"{sha256(ORIGIN.encode()).hexdigest()}.checkpoint"


@contextmanager
def running(folder: Path, *, clock: FixedClock | None = None) -> Generator[Witness]:
    with Witness(
        folder, name=NAME, key=key_of(NAME), logs=[CITY.verifier_key], clock=clock or FixedClock(NOON)
    ) as witness:
        yield witness


@pytest.fixture
def witness(tmp_path: Path) -> Generator[Witness]:
    with running(tmp_path) as each:
        yield each


def asked(old_size: int, new_size: int, *, city: Books = CITY) -> bytes:
    return tlog.add_checkpoint_body(
        old_size, city.consistency(min(old_size, new_size), new_size), city.checkpoint(new_size)
    )


def remembered(witness: Witness) -> str | None:
    note = witness.latest(ORIGIN)
    return None if note is None else str(note)


def files_of(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


@pytest.mark.parametrize("sizes", [[0], [1], [1000], [0, 0, 5], [1, 2, 3, 256, 257, 1000], [7, 7, 7, 8]])
def test_a_log_that_grows_is_signed(witness: Witness, sizes: list[int]) -> None:
    for old, new in zip([0, *sizes], sizes, strict=False):
        line = witness.add_checkpoint(asked(old, new))

        note = CITY.checkpoint(new).with_signatures(tlog.parse_signatures(line))
        signed = note.verify([witness_key(NAME)])
        assert [each.at for each in signed] == [NOON]
        assert remembered(witness) == str(note)


def test_the_request_is_written_as_the_specification_has_it() -> None:
    lines = asked(700, 1000).decode().split("\n")

    assert lines[0] == "old 700"
    at = lines.index("")
    assert {len(line) for line in lines[1:at]} == {44}
    assert lines[at + 1 : at + 3] == [ORIGIN, "1000"]


# what is handed in after 300 entries were signed | what it is refused with
REFUSALS: list[tuple[str, Callable[[], bytes], type[HansaError]]] = [
    ("an older size", lambda: asked(300, 200), BadRequest),
    ("no knowledge of the last size", lambda: asked(0, 1000), StaleSize),
    ("another last size", lambda: asked(200, 1000), StaleSize),
    ("a later last size", lambda: asked(400, 1000), StaleSize),
    ("another history", lambda: asked(300, 1000, city=OTHER), Inconsistent),
    ("another history of the same size", lambda: asked(300, 300, city=OTHER), Inconsistent),
    (
        "no proof",
        lambda: tlog.add_checkpoint_body(300, [], CITY.checkpoint(1000)),
        Inconsistent,
    ),
    (
        "a proof where none is needed",
        lambda: tlog.add_checkpoint_body(300, [bytes(32)], CITY.checkpoint(300)),
        Inconsistent,
    ),
    ("a proof of other sizes", lambda: asked(300, 1000).replace(b"\n1000\n", b"\n1001\n"), BadSignature),
    ("an unknown log", lambda: asked(0, 5, city=Books(5, origin="oslo.example/ledger/0")), UnknownLog),
    (
        "an unknown key of the log",
        lambda: tlog.add_checkpoint_body(
            300,
            CITY.consistency(300, 1000),
            tlog.sign_checkpoint(Checkpoint.parse(CITY.checkpoint(1000).text), key_of("x")),
        ),
        NotSigned,
    ),
    (
        "a false signature beside the true one",
        lambda: asked(300, 1000) + str(tlog.Signature(ORIGIN, CITY.verifier_key.key_id, bytes(64))).encode(),
        BadSignature,
    ),
    ("nothing", lambda: b"", BadRequest),
    ("no old size", lambda: asked(300, 1000).replace(b"old 300\n", b""), BadRequest),
    (
        "an old size with a zero before it",
        lambda: asked(300, 1000).replace(b"old 300", b"old 0300"),
        BadRequest,
    ),
    ("an old size that is none", lambda: asked(300, 1000).replace(b"old 300", b"old -1"), BadRequest),
    ("a capital", lambda: asked(300, 1000).replace(b"old", b"Old"), BadRequest),
    (
        "a proof line that is no hash",
        lambda: asked(300, 1000).replace(b"old 300\n", b"old 300\nAAAA\n"),
        BadRequest,
    ),
    (
        "too many proof lines",
        lambda: tlog.add_checkpoint_body(300, [bytes(32)] * 64, CITY.checkpoint(1000)),
        BadRequest,
    ),
    ("Windows line ends", lambda: asked(300, 1000).replace(b"\n", b"\r\n"), BadRequest),
    ("a note without signatures", lambda: b"\n".join(asked(300, 1000).split(b"\n")[:-2]) + b"\n", BadRequest),
    (
        "no checkpoint",
        lambda: b"old 300\n\ntext\n\n" + str(CITY.checkpoint(5).signatures[0]).encode(),
        BadRequest,
    ),
    ("no text", lambda: b"old 300\n\n\xff", BadRequest),
    ("far too much", lambda: asked(300, 1000) + bytes(tlog.REQUEST_BYTES_MAX), BadRequest),
]


@pytest.mark.parametrize(
    ("body", "error"), [case[1:] for case in REFUSALS], ids=[case[0] for case in REFUSALS]
)
def test_a_refusal_changes_nothing(
    witness: Witness, tmp_path: Path, body: Callable[[], bytes], error: type[HansaError]
) -> None:
    witness.add_checkpoint(asked(0, 300))
    before = files_of(tmp_path)

    with pytest.raises(error) as refused:
        witness.add_checkpoint(body())

    assert type(refused.value) is error
    if isinstance(refused.value, StaleSize):
        assert refused.value.size == 300
    assert {name: data for name, data in files_of(tmp_path).items() if not name.endswith(".fork")} == before
    assert witness.add_checkpoint(asked(300, 1000))


@pytest.mark.parametrize(
    ("old", "proof", "size", "root"),
    [
        (0, [], 0, bytes(32)),
        (0, [bytes(32)], 0, tlog.EMPTY_ROOT),
        (0, [bytes(32)], 5, CITY.root(5)),
    ],
)
def test_the_first_checkpoint_needs_no_proof_and_may_have_none(
    witness: Witness, tmp_path: Path, old: int, proof: list[bytes], size: int, root: bytes
) -> None:
    note = tlog.sign_checkpoint(Checkpoint(ORIGIN, size, root), CITY.key)

    with pytest.raises(Inconsistent):
        witness.add_checkpoint(tlog.add_checkpoint_body(old, proof, note))

    assert list(files_of(tmp_path)) == ["lock"]


def test_two_roots_of_one_size_are_kept_as_evidence(witness: Witness, tmp_path: Path) -> None:
    witness.add_checkpoint(asked(0, 300))

    with pytest.raises(Inconsistent):
        witness.add_checkpoint(asked(300, 300, city=OTHER))

    kept = Note.parse((tmp_path / STATE.replace(".checkpoint", "-300.fork")).read_bytes())
    assert kept == OTHER.checkpoint(300)
    assert kept.verify([CITY.verifier_key])


def test_asking_again_gives_a_signature_again(tmp_path: Path) -> None:
    clock = FixedClock(NOON)
    with running(tmp_path, clock=clock) as witness:
        witness.add_checkpoint(asked(0, 300))
        clock.at += timedelta(hours=1)

        again = tlog.parse_signatures(witness.add_checkpoint(asked(300, 300)))

        signed = Note(CITY.checkpoint(300).text, again).verify([witness_key(NAME)])
        assert signed[0].at == NOON + timedelta(hours=1)


def test_a_witness_remembers_over_a_restart(tmp_path: Path) -> None:
    with running(tmp_path) as witness:
        witness.add_checkpoint(asked(0, 300))

    with running(tmp_path) as witness:
        with pytest.raises(StaleSize):
            witness.add_checkpoint(asked(0, 200, city=OTHER))
        assert witness.add_checkpoint(asked(300, 400))


def test_one_process_at_a_time_is_the_witness(witness: Witness, tmp_path: Path) -> None:
    with pytest.raises(WitnessTaken), running(tmp_path):
        pass

    witness.close()
    with running(tmp_path):
        pass


def test_of_many_at_once_for_the_same_size_one_is_signed(witness: Witness) -> None:
    witness.add_checkpoint(asked(0, 300))
    bodies = [asked(300, size) for size in range(301, 317)]
    start = threading.Barrier(len(bodies))

    def ask(body: bytes) -> str | None:
        start.wait()
        try:
            return witness.add_checkpoint(body)
        except StaleSize:
            return None

    with ThreadPoolExecutor(len(bodies)) as pool:
        lines = [line for line in pool.map(ask, bodies) if line]

    latest = witness.latest(ORIGIN)
    assert len(lines) == 1
    assert latest is not None
    assert str(latest.signatures[-1]) == lines[0]


@pytest.mark.parametrize(
    "spoilt", [b"", b"\x00", b"half a no", str(Books(5, origin="x").checkpoint(5)).encode()]
)
def test_a_witness_that_cannot_remember_signs_nothing(
    witness: Witness, tmp_path: Path, spoilt: bytes
) -> None:
    (tmp_path / STATE).write_bytes(spoilt)

    with pytest.raises(WitnessState):
        witness.add_checkpoint(asked(0, 300))

    assert (tmp_path / STATE).read_bytes() == spoilt


def test_each_log_is_remembered_on_its_own(tmp_path: Path) -> None:
    oslo = Books(50, origin="oslo.example/ledger/0", key="oslo")
    logs = [CITY.verifier_key, oslo.verifier_key, VerifierKey.of(key_of("next year"), ORIGIN)]
    with Witness(tmp_path, name=NAME, key=key_of(NAME), logs=logs, clock=FixedClock(NOON)) as witness:
        witness.add_checkpoint(asked(0, 300))
        witness.add_checkpoint(asked(0, 20, city=oslo))
        witness.add_checkpoint(asked(20, 50, city=oslo))
        by_next_key = tlog.sign_checkpoint(Checkpoint.parse(CITY.checkpoint(400).text), key_of("next year"))
        witness.add_checkpoint(tlog.add_checkpoint_body(300, CITY.consistency(300, 400), by_next_key))

        sizes = [
            Checkpoint.parse(str(witness.latest(origin)).partition("\n\n")[0] + "\n").size
            for origin in witness.origins
        ]
        assert sizes == [400, 50]


def test_a_witness_follows_logs_and_no_witnesses(tmp_path: Path) -> None:
    with pytest.raises(BadPolicy):
        Witness(tmp_path, name=NAME, key=key_of(NAME), logs=[witness_key("x")], clock=FixedClock(NOON))


def test_what_was_signed_is_shown_to_those_who_watch(witness: Witness) -> None:
    stranger = tlog.Signature("stranger", bytes(4), bytes(64))
    origin_hash = sha256(ORIGIN.encode()).hexdigest()
    with pytest.raises(UnknownLog):
        witness.latest_by_hash(origin_hash)

    note = CITY.checkpoint(300).with_signatures([stranger])
    witness.add_checkpoint(tlog.add_checkpoint_body(0, [], note))

    shown = witness.latest_by_hash(origin_hash)
    assert len(shown.verify([CITY.verifier_key, witness_key(NAME)])) == 2
    assert stranger not in shown.signatures
    with pytest.raises(UnknownLog):
        witness.latest_by_hash("0" * 64)


KILLED = """
import os, sys
from pathlib import Path
from hansa.kernel import SystemClock
from hansa.trust import tlog
from hansa.trust.tlog.witness import Witness
from trust.tlog_books import key_of

folder, when, log = sys.argv[1:]
replace, calls = os.replace, []

def die(*names):
    if when == "after":
        replace(*names)
    os._exit(9)

witness = Witness(
    Path(folder), name="paris.example/w", key=key_of("paris.example/w"), logs=[tlog.VerifierKey.parse(log)],
    clock=SystemClock(),
)
os.replace = die
print(witness.add_checkpoint(sys.stdin.buffer.read()))
"""


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_witness_killed_around_its_writing_has_signed_one_history_only(when: str, tmp_path: Path) -> None:
    with running(tmp_path) as witness:
        witness.add_checkpoint(asked(0, 300))

    killed = subprocess.run(
        [sys.executable, "-c", KILLED, tmp_path, when, str(CITY.verifier_key)],
        input=asked(300, 400),
        capture_output=True,
        check=False,
        env={"PYTHONPATH": f"{Path(__file__).parents[2] / 'src'}:{Path(__file__).parents[1]}"},
    )

    assert (killed.returncode, killed.stdout) == (9, b"")
    last = 300 if when == "before" else 400
    with running(tmp_path) as witness:
        with pytest.raises(Inconsistent):
            witness.add_checkpoint(asked(last, 1000, city=OTHER))
        assert witness.add_checkpoint(asked(last, 400))
        assert witness.add_checkpoint(asked(400, 1000))


def test_a_disk_that_does_not_keep_gets_no_signature(
    witness: Witness, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    witness.add_checkpoint(asked(0, 300))
    before = (tmp_path / STATE).read_bytes()

    def full(_: int) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="full"):
        witness.add_checkpoint(asked(300, 400))

    assert (tmp_path / STATE).read_bytes() == before
    monkeypatch.undo()
    assert witness.add_checkpoint(asked(300, 400))


def test_a_city_has_a_key_for_its_log_and_another_as_witness(tmp_path: Path) -> None:
    keys = KeyFolder(tmp_path)

    log, witness = (
        VerifierKey.of(keys.log(), ORIGIN),
        VerifierKey.of(keys.witness(), NAME, KeyKind.COSIGNATURE),
    )

    assert log.public != witness.public
    assert {file.name for file in tmp_path.iterdir()} == {"log.pem", "witness.pem"}
    assert KeyFolder(tmp_path).log().private_bytes_raw() == keys.log().private_bytes_raw()
