"""What browsers and finders of faults are told, and what browsers tell us: security.txt and reports of the policy."""

import logging
from datetime import timedelta
from typing import Any, ClassVar, cast

import msgspec
from litestar import Request, Response, get, post
from litestar.params import RawBody

from hansa.apps.web.security_headers import REPORTS
from hansa.apps.web.site import Here, Site
from hansa.kernel import HansaError
from hansa.store import Rate, refuse_too_often

logger = logging.getLogger("hansa.security")

REPORT_MAX = 16 * 1024
"""Bytes of a report; a browser's has one or two thousand."""

REPORTS_OF_ONE, REPORTS_OF_ALL = Rate(20, timedelta(minutes=1)), Rate(120, timedelta(minutes=1))
"""How many reports are heard, of one address and of all together: nobody fills our log."""

WORDS_MAX = 200
TOLD = (
    "effectiveDirective",
    "violatedDirective",
    "blockedURL",
    "documentURL",
    "sourceFile",
    "lineNumber",
    "sample",
)
"""What is kept of a report, of its many fields."""

CONTACT = "security-contact"
"""The file of the home folder that says where faults are told: a mail or web address a line, the best first."""

EXPIRES = timedelta(days=180)


class NoContact(HansaError):
    """This Hansa does not say where faults are to be told."""

    code: ClassVar[str] = "web.no_security_contact"
    status: ClassVar[int] = 404
    remedy: ClassVar[str] = (
        "Write the file security-contact in the home folder: one mailto: or https: address a line."
    )


@post(
    REPORTS, sync_to_thread=True, include_in_schema=False, status_code=204, request_max_body_size=REPORT_MAX
)
def hear_reports(request: Request[Any, Any, Any], site: Here, body: RawBody) -> None:
    """Keep what a browser says it did not let one of our pages do: it may be a fault of ours, or an attack.

    Takes both forms, ``application/reports+json`` and the older ``application/csp-report``, and passes over others.
    Errors: store.TooOften.
    """
    client = request.client.host if request.client is not None else ""
    refuse_too_often(site.ctx, f"reports/{client}", REPORTS_OF_ONE)
    refuse_too_often(site.ctx, "reports", REPORTS_OF_ALL)
    for told in read_reports(body):
        logger.warning("A browser refused: %s", msgspec.json.encode(told).decode())


def read_reports(body: bytes) -> list[dict[str, str | int]]:
    """The reports in a body, each cut down to a few short fields; none for a body that is no report. At most ten."""
    try:
        found = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return []
    reports = cast(list[Any], found if isinstance(found, list) else [found])
    told = [_told(one) for one in reports[:10]]
    return [one for one in told if one]


def _told(report: Any) -> dict[str, str | int]:
    if not isinstance(report, dict):
        return {}
    named = cast(dict[str, Any], report)
    fields = named.get("body", named.get("csp-report"))
    if not isinstance(fields, dict):
        return {}
    by_name = {_camel(str(name)): value for name, value in cast(dict[Any, Any], fields).items()}
    return {
        name: value[:WORDS_MAX] if isinstance(value, str) else value
        for name in TOLD
        if isinstance(value := by_name.get(name), str | int)
    }


def _camel(name: str) -> str:
    """``blocked-uri`` of the older form as ``blockedURL`` of the newer."""
    first, *more = name.split("-")
    return first + "".join("URL" if one in ("uri", "url") else one.title() for one in more)


@get("/.well-known/security.txt", sync_to_thread=True, include_in_schema=False, media_type="text/plain")
def show_contact(request: Request[Any, Any, Any], site: Here) -> Response[str]:
    """Where to tell of a fault. Source: RFC 9116. Errors: NoContact."""
    contacts = contacts_of(site)
    if not contacts:
        raise NoContact
    expires = (site.ctx.clock.now() + EXPIRES).replace(hour=0, minute=0, second=0, microsecond=0)
    here = site.origins.wallet or f"{request.url.scheme}://{request.url.netloc}"
    lines = [
        *(f"Contact: {contact}" for contact in contacts),
        f"Expires: {expires:%Y-%m-%dT%H:%M:%SZ}",
        "Preferred-Languages: en, zh, fr",
        f"Canonical: {here}/.well-known/security.txt",
    ]
    return Response("\n".join(lines) + "\n", headers={"cache-control": "max-age=86400"})


def contacts_of(site: Site) -> list[str]:
    """Where faults are told, the best way first; a demonstration says an address that leads nowhere."""
    file = site.home / CONTACT
    if file.exists():
        lines = (line.strip() for line in file.read_text(encoding="utf-8").splitlines())
        return [line for line in lines if line.startswith(("mailto:", "https:", "tel:")) and " " not in line]
    return ["mailto:security@hansa.example"] if site.demo else []


ROUTES = [hear_reports, show_contact]
