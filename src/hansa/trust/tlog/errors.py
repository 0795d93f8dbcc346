"""What can be wrong with a log, a note, a checkpoint or a proof, each by its name."""

from typing import ClassVar

from hansa.kernel import HansaError


class BadTree(HansaError):
    """These hashes cannot be a tree of this size."""

    code: ClassVar[str] = "trust.bad_tree"
    status: ClassVar[int] = 422


class OutsideTree(HansaError):
    """The tree has no such entry, or was never of such a size."""

    code: ClassVar[str] = "trust.outside_tree"
    status: ClassVar[int] = 404


class BadTile(HansaError):
    """A tile or a bundle of entries has not the bytes that its place asks for."""

    code: ClassVar[str] = "trust.bad_tile"
    status: ClassVar[int] = 422


class NotIncluded(HansaError):
    """The proof does not lead from this entry to this root."""

    code: ClassVar[str] = "trust.not_included"
    status: ClassVar[int] = 422


class NotConsistent(HansaError):
    """The proof does not show that the later tree begins with the earlier one."""

    code: ClassVar[str] = "trust.not_consistent"
    status: ClassVar[int] = 422


class BadVerifierKey(HansaError):
    """This text is no verifier key of a kind we know."""

    code: ClassVar[str] = "trust.bad_verifier_key"
    status: ClassVar[int] = 422


class BadNote(HansaError):
    """This text is no signed note."""

    code: ClassVar[str] = "trust.bad_note"
    status: ClassVar[int] = 400


class BadCheckpoint(HansaError):
    """This note does not say the size and root of a log."""

    code: ClassVar[str] = "trust.bad_checkpoint"
    status: ClassVar[int] = 400


class BadSignature(HansaError):
    """A signature that bears the name of a key we trust was not made by it."""

    code: ClassVar[str] = "trust.bad_signature"
    status: ClassVar[int] = 403


class NotSigned(HansaError):
    """No key that we trust has signed this."""

    code: ClassVar[str] = "trust.not_signed"
    status: ClassVar[int] = 403


class QuorumMissed(HansaError):
    """Fewer witnesses than the policy asks for have signed this checkpoint."""

    code: ClassVar[str] = "trust.quorum_missed"
    status: ClassVar[int] = 422


class BadPolicy(HansaError):
    """This policy cannot be kept: a key is named twice, or the quorum is more than there are witnesses."""

    code: ClassVar[str] = "trust.bad_policy"
    status: ClassVar[int] = 422


class BadProof(HansaError):
    """This text is no proof of an entry in a log."""

    code: ClassVar[str] = "trust.bad_proof"
    status: ClassVar[int] = 422


class BadReceipt(HansaError):
    """This receipt does not agree with itself, or is none."""

    code: ClassVar[str] = "trust.bad_receipt"
    status: ClassVar[int] = 422
