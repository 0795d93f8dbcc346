"""The wallet's pages of notices: the list, what was read, how one wants to be told, and the live stream."""

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated, Any, ClassVar, TypeVar
from uuid import UUID
from weakref import WeakKeyDictionary
from zoneinfo import ZoneInfo

import msgspec
from litestar import Request, Response, get, post
from litestar.enums import RequestEncodingType
from litestar.params import Body, FromPath, QueryParameter
from litestar.response import Redirect, Stream

from hansa import identity, notifications, payments
from hansa.apps import notices
from hansa.apps.personal_data import currency_of
from hansa.apps.web.amounts import read_minor
from hansa.apps.web.callers import get_account, get_signed_in
from hansa.apps.web.languages import Words, spoken, words_for
from hansa.apps.web.me_view import means, zone_of
from hansa.apps.web.pages import page
from hansa.apps.web.problem_words import in_words
from hansa.apps.web.site import Here, Site
from hansa.kernel import HansaError, InvalidInput, Money, Problem
from hansa.notifications import CHANNELS, GROUPS, Channel, Notice, Settings, kinds
from hansa.store import Context, Tx

Asked = Request[Any, Any, Any]
T = TypeVar("T")

NOTICES = "/wallet/notices"
ON_PAGE = 30

LASTS_S = 600.0
"""A stream ends after so long, and the browser opens the next one."""

HERE_S = 15.0
"""How often a stream says that it is still there, and looks whether its sign-in is."""

LOOKS_S = 1.0
"""How often all streams of a process together look for news, by one question."""

STREAMS_MAX = 500
STREAMS_OF_ONE = 4
"""Streams of a process, and of one person in it: of these, the oldest is ended for a new one."""

CAUGHT_UP = 50
"""Notices that a stream hands on at once."""

FACTS = re.compile(r"\{\w+\}")
"""What a sentence says of one notice alone, and the page of settings of none."""
DIGEST_AT = 18 * 60
"""When a day's e-mail comes, unless its person says another time."""

CHANNEL_NAMES: dict[Channel, str] = {"app": "In the wallet", "email": "E-mail", "phone": "Text message"}


class StreamsFull(HansaError):
    """As many pages follow their notices live as can. This one is up to date when it is loaded again."""

    code: ClassVar[str] = "notices.streams_full"
    status: ClassVar[int] = 503
    next_action: ClassVar[str] = "retry"
    remedy: ClassVar[str] = "Ask for the list again from time to time, as the page does by itself."


@dataclass(frozen=True, slots=True)
class Line:
    """A notice as the list shows it."""

    notice: Notice
    text: str
    more: str
    warns: bool


@dataclass(frozen=True, slots=True)
class Choice:
    """A box of the settings: a kind and a channel."""

    name: str
    channel: str
    on: bool
    fixed: bool


class ReadForm(msgspec.Struct, frozen=True):
    """All up to this number were read."""

    up_to: Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)]


# -- the list -----------------------------------------------------------------------------------------------


@get(NOTICES, sync_to_thread=True, include_in_schema=False)
def show_notices(
    request: Asked,
    site: Here,
    unread: Annotated[str, QueryParameter(max_length=1)] = "",
    after: Annotated[int | None, QueryParameter(ge=1)] = None,
) -> Response[str]:
    return _list_page(request, site, "wallet/notices.html", only_unread=bool(unread), before=after)


@get(f"{NOTICES}/list", sync_to_thread=True, include_in_schema=False)
def show_list(
    request: Asked, site: Here, unread: Annotated[str, QueryParameter(max_length=1)] = ""
) -> Response[str]:
    """The list alone, for the page to put in its place."""
    return _list_page(request, site, "wallet/_notices.html", only_unread=bool(unread), before=None)


@post(f"{NOTICES}/read", sync_to_thread=True, include_in_schema=False)
def mark_read(
    request: Asked, site: Here, data: Annotated[ReadForm, Body(media_type=RequestEncodingType.URL_ENCODED)]
) -> Redirect:
    account = get_account(request, site)
    with site.ctx.tx() as tx:
        notifications.mark_all_read(
            tx,
            account.account_id,
            up_to=data.up_to,
            at=site.ctx.clock.now(),
            partition=_partition(site, account),
        )
    return Redirect(NOTICES, status_code=303)


