"""Why a fare was put right, and how far caps have been reached, as the books tell it."""

import re
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from litestar import Litestar, Request, Response
from litestar.di import Provide
from litestar.testing import TestClient

from hansa import rides, trust
from hansa.kernel import HansaError, Money
from hansa.rides.journey_routes import ROUTES
from hansa.rides.progress import progress_of
from hansa.store import Context
from rides.riding import (
    TUESDAY,
    League,
    account_of,
    journeys_of,
    local,
    network_of,
    pricer_of,
    random_day,
    tariff_of,
)

LONDON = "london-tfl"
BANK, OXFORD, HEATHROW = (
    "london/bank-and-monument",
    "london/oxford-circus",
    "london/heathrow-terminals-2-and-3",
)
RIDER = trust.Caller("person", "person", frozenset({"wallet"}), account_id=str(account_of(1)))


@pytest.fixture
def league(ctx: Context) -> League:
    set_clock(ctx, datetime(2026, 11, 17, 12, tzinfo=UTC))
    return League(ctx, LONDON)


@pytest.fixture
def client(ctx: Context) -> Iterator[TestClient[Litestar]]:
    dependencies = {
        "ctx": Provide(lambda: ctx, sync_to_thread=False),
        "caller": Provide(lambda: RIDER, sync_to_thread=False),
    }
    with TestClient(Litestar(ROUTES, dependencies=dependencies)) as client:
        yield client


@contextmanager
def asking(ctx: Context) -> Generator[Callable[[trust.Caller, str, Any], Any]]:
    """Asks in the name of a caller: with a body a POST, else a GET."""
    caller = [RIDER]

    def problem(_: Request[Any, Any, Any], error: HansaError) -> Response[Any]:
        return Response(
            {"code": error.code, "problems": [str(one) for one in error.problems]}, status_code=error.status
        )

    app = Litestar(
        ROUTES,
        dependencies={
            "ctx": Provide(lambda: ctx, sync_to_thread=False),
            "caller": Provide(lambda: caller[0], sync_to_thread=False),
        },
        exception_handlers={HansaError: problem},
    )
    with TestClient(app) as client:

        def ask(who: trust.Caller, address: str, body: Any) -> Any:
            caller[0] = who
            return client.get(address) if body is None else client.post(address, json=body)

        yield ask


def set_clock(ctx: Context, at: datetime) -> None:
    ctx.clock.at = at  # type: ignore[attr-defined]


