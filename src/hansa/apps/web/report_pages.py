"""The console's reports: statements, matrix, ageing, revenue, invoices, audit packs, and the box that searches."""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Annotated, Any
from urllib.parse import quote, urlencode

import msgspec
from litestar import Request, Response, get, post
from litestar.enums import RequestEncodingType
from litestar.params import Body, FromPath, FromQuery, QueryParameter
from litestar.response import Redirect

from hansa import clearing, reports, trust
from hansa.apps.web.callers import get_operator
from hansa.apps.web.journey_views import Places
from hansa.apps.web.pages import page
from hansa.apps.web.report_pictures import Strips, bars, waterfall
from hansa.apps.web.site import Here, Site
from hansa.kernel import HansaError, InvalidInput, Money
from hansa.reports import ageing
from hansa.reports.matrix import matrix_of
from hansa.reports.routes import audit_file, check_days, invoice_file, statement_file
from hansa.reports.search import QUERY_MAX, Hit, search
from hansa.reports.tables import to_csv
from hansa.rides.revenue import revenue
from hansa.store import Tx

Asked = Request[Any, Any, Any]

WINDOWS_SHOWN = 60
LINES_SHOWN = 15
INVOICES_SHOWN = 100
OPEN_SHOWN = 200
REVENUE_DAYS = timedelta(days=30)

OpenCsv = (
    ("kind", str),
    ("ref", str),
    ("words", str),
    ("currency", str),
    ("amount_minor", int),
    ("since", str),
    ("days", int),
    ("age", str),
)
RevenueCsv = (
    ("operator_id", str),
    ("line_id", str),
    ("product", str),
    ("rider_class", str),
    ("currency", str),
    ("journeys", int),
    ("incomplete", int),
    ("charged_minor", int),
    ("subsidy_minor", int),
)
MatrixCsv = (
    ("window_id", str),
    ("issuer_id", str),
    ("operator_id", str),
    ("currency", str),
    ("items", int),
    ("gross_minor", int),
    ("operator_share_minor", int),
    ("issuer_fee_minor", int),
    ("league_fee_minor", int),
)
NetCsv = (("window_id", str), ("member_id", str), ("currency", str), ("net_minor", int))


class PeriodForm(msgspec.Struct, frozen=True):
    """A period of business days."""

    first_day: date
    last_day: date


@dataclass(frozen=True, slots=True)
class CurrencyPanel:
    """A statement's currency with the picture of how its balance came about."""

    of: reports.CurrencyStatement
    chart: Strips


@dataclass(frozen=True, slots=True)
class AgePanel:
    """What waits of one kind and currency: a figure for each range of days."""

    kind: str
    currency: str
    figures: list[tuple[str, int, Money | None]]
    count: int
    total: Money


@dataclass(frozen=True, slots=True)
class RevenuePanel:
    """Revenue in one currency. lines: (operator, line, journeys, charged, subsidies), most first."""

    currency: str
    total: Money
    lines: list[tuple[str, str, int, Money, Money]]
    by_class: Strips
    by_product: Strips
    chart: Strips


@dataclass(frozen=True, slots=True)
class Found:
    """A hit with where it leads."""

    hit: Hit
    address: str


@get("/console/reports", sync_to_thread=True, include_in_schema=False)
def show_reports(
    request: Asked,
    site: Here,
    member: Annotated[str, QueryParameter(max_length=100)] = "",
    window: Annotated[str, QueryParameter(max_length=60)] = "",
) -> Response[Any]:
    get_operator(request, site)
    if member and window:
        return Redirect(_statement_address(window, member))
    with site.ctx.tx() as tx:
        windows = [one for one in clearing.list_windows(tx, limit=WINDOWS_SHOWN) if one.closed_at is not None]
        members = [one for one in trust.list_members(tx) if one.role != "bank"]
    return page(
        "console/reports.html", here="reports", windows=windows, members=members, member=member, window=window
    )


@get(
    "/console/reports/statements/{window_id:str}/{member_id:str}",
    sync_to_thread=True,
    include_in_schema=False,
)
def show_statement(
    request: Asked,
    site: Here,
    window_id: FromPath[str],
    member_id: FromPath[str],
    form: Annotated[str, QueryParameter(pattern="^(|pdf|csv|parquet)$")] = "",
    language: Annotated[str, QueryParameter(pattern="^(en|zh)$")] = "en",
) -> Response[Any]:
    get_operator(request, site)
    made = reports.statement(site.ctx, window_id, member_id)
    if form:
        return statement_file(made, form, "zh" if language == "zh" else "en")
    with site.ctx.tx() as tx:
        window = clearing.get_window(tx, window_id)
        near = _neighbours(tx, window)
        members = [one for one in trust.list_members(tx) if one.role != "bank"]
    return page(
        "console/statement.html",
        here="reports",
        made=made,
        window=window,
        panels=[CurrencyPanel(one, _balance_chart(made, one)) for one in made.currencies],
        sections=list(reports.Section),
        before=near[0],
        after=near[1],
        members=members,
        by_day=window.model_id == clearing.DAILY,
    )


