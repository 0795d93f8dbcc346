"""Who of the demonstration's riders does more than ride: shopkeepers, buyers, people who send each other money.

They are the first adults of each city by their account's id, so the same for the same spec. A few have a passkey that
this program keeps for them: its key is worked out from the seed, so that a demonstration that died goes on with it.
"""

import hashlib
import json
from base64 import urlsafe_b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

import cbor2
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

from hansa import approval, identity
from hansa.apps.demo.people import Rider
from hansa.apps.web import advancing
from hansa.identity import AccountId, RelyingParty, Session
from hansa.store import Context, Secret

EACH_CITY = 8
"""How many of a city do more than ride, where it has so many."""

LEAST = {"beijing": 6, "hangzhou": 4}
"""How many of a city there must be; a smaller league only rides."""

PIN = "482915"
"""The payment PIN of everybody in the demonstration who has one; the closing page tells it."""

RP = RelyingParty("localhost", "http://localhost:8017")
"""Where the demonstration is used, and so for whom its passkeys are."""

ORDER_P256 = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_PRESENT, _VERIFIED, _ATTESTED = 0x01, 0x04, 0x40


@dataclass(frozen=True, slots=True)
class Cast:
    """The people, by home city; the first of each city keeps its shop."""

    seed: int
    cities: Mapping[str, tuple[Rider, ...]]

    @property
    def people(self) -> list[Rider]:
        """All of them, city by city."""
        return [rider for city in self.cities.values() for rider in city]

    def of(self, city_id: str, place: int) -> Rider:
        """One of a city, counted from 0."""
        return self.cities[city_id][place]

    @property
    def keeper_of_passkey(self) -> Rider:
        """Who has a passkey that this program keeps: nobody whom a newcomer would sign in as first."""
        return self.of("beijing", 5)


def find_cast(seed: int, riders: Sequence[Rider], cities: Sequence[str]) -> Cast | None:
    """Who does more than ride; None where a league is too small for it."""
    found: dict[str, tuple[Rider, ...]] = {}
    for city_id in cities:
        adults = [one for one in riders if one.home == city_id and one.rider_class == "adult"]
        adults = [one for one in adults if one.purse_minor > 1_000]
        found[city_id] = tuple(sorted(adults, key=lambda one: one.account_id)[:EACH_CITY])
    if any(len(found[city_id]) < least for city_id, least in LEAST.items()):
        return None
    return Cast(seed, found)


def account_of(rider: Rider) -> AccountId:
    """A rider's account."""
    return AccountId(rider.account_id)


def derived_key(seed: int, what: str, account_id: UUID) -> ec.EllipticCurvePrivateKey:
    """A P-256 key that is the same in every run of this seed: for a demonstration, and for nothing else."""
    digest = hashlib.sha512(f"hansa demo {what} {seed} {account_id}".encode()).digest()
    return ec.derive_private_key(int.from_bytes(digest) % (ORDER_P256 - 1) + 1, ec.SECP256R1())


# -- signing in, and a passkey ------------------------------------------------------------------------------


def sign_in(ctx: Context, account_id: AccountId) -> tuple[str, Session]:
    """Someone of the demonstration signs in: the secret of their browser, and their session."""
    at = ctx.clock.now()
    with ctx.tx() as tx:
        secret = identity.start_session(tx, account_id, at)
        session = identity.find_session(tx, secret, at)
    assert session is not None, "it was begun just now"
    return secret, session


def give_passkey(ctx: Context, seed: int, rider: Rider) -> None:
    """Make this person's passkey, unless it is made. Again is harmless."""
    account_id, at = account_of(rider), ctx.clock.now()
    with ctx.tx() as tx:
        if identity.list_passkeys(tx, account_id):
            return
    _, session = sign_in(ctx, account_id)
    owner = str(session.session_id)
    with ctx.tx() as tx:
        options = identity.begin_registration(
            tx, account_id, person=rider.name, rp=RP, purpose="add", owner=owner, at=at
        )
        made = _Passkey(seed, account_id).create(options)
        identity.finish_registration(tx, made, rp=RP, purpose="add", owner=owner, name="A key ring", at=at)


