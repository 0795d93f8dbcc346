"""Settlement: the money really moves.

Net positions of closed days flow in from clearing; bank files flow out, one pain.001 per day and currency. Bank
statements (camt.053) flow back in and are matched with what was instructed; what agrees is booked and, once a day is
complete, members have earned what they were due. What does not agree waits as a break for a person.
"""

from hansa.settlement.actions import (
    LEAGUE_BANK,
    file_document,
    finish,
    list_files,
    open_breaks,
    progress,
    read_statement,
    write_files,
)
from hansa.settlement.bank import Bank, BankRefused, Mishap, SimulatedBank
from hansa.settlement.model import (
    BadStatement,
    BankFile,
    Break,
    BreakKind,
    DayNotClosed,
    Direction,
    FileDiffers,
    FileRecord,
    Progress,
    Reconciliation,
    StatementDiffers,
    UnknownFile,
    settlement_account,
)
from hansa.settlement.pain001 import validate_pain001

__all__ = [
    "LEAGUE_BANK",
    "BadStatement",
    "Bank",
    "BankFile",
    "BankRefused",
    "Break",
    "BreakKind",
    "DayNotClosed",
    "Direction",
    "FileDiffers",
    "FileRecord",
    "Mishap",
    "Progress",
    "Reconciliation",
    "SimulatedBank",
    "StatementDiffers",
    "UnknownFile",
    "file_document",
    "finish",
    "list_files",
    "open_breaks",
    "progress",
    "read_statement",
    "settlement_account",
    "validate_pain001",
    "write_files",
]
