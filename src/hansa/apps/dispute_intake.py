"""Requests about disputes that are taken where the league cannot be reached, kept as files, and sent when it can.

A counter takes a request in steps that survive a kill anywhere: it is checked, written to the disk under its own id and
sealed with the counter's key, and only then told to be taken. Sending is another step, done again until there is an
answer; the id makes that harmless. ``waiting/`` holds what was not answered, ``sent/`` and ``refused/`` the answers.
"""

import fcntl
import hmac
import http.client
import json
import os
import ssl
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol, cast
from urllib.parse import urlsplit
from uuid import UUID

import msgspec

from hansa.disputes import Action
from hansa.disputes.routes import ActionRequest, DisputeRequest, RefundRequest
from hansa.kernel import Clock, HansaError, InvalidInput, Problem

WAITING, SENT, REFUSED = "waiting", "sent", "refused"
ANSWER_MAX = 4 * 1024 * 1024
TIMEOUT_S = 20.0
LINE_MAX = 64 * 1024
AT_HOME = ("127.0.0.1", "localhost", "::1")
LATER = frozenset({401, 403, 408, 425, 429, 503})
"""Answers that say nothing about the request, and that the next request would get too."""

Step = Callable[[str], None]
"""Told the name of each step once it is durable; where a test pulls the plug."""


class Unreached(HansaError):
    """The league gave no answer. Whether it has the request is not known; it is sent again, the same."""

    code: ClassVar[str] = "disputes.unreached"
    status: ClassVar[int] = 503


class KeptOtherwise(HansaError):
    """This id was taken with other content; another request needs an id of its own."""

    code: ClassVar[str] = "disputes.kept_otherwise"
    status: ClassVar[int] = 409


class Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One request as a counter hands it in: exactly one of the three. action: with the dispute that it is about."""

    refund: RefundRequest | None = None
    dispute: DisputeRequest | None = None
    action: "ActionLine | None" = None


class ActionLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An action, and the dispute that it is about. Fields as ``ActionRequest`` has them."""

    dispute_id: UUID
    action_id: UUID
    action: Action
    words: str
    amount: int | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """A request that can be sent. request_id: its caller's id for it. path, body: as HTTP takes it."""

    request_id: UUID
    path: str
    body: Mapping[str, Any]


Outcome = Literal["sent", "refused", "waiting"]


@dataclass(frozen=True, slots=True)
class Told:
    """What became of a request when it was sent."""

    request_id: UUID
    outcome: Outcome
    words: str


class Door(Protocol):
    """How a request reaches the league."""

    def post(self, path: str, body: bytes) -> tuple[int, bytes]:
        """The status and the answer. Errors: Unreached."""
        ...


def read_lines(lines: Iterable[str]) -> list[Request]:
    """Requests from JSON lines; blank lines are passed over.

    Errors: InvalidInput naming each line that cannot be taken; none is taken then.
    """
    found: list[Request] = []
    problems: list[Problem] = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            if len(line) > LINE_MAX:
                raise msgspec.ValidationError("it is too long")
            found.append(_request(msgspec.json.decode(line, type=Line)))
        except (msgspec.DecodeError, UnicodeEncodeError) as error:
            remedy = 'Write {"refund": {…}}, {"dispute": {…}} or {"action": {…}}, as docs/disputes.md shows'
            problems.append(Problem(f"line {number}", str(error), remedy))
    if problems:
        raise InvalidInput("Nothing was taken.", problems=tuple(problems))
    return found


def _request(line: Line) -> Request:
    given = [one for one in (line.refund, line.dispute, line.action) if one is not None]
    if len(given) != 1:
        raise msgspec.ValidationError("it holds not exactly one request")
    (one,) = given
    if isinstance(one, RefundRequest):
        return Request(one.dispute_id, "/v1/refunds", msgspec.to_builtins(one))
    if isinstance(one, DisputeRequest):
        return Request(one.dispute_id, "/v1/disputes", msgspec.to_builtins(one))
    body = msgspec.to_builtins(one)
    path = f"/v1/disputes/{body.pop('dispute_id')}/actions"
    msgspec.convert(body, ActionRequest, strict=False)
    return Request(one.action_id, path, body)


