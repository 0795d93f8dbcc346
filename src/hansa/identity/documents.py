"""Numbers of identity documents, read and checked: resident identity numbers of China and machine-readable passports.

Pure. A number that checks out was copied right; whether it is the person's, a provider of proofs says.
"""

import re
from dataclasses import dataclass
from datetime import date
from typing import Literal

from hansa.kernel import InvalidInput, Problem

Sex = Literal["female", "male", "unspecified"]

_RESIDENT = re.compile(r"^[1-9][0-9]{16}[0-9X]$")
_PROVINCES = frozenset(
    (11, 12, 13, 14, 15, 21, 22, 23, 31, 32, 33, 34, 35, 36, 37, 41, 42, 43, 44, 45, 46, 50, 51, 52, 53, 54,
     61, 62, 63, 64, 65, 71, 81, 82, 83)
)  # fmt: skip
"""First two digits of GB/T 2260 regions; 81 to 83 are those of residence permits for Hong Kong, Macau and Taiwan."""
_RESIDENT_CHECKS = "10X98765432"

_MRZ = re.compile(r"^[A-Z0-9<]{44}$")
_COUNTRY = re.compile(r"^[A-Z]{1,3}<{0,2}$")
_WEIGHTS = (7, 3, 1)


@dataclass(frozen=True, slots=True)
class ResidentNumber:
    """A Chinese resident identity number (GB 11643-1999). region: six digits of GB/T 2260."""

    number: str
    region: str
    born: date
    sex: Sex


@dataclass(frozen=True, slots=True)
class Passport:
    """A passport's machine-readable zone (ICAO Doc 9303 part 4, TD3).

    issuer, nationality: letters of ISO 3166-1 or ICAO's own, without fillers. surname, given: in the zone's letters.
    """

    number: str
    issuer: str
    nationality: str
    surname: str
    given: str
    born: date
    sex: Sex
    expires: date
    personal_number: str


def resident_check(digits: str) -> str:
    """The check character of 17 digits: ISO 7064, MOD 11-2 (GB 11643-1999, annex A)."""
    assert len(digits) == 17 and digits.isascii() and digits.isdigit(), digits
    total = sum(int(digit) * pow(2, 17 - place, 11) for place, digit in enumerate(digits))
    return _RESIDENT_CHECKS[total % 11]


def read_resident_number(text: str, *, today: date, where: str = "number") -> ResidentNumber:
    """A resident identity number that checks out. Errors: InvalidInput naming ``where`` and what to do."""
    number = re.sub(r"[\s-]", "", text).upper()
    if re.fullmatch(r"[0-9]{15}", number):
        raise _unfit(
            where, "it has 15 digits, which are no longer valid", "Give the 18 characters of today's card"
        )
    if not _RESIDENT.match(number):
        raise _unfit(where, "it is no resident identity number", "Give 17 digits and a digit or X")
    if int(number[:2]) not in _PROVINCES:
        raise _unfit(where, f"{number[:2]} is no region", "Look at the first two digits again")
    born = _date(number[6:14])
    if born is None or born > today or born.year < today.year - 150:
        raise _unfit(where, f"{number[6:14]} is no day of birth", "Look at digits 7 to 14 again")
    if number[17] != resident_check(number[:17]):
        raise _unfit(
            where, "its check character does not fit", "One character was mistyped: look at all of them"
        )
    return ResidentNumber(number, number[:6], born, "male" if int(number[16]) % 2 else "female")


def mrz_check(text: str) -> str:
    """The check digit of a field of a machine-readable zone (ICAO Doc 9303 part 3, 4.9): weights 7, 3, 1, modulo 10."""
    return str(sum(_value(letter) * _WEIGHTS[place % 3] for place, letter in enumerate(text)) % 10)


def read_passport(zone: str, *, today: date, where: str = "zone") -> Passport:
    """A passport from the two lines of its machine-readable zone. Errors: InvalidInput naming ``where`` and the line.

    An expired passport is read; whether that will do is the caller's to say.
    """
    lines = [re.sub(r"\s", "", one).upper() for one in zone.strip().splitlines() if one.strip()]
    if len(lines) != 2 or any(not _MRZ.match(one) for one in lines):
        raise _unfit(
            where, "it is not two lines of 44 characters", "Copy both lines whole, fillers (<) included"
        )
    first, second = lines
    if first[0] != "P":
        raise _unfit(
            where, f"it is a document of kind {first[0]}, and no passport", "Give a passport's lines"
        )
    for words, start, end in (("document number", 0, 9), ("day of birth", 13, 19), ("day of expiry", 21, 27)):
        if second[end] != mrz_check(second[start:end]):
            raise _unfit(where, f"the check digit of the {words} does not fit", f"Look at the {words} again")
    personal = second[28:42]
    empty = not personal.strip("<") and second[42] == "<"
    if not empty and second[42] != mrz_check(personal):
        raise _unfit(where, "the check digit of the personal number does not fit", "Look at line 2 again")
    if second[43] != mrz_check(second[0:10] + second[13:20] + second[21:43]):
        raise _unfit(where, "the last check digit of line 2 does not fit", "Look at line 2 again")
    if not (_COUNTRY.match(first[2:5]) and _COUNTRY.match(second[10:13])):
        raise _unfit(where, "a country's letters are none", "Look at both countries again")
    born, expires = (
        _short_date(second[13:19], last=today.year),
        _short_date(second[21:27], last=today.year + 20),
    )
    if born is None or expires is None:
        raise _unfit(where, "a day is none of the calendar", "Look at the days of birth and expiry again")
    surname, _, given = first[5:].partition("<<")
    return Passport(
        number=second[0:9].rstrip("<"),
        issuer=first[2:5].rstrip("<"),
        nationality=second[10:13].rstrip("<"),
        surname=surname.replace("<", " ").strip(),
        given=" ".join(given.replace("<", " ").split()),
        born=born,
        sex={"F": "female", "M": "male"}.get(second[20], "unspecified"),  # type: ignore[arg-type]
        expires=expires,
        personal_number=personal.rstrip("<"),
    )


def _value(letter: str) -> int:
    """Of a character of a zone: digits are themselves, A to Z 10 to 35, fillers nothing."""
    return 0 if letter == "<" else int(letter, 36)


def _date(digits: str) -> date | None:
    try:
        return date(int(digits[:4]), int(digits[4:6]), int(digits[6:8]))
    except ValueError:
        return None


def _short_date(digits: str, *, last: int) -> date | None:
    """A day with two digits of its year, the latest such year that is not after ``last``."""
    if not digits.isdigit():
        return None
    year = last - (last - int(digits[:2])) % 100
    return _date(f"{year:04}{digits[2:]}")


def _unfit(where: str, what: str, remedy: str) -> InvalidInput:
    return InvalidInput("The document cannot be read.", problems=(Problem(where, what, remedy),))