@dataclass(frozen=True, slots=True)
class _Passkey:
    """A passkey in software, by W3C Web Authentication level 3: it makes itself known and signs; it does not count."""

    seed: int
    account_id: AccountId

    @property
    def _key(self) -> ec.EllipticCurvePrivateKey:
        return derived_key(self.seed, "passkey", self.account_id)

    @property
    def _credential_id(self) -> bytes:
        return hashlib.sha256(f"hansa demo credential {self.seed} {self.account_id}".encode()).digest()

    def create(self, options: str) -> str:
        """What a browser would answer to these options for a new passkey."""
        asked = json.loads(options)
        point = self._key.public_key().public_numbers()
        cose = {1: 2, 3: -7, -1: 1, -2: point.x.to_bytes(32, "big"), -3: point.y.to_bytes(32, "big")}
        mine = self._credential_id
        attested = bytes(16) + len(mine).to_bytes(2, "big") + mine + cbor2.dumps(cose)
        data = self._data(_ATTESTED) + attested
        return self._answer(
            clientDataJSON=_client_data("webauthn.create", asked["challenge"]),
            attestationObject=cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": data}),
        )

    def sign(self, options: str) -> str:
        """What a browser would answer to these options for a passkey that it has."""
        told = _client_data("webauthn.get", json.loads(options)["challenge"])
        data = self._data(0)
        signature = self._key.sign(data + hashlib.sha256(told).digest(), ec.ECDSA(SHA256()))
        return self._answer(
            clientDataJSON=told,
            authenticatorData=data,
            signature=signature,
            userHandle=self.account_id.bytes,
        )

    def _data(self, flags: int) -> bytes:
        return hashlib.sha256(RP.rp_id.encode()).digest() + bytes([_PRESENT | _VERIFIED | flags]) + bytes(4)

    def _answer(self, **response: bytes) -> str:
        mine = _base64url(self._credential_id)
        told: dict[str, object] = {name: _base64url(octets) for name, octets in response.items()}
        if "attestationObject" in response:
            told["transports"] = ["usb"]
        return json.dumps(
            {
                "id": mine,
                "rawId": mine,
                "type": "public-key",
                "clientExtensionResults": {},
                "response": told,
            }
        )


def _client_data(kind: str, challenge: str) -> bytes:
    told = {"type": kind, "challenge": challenge, "origin": RP.origin, "crossOrigin": False}
    return json.dumps(told).encode()


def _base64url(octets: bytes) -> str:
    return urlsafe_b64encode(octets).rstrip(b"=").decode()


# -- approving ----------------------------------------------------------------------------------------------


def approve(ctx: Context, cast: Cast, rider: Rider, kind: str, subject_id: UUID, pepper: Secret) -> bool:
    """Let this person approve what waits for them, by PIN or, where more is asked, by passkey; then it goes on.

    Whether something was approved now. What was approved or ended before is only carried on.
    """
    account_id = account_of(rider)
    approval_id = approval.approval_id_of(kind, subject_id)
    with ctx.tx() as tx:
        state = approval.approval_state(tx, [subject_id])[subject_id]
    if state is approval.ApprovalState.WAITING:
        with ctx.tx() as tx:
            asked, _ = approval.get_approval(tx, approval_id, account_id, ctx.clock.now())
        _, session = sign_in(ctx, account_id)
        if asked.level <= approval.ApprovalLevel.PIN:
            approval.give_by_pin(ctx, approval_id, session, PIN, pepper)
        else:
            options = approval.begin_passkey(ctx, approval_id, session, RP)
            signed = _Passkey(cast.seed, account_id).sign(options)
            approval.give_by_passkey(ctx, approval_id, session, signed, RP)
    if state is not approval.ApprovalState.NONE:
        advancing.carry_on(ctx, kind, subject_id)
    return state is approval.ApprovalState.WAITING
