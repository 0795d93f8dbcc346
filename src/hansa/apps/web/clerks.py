"""Who decides at the console's desks, where two persons are needed: the caller, or in a demo one of two clerks."""

from dataclasses import dataclass
from typing import Annotated, Any

from litestar import Request, post
from litestar.datastructures import Cookie
from litestar.enums import RequestEncodingType
from litestar.params import Body
from litestar.response import Redirect

from hansa import trust
from hansa.apps.web.callers import get_operator
from hansa.apps.web.site import Here, Site

Asked = Request[Any, Any, Any]

COOKIE = "hansa_clerk"
DEMO_CLERKS = ("Ada", "Bo")
"""Whom the person at this machine may act as in a demo, since nobody approves what he wrote or handed in himself."""

_DESKS, _FIRST_DESK = "/console/", "/console/tariffs"


@dataclass(frozen=True)
class ClerkForm:
    """Whom to act as, in a demo, and which page of the console to come back to."""

    clerk: str = ""
    back: str = ""


def clerk_of(request: Asked, site: Site) -> str:
    """By which name a decision is kept: the caller's, and in a demo that of the clerk one acts as.

    Errors: as get_operator.
    """
    operator = get_operator(request, site)
    if operator.caller_id != "demo:league":
        return operator.who
    wanted = request.cookies.get(COOKIE, "")
    return f"demo:{wanted if wanted in DEMO_CLERKS else DEMO_CLERKS[0]}"


def reader_of(request: Asked, site: Site) -> str:
    """As a person reads who looked at their data: a member's staff by their member. Errors: as get_operator."""
    return reader_as(get_operator(request, site), clerk_of(request, site))


def reader_as(operator: trust.Caller, by: str) -> str:
    """As a person reads who looked at their data, who acts for this operator by that name."""
    member_id = None if operator.kind == "league" else operator.member_id
    return by if member_id is None or by.startswith(f"{member_id}:") else f"{member_id}:{by}"


def clerk_words(request: Asked, site: Site, *, back: str) -> dict[str, Any]:
    """Who acts, and in a demo who else could, for the head of a page. back: where the other goes on."""
    by = clerk_of(request, site)
    return {
        "clerk": by.removeprefix("demo:"),
        "by": by,
        "clerks": DEMO_CLERKS if by.startswith("demo:") else (),
        "back": back,
    }


@post("/console/clerk", sync_to_thread=True, include_in_schema=False)
def act_as(
    request: Asked, site: Here, data: Annotated[ClerkForm, Body(media_type=RequestEncodingType.URL_ENCODED)]
) -> Redirect:
    """In a demo, go on as the other clerk."""
    get_operator(request, site)
    inside = data.back.startswith(_DESKS) and "\\" not in data.back
    answer = Redirect(data.back if inside else _FIRST_DESK, status_code=303)
    if site.demo and data.clerk in DEMO_CLERKS:
        answer.set_cookie(
            Cookie(key=COOKIE, value=data.clerk, path="/console", httponly=True, samesite="lax")
        )
    return answer


ROUTES = [act_as]
