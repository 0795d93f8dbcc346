"""The words of notifications: kinds and their rules as data, notices, settings, quiet hours, sentences. Pure."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from functools import cache
from importlib.resources import files
from string import Formatter
from types import MappingProxyType
from typing import Annotated, Any, Literal, Protocol
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec

from hansa.identity import AccountId
from hansa.kernel import Money

Channel = Literal["app", "email", "phone"]
"""How a person is told: in the wallet, by e-mail, by text message."""

CHANNELS: tuple[Channel, ...] = ("app", "email", "phone")
Outcome = Literal["sent", "no_contact", "gave_up", "read"]
"""How a message ended: handed over; nobody to hand it to; refused too often; read in the wallet before it was due."""

GROUPS: Mapping[str, str] = MappingProxyType(
    {
        "pay": "What you pay",
        "people": "Money between people",
        "bank": "Top-ups and withdrawals",
        "cards": "City cards",
        "fares": "Fares and refunds",
        "plans": "Budgets and balance",
        "wards": "Whom you answer for",
        "approve": "What waits for you",
        "control": "Control over spending",
        "security": "Signing in",
        "data": "Your data",
    }
)
"""The parts in which kinds are shown, in order, with their English names."""

SETTINGS_MAX = 400
"""Single wishes that one request may name."""


class Kind(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A kind of notice and its rules; kinds.toml says what each field means."""

    group: str
    says: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    link: Annotated[str, msgspec.Meta(pattern=r"^/wallet/[a-z/_-]*$")]
    channels: tuple[Channel, ...]
    more: str = ""
    short: str = ""
    fixed: tuple[Channel, ...] = ()
    urgent: bool = False

    @property
    def text(self) -> str:
        """Its sentence for a text message, without amounts."""
        return self.short or self.says


WHY = "why"
"""The fact that says why something was refused; it may be missing, and is nothing then."""


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    version: int
    reasons: dict[str, str]
    kinds: dict[str, Kind]


@cache
def _file() -> _File:
    text = (files("hansa.notifications") / "kinds.toml").read_text(encoding="utf-8")
    return msgspec.toml.decode(text, type=_File)


def reasons() -> Mapping[str, str]:
    """What is said of why something was refused, by the code of it."""
    return _file().reasons


@cache
def kinds() -> Mapping[str, Kind]:
    """Every kind of notice by its name, in the order of the groups."""
    found = _file().kinds
    for name, one in found.items():
        assert one.group in GROUPS, name
        assert set(one.fixed) <= set(one.channels), f"{name}: what nobody can turn off is on"
        assert "{amount}" not in one.text, f"{name}: a text message names no amount unless it is wanted"
    return MappingProxyType(
        {name: one for group in GROUPS for name, one in found.items() if one.group == group}
    )


def sentences() -> list[str]:
    """Every English sentence of the kinds and their groups: what a catalogue must translate."""
    told = [text for one in kinds().values() for text in (one.says, one.more, one.short) if text]
    said = [text for text in told if text != f"{{{WHY}}}"]
    return list(dict.fromkeys([*GROUPS.values(), *said, *reasons().values()]))


def names_in(sentence: str) -> set[str]:
    """The names in braces of a sentence."""
    return {name for _, name, _, _ in Formatter().parse(sentence) if name}


@dataclass(frozen=True, slots=True)
class Notice:
    """One thing that a person was told. seq: its number for them, from 1 without a gap. at: when it happened.

    facts: what its sentence needs: text, ``{"minor", "currency"}`` for an amount, ``{"at"}`` for an instant,
    ``{"day"}`` for a day, ``{"word"}`` for English words of the catalogues.
    """

    account_id: AccountId
    seq: int
    notice_id: UUID
    kind: str
    at: datetime
    subject: str
    facts: dict[str, Any]
    made_at: datetime
    read_at: datetime | None


@dataclass(frozen=True, slots=True)
class Said:
    """A notice in words: its sentence, what to do, its sentence for a text message, and where it leads to."""

    text: str
    more: str
    short: str
    link: str


class Say(Protocol):
    """Says an English sentence in some language, with its figures in their places."""

    def __call__(self, english: str, /, **facts: object) -> str: ...


