"""One seed's story in a small league, and what must be true at its end."""

import os
from collections import Counter
from collections.abc import Callable, Generator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from fractions import Fraction
from random import Random
from typing import TypeVar
from unittest import mock
from uuid import UUID

from hansa import clearing, identity, ledger, payments, rides, trust
from hansa.kernel import FixedClock, Money, fact_id
from hansa.ledger import actions, store
from hansa.ledger.batch import Batch, transfer_of
from hansa.ledger.model import ResultCode
from hansa.ledger.writer import write_now
from hansa.store import Context, Tx
from rides.riding import League, account_of, local, network_of, tariff_of
from simulator.actors import City, ClearingHouse, Gateway, Phone, Teller, Worker
from simulator.engine import Codes, Registry, SimulatedEngine
from simulator.naive import NaiveBooks, as_it_must_be_booked, same
from simulator.traffic import accounts
from simulator.world import Actor, World

OPERATORS = ("beijing-subway", "hangzhou-metro")
DAY = date(2026, 11, 17)
NEXT_DAY = DAY + timedelta(days=1)
MORNING = local(tariff_of(OPERATORS[0]), "06:00", DAY)
CUT_OFF = local(tariff_of(OPERATORS[0]), "28:00", DAY)
HEALED = CUT_OFF + timedelta(hours=2)
"""Until then the network and everyone on it misbehave; what has not arrived by the cut-off clears a day later."""
END = CUT_OFF + timedelta(hours=25)

K = TypeVar("K")

Journeys = dict[object, tuple[object, ...]]
EngineClass = Callable[[World, Callable[[Batch, Codes, datetime, bool], None]], SimulatedEngine]


class WrongStory(AssertionError):
    """Something is true at the end of a story that must not be."""


@dataclass(frozen=True)
class Plan:
    """What happens in the world itself: who brings money, who taps where and when. Worked out from the seed alone."""

    top_ups: list[payments.TopUp]
    taps: list[rides.Tap]


@dataclass(frozen=True)
class Outcome:
    """What a day came to, however it went. worth: wallets less debts, in the wallet's currency."""

    journeys: Journeys
    charged: dict[object, int]
    worth: dict[int, int]
    gross: dict[tuple[str, str, str], int]
    nets: dict[tuple[str, str], int]


@dataclass
class Story:
    """How one seed went."""

    seed: int
    digest: str = ""
    steps: int = 0
    transfers: int = 0
    faults: Counter[str] = field(default_factory=Counter[str])


def issuer_of(rider: int) -> tuple[str, str]:
    return (("beijing-card", "CNY"), ("hangzhou-card", "CNY"), ("london-card", "GBP"))[rider % 3]


RIDERS = 6


def open_league(ctx: Context) -> None:
    """What stands before every story: members, tariffs, gates, riders, and the accounts of the tellers."""
    assert isinstance(ctx.clock, FixedClock)
    ctx.clock.at = MORNING - timedelta(hours=1)
    league = League(ctx, *OPERATORS)
    with ctx.tx() as tx:
        payments.set_rates(tx, DAY, [("CNY", "GBP", Fraction(1, 10))])
    for rider in range(RIDERS):
        issuer, currency = issuer_of(rider)
        league.open_money(rider, 0, issuer=issuer, currency=currency)
        league.rider(rider, issuer=issuer, currency=currency)
    clearing.open_positions(
        ctx, [(issuer_of(rider)[0], operator, "CNY") for rider in range(3) for operator in OPERATORS]
    )
    ledger.open_accounts(ctx, accounts(), at=ctx.clock.at)


