"""Where a page of a list ends, as text that a reader sends back: an instant and an id."""

from datetime import datetime
from uuid import UUID

from hansa.kernel import InvalidInput, Problem, in_utc
from hansa.payments.model import Mark


def read_mark(text: str) -> Mark:
    """The mark in this text. Errors: InvalidInput for what is none."""
    instant, _, last = text.partition("~")
    try:
        at = datetime.fromisoformat(instant)
        found = UUID(last)
    except ValueError as error:
        raise _unfit() from error
    if at.tzinfo is None or not 2000 <= at.year < 2200:
        raise _unfit()
    return (at, found)


def mark_text(mark: Mark) -> str:
    """The text of a mark."""
    at, last = mark
    return f"{in_utc(at, where='at'):%Y-%m-%dT%H:%M:%S.%fZ}~{last}"


def _unfit() -> InvalidInput:
    problem = Problem("after", "is not the next of a page", "Send it back as it came")
    return InvalidInput("after: is not the next of a page.", problems=(problem,))