@post(f"{NOTICES}/{{number:int}}/open", sync_to_thread=True, include_in_schema=False)
def open_notice(request: Asked, site: Here, number: FromPath[int]) -> Redirect:
    """Read one, and go where it leads to."""
    account = get_account(request, site)
    partition = _partition(site, account)
    with site.ctx.tx() as tx:
        found = notifications.list_notices(
            tx, account.account_id, partition=partition, after=number - 1, limit=1
        )
        if not found or found[0].seq != number or found[0].kind not in kinds():
            return Redirect(NOTICES, status_code=303)
        now = site.ctx.clock.now()
        notifications.mark_read(tx, account.account_id, [number], at=now, partition=partition)
    return Redirect(kinds()[found[0].kind].link, status_code=303)


def _list_page(
    request: Asked, site: Site, template: str, *, only_unread: bool, before: int | None
) -> Response[str]:
    account = get_account(request, site)
    say = words_for(request, account_language=account.language)
    partition = _partition(site, account)
    with site.ctx.tx() as tx:
        zone = zone_of(tx, account)
        found = notifications.list_notices(
            tx,
            account.account_id,
            partition=partition,
            before=before,
            only_unread=only_unread,
            limit=ON_PAGE + 1,
        )
        unread = notifications.count_unread(tx, account.account_id, partition=partition)
        latest = notifications.latest_of(tx, [(partition, account.account_id)]).get(account.account_id, 0)
    shown = found[:ON_PAGE]
    answer = page(
        template,
        here="me",
        account=account,
        say=say,
        zone=zone,
        days=_by_day(shown, say, zone, site.ctx.clock.now()),
        unread=unread,
        only_unread=only_unread,
        latest=latest,
        first=before is None,
        older=shown[-1].seq if len(found) > ON_PAGE else None,
    )
    return spoken(answer, say, request)


def _by_day(found: list[Notice], say: Words, zone: str, now: datetime) -> list[tuple[str, date, list[Line]]]:
    today = now.astimezone(ZoneInfo(zone)).date()
    days: list[tuple[str, date, list[Line]]] = []
    for one in found:
        words = notices.said(one, say, zone)
        if words is None:
            continue
        day = one.at.astimezone(ZoneInfo(zone)).date()
        if not days or days[-1][1] != day:
            ago = (today - day).days
            named = say("Today") if ago == 0 else say("Yesterday") if ago == 1 else say.day(day)
            days.append((named, day, []))
        rule = kinds()[one.kind]
        days[-1][2].append(Line(one, words.text, words.more, warns=rule.urgent and bool(rule.fixed)))
    return days


def _partition(site: Site, account: identity.Account) -> int:
    return site.ctx.directory.partition_of(account.account_id)


# -- settings -----------------------------------------------------------------------------------------------


@get(f"{NOTICES}/settings", sync_to_thread=True, include_in_schema=False)
def show_settings(
    request: Asked, site: Here, done: Annotated[str, QueryParameter(max_length=1)] = ""
) -> Response[str]:
    return _settings_page(request, site, done=bool(done))


@post(f"{NOTICES}/settings", include_in_schema=False)
async def set_settings(request: Asked, site: Here) -> Response[Any]:
    form = {name: str(value) for name, value in (await request.form()).items()}
    return await asyncio.to_thread(_set, request, site, form)


