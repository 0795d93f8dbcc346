"""The words of a member's life: applications as TOML, standing, and what a member may do in each. Pure."""

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Annotated, ClassVar, Literal, cast, get_args
from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from hansa.kernel import BIC, CURRENCY_EXPONENTS, HansaError, InvalidInput, Problem, is_iban

Standing = Literal["active", "suspended", "leaving", "left"]
Doing = Literal["ride", "transfer", "sign", "open", "agree", "dispute", "settle"]
"""New fares to be charged; a payment to another member; new ride tokens; new positions; new agreements; a new dispute;
the settling of what is there."""

DOINGS: tuple[Doing, ...] = get_args(Doing)

COOLING = timedelta(hours=24)
"""How long an approved change of a bank account waits, so that whoever it robs can stop it."""

TEXT_BYTES_MAX = 64 * 1024
WHY_MAX = 500

MAY: Mapping[Standing, frozenset[Doing]] = {
    "active": frozenset(DOINGS),
    "suspended": frozenset({"dispute", "settle"}),
    "leaving": frozenset({"ride", "transfer", "sign", "dispute", "settle"}),
    "left": frozenset({"settle"}),
}
"""What a member may do in each standing. One that leaves may ride, transfer and sign until its business ends."""

ENDS_WITH_BUSINESS: frozenset[Doing] = frozenset({"ride", "transfer", "sign"})

NOT_NOW: Mapping[Doing, str] = {
    "ride": "New fares are held and shown until it may again",
    "transfer": "Payments between members wait until it may again",
    "sign": "Its riders ride on tokens they have, a day at most",
    "open": "Open positions once it may again",
    "agree": "Agree once it may again",
    "dispute": "Its disputes are over",
    "settle": "",
}
"""What becomes of it meanwhile, or what to do."""

_MARK = re.compile(r" - at (?:`key` in )?`\$\.?([^`]*)`")
_REMEDIES = {
    "member": "Write small letters, digits and hyphens, such as lyon-card",
    "city": "Write small letters, digits and hyphens, such as lyon",
    "key": "Write the 64 hex digits of the Ed25519 public key",
    "currencies": "Write three capital letters, such as EUR",
    "currency": "Write three capital letters, such as EUR",
    "phone": "Write digits and spaces, with + in front",
    "role": "Write city, bank, issuer or operator; of a part issuer or operator",
}
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_NUMBER = re.compile(r"[A-Za-z0-9/\-?:().,'+]{1,34}")

MemberName = Annotated[str, msgspec.Meta(min_length=1, max_length=60, pattern=r"^[a-z0-9]+(-[a-z0-9]+)*\Z")]
Title = Annotated[str, msgspec.Meta(min_length=1, max_length=120, pattern=r"^[^\x00-\x1f]*\Z")]
Currency = Annotated[str, msgspec.Meta(pattern=r"^[A-Z]{3}\Z")]
HexKey = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}\Z")]


class BadApplication(HansaError):
    """This application cannot be taken; nothing of it was."""

    code: ClassVar[str] = "trust.bad_application"
    status: ClassVar[int] = 422


class UnknownApplication(HansaError):
    """There is no such application."""

    code: ClassVar[str] = "trust.unknown_application"
    status: ClassVar[int] = 404


class UnknownChange(HansaError):
    """There is no such change of a bank account."""

    code: ClassVar[str] = "trust.unknown_change"
    status: ClassVar[int] = 404


class MemberConflict(HansaError):
    """This id already stands for something else; give the new one an id of its own."""

    code: ClassVar[str] = "trust.member_conflict"
    status: ClassVar[int] = 409


class MemberDecided(HansaError):
    """This was decided on already, or is not ready to be. Look at what was done about it."""

    code: ClassVar[str] = "trust.member_decided"
    status: ClassVar[int] = 409


class SamePerson(HansaError):
    """Who asked for this cannot approve it. Let somebody else look at it."""

    code: ClassVar[str] = "trust.same_person"
    status: ClassVar[int] = 409


