"""What the books hold beside the taps of a day: corrected clocks and stated ends. Sets, not loops."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from hansa.rides.clocks import Corrected
from hansa.rides.model import Touch
from hansa.rides.pairing import StatedEnd
from hansa.rides.store import DayKey
from hansa.store import Tx

THERE_IS_ANY = """
select exists (select from rides.tap_clocks where partition = %(partition)s),
    exists (select from rides.stated_ends where partition = %(partition)s)
"""

LOAD_CLOCKS = """
select k.n, c.tap_id, t.gate_id, t.sequence, t.action, t.stop_id, t.line_id, t.product, t.tapped_at, t.cti,
    case when t.companion = 0 then o.rider_class else 'adult' end, t.companion, o.issuer_id, o.wallet_currency,
    c.corrected_at, c.why, c.not_before, c.not_after
from unnest(%s::uuid[], %s::text[], %s::timestamptz[], %s::timestamptz[]) with ordinality
    as k (account_id, operator_id, starts_at, ends_at, n)
join rides.tap_clocks c on c.partition = %s and c.account_id = k.account_id and c.operator_id = k.operator_id
    and (c.corrected_at between k.starts_at and k.ends_at or c.read_at between k.starts_at and k.ends_at)
join rides.taps t on t.partition = c.partition and t.tap_id = c.tap_id
join rides.tokens o on o.cti = t.cti
"""

LOAD_STATED = """
select distinct on (k.n, s.journey_id) k.n, s.journey_id, s.stop_id, s.at, s.stated_by, s.reason
from unnest(%s::uuid[], %s::text[], %s::timestamptz[], %s::timestamptz[]) with ordinality
    as k (account_id, operator_id, starts_at, ends_at, n)
join rides.stated_ends s on s.partition = %s and s.account_id = k.account_id and s.operator_id = k.operator_id
    and s.tapped_at between k.starts_at - interval '40 days' and k.ends_at + interval '40 days'
order by k.n, s.journey_id, s.revision desc
"""


@dataclass(slots=True)
class Beside:
    """What is known beside one day's taps.

    moved: taps whose clock was ever in doubt, so that their journeys may stand under another day. touches: those of
    them that the tap's own instant puts outside the span, each with (issuer, wallet currency).
    """

    clocks: dict[UUID, Corrected] = field(default_factory=dict[UUID, Corrected])
    stated: dict[UUID, StatedEnd] = field(default_factory=dict[UUID, StatedEnd])
    moved: set[UUID] = field(default_factory=set[UUID])
    touches: list[tuple[Touch, str, str]] = field(default_factory=list[tuple[Touch, str, str]])


def there_is(tx: Tx, partition: int) -> tuple[bool, bool]:
    """Whether a partition holds any clock in doubt, and any stated end."""
    row = tx.execute(THERE_IS_ANY, {"partition": partition}).fetchone()
    assert row is not None, "exists has a row"
    return row[0], row[1]


def load_beside(
    tx: Tx, partition: int, keys: Sequence[DayKey], spans: Sequence[tuple[datetime, datetime]]
) -> dict[int, Beside]:
    """What is known beside the taps of each key within its span, by the key's place; nothing for most."""
    any_clocks, any_stated = there_is(tx, partition)
    found: dict[int, Beside] = {}
    values = (
        [key.account_id for key in keys],
        [key.operator_id for key in keys],
        [span[0] for span in spans],
        [span[1] for span in spans],
        partition,
    )
    if any_clocks:
        for row in tx.execute(LOAD_CLOCKS, values, binary=True):
            n, (low, high) = row[0] - 1, spans[row[0] - 1]
            beside = found.setdefault(n, Beside())
            touch = Touch(*row[1:12])
            corrected_at, why, not_before, not_after = row[14:]
            beside.moved.add(touch.tap_id)
            if not low <= touch.tapped_at < high:
                beside.touches.append((touch, row[12], row[13]))
            if why != "right":
                beside.clocks[touch.tap_id] = Corrected(
                    touch.tap_id, touch.sequence, touch.tapped_at, corrected_at, why, not_before, not_after
                )
    if any_stated:
        for n, journey_id, stop_id, at, by, reason in tx.execute(LOAD_STATED, values):
            beside = found.setdefault(n - 1, Beside())
            beside.stated[journey_id] = StatedEnd(journey_id, stop_id, at, by, reason)
    return found
