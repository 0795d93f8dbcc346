"""What the application answers when something does not fit: one form, stable codes, nothing given away."""

import signal
import socket
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from litestar import Litestar, get
from litestar.testing import TestClient
from litestar.types import Receive, Scope, Send

from hansa import clearing, trust
from hansa.apps.web import PortTaken, create_app, listen
from hansa.apps.web.problems import EXCEPTION_HANDLERS
from hansa.kernel import HansaError
from hansa.store import Context
from web.little_league import LittleLeague

Client = TestClient[Any]


def test_the_interface_describes_itself(client: Client) -> None:
    schema = client.get("/openapi.json").json()

    assert schema["openapi"].startswith("3.1")
    assert schema["info"]["title"] == "Hansa"
    assert set(schema["components"]["securitySchemes"]) == {"key", "session"}
    assert all(path.startswith("/v1/") for path in schema["paths"])


def test_the_documentation_lists_every_operation(client: Client) -> None:
    schema = client.get("/openapi.json").json()
    page = client.get("/developers/reference", params={"q": "/v1/"}).text

    for path in schema["paths"]:
        assert f">{path}</a>" in page


def test_the_front_page_leads_to_all_doors(client: Client, league: LittleLeague) -> None:
    page = client.get("/").text

    for door in ("/wallet/", "/gate/", "/console/", "/developers"):
        assert f'href="{door}"' in page
    assert "杭州" in page


@pytest.mark.parametrize("path", ["/", "/wallet/", "/nothing", "/static/hansa.css", "/openapi.json"])
def test_every_answer_carries_the_security_headers(client: Client, path: str) -> None:
    headers = client.get(path).headers

    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/v1/nothing", 404, "web.not_found"),
        ("DELETE", "/v1/me", 405, "web.method_not_allowed"),
        ("GET", "/v1/deny-list?since=soon", 422, "web.does_not_fit"),
    ],
)
def test_a_request_that_fits_nothing_is_a_problem(
    client: Client, method: str, path: str, status: int, code: str
) -> None:
    answer = client.request(method, path)

    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert (problem["status"], problem["code"]) == (status, code)
    assert problem["instance"].startswith("urn:uuid:")
    assert problem["title"] and problem["detail"]


EDGES = ("0001-01-01", "1999-12-31", "2201-01-01", "9999-12-31")


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/v1/cities/%00", 404, "web.not_found"),
        ("GET", "/v1/cities/%00/stops", 404, "web.not_found"),
        ("GET", "/v1/cities/a%00b/lines", 404, "web.not_found"),
        ("GET", "/v1/tariffs/%00", 404, "web.not_found"),
        ("GET", "/gate/%00", 404, "web.not_found"),
        ("GET", "/static/%00", 404, "web.not_found"),
        ("GET", "/console/days/2026-11-17/members/%00/CAD", 404, "web.not_found"),
        ("GET", "/console/riders?q=%00", 422, "hansa.invalid_input"),
        ("GET", "/console/riders?%00=q", 422, "hansa.invalid_input"),
        *(
            (method, path.format(day=day), 422, "hansa.invalid_input")
            for day in EDGES
            for method, path in (
                ("GET", "/v1/flow/{day}"),
                ("GET", "/v1/rates/{day}"),
                ("GET", "/v1/clearing/days?after={day}"),
                ("GET", "/v1/clearing/days/{day}/positions"),
                ("GET", "/v1/ledger/trial-balance?day={day}"),
                ("GET", "/v1/tariffs/toronto-ttc?day={day}"),
                ("GET", "/console/?day={day}"),
                ("GET", "/console/days/{day}"),
                ("POST", "/v1/clearing/days/{day}/close"),
            )
        ),
    ],
)
def test_what_no_address_holds_is_a_problem_and_no_fault(
    ctx: Context,
    client: Client,
    league: LittleLeague,
    caplog: pytest.LogCaptureFixture,
    method: str,
    path: str,
    status: int,
    code: str,
) -> None:
    answer = client.request(method, path)

    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert not [record for record in caplog.records if record.levelname == "ERROR"]
    with ctx.tx() as tx:
        assert clearing.list_days(tx) == []


