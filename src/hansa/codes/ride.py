"""HRC-1, the ride code: made by a phone without network, verified by a gate without network.

There is one layout of bytes (docs/ride-code), and one function writes each part of it. A reader takes the fields
from their places and writes them again: whatever differs in a single bit from what would be written is refused.
No decoder runs on a stranger's bytes to accept them; a strict one runs only to name the reason of a refusal.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, NamedTuple, cast

from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from hansa.codes.base45 import base45_decode, base45_encode
from hansa.codes.cbor import MalformedCbor, NotCanonical, cbor_decode
from hansa.codes.cose import ALG, EDDSA, ES256, KCWT, KID, check_eddsa, check_es256, is_high_s, sign_es256
from hansa.codes.model import (
    CHALLENGE_MAX,
    COMPANIONS_MAX,
    MODES,
    PRODUCTS,
    RIDER_CLASSES,
    CodeRefused,
    Scope,
    TrustedKey,
    TrustList,
    VerifiedCode,
    bits_of,
    names_of,
)
from hansa.codes.places import NO_PLACE, are_near
from hansa.codes.tokens import TokenCache, VerifiedToken
from hansa.kernel import InvalidInput, Problem

PREFIX = "HR1:"
_ANOTHER_SUITE = re.compile(r"HR[0-9A-Z]:")
TOKEN_LENGTH = 149
CODE_LENGTH_MAX = 246
TOKEN_LIFE = timedelta(hours=24)
OLDEST = timedelta(seconds=20)
"""How long before the gate's clock a code may have been made."""
NEWEST = timedelta(seconds=30)
"""How far ahead of the gate's clock a code may have been made: the phone's clock runs fast."""
_TEXT_READ_MAX = 1500  # longer texts are not even decoded

# The fixed bytes of the layout. A comment gives the CBOR they are.
_TOKEN_HEAD = bytes.fromhex("8449a201270444")  # [ h'{1: -8, 4: h'
_CLAIMS_HEAD = bytes.fromhex("a05845a4041a")  # ', {}, h'{4:
_CTI_HEAD = bytes.fromhex("0748")  # , 7: h'
_KEY_HEAD = bytes.fromhex("08a101a401022001215820")  # ', 8: {1: {1: 2, -1: 1, -2: h'
_SIGN_HEAD = b"\x22"  # ', -3:
_SCOPE_HEAD = bytes.fromhex("0945")  # }}, 9: h'
_SIGNATURE_HEAD = b"\x58\x40"  # '}', h'
_CODE_HEAD = bytes.fromhex("845899a201260d")  # [ h'{1: -7, 13:
_MADE_HEAD = bytes.fromhex("061a")  # {6:
_COUNTER_HEAD = b"\x07"  # , 7:
_COMPANION_HEAD = b"\x08"  # , 8:
_CELL_HEAD = bytes.fromhex("0a43")  # , 10: h'
_CHALLENGE_HEAD = b"\x0b"  # , 11:
_PAYLOAD_MAX = 22
_SIG_CONTEXT = b"\x84\x6aSignature1"

_SECONDS_MAX = 0xFFFFFFFF
_SECONDS_MIN = 0x10000


# -- writing ----------------------------------------------------------------------------------------------------


def make_token(
    issuer_private: Ed25519PrivateKey,
    *,
    kid: bytes,
    cti: bytes,
    expires_at: datetime,
    device_key: EllipticCurvePublicKey,
    scope: Scope,
) -> bytes:
    """A ride token: the issuer's word that the holder of ``device_key`` may ride as ``scope`` says.

    kid: 4 bytes. cti: 8 random bytes, new for each token. expires_at: whole seconds count, at most 24 h ahead.
    Errors: InvalidInput.
    """
    _require(len(kid) == 4, "kid", "4 bytes")
    _require(len(cti) == 8, "cti", "8 bytes")
    point = device_key.public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
    _require(len(point) == 33, "device_key", "a key on P-256")
    claims = _claims(cti, _seconds(expires_at, "expires_at"), point, scope_bytes(scope))
    return _token(kid, claims, issuer_private.sign(_token_to_be_signed(kid, claims)))


