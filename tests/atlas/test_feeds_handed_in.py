"""A feed by two persons: handed in, reported on, compared, approved from a day on; or refused, with nothing changed."""

import io
import zipfile
from collections.abc import Iterator
from datetime import UTC, date, datetime
from threading import Barrier, Thread
from uuid import UUID, uuid4

import pytest
from litestar import Litestar, Request, Response
from litestar.datastructures import State
from litestar.di import Provide
from litestar.testing import TestClient

from hansa import atlas, trust
from hansa.atlas.routes import ROUTES
from hansa.kernel import HansaError, InvalidInput
from hansa.store import Context
from rides.feed_town import CITY, FILES, OPERATOR

NOW = datetime(2026, 11, 17, 12, tzinfo=UTC)
FIRST, LATER = date(2026, 12, 1), date(2027, 1, 1)


def packed(**instead: str) -> bytes:
    """The town's feed as a zip, with other texts for some files; an empty one leaves the file out."""
    files = {**FILES, **{f"{name}.txt": text for name, text in instead.items()}}
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            if text:
                archive.writestr(zipfile.ZipInfo(name), text, zipfile.ZIP_DEFLATED)
    return stream.getvalue()


CHANGED = {
    "stops": FILES["stops.txt"]
    .replace("s4,Mill,50.03", "s4,Old Mill,50.035")
    .replace("b2,Church,50.01,8.04\n", ""),
    "stop_times": FILES["stop_times.txt"].replace("b,08:10:00,08:10:00,b2,3\n", ""),
    "fare_products": FILES["fare_products.txt"].replace("full,,2.00", "full,,2.20"),
}


@pytest.fixture
def town(ctx: Context) -> Context:
    ctx.clock.at = NOW  # type: ignore[attr-defined]
    return ctx


def propose(
    ctx: Context, archive: bytes, *, feed_id: UUID | None = None, valid_from: date = FIRST, by: str = "ana"
) -> atlas.HandedIn:
    return atlas.propose_feed(
        ctx,
        feed_id or uuid4(),
        archive,
        city=CITY,
        operator_id=OPERATOR,
        label="town.zip",
        valid_from=valid_from,
        by=by,
    )


def approve(ctx: Context, feed_id: UUID, by: str = "ben") -> atlas.HandedIn:
    with ctx.tx() as tx:
        return atlas.approve_feed(tx, feed_id, by=by, at=NOW)


def kept(ctx: Context) -> tuple[int, ...]:
    with ctx.tx() as tx:
        row = tx.execute("""
            select (select count(*) from atlas.versions), (select count(*) from atlas.feeds),
                (select count(*) from atlas.feed_facts), (select count(*) from atlas.stops)
        """).fetchone()
    assert row is not None
    return tuple(row)


def test_a_second_person_puts_a_feed_in_force_from_its_day(town: Context) -> None:
    found = propose(town, packed())
    before = kept(town)

    approved = approve(town, found.feed_id)

    assert (found.state, found.errors, found.stops, found.lines) == ("proposed", 0, 10, 5)
    assert before == (0, 1, 0, 0)
    assert (approved.state, approved.version, approved.decided_by) == ("approved", 1, "ben")
    with town.tx() as tx:
        assert atlas.get_network(tx, "town", day=FIRST).version == 1
        assert atlas.get_fares_v2(tx, "town", day=FIRST)
        with pytest.raises(atlas.UnknownCity):
            atlas.get_network(tx, "town", day=date(2026, 11, 30))


def test_who_handed_it_in_cannot_approve_it(town: Context) -> None:
    found = propose(town, packed())
    before = kept(town)

    with pytest.raises(atlas.SamePerson):
        approve(town, found.feed_id, by="ana")

    assert kept(town) == before


def test_again_is_harmless_and_another_feed_under_its_id_is_refused(town: Context) -> None:
    found = propose(town, packed())
    approve(town, found.feed_id)
    before = kept(town)

    assert propose(town, packed(), feed_id=found.feed_id).state == "approved"
    assert approve(town, found.feed_id).version == 1
    with pytest.raises(atlas.FeedConflict):
        propose(town, packed(areas=FILES["areas.txt"] + "more,More\n"), feed_id=found.feed_id)
    assert kept(town) == before