class MemberMayNot(HansaError):
    """This member may not do that in its standing."""

    code: ClassVar[str] = "trust.member_may_not"
    status: ClassVar[int] = 409


class NotYetLeft(HansaError):
    """The member cannot leave yet: something of it does not stand at zero."""

    code: ClassVar[str] = "trust.not_yet_left"
    status: ClassVar[int] = 409


# -- applications ---------------------------------------------------------------------------------------------


class ContactText(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Whom the league calls."""

    name: Title
    email: Annotated[str, msgspec.Meta(max_length=120)]
    phone: Annotated[str, msgspec.Meta(max_length=40, pattern=r"^\+?[0-9 ()/-]*\Z")] = ""


class AccountText(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A bank account: an IBAN, or the bank's own number. currency: left out, it serves all others."""

    bic: Annotated[str, msgspec.Meta(max_length=11)]
    iban: Annotated[str, msgspec.Meta(max_length=42)] | None = None
    number: Annotated[str, msgspec.Meta(max_length=34)] | None = None
    currency: Currency | None = None

    @property
    def written(self) -> str:
        """As trust keeps it: ``BIC/number``."""
        return f"{self.bic}/{(self.iban or self.number or '').replace(' ', '')}"


class PartText(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """An issuer or operator that clears as the applicant. key: an issuer's Ed25519 public key, 64 hex digits."""

    member: MemberName
    name: Title
    role: Literal["issuer", "operator"]
    key: HexKey | None = None


class ApplicationText(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Who wants to be let in. An issuer or operator that applies by itself clears and settles by itself."""

    member: MemberName
    name: Title
    role: Literal["city", "bank", "issuer", "operator"]
    tz: Annotated[str, msgspec.Meta(min_length=1, max_length=60)]
    currencies: Annotated[tuple[Currency, ...], msgspec.Meta(min_length=1, max_length=20)]
    accounts: Annotated[tuple[AccountText, ...], msgspec.Meta(min_length=1, max_length=20)]
    contact: ContactText
    city: MemberName | None = None
    key: HexKey | None = None
    parts: Annotated[tuple[PartText, ...], msgspec.Meta(max_length=50)] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The members that come of it: itself first, then its parts."""
        return self.member, *(part.member for part in self.parts)


def read_application(text: str) -> ApplicationText:
    """An application from TOML. Errors: BadApplication naming every field at fault."""
    if len(text.encode("utf-8", "surrogatepass")) > TEXT_BYTES_MAX:
        problem = Problem("the text", f"it has more than {TEXT_BYTES_MAX} bytes", "Write one applicant in it")
        raise BadApplication(problems=(problem,))
    try:
        said = msgspec.convert(cast(object, tomllib.loads(text)), ApplicationText)
    except tomllib.TOMLDecodeError as error:
        raise BadApplication(problems=(Problem("the text", str(error), "Write it as TOML"),)) from error
    except msgspec.ValidationError as error:
        told = str(error)
        mark = _MARK.search(told)
        where = (mark[1] if mark else "") or "the text"
        field_name = re.sub(r"\[.*?\]", "", where).rpartition(".")[2]
        remedy = _REMEDIES.get(field_name, "Write it as docs/members.md tells")
        problem = Problem(
            where, re.sub(r" matching regex .*", " of another form", _MARK.sub("", told)), remedy
        )
        raise BadApplication(problems=(problem,)) from error
    problems = tuple(_problems(said))
    if problems:
        raise BadApplication(problems=problems)
    return said


def _problems(said: ApplicationText) -> Iterator[Problem]:
    try:
        ZoneInfo(said.tz)
    except (ZoneInfoNotFoundError, ValueError):
        yield Problem("tz", f"{said.tz!r} is not known", "Give an IANA name such as Asia/Shanghai")
    for n, currency in enumerate(said.currencies):
        if currency not in CURRENCY_EXPONENTS:
            yield Problem(f"currencies[{n}]", f"{currency} is no active code", "Name one of ISO 4217")
    served = [one.currency for one in said.accounts]
    for n, account in enumerate(said.accounts):
        yield from account_problems(account, f"accounts[{n}]")
        if served.index(account.currency) != n:
            name = account.currency or "all others"
            yield Problem(f"accounts[{n}].currency", f"{name} has two accounts", "Leave one out")
        if account.currency is not None and account.currency not in said.currencies:
            yield Problem(
                f"accounts[{n}].currency", f"{account.currency} is not in currencies", "Add it there"
            )
    if None not in served:
        for currency in said.currencies:
            if currency not in served:
                yield Problem(
                    "accounts", f"{currency} has none", "Add one for it, or one without a currency for all"
                )
    if not _EMAIL.fullmatch(said.contact.email):
        yield Problem(
            "contact.email", f"{said.contact.email!r} is no address", "Write it as name@example.org"
        )
    if said.role == "city" and not said.parts:
        yield Problem("parts", "a city has an issuer, an operator or both", "Add them")
    if said.role != "city" and said.parts:
        yield Problem("parts", f"a {said.role} has no parts", "Let the city apply, or each by itself")
    names = said.names
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield Problem("parts", f"{name} stands twice", "Give each a name of its own")
    keyed = [(said.role, said.key, "key")]
    keyed += [(part.role, part.key, f"parts[{n}].key") for n, part in enumerate(said.parts)]
    for role, key, where in keyed:
        if key is not None and role != "issuer":
            yield Problem(where, f"a {role} signs no ride tokens", "Leave it out")


def account_problems(account: AccountText, where: str) -> Iterator[Problem]:
    """What is wrong with a bank account: form of its BIC, check digits of its IBAN."""
    if account.currency is not None and account.currency not in CURRENCY_EXPONENTS:
        yield Problem(f"{where}.currency", f"{account.currency} is no active code", "Name one of ISO 4217")
    if not BIC.fullmatch(account.bic):
        yield Problem(
            f"{where}.bic", f"{account.bic!r} is no BIC", "Write 8 or 11 capital letters and digits"
        )
    if (account.iban is None) == (account.number is None):
        yield Problem(where, "it needs one number", "Give iban, or number where the bank has no IBAN")
    elif account.iban is not None and not is_iban(account.iban.replace(" ", "")):
        yield Problem(
            f"{where}.iban", f"{account.iban!r} has other check digits than an IBAN", "Copy it again"
        )
    elif account.number is not None and not _NUMBER.fullmatch(account.number):
        yield Problem(
            f"{where}.number", f"{account.number!r} cannot be one", "Write letters, digits and -/?:().,'+"
        )


def account_of(bic: str, number: str, currency: str | None = None) -> AccountText:
    """An account from what a form holds: an IBAN where the number looks like one."""
    plain = number.replace(" ", "")
    looks = bool(re.match(r"[A-Z]{2}[0-9]{2}[A-Za-z0-9]{11,}\Z", plain))
    if looks:
        return AccountText(bic=bic, iban=plain, currency=currency)
    return AccountText(bic=bic, number=plain, currency=currency)


def refuse_account(account: AccountText) -> None:
    """Errors: InvalidInput naming what is wrong with it."""
    if problems := tuple(account_problems(account, "account")):
        raise InvalidInput("This is no bank account.", problems=problems)


# -- standing -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class MemberFact:
    """What was decided about a member, by whom, when and why. from_at: from when it counts."""

    step: str
    from_at: datetime
    by_whom: str
    at: datetime
    why: str
    facts: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class MemberLife:
    """Where a member stands at an instant. since: from when. why: as whoever decided said.

    business_ends_at: of one that leaves, when new business ends. by: the member whose standing it is: its own, or that
    of the city it clears as.
    """

    member_id: str
    standing: Standing
    since: datetime | None
    why: str
    business_ends_at: datetime | None = None
    by: str = ""

    def may(self, doing: Doing, at: datetime) -> bool:
        """Whether the member may do this at an instant."""
        if doing not in MAY[self.standing]:
            return False
        ends = self.business_ends_at
        return doing not in ENDS_WITH_BUSINESS or ends is None or at < ends


def life_at(member_id: str, facts: Iterable[MemberFact], at: datetime) -> MemberLife:
    """A member's standing at an instant, by what was decided until then. facts: in order of their making."""
    counting = [one for one in facts if one.at <= at]
    left = next((one for one in reversed(counting) if one.step == "left"), None)
    if left is not None:
        return MemberLife(member_id, "left", left.from_at, left.why, left.from_at, member_id)
    runs = next((one for one in reversed(counting) if one.step in ("leaving", "stays")), None)
    ends = runs.from_at if runs is not None and runs.step == "leaving" else None
    begun = [one for one in counting if one.step in ("suspended", "resumed") and one.from_at <= at]
    last = begun[-1] if begun else None
    if last is not None and last.step == "suspended":
        return MemberLife(member_id, "suspended", last.from_at, last.why, ends, member_id)
    if runs is not None and ends is not None:
        return MemberLife(member_id, "leaving", runs.at, runs.why, ends, member_id)
    joined = next((one for one in counting if one.step == "joined"), None)
    since = last.from_at if last is not None else joined.from_at if joined is not None else None
    return MemberLife(member_id, "active", since, last.why if last is not None else "", None, member_id)


WORST: tuple[Standing, ...] = ("left", "suspended", "leaving", "active")
"""A member stands no better than the one it clears as."""


def worse(one: MemberLife, other: MemberLife) -> MemberLife:
    """The worse of two standings, as that of the first."""
    ranked = min(one, other, key=lambda life: WORST.index(life.standing))
    ends = [life.business_ends_at for life in (one, other) if life.business_ends_at is not None]
    return MemberLife(
        one.member_id, ranked.standing, ranked.since, ranked.why, min(ends, default=None), ranked.by
    )


def pending(facts: Iterable[MemberFact], asked: str, *answers: str) -> MemberFact | None:
    """A proposal of this kind that nobody has decided on yet, or None."""
    found = [one for one in facts if one.step in (asked, *answers)]
    return found[-1] if found and found[-1].step == asked else None


@dataclass(frozen=True, slots=True)
class ApplicationFact:
    """What was done with an application, by whom, when and why."""

    step: str
    by_whom: str
    at: datetime
    why: str


@dataclass(frozen=True, slots=True)
class Application:
    """An application and what was done with it. state: applied, approved, refused or withdrawn."""

    application_id: UUID
    said: ApplicationText
    toml: str
    note: str
    made_by: str
    made_at: datetime
    facts: tuple[ApplicationFact, ...]

    @property
    def state(self) -> str:
        """The last of what was done with it."""
        return self.facts[-1].step


@dataclass(frozen=True, slots=True)
class AccountFact:
    """What was done with a change of a bank account. from_at: of an approval, when the cooling time is over."""

    step: str
    by_whom: str
    at: datetime
    why: str
    from_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class AccountChange:
    """A change of a bank account and what was done with it. currency: None for the account that serves the others.

    state: proposed, approved (it cools), in_force, refused or stopped.
    """

    change_id: UUID
    member_id: str
    currency: str | None
    account: str
    why: str
    made_by: str
    made_at: datetime
    facts: tuple[AccountFact, ...]

    @property
    def state(self) -> str:
        """The last of what was done with it."""
        return self.facts[-1].step if self.facts else "proposed"

    @property
    def from_at(self) -> datetime | None:
        """When its cooling time is over; None before it is approved."""
        return next((one.from_at for one in self.facts if one.from_at is not None), None)


@dataclass(frozen=True, slots=True)
class MemberProfile:
    """What a member said of itself when it was let in."""

    member_id: str
    application_id: UUID
    tz: str
    currencies: tuple[str, ...]
    contact: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Left:
    """Something of a member that keeps it from leaving: what, how much, and until when or what to do."""

    what: str
    much: str
    remedy: str
