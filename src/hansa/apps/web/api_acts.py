"""What programs decide or move over the interface with a key, in the audit record: before it is tried, and its outcome.

One place for all routes: which scopes are kept says ``api_acts.toml``. What is done with a passkey at the console, the
console's guard keeps; what a person does with their own sign-in, identity keeps for that person.
"""

import asyncio
import re
from functools import cache
from importlib.resources import files
from typing import Any

import msgspec
from litestar import Request

from hansa import audit
from hansa.apps.web.callers import SAFE_METHODS, find_caller
from hansa.apps.web.console_guard import ACT, Tried
from hansa.apps.web.site import Site
from hansa.audit import Act
from hansa.kernel import HansaError, InvalidInput, Problem

Asked = Request[Any, Any, Any]

REASONS = ("reason", "why", "note", "words")
"""Fields of a body that say why."""
REASON_MAX = 500
BODY_MAX = 256 * 1024
"""Octets of a body that is looked into for a reason."""


class Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Scopes whose writing routes are kept here, and those that are kept elsewhere or need it not."""

    kept: frozenset[str]
    elsewhere: frozenset[str]


@cache
def own_table() -> Table:
    """The table that comes with Hansa. Errors: InvalidInput."""
    text = (files("hansa.apps.web") / "api_acts.toml").read_text(encoding="utf-8")
    try:
        return msgspec.toml.decode(text, type=Table)
    except msgspec.DecodeError as error:
        problem = Problem("api_acts.toml", str(error), "Write two lists of scopes")
        raise InvalidInput("This is no table of acts.", problems=(problem,)) from error


async def keep_act(request: Asked, site: Site) -> None:
    """Keep what a program is about to do, where the table says so; its outcome is kept with the answer."""
    if request.method in SAFE_METHODS or "authorization" not in request.headers:
        return
    handler = request.route_handler
    needs = str(handler.opt.get("needs", ""))
    if needs not in own_table().kept:
        return
    name = re.sub(r"[^a-z]+", "-", handler.handler_name.rpartition(".")[2].lower()).strip("-")
    reason = await _reason(request)
    await asyncio.to_thread(_keep, request, site, needs, name, reason)


def _keep(request: Asked, site: Site, needs: str, name: str, reason: str) -> None:
    try:
        caller = find_caller(request, site)
        caller.require(needs)
    except HansaError:
        return  # the route refuses it, and says why
    if caller.account_id is not None:
        return
    chain = caller.member_id or audit.LEAGUE
    act = Act(caller.who, f"api.{name}", request.scope["path"][:300], reason, {"scope": needs}, chain)
    with site.ctx.tx() as tx:
        act_id = audit.record(tx, act, site.ctx.clock.now())
    request.scope.setdefault("state", {})[ACT] = Tried(act_id, caller.who, chain, site, is_page=False)


async def _reason(request: Asked) -> str:
    """Why, in the words of the body; empty where it says nothing of it, or is no JSON."""
    length = request.headers.get("content-length", "")
    if (
        "json" not in request.headers.get("content-type", "")
        or not length.isdigit()
        or int(length) > BODY_MAX
    ):
        return ""
    try:
        body = msgspec.json.decode(await request.body())
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return ""
    if not isinstance(body, dict):
        return ""
    said = next(
        (body[name] for name in REASONS if isinstance(body.get(name), str) and body[name].strip()), ""
    )
    return "".join(letter if letter.isprintable() else " " for letter in said).strip()[:REASON_MAX]