def make_code(
    device_private: EllipticCurvePrivateKey,
    token: bytes,
    *,
    made_at: datetime,
    counter: int,
    cell: bytes = NO_PLACE,
    companion: int = 0,
    challenge: int | None = None,
) -> str:
    """The text of a ride code: ``HR1:...``, in characters of QR's alphanumeric mode, 364 at most, 373 with everything.

    counter: 0 to 65,535, greater than in the phone's last code of this token and companion. cell: 3 bytes, where the
    phone is (`codes.place_cell`). companion: 0 for the holder, 1 to 15 for who rides along. challenge: the digits
    that the gate shows. Errors: InvalidInput.
    """
    _require(len(token) == TOKEN_LENGTH, "token", f"{TOKEN_LENGTH} bytes")
    payload = code_payload(
        made_at=made_at, counter=counter, cell=cell, companion=companion, challenge=challenge
    )
    return code_text(token, payload, sign_es256(device_private, code_to_be_signed(token, payload)))


def code_payload(
    *, made_at: datetime, counter: int, cell: bytes, companion: int = 0, challenge: int | None = None
) -> bytes:
    """What the phone signs beside its token: {6: made-at, 7: counter, ? 8: companion, 10: cell, ? 11: challenge}.

    Errors: InvalidInput.
    """
    _require(0 <= counter <= 0xFFFF, "counter", "0 to 65,535")
    _require(len(cell) == 3, "cell", "3 bytes")
    _require(0 <= companion <= COMPANIONS_MAX, "companion", f"0 to {COMPANIONS_MAX}")
    _require(challenge is None or 0 <= challenge <= CHALLENGE_MAX, "challenge", f"0 to {CHALLENGE_MAX:,}")
    return _payload(Ride(_seconds(made_at, "made_at"), counter, companion, cell, challenge))


def code_protected(token: bytes) -> bytes:
    """The code's protected header: {1: -7, 13: token}."""
    return _CODE_HEAD[3:] + token


def code_to_be_signed(token: bytes, payload: bytes) -> bytes:
    """The bytes the phone's key signs (Sig_structure of RFC 9052)."""
    return _SIG_CONTEXT + _CODE_HEAD[1:] + token + b"\x40" + bytes((0x40 | len(payload),)) + payload


def code_text(token: bytes, payload: bytes, signature: bytes) -> str:
    """The text of a code from its signed parts. signature: r || s, 64 bytes, low s."""
    return PREFIX + base45_encode(_code(token, payload, signature))


def scope_bytes(scope: Scope) -> bytes:
    """A scope's 5 bytes: companions and class (4 bits each), products (2), modes, offline cap. Errors: InvalidInput."""
    _require(scope.rider_class in RIDER_CLASSES, "rider_class", ", ".join(RIDER_CLASSES))
    _require(0 <= scope.offline_cap <= 255, "offline_cap", "0 to 255")
    _require(0 <= scope.companions <= COMPANIONS_MAX, "companions", f"0 to {COMPANIONS_MAX}")
    return bytes(
        (
            scope.companions << 4 | RIDER_CLASSES.index(scope.rider_class),
            *bits_of(scope.products, PRODUCTS, where="products").to_bytes(2, "big"),
            bits_of(scope.modes, MODES, where="modes"),
            scope.offline_cap,
        )
    )


def _claims(cti: bytes, expires_s: int, point: bytes, scope: bytes) -> bytes:
    return b"".join(
        (
            expires_s.to_bytes(4, "big"),
            _CTI_HEAD,
            cti,
            _KEY_HEAD,
            point[1:],
            _SIGN_HEAD,
            b"\xf5" if point[0] == 3 else b"\xf4",
            _SCOPE_HEAD,
            scope,
        )
    )


def _token(kid: bytes, claims: bytes, signature: bytes) -> bytes:
    return _TOKEN_HEAD + kid + _CLAIMS_HEAD + claims + _SIGNATURE_HEAD + signature


def _token_to_be_signed(kid: bytes, claims: bytes) -> bytes:
    return _SIG_CONTEXT + _TOKEN_HEAD[1:] + kid + b"\x40" + _CLAIMS_HEAD[1:] + claims


class Ride(NamedTuple):
    """What the phone says of this ride: its payload."""

    made_s: int
    counter: int
    companion: int
    cell: bytes
    challenge: int | None


def _payload(ride: Ride) -> bytes:
    with_companion, with_challenge = ride.companion > 0, ride.challenge is not None
    return b"".join(
        (
            bytes((0xA3 + with_companion + with_challenge,)),
            _MADE_HEAD,
            ride.made_s.to_bytes(4, "big"),
            _COUNTER_HEAD,
            _uint16(ride.counter),
            _COMPANION_HEAD + bytes((ride.companion,)) if with_companion else b"",
            _CELL_HEAD,
            ride.cell,
            _CHALLENGE_HEAD + _uint16(ride.challenge) if ride.challenge is not None else b"",
        )
    )


