"""What owners and issuers do to an account's spending: limits, the freeze, second people, an issuer's own policy."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import ClassVar, Literal

from hansa import audit, identity
from hansa.approval import approvals_store, grants_store
from hansa.approval import store as hot
from hansa.approval.approvals_model import SecondPerson
from hansa.approval.changes import add_change
from hansa.approval.counting import Counter, added, empty, moment_of, rolled
from hansa.approval.deciding import lock_account, policy_of
from hansa.approval.limits import MINOR_MAX, SPANS, Limit, Span, changed, check_scope, is_raise, scopes_of
from hansa.approval.model import Holder
from hansa.approval.policy import Policy, own_policy, read_policy
from hansa.audit import Act
from hansa.identity import AccountId
from hansa.kernel import CURRENCY_EXPONENTS, HansaError, InvalidInput, Money, Problem
from hansa.store import Context, Tx

By = Literal["owner", "guardian", "issuer"]
"""Who may stop spending."""

STANDS: tuple[str, ...] = ("owner", "guardian", "issuer")
"""The same: whose freeze takes the place of whose, the weakest first."""

CO_APPROVERS_MAX = 5
LIMITS_MAX = 50
REASON_MAX = 500

PUT_LIMIT = """
insert into approval.limits (partition, account_id, currency, scope, span, minor, next_minor, next_at, set_at)
values (%s, %s, %s, %s, %s, %s, %s, %s, %s)
on conflict (partition, account_id, currency, scope, span) do update set minor = excluded.minor,
    next_minor = excluded.next_minor, next_at = excluded.next_at, set_at = excluded.set_at
"""

MARK_LIMITED = (
    "update approval.accounts set limited = true where partition = %s and account_id = %s and not limited"
)

SPENT_SINCE = """
select at, minor, channel, category from approval.uses
where partition = %s and account_id = %s and currency = %s and given_back_at is null and at >= %s
order by at
"""

FREEZE = """
update approval.accounts set frozen_at = %s, frozen_by = %s, frozen_for = %s where partition = %s and account_id = %s
"""

FROZEN = (
    "select frozen_at, frozen_by, frozen_for from approval.accounts where partition = %s and account_id = %s"
)

ADD_POLICY = """
insert into approval.policies (issuer_id, revision, body, set_at, set_by)
select %(issuer_id)s, coalesce(max(revision), 0) + 1, %(body)s, %(at)s, %(by)s
from approval.policies where issuer_id = %(issuer_id)s
returning revision
"""


class FrozenByIssuer(HansaError):
    """The issuer froze this account's spending, and only its desk lifts that."""

    code: ClassVar[str] = "approval.frozen_by_issuer"
    status: ClassVar[int] = 409
    remedy: ClassVar[str] = "Ask the issuer of the account."


class FrozenByGuardian(HansaError):
    """A guardian froze this account's spending, and only a guardian lifts that."""

    code: ClassVar[str] = "approval.frozen_by_guardian"
    status: ClassVar[int] = 409
    remedy: ClassVar[str] = "Ask one of your guardians: they lift it on their own page."
    next_action: ClassVar[str] = "ask_someone_else"
    user_message: ClassVar[str] = "Your guardian froze this wallet, and only a guardian lifts that."


class GuardianRaises(HansaError):
    """While somebody answers for this account, they alone raise its limits. The ward may lower them."""

    code: ClassVar[str] = "approval.guardian_raises"
    status: ClassVar[int] = 409
    remedy: ClassVar[str] = "Ask one of your guardians: they raise it on their own page."
    next_action: ClassVar[str] = "ask_someone_else"
    user_message: ClassVar[str] = "Your guardian raises your limits. Ask them."


@dataclass(frozen=True, slots=True)
class Freeze:
    """Since when spending is frozen, by whom, and why."""

    frozen_at: datetime
    frozen_by: By
    frozen_for: str


@dataclass(frozen=True, slots=True)
class SpendingView:
    """What an account may spend of a currency and has spent. ceilings: of the issuer, in one payment, a day, a month;
    none is above the year's. recovered: they, and the owner's limits, are lowered after a recovery. spent_day,
    spent_month, spent_year: so far, in the account's own days, months and years. year: what may be spent in a calendar
    year by how well the holder is known, and balance: what the wallet may hold; None where there is no cap.
    """

    currency: str
    ceilings: tuple[Money, Money, Money]
    spent_day: Money
    spent_month: Money
    limits: tuple[Limit, ...]
    recovered: bool
    year: Money | None
    spent_year: Money
    balance: Money | None


