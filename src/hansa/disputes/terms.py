"""What two members agreed on about disputed items, and the league's rules where they agreed on nothing.

A fee for a chargeback is taken by clearing with the item itself. Here the time limits count, and the share that a late
arbitration gives.
"""

from collections.abc import Mapping
from datetime import datetime

from hansa import clearing
from hansa.disputes.life import Kind, State
from hansa.disputes.model import Case
from hansa.disputes.rules import Rules
from hansa.store import Tx


def agreed(tx: Tx, case: Case, settings: clearing.Settings) -> clearing.ChargebackTerms:
    """The terms of the two for chargebacks, by the agreement of the business day on which the item was disputed.

    So a new agreement moves no deadline of a dispute that runs. Between a rider and an operator there are none.
    """
    if case.kind is Kind.REFUND:
        return clearing.ChargebackTerms()
    day = settings.day_of(case.raised_at)
    found = clearing.terms_of(tx, case.issuer_id, case.operator_id, "chargeback", day, currency=case.currency)
    return found.chargeback


def due_at(
    tx: Tx, case: Case, rules: Rules, state: State, *, since: datetime, settings: clearing.Settings
) -> datetime | None:
    """When a state entered at an instant comes to its deadline; None where it has none."""
    days: Mapping[str, int] = agreed(tx, case, settings).days
    return rules.due_at(case.kind, state, case.reason, since=since, settings=settings, agreed=days)


def undecided_minor(tx: Tx, case: Case, rules: Rules) -> int:
    """What of the claim an arbitration gives whose time has passed."""
    share = agreed(tx, case, clearing.get_settings(tx)).undecided_bp
    return case.claim_minor * (rules.items.undecided_bp if share is None else share) // 10_000
