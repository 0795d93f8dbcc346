"""The SQL of feeds that were handed in."""

from datetime import date, datetime
from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from hansa.atlas.model import City
from hansa.atlas.report import ReportPage
from hansa.store import Tx

ADD_ROW = """
insert into atlas.feeds (feed_id, city_id, city, operator_id, label, digest, report, errors, warnings, stops, lines,
    valid_from, note, made_by, made_at, archive)
values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
on conflict (feed_id) do nothing
"""

ROWS = """
select feed_id, city::text, operator_id, label, digest, report::text, errors, warnings, stops, lines,
    valid_from, note, made_by, made_at
from atlas.feeds
where (%(feed_id)s::uuid is null or feed_id = %(feed_id)s) and (%(city_id)s::text is null or city_id = %(city_id)s)
order by made_at desc, feed_id desc
limit %(limit)s
"""

LOCK_ROW = "select feed_id from atlas.feeds where feed_id = %s for no key update"

ARCHIVE = "select archive from atlas.feeds where feed_id = %s"

ADD_FACT = "insert into atlas.feed_facts values (%s, %s, %s, %s, %s, %s, %s)"

FACT = "select step, by_whom, at, why, version, before from atlas.feed_facts where feed_id = %s"


class FeedRow(NamedTuple):
    """A feed as it was handed in, without its bytes."""

    feed_id: UUID
    city: City
    operator_id: str
    label: str
    digest: bytes
    report: ReportPage
    errors: int
    warnings: int
    stops: int
    lines: int
    valid_from: date
    note: str
    made_by: str
    made_at: datetime


class FeedFact(NamedTuple):
    """What was done with a feed."""

    step: str
    by_whom: str
    at: datetime
    why: str
    version: int | None = None
    before: int | None = None


def add_row(tx: Tx, row: FeedRow, archive: bytes) -> None:
    """Keep a feed; one of this id that is there already stays."""
    city, report = msgspec.json.encode(row.city).decode(), msgspec.json.encode(row.report).decode()
    first = (row.feed_id, row.city.city_id, city, row.operator_id, row.label, row.digest, report)
    tx.execute(ADD_ROW, (*first, *row[6:], archive))


def find_row(tx: Tx, feed_id: UUID) -> FeedRow | None:
    row = tx.execute(ROWS, {"feed_id": feed_id, "city_id": None, "limit": 1}).fetchone()
    return _row(row) if row else None


def list_rows(tx: Tx, city_id: str | None, limit: int) -> list[FeedRow]:
    """Newest first."""
    return [_row(row) for row in tx.execute(ROWS, {"feed_id": None, "city_id": city_id, "limit": limit})]


def lock_row(tx: Tx, feed_id: UUID) -> None:
    """Hold a feed against others who decide it, until the transaction ends."""
    tx.execute(LOCK_ROW, (feed_id,))


def get_archive(tx: Tx, feed_id: UUID) -> bytes:
    """The zip of a feed that is there."""
    row = tx.execute(ARCHIVE, (feed_id,)).fetchone()
    assert row is not None, "the caller found it"
    return bytes(row[0])


def add_fact(tx: Tx, feed_id: UUID, fact: FeedFact) -> None:
    tx.execute(ADD_FACT, (feed_id, *fact))


def find_fact(tx: Tx, feed_id: UUID) -> FeedFact | None:
    row = tx.execute(FACT, (feed_id,)).fetchone()
    return FeedFact(*row) if row else None


def _row(row: tuple[Any, ...]) -> FeedRow:
    return FeedRow(
        row[0],
        msgspec.json.decode(row[1], type=City),
        row[2],
        row[3],
        bytes(row[4]),
        msgspec.json.decode(row[5], type=ReportPage),
        *row[6:],
    )
