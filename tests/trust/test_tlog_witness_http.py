"""The witness over HTTP: the protocol's answers, a log that asks, and the command."""

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Generator
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from time import monotonic, sleep
from typing import Any, ClassVar

import pytest
import typer
import uvicorn
from typer.testing import CliRunner

from hansa.apps.web import listen
from hansa.apps.witness import BODY_BYTES_MAX, WitnessRefused, WitnessSilent, ask_witness, witness_asgi
from hansa.apps.witness_command import read_logs
from hansa.apps.witness_command import witness as witness_command
from hansa.kernel import FixedClock
from hansa.trust import tlog
from hansa.trust.tlog import BadVerifierKey, Note, StaleSize, VerifierKey, Witness
from loops import run_loop
from trust.tlog_books import NOON, ORIGIN, books, cosigned, key_of, witness_key

NAME = "paris.example/w"
CITY = books(1000)
OTHER = books(1000, salted="another history")
BY_HASH = f"/{sha256(ORIGIN.encode()).hexdigest()}/checkpoint"


@pytest.fixture
def witness(tmp_path: Path) -> Generator[Witness]:
    with Witness(
        tmp_path, name=NAME, key=key_of(NAME), logs=[CITY.verifier_key], clock=FixedClock(NOON)
    ) as each:
        yield each


def asked(old_size: int, new_size: int) -> bytes:
    return tlog.add_checkpoint_body(old_size, CITY.consistency(old_size, new_size), CITY.checkpoint(new_size))


def call(
    witness: Witness, method: str, path: str, body: bytes = b"", *, piece: int = 1000
) -> tuple[int, dict[str, str], bytes]:
    """One request, its body in pieces."""
    pieces = [body[at : at + piece] for at in range(0, len(body), piece)] or [b""]
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": pieces.pop(0), "more_body": bool(pieces)}

    async def send(message: Any) -> None:
        sent.append(message)

    run_loop(witness_asgi(witness)({"type": "http", "method": method, "path": path}, receive, send))
    headers = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], headers, sent[1]["body"]


def test_a_checkpoint_is_signed_with_200(witness: Witness) -> None:
    status, _, body = call(witness, "POST", "/add-checkpoint", asked(0, 300))

    assert status == 200
    assert Note(CITY.checkpoint(300).text, tlog.parse_signatures(body.decode())).verify([witness_key(NAME)])


def test_a_stale_size_is_told_with_409_and_its_own_type(witness: Witness) -> None:
    call(witness, "POST", "/add-checkpoint", asked(0, 300))

    status, headers, body = call(witness, "POST", "/add-checkpoint", asked(200, 400))

    assert (status, headers["content-type"], body) == (409, "text/x.tlog.size", b"300\n")


# request | status
STATUSES = [
    (b"nonsense", 400),
    (asked(0, 400).replace(b"old 0", b"old 401"), 400),
    (asked(0, 400).replace(b"\n400\n", b"\n401\n"), 403),
    (asked(0, 400).replace(ORIGIN.encode(), b"oslo.example"), 404),
    (asked(0, 400).replace(b"old 0", b"old 5"), 409),
    (asked(0, 400).replace(b"old 0\n", b"old 0\n" + b"A" * 43 + b"=\n"), 422),
    (b"x" * (BODY_BYTES_MAX + 1), 413),
]


@pytest.mark.parametrize(("body", "status"), STATUSES)
def test_each_refusal_has_its_status(witness: Witness, tmp_path: Path, body: bytes, status: int) -> None:
    assert call(witness, "POST", "/add-checkpoint", body)[0] == status
    assert [file.name for file in tmp_path.iterdir()] == ["lock"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/add-checkpoint", 405),
        ("POST", BY_HASH, 405),
        ("GET", BY_HASH, 404),
        ("GET", "/", 404),
        ("GET", "/../checkpoint", 404),
        ("POST", "/sign-subtree", 404),
    ],
)
def test_other_requests_find_nothing(witness: Witness, method: str, path: str, status: int) -> None:
    assert call(witness, method, path)[0] == status


def test_the_latest_checkpoint_is_shown_with_both_signatures(witness: Witness) -> None:
    call(witness, "POST", "/add-checkpoint", asked(0, 300))

    status, headers, body = call(witness, "GET", BY_HASH)

    assert (status, headers["content-type"]) == (200, "text/plain; charset=utf-8")
    assert len(Note.parse(body).verify([CITY.verifier_key, witness_key(NAME)])) == 2
    assert call(witness, "HEAD", BY_HASH)[2] == b""


def test_a_request_that_breaks_off_is_not_taken(witness: Witness, tmp_path: Path) -> None:
    messages: list[dict[str, Any]] = [
        {"type": "http.request", "body": asked(0, 300), "more_body": True},
        {"type": "http.disconnect"},
    ]

    async def receive() -> dict[str, Any]:
        return messages.pop(0)

    async def send(_: Any) -> None:
        pass

    run_loop(
        witness_asgi(witness)({"type": "http", "method": "POST", "path": "/add-checkpoint"}, receive, send)
    )

    assert [file.name for file in tmp_path.iterdir()] == ["lock"]


