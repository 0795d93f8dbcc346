"""HTTP for webhooks: a member reads its feed and keeps its endpoints; the league does so for anyone."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from hansa import trust
from hansa.kernel import InvalidInput, Problem, in_utc
from hansa.store import Context
from hansa.webhooks import actions
from hansa.webhooks.addresses import reach_from_environment
from hansa.webhooks.model import (
    ABOUT_MAX,
    TYPES,
    TYPES_MAX,
    URL_MAX,
    VERSION,
    Attempt,
    Endpoint,
    EndpointDiffers,
    EndpointState,
    Event,
    NotEnabled,
    NotVerified,
    SecretIsNew,
    TooManyEndpoints,
    UnknownEndpoint,
    UnknownEvent,
)
from hansa.webhooks.sending import Sender, send_code
from hansa.webhooks.signing import Secrets

READ, WRITE = "webhooks:read", "webhooks:write"

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=80, pattern=r"^[^\x00]*$")]
Url = Annotated[str, msgspec.Meta(min_length=1, max_length=URL_MAX, pattern=r"^[^\x00]*$")]
About = Annotated[str, msgspec.Meta(max_length=ABOUT_MAX, pattern=r"^[^\x00]*$")]
Types = Annotated[list[Name], msgspec.Meta(max_length=TYPES_MAX)]
Limit = Annotated[int, QueryParameter(ge=1, le=1_000)]
Seen = Annotated[int, QueryParameter(ge=0, le=2**62, description="`seq` of the last event already seen")]
Whose = Annotated[str | None, QueryParameter(max_length=80, description="whose; for the league to name")]


class EventTypeView(msgspec.Struct, frozen=True):
    """A type of events. data: the fields of its data and what they hold. since: the day it came to be."""

    type: str
    what: str
    data: dict[str, str]
    since: str


class EventTypeList(msgspec.Struct, frozen=True):
    """All types of events."""

    event_types: list[EventTypeView]


class EventView(msgspec.Struct, frozen=True):
    """An event, as endpoints are sent it. seq: its number in your feed, from 1 without a gap."""

    id: UUID
    seq: int
    type: str
    timestamp: datetime
    subject: str
    data: dict[str, Any]
    version: str


class EventPage(msgspec.Struct, frozen=True):
    """Events in order; ``next`` is the last one's ``seq``, to be asked after, or the one you asked after."""

    events: list[EventView]
    next: int


class EndpointRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where you listen. types: which events you want; none is all. member_id: for the league to name."""

    endpoint_id: UUID
    url: Url
    types: Types = []
    about: About = ""
    member_id: Name | None = None


class EndpointView(msgspec.Struct, frozen=True):
    """Where you listen. behind: events of your feed that it has not been sent yet, wanted or not.

    public_keys: ``whpk_...``, one for each secret that signs now, the newest first. failing_since: since when it has
    taken nothing.
    """

    endpoint_id: UUID
    member_id: str
    url: str
    about: str
    types: list[str]
    state: EndpointState
    why: str
    made_at: datetime
    changed_at: datetime
    behind: int
    failing_since: datetime | None
    public_keys: list[str]


class NewEndpoint(msgspec.Struct, frozen=True):
    """An endpoint and its newest secret, ``whsec_...``. Keep it; only asking the very same again tells it again."""

    endpoint: EndpointView
    secret: str


class EndpointList(msgspec.Struct, frozen=True):
    """Endpoints, oldest first."""

    endpoints: list[EndpointView]


class VerifyRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The code that came to your endpoint in ``webhooks.endpoint.verify``. Without one it is sent (again)."""

    code: Annotated[str, msgspec.Meta(max_length=64, pattern=r"^[a-z0-9]*$")] = ""


class VerifyAnswer(msgspec.Struct, frozen=True):
    """The endpoint, and what it answered if the code was sent: a status, or why there was none."""

    endpoint: EndpointView
    status: int | None = None
    fault: str = ""


class StateRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the endpoint is to be."""

    state: Literal["enabled", "disabled"]


class RedeliverRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Events of your feed by number, both ends included."""

    first: Annotated[int, msgspec.Meta(ge=1, le=2**62)]
    last: Annotated[int, msgspec.Meta(ge=1, le=2**62)]


class Redelivered(msgspec.Struct, frozen=True):
    """How many events are sent again that did not wait already."""

    events: int


