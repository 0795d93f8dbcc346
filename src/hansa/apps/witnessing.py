"""Asking witnesses: others who sign a log's newest checkpoint once they have seen that the log has only grown.

Who is asked stands in the home folder's file ``witnesses``, one a line: an address and the witness's verifier key.
Under which name a city's logs go stands in ``log-name``.
"""

import logging
import time
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread
from typing import ClassVar, Protocol

from hansa import ledger
from hansa.kernel import Clock, HansaError
from hansa.store import Context
from hansa.trust import KeyFolder, tlog
from hansa.trust.tlog import Note, StaleSize, VerifierKey, Witness

log = logging.getLogger("hansa.witnessing")

DEFAULT_NAME = "hansa.example"
"""What a city's logs are called until it says otherwise; fine for a demonstration, and for nothing else."""

IN_THIS_HOUSE = "folder:"
"""An address that is no address: a witness kept in a folder of this very home. It proves nothing to strangers."""

TIMEOUT_S = 2.0
PAUSE_MAX_S = 60.0


class BadWitnessFile(HansaError):
    """A line of the file of witnesses is not an address and a verifier key."""

    code: ClassVar[str] = "witness.bad_file"
    status: ClassVar[int] = 422


@dataclass(frozen=True, slots=True)
class WitnessLine:
    """A witness to be asked: where, and the key that its signatures must verify with."""

    where: str
    key: VerifierKey


class Door(Protocol):
    """Where a witness is asked. Errors of ``ask``: StaleSize, and any other HansaError when it does not sign."""

    @property
    def key(self) -> VerifierKey: ...

    def ask(self, old_size: int, proof: Sequence[bytes], checkpoint: Note) -> str:
        """Its signature's line."""
        ...


@dataclass(frozen=True, slots=True)
class HttpDoor:
    """A witness elsewhere."""

    url: str
    key: VerifierKey
    timeout_s: float = TIMEOUT_S

    def ask(self, old_size: int, proof: Sequence[bytes], checkpoint: Note) -> str:
        from hansa.apps.witness import ask_witness

        return ask_witness(self.url, old_size, proof, checkpoint, key=self.key, timeout_s=self.timeout_s)


@dataclass(frozen=True, slots=True)
class HouseDoor:
    """A witness in this process."""

    witness: Witness

    @property
    def key(self) -> VerifierKey:
        return self.witness.verifier_key

    def ask(self, old_size: int, proof: Sequence[bytes], checkpoint: Note) -> str:
        return self.witness.add_checkpoint(tlog.add_checkpoint_body(old_size, proof, checkpoint))


@dataclass(frozen=True, slots=True)
class Answer:
    """What a witness said of a log's checkpoint. words: why it did not sign; empty when it did."""

    partition: int
    witness: str
    size: int
    words: str = ""


def log_signer(home: Path) -> ledger.Signer:
    """Who signs this home's checkpoints: the key in ``keys``, under the name in ``log-name``.

    Choose the name before the first transfer, and keep it: under another name it is another log.
    """
    file = home / "log-name"
    name = file.read_text(encoding="utf-8").strip() if file.exists() else DEFAULT_NAME
    return ledger.signer_for(KeyFolder(home / "keys"), name)


def read_witnesses(home: Path) -> list[WitnessLine]:
    """The witnesses of this home; empty lines and lines that begin with # count for nothing.

    Errors: BadWitnessFile.
    """
    file = home / "witnesses"
    if not file.exists():
        return []
    found: list[WitnessLine] = []
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        try:
            where, key = words
            found.append(WitnessLine(where, VerifierKey.parse(key)))
        except (ValueError, tlog.BadVerifierKey) as error:
            raise BadWitnessFile(
                f"{file}, line {number}: write the witness's address, a space, and its verifier key."
            ) from error
    return found


@contextmanager
def doors_of(
    home: Path,
    lines: Sequence[WitnessLine],
    signer: ledger.Signer,
    *,
    partitions: Sequence[int],
    clock: Clock,
    timeout_s: float = TIMEOUT_S,
) -> Generator[list[Door]]:
    """The doors of these witnesses; one in this house is left out while another process keeps it."""
    with ExitStack() as stack:
        doors: list[Door] = []
        for line in lines:
            if not line.where.startswith(IN_THIS_HOUSE):
                doors.append(HttpDoor(line.where, line.key, timeout_s))
                continue
            folder = home / line.where.removeprefix(IN_THIS_HOUSE)
            try:
                witness = Witness(
                    folder,
                    name=line.key.name,
                    key=KeyFolder(folder / "keys").witness(),
                    logs=[signer.verifier_key(partition) for partition in partitions],
                    clock=clock,
                )
            except tlog.WitnessTaken:
                continue
            doors.append(HouseDoor(stack.enter_context(witness)))
        yield doors


