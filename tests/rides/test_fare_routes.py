"""What would it cost, asked over HTTP: fares with their reasons, after other rides, in two languages."""

from collections.abc import Iterator
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any

import pytest
from litestar import Litestar, Request, Response
from litestar.datastructures import State
from litestar.di import Provide
from litestar.testing import TestClient

from hansa import payments, rides
from hansa.kernel import HansaError, Money
from hansa.rides.asking import Question, alternatives, ask
from hansa.rides.fare_routes import ROUTES
from hansa.store import Context
from rides.riding import League, local, tariff_of

LONDON, BEIJING = "london-tfl", "beijing-subway"
BANK, OXFORD = "london/bank-and-monument", "london/oxford-circus"
MORNING = local(tariff_of(LONDON), "08:15")
ASKED = {"operator_id": LONDON, "origin": BANK, "destination": OXFORD, "at": MORNING.isoformat()}

Client = TestClient[Litestar]

SHORT = """
format = 1
operator = "beijing-subway"
city = "beijing"
name = "Six kilometres and no more"
currency = "CNY"
valid_from = 2026-11-01
tz = "{tz}"
day_starts = "{day_starts}"
[classes.adult]
percent = 100
[classes.child]
percent = 100
[classes.student]
percent = 100
[classes.senior]
percent = 100
[basis]
kind = "distance"
[[basis.band]]
up_to_m = 6000
fare = "3.00"
[journey]
max_minutes = 240
[incomplete]
fare = "3.00"
"""


def problem(_: Request[object, object, State], error: HansaError) -> Response[dict[str, Any]]:
    problems = [{"where": one.where, "what": one.what, "remedy": one.remedy} for one in error.problems]
    body = {"code": error.code, "detail": error.detail, "problems": problems}
    return Response(body, status_code=error.status)


@pytest.fixture
def league(ctx: Context) -> League:
    ctx.clock.at = datetime(2026, 11, 17, 12, tzinfo=UTC)  # type: ignore[attr-defined]
    return League(ctx, LONDON, BEIJING)


@pytest.fixture
def client(ctx: Context, league: League) -> Iterator[Client]:
    app = Litestar(
        ROUTES,
        dependencies={"ctx": Provide(lambda: ctx, sync_to_thread=False)},
        exception_handlers={HansaError: problem},
    )
    with TestClient(app) as client:
        yield client


def test_a_fare_is_told_with_its_steps_and_where_the_tariff_says_so(client: Client) -> None:
    fare = client.get("/v1/fares", params=ASKED).json()

    assert (fare["status"], fare["fare"], fare["held"]) == ("priced", {"minor": 290, "currency": "GBP"}, None)
    assert sum(step["amount"]["minor"] for step in fare["steps"]) == 290
    lines = tariff_of(LONDON).source.toml.splitlines()
    assert lines[fare["steps"][1]["line"] - 1] == "[[basis.span]]"
    assert (fare["tariff_valid_from"], fare["service_day"], fare["product"]) == (
        "2025-03-02",
        "2026-11-17",
        "metro",
    )


def test_stops_may_be_named(client: Client) -> None:
    by_name = client.get(
        "/v1/fares", params=ASKED | {"origin": "bank AND monument", "destination": "Oxford Circus"}
    )
    asked = {"operator_id": BEIJING, "origin": "西直门", "destination": "国贸", "language": "zh"}
    chinese = client.get("/v1/fares", params=asked)

    assert by_name.json()["fare"]["minor"] == 290
    assert (by_name.json()["origin"], by_name.json()["destination"]) == (BANK, OXFORD)
    assert chinese.json()["fare"]["minor"] == 400
    assert chinese.headers["content-language"] == "zh" and "公里段" in chinese.json()["steps"][1]["text"]


