"""The rules of disputes as data: reasons, who may raise them, business days, what silence means, and small limits."""

import tomllib
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Annotated, ClassVar, Literal, cast

import msgspec

from hansa.clearing import Settings
from hansa.disputes.life import FINAL, FIRST, LIFE, PAYING, Action, Kind, State
from hansa.kernel import HansaError, Problem

Days = Annotated[int, msgspec.Meta(ge=1, le=365)]
Code = Annotated[str, msgspec.Meta(pattern="^[a-z_]{2,40}$")]


class BadDisputeRules(HansaError):
    """These rules of disputes cannot be used."""

    code: ClassVar[str] = "disputes.bad_rules"
    status: ClassVar[int] = 422


class Calendar(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Days that are no business days: ISO weekdays, and holidays by date."""

    rest: frozenset[Annotated[int, msgspec.Meta(ge=1, le=7)]]
    holidays: frozenset[date]


class RefundReason(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why a rider asks. does: state the journey's end, give back at once where the limits allow, or ask the desk."""

    code: Code
    does: Literal["state_end", "at_once", "ask"]
    en: str
    zh: str


class RefundRules(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What holds for riders' refunds. within_days: calendar days after the service day. days: business days."""

    within_days: Days
    at_once_per_month: Annotated[int, msgspec.Meta(ge=0)]
    days: Mapping[State, Days]
    silence: Mapping[State, Action]
    at_once_minor: Mapping[str, Annotated[int, msgspec.Meta(ge=0)]]
    reasons: tuple[RefundReason, ...]


class ItemReason(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why a member disputes an item. needs: names of evidence to send. days: where they differ from the common ones."""

    code: Code
    raised_by: Literal["issuer", "operator"]
    needs: tuple[Code, ...]
    en: str
    days: Mapping[State, Days] = msgspec.field(default_factory=dict[State, Days])


class ItemRules(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What holds between members. undecided_bp: share of the claim, in basis points, that a late arbitration gives."""

    within_days: Days
    days: Mapping[State, Days]
    silence: Mapping[State, Action]
    undecided_bp: Annotated[int, msgspec.Meta(ge=0, le=10_000)]
    reasons: tuple[ItemReason, ...]


class Rules(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All rules of disputes. version: kept with each dispute that began under them.

    two_persons_minor: by currency, what one person of a side may give; 0 where a currency is not named.
    """

    version: Annotated[int, msgspec.Meta(ge=1)]
    calendar: Calendar
    two_persons_minor: Mapping[str, Annotated[int, msgspec.Meta(ge=0)]]
    refunds: RefundRules
    items: ItemRules

    def refund_reason(self, code: str) -> RefundReason | None:
        """The reason of this code, or None."""
        return next((one for one in self.refunds.reasons if one.code == code), None)

    def item_reason(self, code: str) -> ItemReason | None:
        """The reason of this code, or None."""
        return next((one for one in self.items.reasons if one.code == code), None)

    def alone_minor(self, currency: str) -> int:
        """What one person may give without a second, in minor units."""
        return self.two_persons_minor.get(currency, 0)

    def silence(self, kind: Kind, state: State) -> Action:
        """What is done when nobody acts in this state until its deadline."""
        return (self.refunds if kind is Kind.REFUND else self.items).silence[state]

    def due_at(
        self,
        kind: Kind,
        state: State,
        reason: str,
        *,
        since: datetime,
        settings: Settings,
        agreed: Mapping[str, int] | None = None,
    ) -> datetime | None:
        """When a state entered at an instant comes to its deadline; None where it has none.

        It is the end of the last business day, by the league's cut-off. agreed: business days that two members agreed
        on for a state; they count before those of the reason, and these before the common ones.
        """
        days: Mapping[State, int] = self.refunds.days
        if kind is Kind.ITEM:
            known = self.item_reason(reason)
            days = {**self.items.days, **(known.days if known else {})}
        number = (agreed or {}).get(state, days.get(state))
        if number is None:
            return None
        return settings.ends_at(business_day_after(settings.day_of(since), number, self.calendar))


def business_day_after(day: date, number: int, calendar: Calendar) -> date:
    """The day that is so many business days after a day; the day itself does not count. number: at least 1."""
    while number:
        day += timedelta(days=1)
        if day.isoweekday() not in calendar.rest and day not in calendar.holidays:
            number -= 1
    return day


def read_rules(text: str) -> Rules:
    """Rules from TOML. Errors: BadDisputeRules naming what is wrong; also where silence could not act."""
    try:
        rules = msgspec.convert(cast(object, tomllib.loads(text)), Rules)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise BadDisputeRules(problems=(Problem("rules.toml", str(error), "Correct it"),)) from error
    problems = _problems(rules)
    if problems:
        raise BadDisputeRules(problems=tuple(problems))
    return rules


def _problems(rules: Rules) -> list[Problem]:
    problems: list[Problem] = []
    if len(rules.calendar.rest) == 7:
        problems.append(Problem("calendar.rest", "no weekday is a business day", "Leave one out"))
    for kind, part in ((Kind.REFUND, rules.refunds), (Kind.ITEM, rules.items)):
        waiting = {FIRST[kind], *LIFE[kind]} - PAYING - FINAL
        for state in sorted(waiting):
            where = f"{kind}s.silence.{state}"
            if part.silence.get(state) not in LIFE[kind][state]:
                may = ", ".join(LIFE[kind][state])
                problems.append(
                    Problem(where, "it says nothing that can be done there", f"Name one of {may}")
                )
            if state not in part.days:
                problems.append(Problem(f"{kind}s.days.{state}", "it is missing", "Give business days"))
        codes = [one.code for one in part.reasons]
        problems += [
            Problem(f"{kind}s.reasons", f"{code} stands twice", "Give each a code of its own")
            for code in sorted({code for code in codes if codes.count(code) > 1})
        ]
    return problems


@cache
def own_rules() -> Rules:
    """The rules that come with Hansa."""
    return read_rules((Path(__file__).parent / "rules.toml").read_text(encoding="utf-8"))
