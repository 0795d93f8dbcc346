"""Alarms: facts that a member nears, reaches or passes its limit. They tell; only the ledger refuses."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import groupby

from hansa import webhooks
from hansa.hub import liquidity_store as store
from hansa.hub import payments_store
from hansa.hub.liquidity import exposure, list_liquidity
from hansa.hub.model import Alarm, AlarmKind, Liquidity, NoticeKind
from hansa.kernel import fact_id
from hansa.store import Context, Tx

EXPOSURE_EVERY = timedelta(minutes=1)
"""How often what clearing has open is added up; positions are looked at each time."""

CLAIM_EXPOSURE = "update hub.watches set exposure_at = %s where exposure_at <= %s returning exposure_at"


@dataclass(frozen=True, slots=True)
class _Seen:
    """Whether an alarm of this kind should stand, and the figures that say so."""

    member_id: str
    currency: str
    kind: AlarmKind
    raised: bool
    position_minor: int
    limit_minor: int


def watch(ctx: Context) -> int:
    """Raise alarms where they are due and end those that are over; gives how many facts that made."""
    now = ctx.clock.now()
    with ctx.tx() as tx:
        everyone = list_liquidity(tx)
        seen = [one for liquidity in everyone for one in _seen(liquidity)]
        if tx.execute(CLAIM_EXPOSURE, (now, now - EXPOSURE_EVERY)).fetchone() is not None:
            limits = {(one.member_id, one.currency): one for one in everyone}
            seen += [
                _Seen(
                    one.member_id,
                    one.currency,
                    AlarmKind.EXPOSURE,
                    one.clearing_minor > 0 and one.minor > limits[one.member_id, one.currency].limit_minor,
                    one.minor,
                    limits[one.member_id, one.currency].limit_minor,
                )
                for one in exposure(tx)
                if limits[one.member_id, one.currency].model == "deferred"
            ]
    return _keep(ctx, seen)


def raise_hard(ctx: Context, pairs: Iterable[tuple[str, str]]) -> None:
    """Say that payments of these (member, currency) were refused for want of headroom."""
    wanted = set(pairs)
    with ctx.tx() as tx:
        standing = {
            (one.member_id, one.currency)
            for one in store.standing_alarms(tx, sorted({member for member, _ in wanted}))
            if one.raised and one.kind == AlarmKind.HARD
        }
        poor = [
            one
            for member in sorted({member for member, _ in wanted})
            for one in list_liquidity(tx, member)
            if (one.member_id, one.currency) in wanted - standing
        ]
    _keep(
        ctx,
        [
            _Seen(one.member_id, one.currency, AlarmKind.HARD, True, one.used_minor, one.limit_minor)
            for one in poor
        ],
    )


def standing_alarms(tx: Tx, member_id: str | None = None) -> list[Alarm]:
    """Alarms that stand, of one member or of all."""
    members = None if member_id is None else [member_id]
    return [one for one in store.standing_alarms(tx, members) if one.raised]


def list_alarms(tx: Tx, member_id: str | None = None, *, limit: int = 100) -> list[Alarm]:
    """What was raised and what ended, latest first."""
    return store.list_alarms(tx, member_id, limit)


_RULES: dict[AlarmKind, Callable[[Liquidity], bool]] = {
    AlarmKind.WARNING: lambda one: one.used_minor > 0 and one.used_percent >= one.warn_percent,
    AlarmKind.SOFT: lambda one: one.soft_minor is not None and one.used_minor > max(0, one.soft_minor - 1),
    AlarmKind.OVER: lambda one: one.short_minor > 0,
}
"""When an alarm should stand. Payments that were refused and exposure are told by whoever sees them."""


def _seen(one: Liquidity) -> list[_Seen]:
    def is_so(kind: AlarmKind, raised: bool) -> _Seen:
        return _Seen(one.member_id, one.currency, kind, raised, one.used_minor, one.limit_minor)

    seen = [is_so(kind, rule(one)) for kind, rule in _RULES.items()]
    if not _RULES[AlarmKind.WARNING](one):
        seen.append(is_so(AlarmKind.HARD, False))  # there is room again
    return seen


def _keep(ctx: Context, seen: Sequence[_Seen]) -> int:
    """Keep what is news, and tell the members, in one commit. A place in a member's alarms is taken once."""
    if not seen:
        return 0
    at = ctx.clock.now()
    with ctx.tx() as tx:
        known = store.standing_alarms(tx, sorted({one.member_id for one in seen}))
        standing = {(one.member_id, one.currency, one.kind): one for one in known}
        news = [
            one
            for one in seen
            if one.raised
            != ((last := standing.get((one.member_id, one.currency, one.kind))) is not None and last.raised)
        ]
        if not news:
            return 0
        numbers = payments_store.lock_feeds(tx, {one.member_id for one in news})
        kept: list[Alarm] = []
        for one in news:
            last = standing.get((one.member_id, one.currency, one.kind))
            place = 1 if last is None else last.place + 1
            alarm = Alarm(
                fact_id(at, "hub.alarm", one.member_id, one.currency, one.kind, place),
                one.member_id,
                one.currency,
                one.kind,
                one.raised,
                at,
                place,
                one.position_minor,
                one.limit_minor,
            )
            if store.insert_alarm(tx, alarm):
                kept.append(alarm)
        notices = [(one.member_id, NoticeKind.ALARM, 0, one.alarm_id) for one in kept]
        payments_store.insert_notices(tx, notices, numbers, at)
        webhooks.record(tx, *map(_news, kept))
    return len(kept)


def _news(alarm: Alarm) -> webhooks.News:
    return webhooks.News(
        type="hub.alarm.raised" if alarm.raised else "hub.alarm.ended",
        members=(alarm.member_id,),
        at=alarm.at,
        subject=f"alarm {alarm.kind} {alarm.currency}",
        data={
            "kind": str(alarm.kind),
            "currency": alarm.currency,
            "position_minor": alarm.position_minor,
            "limit_minor": alarm.limit_minor,
        },
        fact=(alarm.alarm_id,),
    )


def by_member(alarms: Sequence[Alarm]) -> dict[tuple[str, str], list[Alarm]]:
    """Alarms by member and currency."""
    ordered = sorted(alarms, key=lambda one: (one.member_id, one.currency, one.kind))
    return {key: list(some) for key, some in groupby(ordered, key=lambda one: (one.member_id, one.currency))}