def _code(token: bytes, payload: bytes, signature: bytes) -> bytes:
    return b"".join(
        (_CODE_HEAD, token, b"\xa0", bytes((0x40 | len(payload),)), payload, _SIGNATURE_HEAD, signature)
    )


def _uint16(number: int) -> bytes:
    if number < 24:
        return bytes((number,))
    return bytes((0x18, number)) if number < 256 else b"\x19" + number.to_bytes(2, "big")


def _seconds(instant: datetime, where: str) -> int:
    _require(instant.tzinfo is not None, where, "an instant with its offset from UTC")
    seconds = int(instant.timestamp())
    _require(_SECONDS_MIN <= seconds <= _SECONDS_MAX, where, "between 1970 and 2106")
    return seconds


def _require(holds: bool, where: str, wanted: str) -> None:
    if not holds:
        raise InvalidInput(
            "A ride code cannot be made of this.",
            problems=(Problem(where, "it does not fit the layout", f"It takes {wanted}"),),
        )


# -- reading ----------------------------------------------------------------------------------------------------


class CodeParts(NamedTuple):
    """A code taken apart, before anything in it is believed."""

    token: bytes
    payload: bytes
    signature: bytes
    ride: Ride


class _TokenParts(NamedTuple):
    kid: bytes
    claims: bytes
    signature: bytes
    expires_s: int
    cti: bytes
    point: bytes
    scope: bytes


def read_code(text: str) -> CodeParts:
    """The fields of a code in the one layout there is; nothing is believed yet. Errors: CodeRefused."""
    if not text.startswith(PREFIX):
        raise CodeRefused("unknown_suite" if _ANOTHER_SUITE.match(text) else "malformed")
    if len(text) > _TEXT_READ_MAX:
        raise CodeRefused("wrong_length")
    try:
        data = base45_decode(text[len(PREFIX) :])
    except InvalidInput:
        raise CodeRefused("malformed") from None
    token, payload, signature = data[7 : 7 + TOKEN_LENGTH], data[158:-66], data[-64:]
    ride = _read_payload(payload)
    if ride is None or _code(token, payload, signature) != data:
        raise CodeRefused(_fault(data) or "malformed")
    return CodeParts(token, payload, signature, ride)


def _read_payload(payload: bytes) -> Ride | None:
    if len(payload) > _PAYLOAD_MAX:
        return None
    companion, challenge = 0, None
    counter, at = _read_uint16(payload, 8)
    if payload[at : at + 1] == _COMPANION_HEAD:
        companion, at = int.from_bytes(payload[at + 1 : at + 2], "big"), at + 2
    cell, at = payload[at + 2 : at + 5], at + 5
    if at < len(payload):
        challenge, at = _read_uint16(payload, at + 1)
    ride = Ride(int.from_bytes(payload[3:7], "big"), counter, companion, cell, challenge)
    in_range = (
        ride.made_s >= _SECONDS_MIN
        and companion <= COMPANIONS_MAX
        and (challenge is None or challenge <= CHALLENGE_MAX)
    )
    return ride if in_range and _payload(ride) == payload else None


def _read_uint16(data: bytes, at: int) -> tuple[int, int]:
    size = {b"\x18": 1, b"\x19": 2}.get(data[at : at + 1])
    if size is None:
        return int.from_bytes(data[at : at + 1], "big"), at + 1
    return int.from_bytes(data[at + 1 : at + 1 + size], "big"), at + 1 + size


def _read_token(token: bytes) -> _TokenParts | None:
    claims = token[17:83]
    parts = _TokenParts(
        kid=token[7:11],
        claims=claims,
        signature=token[85:],
        expires_s=int.from_bytes(claims[:4], "big"),
        cti=claims[6:14],
        point=(b"\x03" if claims[58:59] == b"\xf5" else b"\x02") + claims[25:57],
        scope=claims[61:66],
    )
    if (
        parts.expires_s < _SECONDS_MIN
        or _claims(parts.cti, parts.expires_s, parts.point, parts.scope) != claims
    ):
        return None
    return parts if _token(parts.kid, claims, parts.signature) == token else None


