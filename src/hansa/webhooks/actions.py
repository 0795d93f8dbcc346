"""What can be done in webhooks: tell members something, keep their endpoints, read their feeds."""

import hmac
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from hansa import trust
from hansa.kernel import InvalidInput, Problem, new_id
from hansa.store import (
    Context,
    Tx,
    forget_outbox,
    read_outbox,
    write_outbox,
)
from hansa.store import Event as Written
from hansa.webhooks import store
from hansa.webhooks.addresses import Reach
from hansa.webhooks.model import (
    ABOUT_MAX,
    ATTEMPTS_KEPT,
    DISABLED,
    ENDPOINTS_MAX,
    SECRET_LASTS,
    TEST,
    TYPES_BY_NAME,
    TYPES_MAX,
    VERIFY,
    Attempt,
    Endpoint,
    EndpointDiffers,
    Event,
    ForPerson,
    News,
    NotEnabled,
    NotVerified,
    SecretIsNew,
    TooManyEndpoints,
    UnknownEndpoint,
    UnknownEvent,
)
from hansa.webhooks.signing import Secrets

TOPIC = "webhooks"
PEOPLE = "people"
"""The topic of the outbox in which persons are told, for the room of notifications to read."""

SOME = 1_000
"""Facts that one turn numbers."""

REDELIVERED_MAX = 1_000
"""Events that are sent again at once."""


# --- telling


def record(tx: Tx, *news: News) -> None:
    """Tell members these facts, if and only if this transaction commits. Telling a fact again is harmless.

    It waits for nobody: events get their numbers afterwards, by ``number``, in the order of commits.
    """
    told = [one for one in news if one.members]
    for one in told:
        assert one.type in TYPES_BY_NAME, f"{one.type} is no type of event: add it to webhooks.model.TYPES"
        assert one.data.keys() == TYPES_BY_NAME[one.type].data.keys(), f"{one.type} has other fields"
    if told:
        write_outbox(tx, TOPIC, [Written(new_id(), _as_body(one)) for one in told])
    tell(tx, *[person for one in news if not one.members for person in one.people])


def tell(tx: Tx, *told: ForPerson) -> None:
    """Tell these persons, if and only if this transaction commits. Telling a fact again is harmless."""
    if told:
        write_outbox(tx, PEOPLE, [Written(one.notice_id, _for_person(one)) for one in told])


def number(ctx: Context, *, limit: int = SOME) -> int:
    """Give what was recorded its numbers in members' feeds, pass on what persons are told; how many facts were read.

    One at a time does so for all; another one that tries finds nothing to do. Killed, it is done again.
    """
    with ctx.tx() as tx:
        mark = store.lock_bookmark(tx, TOPIC)
        if mark is None:
            return 0
        written = read_outbox(tx, TOPIC, mark, limit)
        if not written:
            return 0
        fresh = [numbered for one in written for numbered in _numbered(one.body)]
        store.add_events(tx, fresh, ctx.clock.now())
        people = [person for one in written for person in one.body.get("people", ())]
        if people:
            write_outbox(tx, PEOPLE, [Written(UUID(one["notice_id"]), one) for one in people])
        store.keep_bookmark(tx, TOPIC, written[-1].bookmark)
        forget_outbox(tx, TOPIC, written[-1].bookmark)
    return len(written)


def follow(
    ctx: Context, topic: str, say: Callable[[Tx, Mapping[str, Any]], News | None], *, limit: int = SOME
) -> int:
    """Read another topic of the outbox on, and record what each of its facts says; gives how many were read.

    Bookmark and news are one commit. One at a time does so for all; the topic's events stay for its other readers.
    """
    with ctx.tx() as tx:
        mark = store.lock_bookmark(tx, topic)
        if mark is None:
            return 0
        written = read_outbox(tx, topic, mark, limit)
        if not written:
            return 0
        record(tx, *(news for one in written if (news := say(tx, one.body)) is not None))
        store.keep_bookmark(tx, topic, written[-1].bookmark)
    return len(written)


def read_feed(
    tx: Tx, member_id: str, *, after: int = 0, limit: int = 100, types: Sequence[str] = ()
) -> list[Event]:
    """A member's events after a number, in order and without a gap; types: of these alone, where any are named."""
    return store.feed(tx, member_id, after, limit, types)


def get_event(tx: Tx, member_id: str, event_id: UUID) -> Event:
    """A member's event. Errors: UnknownEvent."""
    found = store.find_event(tx, member_id, event_id)
    if found is None:
        raise UnknownEvent
    return found


# --- endpoints


