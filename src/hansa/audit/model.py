"""What an act is, and the seal over it."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Any
from uuid import UUID

from hansa.kernel import InvalidInput, Problem

LEAGUE = "league"
"""The chain of what concerns no single member."""

BEGINNING = bytes(32)
"""What a chain's first seal has for the seal before it."""

REASON_MAX, SUBJECT_MAX, ACTOR_MAX, DETAILS_MAX = 2_000, 300, 200, 16_384
"""Letters of an act's texts, and bytes of its details as JSON."""

_ACTION = re.compile(r"[a-z]+(-[a-z]+)*(\.[a-z]+(-[a-z]+)*)+")
_SPACES = " \t\n\r"


@dataclass(frozen=True, slots=True)
class Act:
    """One thing that somebody did.

    actor: who, as a caller is called (``staff:…``, ``person:…``, ``demo:Ada``). action: ``noun.verb``, such as
    ``tariff.approve``. subject: what it was done to, kind and id (``tariff:london-2026``). reason: in the actor's
    words, may be empty where none is asked for. details: what changed; text, whole numbers, truth values, lists and
    maps of them. chain: the member whose record it is. No personal data in any of it: it can never be taken out.
    Errors: InvalidInput for a reason that is too long.
    """

    actor: str
    action: str
    subject: str
    reason: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)
    chain: str = LEAGUE

    def __post_init__(self) -> None:
        assert _ACTION.fullmatch(self.action), "an action is noun.verb in small letters"
        assert self.actor and self.subject and self.chain, "an act has an actor, a subject and a chain"
        assert len(self.actor) <= ACTOR_MAX and len(self.subject) <= SUBJECT_MAX
        assert len(canonical_json(self.details)) <= DETAILS_MAX
        if len(self.reason) > REASON_MAX or any(char < " " and char not in _SPACES for char in self.reason):
            raise InvalidInput(
                "This reason cannot be kept.",
                problems=(
                    Problem(
                        "reason",
                        "it is too long or has control characters",
                        f"Use at most {REASON_MAX} letters",
                    ),
                ),
            )


@dataclass(frozen=True, slots=True)
class KeptAct:
    """An act as it stands in the record. place: its number in its chain, None until it is sealed, about a second."""

    act_id: UUID
    chain: str
    at: datetime
    actor: str
    action: str
    subject: str
    reason: str
    details: dict[str, Any]
    place: int | None = None
    hash: bytes | None = None


@dataclass(frozen=True, slots=True)
class Head:
    """Where a chain ends: how many acts it has, and the last one's seal."""

    chain: str
    place: int
    hash: bytes


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A head that was signed. note: the signed note (C2SP signed-note) with the chain's name, place and hash."""

    chain: str
    place: int
    signed_at: datetime
    note: str


@dataclass(frozen=True, slots=True)
class Broken:
    """The first place where the record is not what was sealed."""

    chain: str
    place: int
    act_id: UUID | None
    what: str

    def __str__(self) -> str:
        act = f", act {self.act_id}" if self.act_id else ""
        return f"{self.chain}, place {self.place}{act}: {self.what}"


@dataclass(frozen=True, slots=True)
class Checked:
    """What a check of the whole record found. waiting: acts that no seal covers yet. broken: None if all holds."""

    heads: tuple[Head, ...]
    waiting: int
    broken: Broken | None

    @property
    def acts(self) -> int:
        """How many acts the chains have."""
        return sum(head.place for head in self.heads)


def digest_of(act: KeptAct, place: int, previous: bytes) -> bytes:
    """The seal over an act at its place: SHA-256 over all it says, each part behind its length, and the seal before."""
    parts = (
        act.chain,
        str(place),
        act.act_id.hex,
        act.at.isoformat(timespec="microseconds"),
        act.actor,
        act.action,
        act.subject,
        act.reason,
        canonical_json(act.details),
    )
    digest = sha256(b"hansa audit 1\n" + previous)
    for part in parts:
        raw = part.encode()
        digest.update(len(raw).to_bytes(8, "big") + raw)
    return digest.digest()


def canonical_json(value: Mapping[str, Any]) -> str:
    """The one way to write these details; the database gives back the same. None of them may be a float."""
    assert not _has_float(value), "details are whole numbers and text"
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def _has_float(value: object) -> bool:
    if isinstance(value, Mapping):
        return any(map(_has_float, value.values()))  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    if isinstance(value, list | tuple):
        return any(map(_has_float, value))  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    return isinstance(value, float)
