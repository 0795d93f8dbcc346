"""HTTP for reports: statements, matrix, ageing, revenue, invoices, audit packs. A member reads its own."""

import tempfile
from datetime import date, datetime
from pathlib import Path
from typing import Annotated

import msgspec
from litestar import Response, get, post, put
from litestar.di import NamedDependency
from litestar.params import FromQuery, JSONBody, PathParameter, QueryParameter

from hansa import clearing, ledger, trust
from hansa.kernel import InvalidInput, Money, Problem, paged
from hansa.reports import ageing, invoice_store, invoicing
from hansa.reports.audit import audit_pack
from hansa.reports.invoice_pdf import invoice_pdf
from hansa.reports.invoices import Invoice, NoParty, Party, UnknownInvoice
from hansa.reports.matrix import matrix_of
from hansa.reports.model import NoStatement, Statement
from hansa.reports.statement_pdf import statement_pdf
from hansa.reports.statements import statement
from hansa.reports.tables import statement_csv, statement_parquet
from hansa.reports.taxes import NoRate
from hansa.reports.ubl import invoice_xml
from hansa.reports.words import Language
from hansa.rides.revenue import revenue
from hansa.store import Context, Tx

WindowName = Annotated[str, PathParameter(max_length=60, description="A window's id, as daily-20261117")]
MemberName = Annotated[str, PathParameter(max_length=100)]
Number = Annotated[str, PathParameter(max_length=120)]
Words = Annotated[Language, QueryParameter(description="Of the PDF")]
REVENUE_DAYS_MAX = 400

MEDIA = {
    "pdf": "application/pdf",
    "csv": "text/csv; charset=utf-8; header=present",
    "parquet": "application/vnd.apache.parquet",
    "xml": "application/xml",
}


class LineView(msgspec.Struct, frozen=True):
    """A line of a statement. amount: what it adds to what the member is to receive."""

    section: str
    counterparty_id: str
    issuer_id: str
    operator_id: str
    product: str
    kind: str
    count: int
    amount: Money
    reference: str


class CurrencyView(msgspec.Struct, frozen=True):
    """A statement in one currency: closing = opening + net - paid, and opening + all lines = closing."""

    currency: str
    opening: Money
    net: Money
    paid: Money
    closing: Money
    lines: list[LineView]


class StatementView(msgspec.Struct, frozen=True):
    """A member's statement of a window. settles: whether it settles for itself, and so has balances."""

    member_id: str
    window_id: str
    day: date
    settles: bool
    clears_as: str
    closed_at: datetime | None
    currencies: list[CurrencyView]


class CellView(msgspec.Struct, frozen=True):
    """What an issuer owes an operator. heat: from 0, nothing, to 5, as much as the largest. Empty: all others."""

    issuer_id: str
    operator_id: str
    owed: Money
    items: int
    heat: int


class MatrixView(msgspec.Struct, frozen=True):
    """A window's positions in one currency, largest first."""

    window_id: str
    currency: str
    total: Money
    positions: int
    cells: list[CellView]


class OpenView(msgspec.Struct, frozen=True):
    """One thing that waits. age: a range of days."""

    kind: str
    ref: str
    words: str
    amount: Money | None
    since: datetime
    days: int
    age: str


class AgeingView(msgspec.Struct, frozen=True):
    """All that waits, longest first."""

    as_of: datetime
    open: list[OpenView]


class RevenueView(msgspec.Struct, frozen=True):
    """Journeys of one line, product and rider class."""

    operator_id: str
    line_id: str
    product: str
    rider_class: str
    journeys: int
    incomplete: int
    charged: Money
    subsidy: Money


class RevenuePage(msgspec.Struct, frozen=True):
    """What service days brought in."""

    first_day: date
    last_day: date
    lines: list[RevenueView]


class PartyBody(msgspec.Struct, frozen=True):
    """Who a member is to a tax office from a day on. country: ISO 3166-1 alpha-2."""

    legal_name: Annotated[str, msgspec.Meta(max_length=200)]
    street: Annotated[str, msgspec.Meta(max_length=200)]
    city: Annotated[str, msgspec.Meta(max_length=200)]
    post_code: Annotated[str, msgspec.Meta(max_length=200)]
    country: Annotated[str, msgspec.Meta(max_length=2)]
    valid_from: date
    tax_number: Annotated[str, msgspec.Meta(max_length=40)] = ""


class PartyView(msgspec.Struct, frozen=True):
    """Who a member is to a tax office."""

    member_id: str
    legal_name: str
    street: str
    city: str
    post_code: str
    country: str
    tax_number: str
    valid_from: date


class PeriodBody(msgspec.Struct, frozen=True):
    """A period of business days, both of them in it."""

    first_day: date
    last_day: date


