"""Pages for developers: quick start, keys, reference, webhooks, errors, versions, limits, sandbox, client.

Each page of errors is also data, for programs that ask for JSON. In a demonstration the person at this machine makes
test keys on the page of keys; elsewhere keys come from the league, and from a key that may make others.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar, cast
from urllib.parse import urlencode

import msgspec
from litestar import MediaType, Request, Response, get, post
from litestar.enums import RequestEncodingType
from litestar.params import Body, FromPath, QueryParameter
from litestar.response import Redirect

from hansa import trust, webhooks
from hansa.apps.sandbox import CONNECTOR, FAULTY_AMOUNTS, PEOPLE
from hansa.apps.sandbox.faults import FAULTS
from hansa.apps.web.callers import demo_operator
from hansa.apps.web.clerks import clerk_of
from hansa.apps.web.description import VERBS, Json, curl_of, description_of, needs_key
from hansa.apps.web.error_book import ErrorPage, error_pages
from hansa.apps.web.interface import every_scope
from hansa.apps.web.languages import spoken, words_for
from hansa.apps.web.pages import page
from hansa.apps.web.problems import NotFound, wants_page
from hansa.apps.web.remedies import NEXT_ACTIONS
from hansa.apps.web.site import Here
from hansa.apps.web.throttled import HEAVY_COST, LIMITS, READ_COST, SHORT_COST, SHORT_WAYS, WRITE_COST
from hansa.apps.web.versions import CHANGES, NEWEST

Asked = Request[Any, Any, Any]

DEMO_SHOP = "london-tfl"
"""The member whose test key the quick start takes."""

TO_TRY = "to try the interface"
"""Why a test key is made, where its maker says nothing."""

DEMO_SCOPES = (
    "keys:write",
    "payments:read",
    "payments:write",
    "webhooks:read",
    "webhooks:write",
    "taps:write",
)
"""What a test key of the demonstration may do."""


@dataclass(frozen=True)
class KeyForm:
    """Whose key, and what it may do: scopes with spaces between, or none for the usual."""

    member_id: str = DEMO_SHOP
    scopes: str = ""
    reason: str = ""


@dataclass(frozen=True)
class EndForm:
    """Which key of whom ends, and why."""

    member_id: str = ""
    key_id: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Parameter:
    """What an address, a query, a header or a body takes. bounds: what fits, in words."""

    name: str
    place: str
    type: str
    required: bool
    bounds: str
    says: str


@dataclass(frozen=True, slots=True)
class Line:
    """An operation in a list."""

    operation_id: str
    verb: str
    path: str
    summary: str


@dataclass(frozen=True, slots=True)
class Group:
    """A room in the reference, with its operations."""

    name: str
    says: str
    lines: list[Line]

    @property
    def resources(self) -> list[tuple[str, int]]:
        """What its addresses begin with, and how many operations there are below."""
        return [(path, len(ones)) for path, ones in _by_resource(self.lines)]


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation as the reference shows it. errors: by status, each code with its sentence.

    body: its fields; those of what lies in it by ``amount.minor``, those of a list's items by ``taps[].gate_id``.
    """

    operation_id: str
    verb: str
    path: str
    summary: str
    description: list[str]
    ways_in: list[str]
    takes_key: bool
    parameters: list[Parameter]
    body: list[Parameter]
    body_says: list[str]
    answer_status: str
    answer: str
    curl: str
    python: str
    errors: list[tuple[str, list[tuple[str, str]]]]


One = TypeVar("One", Line, Operation)

Opened = Annotated[str, QueryParameter(name="open", pattern="^(|all)$")]
"""Whether what is folded on a page comes open."""

DEEP_MAX = 2
"""How deep the reference goes into what lies in a body."""

ONE_LINE = "^[^\\x00-\\x1f]*$"
"""The pattern of a text without control characters."""

