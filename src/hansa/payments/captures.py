"""What payees were given, capture by capture, as the steps of payments say: what a payee's day is made of."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from psycopg.rows import class_row

from hansa.kernel import Mark, Money
from hansa.payments.life import PaymentState
from hansa.payments.payment import HELD_FOR, OPEN_MAX, Payment
from hansa.store import Tx

# A capture is a step after which more is captured than before it. Those of one payment are few and lie together.
OF_PAYEE = """
select c.payment_id, c.partition, c.at, c.minor, c.currency, c.captured_minor from (
    select p.payment_id, p.partition, s.at, p.currency, s.captured_minor,
        s.captured_minor - lag(s.captured_minor, 1, 0::bigint)
            over (partition by p.partition, p.payment_id order by s.n) as minor
    from payments.payments p
    join payments.steps s using (partition, payment_id)
    where p.payee_id = %(payee)s and p.created_at < %(end)s and p.created_at >= %(since)s and p.expires_at >= %(open)s
) c
where c.minor > 0 and c.at >= %(first)s and c.at < %(end)s
order by c.at, c.payment_id, c.captured_minor
"""

# As payments_by_payee has them, each with its last step, until as many are found as are wanted.
COUNTING = """
select p.partition, p.payment_id, p.created_at
from payments.payments p
left join lateral (
    select s.state, s.captured_minor from payments.steps s
    where s.partition = p.partition and s.payment_id = p.payment_id
    order by s.n desc limit 1
) s on true
where p.payee_id = %(payee)s and (p.created_at, p.payment_id) < (%(at)s, %(id)s)
  and p.created_at >= %(since)s
  and (s.state is null or s.captured_minor > 0 or s.state = any(%(under_way)s))
order by p.created_at desc, p.payment_id desc limit %(limit)s
"""

OF_ALL = """
select c.payment_id, c.partition, c.at, c.minor, c.currency, c.captured_minor from (
    select p.payment_id, p.partition, s.at, p.currency, s.captured_minor,
        s.captured_minor - lag(s.captured_minor, 1, 0::bigint)
            over (partition by p.partition, p.payment_id order by s.n) as minor
    from unnest(%s::smallint[], %s::uuid[]) as w (partition, payment_id)
    join payments.payments p using (partition, payment_id)
    join payments.steps s using (partition, payment_id)
) c
where c.minor > 0
order by c.at, c.payment_id, c.captured_minor
"""


UNDER_WAY = frozenset(
    (PaymentState.PROCESSING, PaymentState.REQUIRES_APPROVAL, PaymentState.UNKNOWN, PaymentState.AUTHORIZED)
)
"""States of a payment of which something may yet be captured."""


@dataclass(frozen=True, slots=True)
class Captured:
    """What a payee was given at once. captured_minor: all of the payment up to it."""

    payment_id: UUID
    partition: int
    at: datetime
    minor: int
    currency: str
    captured_minor: int

    @property
    def amount(self) -> Money:
        """What it was."""
        return Money(self.minor, self.currency)


def is_counted(payment: Payment) -> bool:
    """Whether a payee counts it: something of it was captured, or may yet be."""
    return payment.captured_minor > 0 or payment.state in UNDER_WAY


def list_counted(
    tx: Tx, payee_id: str, *, before: Mark | None, since: datetime | None, limit: int
) -> list[tuple[int, UUID, datetime]]:
    """Payments that a payee counts, the latest first: partition, id and when each was made.

    before: those before it. since: none made before. However many came to nothing in between, they are passed over.
    """
    at, last = before or ("infinity", UUID(int=2**128 - 1))
    values = {
        "payee": payee_id, "at": at, "id": last, "since": since or "-infinity", "limit": limit,
        "under_way": [one.value for one in UNDER_WAY],
    }  # fmt: skip
    return tx.execute(COUNTING, values).fetchall()


def captures_to(tx: Tx, payee_id: str, *, first: datetime, end: datetime) -> list[Captured]:
    """What a payee was given from an instant on, before another, in order.

    A payment that was open until more than seven days before ``first`` is not looked at: nothing is held so long.
    """
    values = {
        "payee": payee_id, "first": first, "end": end, "open": first - HELD_FOR, "since": first - OPEN_MAX - HELD_FOR,
    }  # fmt: skip
    with tx.cursor(row_factory=class_row(Captured)) as cursor:
        return cursor.execute(OF_PAYEE, values).fetchall()


def captures_of(tx: Tx, keys: Collection[tuple[int, UUID]]) -> list[Captured]:
    """The captures of these payments, by partition and id, in order."""
    if not keys:
        return []
    values = ([one for one, _ in keys], [one for _, one in keys])
    with tx.cursor(row_factory=class_row(Captured)) as cursor:
        return cursor.execute(OF_ALL, values).fetchall()
