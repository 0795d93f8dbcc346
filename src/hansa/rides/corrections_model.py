"""Corrections of a fare: what it was, what it became, and why."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal
from uuid import UUID

from hansa.kernel import Money

Cause = Literal["late_tap", "tariff", "day"]
"""Why: a tap that came in late; another text of the tariff; or something else of the rider's day or period."""


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
    """

    revision: int
    at: datetime
    before: Money
    after: Money
    cause: Cause
    tap: LateTap | None = None
    tariff_from: date | None = None

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
        if self.tariff_from is not None:
            told["day"] = self.tariff_from.isoformat()
        return words[self.cause].format(**told)


_ACTIONS: Mapping[str, Mapping[str, str]] = {
    "en": {"entry": "tap in", "exit": "tap out", "board": "tap"},
    "zh": {"entry": "进站", "exit": "出站", "board": "上车"},
}

_WORDS: Mapping[str, Mapping[str, str]] = {
    "en": {
        "late_tap": "First {before}, then {after}, because a {action} of {clock}{place} came in late, on {moment}",
        "tariff": "First {before}, then {after}, because another tariff from {day} was put in force",
        "day": "First {before}, then {after}, because other journeys of the day or its period came out otherwise",
    },
    "zh": {
        "late_tap": "先收 {before}，后改为 {after}：{clock}{place} 的{action}记录迟到，于 {moment} 收到",
        "tariff": "先收 {before}，后改为 {after}：{day} 起的新票价生效",
        "day": "先收 {before}，后改为 {after}：当天或本期的其他行程有变",
    },
}
