"""Tags, lengths and values of merchant-presented codes, and their checksum (EMVCo QRCPS MPM 1.1, section 3)."""

import re
from binascii import crc_hqx
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from hansa.kernel import HansaError, Problem

LENGTH_MAX = 4_296
"""Characters that a QR code holds at most (ISO/IEC 18004, version 40-L, alphanumeric); longer text is no QR code's."""

HALF = re.compile("[\ud800-\udfff]")
"""A surrogate that stands alone: no UTF-8 writes it, and so no code was ever sealed over it."""

CRC_TAG = "63"
CRC_HEAD = "6304"

LengthUnit = Literal["characters", "bytes"]
"""What the lengths of a code count: characters, or bytes of UTF-8. The standard says characters; schemes differ."""

Reason = Literal["empty", "too_long", "malformed", "bad_crc", "not_allowed"]

_WORDS: dict[str, str] = {
    "empty": "There is no code.",
    "too_long": "This is longer than any QR code.",
    "malformed": "This is no payment code, or a part of one.",
    "bad_crc": "The code was changed or misread: its checksum is another.",
    "not_allowed": "The code does not keep to its standard.",
}


class PaymentCodeRefused(HansaError):
    """The text is no payment code that may be used; ``reason`` says what kind of fault, ``problems`` where it is."""

    code: ClassVar[str] = "codes.payment_code_refused"
    status: ClassVar[int] = 422

    def __init__(self, reason: Reason, problems: Sequence[Problem] = ()) -> None:
        self.reason: Reason = reason
        super().__init__(_WORDS[reason], problems=tuple(problems))


@dataclass(frozen=True, slots=True)
class Field:
    """One tag and its value. inner: the fields of a template, as far as its value is made of such; else empty.

    at: the place of its tag in the text, from 0.
    """

    tag: str
    value: str
    inner: tuple["Field", ...] = ()
    at: int = 0

    def get(self, tag: str) -> str:
        """The value of a field inside; empty where there is none."""
        return next((one.value for one in self.inner if one.tag == tag), "")


def crc_of(text: str) -> str:
    """CRC-16/CCITT-FALSE of the text's UTF-8 as four upper-case hexadecimal digits (ISO/IEC 13239; MPM 1.1, 4.7.3)."""
    return f"{crc_hqx(text.encode(), 0xFFFF):04X}"


def split(text: str, unit: LengthUnit) -> tuple[Field, ...]:
    """The fields of a text, whole. Errors: ValueError with the place and what is wrong there."""
    return tuple(_split(text, unit))


def read_fields(text: str) -> tuple[tuple[Field, ...], LengthUnit]:
    """A code's fields, its checksum the last of them, templates not opened; and what its lengths count.

    Lengths are read as characters, and where that does not come out at the checksum, as bytes of UTF-8.
    Errors: PaymentCodeRefused.
    """
    if not text:
        raise PaymentCodeRefused("empty")
    if len(text) > LENGTH_MAX:
        raise PaymentCodeRefused("too_long", [Problem("code", f"{len(text)} characters", "Scan it again")])
    if HALF.search(text):
        raise PaymentCodeRefused("malformed", [Problem("code", "it holds half a character", "Scan it again")])
    faults: list[str] = []
    units: tuple[LengthUnit, ...] = ("characters",) if text.isascii() else ("characters", "bytes")
    for unit in units:
        try:
            fields = split(text, unit)
            _check_end(fields)
        except ValueError as fault:
            faults.append(str(fault))
            continue
        _check_crc(text, fields[-1])
        return fields, unit
    raise PaymentCodeRefused(
        "malformed", [Problem("code", faults[0], "Scan it again, or ask for another code")]
    )


def write(fields: Sequence[Field], unit: LengthUnit = "characters") -> str:
    """Fields as text, without a checksum. Errors: PaymentCodeRefused for a value that no length can tell."""
    return "".join(_written(one, unit) for one in fields)


def seal(text: str) -> str:
    """The text of a code with its checksum at the end."""
    return f"{text}{CRC_HEAD}{crc_of(text + CRC_HEAD)}"


def _written(field: Field, unit: LengthUnit) -> str:
    value = write(field.inner, unit) if field.inner else field.value
    size = len(value) if unit == "characters" else len(value.encode())
    if not 1 <= size <= 99:
        what = "it is empty" if not size else f"it takes {size} {unit}, more than 99"
        raise PaymentCodeRefused(
            "not_allowed", [Problem(field.tag, what, "Leave it out, or write it shorter")]
        )
    return f"{field.tag}{size:02}{value}"


def _split(text: str, unit: LengthUnit) -> Iterator[Field]:
    at = 0
    while at < len(text):
        head = text[at : at + 4]
        if len(head) < 4 or not (head.isascii() and head.isdigit()):
            raise ValueError(f"at character {at + 1} no tag and length stand: {head!r}")
        tag, size = head[:2], int(head[2:])
        end = at + 4 + (size if unit == "characters" else _in_characters(text[at + 4 :], size))
        if end > len(text):
            raise ValueError(f"field {tag} wants {size} {unit} and the text ends before")
        yield Field(tag, text[at + 4 : end], at=at)
        at = end


def _in_characters(text: str, size: int) -> int:
    """How many characters so many bytes are. Errors: ValueError where they end within one."""
    taken = text.encode()[:size]
    try:
        return len(taken.decode()) + (size - len(taken))
    except UnicodeDecodeError as error:
        raise ValueError("a length ends within a character") from error


def _check_end(fields: Sequence[Field]) -> None:
    last = fields[-1]
    if last.tag != CRC_TAG:
        raise ValueError(f"it ends with field {last.tag}, and not with the checksum, 63")
    if len(last.value) != 4:
        raise ValueError(f"field 63 is no checksum: {last.value!r}")


def _check_crc(text: str, crc: Field) -> None:
    wanted = crc_of(text[: crc.at + len(CRC_HEAD)])
    if crc.value.upper() != wanted:
        raise PaymentCodeRefused(
            "bad_crc", [Problem(CRC_TAG, f"it says {crc.value}, the text gives {wanted}", "Scan it again")]
        )