def test_rides_made_before_are_counted_by_caps(client: Client) -> None:
    before = [f"{BANK},{OXFORD},{local(tariff_of(LONDON), f'0{hour}:40').isoformat()}" for hour in (5, 6, 7)]

    fares = [client.get("/v1/fares", params={**ASKED, "after": before[:count]}).json() for count in range(4)]

    assert [one["fare"]["minor"] for one in fares] == [290, 290, 290, 30]
    assert fares[3]["steps"][-1]["rule"] == "cap" and fares[3]["steps"][-1]["amount"]["minor"] == -260
    assert sum(step["amount"]["minor"] for step in fares[3]["steps"]) == 30


def test_a_journey_without_a_fare_is_held_and_says_why(ctx: Context, client: Client) -> None:
    short = SHORT.format(tz=tariff_of(BEIJING).tz, day_starts=f"{tariff_of(BEIJING).day_starts:%H:%M}")
    with ctx.tx() as tx:
        rides.import_tariff(tx, rides.read_source(rides.TariffSource(short, {})))
    asked = {"operator_id": BEIJING, "origin": "beijing/xizhimen"}

    near, far = (
        client.get("/v1/fares", params=asked | {"destination": one}).json()
        for one in ("beijing/chegongzhuang", "beijing/guomao")
    )

    assert (near["status"], near["fare"]["minor"], near["held"]) == ("priced", 300, None)
    assert (far["status"], far["fare"]) == ("held", None)
    assert far["held"] and far["steps"][-1]["rule"] == "held"


def test_the_way_that_readers_prove_is_asked_for_and_counted_before(ctx: Context, client: Client) -> None:
    ends = ("beijing/xizhimen", "beijing/guomao")
    reader = "beijing/dongzhimen"
    asked = {"operator_id": BEIJING, "origin": ends[0], "destination": ends[1], "at": MORNING.isoformat()}
    unseen = client.get("/v1/fares", params=asked | {"via": reader})
    source = tariff_of(BEIJING).source
    text = source.toml.replace("valid_from = 2025-01-01", "valid_from = 2026-01-01")
    with ctx.tx() as tx:
        pairing = f'\n[pairing]\ninterchange_stops = ["{reader}"]\n'
        rides.import_tariff(tx, rides.read_source(rides.TariffSource(text + pairing, source.tables)))

    shortest, round_about, before, typo = (
        client.get("/v1/fares", params=asked | more)
        for more in (
            {},
            {"via": "东直门"},
            {"after": f"{ends[0]},{ends[1]},{MORNING.isoformat()},metro,,,{reader}"},
            {"via": "beijing/dongzhimn"},
        )
    )

    assert unseen.status_code == 422 and unseen.json()["problems"][0]["where"] == "via"
    assert round_about.json()["via"] == [reader] and shortest.json()["via"] == []
    assert round_about.json()["fare"]["minor"] > shortest.json()["fare"]["minor"]
    assert "Dongzhimen" in round_about.json()["steps"][0]["text"]
    assert before.json()["fare"] == shortest.json()["fare"]
    assert typo.status_code == 422 and typo.json()["problems"][0]["where"] == "via[0]"


def test_who_holds_too_little_to_enter_is_told_how_much(ctx: Context, client: Client) -> None:
    source = tariff_of(BEIJING).source
    text = source.toml.replace("valid_from = 2025-01-01", "valid_from = 2026-01-01")
    wanted = text.replace(
        "day_starts", 'minimum_balance = { adult = "10.00", child = "3.00" }\nday_starts', 1
    )
    with ctx.tx() as tx:
        rides.import_tariff(tx, rides.read_source(rides.TariffSource(wanted, source.tables)))
        payments.set_rates(tx, MORNING.date(), [("CNY", "HKD", Fraction("1.087"))])
    asked = {"operator_id": BEIJING, "origin": "beijing/xizhimen", "destination": "beijing/guomao"}
    asked["at"] = MORNING.isoformat()

    told = [
        client.get("/v1/fares", params=asked | {"rider_class": one}).json()["minimum_balance"]
        for one in ("adult", "child", "senior")
    ]
    with ctx.tx() as tx:
        lacking = {
            (wallet, rider_class): [
                (one.operator_id, str(one.wanted), str(one.lacking))
                for one in rides.entries_lacking(tx, wallet, rider_class, MORNING)
            ]
            for wallet, rider_class in (
                (Money(1_000, "CNY"), "adult"),
                (Money(999, "CNY"), "adult"),
                (Money(0, "CNY"), "child"),
                (Money(0, "CNY"), "senior"),
                (Money(1_086, "HKD"), "adult"),
                (Money(1_087, "HKD"), "adult"),
                (Money(0, "GBP"), "adult"),
            )
        }

    assert told == [{"minor": 1_000, "currency": "CNY"}, {"minor": 300, "currency": "CNY"}, None]
    assert [one for one in lacking.values() if one] == [
        [(BEIJING, "¥10.00", "¥0.01")],
        [(BEIJING, "¥3.00", "¥3.00")],
        [(BEIJING, "¥10.00", "HK$0.01")],
    ]


