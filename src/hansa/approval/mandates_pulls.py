"""Payments under mandates that are announced: their payer is told before, skips one, or has nothing taken for a while.

A payee announces a payment (a pull) no later than the mandate's lead; it is taken by itself when it is due, as a
payment of the same id, so that it is taken once whatever breaks. One that lacked money is tried again on the days that
its payer signed. Where a mandate has a lead, what was not announced is
refused when it is decided on, and so is what was skipped: skipping and taking hold the lock of the same account.
"""

from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import ClassVar, Literal
from uuid import UUID
from zoneinfo import ZoneInfo

from psycopg.rows import class_row

from hansa import webhooks
from hansa.approval import grants_store, store
from hansa.approval.changes import add_change
from hansa.approval.counting import moment_of, period_of
from hansa.approval.deciding import lock_account
from hansa.approval.grants import NOTICE_MAX_H, GrantDiffers, get_mandate
from hansa.approval.limits import MINOR_MAX
from hansa.approval.model import MandateEnded, MandateExceeded
from hansa.approval.standing import Mandate, Period
from hansa.identity import AccountId
from hansa.kernel import HansaError, InvalidInput, Money, Problem, fact_id
from hansa.store import Context, Tx

AHEAD_MAX = timedelta(days=90)
"""How far ahead a payment may be announced."""

WAITING_MAX = 12
"""Announced payments of one mandate that may wait."""

REFERENCE_MAX = 100

PullState = Literal["announced", "skipped", "called_off", "taken", "failed"]

ADD = """
insert into approval.pulls (partition, pull_id, mandate_id, account_id, minor, currency, reference, announced_at,
    due_at, remind_at, next_at, payment_id, state)
values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, 'announced')
on conflict (partition, pull_id) do nothing
"""
FIND = """
select partition, pull_id, mandate_id, account_id, minor, currency, reference, announced_at, due_at, state, ended_at,
    reason, tries, next_at, payment_id
from approval.pulls where mandate_id = %s and pull_id = %s
"""
LIST = """
select partition, pull_id, mandate_id, account_id, minor, currency, reference, announced_at, due_at, state, ended_at,
    reason, tries, next_at, payment_id
from approval.pulls
where mandate_id = %(mandate_id)s and (due_at, pull_id) < (%(at)s::timestamptz, %(id)s::uuid)
order by due_at desc, pull_id desc limit %(limit)s
"""
COUNT = "select count(*) from approval.pulls where mandate_id = %s and state = 'announced'"
WAITING = """
select partition, pull_id, mandate_id, account_id, minor, currency, reference, announced_at, due_at, state, ended_at,
    reason, tries, next_at, payment_id
from approval.pulls where account_id = %s and mandate_id = any(%s::uuid[]) and state = 'announced'
order by due_at, pull_id
"""
DUE = """
select p.partition, p.pull_id, p.mandate_id, p.account_id, p.minor, p.currency, p.reference, p.announced_at, p.due_at,
    p.state, p.ended_at, p.reason, p.tries, p.next_at, p.payment_id
from approval.pulls p where p.state = 'announced' and p.next_at <= %s
order by p.next_at, p.pull_id limit %s
"""
END = """
update approval.pulls set state = %s, ended_at = %s, reason = %s, remind_at = null
where partition = %s and pull_id = %s and state = 'announced'
"""
REMIND = """
update approval.pulls set remind_at = null
where (partition, pull_id) in (
    select partition, pull_id from approval.pulls where remind_at <= %s order by remind_at limit %s
    for no key update skip locked)
returning partition, pull_id, mandate_id, account_id, minor, currency, reference, announced_at, due_at, state, ended_at,
    reason, tries, next_at, payment_id
"""
RETRY = """
update approval.pulls set tries = %s, next_at = %s, payment_id = %s, reason = %s
where partition = %s and pull_id = %s and payment_id = %s and state = 'announced'
"""
SET_WISHES = (
    "update approval.mandates set lead_h = %s, paused_until = %s where partition = %s and mandate_id = %s"
)


class UnknownPull(HansaError):
    """There is no such announced payment of this mandate."""

    code: ClassVar[str] = "approval.unknown_pull"
    status: ClassVar[int] = 404
    remedy: ClassVar[str] = "List the mandate's pulls again."


