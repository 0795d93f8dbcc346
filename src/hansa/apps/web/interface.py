"""What the rooms answer over HTTP, and what the OpenAPI description says of it.

A route states what cannot be read off its signature in ``opt``: ``needs``, the scope a key must hold; ``who``, the ways
to sign in where no scope is needed (``key``, ``session``); ``refuses``, the errors it raises; ``idempotent``, that it
asks for an Idempotency-Key (``apps.web.idempotent``). From these the
description gets its security, its problems and its summaries, and a demo's operator gets their scopes.
"""

import importlib
from collections.abc import Iterable
from copy import copy
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec

from litestar.handlers import HTTPRouteHandler
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import (
    OpenAPIMediaType,
    OpenAPIType,
    Operation,
    Parameter,
    RequestBody,
    Schema,
    SecurityRequirement,
    Tag,
)

from hansa import store, trust
from hansa.apps.rooms import ROOMS_WITH_TABLES
from hansa.apps.web.problems import ProblemDetails
from hansa.kernel import HansaError

ROOMS = (*(one for one in ROOMS_WITH_TABLES if one not in ("store", "audit")), "sandbox")
"""Rooms that may speak HTTP, lowest first; each that has a ``routes`` module is mounted."""

APPS = ("sandbox",)
"""Of these, parts of ``hansa.apps``."""

PROBLEM = "application/problem+json"
XML = "application/xml"

EVERYWHERE = {
    400: "`web.unknown_version`: The header Hansa-Version names no version of this interface.",
    429: "`web.too_many_requests`: More requests than this key, sign-in or address may send. Wait for `Retry-After`.",
    500: "`web.failed`: Something broke on our side; quote `instance`.",
    503: "`store.unavailable`: The database is away. Nothing is half done: send the same again.",
}
WITH_A_BODY = {
    400: "`web.malformed`: The body cannot be read.",
    413: "`web.too_large`: The body is larger than this address takes. Send it in smaller parts.",
    507: "`store.full`: The database is full. Nothing is half done: send the same again.",
}
DOES_NOT_FIT = "`web.does_not_fit`: The request does not fit its description; `violations` names the fields."


@dataclass
class Described(Operation):
    """An operation without the answer that Litestar assumes of every input: ours are 422 and problem details."""

    def __post_init__(self) -> None:
        assumed = (self.responses or {}).get("400")
        if (
            self.responses
            and assumed is not None
            and PROBLEM not in (getattr(assumed, "content", None) or {})
        ):
            del self.responses["400"]


@dataclass
class TakesKey(Described):
    """An operation that asks for an idempotency key."""

    def __post_init__(self) -> None:
        super().__post_init__()
        key = Parameter(
            name="Idempotency-Key",
            param_in="header",
            required=True,
            description="Of your making, one for each thing that is to be done. Sent again, you get the first answer.",
            schema=Schema(type=OpenAPIType.STRING, min_length=1, max_length=store.KEY_MAX),
        )
        self.parameters = [*(self.parameters or ()), key]


