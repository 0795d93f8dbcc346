"""The error that is told to a caller: a fact, a stable code, the field and the remedy."""

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with what was handed in.

    where: what to look at, as the sender knows it: ``stops.csv line 7, field lat`` or ``taps[3].tapped_at``.
    what: what is wrong with it. remedy: what to do about it.
    """

    where: str
    what: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}. {self.remedy}"


class HansaError(Exception):
    """A failure we expect and tell the caller.

    ``code`` is what clients branch on and never changes; ``status`` is the HTTP status it becomes at the edge
    (RFC 9457 problem details). ``problems`` point at the fields at fault.
    """

    code: ClassVar[str] = "hansa.error"
    status: ClassVar[int] = 400

    def __init__(self, detail: str = "", *, problems: tuple[Problem, ...] = ()) -> None:
        self.detail = detail or (type(self).__doc__ or "").strip().split("\n")[0]
        self.problems = problems
        super().__init__(self.detail)

    def __str__(self) -> str:
        if not self.problems:
            return self.detail
        return "\n".join([self.detail, *(f"  {problem}" for problem in self.problems)])


class InvalidInput(HansaError):
    """What was handed in does not fit; nothing of it was taken."""

    code: ClassVar[str] = "hansa.invalid_input"
    status: ClassVar[int] = 422
