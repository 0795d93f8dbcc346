"""Questions about ticket codes with their answers, for other verifiers: ``python -m hansa.codes.ticket_vectors FILE``.

The keys are made from public numbers and belong to nobody. The same questions come out each time, byte for byte.
"""

import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, derive_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hansa.codes.base45 import base45_decode, base45_encode
from hansa.codes.cose import P256_ORDER
from hansa.codes.model import RIDER_CLASSES, TrustedKey, TrustList
from hansa.codes.tickets import PREFIX, TicketScope, make_ticket_code, make_ticket_token, ticket_place

NOW = datetime(2026, 11, 17, 12, tzinfo=UTC)
SELLER, OTHER = "seller", "another-seller"
PLACE, ELSEWHERE = ticket_place("the place"), ticket_place("another place")
PRODUCT, SPECIAL = bytes(3) + b"\x01", bytes(3) + b"\x02"
DENIED = b"denied!!"
_SELLER_KEY, _FORGER_KEY = (Ed25519PrivateKey.from_private_bytes(bytes([one]) * 32) for one in (1, 2))
_PHONE, _THIEF = (derive_private_key(number, SECP256R1()) for number in (11, 12))


def trust_list() -> TrustList:
    """The keys that the questions go by."""
    public = _SELLER_KEY.public_key().public_bytes_raw()
    first, last = NOW - timedelta(days=1), NOW + timedelta(days=90)

    def listed(kid: bytes, **changed: Any) -> TrustedKey:
        usual: dict[str, Any] = {
            "issuer_id": SELLER,
            "public_key": public,
            "not_before": first,
            "not_after": last,
            "products": ("metro", "attraction"),
            "status": "active",
        }
        return TrustedKey(kid=kid, **(usual | changed))

    keys = (
        listed(b"good"),
        listed(b"ride", products=("metro",)),
        listed(b"stol", status="compromised"),
        listed(b"late", not_after=NOW),
        listed(b"othr", issuer_id=OTHER),
    )
    return TrustList(1, NOW, NOW + timedelta(days=7), keys)


def questions() -> Iterator[dict[str, Any]]:
    """A gate that has seen nothing is shown each text in turn: name, text, the gate's clock, the reason wanted."""
    token = _token()
    for place, rider_class in enumerate(RIDER_CLASSES):
        shown = _token(cti=bytes([place]) * 8, rider_class=rider_class)
        yield _ask(f"a good one, {rider_class}", _show(shown, 1), "ok")
    yield _ask("the first of two entries", _show(token, 5), "ok")
    yield _ask("the same again", _show(token, 5), "replay")
    yield _ask("a counter that goes back", _show(token, 4), "replay")
    yield _ask("the second of two entries", _show(token, 6), "ok")
    yield _ask("a third entry of two", _show(token, 65_535), "used_up")
    for name, at, reason in (
        ("a second before it begins", NOW - timedelta(hours=1, seconds=1), "too_early"),
        ("as it begins", NOW - timedelta(hours=1), "ok"),
        ("its last second", NOW + timedelta(hours=2, seconds=-1), "ok"),
        ("as it ends", NOW + timedelta(hours=2), "over"),
    ):
        yield _ask(name, _show(_token(cti=name.encode()[-8:]), 1, at), reason, at)
    for name, seconds, reason in (
        ("made 20 s ago", -20, "ok"),
        ("made 21 s ago", -21, "clock_skew"),
        ("made 30 s ahead", 30, "ok"),
        ("made 31 s ahead", 31, "clock_skew"),
    ):
        made = NOW + timedelta(seconds=seconds)
        yield _ask(name, _show(_token(cti=name.encode()[-8:]), 1, made), reason)
    for kid, reason in (
        (b"none", "untrusted_issuer"),
        (b"stol", "untrusted_issuer"),
        (b"late", "issuer_outside_dates"),
        (b"ride", "product_not_allowed"),
        (b"othr", "other_seller"),
    ):
        yield _ask(f"by key {kid.decode()}", _show(_token(kid=kid), 1), reason)
    yield _ask("signed by another key", _show(_token(private=_FORGER_KEY), 1), "bad_token_signature")
    yield _ask(
        "shown by another phone",
        make_ticket_code(_THIEF, token, made_at=NOW, counter=9),
        "bad_code_signature",
    )
    yield _ask("the twin with the higher s", _twin(_show(_token(cti=b"twin-one"), 1)), "bad_code_signature")
    yield _ask("for another place", _show(_token(place=ELSEWHERE), 1), "other_place")
    yield _ask("for something else here", _show(_token(product=SPECIAL), 1), "other_product")
    yield _ask("on the deny list", _show(_token(cti=DENIED), 1), "revoked")
    whole = _show(_token(cti=b"cut-here"), 1)
    for name, text in (
        ("nothing", ""),
        ("the prefix alone", PREFIX),
        ("a ride code's prefix", "HR1:" + whole[4:]),
        ("cut off", whole[:-3]),
        ("one letter more", whole + "0"),
        ("small letters", whole.lower()),
        ("too long", PREFIX + "0" * 1_600),
        ("a byte after the end", PREFIX + base45_encode(base45_decode(whole[4:]) + b"\0")),
    ):
        yield _ask(name, text, "malformed")


def written() -> str:
    """All of it as JSON: what the gate is set up with, then the questions in order."""
    listed = [
        {
            "kid": key.kid.hex(),
            "issuer_id": key.issuer_id,
            "public_key": key.public_key.hex(),
            "not_before": int(key.not_before.timestamp()),
            "not_after": int(key.not_after.timestamp()),
            "products": list(key.products),
            "status": key.status,
        }
        for key in trust_list().keys
    ]
    gate = {
        "place": PLACE.hex(),
        "products": [PRODUCT.hex()],
        "sellers": [SELLER],
        "denied": [DENIED.hex()],
        "trust_list_expires": int(trust_list().expires_at.timestamp()),
        "keys": listed,
    }
    return json.dumps({"gate": gate, "questions": list(questions())}, indent=1) + "\n"


def _token(
    *,
    cti: bytes = b"ticket-1",
    kid: bytes = b"good",
    place: bytes = PLACE,
    product: bytes = PRODUCT,
    rider_class: Any = "adult",
    private: Ed25519PrivateKey = _SELLER_KEY,
) -> bytes:
    return make_ticket_token(
        private,
        kid=kid,
        cti=cti.rjust(8, b"_"),
        begins_at=NOW - timedelta(hours=1),
        expires_at=NOW + timedelta(hours=2),
        device_key=_PHONE.public_key(),
        scope=TicketScope(place, product, rider_class, 2),
    )


def _show(token: bytes, counter: int, at: datetime = NOW) -> str:
    return make_ticket_code(_PHONE, token, made_at=at, counter=counter)


def _twin(text: str) -> str:
    """The same code with (r, n - s), which anybody can make."""
    data = base45_decode(text[len(PREFIX) :])
    high = P256_ORDER - int.from_bytes(data[-32:], "big")
    return PREFIX + base45_encode(data[:-32] + high.to_bytes(32, "big"))


def _ask(name: str, text: str, reason: str, at: datetime = NOW) -> dict[str, Any]:
    return {"name": name, "now": int(at.timestamp()), "text": text, "reason": reason}


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(written(), encoding="utf-8")
