"""The conformance kit: codes with the verdict every verifier of HRC-1 must reach.

``python -m hansa.gate.conformance kit.json`` writes the kit. A vendor shows the codes, in their order and with the
clock each case names, to a fresh gate per product, and compares. Keys come from public words; nothing is secret.
"""

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hansa.codes import (
    PREFIX,
    Scope,
    TrustedKey,
    TrustList,
    base45_decode,
    base45_encode,
    cbor_decode,
    cbor_encode,
    make_code,
    make_token,
    sign_trust_list,
)
from hansa.codes.cose import P256_ORDER, sign_es256, to_be_signed
from hansa.codes.vectors import example_device, example_issuer
from hansa.gate.gate import Gate
from hansa.gate.model import OK, DenyList, GateIdentity

REFUSED = "refused"
"""The verdict of a case where any reason will do."""

NOW = datetime(2026, 11, 17, 12, tzinfo=UTC)
CELL = bytes.fromhex("5aa500")
_KID, _RETIRED, _COMPROMISED, _ENDED, _BUS_ONLY = (bytes.fromhex(f"4852433{n}") for n in range(5))
_STRANGER = bytes.fromhex("ffffffff")
_DAY = timedelta(days=1)
_SCOPE = Scope("adult", ("metro", "bus"), (), 8)


@dataclass(frozen=True, slots=True)
class Case:
    """One code and the verdict: ``ok``, a reason of `codes.REASONS`, or `REFUSED`."""

    name: str
    text: str
    verdict: str
    now: datetime = NOW
    product: str = "metro"


def trust_list() -> TrustList:
    """The list that the kit's gate holds."""

    def key(
        kid: bytes,
        name: str,
        status: Any = "active",
        ends: datetime = NOW + 90 * _DAY,
        products: Any = ("metro", "bus"),
    ) -> TrustedKey:
        public = example_issuer(name).public_key().public_bytes_raw()
        return TrustedKey(kid, f"{name}-card", public, NOW - 90 * _DAY, ends, products, status)

    keys = (
        key(_KID, "one"),
        key(_RETIRED, "retired", "retired"),
        key(_COMPROMISED, "compromised", "compromised"),
        key(_ENDED, "ended", ends=NOW),
        key(_BUS_ONLY, "bus", products=("bus",)),
    )
    return TrustList(version=7, issued_at=NOW - _DAY, expires_at=NOW + 6 * _DAY, keys=keys)


def deny_list() -> DenyList:
    """The deny list that the kit's gate holds."""
    return DenyList(3, frozenset({b"revoked!"}))


def gate(product: str = "metro") -> Gate:
    """A fresh gate as the kit means it."""
    identity = GateIdentity("kit/1", "kit-operator", "kit/stop", "entry", product, CELL)
    return Gate(identity, trust_list(), deny_list=deny_list())


def cases() -> list[Case]:
    """All cases, in the order in which one gate is shown them."""
    return [*_lives(), *_forgeries(), *_layouts(), *_flips()]


class _Phone:
    """A phone of the kit: a key, a token, a counter that only grows."""

    def __init__(self, cti: bytes, **token: Any) -> None:
        self.key = example_device(cti.hex())
        self.cti = cti
        self.token = self._token(**token)
        self.counter = 0

    def _token(
        self,
        *,
        kid: bytes = _KID,
        issuer: str = "one",
        expires_at: datetime = NOW + timedelta(hours=20),
        scope: Scope = _SCOPE,
    ) -> bytes:
        return make_token(
            example_issuer(issuer),
            kid=kid,
            cti=self.cti,
            expires_at=expires_at,
            device_key=self.key.public_key(),
            scope=scope,
        )

    def code(self, made_at: datetime = NOW, *, counter: int | None = None, token: bytes | None = None) -> str:
        self.counter = self.counter + 1 if counter is None else counter
        return make_code(self.key, token or self.token, made_at=made_at, counter=self.counter, cell=CELL)