# -- limits -------------------------------------------------------------------------------------------------


def set_limit(
    ctx: Context,
    account_id: AccountId,
    *,
    currency: str,
    span: Span,
    minor: int | None,
    scope: str = "",
    guardian_id: AccountId | None = None,
) -> Limit:
    """Set a limit of the owner's: a lower one holds at once, a higher one after the wait of the policy.

    minor: None takes the limit away, which is a raise. Whoever raises must have proved just now who they are; that the
    caller sees (``raises``). Setting again what a raise waits for changes nothing, and asking for the present limit
    calls a raise off. guardian_id: who sets it for a ward, whose limits nobody else raises.
    Errors: InvalidInput; identity.UnknownAccount; GuardianRaises; identity.UnknownGuardianship for who is no guardian.
    """
    at = ctx.clock.now()
    _check_limit(currency, span, minor, scope)
    partition = ctx.directory.partition_of(account_id)
    with ctx.tx() as tx:
        account = lock_account(tx, partition, account_id)
        _check_guardian(tx, guardian_id, account_id, "limit")
        policy = policy_of(tx, account.issuer_id)
        known = hot.fetch_limits(tx, [(partition, account_id)]).get(account_id, [])
        found = next(
            (one for one in known if (one.currency, one.scope, one.span) == (currency, scope, span)), None
        )
        easier = found is not None and is_raise(found.holds(at), minor)
        if easier and guardian_id is None and identity.guardians_among(tx, [account_id], "limit"):
            raise GuardianRaises
        if found is None and len(known) >= LIMITS_MAX:
            raise _unfit("scope", f"there are {len(known)} limits", "Set one of those that there are")
        if found is not None and found.waits(at) and found.next_minor == minor:
            return found
        raise_at = _raise_at(tx, account_id, policy, at)
        blank = Limit(currency, scope, span, None, None, None, at)
        limit = changed(found, blank, minor, at=at, raise_at=raise_at)
        if found is not None and (found.holds(at), found.waits(at)) == (limit.holds(at), limit.waits(at)):
            return found
        tx.execute(
            PUT_LIMIT,
            (
                partition, account_id, currency, scope, span, limit.minor, limit.next_minor, limit.next_at, at,
            ),
        )  # fmt: skip
        tx.execute(MARK_LIMITED, (partition, account_id))
        if scope and not any(one.scope == scope and one.currency == currency for one in known):
            _count_scope(tx, account, currency, scope, at)
        kind = "limit_raise_asked" if limit.waits(at) else "limit_lowered"
        if found is not None and found.waits(at) and found.holds(at) == minor:
            kind = "limit_raise_canceled"
        about = "none" if minor is None else str(Money(minor, currency))
        by = "owner" if guardian_id is None else "guardian"
        add_change(tx, partition, account_id, kind, at=at, about=about, by=by, other_id=guardian_id)
    return limit


def raises(
    ctx: Context, account_id: AccountId, *, currency: str, span: Span, minor: int | None, scope: str = ""
) -> bool:
    """Whether setting this limit would let more be spent than now."""
    at = ctx.clock.now()
    with ctx.tx() as tx:
        known = hot.fetch_limits(tx, [(ctx.directory.partition_of(account_id), account_id)]).get(
            account_id, []
        )
    found = next(
        (one for one in known if (one.currency, one.scope, one.span) == (currency, scope, span)), None
    )
    return found is not None and is_raise(found.holds(at), minor)


