"""The front door: what Hansa is, the description of its interface, and whether it is well."""

from typing import Any

import msgspec
from litestar import Request, Response, get
from litestar.response import Redirect

from hansa import atlas
from hansa.apps.web.description import description_of
from hansa.apps.web.languages import spoken, words_for
from hansa.apps.web.pages import page
from hansa.apps.web.site import Here


@get("/", sync_to_thread=True, include_in_schema=False)
def show_front(request: Request[Any, Any, Any], site: Here) -> Response[str]:
    with site.ctx.tx() as tx:
        cities = atlas.list_cities(tx)
    say = words_for(request)
    return spoken(page("landing.html", say=say, cities=cities), say, request)


@get("/healthz", sync_to_thread=True, include_in_schema=False)
def show_health(site: Here) -> dict[str, str]:
    """Well when the database answers; a problem with status 503 otherwise."""
    with site.ctx.tx() as tx:
        tx.execute("select 1")
    return {"status": "ok"}


@get(
    "/openapi.json",
    sync_to_thread=False,
    include_in_schema=False,
    media_type="application/vnd.oai.openapi+json",
)
def show_openapi(request: Request[Any, Any, Any]) -> bytes:
    return msgspec.json.encode(description_of(request.app))  # a default may be a UUID or a date


@get("/docs", sync_to_thread=False, include_in_schema=False)
def show_docs() -> Redirect:
    """Where the pages for developers were before they had a place of their own."""
    return Redirect("/developers")


@get("/favicon.ico", sync_to_thread=False, include_in_schema=False)
def show_favicon() -> Redirect:
    return Redirect("/static/icon.svg")


ROUTES = [show_front, show_health, show_openapi, show_docs, show_favicon]
