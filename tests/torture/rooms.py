"""Payments and rides around the ledger: a day's work that can be begun again at any point, and what must come of it."""

import contextlib
import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from random import Random
from typing import LiteralString
from uuid import UUID

from finds import Finds, journal_of
from parts import PACE, leave_without, note, patient_context

from hansa import clearing, identity, ledger, payments, rides, trust
from hansa.kernel import FixedClock, HansaError, Money, fact_id
from hansa.store import Context, open_context
from rides.riding import League, account_of, local, network_of, tariff_of

OPERATORS = ("beijing-subway", "hangzhou-metro")
DAY = date(2026, 11, 17)
RIDERS, ROUNDS = 40, 36
MORNING = local(tariff_of(OPERATORS[0]), "05:30", DAY)
ROUND = timedelta(minutes=30)
OVER = MORNING + timedelta(days=2)

Rows = list[tuple[object, ...]]


@dataclass(frozen=True)
class Round:
    """Half an hour of the day: what riders bring, and the taps that are handed in at its end."""

    number: int
    at: datetime
    top_ups: list[payments.TopUp]
    taps: list[rides.Tap]


def issuer_of(rider: int) -> tuple[str, str]:
    """Who keeps the rider's wallet, and in which currency."""
    return (("beijing-card", "CNY"), ("hangzhou-card", "CNY"), ("london-card", "GBP"))[rider % 3]


def open_league(ctx: Context) -> League:
    """Everything that must be there before the day; doing so again is harmless."""
    league = League(ctx, *OPERATORS)
    with ctx.tx() as tx:
        payments.set_rates(tx, DAY, [("CNY", "GBP", Fraction(113, 1000))])
    for rider in range(RIDERS):
        issuer, currency = issuer_of(rider)
        league.open_money(rider, 300 if rider % 4 == 0 else 0, issuer=issuer, currency=currency)
        league.rider(rider, issuer=issuer, currency=currency)
    return league


def plan(league: League, seed: int) -> list[Round]:
    """The day as the seed says: some poor riders, some taps late by a round or two, some exits missing."""
    dice = Random(f"{seed} rooms")
    handed_in: list[list[rides.Tap]] = [[] for _ in range(ROUNDS + 3)]
    top_ups: list[list[payments.TopUp]] = [[] for _ in range(ROUNDS)]
    free_from = [0] * RIDERS
    for number in range(ROUNDS):
        at = MORNING + number * ROUND
        for rider in range(RIDERS):
            issuer, currency = issuer_of(rider)
            if dice.random() < (0.02 if rider % 4 == 0 else 0.12):
                top_up_id = fact_id(at, "torture top-up", seed, number, rider)
                account = identity.AccountId(account_of(rider))
                amount = Money(dice.choice((500, 1_000, 2_350)), currency)
                top_ups[number].append(payments.TopUp(top_up_id, account, trust.MemberId(issuer), amount, at))
            if free_from[rider] > number or dice.random() > 0.3:
                continue
            free_from[rider] = number + 2
            operator = dice.choice(OPERATORS)
            origin, destination = dice.sample(sorted(network_of(operator).stops), 2)
            minutes = dice.randint(5, 28)
            cti = fact_id(None, "cti", rider, 0).bytes[:8]
            entry, leave = league.ride(operator, origin, destination, at, cti, minutes=minutes)
            handed_in[number + dice.choice((0, 0, 0, 1, 2))].append(entry)
            if dice.random() < 0.93:
                handed_in[number + dice.choice((0, 0, 0, 1, 2))].append(leave)
    for late in handed_in[ROUNDS:]:
        handed_in[ROUNDS - 1] += late
    return [
        Round(number, MORNING + (number + 1) * ROUND, top_ups[number], handed_in[number])
        for number in range(ROUNDS)
    ]


def work(ctx: Context, league: League, rounds: list[Round], begin: int, done: Path | None) -> Iterator[int]:
    """The rounds from one on, and the end of the day. Whatever was done of them before is done again."""
    clock = ctx.clock
    assert isinstance(clock, FixedClock)
    if begin < ROUNDS:
        clock.at = rounds[begin].at
    payments.finish(ctx)
    for one in rounds[begin:]:
        clock.at = one.at
        for start in range(0, len(one.top_ups), 3):
            payments.top_up(ctx, one.top_ups[start : start + 3])
        for start in range(0, len(one.taps), 5):
            league.hand_in(one.taps[start : start + 5])
        _price(ctx)
        yield one.number
    clock.at = OVER
    _price(ctx)
    clearing.close_day(ctx, DAY)
    payments.finish(ctx)
    if done is not None:
        done.touch()


def _price(ctx: Context) -> None:
    while rides.rate(ctx, limit=5).days:
        continue
    while rides.post_charges(ctx, limit=5).charges:
        continue


def rooms_process(url: str, home: Path, parent: int, seed: int) -> None:
    """Work until killed or done, every other time with an engine in the same process."""
    logging.disable()
    progress = home / "progress"
    while not (home / "done").exists():
        leave_without(parent)
        begun = len(progress.read_text().splitlines()) if progress.exists() else 0
        try:
            with patient_context(url, parent) as bare:
                bare.close()
            with open_context(url, clock=FixedClock(MORNING)) as ctx:
                league = open_league(ctx)
                rounds = plan(league, seed)
                _work_on(ctx, league, rounds, begun, home)
        except HansaError as error:
            if error.status < 500:
                note(home, f"the work: {error!r}")
            time.sleep(0.02)
        except Exception as error:
            note(home, f"the work: {error!r}")
            time.sleep(0.02)


