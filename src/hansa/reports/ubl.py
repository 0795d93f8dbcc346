"""An invoice as XML that accounting programs load: UBL 2.1 by EN 16931. Pure.

Source: EN 16931-1 (business terms), CEN/TS 16931-3-2 (their places in UBL).
"""

from xml.sax.saxutils import escape, quoteattr

from hansa.reports.invoices import FeeLine, Invoice, Party

_COMMON = (
    'xmlns:cac="urn:oasis:names:specification:ubl:schema:xsd:CommonAggregateComponents-2" '
    'xmlns:cbc="urn:oasis:names:specification:ubl:schema:xsd:CommonBasicComponents-2"'
)


def invoice_xml(invoice: Invoice) -> bytes:
    """The document as UBL Invoice or CreditNote; the same document gives the same bytes."""
    root = "Invoice" if invoice.kind == "invoice" else "CreditNote"
    lines = "".join(_line(invoice, line, number) for number, line in enumerate(invoice.lines, 1))
    due = _basic("DueDate", invoice.due_on.isoformat()) if root == "Invoice" else ""
    terms = (
        f"The net was settled in the league's clearing; the tax is due by {invoice.due_on.isoformat()}."
        if invoice.due
        else "Settled in the league's clearing; nothing is to be paid."
    )
    billing = (
        f"<cac:BillingReference><cac:InvoiceDocumentReference>{_basic('ID', invoice.corrects)}"
        "</cac:InvoiceDocumentReference></cac:BillingReference>"
        if invoice.corrects
        else ""
    )
    body = (
        _basic("CustomizationID", "urn:cen.eu:en16931:2017")
        + _basic("ID", invoice.number)
        + _basic("IssueDate", invoice.issued_on.isoformat())
        + due
        + _basic(f"{root}TypeCode", invoice.type_code)
        + _basic("DocumentCurrencyCode", invoice.currency)
        + f"<cac:InvoicePeriod>{_basic('StartDate', invoice.first_day.isoformat())}"
        f"{_basic('EndDate', invoice.last_day.isoformat())}</cac:InvoicePeriod>"
        + billing
        + f"<cac:AccountingSupplierParty>{_party(invoice, invoice.seller)}</cac:AccountingSupplierParty>"
        + f"<cac:AccountingCustomerParty>{_party(invoice, invoice.buyer)}</cac:AccountingCustomerParty>"
        + f"<cac:PaymentTerms>{_basic('Note', terms)}</cac:PaymentTerms>"
        + _tax(invoice)
        + "<cac:LegalMonetaryTotal>"
        + _amount(invoice, "LineExtensionAmount", invoice.net)
        + _amount(invoice, "TaxExclusiveAmount", invoice.net)
        + _amount(invoice, "TaxInclusiveAmount", invoice.gross)
        + _amount(invoice, "PrepaidAmount", invoice.paid)
        + _amount(invoice, "PayableAmount", invoice.due)
        + "</cac:LegalMonetaryTotal>"
        + lines
    )
    space = f"urn:oasis:names:specification:ubl:schema:xsd:{root}-2"
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<{root} xmlns="{space}" {_COMMON}>{body}</{root}>\n'.encode()


def _party(invoice: Invoice, party: Party) -> str:
    # BR-O-02: a document that is not subject to tax bears no tax numbers.
    number = "" if invoice.tax.category == "O" else party.tax_number
    scheme = (
        f"<cac:PartyTaxScheme>{_basic('CompanyID', number)}<cac:TaxScheme>{_basic('ID', 'VAT')}</cac:TaxScheme>"
        "</cac:PartyTaxScheme>"
        if number
        else ""
    )
    return (
        f"<cac:Party><cac:PartyIdentification>{_basic('ID', party.member_id)}</cac:PartyIdentification>"
        f"<cac:PostalAddress>{_basic('StreetName', party.street)}{_basic('CityName', party.city)}"
        f"{_basic('PostalZone', party.post_code)}<cac:Country>{_basic('IdentificationCode', party.country)}"
        f"</cac:Country></cac:PostalAddress>{scheme}"
        f"<cac:PartyLegalEntity>{_basic('RegistrationName', party.legal_name)}</cac:PartyLegalEntity></cac:Party>"
    )


def _tax(invoice: Invoice) -> str:
    tax = invoice.tax
    reason = (_basic("TaxExemptionReasonCode", tax.reason_code) if tax.reason_code else "") + (
        _basic("TaxExemptionReason", tax.reason) if tax.reason else ""
    )
    return (
        f"<cac:TaxTotal>{_amount(invoice, 'TaxAmount', invoice.tax_minor)}<cac:TaxSubtotal>"
        f"{_amount(invoice, 'TaxableAmount', invoice.net)}{_amount(invoice, 'TaxAmount', invoice.tax_minor)}"
        f"<cac:TaxCategory>{_category(invoice)}{reason}<cac:TaxScheme>{_basic('ID', 'VAT')}</cac:TaxScheme>"
        "</cac:TaxCategory></cac:TaxSubtotal></cac:TaxTotal>"
    )


def _category(invoice: Invoice) -> str:
    percent = invoice.tax.percent
    return _basic("ID", invoice.tax.category) + ("" if percent is None else _basic("Percent", percent))


def _line(invoice: Invoice, line: FeeLine, number: int) -> str:
    name, quantity = (
        ("InvoiceLine", "InvoicedQuantity")
        if invoice.kind == "invoice"
        else ("CreditNoteLine", "CreditedQuantity")
    )
    minor = invoice.sign * line.minor
    # A price is never below zero (BR-27): what is taken back is a quantity below zero.
    return (
        f"<cac:{name}>{_basic('ID', str(number))}"
        f"{_basic(quantity, '1' if minor >= 0 else '-1', unitCode='C62')}"
        f"{_amount(invoice, 'LineExtensionAmount', minor)}"
        f"<cac:Item>{_basic('Name', invoice.line_words(line))}<cac:ClassifiedTaxCategory>{_category(invoice)}"
        f"<cac:TaxScheme>{_basic('ID', 'VAT')}</cac:TaxScheme></cac:ClassifiedTaxCategory></cac:Item>"
        f"<cac:Price>{_amount(invoice, 'PriceAmount', abs(minor))}</cac:Price></cac:{name}>"
    )


def _amount(invoice: Invoice, name: str, minor: int) -> str:
    return _basic(name, invoice.money(minor).decimal(), currencyID=invoice.currency)


def _basic(name: str, text: str, **attributes: str) -> str:
    more = "".join(f" {key}={quoteattr(value)}" for key, value in attributes.items())
    return f"<cbc:{name}{more}>{escape(text)}</cbc:{name}>"
