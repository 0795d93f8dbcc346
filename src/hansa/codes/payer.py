"""The payer code: what a phone without network shows a till, wrapped as EMVCo's consumer-presented mode. Pure.

It is the ride code's machinery with another purpose. The phone signs its token, the time, a counter and the word
``pay`` (docs/payment-codes.md). A gate's reader has no place for that word, and this reader takes nothing without it:
so neither code is ever good for the other, though one key makes both.
"""

from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, NamedTuple, cast

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from hansa.codes.cbor import MalformedCbor, NotCanonical, cbor_decode, cbor_encode
from hansa.codes.cose import check_es256, is_high_s, read_sign1, sign_es256, to_be_signed, write_sign1
from hansa.codes.emvco import PaymentCodeRefused, make_consumer_code, read_consumer_code
from hansa.codes.model import CodeRefused, TrustList
from hansa.codes.ride import code_protected, verify_token
from hansa.kernel import HansaError, InvalidInput, Problem

APPLICATION = bytes.fromhex("F048414E5341")
"""Whose code it is (4F): a proprietary application identifier, ``F0`` and the letters HANSA (ISO/IEC 7816-5, 8.1.4)."""
_ISSUER_DATA, _TRANSPARENT = "DF01", "63"
"""Where the signed bytes stand: a private tag inside the application's transparent template (CPM 1.1, table 2.3)."""

PURPOSE = "pay"
MADE_AT, COUNTER, SCOPE = 6, 7, 9
OLDEST = timedelta(seconds=60)
"""How long before the till's scan a code may have been made: it is shown for half of that, then made anew."""
NEWEST = timedelta(seconds=30)
"""How far ahead of our clock a code may have been made: the phone's clock runs fast."""
COUNTER_MAX = 0xFFFF

PAYER_REASONS: dict[str, str] = {
    "malformed": "This is no Hansa payment code.",
    "other_application": "This payment code is another network's.",
    "wrong_purpose": "This code was made for something else than paying.",
    "unknown_token": "No phone that we know made this code.",
    "bad_signature": "The code was not made by the phone whose token it carries.",
    "expired": "The code is too old. Have a fresh one shown.",
    "not_yet": "The code is of a time to come: the phone's clock runs fast.",
    "token_expired": "The phone's token has ended. It must be online once.",
    "revoked": "This phone or its card was blocked.",
    "used": "This code has paid already. Have a fresh one shown.",
}
"""Why a payer code pays nothing, in words for the till. The keys never change."""


class PayerCodeRefused(HansaError):
    """The code pays nothing; ``reason`` is one of `PAYER_REASONS`."""

    code: ClassVar[str] = "codes.payer_code_refused"
    status: ClassVar[int] = 422

    def __init__(self, reason: str) -> None:
        assert reason in PAYER_REASONS, reason
        self.reason = reason
        super().__init__(PAYER_REASONS[reason])


class PayerCode(NamedTuple):
    """A payer code that is to be believed, but for its phone, its revocation and its use, which only books know.

    public_key: the phone's, uncompressed, 65 bytes. cti: of its token. counter: 0 to 65,535. expires_at: of the code.
    """

    issuer_id: str
    kid: bytes
    cti: bytes
    counter: int
    made_at: datetime
    expires_at: datetime
    public_key: bytes


def make_payer_code(
    device_private: EllipticCurvePrivateKey, token: bytes, *, made_at: datetime, counter: int
) -> str:
    """The text of a payer code. token: 149 bytes. counter: greater than in the phone's last of this token.

    Errors: InvalidInput.
    """
    payload = payer_payload(made_at, counter)
    protected = code_protected(token)
    signature = sign_es256(device_private, to_be_signed(protected, payload))
    return wrap_payer_code(write_sign1(protected, payload, signature))


