"""The console's reconciliation: days proved, their story as a picture, members' files matched by two persons."""

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal
from uuid import UUID

from litestar import Request, Response, get, post
from litestar.datastructures import UploadFile
from litestar.enums import RequestEncodingType
from litestar.params import Body, FromPath, FromQuery, QueryParameter
from litestar.response import Redirect

from hansa import clearing, reconciliation, trust
from hansa.apps.web.callers import get_operator
from hansa.apps.web.clerks import clerk_of, clerk_words
from hansa.apps.web.console import member_names
from hansa.apps.web.pages import page
from hansa.apps.web.site import Here, Site
from hansa.apps.web.tariff_views import problems_of
from hansa.kernel import HansaError, InvalidInput, Problem, fact_id, new_id
from hansa.reconciliation import tables
from hansa.reconciliation.timeline import LANES, Event, timeline
from hansa.reports.ageing import AGES
from hansa.reports.tables import to_csv

Asked = Request[Any, Any, Any]

DAYS_SHOWN = 60
ROWS_SHOWN = 50
FILES_SHOWN = 30
FILE_BYTES_MAX = 512 * 1024 * 1024

_WIDTH, _LANE, _LEFT = 720, 34, 70


@dataclass(frozen=True)
class HandForm:
    """What is to be matched or undone, or how a proposal is decided. ours, theirs: numbers of rows, with spaces."""

    what: str = ""
    ours: str = ""
    theirs: str = ""
    match: str = ""
    proposal: str = ""
    why: str = ""
    nonce: str = ""


@dataclass(frozen=True, slots=True)
class Dot:
    """An event in the picture of a day."""

    x: float
    y: float
    event: Event


@dataclass(frozen=True, slots=True)
class Picture:
    """A day's events along lanes of time. marks: (x, words) along the bottom."""

    width: int
    height: int
    left: int
    lanes: list[tuple[str, float]]
    dots: list[Dot]
    marks: list[tuple[float, str]]


@dataclass(frozen=True, slots=True)
class DayRow:
    """A business day with its latest proof, if it has one."""

    day: date
    closed_at: datetime | None
    proof: reconciliation.Proof | None


@get("/console/reconciliation", sync_to_thread=True, include_in_schema=False)
def show_days(request: Asked, site: Here) -> Response[str]:
    """Business days with how their latest proofs came out, and members' files."""
    return _days_page(request, site)


@post("/console/reconciliation/{day:date}/prove", sync_to_thread=True, include_in_schema=False)
def prove(request: Asked, site: Here, day: FromPath[date]) -> Redirect:
    """Prove a day as the books stand now."""
    reconciliation.prove_day(site.ctx, day, by=clerk_of(request, site))
    return Redirect(f"/console/reconciliation/{day}", status_code=303)


@get("/console/reconciliation/{day:date}", sync_to_thread=True, include_in_schema=False)
def show_day(
    request: Asked,
    site: Here,
    day: FromPath[date],
    number: FromQuery[int | None] = None,
    form: Annotated[str, QueryParameter(pattern="^(|steps|findings|timeline)$")] = "",
) -> Response[Any]:
    """A day: its proof with a line for each step, and its story as a picture and a table."""
    get_operator(request, site)
    with site.ctx.tx() as tx:
        events = timeline(tx, day)
        try:
            proof = reconciliation.get_proof(tx, day, number)
        except reconciliation.UnknownProof:
            proof = None
    if form == "timeline":
        return _csv(to_csv(tables.EVENT_COLUMNS, tables.event_rows(events)), f"timeline-{day}")
    if form and proof is not None:
        columns = tables.STEP_COLUMNS if form == "steps" else tables.FINDING_COLUMNS
        rows = tables.step_rows(proof) if form == "steps" else tables.finding_rows(proof)
        return _csv(to_csv(columns, rows), f"proof-{day}-{proof.number}-{form}")
    return page(
        "console/reconcile_day.html",
        here="reconciliation",
        day=day,
        proof=proof,
        events=events,
        picture=_picture(events) if events else None,
        before=day - timedelta(days=1),
        after=day + timedelta(days=1),
    )


