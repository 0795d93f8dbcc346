"""What can be done in trust."""

import re
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from hashlib import sha256

from hansa import audit
from hansa.audit import Act
from hansa.codes import PRODUCTS, KeyStatus, TrustedKey
from hansa.kernel import InvalidInput, Problem
from hansa.store import Tx
from hansa.trust import store
from hansa.trust.model import (
    API_VERSIONS,
    TEST_MARK,
    ApiKey,
    Caller,
    GateRecord,
    Member,
    MemberDiffers,
    NotSignedIn,
    UnknownGate,
    UnknownIssuer,
    UnknownKey,
    UnknownMember,
)
from hansa.trust.staff_model import ReasonNeeded

_SCOPE = re.compile(r"[a-z]+:[a-z]+")
_PERSON = re.compile(r"[a-z0-9]+([._@-][a-z0-9]+)*")
_PERSON_MAX = 60


def add_members(tx: Tx, members: Sequence[Member]) -> None:
    """Take these into the league. Again with the same is harmless.

    Errors: UnknownMember for a ``clears_as`` that is neither there nor in the set; MemberDiffers when one is there
    already with other words. Nothing is added then, once the caller's transaction rolls back.
    """
    if not members:
        return
    named = {member.member_id for member in members}
    needed = {member.clears_as for member in members} - named
    missing = needed - {member.member_id for member in store.members(tx, sorted(needed))}
    if missing:
        raise UnknownMember(f"No member {', '.join(sorted(missing))} to clear for others; add it with them.")
    store.insert_members(tx, members)
    _refuse_changed(members, {kept.member_id: kept for kept in store.members(tx, sorted(named))})


def get_member(tx: Tx, member_id: str) -> Member:
    """The member. Errors: UnknownMember."""
    member = store.find_member(tx, member_id)
    if member is None:
        raise UnknownMember(f"The league has no member {member_id!r}.")
    return member


def list_members(tx: Tx) -> list[Member]:
    """All members, by id."""
    return store.members(tx)


def add_gates(tx: Tx, gates: Sequence[GateRecord]) -> None:
    """Take these gates into the league. Again with the same is harmless.

    Errors: UnknownMember for an operator that is not there; MemberDiffers for a gate that is there with other words.
    """
    if not gates:
        return
    operators = {gate.operator_id for gate in gates}
    missing = operators - {member.member_id for member in store.members(tx, sorted(operators))}
    if missing:
        raise UnknownMember(f"The league has no operator {', '.join(sorted(missing))}.")
    store.insert_gates(tx, gates)
    kept = store.gates(tx, ids=[gate.gate_id for gate in gates])
    _refuse_changed(gates, {gate.gate_id: gate for gate in kept})


def get_gate(tx: Tx, gate_id: str) -> GateRecord:
    """The gate. Errors: UnknownGate."""
    gates = store.gates(tx, ids=[gate_id])
    if not gates:
        raise UnknownGate(f"The league has no gate {gate_id!r}.")
    return gates[0]


def list_gates(tx: Tx, operator_id: str | None = None) -> list[GateRecord]:
    """All gates, or an operator's, by id."""
    return store.gates(tx, operator_id=operator_id)


def list_gates_page(
    tx: Tx, *, operator_id: str | None = None, after: str = "", limit: int = 100
) -> list[GateRecord]:
    """The next gates by id, after this one."""
    return store.gates(tx, operator_id=operator_id, after=after, limit=limit)


def find_gates(tx: Tx, gate_ids: Iterable[str]) -> dict[str, GateRecord]:
    """Those of these gates that the league has, by id."""
    return {gate.gate_id: gate for gate in store.gates_by_id(tx, sorted(set(gate_ids)))}


def add_issuer_key(
    tx: Tx,
    issuer_id: str,
    public_key: bytes,
    *,
    not_before: datetime,
    not_after: datetime,
    products: Sequence[str] = PRODUCTS,
    at: datetime | None = None,
    kid: bytes | None = None,
) -> TrustedKey:
    """Vouch for an issuer's Ed25519 key: it stands on the next trust list. Again with the same is harmless.

    kid: 4 bytes, else the first of the key's SHA-256. at: when, else ``not_before``.
    Errors: UnknownIssuer; MemberDiffers when the id or the key stands there for something else.
    """
    member = store.find_member(tx, issuer_id)
    if member is None or member.role != "issuer":
        raise UnknownIssuer(f"The league has no issuer {issuer_id!r}.")
    unknown = [product for product in products if product not in PRODUCTS]
    if unknown or len(public_key) != 32:
        raise InvalidInput(
            "This key cannot be vouched for.",
            problems=(
                Problem(
                    "products" if unknown else "public_key",
                    f"{unknown} are unknown" if unknown else f"it has {len(public_key)} bytes",
                    f"Choose from {', '.join(PRODUCTS)}" if unknown else "Give the 32 bytes of Ed25519",
                ),
            ),
        )
    key = TrustedKey(
        kid=kid if kid is not None else sha256(public_key).digest()[:4],
        issuer_id=issuer_id,
        public_key=public_key,
        not_before=not_before,
        not_after=not_after,
        products=tuple(products),
        status="active",
    )
    if store.insert_key(tx, key):
        store.record_key_change(tx, key.kid, "active", at or not_before)
        return key
    kept = store.find_key(tx, key.kid)
    if kept is None or replace(kept, status="active") != key:
        raise MemberDiffers(f"The key id {key.kid.hex()} or this key is in use for something else.")
    return kept


