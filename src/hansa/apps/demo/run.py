"""The whole main job, stage by stage: from a tap in one city to a bank file between cities.

Each stage may be run again after a crash at any point: what was done is recognised, what was not is finished,
and the day comes out to the same cent. Stages report to a ``Watcher``; they print nothing themselves.
"""

import json
import os
import time as stopwatch
from collections import Counter
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from itertools import groupby
from pathlib import Path
from threading import Event, Thread
from typing import ClassVar, Protocol, TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo

from hansa import clearing, gate, hub, ledger, reconciliation, rides, risk, settlement, store, trust
from hansa.apps import payment_clearing
from hansa.apps.demo.agreeing import Agreed, agree, close_until, told_of_agreement, windows_of
from hansa.apps.demo.attacks import FOUND_BY, KINDS, Kind, Planted, plan_attacks
from hansa.apps.demo.cast import Cast, find_cast
from hansa.apps.demo.day import Arrival, CityDay, CityJob, live_the_day, progress_counter, reserved_cti
from hansa.apps.demo.disputing import Told, dispute_some, given_back
from hansa.apps.demo.joining import join_people, open_shops, tools_of
from hansa.apps.demo.league import League, build_league, settle_people
from hansa.apps.demo.paying import Paid, pay_between_members
from hansa.apps.demo.people import Rider
from hansa.apps.demo.reporting import Handed, hand_out
from hansa.apps.demo.spec import Spec, league_facts
from hansa.apps.demo.spending import read_kept, spend_the_day
from hansa.apps.demo.spent import Spent, read_spent
from hansa.apps.demo.tariffs import NewTariff, put_on_the_calendar
from hansa.apps.witnessing import (
    IN_THIS_HOUSE,
    WitnessLine,
    ask_witnesses,
    doors_of,
    log_signer,
    read_witnesses,
)
from hansa.kernel import FixedClock, HansaError, new_id
from hansa.store import Context
from hansa.trust import tlog
from hansa.trust.tlog.standalone import hansa_verify

TAPS_PER_BATCH = 2_000
DAYS_PER_RUN = 2_000
CHARGES_PER_RUN = 4_000
FACTS_PER_TURN = 5_000
CODES_PER_BATCH = 1_000
T = TypeVar("T")


class AnotherDemoStands(HansaError):
    """This folder holds a demonstration made from other numbers."""

    code: ClassVar[str] = "demo.another_stands"
    status: ClassVar[int] = 409


class Watcher(Protocol):
    """Who looks on while the day runs. total is None where it is not known beforehand."""

    def begin(self, stage: str, title: str, total: int | None, unit: str) -> None: ...

    def advance(self, stage: str, done: int, total: int | None = None) -> None: ...

    def end(self, stage: str, done: int, seconds: float) -> None: ...


class NobodyWatches:
    """A watcher for tests and scripts."""

    def begin(self, stage: str, title: str, total: int | None, unit: str) -> None: ...

    def advance(self, stage: str, done: int, total: int | None = None) -> None: ...

    def end(self, stage: str, done: int, seconds: float) -> None: ...


@dataclass(slots=True)
class StageReport:
    """What a stage did: how many of what, in how many seconds of wall time."""

    title: str
    unit: str
    done: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Check:
    """A statement about the books that was put to the test."""

    statement: str
    holds: bool
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Fraud:
    """What was planted and what the rules made of it.

    planted, found: attacks by kind. riders: honest ones who rode. false_alarms: those of them with a case, by rule.
    missed: attacks that no rule meant for them found.
    """

    planted: dict[Kind, int]
    found: dict[Kind, int]
    cases: int
    riders: int
    suspected: int
    false_alarms: dict[str, int]
    missed: tuple[Planted, ...] = ()