BOUNDS = (
    ("minLength", "maxLength", " characters"),
    ("minItems", "maxItems", " items"),
    ("minimum", "maximum", ""),
)
"""Bounds of a schema: the least, the most, and of what."""


@get("/errors", sync_to_thread=True, include_in_schema=False)
def show_errors(request: Asked, opened: Opened = "") -> Response[Any]:
    """All codes, by who tells them; folded, or all of them open."""
    pages = error_pages()
    if not wants_page(request):
        return _json([_told(one) for one in pages.values()])
    groups: dict[str, list[ErrorPage]] = {}
    for one in pages.values():
        groups.setdefault(one.room, []).append(one)
    return _page(
        request, "errors/index.html", "errors", groups=groups, next_actions=NEXT_ACTIONS, opened=opened
    )


@get("/errors/{code:str}", sync_to_thread=True, include_in_schema=False)
def show_error(request: Asked, code: FromPath[str]) -> Response[Any]:
    """What a code means, what to do, which operations answer it. Errors: NotFound."""
    one = error_pages().get(code)
    if one is None:
        raise NotFound(f"There is no error of the code {code[:80]!r}.")
    example = one.example(base_url(request))
    if not wants_page(request):
        return _json(_told(one) | {"example": example})
    shown = json.dumps(example, indent=2, ensure_ascii=False)
    return _page(request, "errors/code.html", "errors", one=one, example=shown)


@get("/developers", sync_to_thread=True, include_in_schema=False)
def show_start(request: Asked, site: Here) -> Response[Any]:
    """The quick start: commands that work as they stand."""
    return _page(
        request, "developers/start.html", "start", base=base_url(request), demo=site.demo, shop=DEMO_SHOP
    )


@get("/developers/reference", sync_to_thread=True, include_in_schema=False)
def show_reference(request: Asked, q: Annotated[str, QueryParameter(max_length=100)] = "") -> Response[Any]:
    """The rooms with what each has, or the operations that have all words of ``q`` in address or summary."""
    told = description_of(request.app)
    wanted = q.lower().split()
    groups: list[Group] = []
    for tag in told["tags"]:
        name = str(tag["name"])
        lines = [
            one
            for one in _lines(told, name)
            if all(word in f"{one.verb} {one.path} {one.summary}".lower() for word in wanted)
        ]
        if lines:
            groups.append(Group(name, str(tag.get("description", "")), lines))
    return _page(request, "developers/reference.html", "reference", groups=groups, q=q.strip())


@get("/developers/reference/{room:str}", sync_to_thread=True, include_in_schema=False)
def show_room(
    request: Asked,
    room: FromPath[str],
    opened: Opened = "",
) -> Response[Any]:
    """Every operation of a room, with examples; folded, or all of them open. Errors: NotFound."""
    told = description_of(request.app)
    says = {str(tag["name"]).lower(): tag for tag in told["tags"]}
    if room not in says:
        raise NotFound(f"There is no room {room[:40]!r}.")
    tag = says[room]
    found = _operations(told, str(tag["name"]), place=base_url(request))
    return _page(
        request,
        "developers/room.html",
        "reference",
        room=tag["name"],
        says=tag.get("description", ""),
        resources=_by_resource(found),
        opened=opened,
    )


@get("/developers/keys", sync_to_thread=True, include_in_schema=False)
def show_keys(
    request: Asked, site: Here, member: Annotated[str, QueryParameter(max_length=60)] = ""
) -> Response[Any]:
    """How keys are made and ended; in a demonstration, forms that do it. member: whose keys are listed there."""
    return _keys_page(request, site, member_id=member)