def payer_payload(made_at: datetime, counter: int) -> bytes:
    """What the phone signs beside its token: {6: made-at, 7: counter, 9: "pay"}. Errors: InvalidInput."""
    if made_at.tzinfo is None or not 0 <= counter <= COUNTER_MAX:
        where = "made_at" if made_at.tzinfo is None else "counter"
        problem = Problem(where, "it does not fit the layout", "An aware instant; a counter of 0 to 65,535")
        raise InvalidInput("A payer code cannot be made of this.", problems=(problem,))
    return cbor_encode({MADE_AT: int(made_at.timestamp()), COUNTER: counter, SCOPE: PURPOSE})


def wrap_payer_code(message: bytes) -> str:
    """A signed message as a consumer-presented code: base64 of BER-TLV that begins with 85 05 CPV01."""
    inner = bytes.fromhex(_ISSUER_DATA) + bytes((0x81, len(message))) + message
    return make_consumer_code([[("4F", APPLICATION), (_TRANSPARENT, inner)]])


def unwrap_payer_code(text: str) -> bytes:
    """The signed message of a consumer-presented code of ours. Errors: PayerCodeRefused."""
    try:
        code = read_consumer_code(text)
    except PaymentCodeRefused as refused:
        raise PayerCodeRefused("malformed") from refused
    if code.application_id() != APPLICATION:
        raise PayerCodeRefused("other_application")
    inner = code.applications[0].get(_TRANSPARENT)
    head = bytes.fromhex(_ISSUER_DATA) + b"\x81"
    message = inner[len(head) + 1 :]
    if inner[: len(head)] != head or inner[len(head) : len(head) + 1] != bytes((len(message) & 0xFF,)):
        raise PayerCodeRefused("malformed")
    if wrap_payer_code(message) != text.strip():
        raise PayerCodeRefused("malformed")  # one text for one message: what is read twice is the same text
    return message


def verify_payer_code(text: str, trust_list: TrustList, *, now: datetime) -> PayerCode:
    """What a payer code says, if both of its signatures are good and it is fresh at ``now``.

    Errors: PayerCodeRefused, always with one of `PAYER_REASONS`.
    """
    token_bytes, said, signed, signature = _taken_apart(unwrap_payer_code(text))
    if set(said) != {MADE_AT, COUNTER, SCOPE} or said[SCOPE] != PURPOSE:
        raise PayerCodeRefused("wrong_purpose")
    try:
        token = verify_token(token_bytes, trust_list, now=now)
    except CodeRefused as refused:
        reason = "token_expired" if refused.reason == "token_expired" else "unknown_token"
        raise PayerCodeRefused(reason) from refused
    if is_high_s(signature) or not check_es256(token.device_key, signature, signed):
        raise PayerCodeRefused("bad_signature")
    made_s, counter = said[MADE_AT], said[COUNTER]
    if type(made_s) is not int or type(counter) is not int or not 0 <= counter <= COUNTER_MAX:
        raise PayerCodeRefused("malformed")
    if not 0 <= made_s <= 0xFFFFFFFF:
        raise PayerCodeRefused("malformed")
    made_at = datetime.fromtimestamp(made_s, UTC)
    if made_at < now - OLDEST:
        raise PayerCodeRefused("expired")
    if made_at > now + NEWEST:
        raise PayerCodeRefused("not_yet")
    point = token.device_key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    issuer_id = trust_list.by_kid[token.kid].issuer_id
    return PayerCode(issuer_id, token.kid, token.cti, counter, made_at, made_at + OLDEST, point)


def _taken_apart(message: bytes) -> tuple[bytes, dict[Any, Any], bytes, bytes]:
    """Token, payload, the bytes that were signed, the signature. Errors: PayerCodeRefused."""
    try:
        sign1 = read_sign1(message)
        said = cbor_decode(sign1.payload)
    except (MalformedCbor, NotCanonical) as fault:
        raise PayerCodeRefused("malformed") from fault
    head = code_protected(b"")
    token = sign1.protected[len(head) :]
    odd = sign1.unprotected or len(sign1.signature) != 64 or not isinstance(said, dict)
    if odd or sign1.protected[: len(head)] != head:
        raise PayerCodeRefused("malformed")
    signed = to_be_signed(sign1.protected, sign1.payload)
    return token, cast(dict[Any, Any], said), signed, sign1.signature
