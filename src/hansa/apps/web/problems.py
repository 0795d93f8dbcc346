"""What a caller is told when something does not work: RFC 9457 problem details, or a page that says the same."""

import logging
from http import HTTPStatus
from typing import Any, cast

import msgspec
from litestar import Request, Response
from litestar.exceptions import (
    HTTPException,
    MethodNotAllowedException,
    NotFoundException,
    ValidationException,
)
from litestar.types import ExceptionHandlersMap

from hansa.apps.web.pages import page
from hansa.kernel import HansaError, new_id

logger = logging.getLogger("hansa.web")

TYPES = "https://hansa.invalid/problems/"
"""Problem types are names, not pages to visit; the top-level domain ``invalid`` says so (RFC 2606)."""

READS_BODIES = ("litestar.serialization", "msgspec")
"""Modules in which a body is read."""


class FaultyField(msgspec.Struct, frozen=True):
    """One thing wrong with what was sent: where it stands, what is wrong, what to do."""

    where: str
    what: str
    remedy: str


class ProblemDetails(msgspec.Struct, frozen=True):
    """Why a request was not carried out (RFC 9457). Branch on ``code``; it never changes.

    instance: names this one answer; quote it when asking about it.
    """

    type: str
    title: str
    status: int
    detail: str
    code: str
    instance: str
    problems: tuple[FaultyField, ...] = ()


class CrossSite(HansaError):
    """Another site sent this form. Open the page here and send it again."""

    code = "web.cross_site"
    status = 403


def wants_page(request: Request[Any, Any, Any]) -> bool:
    """Whether a person's browser asked, for a page and not for data."""
    return not request.url.path.startswith("/v1/") and "text/html" in request.headers.get("accept", "")


def answer_problem(
    request: Request[Any, Any, Any],
    *,
    status: int,
    code: str,
    detail: str,
    title: str | None = None,
    problems: tuple[FaultyField, ...] = (),
    headers: dict[str, str] | None = None,
) -> Response[Any]:
    """The one form every refusal takes."""
    told = ProblemDetails(
        type=TYPES + code,
        title=title or HTTPStatus(status).phrase,
        status=status,
        detail=detail,
        code=code,
        instance=f"urn:uuid:{new_id()}",
        problems=problems,
    )
    if status >= 500:
        logger.error("%s %s: %s %s", request.method, request.url.path, told.instance, code)
    if wants_page(request):
        return page("error.html", status_code=status, problem=told, signed_out=status == 401)
    return Response(
        msgspec.json.encode(told),
        status_code=status,
        media_type="application/problem+json",
        headers={**(headers or {}), "cache-control": "no-store"},
    )


def on_hansa_error(request: Request[Any, Any, Any], error: HansaError) -> Response[Any]:
    name = type(error).__doc__ or ""
    return answer_problem(
        request,
        status=error.status,
        code=error.code,
        title=name.strip().split("\n")[0] or None,
        detail=error.detail,
        problems=tuple(FaultyField(p.where, p.what, p.remedy) for p in error.problems),
        headers={"www-authenticate": "Bearer"} if error.status == 401 else None,
    )


def on_validation_error(request: Request[Any, Any, Any], error: ValidationException) -> Response[Any]:
    found = cast(list[Any], error.extra if isinstance(error.extra, list) else [error.extra or error.detail])
    problems = tuple(_faulty_field(one) for one in found)
    return answer_problem(
        request,
        status=422,
        code="web.does_not_fit",
        title="The request does not fit its description.",
        detail="; ".join(f"{problem.where}: {problem.what}" for problem in problems),
        problems=problems,
    )


def on_http_error(request: Request[Any, Any, Any], error: HTTPException) -> Response[Any]:
    status = error.status_code
    codes = {
        400: "web.malformed",
        401: "trust.not_signed_in",
        403: "trust.not_allowed",
        404: "web.not_found",
        405: "web.method_not_allowed",
        413: "web.too_large",
        415: "web.media_type",
    }
    details = {
        404: f"There is nothing at {request.url.path}.",
        405: f"{request.method} is not something {request.url.path} does.",
        413: "The body is larger than this address takes. Send it in smaller parts.",
    }
    return answer_problem(
        request,
        status=status,
        code=codes.get(status, "web.refused" if status < 500 else "web.failed"),
        detail=details.get(status, error.detail if status < 500 else "Something broke on our side."),
        headers=dict(error.headers or {}),
    )


def on_unexpected(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
    """A bug of ours. The caller gets an id to quote; what broke stays in our log beside that id."""
    answer = answer_problem(
        request,
        status=500,
        code="web.failed",
        title="Something broke on our side.",
        detail="Something broke on our side. It is in our log under the id of this answer.",
    )
    logger.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return answer


def on_unreadable(
    request: Request[Any, Any, Any], error: RecursionError | UnicodeDecodeError
) -> Response[Any]:
    """A body nested too deeply, or that is no UTF-8, is the sender's; raised anywhere else, it is a bug of ours."""
    if not _raised_while_reading(error):
        return on_unexpected(request, error)
    what = "nested too deeply" if isinstance(error, RecursionError) else "not UTF-8"
    return answer_problem(
        request,
        status=400,
        code="web.malformed",
        title="The body cannot be read.",
        detail=f"The body is {what}. Send it as its description says.",
    )


def _raised_while_reading(error: BaseException) -> bool:
    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    return place is not None and place.tb_frame.f_globals.get("__name__", "").startswith(READS_BODIES)


def _faulty_field(found: object) -> FaultyField:
    if isinstance(found, dict):
        fields = cast(dict[str, Any], found)
        where = str(fields.get("key") or fields.get("source") or "body")
        return FaultyField(
            where, str(fields.get("message", "does not fit")), "See /openapi.json for what fits"
        )
    return FaultyField("body", str(found), "See /openapi.json for what fits")


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
