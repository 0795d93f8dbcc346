"""What can be done about a dispute: ask, raise, answer, decide; and what happens by itself when nobody does.

An action is a fact in one transaction. Where it gives money, what is to be moved is written with it, sent to the books
by an id worked out from the dispute, and marked; a kill between any two of these loses nothing, for ``turn`` goes on.
A deadline that has passed counts before anything that comes after it, whether the worker was there or not.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

from hansa import clearing, ledger, payments, rides, trust
from hansa.disputes import store, terms
from hansa.disputes.life import FIRST, PAYING, Action, Kind, Side, State, after
from hansa.disputes.model import (
    WORDS_MAX,
    AskedTooLate,
    Booking,
    Case,
    Dispute,
    DisputeConflict,
    DisputeId,
    Fact,
    Proposal,
    UnknownDispute,
    UnknownItem,
    Waiting,
    Wanted,
    booking_id_of,
    chargeback,
    refund_charge,
    stands_minor,
)
from hansa.disputes.rules import Rules, own_rules
from hansa.kernel import HansaError, InvalidInput, Problem, fact_id, in_utc
from hansa.store import Context, Tx

logger = logging.getLogger("hansa.disputes")

Step = Callable[[str], None]
"""Told the name of each step once it is durable: where an operator watches, and where a test pulls the plug."""

HANSA = trust.Caller("hansa", "league")
"""Who acts by rule or when a deadline passes."""

LOOK_EVERY = timedelta(hours=1)
LOOK_FOR = timedelta(days=60)
"""How long after a refund a journey may still get another fare, and how often that is looked after."""

_NAMES_AMOUNT = frozenset({Action.GRANT, Action.DECIDE})


def no_step(_: str) -> None:
    """Nobody watches."""


def ask_refund(
    ctx: Context,
    caller: trust.Caller,
    *,
    dispute_id: UUID,
    journey_id: UUID,
    reason: str,
    words: str,
    amount_minor: int | None = None,
    stop_id: str | None = None,
    at: datetime | None = None,
    rules: Rules | None = None,
    step: Step = no_step,
) -> Dispute:
    """Ask for a journey's fare, or a part of it, back; asking again by the same id gives the first answer.

    caller: the rider, or the issuer for the rider. amount_minor: None for all that was charged. stop_id, at: where and
    when the journey with a missing tap really ended; such a journey is rated again instead. A small refund whose reason
    allows it is given at once, so often a month; the rest waits for the operator.
    Errors: rides.UnknownJourney, also where it is another's; InvalidInput naming ``reason``, ``words`` or ``amount``;
    AskedTooLate; AlreadyAsked; DisputeConflict. Nothing is kept then.
    """
    rules, now = rules or own_rules(), ctx.clock.now()
    with ctx.tx() as tx:
        store.lock_root(tx, journey_id)
        detail = rides.journey(tx, rides.JourneyId(journey_id))
        record = detail.journey
        if not _may_speak_for_rider(caller, record):
            raise rides.UnknownJourney(f"There is no journey {journey_id}.")
        charged = _charged_minor(detail)
        wallet = _wallet_currency(detail, record)
        case = Case(
            dispute_id=DisputeId(dispute_id),
            kind=Kind.REFUND,
            root_id=journey_id,
            subject_id=journey_id,
            partition=ctx.directory.partition_of(record.account_id),
            account_id=record.account_id,
            issuer_id=record.issuer_id,
            operator_id=record.operator_id,
            currency=record.fare.currency,
            sign=1,
            claim_minor=charged if amount_minor is None else amount_minor,
            reason=reason,
            words=words,
            evidence={"wallet_currency": wallet} | ({"stop_id": stop_id} if stop_id else {}),
            rules_version=rules.version,
            raised_by=caller.who,
            raised_at=now,
            state=FIRST[Kind.REFUND],
            due_at=None,
            holds_minor=charged if amount_minor is None else amount_minor,
            at_most_minor=None,
            look_at=None,
        )
        known = store.find_case(tx, dispute_id)
        if known is not None:
            _refuse_other(known, case, all_of_it=amount_minor is None)
            return get_dispute(tx, dispute_id)
        chosen = rules.refund_reason(reason)
        _refuse_words(words)
        if chosen is None:
            codes = ", ".join(one.code for one in rules.refunds.reasons)
            raise _invalid("reason", f"there is no reason {reason!r}", f"Name one of {codes}")
        settings = clearing.get_settings(tx)
        if settings.day_of(now) > record.service_day + timedelta(days=rules.refunds.within_days):
            raise AskedTooLate(f"A refund is asked for within {rules.refunds.within_days} days of the ride.")
        _refuse_amount(case, charged - store.held_minor(tx, case)[0])
        case = _begin(tx, case, rules, settings, caller, Side.CLAIMANT)
        case = _answer_at_once(tx, case, rules, chosen.does, stop_id, at, now)
    step("kept")
    settle(ctx, dispute_id, step=step)
    with ctx.tx() as tx:
        return get_dispute(tx, dispute_id)


def raise_dispute(
    ctx: Context,
    caller: trust.Caller,
    *,
    dispute_id: UUID,
    item_id: UUID,
    other_id: str,
    amount_minor: int,
    reason: str,
    words: str,
    evidence: Mapping[str, str],
    rules: Rules | None = None,
) -> Dispute:
    """Dispute an item between the caller's member and another, wholly or in part; again by the same id is harmless.

    item_id: the transfer on the position of the two. other_id: the other member. An issuer disputes what adds to what
    it owes; an operator what takes from it. All disputes of an item, and refunds of its journey, stay within the item.
    Errors: UnknownItem; InvalidInput naming ``reason``, ``evidence``, ``words`` or ``amount``; AskedTooLate;
    DisputeConflict. Nothing is kept then.
    """
    rules, now = rules or own_rules(), ctx.clock.now()
    own = caller.member_id or ""
    with ctx.tx() as tx:
        booked = ledger.find_transfer(tx, ledger.TransferId(item_id))
        if booked is None:
            raise UnknownItem(f"There is no item {item_id}.")
        item = booked.transfer
        unit, partition = item.currency, item.partition
        if item.credit == clearing.position_account(own, other_id, unit, partition):
            sign, issuer, operator = 1, own, other_id
        elif item.debit == clearing.position_account(other_id, own, unit, partition):
            sign, issuer, operator = -1, other_id, own
        else:
            raise UnknownItem(f"{item_id} is no item that {own} could dispute with {other_id}.")
        if item.code in _NO_ITEMS:
            raise UnknownItem(f"{item_id} comes of clearing, or of a dispute, and cannot be disputed.")
        root = item.reference or item_id
        store.lock_root(tx, root)
        case = Case(
            dispute_id=DisputeId(dispute_id),
            kind=Kind.ITEM,
            root_id=root,
            subject_id=item_id,
            partition=partition,
            account_id=None,
            issuer_id=issuer,
            operator_id=operator,
            currency=unit,
            sign=sign,
            claim_minor=amount_minor,
            reason=reason,
            words=words,
            evidence=dict(evidence),
            rules_version=rules.version,
            raised_by=caller.who,
            raised_at=now,
            state=FIRST[Kind.ITEM],
            due_at=None,
            holds_minor=amount_minor,
            at_most_minor=None,
            look_at=None,
        )
        known = store.find_case(tx, dispute_id)
        if known is not None:
            _refuse_other(known, case)
            return get_dispute(tx, dispute_id)
        _refuse_words(words)
        _refuse_reason(case, rules)
        settings = clearing.get_settings(tx)
        first = settings.day_of(booked.booked_at)
        within = terms.agreed(tx, case, settings).within_days or rules.items.within_days
        if settings.day_of(now) > first + timedelta(days=within):
            raise AskedTooLate(f"An item is disputed within {within} days of its booking.")
        of_root, of_item = store.held_minor(tx, case)
        room = item.amount - of_item
        if sign > 0 and rides.find_journeys(tx, [rides.JourneyId(root)]):
            room = min(room, _charged_minor(rides.journey(tx, rides.JourneyId(root))) - of_root)
        _refuse_amount(case, room)
        _begin(tx, case, rules, settings, caller, Side.CLAIMANT)
        return get_dispute(tx, dispute_id)


def act(
    ctx: Context,
    caller: trust.Caller,
    dispute_id: UUID,
    *,
    action_id: UUID,
    action: Action,
    words: str,
    amount_minor: int | None = None,
    rules: Rules | None = None,
    step: Step = no_step,
) -> Dispute:
    """Do something about a dispute; the same again by the same id is harmless.

    amount_minor: of ``grant`` (1 to the claim; None is all of it) and ``decide`` (0 to the claim), else None.
    What gives more than one person may waits among the dispute's ``waiting``, until another of the same side does
    the same.
    Errors: UnknownDispute, also where it is none of the caller's; DisputeMoved; NotYourTurn; DisputeConflict;
    InvalidInput naming ``words`` or ``amount``. What a passed deadline did stays done.
    """
    rules, now = rules or own_rules(), ctx.clock.now()
    lapse(ctx, dispute_id, rules=rules)
    with ctx.tx() as tx:
        case = store.find_case(tx, dispute_id, lock=True)
        side = case.side_of(caller) if case is not None else None
        if case is None or side is None:
            raise UnknownDispute(f"There is no dispute {dispute_id}.")
        done = store.facts(tx, dispute_id)
        known = next((one for one in done if one.action_id == action_id), None)
        amount = _amount_of(case, action, amount_minor)
        if known is not None:
            if (known.action, known.caller_id, known.words) != (action, caller.who, words) or (
                known.amount_minor != amount
            ):
                raise DisputeConflict(f"Action {action_id} is known with other content.")
        elif not _is_proposed(tx, case, caller, action_id, action, words, amount):
            state = after(case.kind, case.state, action, side)
            _refuse_words(words)
            _refuse_action_amount(case, action, amount)
            n = len(done)
            mine = Proposal(n, action_id, action, side, caller.who, now, words, amount)
            if state not in PAYING or _has_second(tx, case, rules, mine):
                _do(tx, case, rules, n, action_id, action, side, caller.who, now, words, amount, state)
    step("kept")
    settle(ctx, dispute_id, step=step)
    with ctx.tx() as tx:
        return get_dispute(tx, dispute_id)


def _is_proposed(
    tx: Tx,
    case: Case,
    caller: trust.Caller,
    action_id: UUID,
    action: Action,
    words: str,
    amount: int | None,
) -> bool:
    """Whether this very action was proposed before. Errors: DisputeConflict where its id has other content."""
    known = next((one for one in store.proposals(tx, case.dispute_id) if one.action_id == action_id), None)
    if known is None:
        return False
    if (known.action, known.caller_id, known.words, known.amount_minor) != (
        action,
        caller.who,
        words,
        amount,
    ):
        raise DisputeConflict(f"Action {action_id} is known with other content.")
    return True


def _has_second(tx: Tx, case: Case, rules: Rules, mine: Proposal) -> bool:
    """Whether an action that gives money may be done now; else it is kept for a second person. Lock the dispute."""
    given = mine.amount_minor or 0
    if given <= rules.alone_minor(case.currency):
        return True
    same = [
        one
        for one in store.proposals(tx, case.dispute_id)
        if (one.n, one.action, one.side, one.amount_minor)
        == (mine.n, mine.action, mine.side, mine.amount_minor)
    ]
    if any(not trust.is_same_person(one.caller_id, mine.caller_id) for one in same):
        return True
    if not same:
        store.add_proposal(tx, case.dispute_id, mine)
    return False


def lapse(ctx: Context, dispute_id: UUID, *, rules: Rules | None = None) -> bool:
    """Do what silence means for every deadline of a dispute that has passed, as of that deadline; whether any had."""
    rules, now, moved = rules or own_rules(), ctx.clock.now(), False
    with ctx.tx() as tx:
        case = store.find_case(tx, dispute_id, lock=True)
        while case is not None and case.due_at is not None and case.due_at <= now:
            moved, action = True, rules.silence(case.kind, case.state)
            state = after(case.kind, case.state, action, Side.HANSA)
            n = len(store.facts(tx, dispute_id))
            amount = _amount_of(case, action, None)
            if action is Action.DECIDE:
                amount = terms.undecided_minor(tx, case, rules)
            key = fact_id(case.due_at, "hansa.disputes.lapse", dispute_id, n)
            words = f"Nobody acted by {case.due_at.isoformat()}."
            case = _do(
                tx,
                case,
                rules,
                n,
                key,
                action,
                Side.HANSA,
                HANSA.caller_id,
                case.due_at,
                words,
                amount,
                state,
            )
    return moved


def settle(ctx: Context, dispute_id: UUID, *, step: Step = no_step) -> None:
    """Send to the books what a dispute gives, and close it; again, or by several at once, is harmless."""
    with ctx.tx() as tx:
        dispute = get_dispute(tx, dispute_id)
        case = dispute.case
        waiting = [one for one in dispute.bookings if one.posted_at is None]
        journey = (
            rides.journey(tx, rides.JourneyId(case.root_id)).journey if case.kind is Kind.REFUND else None
        )
    for booking in waiting:
        if journey is not None:
            payments.charge(ctx, [refund_charge(case, booking, journey)])
        else:
            (result,) = ledger.post(ctx, [chargeback(case, booking)])
            assert result.ok, result
        step("posted")
    with ctx.tx() as tx:
        locked = store.find_case(tx, dispute_id, lock=True)
        assert locked is not None, "disputes are never deleted"
        for booking in waiting:
            store.mark_posted(tx, dispute_id, booking.revision, ctx.clock.now())
        if locked.state in PAYING:
            state, n = (
                after(locked.kind, locked.state, Action.BOOK, Side.HANSA),
                len(store.facts(tx, dispute_id)),
            )
            key = fact_id(None, "hansa.disputes.booked", dispute_id)
            now = ctx.clock.now()
            fact = Fact(n, key, Action.BOOK, Side.HANSA, HANSA.caller_id, now, "", None, state, None)
            store.add_fact(tx, locked, fact)
    step("closed")


def look_again(ctx: Context, dispute_id: UUID) -> None:
    """Bring a granted refund in line with what its journey costs by now: a new booking, never an edit."""
    now = ctx.clock.now()
    with ctx.tx() as tx:
        case = store.find_case(tx, dispute_id, lock=True)
        if case is None or case.look_at is None or case.look_at > now:
            return
        booked = store.bookings(tx, dispute_id)
        granted = case.holds_minor
        charged = _charged_minor(rides.journey(tx, rides.JourneyId(case.root_id)))
        change = stands_minor(case, granted, charged) - sum(one.amount_minor for one in booked)
        if change:
            n = len(booked)
            store.add_booking(tx, dispute_id, Booking(n, booking_id_of(dispute_id, n), change, now, None))
        first = booked[0].at if booked else case.raised_at
        store.change_case(tx, replace(case, look_at=now + LOOK_EVERY if now < first + LOOK_FOR else None))
    settle(ctx, dispute_id)


def turn(ctx: Context, *, limit: int = 200, rules: Rules | None = None) -> int:
    """The worker's part: deadlines, bookings that a crash left, refunds whose journeys changed; how many it did."""
    now, done = ctx.clock.now(), 0
    with ctx.tx() as tx:
        due, changed = store.list_due(tx, now, limit), store.list_to_look_at(tx, now, limit)
    for dispute_id in due:
        done += lapse(ctx, dispute_id, rules=rules)
    with ctx.tx() as tx:
        to_post = store.list_to_post(tx, limit)
    for do, waiting in ((look_again, changed), (settle, to_post)):
        for dispute_id in waiting:
            try:
                do(ctx, dispute_id)
            except HansaError as error:  # one that cannot be booked now must not hold up the others
                logger.warning("Dispute %s waits: %s: %s", dispute_id, error.code, error.detail)
            else:
                done += 1
    return done


