"""The real application on a real socket, asked by many at once."""

import json
import threading
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlencode

import uvicorn

from hansa.apps.web import create_app, listen
from hansa.apps.web.serve import Protocol
from hansa.store import Context


@dataclass(frozen=True)
class Answer:
    """What was answered: the status, the headers by small names, the body."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Caller:
    """Whoever asks a server, each time on a connection of its own. headers: sent with everything."""

    port: int
    headers: dict[str, str]

    def ask(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> Answer:
        line = HTTPConnection("localhost", self.port, timeout=60)
        try:
            line.request(method, path, body, self.headers | headers)
            answer = line.getresponse()
            return Answer(
                answer.status, {name.lower(): text for name, text in answer.getheaders()}, answer.read()
            )
        finally:
            line.close()

    def get(self, path: str) -> Answer:
        return self.ask("GET", path, None, {})

    def send(self, path: str, data: dict[str, Any], key: str | None = None) -> Answer:
        """Post JSON. key: for Idempotency-Key."""
        headers = {"content-type": "application/json"} | ({} if key is None else {"idempotency-key": key})
        return self.ask("POST", path, json.dumps(data).encode(), headers)

    def press(self, path: str, **fields: str) -> Answer:
        """Send a form, as a browser does."""
        headers = {"content-type": "application/x-www-form-urlencoded", "sec-fetch-site": "same-origin"}
        return self.ask("POST", path, urlencode(fields).encode(), headers)

    def signed_in(self, account_id: object) -> "Caller":
        """A browser of this rider's."""
        answer = self.press("/wallet/sign-in", account_id=str(account_id))
        assert answer.status == 303, answer.body
        cookie = answer.headers["set-cookie"].partition(";")[0]
        return Caller(self.port, self.headers | {"cookie": cookie})


@contextmanager
def serving(ctx: Context, home: Path) -> Generator[Caller]:
    """The application, served as ``hansa serve`` does; gives somebody who knows its address."""
    listening = listen("127.0.0.1", 0)
    app = create_app(ctx, home=home, demo=True)
    config = uvicorn.Config(
        app, http=cast(Any, Protocol), ws="none", log_level="critical", server_header=False
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield Caller(listening.getsockname()[1], {})
    finally:
        server.should_exit = True
        thread.join(60)


def all_at_once(work: Sequence[Callable[[], Any]]) -> list[Any]:
    """What each came to, begun at one moment; the first exception of any is raised."""
    start = threading.Barrier(len(work))
    came: list[Any] = [None] * len(work)

    def do(place: int) -> None:
        start.wait(120)
        try:
            came[place] = work[place]()
        except Exception as error:  # handed to whoever waits
            came[place] = error

    threads = [threading.Thread(target=do, args=(place,)) for place in range(len(work))]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    for one in came:
        if isinstance(one, Exception):
            raise one
    return came
