"""The console's pages of webhooks: endpoints of members, what was sent to each, tests and sending again."""

from collections.abc import Callable
from typing import Annotated, Any
from uuid import UUID

from litestar import Request, Response, get, post
from litestar.enums import RequestEncodingType
from litestar.params import Body, FromPath
from litestar.response import Redirect

from hansa import trust, webhooks
from hansa.apps.web.callers import get_operator
from hansa.apps.web.clerks import clerk_of, clerk_words
from hansa.apps.web.pages import page
from hansa.apps.web.site import Here, Site
from hansa.kernel import HansaError, InvalidInput, Problem, new_id

Asked = Request[Any, Any, Any]
Form = Annotated[dict[str, str | list[str]], Body(media_type=RequestEncodingType.URL_ENCODED)]

WEBHOOKS = "/console/webhooks"
ATTEMPTS_SHOWN, EVENTS_SHOWN = 100, 50
FIELD_MAX = 600

STATE_TONES = {"enabled": "ok", "unverified": "warm", "disabled": "bad"}


@get(WEBHOOKS, sync_to_thread=True, include_in_schema=False)
def show_webhooks(request: Asked, site: Here) -> Response[str]:
    """All endpoints, those that fail first, and a form for a new one."""
    get_operator(request, site)
    return _endpoints(request, site)


@post(WEBHOOKS, sync_to_thread=True, include_in_schema=False)
def add(request: Asked, site: Here, data: Form) -> Response[Any]:
    """Keep a new endpoint and send it its code."""
    by = clerk_of(request, site)
    try:
        made = webhooks.add_endpoint(
            site.ctx,
            endpoint_id=_id(data),
            member_id=_field(data, "member"),
            url=_field(data, "url"),
            about=_field(data, "about"),
            types=_many(data, "types"),
            by=by,
            reach=webhooks.reach_from_environment(),
        )
    except HansaError as error:
        return _endpoints(request, site, problems=_told(error), asked=data)
    return Redirect(f"{WEBHOOKS}/{made.endpoint_id}", status_code=303)


@get("/console/webhooks/{endpoint_id:uuid}", sync_to_thread=True, include_in_schema=False)
def show_endpoint(request: Asked, site: Here, endpoint_id: FromPath[UUID]) -> Response[str]:
    """One endpoint: what it is, how to verify it, what was tried, the latest events."""
    get_operator(request, site)
    return _endpoint(request, site, endpoint_id)


@post("/console/webhooks/{endpoint_id:uuid}", sync_to_thread=True, include_in_schema=False)
def act(request: Asked, site: Here, endpoint_id: FromPath[UUID], data: Form) -> Response[Any]:
    """Send the code, verify, test, send again, rotate, disable or enable."""
    by = clerk_of(request, site)
    doing = ACTIONS.get(_field(data, "do"))
    try:
        if doing is None:
            problem = Problem("do", "it is nothing that can be done", "Use the buttons of the page")
            raise InvalidInput("This form cannot be read.", problems=(problem,))
        said = doing(site, endpoint_id, data, by)
    except HansaError as error:
        return _endpoint(request, site, endpoint_id, problems=_told(error))
    if said:
        return _endpoint(request, site, endpoint_id, said=said)
    return Redirect(f"{WEBHOOKS}/{endpoint_id}", status_code=303)


def _send_code(site: Site, endpoint_id: UUID, _: Form, __: str) -> str:
    with site.ctx.tx() as tx:
        found = webhooks.get_endpoint(tx, endpoint_id, site.ctx.clock.now())
    sender = webhooks.Sender(site.ctx, _secrets(site), webhooks.reach_from_environment())
    try:
        answer = webhooks.send_code(sender, found)
    finally:
        sender.close()
    return f"The code was sent. The endpoint answered: {answer.status or answer.fault}."


def _verify(site: Site, endpoint_id: UUID, data: Form, _: str) -> str:
    webhooks.verify_endpoint(site.ctx, endpoint_id, _field(data, "code"), _secrets(site))
    return ""


def _test(site: Site, endpoint_id: UUID, _: Form, __: str) -> str:
    webhooks.send_test(site.ctx, endpoint_id)
    return "A test event is on its way. Open the page again in a moment to see what came of it."


def _redeliver(site: Site, endpoint_id: UUID, data: Form, _: str) -> str:
    first, last = _number(data, "first"), _number(data, "last")
    again = webhooks.redeliver(site.ctx, endpoint_id, first=first, last=last)
    return f"{again} events are sent again."


def _rotate(site: Site, endpoint_id: UUID, _: Form, __: str) -> str:
    found = webhooks.rotate_secret(site.ctx, endpoint_id)
    secret = _secrets(site).secret(endpoint_id, found.versions[0])
    return f"The new secret is {secret.shared_text}. The one before signs beside it for 24 hours."