class TestSent(msgspec.Struct, frozen=True):
    """The test event's id, as ``webhook-id`` will say it."""

    event_id: UUID


class DeliveryView(msgspec.Struct, frozen=True):
    """One attempt. status: null where no answer came, and ``fault`` says why. body: what the answer began with.

    next_at: when it is tried again; null where it was taken or given up.
    """

    event_id: UUID
    seq: int
    number: int
    at: datetime
    took_ms: int
    status: int | None
    fault: str
    body: str
    next_at: datetime | None


class DeliveryPage(msgspec.Struct, frozen=True):
    """Attempts, latest first; ``next`` is the instant before which to ask on, null at the end."""

    deliveries: list[DeliveryView]
    next: datetime | None


@get("/v1/event_types", sync_to_thread=False, tags=["Webhooks"])
def list_event_types() -> EventTypeList:
    """All types of events, and the fields of their data. Open to everyone."""
    return EventTypeList([EventTypeView(one.name, one.what, dict(one.data), one.since) for one in TYPES])


@get("/v1/events", sync_to_thread=True, tags=["Webhooks"], opt={"needs": READ, "refuses": (InvalidInput,)})
def list_events(
    ctx: NamedDependency[Context],
    caller: NamedDependency[trust.Caller],
    after: FromQuery[Seen] = 0,
    limit: FromQuery[Limit] = 100,
    event_type: Annotated[str | None, QueryParameter(max_length=80, pattern=r"^[^\x00]*$")] = None,
    member_id: FromQuery[Whose] = None,
) -> EventPage:
    """Your events after a number, in order and without a gap, for who was away. Needs `webhooks:read`.

    `event_type` leaves out all other types. The league names the member whose feed it reads.
    """
    caller.require("webhooks:read")
    member = _one_member(caller, member_id)
    with ctx.tx() as tx:
        found = actions.read_feed(
            tx, member, after=after, limit=limit, types=[event_type] if event_type else []
        )
    return EventPage([_event_view(one) for one in found], found[-1].seq if found else after)


@get(
    "/v1/events/{event_id:uuid}",
    sync_to_thread=True,
    tags=["Webhooks"],
    opt={"needs": READ, "refuses": (UnknownEvent, InvalidInput)},
)
def get_event(
    ctx: NamedDependency[Context],
    caller: NamedDependency[trust.Caller],
    event_id: FromPath[UUID],
    member_id: FromQuery[Whose] = None,
) -> EventView:
    """An event of yours. Needs `webhooks:read`."""
    caller.require("webhooks:read")
    with ctx.tx() as tx:
        return _event_view(actions.get_event(tx, _one_member(caller, member_id), event_id))


@post(
    "/v1/webhook_endpoints",
    sync_to_thread=True,
    status_code=200,
    tags=["Webhooks"],
    opt={
        "needs": WRITE,
        "refuses": (InvalidInput, EndpointDiffers, TooManyEndpoints, trust.UnknownMember),
    },
)
def add_endpoint(
    ctx: NamedDependency[Context],
    caller: NamedDependency[trust.Caller],
    token_signer: NamedDependency[trust.KeyFolder],
    data: JSONBody[EndpointRequest],
) -> NewEndpoint:
    """Listen at a URL, from now on and once it is verified. Sending it again is harmless. Needs `webhooks:write`."""
    caller.require("webhooks:write")
    secrets = _secrets(token_signer)
    made = actions.add_endpoint(
        ctx,
        endpoint_id=data.endpoint_id,
        member_id=_one_member(caller, data.member_id),
        url=data.url,
        about=data.about,
        types=data.types,
        by=caller.who,
        reach=reach_from_environment(),
    )
    return _with_secret(made, secrets)


@get("/v1/webhook_endpoints", sync_to_thread=True, tags=["Webhooks"], opt={"needs": READ})
def list_endpoints(
    ctx: NamedDependency[Context],
    caller: NamedDependency[trust.Caller],
    token_signer: NamedDependency[trust.KeyFolder],
    member_id: FromQuery[Whose] = None,
) -> EndpointList:
    """Your endpoints; the league's view has everybody's. Needs `webhooks:read`."""
    caller.require("webhooks:read")
    secrets = _secrets(token_signer)
    with ctx.tx() as tx:
        found = actions.list_endpoints(tx, ctx.clock.now(), _reader(caller) or member_id)
    return EndpointList([_view(one, secrets) for one in found])