@dataclass(slots=True)
class Summary:
    """The day as its closing page tells it. Amounts are minor units; keys are city and member ids."""

    spec: Spec
    stages: list[StageReport] = field(default_factory=list[StageReport])
    shown: int = 0
    verify_us: float = 0.0
    refusals: dict[str, int] = field(default_factory=dict[str, int])
    taps: dict[str, int] = field(default_factory=dict[str, int])
    carried: dict[str, int] = field(default_factory=dict[str, int])
    fares: list[rides.CityFares] = field(default_factory=list[rides.CityFares])
    positions: list[clearing.Position] = field(default_factory=list[clearing.Position])
    nets: list[clearing.NetPosition] = field(default_factory=list[clearing.NetPosition])
    next_day: dict[str, int] = field(default_factory=dict[str, int])
    files: list[settlement.BankFile] = field(default_factory=list[settlement.BankFile])
    matched: int = 0
    breaks: int = 0
    fraud: Fraud | None = None
    tariff: NewTariff | None = None
    disputed: Told | None = None
    windows: list[clearing.Window] = field(default_factory=list[clearing.Window])
    agreed: Agreed | None = None
    paid: Paid | None = None
    handed: Handed | None = None
    spent: Spent | None = None
    proof: reconciliation.Proof | None = None
    checks: list[Check] = field(default_factory=list[Check])

    def cents(self) -> dict[str, int]:
        """Every figure of money in the day, by name: two runs of one spec must agree on all of them."""
        figures: Counter[str] = Counter()
        for p in self.positions:
            kind = "position" if is_of_rides(p) else "people position"
            name = f"{kind} {p.issuer_id} {p.operator_id} {p.currency}"
            figures[f"{name} gross"] += p.gross
            figures[f"{name} share"] += p.operator_share
            figures[f"{name} items"] += p.items
            figures[f"window {p.window_id} {p.currency}"] += p.gross
        for n in self.nets:
            figures[f"net {n.member_id} {n.currency}"] += n.net
        if self.paid is not None:
            figures[f"paid {self.paid.payer} {self.paid.payee}"] = (
                self.paid.amount.minor if self.paid.state == hub.State.COMMITTED else 0
            )
        if self.spent is not None:
            figures.update(self.spent.cents())
        for currency, minor in self.next_day.items():
            figures[f"next day {currency}"] = minor
        for currency, minor in self.carried.items():
            figures[f"carried {currency}"] = minor
        for fare in self.fares:
            figures[f"fares {fare.city_id} {fare.currency}"] = fare.charged_minor
            figures[f"journeys {fare.city_id}"] = fare.journeys
        return dict(sorted(figures.items()))


