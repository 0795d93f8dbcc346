"""Pages for developers: errors by code. Each page is also data, for programs that ask for JSON."""

import json
from typing import Any

import msgspec
from litestar import MediaType, Request, Response, get
from litestar.params import FromPath

from hansa.apps.web.error_book import ErrorPage, error_pages
from hansa.apps.web.languages import spoken, words_for
from hansa.apps.web.pages import page
from hansa.apps.web.problems import NotFound, wants_page

Asked = Request[Any, Any, Any]


@get("/errors", sync_to_thread=True, include_in_schema=False)
def show_errors(request: Asked) -> Response[Any]:
    """All codes, by who tells them."""
    pages = error_pages()
    if not wants_page(request):
        return _json([_told(one) for one in pages.values()])
    groups: dict[str, list[ErrorPage]] = {}
    for one in pages.values():
        groups.setdefault(one.room, []).append(one)
    words = words_for(request)
    answer = page("errors/index.html", here="developers", section="errors", say=words, groups=groups)
    return spoken(answer, words, request)


@get("/errors/{code:str}", sync_to_thread=True, include_in_schema=False)
def show_error(request: Asked, code: FromPath[str]) -> Response[Any]:
    """What a code means, what to do, which operations answer it. Errors: NotFound."""
    one = error_pages().get(code)
    if one is None:
        raise NotFound(f"There is no error of the code {code[:80]!r}.")
    example = one.example(base_url(request))
    if not wants_page(request):
        return _json(_told(one) | {"example": example})
    words = words_for(request)
    answer = page(
        "errors/code.html",
        here="developers",
        section="errors",
        say=words,
        one=one,
        example=json.dumps(example, indent=2, ensure_ascii=False),
    )
    return spoken(answer, words, request)


def base_url(request: Asked) -> str:
    """Where this server is asked, without a slash at the end."""
    return f"{request.url.scheme}://{request.url.netloc}"


def _told(one: ErrorPage) -> dict[str, object]:
    return {
        "code": one.code,
        "status": one.status,
        "meaning": one.meaning,
        "remedy": one.remedy,
        "next_action": one.next_action,
        "user_message": one.user_message,
        "operations": [f"{each.verb} {each.path}" for each in one.operations],
    }


def _json(told: object) -> Response[Any]:
    return Response(msgspec.json.encode(told), media_type=MediaType.JSON)


ROUTES = [show_errors, show_error]