@dataclass
class TakesXml(Described):
    """An operation whose body is an XML document, read as it comes."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.request_body = RequestBody(
            content={XML: OpenAPIMediaType(schema=Schema(type=OpenAPIType.STRING))}, required=True
        )


def room_routes() -> list[HTTPRouteHandler]:
    """What each room answers over HTTP, lowest room first, each described in full."""
    return [_described(room, handler) for room in rooms_with_routes() for handler in _routes(room)]


def rooms_with_routes() -> list[str]:
    """The rooms that speak HTTP, lowest first."""
    return [room for room in ROOMS if find_spec(f"{_package_of(room)}.routes") is not None]


@cache
def every_scope() -> frozenset[str]:
    """All scopes that any route of any room needs."""
    routes = (handler for room in rooms_with_routes() for handler in _routes(room))
    return frozenset(str(handler.opt["needs"]) for handler in routes if "needs" in handler.opt)


def _package_of(room: str) -> str:
    """The package of a room, or of the part of the applications that speaks beside them."""
    return f"hansa.apps.{room}" if room in APPS else f"hansa.{room}"


def tags() -> list[Tag]:
    """One tag for each room, in its own words: the line that opens its ``__init__``."""
    return [Tag(name=room.capitalize(), description=_opening_line(room)) for room in rooms_with_routes()]


def _routes(room: str) -> list[HTTPRouteHandler]:
    names = [
        f"{_package_of(room)}.{part}"
        for part in (
            "routes",
            "stop_routes",
            "log_routes",
            "reading_routes",
            "phone_routes",
            "me_routes",
            "device_routes",
            "window_routes",
            "swap_routes",
            "member_routes",
            "key_routes",
            "agreement_routes",
            "order_routes",
        )
    ]
    return [
        handler
        for name in names
        if find_spec(name) is not None
        for handler in importlib.import_module(name).ROUTES
    ]


def _opening_line(room: str) -> str:
    words = " ".join(
        (importlib.import_module(_package_of(room)).__doc__ or "").strip().split("\n\n")[0].split()
    )
    line = words.partition(": ")[2] or words
    return line[:1].upper() + line[1:]


def _described(room: str, handler: HTTPRouteHandler) -> HTTPRouteHandler:
    described = copy(handler)
    described.operation_class = TakesXml if handler.opt.get("takes") == XML else Described
    if handler.opt.get("idempotent"):
        described.operation_class = TakesKey
    described.operation_id = f"{room}_{handler.handler_name}"
    described.summary = (handler.fn.__doc__ or "").strip().split("\n")[0].partition(". ")[0].rstrip(".")
    described.security = _security(handler)
    described.responses = {
        status: ResponseSpec(ProblemDetails, generate_examples=False, description=words, media_type=PROBLEM)
        for status, words in sorted(_problems(handler).items())
    }
    return described


def _security(handler: HTTPRouteHandler) -> list[SecurityRequirement]:
    """Ways in, any one of which will do; none for what everybody may read."""
    needs = handler.opt.get("needs")
    ways: tuple[str, ...] = handler.opt.get("who", ("key",) if needs else ())
    return [{way: [needs] if needs and way == "key" else []} for way in ways]


def _problems(handler: HTTPRouteHandler) -> dict[int, str]:
    """The problems a route answers with, by status: each code with the sentence that explains it."""
    refuses: list[type[HansaError]] = list(handler.opt.get("refuses", ()))
    if handler.opt.get("idempotent"):
        refuses += [store.KeyMissing, store.KeyInFlight, store.KeyReused]
    if "needs" in handler.opt:
        refuses += [trust.NotSignedIn, trust.NotAllowed]
    elif "who" in handler.opt:
        refuses.append(trust.NotSignedIn)
    found: dict[int, list[str]] = {}
    for error in dict.fromkeys(refuses):
        found.setdefault(error.status, []).append(f"`{error.code}`: {_sentence(error)}")
    if _inputs(handler) - {"body"}:
        found.setdefault(422, []).insert(0, DOES_NOT_FIT)
    shared: Iterable[tuple[int, str]] = EVERYWHERE.items()
    if {"data", "body"} & _inputs(handler):
        shared = [*WITH_A_BODY.items(), *EVERYWHERE.items()]
    for status, words in shared:
        found.setdefault(status, []).insert(0, words)
    return {status: "\n\n".join(words) for status, words in found.items()}


def _inputs(handler: HTTPRouteHandler) -> set[str]:
    """Names of what a caller sends: parts of the address and the query, ``data`` or ``body``."""
    return handler.fn.__annotations__.keys() - {
        "ctx",
        "caller",
        "asked_id",
        "log_signer",
        "list_signer",
        "token_signer",
        "request",
        "registrar",
        "desk",
        "outside",
        "sealer",
        "return",
    }


def _sentence(error: type[HansaError]) -> str:
    return " ".join((error.__doc__ or "").strip().split("\n\n")[0].split())