class Outbox:
    """A folder of requests. key: the API key; it seals what is kept, and is never written here.

    Errors: InvalidInput when the folder cannot be used.
    """

    def __init__(self, folder: Path, key: str, clock: Clock, *, older_keys: Iterable[str] = ()) -> None:
        self.folder, self._clock = folder, clock
        self._keys = [_sealing(one) for one in (key, *older_keys)]
        try:
            for name in (WAITING, SENT, REFUSED):
                (folder / name).mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            problem = Problem("outbox", str(error), "Name a folder that can be written")
            raise InvalidInput("The outbox cannot be used.", problems=(problem,)) from error

    def keep(self, request: Request, *, step: Step = lambda _: None) -> bool:
        """Keep a request on the disk; False where it is known already. Errors: KeptOtherwise."""
        for name in (SENT, REFUSED, WAITING):
            known = self._find(name, request.request_id)
            if known is not None:
                return self._is_same(known, request)
        kept = {
            "request_id": str(request.request_id),
            "path": request.path,
            "body": request.body,
            "taken_at": self._clock.now().isoformat(),
        }
        place = self.folder / WAITING / f"{request.request_id}.json"
        _write_new(place, _as_bytes(kept | {"seal": _seal(kept, self._keys[0])}), step)
        step("kept")
        known = self._find(WAITING, request.request_id)
        return known is None or self._is_same(known, request, fresh=True)

    def waiting(self) -> list[dict[str, Any]]:
        """What has no answer yet, in the order in which it was taken."""
        found = [_read(path) for path in sorted((self.folder / WAITING).glob("*.json"))]
        return sorted(found, key=lambda one: (str(one.get("taken_at")), str(one.get("request_id"))))

    def send(self, door: Door, *, step: Step = lambda _: None) -> list[Told]:
        """Send what waits, oldest first, one process at a time; what became of each that was tried.

        A request whose seal does not fit is left where it is, and so are the rest where the league does not answer.
        """
        told: list[Told] = []
        with _alone(self.folder / "send.lock"):
            for kept in self.waiting():
                seal, which = str(kept.pop("seal", "")), _id_of(kept)
                if not any(hmac.compare_digest(seal, _seal(kept, key)) for key in self._keys):
                    words = (
                        "changed since it was taken, or taken with another key; name that with --taken-with"
                    )
                    told.append(Told(which, WAITING, words))
                    continue
                try:
                    status, answer = door.post(str(kept["path"]), _as_bytes(kept["body"]))
                except Unreached as error:
                    told.append(Told(which, WAITING, error.detail))
                    break
                step("posted")
                if 200 <= status < 300 or (400 <= status < 500 and status not in LATER):
                    told.append(self._end(which, kept, status, answer, step))
                    continue
                told.append(Told(which, WAITING, f"HTTP {status}: {_detail(answer)}"))
                if status in LATER:
                    break
        return told

    def _end(self, which: UUID, kept: dict[str, Any], status: int, answer: bytes, step: Step) -> Told:
        """Keep the answer, then let go of the request; a kill between the two has it sent again, which is harmless."""
        outcome: Outcome = SENT if status < 300 else REFUSED
        place = self.folder / outcome / f"{which}.json"
        ended = {
            **kept,
            "status": status,
            "answered_at": self._clock.now().isoformat(),
            "answer": _json(answer),
        }
        if not place.exists():
            _write_new(place, _as_bytes(ended), step)
        step("answered")
        (self.folder / WAITING / f"{which}.json").unlink(missing_ok=True)
        step("ended")
        return Told(which, outcome, "" if outcome == SENT else _detail(answer))

    def _find(self, name: str, request_id: UUID) -> dict[str, Any] | None:
        path = self.folder / name / f"{request_id}.json"
        return _read(path) if path.exists() else None

    @staticmethod
    def _is_same(known: Mapping[str, Any], request: Request, *, fresh: bool = False) -> bool:
        if (known.get("path"), known.get("body")) != (request.path, request.body):
            raise KeptOtherwise(f"{request.request_id} was taken with other content.")
        return fresh


