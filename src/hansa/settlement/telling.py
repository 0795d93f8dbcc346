"""What becomes of payments by banks, told to the members whose payments they are, in the commit that keeps it."""

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, time

from hansa import webhooks
from hansa.settlement import desk_store
from hansa.settlement.model import Match, Reversal
from hansa.store import Tx


def tell_answers(tx: Tx, facts: Sequence[desk_store.PaymentFact]) -> None:
    """Banks said these of payments."""
    members = _members(tx, (one.end_to_end_id for one in facts))
    webhooks.record(
        tx,
        *(
            webhooks.News(
                type="settlement.payment.answered",
                members=members[one.end_to_end_id],
                at=one.said_at,
                subject=f"payment {one.end_to_end_id}",
                data={"end_to_end_id": one.end_to_end_id, "answer": one.answer.value},
                fact=(one.end_to_end_id, one.answer.value, one.source),
            )
            for one in facts
            if one.end_to_end_id in members
        ),
    )


def tell_booked(tx: Tx, matches: Sequence[Match], returned: Sequence[Reversal]) -> None:
    """A statement has these payments, and these that came back."""
    ids = [one.end_to_end_id for one in (*matches, *returned)]
    members = _members(tx, ids)
    entries = [
        *(("settlement.payment.booked", one) for one in matches),
        *(("settlement.payment.returned", one) for one in returned),
    ]
    webhooks.record(
        tx,
        *(
            webhooks.News(
                type=kind,
                members=members[one.end_to_end_id],
                at=_start(one.booked_day),
                subject=f"payment {one.end_to_end_id}",
                data={"end_to_end_id": one.end_to_end_id, "booked_day": one.booked_day.isoformat()},
                fact=(one.end_to_end_id, one.statement_id, one.entry),
            )
            for kind, one in entries
            if one.end_to_end_id in members
        ),
    )


def _members(tx: Tx, ids: Iterable[str]) -> dict[str, tuple[str]]:
    """Whose payments these are; of an id that is none of ours nothing is said."""
    found = desk_store.payments_by_id(tx, sorted(set(ids)))
    return {one.end_to_end_id: (one.member_id,) for one in found}


def _start(day: date) -> datetime:
    """A statement says days; its day begins in UTC, for want of anything better."""
    return datetime.combine(day, time(0), UTC)
