"""Whose staff the console's page is for: its head leads a member's staff where they may go, and nowhere else.

Whoever finds out who looks says so for this request, and the page asks; both happen in one thread or task, whose
context ends with the request, so nobody sees another's head.
"""

from contextvars import ContextVar

_MEMBER: ContextVar[str | None] = ContextVar("own_desk", default=None)


def sit(member_id: str | None) -> None:
    """Pages of this request are for staff of this member; None is the league's."""
    _MEMBER.set(member_id)


def member() -> str | None:
    """The member whose staff look at this page; None for the league's."""
    return _MEMBER.get()
