"""Delegations that are asked for: their owner signs them, word for word, and only then they begin to hold.

An owner asks for one themselves, or their issuer asks them over the interface. What they are shown is what their
passkey signs; the wait of the policy begins when they signed.
"""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

from hansa import identity
from hansa.approval import approvals_store, grants_store
from hansa.approval.approvals import approval_state, open_approval, withdraw
from hansa.approval.approvals_model import Approval, ApprovalEnded, ApprovalState, approval_id_of
from hansa.approval.canonical import FORM, Subject, instant_text, write_canonical
from hansa.approval.changes import add_change
from hansa.approval.deciding import lock_account, policy_of
from hansa.approval.grants import (
    ASKING,
    GrantDiffers,
    NewDelegation,
    UnknownDelegation,
    check_alone,
    keep_given,
    level_of,
    make_delegation,
)
from hansa.approval.model import ApprovalLevel, Channel, Spend
from hansa.approval.standing import Delegation
from hansa.approval.standing_events import record_delegation
from hansa.identity import AccountId
from hansa.store import Context, TooOften, Tx, throttle

DELEGATION = "delegation"
"""The kind of subject that a delegation is, when its owner is asked for it."""

WAITS_D = 7
"""How many days its owner has to sign it."""


def ask_delegation(
    ctx: Context, owner_id: AccountId, new: NewDelegation, *, asked_by: str = ""
) -> tuple[Delegation, Approval]:
    """Ask an owner to let another person spend from their wallet: it begins once they sign it. Again finds the same.

    asked_by: the member who asks, empty where the owner does. It is signed with a passkey, by a second person too where
    policy asks for one for all that a month lets be spent.
    Errors: InvalidInput naming each field at fault; identity.UnknownAccount for either person; GrantDiffers;
    DelegationOverlaps; store.TooOften. Nothing is asked then.
    """
    at = ctx.clock.now()
    partition = ctx.directory.partition_of(owner_id)
    with ctx.tx() as tx:
        owner = identity.get_account(tx, owner_id)
        delegate = identity.get_account(tx, new.delegate_id)
        made = make_delegation(tx, owner, new, partition=partition, at=at, given_at=None, asked_by=asked_by)
        lock_account(tx, partition, owner_id)
        delegate_partition = ctx.directory.partition_of(new.delegate_id)
        if not grants_store.add_delegation(tx, made, delegate_partition=delegate_partition):
            return _known(tx, made)
        check_alone(tx, made, at)
        asked = throttle(tx, f"approval.delegation/{asked_by or 'owner'}/{owner_id}", ASKING, at)
        if not asked.allowed:
            raise TooOften("This person was asked for too many of these.", retry_after=asked.retry_after)
        if asked_by:
            about = str(made.payment)
            other_id = made.delegate_id
            add_change(
                tx,
                partition,
                owner_id,
                "delegation_asked",
                at=at,
                about=about,
                by="issuer",
                other_id=other_id,
            )
        spend = Spend(
            spend_id=made.delegation_id,
            account_id=owner_id,
            amount=made.month,
            payee_key=f"account:{made.delegate_id}",
            payee_name=identity.masked_name(delegate.name),
            channel=Channel.PERSON,
            partition=partition,
        )
        level, reasons = level_of(tx, spend, at)
        if level < ApprovalLevel.SECOND_PERSON:
            level = ApprovalLevel.PASSKEY  # the wait of a grant comes after it in any case
        approval = open_approval(
            tx,
            None,
            level,
            delegation_subject(made, spend.payee_name, _find_replaced(tx, made)),
            "/wallet/delegations",
            at,
            account_id=owner_id,
            partition=partition,
            reasons=reasons,
            asks_for=timedelta(days=WAITS_D),
        )
    return made, approval


def approval_of_delegation(delegation: Delegation) -> UUID:
    """Where its owner decides on it."""
    return approval_id_of(DELEGATION, delegation.delegation_id)


def _find_replaced(tx: Tx, made: Delegation) -> Delegation | None:
    return None if made.replaces is None else grants_store.find_delegation(tx, made.partition, made.replaces)