def _disable(site: Site, endpoint_id: UUID, _: Form, by: str) -> str:
    webhooks.disable_endpoint(site.ctx, endpoint_id, why=f"by {by.removeprefix('demo:')} of the league")
    return ""


def _enable(site: Site, endpoint_id: UUID, _: Form, __: str) -> str:
    webhooks.enable_endpoint(site.ctx, endpoint_id)
    return ""


ACTIONS: dict[str, Callable[[Site, UUID, Form, str], str]] = {
    "code": _send_code,
    "verify": _verify,
    "test": _test,
    "redeliver": _redeliver,
    "rotate": _rotate,
    "disable": _disable,
    "enable": _enable,
}


def _endpoints(
    request: Asked, site: Site, *, problems: tuple[Problem, ...] = (), asked: Form | None = None
) -> Response[str]:
    with site.ctx.tx() as tx:
        names = {str(one.member_id): one.name for one in trust.list_members(tx)}
        found = webhooks.list_endpoints(tx, site.ctx.clock.now())
    order = {"enabled": 1, "unverified": 2, "disabled": 3}
    found.sort(key=lambda one: (0 if one.failing_since else order[one.state], one.member_id, one.url))
    return page(
        "console/webhooks.html",
        here="webhooks",
        status_code=409 if problems else 200,
        problems=problems,
        fault="",
        asked=asked or {},
        wanted=_many(asked or {}, "types"),
        new_id=str(new_id()),
        endpoints=found,
        names=names,
        members=sorted(names.items(), key=lambda one: one[1]),
        types=[one for one in webhooks.TYPES if not one.name.startswith("webhooks.endpoint.")],
        tones=STATE_TONES,
        counts={
            "endpoints": sum(one.state == "enabled" for one in found),
            "failing": sum(one.failing_since is not None for one in found),
            "behind": sum(one.behind for one in found if one.state == "enabled"),
            "disabled": sum(one.state == "disabled" for one in found),
        },
        **clerk_words(request, site, back=WEBHOOKS),
    )


def _endpoint(
    request: Asked, site: Site, endpoint_id: UUID, *, problems: tuple[Problem, ...] = (), said: str = ""
) -> Response[str]:
    secrets = _secrets(site)
    with site.ctx.tx() as tx:
        found = webhooks.get_endpoint(tx, endpoint_id, site.ctx.clock.now())
        name = trust.get_member(tx, found.member_id).name
        attempts = webhooks.list_attempts(tx, endpoint_id, limit=ATTEMPTS_SHOWN)
        latest = webhooks.read_feed(
            tx,
            found.member_id,
            after=max(0, found.seen_seq + found.behind - EVENTS_SHOWN),
            limit=EVENTS_SHOWN,
        )
    kinds = {one.event_id: one.type for one in latest}
    return page(
        "console/webhook.html",
        here="webhooks",
        status_code=409 if problems else 200,
        problems=problems,
        fault="",
        said=said,
        one=found,
        name=name,
        attempts=attempts,
        kinds=kinds,
        events=latest[::-1],
        secret=secrets.secret(endpoint_id, 1).shared_text if found.state == "unverified" else "",
        keys=[secrets.secret(endpoint_id, version).public_text for version in found.versions],
        tones=STATE_TONES,
        **clerk_words(request, site, back=f"{WEBHOOKS}/{endpoint_id}"),
    )


def _secrets(site: Site) -> webhooks.Secrets:
    return webhooks.Secrets(site.keys.webhooks())


def _told(error: HansaError) -> tuple[Problem, ...]:
    return error.problems or (Problem("", error.detail, ""),)


def _many(data: Form, name: str) -> list[str]:
    found = data.get(name, [])
    return [one for one in ([found] if isinstance(found, str) else found) if one]


def _field(data: Form, name: str) -> str:
    text = next(iter(_many(data, name)), "").strip()
    if len(text) > FIELD_MAX or "\0" in text:
        problem = Problem(name, "it is too long or holds a NUL", f"Write at most {FIELD_MAX} characters")
        raise InvalidInput("This form cannot be read.", problems=(problem,))
    return text


def _number(data: Form, name: str) -> int:
    text = _field(data, name)
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        problem = Problem(name, f"{text!r} is no number of an event", "Write digits")
        raise InvalidInput("This form cannot be read.", problems=(problem,))
    return int(text)


def _id(data: Form) -> UUID:
    """The id that was made with the form, so that sending it twice does it once."""
    try:
        return UUID(_field(data, "id"))
    except ValueError as error:
        problem = Problem("form", "its id is missing", "Open the page again")
        raise InvalidInput("This form cannot be read.", problems=(problem,)) from error


ROUTES = [show_webhooks, add, show_endpoint, act]
