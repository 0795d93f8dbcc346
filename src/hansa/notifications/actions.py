"""What can be done with notices: hear, list, read, say how one wants to be told, send, forget."""

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from hansa import atlas, identity, trust, webhooks
from hansa.identity import AccountId
from hansa.kernel import InvalidInput, Problem, fact_id
from hansa.notifications import store, watches_store
from hansa.notifications.model import (
    CHANNELS,
    SETTINGS_MAX,
    WHY,
    Channel,
    Notice,
    Outcome,
    Settings,
    digest_due,
    kinds,
    lacking,
    quiet_until,
    reasons,
)
from hansa.store import Context, Tx, forget_outbox, read_outbox

logger = logging.getLogger("hansa.notifications")

SOME = 1_000
"""Facts that one turn takes on."""

KEPT = timedelta(days=400)
"""How long a notice is kept: a year, and the month after it."""

MESSAGES_KEPT = timedelta(days=90)
"""How long it is kept that a message was sent."""

UNREAD_SHOWN = 100
"""How many unread notices are counted; more are "99+"."""

LEASED = timedelta(minutes=2)
"""How long a message is one sender's alone; one that was killed leaves it to the next then."""

WAITS = (
    timedelta(minutes=1),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=8),
)
"""How long a message that could not be handed over waits, from try to try; after the last it is given up."""


@dataclass(frozen=True, slots=True)
class Due:
    """A message that is to be sent now. message_id: the same for the same notice and channel. tries: this one too.

    batch_id: the one e-mail in which it comes together with others; None: it comes by itself.
    """

    notice: Notice
    channel: Channel
    partition: int
    tries: int
    amounts: bool
    batch_id: UUID | None = None

    @property
    def message_id(self) -> UUID:
        """What makes a second sending of it the first one; the same for all that come together."""
        return self.batch_id or fact_id(None, "message", self.notice.notice_id, self.channel)


# --- hearing


Names = Callable[[Tx, Collection[str]], Mapping[str, str]]
"""Gives the names of payees by their ids; those that are not there are left out."""


def no_names(_: Tx, __: Collection[str]) -> Mapping[str, str]:
    """Knows no payee."""
    return {}


def hear(ctx: Context, *, payees: Names = no_names, limit: int = SOME) -> int:
    """Make notices of what persons are told in the outbox; gives how many facts were read.

    payees: names them, since those who record payments give their ids alone.
    Notices, messages and the bookmark are one commit, and a fact has one notice however often it is told. One at a time
    hears for all; killed, it is done again. What no kind knows, or lacks what its sentence needs, is logged and left.
    """
    with ctx.tx() as tx:
        mark = store.lock_bookmark(tx, webhooks.PEOPLE)
        if mark is None:
            return 0
        written = read_outbox(tx, webhooks.PEOPLE, mark, limit)
        if not written:
            return 0
        take(ctx, tx, [one.body for one in written], payees)
        store.keep_bookmark(tx, webhooks.PEOPLE, written[-1].bookmark)
        forget_outbox(tx, webhooks.PEOPLE, written[-1].bookmark)
    return len(written)


def take(ctx: Context, tx: Tx, told: Sequence[Mapping[str, Any]], payees: Names) -> None:
    """Make notices of these facts, as they lie in the outbox, for whoever holds the bookmark.

    What a ward pays, or cannot, is told to guardians who may see their money, too.
    """
    told = [*told, *_for_guardians(tx, told)]
    accounts = identity.find_accounts(tx, sorted({AccountId(UUID(one["account_id"])) for one in told}))
    partition_of = ctx.directory.partition_of
    fit: dict[UUID, Mapping[str, Any]] = {}
    for one in told:
        account_id = AccountId(UUID(one["account_id"]))
        kind = kinds().get(one["kind"])
        if kind is None or lacking(kind, _with_names(one["facts"])):
            logger.error("A notice of kind %r cannot be told: %s", one["kind"], sorted(one["facts"]))
        elif account_id in accounts:
            fit.setdefault(UUID(one["notice_id"]), one)
    owners = {
        notice_id: (partition_of(UUID(one["account_id"])), UUID(one["account_id"]))
        for notice_id, one in fit.items()
    }
    kept = store.known(tx, [(*owner, notice_id) for notice_id, owner in owners.items()])
    new = {notice_id: one for notice_id, one in fit.items() if notice_id not in kept}
    if not new:
        return
    now = ctx.clock.now()
    people = store.people(tx, {owners[one] for one in new})
    zones = _Zones(tx)
    ids = {str(one["facts"]["payee_id"]) for one in new.values() if "payee_id" in one["facts"]}
    names = payees(tx, ids) if ids else {}
    last: dict[store.Owner, int] = {}
    fresh: list[store.Fresh] = []
    messages: list[tuple[store.Fresh, Channel, datetime, bool]] = []
    for notice_id, one in new.items():
        owner = owners[notice_id]
        seq, settings = people.get(owner[1], (0, Settings()))
        last[owner] = last.get(owner, seq) + 1
        name = one["kind"]
        made = store.Fresh(
            *owner,
            last[owner],
            notice_id,
            name,
            datetime.fromisoformat(one["at"]),
            one["subject"],
            _resolved(tx, one["facts"], names),
            read=not settings.wants(name, "app"),
        )
        fresh.append(made)
        for channel in CHANNELS[1:]:
            if settings.wants(name, channel):
                zone = zones.of(accounts[AccountId(owner[1])])
                urgent = kinds()[name].urgent
                together = None if urgent or channel != "email" else digest_due(settings, now, zone)
                due = now if urgent else together or quiet_until(settings, now, zone)
                messages.append((made, channel, due, together is not None))
    store.count_on(tx, [(*owner, seq) for owner, seq in sorted(last.items())])
    store.add(tx, fresh, now)
    store.add_messages(tx, messages, now)


