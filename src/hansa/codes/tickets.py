"""The ticket code: an entry ticket that a phone shows and an attraction's gate checks, both without network. Pure.

A ticket token is the seller's word that the holder of a phone's key may enter one place, so many times, from one
instant to another. The phone puts the time and a counter beside it and signs, exactly as it does for a ride
(docs/ride-code/tickets.md). A gate that knows only ride codes answers ``unknown_suite`` to the letters ``HRT:``.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, NamedTuple, cast

from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from hansa.codes.base45 import base45_decode, base45_encode
from hansa.codes.cbor import MalformedCbor, NotCanonical, cbor_decode, cbor_encode
from hansa.codes.cose import (
    ALG,
    EDDSA,
    KID,
    check_eddsa,
    check_es256,
    is_high_s,
    read_sign1,
    sign_eddsa,
    sign_es256,
    to_be_signed,
    write_sign1,
)
from hansa.codes.model import RIDER_CLASSES, RiderClass, TrustedKey, TrustList
from hansa.codes.ride import NEWEST, OLDEST, code_payload, code_protected
from hansa.kernel import HansaError, InvalidInput, Problem

PREFIX = "HRT:"
PRODUCT = "attraction"
"""What the seller's key must be listed for."""
TEXT_MAX = 1_500
ENTRIES_MAX = 255
LIFE_MAX = timedelta(days=366)
"""How long before its end a ticket may begin."""

EXP, NBF, CTI, CNF, SCOPE = 4, 5, 7, 8, 9
_MADE_AT, _COUNTER, _CELL = 6, 7, 10

TICKET_REASONS: dict[str, str] = {
    "malformed": "This is no Hansa entry ticket.",
    "trust_list_expired": "The gate's trust list has ended. The gate must connect once.",
    "untrusted_issuer": "The ticket's seller is not on the league's trust list.",
    "issuer_outside_dates": "The seller's key is not valid at this time.",
    "product_not_allowed": "The ticket's seller may not sell entry tickets.",
    "other_seller": "This attraction takes tickets of another seller.",
    "bad_token_signature": "The ticket was not signed by its seller.",
    "bad_code_signature": "The code was not made by the phone that holds the ticket.",
    "clock_skew": "The code is too old or the phone's clock is wrong. Show a fresh code.",
    "other_place": "The ticket is for another attraction.",
    "other_product": "The ticket is for something else here.",
    "too_early": "The ticket is for later.",
    "over": "The ticket's time is over.",
    "revoked": "The ticket was given back, or moved to another phone.",
    "replay": "This code has been used here already. Show a fresh code.",
    "used_up": "All entries of this ticket are used.",
}
"""Why a ticket opens nothing, and what its holder is told. The keys never change."""


class TicketRefused(HansaError):
    """The ticket opens nothing; ``reason`` is one of `TICKET_REASONS`. ticket: what it says, where it is genuine."""

    code: ClassVar[str] = "codes.ticket_refused"
    status: ClassVar[int] = 422

    def __init__(self, reason: str, ticket: "TicketCode | None" = None) -> None:
        assert reason in TICKET_REASONS, reason
        self.reason = reason
        self.ticket = ticket
        super().__init__(TICKET_REASONS[reason])


@dataclass(frozen=True, slots=True)
class TicketScope:
    """What a ticket is for. place: 8 bytes (`ticket_place`). product: 4 bytes. entries: 1 to 255."""

    place: bytes
    product: bytes
    rider_class: RiderClass
    entries: int

    def bytes(self) -> bytes:
        """Its 14 bytes: place, product, class, entries. Errors: InvalidInput."""
        fits = len(self.place) == 8 and len(self.product) == 4 and 1 <= self.entries <= ENTRIES_MAX
        if not fits or self.rider_class not in RIDER_CLASSES:
            problem = Problem(
                "scope", "it does not fit the layout", "8 and 4 bytes, a class, 1 to 255 entries"
            )
            raise InvalidInput("A ticket cannot be made of this.", problems=(problem,))
        kind = RIDER_CLASSES.index(self.rider_class)
        return self.place + self.product + bytes((kind, self.entries))