class InvoiceHead(msgspec.Struct, frozen=True):
    """An invoice or credit note. net, tax: as they add to what the buyer owes."""

    number: str
    kind: str
    seller_id: str
    buyer_id: str
    first_day: date
    last_day: date
    issued_on: date
    net: Money
    tax: Money


class InvoicePage(msgspec.Struct, frozen=True):
    """Some invoices, latest first; ``next`` asks for those before them, null at the end."""

    invoices: list[InvoiceHead]
    next: str | None


@get(
    "/v1/reports/windows/{window_id:str}/members/{member_id:str}/statement",
    sync_to_thread=True,
    tags=["Reports"],
    opt={
        "needs": "clearing:read",
        "refuses": (clearing.UnknownWindow, trust.UnknownMember, NoStatement),
    },
)
def get_statement(
    ctx: NamedDependency[Context],
    caller: NamedDependency[trust.Caller],
    window_id: WindowName,
    member_id: MemberName,
) -> StatementView:
    """A member's statement of a closed window. A member reads its own, and those of whom it clears."""
    caller.require("clearing:read")
    return _view(_statement(ctx, caller, window_id, member_id))


@get(
    "/v1/reports/windows/{window_id:str}/members/{member_id:str}/statement/{form:str}",
    sync_to_thread=True,
    tags=["Reports"],
    opt={
        "needs": "clearing:read",
        "refuses": (clearing.UnknownWindow, trust.UnknownMember, NoStatement, InvalidInput),
    },
    media_type="application/octet-stream",
)
def download_statement(
    ctx: NamedDependency[Context],
    caller: NamedDependency[trust.Caller],
    window_id: WindowName,
    member_id: MemberName,
    form: Annotated[str, PathParameter(max_length=10, description="pdf, csv or parquet")],
    language: Words = "en",
) -> Response[bytes]:
    """The same as a file: `pdf` on paper, `csv` by RFC 4180, or `parquet`."""
    caller.require("clearing:read")
    if form not in ("pdf", "csv", "parquet"):
        raise _no_form(form, "pdf, csv or parquet")
    return statement_file(_statement(ctx, caller, window_id, member_id), form, language)


@get(
    "/v1/reports/windows/{window_id:str}/matrix",
    sync_to_thread=True,
    tags=["Reports"],
    opt={"needs": "clearing:read", "refuses": (clearing.UnknownWindow,)},
)
def get_matrix(
    ctx: NamedDependency[Context],
    caller: NamedDependency[trust.Caller],
    window_id: WindowName,
    currency: Annotated[str, QueryParameter(min_length=3, max_length=3)],
) -> MatrixView:
    """Which issuers owe which operators how much. A member sees its own positions."""
    caller.require("clearing:read")
    with ctx.tx() as tx:
        positions = clearing.window_positions(tx, window_id)
        if caller.kind != "league":
            mine = _own(caller)
            positions = [
                one
                for one in positions
                if mine in (one.issuer_id, one.operator_id, one.debtor_id, one.creditor_id)
            ]
    made = matrix_of(positions, currency)
    if not made.cells:
        return MatrixView(window_id, currency, _money(0, currency), 0, [])
    return MatrixView(
        window_id,
        currency,
        Money(made.total, currency),
        made.positions,
        [
            CellView(issuer, operator, Money(cell.minor, currency), cell.items, cell.heat)
            for issuer in made.issuers
            for operator in made.operators
            if (cell := made.cells.get((issuer, operator))) is not None
        ],
    )


@get("/v1/reports/ageing", sync_to_thread=True, tags=["Reports"], opt={"needs": "clearing:read"})
def get_ageing(ctx: NamedDependency[Context], caller: NamedDependency[trust.Caller]) -> AgeingView:
    """What waits, and since when: unsettled nets, breaks, disputes. A member sees its own nets and disputes."""
    caller.require("clearing:read")
    now = ctx.clock.now()
    with ctx.tx() as tx:
        found = ageing.list_open(tx, now, member_id=None if caller.kind == "league" else _own(caller))
    return AgeingView(
        now,
        [
            OpenView(
                one.kind,
                one.ref,
                one.words,
                None if one.minor is None else Money(one.minor, one.currency),
                one.since,
                one.days,
                one.age,
            )
            for one in found
        ],
    )


@get(
    "/v1/reports/revenue",
    sync_to_thread=True,
    tags=["Reports"],
    opt={"needs": "clearing:read", "refuses": (InvalidInput,)},
)
def get_revenue(
    ctx: NamedDependency[Context],
    caller: NamedDependency[trust.Caller],
    first_day: FromQuery[date],
    last_day: FromQuery[date],
) -> RevenuePage:
    """What service days brought in, by line, product and rider class. A member sees its own, and whom it clears."""
    caller.require("clearing:read")
    check_days(first_day, last_day)
    with ctx.tx() as tx:
        found = revenue(tx, first_day, last_day, operators=_operators(tx, caller))
    return RevenuePage(
        first_day,
        last_day,
        [
            RevenueView(
                one.operator_id,
                one.line_id,
                one.product,
                one.rider_class,
                one.journeys,
                one.incomplete,
                Money(one.charged_minor, one.currency),
                Money(one.subsidy_minor, one.currency),
            )
            for one in found
        ],
    )


