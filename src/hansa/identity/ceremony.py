"""Ceremonies of passkeys (W3C Web Authentication, level 3): what a browser is asked, and whether its answer is good.

Pure: knows no table, no account and no request, so whoever keeps passkeys may use it. A passkey here is one that the
authenticator keeps by itself (discoverable) and that proves each time that its owner was there and known to it (user
verification). The cryptography is the library ``webauthn``'s.
"""

import binascii
import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar, TypeVar
from uuid import UUID

import msgspec
from webauthn import (
    generate_authentication_options,
    generate_registration_options,
    options_to_json,
    verify_authentication_response,
    verify_registration_response,
)
from webauthn.authentication.verify_authentication_response import VerifiedAuthentication
from webauthn.helpers import base64url_to_bytes, bytes_to_base64url
from webauthn.helpers.cose import COSEAlgorithmIdentifier
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AttestationConveyancePreference,
    AuthenticationCredential,
    AuthenticatorAssertionResponse,
    AuthenticatorAttestationResponse,
    AuthenticatorSelectionCriteria,
    AuthenticatorTransport,
    CredentialDeviceType,
    PublicKeyCredentialDescriptor,
    RegistrationCredential,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from hansa.kernel import HansaError, Problem

T = TypeVar("T")

CHALLENGE_OCTETS = 32
"""Octets of a challenge; the standard asks for 16 at least (section 13.4.3)."""
CREDENTIAL_MAX = 20_000
"""Characters of a browser's answer; one without attestation has about 1,000, one by RSA about 2,000."""
CREDENTIAL_ID_MAX = 1_023
"""Octets of a credential's id at most (section 4, Credential ID)."""
WAIT_MS = 300_000
"""How long a browser may wait for its owner: as long as a challenge is good."""
ALGORITHMS = (
    COSEAlgorithmIdentifier.ECDSA_SHA_256,
    COSEAlgorithmIdentifier.EDDSA,
    COSEAlgorithmIdentifier.RSASSA_PKCS1_v1_5_SHA_256,
)
"""ES256, EdDSA and RS256 (RFC 8152, RFC 8812), the one we like best first; RS256 is what Windows Hello may need."""
NO_HINT = "00000000-0000-0000-0000-000000000000"
_TRANSPORTS = frozenset(one.value for one in AuthenticatorTransport)

_Text = Annotated[str, msgspec.Meta(max_length=CREDENTIAL_MAX)]


@dataclass(frozen=True, slots=True)
class RelyingParty:
    """Whose passkeys these are. rp_id: a host's name. origin: of the pages, ``https://wallet.example``."""

    rp_id: str
    origin: str
    name: str = "Hansa"


@dataclass(frozen=True, slots=True)
class Registered:
    """A new passkey as its authenticator made it.

    public_key: a COSE_Key (RFC 9052). aaguid: which model made it, all zeros where it does not say. transports: how
    browsers reach it. backup_eligible: it may be on several devices; backed_up: it is so now.
    """

    credential_id: bytes
    public_key: bytes
    sign_count: int
    aaguid: UUID
    transports: tuple[str, ...]
    backup_eligible: bool
    backed_up: bool


@dataclass(frozen=True, slots=True)
class Assertion:
    """What a browser answered when it was asked for a passkey. user_handle: whose it says to be, if it says so."""

    credential_id: bytes
    user_handle: bytes | None
    authenticator_data: bytes
    client_data: bytes
    signature: bytes

    @property
    def challenge(self) -> bytes:
        """The challenge that it says it answers. Errors: CeremonyRefused."""
        return _client_data(self.client_data)


@dataclass(frozen=True, slots=True)
class Checked:
    """What a good assertion says: the authenticator's count of signatures, and whether the passkey is backed up now."""

    sign_count: int
    backed_up: bool


class Evidence(msgspec.Struct, frozen=True):
    """Everything that is needed to check again, years later, that a passkey signed a challenge.

    public_key: a COSE_Key. authenticator_data, client_data, signature: as they came from the browser.
    """

    credential_id: bytes
    public_key: bytes
    authenticator_data: bytes
    client_data: bytes
    signature: bytes


class CeremonyRefused(HansaError):
    """The passkey's answer is not good; `problems` names the part. Try again, from the page you are on."""

    code: ClassVar[str] = "identity.ceremony_refused"
    status: ClassVar[int] = 422
    remedy: ClassVar[str] = "Open the page anew and use the passkey again, on the address it was made for."


class CounterWentBack(HansaError):
    """This passkey counts fewer signatures than before, as a copy of it would. Use another passkey."""

    code: ClassVar[str] = "identity.passkey_copied"
    status: ClassVar[int] = 409
    remedy: ClassVar[str] = "Sign in with another passkey, then remove this one."


