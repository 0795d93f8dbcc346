"""Providers of proofs: the simulated one by its numbers, over HTTP and in this process; a strange answer is none."""

import socket
from collections.abc import Iterator
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from uuid import uuid4

import msgspec
import pytest

from hansa import identity
from hansa.apps.proofing import HttpProvider, NoProvider, ProofingDoor, SimulatedProvider
from hansa.identity import Match, NoMatch, ProofLevel, Unavailable
from hansa.kernel import InvalidInput

KEY = "the-key-of-the-provider"


def question(ending: str, *, kind: identity.DocumentKind = "passport") -> identity.Question:
    if kind == "resident":
        digits = f"11010119900307{ending}"
        document = identity.Presented("resident", "CN", digits + identity.resident_check(digits))
    else:
        document = identity.Presented("passport", "GBR", f"12345{ending}", expires=date(2031, 5, 6))
    return identity.Question(uuid4(), "Anna Berg", document, int(document.wanted))


@pytest.fixture(scope="module")
def door() -> Iterator[ProofingDoor]:
    with ProofingDoor(key=KEY, slow_s=0.5) as door:
        yield door


@pytest.fixture
def provider(door: ProofingDoor) -> HttpProvider:
    return HttpProvider(door.url, key=KEY, name="register")


# ending | over HTTP | in this process
CASES = [
    ("123", Match, Match),
    ("990", NoMatch, NoMatch),
    ("991", Match, Match),
    ("992", Unavailable, Unavailable),
    ("994", Unavailable, Unavailable),
    ("995", Unavailable, Unavailable),
    ("996", Match, Match),
]


@pytest.mark.parametrize(("ending", "over_http", "here"), CASES)
def test_a_number_brings_about_its_case(
    provider: HttpProvider, ending: str, over_http: type[object], here: type[object]
) -> None:
    asked = question(ending)

    told, mine = provider.check(asked), SimulatedProvider().check(asked)

    assert isinstance(told, over_http) and isinstance(mine, here)
    if isinstance(told, Match):
        assert told.level == (ProofLevel.NAME if ending == "996" else ProofLevel.DOCUMENT)
        assert str(asked.reference).encode() in told.said
    assert isinstance(provider.check(question("990", kind="resident")), NoMatch)


def test_the_third_asking_of_one_reference_is_answered(provider: HttpProvider) -> None:
    asked = question("993")

    assert [type(provider.check(asked)) for _ in range(4)] == [Unavailable, Unavailable, Match, Match]
    assert isinstance(provider.check(question("993")), Unavailable)


def test_who_is_too_slow_or_has_another_key_or_is_not_there_is_no_answer(door: ProofingDoor) -> None:
    hasty = HttpProvider(door.url, key=KEY, name="register", timeout_s=0.1)
    stranger = HttpProvider(door.url, key="another", name="register")
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        gone = HttpProvider(f"http://127.0.0.1:{nobody.getsockname()[1]}", key=KEY, name="register")

        for provider, why in ((hasty, "no answer"), (stranger, "HTTP status 401"), (gone, "no answer")):
            told = provider.check(question("991"))
            assert isinstance(told, Unavailable) and why in told.why
    assert isinstance(NoProvider().check(question("123")), Unavailable)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[" * 9_000,
        b'{"reference":"x","outcome":"match","level":"name"}',
        b'{"reference":"REF","outcome":"match"}',
        b'{"reference":"REF","outcome":"match","level":"royal"}',
        b'{"reference":"REF","outcome":"maybe"}',
        b'{"reference":"REF","outcome":"unavailable","reason":"closed on Sundays"}',
        b'{"reference":"REF","outcome":"no_match"}' + b" " * 20_000,
        b"\xff\xfe",
    ],
)
def test_a_strange_answer_is_no_answer(body: bytes) -> None:
    asked = question("123")
    said = body.replace(b"REF", str(asked.reference).encode())

    class Strange(BaseHTTPRequestHandler):
        """Says whatever it is told to."""

        def do_POST(self) -> None:
            self.send_response(200)
            self.send_header("content-length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, format: str, *args: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Strange)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        told = HttpProvider(f"http://127.0.0.1:{server.server_address[1]}", key=KEY, name="x").check(asked)
    finally:
        server.shutdown()
        server.server_close()

    assert isinstance(told, Unavailable), told


def test_the_simulator_refuses_what_does_not_fit(door: ProofingDoor) -> None:
    import http.client

    def post(body: bytes, *, key: str = KEY, path: str = "/checks") -> int:
        host, _, port = door.url.removeprefix("http://").partition(":")
        connection = http.client.HTTPConnection(host, int(port), timeout=5)
        connection.request("POST", path, body, {"authorization": f"Bearer {key}"})
        return connection.getresponse().status

    good = msgspec.json.encode(
        {"reference": uuid4(), "name": "A", "kind": "other", "country": "GB", "number": "1", "wanted": "name"}
    )
    assert post(good) == 200
    assert [post(good, key="x"), post(good, path="/x"), post(b"{}"), post(b"x" * 20_000)] == [
        401,
        404,
        422,
        413,
    ]


@pytest.mark.parametrize(
    "url",
    ["http://provider.example", "ftp://127.0.0.1", "https://", "https://a@b", "https://b?x=1", "::", ""],
)
def test_names_travel_in_no_clear(url: str) -> None:
    with pytest.raises(InvalidInput, match="HANSA_PROOFING_URL"):
        HttpProvider(url, key=KEY, name="register")


def test_the_same_question_is_the_same_however_it_is_asked() -> None:
    asked = question("993")
    again = replace_name(asked)

    here = SimulatedProvider()
    assert [type(here.check(one)) for one in (asked, again, asked)] == [Unavailable, Unavailable, Match]


def replace_name(asked: identity.Question) -> identity.Question:
    return msgspec.structs.replace(asked, name="Berg, Anna")