def verify_code(
    text: str,
    trust_list: TrustList,
    *,
    now: datetime,
    product: str,
    denied: Callable[[bytes], bool],
    challenge: int | None = None,
    place: bytes = NO_PLACE,
    tokens: TokenCache | None = None,
) -> VerifiedCode:
    """What the code says, if it is to be believed at a gate for ``product`` whose clock shows ``now``.

    denied: whether a token id is on the deny list. challenge: the digits that the gate shows, None when it shows
    none. place: the cell the gate stands in. tokens: tokens whose signature was found good before; trust, dates and
    products are looked up anew each time. Replay and the offline cap are the gate's to know (`hansa.gate`).
    Errors: CodeRefused, always with one of `REASONS`; no text raises anything else.
    """
    code = read_code(text)
    ride = code.ride
    token = tokens.get(code.token) if tokens is not None else None
    fresh = token is None
    if token is None:
        parts = _read_token(code.token)
        if parts is None:
            raise CodeRefused(_fault(base45_decode(text[len(PREFIX) :])) or "malformed")
        issuer = _issuer(trust_list, parts.kid, now)
        token = _verify_token(parts, issuer)
    else:
        issuer = _issuer(trust_list, token.kid, now)
        if issuer.public_key != token.issuer_key:
            raise CodeRefused("bad_token_signature")
    if fresh and tokens is not None:
        tokens.put(code.token, token)
    if now >= token.expires_at:
        raise CodeRefused("token_expired")
    if token.expires_at - now > TOKEN_LIFE + NEWEST:
        raise CodeRefused("token_not_yet_valid")
    if product not in issuer.products or not token.scope.allows(product):
        raise CodeRefused("product_not_allowed")
    if is_high_s(code.signature):
        raise CodeRefused("high_s")
    if not check_es256(token.device_key, code.signature, code_to_be_signed(code.token, code.payload)):
        raise CodeRefused("bad_code_signature")
    made_at = datetime.fromtimestamp(ride.made_s, UTC)
    shown = VerifiedCode(
        issuer_id=issuer.issuer_id,
        kid=token.kid,
        cti=token.cti,
        counter=ride.counter,
        companion=ride.companion,
        made_at=made_at,
        cell=ride.cell,
        scope=token.scope,
        token_expires_at=token.expires_at,
    )
    if not now - OLDEST <= made_at <= now + NEWEST:
        raise CodeRefused("clock_skew", shown)
    if ride.companion > token.scope.companions:
        raise CodeRefused("companion_not_allowed", shown)
    if ride.challenge != challenge:
        raise CodeRefused("wrong_challenge", shown)
    if not are_near(ride.cell, place):
        raise CodeRefused("wrong_place", shown)
    if denied(token.cti):
        raise CodeRefused("revoked", shown)
    return shown


def verify_token(data: bytes, trust_list: TrustList, *, now: datetime) -> VerifiedToken:
    """What a ride token says, if its issuer is to be believed at ``now``: for other codes that carry one.

    data: 149 bytes. Products, revocation and the code around it are the caller's to check.
    Errors: CodeRefused with ``malformed``, ``trust_list_expired``, ``untrusted_issuer``, ``issuer_outside_dates``,
    ``bad_token_signature``, ``token_expired``, ``token_not_yet_valid``.
    """
    parts = _read_token(data) if len(data) == TOKEN_LENGTH else None
    if parts is None:
        raise CodeRefused("malformed")
    token = _verify_token(parts, _issuer(trust_list, parts.kid, now))
    if now >= token.expires_at:
        raise CodeRefused("token_expired")
    if token.expires_at - now > TOKEN_LIFE + NEWEST:
        raise CodeRefused("token_not_yet_valid")
    return token


def _issuer(trust_list: TrustList, kid: bytes, now: datetime) -> TrustedKey:
    if now >= trust_list.expires_at:
        raise CodeRefused("trust_list_expired")
    issuer = trust_list.by_kid.get(kid)
    if issuer is None or issuer.status == "compromised":
        raise CodeRefused("untrusted_issuer")
    if not issuer.not_before <= now < issuer.not_after:
        raise CodeRefused("issuer_outside_dates")
    return issuer