def _set(request: Asked, site: Site, form: dict[str, str]) -> Response[Any]:
    account = get_account(request, site)
    try:
        wishes: dict[tuple[str, Channel], bool] = {
            (name, channel): f"{name}/{channel}" in form
            for name, rule in kinds().items()
            for channel in CHANNELS
            if channel not in rule.fixed
        }
        wanted = Settings(
            wishes,
            _minute(form.get("quiet_from", ""), "quiet_from"),
            _minute(form.get("quiet_to", ""), "quiet_to"),
            "amounts" in form,
            _minute(form.get("digest_at", ""), "digest_at") if "digest" in form else None,
        )
        with site.ctx.tx() as tx:
            currency = currency_of(tx, account)
            low = form.get("low", "").strip()
            notifications.watches.set_low_mark(
                tx,
                account.account_id,
                currency,
                payments.wallet_id(account.account_id, currency),
                read_minor(low, currency, where="low") if low else None,
                at=site.ctx.clock.now(),
                partition=_partition(site, account),
            )
            notifications.set_settings(
                tx,
                account.account_id,
                wanted,
                at=site.ctx.clock.now(),
                partition=_partition(site, account),
            )
    except InvalidInput as refused:
        return _settings_page(request, site, refused=refused)
    return Redirect(f"{NOTICES}/settings?done=1", status_code=303)


def _settings_page(
    request: Asked, site: Site, *, done: bool = False, refused: InvalidInput | None = None
) -> Response[str]:
    account = get_account(request, site)
    say = words_for(request, account_language=account.language)
    with site.ctx.tx() as tx:
        settings = notifications.read_settings(tx, account.account_id, partition=_partition(site, account))
        reachable = _reachable(tx, site, account)
        currency = currency_of(tx, account)
        low = notifications.watches.low_mark(
            tx, account.account_id, currency, partition=_partition(site, account)
        )
    groups = [
        (
            group,
            say(title),
            [
                (
                    name,
                    FACTS.sub("…", say(rule.text)).replace("….", "…"),
                    [
                        Choice(f"{name}/{one}", one, settings.wants(name, one), one in rule.fixed)
                        for one in CHANNELS
                    ],
                )
                for name, rule in kinds().items()
                if rule.group == group
            ],
        )
        for group, title in GROUPS.items()
    ]
    answer = page(
        "wallet/notices_settings.html",
        status_code=422 if refused else 200,
        here="me",
        account=account,
        say=say,
        groups=groups,
        channels=[(one, say(CHANNEL_NAMES[one])) for one in CHANNELS],
        quiet_from=_clock(settings.quiet_from),
        quiet_to=_clock(settings.quiet_to),
        amounts=settings.amounts,
        digest=settings.digest_at is not None,
        digest_at=_clock(DIGEST_AT if settings.digest_at is None else settings.digest_at),
        currency=currency,
        low="" if low is None else Money(low, currency).decimal(),
        reachable=reachable,
        done=done,
        refused=[in_words([one], say) for one in refused.problems] if refused else [],
    )
    return spoken(answer, say, request)


def _reachable(tx: Tx, site: Site, account: identity.Account) -> bool:
    """Whether there is anything to send messages to; unknown where the secrets for contacts are missing."""
    try:
        return bool(identity.contact_of(tx, means(site).sealer, account.account_id))
    except HansaError:
        return False


def _minute(text: str, where: str) -> int | None:
    """A time of day of a form as its minute; None where it is empty. Errors: InvalidInput."""
    if not text.strip():
        return None
    hours, _, minutes = text.strip()[:8].partition(":")
    try:
        found = int(hours) * 60 + int(minutes[:2])
    except ValueError:
        found = -1
    if not 0 <= found < 24 * 60:
        problem = Problem(where, "it is no time of day", "Give one from 00:00 to 23:59")
        raise InvalidInput("There is no such time of day.", problems=(problem,))
    return found


def _clock(minute: int | None) -> str:
    return "" if minute is None else f"{minute // 60:02}:{minute % 60:02}"


# -- the stream ---------------------------------------------------------------------------------------------


class Listener:
    """A stream that waits for news of its person."""

    def __init__(self, owner: tuple[int, UUID], seq: int) -> None:
        self.owner, self.seq = owner, seq
        self.woken = asyncio.Event()
        self.over = False