@pytest.fixture
def served(witness: Witness) -> Generator[str]:
    """The witness on a port of this machine."""
    listening = listen("127.0.0.1", 0)
    server = uvicorn.Server(uvicorn.Config(witness_asgi(witness), log_level="error"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    yield f"http://127.0.0.1:{listening.getsockname()[1]}/"
    server.should_exit = True
    thread.join()
    listening.close()


def test_a_log_gets_its_checkpoint_signed(served: str) -> None:
    line = ask_witness(served, 0, [], CITY.checkpoint(300), key=witness_key(NAME))
    next_line = ask_witness(
        served, 300, CITY.consistency(300, 1000), CITY.checkpoint(1000), key=witness_key(NAME)
    )

    note = CITY.checkpoint(300).with_signatures(tlog.parse_signatures(line))
    assert note == cosigned(CITY.checkpoint(300), [NAME])
    assert tlog.parse_signatures(next_line)[0].name == NAME


def test_a_log_learns_from_where_the_witness_wants_its_proof(served: str) -> None:
    ask_witness(served, 0, [], CITY.checkpoint(300), key=witness_key(NAME))

    with pytest.raises(StaleSize) as told:
        ask_witness(served, 0, [], CITY.checkpoint(1000), key=witness_key(NAME))

    proof = CITY.consistency(told.value.size, 1000)
    assert ask_witness(served, told.value.size, proof, CITY.checkpoint(1000), key=witness_key(NAME))


def test_a_log_with_another_history_is_refused(served: str) -> None:
    ask_witness(served, 0, [], CITY.checkpoint(300), key=witness_key(NAME))

    with pytest.raises(WitnessRefused, match="422"):
        ask_witness(served, 300, OTHER.consistency(300, 1000), OTHER.checkpoint(1000), key=witness_key(NAME))


def test_a_signature_of_someone_else_is_not_taken(served: str) -> None:
    with pytest.raises(WitnessRefused, match="no signature of rome"):
        ask_witness(served, 0, [], CITY.checkpoint(300), key=witness_key("rome.example/w"))


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1", "http://[::1", "http://127.0.0.1:99999", "file:///etc/passwd", "nowhere"]
)
def test_a_witness_that_is_not_there_is_told(url: str) -> None:
    with pytest.raises(WitnessSilent):
        ask_witness(url, 0, [], CITY.checkpoint(300), key=witness_key(NAME), timeout_s=2)


class Answers(BaseHTTPRequestHandler):
    """A server that answers each request with the same."""

    answer: ClassVar[tuple[int, str, bytes]] = (200, "text/plain", b"")

    def do_POST(self) -> None:
        status, content_type, body = self.answer
        self.send_response(status)
        self.send_header("content-type", content_type)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.mark.parametrize(
    "answer",
    [
        (200, "text/plain", b""),
        (200, "text/plain", b"<html>welcome</html>"),
        (200, "text/plain", b"\xff\n"),
        (200, "text/plain", str(tlog.Signature(NAME, witness_key(NAME).key_id, bytes(72))).encode()),
        (409, "text/x.tlog.size", b"-5\n"),
        (409, "text/plain", b"300\n"),
        (302, "text/plain", b""),
        (500, "text/plain", b"oh"),
    ],
)
def test_an_answer_that_is_no_signature_is_not_taken(
    answer: tuple[int, str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Answers, "answer", answer)
    server = HTTPServer(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=server.handle_request)
    thread.start()

    with pytest.raises(WitnessRefused):
        ask_witness(
            f"http://127.0.0.1:{server.server_port}", 0, [], CITY.checkpoint(300), key=witness_key(NAME)
        )

    thread.join()
    server.server_close()


# The command


def command() -> typer.Typer:
    app = typer.Typer()
    app.command("witness")(witness_command)
    return app


def test_followed_logs_stand_in_a_file_one_a_line(tmp_path: Path) -> None:
    file = tmp_path / "logs"
    file.write_text(f"# London\n\n  {CITY.verifier_key}\n", encoding="utf-8")

    assert read_logs(file) == [CITY.verifier_key]
    file.write_text("London\n", encoding="utf-8")
    with pytest.raises(BadVerifierKey):
        read_logs(file)


def test_the_command_tells_the_key_of_the_witness(tmp_path: Path) -> None:
    told = CliRunner().invoke(command(), ["--name", NAME, "--home", str(tmp_path), "--key"])

    assert told.exit_code == 0
    assert VerifierKey.parse(told.stdout.strip()).name == NAME


def test_a_witness_of_nothing_does_not_start(tmp_path: Path) -> None:
    told = CliRunner().invoke(command(), ["--name", NAME, "--home", str(tmp_path)])

    assert told.exit_code == 1
    assert isinstance(told.exception, tlog.BadPolicy)


@pytest.mark.parametrize("told", [signal.SIGINT, signal.SIGTERM])
def test_the_command_serves_until_it_is_told_to_stop(told: signal.Signals, tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    script = "import typer; from hansa.apps.witness_command import witness; typer.run(witness)"
    key = VerifierKey.parse(
        CliRunner().invoke(command(), ["--name", NAME, "--home", str(tmp_path), "--key"]).stdout.strip()
    )
    process = subprocess.Popen(
        [
            sys.executable,
            "-c",
            script,
            "--name",
            NAME,
            "--home",
            tmp_path,
            "--port",
            str(port),
            "--log",
            str(CITY.verifier_key),
        ],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"NO_COLOR": "1"},
    )
    try:
        until = monotonic() + 120
        while True:
            try:
                line = ask_witness(f"http://127.0.0.1:{port}", 0, [], CITY.checkpoint(300), key=key)
                break
            except WitnessSilent:
                assert monotonic() < until
                sleep(0.1)
    finally:
        process.send_signal(told)
        said, _ = process.communicate(timeout=120)

    assert line
    assert process.returncode == 0
    assert f"follows {ORIGIN}" in said
