"""Links to the back office: what a gate hands in and fetches, and the one over HTTP."""

import http.client
import json
import ssl
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from threading import Lock
from typing import Any, ClassVar, Protocol, cast
from urllib.parse import urlsplit

from hansa.gate.model import Tap
from hansa.kernel import HansaError

ANSWER_MAX = 64 * 2**20
"""No answer is longer: a deny list of a million tokens has 9 MB."""


class LinkDown(HansaError):
    """The back office does not answer by this link now, or asks us to wait. retry_after_s: how long, None unsaid."""

    code: ClassVar[str] = "gate.link_down"
    status: ClassVar[int] = 503

    def __init__(self, detail: str = "", *, retry_after_s: float | None = None) -> None:
        super().__init__(detail)
        self.retry_after_s = retry_after_s


class BatchRefused(HansaError):
    """The back office does not take this batch as a whole: it is too large, or something in it has no right form."""

    code: ClassVar[str] = "gate.batch_refused"
    status: ClassVar[int] = 422


@dataclass(frozen=True, slots=True)
class HandedIn:
    """What became of a batch. refused: place in the batch, code, detail."""

    recorded: int
    duplicates: int
    refused: tuple[tuple[int, str, str], ...]


class Link(Protocol):
    """A way to hand in taps. Called from one thread; again with the same taps is harmless."""

    @property
    def name(self) -> str:
        """``http`` or ``mqtt``."""
        ...

    def hand_in(self, taps: Sequence[Tap]) -> HandedIn:
        """Hand in taps and wait for the receipt. Errors: LinkDown, BatchRefused."""
        ...