@put(
    "/v1/reports/parties/{member_id:str}",
    sync_to_thread=True,
    tags=["Reports"],
    opt={"needs": "reports:write", "refuses": (InvalidInput, trust.UnknownMember)},
)
def set_party(
    ctx: NamedDependency[Context],
    caller: NamedDependency[trust.Caller],
    member_id: MemberName,
    data: JSONBody[PartyBody],
) -> PartyView:
    """Say who a member is to a tax office from a day on. Needs `reports:write`; saying it again is harmless."""
    caller.require_league("reports:write")
    party = Party(
        member_id,
        data.legal_name,
        data.street,
        data.city,
        data.post_code,
        data.country,
        data.tax_number,
        data.valid_from,
    )
    invoicing.set_party(ctx, party, by=caller.who)
    return PartyView(
        party.member_id,
        party.legal_name,
        party.street,
        party.city,
        party.post_code,
        party.country,
        party.tax_number,
        party.valid_from,
    )


@post(
    "/v1/reports/invoices",
    sync_to_thread=True,
    status_code=200,
    tags=["Reports"],
    opt={"needs": "reports:write", "refuses": (InvalidInput, NoParty, NoRate)},
)
def invoice_period(
    ctx: NamedDependency[Context], caller: NamedDependency[trust.Caller], data: JSONBody[PeriodBody]
) -> InvoicePage:
    """Invoice the fees of a period that stand on no document yet; the new documents. Again gives none.

    Needs `reports:write`.
    """
    caller.require_league("reports:write")
    made = invoicing.invoice_period(ctx, data.first_day, data.last_day, by=caller.who)
    return InvoicePage([_head(one) for one in made], None)


@get("/v1/reports/invoices", sync_to_thread=True, tags=["Reports"], opt={"needs": "clearing:read"})
def list_invoices(
    ctx: NamedDependency[Context],
    caller: NamedDependency[trust.Caller],
    after: Annotated[str, QueryParameter(max_length=120, description="`next` of the page before")] = "",
    limit: Annotated[int, QueryParameter(ge=1, le=1000)] = 100,
) -> InvoicePage:
    """Invoices and credit notes, latest first. A member sees those it sells or buys by."""
    caller.require("clearing:read")
    member = None if caller.kind == "league" else _own(caller)
    with ctx.tx() as tx:
        found = invoice_store.list_invoices(tx, member_id=member, before=after, limit=limit + 1)
    page, more = paged(found, limit, lambda one: one.number)
    return InvoicePage(
        [
            InvoiceHead(
                one.number,
                one.kind,
                one.seller_id,
                one.buyer_id,
                one.first_day,
                one.last_day,
                one.issued_on,
                Money(one.net_minor, one.currency),
                Money(one.tax_minor, one.currency),
            )
            for one in page
        ],
        more,
    )


@get(
    "/v1/reports/invoices/{number:str}/{form:str}",
    sync_to_thread=True,
    tags=["Reports"],
    opt={"needs": "clearing:read", "refuses": (UnknownInvoice, InvalidInput)},
    media_type="application/octet-stream",
)
def download_invoice(
    ctx: NamedDependency[Context],
    caller: NamedDependency[trust.Caller],
    number: Number,
    form: Annotated[str, PathParameter(max_length=10, description="pdf, or xml: UBL 2.1 by EN 16931")],
    language: Words = "en",
) -> Response[bytes]:
    """An invoice as a file: `pdf`, or `xml`, which accounting programs load. A member reads its own."""
    caller.require("clearing:read")
    if form not in ("pdf", "xml"):
        raise _no_form(form, "pdf or xml")
    with ctx.tx() as tx:
        found = invoicing.get_invoice(tx, number)
    if caller.kind != "league" and _own(caller) not in (found.seller.member_id, found.buyer.member_id):
        raise UnknownInvoice(f"There is no invoice {number!r}.")
    return invoice_file(found, form, language)