def plan_of(ctx: Context, seed: int) -> Plan:
    """Riders 1 and 4 are poor; some exits are missing."""
    dice = Random(f"{seed} plan")
    league = League(ctx, *OPERATORS)
    top_ups: list[payments.TopUp] = []
    taps: list[rides.Tap] = []
    for rider in range(RIDERS):
        issuer, currency = issuer_of(rider)
        account = identity.AccountId(account_of(rider))
        for number in range(dice.randint(1, 2)):
            at = MORNING + timedelta(minutes=dice.randint(0, 900) if number else 0)
            amount = Money(dice.randint(100, 400) if rider % 3 == 1 else 10_000, currency)
            top_up_id = fact_id(at, "simulated top-up", seed, rider, number)
            top_ups.append(payments.TopUp(top_up_id, account, trust.MemberId(issuer), amount, at))
        at = MORNING + timedelta(minutes=dice.randint(1, 60))
        cti = fact_id(None, "cti", rider, 0).bytes[:8]
        for _ in range(dice.randint(1, 4)):
            operator = dice.choice(OPERATORS)
            origin, destination = dice.sample(sorted(network_of(operator).stops), 2)
            minutes = dice.randint(5, 70)
            entry, leave = league.ride(operator, origin, destination, at, cti, minutes=minutes)
            taps += [entry, leave] if dice.random() < 0.85 else [entry]
            at += timedelta(minutes=minutes + dice.randint(5, 180))
    return Plan(top_ups, sorted(taps, key=lambda tap: (tap.tapped_at, tap.tap_id)))


# --- a calm day


def calm_outcome(connection: Tx, ctx: Context, plan: Plan) -> Outcome:
    """The same taps with everyone well and every message at once, in the simplest order; rolled back afterwards."""
    assert isinstance(ctx.clock, FixedClock)
    with connection.transaction(force_rollback=True):
        hour = MORNING
        while hour < CUT_OFF:
            until = hour + timedelta(hours=1)
            ctx.clock.at = until
            payments.top_up(ctx, [top_up for top_up in plan.top_ups if hour <= top_up.at < until])
            rides.record_taps(ctx, None, [tap for tap in plan.taps if hour <= tap.tapped_at < until])
            rides.rate(ctx)
            rides.post_charges(ctx)
            hour = until
        clearing.close_day(ctx, DAY)
        return outcome_of(ctx)


def outcome_of(ctx: Context) -> Outcome:
    """The day as the database has it."""
    with ctx.tx() as tx:
        journeys: Journeys = {
            row[0]: row[1:]
            for row in tx.execute(
                "select journey_id, account_id, kind, status, fare_minor, charged_minor, currency from rides.journeys"
                " where status <> 'withdrawn'"
            )
        }
        found = rides.charges_of(tx, [rides.JourneyId(one) for one in journeys if isinstance(one, UUID)])
        charged: dict[object, int] = {
            journey_id: total
            for journey_id, charges in found.items()
            if (total := sum(one.amount.minor for one in charges if one.status == "posted"))
        }
        gross: Counter[tuple[str, str, str]] = Counter()
        nets: Counter[tuple[str, str]] = Counter()
        for day in clearing.list_days(tx):
            for line in clearing.positions(tx, day.day):
                gross[line.issuer_id, line.operator_id, line.currency] += line.gross
            for one in clearing.net_positions(tx, day.day):
                nets[one.member_id, one.currency] += one.net
        worth: dict[int, int] = {}
        for rider in range(RIDERS):
            account = identity.AccountId(account_of(rider))
            debts = {money.currency: money.minor for money in payments.debts_of(tx, account)}
            for money in payments.balance_of(tx, account):
                worth[rider] = money.minor - debts.get(money.currency, 0)
    return Outcome(
        journeys, charged, worth, {k: v for k, v in gross.items() if v}, {k: v for k, v in nets.items() if v}
    )


# --- a story


