"""How often something may be done: a rate for each bucket, such as an address, a key or a person, kept in PostgreSQL.

The generic cell rate algorithm: one instant for each bucket, moved on by what is taken. A bucket gives its whole burst
at once and then fills evenly, so there is no window at whose edges twice the rate gets through. One upsert decides and
takes: whoever serves the same bucket at the same moment is decided one after another, by the database.
Source: ITU-T I.371 (2004), annex A, generic cell rate algorithm, virtual scheduling.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import ClassVar

from hansa.kernel import HansaError
from hansa.store.context import Context, Tx
from hansa.store.copying import us_of

# A bucket is never taken to be emptier than empty: a clock that was put back closes it for no longer than it takes to
# fill. Rows are locked in the order of their key, so two batches cannot wait for each other.
TAKE = """
insert into store.throttles as held (partition, bucket, free_us, full_us, each_us, granted)
select %(partition)s, bucket, %(at_us)s + each_us * least(wanted, full_us / each_us), full_us, each_us,
       least(wanted, full_us / each_us)
from unnest(%(buckets)s::bytea[], %(fulls)s::bigint[], %(eaches)s::bigint[], %(wanted)s::int[])
     as asked (bucket, full_us, each_us, wanted)
order by bucket
on conflict (partition, bucket) do update set
    free_us = greatest(least(held.free_us, %(at_us)s + excluded.full_us), %(at_us)s)
        + excluded.each_us * least(
            excluded.granted,
            (%(at_us)s + excluded.full_us - greatest(least(held.free_us, %(at_us)s + excluded.full_us), %(at_us)s))
                / excluded.each_us
        ),
    full_us = excluded.full_us,
    each_us = excluded.each_us,
    granted = least(
        excluded.granted,
        (%(at_us)s + excluded.full_us - greatest(least(held.free_us, %(at_us)s + excluded.full_us), %(at_us)s))
            / excluded.each_us
    )
returning bucket, free_us, granted
"""

FORGET = "delete from store.throttles where free_us <= %s"

_US = timedelta(microseconds=1)


class TooOften(HansaError):
    """This was done too often in a short time. Wait, then send the same request again."""

    code: ClassVar[str] = "store.too_often"
    status: ClassVar[int] = 429

    def __init__(self, detail: str = "", *, retry_after: timedelta = timedelta()) -> None:
        super().__init__(detail)
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class Rate:
    """So many at once, and as many in each ``per``: ``Rate(5, timedelta(minutes=1))``.

    burst: 1 or more. per: at least ``burst`` x 10 microseconds. One part of it is rounded down to whole microseconds:
    below 1,000 a second that lets through less than 0.1 % more than stated.
    """

    burst: int
    per: timedelta

    def __post_init__(self) -> None:
        assert self.burst >= 1, "a rate that lets nothing through is no rate"
        assert self.each_us >= 10, "a rate has at most 100,000 a second"

    @property
    def each_us(self) -> int:
        """What one taking moves a bucket on by."""
        return (self.per // _US) // self.burst

    @property
    def full_us(self) -> int:
        """What an empty bucket has been moved on by."""
        return self.each_us * self.burst


@dataclass(frozen=True, slots=True)
class Taking:
    """What is asked of one bucket. wanted: how many takings, of which as many as there is room for are given.

    cost: what each takes of the rate's burst, 1 to all of it; a taking is given whole or not at all.
    """

    bucket: str
    rate: Rate
    wanted: int = 1
    cost: int = 1


@dataclass(frozen=True, slots=True)
class Throttled:
    """What a bucket gave. granted: how many takings, the first of those asked for.

    remaining: how many at cost 1 it would give now. retry_after: how long until it gives another one of the same cost,
    zero if at once. full_after: how long until it is full again.
    """

    granted: int
    allowed: bool
    remaining: int
    retry_after: timedelta
    full_after: timedelta


def throttle(
    tx: Tx, bucket: str, rate: Rate, at: datetime, cost: int = 1, *, partition: int = 0
) -> Throttled:
    """Take ``cost`` from this bucket, or nothing when it holds less.

    bucket: a name with what it counts first, such as ``sign-in/203.0.113.7``; kept only as a digest.
    What is taken counts when ``tx`` commits. A failure that rolls back gives it back: to count tries that fail, take in
    a transaction of its own, as ``refuse_too_often`` does.
    """
    return throttle_all(tx, [Taking(bucket, rate, cost=cost)], at, partition=partition)[0]


def throttle_all(tx: Tx, takings: Sequence[Taking], at: datetime, *, partition: int = 0) -> list[Throttled]:
    """Take from many buckets in one statement; the answers in the order asked. A bucket stands once in ``takings``."""
    if not takings:
        return []
    names = [_digest(taking.bucket) for taking in takings]
    assert len(set(names)) == len(names), "ask a bucket once, with how many are wanted"
    assert all(1 <= taking.cost <= taking.rate.burst for taking in takings), "it would never be given"
    at_us = us_of(at)
    values = {
        "partition": partition,
        "at_us": at_us,
        "buckets": names,
        "fulls": [taking.rate.full_us for taking in takings],
        "eaches": [taking.rate.each_us * taking.cost for taking in takings],
        "wanted": [taking.wanted for taking in takings],
    }
    found = {bytes(bucket): (free_us, granted) for bucket, free_us, granted in tx.execute(TAKE, values)}
    return [_told(taking, *found[name], at_us) for taking, name in zip(takings, names, strict=True)]


def refuse_too_often(ctx: Context, bucket: str, rate: Rate, *, cost: int = 1, partition: int = 0) -> None:
    """Take from this bucket in a transaction of its own, so that a try counts whatever becomes of it.

    Errors: TooOften, with when to come again.
    """
    with ctx.tx() as tx:
        throttled = throttle(tx, bucket, rate, ctx.clock.now(), cost, partition=partition)
    if not throttled.allowed:
        raise TooOften(retry_after=throttled.retry_after)


def forget_throttles(tx: Tx, at: datetime) -> int:
    """Delete buckets that are full again, which changes nothing for anybody; gives how many."""
    return tx.execute(FORGET, (us_of(at),)).rowcount


def _told(taking: Taking, free_us: int, granted: int, at_us: int) -> Throttled:
    rate = taking.rate
    room_us = at_us + rate.full_us - free_us
    return Throttled(
        granted=granted,
        allowed=granted == taking.wanted,
        remaining=room_us // rate.each_us,
        retry_after=max(0, rate.each_us * taking.cost - room_us) * _US,
        full_after=(free_us - at_us) * _US,
    )


def _digest(bucket: str) -> bytes:
    return sha256(bucket.encode()).digest()[:16]
