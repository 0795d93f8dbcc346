"""A witness: someone who signs a log's checkpoint only after seeing that the log has done nothing but grow.

For each log it follows, a witness remembers the latest checkpoint it signed. It signs the next one only with proof
that it continues that one, and writes it down, safely on disk, before the signature leaves its hands. So nobody can
get its signature under two histories, not even by pulling its plug. Protocol: tlog-witness.
"""

import base64
import fcntl
import os
import threading
from collections.abc import Iterable, Sequence
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hansa.kernel import Clock, HansaError
from hansa.trust.tlog.errors import BadCheckpoint, BadNote, BadPolicy, NotConsistent
from hansa.trust.tlog.merkle import EMPTY_ROOT, verify_consistency
from hansa.trust.tlog.notes import (
    Checkpoint,
    KeyKind,
    Note,
    VerifierKey,
    cosign,
    parse_hash,
    parse_number,
)

PROOF_LINES_MAX = 63
REQUEST_BYTES_MAX = 2**18
"""Far more than a proof of 63 lines and sixteen large signatures need."""


class BadRequest(HansaError):
    """This is no request to add a checkpoint."""

    code: ClassVar[str] = "trust.witness_bad_request"
    status: ClassVar[int] = 400


class UnknownLog(HansaError):
    """This witness does not follow a log of this name, or has signed nothing of it yet."""

    code: ClassVar[str] = "trust.witness_unknown_log"
    status: ClassVar[int] = 404


class StaleSize(HansaError):
    """The witness signed another size last; it wants a proof from there."""

    code: ClassVar[str] = "trust.witness_stale_size"
    status: ClassVar[int] = 409

    def __init__(self, size: int) -> None:
        super().__init__(f"The witness last signed this log at {size} entries. Send a proof from there.")
        self.size = size


class Inconsistent(HansaError):
    """The checkpoint was not shown to continue what the witness signed last."""

    code: ClassVar[str] = "trust.witness_inconsistent"
    status: ClassVar[int] = 422


class WitnessTaken(HansaError):
    """Another process runs this witness. Two that did not know of each other could sign two histories."""

    code: ClassVar[str] = "trust.witness_taken"
    status: ClassVar[int] = 409


class WitnessState(HansaError):
    """What the witness remembers cannot be read, and it signs nothing of this log until it can."""

    code: ClassVar[str] = "trust.witness_state"
    status: ClassVar[int] = 500


def add_checkpoint_body(old_size: int, proof: Sequence[bytes], checkpoint: Note) -> bytes:
    """The request by which a log asks a witness to sign."""
    lines = [f"old {old_size}", *(base64.b64encode(node).decode() for node in proof)]
    return ("\n".join(lines) + f"\n\n{checkpoint}").encode()


