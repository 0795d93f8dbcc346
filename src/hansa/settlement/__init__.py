"""Settlement: the money really moves.

Net positions of closed days flow in from clearing; bank files flow out, one pain.001 per day and currency. Bank
statements (camt.053) flow back in and are matched with what was instructed; what agrees is booked and, once a day is
complete, members have earned what they were due. What does not agree waits as a break for a person.
"""

from hansa.settlement import desk
from hansa.settlement.actions import (
    LEAGUE_BANK,
    file_document,
    finish,
    gaps,
    list_files,
    open_breaks,
    progress,
    read_statement,
    window_of,
    write_files,
)
from hansa.settlement.bank import Bank, BankRefused, Mishap, SimulatedBank
from hansa.settlement.delivery import FolderLink, HttpLink, Link, NoAnswer, TurnedAway
from hansa.settlement.forms import FORMS
from hansa.settlement.iso20022 import DocumentRefused, read_xml
from hansa.settlement.life import Answer, State, Step
from hansa.settlement.model import (
    BadStatement,
    BankFile,
    Break,
    BreakKind,
    DayNotClosed,
    Direction,
    FileDiffers,
    FileRecord,
    Gap,
    NotByNets,
    Progress,
    Reconciliation,
    StatementDiffers,
    UnknownFile,
    settlement_account,
)
from hansa.settlement.moved import bank_transfers, earned_transfers
from hansa.settlement.pain001 import validate_pain001
from hansa.settlement.papers import Paper, papers_of
from hansa.settlement.planning import NotPayable
from hansa.settlement.profile import BadProfile, Profile, read_profile
from hansa.settlement.profile import Calendar as BankCalendar
from hansa.settlement.signing import BadSignature

__all__ = [
    "FORMS",
    "LEAGUE_BANK",
    "Answer",
    "BadProfile",
    "BadSignature",
    "BadStatement",
    "Bank",
    "BankCalendar",
    "BankFile",
    "BankRefused",
    "Break",
    "BreakKind",
    "DayNotClosed",
    "Direction",
    "DocumentRefused",
    "FileDiffers",
    "FileRecord",
    "FolderLink",
    "Gap",
    "HttpLink",
    "Link",
    "Mishap",
    "NoAnswer",
    "NotByNets",
    "NotPayable",
    "Paper",
    "Profile",
    "Progress",
    "Reconciliation",
    "SimulatedBank",
    "State",
    "StatementDiffers",
    "Step",
    "TurnedAway",
    "UnknownFile",
    "bank_transfers",
    "desk",
    "earned_transfers",
    "file_document",
    "finish",
    "gaps",
    "list_files",
    "open_breaks",
    "papers_of",
    "progress",
    "read_profile",
    "read_statement",
    "read_xml",
    "settlement_account",
    "validate_pain001",
    "window_of",
    "write_files",
]