@get(
    "/v1/webhook_endpoints/{endpoint_id:uuid}",
    sync_to_thread=True,
    tags=["Webhooks"],
    opt={"needs": READ, "refuses": (UnknownEndpoint,)},
)
def get_endpoint(
    ctx: NamedDependency[Context],
    caller: NamedDependency[trust.Caller],
    token_signer: NamedDependency[trust.KeyFolder],
    endpoint_id: FromPath[UUID],
) -> EndpointView:
    """An endpoint of yours. Needs `webhooks:read`."""
    caller.require("webhooks:read")
    return _view(_own(ctx, caller, endpoint_id), _secrets(token_signer))


@post(
    "/v1/webhook_endpoints/{endpoint_id:uuid}/verify",
    sync_to_thread=True,
    status_code=200,
    tags=["Webhooks"],
    opt={"needs": WRITE, "refuses": (UnknownEndpoint, NotVerified, NotEnabled, InvalidInput)},
)
def verify_endpoint(
    ctx: NamedDependency[Context],
    caller: NamedDependency[trust.Caller],
    token_signer: NamedDependency[trust.KeyFolder],
    endpoint_id: FromPath[UUID],
    data: JSONBody[VerifyRequest],
) -> VerifyAnswer:
    """Have a code sent to your endpoint, and then show it here; the endpoint is enabled. Needs `webhooks:write`."""
    caller.require("webhooks:write")
    found, secrets = _own(ctx, caller, endpoint_id), _secrets(token_signer)
    if data.code:
        return VerifyAnswer(_view(actions.verify_endpoint(ctx, endpoint_id, data.code, secrets), secrets))
    sender = Sender(ctx, secrets, reach_from_environment())
    try:
        answer = send_code(sender, found)
    finally:
        sender.close()
    return VerifyAnswer(_view(found, secrets), answer.status, answer.fault)


@post(
    "/v1/webhook_endpoints/{endpoint_id:uuid}/state",
    sync_to_thread=True,
    status_code=200,
    tags=["Webhooks"],
    opt={"needs": WRITE, "refuses": (UnknownEndpoint, NotVerified, TooManyEndpoints)},
)
def set_state(
    ctx: NamedDependency[Context],
    caller: NamedDependency[trust.Caller],
    token_signer: NamedDependency[trust.KeyFolder],
    endpoint_id: FromPath[UUID],
    data: JSONBody[StateRequest],
) -> EndpointView:
    """Disable an endpoint, or enable it again: it is then sent what it missed. Needs `webhooks:write`."""
    caller.require("webhooks:write")
    _own(ctx, caller, endpoint_id)
    if data.state == "disabled":
        found = actions.disable_endpoint(ctx, endpoint_id, why=f"by {caller.who}")
    else:
        found = actions.enable_endpoint(ctx, endpoint_id)
    return _view(found, _secrets(token_signer))


@post(
    "/v1/webhook_endpoints/{endpoint_id:uuid}/rotate",
    sync_to_thread=True,
    status_code=200,
    tags=["Webhooks"],
    opt={"needs": WRITE, "refuses": (UnknownEndpoint, SecretIsNew)},
)
def rotate_secret(
    ctx: NamedDependency[Context],
    caller: NamedDependency[trust.Caller],
    token_signer: NamedDependency[trust.KeyFolder],
    endpoint_id: FromPath[UUID],
) -> NewEndpoint:
    """A new secret; the one before signs beside it for 24 hours more. Needs `webhooks:write`."""
    caller.require("webhooks:write")
    _own(ctx, caller, endpoint_id)
    return _with_secret(actions.rotate_secret(ctx, endpoint_id), _secrets(token_signer))


@post(
    "/v1/webhook_endpoints/{endpoint_id:uuid}/test",
    sync_to_thread=True,
    status_code=200,
    tags=["Webhooks"],
    opt={"needs": WRITE, "refuses": (UnknownEndpoint, NotEnabled)},
)
def send_test(
    ctx: NamedDependency[Context], caller: NamedDependency[trust.Caller], endpoint_id: FromPath[UUID]
) -> TestSent:
    """Send your endpoint an event of type `webhooks.endpoint.test`, in its turn. Needs `webhooks:write`."""
    caller.require("webhooks:write")
    found = _own(ctx, caller, endpoint_id)
    return TestSent(actions.send_test(ctx, endpoint_id).id_for(found.member_id))


