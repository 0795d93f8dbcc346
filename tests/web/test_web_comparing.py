"""The console tells how far a long comparison of tariffs is, and shows it once it is there."""

from threading import Event
from typing import Any

import pytest
from litestar.testing import TestClient

from hansa import rides
from hansa.apps.web import tariff_pages
from hansa.rides import comparing
from web.little_league import LittleLeague

QUERY = {
    "operator": "hangzhou-metro",
    "before": "version:2024-01-01",
    "after": "version:2024-01-01",
    "first": "2026-11-16",
    "last": "2026-11-22",
}


def test_a_long_comparison_tells_how_far_it_is(
    client: TestClient[Any], league: LittleLeague, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert league.riders
    tariff, begun, go_on = rides.read_tariff(rides.tariff_folder("hangzhou-metro")), Event(), Event()
    outcome = comparing.Comparing(
        (tariff, tariff), lambda _side, _day: None, from_day=tariff.valid_from, until_day=tariff.valid_from
    ).result()

    class Runs(rides.ComparisonRuns):
        """With a stand-in for the work, which would need a connection of its own."""

        def ask(self, question: Any, work: Any, *, wait_s: float) -> Any:
            assert callable(work)

            def slow(told: Any) -> rides.Comparison:
                told(12_345, 200_000)
                begun.set()
                assert go_on.wait(60)
                return outcome

            return super().ask(question, slow, wait_s=60 if go_on.is_set() else wait_s)

    monkeypatch.setattr(tariff_pages, "AT_ONCE_MAX", -1)
    monkeypatch.setattr(tariff_pages, "COMPARE_WAIT_S", 0)
    monkeypatch.setattr(tariff_pages, "_RUNS", Runs())

    client.get("/console/tariffs/compare", params=QUERY)
    assert begun.wait(60)
    waiting = client.get("/console/tariffs/compare", params=QUERY).text
    go_on.set()
    there = client.get("/console/tariffs/compare", params=QUERY).text
    table = client.get("/console/tariffs/compare", params=QUERY | {"form": "csv"})

    assert "12,345 of 200,000 journeys" in waiting and 'http-equiv="refresh"' in waiting
    assert 'max="200000" value="12345">' in waiting and "Riders better off" not in waiting
    assert 'http-equiv="refresh"' not in there and "Riders better off" in there
    assert table.headers["content-type"].startswith("text/csv")