class _Part(msgspec.Struct, frozen=True, rename="camel"):
    client_data_json: _Text = msgspec.field(name="clientDataJSON")


class _Attestation(_Part, frozen=True, rename="camel"):
    attestation_object: _Text
    transports: Annotated[list[Annotated[str, msgspec.Meta(max_length=30)]], msgspec.Meta(max_length=10)] = []


class _Signed(_Part, frozen=True, rename="camel"):
    authenticator_data: _Text
    signature: _Text
    user_handle: _Text | None = None


class _Created(msgspec.Struct, frozen=True, rename="camel"):
    id: _Text
    raw_id: _Text
    response: _Attestation


class _Got(msgspec.Struct, frozen=True, rename="camel"):
    id: _Text
    raw_id: _Text
    response: _Signed


class _ClientData(msgspec.Struct, frozen=True, rename="camel"):
    type: str
    challenge: str
    origin: str
    cross_origin: bool = False


def new_challenge() -> bytes:
    """32 octets that nobody has seen."""
    return secrets.token_bytes(CHALLENGE_OCTETS)


def hash_challenge(challenge: bytes) -> bytes:
    """What is kept of a challenge."""
    return hashlib.sha256(challenge).digest()


def registration_options(
    rp: RelyingParty,
    *,
    user_handle: bytes,
    name: str,
    challenge: bytes,
    exclude: Sequence[bytes] = (),
) -> str:
    """What to ask a browser for a new passkey: JSON for ``PublicKeyCredential.parseCreationOptionsFromJSON``.

    user_handle: 1 to 64 octets that say nothing about the person. exclude: ids of passkeys they have, so that one
    authenticator does not make two.
    """
    assert 1 <= len(user_handle) <= 64 and len(challenge) == CHALLENGE_OCTETS
    options = generate_registration_options(
        rp_id=rp.rp_id,
        rp_name=rp.name,
        user_name=name,
        user_id=user_handle,
        challenge=challenge,
        timeout=WAIT_MS,
        attestation=AttestationConveyancePreference.NONE,
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.REQUIRED,
            user_verification=UserVerificationRequirement.REQUIRED,
        ),
        exclude_credentials=[PublicKeyCredentialDescriptor(id=one) for one in exclude],
        supported_pub_key_algs=list(ALGORITHMS),
    )
    return options_to_json(options)


def assertion_options(rp: RelyingParty, *, challenge: bytes, allow: Sequence[bytes] = ()) -> str:
    """What to ask a browser for a passkey it has: JSON for ``PublicKeyCredential.parseRequestOptionsFromJSON``.

    allow: ids of the passkeys that will do; none lets the person choose among those the authenticator has for us.
    """
    assert len(challenge) == CHALLENGE_OCTETS
    options = generate_authentication_options(
        rp_id=rp.rp_id,
        challenge=challenge,
        timeout=WAIT_MS,
        allow_credentials=[PublicKeyCredentialDescriptor(id=one) for one in allow],
        user_verification=UserVerificationRequirement.REQUIRED,
    )
    return options_to_json(options)


def read_challenge_of_registration(credential: str) -> bytes:
    """The challenge that a new passkey says it answers. Errors: CeremonyRefused."""
    created = _read(credential, _Created)
    return _client_data(_octets(created.response.client_data_json, "clientDataJSON"))


def check_registration(credential: str, *, challenge: bytes, rp: RelyingParty) -> Registered:
    """The new passkey in a browser's answer, if it was made for this challenge, party and origin, by its owner.

    Errors: CeremonyRefused, naming the part. Source: W3C Web Authentication level 3, section 7.1.
    """
    created = _read(credential, _Created)
    answer = created.response
    client_data = _octets(answer.client_data_json, "clientDataJSON")
    _client_data(client_data)
    transports = tuple(one for one in dict.fromkeys(answer.transports) if one in _TRANSPORTS)
    try:
        found = verify_registration_response(
            credential=RegistrationCredential(
                id=created.id,
                raw_id=_octets(created.raw_id, "rawId"),
                response=AuthenticatorAttestationResponse(
                    client_data_json=client_data,
                    attestation_object=_octets(answer.attestation_object, "attestationObject"),
                ),
            ),
            expected_challenge=challenge,
            expected_rp_id=rp.rp_id,
            expected_origin=rp.origin,
            require_user_verification=True,
            supported_pub_key_algs=list(ALGORITHMS),
        )
    except WebAuthnException as error:
        raise _refused("credential", str(error)) from error
    except (ValueError, KeyError, TypeError, IndexError, ArithmeticError, RecursionError) as error:
        raise _refused("attestationObject", "it cannot be read") from error
    if not 16 <= len(found.credential_id) <= CREDENTIAL_ID_MAX:
        raise _refused("rawId", f"it has {len(found.credential_id)} octets")
    return Registered(
        credential_id=found.credential_id,
        public_key=found.credential_public_key,
        sign_count=found.sign_count,
        aaguid=UUID(found.aaguid or NO_HINT),
        transports=transports,
        backup_eligible=found.credential_device_type == CredentialDeviceType.MULTI_DEVICE,
        backed_up=found.credential_backed_up,
    )


