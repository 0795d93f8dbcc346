"""The words of the ride code: scope, trusted keys, the trust list, what a verified code says, why one is refused."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar, Literal, NewType, get_args

from hansa.kernel import HansaError, InvalidInput, Problem

RiderClass = Literal["adult", "child", "senior", "student"]
KeyStatus = Literal["active", "retired", "compromised"]
Reason = NewType("Reason", str)

RIDER_CLASSES: tuple[RiderClass, ...] = get_args(RiderClass)
KEY_STATUSES: tuple[KeyStatus, ...] = get_args(KeyStatus)
PRODUCTS = ("metro", "bus", "tram", "rail", "ferry", "cable_car", "attraction", "parking", "bicycle")
"""What can be paid for by a ride code; the place in this list is the bit in the token, so names are only added."""
MODES = ("metro", "bus", "tram", "rail", "ferry", "cable_car")
"""Vehicles; again by place. A scope without modes allows them all."""

COMPANIONS_MAX = 15
"""How many may ride along on one token."""
CHALLENGE_MAX = 9999
"""The greatest number a gate may show; it shows four digits, `0042` for 42."""

REASONS: dict[str, str] = {
    "malformed": "This is not a Hansa ride code.",
    "unknown_suite": "This gate does not know this kind of code yet. Please use another gate.",
    "not_canonical": "The code is written in a way no Hansa phone writes it.",
    "wrong_header": "The code carries a header that does not belong there.",
    "wrong_length": "A part of the code has the wrong length.",
    "untrusted_issuer": "The card's issuer is not on the league's trust list.",
    "issuer_outside_dates": "The issuer's key is not valid at this time.",
    "product_not_allowed": "This card is not for this kind of ride.",
    "bad_token_signature": "The card was not signed by its issuer.",
    "token_not_yet_valid": "The card's pass is for a later time.",
    "token_expired": "The card's pass has ended. Connect the phone once to renew it.",
    "bad_code_signature": "The code was not made by the phone the card belongs to.",
    "high_s": "The code is an altered copy of another one.",
    "clock_skew": "The code is too old or the phone's clock is wrong. Show a fresh code.",
    "companion_not_allowed": "This card does not pay for a companion.",
    "wrong_challenge": "The code does not answer the digits this gate shows.",
    "wrong_place": "The code was made for another place. Show a fresh code.",
    "revoked": "The card has been blocked by its issuer.",
    "replay": "This code has been used here already. Show a fresh code.",
    "offline_cap": "This gate is without network, and the card has no more rides without it.",
    "trust_list_expired": "The gate's trust list has ended. The gate must connect once.",
}
"""Why a code is refused, and what the rider is told. The keys never change."""


class CodeRefused(HansaError):
    """The code opens no gate; ``reason`` is one of `REASONS`.

    shown: what the code says, where both of its signatures are good and it is refused for something else.
    """

    code: ClassVar[str] = "codes.refused"
    status: ClassVar[int] = 422

    def __init__(self, reason: str, shown: "VerifiedCode | None" = None) -> None:
        assert reason in REASONS, reason
        self.reason = reason
        self.shown = shown
        super().__init__(REASONS[reason])


class TrustListRefused(HansaError):
    """This trust list is not to be used: forged, expired, or older than the one in use."""

    code: ClassVar[str] = "codes.trust_list_refused"
    status: ClassVar[int] = 422


class DenyListRefused(HansaError):
    """This update of the deny list is not to be used: forged, unreadable, or it does not go on from the list in use."""

    code: ClassVar[str] = "codes.deny_list_refused"
    status: ClassVar[int] = 422


class SettingsRefused(HansaError):
    """These settings are not to be used: forged, for another device, or older than those in use."""

    code: ClassVar[str] = "codes.settings_refused"
    status: ClassVar[int] = 422


@dataclass(frozen=True, slots=True)
class Scope:
    """What a ride token lets its holder do.

    products: names of `PRODUCTS`. modes: names of `MODES`, none for all. offline_cap: rides (0 to 255) the issuer
    answers for at a gate that cannot ask whether the token was revoked. companions: how many (0 to 15) may ride along.
    """

    rider_class: RiderClass
    products: tuple[str, ...]
    modes: tuple[str, ...]
    offline_cap: int
    companions: int = 0

    def allows(self, product: str) -> bool:
        """Whether this product may be had; where it is a vehicle's, that vehicle too."""
        return product in self.products and (not self.modes or product not in MODES or product in self.modes)


@dataclass(frozen=True, slots=True)
class TrustedKey:
    """An issuer's key as the league vouches for it: 4-byte id, 32-byte Ed25519 key, dates, products.

    A retired key signs nothing new, but tokens it signed live on until ``not_after``; a compromised one is refused.
    """

    kid: bytes
    issuer_id: str
    public_key: bytes
    not_before: datetime
    not_after: datetime
    products: tuple[str, ...]
    status: KeyStatus


@dataclass(frozen=True, slots=True)
class TrustList:
    """The issuers' keys a gate believes, numbered so that an older list cannot come back.

    list_key: the league's Ed25519 key, 32 bytes, that signs deny lists and settings; None while it signs none.
    """

    version: int
    issued_at: datetime
    expires_at: datetime
    keys: tuple[TrustedKey, ...]
    list_key: bytes | None = None
    by_kid: dict[bytes, TrustedKey] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "by_kid", {key.kid: key for key in self.keys})
        if len(self.by_kid) != len(self.keys):
            raise InvalidInput(
                "A trust list names each key id once.",
                problems=(Problem("keys", "a key id stands there twice", "Give each key an id of its own"),),
            )


@dataclass(frozen=True, slots=True)
class DenyUpdate:
    """Tokens put on the deny list after version ``since`` (0: the whole list), which then has ``version``.

    groups: when they end, on the hour, and their ids, 8 bytes each, ascending. Without groups and with the version
    in use it says that the list was still this one at ``issued_at``.
    """

    version: int
    since: int
    issued_at: datetime
    groups: tuple[tuple[datetime, bytes], ...]

    def tokens(self) -> Iterator[tuple[bytes, datetime]]:
        """Each token's id with its end."""
        for ends_at, ctis in self.groups:
            for at in range(0, len(ctis), 8):
                yield ctis[at : at + 8], ends_at


@dataclass(frozen=True, slots=True)
class Settings:
    """What the league sets from afar on one device. values: JSON."""

    device_id: str
    version: int
    issued_at: datetime
    values: dict[str, Any]


@dataclass(frozen=True, slots=True)
class VerifiedCode:
    """What a code says, once everything in it has been checked."""

    issuer_id: str
    kid: bytes
    cti: bytes
    counter: int
    made_at: datetime
    cell: bytes
    scope: Scope
    token_expires_at: datetime
    companion: int = 0


def bits_of(names: tuple[str, ...], vocabulary: tuple[str, ...], *, where: str) -> int:
    """A set of names as bits by their place. Errors: InvalidInput for a name that is not in the vocabulary."""
    unknown = [name for name in names if name not in vocabulary]
    if unknown:
        raise InvalidInput(
            f"Unknown {where}.",
            problems=tuple(
                Problem(where, f"{name!r} is unknown", f"Choose from {', '.join(vocabulary)}")
                for name in unknown
            ),
        )
    return sum(1 << vocabulary.index(name) for name in set(names))


def names_of(bits: int, vocabulary: tuple[str, ...]) -> tuple[str, ...] | None:
    """The names behind the bits, in the vocabulary's order; None when a bit has no name."""
    if bits >> len(vocabulary):
        return None
    return tuple(name for place, name in enumerate(vocabulary) if bits >> place & 1)
