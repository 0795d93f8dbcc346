"""HTTP of notices: one's own list, what was read, and how one wants to be told."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import get, post, put
from litestar.di import NamedDependency
from litestar.params import JSONBody, QueryParameter

from hansa import trust
from hansa.identity import AccountId
from hansa.kernel import InvalidInput, paged
from hansa.notifications import actions
from hansa.notifications.model import SETTINGS_MAX, Channel, Notice, Settings, kinds, say_notice
from hansa.store import Context

LIST_MAX = 200
_Number = Annotated[int, msgspec.Meta(ge=1, le=2**53 - 1)]
_Minute = Annotated[int, msgspec.Meta(ge=0, le=24 * 60 - 1)]


class NoticeView(msgspec.Struct, frozen=True):
    """One thing that you were told. number: yours, from 1 without a gap. text: in English; facts: its parts."""

    number: int
    notice_id: UUID
    kind: str
    at: datetime
    text: str
    more: str
    link: str
    facts: dict[str, Any]
    read_at: datetime | None


class NoticeList(msgspec.Struct, frozen=True):
    """Notices, the latest first; unread: of all; 100 is as many or more. next: for older ones, or null."""

    notices: list[NoticeView]
    unread: int
    next: int | None


class NoticesRead(msgspec.Struct, frozen=True):
    """Which were read: all up to a number, or single ones, by their numbers."""

    up_to: _Number | None = None
    numbers: Annotated[list[_Number], msgspec.Meta(max_length=LIST_MAX)] = []


class UnreadLeft(msgspec.Struct, frozen=True):
    """How many are unread now; 100 stands for as many or more."""

    unread: int


class KindView(msgspec.Struct, frozen=True):
    """A kind of notice: how you are told it, in which ways nobody can turn it off, its English sentence."""

    kind: str
    group: str
    says: str
    app: bool
    email: bool
    phone: bool
    fixed: list[Channel]
    urgent: bool


class SettingsView(msgspec.Struct, frozen=True):
    """How you are told. quiet_from, quiet_to: minutes of your home city's day; amounts: text messages name amounts.

    digest_at: the minute at which e-mails that can wait come together as one; null: each by itself.
    """

    kinds: list[KindView]
    quiet_from: int | None
    quiet_to: int | None
    amounts: bool
    digest_at: int | None


class Wish(msgspec.Struct, frozen=True):
    """Whether you want to be told a kind in a way."""

    kind: Annotated[str, msgspec.Meta(min_length=1, max_length=60)]
    channel: Channel
    wanted: bool


class SettingsSaid(msgspec.Struct, frozen=True):
    """How you want to be told. wishes: those that change; the others stay."""

    wishes: Annotated[list[Wish], msgspec.Meta(max_length=SETTINGS_MAX)] = []
    quiet_from: _Minute | None = None
    quiet_to: _Minute | None = None
    amounts: bool = False
    digest_at: _Minute | None = None


_OWN: dict[str, Any] = {"who": ("session",), "refuses": (trust.NotSignedIn,)}


@get("/v1/me/notices", sync_to_thread=True, tags=["Notifications"], opt=_OWN)
def list_notices(
    ctx: NamedDependency[Context],
    caller: NamedDependency[trust.Caller],
    after: Annotated[
        int | None, QueryParameter(ge=1, le=2**53 - 1, description="`next` of the page before")
    ] = None,
    unread: Annotated[bool, QueryParameter(description="Only those that are unread")] = False,
    limit: Annotated[int, QueryParameter(ge=1, le=LIST_MAX)] = 50,
) -> NoticeList:
    """What you were told, the latest first."""
    account_id, partition = _own(ctx, caller)
    with ctx.tx() as tx:
        found = actions.list_notices(
            tx, account_id, partition=partition, before=after, only_unread=unread, limit=limit + 1
        )
        left = actions.count_unread(tx, account_id, partition=partition)
    page, more = paged(found, limit, lambda one: one.seq)
    views = [view for one in page if (view := _view(one)) is not None]
    return NoticeList(views, left, more)


@post("/v1/me/notices/read", sync_to_thread=True, status_code=200, tags=["Notifications"], opt=_OWN)
def mark_read(
    ctx: NamedDependency[Context], caller: NamedDependency[trust.Caller], data: JSONBody[NoticesRead]
) -> UnreadLeft:
    """Say that notices were read. Saying it again changes nothing."""
    account_id, partition = _own(ctx, caller)
    at = ctx.clock.now()
    with ctx.tx() as tx:
        if data.up_to is not None:
            actions.mark_all_read(tx, account_id, up_to=data.up_to, at=at, partition=partition)
        if data.numbers:
            actions.mark_read(tx, account_id, data.numbers, at=at, partition=partition)
        return UnreadLeft(actions.count_unread(tx, account_id, partition=partition))


@get("/v1/me/notification-settings", sync_to_thread=True, tags=["Notifications"], opt=_OWN)
def read_settings(ctx: NamedDependency[Context], caller: NamedDependency[trust.Caller]) -> SettingsView:
    """How you are told, for every kind of notice."""
    account_id, partition = _own(ctx, caller)
    with ctx.tx() as tx:
        return _settings_view(actions.read_settings(tx, account_id, partition=partition))


@put(
    "/v1/me/notification-settings",
    sync_to_thread=True,
    tags=["Notifications"],
    opt={"who": ("session",), "refuses": (trust.NotSignedIn, InvalidInput)},
)
def set_settings(
    ctx: NamedDependency[Context], caller: NamedDependency[trust.Caller], data: JSONBody[SettingsSaid]
) -> SettingsView:
    """Say how you want to be told, from now on. What warns you of others at work cannot be turned off."""
    account_id, partition = _own(ctx, caller)
    wishes: dict[tuple[str, Channel], bool] = {(one.kind, one.channel): one.wanted for one in data.wishes}
    wanted = Settings(wishes, data.quiet_from, data.quiet_to, data.amounts, data.digest_at)
    with ctx.tx() as tx:
        kept = actions.set_settings(tx, account_id, wanted, at=ctx.clock.now(), partition=partition)
    return _settings_view(kept)


def _own(ctx: Context, caller: trust.Caller) -> tuple[AccountId, int]:
    if caller.account_id is None:
        raise trust.NotSignedIn()
    account_id = AccountId(UUID(str(caller.account_id)))
    return account_id, ctx.directory.partition_of(account_id)


def _english(english: str, /, **facts: object) -> str:
    return english.format(**facts) if facts else english


def _view(one: Notice) -> NoticeView | None:
    said = say_notice(one, _english)
    if said is None:
        return None
    return NoticeView(
        one.seq, one.notice_id, one.kind, one.at, said.text, said.more, said.link, one.facts, one.read_at
    )


def _settings_view(settings: Settings) -> SettingsView:
    views = [
        KindView(
            name,
            one.group,
            one.says,
            settings.wants(name, "app"),
            settings.wants(name, "email"),
            settings.wants(name, "phone"),
            list(one.fixed),
            one.urgent,
        )
        for name, one in kinds().items()
    ]
    return SettingsView(views, settings.quiet_from, settings.quiet_to, settings.amounts, settings.digest_at)


ROUTES = [list_notices, mark_read, read_settings, set_settings]
