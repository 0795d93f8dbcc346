"""What keeps a member from leaving, found in every room that knows of it, and the reserve kept after it has left."""

from datetime import date, datetime, timedelta

from hansa import clearing, disputes, hub, rides, trust
from hansa.disputes.rules import business_day_after
from hansa.kernel import InvalidInput, Money, Problem
from hansa.store import Tx

DISPUTES_SHOWN = 100


def members_of(tx: Tx, member_id: str) -> list[str]:
    """A member and all that clear as it. Errors: trust.UnknownMember."""
    trust.get_member(tx, member_id)
    return [one.member_id for one in trust.list_members(tx) if member_id in (one.member_id, one.clears_as)]


def open_things(tx: Tx, member_id: str) -> list[trust.Left]:
    """Everything of a member and of those that clear as it that does not stand at zero; empty where it may leave.

    Errors: trust.UnknownMember.
    """
    members = members_of(tx, member_id)
    found = [_of_amount(one) for one in clearing.open_amounts(tx, members)]
    for one in members:
        found += _of_hub(tx, one)
        found += _of_disputes(tx, one)
        held = sum(reason.count for reason in rides.list_held(tx, one))
        if held:
            found.append(
                trust.Left(f"rides of {one}", f"{held:,} without a price", "Price them, or write them off")
            )
    return found


def last_deadline(tx: Tx, member_id: str) -> date | None:
    """The last day on which an item of a member may still be disputed and decided on; None where it had none.

    The last day for raising a dispute, and then every deadline run out to its end.
    """
    last = clearing.last_business_day_of(tx, members_of(tx, member_id))
    if last is None:
        return None
    rules = disputes.own_rules()
    days = sum(rules.items.days.values())
    return business_day_after(last + timedelta(days=rules.items.within_days), days, rules.calendar)


def finish_leave(
    tx: Tx, member_id: str, *, by: str, at: datetime, why: str, reserve: dict[str, int] | None = None
) -> trust.MemberLife:
    """A member has left, once nothing of it is open; what is kept of it in reserve stands in the fact until a day.

    reserve: minor units by currency. Errors: as ``trust.finish_leave``; InvalidInput for a reserve below zero, or
    where nothing of it can be disputed any more.
    """
    until = last_deadline(tx, member_id)
    kept = {currency: minor for currency, minor in (reserve or {}).items() if minor}
    if any(minor < 0 for minor in kept.values()):
        problem = Problem("reserve", "it is below zero", "Name what is kept, or nothing")
        raise InvalidInput("This is no reserve.", problems=(problem,))
    if kept and (until is None or until < clearing.get_settings(tx).day_of(at)):
        problem = Problem("reserve", "nothing of it can be disputed any more", "Keep nothing")
        raise InvalidInput("There is nothing to keep a reserve for.", problems=(problem,))
    words = {
        f"reserve_{currency}": Money(minor, currency).decimal() for currency, minor in sorted(kept.items())
    }
    if kept and until is not None:
        words["reserve_until"] = until.isoformat()
    return trust.finish_leave(
        tx, member_id, by=by, at=at, why=why, open_things=open_things(tx, member_id), reserve=words
    )


def _of_amount(one: clearing.OpenAmount) -> trust.Left:
    much = _told(one.minor, one.currency)
    if one.operator_id:
        return trust.Left(
            f"position of {one.issuer_id} to {one.operator_id}",
            much,
            "Its window must take it; close the day",
        )
    return trust.Left(f"due to {one.issuer_id}", much, "A bank must move it; see the payments of its window")


def _told(minor: int, currency: str) -> str:
    return str(Money(minor, currency)).replace("-", "−")


def _of_hub(tx: Tx, member_id: str) -> list[trust.Left]:
    found: list[trust.Left] = []
    for one in hub.list_liquidity(tx, member_id):
        amounts = (
            ("payments to be settled", one.position_minor, "Their window must settle"),
            ("payments under way", one.reserved_minor, "They end by themselves"),
        )
        found += [
            trust.Left(f"{what}, of {member_id}", _told(minor, one.currency), remedy)
            for what, minor, remedy in amounts
            if minor
        ]
    return found


def _of_disputes(tx: Tx, member_id: str) -> list[trust.Left]:
    states = frozenset(disputes.State) - disputes.FINAL
    wanted = disputes.Wanted(member=member_id, states=states)
    return [
        trust.Left(
            f"dispute {one.dispute_id} with {one.operator_id if one.issuer_id == member_id else one.issuer_id}",
            f"{one.claim}, {one.state}",
            "It must come to its end"
            + (f"; the next deadline is {one.due_at:%Y-%m-%d}" if one.due_at else ""),
        )
        for one in disputes.find_disputes(tx, wanted, limit=DISPUTES_SHOWN)
    ]