def _work_on(ctx: Context, league: League, rounds: list[Round], begun: int, home: Path) -> None:
    engine = ledger.Engine(ctx, pace=PACE)
    if begun % 2:
        with contextlib.suppress(ledger.EngineTaken):  # the last one is still dying
            engine.start()
    try:
        # The round before is done once more: it was, and nobody may notice.
        with (home / "progress").open("a") as progress:
            for number in work(ctx, league, rounds, max(0, begun - 1), home / "done"):
                if number >= begun:
                    progress.write(f"{number}\n")
                    progress.flush()
    finally:
        engine.stop()


# --- what must come of it

FACTS: dict[str, LiteralString] = {
    "what each account holds": (
        "select account_id, currency, code, debits_pending, debits_posted, credits_pending, credits_posted"
        " from ledger.balances order by account_id"
    ),
    "each transfer": (
        "select transfer_id, debit_account, credit_account, amount, currency, code, event_at, flags, reference"
        " from ledger.transfers order by transfer_id"
    ),
    "each journey": (
        "select journey_id, kind, status, fare_minor, charged_minor, currency from rides.journeys order by journey_id"
    ),
    "each position": (
        "select issuer_id, operator_id, currency, items, gross_minor from clearing.positions"
        " order by issuer_id, operator_id, currency"
    ),
    "each net": "select member_id, currency, net_minor from clearing.net_positions order by member_id, currency",
}


def facts_of(ctx: Context) -> dict[str, Rows]:
    with ctx.tx() as tx:
        facts = {name: list(tx.execute(statement).fetchall()) for name, statement in FACTS.items()}
        charges = rides.charges_of(
            tx, [rides.JourneyId(row[0]) for row in facts["each journey"] if isinstance(row[0], UUID)]
        )
        facts["each charge"] = [
            (
                journey_id,
                one.revision,
                one.charge_id,
                one.amount,
                one.status,
                one.wallet_amount,
                one.on_risk,
                list(one.transfer_ids),
            )
            for journey_id in sorted(charges)
            for one in charges[journey_id]
        ]
        return facts


def run_undisturbed(url: str, seed: int) -> dict[str, Rows]:
    """The same day in a database of its own, with nobody killed."""
    with open_context(url, clock=FixedClock(MORNING)) as ctx:
        league = open_league(ctx)
        for _ in work(ctx, league, plan(league, seed), 0, None):
            continue
        return facts_of(ctx)


def check_rooms(finds: Finds, ctx: Context, home: Path, seed: int, undisturbed: dict[str, Rows]) -> None:
    """Compare with the undisturbed run, and look for each top-up and each charge in the ledger."""
    found = facts_of(ctx)
    for name, rows in undisturbed.items():
        there = found[name]
        differing = [pair for pair in zip(there, rows, strict=False) if pair[0] != pair[1]]
        finds.holds(
            f"{name} is as if nothing had happened",
            there == rows,
            f"{len(there)} instead of {len(rows)}; first difference: {differing[:1]}",
        )
        finds.count(f"{name} is as if nothing had happened", len(rows))
    with ctx.tx() as tx:
        booked = {one.transfer.transfer_id: one.transfer for one in journal_of(tx)}
        unfinished = tx.execute(
            "select (select count(*) from payments.charges where state <> 'posted')"
            " + (select count(*) from payments.top_ups where state <> 'posted')"
        ).fetchone()
        findings = ledger.verify(tx)
        even = ledger.trial_balance(tx).is_even
    named: dict[object, int] = {}
    for row in found["each charge"]:
        finds.holds("each charge is in the ledger once", row[4] == "posted", f"{row}")
        transfer_ids = row[7]
        assert isinstance(transfer_ids, list)
        for transfer_id in transfer_ids:
            named[transfer_id] = named.get(transfer_id, 0) + 1
            finds.holds("each charge is in the ledger once", transfer_id in booked, f"{row}")
    finds.holds("each charge is in the ledger once", max(named.values(), default=1) == 1, f"{named}")
    with open_context(ctx.url, clock=FixedClock(MORNING)) as again:
        top_ups = [top_up for one in plan(open_league(again), seed) for top_up in one.top_ups]
    for top_up in top_ups:
        transfer_id = fact_id(top_up.at, top_up.top_up_id, "top-up")
        there = booked.get(ledger.TransferId(transfer_id))
        finds.holds(
            "each top-up is in the ledger once",
            there is not None and there.amount == top_up.amount.minor,
            f"{top_up}: {there}",
        )
    finds.holds("nothing is left between intent and outcome", unfinished == (0,), f"{unfinished}")
    finds.holds("the trial balance is even", even, "it is not")
    finds.holds("the ledger's own proof finds nothing", not findings, f"{[str(one) for one in findings]}")
    faults = (home / "faults.log").read_text().splitlines() if (home / "faults.log").exists() else []
    finds.proven["nobody saw an error that is none of ours"] = ""
    for fault in faults:
        finds.fail("nobody saw an error that is none of ours", fault)
    finds.count("each top-up is in the ledger once", len(top_ups))
    finds.count("each charge is in the ledger once", len(found["each charge"]))
    finds.count("fares that issuers carry on their risk", sum(bool(row[7]) for row in found["each charge"]))