@post(
    "/v1/webhook_endpoints/{endpoint_id:uuid}/redeliver",
    sync_to_thread=True,
    status_code=200,
    tags=["Webhooks"],
    opt={"needs": WRITE, "refuses": (UnknownEndpoint, NotEnabled, InvalidInput)},
)
def redeliver(
    ctx: NamedDependency[Context],
    caller: NamedDependency[trust.Caller],
    endpoint_id: FromPath[UUID],
    data: JSONBody[RedeliverRequest],
) -> Redelivered:
    """Have events sent to your endpoint again, a thousand at most, of whatever type. Needs `webhooks:write`."""
    caller.require("webhooks:write")
    _own(ctx, caller, endpoint_id)
    return Redelivered(actions.redeliver(ctx, endpoint_id, first=data.first, last=data.last))


@get(
    "/v1/webhook_endpoints/{endpoint_id:uuid}/deliveries",
    sync_to_thread=True,
    tags=["Webhooks"],
    opt={"needs": READ, "refuses": (UnknownEndpoint, InvalidInput)},
)
def list_deliveries(
    ctx: NamedDependency[Context],
    caller: NamedDependency[trust.Caller],
    endpoint_id: FromPath[UUID],
    event_id: FromQuery[UUID | None] = None,
    after: FromQuery[datetime | None] = None,
    limit: FromQuery[Limit] = 100,
) -> DeliveryPage:
    """Attempts at your endpoint in 30 days, latest first; of one event, if you name it. Needs `webhooks:read`."""
    caller.require("webhooks:read")
    _own(ctx, caller, endpoint_id)
    at = None if after is None else in_utc(after, where="after")
    with ctx.tx() as tx:
        found = actions.list_attempts(tx, endpoint_id, event_id=event_id, before=at, limit=limit)
    return DeliveryPage([_delivery_view(one) for one in found], found[-1].at if len(found) == limit else None)


def _secrets(keys: trust.KeyFolder) -> Secrets:
    return Secrets(keys.webhooks())


def _reader(caller: trust.Caller) -> str | None:
    """The member that asks; None for the league. Errors: trust.NotAllowed."""
    if caller.kind == "league":
        return None
    if caller.kind == "gate" or caller.member_id is None:
        raise trust.NotAllowed("Only a member of the league may do this.")
    return caller.member_id


def _one_member(caller: trust.Caller, named: str | None) -> str:
    own = _reader(caller)
    if own is not None and named not in (None, own):
        raise trust.NotAllowed("A member asks for itself alone.")
    member = own or named or caller.member_id
    if member is None:
        problem = Problem("member_id", "it is missing", "Name the member")
        raise InvalidInput("The league says for which member it asks.", problems=(problem,))
    return member


def _own(ctx: Context, caller: trust.Caller, endpoint_id: UUID) -> Endpoint:
    """The endpoint, if it is the caller's. Errors: UnknownEndpoint also for a stranger's."""
    with ctx.tx() as tx:
        return actions.get_endpoint(tx, endpoint_id, ctx.clock.now(), member_id=_reader(caller))


def _view(one: Endpoint, secrets: Secrets) -> EndpointView:
    return EndpointView(
        one.endpoint_id,
        one.member_id,
        one.url,
        one.about,
        list(one.types),
        one.state,
        one.why,
        one.made_at,
        one.changed_at,
        one.behind,
        one.failing_since,
        [secrets.secret(one.endpoint_id, version).public_text for version in one.versions],
    )


def _with_secret(one: Endpoint, secrets: Secrets) -> NewEndpoint:
    newest = secrets.secret(one.endpoint_id, one.versions[0])
    return NewEndpoint(_view(one, secrets), newest.shared_text)


def _event_view(one: Event) -> EventView:
    return EventView(one.event_id, one.seq, one.type, one.at, one.subject, one.data, VERSION)


def _delivery_view(one: Attempt) -> DeliveryView:
    return DeliveryView(
        one.event_id,
        one.seq,
        one.number,
        one.at,
        one.took_ms,
        one.status,
        one.fault,
        one.body.decode(errors="replace"),
        one.next_at,
    )


ROUTES = [
    list_event_types,
    list_events,
    get_event,
    add_endpoint,
    list_endpoints,
    get_endpoint,
    verify_endpoint,
    set_state,
    rotate_secret,
    send_test,
    redeliver,
    list_deliveries,
]
