"""Profiles of banks: read strictly, and the days on which a bank moves money."""

from datetime import UTC, date, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa.settlement import BadProfile, BankCalendar, read_profile

GOOD = """
bank_id = "league-bank"
currencies = ["CNY", "HKD"]
form = "pacs.009.001.08"
basis = "gross"
releases = 2
investigate_after_min = 60
payments_max = 500

[calendar]
tz = "Asia/Shanghai"
cut_off = 17:00:00
weekend = ["saturday", "sunday"]
holidays = [2026-10-01, 2026-10-02]

[delivery]
way = "http"
url = "https://bank.example/hansa"
key = "0707070707070707070707070707070707070707070707070707070707070707"

[limits.CNY]
payment_max_minor = 100_000_000
"""


def test_a_profile_says_how_a_bank_is_paid_through() -> None:
    profile = read_profile(GOOD)

    assert (profile.bank_id, profile.currencies, profile.form) == (
        "league-bank",
        ("CNY", "HKD"),
        "pacs.009.001.08",
    )
    assert profile.limit("CNY").payment_max_minor == 100_000_000
    assert profile.limit("HKD").payment_max_minor == 10**17
    assert profile.delivery.timeout_s == 20


# what is changed | into what | what the fault names
FAULTS = [
    ('bank_id = "league-bank"', "", "bank_id"),
    ('bank_id = "league-bank"', 'bank_id = "League Bank"', "bank_id"),
    ('"CNY", "HKD"', '"CNY", "XXY"', "currencies"),
    ('"CNY", "HKD"', '"HKD", "HKD"', "currencies"),
    ('["CNY", "HKD"]', "[]", "currencies"),
    ('["CNY", "HKD"]', '["HKD"]', "limits.CNY"),
    ('"pacs.009.001.08"', '"pacs.009.001.09"', "form"),
    ('"gross"', '"half"', "basis"),
    ("releases = 2", "releases = 0", "releases"),
    ("releases = 2", "relases = 2", "relases"),
    ('"Asia/Shanghai"', '"Asia/Nowhere"', "calendar.tz"),
    ("17:00:00", '"five"', "calendar.cut_off"),
    ('["saturday", "sunday"]', '["caturday"]', "calendar.weekend"),
    (
        '["saturday", "sunday"]',
        '["monday","tuesday","wednesday","thursday","friday","saturday","sunday"]',
        "calendar.weekend",
    ),
    ("2026-10-02]", '"soon"]', "calendar.holidays"),
    ('way = "http"', 'way = "pigeon"', "delivery.way"),
    ('way = "http"', 'way = "folder"', "delivery.folder"),
    ('url = "https://bank.example/hansa"', "", "delivery.url"),
    ('url = "https://bank.example/hansa"', 'url = "https://bank.example/?a"', "delivery.url"),
    ('key = "07', 'key = "7', "delivery.key"),
    ("payment_max_minor = 100_000_000", "payment_max_minor = 0", "limits"),
    ("payment_max_minor", "payments_max_minor", "payments_max_minor"),
    ("[calendar]", "[calendar", "profile"),
]


@pytest.mark.parametrize(("old", "new", "where"), FAULTS)
def test_a_fault_is_named_with_its_field_and_a_remedy(old: str, new: str, where: str) -> None:
    assert old in GOOD

    with pytest.raises(BadProfile) as refused:
        read_profile(GOOD.replace(old, new, 1))

    assert any(where in str(problem) for problem in refused.value.problems), refused.value.problems
    assert all(problem.what and problem.remedy for problem in refused.value.problems)


NEW_YORK = BankCalendar("America/New_York", time(17), holidays=(date(2028, 2, 29),))

# wanted | handed in, UTC | the day on which money moves
DAYS = [
    (date(2028, 2, 28), datetime(2028, 2, 28, 21, 59, tzinfo=UTC), date(2028, 2, 28)),
    (
        date(2028, 2, 28),
        datetime(2028, 2, 28, 22, 0, tzinfo=UTC),
        date(2028, 3, 1),
    ),  # a holiday on a leap day
    (date(2028, 3, 4), datetime(2028, 3, 1, 12, tzinfo=UTC), date(2028, 3, 6)),  # a Saturday
    (
        date(2028, 3, 10),
        datetime(2028, 3, 10, 21, 30, tzinfo=UTC),
        date(2028, 3, 10),
    ),  # winter: closes at 22:00
    (
        date(2028, 3, 13),
        datetime(2028, 3, 13, 21, 30, tzinfo=UTC),
        date(2028, 3, 14),
    ),  # summer: closes at 21:00
]


@pytest.mark.parametrize(("wanted", "handed_in", "moved"), DAYS)
def test_money_moves_on_the_banks_own_days(wanted: date, handed_in: datetime, moved: date) -> None:
    assert NEW_YORK.day_for(wanted, handed_in_at=handed_in) == moved


@given(
    wanted=st.dates(date(2026, 1, 1), date(2029, 12, 31)),
    handed_in=st.integers(0, 4 * 365 * 24 * 60).map(
        lambda minutes: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)
    ),
    zone=st.sampled_from(["America/New_York", "Europe/London", "Asia/Shanghai", "Pacific/Chatham"]),
)
def test_money_never_moves_before_it_is_wanted_or_handed_in_or_on_a_closed_day(
    wanted: date, handed_in: datetime, zone: str
) -> None:
    calendar = BankCalendar(zone, time(16, 30))

    day = calendar.day_for(wanted, handed_in_at=handed_in)

    assert day >= wanted and calendar.is_open(day) and handed_in < calendar.closes_at(day)
    assert calendar.day_for(day, handed_in_at=handed_in) == day
