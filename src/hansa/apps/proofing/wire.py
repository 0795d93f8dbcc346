"""The question to a provider of proofs and its answer as they travel: JSON over HTTP, ``POST /checks``."""

from datetime import date
from typing import Annotated, Literal
from uuid import UUID

import msgspec

from hansa.identity import ProofLevel, Question

BYTES_MAX = 16_384
"""Of an answer; more of it is not read."""

LEVELS: dict[str, ProofLevel] = {"name": ProofLevel.NAME, "document": ProofLevel.DOCUMENT}


class Asked(msgspec.Struct, frozen=True):
    """A question. reference: a UUID; the same question has the same one, and gets the same answer.

    wanted: ``name``, whether name and number belong together; ``document``, whether it is valid until then as well.
    """

    reference: UUID
    name: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    kind: Literal["resident", "passport", "other"]
    country: Annotated[str, msgspec.Meta(max_length=3)]
    number: Annotated[str, msgspec.Meta(min_length=1, max_length=60)]
    wanted: Literal["name", "document"]
    words: Annotated[str, msgspec.Meta(max_length=60)] = ""
    born: date | None = None
    expires: date | None = None


class Answered(msgspec.Struct, frozen=True):
    """An answer. outcome: ``match``, ``no_match``, or ``unavailable`` where nothing is known now; level: of a match."""

    reference: UUID
    outcome: Literal["match", "no_match", "unavailable"]
    level: Literal["name", "document"] | None = None
    reason: Annotated[str, msgspec.Meta(max_length=200)] = ""


def asked(question: Question) -> Asked:
    """A question as it travels."""
    document = question.document
    return Asked(
        question.reference,
        question.name,
        document.kind,
        document.country,
        document.number,
        "document" if question.wanted >= ProofLevel.DOCUMENT else "name",
        document.words,
        document.born,
        document.expires,
    )
