"""The words of staff: persons at the console, their roles, sign-ins and what needs two of them."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from importlib.resources import files
from typing import Annotated, ClassVar, Literal
from uuid import UUID

import msgspec

from hansa.kernel import HansaError, InvalidInput, Problem
from hansa.trust.model import MemberId

Purpose = Literal["register", "sign-in", "step-up"]
Decision = Literal["confirmed", "refused"]

_HANDLE = re.compile(r"[a-z][a-z0-9]*([.-][a-z0-9]+)*")
HANDLE_MAX, NAME_MAX, REASON_MAX, AGENT_MAX = 40, 80, 500, 200

_Seconds = Annotated[int, msgspec.Meta(ge=1, le=2_592_000)]


class UnknownStaff(HansaError):
    """Nobody of this name works at the console."""

    code: ClassVar[str] = "trust.unknown_staff"
    status: ClassVar[int] = 404
    remedy: ClassVar[str] = "Look the person up at /console/staff."


class HandleTaken(HansaError):
    """Somebody has this handle, or had it: it is never given to another, since decisions are kept under it."""

    code: ClassVar[str] = "trust.handle_taken"
    status: ClassVar[int] = 409
    remedy: ClassVar[str] = "Choose another handle."


class InvitationRefused(HansaError):
    """This invitation is not known, was used, or its time is over. Ask who invited you for a new one."""

    code: ClassVar[str] = "trust.invitation_refused"
    status: ClassVar[int] = 403
    remedy: ClassVar[str] = "Ask an admin for a new invitation; each is good once."


class StaffSignInRefused(HansaError):
    """This passkey opens nothing here. Use the one that you registered for the console."""

    code: ClassVar[str] = "trust.staff_sign_in_refused"
    status: ClassVar[int] = 403
    remedy: ClassVar[str] = (
        "Use the passkey that was registered for the console; if it is lost, ask an admin for an invitation."
    )


class StaffChallengeRefused(HansaError):
    """This answers a question that was not asked here, was answered, or is too old. Open the page anew."""

    code: ClassVar[str] = "trust.staff_challenge_refused"
    status: ClassVar[int] = 409
    remedy: ClassVar[str] = "Open the page anew and use the passkey again within five minutes."


class PasskeyKnown(HansaError):
    """This passkey is registered already."""

    code: ClassVar[str] = "trust.passkey_known"
    status: ClassVar[int] = 409
    remedy: ClassVar[str] = "Sign in with it, or register another one."


class LastOne(HansaError):
    """The last passkey of a person, and the last admin of the league, stay: nobody could come in any more."""

    code: ClassVar[str] = "trust.last_one"
    status: ClassVar[int] = 409
    remedy: ClassVar[str] = "Add another one first."


class RightMissing(HansaError):
    """None of your roles may do this."""

    code: ClassVar[str] = "trust.right_missing"
    status: ClassVar[int] = 403
    remedy: ClassVar[str] = "Ask somebody whose role may, or an admin for the role."


class OutsideOwn(HansaError):
    """This is another member's, or the league's. Staff of a member see what is their member's own."""

    code: ClassVar[str] = "trust.outside_own"
    status: ClassVar[int] = 403
    remedy: ClassVar[str] = "Open your member's own pages, from /console/mine."


class StepUpNeeded(HansaError):
    """This needs a passkey that was used just now."""

    code: ClassVar[str] = "trust.step_up_needed"
    status: ClassVar[int] = 403
    next_action: ClassVar[str] = "sign_in"
    remedy: ClassVar[str] = "Confirm with your passkey at /console/confirm, then do it again."


class ReasonNeeded(HansaError):
    """A decision says why: write a reason of a few words."""

    code: ClassVar[str] = "trust.reason_needed"
    status: ClassVar[int] = 422
    remedy: ClassVar[str] = "Write the reason in the field that asks for it, and send the form again."


class UnknownProposal(HansaError):
    """There is no such proposal, it is decided, or its time is over."""

    code: ClassVar[str] = "trust.unknown_proposal"
    status: ClassVar[int] = 404
    remedy: ClassVar[str] = "Look at /console/proposals for what waits for a second person."


class SecondPersonNeeded(HansaError):
    """A second person decides this, not whoever proposed it."""

    code: ClassVar[str] = "trust.second_person_needed"
    status: ClassVar[int] = 409
    remedy: ClassVar[str] = "Ask a colleague with the same right to open /console/proposals."


class _Sessions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    idle_s: _Seconds
    lasts_s: _Seconds
    fresh_s: _Seconds
    seen_s: _Seconds


