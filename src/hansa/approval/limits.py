"""Limits that an owner sets, and how they change: down at once, up after a wait. Pure."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from hansa.approval.model import Channel
from hansa.kernel import InvalidInput, Problem

Span = Literal["payment", "day", "month"]
SPANS: tuple[Span, ...] = ("payment", "day", "month")

MINOR_MAX = 1_000_000_000_000


@dataclass(frozen=True, slots=True)
class Limit:
    """What may be spent of a currency: by one payment, in a day, or in a month; altogether or in a part of it.

    scope: empty for all; ``channel:qr``; ``category:5411``. minor: None where there is no limit. next_minor, next_at:
    what it will be, and from when, while a raise waits; next_at None while none does.
    """

    currency: str
    scope: str
    span: Span
    minor: int | None
    next_minor: int | None
    next_at: datetime | None
    set_at: datetime

    def holds(self, at: datetime) -> int | None:
        """The limit at this instant, in minor units; None where there is none."""
        return self.next_minor if self.next_at is not None and self.next_at <= at else self.minor

    def lowered(self, at: datetime, recovered_at: datetime, percent: int) -> int | None:
        """The limit in the days after a recovery: a part of what it was then, or of a lower one that was set since.

        A raise that waited, perhaps asked for by who took the account, holds only when those days are over.
        """
        held = self.holds(min(at, recovered_at))
        return None if held is None else held * percent // 100

    def waits(self, at: datetime) -> bool:
        """Whether a raise is still on its way."""
        return self.next_at is not None and self.next_at > at


def is_raise(now: int | None, then: int | None) -> bool:
    """Whether more may be spent by ``then`` than by ``now``; None is no limit."""
    return now is not None and (then is None or then > now)


def changed(
    limit: Limit | None, blank: Limit, minor: int | None, *, at: datetime, raise_at: datetime
) -> Limit:
    """The limit once its owner says this. Lower, or first: at once, and a raise that waited is called off.

    blank: what to begin with where there is none. raise_at: from when a higher one holds.
    """
    now = blank.minor if limit is None else limit.holds(at)
    if is_raise(now, minor):
        return Limit(blank.currency, blank.scope, blank.span, now, minor, raise_at, at)
    return Limit(blank.currency, blank.scope, blank.span, minor, None, None, at)


def scopes_of(channel: str, category: str) -> tuple[str, ...]:
    """The parts that a payment belongs to."""
    return (f"channel:{channel}", f"category:{category}") if category else (f"channel:{channel}",)


def check_scope(scope: str, *, where: str = "scope") -> str:
    """The scope, if it is one. Errors: InvalidInput."""
    kind, _, name = scope.partition(":")
    good = scope == "" or (
        name in [one.value for one in Channel]
        if kind == "channel"
        else kind == "category" and len(name) == 4 and name.isascii() and name.isdigit()
    )
    if not good:
        remedy = "Leave it empty, or write channel:qr or category:5411"
        raise InvalidInput("This is no part of spending.", problems=(Problem(where, f"{scope!r}", remedy),))
    return scope
