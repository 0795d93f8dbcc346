"""Reconciliation: every figure of a day explained by what it is made of, and a member's own list held against ours.

Closed windows, the ledger's items, charges with their taps, and what banks moved flow in through the doors of their
rooms; so do files of members. Proofs of days flow out, and what has no partner, with its age and with what it might
belong to. Nothing here moves money (docs/reconciliation.md).
"""

from hansa.reconciliation.actions import PROGRAM, Prover, get_proof, list_proofs, prove_day, prove_due
from hansa.reconciliation.files import BadFile
from hansa.reconciliation.matching import (
    Compared,
    Decided,
    Left,
    NoProfile,
    NotClosed,
    RowsTaken,
    SamePerson,
    UnknownFile,
    UnknownMatch,
    UnknownProposal,
    compared,
    decide,
    get_file,
    get_profile,
    list_files,
    list_free,
    list_matches,
    list_proposals,
    propose_match,
    propose_undo,
    read_file,
    set_profile,
    suggestions,
)
from hansa.reconciliation.matching_store import Match, MemberFile, Proposal
from hansa.reconciliation.model import Finding, Proof, Step, StepName, UnknownProof, Verdict
from hansa.reconciliation.profiles import BadProfile, FileProfile, Rule, read_profile
from hansa.reconciliation.rules import Row
from hansa.reconciliation.suggestions import Suggestion

__all__ = [
    "PROGRAM",
    "BadFile",
    "BadProfile",
    "Compared",
    "Decided",
    "FileProfile",
    "Finding",
    "Left",
    "Match",
    "MemberFile",
    "NoProfile",
    "NotClosed",
    "Proof",
    "Proposal",
    "Prover",
    "Row",
    "RowsTaken",
    "Rule",
    "SamePerson",
    "Step",
    "StepName",
    "Suggestion",
    "UnknownFile",
    "UnknownMatch",
    "UnknownProof",
    "UnknownProposal",
    "Verdict",
    "compared",
    "decide",
    "get_file",
    "get_profile",
    "get_proof",
    "list_files",
    "list_free",
    "list_matches",
    "list_proofs",
    "list_proposals",
    "propose_match",
    "propose_undo",
    "prove_day",
    "prove_due",
    "read_file",
    "read_profile",
    "set_profile",
    "suggestions",
]
