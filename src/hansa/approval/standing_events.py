"""What members are told of standing approvals: given, refused, not given in time, taken back."""

from datetime import datetime
from typing import Literal

from hansa import identity, webhooks
from hansa.approval.standing import Delegation, Mandate
from hansa.store import Tx

Step = Literal["given", "refused", "expired", "revoked"]
"""What happened: its owner signed it, said no, or let the time go by; or it was taken back."""


def record_mandate(tx: Tx, mandate: Mandate, step: str, at: datetime, *, by: str = "owner") -> None:
    """Tell the member whose payee takes money under it. by: owner or payee."""
    if not mandate.member_id:
        return
    data: dict[str, object] = {
        "mandate_id": str(mandate.mandate_id),
        "account_id": str(mandate.account_id),
        "payee_key": mandate.payee_key,
        "reference": mandate.reference,
        "currency": mandate.currency,
        "each_minor": mandate.each_minor,
        "period": mandate.period,
        "period_minor": mandate.period_minor,
        "ends_at": mandate.ends_at.isoformat(),
        "by": by,
    }
    webhooks.record(
        tx,
        webhooks.News(
            type=f"mandate.{step}",
            members=[mandate.member_id],
            at=at,
            subject=f"mandate:{mandate.mandate_id}",
            data=data,
            fact=(mandate.mandate_id, step),
        ),
    )


def record_delegation(tx: Tx, delegation: Delegation, step: Step, at: datetime, *, by: str = "owner") -> None:
    """Tell the issuer whose wallet it is of. by: owner or delegate."""
    data: dict[str, object] = {
        "delegation_id": str(delegation.delegation_id),
        "owner_id": str(delegation.account_id),
        "delegate_id": str(delegation.delegate_id),
        "kind": delegation.kind,
        "currency": delegation.currency,
        "payment_minor": delegation.payment_minor,
        "day_minor": delegation.day_minor,
        "month_minor": delegation.month_minor,
        "holds_from": delegation.holds_from.isoformat(),
        "ends_at": delegation.ends_at.isoformat(),
        "by": by,
    }
    webhooks.record(
        tx,
        webhooks.News(
            type=f"delegation.{step}",
            members=[identity.get_account(tx, delegation.account_id).issuer_id],
            at=at,
            subject=f"delegation:{delegation.delegation_id}",
            data=data,
            fact=(delegation.delegation_id, step),
        ),
    )