class Witness:
    """One witness, with what it remembers in a folder. Use it as a context manager, or close it.

    name: under which it signs; a name without scheme, such as ``utsunomiya.example/witness``.
    logs: the keys of the logs it follows. The name of a key is the log's origin; a log may have several keys.
    Errors: WitnessTaken while another process holds the folder; BadPolicy for a witness's key among the logs' keys;
    BadVerifierKey for a name no key can have.
    """

    def __init__(
        self,
        folder: Path,
        *,
        name: str,
        key: Ed25519PrivateKey,
        logs: Iterable[VerifierKey],
        clock: Clock,
    ) -> None:
        self.verifier_key = VerifierKey.of(key, name, KeyKind.COSIGNATURE)
        self._key = key
        self._clock = clock
        self._folder = folder
        self._logs: dict[str, list[VerifierKey]] = {}
        for log in logs:
            if log.kind != KeyKind.ED25519:
                raise BadPolicy(f"The key of {log.name} is a witness's; a log signs with a key of type 1.")
            self._logs.setdefault(log.name, []).append(log)
        self._one_at_a_time = {origin: threading.Lock() for origin in self._logs}
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(self._lock)
            raise WitnessTaken(
                f"Another process runs the witness of {folder}. Stop it, or choose another folder."
            ) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let another process run this witness."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    @property
    def origins(self) -> tuple[str, ...]:
        """The logs this witness follows."""
        return tuple(self._logs)

    def latest(self, origin: str) -> Note | None:
        """The checkpoint of this log that the witness signed last, with both signatures; None before the first.

        Errors: WitnessState.
        """
        try:
            data = self._file(origin).read_bytes()
        except FileNotFoundError:
            return None
        try:
            note = Note.parse(data)
            checkpoint = Checkpoint.parse(note.text)
        except HansaError as error:
            raise WitnessState(
                f"What is remembered of {origin} is damaged: {self._file(origin).name}."
            ) from error
        if checkpoint.origin != origin:
            raise WitnessState(f"{self._file(origin).name} is of {checkpoint.origin}, not of {origin}.")
        return note

    def latest_by_hash(self, origin_hash: str) -> Note:
        """The same for those who watch logs, who ask by the SHA-256 of the log's name. Errors: UnknownLog."""
        for origin in self._logs:
            if _hash_of(origin) == origin_hash and (note := self.latest(origin)) is not None:
                return note
        raise UnknownLog

    def add_checkpoint(self, body: bytes) -> str:
        """Sign the checkpoint that a log hands in; gives the signature's line.

        Errors, in the order in which they are looked for: BadRequest; UnknownLog; NotSigned and BadSignature;
        StaleSize; Inconsistent. After each of them the witness remembers what it did before.
        """
        old_size, proof, note, checkpoint = _parse_request(body)
        keys = self._logs.get(checkpoint.origin)
        if keys is None:
            raise UnknownLog(f"This witness does not follow {checkpoint.origin}.")
        signed = note.verify(keys)
        if old_size > checkpoint.size:
            raise BadRequest(f"A log of {checkpoint.size} entries cannot continue one of {old_size}.")
        with self._one_at_a_time[checkpoint.origin]:
            latest = self.latest(checkpoint.origin)
            before = (
                Checkpoint(checkpoint.origin, 0, EMPTY_ROOT)
                if latest is None
                else Checkpoint.parse(latest.text)
            )
            if old_size != before.size:
                raise StaleSize(before.size)
            try:
                verify_consistency(before.size, before.root, checkpoint.size, checkpoint.root, proof)
            except NotConsistent as error:
                if before.size == checkpoint.size and latest is not None and before.root != checkpoint.root:
                    self._keep_evidence(note)
                raise Inconsistent(error.detail) from error
            cosignature = cosign(note.text, name=self.verifier_key.name, key=self._key, at=self._clock.now())
            known = Note(note.text, (*(each.signature for each in signed), cosignature))
            self._write(self._file(checkpoint.origin), known)
        return str(cosignature)

    def _file(self, origin: str) -> Path:
        return self._folder / f"{_hash_of(origin)}.checkpoint"

    def _keep_evidence(self, note: Note) -> None:
        """A log signed two roots for one size: that convicts it, so the second is kept beside the first."""
        checkpoint = Checkpoint.parse(note.text)
        file = self._folder / f"{_hash_of(checkpoint.origin)}-{checkpoint.size}.fork"
        if not file.exists():
            self._write(file, note)

    def _write(self, file: Path, note: Note) -> None:
        """Put the note in its file so that a crash leaves the old one or the new one, and the new one for good."""
        assert self._lock >= 0, "a closed witness signs nothing"
        draft = file.with_suffix(".draft")
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb") as out:
            out.write(str(note).encode())
            out.flush()
            os.fsync(out.fileno())
        os.replace(draft, file)
        folder = os.open(self._folder, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _hash_of(origin: str) -> str:
    return sha256(origin.encode()).hexdigest()


def _parse_request(body: bytes) -> tuple[int, list[bytes], Note, Checkpoint]:
    if len(body) > REQUEST_BYTES_MAX:
        raise BadRequest(f"A request has at most {REQUEST_BYTES_MAX} bytes.")
    try:
        head, empty_line, rest = body.decode().partition("\n\n")
    except UnicodeDecodeError as error:
        raise BadRequest("A request is text in UTF-8.") from error
    first, *lines = head.split("\n")
    if not empty_line or not first.startswith("old "):
        raise BadRequest(
            "A request has a line with the old size, the proof, an empty line, and the checkpoint."
        )
    if len(lines) > PROOF_LINES_MAX:
        raise BadRequest(f"A proof has at most {PROOF_LINES_MAX} lines.")
    old_size = parse_number(first.removeprefix("old "), BadRequest)
    proof = [parse_hash(line, BadRequest) for line in lines]
    try:
        note = Note.parse(rest)
        return old_size, proof, note, Checkpoint.parse(note.text)
    except (BadNote, BadCheckpoint) as error:
        raise BadRequest(error.detail) from error