@post("/developers/keys/end", sync_to_thread=True, include_in_schema=False)
def end_key(
    request: Asked, site: Here, data: Annotated[EndForm, Body(media_type=RequestEncodingType.URL_ENCODED)]
) -> Response[Any]:
    """In a demonstration, end a key of a member, as whoever sits at this machine.

    Errors: trust.NotAllowed, trust.UnknownKey, trust.ReasonNeeded.
    """
    if demo_operator(request, site) is None:
        raise trust.NotAllowed(
            "Elsewhere keys are ended by the league, at its console, or by a key of the member."
        )
    with site.ctx.tx() as tx:
        by, at = clerk_of(request, site), site.ctx.clock.now()
        trust.end_member_key(tx, data.member_id, data.key_id, at, by=by, reason=data.reason)
    return Redirect(f"/developers/keys?{urlencode({'member': data.member_id})}#keys", status_code=303)


@post("/developers/keys", sync_to_thread=True, include_in_schema=False, status_code=200)
def make_test_key(
    request: Asked, site: Here, data: Annotated[KeyForm, Body(media_type=RequestEncodingType.URL_ENCODED)]
) -> Response[Any]:
    """In a demonstration, a test key for whoever sits at this machine; its secret is shown this once.

    As text where that is asked for, so that a shell can keep it. Errors: trust.NotAllowed, trust.UnknownMember,
    InvalidInput.
    """
    if demo_operator(request, site) is None:
        raise trust.NotAllowed(
            "Test keys are made here in a demonstration or a sandbox, by whoever sits at its machine."
        )
    scopes = data.scopes.replace(",", " ").split() or DEMO_SCOPES
    with site.ctx.tx() as tx:
        secret = trust.create_api_key(
            tx,
            data.member_id,
            scopes,
            at=site.ctx.clock.now(),
            test=True,
            by=clerk_of(request, site),
            reason=data.reason.strip()[:500] or TO_TRY,
        )
    if wants_page(request):
        return _keys_page(request, site, secret=secret, member_id=data.member_id)
    if "text/plain" in request.headers.get("accept", ""):
        return Response(secret, media_type=MediaType.TEXT, headers={"cache-control": "no-store"})
    told = {"secret": secret, "member_id": data.member_id, "scopes": list(scopes), "test": True}
    return _json(told)


@get("/developers/webhooks", sync_to_thread=True, include_in_schema=False)
def show_webhooks(request: Asked) -> Response[Any]:
    """Events, and how to take them."""
    return _page(
        request, "developers/webhooks.html", "webhooks", types=webhooks.TYPES, base=base_url(request)
    )


@get("/developers/requests", sync_to_thread=True, include_in_schema=False)
def show_requests(request: Asked) -> Response[Any]:
    """What holds for every request: ids, idempotency, pages, limits."""
    costs = (
        (SHORT_COST, f"POST to {', '.join(sorted(SHORT_WAYS))}"),
        (READ_COST, "any other GET"),
        (WRITE_COST, "any other POST, PUT, PATCH, DELETE"),
        (HEAVY_COST, "reports, comparisons of tariffs, reconciliation"),
    )
    return _page(
        request, "developers/requests.html", "requests", limits=LIMITS, costs=costs, base=base_url(request)
    )


@get("/developers/versions", sync_to_thread=True, include_in_schema=False)
def show_versions(request: Asked) -> Response[Any]:
    """The versions there are, and what became other in each."""
    versions = [
        (version, [one for one in CHANGES if one.since == version])
        for version in reversed(trust.API_VERSIONS)
    ]
    return _page(request, "developers/versions.html", "versions", versions=versions, newest=NEWEST)


@get("/developers/sandbox", sync_to_thread=True, include_in_schema=False)
def show_sandbox(request: Asked) -> Response[Any]:
    """The sandbox: its clock, its people, its faults."""
    return _page(
        request,
        "developers/sandbox.html",
        "sandbox",
        people=PEOPLE,
        connector=CONNECTOR,
        amounts=FAULTY_AMOUNTS,
        faults=FAULTS,
    )


@get("/developers/client", sync_to_thread=True, include_in_schema=False)
def show_client(request: Asked) -> Response[Any]:
    """The Python client."""
    return _page(request, "developers/client.html", "client", base=base_url(request))