@dataclass(frozen=True, slots=True)
class TicketCode:
    """What a ticket code says, once both signatures are found good."""

    issuer_id: str
    kid: bytes
    cti: bytes
    counter: int
    made_at: datetime
    begins_at: datetime
    expires_at: datetime
    scope: TicketScope


class _Token(NamedTuple):
    kid: bytes
    claims: bytes
    signature: bytes
    protected: bytes
    begins_s: int
    expires_s: int
    cti: bytes
    point: bytes
    scope: TicketScope


def ticket_place(name: str) -> bytes:
    """The 8 bytes of a place by the name that its seller gives it: the head of its SHA-256."""
    return hashlib.sha256(b"hansa ticket place\0" + name.encode()).digest()[:8]


def make_ticket_token(
    seller_private: Ed25519PrivateKey,
    *,
    kid: bytes,
    cti: bytes,
    begins_at: datetime,
    expires_at: datetime,
    device_key: EllipticCurvePublicKey,
    scope: TicketScope,
) -> bytes:
    """A ticket token, about 164 bytes. kid: 4 bytes; cti: 8 random bytes. Errors: InvalidInput."""
    begins_s, expires_s = int(begins_at.timestamp()), int(expires_at.timestamp())
    if len(kid) != 4 or len(cti) != 8 or not 0 < expires_s - begins_s <= LIFE_MAX.total_seconds():
        problem = Problem("begins_at", "it does not fit the layout", "Begin before the end, within 366 days")
        raise InvalidInput("A ticket cannot be made of this.", problems=(problem,))
    point = device_key.public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
    claims = _claims(begins_s, expires_s, cti, point, scope.bytes())
    return sign_eddsa(seller_private, {KID: kid}, claims)


def make_ticket_code(
    device_private: EllipticCurvePrivateKey, token: bytes, *, made_at: datetime, counter: int
) -> str:
    """The text of a ticket code: ``HRT:`` and base45. counter: greater than in this ticket's last code."""
    payload = code_payload(made_at=made_at, counter=counter, cell=bytes(3))
    protected = code_protected(token)
    signature = sign_es256(device_private, to_be_signed(protected, payload))
    return PREFIX + base45_encode(write_sign1(protected, payload, signature))


def verify_ticket_code(
    text: str,
    trust_list: TrustList,
    *,
    now: datetime,
    place: bytes,
    sellers: frozenset[str],
    denied: Callable[[bytes], bool],
    products: frozenset[bytes] | None = None,
) -> TicketCode:
    """What a ticket code says, if it is to be believed at a gate of ``place`` whose clock shows ``now``.

    sellers: issuers whose tickets count here. products: those that this gate opens for; None for all of the place.
    Replay and used entries are the gate's to know (`hansa.gate.TicketGate`). Errors: TicketRefused alone.
    """
    token_bytes, counter, made_s, signed, signature = _taken_apart(text)
    token = _read_token(token_bytes)
    issuer = _issuer(trust_list, token.kid, now)
    if PRODUCT not in issuer.products:
        raise TicketRefused("product_not_allowed")
    if issuer.issuer_id not in sellers:
        raise TicketRefused("other_seller")
    key = _key(issuer)
    if key is None or not check_eddsa(key, token.signature, to_be_signed(token.protected, token.claims)):
        raise TicketRefused("bad_token_signature")
    device = _device(token.point)
    if is_high_s(signature) or not check_es256(device, signature, signed):
        raise TicketRefused("bad_code_signature")
    ticket = TicketCode(
        issuer.issuer_id,
        token.kid,
        token.cti,
        counter,
        datetime.fromtimestamp(made_s, UTC),
        datetime.fromtimestamp(token.begins_s, UTC),
        datetime.fromtimestamp(token.expires_s, UTC),
        token.scope,
    )
    if not now - OLDEST <= ticket.made_at <= now + NEWEST:
        raise TicketRefused("clock_skew", ticket)
    if token.scope.place != place:
        raise TicketRefused("other_place", ticket)
    if products is not None and token.scope.product not in products:
        raise TicketRefused("other_product", ticket)
    if now < ticket.begins_at:
        raise TicketRefused("too_early", ticket)
    if now >= ticket.expires_at:
        raise TicketRefused("over", ticket)
    if denied(token.cti):
        raise TicketRefused("revoked", ticket)
    return ticket


