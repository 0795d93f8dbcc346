"""Where the next page of a list begins, as text in an address: an instant and an id, or a line's number."""

from datetime import datetime
from uuid import UUID

from hansa.kernel import InvalidInput, Problem, in_utc

Mark = tuple[datetime, UUID]


def mark_text(mark: Mark) -> str:
    """A mark for an address."""
    at, which = mark
    return f"{in_utc(at):%Y-%m-%dT%H:%M:%S.%fZ}~{which}"


def read_mark(text: str) -> Mark | None:
    """The mark of an address; None for the first page. Errors: InvalidInput."""
    if not text:
        return None
    instant, _, which = text.partition("~")
    try:
        at, found = datetime.fromisoformat(instant), UUID(which)
    except ValueError as error:
        raise _unfit() from error
    if at.tzinfo is None or not 2000 <= at.year < 2200:
        raise _unfit()
    return (at, found)


def read_line(text: str, *, lines: int) -> int:
    """The line, counted from 0, that comes after the address's one; 0 for the first page.

    lines: how many the list has. Errors: InvalidInput where none comes after.
    """
    if not text:
        return 0
    if not (text.isascii() and text.isdigit() and int(text) < lines - 1):
        raise _unfit()
    return int(text) + 1


def _unfit() -> InvalidInput:
    return InvalidInput(
        "There is no such page.",
        problems=(Problem("after", "is no place in the list", "Go back to the first page"),),
    )
