"""Marks: a page that is sent back goes on where it ended, and anything else is refused by name."""

from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa.kernel import InvalidInput, mark_text, paged, read_mark

WHICH = UUID("01937f2e-0000-7000-8000-000000000001")
INSTANTS = st.datetimes(datetime(2000, 1, 2), datetime(2199, 12, 30), timezones=st.just(UTC))  # noqa: DTZ001


@given(at=INSTANTS, which=st.uuids(), hours=st.integers(-14, 14))
def test_a_mark_comes_back_as_it_went_whatever_the_offset(at: datetime, which: UUID, hours: int) -> None:
    elsewhere = at.astimezone(timezone(timedelta(hours=hours)))

    assert read_mark(mark_text(elsewhere, which)) == (at, which)
    assert len(mark_text(at, which)) == 64


@given(text=st.text(max_size=80) | st.from_regex(r"[0-9T:+Z.~-]{1,70}", fullmatch=True))
def test_whatever_is_sent_is_a_mark_or_refused_by_the_field(text: str) -> None:
    try:
        found = read_mark(text)
    except InvalidInput as refused:
        told = [(one.where, bool(one.remedy)) for one in refused.problems]
    else:
        told = [("after", True)]
        assert (found is None) == (text == "")

    assert told == [("after", True)]


@pytest.mark.parametrize(
    "text",
    [
        f"2026-11-17T12:00:00~{WHICH}",
        f"0001-01-01T00:00:00+14:00~{WHICH}",
        f"9999-12-31T23:00:00-14:00~{WHICH}",
        "2026-11-17T12:00:00Z",
        "2026-11-17T12:00:00Z~1",
        f"~{WHICH}",
        "~",
    ],
)
def test_what_no_list_gave_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        read_mark(text)


@given(items=st.lists(st.integers(), max_size=30), limit=st.integers(1, 10))
def test_page_after_page_every_item_is_shown_once(items: list[int], limit: int) -> None:
    shown: list[int] = []
    start: int | None = 0
    while start is not None:
        found = list(enumerate(items))[start : start + limit + 1]
        page, start = paged(found, limit, lambda one: one[0] + 1)
        assert len(page) <= limit
        shown += [item for _, item in page]

    assert shown == items