def base_url(request: Asked) -> str:
    """Where this server is asked, without a slash at the end."""
    return f"{request.url.scheme}://{request.url.netloc}"


def _page(request: Asked, template: str, section: str, **values: Any) -> Response[Any]:
    words = words_for(request)
    return spoken(page(template, here="developers", section=section, say=words, **values), words, request)


def _keys_page(request: Asked, site: Here, *, secret: str = "", member_id: str = "") -> Response[Any]:
    may_make = demo_operator(request, site) is not None
    with site.ctx.tx() as tx:
        members = [one.member_id for one in trust.list_members(tx)] if may_make else []
        made = trust.list_api_keys(tx, member_id) if may_make and member_id else []
    return _page(
        request,
        "developers/keys.html",
        "keys",
        may_make=may_make,
        members=members,
        secret=secret,
        member_id=member_id or DEMO_SHOP,
        made=made,
        scopes=sorted(every_scope()),
        usual=" ".join(DEMO_SCOPES),
        base=base_url(request),
    )


def _specs(told: Json, tag: str) -> Iterator[tuple[str, str, Json]]:
    """Verb, address and description of each operation of a room, by address."""
    for path, item in sorted(cast(dict[str, Json], told["paths"]).items()):
        for verb in VERBS:
            if verb in item and tag in item[verb].get("tags", ()):
                yield verb, path, cast(Json, item[verb])


def _lines(told: Json, tag: str) -> list[Line]:
    return [
        Line(str(spec["operationId"]), verb.upper(), path, str(spec["summary"]))
        for verb, path, spec in _specs(told, tag)
    ]


def _by_resource(ones: list[One]) -> list[tuple[str, list[One]]]:
    """By what their addresses begin with."""
    found: dict[str, list[One]] = {}
    for one in ones:
        found.setdefault("/".join(one.path.split("/")[:3]), []).append(one)
    return list(found.items())


def _operations(told: Json, tag: str, *, place: str) -> list[Operation]:
    schemas = cast(dict[str, Json], told["components"]["schemas"])
    return [_operation(verb, path, spec, place, schemas) for verb, path, spec in _specs(told, tag)]


def _operation(verb: str, path: str, spec: Json, place: str, schemas: dict[str, Json]) -> Operation:
    parameters = [
        _parameter(
            schemas,
            str(one["name"]),
            str(one["in"]),
            cast(Json, one.get("schema", {})),
            required=bool(one.get("required")),
            says=str(one.get("description", "")),
        )
        for one in cast(list[Json], spec.get("parameters", []))
        if "$ref" not in one
    ]
    sent = next(iter(spec.get("requestBody", {}).get("content", {}).values()), {}).get("schema", {})
    whole = _meant(schemas, sent)
    status, answer = next(
        ((status, one) for status, one in sorted(spec["responses"].items()) if status.startswith("2")),
        ("200", {}),
    )
    shown = next((one.get("example") for one in answer.get("content", {}).values()), None)
    samples = {one["label"]: str(one["source"]) for one in spec["x-codeSamples"]}
    return Operation(
        operation_id=str(spec["operationId"]),
        verb=verb.upper(),
        path=path,
        summary=str(spec["summary"]),
        description=_parts(spec.get("description")),
        ways_in=[_way_in(way) for way in spec.get("security", [])],
        takes_key=needs_key(spec),
        parameters=parameters,
        body=list(_fields(schemas, whole)),
        body_says=_parts(whole.get("description"))[1:],
        answer_status=status,
        answer=_shown(shown),
        curl=curl_of(path, verb, spec, place),
        python=samples["Python"],
        errors=[
            (status, _codes(str(one.get("description", ""))))
            for status, one in sorted(spec["responses"].items())
            if status >= "400"
        ],
    )


