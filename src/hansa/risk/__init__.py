"""Risk: what taps, refused codes and phones tell of fraud.

In flow taps and refused codes in the order of their receipt; out flow cases with their evidence, rotated tokens and
accounts that must step up. It changes no money.
"""

from hansa.risk.actions import (
    Watcher,
    count_cases,
    decide,
    get_case,
    list_cases,
    rule_of,
    rules_in_force,
    use_rules,
)
from hansa.risk.doors import LEAGUE_FEED, LEAGUE_HANDS, seen, turned
from hansa.risk.feed import Broken, Feed, Hands, Heard
from hansa.risk.model import (
    SEVERITIES,
    STATUSES,
    BadRules,
    Case,
    CaseDecided,
    CaseId,
    Evidence,
    Facts,
    Finding,
    Point,
    Revoked,
    RuleCount,
    Seen,
    Taken,
    Turned,
    UnknownCase,
    WatchCounts,
    case_id_of,
)
from hansa.risk.rules import Rule, RuleSet, own_rules, read_rules
from hansa.risk.store import Asked

__all__ = [
    "LEAGUE_FEED",
    "LEAGUE_HANDS",
    "SEVERITIES",
    "STATUSES",
    "Asked",
    "BadRules",
    "Broken",
    "Case",
    "CaseDecided",
    "CaseId",
    "Evidence",
    "Facts",
    "Feed",
    "Finding",
    "Hands",
    "Heard",
    "Point",
    "Revoked",
    "Rule",
    "RuleCount",
    "RuleSet",
    "Seen",
    "Taken",
    "Turned",
    "UnknownCase",
    "WatchCounts",
    "Watcher",
    "case_id_of",
    "count_cases",
    "decide",
    "get_case",
    "list_cases",
    "own_rules",
    "read_rules",
    "rule_of",
    "rules_in_force",
    "seen",
    "turned",
    "use_rules",
]