def told(client: TestClient[Litestar], tap: rides.Tap, **params: str) -> dict[str, Any]:
    answer = client.get(f"/v1/journeys/{tap.tap_id}", params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_late_exit_corrects_the_fare_and_is_named_as_the_reason(
    ctx: Context, league: League, client: TestClient[Litestar]
) -> None:
    cti = league.rider(1, issuer="london-card", currency="GBP")
    entry, exits = league.ride(LONDON, BANK, OXFORD, local(tariff_of(LONDON), "08:15"), cti)
    league.hand_in([entry])
    rides.rate(ctx)  # priced at 12:00: too late for an exit to come, so the maximum fare
    set_clock(ctx, datetime(2026, 11, 17, 20, 30, tzinfo=UTC))
    league.hand_in([exits])
    rides.rate(ctx)

    seen = told(client, entry)
    chinese = told(client, entry, language="zh")

    first, second = seen["charges"]
    assert (first["fare_before"]["minor"], first["fare_after"]["minor"], first["reason"]) == (0, 940, None)
    assert (second["fare_before"]["minor"], second["fare_after"]["minor"]) == (940, 290)
    assert second["reason"]["cause"] == "late_tap" and second["reason"]["tap_id"] == str(exits.tap_id)
    assert second["reason"]["text"] == (
        "First £9.40, then £2.90, because a tap out of 08:45 at Oxford Circus came in late, on 2026-11-17 20:30"
    )
    assert chinese["charges"][1]["reason"]["text"].startswith("先收 £9.40，后改为 £2.90：08:45 Oxford Circus")
    assert (
        seen["journey"]["fare"]["minor"]
        == 290
        == sum(one["amount"]["minor"] for one in seen["journey"]["steps"])
    )


def test_a_late_ride_of_the_morning_is_the_reason_for_a_change_in_the_afternoon(
    ctx: Context, league: League, client: TestClient[Litestar]
) -> None:
    cti = league.rider(1, issuer="london-card", currency="GBP")
    tariff = tariff_of(LONDON)
    days = [league.ride(LONDON, BANK, OXFORD, local(tariff, f"{hour}:00"), cti) for hour in (7, 8, 10, 11)]
    league.hand_in([tap for ride in days[1:] for tap in ride])
    rides.rate(ctx)
    set_clock(ctx, ctx.clock.now() + timedelta(hours=3))
    league.hand_in(days[0])
    rides.rate(ctx)

    last = told(client, days[3][0])
    first = told(client, days[0][0])

    assert [one["fare_after"]["minor"] for one in last["charges"]] == [280, 30]
    assert last["charges"][1]["reason"]["cause"] == "late_tap"
    assert "07:" in last["charges"][1]["reason"]["text"]
    caps = {(one["period"], one["label"]): one for one in last["caps"]}
    daily = next(one for (period, label), one in caps.items() if period == "day" and "1" in label)
    assert (daily["spent"]["minor"], daily["most"]["minor"]) == (890, 890)
    assert first["caps"][0]["spent"]["minor"] == 290 and first["charges"][0]["reason"] is None


def test_caps_by_zones_count_only_the_rides_inside_them(
    ctx: Context, league: League, client: TestClient[Litestar]
) -> None:
    cti = league.rider(1, issuer="london-card", currency="GBP")
    tariff = tariff_of(LONDON)
    central = league.ride(LONDON, BANK, OXFORD, local(tariff, "07:00"), cti)
    far = league.ride(LONDON, OXFORD, HEATHROW, local(tariff, "10:00"), cti)
    league.hand_in([*central, *far])
    rides.rate(ctx)

    wide = [one for one in told(client, far[0])["caps"] if one["period"] == "day"]
    narrow = [one for one in told(client, central[0])["caps"] if one["period"] == "day"]

    assert [(one["spent"]["minor"], one["most"]["minor"]) for one in wide] == [(290 + 380, 1630)]
    assert [one["spent"]["minor"] for one in narrow] == [290] * 5


def test_words_come_in_the_language_that_is_asked_for_and_else_in_english(
    ctx: Context, league: League, client: TestClient[Litestar]
) -> None:
    cti = league.rider(1, issuer="london-card", currency="GBP")
    ride = league.ride(LONDON, BANK, OXFORD, local(tariff_of(LONDON), "08:15"), cti)
    league.hand_in(ride)
    rides.rate(ctx)

    for params, header, language in (
        ({}, "", "en"),
        ({}, "zh-Hans-CN,zh;q=0.9,en;q=0.8", "zh"),
        ({"language": "zh"}, "en", "zh"),
        ({"language": "fr"}, "zh", "fr"),
        ({"language": "de"}, "zh", "en"),
        ({"language": "en"}, "zh", "en"),
    ):
        answer = client.get("/v1/journeys", params=params, headers={"accept-language": header})
        (journey,) = answer.json()["journeys"]

        assert answer.headers["content-language"] == journey["language"] == language
        assert answer.headers["vary"] == "Accept-Language"
        assert ("区" in journey["steps"][1]["text"]) == (language == "zh")
        assert journey["steps"][1]["clause"].startswith("basis.span[")
        assert journey["steps"][1]["line"] == int(journey["steps"][1]["clause"].rpartition(" ")[2])


def test_a_missing_end_may_be_stated_over_http_by_whom_it_concerns(ctx: Context, league: League) -> None:
    text = re.sub(r"(?m)^valid_from = .*$", "valid_from = 2026-11-01", tariff_of(LONDON).source.toml)
    with ctx.tx() as tx:
        rides.import_tariff(tx, rides.read_source(rides.TariffSource(text, {})))
    cti = league.rider(1, issuer="london-card", currency="GBP")
    entry = league.tap(LONDON, BANK, "entry", local(tariff_of(LONDON), "08:15"), cti)
    league.hand_in([entry])
    rides.rate(ctx)
    said = {"stop_id": "Oxford Circus", "at": "2026-11-17T08:40:00Z", "reason": "The gate stood open"}
    clerk = trust.Caller("clerk", "operator", frozenset({"taps:write"}), member_id=trust.MemberId(LONDON))
    nobody = trust.Caller(
        "other", "operator", frozenset({"taps:write"}), member_id=trust.MemberId("hong-kong-mtr")
    )
    reader = trust.Caller(
        "reader", "operator", frozenset({"payments:read"}), member_id=trust.MemberId(LONDON)
    )
    address = f"/v1/journeys/{entry.tap_id}/end"

    with asking(ctx) as ask:
        wrong = [ask(one, address, said).status_code for one in (trust.ANONYMOUS, nobody, reader)]
        bad = ask(RIDER, address, said | {"stop_id": "Oxfort Circus"})
        first, again = (ask(RIDER, address, said) for _ in range(2))
        rides.rate(ctx)
        by_rider = ask(RIDER, address.removesuffix("/end"), None).json()
        corrected = ask(clerk, address, said | {"stop_id": "london/victoria"})
        rides.rate(ctx)
        by_clerk = ask(RIDER, address.removesuffix("/end"), None).json()

    assert wrong == [401, 404, 403]
    assert bad.status_code == 422 and "Oxford Circus" in bad.text
    assert (first.status_code, first.json()) == (200, again.json()) and first.json()["revision"] == 1
    assert by_rider["charges"][1]["reason"]["cause"] == "stated"
    assert by_rider["journey"]["fare"]["minor"] == 290 and by_rider["journey"]["notes"]
    assert "the rider stated" in by_rider["charges"][1]["reason"]["text"]
    assert all("london/" not in note["text"] for note in by_rider["journey"]["notes"])
    assert (corrected.json()["by"], corrected.json()["revision"]) == ("operator", 2)
    assert by_clerk["journey"]["destination"] == "london/victoria"


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000))
def test_what_was_spent_inside_a_cap_is_never_less_than_what_was_charged(seed: int) -> None:
    tariff, pricer = tariff_of(LONDON), pricer_of(LONDON)
    stops = sorted(network_of(LONDON).stops)
    journeys = journeys_of(pricer, random_day(seed, stops, local(tariff, "06:00")))
    fares = pricer.price_day(journeys, rides.Counters())
    records = [recorded(journey, fare) for journey, fare in zip(journeys, fares, strict=True)]

    for place, record in enumerate(records):
        for cap in progress_of(tariff, record, records[: place + 1]):
            zones = tariff.zone_names(cap.label.rpartition(" ")[2].replace("–", "-"))
            charged = sum(
                one.fare.minor
                for one in records[: place + 1]
                if one.kind == "complete"
                and (tariff.zone_names(one.zones) or frozenset("?")) <= (zones or set())
            )
            assert charged <= cap.spent.minor <= cap.most.minor
            assert record.kind == "complete"


def recorded(journey: rides.Journey, fare: rides.Fare) -> rides.JourneyRecord:
    """A priced journey as the books hold it."""
    return rides.JourneyRecord(
        journey_id=journey.journey_id,
        account_id=account_of(1),
        issuer_id="london-card",
        operator_id=LONDON,
        city_id="london",
        service_day=TUESDAY,
        kind=journey.kind,
        product=journey.product,
        rider_class="adult",
        started_at=journey.started_at,
        ended_at=journey.ended_at,
        origin=journey.origin,
        destination=journey.destination,
        line_id=None,
        status=fare.status,
        fare=Money(fare.amount_minor, "GBP"),
        steps=fare.steps,
        zones=fare.zones,
        tariff_valid_from=tariff_of(LONDON).valid_from,
    )