def add_endpoint(
    ctx: Context,
    *,
    endpoint_id: UUID,
    member_id: str,
    url: str,
    about: str = "",
    types: Iterable[str] = (),
    by: str,
    reach: Reach,
) -> Endpoint:
    """Keep a new endpoint; it takes events once it is verified, those from now on. Again with the same is harmless.

    types: which events it wants; none is all, also of types that are to come.
    Errors: InvalidInput for a URL that may not be called, words that do not fit or a type that is none;
    trust.UnknownMember; EndpointDiffers; TooManyEndpoints. Nothing is kept then.
    """
    wanted = tuple(dict.fromkeys(types))
    reach.read(url)
    _refuse_unfit(about, wanted)
    now = ctx.clock.now()
    with ctx.tx() as tx:
        trust.get_member(tx, member_id)
        store.lock_member(tx, member_id)
        known = store.endpoints(tx, now, endpoint_id=endpoint_id)
        if not known:
            if store.count_endpoints(tx, member_id) >= ENDPOINTS_MAX:
                raise TooManyEndpoints
            store.add_endpoint(
                tx,
                endpoint_id=endpoint_id,
                member_id=member_id,
                url=url,
                about=about,
                types=wanted,
                by=by,
                now=now,
            )
            known = store.endpoints(tx, now, endpoint_id=endpoint_id)
        kept = known[0]
        if (kept.member_id, kept.url, kept.about, kept.types) != (member_id, url, about, wanted):
            raise EndpointDiffers
    return kept


def get_endpoint(tx: Tx, endpoint_id: UUID, now: datetime, *, member_id: str | None = None) -> Endpoint:
    """The endpoint. member_id: whose it must be. Errors: UnknownEndpoint."""
    found = store.endpoints(tx, now, endpoint_id=endpoint_id, member_id=member_id)
    if not found:
        raise UnknownEndpoint
    return found[0]


def list_endpoints(tx: Tx, now: datetime, member_id: str | None = None) -> list[Endpoint]:
    """All endpoints, or a member's, oldest first."""
    return store.endpoints(tx, now, member_id=member_id)


def verify_endpoint(ctx: Context, endpoint_id: UUID, code: str, secrets: Secrets) -> Endpoint:
    """Enable an endpoint whose owner shows the code that was sent to it. Again is harmless.

    Errors: UnknownEndpoint; NotVerified; NotEnabled for one that was disabled, which is enabled otherwise.
    """
    now = ctx.clock.now()
    with ctx.tx() as tx:
        found = _locked(tx, endpoint_id, now)
        if not hmac.compare_digest(code.encode(), secrets.code(endpoint_id, found.url).encode()):
            raise NotVerified
        if found.state == "disabled":
            raise NotEnabled("The endpoint was disabled. Enable it; its address is known already.")
        store.set_state(tx, endpoint_id, "enabled", why="", now=now)
        return get_endpoint(tx, endpoint_id, now)


def disable_endpoint(ctx: Context, endpoint_id: UUID, *, why: str) -> Endpoint:
    """Send nothing more to an endpoint, and tell its member so. Again is harmless. Errors: UnknownEndpoint."""
    now = ctx.clock.now()
    with ctx.tx() as tx:
        found = _locked(tx, endpoint_id, now)
        tell_disabled(tx, found, why, now)
        return get_endpoint(tx, endpoint_id, now)


def tell_disabled(tx: Tx, endpoint: Endpoint, why: str, now: datetime) -> None:
    """Disable a locked endpoint and record that."""
    if store.set_state(tx, endpoint.endpoint_id, "disabled", why=why, now=now):
        record(
            tx,
            News(
                type=DISABLED,
                members=(endpoint.member_id,),
                at=now,
                subject=str(endpoint.endpoint_id),
                data={"endpoint_id": str(endpoint.endpoint_id), "why": why},
                fact=(endpoint.endpoint_id, now.isoformat()),
            ),
        )


def enable_endpoint(ctx: Context, endpoint_id: UUID) -> Endpoint:
    """Send to a disabled endpoint again, beginning with what it missed. Again is harmless.

    Errors: UnknownEndpoint; NotVerified for one whose code was never shown; TooManyEndpoints.
    """
    now = ctx.clock.now()
    with ctx.tx() as tx:
        found = get_endpoint(tx, endpoint_id, now)
        store.lock_member(tx, found.member_id)
        found = _locked(tx, endpoint_id, now)
        if found.state == "unverified":
            raise NotVerified("The endpoint was never verified. Show the code that is sent to it first.")
        if found.state == "disabled" and store.count_endpoints(tx, found.member_id) >= ENDPOINTS_MAX:
            raise TooManyEndpoints
        store.set_state(tx, endpoint_id, "enabled", why="", now=now)
        return get_endpoint(tx, endpoint_id, now)


