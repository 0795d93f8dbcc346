"""How many requests whoever asks may send: by key, by sign-in, and by address for everyone else.

Limits are kept in PostgreSQL (`store.throttle`), so that they hold for all processes together. A process takes tokens
from there by the lease, many at a time, and hands them out itself: a busy key costs the database a few statements a
second, whatever it sends. Where the database does not answer, requests are let in: what they ask for will say so.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache, partial
from ipaddress import IPv6Address, ip_address, ip_network

from hansa.kernel import HansaError, SystemClock
from hansa.store import Context, Rate, Taking, throttle_all

READ_COST, WRITE_COST, SHORT_COST, HEAVY_COST = 10, 20, 1, 200
"""Tokens of a request: what the cheapest costs is one, the others by about how much more they make us work."""

SHORT_WAYS = frozenset(
    {
        "/v1/ledger/transfers",
        "/v1/taps",
        "/v1/hub/payments",
        "/v1/hub/fulfilments",
        "/v1/hub/aborts",
        "/v1/payments",
    }
)
"""Addresses that are asked by the thousand; a POST to one costs ``SHORT_COST``."""

HEAVY = ("/v1/reports/", "/v1/tariff-comparisons", "/v1/reconciliation/")
"""Beginnings of addresses that work out a lot for one answer."""

FREE = ("/static/", "/vendor/", "/healthz", "/favicon.ico")
"""Beginnings of addresses that cost nothing: files, and whether we are well."""

MACHINES_TIME = SystemClock().now

LEASE_MIN, LEASE_LASTS_S = 100, 10.0
BUCKETS_MAX = 10_000
PATIENCE_S = 0.5
"""How long a request waits for the database's word on its limit before it is let in without."""


class TooManyRequests(HansaError):
    """More requests than this key, sign-in or address may send. Wait for ``Retry-After``, then send the same again."""

    code = "web.too_many_requests"
    status = 429
    next_action = "retry"
    user_message = "That was too often in a short time. Please wait a moment and try again."

    def __init__(self, detail: str = "", *, retry_after: timedelta = timedelta()) -> None:
        super().__init__(detail)
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class Limit:
    """A kind of bucket. name: as ``RateLimit-Policy`` says it. rate: in tokens. lease_max: tokens of a lease."""

    name: str
    rate: Rate
    lease_max: int

    @property
    def policy(self) -> str:
        """The policy as the header says it: the quota and the seconds in which it fills."""
        return f'"{self.name}";q={self.rate.burst};w={max(1, round(self.rate.per.total_seconds()))}'

    @property
    def header(self) -> tuple[bytes, bytes]:
        """``RateLimit-Policy``."""
        return _header_of(self)


KEY = Limit("key", Rate(50_000, timedelta(seconds=5)), 2_000)
SESSION = Limit("session", Rate(6_000, timedelta(seconds=10)), 400)
ADDRESS = Limit("address", Rate(12_000, timedelta(seconds=10)), 400)
TEST_KEY = Limit("test-key", Rate(10_000, timedelta(seconds=10)), 400)
LIMITS = (KEY, SESSION, ADDRESS, TEST_KEY)


@dataclass(frozen=True, slots=True)
class Admission:
    """What became of a request at its limit. remaining: tokens left, about. reset_s: until all are there again."""

    limit: Limit
    allowed: bool
    remaining: int
    reset_s: int
    retry_after_s: int = 0

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        """``RateLimit-Policy`` and ``RateLimit``. Source: draft-ietf-httpapi-ratelimit-headers-10."""
        told = f'"{self.limit.name}";r={max(0, self.remaining)};t={self.reset_s}'
        return [self.limit.header, (b"ratelimit", told.encode())]


@cache
def _header_of(limit: Limit) -> tuple[bytes, bytes]:
    """There are a few limits, and each request is told its own."""
    return (b"ratelimit-policy", limit.policy.encode())


@dataclass(slots=True)
class _Held:
    """What this process holds of a bucket. tokens: of the lease. left: what the database had after it."""

    tokens: int = 0
    left: int = 0
    ends_s: float = 0.0
    leased_s: float = 0.0
    size: int = LEASE_MIN
    shut_until_s: float = 0.0
    asked: "asyncio.Future[None] | None" = None


