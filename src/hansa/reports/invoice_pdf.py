"""An invoice on paper, in English or Chinese."""

from hansa.reports.invoices import Invoice, Party
from hansa.reports.paper import Column, Paper
from hansa.reports.words import Language, say


def invoice_pdf(invoice: Invoice, language: Language = "en") -> bytes:
    """A document as PDF, A4; the same document gives the same bytes."""
    title = say("Invoice" if invoice.kind == "invoice" else "Credit note", language)
    paper = Paper(
        title=f"{title} {invoice.number}",
        running_head=invoice.seller.legal_name,
        foot=invoice.number,
        page_words=say("page", language),
    )
    paper.heading(f"{title} {invoice.number}")
    facts = [
        (say("Issue date", language), invoice.issued_on.isoformat()),
        (say("Period", language), f"{invoice.first_day.isoformat()} – {invoice.last_day.isoformat()}"),
        (say("Due date", language), invoice.due_on.isoformat()),
    ]
    if invoice.corrects:
        facts.append((say("Corrects", language), invoice.corrects))
    paper.facts(facts)
    paper.space(12)
    paper.facts(
        [
            (say("Seller", language), invoice.seller.legal_name),
            (say("Buyer", language), invoice.buyer.legal_name),
            *(pair for name in ("street", "city") for pair in _both(invoice, name)),
            ("", f"{invoice.seller.post_code} {invoice.seller.country}"),
            ("", f"{invoice.buyer.post_code} {invoice.buyer.country}"),
            (say("Tax number", language), _number(invoice, invoice.seller)),
            (say("Tax number", language), _number(invoice, invoice.buyer)),
        ]
    )
    paper.space(12)
    paper.table(
        [
            Column(say("Description", language), 5),
            Column(say("Category", language), 0.8),
            Column(say("Rate", language), 0.8, right=True),
            Column(f"{say('Net', language)} {invoice.currency}", 1.6, right=True),
        ],
        [
            (
                invoice.line_words(line),
                invoice.tax.category,
                _percent(invoice),
                _figure(invoice, invoice.sign * line.minor),
            )
            for line in invoice.lines
        ],
    )
    paper.table(
        [Column("", 4), Column(invoice.currency, 1.4, right=True)],
        [
            (say("Total without tax", language), _figure(invoice, invoice.net)),
            (
                f"{say('Total tax', language)} ({invoice.tax.category} {_percent(invoice)})",
                _figure(invoice, invoice.tax_minor),
            ),
            (say("Total with tax", language), _figure(invoice, invoice.gross)),
            (say("Already settled", language), _figure(invoice, -invoice.paid)),
        ],
        foot=(say("Amount due", language), _figure(invoice, invoice.due)),
    )
    if invoice.tax.reason:
        paper.text(invoice.tax.reason + ".")
    if not invoice.due:
        paper.text(say("Settled through the league's clearing; nothing is to be paid.", language))
    return paper.finish()


def _both(invoice: Invoice, name: str) -> list[tuple[str, str]]:
    return [("", str(getattr(party, name))) for party in (invoice.seller, invoice.buyer)]


def _number(invoice: Invoice, party: Party) -> str:
    return "-" if invoice.tax.category == "O" else party.tax_number or "-"


def _percent(invoice: Invoice) -> str:
    return "" if invoice.tax.percent is None else f"{invoice.tax.percent} %"


def _figure(invoice: Invoice, minor: int) -> str:
    whole, dot, fraction = invoice.money(abs(minor)).decimal().partition(".")
    return f"{'-' if minor < 0 else ''}{int(whole):,}{dot}{fraction}"
