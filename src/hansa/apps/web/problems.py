"""What a caller is told when something does not work: RFC 9457 problem details, or a page that says the same."""

import logging
from difflib import get_close_matches
from http import HTTPStatus
from typing import Any, ClassVar, cast

import msgspec
from litestar import Request, Response
from litestar.enums import RequestEncodingType
from litestar.exceptions import (
    HTTPException,
    MethodNotAllowedException,
    NotFoundException,
    ValidationException,
)
from litestar.handlers import HTTPRouteHandler
from litestar.types import ExceptionHandlersMap

from hansa.apps.web.languages import spoken, words_for
from hansa.apps.web.pages import page
from hansa.apps.web.refusals import note_refusal
from hansa.apps.web.remedies import meaning_of, next_action_of, params, remedy_of, user_message_of
from hansa.apps.web.request_ids import request_id_of
from hansa.apps.web.violations import Violation, violation_of
from hansa.kernel import HansaError

logger = logging.getLogger("hansa.web")

ROOMS = "/developers/reference"
"""Where people read of every address."""

ERRORS = "/errors/"
"""Below this address of ours each code has its page; a problem's ``type`` leads there."""

READS_BODIES = ("litestar.serialization", "msgspec")
"""Modules in which a body is read."""

BROKE_OFF = "client disconnected prematurely"
"""How Litestar says that the sender hung up before the body was there."""


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
    user_message: ClassVar[str] = "This page opens from a form. Go back to the form, and send it again."


class TooLarge(HansaError):
    """The body is larger than this address takes. Send it in smaller parts."""

    code = "web.too_large"
    status = 413


class WrongMediaType(HansaError):
    """This address does not take a body of this media type. Say `Content-Type: application/json`, and send that."""

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


_HEADS, _HEAD = {"/console": "console/base.html"}, "base.html"
"""Under whose head a refusal is shown, by where it came."""


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
        shown = page(
            "error.html",
            status_code=status,
            say=say,
            problem=told,
            signed_out=status == 401,
            here="",
            base=next((base for place, base in _HEADS.items() if request.url.path.startswith(place)), _HEAD),
        )
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
    name, param = type(error).__doc__ or "", params().get(error.code)
    headers = {"www-authenticate": "Bearer"} if error.status == 401 else {}
    retry_after = getattr(error, "retry_after", None)  # a timedelta, where the error knows when to come again
    if retry_after is not None:
        headers["retry-after"] = str(max(1, -int(-retry_after.total_seconds() // 1)))
    return answer_problem(
        request,
        error=type(error),
        title=name.strip().split("\n")[0] or None,
        detail=error.detail,
        violations=tuple(Violation(p.where, p.what, p.remedy) for p in error.problems)
        or ((Violation(param, error.detail, remedy_of(type(error))),) if param else ()),
        headers=headers,
    )


def on_validation_error(request: Request[Any, Any, Any], error: ValidationException) -> Response[Any]:
    found = cast(list[Any], error.extra if isinstance(error.extra, list) else [error.extra or error.detail])
    handler = request.scope.get("route_handler")
    model = handler.signature_model if isinstance(handler, HTTPRouteHandler) else None
    violations = tuple(violation_of(one, model) for one in found)
    return answer_problem(
        request,
        error=DoesNotFit,
        title="The request does not fit its description.",
        detail="; ".join(f"{one.param}: {one.detail}" for one in violations),
        violations=violations,
    )


def on_http_error(request: Request[Any, Any, Any], error: HTTPException) -> Response[Any]:
    if (
        error.detail == BROKE_OFF
    ):  # a page left while it was sending: nothing broke here, and nobody hears the answer
        return answer_problem(
            request,
            error=Malformed,
            title="The body breaks off.",
            detail="The request ended before its body did. Send it again, whole.",
        )
    status = error.status_code
    kind = _BY_STATUS.get(status, Refused if status < 500 else Failed)
    codes = {401: "trust.not_signed_in", 403: "trust.not_allowed"}
    does = sorted({*(error.headers or {}).get("allow", "").split(", ")} - {"", "OPTIONS"})
    details = {
        400: f"{error.detail.rstrip('.')}. {remedy_of(kind)}",
        404: _nothing_at(request),
        405: f"{request.method} is not something {request.url.path} does; it does {', '.join(does)}.",
        413: "The body is larger than this address takes. Send it in smaller parts.",
    }
    sent = request.headers.get("content-type", "")
    if kind is Malformed and sent and "json" not in sent and _reads_json(request):
        kind, status = WrongMediaType, WrongMediaType.status
        details[status] = f"The body came as {sent[:100]}. {remedy_of(kind)}"
    return answer_problem(
        request,
        error=kind,
        status=status,
        code=codes.get(status),
        title=None if status in codes else meaning_of(kind)[0],
        detail=details.get(status, error.detail if status < 500 else "Something broke on our side."),
        headers=dict(error.headers or {}),
    )


def _reads_json(request: Request[Any, Any, Any]) -> bool:
    """Whether the route that was reached reads its body as JSON."""
    handler = request.scope.get("route_handler")
    field = (
        handler.parsed_fn_signature.parameters.get("data") if isinstance(handler, HTTPRouteHandler) else None
    )
    return (
        field is not None and getattr(field.kwarg_definition, "media_type", None) is RequestEncodingType.JSON
    )


def _nothing_at(request: Request[Any, Any, Any]) -> str:
    """What whoever mistyped an address of the interface is told: what is near it, or where its addresses stand."""
    path, told = request.url.path, f"There is nothing at {request.url.path}."
    version, name = [*path.split("/"), "", ""][1:3]
    if version != "v1" or not name:
        return told
    names = {one.path.split("/")[2] for one in request.app.routes if one.path.startswith("/v1/")}
    if name in names:
        return f"{told} What lies below /v1/{name} stands at {ROOMS}?q=/v1/{name}; ids are UUIDs where it says so."
    near = get_close_matches(name, names, n=1)
    return f"{told} There is /v1/{near[0]}." if near else f"{told} All addresses stand at {ROOMS}."


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
