"""Disputes of the demonstration: riders who ask for money back, a member that disputes an item, and what comes of it.

Who asks hangs on the riders' numbers and on nothing else, and each request has an id of its own: doing it again after a
crash finishes what was begun and moves nothing twice.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from hansa import disputes, rides, trust
from hansa.apps.demo.people import Rider
from hansa.kernel import FixedClock, Money, fact_id
from hansa.store import Context, Tx

AT_ONCE, AT_DESK, OPEN = 6, 6, 3
"""Riders whose money comes back without a person, those whom an operator's desk answers, and those who still wait."""

ANSWERS_AFTER = timedelta(hours=2)
CITY = "beijing"


@dataclass(frozen=True, slots=True)
class Told:
    """What the closing page tells. given, chargeback: amounts; None where nobody could be found who would ask.

    at_once, by_desk: refunds of both ways that were given. waiting: what waits in the console. line: figures of the
    quarter that may be published.
    """

    at_once: int
    by_desk: int
    given: Money | None
    refused: int
    chargeback: Money | None
    issuer_id: str
    operator_id: str
    waiting: int
    line: disputes.Line | None


def dispute_some(ctx: Context, clock: FixedClock, riders: Sequence[Rider], *, present: datetime) -> Told:
    """Some riders of one city ask, its operator answers, and an issuer disputes two items.

    present: when those ask who still wait when the pages are opened, so that their deadlines lie ahead.
    """
    asked_at = clock.at
    wanted = AT_ONCE + AT_DESK + OPEN
    with ctx.tx() as tx:
        found = [one for _, one in zip(range(wanted), _rides(tx, riders), strict=False)]
        abroad = next(
            (one for one in _rides(tx, riders) if one not in found and not one.issuer_id.startswith(CITY)),
            None,
        )
    for one in found[:AT_ONCE]:
        _ask(ctx, one, "gate_stayed_shut", "The gate stayed shut, so I walked to the next one.")
    for one in found[AT_ONCE : AT_ONCE + AT_DESK]:
        _ask(ctx, one, "charged_twice", "I see the same ride twice in my statement.")
    item = _raise(ctx, abroad) if abroad is not None else None
    clock.at = asked_at + ANSWERS_AFTER
    for number, one in enumerate(found[AT_ONCE : AT_ONCE + AT_DESK]):
        _answer(ctx, one, number)
    if item is not None:
        _accept(ctx, item)
    back, clock.at = clock.at, max(present, clock.at)
    for one in found[AT_ONCE + AT_DESK :]:
        try:
            _ask(ctx, one, "not_me", "My phone was at home on that day.")
        except disputes.AskedTooLate:
            break  # who looks at this day after months finds nobody who could still ask
    clock.at = back
    return _told(ctx, riders)


def given_back(tx: Tx) -> dict[str, int]:
    """What disputes have taken out of positions so far, in minor units by currency."""
    total: dict[str, int] = {}
    for case in _cases(tx):
        moved = sum(
            one.amount_minor for one in disputes.get_dispute(tx, case.dispute_id).bookings if one.posted_at
        )
        if moved:
            total[case.currency] = total.get(case.currency, 0) + case.sign * moved
    return dict(sorted(total.items()))


def _rides(tx: Tx, riders: Sequence[Rider]) -> Iterator[rides.JourneyRecord]:
    """Rides of the city that cost their rider something small: one a rider, in the order of their numbers."""
    most = disputes.own_rules().refunds.at_once_minor
    for rider in riders:
        if rider.here != CITY:
            continue
        for one in reversed(rides.journeys(tx, rider.account_id)):
            if one.city_id != CITY:
                continue  # they rode elsewhere before they came
            charges = rides.journey(tx, one.journey_id).charges
            paid = sum(charge.amount.minor for charge in charges if charge.status == "posted")
            if 0 < paid <= most.get(one.fare.currency, 0):
                yield one
                break


def _id(what: str, journey_id: UUID) -> UUID:
    return fact_id(None, "demo dispute", what, journey_id)


def _ask(ctx: Context, journey: rides.JourneyRecord, reason: str, words: str) -> None:
    person = str(journey.account_id)
    disputes.ask_refund(
        ctx,
        trust.Caller(f"person:{person}", "person", account_id=person),
        dispute_id=_id("refund", journey.journey_id),
        journey_id=journey.journey_id,
        reason=reason,
        words=words,
    )


def _answer(ctx: Context, journey: rides.JourneyRecord, number: int) -> None:
    """The operator's desk gives four back, one of them by half, and refuses the others."""
    with ctx.tx() as tx:
        claim = disputes.get_dispute(tx, _id("refund", journey.journey_id)).case.claim_minor
    gives = number < 4
    disputes.act(
        ctx,
        _member(journey.operator_id),
        _id("refund", journey.journey_id),
        action_id=_id("answer", journey.journey_id),
        action=disputes.Action.GRANT if gives else disputes.Action.REFUSE,
        words="The gate booked it twice." if gives else "These were two rides, an hour apart.",
        amount_minor=max(1, claim // 2) if number == 3 else claim if gives else None,
    )


def _raise(ctx: Context, journey: rides.JourneyRecord) -> disputes.Dispute:
    with ctx.tx() as tx:
        charges = rides.journey(tx, journey.journey_id).charges
    booked = next(one for one in charges if one.status == "posted")
    return disputes.raise_dispute(
        ctx,
        _member(journey.issuer_id),
        dispute_id=_id("item", journey.journey_id),
        item_id=booked.transfer_ids[-1],
        other_id=journey.operator_id,
        amount_minor=booked.amount.minor,
        reason="no_evidence",
        words="The rider says it was not he; please show the taps.",
        evidence={},
    )


def _accept(ctx: Context, item: disputes.Dispute) -> None:
    disputes.act(
        ctx,
        _member(item.case.operator_id),
        item.case.dispute_id,
        action_id=_id("accept", item.case.dispute_id),
        action=disputes.Action.ACCEPT,
        words="The gate's taps of that hour are damaged.",
    )


def _member(member_id: str) -> trust.Caller:
    return trust.Caller(member_id, "member", member_id=trust.MemberId(member_id))


def _cases(tx: Tx) -> list[disputes.Case]:
    return disputes.list_disputes(tx, limit=1_000)


def _told(ctx: Context, riders: Sequence[Rider]) -> Told:
    """What stands in the books of it."""
    numbers = {rider.account_id for rider in riders}
    with ctx.tx() as tx:
        found = [disputes.get_dispute(tx, one.dispute_id) for one in _cases(tx)]
    refunds = [one for one in found if one.case.kind == "refund" and one.case.account_id in numbers]
    given = [one for one in refunds if one.bookings]
    at_once = [one for one in given if one.bookings[0].at == one.case.raised_at]
    item = next((one for one in found if one.case.kind == "item" and one.bookings), None)
    published = disputes.statistics(ctx, disputes.Quarter.of(ctx.clock.now().date()))
    money = [Money(one.bookings[0].amount_minor, one.case.currency) for one in given]
    return Told(
        at_once=len(at_once),
        by_desk=len(given) - len(at_once),
        given=sum(money[1:], money[0]) if money else None,
        refused=sum(any(fact.action == "refuse" for fact in one.facts) for one in refunds),
        chargeback=Money(item.bookings[0].amount_minor, item.case.currency) if item else None,
        issuer_id=item.case.issuer_id if item else "",
        operator_id=item.case.operator_id if item else "",
        waiting=sum(one.case.due_at is not None for one in found),
        line=max(published.lines, key=lambda one: (one.raised, one.reason), default=None),
    )
