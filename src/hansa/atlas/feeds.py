"""Feeds on their way into force: handed in by one person, looked at and approved by another, in force from a day.

A feed is kept as it was handed in, with its report, also where that has errors; it can be looked at then, and never be
approved. Approving reads it again and makes it the city's network in the same transaction.
"""

import hashlib
import re
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import ClassVar
from uuid import UUID

from hansa import trust
from hansa.atlas import feeds_store as kept
from hansa.atlas import store
from hansa.atlas.actions import get_city, get_fares_v2, get_network, import_city
from hansa.atlas.changes import NetworkChanges, compare_networks
from hansa.atlas.cityfile import is_time_zone
from hansa.atlas.feeds_store import FeedFact, FeedRow
from hansa.atlas.gtfs import look_at_gtfs, read_gtfs
from hansa.atlas.model import City, GtfsFeed, UnknownCity, network_of
from hansa.atlas.report import ReportPage
from hansa.atlas.tables import shown
from hansa.kernel import CURRENCY_EXPONENTS, HansaError, InvalidInput, Problem, service_day
from hansa.store import Context, Tx

UPLOAD_MAX = 50_000_000
"""Bytes of a feed that is handed in over HTTP; a larger one is imported at the command line."""

UNPACKED_MAX = 1_000_000_000
"""Bytes of all files of such a feed."""

LISTED_MAX = 200
"""Feeds in one list."""


class UnknownFeed(HansaError):
    """There is no such feed."""

    code: ClassVar[str] = "atlas.unknown_feed"
    status: ClassVar[int] = 404


class FeedConflict(HansaError):
    """This id already stands for another feed; give the new one an id of its own."""

    code: ClassVar[str] = "atlas.feed_conflict"
    status: ClassVar[int] = 409


class FeedClosed(HansaError):
    """This feed was decided already, or has errors. Look at its report and at what was done with it."""

    code: ClassVar[str] = "atlas.feed_closed"
    status: ClassVar[int] = 409


class SamePerson(HansaError):
    """Who handed in a feed cannot approve it. Let somebody else look at it."""

    code: ClassVar[str] = "atlas.same_person"
    status: ClassVar[int] = 409


class StartsInThePast(HansaError):
    """The feed would hold from a day that has begun, and rides of that day were priced over another network."""

    code: ClassVar[str] = "atlas.starts_in_the_past"
    status: ClassVar[int] = 409


@dataclass(frozen=True, slots=True)
class HandedIn:
    """A feed that was handed in, and where it stands.

    state: ``refused`` with errors; ``proposed`` until it is decided; then ``approved`` or ``withdrawn``.
    version: of the city, that an approved one became; before: the one that held on its first day until then.
    city: facts it was read with.
    """

    feed_id: UUID
    city: City
    operator_id: str
    label: str
    digest: bytes
    errors: int
    warnings: int
    stops: int
    lines: int
    valid_from: date
    note: str
    made_by: str
    made_at: datetime
    state: str
    decided_by: str = ""
    decided_at: datetime | None = None
    why: str = ""
    version: int | None = None
    before: int | None = None


def propose_feed(
    ctx: Context,
    feed_id: UUID,
    archive: bytes,
    *,
    city: City,
    operator_id: str,
    label: str,
    valid_from: date,
    by: str,
    note: str = "",
) -> HandedIn:
    """Read a feed whole, and keep it with its report for another person to approve. Sending it again is harmless.

    archive: a zip. city: whose network it is to be. valid_from: the first service day it is to hold.
    Errors: FeedConflict; InvalidInput for a zip that is empty or too large. Nothing is kept then.
    """
    if not 0 < len(archive) <= UPLOAD_MAX:
        what = f"it has {len(archive):,} bytes" if archive else "it is empty"
        problem = Problem(
            "feed", what, f"Send a zip of at most {UPLOAD_MAX:,} bytes; import a larger one by command"
        )
        raise InvalidInput("This feed cannot be taken.", problems=(problem,))
    digest = hashlib.sha256(archive).digest()
    with ctx.tx() as tx:
        known = kept.find_row(tx, feed_id)
    if known is None:
        at = ctx.clock.now()
        report, read = look_at_gtfs(
            archive, city=city, operator_id=operator_id, today=valid_from, unpacked_max=UNPACKED_MAX
        )
        row = FeedRow(
            feed_id=feed_id,
            city=city,
            operator_id=operator_id,
            label=label,
            digest=digest,
            report=report.page()._replace(title=label),
            errors=report.count("ERROR"),
            warnings=report.count("WARNING"),
            stops=len(read.city_file.stops) if read else 0,
            lines=len(read.city_file.lines) if read else 0,
            valid_from=valid_from,
            note=note,
            made_by=by,
            made_at=at,
        )
        with ctx.tx() as tx:
            kept.add_row(tx, row, archive)
    with ctx.tx() as tx:
        found = get_feed(tx, feed_id)
    same = (digest, city.city_id, operator_id, valid_from)
    kept_as = (found.digest, found.city.city_id, found.operator_id, found.valid_from)
    if kept_as != same or not trust.is_same_person(by, found.made_by):
        raise FeedConflict
    return found