class PullEnded(HansaError):
    """This announced payment was taken, skipped or called off already."""

    code: ClassVar[str] = "approval.pull_ended"
    status: ClassVar[int] = 409
    remedy: ClassVar[str] = "Read its state. Money that was taken comes back by a refund."


@dataclass(frozen=True, slots=True)
class Pull:
    """A payment that was announced. reason: why it failed, or failed last, a code of /errors.

    tries: how many were made and lacked money. next_at: when the next one is, or the last one was; the first when it is
    due. payment_id: the payment that this try is; of the first, pull_id.
    """

    partition: int
    pull_id: UUID
    mandate_id: UUID
    account_id: AccountId
    minor: int
    currency: str
    reference: str
    announced_at: datetime
    due_at: datetime
    state: PullState
    ended_at: datetime | None
    reason: str
    tries: int
    next_at: datetime
    payment_id: UUID

    @property
    def amount(self) -> Money:
        """What is taken."""
        return Money(self.minor, self.currency)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewPull:
    """A payment that a payee announces. due_at: when it is taken. reference: the payee's own, for the payment."""

    pull_id: UUID
    mandate_id: UUID
    amount: Money
    due_at: datetime
    reference: str = ""


# -- the payee ----------------------------------------------------------------------------------------------


def announce_pull(ctx: Context, new: NewPull, *, member: str) -> Pull:
    """Announce a payment under a mandate; its payer is told at once. The same again is harmless.

    Errors: UnknownMandate; MandateEnded, MandateExceeded; InvalidInput for an instant nearer than the mandate's lead,
    or far away, and for too many that wait; GrantDiffers. Nothing is announced then.
    """
    at = ctx.clock.now()
    with ctx.tx() as tx:
        seen = get_mandate(tx, new.mandate_id, member=member)
        lock_account(tx, seen.partition, seen.account_id)
        known = find_pull(tx, new.mandate_id, new.pull_id)
        if known is not None:
            return _same(known, new)
        mandate = get_mandate(tx, new.mandate_id, member=member)
        _check(tx, mandate, new, at)
        remind_at = new.due_at - timedelta(hours=mandate.lead_h)
        values = (
            mandate.partition,
            new.pull_id,
            mandate.mandate_id,
            mandate.account_id,
            new.amount.minor,
            new.amount.currency,
            new.reference,
            at,
            new.due_at,
            remind_at if remind_at > at + timedelta(days=1) else None,
            new.due_at,
            new.pull_id,
        )
        if tx.execute(ADD, values).rowcount == 0:
            raise GrantDiffers
        pull = find_pull(tx, new.mandate_id, new.pull_id)
        assert pull is not None, "it was kept just now"
        _tell_payer(tx, mandate, pull, "mandate.announced", at)
    return pull


def call_off_pull(ctx: Context, mandate_id: UUID, pull_id: UUID, *, member: str) -> Pull:
    """Take an announcement back, as its payee. Again is harmless. Errors: UnknownMandate, UnknownPull, PullEnded."""
    with ctx.tx() as tx:
        mandate = get_mandate(tx, mandate_id, member=member)
        return _end(tx, mandate, pull_id, "called_off", ctx.clock.now())


def list_pulls(
    tx: Tx, mandate_id: UUID, *, before: tuple[datetime, UUID] | None = None, limit: int = 50
) -> list[Pull]:
    """Announced payments of a mandate, the latest due first. The caller has seen to whose it is."""
    at, pull_id = before or ("infinity", UUID(int=2**128 - 1))
    values = {"mandate_id": mandate_id, "at": at, "id": pull_id, "limit": limit}
    with tx.cursor(row_factory=class_row(Pull)) as cursor:
        return cursor.execute(LIST, values).fetchall()


def find_pull(tx: Tx, mandate_id: UUID, pull_id: UUID) -> Pull | None:
    """An announced payment of this mandate, or None."""
    with tx.cursor(row_factory=class_row(Pull)) as cursor:
        return cursor.execute(FIND, (mandate_id, pull_id)).fetchone()


# -- the payer ----------------------------------------------------------------------------------------------