@pytest.mark.parametrize("body", [b"[" * 5_000 + b"]" * 5_000, b'{"taps":' * 5_000 + b"0" + b"}" * 5_000])
@pytest.mark.parametrize("path", ["/v1/taps", "/v1/top-ups", "/v1/ledger/transfers"])
def test_a_body_nested_without_end_is_refused(
    client: Client, league: LittleLeague, caplog: pytest.LogCaptureFixture, path: str, body: bytes
) -> None:
    answer = client.post(path, content=body, headers={"content-type": "application/json"})

    assert (answer.status_code, answer.json()["code"]) == (400, "web.malformed")
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


@pytest.mark.parametrize("path", ["/v1/me/phones", "/wallet/sign-in", "/console/members/apply"])
def test_a_sender_who_hangs_up_is_no_fault_of_ours(
    ctx: Context, home: Path, caplog: pytest.LogCaptureFixture, path: str
) -> None:
    app = create_app(ctx, home=home, demo=True)

    async def hung_up(scope: Scope, receive: Receive, send: Send) -> None:
        inbox: list[Any] = [
            {"type": "http.disconnect"},
            {"type": "http.request", "body": b'{"name": ', "more_body": True},
        ]

        async def breaks_off() -> Any:
            return inbox.pop()

        if scope["type"] == "http":
            receive = breaks_off
        await app(scope, receive, send)

    kind = "application/json" if path.startswith("/v1/") else "application/x-www-form-urlencoded"
    with TestClient(hung_up, raise_server_exceptions=False) as client:
        answer = client.post(path, headers={"content-type": kind, "dpop": "x"})

    assert (answer.status_code, answer.json()["code"]) == (400, "web.malformed")
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


def test_endless_recursion_of_ours_is_still_a_fault() -> None:
    def again() -> None:
        again()

    @get("/endless", sync_to_thread=False)
    def endless() -> None:
        again()

    app = Litestar([endless], exception_handlers=EXCEPTION_HANDLERS, openapi_config=None)
    with TestClient(app, raise_server_exceptions=False) as client:
        answer = client.get("/endless")

    assert (answer.status_code, answer.json()["code"]) == (500, "web.failed")


def test_a_person_gets_the_problem_as_a_page(client: Client) -> None:
    answer = client.get("/nothing", headers={"accept": "text/html"})

    assert answer.status_code == 404
    assert answer.headers["content-type"].startswith("text/html")
    assert "web.not_found" in answer.text


def test_who_opens_the_address_of_a_form_anew_is_led_back_to_the_form(client: Client) -> None:
    answer = client.get("/wallet/send/check", headers={"accept": "text/html", "accept-language": "fr"})

    assert (answer.status_code, "Revenez au formulaire" in answer.text) == (405, True)


def test_an_oversized_body_is_refused(client: Client, league: LittleLeague) -> None:
    answer = client.post(
        "/wallet/qr", content=b" " * (5 * 1024 * 1024), headers={"content-type": "application/json"}
    )

    assert (answer.status_code, answer.json()["code"]) == (413, "web.too_large")


@pytest.mark.parametrize("body", [b"{", b'{"text": 5}', b"[]", b"\xff", b'{"text": "' + b"A" * 500 + b'"}'])
def test_a_body_that_is_not_as_described_is_refused(client: Client, body: bytes) -> None:
    answer = client.post("/wallet/qr", content=body, headers={"content-type": "application/json"})

    assert answer.status_code in (400, 422)
    assert answer.json()["code"] in ("web.malformed", "web.does_not_fit")


def test_an_unknown_key_is_not_signed_in(client: Client) -> None:
    answer = client.get("/v1/me", headers={"authorization": "Bearer hansa_made_up"})

    assert (answer.status_code, answer.json()["code"]) == (401, "trust.not_signed_in")
    assert answer.headers["www-authenticate"] == "Bearer"