def get_dispute(tx: Tx, dispute_id: UUID) -> Dispute:
    """A dispute with its facts and bookings. Errors: UnknownDispute."""
    case = store.find_case(tx, dispute_id)
    if case is None:
        raise UnknownDispute(f"There is no dispute {dispute_id}.")
    return Dispute(
        case,
        tuple(store.facts(tx, dispute_id)),
        tuple(store.bookings(tx, dispute_id)),
        tuple(store.proposals(tx, dispute_id)),
    )


def find_refund(tx: Tx, journey_id: UUID) -> Dispute | None:
    """The latest refund asked for a journey, or None."""
    found = list_disputes(tx, kind=Kind.REFUND, subject=journey_id, limit=1)
    return get_dispute(tx, found[0].dispute_id) if found else None


def list_disputes(
    tx: Tx,
    *,
    member: str | None = None,
    account: UUID | None = None,
    kind: Kind | None = None,
    state: State | None = None,
    subject: UUID | None = None,
    before: tuple[datetime, UUID] | None = None,
    limit: int = 50,
) -> list[Case]:
    """Disputes, latest first; of a member or a rider where named. before: (raised_at, id) of the last seen."""
    states = frozenset[State]() if state is None else frozenset({state})
    wanted = Wanted(member=member, account=account, kind=kind, states=states, subject=subject)
    return find_disputes(tx, wanted, before=before, limit=limit)


