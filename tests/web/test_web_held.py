"""Rides without a fare are shown, on the console and over HTTP, with the reason, and can be rated again."""

from datetime import UTC, datetime
from typing import Any

import pytest
from litestar.testing import TestClient

from hansa import rides
from hansa.fares import TariffSource, read_source
from hansa.store import Context
from rides.riding import League, account_of, local, tariff_of
from rides.test_fare_routes import BEIJING, SHORT

Client = TestClient[Any]
WHY = "11,923 m is beyond the last distance band"


@pytest.fixture
def held(ctx: Context) -> str:
    """A ride of 11,923 m where the tariff ends at 6,000; its id."""
    ctx.clock.at = datetime(2026, 11, 17, 14, tzinfo=UTC)  # type: ignore[attr-defined]
    league = League(ctx, BEIJING)
    real = tariff_of(BEIJING)
    text = SHORT.format(tz=real.tz, day_starts=real.day_starts.strftime("%H:%M"))
    with ctx.tx() as tx:
        rides.import_tariff(tx, read_source(TariffSource(text, {})))
    noon = local(real, "12:00")
    league.hand_in(league.ride(BEIJING, "beijing/xizhimen", "beijing/guomao", noon, league.rider(1)))
    rate(ctx)
    with ctx.tx() as tx:
        (one,) = rides.journeys(tx, account_of(1))
    assert one.status == "held"
    return str(one.journey_id)


def rate(ctx: Context) -> None:
    while rides.rate(ctx).days:
        pass


def test_the_console_lists_what_is_held_and_has_it_rated_again(
    ctx: Context, client: Client, held: str
) -> None:
    listed = client.get("/console/held").text
    again = client.post(
        "/console/held", data={"operator": BEIJING, "day": "2026-11-17"}, follow_redirects=True
    )
    nonsense = client.post("/console/held", data={"operator": BEIJING, "day": "soon"}, follow_redirects=True)

    assert WHY in listed and f"/console/journeys/{held}" in listed
    assert "1 rider&#39;s day is rated again" in again.text or "1 rider's day is rated again" in again.text
    assert WHY in nonsense.text and "rated again." not in nonsense.text
    assert '"/console/held"' in client.get("/console/tariffs").text


def test_nothing_is_held_and_strangers_see_no_list(client: Client, stranger: Client) -> None:
    assert "No ride is held" in client.get("/console/held").text
    assert stranger.get("/console/held").status_code in (401, 403)
    assert stranger.get("/v1/held-journeys").status_code in (401, 403)
    assert stranger.post(
        "/v1/held-journeys/rate-again", json={"first_day": "2026-11-17", "last_day": "2026-11-17"}
    ).status_code in (401, 403)


def test_over_http_it_is_told_and_rated_again_and_what_does_not_fit_changes_nothing(
    ctx: Context, client: Client, held: str
) -> None:
    found = client.get("/v1/held-journeys", params={"operator_id": BEIJING}).json()["held"]
    nobody = client.get("/v1/held-journeys")
    backwards = {"operator_id": BEIJING, "first_day": "2026-11-18", "last_day": "2026-11-17"}
    refused = client.post("/v1/held-journeys/rate-again", json=backwards)
    nothing = rides.rate(ctx).days
    good = backwards | {"first_day": "2026-11-17"}
    twice = [client.post("/v1/held-journeys/rate-again", json=good).json()["rider_days"] for _ in range(2)]

    assert [(one["service_day"], one["why"], one["count"], one["journeys"]) for one in found] == [
        ("2026-11-17", WHY, 1, [held])
    ]
    assert nobody.status_code == 422 and nobody.json()["violations"][0]["param"] == "operator_id"
    assert refused.status_code == 422 and nothing == 0
    assert twice == [1, 1] and rides.rate(ctx).days == 1
