"""What becomes of windows, disputes and members, told to the members that it concerns.

Those rooms write their facts to topics of the outbox in the commit that makes them true. Here the topics are read,
each from its own bookmark, and each fact becomes news: bookmark and news are one commit, so none is lost or doubled.
The hub and settlement, which stand above webhooks, record theirs by themselves.
"""

import logging
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from hansa import clearing, disputes, trust, webhooks
from hansa.kernel import HansaError
from hansa.store import Context, Tx
from hansa.webhooks import News

logger = logging.getLogger("hansa.webhooks")

SOME = 500
"""Facts of one topic in a turn."""

WINDOW_TYPES = {
    status: f"clearing.window.{status}"
    for status in (
        clearing.WindowStatus.CLOSED.value,
        clearing.WindowStatus.SETTLING.value,
        clearing.WindowStatus.SETTLED.value,
    )
}


def tell_members(ctx: Context, *, limit: int = SOME) -> int:
    """Read the topics on and record what they say; gives how many facts were read. Again is harmless.

    A topic that cannot be read on is logged and tried again; the others go on.
    """
    told = 0
    for topic, say in TOPICS.items():
        try:
            told += webhooks.follow(ctx, topic, say, limit=limit)
        except HansaError as error:
            logger.warning("%s: %s: %s", topic, error.code, error.detail)
    return told


def _window(tx: Tx, body: Mapping[str, Any]) -> News | None:
    """A window's status, for the members whose net it has, in that currency or in any."""
    kind = WINDOW_TYPES.get(body["status"])
    if kind is None:
        return None
    nets = clearing.window_nets(tx, body["window_id"])
    members = {one.member_id for one in nets if body["currency"] in ("", one.currency)}
    return News(
        type=kind,
        members=sorted(members),
        at=datetime.fromisoformat(body["at"]),
        subject=f"window {body['window_id']}",
        data={name: body[name] for name in ("window_id", "model_id", "business_day", "status", "currency")},
        fact=(body["window_id"], body["status"], body["currency"]),
    )


def _dispute(tx: Tx, body: Mapping[str, Any]) -> News | None:
    """A step of a dispute, for the two members that are its sides."""
    case = disputes.get_dispute(tx, UUID(body["dispute_id"])).case
    return News(
        type="dispute.raised" if body["action"] == disputes.Action.RAISE else "dispute.moved",
        members=sorted({case.issuer_id, case.operator_id}),
        at=datetime.fromisoformat(body["at"]),
        subject=f"dispute {body['dispute_id']}",
        data={name: body[name] for name in ("dispute_id", "n", "action", "state")},
        fact=(body["dispute_id"], body["n"]),
        people=_rider(case, body),
    )


ANSWERS = {disputes.State.GRANTED: "refund.granted", disputes.State.REFUSED: "refund.refused"}


def _rider(case: disputes.Case, body: Mapping[str, Any]) -> list[webhooks.ForPerson]:
    """What the rider who asked for a refund is told of this step: the answer."""
    kind = ANSWERS.get(disputes.State(body["state"])) if case.kind is disputes.Kind.REFUND else None
    if kind is None or case.account_id is None or body["action"] == disputes.Action.BOOK:
        return []
    return [
        webhooks.ForPerson(
            account_id=case.account_id,
            kind=kind,
            at=datetime.fromisoformat(body["at"]),
            subject=f"dispute {body['dispute_id']}",
            facts={"amount": {"minor": case.claim_minor, "currency": case.currency}},
            fact=(body["dispute_id"], body["n"]),
        )
    ]


def _member(_: Tx, body: Mapping[str, Any]) -> News | None:
    """A step in a member's life, for that member."""
    return News(
        type="member.standing.changed",
        members=(body["member_id"],),
        at=datetime.fromisoformat(body["at"]),
        subject=f"member {body['member_id']}",
        data={"step": body["step"], "from_at": body["from_at"]},
        fact=(body["step"], body["from_at"]),
    )


TOPICS: Mapping[str, Callable[[Tx, Mapping[str, Any]], News | None]] = {
    clearing.WINDOWS_TOPIC: _window,
    disputes.TOPIC: _dispute,
    trust.MEMBERS_TOPIC: _member,
}
"""Topics of the outbox that are told, and what each fact of them says."""
