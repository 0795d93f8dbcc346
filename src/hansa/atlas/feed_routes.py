"""HTTP for feeds: hand one in, read its report and what it would change, approve it as a second person."""

from datetime import date, datetime
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from litestar import MediaType, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, PathParameter, QueryParameter, RawBody

from hansa import trust
from hansa.atlas import feeds
from hansa.atlas.actions import list_versions
from hansa.atlas.changes import NetworkChanges
from hansa.atlas.feeds import FeedClosed, FeedConflict, HandedIn, SamePerson, StartsInThePast, UnknownFeed
from hansa.atlas.model import UnknownCity
from hansa.kernel import InvalidInput
from hansa.store import Context

CityId = Annotated[str, PathParameter(max_length=60, description="A city's id, as hong-kong.")]
Version = Annotated[int, PathParameter(ge=1, le=2_147_483_647, description="A version of the city.")]
Words = Annotated[str, QueryParameter(max_length=200, pattern=r"^[^\x00-\x1f]*$")]


class WhyBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why, in a few words."""

    why: Annotated[str, msgspec.Meta(max_length=500, pattern=r"^[^\x00]*$")] = ""


class FeedView(msgspec.Struct, frozen=True):
    """A feed that was handed in. state: refused, proposed, approved, withdrawn. version: what it became."""

    feed_id: UUID
    city_id: str
    operator_id: str
    label: str
    sha256: str
    errors: int
    warnings: int
    stops: int
    lines: int
    valid_from: date
    note: str
    made_by: str
    made_at: datetime
    state: str
    decided_by: str
    decided_at: datetime | None
    why: str
    version: int | None


class FeedList(msgspec.Struct, frozen=True):
    """Feeds, newest first."""

    feeds: list[FeedView]


class VersionView(msgspec.Struct, frozen=True):
    """A version of a city's network. valid_from: the service day from which it holds; null is for ever."""

    version: int
    valid_from: date | None
    imported_at: datetime
    sha256: str
    has_fares_v2: bool


class VersionList(msgspec.Struct, frozen=True):
    """All versions of a city in the order of their import."""

    versions: list[VersionView]


class ChangeView(msgspec.Struct, frozen=True):
    """One thing that differs; before and after in words."""

    what: str
    before: str
    after: str


class ChangesView(msgspec.Struct, frozen=True):
    """All changes of one kind: how many, and the first of them."""

    kind: str
    total: int
    named: list[ChangeView]


class AllChanges(msgspec.Struct, frozen=True):
    """What changed, by kind; null for the first network of a city. pairs: of stops whose distances were compared."""

    changes: list[ChangesView] | None
    pairs: int


@post(
    "/v1/cities/{city_id:str}/feeds/{feed_id:uuid}",
    sync_to_thread=True,
    status_code=200,
    tags=["Atlas"],
    request_max_body_size=feeds.UPLOAD_MAX,
    opt={"needs": "networks:write", "takes": "application/zip", "refuses": (FeedConflict, InvalidInput)},
)
def hand_in_feed(
    ctx: NamedDependency[Context],
    caller: NamedDependency[trust.Caller],
    city_id: CityId,
    feed_id: FromPath[UUID],
    operator_id: Annotated[str, QueryParameter(max_length=60)],
    valid_from: FromQuery[date],
    body: RawBody,
    label: Words = "feed.zip",
    note: Words = "",
    name: Words = "",
    country: Words = "",
    tz: Words = "",
    currency: Words = "",
    day_starts: Words = "",
) -> FeedView:
    """Hand in a GTFS zip as the body, to hold from a service day once a second person has approved it.

    It is read whole and kept with its report, also where that has errors. A city that is not there yet needs its facts:
    name, country, tz, currency, day_starts. Needs `networks:write`.
    """
    caller.require("networks:write")
    if caller.member_id not in (None, operator_id):
        raise trust.NotAllowed("A member speaks for its own lines only.")
    with ctx.tx() as tx:
        city = feeds.city_for(
            tx, city_id, name=name, country=country, tz=tz, currency=currency, day_starts=day_starts
        )
    found = feeds.propose_feed(
        ctx,
        feed_id,
        body,
        city=city,
        operator_id=operator_id,
        label=label,
        valid_from=valid_from,
        by=caller.who,
        note=note,
    )
    return _view(found)


@get(
    "/v1/cities/{city_id:str}/feeds",
    sync_to_thread=True,
    tags=["Atlas"],
    opt={"needs": "networks:read"},
)
def list_feeds(
    ctx: NamedDependency[Context], caller: NamedDependency[trust.Caller], city_id: CityId
) -> FeedList:
    """Feeds of a city, newest first; a member sees its own. Needs `networks:read`."""
    caller.require("networks:read")
    with ctx.tx() as tx:
        found = feeds.list_feeds(tx, city_id)
    return FeedList([_view(one) for one in found if caller.member_id in (None, one.operator_id)])


@get(
    "/v1/feeds/{feed_id:uuid}",
    sync_to_thread=True,
    tags=["Atlas"],
    opt={"needs": "networks:read", "refuses": (UnknownFeed,)},
)
def read_feed(
    ctx: NamedDependency[Context], caller: NamedDependency[trust.Caller], feed_id: FromPath[UUID]
) -> FeedView:
    """A feed and where it stands. Needs `networks:read`."""
    caller.require("networks:read")
    return _view(_found(ctx, caller, feed_id))