def approve_feed(tx: Tx, feed_id: UUID, *, by: str, at: datetime, why: str = "") -> HandedIn:
    """A second person makes a feed the city's network from its day on. Doing it again is harmless.

    Errors: UnknownFeed; FeedClosed for one that was withdrawn or has errors; SamePerson; StartsInThePast where the city
    has a network and the day has begun. Nothing is in force then that was not before.
    """
    found = _locked(tx, feed_id)
    if found.state == "approved":
        return found
    if found.state != "proposed":
        raise FeedClosed(f"This feed is {found.state}.")
    if trust.is_same_person(by, found.made_by):
        raise SamePerson
    city = found.city
    current = store.find_current(tx, city.city_id, found.valid_from)
    today = service_day(at, city.tz, city.day_starts)
    if current is not None and found.valid_from <= today:
        raise StartsInThePast(
            f"{found.valid_from} has begun. Hand the feed in again, to hold from a day after {today}."
        )
    read = read_feed(tx, feed_id)
    report = import_city(tx, read.city_file, valid_from=found.valid_from, fares=read.fares_v2 or None)
    before = None if current is None else current.version
    kept.add_fact(tx, feed_id, FeedFact("approved", by, at, why, report.version, before))
    return get_feed(tx, feed_id)


def withdraw_feed(tx: Tx, feed_id: UUID, *, by: str, at: datetime, why: str) -> HandedIn:
    """Take a feed back that was not approved. Again is harmless.

    Errors: UnknownFeed; FeedClosed for one that was approved; InvalidInput without a reason.
    """
    if not why.strip():
        problem = Problem("why", "is missing", "Say why, in a few words")
        raise InvalidInput("A withdrawal needs its reason.", problems=(problem,))
    found = _locked(tx, feed_id)
    if found.state == "approved":
        raise FeedClosed(
            "This feed is in force, or will be. Another one takes its place; it is not taken back."
        )
    if found.state != "withdrawn":
        kept.add_fact(tx, feed_id, FeedFact("withdrawn", by, at, why))
    return get_feed(tx, feed_id)


def city_for(
    tx: Tx,
    city_id: str,
    *,
    name: str = "",
    country: str = "",
    tz: str = "",
    currency: str = "",
    day_starts: str = "",
) -> City:
    """The city of the atlas, else a new one by its facts. day_starts: a wall time, as 04:30.

    Errors: InvalidInput naming every fact of a new city that is missing or does not fit.
    """
    try:
        return get_city(tx, city_id)
    except UnknownCity:
        pass
    starts = _clock(day_starts)
    facts = (
        ("city_id", bool(_CITY_ID.fullmatch(city_id)), city_id, "Write small letters, digits and hyphens"),
        (
            "name",
            bool(name.strip()) and len(name) <= 100 and name.isprintable(),
            name,
            "Write what it is called",
        ),
        ("country", bool(_COUNTRY.fullmatch(country)), country, "Write ISO 3166-1, as JP"),
        ("tz", is_time_zone(tz), tz, "Write an IANA name, as Asia/Tokyo"),
        ("currency", currency in CURRENCY_EXPONENTS, currency, "Write ISO 4217, as JPY"),
        ("day_starts", starts is not None, day_starts, "Write a time, as 04:30"),
    )
    problems = tuple(
        Problem(field, f"{shown(value)} does not fit" if value else "it is missing", remedy)
        for field, fits, value, remedy in facts
        if not fits
    )
    if problems:
        raise InvalidInput(
            f"The league has no city {city_id!r} yet; a new one needs its facts.", problems=problems
        )
    assert starts is not None, "a time that does not fit is a problem"
    return City(city_id, name.strip(), name.strip(), country, tz, currency, starts, "Fares from its feed.")


