"""Corrections of a fare: what it was, what it became, and why."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal
from uuid import UUID

from hansa.kernel import Money

Cause = Literal["late_tap", "stated", "tariff", "day"]
"""Why: a tap that came in late, an end that was stated, another text of the tariff; else other rides of the time."""


@dataclass(frozen=True, slots=True)
class LateTap:
    """A tap that was received after a fare was worked out."""

    tap_id: UUID
    gate_id: str
    action: str
    stop_id: str | None
    line_id: str | None
    tapped_at: datetime
    received_at: datetime


@dataclass(frozen=True, slots=True)
class Correction:
    """One change of a journey's fare. revision: of the charge that settles it, from 1.

    tap: the late tap, where one is the cause. tariff_from: first day of the tariff that came in, where that is.
    stated_by: ``rider`` or ``operator``, where an end was stated.
    """

    revision: int
    at: datetime
    before: Money
    after: Money
    cause: Cause
    tap: LateTap | None = None
    tariff_from: date | None = None
    stated_by: str = ""

    def said(
        self,
        language: str,
        *,
        place: str = "",
        clock: Callable[[datetime], str],
        moment: Callable[[datetime], str],
    ) -> str:
        """The correction in a sentence: ``en`` or ``zh``; English in any other language.

        place: what the late tap's stop is called. clock, moment: an instant as local time of day, and as day and time.
        """
        words = _WORDS.get(language, _WORDS["en"])
        told: dict[str, object] = {"before": self.before, "after": self.after}
        if self.tap is not None:
            told |= {
                "action": _ACTIONS.get(language, _ACTIONS["en"]).get(self.tap.action, self.tap.action),
                "place": (f" {place}" if language == "zh" else f" at {place}") if place else "",
                "clock": clock(self.tap.tapped_at),
                "moment": moment(self.tap.received_at),
            }
        if self.stated_by:
            told["who"] = _WHO.get(language, _WHO["en"])[self.stated_by]
        if self.tariff_from is not None:
            told["day"] = self.tariff_from.isoformat()
        return words[self.cause].format(**told)


_ACTIONS: Mapping[str, Mapping[str, str]] = {
    "en": {"entry": "tap in", "exit": "tap out", "board": "tap"},
    "zh": {"entry": "进站", "exit": "出站", "board": "上车"},
}

_WHO: Mapping[str, Mapping[str, str]] = {
    "en": {"rider": "the rider", "operator": "the operator"},
    "zh": {"rider": "乘客", "operator": "运营方"},
}

_WORDS: Mapping[str, Mapping[str, str]] = {
    "en": {
        "late_tap": "First {before}, then {after}, because a {action} of {clock}{place} came in late, on {moment}",
        "stated": "First {before}, then {after}, because {who} stated where the journey ended or began",
        "tariff": "First {before}, then {after}, because another tariff from {day} was put in force",
        "day": "First {before}, then {after}, because other journeys of the day or its period came out otherwise",
    },
    "zh": {
        "late_tap": "先收 {before}，后改为 {after}：{clock}{place} 的{action}记录迟到，于 {moment} 收到",
        "stated": "先收 {before}，后改为 {after}：{who}说明了行程的实际起点或终点",
        "tariff": "先收 {before}，后改为 {after}：{day} 起的新票价生效",
        "day": "先收 {before}，后改为 {after}：当天或本期的其他行程有变",
    },
}