def delegation_subject(
    delegation: Delegation, delegate_name: str, replaced: Delegation | None = None
) -> Subject:
    """A delegation as it is shown and signed. delegate_name: as its owner may see it. replaced: what it changes."""
    details = {
        "each payment, at most": str(delegation.payment),
        "each day, at most": str(delegation.day),
        "each month, at most": str(delegation.month),
        "until": delegation.ends_at.date().isoformat(),
        "kinds of things": ", ".join(delegation.categories),
        "not for": ", ".join(delegation.categories_denied),
        "only to": ", ".join(delegation.payees),
        "asks you above": "" if delegation.ask_above is None else str(delegation.ask_above),
        "in place of": ""
        if replaced is None
        else f"{replaced.payment} · {replaced.day} · {replaced.month}, {replaced.granted_at.date().isoformat()}",
    }
    if (delegation.from_hour, delegation.to_hour) != (0, 24):
        details["hours of the day"] = f"{delegation.from_hour}:00-{delegation.to_hour}:00"
    octets = write_canonical(
        {
            "form": FORM,
            "kind": DELEGATION,
            "id": str(delegation.delegation_id),
            "account": str(delegation.account_id),
            "amount": {"currency": delegation.currency, "minor": delegation.payment_minor},
            "payee": {"key": f"account:{delegation.delegate_id}", "name": delegate_name},
            "channel": "delegation",
            "about": "",
            "asked_at": instant_text(delegation.granted_at),
            "details": {name: text for name, text in details.items() if text},
        }
    )
    return Subject(DELEGATION, delegation.delegation_id, octets)


def advance_delegation(ctx: Context, delegation_id: UUID) -> None:
    """Go on with a delegation whose approval ended: its wait begins now, or it is over. Again is harmless."""
    at = ctx.clock.now()
    with ctx.tx() as tx:
        asked = approvals_store.find_approval(tx, approval_id_of(DELEGATION, delegation_id))
        if asked is None:
            return
        lock_account(tx, asked.partition, asked.account_id)
        made = grants_store.find_delegation(tx, asked.partition, delegation_id)
        state = approval_state(tx, [delegation_id])[delegation_id]
        if made is None or made.given_at is not None or made.revoked_at is not None:
            return
        if state is ApprovalState.GIVEN:
            issuer_id = identity.get_account(tx, made.account_id).issuer_id
            holds_from = at + timedelta(hours=policy_of(tx, issuer_id).waits.raise_h)
            if holds_from < made.ends_at and grants_store.give_delegation(tx, made, at, holds_from):
                keep_given(tx, replace(made, given_at=at, holds_from=holds_from), at)
                return
            state = ApprovalState.EXPIRED
        if state in (ApprovalState.REFUSED, ApprovalState.EXPIRED):
            grants_store.revoke_delegation(tx, made.partition, delegation_id, made.account_id, at)
            record_delegation(tx, made, "refused" if state is ApprovalState.REFUSED else "expired", at)


def take_back_asking(ctx: Context, delegation_id: UUID, member_id: str, owner_id: AccountId) -> Delegation:
    """Ask an owner no more, as the member who asked. Again changes nothing.

    Errors: UnknownDelegation, also for what others asked for; ApprovalEnded once the owner gave it: it is theirs then.
    """
    at = ctx.clock.now()
    partition = ctx.directory.partition_of(owner_id)
    with ctx.tx() as tx:
        lock_account(tx, partition, owner_id)
        known = grants_store.find_delegation(tx, partition, delegation_id)
        if known is None or known.account_id != owner_id or known.asked_by != member_id:
            raise UnknownDelegation
        if known.given_at is not None and known.revoked_at is None:
            raise ApprovalEnded("Its owner gave it, and only they or the delegate end it.")
        if grants_store.revoke_delegation(tx, partition, delegation_id, owner_id, at):
            withdraw(tx, [delegation_id], at)
            record_delegation(tx, known, "revoked", at, by="issuer")
        found = grants_store.find_delegation(tx, partition, delegation_id)
    assert found is not None, "it was there"
    return found


def _known(tx: Tx, made: Delegation) -> tuple[Delegation, Approval]:
    """The delegation of this id and its approval. Errors: GrantDiffers where they say something else."""
    known = grants_store.find_delegation(tx, made.partition, made.delegation_id)
    asked = approvals_store.find_approval(tx, approval_of_delegation(made))
    if known is None or asked is None or _said(known) != _said(made):
        raise GrantDiffers
    return known, asked


def _said(one: Delegation) -> tuple[object, ...]:
    return (
        one.account_id, one.delegate_id, one.kind, one.currency, one.payment_minor, one.day_minor, one.month_minor,
        one.ask_above_minor, one.ends_at, list(one.categories), list(one.categories_denied), list(one.payees),
        one.from_hour, one.to_hour, one.asked_by, one.replaces,
    )  # fmt: skip