@post(
    "/console/reconciliation/files",
    sync_to_thread=True,
    include_in_schema=False,
    request_max_body_size=FILE_BYTES_MAX,
)
def hand_in(
    request: Asked,
    site: Here,
    data: Annotated[dict[str, Any], Body(media_type=RequestEncodingType.MULTI_PART)],
) -> Response[Any]:
    """Hold a member's file against ours, or show what of it does not fit."""
    by = clerk_of(request, site)
    words = {name: value.strip() for name, value in data.items() if isinstance(value, str)}
    try:
        given = data.get("file")
        if not isinstance(given, UploadFile) or not given.filename:
            raise InvalidInput(
                "There is no file.", problems=(Problem("file", "nothing was chosen", "Choose one"),)
            )
        first, last = (_day(name, words.get(name, "")) for name in ("first", "last"))
        with tempfile.NamedTemporaryFile() as kept:
            shutil.copyfileobj(given.file, kept)
            kept.flush()
            made = reconciliation.read_file(
                site.ctx,
                Path(kept.name),
                words.get("member", ""),
                first,
                last,
                name=given.filename.replace("\0", "")[:200],
                by=by,
            )
    except HansaError as error:
        return _days_page(request, site, error=error)
    return Redirect(link_of(made.file.file_id), status_code=303)


@get("/console/reconciliation/files/{file_id:uuid}", sync_to_thread=True, include_in_schema=False)
def show_file(
    request: Asked,
    site: Here,
    file_id: FromPath[UUID],
    after: Annotated[int, QueryParameter(ge=0)] = 0,
    form: Annotated[str, QueryParameter(pattern="^(|csv)$")] = "",
) -> Response[Any]:
    """A member's file: what was matched by which rule, and the queue of what was not."""
    get_operator(request, site)
    if form:
        with site.ctx.tx() as tx:
            rows = [
                row
                for side in ("t", "o")
                for row in tables.row_rows(side, reconciliation.list_free(tx, file_id, side, limit=100_000))
            ]
        return _csv(to_csv(tables.ROW_COLUMNS, rows), f"unmatched-{file_id}")
    return _file_page(request, site, file_id, after=after)


@post("/console/reconciliation/files/{file_id:uuid}", sync_to_thread=True, include_in_schema=False)
def by_hand(
    request: Asked,
    site: Here,
    file_id: FromPath[UUID],
    data: Annotated[HandForm, Body(media_type=RequestEncodingType.URL_ENCODED)],
) -> Response[Any]:
    """Propose a match, or that one is undone, or decide on what another proposed; or show what stands in the way."""
    by = clerk_of(request, site)
    why = data.why.replace("\0", "")
    proposal_id = fact_id(None, "matched by hand", file_id, data.nonce, data.what, data.match, by)
    try:
        if data.what == "match":
            reconciliation.propose_match(
                site.ctx,
                proposal_id,
                file_id,
                ours=_numbers("ours", data.ours),
                theirs=_numbers("theirs", data.theirs),
                why=why,
                by=by,
            )
        elif data.what == "undo":
            [match_no] = _numbers("match", data.match)
            reconciliation.propose_undo(site.ctx, proposal_id, file_id, match_no, why=why, by=by)
        elif data.what in ("approved", "refused"):
            decision: Literal["approved", "refused"] = "approved" if data.what == "approved" else "refused"
            reconciliation.decide(site.ctx, _id(data.proposal), decision, why=why, by=by)
    except reconciliation.UnknownFile:
        raise
    except HansaError as error:
        return _file_page(request, site, file_id, error=error, kept=data)
    return Redirect(link_of(file_id), status_code=303)


def link_of(file_id: UUID) -> str:
    """Where a member's file is shown."""
    return f"/console/reconciliation/files/{file_id}"


def _day(field: str, text: str) -> date:
    """Errors: InvalidInput."""
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        problem = Problem(field, f"{text[:20]!r} is no day", "Write it as 2026-11-17")
        raise InvalidInput("A day is missing.", problems=(problem,)) from error


def _days_page(request: Asked, site: Site, *, error: HansaError | None = None) -> Response[str]:
    by = clerk_of(request, site)
    with site.ctx.tx() as tx:
        closed = {one.business_day: one for one in clearing.list_days(tx, limit=DAYS_SHOWN)}
        proofs = {one.day: one for one in reconciliation.list_proofs(tx, limit=DAYS_SHOWN)}
        files = reconciliation.list_files(tx, limit=FILES_SHOWN)
        now = site.ctx.clock.now()
        compared = [reconciliation.compared(tx, one.file_id, now) for one in files if not one.superseded]
        proposals = reconciliation.list_proposals(tx)
        members = [one for one in trust.list_members(tx) if one.role != "bank"]
    days = [
        DayRow(day, closed[day].closed_at if day in closed else None, proofs.get(day))
        for day in sorted({*closed, *proofs}, reverse=True)
    ]
    return page(
        "console/reconcile_days.html",
        status_code=200 if error is None else error.status,
        here="reconciliation",
        days=days[:DAYS_SHOWN],
        steps=list(reconciliation.StepName),
        compared=compared,
        proposals=proposals,
        members=members,
        by=by,
        problems=problems_of(error) if error else [],
        error=error,
        latest=next(iter(sorted(closed, reverse=True)), None),
    )


