"""Published figures of disputes: a page for everybody, and open data that says what its columns are."""

import csv
import io
from typing import Any

import pytest
from litestar.testing import TestClient

from disputes.disputing import ask, open_books, pass_days, ride
from hansa import disputes
from hansa.store import Context

Client = TestClient[Any]


@pytest.fixture
def five(ctx: Context) -> Context:
    """Five refunds for one reason, one for another."""
    league = open_books(ctx)
    for n in range(6):
        reason = "not_me" if n == 5 else "charged_twice"
        ask(ctx, ride(league, f"{8 + n:02d}:00", exit_at=f"{8 + n:02d}:20"), number=n, reason=reason)
    pass_days(ctx, 12)
    disputes.turn(ctx)
    return ctx


def test_five_are_told_and_one_is_not(five: Context, stranger: Client) -> None:
    told = stranger.get("/disputes/statistics.json?quarter=2026-Q4")
    listed = list(csv.DictReader(io.StringIO(stranger.get("/disputes/statistics.csv?quarter=2026-Q4").text)))
    shown = stranger.get("/disputes/statistics").text

    (row,) = told.json()["rows"]
    assert {name: row[name] for name in ("operator_id", "reason", "raised", "in_full", "by_silence")} == {
        "operator_id": "beijing-subway",
        "reason": "charged_twice",
        "raised": 5,
        "in_full": 5,
        "by_silence": 1.0,
    }
    assert told.json()["left_out"] == 1 and told.headers["access-control-allow-origin"] == "*"
    assert [one["name"] for one in told.json()["columns"]] == list(row)
    assert [(one["raised"], one["reason"]) for one in listed] == [("5", "charged_twice")]
    assert "I was charged twice for one ride" in shown and "I did not ride" not in shown


def test_a_quarter_without_disputes_is_empty_and_no_quarter_is_refused(
    five: Context, stranger: Client
) -> None:
    assert stranger.get("/disputes/statistics.json?quarter=2025-Q1").json()["rows"] == []
    assert "None, or fewer than 5" in stranger.get("/disputes/statistics?quarter=2025-Q1").text
    for odd in ("2026-Q5", "2026", "²026-Q1", "1999-Q1", "Q1-2026"):
        answer = stranger.get("/disputes/statistics.csv", params={"quarter": odd})
        assert answer.status_code == 422 and "2026-Q4" in answer.text
