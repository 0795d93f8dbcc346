"""The wire of FSPIOP: headers, content types with versions, amounts, ids. Pure.

Source: Open API for FSP Interoperability 1.1, sections 3.2 (HTTP headers), 3.3 (API versions), 7.2.13 (Amount).
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from email.utils import format_datetime
from typing import Any
from uuid import UUID

import msgspec

from hansa.apps.fspiop.errors import VERSIONS, Refused, unacceptable_version
from hansa.kernel import CURRENCY_EXPONENTS, Money

HUB = "Hub"
"""The hub's own name as source and destination."""

_KIND = re.compile(
    r"application/vnd\.interoperability\.([A-Za-z]+)\+json;\s*version=(\d+\.\d+|\d+)", re.ASCII
)
_ACCEPT = re.compile(
    r"application/vnd\.interoperability\.([A-Za-z]+)\+json(?:;\s*version=(\d+\.\d+|\d+))?", re.ASCII
)
_AMOUNT = re.compile(r"([0]|([1-9][0-9]{0,17}))([.][0-9]{0,3}[1-9])?")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,29}")

_ULID_DIGITS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_ULID = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}")

FORWARDED = ("content-type", "accept", "date", "traceparent", "tracestate")
"""Headers that go on to the other side, besides those that begin with ``fspiop-``."""


def headers_to_forward(headers: Mapping[str, str], *, with_accept: bool) -> dict[str, str]:
    """What of a request's headers goes on to whom it is for."""
    return {
        name: value
        for name, value in headers.items()
        if (name in FORWARDED or name.startswith("fspiop-")) and (with_accept or name != "accept")
    }


def content_type(resource: str, version: str = "1.1") -> str:
    """The type of a resource's messages."""
    return f"application/vnd.interoperability.{resource}+json;version={version}"


def version_of(headers: Mapping[str, str]) -> str:
    """The version that a message with these headers was written in; what answers it is written in the same."""
    found = _KIND.fullmatch(headers.get("content-type", "").split(";charset")[0].strip())
    if found is None or found[2] not in VERSIONS:
        return "1.1"
    return found[2]


def check_content_type(value: str | None, resource: str) -> str:
    """The version that a message is written in. Errors: Refused."""
    if value is None:
        raise Refused("3102", "Content-Type is required")
    found = _KIND.fullmatch(value.split(";charset")[0].strip())
    if found is None or found[1] != resource:
        raise Refused("3101", f"Invalid content-type header, send {content_type(resource)}")
    if not _is_served(found[2]):
        raise unacceptable_version("Client supplied a protocol version which is not supported by the server")
    return found[2]


def check_accept(value: str | None, resource: str) -> str:
    """The highest version that the caller takes and we serve. Errors: Refused."""
    if value is None:
        raise Refused("3102", "Accept is required")
    served: list[str] = []
    named = False
    for part in value.split(","):
        found = _ACCEPT.fullmatch(part.strip())
        if found is None or found[1] != resource:
            continue
        named = True
        wanted = found[2] or "1"
        if _is_served(wanted):
            served.append("1.1" if "." not in wanted else wanted)
    if not named:
        raise Refused("3101", f"Invalid accept header, send {content_type(resource)}")
    if not served:
        raise unacceptable_version(
            "The Client requested an unsupported version, see extension list for supported version(s)."
        )
    return max(served)


def check_name(value: str | None, header: str) -> str:
    """A participant's name. Errors: Refused."""
    if value is None:
        raise Refused("3102", f"{header} is required")
    if not _NAME.fullmatch(value):
        raise Refused("3101", f"invalid {header}, it is the name of a participant")
    return value


def check_id(value: str, field: str) -> UUID:
    """An id as FSPIOP has them, a UUID or a ULID, as 128 bits. Errors: Refused."""
    if _ULID.fullmatch(value):
        return UUID(
            int=sum(_ULID_DIGITS.index(digit) << (5 * place) for place, digit in enumerate(reversed(value)))
        )
    try:
        found = UUID(value)
    except ValueError:
        found = None
    if found is None or str(found) != value.lower():
        raise Refused("3100", f"{field} must match format uuid or ulid")
    return found


def read_amount(amount: str, currency: str) -> Money:
    """An amount in minor units. Errors: Refused for a currency that is none, or for less than its smallest unit."""
    exponent = CURRENCY_EXPONENTS.get(currency)
    if exponent is None:
        raise Refused("3101", f"{currency} is no active currency code of ISO 4217")
    if not _AMOUNT.fullmatch(amount):
        raise Refused("3101", "amount must match pattern ^([0]|([1-9][0-9]{0,17}))([.][0-9]{0,3}[1-9])?$")
    minor = Decimal(amount).scaleb(exponent)
    if minor != minor.to_integral_value():
        raise Refused("3101", f"amount has more than the {exponent} decimals of {currency}")
    return Money(int(minor), currency)


def read_amount_text(amount: str) -> None:
    """Look whether an amount is written as one; its currency may have fewer decimals. Errors: Refused."""
    if not _AMOUNT.fullmatch(amount):
        raise Refused("3101", "amount must match pattern ^([0]|([1-9][0-9]{0,17}))([.][0-9]{0,3}[1-9])?$")


def write_amount(minor: int, currency: str) -> str:
    """An amount as FSPIOP writes it: without needless zeros."""
    text = f"{Decimal(minor).scaleb(-CURRENCY_EXPONENTS[currency]):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def number(minor: int, currency: str) -> msgspec.Raw:
    """An amount as a JSON number, exact."""
    return msgspec.Raw(write_amount(minor, currency).encode())


def instant(text: str, field: str) -> datetime:
    """A time of day with its offset. Errors: Refused."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise Refused("3101", f"{field} must be a time as 2026-11-28T10:15:30.000Z")
    return found.astimezone(UTC)


def said(at: datetime) -> str:
    """A time as FSPIOP writes it, to the millisecond."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03}Z"


def http_date(at: datetime) -> str:
    """A time as HTTP writes it."""
    return format_datetime(at.astimezone(UTC), usegmt=True)


def dump(body: Any) -> bytes:
    """A body as JSON."""
    return msgspec.json.encode(body)


def _is_served(version: str) -> bool:
    return version in VERSIONS or version in ("1", "2")
