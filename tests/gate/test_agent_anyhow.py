"""Whatever happens in whatever order, an opened tap arrives once, in its chain, and no used code opens again."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from gate.agents import Bench, assert_chained, code, cti
from hansa.gate.agent.link import BatchRefused, HandedIn, LinkDown

RIDERS = ("ada", "bob", "eve")
Riders = st.sampled_from(RIDERS)


class AnyDay(RuleBasedStateMachine):
    """A gate's life: riders come, the network goes, power fails, lists grow, the back office is slow or picky."""

    def __init__(self) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory()
        self._key = pytest.MonkeyPatch()
        self._key.setenv("TEST_GATE_KEY", "key")
        self.bench = Bench(Path(self._folder.name)).ready()
        self.counters: dict[str, int] = dict.fromkeys(RIDERS, 0)
        self.opened: list[tuple[bytes, int]] = []
        self.denied: set[str] = set()
        self.known_denied: set[str] = set()

    def teardown(self) -> None:
        self.bench.league.down = None
        self.bench.league.refuse.clear()
        hours = 0
        health = self.bench.agent.health()
        while hours < 4 or health.pending or health.aside:
            assert hours < 24, health.json()  # where only small batches are taken, a few taps go an hour
            hours += 1
            self.bench.time.pass_by(hours=1, minutes=1)
            self.bench.agent.exchange()
            health = self.bench.agent.health()
        taps = [tap for _, tap in sorted(self.bench.league.taps.items())]
        assert_chained(taps)
        assert [(tap.cti, tap.counter) for tap in taps] == self.opened
        self.bench.agent.close()
        self._key.undo()
        self._folder.cleanup()

    @rule(rider=Riders, skip=st.integers(1, 3))
    def show_a_fresh_code(self, rider: str, skip: int) -> None:
        self.counters[rider] += skip
        reason = self.bench.show(rider, self.counters[rider], offline_cap=255)
        if rider in self.known_denied:
            assert reason == "revoked"
        if reason == "ok":
            self.opened.append((cti(rider), self.counters[rider]))
        else:
            assert reason == "revoked" and rider in self.denied

    @precondition(lambda self: self.opened)
    @rule(data=st.data())
    def show_a_used_code_again(self, data: st.DataObject) -> None:
        used, counter = data.draw(st.sampled_from(self.opened))
        self.bench.time.pass_by(seconds=4)
        rider = used.decode().rstrip("-")
        notice = self.bench.agent.show(code(rider, counter, self.bench.time.at, offline_cap=255))
        assert notice is not None and not notice.opens

    @rule(down=st.booleans(), retry_after_s=st.none() | st.integers(0, 30))
    def turn_the_network(self, down: bool, retry_after_s: int | None) -> None:
        self.bench.league.down = LinkDown("away", retry_after_s=retry_after_s) if down else None

    @rule(seconds=st.integers(1, 1_200))
    def let_time_pass(self, seconds: int) -> None:
        self.bench.time.pass_by(seconds=seconds)
        self.bench.agent.exchange()
        if self.bench.agent.health().deny_list == self.bench.league.deny_version:
            self.known_denied |= self.denied

    @rule()
    def cut_the_power(self) -> None:
        self.bench.again()

    @rule(rider=st.just("eve"))
    def deny(self, rider: str) -> None:
        if rider not in self.denied:
            self.bench.league.deny(cti(rider))
            self.denied.add(rider)

    @rule(sequence=st.integers(1, 20))
    def refuse_a_tap(self, sequence: int) -> None:
        if sequence not in self.bench.league.taps:
            self.bench.league.refuse[sequence] = ("rides.unknown_token", "never heard of it")

    @rule(most=st.integers(1, 5))
    def take_small_batches_only(self, most: int) -> None:
        whole = type(self.bench.league).hand_in

        def small(taps: list[object]) -> HandedIn:
            if len(taps) > most:
                raise BatchRefused("HTTP 413")
            return whole(self.bench.league, taps)  # type: ignore[arg-type]

        self.bench.league.hand_in = small  # type: ignore[method-assign,assignment]

    @invariant()
    def each_tap_is_waiting_aside_or_handed_in(self) -> None:
        health = self.bench.agent.health()
        kept = health.pending + sum(health.aside.values()) + len(self.bench.league.taps)
        assert kept >= len(self.opened) == health.sequence


TestAnyDay = AnyDay.TestCase
TestAnyDay.settings = settings(max_examples=30, stateful_step_count=30, deadline=None)