def waiting_pulls(tx: Tx, payer: AccountId, mandate_ids: list[UUID]) -> list[Pull]:
    """What was announced to this payer under these mandates and waits, the next first."""
    with tx.cursor(row_factory=class_row(Pull)) as cursor:
        return cursor.execute(WAITING, (payer, mandate_ids)).fetchall()


def skip_pull(ctx: Context, mandate_id: UUID, pull_id: UUID, *, payer: AccountId) -> Pull:
    """Have one announced payment not taken; the mandate holds for the others. Again changes nothing.

    Errors: UnknownMandate, UnknownPull; PullEnded once it was taken.
    """
    at = ctx.clock.now()
    with ctx.tx() as tx:
        mandate = get_mandate(tx, mandate_id, payer=payer)
        before = find_pull(tx, mandate_id, pull_id)
        pull = _end(tx, mandate, pull_id, "skipped", at)
        if before is not None and before.state == "announced":
            about = f"{mandate.payee_name}, {pull.amount}"
            add_change(tx, mandate.partition, mandate.account_id, "pull_skipped", at=at, about=about)
            _tell_payee(
                tx,
                mandate,
                "mandate.pull.skipped",
                at,
                {"pull_id": str(pull_id), "amount_minor": pull.minor, "currency": pull.currency},
                pull_id,
            )
    return pull


def pause_mandate(ctx: Context, mandate_id: UUID, *, payer: AccountId) -> Mandate:
    """Have nothing taken for the rest of this period, by the payer's own days. Again changes nothing.

    Errors: UnknownMandate; MandateEnded where it does not hold.
    """
    at = ctx.clock.now()
    with ctx.tx() as tx:
        mandate = _held(tx, mandate_id, payer, at)
        zone = lock_account(tx, mandate.partition, mandate.account_id).zone
        until = next_period_at(mandate.period, at, zone)
        if mandate.paused_until != until:
            _set(tx, mandate, mandate.lead_h, until, "mandate_paused", at)
        return get_mandate(tx, mandate_id, payer=payer)


def resume_mandate(ctx: Context, mandate_id: UUID, *, payer: AccountId) -> Mandate:
    """Have payments taken again at once. Again changes nothing. Errors: UnknownMandate, MandateEnded."""
    at = ctx.clock.now()
    with ctx.tx() as tx:
        mandate = _held(tx, mandate_id, payer, at)
        lock_account(tx, mandate.partition, mandate.account_id)
        if mandate.is_paused(at):
            _set(tx, mandate, mandate.lead_h, None, "mandate_resumed", at)
        return get_mandate(tx, mandate_id, payer=payer)


def set_lead(ctx: Context, mandate_id: UUID, lead_h: int, *, payer: AccountId) -> Mandate:
    """How many hours before each payment the payer is told of it, from now on; what was announced stays announced.

    lead_h: no fewer than was signed, 720 at most. Errors: UnknownMandate, MandateEnded; InvalidInput.
    """
    at = ctx.clock.now()
    with ctx.tx() as tx:
        mandate = _held(tx, mandate_id, payer, at)
        lock_account(tx, mandate.partition, mandate.account_id)
        if not mandate.notice_h <= lead_h <= NOTICE_MAX_H:
            remedy = f"Choose {mandate.notice_h} to {NOTICE_MAX_H} hours"
            problem = Problem("lead_h", f"it is {lead_h}", remedy)
            raise InvalidInput("This lead does not fit.", problems=(problem,))
        if lead_h != mandate.lead_h:
            _set(tx, mandate, lead_h, mandate.paused_until, "mandate_notice_set", at)
        return get_mandate(tx, mandate_id, payer=payer)


def next_period_at(period: Period, at: datetime, zone: str) -> datetime:
    """When the next period begins, by the days of this time zone; weeks begin on Mondays."""
    day = period_of(period, moment_of(at, zone).day)
    step = {"day": 1, "week": 7, "month": 32, "year": 367}[period]
    return datetime.combine(period_of(period, day + timedelta(days=step)), time(0), ZoneInfo(zone))


# -- by itself ----------------------------------------------------------------------------------------------


