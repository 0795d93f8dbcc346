"""The console's page of rides that wait for a price: whose, of which day, why; and to have them rated again."""

from datetime import date
from typing import Annotated, Any

from litestar import Request, Response, get, post
from litestar.enums import RequestEncodingType
from litestar.params import Body, QueryParameter
from litestar.response import Redirect

from hansa import rides
from hansa.apps.web.callers import get_operator
from hansa.apps.web.pages import page
from hansa.apps.web.site import Here

Asked = Request[Any, Any, Any]
Form = Annotated[dict[str, str], Body(media_type=RequestEncodingType.URL_ENCODED)]
LISTED_MAX = 200
"""Days and reasons that are listed of an operator."""


@get("/console/held", sync_to_thread=True, include_in_schema=False)
def show_held(
    request: Asked, site: Here, again: Annotated[int | None, QueryParameter(ge=0)] = None
) -> Response[str]:
    """Every operator's rides without a price, by day and reason. again: how many days were just marked."""
    get_operator(request, site)
    with site.ctx.tx() as tx:
        whose = {one.operator_id: one.name for one in rides.list_tariffs(tx)}
        found = {one: rides.list_held(tx, one, limit=LISTED_MAX) for one in sorted(whose)}
    return page(
        "console/held.html",
        here="held",
        again=again,
        operators=[(one, held) for one, held in found.items() if held],
        listed_max=LISTED_MAX,
    )


@post("/console/held", sync_to_thread=True, include_in_schema=False)
def rate_again(request: Asked, site: Here, data: Form) -> Redirect:
    """Have an operator's day with held rides rated again, over the network that holds on it by now."""
    get_operator(request, site)
    try:
        day = date.fromisoformat(data.get("day", ""))
    except ValueError:
        return Redirect("/console/held", status_code=303)
    with site.ctx.tx() as tx:
        again = rides.rate_again(tx, data.get("operator", ""), day, day, only_held=True)
    return Redirect(f"/console/held?again={again}", status_code=303)


ROUTES = [show_held, rate_again]
