"""Codes: the wire forms of Hansa, pure.

In flows a scanned text or a list's bytes; out flows what they say, or the one reason why they are refused. A
gate, a phone and a fuzzer need only this room: the ride code HRC-1 (docs/ride-code), base45, deterministic CBOR,
and what the league signs for gates.
"""

from hansa.codes.base45 import base45_decode, base45_encode
from hansa.codes.cbor import MalformedCbor, NotCanonical, cbor_decode, cbor_encode
from hansa.codes.lists import (
    deny_update,
    read_deny_update,
    read_settings,
    read_trust_list,
    require_next,
    sign_deny_update,
    sign_settings,
    sign_trust_list,
)
from hansa.codes.model import (
    CHALLENGE_MAX,
    COMPANIONS_MAX,
    KEY_STATUSES,
    MODES,
    PRODUCTS,
    REASONS,
    RIDER_CLASSES,
    CodeRefused,
    DenyListRefused,
    DenyUpdate,
    KeyStatus,
    RiderClass,
    Scope,
    Settings,
    SettingsRefused,
    TrustedKey,
    TrustList,
    TrustListRefused,
    VerifiedCode,
)
from hansa.codes.places import NO_PLACE, are_near, place_cell
from hansa.codes.ride import CODE_LENGTH_MAX, PREFIX, TOKEN_LENGTH, make_code, make_token, verify_code
from hansa.codes.taps import CHAIN_START, tap_link
from hansa.codes.tokens import TokenCache

__all__ = [
    "CHAIN_START",
    "CHALLENGE_MAX",
    "CODE_LENGTH_MAX",
    "COMPANIONS_MAX",
    "KEY_STATUSES",
    "MODES",
    "NO_PLACE",
    "PREFIX",
    "PRODUCTS",
    "REASONS",
    "RIDER_CLASSES",
    "TOKEN_LENGTH",
    "CodeRefused",
    "DenyListRefused",
    "DenyUpdate",
    "KeyStatus",
    "MalformedCbor",
    "NotCanonical",
    "RiderClass",
    "Scope",
    "Settings",
    "SettingsRefused",
    "TokenCache",
    "TrustList",
    "TrustListRefused",
    "TrustedKey",
    "VerifiedCode",
    "are_near",
    "base45_decode",
    "base45_encode",
    "cbor_decode",
    "cbor_encode",
    "deny_update",
    "make_code",
    "make_token",
    "place_cell",
    "read_deny_update",
    "read_settings",
    "read_trust_list",
    "require_next",
    "sign_deny_update",
    "sign_settings",
    "sign_trust_list",
    "tap_link",
    "verify_code",
]