def test_a_feed_with_errors_is_kept_with_its_report_and_never_approved(town: Context) -> None:
    broken = FILES["stop_times.txt"].replace("m,08:02:00,08:02:00,s2,2", "m,08:02:00,08:02:00,nowhere,2")

    found = propose(town, packed(stop_times=broken))
    with pytest.raises(atlas.FeedClosed):
        approve(town, found.feed_id)

    assert (found.state, found.errors) == ("refused", 1)
    with town.tx() as tx:
        report = atlas.get_report(tx, found.feed_id)
    error = report.among(severity="ERROR")[0].notices[0]
    assert (error.code, error.where) == ("foreign_key_violation", "stop_times.txt line 3, field stop_id")
    assert "nowhere" in report.as_csv()
    assert kept(town)[0] == 0


def test_a_day_that_has_begun_is_not_priced_over_again(town: Context) -> None:
    approve(town, propose(town, packed(), valid_from=date(2026, 1, 1)).feed_id)
    found = propose(town, packed(**CHANGED), valid_from=date(2026, 11, 17))
    before = kept(town)

    with pytest.raises(atlas.StartsInThePast):
        approve(town, found.feed_id)

    assert kept(town) == before


def test_what_changes_is_shown_before_and_after_it_is_approved(town: Context) -> None:
    """Mill moves 556 m north; Church goes, and with it the last hop of line B. Mill is nearer to or farther from
    each of the eight other stops that stay. A product costs 20 cents more.
    """
    approve(town, propose(town, packed(), valid_from=date(2026, 1, 1)).feed_id)
    found = propose(town, packed(**CHANGED), valid_from=LATER)

    with town.tx() as tx:
        changes = atlas.feed_changes(tx, found.feed_id)
    approve(town, found.feed_id)
    with town.tx() as tx:
        after = atlas.feed_changes(tx, found.feed_id)
        versions = atlas.version_changes(tx, "town", 1, 2)

    assert changes is not None
    assert changes == after == versions
    totals = {group.kind: group.total for group in changes.groups}
    assert totals == {
        "stops removed": 1,
        "stops moved": 1,
        "stops renamed": 1,
        "lines call elsewhere": 1,
        "distances changed": 8,
        "fare rows changed": 2,
    }
    named = {group.kind: group.named[0] for group in changes.groups}
    assert named["stops moved"] == ("Old Mill (town/s4)", "50.03000, 8.00000", "50.03500, 8.00000: 556 m")
    assert named["lines call elsewhere"] == ("B (town/B)", "Church", "–")
    assert [
        one.after for group in changes.groups if group.kind == "fare rows changed" for one in group.named
    ] == [
        "",
        "fare_product_id in, name Inner single, rider_category_id full, price €2.20",
    ]


def test_a_withdrawn_feed_needs_a_reason_and_is_closed(town: Context) -> None:
    found = propose(town, packed())

    with town.tx() as tx, pytest.raises(InvalidInput):
        atlas.withdraw_feed(tx, found.feed_id, by="ana", at=NOW, why=" ")
    with town.tx() as tx:
        gone = atlas.withdraw_feed(tx, found.feed_id, by="ana", at=NOW, why="an old one")
    with pytest.raises(atlas.FeedClosed):
        approve(town, found.feed_id)

    assert (gone.state, gone.why) == ("withdrawn", "an old one")