def cost_of(method: str, path: str) -> int:
    """Tokens of a request, 0 for what is free."""
    if method == "POST" and path in SHORT_WAYS:
        return SHORT_COST
    if path.startswith(FREE):
        return 0
    if path.startswith(HEAVY):
        return HEAVY_COST
    return READ_COST if method in ("GET", "HEAD", "OPTIONS") else WRITE_COST


def bucket_of_address(host: str) -> str:
    """An address as its limit counts it: IPv6 by its network of 64 bits, which one household or machine has whole."""
    try:
        address = ip_address(host)
    except ValueError:
        return host[:64]
    if isinstance(address, IPv6Address):
        return str(ip_network((address, 64), strict=False))
    return host


class Leases:
    """Tokens of this process. now_s: a clock that only goes forward; now: the time that buckets fill by.

    It is the machine's own time, not the books': a clock that is set for a test does not open or shut anything here.
    """

    def __init__(
        self,
        ctx: Context,
        *,
        now: Callable[[], datetime] = MACHINES_TIME,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ctx, self._now, self._now_s = ctx, now, now_s
        self._held: OrderedDict[str, _Held] = OrderedDict()

    async def take(self, limit: Limit, who: str, cost: int) -> Admission:
        """Take this many tokens of this bucket, or none. who: tells buckets of one limit apart."""
        bucket = f"web-{limit.name}/{who}"
        held = self._of(bucket)
        while True:
            now_s = self._now_s()
            if now_s >= held.ends_s:
                held.tokens = 0
            if held.tokens >= cost:
                held.tokens -= cost
                return self._told(limit, held, allowed=True)
            if now_s < held.shut_until_s:
                wait_s = max(1, -int(-(held.shut_until_s - now_s) // 1))
                return self._told(limit, held, allowed=False, retry_after_s=wait_s)
            if held.asked is None:
                held.asked = asyncio.ensure_future(self._lease(limit, bucket, held, cost))
                held.asked.add_done_callback(partial(_answered, held))
            done, _ = await asyncio.wait({held.asked}, timeout=PATIENCE_S)
            if not done:
                return self._told(limit, held, allowed=True)

    async def _lease(self, limit: Limit, bucket: str, held: _Held, cost: int) -> None:
        asked_s = self._now_s()
        quick = held.leased_s and asked_s - held.leased_s < 1.0
        held.size = min(limit.lease_max, held.size * 2) if quick else LEASE_MIN
        wanted = max(cost, held.size)
        try:
            granted, left = await asyncio.to_thread(self._ask, limit, bucket, wanted)
        except HansaError:
            granted, left = wanted, 0  # the database is away
        now_s = self._now_s()
        held.tokens += granted
        held.left, held.leased_s, held.ends_s = left, now_s, now_s + LEASE_LASTS_S
        if held.tokens < cost:
            held.shut_until_s = now_s + (cost - held.tokens) * limit.rate.each_us / 1_000_000

    def _ask(self, limit: Limit, bucket: str, wanted: int) -> tuple[int, int]:
        with self._ctx.tx() as tx:
            (told,) = throttle_all(tx, [Taking(bucket, limit.rate, wanted=wanted)], self._now())
        return told.granted, told.remaining

    def _of(self, bucket: str) -> _Held:
        held = self._held.get(bucket)
        if held is None:
            held = self._held[bucket] = _Held()
            if len(self._held) > BUCKETS_MAX:
                self._held.popitem(last=False)
        self._held.move_to_end(bucket)
        return held

    def _told(self, limit: Limit, held: _Held, *, allowed: bool, retry_after_s: int = 0) -> Admission:
        remaining = held.left + held.tokens
        short_us = (limit.rate.burst - min(remaining, limit.rate.burst)) * limit.rate.each_us
        return Admission(limit, allowed, remaining, -(-short_us // 1_000_000), retry_after_s)


def _answered(held: _Held, asked: "asyncio.Future[None]") -> None:
    held.asked = None
    if not asked.cancelled():
        asked.exception()  # whoever waits asks again, or was let in
