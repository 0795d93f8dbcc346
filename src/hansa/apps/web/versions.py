"""Dated versions of the interface: a key goes on with the one it was made for, whatever changes later.

Rooms know the newest version alone. A change that older programs would notice is a `Change` here: it turns an older
request into today's, and today's answer into the older one. A request of an old key passes through all changes since.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, ClassVar, cast
from urllib.parse import parse_qsl, urlencode

from hansa.kernel import HansaError, InvalidInput, Problem
from hansa.trust import API_VERSIONS

HEADER = "hansa-version"
NEWEST = API_VERSIONS[-1]
PROBLEM_TYPES = "https://hansa.invalid/problems/"

Json = dict[str, Any]


class UnknownVersion(HansaError):
    """The header Hansa-Version names no version of this interface. Send one of /developers/versions, or none."""

    code: ClassVar[str] = "web.unknown_version"
    status: ClassVar[int] = 400
    next_action: ClassVar[str] = "fix_request"


@dataclass(frozen=True, slots=True)
class Change:
    """What became other in a version.

    since: the version. title, says: for the page of versions. paths: the addresses that it concerns. query: names of
    queries, today's by the older one. answer: makes the older answer of today's, given its status; None where it stays.
    """

    since: date
    title: str
    says: str
    paths: re.Pattern[str]
    query: Mapping[str, str]
    answer: Callable[[int, Any], Any] | None = None


def _older_problem(status: int, told: Any) -> Any:
    """A problem as it was told before 2026-11-28."""
    if status < 400 or not isinstance(told, dict) or "violations" not in told:
        return told
    new = cast(Json, told)
    old = {name: new[name] for name in ("title", "status", "detail", "code", "instance")}
    faults = cast(list[Json], new["violations"])
    return {
        "type": PROBLEM_TYPES + str(new["code"]),
        **old,
        "problems": [
            {"where": one["param"], "what": one["detail"], "remedy": one["remedy"]} for one in faults
        ],
    }


def _older_proofs(status: int, told: Any) -> Any:
    """Proofs of days as a bare list, as before 2026-11-28."""
    return cast(Json, told)["proofs"] if status == 200 and isinstance(told, dict) else told


CHANGES: tuple[Change, ...] = (
    Change(
        since=date(2026, 11, 28),
        title="Problems name their fields as `violations`",
        says=(
            "`problems` with `where`, `what` and `remedy` became `violations` with `param`, `detail`, `remedy` and, "
            "where the kind of fault is known, `code`. `type` leads to the page of the code. New beside them: `param`, "
            "`next_action`, `user_message`."
        ),
        paths=re.compile(r"/v1/"),
        query={},
        answer=_older_problem,
    ),
    Change(
        since=date(2026, 11, 28),
        title="Every list goes on with `after`",
        says=(
            "Cleared days, windows, invoices and proofs of days took `before`, deliveries took `until`; all take "
            "`after`, with the `next` of the page before."
        ),
        paths=re.compile(
            r"/v1/(clearing/(days|windows)|reports/invoices|reconciliation/days|webhook_endpoints/[^/]+/deliveries)$"
        ),
        query={"before": "after", "until": "after"},
    ),
    Change(
        since=date(2026, 11, 28),
        title="Proofs of days come by the page",
        says="`GET /v1/reconciliation/days` answered a bare list; now `proofs` and `next`, like every other list.",
        paths=re.compile(r"/v1/reconciliation/days$"),
        query={},
        answer=_older_proofs,
    ),
)
"""Oldest first."""


def read_version(text: str) -> date:
    """The version that a header names. Errors: UnknownVersion."""
    try:
        version = date.fromisoformat(text.strip())
    except ValueError:
        version = None
    if version not in API_VERSIONS:
        told = ", ".join(str(one) for one in API_VERSIONS)
        raise UnknownVersion(
            f"There is no version {text[:40]!r} of this interface.",
            problems=(Problem("Hansa-Version", "it is no version", f"Choose from {told}"),),
        )
    assert version is not None, "None is no version"
    return version


def changes_since(version: date, path: str) -> list[Change]:
    """The changes that lie between this version and the newest, for this address, oldest first."""
    if version >= NEWEST:
        return []
    return [one for one in CHANGES if one.since > version and one.paths.match(path)]


def todays_query(query: bytes, changes: Sequence[Change]) -> bytes:
    """An older request's query as it is written today. Errors: InvalidInput for one that names a thing both ways."""
    renamed = {old: new for one in changes for old, new in one.query.items()}
    asked = parse_qsl(query.decode("latin-1"), keep_blank_values=True)
    names = {name for name, _ in asked}
    if not names & renamed.keys():
        return query
    for old in sorted(names & renamed.keys()):
        if renamed[old] in names:
            problem = Problem(old, f"it stands beside {renamed[old]}", "Send one of them")
            raise InvalidInput("The request says one thing twice.", problems=(problem,))
    return urlencode([(renamed.get(name, name), value) for name, value in asked]).encode()


def older_answer(status: int, body: bytes, changes: Sequence[Change]) -> bytes:
    """Today's answer, a JSON text, as the older version told it."""
    told = json.loads(body)
    for change in reversed(changes):
        if change.answer is not None:
            told = change.answer(status, told)
    return json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode()