class Hub:
    """All streams of a process: they look for news together, by one question a second, while there are any."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._listeners: list[Listener] = []
        self._task: asyncio.Task[None] | None = None

    def join(self, listener: Listener) -> None:
        """Errors: StreamsFull."""
        own = [one for one in self._listeners if one.owner == listener.owner]
        if len(own) >= STREAMS_OF_ONE:
            own[0].over = True
            own[0].woken.set()
            self._listeners.remove(own[0])
        if len(self._listeners) >= STREAMS_MAX:
            raise StreamsFull
        self._listeners.append(listener)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._look())

    def leave(self, listener: Listener) -> None:
        """It listens no more."""
        if listener in self._listeners:
            self._listeners.remove(listener)

    async def _look(self) -> None:
        while self._listeners:
            await asyncio.sleep(LOOKS_S)
            try:
                latest = await _in_database(self._ctx, self._latest)
            except HansaError:
                continue  # the database is away for a moment; the next look finds what came meanwhile
            for one in self._listeners:
                if latest.get(one.owner[1], 0) > one.seq:
                    one.woken.set()

    def _latest(self, tx: Tx) -> dict[UUID, int]:
        return notifications.latest_of(tx, {one.owner for one in self._listeners})


_HUBS: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[int, Hub]] = WeakKeyDictionary()


def hub_of(ctx: Context) -> Hub:
    """The hub of this loop and this database."""
    of_loop = _HUBS.setdefault(asyncio.get_running_loop(), {})
    return of_loop.setdefault(id(ctx), Hub(ctx))


@get(f"{NOTICES}/stream", include_in_schema=False)
async def follow_notices(
    request: Asked, site: Here, after: Annotated[int, QueryParameter(ge=0, le=2**53 - 1)] = 0
) -> Stream:
    """New notices as they come, by Server-Sent Events. after: the number of the last one that the page has.

    A browser that lost its line says the last number itself, and hears first what came meanwhile.
    Source: WHATWG HTML, section 9.2.
    """
    session, account = await asyncio.to_thread(get_signed_in, request, site)
    say = words_for(request, account_language=account.language)
    listener = Listener(
        (_partition(site, account), account.account_id),
        max(after, _number(request.headers.get("last-event-id", ""))),
    )
    hub = hub_of(site.ctx)
    hub.join(listener)
    return Stream(
        _events(site, hub, listener, session, say),
        media_type="text/event-stream",
        headers={"cache-control": "no-store", "x-accel-buffering": "no", "content-language": say.language},
    )


async def _events(
    site: Site, hub: Hub, listener: Listener, session: identity.Session, say: Words
) -> AsyncIterator[str]:
    account_id = session.account_id
    partition = listener.owner[0]

    def since(tx: Tx) -> tuple[list[Notice], int]:
        found = notifications.list_notices(
            tx, account_id, partition=partition, after=listener.seq, limit=CAUGHT_UP
        )
        return found, notifications.count_unread(tx, account_id, partition=partition)

    def still_signed_in(tx: Tx) -> bool:
        # Not by its secret: a page that is left open must not keep its own sign-in from ending.
        open_ones = identity.list_sessions(tx, account_id, site.ctx.clock.now())
        return session.session_id in {one.session_id for one in open_ones}

    ends_at = time.monotonic() + LASTS_S
    try:
        yield "retry: 3000\n\n"
        while not listener.over:
            listener.woken.clear()
            found, unread = await _in_database(site.ctx, since)
            for one in found:
                words = notices.said(one, say, "UTC")
                data = {"unread": unread, "text": "" if words is None else words.text}
                yield f"event: notice\nid: {one.seq}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n"
                listener.seq = one.seq
            if len(found) == CAUGHT_UP:
                continue
            left = ends_at - time.monotonic()
            if left <= 0:
                return
            try:
                await asyncio.wait_for(listener.woken.wait(), min(HERE_S, left))
            except TimeoutError:
                if not await _in_database(site.ctx, still_signed_in):
                    return
                yield ": here\n\n"
    finally:
        hub.leave(listener)


async def _in_database(ctx: Context, ask: Callable[[Tx], T]) -> T:
    def asked() -> T:
        with ctx.tx() as tx:
            return ask(tx)

    return await asyncio.to_thread(asked)


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else 0


ROUTES = [
    show_notices,
    show_list,
    mark_read,
    open_notice,
    show_settings,
    set_settings,
    follow_notices,
]
