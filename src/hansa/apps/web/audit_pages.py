"""The audit record at the console: who did what to whom and why, searched; and whether it is as it was sealed."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Any
from urllib.parse import urlencode
from uuid import UUID

from litestar import Request, Response, get
from litestar.exceptions import NotFoundException
from litestar.params import FromPath, FromQuery, QueryParameter

from hansa import audit
from hansa.apps.web.callers import get_operator
from hansa.apps.web.languages import spoken, words_for
from hansa.apps.web.pages import page
from hansa.apps.web.site import Here, Site

Asked = Request[Any, Any, Any]
Text = Annotated[str, QueryParameter(max_length=200)]

ON_A_PAGE = 50
CHECKED_MAX = 200_000
"""Acts that a page checks by itself; more is for ``hansa audit check``."""


@get("/console/audit-trail", sync_to_thread=True, include_in_schema=False)
def show_record(
    request: Asked,
    site: Here,
    q: Text = "",
    who: Text = "",
    act: Text = "",
    chain: Text = "",
    day: FromQuery[date | None] = None,
    after: Text = "",
    check: FromQuery[bool] = False,
) -> Response[Any]:
    """The record, newest first, as it is asked for. check: work out every seal anew."""
    get_operator(request, site)
    since = None if day is None else datetime.combine(day, time(), UTC)
    with site.ctx.tx() as tx:
        found = audit.search(
            tx,
            words=q or None,
            actor=who or None,
            action=act or None,
            chain=chain or None,
            since=since,
            until=None if since is None else since + timedelta(days=1),
            before=_place(after),
            limit=ON_A_PAGE + 1,
        )
        heads = audit.list_heads(tx)
        newest = {one.chain: one for one in audit.list_checkpoints(tx)}
        small = sum(head.place for head in heads) <= CHECKED_MAX
        checked = audit.check(tx) if check and small else None
    shown = found[:ON_A_PAGE]
    asked = {"q": q, "who": who, "act": act, "chain": chain, "day": "" if day is None else str(day)}
    more = ""
    if len(found) > ON_A_PAGE:
        kept = {name: text for name, text in asked.items() if text}
        more = urlencode(kept | {"after": f"{shown[-1].at.isoformat()}~{shown[-1].act_id}"})
    return _say(
        request,
        site,
        "console/audit_trail.html",
        acts=shown,
        asked=asked,
        more=more,
        heads=heads,
        newest=newest,
        checked=checked,
        check=check,
        small=small,
    )


@get("/console/audit-trail/{act_id:uuid}", sync_to_thread=True, include_in_schema=False)
def show_act(request: Asked, site: Here, act_id: FromPath[UUID]) -> Response[Any]:
    """One act, its seal, and what became of it."""
    get_operator(request, site)
    with site.ctx.tx() as tx:
        act = audit.find_act(tx, act_id)
        outcome = audit.search(tx, subject=f"act:{act_id}", limit=1)
    if act is None:
        raise NotFoundException
    return _say(request, site, "console/audit_act.html", act=act, outcome=outcome[0] if outcome else None)


def _say(request: Asked, site: Site, template: str, /, **values: Any) -> Response[Any]:
    say = words_for(request)
    return spoken(
        page(template, say=say, here="audit-trail", now=site.ctx.clock.now(), **values), say, request
    )


def _place(after: str) -> tuple[datetime, UUID] | None:
    """Where to go on; nothing for what is no place."""
    at, _, act_id = after.partition("~")
    try:
        instant = datetime.fromisoformat(at)
        return None if instant.tzinfo is None else (instant, UUID(act_id))
    except ValueError:
        return None


ROUTES = [show_record, show_act]
