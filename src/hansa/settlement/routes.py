"""HTTP for settlement: bank files out, statements in, what does not agree."""

from datetime import date, datetime
from typing import Annotated

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, PathParameter, QueryParameter, RawBody

from hansa import trust
from hansa.clearing import UnknownDay, UnknownWindow
from hansa.kernel import InvalidInput, Money, Problem, paged
from hansa.settlement import actions, desk_routes
from hansa.settlement.model import STATEMENT_BYTES_MAX, BadStatement, Break, StatementDiffers, UnknownFile
from hansa.store import Context


class File(msgspec.Struct, frozen=True):
    """A bank file: pain.001.001.09 of one day and currency. sha256: of its bytes, hex."""

    message_id: str
    currency: str
    created_at: datetime
    control_sum: Money
    transactions: int
    sha256: str


class Files(msgspec.Struct, frozen=True):
    """A window's files, and how far each currency is: cleared, instructed or settled. day: its business day."""

    day: date
    files: list[File]
    progress: dict[str, str]
    window_id: str


class BreakView(msgspec.Struct, frozen=True):
    """A disagreement between what was instructed and what the bank says."""

    statement_id: str
    entry: int
    kind: str
    end_to_end_id: str
    expected: Money | None
    found: Money | None
    detail: str
    found_at: datetime


class BreakPage(msgspec.Struct, frozen=True):
    """Some breaks; ``next`` asks for those after them, null at the end."""

    breaks: list[BreakView]
    next: str | None


class Settled(msgspec.Struct, frozen=True):
    """A day whose money has all moved in a currency."""

    day: date
    currency: str


class StatementReceipt(msgspec.Struct, frozen=True):
    """What reading a statement came to; the same however often it is sent."""

    statement_id: str
    matched: int
    breaks: list[BreakView]
    settled: list[Settled]


@get(
    "/v1/settlement/days/{day:date}/files",
    sync_to_thread=True,
    tags=["Settlement"],
    opt={"needs": "settlement:read", "refuses": (UnknownDay,)},
)
def list_files(
    ctx: NamedDependency[Context], caller: NamedDependency[trust.Caller], day: FromPath[date]
) -> Files:
    """The bank files of a day. Needs `settlement:read`."""
    caller.require_league("settlement:read")
    return _files(ctx, day)


@get(
    "/v1/settlement/windows/{window_id:str}/files",
    sync_to_thread=True,
    tags=["Settlement"],
    opt={"needs": "settlement:read", "refuses": (UnknownWindow, InvalidInput)},
)
def list_window_files(
    ctx: NamedDependency[Context],
    caller: NamedDependency[trust.Caller],
    window_id: Annotated[str, PathParameter(max_length=60)],
) -> Files:
    """The bank files of a window of any model. Needs `settlement:read`."""
    caller.require_league("settlement:read")
    if "\0" in window_id:
        raise InvalidInput(problems=(Problem("window_id", "it holds a NUL", "Take it out"),))
    return _files(ctx, window_id)


@get(
    "/v1/settlement/files/{message_id:str}",
    sync_to_thread=True,
    tags=["Settlement"],
    opt={"needs": "settlement:read", "refuses": (UnknownFile, InvalidInput)},
    media_type="application/xml",
)
def download_file(
    ctx: NamedDependency[Context],
    caller: NamedDependency[trust.Caller],
    message_id: Annotated[str, PathParameter(max_length=35)],
) -> Response[bytes]:
    """A bank file, byte for byte as it was written. Needs `settlement:read`."""
    caller.require_league("settlement:read")
    if "\0" in message_id:
        raise InvalidInput(problems=(Problem("message_id", "it holds a NUL", "Take it out"),))
    with ctx.tx() as tx:
        document = actions.file_document(tx, message_id)
    return Response(
        document,
        media_type="application/xml",
        headers={"Content-Disposition": f'attachment; filename="{message_id}.xml"'},
    )


@post(
    "/v1/settlement/statements",
    sync_to_thread=True,
    status_code=200,
    tags=["Settlement"],
    opt={
        "needs": "settlement:write",
        "takes": "application/xml",
        "refuses": (BadStatement, StatementDiffers),
    },
    request_max_body_size=STATEMENT_BYTES_MAX,
)
def read_statement(
    ctx: NamedDependency[Context], caller: NamedDependency[trust.Caller], body: RawBody
) -> StatementReceipt:
    """Hand in a bank statement: the body is a camt.053. Needs `settlement:write`; sending it again is harmless.

    `settlement.bad_statement` with the place, the fault and the remedy of each problem; nothing is taken then.
    """
    caller.require_league("settlement:write")
    read = actions.read_statement(ctx, body)
    return StatementReceipt(
        read.statement_id,
        len(read.matched),
        [_break(found) for found in read.breaks],
        [Settled(day, currency) for day, currency in read.settled],
    )


@get(
    "/v1/settlement/breaks",
    sync_to_thread=True,
    tags=["Settlement"],
    opt={"needs": "settlement:read", "refuses": (InvalidInput,)},
)
def list_breaks(
    ctx: NamedDependency[Context],
    caller: NamedDependency[trust.Caller],
    after: Annotated[str, QueryParameter(max_length=60, description="`next` of the page before")] = "",
    limit: Annotated[int, QueryParameter(ge=1, le=1000)] = 100,
) -> BreakPage:
    """What does not agree and waits for a person. Needs `settlement:read`."""
    caller.require_league("settlement:read")
    with ctx.tx() as tx:
        found = actions.open_breaks(tx, after=_cursor(after), limit=limit + 1)
    page, more = paged(found, limit, lambda one: f"{one.statement_id}~{one.entry}")
    return BreakPage([_break(one) for one in page], more)


def _files(ctx: Context, when: actions.When) -> Files:
    with ctx.tx() as tx:
        window = actions.window_of(tx, when)
        files = actions.list_files(tx, window.window_id)
        progress = actions.progress(tx, window.window_id)
    return Files(
        window.business_day,
        [
            File(
                file.message_id,
                file.currency,
                file.created_at,
                Money(file.control_sum_minor, file.currency),
                file.transactions,
                file.digest.hex(),
            )
            for file in files
        ],
        {currency: state.value for currency, state in progress.items()},
        window.window_id,
    )


def _cursor(text: str) -> tuple[str, int]:
    if not text:
        return ("", 0)
    statement_id, _, entry = text.rpartition("~")
    if "\0" in text or not entry.removeprefix("-").isdecimal() or not entry.isascii() or len(entry) > 9:
        raise InvalidInput(
            "This is not a place in the list.",
            problems=(Problem("after", f"{text!r} is no cursor", "Send one that this list gave"),),
        )
    return (statement_id, int(entry))


def _break(found: Break) -> BreakView:
    return BreakView(
        statement_id=found.statement_id,
        entry=found.entry,
        kind=found.kind.value,
        end_to_end_id=found.end_to_end_id,
        expected=None if found.expected_minor is None else Money(found.expected_minor, found.currency),
        found=None if found.found_minor is None else Money(found.found_minor, found.currency),
        detail=found.detail,
        found_at=found.found_at,
    )


ROUTES = [list_files, list_window_files, download_file, read_statement, list_breaks, *desk_routes.ROUTES]
