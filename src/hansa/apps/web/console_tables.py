"""Tables of the console's clearing pages as CSV: a position's items, bank files, and what banks' statements say wrong.

Positions and nets of a window are given out by its matrix (``report_pages``). RFC 4180; amounts stand twice, as whole
minor units and as a decimal.
"""

from collections.abc import Iterator
from typing import Any

from litestar import Request, Response, get
from litestar.params import FromPath
from litestar.response import Stream

from hansa import clearing, ledger, settlement
from hansa.apps.web.callers import get_operator
from hansa.apps.web.console import bank_files
from hansa.apps.web.pages import as_rfc3339
from hansa.apps.web.site import Here, Site
from hansa.kernel import Money
from hansa.reports.tables import Row, to_csv

Asked = Request[Any, Any, Any]

CSV = "text/csv; charset=utf-8; header=present"
ITEMS_AT_ONCE = 5_000
BREAKS_AT_ONCE = 1_000

ItemCsv = (
    ("window_id", str),
    ("issuer_id", str),
    ("operator_id", str),
    ("currency", str),
    ("item", str),
    ("kind", str),
    ("reference", str),
    ("event_at", str),
    ("booked_at", str),
    ("amount_minor", int),
    ("amount", str),
)
FileCsv = (("name", str), ("kind", str), ("currency", str), ("bytes", int))
BreakCsv = (
    ("statement_id", str),
    ("entry", int),
    ("kind", str),
    ("end_to_end_id", str),
    ("currency", str),
    ("expected_minor", str),
    ("found_minor", str),
    ("detail", str),
    ("found_at", str),
)


@get(
    "/console/windows/{window_id:str}/positions/{issuer_id:str}/{operator_id:str}/{currency:str}/items.csv",
    sync_to_thread=True,
    include_in_schema=False,
)
def give_items(
    request: Asked,
    site: Here,
    window_id: FromPath[str],
    issuer_id: FromPath[str],
    operator_id: FromPath[str],
    currency: FromPath[str],
) -> Stream:
    """All items of a position of a window, in order of booking, read as they are sent."""
    get_operator(request, site)
    with site.ctx.tx() as tx:
        clearing.get_window(tx, window_id)
    return Stream(
        _items(site, window_id, issuer_id, operator_id, currency),
        media_type="text/csv; header=present",  # to which a stream adds its encoding
        headers=_headers(f"items-{window_id}"),
    )


@get("/console/files.csv", sync_to_thread=True, include_in_schema=False)
def give_files(request: Asked, site: Here) -> Response[bytes]:
    """The bank files there are."""
    get_operator(request, site)
    rows = [(one.name, one.kind, one.currency, one.bytes) for one in bank_files(site)]
    return Response(to_csv(FileCsv, rows), media_type=CSV, headers=_headers("bank-files"))


@get("/console/breaks.csv", sync_to_thread=True, include_in_schema=False)
def give_breaks(request: Asked, site: Here) -> Response[bytes]:
    """What does not agree and nobody has explained."""
    get_operator(request, site)
    rows: list[Row] = []
    after = ("", 0)
    with site.ctx.tx() as tx:
        while found := settlement.open_breaks(tx, after=after, limit=BREAKS_AT_ONCE):
            after = (found[-1].statement_id, found[-1].entry)
            rows += [
                (
                    *(one.statement_id, one.entry, one.kind.value, one.end_to_end_id, one.currency),
                    *("" if minor is None else str(minor) for minor in (one.expected_minor, one.found_minor)),
                    *(one.detail, as_rfc3339(one.found_at)),
                )
                for one in found
            ]
    return Response(to_csv(BreakCsv, rows), media_type=CSV, headers=_headers("breaks"))


def _items(site: Site, window_id: str, issuer_id: str, operator_id: str, currency: str) -> Iterator[bytes]:
    yield to_csv(ItemCsv, [])
    after = ""
    while True:
        with site.ctx.tx() as tx:
            found = clearing.window_items(
                tx, window_id, issuer_id, operator_id, currency, after=after, limit=ITEMS_AT_ONCE
            )
        if not found:
            return
        rows: list[Row] = [
            (
                *(window_id, issuer_id, operator_id, currency, str(one.transfer_id)),
                *(_kind(one.code), str(one.reference or "")),
                *(as_rfc3339(one.event_at), as_rfc3339(one.booked_at)),
                *(one.amount.minor, Money(one.amount.minor, currency).decimal()),
            )
            for one in found
        ]
        yield to_csv((), rows).removeprefix(b"\r\n")
        after = found[-1].cursor


def _kind(code: int) -> str:
    try:
        return ledger.TransferCode(code).name.lower()
    except ValueError:
        return str(code)


def _headers(name: str) -> dict[str, str]:
    return {"content-disposition": f'attachment; filename="{name}.csv"', "cache-control": "no-store"}


ROUTES = [give_items, give_files, give_breaks]