def ask_witnesses(ctx: Context, signer: ledger.Signer, doors: Sequence[Door]) -> list[Answer]:
    """Have the newest checkpoint of each log signed by those who have not signed it yet; gives what they said.

    All are asked for the same checkpoint, since a quorum counts only under one. No transaction is open while a witness
    is waited for. Asking again is harmless.
    """
    answers: list[Answer] = []
    with ctx.tx() as tx:
        sizes = {head.partition: head.size for head in ledger.list_heads(tx) if head.size}
    for partition, size in sizes.items():
        with ctx.tx() as tx:
            books = ledger.LogReader(tx, partition)
            signed = {one.witness: one.size for one in books.cosignatures()}
            late = [door for door in doors if signed.get(door.key.name) != size]
            note = signer.note(partition, size, books.root(size)) if late else None
        if note is not None:
            answers += [
                _ask(ctx, partition, door, note, old=signed.get(door.key.name, 0), size=size) for door in late
            ]
    return answers


def _ask(ctx: Context, partition: int, door: Door, note: Note, *, old: int, size: int) -> Answer:
    try:
        try:
            line = _ask_from(ctx, partition, door, note, old=old, size=size)
        except StaleSize as stale:
            line = _ask_from(ctx, partition, door, note, old=stale.size, size=size)
        with ctx.tx() as tx:
            whole = note.with_signatures(tlog.parse_signatures(line))
            ledger.keep_cosignature(tx, partition, whole, door.key)
    except HansaError as error:
        log.warning("The witness %s did not sign %s entries: %s", door.key.name, size, error.detail)
        return Answer(partition, door.key.name, size, error.detail)
    return Answer(partition, door.key.name, size)


def _ask_from(ctx: Context, partition: int, door: Door, note: Note, *, old: int, size: int) -> str:
    """Ask with a proof from the size that the witness signed last."""
    if old > size:
        raise ledger.LogDiffers(
            f"The witness has signed {old} entries, these books hold {size}. Were they put back from an older copy?"
        )
    with ctx.tx() as tx:
        proof = ledger.LogReader(tx, partition).consistency(old, size)
    return door.ask(old, proof, note)


class Witnessing:
    """Asks this home's witnesses every few seconds, in a thread of its own, so that nothing waits for them.

    A witness that does not answer is asked less and less often, up to once a minute. Use it in a ``with``.
    """

    def __init__(
        self, ctx: Context, home: Path, *, every_s: float = 3.0, timeout_s: float = TIMEOUT_S
    ) -> None:
        self._ctx, self._home, self._every_s, self._timeout_s = ctx, home, every_s, timeout_s
        self._signer = log_signer(home)
        self._answers: dict[tuple[int, str], Answer] = {}
        self._refusals: dict[str, int] = {}
        self._not_before: dict[str, float] = {}
        self._stopped = Event()
        self._thread = Thread(target=self._run, name="hansa-witnessing", daemon=True)

    def __enter__(self) -> "Witnessing":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()

    def answer_of(self, partition: int, witness: str) -> Answer | None:
        """What the witness said last, or None when it was not asked yet."""
        return self._answers.get((partition, witness))

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                self._ask_until_the_file_changes()
            except HansaError as error:
                log.warning("%s: %s", error.code, error.detail)
            except Exception:  # a fault of ours must not end the witnessing for good
                log.exception("Asking witnesses failed; it is tried again.")
            self._stopped.wait(self._every_s)

    def _ask_until_the_file_changes(self) -> None:
        lines = read_witnesses(self._home)
        with doors_of(
            self._home,
            lines,
            self._signer,
            partitions=sorted(set(self._ctx.directory.partitions)),
            clock=self._ctx.clock,
            timeout_s=self._timeout_s,
        ) as doors:
            while not self._stopped.is_set() and lines == read_witnesses(self._home):
                self._ask(doors)
                self._stopped.wait(self._every_s)

    def _ask(self, doors: Sequence[Door]) -> None:
        now = time.monotonic()
        due = [door for door in doors if self._not_before.get(door.key.name, 0) <= now]
        for answer in ask_witnesses(self._ctx, self._signer, due):
            self._answers[answer.partition, answer.witness] = answer
            refusals = self._refusals.get(answer.witness, 0) + 1 if answer.words else 0
            self._refusals[answer.witness] = refusals
            pause_s = min(PAUSE_MAX_S, self._every_s * 2**refusals) if refusals else 0
            self._not_before[answer.witness] = time.monotonic() + pause_s