def test_the_signed_in_rider_is_told_who_they_are(client: Client, league: LittleLeague) -> None:
    account = league.riders["Gao Lan"]
    client.post("/wallet/sign-in", data={"account_id": str(account.account_id)})

    assert client.get("/v1/me").json()["account_id"] == str(account.account_id)


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"origin": "https://elsewhere.example"},
        {"origin": "null"},  # of a frame without rights, or after a redirect
        {"origin": "https://elsewhere.example", "authorization": "Basic x", "cookie": "hansa_session=x"},
    ],
)
def test_another_sites_form_is_refused(
    ctx: Context, client: Client, league: LittleLeague, headers: dict[str, str]
) -> None:
    account = league.riders["Gao Lan"]

    answer = client.post("/wallet/sign-in", data={"account_id": str(account.account_id)}, headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (403, "web.cross_site")
    with ctx.tx() as tx:
        assert tx.execute("select count(*) from identity.sessions").fetchone() == (0,)


def test_a_bug_gives_an_id_and_no_details() -> None:
    @get("/bug", sync_to_thread=False)
    def bug() -> None:
        raise RuntimeError("the secret is 42")

    app = Litestar([bug], exception_handlers=EXCEPTION_HANDLERS, openapi_config=None)
    with TestClient(app, raise_server_exceptions=False) as client:
        answer = client.get("/bug")

    assert (answer.status_code, answer.json()["code"]) == (500, "web.failed")
    assert "secret" not in answer.text and answer.json()["instance"].startswith("urn:uuid:")


def test_a_lost_database_is_said_and_forgiven(ctx: Context, home: Path) -> None:
    def lost() -> Any:
        raise HansaLost()

    class HansaLost(HansaError):
        """The database cannot be reached."""

        code = "store.unavailable"
        status = 503

    from dataclasses import replace

    app = create_app(replace(ctx, open_tx=lost), home=home, demo=True)
    with TestClient(app, raise_server_exceptions=False) as client:
        answer = client.get("/healthz")

    assert (answer.status_code, answer.json()["code"]) == (503, "store.unavailable")


def test_a_taken_port_names_itself_and_the_remedy() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]

        with pytest.raises(PortTaken) as refused:
            listen("127.0.0.1", port)

    assert str(port) in refused.value.detail and "--port" in refused.value.detail
    assert refused.value.code == "web.port_taken"


@pytest.mark.parametrize("told", [signal.SIGTERM, signal.SIGINT])
def test_who_serves_can_tidy_up_when_told_to_stop(tmp_path: Path, told: signal.Signals) -> None:
    program = (
        "from litestar import Litestar\n"
        "from hansa.apps.web import serve\n"
        "async def begin(app): print('begun', flush=True)\n"
        "serve(Litestar([], openapi_config=None, on_startup=[begin]), port=0)\n"
        "print('tidied up', flush=True)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as served:
        assert served.stdout is not None
        assert served.stdout.readline() == "begun\n"

        served.send_signal(told)

        assert served.stdout.read() == "tidied up\n"
    assert served.returncode == 0


def test_missing_browser_files_are_said_on_the_page_and_nothing_breaks(
    ctx: Context, home: Path, league: LittleLeague, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HANSA_BROWSER_FILES", str(home / "none"))
    app = create_app(ctx, home=home, demo=True)

    with TestClient(app, raise_server_exceptions=False) as client:
        client.post("/wallet/sign-in", data={"account_id": str(league.riders["Gao Lan"].account_id)})

        assert client.get("/vendor/qr/index.js").status_code == 404
        assert "make setup" in client.get("/wallet/home").text


def test_a_key_signs_in_its_member_from_anywhere(
    ctx: Context, stranger: Client, league: LittleLeague
) -> None:
    with ctx.tx() as tx:
        secret = trust.create_api_key(tx, "league", ["league:read"], at=ctx.clock.now() - timedelta(days=1))

    answer = stranger.get("/v1/me", headers={"authorization": f"Bearer {secret}"})

    assert answer.json()["code"] == "trust.not_signed_in"  # a member is no person
