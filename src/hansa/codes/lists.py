"""What the league signs for gates: the trust list by its root; deny lists and settings by its list key.

Each is numbered, and names what it is in the signed header, so that none can be taken for another.
"""

import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from itertools import groupby, pairwise
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
    DenyListRefused,
    DenyUpdate,
    Settings,
    SettingsRefused,
    TrustedKey,
    TrustList,
    TrustListRefused,
    bits_of,
    names_of,
)
from hansa.kernel import InvalidInput

TRUST_LIST_TYPE = "application/hansa-trust-list+cbor"
"""Stands in the signed header, so that nothing else the root signs can be taken for a trust list."""
DENY_LIST_TYPE = "application/hansa-deny-list+cbor"
SETTINGS_TYPE = "application/hansa-settings+cbor"

_HOUR_S = 3600
_CTI = 8
_NUMBER_MAX = 2**53 - 1
"""Versions end here: JSON and many programs cannot hold greater numbers exactly."""

_UNREADABLE = (
    MalformedCbor,
    NotCanonical,
    InvalidInput,
    KeyError,
    TypeError,
    ValueError,
    IndexError,
    OverflowError,
)
"""What comes of signed bytes that do not say what they should."""


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
            **({5: trust_list.list_key} if trust_list.list_key is not None else {}),
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
    payload = _payload(data, root_public, TRUST_LIST_TYPE)
    if payload is None:
        raise TrustListRefused("The trust list was not signed by the league's root.")
    trust_list = _trust_list(payload)
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
        if type(fields) is not dict or type(fields[4]) is not list:
            raise ValueError
        if set(fields) != {1, 2, 3, 4} and (set(fields) != {1, 2, 3, 4, 5} or not _is_key(fields[5])):
            raise ValueError
        return TrustList(
            version=_number(fields[1]),
            issued_at=_instant(fields[2]),
            expires_at=_instant(fields[3]),
            keys=tuple(_key(row) for row in fields[4]),
            list_key=fields.get(5),
        )
    except _UNREADABLE:
        raise TrustListRefused("The trust list is signed but cannot be read.") from None


def _is_key(value: object) -> bool:
    return type(value) is bytes and len(value) == 32


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
    if type(value) is not int or not 0 <= value <= _NUMBER_MAX:
        raise ValueError
    return value


def _instant(value: Any) -> datetime:
    return datetime.fromtimestamp(_number(value), UTC)


def _payload(data: bytes, key: Ed25519PublicKey, content_type: str) -> bytes | None:
    """What was signed, if it is of this type, in the one form there is, and signed by this key."""
    try:
        message = read_sign1(data)
        right_form = write_sign1(
            message.protected, message.payload, message.signature
        ) == data and message.header() == {ALG: EDDSA, CONTENT_TYPE: content_type}
    except (MalformedCbor, NotCanonical):
        return None
    if not right_form:
        return None
    if not check_eddsa(key, message.signature, to_be_signed(message.protected, message.payload)):
        return None
    return message.payload


# -- the deny list ----------------------------------------------------------------------------------------------