def _lives() -> Iterator[Case]:
    """Codes of honest phones, some too late, some used before."""
    one = _Phone(b"phone--1")
    first = one.code()
    yield Case("valid", first, OK)
    yield Case("replay of the same code", first, "replay")
    yield Case("the next code", one.code(counter=24), OK)
    yield Case(
        "replay: another signature over the same counter",
        one.code(NOW + timedelta(seconds=1), counter=24),
        "replay",
    )
    yield Case("replay: a smaller counter", one.code(counter=23), "replay")
    yield Case("a counter of two bytes", one.code(counter=255), OK)
    yield Case("a counter of three bytes", one.code(counter=256), OK)
    yield Case("the greatest counter", one.code(counter=65535), OK)

    two = _Phone(b"phone--2")
    for seconds, verdict in ((-21, "clock_skew"), (-20, OK), (30, OK), (31, "clock_skew")):
        made_at = NOW + timedelta(seconds=seconds)
        yield Case(f"made {seconds:+} s from the gate's clock", two.code(made_at), verdict)

    end = NOW + timedelta(hours=1)
    three = _Phone(b"phone--3", expires_at=end)
    before = end - timedelta(seconds=1)
    yield Case("one second before the token ends", three.code(before), OK, now=before)
    yield Case("the second the token ends", three.code(end), "token_expired", now=end)
    ahead = _Phone(b"phone--4", expires_at=NOW + timedelta(hours=24, seconds=31))
    yield Case("a token for later", ahead.code(), "token_not_yet_valid")
    yield Case("a token of 24 hours", _Phone(b"phone--5", expires_at=NOW + _DAY).code(), OK)

    yield Case("revoked", _Phone(b"revoked!").code(), "revoked")
    child = Scope("child", ("metro",), ("metro",), 0)
    yield Case("a child on the metro", _Phone(b"phone--6", scope=child).code(), OK)
    yield Case("wrong product", _Phone(b"phone--7", scope=child).code(), "product_not_allowed", product="bus")
    rail = Scope("adult", ("metro", "rail"), ("rail",), 0)
    yield Case("wrong vehicle", _Phone(b"phone--8", scope=rail).code(), "product_not_allowed")
    yield Case(
        "a retired key's token lives on", _Phone(b"phone--9", kid=_RETIRED, issuer="retired").code(), OK
    )


def _forgeries() -> Iterator[Case]:
    """Codes whose signer is not who they should be."""
    forged = _Phone(b"forger-1", issuer="nobody")
    yield Case("forged issuer: another key under a listed id", forged.code(), "bad_token_signature")
    yield Case("untrusted kid", _Phone(b"forger-2", kid=_STRANGER).code(), "untrusted_issuer")
    yield Case(
        "wrong kid: another listed issuer's", _Phone(b"forger-3", kid=_RETIRED).code(), "bad_token_signature"
    )
    compromised = _Phone(b"forger-4", kid=_COMPROMISED, issuer="compromised")
    yield Case("compromised key", compromised.code(), "untrusted_issuer")
    yield Case(
        "issuer outside its dates",
        _Phone(b"forger-5", kid=_ENDED, issuer="ended").code(),
        "issuer_outside_dates",
    )
    yield Case(
        "issuer without this product",
        _Phone(b"forger-6", kid=_BUS_ONLY, issuer="bus").code(),
        "product_not_allowed",
    )

    owner, thief = _Phone(b"owner--1"), _Phone(b"thief--1")
    yield Case("swapped token: another phone's", thief.code(token=owner.token), "bad_code_signature")
    swapped = _parts(thief.code())
    swapped.header[13] = cbor_decode(owner.token)
    yield Case("swapped token: put in after signing", swapped.text(), "bad_code_signature")
    later = _parts(owner.code())
    later.payload[6] += 1
    yield Case("time changed after signing", later.text(), "bad_code_signature")
    moved = _parts(owner.code())
    moved.payload[10] = bytes(3)
    yield Case("place changed after signing", moved.text(), "bad_code_signature")
    blank = _parts(owner.code())
    blank.signature = bytes(64)
    yield Case("signature of zeros", blank.text(), "bad_code_signature")

    twin = _parts(owner.code())
    s = int.from_bytes(twin.signature[32:], "big")
    twin.signature = twin.signature[:32] + (P256_ORDER - s).to_bytes(32, "big")
    yield Case("malleated: the twin with high s", twin.text(), "high_s")


