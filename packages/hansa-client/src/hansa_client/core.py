"""What every operation shares: a request that may be sent again, an answer that is read, a refusal that is raised."""

import random
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, ClassVar, TypeVar
from urllib.parse import quote
from uuid import uuid4

import httpx
import msgspec
from msgspec import UNSET

T = TypeVar("T")

AGAIN = frozenset({429, 502, 503, 504, 507})
"""Answers after which the same may be sent again: nothing was done, or the same ids make it harmless."""

NOTHING_DONE = frozenset({429, 503, 507})
"""Of these, the answers that say that nothing was done, whatever was sent."""


@dataclass(frozen=True, slots=True)
class Violation:
    """One field that does not fit: where, what is wrong, what to do. code: the kind of fault, empty if unknown."""

    param: str
    detail: str
    remedy: str
    code: str = ""


class HansaError(Exception):
    """A refusal. Branch on the class, or on ``code``.

    detail is for whoever writes the program, user_message for a person. next_action: one word for what to do.
    request_id: quote it when asking about this. retry_after_s: None where the server did not say.
    """

    code: ClassVar[str] = ""
    by_code: ClassVar[dict[str, type["HansaError"]]] = {}

    def __init__(
        self,
        detail: str,
        *,
        told_code: str = "",
        status: int = 0,
        violations: tuple[Violation, ...] = (),
        next_action: str = "",
        user_message: str = "",
        request_id: str = "",
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(f"{told_code or self.code}: {detail}" if told_code or self.code else detail)
        self.detail = detail
        self.told_code = told_code or self.code
        self.status = status
        self.violations = violations
        self.next_action = next_action
        self.user_message = user_message
        self.request_id = request_id
        self.retry_after_s = retry_after_s

    def __init_subclass__(cls) -> None:
        if cls.code:
            HansaError.by_code[cls.code] = cls


class NotSignedIn(HansaError):
    """401: the key is missing or not valid."""


class NotAllowed(HansaError):
    """403: the key does not hold the scope, or speaks for another member."""


class NotFound(HansaError):
    """404: there is no such thing, or it is not yours to see."""


class Conflict(HansaError):
    """409: it fits, and something stands in the way."""


class Invalid(HansaError):
    """400, 413, 415, 422: the request does not fit; ``violations`` names the fields."""


class TooManyRequests(HansaError):
    """429, after the retries."""


class Failed(HansaError):
    """5xx, after the retries."""


class Unreached(HansaError):
    """No answer came, after the retries. Whether the last request was carried out is not known: send the same again."""


KINDS: dict[int, type[HansaError]] = {
    400: Invalid,
    401: NotSignedIn,
    403: NotAllowed,
    404: NotFound,
    409: Conflict,
    413: Invalid,
    415: Invalid,
    422: Invalid,
    429: TooManyRequests,
}


def kind_of(status: int) -> type[HansaError]:
    """The class of a refusal that is known by its status alone."""
    return KINDS.get(status, Failed if status >= 500 else HansaError)


@dataclass(slots=True)
class Asking:
    """A connection to one Hansa, and how patient it is.

    http: whose base_url is Hansa's address. retries: how often the same is sent again. wait_s: before the first of
    them; each next waits twice as long, up to 30 s, a quarter more or less by chance. sleep: waits.
    """

    http: httpx.Client
    retries: int = 3
    wait_s: float = 0.2
    sleep: Callable[[float], None] = time.sleep

    def ask(
        self,
        method: str,
        path: str,
        *,
        parts: Mapping[str, Any],
        query: Mapping[str, Any],
        body: Mapping[str, Any] | None = None,
        content: bytes | None = None,
        media_type: str = "application/json",
        repeats: bool = False,
        takes_key: bool = False,
        idempotency_key: str | None = None,
    ) -> httpx.Response:
        """The answer to a request, sent again as often as is harmless. Errors: HansaError.

        repeats: sending it twice does nothing twice, since its ids are the caller's. takes_key: it asks for an
        Idempotency-Key, which is made here unless given, and is the same at each retry.
        """
        headers = {"accept": "application/json"}
        if takes_key or idempotency_key is not None:
            headers["idempotency-key"] = idempotency_key or str(uuid4())
        data = content
        if body is not None:
            data = msgspec.json.encode({name: one for name, one in body.items() if one is not UNSET})
        if data is not None:
            headers["content-type"] = media_type
        address = path.format_map({name: quote(_text(one), safe="") for name, one in parts.items()})
        asked = {name: _texts(one) for name, one in query.items() if one is not None}
        repeats = repeats or method in ("GET", "PUT", "DELETE") or "idempotency-key" in headers
        tried = 0
        while True:
            try:
                answer = self.http.request(method, address, params=asked, content=data, headers=headers)
            except httpx.TransportError as error:
                if tried >= self.retries or not (repeats or isinstance(error, httpx.ConnectError)):
                    raise Unreached(f"{method} {address}: {error or type(error).__name__}") from error
                self._wait(tried, None)
            else:
                if answer.is_success:
                    return answer
                again = answer.status_code in (AGAIN if repeats else NOTHING_DONE)
                refusal = refusal_of(answer)
                if tried >= self.retries or not (again or (refusal.next_action == "retry" and repeats)):
                    raise refusal
                self._wait(tried, refusal.retry_after_s)
            tried += 1

    def _wait(self, tried: int, told_s: float | None) -> None:
        wait_s = min(30.0, self.wait_s * 2**tried) * random.uniform(0.75, 1.25)
        self.sleep(max(wait_s, told_s or 0.0))


class Room:
    """The operations of one room. made by tools/make_client.py."""

    def __init__(self, asking: Asking) -> None:
        self._asking = asking


def read(answer: httpx.Response, kind: type[T]) -> T:
    """The answer's body as this type. Fields that it has beyond those are ignored: a newer server may tell more."""
    return msgspec.json.decode(answer.content, type=kind)


def pages(ask: Callable[[Any], Any], items: str) -> Iterator[Any]:
    """All items of all pages. ask: gives the page after this cursor, None for the first; items: its list's name."""
    after: Any = None
    while True:
        page = ask(after)
        found = getattr(page, items)
        yield from found
        if page.next is None or page.next == after or not found:
            return
        after = page.next


def refusal_of(answer: httpx.Response) -> HansaError:
    """The error that this answer tells."""
    try:
        told = msgspec.json.decode(answer.content, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError):
        told = {}
    code = str(told.get("code", ""))
    kind = HansaError.by_code.get(code) or kind_of(answer.status_code)
    wait = answer.headers.get("retry-after", "")
    return kind(
        str(told.get("detail") or answer.reason_phrase),
        told_code=code,
        status=answer.status_code,
        violations=tuple(
            Violation(one["param"], one["detail"], one["remedy"], one.get("code", ""))
            for one in told.get("violations", ())
        ),
        next_action=str(told.get("next_action", "")),
        user_message=str(told.get("user_message", "")),
        request_id=answer.headers.get("request-id", ""),
        retry_after_s=float(wait) if wait.isdigit() else None,
    )


def _texts(one: Any) -> list[str]:
    return [_text(each) for each in one] if isinstance(one, list | tuple) else [_text(one)]


def _text(one: Any) -> str:
    if isinstance(one, bool):
        return "true" if one else "false"
    if isinstance(one, datetime | date):
        return one.isoformat()
    return str(one)