@get(
    "/v1/reports/windows/{window_id:str}/audit-pack",
    sync_to_thread=True,
    tags=["Reports"],
    opt={"needs": "reports:audit", "refuses": (clearing.UnknownWindow, NoStatement)},
    media_type="application/zip",
)
def get_audit_pack(
    ctx: NamedDependency[Context],
    caller: NamedDependency[trust.Caller],
    log_signer: NamedDependency[ledger.Signer],
    token_signer: NamedDependency[trust.KeyFolder],
    window_id: WindowName,
) -> Response[bytes]:
    """All that a window was made of, in one zip that proves itself. Needs `reports:audit`; the league alone has it.

    Check it with `hansa audit verify`. A large league writes it with `hansa audit pack` instead.
    """
    caller.require_league("reports:audit")
    return audit_file(ctx, window_id, log_signer, token_signer)


# --- files, for the pages too


def statement_file(made: Statement, form: str, language: Language) -> Response[bytes]:
    """A statement as a file. form: pdf, csv or parquet."""
    if form == "pdf":
        return _file(statement_pdf(made, language), f"{made.number}.{language}.pdf", "pdf")
    body = statement_csv(made) if form == "csv" else statement_parquet(made)
    return _file(body, f"{made.number}.{form}", form)


def invoice_file(found: Invoice, form: str, language: Language) -> Response[bytes]:
    """An invoice as a file. form: pdf or xml."""
    if form == "pdf":
        return _file(invoice_pdf(found, language), f"{found.number}.{language}.pdf", "pdf")
    return _file(invoice_xml(found), f"{found.number}.xml", "xml")


def audit_file(ctx: Context, window_id: str, signer: ledger.Signer, keys: trust.KeyFolder) -> Response[bytes]:
    """An audit pack to keep."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pack.zip"
        audit_pack(ctx, window_id, path, signer, keys.log())
        return Response(
            path.read_bytes(),
            media_type="application/zip",
            headers=_kept_as(f"audit-{window_id}.zip"),
        )


def check_days(first_day: date, last_day: date) -> None:
    """Errors: InvalidInput for days that are no period, or too long a one."""
    if not 0 <= (last_day - first_day).days < REVENUE_DAYS_MAX:
        problem = Problem(
            "last_day", f"it is {last_day}", f"Name a day up to {REVENUE_DAYS_MAX} days from the first"
        )
        raise InvalidInput("These days are no period.", problems=(problem,))


def _file(body: bytes, name: str, form: str) -> Response[bytes]:
    return Response(body, media_type=MEDIA[form], headers=_kept_as(name))


def _kept_as(name: str) -> dict[str, str]:
    return {"content-disposition": f'attachment; filename="{name}"', "cache-control": "no-store"}


def _no_form(form: str, known: str) -> InvalidInput:
    return InvalidInput(
        "There is no such form.", problems=(Problem("form", f"{form!r} is not known", f"Name {known}"),)
    )


# --- who may read what


def _own(caller: trust.Caller) -> str:
    """The member that asks. Errors: trust.NotAllowed for who is none."""
    if caller.kind == "gate" or caller.member_id is None:
        raise trust.NotAllowed("Only a member of the league may do this.")
    return caller.member_id


def _statement(ctx: Context, caller: trust.Caller, window_id: str, member_id: str) -> Statement:
    if caller.kind != "league":
        own = _own(caller)
        with ctx.tx() as tx:
            if own not in (member_id, trust.get_member(tx, trust.MemberId(member_id)).clears_as):
                raise trust.UnknownMember(f"There is no member {member_id!r} that you may look at.")
    return statement(ctx, window_id, member_id)


def _operators(tx: Tx, caller: trust.Caller) -> list[str] | None:
    if caller.kind == "league":
        return None
    own = _own(caller)
    return [one.member_id for one in trust.list_members(tx) if own in (one.member_id, one.clears_as)]


def _view(made: Statement) -> StatementView:
    return StatementView(
        made.member_id,
        made.window_id,
        made.day,
        made.settles,
        made.clears_as,
        made.closed_at,
        [
            CurrencyView(
                one.currency,
                one.money(one.opening),
                one.money(one.net),
                one.money(one.paid),
                one.money(one.closing),
                [
                    LineView(
                        line.section.value,
                        line.counterparty_id,
                        line.issuer_id,
                        line.operator_id,
                        line.product,
                        line.kind,
                        line.count,
                        one.money(line.minor),
                        line.reference,
                    )
                    for line in one.lines
                ],
            )
            for one in made.currencies
        ],
    )


def _head(one: Invoice) -> InvoiceHead:
    return InvoiceHead(
        one.number,
        one.kind,
        one.seller.member_id,
        one.buyer.member_id,
        one.first_day,
        one.last_day,
        one.issued_on,
        one.money(one.sign * one.net),
        one.money(one.sign * one.tax_minor),
    )


def _money(minor: int, currency: str) -> Money:
    return Money(minor, currency)


ROUTES = [
    get_statement,
    download_statement,
    get_matrix,
    get_ageing,
    get_revenue,
    set_party,
    invoice_period,
    list_invoices,
    download_invoice,
    get_audit_pack,
]
