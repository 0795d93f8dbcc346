"""Figures of disputes for everybody: a page, and the same as open data in JSON and CSV."""

import csv
import io
from collections.abc import Iterable
from dataclasses import asdict
from typing import Annotated, Any

from litestar import Request, Response, get
from litestar.params import QueryParameter

from hansa import disputes, trust
from hansa.apps.web.languages import spoken, words_for
from hansa.apps.web.pages import page
from hansa.apps.web.site import Here, Site
from hansa.kernel import InvalidInput, Problem

Asked = Request[Any, Any, Any]
Named = Annotated[
    str, QueryParameter(max_length=10, description="Such as 2026-Q4; the running one where it is left out")
]

FIRST_YEAR, LAST_YEAR = 2020, 2199
QUARTERS_LISTED = 8

COLUMNS: dict[str, tuple[str, str]] = {
    "operator_id": ("", "the operator whose rides or items were disputed"),
    "kind": ("", "refund: a rider asked for money back; item: one member disputed an item of another"),
    "reason": ("", "the code of the reason, or others: reasons that are too rare to stand alone"),
    "raised": ("disputes", "raised in the quarter, by the league's business days"),
    "open": ("disputes", "of these, not decided yet"),
    "in_full": ("disputes", "of these, all of the claim was given"),
    "in_part": ("disputes", "of these, a part of the claim was given"),
    "corrected": ("disputes", "of these, the ride was rated again instead"),
    "nothing": ("disputes", "of these, nothing was given, also where a side let its time pass"),
    "withdrawn": ("disputes", "of these, taken back by who had raised it"),
    "at_once": ("share, 0 to 1", "of the decided, those decided by rule when they were raised"),
    "by_silence": ("share, 0 to 1", "of the decided, those decided because nobody answered in time"),
    "median_days": ("days of 24 hours", "half of the decided took no longer from raised to decided"),
}
"""Of each column, its unit and what it says."""

HIDDEN = (
    f"Counts from 1 to {disputes.HIDDEN_BELOW - 1} are hidden (null, or empty in CSV), and so are counts and shares "
    "from which one of these could be worked out. Reasons with fewer disputes than that stand together or are left out."
)


@get("/disputes/statistics", sync_to_thread=True, include_in_schema=False)
def show_statistics(request: Asked, site: Here, quarter: Named = "") -> Response[str]:
    """The figures of a quarter, for people."""
    say = words_for(request)
    told = _published(site, quarter)
    with site.ctx.tx() as tx:
        names = {one.member_id: one.name for one in trust.list_members(tx)}
    now = disputes.Quarter.of(site.ctx.clock.now().date())
    listed = [now]
    while len(listed) < QUARTERS_LISTED:
        listed.append(listed[-1].before())
    answer = page(
        "dispute_statistics.html",
        say=say,
        told=told,
        groups=[
            (
                "refund",
                say("Riders who asked for money back"),
                [one for one in told.lines if one.kind == "refund"],
            ),
            (
                "item",
                say("Members who disputed an item"),
                [one for one in told.lines if one.kind == "item"],
            ),
        ],
        names=names,
        reasons={one.code: say(one.en) for one in _reasons()} | {"others": say("Other reasons together")},
        quarters=listed if told.quarter in listed else [*listed, told.quarter],
        columns=COLUMNS,
        hidden_below=disputes.HIDDEN_BELOW,
    )
    return spoken(answer, say, request)


@get("/disputes/statistics.json", sync_to_thread=True, include_in_schema=False)
def give_json(site: Here, quarter: Named = "") -> Response[dict[str, Any]]:
    """The figures of a quarter as JSON, with what each column says."""
    told = _published(site, quarter)
    return Response(
        {
            "title": "Disputes of the league by operator and reason",
            "quarter": str(told.quarter),
            "from_day": told.quarter.first_day.isoformat(),
            "up_to_day": told.up_to.isoformat(),
            "still_running": told.runs,
            "hidden_below": disputes.HIDDEN_BELOW,
            "hidden": HIDDEN,
            "left_out": told.untold,
            "columns": [
                {"name": name, "unit": unit, "description": words} for name, (unit, words) in COLUMNS.items()
            ],
            "reasons": {one.code: one.en for one in _reasons()},
            "rows": [asdict(one) for one in told.lines],
        },
        headers=_open_data(),
    )


@get("/disputes/statistics.csv", sync_to_thread=True, include_in_schema=False)
def give_csv(site: Here, quarter: Named = "") -> Response[bytes]:
    """The figures of a quarter as CSV (RFC 4180): UTF-8, one head line, dots in numbers, nothing where hidden."""
    told = _published(site, quarter)
    written = io.StringIO()
    rows = csv.writer(written, lineterminator="\r\n")
    rows.writerow(["quarter", *COLUMNS])
    for one in told.lines:
        values = asdict(one)
        rows.writerow(
            [str(told.quarter), *("" if values[name] is None else values[name] for name in COLUMNS)]
        )
    return Response(
        written.getvalue().encode(),
        media_type="text/csv; charset=utf-8; header=present",
        headers=_open_data() | {"content-disposition": f'attachment; filename="disputes-{told.quarter}.csv"'},
    )


def _published(site: Site, named: str) -> disputes.Published:
    """The quarter asked for. Errors: InvalidInput naming ``quarter``."""
    if not named:
        return disputes.statistics(site.ctx)
    year, _, number = named.partition("-Q")
    if not (year.isascii() and year.isdigit() and number in ("1", "2", "3", "4")) or not (
        FIRST_YEAR <= int(year) <= LAST_YEAR
    ):
        problem = Problem("quarter", f"{named!r} is no quarter", "Write it as 2026-Q4")
        raise InvalidInput("There is no such quarter.", problems=(problem,))
    return disputes.statistics(site.ctx, disputes.Quarter(int(year), int(number)))


def _reasons() -> Iterable[Any]:
    rules = disputes.own_rules()
    return (*rules.refunds.reasons, *rules.items.reasons)


def _open_data() -> dict[str, str]:
    """Whoever wants may read these from their own pages."""
    return {"access-control-allow-origin": "*", "cache-control": "public, max-age=300"}


ROUTES = [show_statistics, give_json, give_csv]