def _file_page(
    request: Asked,
    site: Site,
    file_id: UUID,
    *,
    after: int = 0,
    error: HansaError | None = None,
    kept: HandForm | None = None,
) -> Response[str]:
    with site.ctx.tx() as tx:
        now = site.ctx.clock.now()
        made = reconciliation.compared(tx, file_id, now)
        theirs = reconciliation.list_free(tx, file_id, "t", after=after, limit=ROWS_SHOWN)
        ours = reconciliation.list_free(tx, file_id, "o", after=after, limit=ROWS_SHOWN)
        found = reconciliation.suggestions(tx, file_id, theirs)
        matches = reconciliation.list_matches(tx, file_id, apart=True, limit=ROWS_SHOWN)
        proposals = reconciliation.list_proposals(tx, file_id)
        names = member_names(tx)
    return page(
        "console/reconcile_file.html",
        status_code=200 if error is None else error.status,
        here="reconciliation",
        made=made,
        member=names.get(made.file.member_id, made.file.member_id),
        theirs=theirs,
        ours=ours,
        found=found,
        matches=matches,
        proposals=proposals,
        ages=_ages(made.left),
        age_names=[name for name, _ in AGES],
        now=now,
        nonce=str(new_id()),
        kept=kept or HandForm(),
        error=error,
        problems=problems_of(error) if error else [],
        more=max((one.key for one in (*theirs, *ours)), default=0)
        if max(len(theirs), len(ours)) == ROWS_SHOWN
        else 0,
        **clerk_words(request, site, back=link_of(file_id)),
    )


def _ages(
    left: Sequence[reconciliation.Left],
) -> list[tuple[str, str, list[tuple[int, int]]]]:
    """What has no partner by side and currency: for each range of days how many and what they come to."""
    sums: dict[tuple[str, str], list[tuple[int, int]]] = {}
    for one in left:
        place = next(n for n, (_, last) in enumerate(AGES) if last is None or one.days <= last)
        row = sums.setdefault((one.side, one.currency), [(0, 0)] * len(AGES))
        count, minor = row[place]
        row[place] = (count + one.count, minor + one.minor)
    return [(side, currency, row) for (side, currency), row in sorted(sums.items(), reverse=True)]


def _picture(events: Sequence[Event]) -> Picture:
    """Lanes one under the other; events by their order and time, so that a busy minute can still be read."""
    first, last = events[0].at, events[-1].at
    span = (last - first).total_seconds() or 1.0
    room = _WIDTH - _LEFT - 20
    dots: list[Dot] = []
    taken: dict[str, float] = {}
    for event in events:
        x = _LEFT + 10 + room * (event.at - first).total_seconds() / span
        x = max(x, taken.get(event.lane, 0.0) + 9)
        taken[event.lane] = x
        dots.append(Dot(round(min(x, _WIDTH - 8), 1), LANES.index(event.lane) * _LANE + 20, event))
    lanes = [(lane, n * _LANE + 20.0) for n, lane in enumerate(LANES)]
    marks = [
        (round(_LEFT + 10 + room * part, 1), f"{first + (last - first) * part:%d %b %H:%M}")
        for part in (0, 0.5, 1)
    ]
    return Picture(_WIDTH, len(LANES) * _LANE + 26, _LEFT, lanes, dots, marks)


def _numbers(field: str, text: str) -> list[int]:
    """Numbers of rows with spaces or commas between. Errors: InvalidInput."""
    words = text.replace(",", " ").split()
    if not all(one.isascii() and one.isdigit() and len(one) < 10 for one in words) or len(words) > 200:
        problem = Problem(field, f"{text[:40]!r} are no numbers of rows", "Write them with spaces between")
        raise InvalidInput("Rows are named by their numbers.", problems=(problem,))
    return sorted({int(one) for one in words})


def _id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError as error:
        problem = Problem("proposal", "no id", "Use the buttons of the page")
        raise InvalidInput("This names no proposal.", problems=(problem,)) from error


def _csv(body: bytes, name: str) -> Response[bytes]:
    return Response(
        body,
        media_type="text/csv; charset=utf-8; header=present",
        headers={
            "content-disposition": f'attachment; filename="{name}.csv"',
            "cache-control": "no-store",
        },
    )


ROUTES = [show_days, prove, show_day, hand_in, show_file, by_hand]