def _codes(words: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for line in words.split("\n\n"):
        code, _, says = line.partition(": ")
        if code.startswith("`"):
            found.append((code.strip("`"), says))
    return found


def _shown(value: Any) -> str:
    if value is None:
        return ""
    plain = msgspec.json.decode(msgspec.json.encode(value))
    return json.dumps(plain, indent=2, ensure_ascii=False)


def _way_in(way: dict[str, list[str]]) -> str:
    scopes = " ".join(way.get("key", []))
    if scopes:
        return f"a key of scope {scopes}"
    return "a key" if "key" in way else "a sign-in"


def _parts(words: object) -> list[str]:
    return [" ".join(part.split()) for part in str(words or "").split("\n\n")]


def _meant(schemas: dict[str, Json], schema: Json) -> Json:
    """What a schema leads to, which may be by its name, or may be null too."""
    options = [one for one in cast(list[Json], schema.get("oneOf", [])) if one.get("type") != "null"]
    if len(options) == 1:
        return _meant(schemas, {**schema, "oneOf": [], **options[0]})
    if "$ref" in schema:
        return _meant(schemas, schemas[str(schema["$ref"]).rpartition("/")[2]])
    return schema


def _fields(schemas: dict[str, Json], whole: Json, under: str = "") -> Iterator[Parameter]:
    needed = cast(list[str], whole.get("required", []))
    for name, schema in cast(dict[str, Json], whole.get("properties", {})).items():
        field = under + name
        yield _parameter(schemas, field, "body", schema, required=name in needed)
        meant = _meant(schemas, schema)
        items = _meant(schemas, cast(Json, meant.get("items") or {}))
        if field.count(".") < DEEP_MAX:
            yield from _fields(schemas, meant, f"{field}.")
            yield from _fields(schemas, items, f"{field}[].")


def _parameter(
    schemas: dict[str, Json], name: str, place: str, schema: Json, *, required: bool, says: str = ""
) -> Parameter:
    meant = _meant(schemas, schema)
    bounds = _bounds({**meant, **schema}, required=required)
    said = says or str(schema.get("description") or "")
    return Parameter(name, place, _type(schemas, meant), required, bounds, said)


def _bounds(schema: Json, *, required: bool) -> str:
    """What fits, as a person says it: ``1 to 64 characters``."""
    told: list[str] = []
    for least, most, unit in BOUNDS:
        low, high = schema.get(least), schema.get(most)
        if high is not None:
            told.append(f"{low or 0:,} to {high:,}{unit}" if low or not unit else f"at most {high:,}{unit}")
        elif low is not None:
            told.append(f"at least {low:,}{unit}")
    if schema.get("pattern") == ONE_LINE:
        told.append("on one line")
    elif "pattern" in schema:
        told.append(f"`{schema['pattern']}`")
    if not required and schema.get("default"):
        told.append(f"`{schema['default']}` unless given")
    return "; ".join(told)


def _type(schemas: dict[str, Json], schema: Json) -> str:
    options = cast(list[Json], schema.get("oneOf") or schema.get("anyOf") or [])
    if options:
        return " or ".join(dict.fromkeys(_type(schemas, one) for one in options if one.get("type") != "null"))
    if "$ref" in schema:
        return _type(schemas, _meant(schemas, schema))
    if "enum" in schema:
        return " | ".join(str(one) for one in schema["enum"])
    if "items" in schema:
        return f"list of {_type(schemas, cast(Json, schema['items']))}"
    return str(schema.get("format") or schema.get("type") or "value")


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
    return Response(
        msgspec.json.encode(told), media_type=MediaType.JSON, headers={"cache-control": "no-store"}
    )


ROUTES = [
    show_errors,
    show_error,
    show_start,
    show_reference,
    show_room,
    show_keys,
    make_test_key,
    end_key,
    show_webhooks,
    show_requests,
    show_versions,
    show_sandbox,
    show_client,
]