def due_pulls(tx: Tx, at: datetime, *, limit: int = 500) -> list[tuple[Pull, Mandate]]:
    """What is to be taken now, each with its mandate; the first that were due first."""
    with tx.cursor(row_factory=class_row(Pull)) as cursor:
        pulls = cursor.execute(DUE, (at, limit)).fetchall()
    mandates = store.fetch_mandates(tx, {(one.partition, one.mandate_id) for one in pulls})
    return [(one, mandates[one.mandate_id]) for one in pulls]


def end_pull(
    tx: Tx, pull: Pull, mandate: Mandate, state: Literal["taken", "failed"], at: datetime, *, reason: str = ""
) -> bool:
    """Keep what became of one that was due, and tell its payee where it failed; False where it was ended before."""
    ended = tx.execute(END, (state, at, reason, pull.partition, pull.pull_id)).rowcount == 1
    if ended and state == "failed":
        _tell_payee(tx, mandate, "mandate.pull.failed", at, _facts(pull, reason), pull.pull_id)
        if pull.tries:
            _tell_payer(tx, mandate, pull, "mandate.given_up", at)
    return ended


def retry_pull(tx: Tx, pull: Pull, mandate: Mandate, at: datetime, *, reason: str) -> Pull | None:
    """Try one that lacked money again later, by the plan that its payer signed; None where no try is left.

    The next try is a payment of its own, decided on like the first: within the mandate's caps, and not once it was
    taken back, paused or skipped. It is made a day after this one at the earliest, and before the mandate ends. Payer
    and payee are told. Again for the same try changes nothing.
    """
    lock_account(tx, pull.partition, pull.account_id)
    now = find_pull(tx, pull.mandate_id, pull.pull_id)
    if now is None or now.state != "announced" or now.payment_id != pull.payment_id:
        return now
    next_at = next_try_at(mandate, pull, at)
    held = grants_store.find_mandate(tx, mandate.mandate_id)
    if next_at is None or held is None or held.state(at) != "active":
        return None
    tries = pull.tries + 1
    payment_id = fact_id(None, "pull", pull.pull_id, tries)
    values = (tries, next_at, payment_id, reason, pull.partition, pull.pull_id, pull.payment_id)
    tx.execute(RETRY, values)
    found = find_pull(tx, pull.mandate_id, pull.pull_id)
    assert found is not None, "it was there"
    facts = {**_facts(found, reason), "tries": tries, "next_at": next_at.isoformat()}
    _tell_payee(tx, mandate, "mandate.pull.retrying", at, facts, pull.pull_id, tries)
    _tell_payer(tx, mandate, found, "mandate.retried", at)
    return found


def next_try_at(mandate: Mandate, pull: Pull, at: datetime) -> datetime | None:
    """When one that lacked money just now is tried again; None where the plan, or the mandate, is at its end."""
    if pull.tries >= len(mandate.retry_d):
        return None
    then = max(pull.due_at + timedelta(days=mandate.retry_d[pull.tries]), at + timedelta(days=1))
    return then if then < mandate.ends_at else None


def remind(ctx: Context, *, limit: int = 500) -> int:
    """Tell payers once more of what was announced long before, as long before as they want; gives how many."""
    at = ctx.clock.now()
    with ctx.tx() as tx:
        with tx.cursor(row_factory=class_row(Pull)) as cursor:
            pulls = cursor.execute(REMIND, (at, limit)).fetchall()
        mandates = store.fetch_mandates(tx, {(one.partition, one.mandate_id) for one in pulls})
        for one in pulls:
            _tell_payer(tx, mandates[one.mandate_id], one, "mandate.due", at)
    return len(pulls)


# -- inside -------------------------------------------------------------------------------------------------