def find_disputes(
    tx: Tx, wanted: Wanted, *, before: tuple[datetime, UUID] | None = None, limit: int = 50
) -> list[Case]:
    """Disputes that are looked for, latest first. before: (raised_at, id) of the last seen."""
    return store.list_cases(tx, wanted, before=before, limit=limit)


def queue(
    tx: Tx, wanted: Wanted, *, after: tuple[datetime, UUID] | None = None, limit: int = 50
) -> list[Case]:
    """Disputes that somebody must act on, the nearest deadline first. after: (due_at, id) of the last seen."""
    return store.queue(tx, wanted, after=after, limit=limit)


def entered_at(tx: Tx, dispute_ids: Sequence[UUID]) -> dict[DisputeId, datetime]:
    """When each of some disputes came into the state it is in: the instant of its last fact."""
    return store.entered_at(tx, dispute_ids)


def count_waiting(tx: Tx, member: str | None, *, soon: datetime) -> list[Waiting]:
    """How many disputes wait for somebody, by kind and state. soon: deadlines up to then are near."""
    return store.count_waiting(tx, member, soon)


_NO_ITEMS = frozenset(
    {
        ledger.TransferCode.CLEARED,
        ledger.TransferCode.FEE,
        ledger.TransferCode.REFUND,
        ledger.TransferCode.CHARGEBACK,
    }
)