@get("/console/reports/matrix/{window_id:str}", sync_to_thread=True, include_in_schema=False)
def show_matrix(
    request: Asked,
    site: Here,
    window_id: FromPath[str],
    currency: Annotated[str, QueryParameter(max_length=3)] = "",
    form: Annotated[str, QueryParameter(pattern="^(|csv|nets)$")] = "",
) -> Response[Any]:
    get_operator(request, site)
    with site.ctx.tx() as tx:
        window = clearing.get_window(tx, window_id)
        positions = clearing.window_positions(tx, window_id)
        nets = clearing.window_nets(tx, window_id)
        names = _names(tx)
        near = _neighbours(tx, window)
    if form == "csv":
        rows = [
            (
                *(window_id, one.issuer_id, one.operator_id, one.currency, one.items),
                *(one.gross, one.operator_share, one.issuer_fee, one.league_fee),
            )
            for one in positions
        ]
        return _csv(to_csv(MatrixCsv, rows), f"positions-{window_id}")
    if form == "nets":
        rows = [(window_id, one.member_id, one.currency, one.net) for one in nets]
        return _csv(to_csv(NetCsv, rows), f"nets-{window_id}")
    currencies = sorted({one.currency for one in positions})
    chosen = currency if currency in currencies else currencies[0] if currencies else ""
    mine = sorted((one for one in nets if one.currency == chosen), key=lambda one: -one.net)
    ends = mine if len(mine) <= LINES_SHOWN else [*mine[:7], *mine[-8:]]
    return page(
        "console/matrix.html",
        here="reports",
        window=window,
        currency=chosen,
        currencies=currencies,
        matrix=matrix_of(positions, chosen) if chosen else None,
        nets=ends,
        nets_left_out=len(mine) - len(ends),
        chart=bars([(names.get(one.member_id, one.member_id), one.net) for one in ends], chosen)
        if ends
        else None,
        names=names,
        before=near[0],
        after=near[1],
        by_day=window.model_id == clearing.DAILY,
    )


@get("/console/reports/ageing", sync_to_thread=True, include_in_schema=False)
def show_ageing(
    request: Asked, site: Here, form: Annotated[str, QueryParameter(pattern="^(|csv)$")] = ""
) -> Response[Any]:
    get_operator(request, site)
    now = site.ctx.clock.now()
    with site.ctx.tx() as tx:
        opens = ageing.list_open(tx, now)
    if form:
        rows = [
            (
                *(one.kind, one.ref, one.words, one.currency, 0 if one.minor is None else one.minor),
                *(one.since.isoformat(), one.days, one.age),
            )
            for one in opens
        ]
        return _csv(to_csv(OpenCsv, rows), "ageing")
    return page(
        "console/report_ageing.html",
        here="reports",
        now=now,
        panels=_age_panels(ageing.aged(opens)),
        ages=[name for name, _ in ageing.AGES],
        opens=[(one, _open_address(one)) for one in opens[:OPEN_SHOWN]],
        left_out=max(0, len(opens) - OPEN_SHOWN),
    )


@get("/console/reports/revenue", sync_to_thread=True, include_in_schema=False)
def show_revenue(
    request: Asked,
    site: Here,
    first: FromQuery[date | None] = None,
    last: FromQuery[date | None] = None,
    form: Annotated[str, QueryParameter(pattern="^(|csv)$")] = "",
) -> Response[Any]:
    get_operator(request, site)
    with site.ctx.tx() as tx:
        latest = clearing.list_days(tx, limit=1)
        last_day = last or (latest[0].business_day if latest else site.ctx.clock.now().date())
        first_day = first or last_day - REVENUE_DAYS
        check_days(first_day, last_day)
        found = revenue(tx, first_day, last_day)
        lines = _line_names(tx)
        names = _names(tx)
    if form:
        rows = [
            (
                *(one.operator_id, one.line_id, one.product, one.rider_class, one.currency),
                *(one.journeys, one.incomplete, one.charged_minor, one.subsidy_minor),
            )
            for one in found
        ]
        return _csv(to_csv(RevenueCsv, rows), f"revenue-{first_day}-{last_day}")
    return page(
        "console/report_revenue.html",
        here="reports",
        first=first_day,
        last=last_day,
        panels=[
            _revenue_panel(currency, [one for one in found if one.currency == currency], lines, names)
            for currency in sorted({one.currency for one in found})
        ],
    )