class HttpLink:
    """The league's HTTP, over one connection kept open. api_key: None fetches lists only."""

    name = "http"

    def __init__(
        self, url: str, api_key: str | None, *, ca_file: Path | None = None, timeout_s: float = 10.0
    ) -> None:
        parts = urlsplit(url)
        self._host, self._port, self._base = parts.hostname or "", parts.port, parts.path.rstrip("/")
        self._tls = ssl.create_default_context(cafile=ca_file) if parts.scheme == "https" else None
        self._api_key = api_key
        self._timeout_s = timeout_s
        self._connection: http.client.HTTPConnection | None = None
        self._lock = Lock()
        self._trust_list_tag: str | None = None

    def hand_in(self, taps: Sequence[Tap]) -> HandedIn:
        """``POST /v1/taps``. Errors: LinkDown, BatchRefused."""
        if self._api_key is None:
            raise LinkDown("There is no API key to hand in taps with.")
        return receipt_of(self._post("/v1/taps", {"taps": [tap.json() for tap in taps]}), len(taps))

    def tell_refusals(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """``POST /v1/refusals``. Errors: LinkDown, BatchRefused."""
        self._post("/v1/refusals", {"refusals": list(rows)})

    def tell_refused_codes(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """``POST /v1/refused-codes``. Errors: LinkDown, BatchRefused."""
        self._post("/v1/refused-codes", {"codes": list(rows)})

    def trust_list(self) -> bytes | None:
        """The signed trust list; None when it is still the one that was fetched last. Errors: LinkDown."""
        asked = {"if-none-match": self._trust_list_tag} if self._trust_list_tag else {}
        status, headers, body = self._request("GET", "/v1/trust-list", None, asked)
        if status == 304:
            return None
        if status != 200:
            raise _down(status, headers, body)
        self._trust_list_tag = headers.get("etag")
        return body

    def deny_update(self, since: int) -> bytes:
        """The signed deny list from this version on. Errors: LinkDown."""
        return self._get(f"/v1/deny-list.cose?since={since}")

    def clock(self) -> datetime:
        """The league's time. Errors: LinkDown."""
        try:
            said = datetime.fromisoformat(json.loads(self._get("/v1/clock"))["now"])
        except (ValueError, KeyError, TypeError) as error:
            raise LinkDown("The league's time cannot be read.") from error
        if said.tzinfo is None:
            raise LinkDown("The league's time names no offset.")
        return said.astimezone(UTC)

    def close(self) -> None:
        """Let the connection go; the next request makes another."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _get(self, path: str) -> bytes:
        status, headers, body = self._request("GET", path, None)
        if status != 200:
            raise _down(status, headers, body)
        return body

    def _post(self, path: str, body: object) -> bytes:
        content = json.dumps(body, separators=(",", ":")).encode()
        status, headers, answer = self._request("POST", path, content)
        if status in (400, 413, 422):
            raise BatchRefused(f"HTTP {status}: {_told(answer)}")
        if status != 200:
            raise _down(status, headers, answer)
        return answer

    def _request(
        self, method: str, path: str, content: bytes | None, more: Mapping[str, str] | None = None
    ) -> tuple[int, http.client.HTTPMessage, bytes]:
        """One request. A kept connection that turns out closed is made anew once; repeats are harmless."""
        headers = {"accept-encoding": "identity", **(more or {})}
        if self._api_key is not None:
            headers["authorization"] = f"Bearer {self._api_key}"
        if content is not None:
            headers["content-type"] = "application/json"
        with self._lock:
            was_open = self._connection is not None
            for is_last in (False, True) if was_open else (True,):
                try:
                    if self._connection is None:
                        self._connection = self._connect()
                    self._connection.request(method, self._base + path, body=content, headers=headers)
                    answer = self._connection.getresponse()
                    body = answer.read(ANSWER_MAX + 1)
                    if len(body) > ANSWER_MAX:
                        raise http.client.HTTPException("the answer is too long")
                except (OSError, http.client.HTTPException) as error:
                    self.close()
                    if is_last or isinstance(error, TimeoutError):
                        raise LinkDown(
                            f"{method} {path.partition('?')[0]}: {error or type(error).__name__}"
                        ) from error
                else:
                    if answer.will_close:
                        self.close()
                    return answer.status, answer.headers, body
        raise AssertionError("the last attempt returns or raises")

    def _connect(self) -> http.client.HTTPConnection:
        if self._tls is not None:
            return http.client.HTTPSConnection(
                self._host, self._port, timeout=self._timeout_s, context=self._tls
            )
        return http.client.HTTPConnection(self._host, self._port, timeout=self._timeout_s)


def receipt_of(answer: bytes, count: int) -> HandedIn:
    """The receipt of a batch of so many taps. Errors: LinkDown for one that does not add up: nothing is let go then."""
    try:
        told = json.loads(answer)
        refused = tuple((one["index"], one["code"], one["detail"]) for one in told["refused"])
        receipt = HandedIn(told["recorded"], told["duplicates"], refused)
        places = {index for index, _, _ in refused}
        adds_up = (
            receipt.recorded + receipt.duplicates + len(refused) == count
            and len(places) == len(refused)
            and all(0 <= place < count for place in places)
        )
    except (ValueError, KeyError, TypeError) as error:
        raise LinkDown("The receipt cannot be read.") from error
    if not adds_up:
        raise LinkDown(f"The receipt does not add up to the {count} taps of the batch.")
    return receipt


def _down(status: int, headers: http.client.HTTPMessage, body: bytes) -> LinkDown:
    return LinkDown(f"HTTP {status}: {_told(body)}", retry_after_s=_retry_after_s(headers.get("retry-after")))


def _told(body: bytes) -> str:
    with suppress(ValueError):
        problem = json.loads(body)
        if isinstance(problem, dict):
            fields = cast(dict[str, object], problem)
            return f"{fields.get('code', '')} {fields.get('detail', '')}".strip()[:300]
    return body[:100].decode("utf-8", "replace")


def _retry_after_s(value: str | None) -> float | None:
    """Seconds of a Retry-After header: a number, or a date (RFC 9110 section 10.2.3)."""
    if value is None:
        return None
    if value.strip().isdigit():
        return float(value)
    try:
        at = parsedate_to_datetime(value)
    except ValueError:
        return None
    return max(0.0, (at.astimezone(UTC) - datetime.now(UTC)).total_seconds())
