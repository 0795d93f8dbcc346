"""What can be done with delegations and mandates: grant, ask for, find, revoke."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from typing import ClassVar
from uuid import UUID

from hansa import identity, webhooks
from hansa.approval import grants_store as store
from hansa.approval.approvals import approval_state, open_approval, withdraw
from hansa.approval.approvals_model import Approval, ApprovalState, approval_id_of
from hansa.approval.canonical import FORM, Subject, instant_text, write_canonical
from hansa.approval.changes import add_change
from hansa.approval.deciding import judge, lock_account, policy_of
from hansa.approval.limits import MINOR_MAX
from hansa.approval.model import (
    ApprovalLevel,
    Channel,
    LimitReached,
    MandateEnded,
    Needs,
    Reason,
    Refused,
    Spend,
    UnknownMandate,
)
from hansa.approval.standing import (
    KINDS,
    NOT_FOR_CHILDREN,
    PERIODS,
    Delegation,
    Kind,
    Mandate,
    Period,
    check_categories,
)
from hansa.approval.standing_events import record_delegation, record_mandate
from hansa.identity import AccountId
from hansa.kernel import CURRENCY_EXPONENTS, HansaError, InvalidInput, Problem
from hansa.store import Context, Rate, TooOften, Tx, throttle

ASKING = Rate(10, timedelta(days=1))
"""How many mandates one member may ask one person for."""

MANDATE = "mandate"
"""The kind of subject that a mandate is, when its payer is asked for it."""

LASTS_MAX = timedelta(days=5 * 366)
NOTICE_MAX_H = 720
"""Hours before a payment at which its payee may have to announce it: thirty days."""

RETRY_D = (1, 3, 5)
"""Days after the due one on which an announced payment that lacked money is tried again, unless its mandate says
otherwise."""

RETRIES_MAX, RETRY_MAX_D = 5, 31
"""How often an announced payment that lacked money is tried again at most, and how many days after it was due."""

PAYEES_MAX, CATEGORIES_MAX = 50, 50


class UnknownDelegation(HansaError):
    """There is no such delegation of yours."""

    code: ClassVar[str] = "approval.unknown_delegation"
    status: ClassVar[int] = 404
    remedy: ClassVar[str] = "List your delegations again."


class GrantDiffers(HansaError):
    """This id was given to a delegation or mandate that says something else."""

    code: ClassVar[str] = "approval.grant_differs"
    status: ClassVar[int] = 409
    remedy: ClassVar[str] = "Give another one an id of its own."


class DelegationOverlaps(HansaError):
    """This person may spend from this wallet for some of the same things already, and the caps of both would add up."""

    code: ClassVar[str] = "approval.delegation_overlaps"
    status: ClassVar[int] = 409
    remedy: ClassVar[str] = (
        "Change the one there is: name it in replaces, and it holds until this one begins. Or let this one be for other"
        " kinds of things, payees or hours."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class NewDelegation:
    """What an owner is about to let another person spend. Caps in minor units; see ``Delegation`` for the rest.

    replaces: the one to this person that it changes, and whose place it takes when it begins.
    """

    delegation_id: UUID
    delegate_id: AccountId
    kind: Kind
    currency: str
    payment_minor: int
    day_minor: int
    month_minor: int
    ends_at: datetime
    ask_above_minor: int | None = None
    categories: Sequence[str] = ()
    categories_denied: Sequence[str] | None = None
    payees: Sequence[str] = field(default_factory=tuple)
    from_hour: int = 0
    to_hour: int = 24
    replaces: UUID | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewMandate:
    """What a payee asks a payer for. each_minor: one payment at most; period_minor: all of a period at most.

    notice_h: how many hours before each payment it is announced, 0 to 720; 0: it is not. retry_d: after how many days
    from the due one an announced payment that lacked money is tried again: rising, 1 to 31, five at most.
    """

    mandate_id: UUID
    account_id: AccountId
    payee_key: str
    payee_name: str
    member_id: str
    currency: str
    each_minor: int
    period: Period
    period_minor: int
    ends_at: datetime
    reference: str = ""
    notice_h: int = 0
    retry_d: Sequence[int] = ()


# -- delegations --------------------------------------------------------------------------------------------


def grant_delegation(ctx: Context, owner_id: AccountId, new: NewDelegation) -> Delegation:
    """Let another person spend from this wallet, after the wait that the owner's issuer asks for. Again is harmless.

    No owner signs this: it is for the people of a demonstration, who have no passkeys; pages and the interface ask
    (``ask_delegation``). A child is denied NOT_FOR_CHILDREN unless
    categories_denied says otherwise. Errors: InvalidInput naming each field at fault; identity.UnknownAccount for the
    delegate; GrantDiffers; DelegationOverlaps. Nothing is granted then.
    """
    at = ctx.clock.now()
    partition = ctx.directory.partition_of(owner_id)
    with ctx.tx() as tx:
        owner = identity.get_account(tx, owner_id)
        identity.get_account(tx, new.delegate_id)
        delegation = make_delegation(tx, owner, new, partition=partition, at=at, given_at=at)
        lock_account(tx, partition, owner_id)
        delegate_partition = ctx.directory.partition_of(new.delegate_id)
        if store.add_delegation(tx, delegation, delegate_partition=delegate_partition):
            check_alone(tx, delegation, at)
            keep_given(tx, delegation, at)
            return delegation
        known = store.find_delegation(tx, partition, new.delegation_id)
    if known is None or (known.account_id, known.delegate_id, known.payment_minor, known.currency) != (
        owner_id, new.delegate_id, new.payment_minor, new.currency,
    ):  # fmt: skip
        raise GrantDiffers
    return known


def make_delegation(
    tx: Tx,
    owner: identity.Account,
    new: NewDelegation,
    *,
    partition: int,
    at: datetime,
    given_at: datetime | None,
    asked_by: str = "",
) -> Delegation:
    """The delegation as it is to be kept, which is not done here. given_at: None where its owner is to be asked.

    Errors: InvalidInput naming each field at fault.
    """
    denied = new.categories_denied
    if denied is None:
        denied = NOT_FOR_CHILDREN if new.kind == "child" else ()
    _check_delegation(owner.account_id, new, at)
    delegation = Delegation(
        partition=partition,
        delegation_id=new.delegation_id,
        account_id=owner.account_id,
        delegate_id=new.delegate_id,
        kind=new.kind,
        currency=new.currency,
        payment_minor=new.payment_minor,
        day_minor=new.day_minor,
        month_minor=new.month_minor,
        ask_above_minor=new.ask_above_minor,
        categories=check_categories(new.categories, where="categories"),
        categories_denied=check_categories(denied, where="categories_denied"),
        payees=sorted(set(new.payees)),
        from_hour=new.from_hour,
        to_hour=new.to_hour,
        granted_at=at,
        holds_from=at + timedelta(hours=policy_of(tx, owner.issuer_id).waits.raise_h),
        ends_at=new.ends_at,
        revoked_at=None,
        delegate_frozen=False,
        given_at=given_at,
        asked_by=asked_by,
        replaces=new.replaces,
    )
    if delegation.holds_from >= delegation.ends_at:
        raise _unfit("ends_at", "it ends before it begins to hold", "Let it end later")
    return delegation


def check_alone(tx: Tx, delegation: Delegation, at: datetime) -> None:
    """See to it that no cap of this delegation would add up with another's. Its owner's account is locked.

    Errors: InvalidInput where what it replaces is not there; DelegationOverlaps. Whoever calls changes nothing then.
    """
    live = [one for one in store.live_delegations(tx, delegation, at) if one.replaced_at is None]
    if delegation.replaces is not None and delegation.replaces not in {one.delegation_id for one in live}:
        raise _unfit(
            "replaces",
            "no delegation of this id, to this person and in this currency, holds or waits",
            "List your delegations, and name the one to change, or leave it out",
        )
    for one in live:
        if one.delegation_id != delegation.replaces and one.overlaps(delegation):
            raise DelegationOverlaps(
                f"Delegation {one.delegation_id} lets this person spend for some of the same things: {one.payment} at a"
                f" time, {one.day} a day, {one.month} a month."
            )


def keep_given(tx: Tx, delegation: Delegation, at: datetime) -> None:
    """Keep that a delegation was given: for its owner, for the delegate, and as an event.

    It takes the place of the one that it replaces, and of any that was given since it was asked for and overlaps it:
    those hold until it begins. So at no instant do caps for the same payment add up.
    """
    for one in store.live_delegations(tx, delegation, at):
        if one.delegation_id == delegation.replaces or one.overlaps(delegation):
            store.replace_delegation(tx, one, delegation.holds_from)
    add_change(
        tx,
        delegation.partition,
        delegation.account_id,
        "delegation_granted",
        at=at,
        about=str(delegation.payment),
        other_id=delegation.delegate_id,
    )
    _tell_delegate(tx, delegation, at)
    record_delegation(tx, delegation, "given", at)


def _tell_delegate(tx: Tx, delegation: Delegation, at: datetime) -> None:
    amount = {"minor": delegation.payment_minor, "currency": delegation.currency}
    webhooks.tell(
        tx,
        webhooks.ForPerson(
            account_id=delegation.delegate_id,
            kind="delegation.received",
            at=at,
            subject=f"delegation {delegation.delegation_id}",
            facts={"person": str(delegation.account_id), "amount": amount},
            fact=(delegation.delegation_id,),
        ),
    )


def revoke_delegation(ctx: Context, delegation_id: UUID, by: AccountId, owner_id: AccountId) -> Delegation:
    """End a delegation at once: by its owner, or by the delegate who wants it no more. Again changes nothing.

    Errors: UnknownDelegation, also for everybody else.
    """
    at = ctx.clock.now()
    partition = ctx.directory.partition_of(owner_id)
    with ctx.tx() as tx:
        lock_account(tx, partition, owner_id)
        known = store.find_delegation(tx, partition, delegation_id)
        if known is None or known.account_id != owner_id or by not in (owner_id, known.delegate_id):
            raise UnknownDelegation
        if store.revoke_delegation(tx, partition, delegation_id, by, at):
            withdraw(tx, [delegation_id], at)
            who = "owner" if by == owner_id else "delegate"
            add_change(
                tx,
                partition,
                owner_id,
                "delegation_revoked",
                at=at,
                about=str(known.payment),
                by=who,
                other_id=known.delegate_id,
            )
            record_delegation(tx, known, "revoked", at, by=who)
        found = store.find_delegation(tx, partition, delegation_id)
    assert found is not None
    return found


def list_delegations(tx: Tx, partition: int, owner_id: AccountId) -> list[Delegation]:
    """What this owner lets others spend, or let, the newest first; at most 100."""
    return store.delegations_of(tx, partition, owner_id)


def list_delegations_to(tx: Tx, delegate_id: AccountId) -> list[Delegation]:
    """What others let this person spend, and did not revoke; the newest first."""
    return store.delegations_to(tx, delegate_id)


def find_delegations(
    tx: Tx,
    *,
    person: tuple[int, AccountId] | None = None,
    member: str = "",
    only: UUID | None = None,
    before: tuple[datetime, UUID] | None = None,
    limit: int = 50,
) -> list[Delegation]:
    """Delegations of a person, as owner or as delegate, or those that a member asked for, the newest first.

    person: the partition and the account; what others let them spend only while it is given. only: this one. before:
    instant and id of the last one of the page before.
    """
    assert person is not None or member, "delegations are somebody's"
    return store.find_delegations(tx, person=person, member=member, only=only, before=before, limit=limit)


def use_delegation(tx: Tx, owner_id: AccountId, delegate_id: AccountId, at: datetime) -> Delegation | None:
    """The delegation under which this person spends from that wallet now, if there is one."""
    found = (one for one in store.delegations_to(tx, delegate_id) if one.account_id == owner_id)
    return next((one for one in found if one.state(at) == "active" and not one.delegate_frozen), None)


# -- mandates -----------------------------------------------------------------------------------------------


def ask_mandate(
    ctx: Context, new: NewMandate, *, next_url: str = "/wallet/mandates", by_payer: bool = False
) -> tuple[Mandate, Approval]:
    """Ask a payer for a mandate: it holds once they approve it with a passkey. Asking again finds the same.

    by_payer: its payer gives it unasked, and still signs it; the payee hears of it once it is given.

    Where policy asks for more of so much money, as all that a period lets be taken, so does the mandate: a wait in
    which it can be called off, or a second person.
    Errors: InvalidInput naming each field at fault; identity.UnknownAccount; GrantDiffers; store.TooOften. Nothing is
    asked then.
    """
    at = ctx.clock.now()
    _check_mandate(new, at)
    partition = ctx.directory.partition_of(new.account_id)
    mandate = Mandate(
        partition=partition,
        mandate_id=new.mandate_id,
        account_id=new.account_id,
        payee_key=new.payee_key,
        payee_name=new.payee_name,
        member_id=new.member_id,
        reference=new.reference,
        currency=new.currency,
        each_minor=new.each_minor,
        period=new.period,
        period_minor=new.period_minor,
        asked_at=at,
        holds_from=None,
        ends_at=new.ends_at,
        revoked_at=None,
        revoked_by=None,
        notice_h=new.notice_h,
        lead_h=new.notice_h,
        retry_d=list(new.retry_d),
    )
    with ctx.tx() as tx:
        lock_account(tx, partition, new.account_id)
        if store.add_mandate(tx, mandate):
            who = "payer" if by_payer else new.member_id
            asked = throttle(tx, f"approval.mandate/{who}/{new.account_id}", ASKING, at)
            if not asked.allowed:
                raise TooOften("This person was asked for too many mandates.", retry_after=asked.retry_after)
            if not by_payer:
                about = new.payee_name
                add_change(tx, partition, new.account_id, "mandate_asked", at=at, about=about, by="payee")
        else:
            known = store.find_mandate(tx, new.mandate_id)
            if known is None or _said(known) != _said(mandate):
                raise GrantDiffers
            mandate = known
        level, reasons = level_of(
            tx,
            Spend(
                spend_id=mandate.mandate_id,
                account_id=mandate.account_id,
                amount=mandate.in_period,
                payee_key=mandate.payee_key,
                payee_name=mandate.payee_name,
                channel=Channel.ONLINE,
                partition=mandate.partition,
            ),
            at,
        )
        approval = open_approval(
            tx,
            None,
            level,
            mandate_subject(mandate),
            next_url,
            mandate.asked_at,
            account_id=mandate.account_id,
            partition=partition,
            reasons=reasons,
            asks_for=timedelta(days=7),
        )
    return mandate, approval


def level_of(tx: Tx, spend: Spend, at: datetime) -> tuple[ApprovalLevel, tuple[Reason, ...]]:
    """The level at which policy wants a standing approval to be given: as all that a period lets be taken, at once."""
    (verdict,) = judge(tx, [spend], at, {})  # nothing is given, so nothing is counted
    if isinstance(verdict, Needs) and verdict.level > ApprovalLevel.PASSKEY:
        return verdict.level, verdict.reasons
    if isinstance(verdict, Refused) and isinstance(verdict.error, LimitReached):
        return ApprovalLevel.PASSKEY_DELAY, (Reason("amount", ApprovalLevel.PASSKEY_DELAY),)
    return ApprovalLevel.PASSKEY, ()


def approval_of(mandate: Mandate) -> UUID:
    """Where its payer decides on it."""
    return approval_id_of(MANDATE, mandate.mandate_id)


def mandate_subject(mandate: Mandate) -> Subject:
    """A mandate as it is shown and signed."""
    octets = write_canonical(
        {
            "form": FORM,
            "kind": MANDATE,
            "id": str(mandate.mandate_id),
            "account": str(mandate.account_id),
            "amount": {"currency": mandate.currency, "minor": mandate.each_minor},
            "payee": {"key": mandate.payee_key, "name": mandate.payee_name},
            "channel": "mandate",
            "about": mandate.reference,
            "asked_at": instant_text(mandate.asked_at),
            "details": {
                "each payment, at most": str(mandate.each),
                f"each {mandate.period}, at most": str(mandate.in_period),
                "until": mandate.ends_at.date().isoformat(),
                **({"announced before": _hours(mandate.notice_h)} if mandate.notice_h else {}),
                **({"tried again, if money lacks": _days(mandate.retry_d)} if mandate.retry_d else {}),
            },
        }
    )
    return Subject(MANDATE, mandate.mandate_id, octets)


def advance_mandate(ctx: Context, mandate_id: UUID) -> None:
    """Go on with a mandate whose approval ended: it holds from now on, or it is over. Again is harmless."""
    at = ctx.clock.now()
    with ctx.tx() as tx:
        mandate = store.find_mandate(tx, mandate_id)
        if mandate is None:
            return
        lock_account(tx, mandate.partition, mandate.account_id)
        state = approval_state(tx, [mandate_id])[mandate_id]
        if state is ApprovalState.GIVEN and store.give_mandate(tx, mandate.partition, mandate_id, at):
            add_change(
                tx, mandate.partition, mandate.account_id, "mandate_given", at=at, about=mandate.payee_name
            )
            record_mandate(tx, mandate, "given", at)
        elif (
            state in (ApprovalState.REFUSED, ApprovalState.EXPIRED)
            and mandate.holds_from is None
            and store.revoke_mandate(tx, mandate.partition, mandate_id, "payer", at)
        ):
            record_mandate(tx, mandate, state.value, at)


def revoke_mandate(
    ctx: Context, mandate_id: UUID, *, payer: AccountId | None = None, member: str = ""
) -> Mandate:
    """End a mandate at once: by its payer, or by the member who asked for it. Again changes nothing.

    Whatever was announced under it and waits is called off, and its payer is not asked for it any more.
    Errors: UnknownMandate, also for everybody else.
    """
    at = ctx.clock.now()
    with ctx.tx() as tx:
        known = store.find_mandate(tx, mandate_id)
        mine = known is not None and (
            known.account_id == payer or (member != "" and known.member_id == member)
        )
        if known is None or not mine:
            raise UnknownMandate("There is no such mandate.")
        lock_account(tx, known.partition, known.account_id)
        by = "payer" if known.account_id == payer else f"member:{member}"
        if store.revoke_mandate(tx, known.partition, mandate_id, by, at):
            who = "owner" if by == "payer" else "payee"
            withdraw(tx, [mandate_id], at)
            store.call_off_pulls(tx, known, at, MandateEnded.code)
            record_mandate(tx, known, "revoked", at, by=who)
            add_change(
                tx,
                known.partition,
                known.account_id,
                "mandate_revoked",
                at=at,
                about=known.payee_name,
                by=who,
            )
        found = store.find_mandate(tx, mandate_id)
    assert found is not None
    return found


def get_mandate(
    tx: Tx, mandate_id: UUID, *, payer: AccountId | None = None, member: str | None = None
) -> Mandate:
    """The mandate, for its payer or the member who asked for it. Errors: UnknownMandate, also for everybody else."""
    found = store.find_mandate(tx, mandate_id)
    if found is None or not (found.account_id == payer or (member and found.member_id == member)):
        raise UnknownMandate("There is no such mandate.")
    return found


def find_mandates(
    tx: Tx,
    *,
    payer: AccountId | None = None,
    member: str | None = None,
    payee_key: str | None = None,
    after: UUID | None = None,
    limit: int = 50,
) -> list[Mandate]:
    """Mandates of a payer, of a member, for a payee; the newest first. after: the last one of the page before."""
    assert payer is not None or member is not None, "mandates are somebody's"
    return list(
        store.find_mandates(
            tx, account_id=payer, member_id=member, payee_key=payee_key, after=after, limit=limit
        )
    )


# -- inside -------------------------------------------------------------------------------------------------


def _hours(notice_h: int) -> str:
    """A number of hours as it is signed: whole days where it is."""
    return f"{notice_h // 24} d" if notice_h % 24 == 0 else f"{notice_h} h"


def _days(days: Sequence[int]) -> str:
    """Days as they are signed: ``1, 3, 5 d``."""
    return f"{', '.join(str(one) for one in days)} d"


def _said(mandate: Mandate) -> tuple[object, ...]:
    return (
        mandate.account_id, mandate.payee_key, mandate.member_id, mandate.currency, mandate.each_minor, mandate.period,
        mandate.period_minor, mandate.ends_at, mandate.notice_h, list(mandate.retry_d),
    )  # fmt: skip


def _check_delegation(owner_id: AccountId, new: NewDelegation, at: datetime) -> None:
    problems: list[Problem] = []
    if new.delegate_id == owner_id:
        problems.append(Problem("delegate_id", "it is your own account", "Name another person’s account"))
    if new.kind not in KINDS:
        problems.append(Problem("kind", f"{new.kind!r} is none", f"Choose from {', '.join(KINDS)}"))
    if new.currency not in CURRENCY_EXPONENTS:
        problems.append(Problem("currency", f"{new.currency!r} is none", "Use a code of ISO 4217"))
    if not 0 < new.payment_minor <= new.day_minor <= new.month_minor <= MINOR_MAX:
        remedy = "Let one payment be above zero, and no more than a day, and a day no more than a month"
        problems.append(Problem("payment", "the caps do not rise", remedy))
    if new.ask_above_minor is not None and not 0 <= new.ask_above_minor <= MINOR_MAX:
        problems.append(Problem("ask_above", "it is below zero", "Give an amount, or leave it out"))
    if not 0 <= new.from_hour < new.to_hour <= 24:
        problems.append(
            Problem("from_hour", "the hours do not rise", "Give hours from 0 to 24, the first smaller")
        )
    if not at < new.ends_at <= at + LASTS_MAX:
        problems.append(
            Problem("ends_at", "it is past, or too far away", "Give a day in the next five years")
        )
    if len(new.payees) > PAYEES_MAX or any(not 1 <= len(one) <= 200 for one in new.payees):
        problems.append(
            Problem("payees", "there are too many, or one does not fit", f"Name at most {PAYEES_MAX}")
        )
    if max(len(new.categories), len(new.categories_denied or ())) > CATEGORIES_MAX:
        problems.append(Problem("categories", "there are too many", f"Name at most {CATEGORIES_MAX}"))
    if problems:
        raise InvalidInput("This cannot be granted.", problems=tuple(problems))


def _check_mandate(new: NewMandate, at: datetime) -> None:
    problems: list[Problem] = []
    if new.currency not in CURRENCY_EXPONENTS:
        problems.append(Problem("currency", f"{new.currency!r} is none", "Use a code of ISO 4217"))
    if not 0 < new.each_minor <= new.period_minor <= MINOR_MAX:
        remedy = "Let one payment be above zero and no more than a period"
        problems.append(Problem("each", "the caps do not rise", remedy))
    if new.period not in PERIODS:
        problems.append(Problem("period", f"{new.period!r} is none", f"Choose from {', '.join(PERIODS)}"))
    if not at < new.ends_at <= at + LASTS_MAX:
        problems.append(
            Problem("ends_at", "it is past, or too far away", "Give a day in the next five years")
        )
    if not 0 <= new.notice_h <= NOTICE_MAX_H:
        problems.append(Problem("notice_h", f"it is {new.notice_h}", f"Give 0 to {NOTICE_MAX_H} hours"))
    rises = all(one < other for one, other in pairwise((0, *new.retry_d)))
    if len(new.retry_d) > RETRIES_MAX or not rises or max(new.retry_d, default=1) > RETRY_MAX_D:
        remedy = f"Name at most {RETRIES_MAX} days, rising, from 1 to {RETRY_MAX_D}"
        problems.append(Problem("retry_d", f"it is {[*new.retry_d][:9]}", remedy))
    for name, text, longest in (("payee_key", new.payee_key, 200), ("payee_name", new.payee_name, 200)):
        if not 1 <= len(text) <= longest:
            problems.append(Problem(name, f"it has {len(text)} characters", f"Give 1 to {longest}"))
    if len(new.reference) > 200:
        problems.append(Problem("reference", f"it has {len(new.reference)} characters", "Give at most 200"))
    if problems:
        raise InvalidInput("This mandate cannot be asked for.", problems=tuple(problems))


def _unfit(where: str, what: str, remedy: str) -> InvalidInput:
    return InvalidInput(f"{where}: {what}.", problems=(Problem(where, what, remedy),))