def _verify_token(parts: _TokenParts, issuer: TrustedKey) -> VerifiedToken:
    key = _issuer_key(issuer.public_key)
    if key is None or not check_eddsa(key, parts.signature, _token_to_be_signed(parts.kid, parts.claims)):
        raise CodeRefused("bad_token_signature")
    scope = _scope(parts.scope)
    if scope is None:
        raise CodeRefused("malformed")
    try:
        device_key = EllipticCurvePublicKey.from_encoded_point(SECP256R1(), parts.point)
    except ValueError:  # an x with no point on the curve
        raise CodeRefused("malformed") from None
    return VerifiedToken(
        kid=parts.kid,
        issuer_key=issuer.public_key,
        cti=parts.cti,
        expires_at=datetime.fromtimestamp(parts.expires_s, UTC),
        device_key=device_key,
        scope=scope,
    )


@lru_cache(maxsize=4096)
def _issuer_key(public_key: bytes) -> Ed25519PublicKey | None:
    try:
        return Ed25519PublicKey.from_public_bytes(public_key)
    except ValueError:
        return None


@lru_cache(maxsize=4096)
def _scope(data: bytes) -> Scope | None:
    products = names_of(int.from_bytes(data[1:3], "big"), PRODUCTS)
    modes = names_of(data[3], MODES)
    companions, rider_class = data[0] >> 4, data[0] & 0x0F
    if rider_class >= len(RIDER_CLASSES) or products is None or modes is None:
        return None
    return Scope(RIDER_CLASSES[rider_class], products, modes, offline_cap=data[4], companions=companions)


# -- naming the fault of a code that is not in the layout ---------------------------------------------


def _fault(data: bytes) -> str | None:
    """The first fault of bytes that are not in the layout, in the order of docs/ride-code/verifying.md.

    None for bytes that have no fault, which are in the layout.
    """
    try:
        header, payload, signature = _message(cbor_decode(data), ES256, {ALG, KCWT})
        _insist(type(header[KCWT]) is list)
        _insist({6, 7, 10} <= set(payload) <= {6, 7, 8, 10, 11})
        _number(payload[6], _SECONDS_MIN, _SECONDS_MAX)
        _number(payload[7], 0, 0xFFFF)
        _number(payload.get(8, 1), 1, COMPANIONS_MAX)
        _bytes(payload[10], 3)
        _number(payload.get(11, 0), 0, CHALLENGE_MAX)
        _bytes(signature, 64)
        header, claims, signature = _message(header[KCWT], EDDSA, {ALG, KID})
        _bytes(header[KID], 4)
        claims = _map(claims, {4, 7, 8, 9})
        _number(claims[4], _SECONDS_MIN, _SECONDS_MAX)
        _bytes(claims[7], 8)
        _device_key(claims[8])
        _bytes(claims[9], 5)
        _bytes(signature, 64)
    except MalformedCbor:
        return "malformed"
    except NotCanonical:
        return "not_canonical"
    except CodeRefused as refusal:
        return refusal.reason
    return None


def _message(message: Any, algorithm: int, labels: set[int]) -> tuple[dict[Any, Any], dict[Any, Any], bytes]:
    """A message's protected header, payload and signature. Errors: CodeRefused, MalformedCbor, NotCanonical."""
    _insist(type(message) is list)
    parts = cast(list[Any], message)
    _insist([type(part) for part in parts] == [bytes, dict, bytes, bytes])
    protected, unprotected, body, signature = parts
    header = cbor_decode(protected)
    _insist(type(header) is dict)
    if unprotected or set(header) != labels or header[ALG] != algorithm:
        raise CodeRefused("wrong_header")
    payload = cbor_decode(body)
    _insist(type(payload) is dict)
    return header, payload, signature


def _device_key(cnf: Any) -> None:
    key = _map(_map(cnf, {1})[1], {1, -1, -2, -3})
    _insist(type(key[-3]) is bool)
    _number(key[1], 2, 2)
    _number(key[-1], 1, 1)
    _bytes(key[-2], 32)


def _map(value: Any, labels: set[int]) -> dict[Any, Any]:
    _insist(type(value) is dict)
    fields = cast(dict[Any, Any], value)
    _insist(set(fields) == labels)
    return fields


def _number(value: Any, least: int, most: int) -> None:
    _insist(type(value) is int and least <= value <= most)


def _bytes(value: Any, length: int) -> None:
    _insist(type(value) is bytes)
    if len(value) != length:
        raise CodeRefused("wrong_length")


def _insist(holds: bool) -> None:
    if not holds:
        raise CodeRefused("malformed")
