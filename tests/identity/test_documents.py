"""Numbers of identity documents: what checks out, and what is said of what does not."""

from datetime import date
from string import ascii_uppercase, digits

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from hansa.identity.documents import (
    mrz_check,
    read_passport,
    read_resident_number,
    resident_check,
)
from hansa.kernel import InvalidInput

TODAY = date(2026, 11, 28)
FIRST = "P<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<<<<<<<<<"
SECOND = "L898902C36UTO7408122F1204159ZE184226B<<<<<10"
"""The specimen of ICAO Doc 9303 part 4, appendix B."""
RESIDENT = "11010519491231002X"
"""The example of GB 11643-1999, annex A."""


def number_of(born: date, order: int) -> str:
    body = f"330106{born:%Y%m%d}{order:03}"
    return body + resident_check(body)


def numbers() -> st.SearchStrategy[str]:
    return st.builds(number_of, st.dates(date(1900, 1, 1), TODAY), st.integers(0, 999))


def problem_of(refused: pytest.ExceptionInfo[InvalidInput]) -> str:
    (problem,) = refused.value.problems
    assert problem.where and problem.remedy
    return problem.what


def test_the_standards_own_number_is_read() -> None:
    read = read_resident_number("110105 19491231 002x", today=TODAY)

    assert (read.number, read.region, read.born, read.sex) == (
        RESIDENT,
        "110105",
        date(1949, 12, 31),
        "female",
    )


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "no resident identity number"),
        ("110105491231002", "15 digits"),
        ("1101051949123100２X", "no resident identity number"),
        ("110105194912310021", "check character"),
        ("110105194913310025", "no day of birth"),
        ("110105203012310023", "no day of birth"),
        ("010105194912310021", "no resident identity number"),
        ("990105194912310021", "99 is no region"),
    ],
)
def test_a_number_that_does_not_check_out_is_refused_with_what_to_look_at(text: str, what: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        read_resident_number(text, today=TODAY)

    assert what in problem_of(refused)


@given(numbers(), st.integers(0, 17), st.sampled_from(digits))
def test_no_number_with_one_digit_mistyped_is_taken(number: str, place: int, digit: str) -> None:
    assert read_resident_number(number, today=TODAY).number == number
    mistyped = number[:place] + digit + number[place + 1 :]
    assume(mistyped != number)

    with pytest.raises(InvalidInput):
        read_resident_number(mistyped, today=TODAY)


@given(numbers(), st.integers(0, 16))
def test_no_number_with_two_neighbours_swapped_is_taken(number: str, place: int) -> None:
    swapped = number[:place] + number[place + 1] + number[place] + number[place + 2 :]
    assume(swapped != number)

    with pytest.raises(InvalidInput):
        read_resident_number(swapped, today=TODAY)


def test_the_specimen_passport_is_read() -> None:
    read = read_passport(f"{FIRST}\n{SECOND}\n", today=TODAY)

    assert (read.number, read.issuer, read.nationality) == ("L898902C3", "UTO", "UTO")
    assert (read.surname, read.given, read.sex) == ("ERIKSSON", "ANNA MARIA", "female")
    assert (read.born, read.expires, read.personal_number) == (
        date(1974, 8, 12),
        date(2012, 4, 15),
        "ZE184226B",
    )


def test_years_of_two_digits_are_past_for_births_and_near_for_expiry() -> None:
    def zone(born: str, expires: str) -> str:
        body = f"L898902C36UTO{born}{mrz_check(born)}F{expires}{mrz_check(expires)}" + "<" * 15
        return f"{FIRST}\n{body}{mrz_check(body[:10] + body[13:20] + body[21:43])}"

    read = [read_passport(zone(*one), today=TODAY) for one in (("260101", "360101"), ("270101", "991231"))]

    assert [(one.born.year, one.expires.year) for one in read] == [(2026, 2036), (1927, 1999)]
    assert read[0].personal_number == ""


@pytest.mark.parametrize(
    ("first", "second", "what"),
    [
        (FIRST[:-1], SECOND, "two lines"),
        (FIRST, "", "two lines"),
        ("V" + FIRST[1:], SECOND, "kind V"),
        (FIRST, "L898902C46" + SECOND[10:], "document number"),
        (FIRST, SECOND.replace("740812", "740813"), "day of birth"),
        (FIRST, SECOND.replace("120415", "130415"), "day of expiry"),
        (FIRST, SECOND.replace("ZE184226B", "ZE184227B"), "personal number"),
        (FIRST, SECOND[:-1] + "1", "last check digit"),
        ("P<U1O" + FIRST[5:], SECOND, "country"),
    ],
)
def test_a_zone_with_a_fault_is_refused_with_where_it_is(first: str, second: str, what: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        read_passport(f"{first}\n{second}", today=TODAY)

    assert what in problem_of(refused)


@given(st.integers(0, 43), st.sampled_from(digits + ascii_uppercase))
def test_what_is_read_wrong_in_the_second_line_is_seen(place: int, letter: str) -> None:
    assume(
        letter != SECOND[place] and place not in (10, 11, 12, 20)
    )  # nationality and sex stand under no check
    changed = SECOND[:place] + letter + SECOND[place + 1 :]
    assume(
        (int(letter, 36) - (0 if SECOND[place] == "<" else int(SECOND[place], 36))) % 10
    )  # weights cannot tell tens

    with pytest.raises(InvalidInput):
        read_passport(f"{FIRST}\n{changed}", today=TODAY)