def _begin(
    tx: Tx, case: Case, rules: Rules, settings: clearing.Settings, caller: trust.Caller, side: Side
) -> Case:
    at = case.raised_at
    due = terms.due_at(tx, case, rules, case.state, since=at, settings=settings)
    assert store.add_case(tx, case), "its root is locked, and it was not there"
    key = fact_id(None, "hansa.disputes.raised", case.dispute_id)
    fact = Fact(0, key, Action.RAISE, side, caller.who, at, case.words, case.claim_minor, case.state, due)
    return store.add_fact(tx, case, fact)


def _do(
    tx: Tx,
    case: Case,
    rules: Rules,
    n: int,
    key: UUID,
    action: Action,
    side: Side,
    caller_id: str,
    at: datetime,
    words: str,
    amount: int | None,
    state: State,
) -> Case:
    """Keep a fact of a locked dispute, with what it will move."""
    settings = clearing.get_settings(tx)
    due = terms.due_at(tx, case, rules, state, since=at, settings=settings)
    if state in PAYING:
        granted = case.claim_minor if amount is None else amount
        case = _give(tx, case, granted, at)
    elif state in (State.CLOSED, State.CORRECTED):
        case = replace(case, holds_minor=0)
    return store.add_fact(tx, case, Fact(n, key, action, side, caller_id, at, words, amount, state, due))


