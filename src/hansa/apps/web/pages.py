"""Pages: Jinja2 templates with everything escaped, and the few words and figures they share."""

import re
from datetime import UTC, date, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from jinja2.ext import Extension
from litestar import MediaType, Response

from hansa.apps.web import bell, own_desk
from hansa.apps.web.languages import ENGLISH
from hansa.kernel import Money

HERE = Path(__file__).resolve().parent
STATIC = HERE / "static"

CLASS_NAMES = {"adult": "Adult", "child": "Child", "senior": "Senior", "student": "Student"}


def page(template: str, /, *, status_code: int = 200, **values: Any) -> Response[str]:
    """A page made from this template. What a template asks for and is not given is a bug, not an empty string."""
    return Response(
        TEMPLATES.get_template(template).render(**{"here": "", "account": None, "say": ENGLISH, **values}),
        status_code=status_code,
        media_type=MediaType.HTML,
        headers={"cache-control": "no-store"},
    )


def in_zone(instant: datetime | None, zone: str = "UTC", form: str = "%H:%M") -> str:
    """An instant as a clock on the wall of that zone shows it."""
    return "" if instant is None else instant.astimezone(ZoneInfo(zone)).strftime(form)


def as_rfc3339(instant: datetime) -> str:
    """An instant for machines: ``2026-11-17T12:00:00.123Z``."""
    return instant.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def as_day(day: date) -> str:
    """A day for people: ``Tue 17 Nov 2026``."""
    return f"{day:%a} {day.day} {day:%b} {day.year}"


def as_money(minor: int, currency: str) -> Money:
    """Minor units and a currency as an amount a template can show."""
    return Money(minor, currency)


def grouped(number: int) -> str:
    """A count people can read: ``12,345``."""
    return f"{number:,}"


def shown(value: object) -> object:
    """A value as a page prints it: an amount below zero has a real minus sign."""
    return str(value).replace("-", "−") if isinstance(value, Money) else value


def worded(name: str) -> str:
    """A stable name as words: ``bad_token_signature`` is ``bad token signature``."""
    return name.replace("_", " ").replace("-", " ")


def static_version() -> str:
    """Changes whenever a file under static/ does: the browser then takes the new one."""
    digest = sha256((HERE / "script_packs.py").read_bytes())
    for path in sorted(STATIC.rglob("*")):
        if path.is_file():
            digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


VERSION = static_version()
"""Of the files under static/, as this process began."""

_UNVERSIONED = re.compile(r'"/static/([^"?]+)(?:\?v=\{\{ version \}\})?"')


class Versioned(Extension):
    """Templates that name a file of ours get it under its version, which browsers keep (``static_files``)."""

    def preprocess(self, source: str, name: str | None, filename: str | None = None) -> str:  # noqa: ARG002
        return _UNVERSIONED.sub(rf'"/static/{VERSION}/\1"', source)


def static_address(name: str) -> str:
    """Where browsers find a file of ours: ``static_address("icon.svg")`` is ``/static/1f0c…/icon.svg``."""
    return f"/static/{VERSION}/{name}"


def _environment() -> Environment:
    environment = Environment(
        extensions=[Versioned],
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(zone=in_zone, rfc3339=as_rfc3339, day=as_day, grouped=grouped, worded=worded)
    shared: dict[str, Any] = {
        "money": as_money,
        "class_names": CLASS_NAMES,
        "version": VERSION,
        "unread_notices": bell.unread,
        "own_member": own_desk.member,
    }
    environment.globals.update(**shared)
    return environment


TEMPLATES = _environment()