def view_spending(
    ctx: Context, tx: Tx, account_id: AccountId, currencies: Sequence[str]
) -> list[SpendingView]:
    """What this account may spend and has spent, for each of these currencies that its issuer knows."""
    at = ctx.clock.now()
    partition = ctx.directory.partition_of(account_id)
    account = lock_account(tx, partition, account_id)
    policy = policy_of(tx, account.issuer_id)
    person = identity.knowledge_of(tx, [account_id])[account_id]
    limits = hot.fetch_limits(tx, [(partition, account_id)]).get(account_id, [])
    counters = hot.fetch_counters(tx, [(partition, account_id)])
    moment = moment_of(at, account.zone)
    recovered = person.recovered_at is not None and at < person.recovered_at + timedelta(
        hours=policy.recovery.hours
    )
    found: list[SpendingView] = []
    for currency in currencies:
        if currency not in policy.units:
            continue
        counter = counters.get(Holder(partition, account_id, currency, "")) or empty(moment, moment.month)
        counter = rolled(counter, moment, moment.month)
        year = identity.year_cap(account.issuer_id, int(person.level), currency)
        ceilings = policy.ceiling(person.level, currency, recovered=recovered)
        payment, day, month = ceilings if year is None else (min(one, year) for one in ceilings)
        found.append(
            SpendingView(
                currency,
                (Money(payment, currency), Money(day, currency), Money(month, currency)),
                Money(counter.day_minor, currency),
                Money(counter.period_minor, currency),
                tuple(one for one in limits if one.currency == currency),
                recovered,
                _cap(year, currency),
                Money(counter.year_minor, currency),
                _cap(identity.balance_cap(account.issuer_id, int(person.level), currency), currency),
            )
        )
    return found


def _cap(minor: int | None, currency: str) -> Money | None:
    return None if minor is None else Money(minor, currency)


# -- the freeze ---------------------------------------------------------------------------------------------


def freeze(
    ctx: Context,
    account_id: AccountId,
    *,
    by: By = "owner",
    reason: str = "",
    actor: str = "",
    guardian_id: AccountId | None = None,
) -> Freeze:
    """Stop all spending from this account at once, and all that it may spend from others'. Again changes nothing.

    actor: who acts for the issuer, for the audit record. guardian_id: who stops a ward's, by is ``guardian`` then. A
    guardian's freeze takes the place of the owner's, and an issuer's of both. What was approved before goes through;
    what cools is called off when its time comes. Errors: identity.UnknownAccount; InvalidInput for a reason that is too
    long; identity.UnknownGuardianship for who is no guardian.
    """
    assert (by == "guardian") == (guardian_id is not None), "a guardian says who they are"
    at = ctx.clock.now()
    _check_reason(reason)
    partition = ctx.directory.partition_of(account_id)
    with ctx.tx() as tx:
        account = lock_account(tx, partition, account_id)
        _check_guardian(tx, guardian_id, account_id, "freeze")
        if account.frozen_by is None or STANDS.index(by) > STANDS.index(account.frozen_by):
            tx.execute(FREEZE, (account.frozen_at or at, by, reason.strip(), partition, account_id))
            grants_store.mark_delegate_frozen(tx, account_id, frozen=True)
            about = reason.strip()
            add_change(tx, partition, account_id, "frozen", at=at, about=about, by=by, other_id=guardian_id)
            if by == "issuer":
                _audit(tx, account, "spending.freeze", actor, at, reason=reason.strip())
        found = find_freeze(tx, partition, account_id)
    assert found is not None
    return found


def unfreeze(
    ctx: Context,
    account_id: AccountId,
    *,
    by: By = "owner",
    reason: str = "",
    actor: str = "",
    guardian_id: AccountId | None = None,
) -> bool:
    """Let spending go on; whether it was frozen. That owner or guardian used a passkey just now, the caller sees.

    actor, reason: who acts for the issuer, and why, for the audit record. guardian_id: who lifts it for a ward.
    Errors: FrozenByIssuer where owner or guardian would lift what the issuer froze; FrozenByGuardian where a ward would
    lift what a guardian froze, as long as there is one; InvalidInput for a reason that is too long;
    identity.UnknownAccount; identity.UnknownGuardianship.
    """
    assert (by == "guardian") == (guardian_id is not None), "a guardian says who they are"
    at = ctx.clock.now()
    _check_reason(reason)
    partition = ctx.directory.partition_of(account_id)
    with ctx.tx() as tx:
        account = lock_account(tx, partition, account_id)
        _check_guardian(tx, guardian_id, account_id, "freeze")
        if account.frozen_at is None:
            return False
        if account.frozen_by == "issuer" and by != "issuer":
            raise FrozenByIssuer
        guarded = account.frozen_by == "guardian" and by == "owner"
        if guarded and identity.guardians_among(tx, [account_id], "freeze"):
            raise FrozenByGuardian
        tx.execute(FREEZE, (None, None, None, partition, account_id))
        grants_store.mark_delegate_frozen(tx, account_id, frozen=False)
        about = reason.strip()
        add_change(tx, partition, account_id, "unfrozen", at=at, about=about, by=by, other_id=guardian_id)
        if by == "issuer":
            _audit(tx, account, "spending.unfreeze", actor, at, reason=reason.strip())
    return True


