"""The words of trust: members, gates, callers, and the errors about them."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import ClassVar, Literal, NewType

from hansa.kernel import HansaError

MemberId = NewType("MemberId", str)
Role = Literal["city", "issuer", "operator", "bank", "league"]
CallerKind = Literal["member", "person", "gate", "operator", "league", "anonymous"]
GateAction = Literal["entry", "exit", "board"]

API_VERSIONS = (date(2026, 11, 17), date(2026, 11, 28))
"""Dated versions of the interface, oldest first. A key is made for the newest and stays with it."""

TEST_MARK = "hansa_test_"
"""How the secret of a key begins with which no real money can be meant."""


class UnknownMember(HansaError):
    """The league has no such member."""

    code: ClassVar[str] = "trust.unknown_member"
    status: ClassVar[int] = 404


class UnknownGate(HansaError):
    """The league has no such gate."""

    code: ClassVar[str] = "trust.unknown_gate"
    status: ClassVar[int] = 404


class UnknownIssuer(HansaError):
    """No issuer of the league has this key or name."""

    code: ClassVar[str] = "trust.unknown_issuer"
    status: ClassVar[int] = 404


class MemberDiffers(HansaError):
    """A member or gate of this id is there already, and it is not the same."""

    code: ClassVar[str] = "trust.differs"
    status: ClassVar[int] = 409


class NoTrustList(HansaError):
    """The league has not signed a trust list yet."""

    code: ClassVar[str] = "trust.no_trust_list"
    status: ClassVar[int] = 404


class NoListKey(HansaError):
    """This Hansa's list key does not stand on the league's trust list, so no gate would believe what it signs.

    Put it there and sign the list: hansa trust publish.
    """

    code: ClassVar[str] = "trust.no_list_key"
    status: ClassVar[int] = 409


class NotAllowed(HansaError):
    """This caller may not do that."""

    code: ClassVar[str] = "trust.not_allowed"
    status: ClassVar[int] = 403


class UnknownKey(HansaError):
    """The member has no key of this id that is alive. List its keys, and name one by its 16 hex digits."""

    code: ClassVar[str] = "trust.unknown_key"
    status: ClassVar[int] = 404


class NotSignedIn(HansaError):
    """Sign in first, or send a valid API key as a bearer token."""

    code: ClassVar[str] = "trust.not_signed_in"
    status: ClassVar[int] = 401


@dataclass(frozen=True, slots=True)
class Member:
    """Someone of the league. clears_as: who settles for it; itself, or its city. account: its IBAN or the like."""

    member_id: MemberId
    name: str
    role: Role
    city_id: str | None
    clears_as: MemberId
    account: str


@dataclass(frozen=True, slots=True)
class GateRecord:
    """A gate as the league knows it. stop_id: None on a vehicle. cell: 3 bytes. facts: what anyone may read of it."""

    gate_id: str
    operator_id: MemberId
    city_id: str
    stop_id: str | None
    line_id: str | None
    action: GateAction
    product: str
    cell: bytes = bytes(3)
    facts: dict[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, and what they may. account_id: a person's account, as text. gate_id: the one gate whose key it is.

    caller_id: a key's member or gate. key_id: 16 hex digits that name the key and tell nothing of its secret; person:
    who acts with it, if it was made for one. version: of the interface, that the key is for. test: a sandbox's key.
    """

    caller_id: str
    kind: CallerKind
    scopes: frozenset[str] = frozenset()
    member_id: MemberId | None = None
    account_id: str | None = None
    gate_id: str | None = None
    key_id: str | None = None
    person: str = ""
    version: date | None = None
    test: bool = False

    @property
    def who(self) -> str:
        """By which name a decision is kept where two persons must look: ``london-tfl:anna``, else with the key's id."""
        return self.caller_id if self.key_id is None else f"{self.caller_id}:{self.person or self.key_id}"

    def may(self, scope: str) -> bool:
        """Whether the caller holds this scope, such as ``taps:write``."""
        return scope in self.scopes

    def require(self, scope: str) -> None:
        """Go on only with this scope. Errors: NotSignedIn for nobody, NotAllowed for someone without it."""
        if self.may(scope):
            return
        if self.kind == "anonymous":
            raise NotSignedIn
        raise NotAllowed(f"This needs the scope {scope}.")

    def require_league(self, scope: str) -> None:
        """Go on only for the league itself, with this scope. Errors: as ``require``; NotAllowed for a member."""
        self.require(scope)
        if self.kind != "league":
            raise NotAllowed("Only the league itself may do this.")


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key as its member may see it; its secret is kept nowhere. ended_at: None while it is alive."""

    key_id: str
    member_id: MemberId
    gate_id: str | None
    scopes: tuple[str, ...]
    person: str
    version: date
    test: bool
    created_at: datetime
    ended_at: datetime | None


def is_same_person(one: str, other: str) -> bool:
    """Whether two names of ``Caller.who`` may be one person's.

    Decisions of the time before keys had names are kept under the member alone, which stands for each of its keys.
    """
    short, long = sorted((one, other), key=len)
    return short == long or long.startswith(f"{short}:")


def count_persons(names: Iterable[str]) -> int:
    """How many persons these names of ``Caller.who`` surely are: a member alone is none beside one of its keys."""
    distinct = set(names)
    return sum(not any(other.startswith(f"{one}:") for other in distinct) for one in distinct)


ANONYMOUS = Caller("anonymous", "anonymous")