def set_key_status(tx: Tx, kid: bytes, status: KeyStatus, at: datetime) -> None:
    """Retire a key, or call it compromised: on the next trust list. Errors: UnknownIssuer."""
    if store.find_key(tx, kid) is None:
        raise UnknownIssuer(f"No issuer has the key {kid.hex()}.")
    if store.set_key_status(tx, kid, status):
        store.record_key_change(tx, kid, status, at)


def create_api_key(
    tx: Tx,
    member_id: str,
    scopes: Iterable[str],
    *,
    at: datetime | None = None,
    gate_id: str | None = None,
    person: str = "",
    version: date | None = None,
    test: bool = False,
    by: str = "",
    reason: str = "",
) -> str:
    """A new key for a member's programs, its people or one gate. The secret is shown this once; its hash is kept.

    scopes: a room and what may be done there, such as ``taps:write``; each room asks for its own. person: who acts with
    it, at most 60 of small letters, digits and ``.-_@``; where two persons must look, one person's keys are one.
    version: of the interface, that the key's requests are read by; the newest if not given. test: for a sandbox alone.
    by, reason: who of the staff makes it and why, for the audit record; what a program makes is kept with its call.
    Errors: UnknownMember; ReasonNeeded; UnknownGate (also for another operator's gate); InvalidInput for what cannot be
    a scope or a person.
    """
    get_member(tx, member_id)
    scopes = sorted(set(scopes))
    odd = [scope for scope in scopes if not _SCOPE.fullmatch(scope)]
    if odd:
        problem = Problem("scopes", f"{', '.join(map(repr, odd))} cannot be one", "Write it as in taps:write")
        raise InvalidInput("This key cannot be made: there are no such scopes.", problems=(problem,))
    if person and (len(person) > _PERSON_MAX or not _PERSON.fullmatch(person)):
        problem = Problem(
            "person", f"{person!r} cannot be one", f"Write it as in anna.berg, at most {_PERSON_MAX} letters"
        )
        raise InvalidInput("This key cannot be made: its person has no fit name.", problems=(problem,))
    if gate_id is not None and get_gate(tx, gate_id).operator_id != member_id:
        raise UnknownGate(f"{member_id} has no gate {gate_id!r}.")
    version = version or API_VERSIONS[-1]
    if version not in API_VERSIONS:
        told = ", ".join(str(one) for one in API_VERSIONS)
        problem = Problem("version", f"{version} is no version of the interface", f"Choose from {told}")
        raise InvalidInput("This key cannot be made: there is no such version.", problems=(problem,))
    secret = f"{TEST_MARK if test else 'hansa_'}{secrets.token_urlsafe(32)}"
    store.insert_api_key(
        tx,
        key_hash=_hash(secret),
        member_id=member_id,
        gate_id=gate_id,
        scopes=scopes,
        at=at or datetime.now(UTC),
        person=person,
        version=version,
        test=test,
    )
    if by:
        if not reason.strip():
            raise ReasonNeeded
        told = {"member": member_id, "scopes": scopes, "gate": gate_id or "", "person": person, "test": test}
        made = Act(by, "key.make", f"key:{_hash(secret)[:8].hex()}", reason.strip(), told, member_id)
        audit.record(tx, made, at or datetime.now(UTC))
    return secret


def list_api_keys(tx: Tx, member_id: str) -> list[ApiKey]:
    """All keys of a member, alive and ended, the newest first. Errors: UnknownMember."""
    get_member(tx, member_id)
    return store.api_keys(tx, member_id)


def end_member_key(
    tx: Tx, member_id: str, key_id: str, at: datetime, *, by: str = "", reason: str = ""
) -> None:
    """End a key of this member by its id, 16 hex digits. To roll a key, make a second, change over, and end the first.

    by, reason: who of the staff ends it and why, for the audit record; what a program ends is kept with its call.
    Errors: UnknownKey, also for one that has ended; ReasonNeeded.
    """
    if by and not reason.strip():
        raise ReasonNeeded
    try:
        name = bytes.fromhex(key_id)
    except ValueError:
        name = b""
    if len(name) != 8 or not store.end_key(tx, member_id, name, at):
        raise UnknownKey
    if by:
        told = {"member": member_id}
        audit.record(tx, Act(by, "key.end", f"key:{key_id}", reason.strip()[:500], told, member_id), at)


def caller_of_key(tx: Tx, secret: str) -> Caller:
    """Who sent this key. Errors: NotSignedIn."""
    caller = store.find_caller(tx, _hash(secret))
    if caller is None:
        raise NotSignedIn("This API key is not valid.")
    return caller


def _hash(secret: str) -> bytes:
    # A plain hash is enough: the secret has 256 random bits, nothing a dictionary could guess.
    return sha256(secret.encode("utf-8", "surrogatepass")).digest()


def _refuse_changed(wanted: Sequence[Member] | Sequence[GateRecord], kept: Mapping[str, object]) -> None:
    for one in wanted:
        name = one.member_id if isinstance(one, Member) else one.gate_id
        if kept[name] != one:
            raise MemberDiffers(f"{name} is there already with other words.")
