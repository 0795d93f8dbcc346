"""How the league pays through one bank, as data: forms, basis, delivery, calendar, limits. Pure.

A profile is a TOML text. It is read strictly: a field that is not known, is missing or does not fit is told by its
name with what to write instead, and nothing of the profile is taken. docs/operating/banks.md explains every field.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, ClassVar, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from hansa.kernel import CURRENCY_EXPONENTS, HansaError, Problem

DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")

PROFILE_BYTES_MAX = 64 * 1024

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=60, pattern=r"^[a-z0-9][a-z0-9-]*\Z")]
Minor = Annotated[int, msgspec.Meta(ge=1, le=10**17)]


class BadProfile(HansaError):
    """This is not a profile of a bank; nothing of it was taken."""

    code: ClassVar[str] = "settlement.bad_profile"
    status: ClassVar[int] = 422


class Calendar(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When the bank moves money. cut_off: wall time of the zone until which a file counts for that day."""

    tz: Annotated[str, msgspec.Meta(min_length=1, max_length=60)]
    cut_off: time
    weekend: tuple[str, ...] = ("saturday", "sunday")
    holidays: tuple[date, ...] = ()

    def is_open(self, day: date) -> bool:
        """Whether the bank moves money on this day."""
        return DAYS[day.weekday()] not in self.weekend and day not in self.holidays

    def next_open(self, day: date) -> date:
        """This day if the bank is open, else the first one after it that is."""
        while not self.is_open(day):
            day += timedelta(days=1)
        return day

    def closes_at(self, day: date) -> datetime:
        """The instant of the cut-off, in UTC, on whichever side of a change of clocks it falls."""
        return datetime.combine(day, self.cut_off, ZoneInfo(self.tz)).astimezone(UTC)

    def local_day(self, at: datetime) -> date:
        """The calendar day at the bank."""
        return at.astimezone(ZoneInfo(self.tz)).date()

    def day_for(self, wanted: date, *, handed_in_at: datetime) -> date:
        """On which day the bank moves money that is wanted on one day and handed in at an instant."""
        day = self.next_open(max(wanted, self.local_day(handed_in_at)))
        while handed_in_at >= self.closes_at(day):
            day = self.next_open(day + timedelta(days=1))
        return day


class Delivery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How files reach the bank, and the bank's answers us. key: the bank's Ed25519 public key, 64 hex digits."""

    way: Literal["folder", "http"]
    key: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}\Z")]
    folder: Annotated[str, msgspec.Meta(min_length=1, max_length=500)] | None = None
    url: Annotated[str, msgspec.Meta(max_length=300, pattern=r"^https?://[^\s?#]+[^/\s?#]\Z")] | None = None
    timeout_s: Annotated[int, msgspec.Meta(ge=1, le=120)] = 20

    @property
    def public_key(self) -> Ed25519PublicKey:
        """The key that signs what the bank says."""
        return Ed25519PublicKey.from_public_bytes(bytes.fromhex(self.key))


class Limit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the bank takes in one currency, in minor units. A larger payment is instructed in pieces."""

    payment_max_minor: Minor = 10**17
    file_max_minor: Minor = 10**17


class Profile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One settlement bank, and how it is paid through.

    currencies: those that settle there. basis: ``net`` moves each member's net; ``gross`` moves each amount that one
    member owes another. releases: how many persons must release a file, besides and other than who prepared it.
    investigate_after_min: how long an answer is waited for before the bank is asked.
    """

    bank_id: Name
    currencies: Annotated[tuple[str, ...], msgspec.Meta(min_length=1, max_length=200)]
    calendar: Calendar
    delivery: Delivery
    form: Literal["pain.001.001.09", "pacs.008.001.08", "pacs.009.001.08"] = "pain.001.001.09"
    basis: Literal["net", "gross"] = "net"
    releases: Annotated[int, msgspec.Meta(ge=1, le=5)] = 1
    investigate_after_min: Annotated[int, msgspec.Meta(ge=1, le=14_400)] = 120
    payments_max: Annotated[int, msgspec.Meta(ge=1, le=25_000)] = 10_000
    limits: dict[str, Limit] = msgspec.field(default_factory=dict[str, Limit])

    def limit(self, currency: str) -> Limit:
        """The limits in a currency; where none are set, none."""
        return self.limits.get(currency, _NO_LIMIT)

    @property
    def investigate_after(self) -> timedelta:
        """How long an answer is waited for."""
        return timedelta(minutes=self.investigate_after_min)


_NO_LIMIT = Limit()


def read_profile(text: str) -> Profile:
    """A profile from its TOML. Errors: BadProfile with every fault, its field and what to write."""
    if len(text.encode()) > PROFILE_BYTES_MAX:
        raise BadProfile(
            problems=(Problem("profile", f"more than {PROFILE_BYTES_MAX} bytes", "Send a shorter one"),)
        )
    try:
        profile = msgspec.toml.decode(text, type=Profile)
    except (msgspec.DecodeError, ValueError) as error:
        raise BadProfile(problems=(_fault(str(error)),)) from error
    problems = tuple(_faults(profile))
    if problems:
        raise BadProfile(problems=problems)
    return profile


def _fault(told: str) -> Problem:
    what, _, where = told.partition(" - at `$")
    return Problem(
        f"profile{where.rstrip('`')}",
        what,
        "Write it as docs/operating/banks.md says, and leave out the rest",
    )


def _faults(profile: Profile) -> Iterator[Problem]:
    for name, codes in (("currencies", profile.currencies), ("limits", tuple(profile.limits))):
        for code in codes:
            if code not in CURRENCY_EXPONENTS:
                yield Problem(f"profile.{name}", f"{code[:10]!r} is no currency", "Give ISO 4217 codes")
    if len(set(profile.currencies)) < len(profile.currencies):
        yield Problem("profile.currencies", "one stands twice", "Name each once")
    for code in profile.limits:
        if code not in profile.currencies:
            yield Problem(f"profile.limits.{code}", "it does not settle here", "Add it to currencies")
    calendar = profile.calendar
    try:
        ZoneInfo(calendar.tz)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        yield Problem("profile.calendar.tz", f"{calendar.tz!r} is no zone", "Give one such as Asia/Shanghai")
    if calendar.cut_off.tzinfo is not None:
        yield Problem("profile.calendar.cut_off", "it has an offset", "Give wall time of the zone: 17:00:00")
    if unknown := sorted(set(calendar.weekend) - set(DAYS)):
        yield Problem("profile.calendar.weekend", f"{unknown[0][:20]!r} is no day", f"Give some of {DAYS}")
    if len(set(calendar.weekend)) == len(DAYS):
        yield Problem("profile.calendar.weekend", "the bank never opens", "Leave it a day")
    way = profile.delivery.way
    if (profile.delivery.folder is None) is (way == "folder"):
        yield Problem("profile.delivery.folder", f"with way {way}", "Give it for folder, and only then")
    if (profile.delivery.url is None) is (way == "http"):
        yield Problem("profile.delivery.url", f"with way {way}", "Give it for http, and only then")