def rotate_secret(ctx: Context, endpoint_id: UUID, *, lasts: timedelta = SECRET_LASTS) -> Endpoint:
    """Give an endpoint a new secret; the one before signs beside it for so long.

    Errors: UnknownEndpoint; SecretIsNew while an older one still counts.
    """
    now = ctx.clock.now()
    with ctx.tx() as tx:
        found = _locked(tx, endpoint_id, now)
        if len(found.versions) > 1:
            raise SecretIsNew
        store.rotate(tx, endpoint_id, now=now, old_ends_at=now + lasts)
        return get_endpoint(tx, endpoint_id, now)


def send_test(ctx: Context, endpoint_id: UUID) -> News:
    """Send a test event to an endpoint, in its turn. Errors: UnknownEndpoint; NotEnabled."""
    now = ctx.clock.now()
    with ctx.tx() as tx:
        found = get_endpoint(tx, endpoint_id, now)
        if found.state != "enabled":
            raise NotEnabled
        news = News(
            type=TEST,
            members=(found.member_id,),
            at=now,
            subject=str(endpoint_id),
            data={"endpoint_id": str(endpoint_id)},
            fact=(endpoint_id, new_id()),
        )
        record(tx, news)
    return news


def redeliver(ctx: Context, endpoint_id: UUID, *, first: int, last: int) -> int:
    """Send a member's events of these numbers to an endpoint again; gives how many do not wait for it already.

    Errors: UnknownEndpoint; NotEnabled; InvalidInput for no numbers or too many.
    """
    if not 1 <= first <= last or last - first >= REDELIVERED_MAX:
        problem = Problem(
            "last", f"{first} to {last} are not 1 to {REDELIVERED_MAX} events", "Ask for fewer at once"
        )
        raise InvalidInput("These events cannot be sent again at once.", problems=(problem,))
    now = ctx.clock.now()
    with ctx.tx() as tx:
        found = _locked(tx, endpoint_id, now)
        if found.state != "enabled":
            raise NotEnabled
        return store.redeliver(tx, found, first, last, now)


def list_attempts(
    tx: Tx,
    endpoint_id: UUID,
    *,
    event_id: UUID | None = None,
    before: datetime | None = None,
    limit: int = 100,
) -> list[Attempt]:
    """What was tried at an endpoint, latest first."""
    return store.attempts(tx, endpoint_id, event_id=event_id, before=before, limit=limit)


def forget(ctx: Context) -> int:
    """Delete attempts that are a month old; gives how many."""
    with ctx.tx() as tx:
        return store.forget_attempts(tx, ctx.clock.now() - ATTEMPTS_KEPT)


def _locked(tx: Tx, endpoint_id: UUID, now: datetime) -> Endpoint:
    store.lock_endpoint(tx, endpoint_id)
    return get_endpoint(tx, endpoint_id, now)


def _refuse_unfit(about: str, types: Sequence[str]) -> None:
    if len(about) > ABOUT_MAX or "\0" in about:
        problem = Problem("about", "it is too long or holds a NUL", f"Write at most {ABOUT_MAX} characters")
        raise InvalidInput("These words do not fit.", problems=(problem,))
    unknown = [one for one in types if one not in TYPES_BY_NAME or one in (VERIFY, TEST)]
    if unknown or len(types) > TYPES_MAX:
        what = f"there is none named {unknown[0]}" if unknown else "there are too many"
        problem = Problem("types", what, "Choose from GET /v1/event_types, or name none to have all")
        raise InvalidInput("These types of events cannot be wanted.", problems=(problem,))


def _for_person(one: ForPerson) -> dict[str, Any]:
    """As the outbox keeps it, which writes ids and instants itself."""
    return {
        "notice_id": one.notice_id,
        "account_id": one.account_id,
        "kind": one.kind,
        "at": one.at,
        "subject": one.subject,
        "facts": one.facts,
    }


def _as_body(news: News) -> dict[str, Any]:
    """As the outbox keeps it."""
    body: dict[str, Any] = {
        "type": news.type,
        "at": news.at,
        "subject": news.subject,
        "data": news.data,
        "to": {member: news.id_for(member) for member in sorted(set(news.members))},
    }
    if news.people:
        body["people"] = [_for_person(one) for one in news.people]
    return body


def _numbered(body: dict[str, Any]) -> list[store.Numbered]:
    at = datetime.fromisoformat(body["at"])
    return [
        store.Numbered(UUID(event_id), member, body["type"], body["subject"], at, body["data"])
        for member, event_id in sorted(body["to"].items())
    ]
