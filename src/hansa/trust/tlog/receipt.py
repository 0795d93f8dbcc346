"""Proof that an entry is in a log, fit to be kept and checked offline: tlog-proof, and a rider's receipt around it.

A proof holds a checkpoint with its signatures and the path from the entry to the checkpoint's root. Who checks it
brings a policy: whose logs to believe, and how many of which witnesses must have signed. A receipt adds what the
entry was made from, so that a person can read what was proven.
"""

import base64
import json
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any, Self

from hansa.trust.tlog.errors import (
    BadPolicy,
    BadProof,
    BadReceipt,
    NotSigned,
    QuorumMissed,
)
from hansa.trust.tlog.merkle import leaf_hash, verify_inclusion
from hansa.trust.tlog.notes import (
    Checkpoint,
    KeyKind,
    Note,
    VerifierKey,
    decode_base64,
    parse_hash,
    parse_number,
)
from hansa.trust.tlog.standalone import hansa_verify
from hansa.trust.tlog.standalone.hansa_verify import Row, decode_row, readable_row

PROOF_TYPE_LINE = "c2sp.org/tlog-proof@v1"
PROOF_HASHES_MAX = 63
RECEIPT_VERSION = 1
SALT_BYTES = 16


@dataclass(frozen=True, slots=True)
class Policy:
    """When a checkpoint is believed: signed by one of the logs, and by at least ``quorum`` of the witnesses.

    Errors: BadPolicy when a key is named twice, a log's key signs cosignatures or a witness's does not, or the quorum
    is more than there are witnesses.
    """

    logs: tuple[VerifierKey, ...]
    witnesses: tuple[VerifierKey, ...] = ()
    quorum: int = 0

    def __post_init__(self) -> None:
        if any(key.kind != KeyKind.ED25519 for key in self.logs):
            raise BadPolicy("A log signs with a key of type 1.")
        if any(key.kind != KeyKind.COSIGNATURE for key in self.witnesses):
            raise BadPolicy("A witness signs with a key of type 4.")
        for keys in (self.logs, self.witnesses):
            if len({key.public for key in keys}) != len(keys):
                raise BadPolicy("A key is named twice; under another name it is still the same signer.")
        if {key.public for key in self.logs} & {key.public for key in self.witnesses}:
            raise BadPolicy("A log is no witness to itself.")
        if not 0 <= self.quorum <= len(self.witnesses):
            raise BadPolicy(f"{self.quorum} of {len(self.witnesses)} witnesses cannot sign.")


@dataclass(frozen=True, slots=True)
class Witnessed:
    """A witness that signed, and when it says it did."""

    name: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Proven:
    """What a proof has shown: the log's state in which the entry stands, and the witnesses that saw this state."""

    checkpoint: Checkpoint
    index: int
    witnessed: tuple[Witnessed, ...]


@dataclass(frozen=True, slots=True)
class Proof:
    """An entry's place in a log, the path to the root, and the signed checkpoint of that root.

    extra: bytes for whoever makes up the entry again; nobody has signed them.
    """

    index: int
    path: tuple[bytes, ...]
    checkpoint: Note
    extra: bytes | None = None

    def __str__(self) -> str:
        lines = [PROOF_TYPE_LINE]
        if self.extra:
            lines.append(f"extra {base64.b64encode(self.extra).decode()}")
        lines.append(f"index {self.index}")
        lines += [base64.b64encode(node).decode() for node in self.path]
        return "\n".join(lines) + f"\n\n{self.checkpoint}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """A proof as it came; it has shown nothing yet. Errors: BadProof, BadNote."""
        head, empty_line, note = text.partition("\n\n")
        first, *lines = head.split("\n")
        if first != PROOF_TYPE_LINE or not empty_line:
            raise BadProof(
                f"A proof begins with the line {PROOF_TYPE_LINE} and has an empty line before its note."
            )
        extra = None
        if lines and lines[0].startswith("extra "):
            extra = decode_base64(lines.pop(0).removeprefix("extra "))
            if not extra:
                raise BadProof("The extra data are base64, and left out where there are none.")
        if not lines or not lines[0].startswith("index "):
            raise BadProof("A proof names the index of its entry.")
        index = parse_number(lines[0].removeprefix("index "), BadProof)
        if len(lines) - 1 > PROOF_HASHES_MAX:
            raise BadProof(f"A path has at most {PROOF_HASHES_MAX} steps.")
        path = tuple(parse_hash(line, BadProof) for line in lines[1:])
        return cls(index, path, Note.parse(note), extra)

    def verify(self, entry: bytes, policy: Policy) -> Proven:
        """Go on only if the policy's logs and witnesses vouch for a tree that has this entry in this place.

        Errors: BadCheckpoint; NotSigned by a log of this name; BadSignature; QuorumMissed; NotIncluded.
        """
        checkpoint, witnessed = verify_checkpoint(self.checkpoint, policy)
        verify_inclusion(leaf_hash(entry), self.index, checkpoint.size, self.path, checkpoint.root)
        return Proven(checkpoint, self.index, witnessed)


def verify_checkpoint(note: Note, policy: Policy) -> tuple[Checkpoint, tuple[Witnessed, ...]]:
    """The checkpoint and its witnesses, if the policy believes it.

    A log's key counts for checkpoints of the log's own name only. Errors: as ``Proof.verify``.
    """
    checkpoint = Checkpoint.parse(note.text)
    note.verify(key for key in policy.logs if key.name == checkpoint.origin)
    try:
        signed = note.verify(policy.witnesses)
    except NotSigned:
        signed = ()
    if len(signed) < policy.quorum:
        raise QuorumMissed(
            f"{len(signed)} witnesses signed this checkpoint; the policy asks for {policy.quorum}."
        )
    witnessed = tuple(Witnessed(each.key.name, each.at) for each in signed if each.at is not None)
    return checkpoint, witnessed


def entry_of(salt: bytes, row: bytes) -> bytes:
    """The log's entry of a transfer: what a row and its salt are known by, and which tells nothing of the row."""
    assert len(salt) == SALT_BYTES, "a salt has 16 bytes"
    return sha256(salt + row).digest()


@dataclass(frozen=True, slots=True)
class Receipt:
    """A transfer as its rider keeps it: the row, the salt that hides it from others, and the proof of its entry."""

    origin: str
    partition: int
    index: int
    salt: bytes
    row: bytes
    proof: Proof

    def __str__(self) -> str:
        return json.dumps(self.to_json(), ensure_ascii=False, indent=2)

    def to_json(self) -> dict[str, Any]:
        """The receipt as JSON tells it. Errors: BadReceipt when the row is none."""
        return {
            "version": RECEIPT_VERSION,
            "origin": self.origin,
            "partition": self.partition,
            "index": self.index,
            "salt": self.salt.hex(),
            "row": self.row.hex(),
            "transfer": readable_row(_decode(self.row)),
            "proof": str(self.proof),
        }

    @classmethod
    def parse(cls, text: str | bytes) -> Self:
        """A receipt as it came, if its parts agree with each other. Errors: BadReceipt, BadProof, BadNote."""
        try:
            told = hansa_verify.read_receipt(text)
        except hansa_verify.Unproven as error:
            raise BadReceipt(str(error)) from error
        return cls(told.origin, told.partition, told.index, told.salt, told.row, Proof.parse(told.proof))


def _decode(row: bytes) -> Row:
    try:
        return decode_row(row)
    except hansa_verify.Unproven as error:
        raise BadReceipt(str(error)) from error
