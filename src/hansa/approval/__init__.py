"""Approval: who may spend what, and how they approve it. No money moves here.

What is to be paid flows in, a batch at a time; a verdict flows out for each: allowed and counted against limits, to be
approved by a person at a level, or refused. The level comes from a table of policy; a person's approval is bound to the
bytes of the very payment, and its evidence is kept so that anyone can check it again.
"""

from hansa.approval.deciding import Given, decide, give_back, judge, policy_of
from hansa.approval.model import (
    Allowed,
    ApprovalLevel,
    BadPolicy,
    Channel,
    DelegationExceeded,
    LimitReached,
    MandateEnded,
    MandateExceeded,
    Needs,
    NotDelegated,
    Reason,
    Refused,
    Spend,
    SpendDiffers,
    SpendEnded,
    SpendingFrozen,
    UnknownMandate,
    UnratedCurrency,
    Verdict,
)
from hansa.approval.policy import REASONS, Policy, Risk, own_policy, read_policy, required

__all__ = [
    "REASONS",
    "Allowed",
    "ApprovalLevel",
    "BadPolicy",
    "Channel",
    "DelegationExceeded",
    "Given",
    "LimitReached",
    "MandateEnded",
    "MandateExceeded",
    "Needs",
    "NotDelegated",
    "Policy",
    "Reason",
    "Refused",
    "Risk",
    "Spend",
    "SpendDiffers",
    "SpendEnded",
    "SpendingFrozen",
    "UnknownMandate",
    "UnratedCurrency",
    "Verdict",
    "decide",
    "give_back",
    "judge",
    "own_policy",
    "policy_of",
    "read_policy",
    "required",
]