class Http:
    """The league over HTTP, a connection a request. Errors: InvalidInput for an address that would show the key."""

    def __init__(self, url: str, key: str, *, ca_file: Path | None = None) -> None:
        parts = urlsplit(url)
        self._host, self._port, self._base = parts.hostname or "", parts.port, parts.path.rstrip("/")
        plain = parts.scheme == "http" and self._host in AT_HOME
        if not self._host or not (parts.scheme == "https" or plain):
            problem = Problem("url", f"{url!r} would carry the key in the clear", "Begin it with https://")
            raise InvalidInput("The league's address cannot be used.", problems=(problem,))
        self._tls = None if plain else ssl.create_default_context(cafile=ca_file)
        self._headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}

    def post(self, path: str, body: bytes) -> tuple[int, bytes]:
        """The status and the answer. Errors: Unreached."""
        connection = (
            http.client.HTTPConnection(self._host, self._port, timeout=TIMEOUT_S)
            if self._tls is None
            else http.client.HTTPSConnection(self._host, self._port, timeout=TIMEOUT_S, context=self._tls)
        )
        try:
            connection.request("POST", self._base + path, body=body, headers=self._headers)
            answer = connection.getresponse()
            return answer.status, answer.read(ANSWER_MAX)
        except (OSError, http.client.HTTPException) as error:
            raise Unreached(f"{self._host}: {error or type(error).__name__}") from error
        finally:
            connection.close()


def _sealing(key: str) -> bytes:
    return hmac.digest(key.encode(), b"hansa dispute outbox", "sha256")


def _seal(kept: Mapping[str, Any], key: bytes) -> str:
    """HMAC-SHA-256 over what is kept. Source: RFC 2104."""
    return hmac.new(key, _as_bytes(kept), sha256).hexdigest()


def _as_bytes(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()


def _write_new(place: Path, content: bytes, step: Step) -> None:
    """The file as a whole or not at all, on the disk before its name appears; a name that is there keeps its file."""
    part = place.with_name(f"{place.name}.{os.getpid()}.part")
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    step("written")
    try:
        os.link(part, place)
    except FileExistsError:
        pass  # another process took the same id just now; whoever reads it back compares the content
    finally:
        part.unlink()
    folder = os.open(place.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _read(path: Path) -> dict[str, Any]:
    """A kept request; where it cannot be read, one that no seal fits."""
    try:
        found: object = json.loads(path.read_bytes())
    except (OSError, ValueError):
        found = None
    return cast(dict[str, Any], found) if isinstance(found, dict) else {"request_id": path.stem}


def _id_of(kept: Mapping[str, Any]) -> UUID:
    try:
        return UUID(str(kept["request_id"]))
    except (KeyError, ValueError):
        return UUID(int=0)


def _json(answer: bytes) -> Any:
    try:
        return json.loads(answer)
    except ValueError:
        return answer[:1_000].decode(errors="replace")


def _detail(answer: bytes) -> str:
    """What a refusal says: its problems with their remedies, else its detail."""
    told = _json(answer)
    if not isinstance(told, dict):
        return str(told)[:200]
    found = cast(dict[str, Any], told)
    problems = cast(list[dict[str, Any]], found.get("problems") or [])
    words = "; ".join(" ".join(str(value) for value in one.values()) for one in problems)
    return words or str(found.get("detail") or found.get("code") or "")


@contextmanager
def _alone(path: Path) -> Generator[None]:
    """One process at a time; the lock ends with the process, however it ends."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
