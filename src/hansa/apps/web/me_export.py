"""All that is kept of a person as a zip: a JSON file for each kind, and a page to read without any program of ours."""

import io
import zipfile
from collections.abc import Mapping
from datetime import datetime
from typing import Any, cast

import msgspec

from hansa import identity
from hansa.apps.personal_data import Part
from hansa.apps.web.languages import Words
from hansa.apps.web.pages import TEMPLATES, worded
from hansa.kernel import Money

FORM = "hansa-personal-data-1"
LOOK = """:root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif; }
body { max-width: 72rem; margin: 0 auto; padding: 1.5rem; }
table { border-collapse: collapse; font-size: 0.9rem; }
th, td { padding: 0.35rem 0.7rem; border-bottom: 1px solid #8886; text-align: start; vertical-align: top; }
.scroll { overflow-x: auto; }
nav ul { columns: 16rem; }
.none { opacity: 0.7; }
"""


def archive(
    parts: list[tuple[Part, list[Any]]], account: identity.Account, say: Words, at: datetime
) -> bytes:
    """The zip: each kind as ``<name>.json``, a list of objects; ``index.html`` with all of them; ``about.json``."""
    plain = [(part, [_plain(row) for row in rows]) for part, rows in parts]
    about = {
        "form": FORM,
        "account_id": str(account.account_id),
        "made_at": at.isoformat(),
        "files": {f"{part.name}.json": {"title": part.title, "lines": len(rows)} for part, rows in plain},
    }
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as file:
        _write(file, "about.json", msgspec.json.format(msgspec.json.encode(about)), at)
        for part, rows in plain:
            _write(file, f"{part.name}.json", msgspec.json.format(msgspec.json.encode(rows)), at)
        _write(file, "index.html", _page(plain, account, say, at).encode(), at)
        _write(file, "look.css", LOOK.encode(), at)
    return out.getvalue()


def _write(file: zipfile.ZipFile, name: str, content: bytes, at: datetime) -> None:
    moment = (at.year, at.month, at.day, at.hour, at.minute, at.second)
    file.writestr(zipfile.ZipInfo(name, moment), content, zipfile.ZIP_DEFLATED)


def _page(
    plain: list[tuple[Part, list[dict[str, Any]]]], account: identity.Account, say: Words, at: datetime
) -> str:
    tables = [(part, say(part.title), _columns(rows), rows) for part, rows in plain]
    return TEMPLATES.get_template("wallet/me_export.html").render(
        say=say, account=account, at=at, tables=tables, cell=_cell, worded=worded
    )


def _columns(rows: list[dict[str, Any]]) -> list[str]:
    return list(dict.fromkeys(name for row in rows for name in row))


def _cell(value: Any) -> str:
    """A value as the page shows it: an amount with its currency, a list by its parts."""
    if value is None:
        return ""
    if isinstance(value, dict):
        fields = cast(Mapping[str, Any], value)
        if set(fields) == {"minor", "currency"}:
            return str(Money(fields["minor"], fields["currency"]))
        return "; ".join(f"{worded(name)}: {_cell(one)}" for name, one in fields.items() if one is not None)
    if isinstance(value, list):
        return ", ".join(_cell(one) for one in cast(list[Any], value))
    if isinstance(value, bool):
        return "✓" if value else "–"
    return str(value)


def _plain(row: Any) -> dict[str, Any]:
    """A line in the types of JSON. Bytes are written in hex, an enumeration by its value."""
    return msgspec.to_builtins(row, enc_hook=str, builtin_types=(), str_keys=True) | _hex(row)


def _hex(row: Any) -> dict[str, str]:
    names: tuple[str, ...] = getattr(row, "__slots__", ())
    return {name: getattr(row, name).hex() for name in names if isinstance(getattr(row, name), bytes)}
