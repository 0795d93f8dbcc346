"""What tests of personal data share: secrets that can be rotated, and a provider that says what it is told."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from uuid import UUID

from hansa import identity
from hansa.identity import Answer, Match, Question, Sealer
from hansa.store.secrets import Secret


class Rotating:
    """A secret of which tests make further versions, or throw old ones away."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.versions = {1: secrets.token_bytes(32)}

    def __call__(self) -> Secret:
        return Secret(self.name, dict(self.versions), where="a test")

    def rotate(self) -> None:
        self.versions[max(self.versions) + 1] = secrets.token_bytes(32)


@dataclass
class Keys:
    """The two secrets, and a sealer that reads them."""

    wrapping: Rotating = field(default_factory=lambda: Rotating("personal-data"))
    lookups: Rotating = field(default_factory=lambda: Rotating("personal-lookups"))

    def sealer(self) -> Sealer:
        return Sealer(self.wrapping, self.lookups)


@dataclass
class Register:
    """A provider that answers by a rule and remembers what it was asked."""

    rule: Callable[[Question], Answer] = lambda question: Match(
        identity.ProofLevel(question.wanted), b'{"outcome":"match"}'
    )
    name: str = "register"
    asked: list[UUID] = field(default_factory=list[UUID])

    def check(self, question: Question) -> Answer:
        self.asked.append(question.reference)
        return self.rule(question)


def resident(order: int, *, born: date = date(1990, 3, 7)) -> str:
    """A resident identity number of nobody in particular. order: 0 to 999; odd is male."""
    digits = f"110101{born:%Y%m%d}{order:03}"
    return digits + identity.resident_check(digits)


def card(order: int = 1, *, born: date = date(1990, 3, 7), expires: str = "") -> identity.Presented:
    """A resident identity card, with its day of expiry where that shall be checked too."""
    form = identity.DocumentForm("resident", number=resident(order, born=born), expires=expires)
    return identity.read_document(form, today=date(2026, 11, 17))