class Simulation:
    """A seed's world with everyone in it."""

    def __init__(
        self, connection: Tx, seed: int, plan: Plan, *, trace: bool, engine_class: EngineClass
    ) -> None:
        self.world = World(connection, seed, MORNING - timedelta(minutes=1), trace=trace)
        self.naive = NaiveBooks()
        self.registry = Registry()
        self.engine_class = engine_class
        self.dice = self.world.dice
        self.city = City(self.world, self.registry)
        self.gateways = [Gateway(self.world, self.city, n, plan.taps[n::3]) for n in range(3)]
        self.phones = [Phone(self.world, self.city, n, plan.top_ups[n::2]) for n in range(2)]
        self.tellers = [
            Teller(self.world, self.city, seed, n, self.dice.choice((0, 6, 12))) for n in range(3)
        ]
        self.worker = Worker(self.world)
        self.house = ClearingHouse(self.world, [DAY, NEXT_DAY])
        self.engines: list[SimulatedEngine] = []

    def run(self) -> None:
        """Live through the day and the night, then let everything heal and come to rest."""
        world, dice = self.world, self.dice
        everyone: list[Actor] = [*self.gateways, *self.phones, *self.tellers, self.worker, self.house]
        for one in everyone:
            world.later(timedelta(seconds=dice.randint(0, 600)), one, "begins", one.wake)
        if dice.random() < 0.85:
            self._new_engine()
        for _ in range(dice.choice((0, 3, 10))):
            at = timedelta(minutes=dice.randint(1, 1_300))
            world.later(at, self.city, "is struck by fate", self._fate, whatever_life=True)
        world.run(lambda: False, ends_at=HEALED)
        world.is_calm = True
        world.note("ALL IS WELL AGAIN")
        world.run(lambda: False, ends_at=END)
        while self.worker.turn(1_000):
            continue
        if (engine := self.registry.find()) is not None:
            engine.fold()
        self._must_have_come_to_rest()

    def _new_engine(self) -> None:
        engine = self.engine_class(self.world, self.keep)
        for other in self.engines:
            other.is_superseded = True
        self.engines.append(engine)
        self.registry.engine = engine
        self.world.later(timedelta(0), engine, "begins", engine.wake)

    def _fate(self) -> None:
        """Something that does not wait for a transaction: a death, or a second engine while the first one lives."""
        world = self.world
        if world.is_calm:
            return
        who = self.dice.choice([*self.gateways, self.worker, self.city, *self.engines[-1:], None])
        if who is None:
            world.faults["a second engine"] += 1
            world.note("A SECOND ENGINE")
            self._new_engine()
        elif who.is_up:
            world.faults["died of fate"] += 1
            world.note("FATE", who.name)
            who.die()

    def keep(self, batch: Batch, codes: Codes, at: datetime, expiring: bool) -> None:
        """A batch was decided and is durable: the naive books must come to the same."""
        transfers = [transfer_of(body, 0) for body in batch.bodies]
        unknown = {side for one in transfers for side in (one.debit, one.credit)} - self.naive.accounts.keys()
        self.naive.open(store.list_accounts(self.world.connection, unknown))
        expected = self.naive.post(transfers, at, expiring=expiring)
        for transfer, code, wanted in zip(transfers, codes, expected, strict=True):
            if not same(code.value, wanted):
                raise WrongStory(f"the ledger says {code.value}, the naive books {wanted}: {transfer}")

    def _must_have_come_to_rest(self) -> None:
        for gateway in self.gateways:
            missing = len(gateway.delivery.taps) - len(gateway.delivery.acknowledged)
            must(not missing, f"{gateway.name} still has {missing} taps")
        for phone in self.phones:
            must(len(phone.confirmed) == len(phone.top_ups), f"{phone.name} still waits")
        for teller in self.tellers:
            must(teller.is_done, f"{teller.name} still waits, with {teller.left} batches to go")
        must(self.house.closed == {DAY, NEXT_DAY}, f"closed are only {self.house.closed}")


def must(holds: bool, what: str) -> None:
    if not holds:
        raise WrongStory(what)


def simulate(
    connection: Tx,
    ctx: Context,
    seed: int,
    *,
    trace: bool = False,
    engine_class: EngineClass = SimulatedEngine,
) -> Story:
    """Tell a seed's story and check its end; all of it is rolled back. Errors: WrongStory, or whatever went wrong."""
    with connection.transaction(force_rollback=True):
        plan = plan_of(ctx, seed)
        calm = calm_outcome(connection, ctx, plan)
        one = Simulation(connection, seed, plan, trace=trace, engine_class=engine_class)
        with _watched(one, seed):
            one.run()
            _check(one, calm)
        with connection.transaction():
            number, digest = ledger.block_head(connection)
        one.world.note("the chain ends at", number, digest.hex())
        return Story(seed, one.world.digest, one.world.steps, len(one.naive.sent), one.world.faults)


