"""Invoices for fees: numbered without gaps, by the rules of EN 16931, and corrected by credit notes."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from xml.etree import ElementTree

import psycopg
import pytest

from clearing.example_day import DAY, open_league, ride_all
from hansa import reports, trust
from hansa.kernel import InvalidInput, round_half_even
from hansa.reports.taxes import tax_between
from hansa.store import Context
from reports.test_statements import NEXT, close, ride

FIRST = date(2026, 11, 1)
COUNTRIES = {"beijing": "CN", "hangzhou": "CN", "hong-kong": "HK", "league": "DE"}


def tell_parties(ctx: Context, countries: dict[str, str] = COUNTRIES) -> None:
    for member, country in countries.items():
        reports.set_party(
            ctx,
            reports.Party(
                member,
                f"{member.title()} & Sons",
                "Main Street 1",
                member.title(),
                "10000",
                country,
                f"{country}123456789",
                FIRST,
            ),
            by="league:anna",
        )


def no_step(_: str) -> None:
    """Nobody pulls the plug."""


def invoiced(
    ctx: Context, last: date = DAY, *, step: Callable[[str], None] = no_step
) -> list[reports.Invoice]:
    return reports.invoice_period(ctx, FIRST, last, by="league:anna", step=step)


def day_over(ctx: Context, day: date = DAY) -> None:
    close(ctx, day)


# seller | buyer | currency | net | tax | category; the fees are those of docs/clearing.md. Beijing's card and subway
# are one to the tax office, since nobody has told them apart: no invoice.
EXAMPLE = [
    ("beijing-card", "hangzhou-metro", "CNY", 6, 0, "S"),
    ("beijing-card", "hong-kong-mtr", "HKD", 14, 0, "O"),
    ("hangzhou-card", "beijing-subway", "CNY", 11, 1, "S"),
    ("hangzhou-card", "hong-kong-mtr", "HKD", 24, 0, "O"),
    ("hong-kong-card", "beijing-subway", "CNY", 7, 0, "O"),
    ("league", "beijing-subway", "CNY", 6, 0, "O"),
    ("league", "hangzhou-metro", "CNY", 1, 0, "O"),
    ("league", "hong-kong-mtr", "HKD", 9, 0, "O"),
]


def test_the_fees_of_the_worked_example_are_invoiced(ctx: Context) -> None:
    ride_all(ctx)
    tell_parties(ctx)
    day_over(ctx)

    made = invoiced(ctx)

    assert [
        (
            one.seller.member_id,
            one.buyer.member_id,
            one.currency,
            one.net,
            one.tax_minor,
            one.tax.category,
        )
        for one in made
    ] == EXAMPLE
    assert [one.number for one in made if one.seller.member_id == "league"] == [
        "league-000001",
        "league-000002",
        "league-000003",
    ]
    with ctx.tx() as tx:
        assert [reports.get_invoice(tx, one.number) for one in made] == made
        rows = reports.list_invoices(tx, member_id="hangzhou-metro")
    assert [(one.number, one.net_minor) for one in rows] == [("league-000002", 1), ("beijing-card-000001", 6)]


def test_invoicing_again_gives_nothing_and_a_period_of_corrections_is_credited(ctx: Context) -> None:
    open_league(ctx)
    tell_parties(ctx)
    ride(ctx, [300], [("hangzhou-card", "beijing-subway", 100_000)])
    day_over(ctx)
    close(ctx, NEXT)
    last = NEXT
    first = invoiced(ctx, last)
    assert invoiced(ctx, last) == []

    later = NEXT + timedelta(days=1)
    ride(ctx, [301], [("hangzhou-card", "beijing-subway", -60_000)])
    close(ctx, later)
    assert invoiced(ctx, last) == []
    credited = reports.invoice_period(ctx, later, later, by="league:anna")

    assert [(one.number, one.kind, one.net) for one in first] == [
        ("hangzhou-card-000001", "invoice", 1_200),
        ("league-000001", "invoice", 300),
    ]
    assert [(one.number, one.kind, one.net, one.corrects) for one in credited] == [
        ("hangzhou-card-000002", "credit note", 720, "hangzhou-card-000001"),
        ("league-000002", "credit note", 180, "league-000001"),
    ]
    for one in credited:
        check_en16931(one)


def test_no_day_is_invoiced_with_two_periods(ctx: Context) -> None:
    ride_all(ctx)
    tell_parties(ctx)
    day_over(ctx)
    close(ctx, NEXT)
    made = invoiced(ctx)

    with pytest.raises(InvalidInput, match="one period"):
        invoiced(ctx, NEXT)

    with ctx.tx() as tx:
        assert len(reports.list_invoices(tx)) == len(made)


def test_a_credit_note_takes_back_what_the_same_period_lost(
    ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    from hansa.reports import invoicing

    ride_all(ctx)
    tell_parties(ctx)
    day_over(ctx)
    first = invoiced(ctx)
    fees = invoicing.fees_of

    def less(positions: object) -> object:
        return {
            key: [replace(line, minor=line.minor - 5, items=line.items + 1) for line in lines]
            for key, lines in fees(positions).items()  # type: ignore[arg-type]
            if key == ("hangzhou-card", "beijing-subway", "CNY")
        }

    monkeypatch.setattr(invoicing, "fees_of", less)

    (note,) = invoiced(ctx)

    before = next(one for one in first if one.seller.member_id == "hangzhou-card" and one.currency == "CNY")
    assert (note.kind, note.type_code, note.net, note.corrects) == ("credit note", "381", 5, before.number)
    assert note.number == "hangzhou-card-000003"
    check_en16931(note)
    assert invoiced(ctx) == []


class Killed(Exception):
    """The process was killed here."""


def test_a_kill_leaves_no_gap(ctx: Context) -> None:
    ride_all(ctx)
    tell_parties(ctx)
    day_over(ctx)

    def kill(step: str) -> None:
        if step == "numbered hangzhou-card":
            raise Killed

    with pytest.raises(Killed):
        invoiced(ctx, step=kill)
    made = invoiced(ctx)

    assert sorted((one.seller.member_id, one.number) for one in made) == sorted(
        (seller, f"{seller}-{n:06d}")
        for seller, n in [
            *(("hangzhou-card", 1), ("hangzhou-card", 2), ("hong-kong-card", 1)),
            *(("league", 1), ("league", 2), ("league", 3)),
        ]
    )


def test_races_give_each_number_once_and_leave_no_gap(committed_ctx: Context) -> None:
    ctx = committed_ctx
    ride_all(ctx)
    tell_parties(ctx)
    day_over(ctx)

    with ThreadPoolExecutor(4) as pool:
        made = [one for some in pool.map(invoiced, [ctx] * 4) for one in some]

    assert len(made) == len(EXAMPLE)
    with ctx.tx() as tx:
        rows = reports.list_invoices(tx)
    for seller in {one.seller_id for one in rows}:
        numbers = sorted(one.n for one in rows if one.seller_id == seller)
        assert numbers == list(range(1, len(numbers) + 1))


def test_the_database_refuses_a_gap_and_a_change(ctx: Context) -> None:
    ride_all(ctx)
    tell_parties(ctx)
    day_over(ctx)
    invoiced(ctx)

    for statement in (
        "update reports.invoices set net_minor = net_minor + 1",
        "delete from reports.invoices",
        "insert into reports.invoices select seller_id, 9, 'x', kind, buyer_id, currency, first_day, last_day,"
        " issued_on, net_minor, tax_minor, body, digest, made_by, made_at from reports.invoices limit 1",
    ):
        with pytest.raises(psycopg.errors.RestrictViolation), ctx.tx() as tx:
            tx.execute(statement)  # type: ignore[arg-type]


def test_without_a_party_or_a_rate_no_number_is_given(ctx: Context) -> None:
    ride_all(ctx)
    day_over(ctx)

    with pytest.raises(reports.NoParty, match="beijing-card"):
        invoiced(ctx)
    tell_parties(ctx, COUNTRIES | {"hong-kong": "AQ"})
    with pytest.raises(reports.NoRate, match="AQ"):
        invoiced(ctx)

    with ctx.tx() as tx:
        assert reports.list_invoices(tx) == []


def test_a_period_that_is_not_over_is_not_invoiced(ctx: Context) -> None:
    ride_all(ctx)
    tell_parties(ctx)
    day_over(ctx)

    with pytest.raises(InvalidInput, match="over"):
        invoiced(ctx, NEXT)
    with pytest.raises(InvalidInput, match="has a day"):
        reports.invoice_period(ctx, DAY, FIRST, by="league:anna")


def test_who_a_member_is_holds_from_a_day_on(ctx: Context) -> None:
    open_league(ctx)
    tell_parties(ctx)
    with ctx.tx() as tx:
        before = reports.parties(tx, DAY)["beijing"]

    reports.set_party(ctx, replace(before, street="Elsewhere 2", valid_from=NEXT), by="league:anna")
    reports.set_party(ctx, before, by="league:anna")
    with pytest.raises(InvalidInput, match="told already"):
        reports.set_party(ctx, replace(before, street="Another 3"), by="league:anna")
    with pytest.raises(InvalidInput, match="tax office"):
        reports.set_party(ctx, replace(before, country="china", legal_name=" "), by="league:anna")
    with pytest.raises(trust.UnknownMember):
        reports.set_party(ctx, replace(before, member_id="atlantis"), by="league:anna")

    with ctx.tx() as tx:
        assert reports.parties(tx, DAY)["beijing"] == before
        assert reports.parties(tx, NEXT)["beijing"].street == "Elsewhere 2"


@pytest.mark.parametrize(
    ("seller", "buyer", "category", "percent"),
    [
        ("GB", "GB", "S", "20"),
        ("FI", "FI", "S", "25.5"),
        ("DE", "FR", "AE", "0"),
        ("DE", "GB", "O", None),
        ("CN", "HK", "O", None),
        ("HK", "HK", "O", None),
    ],
)
def test_which_tax_holds(seller: str, buyer: str, category: str, percent: str | None) -> None:
    tax = tax_between(reports.own_taxes(), seller, buyer, DAY)

    assert (tax.category, tax.percent) == (category, percent)


# --- the rules of EN 16931, as far as they concern our documents

CBC = "{urn:oasis:names:specification:ubl:schema:xsd:CommonBasicComponents-2}"
CAC = "{urn:oasis:names:specification:ubl:schema:xsd:CommonAggregateComponents-2}"


def check_en16931(invoice: reports.Invoice) -> None:
    """The rules that an EN 16931 validator asks of such a document, worked out anew from its XML."""
    root = ElementTree.fromstring(reports.invoice_xml(invoice))
    kind = root.tag.rpartition("}")[2]

    def text(path: str, under: ElementTree.Element = root) -> str:
        found = under.find(path.replace("cbc:", CBC).replace("cac:", CAC))
        assert found is not None and found.text, path
        return found.text

    def every(path: str, under: ElementTree.Element = root) -> list[ElementTree.Element]:
        return under.findall(path.replace("cbc:", CBC).replace("cac:", CAC))

    assert text("cbc:CustomizationID") == "urn:cen.eu:en16931:2017"  # BR-01
    assert text("cbc:ID") == invoice.number  # BR-02
    assert date.fromisoformat(text("cbc:IssueDate"))  # BR-03
    assert text(f"cbc:{kind}TypeCode") == {"Invoice": "380", "CreditNote": "381"}[kind]  # BR-04
    assert text("cbc:DocumentCurrencyCode") == invoice.currency  # BR-05
    for side in ("Supplier", "Customer"):  # BR-06 to BR-11, BR-CO-26
        party = f"cac:Accounting{side}Party/cac:Party"
        assert text(f"{party}/cac:PartyLegalEntity/cbc:RegistrationName")
        assert len(text(f"{party}/cac:PostalAddress/cac:Country/cbc:IdentificationCode")) == 2
        assert text(f"{party}/cac:PartyIdentification/cbc:ID")
    lines = every(f"cac:{kind}Line")
    assert lines  # BR-16
    total = "cac:LegalMonetaryTotal/cbc:"
    line_sum = Decimal(0)
    for line in lines:
        net = Decimal(text("cbc:LineExtensionAmount", line))  # BR-24
        quantity = Decimal(text(f"cbc:{'Invoiced' if kind == 'Invoice' else 'Credited'}Quantity", line))
        price = Decimal(text("cac:Price/cbc:PriceAmount", line))
        assert price >= 0 and quantity * price == net  # BR-27
        assert text("cac:Item/cbc:Name", line)  # BR-25
        line_sum += net
    assert Decimal(text(f"{total}LineExtensionAmount")) == line_sum  # BR-CO-10
    net = Decimal(text(f"{total}TaxExclusiveAmount"))
    assert net == line_sum and net > 0  # BR-CO-13
    tax = Decimal(text("cac:TaxTotal/cbc:TaxAmount"))
    assert tax == Decimal(text("cac:TaxTotal/cac:TaxSubtotal/cbc:TaxAmount"))  # BR-CO-14
    gross = Decimal(text(f"{total}TaxInclusiveAmount"))
    assert gross == net + tax  # BR-CO-15
    assert Decimal(text(f"{total}PayableAmount")) == gross - Decimal(
        text(f"{total}PrepaidAmount")
    )  # BR-CO-16
    assert (
        Decimal(text("cac:TaxTotal/cac:TaxSubtotal/cbc:TaxableAmount")) == net
    )  # BR-S-08, BR-O-08, BR-AE-08
    category = text("cac:TaxTotal/cac:TaxSubtotal/cac:TaxCategory/cbc:ID")
    percents = {one.text for one in every(f"cac:{kind}Line/cac:Item/cac:ClassifiedTaxCategory/cbc:Percent")}
    numbers = every(".//cac:PartyTaxScheme/cbc:CompanyID")
    reasons = every("cac:TaxTotal/cac:TaxSubtotal/cac:TaxCategory/cbc:TaxExemptionReason")
    if category == "O":
        assert not percents and not numbers and reasons and tax == 0  # BR-O-02, -05, -09, -10
    elif category == "AE":
        assert percents == {"0"} and len(numbers) == 2 and reasons and tax == 0  # BR-AE-02, -05, -09, -10
    else:
        (percent,) = percents
        assert category == "S" and percent is not None and numbers and not reasons  # BR-S-02, -05, -10
        minor = round_half_even(Fraction(int(net * 100)) * Fraction(percent) / 100)
        assert tax == Decimal(minor) / 100  # BR-S-09
    if Decimal(text(f"{total}PayableAmount")) > 0:
        assert text("cac:PaymentTerms/cbc:Note")  # BR-CO-25
    if kind == "CreditNote":
        assert text("cac:BillingReference/cac:InvoiceDocumentReference/cbc:ID")


@pytest.mark.parametrize("league", ["DE", "CN"])
def test_what_accountants_load_keeps_the_rules(ctx: Context, league: str) -> None:
    ride_all(ctx)
    tell_parties(ctx, COUNTRIES | {"league": league, "beijing": "FR" if league == "DE" else "CN"})
    day_over(ctx)

    made = invoiced(ctx)

    for one in made:
        check_en16931(one)
        assert reports.invoice_xml(one) == reports.invoice_xml(one)
        assert reports.invoice_pdf(one, "zh").startswith(b"%PDF-1.")
    assert {one.tax.category for one in made} == ({"AE", "O"} if league == "DE" else {"S", "O"})
