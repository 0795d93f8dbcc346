"""What a caller is told when something does not work: RFC 9457 problem details, or a page that says the same."""

import logging
import re
from http import HTTPStatus
from typing import Any, ClassVar, cast

import msgspec
from litestar import Request, Response
from litestar.exceptions import (
    HTTPException,
    MethodNotAllowedException,
    NotFoundException,
    ValidationException,
)
from litestar.types import ExceptionHandlersMap

from hansa.apps.web.languages import spoken, words_for
from hansa.apps.web.pages import page
from hansa.apps.web.refusals import note_refusal
from hansa.apps.web.remedies import next_action_of, user_message_of
from hansa.apps.web.request_ids import request_id_of
from hansa.kernel import HansaError

logger = logging.getLogger("hansa.web")

ERRORS = "/errors/"
"""Below this address of ours each code has its page; a problem's ``type`` leads there."""

READS_BODIES = ("litestar.serialization", "msgspec")
"""Modules in which a body is read."""


class Violation(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing wrong with what was sent. param: where, as in ``amount.minor`` or ``taps[3].tapped_at``.

    code: the kind of fault, where it is one of ``missing``, ``unknown``, ``type``, ``length``, ``range``, ``pattern``,
    ``value``. remedy: what to do.
    """

    param: str
    detail: str
    remedy: str
    code: str = ""


class ProblemDetails(msgspec.Struct, frozen=True):
    """Why a request was not carried out (RFC 9457). Branch on ``code``; it never changes.

    type: the page about this code. instance: this one request, as ``Request-Id`` says it; quote it when asking.
    param: the first field at fault, null where none is. next_action: what to do, as one word. user_message: what to
    show a person, in the language of ``Accept-Language`` (en, zh, fr); ``detail`` is for whoever writes the program.
    """

    type: str
    title: str
    status: int
    detail: str
    code: str
    instance: str
    next_action: str
    user_message: str
    param: str | None = None
    violations: tuple[Violation, ...] = ()


class CrossSite(HansaError):
    """Another site sent this form. Open the page here and send it again."""

    code = "web.cross_site"
    status = 403


class Malformed(HansaError):
    """The body cannot be read. Send it as its description at /openapi.json says."""

    code = "web.malformed"
    status = 400


class Refused(HansaError):
    """The request cannot be taken as it stands. Compare it with its description at /openapi.json."""

    code = "web.refused"
    status = 400


class NotFound(HansaError):
    """There is nothing at this address. Look the address up at /openapi.json."""

    code = "web.not_found"
    status = 404


class MethodNotAllowed(HansaError):
    """This address is not asked in this way. Use one of the methods that the header ``Allow`` names."""

    code = "web.method_not_allowed"
    status = 405


class TooLarge(HansaError):
    """The body is larger than this address takes. Send it in smaller parts."""

    code = "web.too_large"
    status = 413


class WrongMediaType(HansaError):
    """This address does not take a body of this media type. Say ``Content-Type: application/json``, and send that."""

    code = "web.media_type"
    status = 415


class DoesNotFit(HansaError):
    """The request does not fit its description. ``violations`` names each field: put those right and send it again."""

    code = "web.does_not_fit"
    status = 422


class Failed(HansaError):
    """Something broke on our side. Send the same request again, with the same id; if it stays, quote ``instance``."""

    code: ClassVar[str] = "web.failed"
    status: ClassVar[int] = 500


_BY_STATUS: dict[int, type[HansaError]] = {
    one.status: one for one in (Malformed, NotFound, MethodNotAllowed, TooLarge, WrongMediaType)
}


def wants_page(request: Request[Any, Any, Any]) -> bool:
    """Whether a person's browser asked, for a page and not for data."""
    return not request.url.path.startswith("/v1/") and "text/html" in request.headers.get("accept", "")


def answer_problem(
    request: Request[Any, Any, Any],
    *,
    error: type[HansaError],
    detail: str,
    status: int | None = None,
    code: str | None = None,
    title: str | None = None,
    violations: tuple[Violation, ...] = (),
    headers: dict[str, str] | None = None,
) -> Response[Any]:
    """The one form every refusal takes. status, code, title: where they are not the error's own."""
    status, code = status or error.status, code or error.code
    say = words_for(request)
    told = ProblemDetails(
        type=f"{request.url.scheme}://{request.url.netloc}{ERRORS}{code}",
        title=title or HTTPStatus(status).phrase,
        status=status,
        detail=detail,
        code=code,
        instance=f"urn:uuid:{request_id_of(request)}",
        next_action=next_action_of(error, status),
        user_message=say(user_message_of(error, status)),
        param=violations[0].param if violations else None,
        violations=violations,
    )
    note_refusal(request, code, status)
    if status >= 500:
        logger.error("%s %s: %s %s", request.method, _in_a_line(request), told.instance, code)
    if wants_page(request):
        shown = page("error.html", status_code=status, say=say, problem=told, signed_out=status == 401)
        return spoken(shown, say, request)
    return Response(
        msgspec.json.encode(told),
        status_code=status,
        media_type="application/problem+json",
        headers={
            **(headers or {}),
            "cache-control": "no-store",
            "content-language": say.language,
            "vary": "Accept-Language, Cookie",
        },
    )


def on_hansa_error(request: Request[Any, Any, Any], error: HansaError) -> Response[Any]:
    name = type(error).__doc__ or ""
    headers = {"www-authenticate": "Bearer"} if error.status == 401 else {}
    retry_after = getattr(error, "retry_after", None)  # a timedelta, where the error knows when to come again
    if retry_after is not None:
        headers["retry-after"] = str(max(1, -int(-retry_after.total_seconds() // 1)))
    return answer_problem(
        request,
        error=type(error),
        title=name.strip().split("\n")[0] or None,
        detail=error.detail,
        violations=tuple(Violation(p.where, p.what, p.remedy) for p in error.problems),
        headers=headers,
    )


def on_validation_error(request: Request[Any, Any, Any], error: ValidationException) -> Response[Any]:
    found = cast(list[Any], error.extra if isinstance(error.extra, list) else [error.extra or error.detail])
    violations = tuple(_violation(one) for one in found)
    return answer_problem(
        request,
        error=DoesNotFit,
        title="The request does not fit its description.",
        detail="; ".join(f"{one.param}: {one.detail}" for one in violations),
        violations=violations,
    )


def on_http_error(request: Request[Any, Any, Any], error: HTTPException) -> Response[Any]:
    status = error.status_code
    kind = _BY_STATUS.get(status, Refused if status < 500 else Failed)
    codes = {401: "trust.not_signed_in", 403: "trust.not_allowed"}
    details = {
        404: f"There is nothing at {request.url.path}.",
        405: f"{request.method} is not something {request.url.path} does.",
        413: "The body is larger than this address takes. Send it in smaller parts.",
    }
    return answer_problem(
        request,
        error=kind,
        status=status,
        code=codes.get(status),
        detail=details.get(status, error.detail if status < 500 else "Something broke on our side."),
        headers=dict(error.headers or {}),
    )


def on_unexpected(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
    """A bug of ours. The caller gets an id to quote; what broke stays in our log beside that id."""
    answer = answer_problem(
        request,
        error=Failed,
        title="Something broke on our side.",
        detail="Something broke on our side. It is in our log under the id of this answer.",
    )
    logger.error("%s %s failed", request.method, _in_a_line(request), exc_info=error)
    return answer


def _in_a_line(request: Request[Any, Any, Any]) -> str:
    """The path as a line of our log has it: whoever sends a line end writes no second line there."""
    path = request.url.path
    return path if path.isascii() and path.isprintable() else ascii(path)[1:-1]


def on_unreadable(
    request: Request[Any, Any, Any], error: RecursionError | UnicodeDecodeError
) -> Response[Any]:
    """A body nested too deeply, or that is no UTF-8, is the sender's; raised anywhere else, it is a bug of ours."""
    if not _raised_while_reading(error):
        return on_unexpected(request, error)
    what = "nested too deeply" if isinstance(error, RecursionError) else "not UTF-8"
    return answer_problem(
        request,
        error=Malformed,
        title="The body cannot be read.",
        detail=f"The body is {what}. Send it as its description says.",
    )


def _raised_while_reading(error: BaseException) -> bool:
    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    return place is not None and place.tb_frame.f_globals.get("__name__", "").startswith(READS_BODIES)


_KINDS = (
    ("missing", re.compile(r"[Mm]issing required")),
    ("unknown", re.compile(r"unknown field")),
    ("length", re.compile(r"of length")),
    ("pattern", re.compile(r"matching regex")),
    ("range", re.compile(r"`(int|float|decimal)` [<>]=?|multiple of")),
    ("type", re.compile(r"Expected `.*`, got")),
    ("value", re.compile(r"Invalid ")),
)
"""Kinds of faults, by the words in which msgspec tells them."""


def _violation(found: object) -> Violation:
    remedy = "See /openapi.json for what fits"
    if not isinstance(found, dict):
        return Violation("body", str(found), remedy, _kind(str(found)))
    fields = cast(dict[str, Any], found)
    param = str(fields.get("key") or fields.get("source") or "body")
    detail = str(fields.get("message", "does not fit"))
    return Violation(param, detail, remedy, _kind(detail))


def _kind(detail: str) -> str:
    return next((name for name, words in _KINDS if words.search(detail)), "")


EXCEPTION_HANDLERS: ExceptionHandlersMap = {
    HansaError: on_hansa_error,
    ValidationException: on_validation_error,
    NotFoundException: on_http_error,
    MethodNotAllowedException: on_http_error,
    HTTPException: on_http_error,
    RecursionError: on_unreadable,
    UnicodeDecodeError: on_unreadable,
    Exception: on_unexpected,
}