@get("/console/reports/invoices", sync_to_thread=True, include_in_schema=False)
def show_invoices(
    request: Asked, site: Here, before: Annotated[str, QueryParameter(max_length=120)] = ""
) -> Response[Any]:
    get_operator(request, site)
    return _invoices_page(site, before=before)


@post("/console/reports/invoices", sync_to_thread=True, include_in_schema=False)
def make_invoices(
    request: Asked,
    site: Here,
    data: Annotated[PeriodForm, Body(media_type=RequestEncodingType.URL_ENCODED)],
) -> Response[Any]:
    operator = get_operator(request, site)
    try:
        made = reports.invoice_period(site.ctx, data.first_day, data.last_day, by=operator.who)
    except (InvalidInput, reports.NoParty, reports.NoRate) as refused:
        return _invoices_page(site, form=data, refused=refused)
    return _invoices_page(site, form=data, made=len(made))


@get("/console/reports/invoices/{number:str}", sync_to_thread=True, include_in_schema=False)
def show_invoice(
    request: Asked,
    site: Here,
    number: FromPath[str],
    form: Annotated[str, QueryParameter(pattern="^(|pdf|xml)$")] = "",
    language: Annotated[str, QueryParameter(pattern="^(en|zh)$")] = "en",
) -> Response[Any]:
    get_operator(request, site)
    with site.ctx.tx() as tx:
        found = reports.get_invoice(tx, number)
        names = _names(tx)
    if form:
        return invoice_file(found, form, "zh" if language == "zh" else "en")
    return page("console/invoice.html", here="reports", invoice=found, names=names)


@get("/console/reports/audit/{window_id:str}", sync_to_thread=True, include_in_schema=False)
def show_audit(
    request: Asked,
    site: Here,
    window_id: FromPath[str],
    form: Annotated[str, QueryParameter(pattern="^(|zip)$")] = "",
) -> Response[Any]:
    get_operator(request, site)
    if form:
        return audit_file(site.ctx, window_id, site.signer, site.keys)
    with site.ctx.tx() as tx:
        window = clearing.get_window(tx, window_id)
    return page("console/audit.html", here="reports", window=window, key=str(site.signer.verifier_key(0)))


@get("/console/search", sync_to_thread=True, include_in_schema=False)
def show_search(
    request: Asked, site: Here, q: Annotated[str, QueryParameter(max_length=QUERY_MAX)] = ""
) -> Response[str]:
    """What this text may mean. One box for ids of all kinds, names and amounts."""
    get_operator(request, site)
    with site.ctx.tx() as tx:
        hits = search(tx, q)
        latest = next(
            (one.window_id for one in clearing.list_windows(tx, limit=5) if one.closed_at is not None), ""
        )
    return page(
        "console/search.html",
        here="search",
        q=q,
        found=[Found(hit, _address(hit, latest)) for hit in hits],
    )


def _invoices_page(
    site: Site,
    *,
    before: str = "",
    form: PeriodForm | None = None,
    made: int | None = None,
    refused: HansaError | None = None,
) -> Response[str]:
    with site.ctx.tx() as tx:
        rows = reports.list_invoices(tx, before=before, limit=INVOICES_SHOWN + 1)
        names = _names(tx)
    today = site.ctx.clock.now().date()
    last_month = today.replace(day=1) - timedelta(days=1)
    return page(
        "console/report_invoices.html",
        here="reports",
        rows=rows[:INVOICES_SHOWN],
        next_before=rows[INVOICES_SHOWN - 1].number if len(rows) > INVOICES_SHOWN else "",
        names=names,
        form=form or PeriodForm(last_month.replace(day=1), last_month),
        made=made,
        refused="; ".join(str(one) for one in refused.problems) or refused.detail if refused else "",
        status_code=422 if refused else 200,
    )


def _balance_chart(made: reports.Statement, one: reports.CurrencyStatement) -> Strips:
    titles = {"items": "Items", "adjustments": "Adjustments", "fees": "Fees", "payments": "Paid by the bank"}
    steps: list[tuple[str, int, bool]] = [("Opening", one.opening, True)] if made.settles else []
    steps += [(titles[part.value], one.sum_of(part), False) for part in reports.Section if one.of(part)]
    steps.append(("Closing" if made.settles else "Adds to the net", one.closing, True))
    return waterfall(steps, one.currency)