def _layouts() -> Iterator[Case]:
    """Codes that say the right thing in a way that is not HRC-1; all signed by their own phone."""
    phone = _Phone(b"layout-1")
    good = phone.code()
    data = base45_decode(good[len(PREFIX) :])

    yield Case("no prefix", good[len(PREFIX) :], "malformed")
    yield Case("small letters", good.lower(), "malformed")
    yield Case("another version", "HR2:" + good[len(PREFIX) :], "malformed")
    yield Case("nothing", "", "malformed")
    yield Case("prefix only", PREFIX, "malformed")
    yield Case("cut short", good[:-3], "malformed")
    yield Case("bytes after the end", PREFIX + base45_encode(data + b"\x00"), "not_canonical")
    yield Case("COSE tag 18 before it", PREFIX + base45_encode(b"\xd2" + data), "malformed")
    yield Case("a payment", "00020101021126", "malformed")

    indefinite = b"\x9f" + data[1:] + b"\xff"
    yield Case(
        "not canonical: an array without a length", PREFIX + base45_encode(indefinite), "not_canonical"
    )
    long_head = data[:157] + b"\x58" + bytes((data[157] & 0x1F,)) + data[158:]
    yield Case("not canonical: a length in two bytes", PREFIX + base45_encode(long_head), "not_canonical")

    wide = _parts(good)
    wide.raw_payload = b"\xa3\x06\x1a" + wide.payload[6].to_bytes(4, "big") + b"\x07\x18\x05\x0a\x43" + CELL
    yield Case("not canonical: a counter in two bytes", wide.text(phone), "not_canonical")
    twice = _parts(good)
    twice.raw_payload = b"\xa4" + twice.raw_payload_bytes()[1:] + b"\x0a\x43" + CELL
    yield Case("a key twice in a map", twice.text(phone), "not_canonical")
    order = _parts(good)
    order.raw_payload = b"\xa3\x07\x05\x06\x1a" + order.payload[6].to_bytes(4, "big") + b"\x0a\x43" + CELL
    yield Case("not canonical: keys out of order", order.text(phone), "not_canonical")

    for label, value in ((4, _KID), (1, -7), (33, b"cert")):
        extra = _parts(good)
        extra.unprotected[label] = value
        yield Case(f"unprotected header {label}", extra.text(phone), "wrong_header")
    for label, value in ((2, [13]), (3, 0), (4, _KID)):
        more = _parts(good)
        more.header[label] = value
        yield Case(f"extra protected header {label}", more.text(phone), "wrong_header")
    for algorithm in (-8, -9, -35, 5):
        other = _parts(good)
        other.header[1] = algorithm
        yield Case(f"algorithm {algorithm}", other.text(phone), "wrong_header")
    bare = _parts(good)
    del bare.header[1]
    yield Case("no algorithm", bare.text(phone), "wrong_header")

    changes: list[tuple[str, Callable[[_Parts], None]]] = [
        ("kid in the unprotected header only", lambda token: token.move_kid()),
        ("kid in both headers", lambda token: token.unprotected.update({4: _KID})),
        ("self-signed issuer: its key in the header", lambda token: token.header.update({-1: bytes(32)})),
        ("token with ES256", lambda token: token.header.update({1: -7})),
    ]
    for name, change in changes:
        message = _parts(good)
        token = _Parts(message.header[13])
        change(token)
        message.header[13] = token.message(issuer=example_issuer("one"))
        yield Case(name, message.text(phone), "wrong_header")

    for label, value, verdict in (
        (7, b"short", "wrong_length"),
        (9, b"longer", "wrong_length"),
        (4, -1, "malformed"),
        (5, 0, "malformed"),
        (8, {1: {1: 2, -1: 1, -2: bytes(32)}}, "malformed"),
    ):
        message = _parts(good)
        token = _Parts(message.header[13])
        token.payload[label] = value
        message.header[13] = token.message(issuer=example_issuer("one"))
        yield Case(f"claim {label} that does not fit", message.text(phone), verdict)
    for label, value, verdict in (
        (6, 5, "malformed"),
        (7, 65536, "malformed"),
        (7, b"\x00\x05", "malformed"),
        (10, b"four", "wrong_length"),
        (11, 0, "malformed"),
    ):
        message = _parts(good)
        message.payload[label] = value
        yield Case(f"payload {label} that does not fit: {value!r}", message.text(phone), verdict)
    short = _parts(good)
    short.signature = short.signature[:63]
    yield Case("a signature of 63 bytes", short.text(), "wrong_length")
    nowhere = _parts(good)
    token = _Parts(nowhere.header[13])
    token.payload[8][1][-2] = (1).to_bytes(32, "big")  # no point of P-256 has x = 1
    nowhere.header[13] = token.message(issuer=example_issuer("one"))
    yield Case("a phone's key that is on no curve", nowhere.text(phone), "malformed")


