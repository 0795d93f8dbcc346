"""The trust list on the wire: signed by the league's root, numbered, and with an end."""

from datetime import UTC, datetime
from typing import Any, cast

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from hansa.codes.cbor import MalformedCbor, NotCanonical, cbor_decode, cbor_encode
from hansa.codes.cose import (
    ALG,
    CONTENT_TYPE,
    EDDSA,
    check_eddsa,
    read_sign1,
    sign_eddsa,
    to_be_signed,
    write_sign1,
)
from hansa.codes.model import (
    KEY_STATUSES,
    PRODUCTS,
    TrustedKey,
    TrustList,
    TrustListRefused,
    bits_of,
    names_of,
)
from hansa.kernel import InvalidInput

TRUST_LIST_TYPE = "application/hansa-trust-list+cbor"
"""Stands in the signed header, so that nothing else the root signs can be taken for a trust list."""


def sign_trust_list(trust_list: TrustList, root_private: Ed25519PrivateKey) -> bytes:
    """The list as gates fetch it. Instants count in whole seconds. Errors: InvalidInput for an unknown product."""
    keys = [
        [
            key.kid,
            key.issuer_id,
            key.public_key,
            int(key.not_before.timestamp()),
            int(key.not_after.timestamp()),
            bits_of(key.products, PRODUCTS, where="products"),
            KEY_STATUSES.index(key.status),
        ]
        for key in trust_list.keys
    ]
    payload = cbor_encode(
        {
            1: trust_list.version,
            2: int(trust_list.issued_at.timestamp()),
            3: int(trust_list.expires_at.timestamp()),
            4: keys,
        }
    )
    return sign_eddsa(root_private, {CONTENT_TYPE: TRUST_LIST_TYPE}, payload)


def read_trust_list(
    data: bytes,
    root_public: Ed25519PublicKey,
    *,
    now: datetime | None = None,
    newer_than: int | None = None,
) -> TrustList:
    """The list, if the league's root signed it.

    now: refuse a list that has ended by then. newer_than: refuse a version that is not greater (roll-back).
    Errors: TrustListRefused.
    """
    try:
        message = read_sign1(data)
        right_form = write_sign1(
            message.protected, message.payload, message.signature
        ) == data and message.header() == {ALG: EDDSA, CONTENT_TYPE: TRUST_LIST_TYPE}
    except (MalformedCbor, NotCanonical):
        right_form = False
        message = None
    if message is None or not right_form:
        raise TrustListRefused("These bytes are no trust list.")
    if not check_eddsa(root_public, message.signature, to_be_signed(message.protected, message.payload)):
        raise TrustListRefused("The trust list was not signed by the league's root.")
    trust_list = _trust_list(message.payload)
    if now is not None and now >= trust_list.expires_at:
        raise TrustListRefused(
            f"The trust list ended at {trust_list.expires_at:%Y-%m-%dT%H:%M:%SZ}; fetch a new one."
        )
    if newer_than is not None and trust_list.version <= newer_than:
        raise TrustListRefused(
            f"Trust list {trust_list.version} is not newer than {newer_than}, which is in use."
        )
    return trust_list


def _trust_list(payload: bytes) -> TrustList:
    try:
        fields = cast(dict[int, Any], cbor_decode(payload))
        if type(fields) is not dict or set(fields) != {1, 2, 3, 4} or type(fields[4]) is not list:
            raise ValueError
        return TrustList(
            version=_number(fields[1]),
            issued_at=_instant(fields[2]),
            expires_at=_instant(fields[3]),
            keys=tuple(_key(row) for row in fields[4]),
        )
    except (
        MalformedCbor,
        NotCanonical,
        InvalidInput,
        KeyError,
        TypeError,
        ValueError,
        IndexError,
        OverflowError,
    ):
        raise TrustListRefused("The trust list is signed but cannot be read.") from None


def _key(row: list[Any]) -> TrustedKey:
    kid, issuer_id, public_key, not_before, not_after, bits, status = row
    products = names_of(_number(bits), PRODUCTS)
    if (type(kid), type(issuer_id), type(public_key)) != (bytes, str, bytes) or products is None:
        raise ValueError
    if len(kid) != 4 or len(public_key) != 32:
        raise ValueError
    return TrustedKey(
        kid=kid,
        issuer_id=issuer_id,
        public_key=public_key,
        not_before=_instant(not_before),
        not_after=_instant(not_after),
        products=products,
        status=KEY_STATUSES[_number(status)],
    )


def _number(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise ValueError
    return value


def _instant(value: Any) -> datetime:
    return datetime.fromtimestamp(_number(value), UTC)
