"""Disputes: a rider asks for money back, or one member disputes an item of another.

Journeys and items flow in; answers with deadlines flow out, and what is won is booked as items of its own: a refund to
the rider's wallet, a chargeback between two members. Nothing that was booked is ever edited (docs/disputes.md).
"""

from hansa.disputes.actions import (
    act,
    ask_refund,
    count_waiting,
    entered_at,
    find_disputes,
    find_refund,
    get_dispute,
    list_disputes,
    queue,
    raise_dispute,
    settle,
    turn,
)
from hansa.disputes.bundle import BadBundle, Checked
from hansa.disputes.bundle import check as check_bundle
from hansa.disputes.evidence import evidence_bundle
from hansa.disputes.life import FINAL, LIFE, Action, DisputeMoved, Kind, NotYourTurn, Side, State, diagram
from hansa.disputes.model import (
    WORDS_MAX,
    AlreadyAsked,
    AskedTooLate,
    Booking,
    Case,
    Dispute,
    DisputeConflict,
    DisputeId,
    Fact,
    Outcomes,
    Proposal,
    UnknownDispute,
    UnknownItem,
    Waiting,
    Wanted,
)
from hansa.disputes.rules import BadDisputeRules, Rules, own_rules, read_rules
from hansa.disputes.statistics import HIDDEN_BELOW, Line, Published, Quarter, statistics
from hansa.disputes.store import TOPIC

__all__ = [
    "FINAL",
    "HIDDEN_BELOW",
    "LIFE",
    "TOPIC",
    "WORDS_MAX",
    "Action",
    "AlreadyAsked",
    "AskedTooLate",
    "BadBundle",
    "BadDisputeRules",
    "Booking",
    "Case",
    "Checked",
    "Dispute",
    "DisputeConflict",
    "DisputeId",
    "DisputeMoved",
    "Fact",
    "Kind",
    "Line",
    "NotYourTurn",
    "Outcomes",
    "Proposal",
    "Published",
    "Quarter",
    "Rules",
    "Side",
    "State",
    "UnknownDispute",
    "UnknownItem",
    "Waiting",
    "Wanted",
    "act",
    "ask_refund",
    "check_bundle",
    "count_waiting",
    "diagram",
    "entered_at",
    "evidence_bundle",
    "find_disputes",
    "find_refund",
    "get_dispute",
    "list_disputes",
    "own_rules",
    "queue",
    "raise_dispute",
    "read_rules",
    "settle",
    "statistics",
    "turn",
]