def _flips() -> Iterator[Case]:
    """Every bit of one code, flipped: no verdict but refusal. The verdict is the first reason a gate finds."""
    phone = _Phone(b"flipped!")
    good = phone.code(counter=300)
    data = base45_decode(good[len(PREFIX) :])
    for bit in range(len(data) * 8):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        yield Case(
            f"bit {bit % 8} of byte {bit // 8} flipped", PREFIX + base45_encode(bytes(flipped)), REFUSED
        )
    yield Case("and the code itself", good, OK)


class _Parts:
    """A COSE_Sign1 in pieces that can be spoilt."""

    def __init__(self, message: list[Any]) -> None:
        self.header: dict[Any, Any] = cbor_decode(message[0])
        self.unprotected: dict[Any, Any] = message[1]
        self.payload: dict[Any, Any] = cbor_decode(message[2])
        self.signature: bytes = message[3]
        self.raw_payload: bytes | None = None

    def move_kid(self) -> None:
        self.unprotected[4] = self.header.pop(4)

    def raw_payload_bytes(self) -> bytes:
        return cbor_encode(self.payload) if self.raw_payload is None else self.raw_payload

    def message(self, *, phone: "_Phone | None" = None, issuer: Ed25519PrivateKey | None = None) -> list[Any]:
        protected, payload = cbor_encode(self.header), self.raw_payload_bytes()
        if phone is not None:
            self.signature = sign_es256(phone.key, to_be_signed(protected, payload))
        if issuer is not None:
            self.signature = issuer.sign(to_be_signed(protected, payload))
        return [protected, self.unprotected, payload, self.signature]

    def text(self, phone: "_Phone | None" = None) -> str:
        return PREFIX + base45_encode(cbor_encode(self.message(phone=phone)))


def _parts(text: str) -> _Parts:
    return _Parts(cbor_decode(base45_decode(text[len(PREFIX) :])))


def kit() -> dict[str, Any]:
    """The kit, ready for JSON."""
    root = example_issuer("root")
    denied = deny_list()
    return {
        "about": "HRC-1 conformance kit; see docs/ride-code. Show the codes in this order to a fresh gate per product.",
        "root_public_hex": root.public_key().public_bytes_raw().hex(),
        "trust_list_hex": sign_trust_list(trust_list(), root).hex(),
        "deny_list": {"version": denied.version, "ctis": sorted(cti.hex() for cti in denied.ctis)},
        "cases": [
            {
                "name": case.name,
                "text": case.text,
                "now": int(case.now.timestamp()),
                "product": case.product,
                "verdict": case.verdict,
            }
            for case in cases()
        ],
    }


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(json.dumps(kit(), indent=1) + "\n")
