"""What ride tokens a phone gets, as data, and for which spans of time: pure rules."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from importlib.resources import files
from typing import Annotated, ClassVar, Literal

import msgspec

from hansa.fares import RIDER_CLASSES, RiderClass
from hansa.kernel import HansaError, Problem

STANDINGS = ("clear", "step_up")
"""Standings that get tokens. The third, blocked, gets none."""

GATES_TAKE = timedelta(hours=24)
"""Gates take a token from this long before its end (docs/ride-code/verifying.md, step 3)."""

SHORTER = timedelta(minutes=1)
"""What a token lacks to a round life: a gate's clock may be behind ours, and tokens of two days overlap by it."""


class TokenRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a phone gets; token_policy.toml says what each figure means."""

    standing: Literal["clear", "step_up"]
    rider_class: RiderClass
    life_h: Annotated[int, msgspec.Meta(ge=1, le=24)]
    ahead: Annotated[int, msgspec.Meta(ge=0, le=13)]
    early_min: Annotated[int, msgspec.Meta(ge=5, le=720)]
    offline_cap: Annotated[int, msgspec.Meta(ge=0, le=255)]
    companions: Annotated[int, msgspec.Meta(ge=0, le=15)]

    @property
    def life(self) -> timedelta:
        """From when a token is given until its end."""
        return timedelta(hours=self.life_h) - SHORTER

    @property
    def early(self) -> timedelta:
        """How long before the last token's end the next is given in any case."""
        return timedelta(minutes=self.early_min)


class TokenPolicy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One rule for each standing that gets tokens and each rider class."""

    version: Annotated[int, msgspec.Meta(ge=1, le=2_147_483_647)]
    ended_max: Annotated[int, msgspec.Meta(ge=1, le=10_000)]
    rule: Annotated[list[TokenRule], msgspec.Meta(max_length=100)]

    def rule_for(self, standing: str, rider_class: RiderClass) -> TokenRule | None:
        """The rule; None for a standing that gets no tokens."""
        return next(
            (one for one in self.rule if (one.standing, one.rider_class) == (standing, rider_class)), None
        )


class BadTokenPolicy(HansaError):
    """This policy cannot be used; each fault is named with its remedy."""

    code: ClassVar[str] = "rides.bad_token_policy"
    status: ClassVar[int] = 422


@dataclass(frozen=True, slots=True)
class Span:
    """When a token is good: gates take it from ``begins_at`` until before ``ends_at``."""

    begins_at: datetime
    ends_at: datetime


@cache
def own_token_policy() -> TokenPolicy:
    """The policy that comes with Hansa."""
    return read_token_policy((files("hansa.rides") / "token_policy.toml").read_text(encoding="utf-8"))


def read_token_policy(toml: str) -> TokenPolicy:
    """The policy from its text. Errors: BadTokenPolicy with every rule that is wrong, and what to do about it."""
    try:
        policy = msgspec.toml.decode(toml, type=TokenPolicy)
    except msgspec.DecodeError as error:
        problem = Problem("token_policy.toml", str(error), "Write each field within its bounds")
        raise BadTokenPolicy(problems=(problem,)) from error
    problems: list[Problem] = []
    for place, one in enumerate(policy.rule, start=1):
        if one.ahead and one.life_h != 24:
            remedy = "Write life_h = 24, or ahead = 0: gates take a token from 24 h before its end"
            problems.append(Problem(f"rule {place}.life_h", f"it is {one.life_h} with tokens ahead", remedy))
        if one.early >= one.life:
            remedy = "Write less than life_h"
            problems.append(Problem(f"rule {place}.early_min", f"it is {one.early_min}", remedy))
    written = [(one.standing, one.rider_class) for one in policy.rule]
    for standing in STANDINGS:
        for rider_class in RIDER_CLASSES:
            count = written.count((standing, rider_class))
            if count != 1:
                remedy = "Write one [[rule]] for each standing and rider class"
                problems.append(Problem("rule", f"{count} are for {standing} {rider_class}", remedy))
    if problems:
        raise BadTokenPolicy(problems=tuple(problems))
    return policy


def spans_to_give(rule: TokenRule, held: Collection[Span], now: datetime) -> list[Span]:
    """The tokens that a phone still lacks, in order; ``held`` are those it has, of which none has been ended.

    First one for now, then those that go on from the last one held, until as many as the rule gives are ahead.
    Each overlaps the one before by a minute, for clocks that differ. Ends are whole seconds.
    """
    spans = [one for one in held if one.ends_at > now]
    given: list[Span] = []
    if not any(one.begins_at <= now for one in spans):
        given.append(_span_until((now + rule.life).replace(microsecond=0)))
    while True:
        last = max(one.ends_at for one in (*spans, *given))
        ahead = sum(one.begins_at > now for one in (*spans, *given))
        if ahead >= rule.ahead and last - now >= rule.early:
            return given
        given.append(_span_until(last + rule.life))


def ask_again_at(rule: TokenRule, held: Collection[Span], now: datetime) -> datetime:
    """When a phone with these tokens will be given more."""
    last = max((one.ends_at for one in held), default=now)
    begin = [one.begins_at for one in held if one.begins_at > now and rule.ahead]
    return max(min([last - rule.early, *begin]), now + SHORTER)


def _span_until(ends_at: datetime) -> Span:
    return Span(ends_at - GATES_TAKE, ends_at)
