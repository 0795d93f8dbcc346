"""Codes that a payer shows and a merchant scans (EMVCo QRCPS Consumer-Presented Mode 1.1): BER-TLV in base64."""

import binascii
from base64 import b64decode, b64encode
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from hansa.codes.emvco.fields import LENGTH_MAX, PaymentCodeRefused
from hansa.kernel import Problem

INDICATOR = "85"
PAYLOAD = b"CPV01"
"""The payload format indicator's value (CPM 1.1, table 2.1)."""
APPLICATION, COMMON = "61", "62"
_TEMPLATES = frozenset((APPLICATION, COMMON))
DEPTH_MAX = 4


@dataclass(frozen=True, slots=True)
class DataObject:
    """A data object. tag: hexadecimal. value: its bytes. inner: those inside it, for a template that is opened."""

    tag: str
    value: bytes
    inner: tuple["DataObject", ...] = ()

    def get(self, tag: str) -> bytes:
        """The value of an object inside, first found; empty where there is none."""
        return next((one.value for one in self.inner if one.tag == tag), b"")


@dataclass(frozen=True, slots=True)
class ConsumerCode:
    """A consumer-presented code, read. objects: as they stand, the format indicator first."""

    objects: tuple[DataObject, ...]

    @property
    def applications(self) -> tuple[DataObject, ...]:
        """The payment applications it offers, the payer's preferred one first (61)."""
        return tuple(one for one in self.objects if one.tag == APPLICATION)

    def application_id(self) -> bytes:
        """ADF name of the first application (4F); empty where there is none."""
        return next((one.get("4F") for one in self.applications), b"")

    def pan(self) -> str:
        """The first application's account number (5A, or 57 up to its D) in digits; empty where there is none."""
        for one in self.applications:
            number = one.get("5A") or one.get("57")
            if number:
                return number.hex().upper().partition("D")[0].rstrip("F")
        return ""


def read_consumer_code(text: str) -> ConsumerCode:
    """What a scanned consumer-presented code says. Errors: PaymentCodeRefused."""
    text = text.strip("\r\n\t ")
    if not text:
        raise PaymentCodeRefused("empty")
    if len(text) > LENGTH_MAX:
        raise PaymentCodeRefused("too_long", [Problem("code", f"{len(text)} characters", "Scan it again")])
    try:
        data = b64decode(text, validate=True)
        objects = tuple(_objects(data, opened=_TEMPLATES))
        if not objects or objects[0].tag != INDICATOR or objects[0].value != PAYLOAD:
            raise ValueError("it does not begin with CPV01")
        if not any(one.tag == APPLICATION and one.get("4F") for one in objects):
            raise ValueError("it offers no application (61 with 4F)")
    except (ValueError, binascii.Error) as fault:
        remedy = "Show the code again, or another means of payment"
        raise PaymentCodeRefused("malformed", [Problem("code", str(fault), remedy)]) from fault
    return ConsumerCode(objects)


def make_consumer_code(applications: Sequence[Sequence[tuple[str, bytes]]]) -> str:
    """A code that offers these applications: of each its objects by tag, ``4F`` first (CPM 1.1, table 2.3).

    Errors: PaymentCodeRefused where it would not be read again.
    """
    body = _object(INDICATOR, PAYLOAD)
    for objects in applications:
        body += _object(APPLICATION, b"".join(_object(tag, value) for tag, value in objects))
    text = b64encode(body).decode()
    read_consumer_code(text)
    return text


def _object(tag: str, value: bytes) -> bytes:
    size = len(value)
    length = bytes((size,)) if size < 0x80 else bytes((0x81, size)) if size < 0x100 else None
    if length is None:
        raise PaymentCodeRefused("not_allowed", [Problem(tag, f"it takes {size} bytes", "Write at most 255")])
    return bytes.fromhex(tag) + length + value


def _objects(data: bytes, *, opened: frozenset[str], depth: int = 0) -> Iterator[DataObject]:
    """BER-TLV with tags of one or two bytes and definite lengths (ISO/IEC 8825-1). Errors: ValueError."""
    at = 0
    while at < len(data):
        tag, at = _tag(data, at)
        size, at = _length(data, at, tag)
        value = data[at : at + size]
        if len(value) < size:
            raise ValueError(f"object {tag} wants {size} bytes and {len(value)} are there")
        at += size
        inner = (
            tuple(_objects(value, opened=opened, depth=depth + 1))
            if tag in opened and depth < DEPTH_MAX
            else ()
        )
        yield DataObject(tag, value, inner)


def _tag(data: bytes, at: int) -> tuple[str, int]:
    end = at + 1
    if data[at] & 0x1F == 0x1F:
        end += 1
        if end > len(data) or data[end - 1] & 0x80:
            raise ValueError(f"at byte {at + 1} no tag of one or two bytes stands")
    return data[at:end].hex().upper(), end


def _length(data: bytes, at: int, tag: str) -> tuple[int, int]:
    if at >= len(data):
        raise ValueError(f"object {tag} has no length")
    first = data[at]
    if first < 0x80:
        return first, at + 1
    count = first & 0x7F
    if count not in (1, 2) or at + 1 + count > len(data):
        raise ValueError(f"object {tag} has no definite length of up to two bytes")
    return int.from_bytes(data[at + 1 : at + 1 + count]), at + 1 + count