def _give(tx: Tx, case: Case, granted: int, at: datetime) -> Case:
    """What is to be moved for a dispute that was won, written down; a refund never more than was charged by now."""
    at_most, look_at, booked = None, None, granted
    if case.kind is Kind.REFUND:
        store.lock_root(tx, case.root_id)
        charged = _charged_minor(rides.journey(tx, rides.JourneyId(case.root_id)))
        room = max(0, charged - store.held_minor(tx, case)[0])
        at_most, look_at, booked = (
            max(0, room - granted) + charged - room,
            at + LOOK_EVERY,
            min(granted, room),
        )
    case = replace(case, holds_minor=granted, at_most_minor=at_most, look_at=look_at)
    if booked:
        store.add_booking(
            tx, case.dispute_id, Booking(0, booking_id_of(case.dispute_id, 0), booked, at, None)
        )
    return case


def _answer_at_once(
    tx: Tx,
    case: Case,
    rules: Rules,
    does: str,
    stop_id: str | None,
    at: datetime | None,
    now: datetime,
) -> Case:
    """What needs no person: a stated end within the tariff's limits, or a small refund within ours."""
    assert case.account_id is not None, "refunds have a rider"
    key = fact_id(None, "hansa.disputes.at_once", case.dispute_id)
    if does == "state_end" and stop_id and at is not None:
        try:
            with tx.transaction():
                rides.state_end(
                    tx,
                    case.subject_id,
                    stop_id=stop_id,
                    at=in_utc(at),
                    by="rider",
                    caller_id=case.raised_by,
                    reason=case.words[:300],
                    now=now,
                )
        except (InvalidInput, rides.JourneyNotOpen, rides.StatedTooOften):
            return case  # a person looks at what cannot be taken by rule
        state = after(case.kind, case.state, Action.CORRECT, Side.HANSA)
        words = "The journey is rated again with the end that was stated."
        return _do(
            tx, case, rules, 1, key, Action.CORRECT, Side.HANSA, HANSA.caller_id, now, words, None, state
        )
    limit = rules.refunds.at_once_minor.get(case.currency, 0)
    month = now.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    if does != "at_once" or case.claim_minor > limit:
        return case
    store.lock_root(tx, case.account_id)  # two journeys at once must not both be the first of the month
    if store.granted_at_once(tx, case.account_id, month) >= rules.refunds.at_once_per_month:
        return case
    state = after(case.kind, case.state, Action.GRANT, Side.HANSA)
    words = "It is small and the first this month."
    amount = case.claim_minor
    return _do(tx, case, rules, 1, key, Action.GRANT, Side.HANSA, HANSA.caller_id, now, words, amount, state)


