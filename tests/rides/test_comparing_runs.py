"""Comparisons that take a while run once, tell how far they are, and are kept for who waited."""

from collections.abc import Callable
from threading import Event
from typing import Any

import pytest

from hansa.rides import comparing_runs
from hansa.rides.comparing import Comparison, TooManyJourneys
from hansa.rides.comparing_runs import ComparisonProgress, ComparisonRuns, ComparisonsBusy

LONG_S = 60.0

Told = Callable[[int, int], None]


class Work:
    """A comparison that goes on until it is let go; its outcome is only handed on."""

    def __init__(self) -> None:
        self.begun, self.go_on, self.times = Event(), Event(), 0
        self.outcome: Any = object()

    def __call__(self, told: Told) -> Comparison:
        self.times += 1
        told(40, 100)
        self.begun.set()
        assert self.go_on.wait(LONG_S)
        return self.outcome


def test_who_asks_meanwhile_is_told_how_far_it_is_and_the_outcome_is_kept() -> None:
    runs, work = ComparisonRuns(), Work()

    first = runs.ask("week", work, wait_s=0)
    assert work.begun.wait(LONG_S)
    second = runs.ask("week", work, wait_s=0)
    work.go_on.set()
    outcomes = [runs.ask("week", work, wait_s=LONG_S) for _ in range(3)]

    assert isinstance(first, ComparisonProgress)
    assert second == ComparisonProgress(40, 100)
    assert outcomes == [work.outcome] * 3
    assert work.times == 1


def test_what_came_at_once_is_worked_out_anew() -> None:
    runs, work = ComparisonRuns(), Work()
    work.go_on.set()

    for _ in range(2):
        assert runs.ask("week", work, wait_s=LONG_S) is work.outcome

    assert work.times == 2


def test_what_was_waited_for_is_forgotten_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    runs, work = ComparisonRuns(), Work()
    runs.ask("week", work, wait_s=0)
    work.go_on.set()
    assert runs.ask("week", work, wait_s=LONG_S) is work.outcome

    monkeypatch.setattr(comparing_runs, "KEPT_S", -1)
    runs.ask("week", work, wait_s=LONG_S)

    assert work.times == 2


def test_a_refusal_is_told_to_who_asked() -> None:
    runs = ComparisonRuns()

    def work(_told: Told) -> Comparison:
        raise TooManyJourneys("too many")

    for _ in range(2):
        with pytest.raises(TooManyJourneys):
            runs.ask("week", work, wait_s=LONG_S)


def test_more_than_a_few_wait_their_turn_and_many_are_refused() -> None:
    runs, works = ComparisonRuns(), [Work() for _ in range(comparing_runs.UNDER_WAY_MAX)]
    asked = [runs.ask(place, work, wait_s=0) for place, work in enumerate(works)]
    assert all(work.begun.wait(LONG_S) for work in works[: comparing_runs.AT_ONCE_MAX])

    with pytest.raises(ComparisonsBusy):
        runs.ask("one more", Work(), wait_s=0)
    assert not any(work.begun.is_set() for work in works[comparing_runs.AT_ONCE_MAX :])
    assert runs.ask(len(works) - 1, works[-1], wait_s=0) == ComparisonProgress(0, 0)
    for work in works:
        work.go_on.set()

    outcomes = [runs.ask(place, work, wait_s=LONG_S) for place, work in enumerate(works)]
    assert len(asked) == len(works)
    assert outcomes == [work.outcome for work in works]
