"""The console's pages of networks: a feed goes in by one clerk, is looked at and put in force by another."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from litestar.testing import TestClient

from atlas.test_feeds_handed_in import packed
from hansa import atlas, trust
from hansa.apps.web.app import create_app
from hansa.store import Context
from web.conftest import HERE, seen_from

Client = TestClient[Any]
NEW = {"name": "Town", "country": "DE", "tz": "Europe/Berlin", "currency": "EUR", "day_starts": "03:00"}
FORM = {
    "city_id": "town",
    "operator_id": "town-transit",
    "valid_from": "2026-12-01",
    "note": "winter",
    "nonce": "1",
}


@pytest.fixture
def client(ctx: Context, tmp_path: Path) -> Iterator[Client]:
    ctx.clock.at = datetime(2026, 11, 17, 12, tzinfo=UTC)  # type: ignore[attr-defined]
    with ctx.tx() as tx:
        atlas.import_city(tx, atlas.read_city(atlas.city_folder("london")))
        own = trust.MemberId("town-transit")
        trust.add_members(tx, [trust.Member(own, "Town Transit", "operator", "town", own, "bank")])
    app = create_app(ctx, home=tmp_path, demo=True)
    with TestClient(seen_from(app, "127.0.0.1"), base_url=HERE, raise_server_exceptions=False) as found:
        yield found


def send(client: Client, feed: bytes, **form: str) -> Any:
    files = {"feed": ("town.zip", feed, "application/zip")}
    return client.post("/console/networks", data=FORM | form, files=files, follow_redirects=True)


def test_a_feed_is_put_in_force_by_the_other_clerk(client: Client, ctx: Context) -> None:
    handed = send(client, packed(), **NEW)
    address = handed.url.path
    mine = client.post(address, data={"verdict": "approve"}, follow_redirects=True)
    client.post("/console/clerk", data={"clerk": "Bo", "back": address})

    approved = client.post(address, data={"verdict": "approve", "why": "looked at"}, follow_redirects=True)

    assert "waits for a second person" in handed.text and "everything is new" in handed.text
    assert mine.status_code == 409 and "cannot approve it" in mine.text
    assert approved.status_code == 200 and "looked at" in approved.text and "version 1" in approved.text
    with ctx.tx() as tx:
        assert [one.version for one in atlas.list_versions(tx, "town")] == [1]


def test_a_feed_with_errors_tells_them_and_offers_no_approval(client: Client) -> None:
    broken = packed(areas="area_id,area_name\ninner,Inner\n")

    page = send(client, broken, **NEW)
    filtered = client.get(page.url.path, params={"severity": "ERROR", "file": "stop_areas.txt"})
    table = client.get(page.url.path + "/report", params={"form": "csv"})

    assert "has errors" in page.text and "Approve" not in page.text
    assert "stop_areas.txt line 5, area_id" in filtered.text and "feed_info.txt</th>" not in filtered.text
    assert "foreign_key_violation,ERROR,stop_areas.txt,5,area_id" in table.text


# form | what the page says
REFUSED = [
    ({}, "Write an IANA name"),
    ({**NEW, "valid_from": "soon"}, "it is not a day"),
    ({**NEW, "operator_id": "nobody"}, "nobody"),
]


@pytest.mark.parametrize(("form", "words"), REFUSED)
def test_a_form_that_does_not_fit_comes_back_with_what_is_wrong(
    client: Client, ctx: Context, form: dict[str, str], words: str
) -> None:
    page = send(client, packed(), **form)

    assert page.status_code == 422
    assert words in page.text and "nothing was changed" in page.text and 'value="winter"' in page.text
    with ctx.tx() as tx:
        assert atlas.list_feeds(tx) == []


def test_the_map_shows_zones_with_a_legend_and_finds_a_stop(client: Client) -> None:
    whole = client.get("/console/networks/london").text
    found = client.get("/console/networks/london", params={"q": "bank"}).text
    plain = client.get("/console/networks/london", params={"zones": "off", "zoom": "4", "x": "0.4"}).text

    assert whole.count("<pattern") == 6 and "147 of 147 stops" in whole
    assert "Bank and Monument" in found and 'class="chosen"' in found
    assert "<pattern" not in plain
    assert client.get("/console/networks/atlantis").status_code == 404
    assert client.get("/console/networks/london/changes", params={"before": 1, "after": 9}).status_code == 404


def test_strangers_see_no_networks_of_the_console(ctx: Context, tmp_path: Path) -> None:
    with TestClient(create_app(ctx, home=tmp_path, demo=False), base_url=HERE) as stranger:
        assert stranger.get("/console/networks").status_code == 401