def find_freeze(tx: Tx, partition: int, account_id: AccountId) -> Freeze | None:
    """How this account's spending is frozen; None where it is not."""
    row = tx.execute(FROZEN, (partition, account_id)).fetchone()
    return None if row is None or row[0] is None else Freeze(row[0], row[1], row[2] or "")


# -- second people ------------------------------------------------------------------------------------------


def name_co_approver(ctx: Context, account_id: AccountId, approver_id: AccountId) -> SecondPerson:
    """Have another person agree to large payments from this account. Naming them again is harmless.

    The first one is asked at once. Another beside them makes it easier to have somebody agree: that waits as a higher
    limit does, and asks for a passkey, to which the caller sees. One who was about to be asked no more stays.
    Errors: InvalidInput for oneself, for more than five, or while guardians agree; identity.UnknownAccount.
    """
    at = ctx.clock.now()
    partition = ctx.directory.partition_of(account_id)
    with ctx.tx() as tx:
        identity.get_account(tx, approver_id)
        account = lock_account(tx, partition, account_id)
        if approver_id == account_id:
            raise _unfit("account_id", "it is your own account", "Name another person’s account")
        if identity.guardian_of(tx, account_id):
            raise _unfit(
                "account_id", "your guardians agree to large payments", "Name somebody when you are of age"
            )
        known = {one.approver_id: one for one in approvals_store.co_approvers(tx, partition, account_id)}
        if approver_id not in known and len(known) >= CO_APPROVERS_MAX:
            raise _unfit("account_id", f"you have named {len(known)}", "Remove one first")
        holds_from = _raise_at(tx, account_id, policy_of(tx, account.issuer_id), at) if known else at
        if approvals_store.put_co_approver(tx, partition, account_id, approver_id, at, holds_from):
            add_change(tx, partition, account_id, "co_approver_named", at=at, other_id=approver_id)
        found = approvals_store.co_approvers(tx, partition, account_id)
    return next(one for one in found if one.approver_id == approver_id)


def remove_co_approver(ctx: Context, account_id: AccountId, approver_id: AccountId) -> SecondPerson | None:
    """Have that person asked no more, after the wait of a higher limit; None where they were not, or not yet, asked.

    It makes approvals weaker, so it asks for a passkey: the caller sees to that. Asking again does not begin the wait
    anew, and naming them calls it off. One who does not hold yet is gone at once.
    """
    at = ctx.clock.now()
    partition = ctx.directory.partition_of(account_id)
    with ctx.tx() as tx:
        account = lock_account(tx, partition, account_id)
        known = {one.approver_id: one for one in approvals_store.co_approvers(tx, partition, account_id)}
        found = known.get(approver_id)
        if found is None or found.until is not None:
            return found
        if found.holds_from > at:
            approvals_store.remove_co_approver(tx, partition, account_id, approver_id)
            add_change(tx, partition, account_id, "co_approver_removed", at=at, other_id=approver_id)
            return None
        until = _raise_at(tx, account_id, policy_of(tx, account.issuer_id), at)
        approvals_store.leave_co_approver(tx, partition, account_id, approver_id, until)
        add_change(tx, partition, account_id, "co_approver_leaves", at=at, other_id=approver_id)
    return replace(found, until=until)


def end_co_approvers(ctx: Context, *, limit: int = 500) -> int:
    """Ask those second people no more whose time is over; gives how many. Killed, it is done again."""
    at = ctx.clock.now()
    with ctx.tx() as tx:
        gone = approvals_store.list_gone_co_approvers(tx, at, limit)
    for partition, account_id, approver_id in gone:
        with ctx.tx() as tx:
            lock_account(tx, partition, account_id)
            known = {one.approver_id: one for one in approvals_store.co_approvers(tx, partition, account_id)}
            found = known.get(approver_id)
            if found is not None and found.until is not None and found.until <= at:
                approvals_store.remove_co_approver(tx, partition, account_id, approver_id)
                add_change(tx, partition, account_id, "co_approver_removed", at=at, other_id=approver_id)
    return len(gone)