def test_two_who_approve_at_once_make_one_version(committed_ctx: Context) -> None:
    committed_ctx.clock.at = NOW  # type: ignore[attr-defined]
    found = propose(committed_ctx, packed())
    ready, versions = Barrier(2), list[int | None]()

    def run(by: str) -> None:
        ready.wait()
        versions.append(approve(committed_ctx, found.feed_id, by=by).version)

    threads = [Thread(target=run, args=(by,)) for by in ("ben", "eva")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert versions == [1, 1]
    assert kept(committed_ctx)[:3] == (1, 1, 1)


# -- over HTTP ----------------------------------------------------------------------------------------------


CALLERS = {
    name: trust.Caller(
        "league",
        "league",
        frozenset({"networks:read", "networks:write", "networks:approve"}),
        key_id="0a1b2c3d4e5f6071",
        person=name,
    )
    for name in ("ana", "ben")
} | {
    "other": trust.Caller(
        "other", "member", frozenset({"networks:read", "networks:write"}), trust.MemberId("other")
    )
}


def problem(_: Request[object, object, State], error: HansaError) -> Response[dict[str, str]]:
    return Response({"code": error.code}, status_code=error.status)


def who(request: Request[object, object, State]) -> trust.Caller:
    return CALLERS.get(request.headers.get("who", "ana"), trust.ANONYMOUS)


@pytest.fixture
def client(town: Context) -> Iterator[TestClient[Litestar]]:
    app = Litestar(
        ROUTES,
        dependencies={
            "ctx": Provide(lambda: town, sync_to_thread=False),
            "caller": Provide(who, sync_to_thread=False),
        },
        exception_handlers={HansaError: problem},
    )
    with TestClient(app) as client:
        yield client


FACTS = {"name": "Town", "country": "DE", "tz": "Europe/Berlin", "currency": "EUR", "day_starts": "03:00"}


def test_a_feed_goes_in_and_its_report_comes_out(client: TestClient[Litestar]) -> None:
    feed_id = uuid4()
    query = {"operator_id": OPERATOR, "valid_from": str(FIRST), **FACTS}

    handed = client.post(f"/v1/cities/town/feeds/{feed_id}", params=query, content=packed())
    listed = client.get("/v1/cities/town/feeds").json()["feeds"]
    report = client.get(f"/v1/feeds/{feed_id}/report").json()
    table = client.get(f"/v1/feeds/{feed_id}/report", params={"form": "csv"})
    refused = client.post(f"/v1/feeds/{feed_id}/approve", json={"why": "fine"})
    changes = client.get(f"/v1/feeds/{feed_id}/changes").json()
    approved = client.post(f"/v1/feeds/{feed_id}/approve", json={}, headers={"who": "ben"})

    assert (handed.status_code, handed.json()["state"]) == (200, "proposed")
    assert [one["feed_id"] for one in listed] == [str(feed_id)]
    assert report["summary"]["counts"]["ERROR"] == 0
    assert table.text.startswith("code,severity,file,line")
    assert refused.json()["code"] == "atlas.same_person"
    assert changes == {"changes": None, "pairs": 0}
    assert (approved.json()["state"], approved.json()["version"]) == ("approved", 1)
    versions = client.get("/v1/cities/town/versions").json()["versions"]
    assert [(one["version"], one["valid_from"], one["has_fares_v2"]) for one in versions] == [
        (1, "2026-12-01", True)
    ]


# what is sent | query | status | code
REFUSED = [
    (b"", FACTS, 422, "hansa.invalid_input"),
    (packed(), {}, 422, "hansa.invalid_input"),
    (packed(), FACTS | {"tz": "Mars/Base"}, 422, "hansa.invalid_input"),
]


@pytest.mark.parametrize(("body", "facts", "status", "code"), REFUSED)
def test_what_does_not_fit_is_refused_with_nothing_kept(
    client: TestClient[Litestar], town: Context, body: bytes, facts: dict[str, str], status: int, code: str
) -> None:
    query = {"operator_id": OPERATOR, "valid_from": str(FIRST), **facts}

    answer = client.post(f"/v1/cities/town/feeds/{uuid4()}", params=query, content=body)

    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert kept(town)[1] == 0


def test_a_hostile_archive_is_reported_and_kept_out(client: TestClient[Litestar], town: Context) -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("../stops.txt", "stop_id\n")
        archive.writestr("shapes.txt", b"0" * 40_000_000)
    query = {"operator_id": OPERATOR, "valid_from": str(FIRST), **FACTS}

    answer = client.post(f"/v1/cities/town/feeds/{uuid4()}", params=query, content=stream.getvalue()).json()
    notices = client.get(f"/v1/feeds/{answer['feed_id']}/report").json()["notices"]

    assert answer["state"] == "refused"
    assert {"invalid_path", "too_many_bytes"} <= {one["code"] for one in notices}
    assert kept(town)[0] == 0


def test_others_see_no_feeds(client: TestClient[Litestar], town: Context) -> None:
    found = propose(town, packed())
    theirs = {"who": "other"}

    assert client.get("/v1/cities/town/feeds", headers={"who": "nobody"}).status_code == 401
    assert client.get("/v1/cities/town/feeds", headers=theirs).json() == {"feeds": []}
    assert client.get(f"/v1/feeds/{found.feed_id}", headers=theirs).json() == {"code": "atlas.unknown_feed"}
    assert client.post(f"/v1/feeds/{found.feed_id}/approve", json={}, headers=theirs).status_code == 403
    assert client.post(
        f"/v1/cities/town/feeds/{uuid4()}",
        params={"operator_id": OPERATOR, "valid_from": str(FIRST), **FACTS},
        content=packed(),
        headers=theirs,
    ).json() == {"code": "trust.not_allowed"}
