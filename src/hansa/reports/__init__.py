"""Reports: what members, accountants and auditors read of the league's books.

Closed windows flow in through the doors of clearing, settlement, disputes and rides; statements, matrices, invoices and
audit packs flow out. A report moves no money. Each figure is held against the rooms that it comes from before it is
given out, and opens into what it is made of (docs/reports.md).
"""

from hansa.reports.audit import Pack, audit_pack
from hansa.reports.audit_check import BadPack, check_pack
from hansa.reports.invoice_pdf import invoice_pdf
from hansa.reports.invoice_store import InvoiceRow, list_invoices, parties
from hansa.reports.invoices import Invoice, NoParty, Party, UnknownInvoice
from hansa.reports.invoicing import get_invoice, invoice_period, set_party
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
from hansa.reports.taxes import BadTaxes, NoRate, Taxes, own_taxes, read_taxes
from hansa.reports.ubl import invoice_xml
from hansa.reports.words import LANGUAGES, Language
from hansa.reports.writing import WrittenWindow, write_statements

__all__ = [
    "LANGUAGES",
    "BadPack",
    "BadTaxes",
    "Balance",
    "CurrencyStatement",
    "FiguresDiffer",
    "Invoice",
    "InvoiceRow",
    "Language",
    "Line",
    "NoParty",
    "NoRate",
    "NoStatement",
    "Pack",
    "Party",
    "Section",
    "Statement",
    "Taxes",
    "UnknownInvoice",
    "WrittenWindow",
    "audit_pack",
    "carry",
    "check_pack",
    "get_invoice",
    "invoice_pdf",
    "invoice_period",
    "invoice_xml",
    "list_invoices",
    "own_taxes",
    "parties",
    "read_taxes",
    "set_party",
    "statement",
    "statement_csv",
    "statement_parquet",
    "statement_pdf",
    "write_statements",
]