def _claims(begins_s: int, expires_s: int, cti: bytes, point: bytes, scope: bytes) -> bytes:
    key = {1: 2, -1: 1, -2: point[1:], -3: point[0] == 3}
    return cbor_encode({EXP: expires_s, NBF: begins_s, CTI: cti, CNF: {1: key}, SCOPE: scope})


def _taken_apart(text: str) -> tuple[bytes, int, int, bytes, bytes]:
    """Token, counter, made-at, the bytes that were signed, the signature. Errors: TicketRefused."""
    if not text.startswith(PREFIX) or len(text) > TEXT_MAX:
        raise TicketRefused("malformed")
    try:
        sign1 = read_sign1(base45_decode(text[len(PREFIX) :]))
        said = cbor_decode(sign1.payload)
        made_s, counter = said[_MADE_AT], said[_COUNTER]
        made_at = datetime.fromtimestamp(made_s, UTC)
        whole = code_payload(made_at=made_at, counter=counter, cell=said[_CELL]) == sign1.payload
    except (HansaError, KeyError, TypeError, ValueError, OverflowError, OSError) as fault:
        raise TicketRefused("malformed") from fault
    head = code_protected(b"")
    token = sign1.protected[len(head) :]
    if not whole or sign1.unprotected or len(sign1.signature) != 64 or sign1.protected[: len(head)] != head:
        raise TicketRefused("malformed")
    return token, counter, made_s, to_be_signed(sign1.protected, sign1.payload), sign1.signature


def _read_token(data: bytes) -> _Token:
    """A token in the one layout there is; nothing is believed yet. Errors: TicketRefused."""
    try:
        sign1 = read_sign1(data)
        header = sign1.header()
        claims = cast(dict[Any, Any], cbor_decode(sign1.payload))
        key = claims[CNF][1]
        point = (b"\x03" if key[-3] is True else b"\x02") + key[-2]
        scope = claims[SCOPE]
        read = TicketScope(scope[:8], scope[8:12], RIDER_CLASSES[scope[12]], scope[13])
        begins_s, expires_s, cti, kid = claims[NBF], claims[EXP], claims[CTI], header[KID]
        lasts_s = expires_s - begins_s
        whole = (
            _claims(begins_s, expires_s, cti, point, read.bytes()) == sign1.payload
            and cbor_encode({ALG: EDDSA, KID: kid}) == sign1.protected
            and write_sign1(sign1.protected, sign1.payload, sign1.signature) == data
            and 0 < lasts_s <= LIFE_MAX.total_seconds()
            and begins_s >= 0
            and expires_s <= 0xFFFFFFFF
            and (len(kid), len(cti), len(point), len(sign1.signature)) == (4, 8, 33, 64)
        )
    except (
        MalformedCbor,
        NotCanonical,
        InvalidInput,
        KeyError,
        TypeError,
        IndexError,
        AssertionError,
    ) as fault:
        raise TicketRefused("malformed") from fault
    if not whole:
        raise TicketRefused("malformed")
    return _Token(kid, sign1.payload, sign1.signature, sign1.protected, begins_s, expires_s, cti, point, read)


def _issuer(trust_list: TrustList, kid: bytes, now: datetime) -> TrustedKey:
    if now >= trust_list.expires_at:
        raise TicketRefused("trust_list_expired")
    issuer = trust_list.by_kid.get(kid)
    if issuer is None or issuer.status == "compromised":
        raise TicketRefused("untrusted_issuer")
    if not issuer.not_before <= now < issuer.not_after:
        raise TicketRefused("issuer_outside_dates")
    return issuer


def _key(issuer: TrustedKey) -> Ed25519PublicKey | None:
    try:
        return Ed25519PublicKey.from_public_bytes(issuer.public_key)
    except ValueError:
        return None


def _device(point: bytes) -> EllipticCurvePublicKey:
    try:
        return EllipticCurvePublicKey.from_encoded_point(SECP256R1(), point)
    except ValueError:  # an x with no point on the curve
        raise TicketRefused("malformed") from None