def _age_panels(found: list[ageing.Aged]) -> list[AgePanel]:
    panels: list[AgePanel] = []
    for kind, currency in dict.fromkeys((one.kind, one.currency) for one in found):
        mine = {one.age: one for one in found if (one.kind, one.currency) == (kind, currency)}
        panels.append(
            AgePanel(
                kind,
                currency,
                [
                    (age, mine[age].count, Money(mine[age].minor, currency))
                    if age in mine
                    else (age, 0, None)
                    for age, _ in ageing.AGES
                ],
                sum(one.count for one in mine.values()),
                Money(sum(one.minor for one in mine.values()), currency),
            )
        )
    return panels


def _revenue_panel(
    currency: str, found: list[Any], lines: dict[str, str], names: dict[str, str]
) -> RevenuePanel:
    by_line: dict[tuple[str, str], list[int]] = {}
    classes: dict[str, int] = {}
    products: dict[str, int] = {}
    for one in found:
        sums = by_line.setdefault((one.operator_id, one.line_id), [0, 0, 0])
        sums[0] += one.journeys
        sums[1] += one.charged_minor
        sums[2] += one.subsidy_minor
        classes[one.rider_class] = classes.get(one.rider_class, 0) + one.charged_minor
        products[one.product] = products.get(one.product, 0) + one.charged_minor
    ordered = sorted(by_line.items(), key=lambda pair: -pair[1][1])
    told = [
        (
            names.get(operator, operator),
            lines.get(line, line),
            journeys,
            Money(charged, currency),
            Money(subsidy, currency),
        )
        for (operator, line), (journeys, charged, subsidy) in ordered
    ]
    return RevenuePanel(
        currency,
        Money(sum(one.charged_minor for one in found), currency),
        told,
        bars(sorted(classes.items(), key=lambda pair: -pair[1]), currency),
        bars(sorted(products.items(), key=lambda pair: -pair[1]), currency),
        bars(
            [(line or operator, charged.minor) for operator, line, _, charged, _ in told][:LINES_SHOWN],
            currency,
        ),
    )


def _line_names(tx: Tx) -> dict[str, str]:
    from hansa import atlas

    places = Places(tx)
    return {
        line.line_id: line.name
        for city in atlas.list_cities(tx)
        for line in places.network(city.city_id).lines.values()
    }


def _neighbours(tx: Tx, window: clearing.Window) -> tuple[str, str]:
    """The windows of the same model before and after; empty where there is none."""
    before = clearing.list_windows(tx, model_id=window.model_id, before_number=window.number, limit=1)
    after = clearing.list_windows(tx, model_id=window.model_id, before_number=window.number + 2, limit=1)
    return (
        before[0].window_id if before else "",
        after[0].window_id if after and after[0].number > window.number else "",
    )


def _names(tx: Tx) -> dict[str, str]:
    return {member.member_id: member.name for member in trust.list_members(tx)}


def _statement_address(window_id: str, member_id: str) -> str:
    return f"/console/reports/statements/{quote(window_id, safe='')}/{quote(member_id, safe='')}"


def _open_address(one: ageing.Open) -> str:
    return {
        "unsettled": f"/console/reports/matrix/{quote(one.ref, safe='')}?{urlencode({'currency': one.currency})}",
        "break": "/console/files",
        "dispute": f"/console/disputes/{one.ref}",
    }[one.kind]


def _address(hit: Hit, latest_window: str) -> str:
    """Where a hit leads. latest_window: whose statement of a member is shown; empty where no window is closed."""
    ref = quote(hit.ref, safe="")
    if hit.kind == "net":
        window, member, _ = hit.ref.split("/")
        return _statement_address(window, member)
    if hit.kind == "position":
        window, _, _, currency = hit.ref.split("/")
        return f"/console/reports/matrix/{quote(window, safe='')}?currency={currency}"
    if hit.kind == "member":
        return _statement_address(latest_window, hit.ref) if latest_window else "/console/reports"
    return {
        "transfer": f"/console/ledger/transfers/{ref}",
        "journey": f"/console/journeys/{ref}",
        "account": f"/console/ledger/accounts/{ref}",
        "dispute": f"/console/disputes/{ref}",
        "payment": "/console/files",
        "invoice": f"/console/reports/invoices/{ref}",
        "window": f"/console/reports/matrix/{ref}",
    }[hit.kind]


def _csv(body: bytes, name: str) -> Response[bytes]:
    return Response(
        body,
        media_type="text/csv; charset=utf-8; header=present",
        headers={"content-disposition": f'attachment; filename="{name}.csv"', "cache-control": "no-store"},
    )


ROUTES = [
    show_reports,
    show_statement,
    show_matrix,
    show_ageing,
    show_revenue,
    show_invoices,
    make_invoices,
    show_invoice,
    show_audit,
    show_search,
]
