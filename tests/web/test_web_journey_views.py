"""A journey on a page: what is held, paid by others, or noted of its taps; and how far caps are reached."""

from dataclasses import replace
from datetime import UTC, date, datetime
from uuid import UUID

import pytest

from hansa import atlas, rides
from hansa.apps.web.journey_views import Places, view_caps, view_detail, view_journey
from hansa.apps.web.languages import ENGLISH, Words, catalogue
from hansa.fares import Payment
from hansa.kernel import Money
from hansa.store import Context
from web.little_league import LittleLeague

CHINESE = Words("zh", catalogue("zh"))
AT = datetime(2026, 11, 17, 0, 30, tzinfo=UTC)
RIDE = rides.JourneyRecord(
    journey_id=rides.JourneyId(UUID(int=1)),
    account_id=UUID(int=2),
    issuer_id="hangzhou-card",
    operator_id="hangzhou-metro",
    city_id="hangzhou",
    service_day=date(2026, 11, 17),
    kind="complete",
    product="metro",
    rider_class="adult",
    started_at=AT,
    ended_at=AT,
    origin="hangzhou/xianghu",
    destination="hangzhou/binkanglu",
    line_id=None,
    status="priced",
    fare=Money(150, "CNY"),
    steps=(
        rides.Step("ride", 0, "CNY", {"from": "Xianghu", "to": "Binkang Lu", "distance_m": 1_900}),
        rides.Step("flat", 200, "CNY", {"class": "adult", "band": "peak"}),
        rides.Step("cap", -50, "CNY", {"label": "Day", "cap_minor": 1_000}),
    ),
    zones="",
    tariff_valid_from=date(2025, 1, 1),
)


@pytest.mark.parametrize(
    ("say", "change", "why"),
    [
        (
            ENGLISH,
            {},
            "¥1.50: adult fare from Xianghu to Binkang Lu, peak. A cap is reached, so it costs less.",
        ),
        (CHINESE, {}, "¥1.50：从 湘湖 到 滨康路，成人票价，高峰时段。 已达封顶，因此更便宜。"),
        (ENGLISH, {"steps": (), "fare": Money(0, "CNY")}, "¥0.00: no charge from Xianghu to Binkang Lu."),
        (
            ENGLISH,
            {"kind": "boarding", "product": "bus", "line_id": None, "destination": None, "steps": ()},
            "¥1.50: adult fare for Bus from Xianghu.",
        ),
        (ENGLISH, {"status": "held"}, "There is no price for this journey yet, and nothing is charged."),
        (ENGLISH, {"status": "withdrawn"}, "This journey was taken back: another one took its place."),
        (
            ENGLISH,
            {"kind": "no_exit", "destination": None},
            "¥1.50: a tap is missing, so this is the fare for an incomplete journey.",
        ),
    ],
)
def test_a_fare_in_one_sentence(
    ctx: Context, league: LittleLeague, say: Words, change: dict[str, object], why: str
) -> None:
    with ctx.tx() as tx:
        view = view_journey(Places(tx), replace(RIDE, **change), say)  # pyright: ignore[reportArgumentType]

    assert view.why == why
    assert view.held == (change.get("status") == "held")


def test_what_others_pay_and_how_taps_were_read_stand_beside_the_steps(
    ctx: Context, league: LittleLeague
) -> None:
    facts = {"place": "hangzhou/binkanglu", "end": "exit", "by": "rider", "reason": "Gate open"}
    note = rides.Step("pairing.stated_end", 0, "CNY", facts)
    record = replace(RIDE, subsidy=Payment("hangzhou", 50), notes=(note,))
    with ctx.tx() as tx:
        view = view_detail(Places(tx), rides.JourneyDetail(record, (), ()), CHINESE)

    assert view.subsidy == "此票价中 ¥0.50 由 hangzhou 支付"
    assert view.notes == ["乘客说明行程在 滨康路 结束：Gate open"]
    assert sum(step.amount.minor for step in view.steps) == view.fare.minor


def test_of_each_period_the_cap_that_is_nearest_is_shown() -> None:
    def cap(period: str, spent: int, most: int, label: str) -> rides.CapProgress:
        return rides.CapProgress(period, label, Money(spent, "GBP"), Money(most, "GBP"), "")

    shown = view_caps(
        [cap("day", 720, 810, "near"), cap("day", 720, 1_600, "far"), cap("week", 4_000, 4_000, "full")],
        ENGLISH,
    )

    assert [(one.words, one.label) for one in shown] == [
        ("£7.20 of £8.10 today", "near"),
        ("£40.00 reached this week: more such rides cost nothing", "full"),
    ]


def test_stops_are_called_as_readers_of_the_language_call_them(ctx: Context, league: LittleLeague) -> None:
    with ctx.tx() as tx:
        network = atlas.get_network(tx, "hangzhou")

    assert rides.stop_name(network, "hangzhou/xianghu", "zh") == "湘湖"
    assert rides.stop_name(network, "hangzhou/xianghu", "en") == "Xianghu"
    assert rides.stop_name(network, "hangzhou/nowhere", "zh") == "hangzhou/nowhere"
