"""Settlement models as data: their cut-offs on days when clocks change, their holidays, and what is refused."""

from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa import clearing
from hansa.clearing import schedule
from hansa.clearing.schedule import Model, Takes, daily_model, due, next_slot, overlap, read_model, slots

TWICE = """
model_id = "twice"
name = "Fares between Hong Kong and Beijing, twice a day"
tz = "Asia/Hong_Kong"
takes = [{ issuer = "hong-kong-card", operator = "beijing-subway", currency = "CNY" }]
cut_offs = ["18:00", "28:00"]
holidays = ["CNY", "2026-12-24"]
"""


def model(**changes: Any) -> Model:
    values: dict[str, Any] = {
        "model_id": "some",
        "name": "Some",
        "tz": "Europe/London",
        "takes": (Takes(),),
        "cut_offs": ("28:00",),
    }
    return Model(**(values | changes))


# zone | business day | cut-off | instant in UTC
CUT_OFFS = [
    ("Asia/Shanghai", date(2026, 11, 17), "28:00", datetime(2026, 11, 17, 20, tzinfo=UTC)),
    (
        "Europe/London",
        date(2026, 3, 28),
        "25:30",
        datetime(2026, 3, 29, 1, tzinfo=UTC),
    ),  # not there: the clocks go on
    ("Europe/London", date(2026, 3, 29), "01:00", datetime(2026, 3, 29, 1, tzinfo=UTC)),  # nor is this
    (
        "Europe/London",
        date(2026, 3, 29),
        "02:00",
        datetime(2026, 3, 29, 1, tzinfo=UTC),
    ),  # the first that is there
    ("Europe/London", date(2026, 3, 29), "00:59", datetime(2026, 3, 29, 0, 59, tzinfo=UTC)),
    (
        "Europe/London",
        date(2026, 10, 24),
        "25:30",
        datetime(2026, 10, 25, 0, 30, tzinfo=UTC),
    ),  # twice: the first
    ("America/New_York", date(2026, 3, 8), "02:30", datetime(2026, 3, 8, 7, tzinfo=UTC)),
    ("America/New_York", date(2026, 11, 1), "01:15", datetime(2026, 11, 1, 5, 15, tzinfo=UTC)),
    (
        "Australia/Lord_Howe",
        date(2026, 10, 4),
        "02:15",
        datetime(2026, 10, 3, 15, 30, tzinfo=UTC),
    ),  # half an hour
    ("UTC", date(2028, 2, 28), "24:00", datetime(2028, 2, 29, tzinfo=UTC)),
    ("UTC", date(2028, 2, 29), "23:59", datetime(2028, 2, 29, 23, 59, tzinfo=UTC)),
]


@pytest.mark.parametrize(("tz", "day", "cut_off", "instant"), CUT_OFFS)
def test_a_cut_off_is_one_instant_also_when_clocks_change(
    tz: str, day: date, cut_off: str, instant: datetime
) -> None:
    assert model(tz=tz, cut_offs=(cut_off,)).ends(day) == [instant]


@given(
    tz=st.sampled_from(
        ["Europe/London", "America/New_York", "Australia/Lord_Howe", "Asia/Shanghai", "Africa/Cairo"]
    ),
    first=st.integers(0, 20 * 60),
    gaps=st.lists(st.integers(1, 240), max_size=5),
    start=st.dates(date(2026, 1, 1), date(2028, 12, 31)),
)
def test_windows_of_any_model_end_in_their_order(tz: str, first: int, gaps: list[int], start: date) -> None:
    minutes = [first]
    for gap in gaps:
        minutes.append(minutes[-1] + gap)
    some = model(
        tz=tz, cut_offs=tuple(f"{at // 60:02d}:{at % 60:02d}" for at in minutes if at < first + 1440)
    )

    ends = [end for number in range(5) for end in some.ends(start + timedelta(days=number))]

    assert ends == sorted(ends)


def test_the_business_day_of_the_league_is_a_model_too() -> None:
    settings = clearing.Settings("Asia/Shanghai", time(4))

    daily = daily_model("Asia/Shanghai", time(4))

    for day in (date(2026, 11, 17), date(2028, 2, 29)):
        assert daily.ends(day) == [settings.ends_at(day)]


def test_a_late_close_takes_the_latest_window_that_is_over() -> None:
    twice = read_model(TWICE)
    closed = datetime(2026, 11, 17, 10, tzinfo=UTC)  # 18:00 in Hong Kong

    assert due(twice, after=closed, now=closed) is None
    assert due(twice, after=closed, now=datetime(2026, 11, 17, 19, 59, tzinfo=UTC)) is None
    second = due(twice, after=closed, now=datetime(2026, 11, 17, 20, tzinfo=UTC))
    assert second is not None and (second.business_day, second.part) == (date(2026, 11, 17), 2)
    days_later = due(twice, after=closed, now=datetime(2026, 11, 20, 12, tzinfo=UTC))
    assert days_later is not None and (days_later.business_day, days_later.part) == (date(2026, 11, 20), 1)