def list_co_approvers(tx: Tx, partition: int, account_id: AccountId) -> list[SecondPerson]:
    """Whom the owner wants to agree to large payments, from when, and until when."""
    return approvals_store.co_approvers(tx, partition, account_id)


# -- policy -------------------------------------------------------------------------------------------------


def set_policy(tx: Tx, issuer_id: str, body: str, *, by: str, at: datetime) -> int:
    """Set an issuer's own policy from now on: what differs from ours, as TOML; gives its revision.

    Errors: BadPolicy, which names each fault; the one before stays then.
    """
    read_policy(body, under=own_policy(), where="policy")
    row = tx.execute(ADD_POLICY, {"issuer_id": issuer_id, "body": body, "at": at, "by": by}).fetchone()
    assert row is not None
    act = Act(
        actor=by,
        action="approval-policy.set",
        subject=f"issuer:{issuer_id}",
        details={"revision": int(row[0])},
        chain=issuer_id,
    )
    audit.record(tx, act, at)
    return int(row[0])


# -- inside -------------------------------------------------------------------------------------------------


def _check_guardian(tx: Tx, guardian_id: AccountId | None, ward_id: AccountId, right: identity.Right) -> None:
    """Errors: identity.UnknownGuardianship where somebody says that they answer for this account and may not."""
    if guardian_id is not None and not identity.guardian_may(tx, guardian_id, ward_id, right):
        raise identity.UnknownGuardianship(f"You have no ward {ward_id}.")


def _check_reason(reason: str) -> None:
    """Errors: InvalidInput."""
    if len(reason) > REASON_MAX or "\0" in reason:
        raise _unfit("reason", f"it has {len(reason)} characters", f"Give at most {REASON_MAX}")


def _audit(
    tx: Tx, account: hot.AccountRow, action: str, actor: str, at: datetime, *, reason: str = ""
) -> None:
    """Keep what an issuer did to an account's spending."""
    subject = f"account:{account.account_id}"
    who = actor or f"issuer:{account.issuer_id}"
    audit.record(
        tx, Act(actor=who, action=action, subject=subject, reason=reason, chain=account.issuer_id), at
    )


def _raise_at(tx: Tx, account_id: AccountId, policy: Policy, at: datetime) -> datetime:
    """From when a raise of now holds: after the wait, and not before a recovery is long past."""
    then = at + timedelta(hours=policy.waits.raise_h)
    recovered_at = identity.knowledge_of(tx, [account_id])[account_id].recovered_at
    if recovered_at is None:
        return then
    return max(then, recovered_at + timedelta(hours=policy.recovery.hours))


def _count_scope(tx: Tx, account: hot.AccountRow, currency: str, scope: str, at: datetime) -> None:
    """Begin counting a part of spending, with what was spent of it in this month."""
    moment = moment_of(at, account.zone)
    holder = Holder(account.partition, account.account_id, currency, scope)
    counter: Counter | None = None
    since = at - timedelta(days=32)
    for then, minor, channel, category in tx.execute(
        SPENT_SINCE, (account.partition, account.account_id, currency, since)
    ).fetchall():
        if scope in scopes_of(channel, category):
            there = moment_of(then, account.zone)
            counter = empty(there, there.month) if counter is None else rolled(counter, there, there.month)
            counter = added(counter, minor)
    counter = empty(moment, moment.month) if counter is None else rolled(counter, moment, moment.month)
    hot.write_counters(tx, {holder: counter})


def _check_limit(currency: str, span: Span, minor: int | None, scope: str) -> None:
    check_scope(scope)
    if currency not in CURRENCY_EXPONENTS:
        raise _unfit("currency", f"{currency!r} is none", "Use a code of ISO 4217")
    if span not in SPANS:
        raise _unfit("span", f"{span!r} is none", f"Choose from {', '.join(SPANS)}")
    if minor is not None and not 0 <= minor <= MINOR_MAX:
        raise _unfit("amount", "it is below zero or too large", "Give an amount, or none for no limit")


def _unfit(where: str, what: str, remedy: str) -> InvalidInput:
    return InvalidInput(f"{where}: {what}.", problems=(Problem(where, what, remedy),))