def read_assertion(credential: str) -> Assertion:
    """A browser's answer, not checked yet. Errors: CeremonyRefused."""
    got = _read(credential, _Got)
    credential_id = _octets(got.raw_id, "rawId")
    if base64url_to_bytes(got.id) != credential_id:
        raise _refused("id", "it is not rawId")
    handle = got.response.user_handle
    return Assertion(
        credential_id,
        _octets(handle, "userHandle") if handle else None,
        _octets(got.response.authenticator_data, "authenticatorData"),
        _octets(got.response.client_data_json, "clientDataJSON"),
        _octets(got.response.signature, "signature"),
    )


def check_assertion(
    assertion: Assertion, *, public_key: bytes, challenge: bytes, rp: RelyingParty, sign_count: int = 0
) -> Checked:
    """What a good assertion says; whose the key is and whether the challenge was ours, the caller knows.

    sign_count: the greatest count this passkey has shown. An authenticator that does not count always says 0.
    Errors: CeremonyRefused, naming the part; CounterWentBack. Source: W3C Web Authentication level 3, section 7.2.
    """
    found = _verified(assertion, public_key=public_key, challenge=challenge, rp=rp)
    if max(found.new_sign_count, sign_count) > 0 and found.new_sign_count <= sign_count:
        raise CounterWentBack
    return Checked(found.new_sign_count, found.credential_backed_up)


def evidence_of(assertion: Assertion, public_key: bytes) -> Evidence:
    """What to keep of an assertion so that it can be checked again."""
    return Evidence(
        assertion.credential_id,
        public_key,
        assertion.authenticator_data,
        assertion.client_data,
        assertion.signature,
    )


def check_evidence(evidence: Evidence, challenge: bytes, rp_id: str, origin: str) -> None:
    """Whether this passkey signed this challenge, for this party and origin, with its owner there and verified.

    Needs nothing but what is handed in. Errors: CeremonyRefused, naming the part.
    """
    assertion = Assertion(
        evidence.credential_id, None, evidence.authenticator_data, evidence.client_data, evidence.signature
    )
    _verified(assertion, public_key=evidence.public_key, challenge=challenge, rp=RelyingParty(rp_id, origin))


def _verified(
    assertion: Assertion, *, public_key: bytes, challenge: bytes, rp: RelyingParty
) -> VerifiedAuthentication:
    _client_data(assertion.client_data)
    try:
        return verify_authentication_response(
            credential=AuthenticationCredential(
                id=bytes_to_base64url(assertion.credential_id),
                raw_id=assertion.credential_id,
                response=AuthenticatorAssertionResponse(
                    client_data_json=assertion.client_data,
                    authenticator_data=assertion.authenticator_data,
                    signature=assertion.signature,
                    user_handle=assertion.user_handle,
                ),
            ),
            expected_challenge=challenge,
            expected_rp_id=rp.rp_id,
            expected_origin=rp.origin,
            credential_public_key=public_key,
            credential_current_sign_count=0,  # the count is ours to judge: see CounterWentBack
            require_user_verification=True,
        )
    except WebAuthnException as error:
        raise _refused("credential", str(error)) from error
    except (ValueError, KeyError, TypeError, IndexError, ArithmeticError, RecursionError) as error:
        raise _refused("credential", "it cannot be read") from error


def _client_data(octets: bytes) -> bytes:
    """The challenge in client data that was made in a page of its own, not in another site's frame."""
    try:
        told = msgspec.json.decode(octets, type=_ClientData)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _refused("clientDataJSON", "it cannot be read") from error
    if told.cross_origin:
        raise _refused("clientDataJSON", "it was made in another site's frame")
    return _octets(told.challenge, "challenge")


def _read(credential: str, kind: type[T]) -> T:
    if len(credential) > CREDENTIAL_MAX:
        raise _refused("credential", f"it has {len(credential)} characters")
    try:
        return msgspec.json.decode(credential, type=kind)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise _refused("credential", f"it does not fit: {error}") from error


def _octets(text: str, where: str) -> bytes:
    try:
        return base64url_to_bytes(text)
    except (binascii.Error, ValueError) as error:
        raise _refused(where, "it is no base64url") from error


def _refused(where: str, what: str) -> CeremonyRefused:
    remedy = "Open the page anew and use the passkey again"
    return CeremonyRefused("The passkey’s answer is not good.", problems=(Problem(where, what, remedy),))