def _check(tx: Tx, mandate: Mandate, new: NewPull, at: datetime) -> None:
    """Errors: MandateEnded, MandateExceeded, InvalidInput."""
    if mandate.state(at) != "active" or new.due_at >= mandate.ends_at:
        raise MandateEnded("This mandate does not hold then.")
    if new.amount.currency != mandate.currency:
        raise MandateExceeded(f"This mandate is for {mandate.currency}.")
    if not 0 < new.amount.minor <= min(mandate.each_minor, MINOR_MAX):
        raise MandateExceeded(f"This mandate lets {mandate.each} be taken at a time.")
    first = at + timedelta(hours=mandate.lead_h)
    problem = None
    row = tx.execute(COUNT, (mandate.mandate_id,)).fetchone()
    if not first <= new.due_at <= at + AHEAD_MAX:
        what = "it is nearer than the payer wants to know of it, or far away"
        problem = Problem(
            "due_at", what, f"Name {first:%Y-%m-%dT%H:%M:%SZ} or later, within {AHEAD_MAX.days} days"
        )
    elif len(new.reference) > REFERENCE_MAX or "\0" in new.reference:
        problem = Problem("reference", "it does not fit", f"Give at most {REFERENCE_MAX} characters")
    elif row is not None and row[0] >= WAITING_MAX:
        problem = Problem("pull_id", f"{WAITING_MAX} of this mandate wait already", "Announce it later")
    if problem is not None:
        raise InvalidInput("This cannot be announced.", problems=(problem,))


def _same(known: Pull, new: NewPull) -> Pull:
    if (known.amount, known.due_at, known.reference) != (new.amount, new.due_at, new.reference):
        raise GrantDiffers("This id was given to a payment that says something else.")
    return known


def _end(
    tx: Tx, mandate: Mandate, pull_id: UUID, state: Literal["skipped", "called_off"], at: datetime
) -> Pull:
    lock_account(tx, mandate.partition, mandate.account_id)
    pull = find_pull(tx, mandate.mandate_id, pull_id)
    if pull is None:
        raise UnknownPull
    if pull.state == state:
        return pull
    uses = store.fetch_uses(tx, [(pull.partition, pull.payment_id)])
    under_way = any(one.given_back_at is None for one in uses.values())
    if pull.state != "announced" or under_way:
        raise PullEnded
    tx.execute(END, (state, at, "", pull.partition, pull_id))
    ended = find_pull(tx, mandate.mandate_id, pull_id)
    assert ended is not None, "it was there"
    return ended


def _held(tx: Tx, mandate_id: UUID, payer: AccountId, at: datetime) -> Mandate:
    """The payer's mandate, if it holds. Errors: UnknownMandate, MandateEnded."""
    seen = get_mandate(tx, mandate_id, payer=payer)
    lock_account(tx, seen.partition, seen.account_id)
    mandate = grants_store.find_mandate(tx, mandate_id)
    assert mandate is not None, "mandates stay"
    if mandate.state(at) != "active":
        raise MandateEnded("This mandate does not hold now.")
    return mandate


def _set(
    tx: Tx, mandate: Mandate, lead_h: int, paused_until: datetime | None, kind: str, at: datetime
) -> None:
    tx.execute(SET_WISHES, (lead_h, paused_until, mandate.partition, mandate.mandate_id))
    add_change(tx, mandate.partition, mandate.account_id, kind, at=at, about=mandate.payee_name)
    until = None if paused_until is None else paused_until.isoformat()
    _tell_payee(tx, mandate, "mandate.changed", at, {"lead_h": lead_h, "paused_until": until}, kind, at)


def _facts(pull: Pull, reason: str) -> dict[str, object]:
    return {
        "pull_id": str(pull.pull_id),
        "amount_minor": pull.minor,
        "currency": pull.currency,
        "reference": pull.reference,
        "reason": reason,
    }


def _tell_payee(
    tx: Tx, mandate: Mandate, kind: str, at: datetime, data: dict[str, object], *fact: object
) -> None:
    if not mandate.member_id:
        return
    webhooks.record(
        tx,
        webhooks.News(
            type=kind,
            members=[mandate.member_id],
            at=at,
            subject=f"mandate:{mandate.mandate_id}",
            data={"mandate_id": str(mandate.mandate_id), **data},
            fact=(mandate.mandate_id, *fact),
        ),
    )


def _tell_payer(tx: Tx, mandate: Mandate, pull: Pull, kind: str, at: datetime) -> None:
    webhooks.tell(
        tx,
        webhooks.ForPerson(
            account_id=mandate.account_id,
            kind=kind,
            at=at,
            subject=str(pull.pull_id),
            facts={
                "payee": mandate.payee_name,
                "amount": {"minor": pull.minor, "currency": pull.currency},
                "due": {"at": pull.next_at.isoformat()},
            },
            fact=(pull.pull_id, *((pull.tries,) if pull.tries else ())),
        ),
    )