WARDS: Mapping[str, str] = {
    "payment.paid": "ward.paid",
    "payment.failed": "ward.failed",
    "spending.refused": "ward.refused",
}
"""What guardians are told of what their wards are told."""


def _for_guardians(tx: Tx, told: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    concerned = {AccountId(UUID(one["account_id"])) for one in told if one["kind"] in WARDS}
    guardians: dict[str, list[AccountId]] = {}
    for ward, guardian in identity.guardians_among(tx, concerned, "see_money"):
        guardians.setdefault(str(ward), []).append(guardian)
    return [
        {
            **one,
            "account_id": str(guardian),
            "kind": WARDS[one["kind"]],
            "notice_id": str(fact_id(None, "ward", one["notice_id"], guardian)),
            "facts": {**one["facts"], "person": one["account_id"]},
        }
        for one in told
        if one["kind"] in WARDS
        for guardian in guardians.get(one["account_id"], ())
    ]


def _with_names(facts: Mapping[str, Any]) -> set[str]:
    """The names that these facts will have once ids are resolved."""
    who = {"who"} if "person" in facts or "reader" in facts else set[str]()
    return {*facts, *who, *({"payee"} if "payee_id" in facts else ())}


def _resolved(tx: Tx, facts: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """Facts with names in the place of ids: ``person`` as others may see them, ``reader`` whoever reads data."""
    kept = {name: one for name, one in facts.items() if name not in ("person", "reader", "payee_id")}
    if "payee_id" in facts:
        kept["payee"] = names.get(facts["payee_id"], facts["payee_id"])
    if facts.get("reason") in reasons():
        kept[WHY] = {"word": reasons()[facts["reason"]]}
    if "person" in facts:
        kept["who"] = _name_of(tx, facts["person"]) or {"word": "Somebody"}
    elif "reader" in facts:
        kept["who"] = _reader(tx, facts["reader"])
    return kept


def _name_of(tx: Tx, text: str) -> str:
    try:
        account = identity.find_account(tx, AccountId(UUID(text)))
    except ValueError:
        return ""
    return "" if account is None else identity.masked_name(account.name)


def _reader(tx: Tx, reader: str) -> object:
    kind, _, rest = reader.partition(":")
    if kind == "person":
        return _name_of(tx, rest) or {"word": "Somebody"}
    if kind in ("demo", "staff", "league", "desk"):
        return {"word": "The league"}
    member = rest.partition(":")[0] if kind == "member" else kind
    try:
        return trust.get_member(tx, trust.MemberId(member)).name
    except trust.UnknownMember:
        return {"word": "Somebody"}


class _Zones:
    """Time zones of accounts' home cities, each looked up once."""

    def __init__(self, tx: Tx) -> None:
        self._tx = tx
        self._known: dict[str, str] = {}

    def of(self, account: identity.Account) -> str:
        city = account.home_city_id
        if city not in self._known:
            try:
                self._known[city] = atlas.get_city(self._tx, city).tz
            except atlas.UnknownCity:
                self._known[city] = "UTC"
        return self._known[city]


# --- reading


def list_notices(
    tx: Tx,
    account_id: AccountId,
    *,
    partition: int = 0,
    before: int | None = None,
    after: int | None = None,
    only_unread: bool = False,
    limit: int = 50,
) -> list[Notice]:
    """A person's notices, the latest first; before: older than this number. after: those since, oldest first."""
    owner = (partition, account_id)
    if after is not None:
        return store.after(tx, owner, after, limit)
    return store.list_notices(tx, owner, before=before, only_unread=only_unread, limit=limit)


def count_unread(tx: Tx, account_id: AccountId, *, partition: int = 0) -> int:
    """How many notices of a person are unread; UNREAD_SHOWN stands for as many or more."""
    return store.unread(tx, (partition, account_id), UNREAD_SHOWN)


def latest_of(tx: Tx, owners: Collection[tuple[int, UUID]]) -> dict[UUID, int]:
    """The number of the last notice of each of these persons (partition, account); none where there is none."""
    return store.latest(tx, owners)


def mark_read(tx: Tx, account_id: AccountId, seqs: Sequence[int], *, at: datetime, partition: int = 0) -> int:
    """These were read; how many were not before. Again is harmless."""
    return store.read(tx, (partition, account_id), seqs, at)


def mark_all_read(tx: Tx, account_id: AccountId, *, up_to: int, at: datetime, partition: int = 0) -> int:
    """All up to this number were read, and not what came since; how many were not before. Again is harmless."""
    return store.read_all(tx, (partition, account_id), up_to, at)


# --- settings


def read_settings(tx: Tx, account_id: AccountId, *, partition: int = 0) -> Settings:
    """How a person wants to be told."""
    return store.settings(tx, (partition, account_id))


def set_settings(
    tx: Tx, account_id: AccountId, wanted: Settings, *, at: datetime, partition: int = 0
) -> Settings:
    """Keep how a person wants to be told, from now on; wishes that are not named stay. Gives all of it.

    Errors: InvalidInput for a kind or a time of day that there is not, and for turning off what nobody can; nothing is
    kept then.
    """
    problems: list[Problem] = []
    if len(wanted.wishes) > SETTINGS_MAX:
        problems.append(Problem("wishes", "there are too many", f"Send at most {SETTINGS_MAX}"))
    for (kind, channel), wish in wanted.wishes.items():
        rule = kinds().get(kind)
        if rule is None:
            problems.append(Problem("kind", f"there is none named {kind[:60]!r}", "Take one that is listed"))
        elif not wish and channel in rule.fixed:
            what = f"{kind} by {channel} cannot be turned off"
            problems.append(
                Problem("wishes", what, "Leave it on: it warns you when somebody else is at work")
            )
    if (wanted.quiet_from is None) != (wanted.quiet_to is None):
        problems.append(Problem("quiet_from", "quiet hours have two ends", "Give both, or neither"))
    for where, minute in (
        ("quiet_from", wanted.quiet_from),
        ("quiet_to", wanted.quiet_to),
        ("digest_at", wanted.digest_at),
    ):
        if minute is not None and not 0 <= minute < 24 * 60:
            problems.append(Problem(where, "it is no time of day", "Give one from 00:00 to 23:59"))
    if problems:
        raise InvalidInput("You cannot be told in this way. Nothing was changed.", problems=tuple(problems))
    store.set_settings(tx, (partition, account_id), wanted, at)
    return store.settings(tx, (partition, account_id))


# --- messages


def lease_messages(ctx: Context, *, limit: int = 50) -> list[Due]:
    """Messages that are due, for this caller alone for two minutes; ``ended`` says what became of each.

    Those of one batch_id are one e-mail, and all of it is here. limit: of those that come by themselves.

    What was read in the wallet before it was due, and is not urgent, is ended here and sent to nobody.
    """
    now = ctx.clock.now()
    due: list[Due] = []
    with ctx.tx() as tx:
        leased = store.lease(tx, now=now, until=now + LEASED, limit=limit)
        leased += store.lease_digests(tx, now=now, until=now + LEASED, limit=limit)
        for partition, channel, tries, made_at, batch_id, notice in leased:
            owner = (partition, notice.account_id)
            kind = kinds().get(notice.kind)
            if kind is None:
                store.end(tx, owner, notice.seq, channel, "gave_up", now)
            elif notice.read_at is not None and notice.read_at > made_at and not kind.urgent:
                store.end(tx, owner, notice.seq, channel, "read", now)
            else:
                settings = store.settings(tx, owner)
                due.append(Due(notice, channel, partition, tries, settings.amounts, batch_id))
    return due


def ended(ctx: Context, some: Sequence[Due], outcome: Outcome | None) -> None:
    """What became of messages that were handed over as one; None: nobody took it.

    It is tried again then, or given up after the last try. All of them are written down at once.
    """
    now = ctx.clock.now()
    with ctx.tx() as tx:
        for due in some:
            owner = (due.partition, due.notice.account_id)
            if outcome is None and due.tries <= len(WAITS):
                store.try_again(tx, owner, due.notice.seq, due.channel, now + WAITS[due.tries - 1])
            else:
                store.end(tx, owner, due.notice.seq, due.channel, outcome or "gave_up", now)


# --- forgetting


def forget(ctx: Context, *, limit: int = 10_000) -> int:
    """Delete notices of 400 days ago, and messages of 90; how many."""
    now = ctx.clock.now()
    with ctx.tx() as tx:
        return store.forget(tx, notices_before=now - KEPT, messages_before=now - MESSAGES_KEPT, limit=limit)


def forget_person(tx: Tx, account_id: AccountId, *, partition: int = 0) -> None:
    """Delete all that a person was told and had watched, for one who goes."""
    store.forget_person(tx, (partition, account_id))
    watches_store.forget_watches(tx, partition, account_id)