@get(
    "/v1/feeds/{feed_id:uuid}/report",
    sync_to_thread=True,
    tags=["Atlas"],
    opt={"needs": "networks:read", "refuses": (UnknownFeed,)},
)
def read_report(
    ctx: NamedDependency[Context],
    caller: NamedDependency[trust.Caller],
    feed_id: FromPath[UUID],
    form: Annotated[Literal["json", "csv"], QueryParameter(description="json or csv")] = "json",
) -> Response[bytes]:
    """What was found in a feed, as the canonical validator's report.json or as CSV. Needs `networks:read`."""
    caller.require("networks:read")
    _found(ctx, caller, feed_id)
    with ctx.tx() as tx:
        report = feeds.get_report(tx, feed_id)
    if form == "csv":
        name = f'attachment; filename="report-{feed_id}.csv"'
        return Response(
            report.as_csv().encode(),
            media_type="text/csv; charset=utf-8",
            headers={"content-disposition": name},
        )
    return Response(report.as_json(), media_type=MediaType.JSON)


@get(
    "/v1/feeds/{feed_id:uuid}/changes",
    sync_to_thread=True,
    tags=["Atlas"],
    opt={"needs": "networks:read", "refuses": (UnknownFeed, InvalidInput)},
)
def read_feed_changes(
    ctx: NamedDependency[Context], caller: NamedDependency[trust.Caller], feed_id: FromPath[UUID]
) -> AllChanges:
    """What a feed changes on its first day, against the network that holds then. Needs `networks:read`."""
    caller.require("networks:read")
    _found(ctx, caller, feed_id)
    with ctx.tx() as tx:
        return _changes(feeds.feed_changes(tx, feed_id))


@post(
    "/v1/feeds/{feed_id:uuid}/approve",
    sync_to_thread=True,
    status_code=200,
    tags=["Atlas"],
    opt={
        "needs": "networks:approve",
        "refuses": (UnknownFeed, FeedClosed, SamePerson, StartsInThePast, InvalidInput),
    },
)
def approve_feed(
    ctx: NamedDependency[Context],
    caller: NamedDependency[trust.Caller],
    feed_id: FromPath[UUID],
    data: JSONBody[WhyBody],
) -> FeedView:
    """Make a feed the city's network from its day on; who handed it in cannot. Needs `networks:approve`."""
    caller.require("networks:approve")
    _found(ctx, caller, feed_id)
    with ctx.tx() as tx:
        return _view(feeds.approve_feed(tx, feed_id, by=caller.who, at=ctx.clock.now(), why=data.why))


@post(
    "/v1/feeds/{feed_id:uuid}/withdraw",
    sync_to_thread=True,
    status_code=200,
    tags=["Atlas"],
    opt={"needs": "networks:write", "refuses": (UnknownFeed, FeedClosed, InvalidInput)},
)
def withdraw_feed(
    ctx: NamedDependency[Context],
    caller: NamedDependency[trust.Caller],
    feed_id: FromPath[UUID],
    data: JSONBody[WhyBody],
) -> FeedView:
    """Take back a feed that was not approved. Needs `networks:write`."""
    caller.require("networks:write")
    _found(ctx, caller, feed_id)
    with ctx.tx() as tx:
        return _view(feeds.withdraw_feed(tx, feed_id, by=caller.who, at=ctx.clock.now(), why=data.why))


@get("/v1/cities/{city_id:str}/versions", sync_to_thread=True, tags=["Atlas"])
def read_versions(ctx: NamedDependency[Context], city_id: CityId) -> VersionList:
    """The versions of a city's network, and from which service day each holds; none of a city that is not there."""
    with ctx.tx() as tx:
        found = list_versions(tx, city_id)
    return VersionList(
        [
            VersionView(
                one.version,
                None if one.valid_from == date.min else one.valid_from,
                one.imported_at,
                one.digest.hex(),
                one.has_fares_v2,
            )
            for one in found
        ]
    )


@get(
    "/v1/cities/{city_id:str}/versions/{before:int}/{after:int}/changes",
    sync_to_thread=True,
    tags=["Atlas"],
    opt={"refuses": (UnknownCity,)},
)
def read_version_changes(
    ctx: NamedDependency[Context], city_id: CityId, before: Version, after: Version
) -> AllChanges:
    """What changed from one version of a city's network to another."""
    with ctx.tx() as tx:
        return _changes(feeds.version_changes(tx, city_id, before, after))


def _found(ctx: Context, caller: trust.Caller, feed_id: UUID) -> HandedIn:
    """A feed that this caller may see. Errors: UnknownFeed, also for another member's."""
    with ctx.tx() as tx:
        found = feeds.get_feed(tx, feed_id)
    if caller.member_id not in (None, found.operator_id):
        raise UnknownFeed(f"There is no feed {feed_id}.")
    return found


def _view(one: HandedIn) -> FeedView:
    return FeedView(
        one.feed_id,
        one.city.city_id,
        one.operator_id,
        one.label,
        one.digest.hex(),
        one.errors,
        one.warnings,
        one.stops,
        one.lines,
        one.valid_from,
        one.note,
        one.made_by,
        one.made_at,
        one.state,
        one.decided_by,
        one.decided_at,
        one.why,
        one.version,
    )


def _changes(found: NetworkChanges | None) -> AllChanges:
    if found is None:
        return AllChanges(None, 0)
    groups = [
        ChangesView(group.kind, group.total, [ChangeView(*one) for one in group.named])
        for group in found.groups
    ]
    return AllChanges(groups, found.pairs)


ROUTES = [
    hand_in_feed,
    list_feeds,
    read_feed,
    read_report,
    read_feed_changes,
    approve_feed,
    withdraw_feed,
    read_versions,
    read_version_changes,
]
