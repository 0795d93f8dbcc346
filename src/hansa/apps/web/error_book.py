"""All errors that Hansa tells, each with what it means, what to do, and which operations answer it."""

import importlib
import pkgutil
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus

import hansa
from hansa.apps.command import PARTS
from hansa.apps.web.interface import room_routes
from hansa.apps.web.remedies import NEXT_ACTIONS, meaning_of, next_action_of, remedy_of, user_message_of
from hansa.apps.web.violations import Violation
from hansa.kernel import HansaError

NOT_HERE = ("hansa.gate.agent", "hansa.gate.conformance", "hansa.services")
"""Modules of programs that speak to no caller over HTTP, or that are not there yet."""


@dataclass(frozen=True, slots=True)
class Answering:
    """An operation that answers with an error."""

    verb: str
    path: str
    operation_id: str


@dataclass(frozen=True, slots=True)
class ErrorPage:
    """What the page of a code says. operations: those that state it; every operation may fail as `web.*` does."""

    code: str
    status: int
    phrase: str
    meaning: str
    remedy: str
    next_action: str
    next_action_says: str
    user_message: str
    operations: tuple[Answering, ...]

    @property
    def room(self) -> str:
        """The first word of the code: who tells it."""
        return self.code.partition(".")[0]

    def example(self, base_url: str) -> dict[str, object]:
        """The answer as a caller gets it, with made-up words where it names a field. base_url: ends with no slash."""
        told: dict[str, object] = {
            "type": f"{base_url}/errors/{self.code}",
            "title": self.meaning,
            "status": self.status,
            "detail": self.meaning,
            "code": self.code,
            "instance": "urn:uuid:019d7fb8-8f00-7a51-9a7f-6a3c1f0e5b77",
            "next_action": self.next_action,
            "user_message": self.user_message,
            "param": None,
            "violations": [],
        }
        if self.status == 422:
            fault = Violation(
                "amount.minor", "it is below 1", "Send a whole number from 1 to 1,000,000,000,000", "range"
            )
            told |= {
                "param": fault.param,
                "violations": [
                    {"param": fault.param, "detail": fault.detail, "remedy": fault.remedy, "code": fault.code}
                ],
            }
        return told


def import_all() -> None:
    """Import every module that may tell an error, so that ``every_error`` misses none. It takes seconds: for tests."""
    for module in pkgutil.walk_packages(hansa.__path__, "hansa."):
        if not module.name.endswith("__main__") and not module.name.startswith(NOT_HERE):
            importlib.import_module(module.name)


def every_error() -> list[type[HansaError]]:
    """Every class of error of Hansa that this process knows and that is its own kind, by code."""
    found = {one for one in _below(HansaError) if one.__module__.startswith("hansa.") and "code" in vars(one)}
    return sorted(found, key=lambda one: (one.code, one.__module__))


@cache
def error_pages() -> dict[str, ErrorPage]:
    """The pages by code, in order; also of what the commands tell that this process has not run."""
    for part in PARTS.values():
        part.imported()
    told: dict[str, list[Answering]] = {}
    for handler in room_routes():
        for error in dict.fromkeys(handler.opt.get("refuses", ())):
            for path in sorted(handler.paths):
                for verb in sorted(handler.http_methods):
                    one = Answering(str(verb), _plain(path), str(handler.operation_id))
                    told.setdefault(error.code, []).append(one)
    return {error.code: _page(error, tuple(told.get(error.code, ()))) for error in every_error()}


def _page(error: type[HansaError], operations: tuple[Answering, ...]) -> ErrorPage:
    next_action = next_action_of(error)
    return ErrorPage(
        code=error.code,
        status=error.status,
        phrase=HTTPStatus(error.status).phrase,
        meaning=(meaning_of(error) or [error.code])[0],
        remedy=remedy_of(error),
        next_action=next_action,
        next_action_says=NEXT_ACTIONS.get(next_action, ""),
        user_message=user_message_of(error),
        operations=operations,
    )


def _below(error: type[HansaError]) -> Iterator[type[HansaError]]:
    for one in error.__subclasses__():
        yield one
        yield from _below(one)


def _plain(path: str) -> str:
    """A route's path as OpenAPI writes it, without the kinds of its parts."""
    parts = [
        "{" + part[1:-1].partition(":")[0] + "}" if part.startswith("{") else part for part in path.split("/")
    ]
    return "/".join(parts)
