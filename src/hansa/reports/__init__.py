"""Reports: what members, accountants and auditors read of the league's books.

Closed windows flow in through the doors of clearing, settlement, disputes and rides; statements, matrices, invoices and
audit packs flow out. A report moves no money. Each figure is held against the rooms that it comes from before it is
given out, and opens into what it is made of (docs/reports.md).
"""

from hansa.reports.audit import Pack, audit_pack
from hansa.reports.audit_check import BadPack, check_pack
from hansa.reports.model import (
    Balance,
    CurrencyStatement,
    FiguresDiffer,
    Line,
    NoStatement,
    Section,
    Statement,
)
from hansa.reports.statement_pdf import statement_pdf
from hansa.reports.statements import carry, statement
from hansa.reports.tables import statement_csv, statement_parquet
from hansa.reports.words import LANGUAGES, Language
from hansa.reports.writing import WrittenWindow, write_statements

__all__ = [
    "LANGUAGES",
    "BadPack",
    "Balance",
    "CurrencyStatement",
    "FiguresDiffer",
    "Language",
    "Line",
    "NoStatement",
    "Pack",
    "Section",
    "Statement",
    "WrittenWindow",
    "audit_pack",
    "carry",
    "check_pack",
    "statement",
    "statement_csv",
    "statement_parquet",
    "statement_pdf",
    "write_statements",
]