_CITY_ID = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_COUNTRY = re.compile(r"[A-Z]{2}")


def _clock(text: str) -> time | None:
    try:
        return time.fromisoformat(text)
    except ValueError:
        return None


# -- what can be asked --------------------------------------------------------------------------------------


def get_feed(tx: Tx, feed_id: UUID) -> HandedIn:
    """Errors: UnknownFeed."""
    row = kept.find_row(tx, feed_id)
    if row is None:
        raise UnknownFeed(f"There is no feed {feed_id}.")
    return _handed_in(tx, row)


def get_report(tx: Tx, feed_id: UUID) -> ReportPage:
    """What was found in a feed when it was handed in. Errors: UnknownFeed."""
    row = kept.find_row(tx, feed_id)
    if row is None:
        raise UnknownFeed(f"There is no feed {feed_id}.")
    return row.report


def list_feeds(tx: Tx, city_id: str | None = None, *, limit: int = 100) -> list[HandedIn]:
    """Feeds that were handed in, newest first."""
    return [_handed_in(tx, row) for row in kept.list_rows(tx, city_id, min(limit, LISTED_MAX))]


def read_feed(tx: Tx, feed_id: UUID) -> GtfsFeed:
    """A feed without errors, read from what was handed in. Errors: UnknownFeed, InvalidInput."""
    found = get_feed(tx, feed_id)
    return read_gtfs(kept.get_archive(tx, feed_id), city=found.city, operator_id=found.operator_id)


def feed_changes(tx: Tx, feed_id: UUID) -> NetworkChanges | None:
    """What a feed would change on its first day; None where the city has no network then.

    Errors: UnknownFeed; InvalidInput for a feed with errors.
    """
    found = get_feed(tx, feed_id)
    read = read_feed(tx, feed_id)
    city_id = found.city.city_id
    if found.state == "approved" and found.before is None:
        return None
    try:
        before = (
            get_network(tx, city_id, version=found.before)
            if found.state == "approved"
            else get_network(tx, city_id, day=found.valid_from)
        )
    except UnknownCity:
        return None
    return compare_networks(
        before,
        network_of(read.city_file),
        fares_before=get_fares_v2(tx, city_id, version=before.version),
        fares_after=read.fares_v2,
    )


def version_changes(tx: Tx, city_id: str, before: int, after: int) -> NetworkChanges:
    """What changed between two versions of a city. Errors: UnknownCity."""
    return compare_networks(
        get_network(tx, city_id, version=before),
        get_network(tx, city_id, version=after),
        fares_before=get_fares_v2(tx, city_id, version=before),
        fares_after=get_fares_v2(tx, city_id, version=after),
    )


def _locked(tx: Tx, feed_id: UUID) -> HandedIn:
    """A feed, held against others who decide it."""
    kept.lock_row(tx, feed_id)
    return get_feed(tx, feed_id)


def _handed_in(tx: Tx, row: FeedRow) -> HandedIn:
    fact = kept.find_fact(tx, row.feed_id)
    waiting = "refused" if row.errors else "proposed"
    return HandedIn(
        feed_id=row.feed_id,
        city=row.city,
        operator_id=row.operator_id,
        label=row.label,
        digest=row.digest,
        errors=row.errors,
        warnings=row.warnings,
        stops=row.stops,
        lines=row.lines,
        valid_from=row.valid_from,
        note=row.note,
        made_by=row.made_by,
        made_at=row.made_at,
        state=waiting if fact is None else fact.step,
        decided_by="" if fact is None else fact.by_whom,
        decided_at=None if fact is None else fact.at,
        why="" if fact is None else fact.why,
        version=None if fact is None else fact.version,
        before=None if fact is None else fact.before,
    )
