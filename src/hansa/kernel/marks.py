"""Pages of a list: what is shown, and where the next page begins.

A list that is ordered by time goes on from a mark, an instant and an id; its text is what a reader sends back. Whoever
lists asks for one more than a page holds, and ``paged`` tells from it whether there is more.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TypeVar
from uuid import UUID

from hansa.kernel.errors import InvalidInput, Problem
from hansa.kernel.instants import in_utc

Item = TypeVar("Item")
Next = TypeVar("Next")
Mark = tuple[datetime, UUID]
"""Where a list goes on: the instant and the id of the last one seen."""

YEARS = range(2000, 2200)
"""Of a mark's instant: what lies outside is none that a list gave."""


def mark_text(at: datetime, which: UUID) -> str:
    """A mark as text, 64 characters: ``2026-11-17T12:00:00.000000Z~`` and the id."""
    return f"{in_utc(at, where='at'):%Y-%m-%dT%H:%M:%S.%fZ}~{which}"


def read_mark(text: str, where: str = "after") -> Mark | None:
    """The mark of this text; None for an empty one, which is the first page.

    where: the field that has it, for the error. Errors: InvalidInput for what no list gave.
    """
    if not text:
        return None
    instant, _, which = text.partition("~")
    try:
        at, found = datetime.fromisoformat(instant), UUID(which)
    except ValueError as error:
        raise no_such_page(where) from error
    if at.tzinfo is None or at.year not in YEARS:
        raise no_such_page(where)
    return (in_utc(at), found)


def no_such_page(where: str = "after") -> InvalidInput:
    """The error for what is no place in a list."""
    problem = Problem(
        where, "is no place in the list", "Send the next of the page before, or go back to the first page"
    )
    return InvalidInput("There is no such page.", problems=(problem,))


def paged(
    found: Sequence[Item], limit: int, next_of: Callable[[Item], Next]
) -> tuple[Sequence[Item], Next | None]:
    """A page of what was found, and where the next one begins; None where there is none.

    found: in the list's order, one more than ``limit`` where there is more. next_of: what of the last one shown the
    list goes on from, as ``mark_text`` or an id.
    """
    page = found[:limit]
    return page, next_of(page[-1]) if len(found) > limit else None