def deny_update(
    version: int, since: int, issued_at: datetime, tokens: Iterable[tuple[bytes, datetime]]
) -> DenyUpdate:
    """Tokens, each with its end, as gates take them: by the hour in which they end. ctis have 8 bytes."""
    by_hour = sorted({(-(-ends_at.timestamp() // _HOUR_S), cti) for cti, ends_at in tokens})
    return DenyUpdate(
        version,
        since,
        issued_at,
        tuple(
            (datetime.fromtimestamp(hour * _HOUR_S, UTC), b"".join(cti for _, cti in group))
            for hour, group in groupby(by_hour, key=lambda one: one[0])
        ),
    )


def sign_deny_update(update: DenyUpdate, list_private: Ed25519PrivateKey) -> bytes:
    """The update as gates fetch it: {1: version, 2: since, 3: issued-at, 4: [* [hour of their end, ctis]]}."""
    payload = cbor_encode(
        {
            1: update.version,
            2: update.since,
            3: int(update.issued_at.timestamp()),
            4: [[int(ends_at.timestamp()) // _HOUR_S, ctis] for ends_at, ctis in update.groups],
        }
    )
    return sign_eddsa(list_private, {CONTENT_TYPE: DENY_LIST_TYPE}, payload)


def read_deny_update(data: bytes, list_public: Ed25519PublicKey) -> DenyUpdate:
    """The update, if the league's list key signed it. Whether it goes on from the list in use, the gate knows.

    Errors: DenyListRefused.
    """
    payload = _payload(data, list_public, DENY_LIST_TYPE)
    if payload is None:
        raise DenyListRefused("The deny list was not signed by the league's list key.")
    try:
        fields = cast(dict[int, Any], cbor_decode(payload))
        if type(fields) is not dict or set(fields) != {1, 2, 3, 4} or type(fields[4]) is not list:
            raise ValueError
        groups = tuple(_group(row) for row in fields[4])
        hours = [ends_at for ends_at, _ in groups]
        version, since = _number(fields[1]), _number(fields[2])
        if since > version or any(later <= hour for hour, later in pairwise(hours)):
            raise ValueError
        return DenyUpdate(version, since, _instant(fields[3]), groups)
    except _UNREADABLE:
        raise DenyListRefused("The deny list is signed but cannot be read.") from None


def require_next(update: DenyUpdate, *, version: int, issued_at: datetime | None) -> None:
    """Refuse an update that does not go on from the deny list in use: how a gate takes no gap and no older list.

    It may begin before the version in use: a token named again is no harm. version, issued_at: of the list in use; 0
    and None where there is none, and where another list key signed it. Errors: DenyListRefused.
    """
    if update.since > version:
        raise DenyListRefused(
            f"The deny list has a gap: the update goes on from version {update.since}; {version} is in use."
        )
    if update.version < version:
        raise DenyListRefused(f"Deny list {update.version} is older than {version}, which is in use.")
    if update.version == version and issued_at is not None and update.issued_at < issued_at:
        raise DenyListRefused(f"The word on deny list {version} is older than one that came before.")


def _group(row: list[Any]) -> tuple[datetime, bytes]:
    if type(row) is not list:
        raise ValueError
    hour, ctis = row
    if type(ctis) is not bytes or not ctis or len(ctis) % _CTI:
        raise ValueError
    ordered = [ctis[at : at + _CTI] for at in range(0, len(ctis), _CTI)]
    if any(later <= cti for cti, later in pairwise(ordered)):
        raise ValueError
    return datetime.fromtimestamp(0, UTC) + timedelta(hours=_number(hour)), ctis


# -- settings of a device ---------------------------------------------------------------------------------------


def sign_settings(settings: Settings, list_private: Ed25519PrivateKey) -> bytes:
    """Settings as a device takes them: {1: version, 2: issued-at, 3: device, 4: values as JSON text}."""
    payload = cbor_encode(
        {
            1: settings.version,
            2: int(settings.issued_at.timestamp()),
            3: settings.device_id,
            4: json.dumps(settings.values, separators=(",", ":"), sort_keys=True, ensure_ascii=False),
        }
    )
    return sign_eddsa(list_private, {CONTENT_TYPE: SETTINGS_TYPE}, payload)


def read_settings(
    data: bytes, list_public: Ed25519PublicKey, *, device_id: str, newer_than: int | None = None
) -> Settings:
    """The settings, if the league's list key signed them for this device.

    newer_than: refuse a version that is not greater (roll-back). Errors: SettingsRefused.
    """
    payload = _payload(data, list_public, SETTINGS_TYPE)
    if payload is None:
        raise SettingsRefused("The settings were not signed by the league's list key.")
    try:
        fields = cast(dict[int, Any], cbor_decode(payload))
        if type(fields) is not dict or set(fields) != {1, 2, 3, 4}:
            raise ValueError
        if type(fields[3]) is not str or type(fields[4]) is not str:
            raise ValueError
        values = json.loads(fields[4], parse_constant=_no_number)
        if type(values) is not dict:
            raise ValueError
        settings = Settings(fields[3], _number(fields[1]), _instant(fields[2]), cast(dict[str, Any], values))
    except (*_UNREADABLE, RecursionError):
        raise SettingsRefused("The settings are signed but cannot be read.") from None
    if settings.device_id != device_id:
        raise SettingsRefused(f"These settings are for {settings.device_id}, not for {device_id}.")
    if newer_than is not None and settings.version <= newer_than:
        raise SettingsRefused(
            f"Settings {settings.version} are not newer than {newer_than}, which are in use."
        )
    return settings


def _no_number(name: str) -> float:
    """``NaN`` and its like, which Python reads and JSON does not have."""
    raise ValueError(name)