@contextmanager
def _watched(one: Simulation, seed: int) -> Generator[None]:
    """Let the ledger find the simulated engine, tell what is written without one, and take its salts from the seed."""

    def find_engine(_ctx: Context, _partition: int) -> SimulatedEngine | None:
        return one.registry.find()

    def watched_write_now(
        tx: Tx, partition: int, batch: Batch, now: datetime, *, expiring: bool = False
    ) -> list[ResultCode] | None:
        codes = write_now(tx, partition, batch, now, expiring=expiring)
        assert codes is not None, "on one connection nobody looks like a living engine"
        one.world.faults["written without an engine"] += 1
        one.world.on_commit(lambda: one.keep(batch, codes, now, expiring))
        return codes

    with ExitStack() as stack:
        stack.enter_context(mock.patch.object(actions, "find_engine", find_engine))
        stack.enter_context(mock.patch.object(actions, "write_now", watched_write_now))
        stack.enter_context(mock.patch.object(os, "urandom", Random(f"{seed} salts").randbytes))
        yield


# --- what must be true at the end


def _check(one: Simulation, calm: Outcome) -> None:
    ctx, naive = one.world.ctx, one.naive
    with one.world.unfailing_tx() as tx:
        findings = ledger.verify(tx, 0)
        must(not findings, f"the ledger's own proof: {[str(finding) for finding in findings]}")
        stands = ledger.balances(tx, naive.accounts)
        for account_id, balance in naive.balances().items():
            must(stands[account_id] == balance, f"{account_id} holds {stands[account_id]}, not {balance}")
        last = ledger.block_head(tx)[0]
        booked = store.list_booked(tx, 0, after=ledger.Place(0, -1), to_block=last, limit=1_000_000)
        must(len(booked) == len(naive.sent), f"{len(booked)} are booked, and {len(naive.sent)} were decided")
        for there in booked:
            must(
                as_it_must_be_booked(naive, there.transfer.transfer_id) == there.transfer,
                f"{there.transfer} is not what was decided",
            )
        must(ledger.trial_balance(tx).is_even, "the trial balance is not even")
    _check_tellers(one)
    ended = outcome_of(ctx)
    must(ended.journeys == calm.journeys, f"fares: {differences(ended.journeys, calm.journeys)}")
    must(ended.charged == calm.charged, f"charges: {differences(ended.charged, calm.charged)}")
    must(ended.worth == calm.worth, f"wallets: {differences(ended.worth, calm.worth)}")
    must(ended.gross == calm.gross, f"positions: {differences(ended.gross, calm.gross)}")
    must(ended.nets == calm.nets, f"nets: {differences(ended.nets, calm.nets)}")


def _check_tellers(one: Simulation) -> None:
    """What was acknowledged is there. What was refused is not, unless another copy of it was on its way."""
    told = [told for teller in one.tellers for told in teller.told]
    told_of: dict[str, list[tuple[ledger.Transfer, ResultCode, bool]]] = {}
    for batch in told:
        assert batch.codes is not None, "tellers have come to rest"
        sent_once = batch.sent == 1 and not one.world.faults["doubled"]
        for transfer, code in zip(batch.batch, batch.codes, strict=True):
            told_of.setdefault(repr(transfer), []).append((transfer, code, sent_once))
    for answers in told_of.values():
        transfer = answers[0][0]
        there = one.naive.sent.get(transfer.transfer_id) == transfer
        if any(code in (ResultCode.CREATED, ResultCode.EXISTS) for _, code, _ in answers):
            must(there, f"acknowledged, and not in the books: {transfer}")
        elif all(sent_once for _, _, sent_once in answers):
            must(not there, f"refused, and in the books: {transfer}")


def differences(got: Mapping[K, object], wanted: Mapping[K, object]) -> str:
    """The first few entries that are not the same."""
    keys = [key for key in got.keys() | wanted.keys() if got.get(key) != wanted.get(key)]
    return "; ".join(f"{key}: {got.get(key)} instead of {wanted.get(key)}" for key in keys[:3])
