"""Where two members agreed on terms for disputed items, these hold; the league's rules hold for the rest."""

from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import pytest

from disputes.disputing import (
    CARD,
    ISSUER,
    OPERATOR,
    POSITION,
    SUBWAY,
    claim,
    do,
    item_of,
    new,
    open_books,
    pass_days,
    ride,
)
from hansa import clearing, disputes, ledger, trust
from hansa.store import Context
from rides.riding import League

AGREED = f"""name = "Beijing at home"
issuer = "{ISSUER}"
operator = "{OPERATOR}"
currency = "CNY"
valid_from = 2026-11-01

[chargeback]
within_days = 10
days = {{ raised = 2, arbitration = 3 }}
undecided_bp = 5000
fee = "0.10"
borne_by = "loser"
"""


@pytest.fixture
def league(ctx: Context) -> League:
    """A league in which the issuer and the operator have an agreement."""
    league = open_books(ctx)
    at = datetime(2026, 10, 20, tzinfo=UTC)
    with ctx.tx() as tx:
        roles: dict[str, trust.Role] = {ISSUER: "issuer", OPERATOR: "operator"}
        known = {one.member_id for one in trust.list_members(tx)}
        missing = [
            trust.Member(trust.MemberId(one), one, role, None, trust.MemberId(one), f"T-{one}")
            for one, role in roles.items()
            if one not in known
        ]
        if missing:
            trust.add_members(tx, missing)
        clearing.propose_agreement(tx, UUID(int=9), AGREED, by="ada", at=at, note="")
        clearing.approve_agreement(tx, UUID(int=9), by="bo", at=at, why="Both sides signed.")
    return league


def test_deadlines_and_a_late_arbitration_follow_the_agreement(league: League) -> None:
    ctx = league.ctx
    raised = claim(ctx, item_of(ctx, ride(league)))
    # Raised on a Friday: two business days end with Tuesday, where the rules alone would give five for this reason.
    assert raised.case.due_at == datetime(2026, 11, 24, 20, tzinfo=UTC)
    do(ctx, SUBWAY, "represent")
    do(ctx, CARD, "escalate")
    pass_days(ctx, 30)

    disputes.turn(ctx)

    with ctx.tx() as tx:
        done = disputes.get_dispute(tx, new(1))
        left = ledger.balance(tx, POSITION).credit_minor
    assert done.case.state == "closed" and [one.amount_minor for one in done.bookings] == [150]
    assert left == 150


def test_an_item_is_too_old_after_the_days_agreed_on(league: League) -> None:
    ctx = league.ctx
    item = item_of(ctx, ride(league))
    pass_days(ctx, 11)

    with pytest.raises(disputes.AskedTooLate, match="within 10 days"):
        claim(ctx, item)

    with ctx.tx() as tx:
        assert disputes.list_disputes(tx) == []


def test_an_agreement_that_begins_later_moves_no_deadline(league: League) -> None:
    ctx = league.ctx
    raised = claim(ctx, item_of(ctx, ride(league)))
    first = date(2026, 11, 21)
    later = AGREED.replace("2026-11-01", str(first)).replace("raised = 2", "raised = 30, represented = 1")
    with ctx.tx() as tx:
        now = ctx.clock.now()
        clearing.propose_agreement(tx, UUID(int=10), later, by="ada", at=now, note="")
        clearing.approve_agreement(tx, UUID(int=10), by="bo", at=now, why="Both sides signed.")
    pass_days(ctx, 3)

    answered = do(ctx, SUBWAY, "represent")

    assert raised.case.due_at is not None and answered.case.due_at is not None
    assert answered.case.due_at - ctx.clock.now() > timedelta(days=10), (
        "still ten business days, as the rules say"
    )