def test_no_window_ends_on_a_holiday_of_its_only_currency() -> None:
    twice = read_model(TWICE)

    days: list[date] = []
    for slot in slots(twice, after=datetime(2026, 9, 18, 0, tzinfo=UTC)):
        if slot.business_day > date(2026, 10, 12):
            break
        days += [slot.business_day] if slot.part == 1 else []

    assert date(2026, 9, 20) in days and date(2026, 10, 10) in days  # worked for the days off
    assert not {
        date(2026, 9, 19),
        date(2026, 9, 25),
        date(2026, 9, 27),
        *(date(2026, 10, n) for n in range(1, 8)),
    } & {*days}
    coming = next_slot(twice, after=datetime(2026, 12, 23, 21, tzinfo=UTC))
    assert coming is not None and coming.business_day == date(2026, 12, 25)


def test_a_calendar_without_any_business_day_has_no_window() -> None:
    closed = model(weekend=schedule.WEEKDAYS)

    assert next_slot(closed, after=datetime(2026, 11, 17, tzinfo=UTC)) is None


# what is changed | the field that is named | what is said
FAULTS = [
    ('tz = "Asia/Hong_Kong"', 'tz = "Mars/Olympus"', "model.tz", "is no zone"),
    ('model_id = "twice"', 'model_id = "daily"', "model.model_id", "business day"),
    ('model_id = "twice"', 'model_id = "Twice a day"', "model.model_id", "regex"),
    ('currency = "CNY"', 'currency = "XXX"', "model.takes[0].currency", "no currency"),
    ('["18:00", "28:00"]', "[]", "model.cut_offs", "there is none"),
    ('["18:00", "28:00"]', '["28:00", "18:00"]', "model.cut_offs", "do not rise"),
    ('["18:00", "28:00"]', '["04:00", "28:00"]', "model.cut_offs", "span more than a day"),
    ('["18:00", "28:00"]', '["18:60"]', "model.cut_offs[0]", "regex"),
    ('["CNY", "2026-12-24"]', '["24 December"]', "model.holidays", "is no date"),
    ('["CNY", "2026-12-24"]', '["XAF"]', "model.holidays", "no calendar"),
    ('name = "', 'weekend = ["caturday"]\nname = "', "model.weekend", "is no day"),
    ('name = "', 'every_s = 5\nname = "', "model.every_s", "a deferred model has none"),
    ('name = "', 'timing = "immediate"\nname = "', "model.every_s", "it is missing"),
    ('name = "', 'colour = "red"\nname = "', "model", "unknown field"),
    ('name = "', "takes = 3\nname = ", "model", ""),
]


@pytest.mark.parametrize(("old", "new", "field", "what"), FAULTS)
def test_a_model_that_cannot_be_is_refused_by_its_field(old: str, new: str, field: str, what: str) -> None:
    with pytest.raises(clearing.BadModel) as refused:
        read_model(TWICE.replace(old, new))

    assert any(one.where == field and what in one.what for one in refused.value.problems), (
        refused.value.problems
    )
    assert all(one.remedy for one in refused.value.problems)


def test_two_models_may_not_take_the_same_position() -> None:
    rides = model(model_id="rides", takes=(Takes(product="ride"), Takes(currency="JPY")))

    assert overlap(rides, [model(model_id="pays", takes=(Takes(product="payment", currency="CNY"),))]) is None
    assert (
        overlap(rides, [model(model_id="yen", takes=(Takes(product="payment", currency="JPY"),))]) is not None
    )
    assert overlap(rides, [model(model_id="one", takes=(Takes(issuer="a", operator="b"),))]) is not None
    assert overlap(rides, [rides]) is None


def test_calendars_that_come_along_name_their_source_and_days_of_their_years() -> None:
    for code, calendar in schedule.calendars().items():
        assert calendar.source and calendar.years and code == calendar.currency
        assert {day.year for day in calendar.holidays | calendar.workdays} == set(calendar.years)
        assert all(schedule.WEEKDAYS[day.weekday()] in calendar.weekend for day in calendar.workdays)


# currencies that are taken | holidays | year | what a person should look at
HINTS = [
    (("CNY",), ("CNY",), 2026, []),
    (("CNY",), (), 2026, ["windows end on days on which no money in CNY moves"]),
    (
        ("XAF",),
        ("2026-12-24",),
        2026,
        ["no calendar of XAF is known, so none of its bank holidays is left out"],
    ),
    (
        ("CNY", "EUR"),
        ("CNY", "EUR"),
        2027,
        ["the calendar of CNY ends with 2026; after it only weekends are left out"],
    ),
    (("*",), (), 2026, []),
]


@pytest.mark.parametrize(("currencies", "holidays", "year", "told"), HINTS)
def test_days_on_which_no_money_moves_are_told(
    currencies: tuple[str, ...], holidays: tuple[str, ...], year: int, told: list[str]
) -> None:
    some = model(takes=tuple(Takes(currency=one) for one in currencies), holidays=holidays)

    found = schedule.hints(some, date(year, 6, 1))

    assert [one.what for one in found] == told
    assert all(one.where == "model.holidays" and one.remedy for one in found)


def test_a_city_has_calendars_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "XAF.toml").write_text(
        'source = "the bank"\nyears = [2026]\nweekend = ["friday"]\nholidays = [2026-02-02]\n'
    )
    monkeypatch.setenv("HANSA_CALENDARS", str(tmp_path))

    found = schedule.read_calendars(schedule.calendar_folders())

    assert not found["XAF"].is_open(date(2026, 2, 2)) and "CNY" in found
    (tmp_path / "XAF.toml").write_text('source = "the bank"\nyears = "all"\n')
    with pytest.raises(clearing.BadModel, match=r"XAF\.toml"):
        schedule.read_calendars(schedule.calendar_folders())