@pytest.mark.parametrize(
    ("change", "status", "where", "meant"),
    [
        ({"operator_id": "london-tlf"}, 404, "operator_id", "london-tfl"),
        ({"origin": "Oxfrod Circus"}, 422, "origin", "Oxford Circus (london/oxford-circus)"),
        ({"destination": "nowhere at all"}, 422, "destination", ""),
        ({"rider_class": "adutl"}, 422, "rider_class", "adult"),
        ({"medium": "cash"}, 422, "medium", "Leave it out"),
        ({"via": BANK}, 422, "via", "Leave it out"),
        ({"line_id": "london/centrl"}, 422, "line_id", "london/central"),
        ({"at": "1999-01-01T00:00:00Z"}, 422, "at", "2000 to 2199"),
        ({"at": "2020-01-01T00:00:00Z"}, 404, "at", "another day"),
        ({"ended_at": "2026-11-17T07:00:00Z"}, 422, "ended_at", "after at"),
        ({"after": "bank"}, 422, "after[0]", "origin,destination,at"),
        ({"after": f"{BANK},{OXFORD},soon"}, 422, "after[0].at", "2026-11-17T08:00:00Z"),
        ({"after": f"{BANK},nowhere,2026-11-17T07:00:00Z"}, 422, "after[0].destination", ""),
        ({"after": f"{BANK},{OXFORD},2026-11-17T09:00:00Z"}, 422, "after[0].at", "earlier"),
    ],
)
def test_what_is_not_known_is_named_with_what_may_have_been_meant(
    client: Client, change: dict[str, str], status: int, where: str, meant: str
) -> None:
    answer = client.get("/v1/fares", params=ASKED | change)

    assert answer.status_code == status, answer.text
    (named,) = answer.json()["problems"]
    assert named["where"] == where
    assert meant in named["remedy"]


def test_the_hours_of_a_day_the_classes_and_the_cap_are_told(ctx: Context, league: League) -> None:
    with ctx.tx() as tx:
        answer = ask(tx, Question(LONDON, BANK, "Ealing Broadway", MORNING))
        others = alternatives(tx, answer)

    def clock(at: datetime) -> str:
        return at.astimezone(tariff_of(LONDON).zone_info).strftime("%H:%M")

    told = [(clock(one.starts_at), clock(one.ends_at), one.minor) for one in others.hours]
    assert told == [
        ("04:30", "06:30", 310),
        ("06:30", "09:30", 380),
        ("09:30", "16:00", 310),
        ("16:00", "19:00", 380),
        ("19:00", "04:30", 310),
    ]
    assert others.classes == {"adult": 380, "child": 190, "student": 380, "senior": 380}
    assert others.cap is not None
    assert (others.cap.rides, others.cap.minor) == (3, 1050)


def test_a_tariff_without_caps_reaches_none(ctx: Context, league: League) -> None:
    with ctx.tx() as tx:
        answer = ask(tx, Question(BEIJING, "beijing/xizhimen", "beijing/guomao", MORNING))
        others = alternatives(tx, answer)

    assert others.cap is None
    assert others.hours[0].minor is not None