class DemoRun:
    """One demonstration: ``run()`` gives its summary. ctx.clock must be the FixedClock handed in here."""

    def __init__(
        self, ctx: Context, clock: FixedClock, spec: Spec, home: Path, watcher: Watcher | None = None
    ) -> None:
        self.ctx, self.clock, self.spec, self.home = ctx, clock, spec, home
        self.watcher = watcher or NobodyWatches()
        self.keys = trust.KeyFolder(home / "keys")
        self.files = home / "files"
        self.summary = Summary(spec)
        self.present = clock.at

    def run(self) -> Summary:
        self._claim_books()
        self.clock.at = _instant(self.spec.day - timedelta(days=1), 9)
        league = self._build()
        self._agree()
        riders = self._people(league)
        cast = find_cast(self.spec.seed, riders, [role.city_id for role in league.facts.cities])
        if cast is not None:
            self._join(league, cast)
        days = self._live(league, riders)
        self._hand_in_at_once(days)
        if cast is not None:
            self._spend(league, cast, riders)
        self.clock.at = _instant(self.spec.day + timedelta(days=1), 8)
        self._price("price", "Journeys, fares and caps")
        self._post("post", "Charges to the ledger")
        self.clock.at = _instant(self.spec.day + timedelta(days=1), 9)
        self._early_window()
        self._hand_in(days, ("late",), "late", "Offline gates catch up")
        self._price("reprice", "Days priced again with late taps")
        self._post("correct", "Corrections to the ledger")
        self.clock.at = _instant(self.spec.day + timedelta(days=1), 11)
        self._close()
        self._settle()
        self.clock.at = _instant(self.spec.day + timedelta(days=1), 12)
        self._hand_in(days, ("after cut-off",), "after", "A gate returns after the cut-off")
        self._price("next", "Its journeys join the next day")
        self._post("next-post", "Their charges to the ledger")
        self._dispute(riders)
        self._watch(riders, days)
        self._write_tariffs()
        self.clock.at = _instant(self.spec.day + timedelta(days=1), 13)
        self._pay()
        self._hand_out()
        self._reconcile()
        if cast is not None:
            self._tell_spent(league, cast)
        self._prove(league)
        return self.summary

    # -- stages --------------------------------------------------------------------------------------------

    def _claim_books(self) -> None:
        """One database, one demonstration: the books of another spec, or of another folder, are never mixed in."""
        mine = claim_home(self.home, self.spec)
        try:
            with self.ctx.tx() as tx:
                known = store.idempotent(tx, "demonstration", store.request_digest(mine), scope="hansa.demo")
                if known is None and trust.list_members(tx):
                    raise AnotherDemoStands(
                        "This database holds a league already, and not a demonstration. Name an empty one."
                    )
                if known is None:
                    store.remember(tx, "demonstration", {"home": str(self.home)}, scope="hansa.demo")
        except store.IdempotencyConflict as error:
            raise AnotherDemoStands(
                "This database holds the demonstration of another folder or of other numbers. Name an empty database "
                "in HANSA_DATABASE_URL, or the folder that demonstration was made in with --home."
            ) from error

    def _build(self) -> League:
        with self._stage("league", "Six cities join the league", None, "stops") as count:
            league = build_league(self.ctx, self.keys, self.spec)
            count.add(sum(len(network.stops) for network in league.networks.values()))
        return league

    def _agree(self) -> None:
        with self._stage("agree", "Two cities agree, by two persons", None, "texts") as count:
            count.add(agree(self.ctx, self.spec.day))

    def _people(self, league: League) -> list[Rider]:
        riders = league.riders(self.spec)
        with self._stage("people", "Residents open wallets and top up", len(riders), "riders") as count:
            for some in batches(riders, 4_000):
                settle_people(self.ctx, league, some, self.spec)
                self._carry_spend(league, some)
                count.add(len(some))
        return riders

    def _join(self, league: League, cast: Cast) -> None:
        tools = tools_of(self.ctx, self.home)
        with self._stage("join", "Some prove who they are, and shops open", None, "people, shops") as count:
            count.add(join_people(self.ctx, league, cast, self.spec, tools))
            today = self.present.date()
            days = (self.spec.day, *(today + timedelta(days=number) for number in range(1, 8)))
            count.add(open_shops(self.ctx, league, cast, present_days=days))
        tools.bank.close()

    def _spend(self, league: League, cast: Cast, riders: Sequence[Rider]) -> None:
        """People buy, visit, send and withdraw in the evening of the day; then the clock is where it was."""
        tools, back = tools_of(self.ctx, self.home), self.clock.at
        self.clock.at = _instant(self.spec.day, 11)
        with self._stage("spend", "People pay shops and each other", None, "payments, sends") as count:
            for done in spend_the_day(
                self.ctx, self.clock, league, cast, riders, tools=tools, home=self.home
            ):
                count.add(done)
        tools.bank.close()
        self.clock.at = back

    def _tell_spent(self, league: League, cast: Cast) -> None:
        until = _instant(self.spec.day + timedelta(days=1), 13)
        with self.ctx.tx() as tx:
            self.summary.spent = read_spent(
                tx,
                cast,
                read_kept(self.home),
                [role.issuer_id for role in league.facts.cities],
                until=until,
                partition_of=self.ctx.directory.partition_of,
            )

    def _carry_spend(self, league: League, riders: Sequence[Rider]) -> None:
        """What earlier days of the month and week already used of tiers and caps."""
        day = self.spec.day
        spends: list[rides.OpeningSpend] = []
        for rider in riders:
            operator = league.facts.role(rider.here).operator_id
            if rider.here == "beijing" and rider.month_share:
                spends.append(
                    rides.OpeningSpend(
                        rider.account_id,
                        operator,
                        "month",
                        day.replace(day=1),
                        int(rider.month_share * 40_000),
                    )
                )
            if rider.here == "london" and rider.week_share:
                spends.append(
                    rides.OpeningSpend(
                        rider.account_id,
                        operator,
                        "week",
                        day - timedelta(days=day.weekday()),
                        int(rider.week_share * 4_470),
                    )
                )
        with self.ctx.tx() as tx:
            rides.set_opening_spend(tx, spends)

    def _live(self, league: League, riders: Sequence[Rider]) -> list[CityDay]:
        """Phones and gates, in worker processes; then the back office learns which token is whose."""
        lost = frozenset(rider.number for rider in riders if rider.number % 331 == 7)
        cities = [role.city_id for role in league.facts.cities]
        attacks = plan_attacks(self.spec.seed, self.spec.day, riders, cities, lost)
        copied = frozenset(one.rider for one in attacks if one.kind == "clone")
        with self.ctx.tx() as tx:
            trust_list = trust.current_trust_list(tx)
        kids = {key.issuer_id: key.kid for key in trust_list.keys}
        jobs = [
            CityJob(
                seed=self.spec.seed,
                day=self.spec.day,
                role=role,
                network=league.networks[role.city_id],
                gates=league.gates[role.city_id],
                riders=tuple(rider for rider in riders if rider.here == role.city_id),
                lost=lost,
                issuer_kids=kids,
                issuer_keys={
                    c.issuer_id: self.keys.issuer(c.issuer_id).private_bytes_raw()
                    for c in league.facts.cities
                },
                trust_list=trust_list,
                deny_version=1,
                attacks=tuple(one for one in attacks if one.city_id == role.city_id and one.kind != "clone"),
                copied=copied,
                victims=tuple(
                    (riders[one.rider], self._token_ends(league, riders[one.rider]))
                    for one in attacks
                    if one.city_id == role.city_id and one.kind == "clone"
                ),
                loss_version=2 + place,
            )
            for place, role in enumerate(league.facts.cities)
        ]
        shown = progress_counter()
        expected = int(len(riders) * 3.75)
        with self._stage("day", "A day of riding: phones and gates", expected, "codes shown") as count:
            over = Event()

            def follow() -> None:
                while not over.wait(0.2):
                    self.watcher.advance("day", min(shown.value, expected))

            follower = Thread(target=follow, daemon=True)
            follower.start()
            try:
                days = list(live_the_day(jobs, shown=shown))
            finally:
                over.set()
                follower.join()
            days.sort(key=lambda day: day.city_id)
            count.add(sum(day.shown for day in days))
        self.summary.shown = sum(day.shown for day in days)
        self.summary.verify_us = sum(day.verify_ns for day in days) / 1_000 / max(1, self.summary.shown)
        self._register(league, riders, days)
        self._report_losses(lost, {day.city_id: day for day in days}, cities)
        return days

    def _token_ends(self, league: League, rider: Rider) -> datetime:
        zone = ZoneInfo(league.networks[rider.here].city.tz)
        return datetime.combine(self.spec.day + timedelta(days=1), time(4), zone).astimezone(UTC)

    def _report_losses(
        self,
        lost: frozenset[int],
        days: Mapping[str, CityDay],
        cities: Sequence[str],
    ) -> None:
        """Phones that were reported lost go on the deny list: the morning's as version 1, then one for each city."""
        morning = _instant(self.spec.day - timedelta(days=1), 20)
        ends = _instant(self.spec.day + timedelta(days=1), 12)
        ctis = [reserved_cti(self.spec.seed, self.spec.day, number) for number in sorted(lost)]
        lists = [([(cti, ends) for cti in ctis], morning)]
        for city_id in cities:
            loss = days[city_id].loss
            lists.append(([], morning) if loss is None else ([(loss.cti, loss.expires_at)], loss.at))
        with self.ctx.tx() as tx:
            named = [cti for tokens, _ in lists for cti, _ in tokens]
            if len(trust.find_revoked(tx, named)) < len(named):
                for tokens, at in lists:
                    trust.revoke_tokens(tx, tokens, at)

    def _register(self, league: League, riders: Sequence[Rider], days: Sequence[CityDay]) -> None:
        refusals: Counter[str] = Counter()
        for day in days:
            tokens = [
                rides.Token(
                    cti=token.cti,
                    account_id=riders[token.rider].account_id,
                    issuer_id=league.facts.role(riders[token.rider].home).issuer_id,
                    wallet_currency=league.currency(riders[token.rider].home),
                    rider_class=riders[token.rider].rider_class,
                    expires_at=token.expires_at,
                )
                for token in day.tokens
            ]
            with self.ctx.tx() as tx:
                rides.register_tokens(tx, tokens)
                rides.record_refusals(
                    tx,
                    [
                        rides.Refusals(gate_id, minute, why, n)
                        for (gate_id, minute, why), n in day.refusals.items()
                    ],
                )
            for (_, _, reason), number in day.refusals.items():
                refusals[reason] += number
        self.summary.refusals = dict(refusals.most_common())

    def _hand_in_at_once(self, days: Sequence[CityDay]) -> None:
        """What gates with network send: each minute's taps as that minute ends."""
        online = [tap for day in days for arrival, tap in day.taps if arrival == "online"]
        online.sort(key=_minute)
        recorded = 0
        with self._stage("tap", "Gates hand in their taps", len(online), "taps") as count:
            for minute, of_minute in groupby(online, key=_minute):
                self.clock.at = max(self.clock.at, minute + timedelta(minutes=1))
                for batch in batches(list(of_minute), TAPS_PER_BATCH):
                    recorded += self._record(batch)
                    count.add(len(batch))
        self.summary.taps["tap"] = recorded

    def _hand_in(
        self, days: Sequence[CityDay], arrivals: tuple[Arrival, ...], stage: str, title: str
    ) -> None:
        taps = [tap for day in days for arrival, tap in day.taps if arrival in arrivals]
        recorded = 0
        with self._stage(stage, title, len(taps), "taps") as count:
            for batch in batches(taps, TAPS_PER_BATCH):
                recorded += self._record(batch)
                count.add(len(batch))
        self.summary.taps[stage] = recorded

    def _record(self, taps: Sequence[gate.Tap]) -> int:
        receipt = rides.record_taps(self.ctx, None, [rides.Tap.from_gate(tap) for tap in taps])
        assert not receipt.refused, receipt.refused[:3]
        return receipt.recorded + receipt.duplicates

    def _price(self, stage: str, title: str) -> None:
        with self._stage(stage, title, None, "journeys") as count:
            while True:
                rated = rides.rate(self.ctx, limit=DAYS_PER_RUN)
                if not rated.days:
                    break
                count.add(rated.journeys)

    def _post(self, stage: str, title: str) -> None:
        with self._stage(stage, title, None, "charges") as count:
            while True:
                posted = rides.post_charges(self.ctx, limit=CHARGES_PER_RUN)
                if not posted.charges:
                    break
                count.add(posted.charges)

    def _watch(self, riders: Sequence[Rider], days: Sequence[CityDay]) -> None:
        """The rules of risk over all that gates sent; what they found is held against what was planted."""
        codes = [
            rides.RefusedCode(one.gate_id, one.at, one.reason, one.kid, one.cti, 0, one.counter, one.made_at)
            for day in days
            for one in day.turned
        ]
        facts = sum(len(day.taps) for day in days) + len(codes)
        watcher = risk.Watcher(risk.LEAGUE_FEED, risk.LEAGUE_HANDS)
        with self._stage("watch", "Watch for fraud", facts, "facts") as count:
            for some in batches(codes, CODES_PER_BATCH):
                rides.record_refused_codes(self.ctx, None, some)
            while rides.check_chains(self.ctx, limit=FACTS_PER_TURN).taps:
                pass
            while heard := watcher.turn(self.ctx, limit=FACTS_PER_TURN).heard:
                count.add(heard)
        self.summary.fraud = self._fraud(riders, days)

    def _dispute(self, riders: Sequence[Rider]) -> None:
        """Some riders ask for money back, and an issuer disputes an item."""
        with self._stage("dispute", "Refunds and a disputed item", None, "disputes") as count:
            self.summary.disputed = dispute_some(self.ctx, self.clock, riders, present=self.present)
            told = self.summary.disputed
            count.add(told.at_once + told.by_desk + told.refused + told.waiting)

    def _write_tariffs(self) -> None:
        with self._stage("tariff", "A new tariff, by two persons", None, "journeys") as count:
            self.summary.tariff = put_on_the_calendar(self.ctx, self.spec.day)
            count.add(self.summary.tariff.journeys)

    def _fraud(self, riders: Sequence[Rider], days: Sequence[CityDay]) -> Fraud:
        """Attacks that came off, whether the rules meant for them found them, and who was suspected for nothing."""
        rode = {token.rider for day in days for token in day.tokens}
        planted = [one for day in days for one in day.planted if one.rider in rode]
        numbers = {rider.account_id: rider.number for rider in riders}
        rules: dict[int, set[str]] = {}
        found_cases = 0
        with self.ctx.tx() as tx:
            after: tuple[datetime, UUID] | None = None
            while True:
                cases = risk.list_cases(tx, risk.Asked(after=after), limit=500)
                for case in cases:
                    if case.account_id is not None and case.account_id in numbers:
                        rules.setdefault(numbers[case.account_id], set()).add(case.rule)
                found_cases += len(cases)
                if not cases:
                    break
                after = (cases[-1].last_at, cases[-1].case_id)
        attacked = {one.rider for one in planted}
        found = [one for one in planted if rules.get(one.rider, set()) & FOUND_BY[one.kind]]
        alarms = {number: names for number, names in rules.items() if number not in attacked}
        return Fraud(
            planted={kind: sum(one.kind == kind for one in planted) for kind in KINDS},
            found={kind: sum(one.kind == kind for one in found) for kind in KINDS},
            cases=found_cases,
            riders=len(rode - attacked),
            suspected=len(alarms),
            false_alarms=dict(sorted(Counter(name for names in alarms.values() for name in names).items())),
            missed=tuple(one for one in planted if one not in found),
        )

    def _early_window(self) -> None:
        """The second model's first window of the day: closed and paid before the league's day is over."""
        window_id = windows_of(self.spec.day)[0]
        with self._stage("early", "A model's first window is paid", None, "items") as count:
            window = close_until(self.ctx, window_id)
            self._settle_one(window_id)
            count.add(window.items)

    def _close(self) -> None:
        windows = windows_of(self.spec.day)
        with self._stage("clear", "Cut-off and clearing", None, "items") as count:
            count.add(clearing.close_day(self.ctx, self.spec.day).items)
            count.add(close_until(self.ctx, windows[-1]).items)
        with self.ctx.tx() as tx:
            for window_id in (clearing.day_window(self.spec.day), *windows):
                self.summary.positions += clearing.window_positions(tx, window_id)
                self.summary.nets += clearing.window_nets(tx, window_id)

    def _settle(self) -> None:
        with self._stage("settle", "Bank files out, statements in", None, "payments") as count:
            count.add(self._settle_one(clearing.day_window(self.spec.day)))
            count.add(self._settle_one(windows_of(self.spec.day)[-1]))
            payment_clearing.hear(self.ctx)
        with self.ctx.tx() as tx:
            for window_id in (clearing.day_window(self.spec.day), *windows_of(self.spec.day)):
                self.summary.windows.append(clearing.get_window(tx, window_id))
            names = [window.window_id for window in self.summary.windows]
            self.summary.agreed = told_of_agreement(tx, self.spec.day, names)

    def _settle_one(self, window_id: str) -> int:
        """Tell the simulated bank of a window and read what it answers; how many payments that were."""
        files = settlement.write_files(self.ctx, window_id, self.files)
        bank = settlement.SimulatedBank(self.clock)
        for file in files:
            message_id = bank.instruct(file.path.read_bytes())
            statement = self.files / f"camt.053-{file.message_id}.xml"
            write_whole(statement, bank.statement(message_id))
            outcome = settlement.read_statement(self.ctx, statement)
            self.summary.matched += len(outcome.matched)
            self.summary.breaks += len(outcome.breaks)
        self.summary.files += files
        return sum(file.transactions for file in files)

    def _pay(self) -> None:
        with self._stage("pay", "A member pays another", None, "payments") as count:
            self.summary.paid = pay_between_members(self.ctx, self.spec.day)
            count.add(2)

    def _hand_out(self) -> None:
        with self._stage("report", "Statements and an audit pack", None, "papers") as count:
            windows = [window.window_id for window in self.summary.windows]
            self.summary.handed = hand_out(self.ctx, self.home, windows, clearing.day_window(self.spec.day))
            count.add(self.summary.handed.papers)

    def _reconcile(self) -> None:
        """Prove the day from its taps to the bank's money; a proof that holds is not made again."""
        with self._stage("reconcile", "The day is reconciled", None, "figures") as count:
            with self.ctx.tx() as tx:
                kept = reconciliation.list_proofs(tx, before=self.spec.day + timedelta(days=1), limit=1)
            if kept and kept[0].day == self.spec.day and kept[0].verdict is reconciliation.Verdict.HOLDS:
                self.summary.proof = kept[0]
            else:
                self.summary.proof = reconciliation.prove_day(self.ctx, self.spec.day, by="demo:Ada")
            count.add(sum(step.counted for step in self.summary.proof.steps))

    def _prove(self, league: League) -> None:
        """Put the books to the test, as an auditor would."""
        with self._stage("prove", "The books are checked", None, "checks") as count, self.ctx.tx() as tx:
            self.summary.fares = rides.fares_by_city(tx, self.spec.day)
            trial = ledger.trial_balance(tx)
            self.summary.carried = {
                row.currency: row.debits_posted - row.credits_posted
                for row in trial.rows
                if row.code == ledger.AccountCode.RISK and row.debits_posted != row.credits_posted
            }
            findings = ledger.verify(tx)
            nets: Counter[str] = Counter()
            for net in self.summary.nets:
                nets[net.currency] += net.net
            of_the_day: Counter[str] = Counter()
            for fare in self.summary.fares:
                of_the_day[fare.currency] += fare.charged_minor
            for position in self.summary.positions:
                if is_of_rides(position):
                    of_the_day[position.currency] -= position.gross
            self.summary.next_day = {
                currency: minor for currency, minor in sorted(of_the_day.items()) if minor
            }
            explained = self._taken_in(league, tx) == rides.posted_total(tx)
            self.summary.checks = [
                Check("Debits equal credits in every currency", trial.is_even),
                Check("Every balance is the sum of its transfers, and every block is chained", not findings),
                Check("Net positions sum to zero in each currency", not any(nets.values())),
                Check(
                    "All fares ever charged = cleared + waiting for the next day + given back, to the cent",
                    explained,
                ),
                Check(
                    f"Every bank payment of {len(self.summary.windows)} windows came back on a statement",
                    self.summary.breaks == 0,
                ),
                *self._checks_of_papers(),
                *([] if self.summary.spent is None else [Check(*one) for one in self.summary.spent.findings]),
                self._seen_by_another_city(league),
            ]
            count.add(len(self.summary.checks))

    def _checks_of_papers(self) -> list[Check]:
        """What members paid each other and what auditors are handed, as the stages before found it."""
        paid, handed, proof = self.summary.paid, self.summary.handed, self.summary.proof
        assert paid is not None and handed is not None and proof is not None, "these stages come before"
        return [
            Check(
                f"From taps to the bank's money, {sum(step.counted for step in proof.steps):,} figures in "
                f"{len(proof.steps)} steps: each is explained",
                proof.verdict is not reconciliation.Verdict.FAILS,
                "" if proof.verdict is reconciliation.Verdict.HOLDS else "some of them wait",
            ),
            Check(
                "A member paid another and could not pay more than it may",
                (paid.state, paid.refused_state) == (hub.State.COMMITTED, hub.State.ABORTED),
            ),
            Check(
                f"The day's audit pack proves itself: {handed.items:,} items, {handed.steps} steps, no database",
                handed.proven,
            ),
        ]

    def _seen_by_another_city(self, league: League) -> Check:
        """The second city cosigns the logs' checkpoints; then some receipts are checked, as a stranger would."""
        signer = log_signer(self.home)
        city = league.facts.cities[1].city_id
        partitions = sorted(set(self.ctx.directory.partitions))
        with doors_of(
            self.home,
            name_witness(self.home, city),
            signer,
            partitions=partitions,
            clock=self.clock,
        ) as doors:
            ask_witnesses(self.ctx, signer, doors)
            keys = [hansa_verify.parse_key(str(door.key)) for door in doors]
        entries, cosigned, receipts, proven = 0, 0, 0, 0
        with self.ctx.tx() as tx:
            for partition in partitions:
                log = ledger.LogReader(tx, partition)
                entries += log.size
                signed = {one.witness for one in log.cosignatures() if one.size == log.size}
                cosigned += signed >= {key.name for key in keys} and bool(keys)
                policy = hansa_verify.Policy(
                    hansa_verify.parse_key(str(signer.verifier_key(partition))), tuple(keys), len(keys)
                )
                for index in sorted({0, log.size // 2, log.size - 1} & set(range(log.size))):
                    receipts += 1
                    told = str(log.receipt(index, signer))
                    proven += all(step.ok for step in hansa_verify.check_receipt(told, policy))
        return Check(
            f"{entries:,} transfers in the log, its checkpoint cosigned by {len(keys)} "
            f"{'witness' if len(keys) == 1 else 'witnesses'}, {proven} receipts verified",
            cosigned == len(partitions) and proven == receipts > 0,
            f"{city.replace('-', ' ').title()} is the witness",
        )

    def _taken_in(self, league: League, tx: store.Tx) -> dict[str, int]:
        """What issuers' positions ever took in of rides, by currency: cleared in a window, waiting for one, given back.

        What members paid each other clears on positions too, but of the members themselves; and what people paid shops
        and each other on those between issuers.
        """
        taken: Counter[str] = Counter()
        issuers = {city.issuer_id for city in league.facts.cities}
        for window in clearing.list_windows(tx, limit=10_000):
            for position in clearing.window_positions(tx, window.window_id):
                if position.issuer_id in issuers and is_of_rides(position):
                    taken[position.currency] += position.gross
        ids = {
            clearing.position_account(issuer.issuer_id, operator.operator_id, currency): currency
            for issuer in league.facts.cities
            for operator in league.facts.cities
            for currency in (league.currency(operator.city_id),)
        }
        for account_id, balance in ledger.balances(tx, list(ids)).items():
            taken[ids[account_id]] += balance.credits_posted - balance.debits_posted
        taken.update(given_back(tx))
        return dict(sorted(taken.items()))

    @contextmanager
    def _stage(self, stage: str, title: str, total: int | None, unit: str) -> Generator["_Count"]:
        count = _Count(self.watcher, stage, total)
        self.watcher.begin(stage, title, total, unit)
        started = stopwatch.perf_counter()
        yield count
        seconds = stopwatch.perf_counter() - started
        self.watcher.end(stage, count.done, seconds)
        self.summary.stages.append(StageReport(title, unit, count.done, seconds))


class _Count:
    def __init__(self, watcher: Watcher, stage: str, total: int | None) -> None:
        self.watcher, self.stage, self.total, self.done = watcher, stage, total, 0

    def add(self, number: int) -> None:
        self.done += number
        self.watcher.advance(self.stage, self.done, self.total)


def claim_home(home: Path, spec: Spec) -> str:
    """Make this folder the home of one demonstration; gives the text that stands for it and no other.

    Errors: AnotherDemoStands when the folder holds one made from other numbers.
    """
    home.mkdir(parents=True, exist_ok=True)
    mine: dict[str, object] = {"riders": spec.riders, "seed": spec.seed, "day": spec.day.isoformat()}
    marker = home / "demo.json"
    if not marker.exists():
        write_whole(marker, json.dumps(mine | {"id": str(new_id())}).encode())
    theirs: dict[str, object] = json.loads(marker.read_text())
    if {name: theirs.get(name) for name in mine} != mine:
        said = ", ".join(f"{name} {theirs.get(name)}" for name in mine)
        raise AnotherDemoStands(
            f"{home} holds the demonstration made from {said}. "
            "Ask for the same numbers, start over with --fresh, or choose another folder with --home."
        )
    return json.dumps(theirs, sort_keys=True)


def name_witness(home: Path, city: str) -> list[WitnessLine]:
    """The home's witnesses; where there is none yet, a city of the demonstration, with a key of its own.

    It lives in this home, so it shows how witnessing goes and proves nothing to strangers.
    """
    file = home / "witnesses"
    if not file.exists():
        folder = Path("cities") / city / "witness"
        key = tlog.VerifierKey.of(
            trust.KeyFolder(home / folder / "keys").witness(),
            f"{city}.example/witness",
            tlog.KeyKind.COSIGNATURE,
        )
        write_whole(file, f"{IN_THIS_HOUSE}{folder} {key}\n".encode())
    return read_witnesses(home)


def batches(things: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """The things in order, ``size`` at a time."""
    for start in range(0, len(things), size):
        yield things[start : start + size]


def write_whole(path: Path, content: bytes) -> None:
    """The file as a whole or not at all, on the disk before its name appears."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    with part.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def is_of_rides(position: clearing.Position) -> bool:
    """Whether an issuer owes an operator on it, and not another issuer for what people paid and sent."""
    return position.operator_id in {role.operator_id for role in league_facts().cities}


def _minute(tap: gate.Tap) -> datetime:
    return tap.tapped_at.replace(second=0, microsecond=0)


def _instant(day: date, hour: int) -> datetime:
    return datetime.combine(day, time(hour), UTC)
