"""The one way to write down what is approved: JSON in canonical form (RFC 8785), and back again. Pure.

Of JSON only what can be written in one way alone is used: no fractions, no numbers past 2^53. The bytes are what a page
shows and what a passkey signs, so that the two cannot differ.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, ClassVar, cast
from uuid import UUID

from hansa.approval.model import Spend
from hansa.kernel import HansaError, Money, UnknownCurrency

FORM = "hansa approval 1"
"""The first member of what is signed: a signature over it is good for nothing else."""

BYTES_MAX = 16_384
WHOLE_MAX = 2**53 - 1
DEPTH_MAX = 8
ABOUT_MAX = 500

Value = str | int | bool | None | list["Value"] | dict[str, "Value"]


class NotCanonical(HansaError):
    """These bytes are not the canonical form of anything that could be approved."""

    code: ClassVar[str] = "approval.not_canonical"
    status: ClassVar[int] = 422
    remedy: ClassVar[str] = "Write it as docs/approval.md says: RFC 8785, whole numbers only."


@dataclass(frozen=True, slots=True)
class Subject:
    """What is to be approved. kind: ``payment``, ``transfer``, ``mandate`` …; canonical: its bytes."""

    kind: str
    subject_id: UUID
    canonical: bytes

    @property
    def shown(self) -> "Shown":
        """What those bytes say, for a page."""
        return read_subject(self.canonical)


@dataclass(frozen=True, slots=True)
class Shown:
    """What a page shows of a subject, read from its bytes alone. details: more lines, in order of their names."""

    kind: str
    subject_id: UUID
    account_id: UUID
    amount: Money | None
    payee_key: str
    payee_name: str
    about: str
    asked_at: datetime
    details: Mapping[str, str]


def write_canonical(value: Mapping[str, Value]) -> bytes:
    """The canonical bytes of a JSON object. Errors: NotCanonical for what has no such form."""
    _check(cast(Value, value), 0)
    # Python writes control characters, quotes and backslashes as RFC 8785 section 3.2.2.2 asks, and no spaces.
    text = json.dumps(_sorted(cast(Value, value)), ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    try:
        found = text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise NotCanonical("It holds half a character.") from error
    if len(found) > BYTES_MAX:
        raise NotCanonical(f"It has {len(found):,} bytes; {BYTES_MAX:,} are the most.")
    return found


def read_canonical(octets: bytes) -> dict[str, Any]:
    """The JSON object of these bytes, if they are its canonical form. Errors: NotCanonical."""
    if len(octets) > BYTES_MAX:
        raise NotCanonical(f"It has {len(octets):,} bytes; {BYTES_MAX:,} are the most.")
    try:
        value = json.loads(octets.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise NotCanonical("It is no JSON.") from error
    if not isinstance(value, dict) or write_canonical(cast(dict[str, Value], value)) != octets:
        raise NotCanonical
    return cast(dict[str, Any], value)


def challenge_of(canonical: bytes) -> bytes:
    """What a passkey is asked to sign: SHA-256 of the bytes."""
    return hashlib.sha256(canonical).digest()


def subject_for(
    spend: Spend,
    *,
    kind: str,
    subject_id: UUID,
    asked_at: datetime,
    about: str = "",
    details: Mapping[str, str] | None = None,
) -> Subject:
    """A spend as it is shown and signed. about: what it is for. details: what else the payer should read.

    asked_at: goes into the bytes, so it must be the same each time the same subject is worked out.
    """
    more: dict[str, Value] = {}
    if spend.by is not None:
        more["spent_by"] = str(spend.by)
    return Subject(
        kind,
        subject_id,
        write_canonical(
            {
                "form": FORM,
                "kind": kind,
                "id": str(subject_id),
                "account": str(spend.account_id),
                "amount": {"currency": spend.amount.currency, "minor": spend.amount.minor},
                "payee": {"key": spend.payee_key, "name": spend.payee_name},
                "channel": spend.channel.value,
                "about": about[:ABOUT_MAX],
                "asked_at": instant_text(asked_at),
                "details": dict(details or {}),
                **more,
            }
        ),
    )


def agreed_by(canonical: bytes, person_id: UUID) -> bytes:
    """What a second person signs: the same, and that they agree to it."""
    return write_canonical(read_canonical(canonical) | {"agreed_by": str(person_id)})


def read_subject(canonical: bytes) -> Shown:
    """What canonical bytes say. Errors: NotCanonical when a part is missing or of another kind."""
    value = read_canonical(canonical)
    try:
        if value["form"] != FORM:
            raise NotCanonical("It is of another form.")
        amount = value.get("amount")
        payee = value["payee"]
        details = value["details"]
        return Shown(
            kind=str(value["kind"]),
            subject_id=UUID(value["id"]),
            account_id=UUID(value["account"]),
            amount=None if amount is None else _amount(amount),
            payee_key=str(payee["key"]),
            payee_name=str(payee["name"]),
            about=str(value["about"]),
            asked_at=datetime.fromisoformat(value["asked_at"]),
            details={str(name): str(text) for name, text in details.items()},
        )
    except (KeyError, TypeError, ValueError, AttributeError, UnknownCurrency) as error:
        raise NotCanonical("A part of it is missing or of another kind.") from error


def instant_text(at: datetime) -> str:
    """An instant as canonical bytes have it: ``2026-11-17T12:00:00.000000Z``."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _amount(said: Mapping[str, Any]) -> Money:
    minor = said["minor"]
    if not isinstance(minor, int) or isinstance(minor, bool):
        raise NotCanonical("An amount is no whole number.")
    return Money(minor, said["currency"])


def _sorted(value: Value) -> Value:
    """The same, with members in order of their names by UTF-16 code units (RFC 8785 section 3.2.3)."""
    if isinstance(value, dict):
        return {name: _sorted(value[name]) for name in sorted(value, key=_utf16)}
    if isinstance(value, list):
        return [_sorted(one) for one in value]
    return value


def _utf16(name: str) -> bytes:
    return name.encode("utf-16-be", "surrogatepass")


def _check(value: Value, depth: int) -> None:
    if depth > DEPTH_MAX:
        raise NotCanonical("It is nested too deep.")
    if isinstance(value, dict):
        for name, one in value.items():
            if not isinstance(name, str):  # pyright: ignore[reportUnnecessaryIsInstance]
                raise NotCanonical("A member has no name.")
            _check(one, depth + 1)
    elif isinstance(value, list):
        for one in value:
            _check(one, depth + 1)
    elif isinstance(value, int) and not isinstance(value, bool):
        if not -WHOLE_MAX <= value <= WHOLE_MAX:
            raise NotCanonical(f"{value} is past what every JSON reader keeps exactly.")
    elif not (value is None or isinstance(value, str | bool)):
        raise NotCanonical("It holds a number that is not whole.")
