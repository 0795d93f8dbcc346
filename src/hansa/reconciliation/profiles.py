"""How a member's own file is read and matched, as data: columns, amounts, times, rules in order. Pure.

A profile is a TOML text, read strictly: what is not known, is missing or does not fit is told by its name.
docs/reconciliation.md explains every field.
"""

import tomllib
from typing import Annotated, ClassVar, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from hansa.kernel import CURRENCY_EXPONENTS, HansaError, Problem

PROFILE_BYTES_MAX = 64 * 1024

Column = Annotated[str, msgspec.Meta(min_length=1, max_length=100)]


class BadProfile(HansaError):
    """This is not a profile of a member's file; nothing of it was taken."""

    code: ClassVar[str] = "reconciliation.bad_profile"
    status: ClassVar[int] = 422


class Columns(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the columns of a file are called."""

    id: Column
    amount: Column
    currency: Column
    time: Column


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One way in which rows of both sides belong together; rules are tried in the order in which they stand.

    by: ``id``: all rows of both sides with one id and currency, added up. ``amount``: one row and one row. ``sum``: one
    row and several of the other side, where exactly one set of them fits. tolerance_minor: by how much sums may differ;
    days: how far apart in time, in whole days of 24 hours; most: rows in a set. currencies: only these; none is all.
    """

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=60)]
    by: Literal["id", "amount", "sum"]
    tolerance_minor: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)] = 0
    days: Annotated[int, msgspec.Meta(ge=0, le=31)] = 3
    most: Annotated[int, msgspec.Meta(ge=2, le=5)] = 3
    currencies: tuple[str, ...] = ()


class FileProfile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A member's file.

    role: whose items the file lists, those that the member's operators earn, its issuers owe, or both. id_is: what
    its ids are, of ours. amounts: ``decimal`` with exactly the currency's digits, or whole ``minor`` units.
    above_zero: what an amount above zero means. tz: of times without an offset. time_format: as strptime has it; else
    ISO 8601.
    """

    member_id: Annotated[str, msgspec.Meta(min_length=1, max_length=60)]
    columns: Columns
    currencies: Annotated[tuple[str, ...], msgspec.Meta(min_length=1, max_length=50)]
    rules: Annotated[tuple[Rule, ...], msgspec.Meta(min_length=1, max_length=20)]
    form: Literal["csv", "parquet"] = "csv"
    delimiter: Annotated[str, msgspec.Meta(min_length=1, max_length=1)] = ","
    role: Literal["operator", "issuer", "both"] = "operator"
    id_is: Literal["transfer", "reference"] = "reference"
    amounts: Literal["decimal", "minor"] = "decimal"
    above_zero: Literal["received", "paid"] = "received"
    tz: Annotated[str, msgspec.Meta(max_length=60)] = ""
    time_format: Annotated[str, msgspec.Meta(max_length=40)] = ""


def read_profile(text: str) -> FileProfile:
    """A profile from its TOML. Errors: BadProfile, which names the field and the remedy."""
    if len(text.encode()) > PROFILE_BYTES_MAX:
        _refuse("profile", "longer than 64 KiB", "Leave out what is not a profile")
    try:
        profile = msgspec.convert(tomllib.loads(text), FileProfile)
    except tomllib.TOMLDecodeError as error:
        raise BadProfile(
            "This is no TOML.", problems=(Problem("profile", str(error), "Write it as TOML 1.0"),)
        ) from error
    except msgspec.ValidationError as error:
        what, _, where = str(error).partition(" - at ")
        raise BadProfile(
            "This is not a profile.",
            problems=(
                Problem(where or "profile", what, "Write it as docs/reconciliation.md, Profiles, says"),
            ),
        ) from error
    for where, units in (
        ("currencies", profile.currencies),
        *((f"rules, {rule.name}, currencies", rule.currencies) for rule in profile.rules),
    ):
        for unit in units:
            if unit not in CURRENCY_EXPONENTS:
                _refuse(where, f"{unit!r} is no currency", "Write a code of ISO 4217, such as CNY")
    names = [rule.name for rule in profile.rules]
    for name in names:
        if names.count(name) > 1 or name == BY_HAND:
            _refuse("rules", f"{name!r} is taken", "Give each rule a name of its own")
    if profile.tz:
        try:
            ZoneInfo(profile.tz)
        except (ZoneInfoNotFoundError, ValueError):
            _refuse("tz", f"{profile.tz!r} is not known", "Give an IANA name such as Asia/Shanghai")
    return profile


BY_HAND = "by hand"
"""What stands in place of a rule where two persons matched."""


def _refuse(where: str, what: str, remedy: str) -> None:
    raise BadProfile("This is not a profile.", problems=(Problem(where, what, remedy),))