class _Passkeys(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    invitation_s: _Seconds
    challenge_s: _Seconds
    passkeys_max: Annotated[int, msgspec.Meta(ge=2, le=50)]


class _Proposals(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    lasts_s: _Seconds


class StaffPolicy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Roles with the rights they hold, and how long things last; staff_policy.toml says what each figure means."""

    roles: dict[str, tuple[str, ...]]
    sessions: _Sessions
    passkeys: _Passkeys
    proposals: _Proposals

    def rights_of(self, roles: tuple[str, ...]) -> frozenset[str]:
        """All that these roles may do together."""
        return frozenset(right for role in roles for right in self.roles.get(role, ()))


@dataclass(frozen=True, slots=True)
class Staff:
    """A person at the console. handle: by which decisions are kept. member_id: None for the league's own staff."""

    staff_id: UUID
    handle: str
    name: str
    member_id: MemberId | None
    roles: tuple[str, ...]
    user_handle: bytes
    made_at: datetime
    made_by: str
    ended_at: datetime | None = None

    @property
    def who(self) -> str:
        """By which name a decision of theirs is kept."""
        return f"staff:{self.handle}"


@dataclass(frozen=True, slots=True)
class StaffPasskey:
    """A passkey of a person at the console."""

    credential_id: bytes
    staff_id: UUID
    public_key: bytes
    sign_count: int
    name: str
    transports: tuple[str, ...]
    backed_up: bool
    added_at: datetime
    used_at: datetime | None


@dataclass(frozen=True, slots=True)
class NewPasskey:
    """A passkey as its authenticator made it: what a ceremony that was checked gives."""

    credential_id: bytes
    public_key: bytes
    sign_count: int
    transports: tuple[str, ...]
    backed_up: bool


@dataclass(frozen=True, slots=True)
class StaffSession:
    """A sign-in at the console. verified_at: when a passkey was last used in it. agent: the browser's own words."""

    session_id: UUID
    staff_id: UUID
    credential_id: bytes
    started_at: datetime
    seen_at: datetime
    verified_at: datetime
    agent: str

    def is_fresh(self, at: datetime, policy: StaffPolicy) -> bool:
        """Whether its person was there just now."""
        return at - self.verified_at <= timedelta(seconds=policy.sessions.fresh_s)


@dataclass(frozen=True, slots=True)
class Proposal:
    """What one person wants done that needs a second: a form to send to an address of the console."""

    proposal_id: UUID
    path: str
    fields: dict[str, str]
    member_id: MemberId | None
    needed: str
    reason: str
    made_by: str
    made_at: datetime
    expires_at: datetime
    decision: Decision | None = None
    decided_by: str | None = None
    decided_at: datetime | None = None


@cache
def own_staff_policy() -> StaffPolicy:
    """The policy that comes with Hansa."""
    return read_staff_policy((files("hansa.trust") / "staff_policy.toml").read_text(encoding="utf-8"))


def read_staff_policy(toml: str) -> StaffPolicy:
    """The policy from its text. Errors: InvalidInput, which names the field."""
    try:
        return msgspec.toml.decode(toml, type=StaffPolicy)
    except (msgspec.DecodeError, tomllib.TOMLDecodeError) as error:
        problem = Problem("staff_policy.toml", str(error), "Write each figure within its bounds")
        raise InvalidInput("This cannot be the policy of the console.", problems=(problem,)) from error


def check_person(handle: str, name: str, roles: tuple[str, ...], policy: StaffPolicy) -> None:
    """Go on with what can be a person of the console. Errors: InvalidInput, which names each field."""
    problems: list[Problem] = []
    if not _HANDLE.fullmatch(handle) or len(handle) > HANDLE_MAX:
        problems.append(
            Problem(
                "handle",
                repr(handle),
                "Use small letters and digits, with dots or hyphens between: ada.lovelace",
            )
        )
    if not name.strip() or len(name) > NAME_MAX or not name.isprintable():
        problems.append(Problem("name", repr(name), f"Write the person's name, at most {NAME_MAX} letters"))
    unknown = sorted(set(roles) - policy.roles.keys())
    if unknown or not roles:
        told = ", ".join(unknown) or "none is chosen"
        problems.append(Problem("roles", told, f"Choose from {', '.join(policy.roles)}"))
    if problems:
        raise InvalidInput("This person cannot be taken in.", problems=tuple(problems))


def own_of(member_id: MemberId, clears_as: Mapping[MemberId, MemberId]) -> frozenset[MemberId]:
    """Whose things a member's staff see: the member's, and of those that settle through it."""
    return frozenset({member_id} | {one for one, by in clears_as.items() if by == member_id})