NAMELESS = "whoever has the link"
"""How a payment names its payee where that is nobody yet."""


def facts_shown(
    facts: Mapping[str, Any],
    say: Say,
    moment: Callable[[datetime], str] = datetime.isoformat,
    day: Callable[[date], str] = date.isoformat,
) -> dict[str, object]:
    """Facts as a sentence shows them. moment, day: how an instant and a day are written for this reader."""
    return {name: _shown(one, say, moment, day) for name, one in facts.items()}


def _shown(fact: Any, say: Say, moment: Callable[[datetime], str], day: Callable[[date], str]) -> object:
    match fact:
        case {"minor": int(minor), "currency": str(currency)}:
            return Money(minor, currency)
        case {"at": str(at)}:
            return moment(datetime.fromisoformat(at))
        case {"day": str(one)}:
            return day(date.fromisoformat(one))
        case {"word": str(word)}:
            return say(word)
        case str() if fact == NAMELESS:
            return say(fact)
        case _:
            return fact


def say_notice(
    notice: Notice,
    say: Say,
    moment: Callable[[datetime], str] = datetime.isoformat,
    day: Callable[[date], str] = date.isoformat,
) -> Said | None:
    """A notice in words; None where its kind is not known any more, or lacks what its sentence needs."""
    kind = kinds().get(notice.kind)
    if kind is None or lacking(kind, notice.facts):
        return None
    shown = {WHY: "", **facts_shown(notice.facts, say, moment, day)}
    says, text = (_begun(say(one, **shown)) for one in (kind.says, kind.text))
    return Said(says, kind.more and say(kind.more, **shown), text, kind.link)


def _begun(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]


def lacking(kind: Kind, facts: Collection[str]) -> set[str]:
    """What the sentences of a kind need and facts of these names do not have."""
    return (names_in(kind.says) | names_in(kind.more) | names_in(kind.text)) - {WHY, *facts}


@dataclass(frozen=True, slots=True)
class Settings:
    """How a person wants to be told.

    wishes: by kind and channel, only where it is something else than the kind's own way. quiet_from, quiet_to: minutes
    of their home city's day between which messages wait; None: never. amounts: whether text messages name amounts.
    digest_at: the minute of that day at which e-mails that can wait come together as one; None: each by itself.
    """

    wishes: Mapping[tuple[str, Channel], bool] = field(default_factory=dict[tuple[str, Channel], bool])
    quiet_from: int | None = None
    quiet_to: int | None = None
    amounts: bool = False
    digest_at: int | None = None

    def wants(self, kind: str, channel: Channel) -> bool:
        """Whether this person is told this kind in this way."""
        rule = kinds()[kind]
        if channel in rule.fixed:
            return True
        return self.wishes.get((kind, channel), channel in rule.channels)


def quiet_until(settings: Settings, at: datetime, zone: str) -> datetime:
    """When a message of this instant may go: at once, or at the end of quiet hours, which may pass midnight.

    Where the clock is set on or back in the night, the end is what the wall clock shows.
    """
    first, last = settings.quiet_from, settings.quiet_to
    if first is None or last is None or first == last:
        return at
    local = at.astimezone(ZoneInfo(zone))
    minute = local.hour * 60 + local.minute
    quiet = first <= minute < last if first < last else minute >= first or minute < last
    if not quiet:
        return at
    day = local.date() + timedelta(days=1 if minute >= last else 0)
    until = datetime.combine(day, time(last // 60, last % 60), ZoneInfo(zone)).astimezone(at.tzinfo)
    return max(until, at)


def digest_due(settings: Settings, at: datetime, zone: str) -> datetime | None:
    """When an e-mail of this instant comes with the others of a day; None where each comes by itself."""
    minute = settings.digest_at
    if minute is None:
        return None
    local = at.astimezone(ZoneInfo(zone))
    day = local.date() + timedelta(days=1 if local.hour * 60 + local.minute >= minute else 0)
    due = datetime.combine(day, time(minute // 60, minute % 60), ZoneInfo(zone)).astimezone(at.tzinfo)
    return max(due, at)
