"""How long it has been waiting: money that no bank has moved, breaks, open disputes, by days."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from hansa import clearing, disputes, settlement
from hansa.store import Tx

AGES: tuple[tuple[str, int | None], ...] = (
    ("0–1", 1),
    ("2–3", 3),
    ("4–7", 7),
    ("8–30", 30),
    ("over 30", None),
)
"""Ranges of whole days that something has waited, each with its last day."""

OPEN_MAX = 10_000
"""How much of a kind is looked at; more than this and somebody has other worries than its age."""

_PAGE = 500
_WINDOWS_BACK = timedelta(days=120)

Kind = Literal["unsettled", "break", "dispute"]

KINDS: tuple[Kind, ...] = ("unsettled", "break", "dispute")


@dataclass(frozen=True, slots=True)
class Open:
    """One thing that waits. ref: a window's id, a break's statement and entry, a dispute's id; minor: if known.

    words: as a file and the interface have it. window: whose money it is, where no bank has moved it.
    """

    kind: Kind
    ref: str
    words: str
    currency: str
    minor: int | None
    since: datetime
    days: int
    window: clearing.Window | None = None

    @property
    def age(self) -> str:
        """The range it falls in."""
        return next(name for name, last in AGES if last is None or self.days <= last)


@dataclass(frozen=True, slots=True)
class Aged:
    """What waits of one kind, currency and age."""

    kind: Kind
    currency: str
    age: str
    count: int
    minor: int


def list_open(tx: Tx, now: datetime, *, member_id: str | None = None) -> list[Open]:
    """All that waits, longest first; of one member where named, to which breaks do not belong."""
    found = [*_unsettled(tx, now, member_id), *_disputes(tx, now, member_id)]
    if member_id is None:
        found += _breaks(tx, now)
    return sorted(found, key=lambda one: (one.since, one.kind, one.ref))


def aged(opens: Iterable[Open]) -> list[Aged]:
    """What waits, added up by kind, currency and age; only what there is."""
    sums: dict[tuple[Kind, str, str], tuple[int, int]] = {}
    for one in opens:
        key = one.kind, one.currency, one.age
        count, minor = sums.get(key, (0, 0))
        sums[key] = count + 1, minor + abs(one.minor or 0)
    ages = [name for name, _ in AGES]
    return [
        Aged(*key, *sums[key])
        for key in sorted(sums, key=lambda key: (KINDS.index(key[0]), key[1], ages.index(key[2])))
    ]


def _unsettled(tx: Tx, now: datetime, member_id: str | None) -> Iterator[Open]:
    """Nets of closed windows whose money has not all moved, or a member's own among them."""
    for window in clearing.list_windows(tx, limit=OPEN_MAX):
        if now - window.ends_at > _WINDOWS_BACK and not window.totals:
            continue
        for total in window.totals:
            if window.closed_at is None or total.settled_at is not None or not total.to_pay.minor:
                continue
            minor: int | None = total.to_pay.minor
            if member_id is not None:
                minor = next(
                    (
                        one.net
                        for one in clearing.window_nets(tx, window.window_id)
                        if one.member_id == member_id and one.currency == total.currency
                    ),
                    0,
                )
                if not minor:
                    continue
            yield Open(
                "unsettled",
                window.window_id,
                window.label,
                total.currency,
                minor,
                window.ends_at,
                _days(now, window.ends_at),
                window,
            )


def _breaks(tx: Tx, now: datetime) -> Iterator[Open]:
    after = ("", 0)
    for _ in range(OPEN_MAX // _PAGE):
        page = settlement.open_breaks(tx, after=after, limit=_PAGE)
        for one in page:
            minor = one.found_minor if one.expected_minor is None else one.expected_minor
            yield Open(
                "break",
                f"{one.statement_id}~{one.entry}",
                f"{one.kind.value.replace('_', ' ')}: {one.detail}",
                one.currency,
                minor,
                one.found_at,
                _days(now, one.found_at),
            )
        if len(page) < _PAGE:
            return
        after = page[-1].statement_id, page[-1].entry


def _disputes(tx: Tx, now: datetime, member_id: str | None) -> Iterator[Open]:
    before = None
    for _ in range(OPEN_MAX // _PAGE):
        page: Sequence[disputes.Case] = disputes.list_disputes(
            tx, member=member_id, before=before, limit=_PAGE
        )
        for one in page:
            if one.state not in disputes.FINAL:
                yield Open(
                    "dispute",
                    str(one.dispute_id),
                    f"{one.kind.value}, {one.reason.replace('_', ' ')}: {one.state.value}",
                    one.currency,
                    one.claim_minor,
                    one.raised_at,
                    _days(now, one.raised_at),
                )
        if len(page) < _PAGE:
            return
        before = page[-1].raised_at, page[-1].dispute_id


def _days(now: datetime, since: datetime) -> int:
    return max(0, (now - since) // timedelta(days=1))