def _amount_of(case: Case, action: Action, amount_minor: int | None) -> int | None:
    if action in (Action.GRANT, Action.ACCEPT) and amount_minor is None:
        return case.claim_minor
    return amount_minor


def _charged_minor(detail: rides.JourneyDetail) -> int:
    """What a journey has cost its rider so far, as the books hold it."""
    return sum(one.amount.minor for one in detail.charges if one.status == "posted")


def _wallet_currency(detail: rides.JourneyDetail, record: rides.JourneyRecord) -> str:
    wallet = next((one.wallet_amount for one in detail.charges if one.wallet_amount is not None), None)
    return wallet.currency if wallet is not None else record.fare.currency


def _may_speak_for_rider(caller: trust.Caller, record: rides.JourneyRecord) -> bool:
    if caller.kind == "person":
        return caller.account_id == str(record.account_id)
    return caller.kind == "league" or caller.member_id == record.issuer_id


def _refuse_other(known: Case, asked: Case, *, all_of_it: bool = False) -> None:
    """Errors: DisputeConflict where a known id comes with another body."""
    body = ("kind", "subject_id", "issuer_id", "operator_id", "sign", "reason", "words", "raised_by")
    same = all(getattr(known, name) == getattr(asked, name) for name in body)
    same = same and (all_of_it or known.claim_minor == asked.claim_minor)
    if not same or dict(known.evidence) != dict(asked.evidence):
        raise DisputeConflict(f"Dispute {asked.dispute_id} is known with other content.")


def _refuse_words(words: str) -> None:
    if not words.strip() or len(words) > WORDS_MAX or "\0" in words:
        raise _invalid("words", "they are empty or too long", f"Write 1 to {WORDS_MAX} characters")


def _refuse_reason(case: Case, rules: Rules) -> None:
    chosen = rules.item_reason(case.reason)
    by = "issuer" if case.sign > 0 else "operator"
    if chosen is None or chosen.raised_by != by:
        codes = ", ".join(one.code for one in rules.items.reasons if one.raised_by == by)
        raise _invalid("reason", f"{case.reason!r} is no reason for an {by}", f"Name one of {codes}")
    missing = [name for name in chosen.needs if not case.evidence.get(name, "").strip()]
    if missing:
        raise _invalid("evidence", f"{', '.join(missing)} is missing", "Send it; or choose another reason")


def _refuse_amount(case: Case, room: int) -> None:
    if not 1 <= case.claim_minor <= room:
        what = f"{case.claim_minor} is not between 1 and {max(0, room)}, what is left of it"
        raise _invalid(
            "amount", what, "Claim no more than is left" if room > 0 else "Nothing is left to claim"
        )


def _refuse_action_amount(case: Case, action: Action, amount: int | None) -> None:
    if action in _NAMES_AMOUNT:
        least = 1 if action is Action.GRANT else 0
        if amount is None or not least <= amount <= case.claim_minor:
            raise _invalid("amount", f"it is {amount}", f"Name {least} to {case.claim_minor} minor units")
    elif amount is not None and action is not Action.ACCEPT:
        raise _invalid("amount", f"{action} takes none", "Leave it out")


def _invalid(where: str, what: str, remedy: str) -> InvalidInput:
    return InvalidInput("This dispute cannot be taken.", problems=(Problem(where, what, remedy),))
