"""Attacks that anybody can try by address, form, picture or clock: each is refused, and changes nothing."""

import io
import logging
import struct
import zlib
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import pytest
from litestar.testing import TestClient
from PIL import Image

from hansa import payments, store, trust
from hansa.apps.web import advancing, create_app
from hansa.apps.web.pictures_read import PIXELS_MAX_WHOLE, read_picture
from hansa.kernel import FixedClock, InvalidInput
from hansa.store import Context, Rate, Tx
from web.conftest import seen_from
from web.little_league import LittleLeague
from web.test_web_approval import ask, sign_in

Client = TestClient[Any]

# -- where a page leads to


ELSEWHERE = (
    "//evil.example", "///evil.example", "/\\evil.example", "\\\\evil.example", "https://evil.example",
    "https:evil.example", "javascript:alert(1)", "/wallet/\\..\\..\\evil.example", "/\t/evil.example",
    "/wallet/\r\nset-cookie: a=b", " //evil.example", "/wallet@evil.example", "/walletevil.example", "",
)  # fmt: skip


@pytest.mark.parametrize("address", ELSEWHERE)
def test_no_page_leads_to_another_site(client: Client, league: LittleLeague, address: str) -> None:
    sign_in(client, league)

    pages = [
        client.get("/wallet/verify", params={"next": address}),
        client.get("/wallet/pin", params={"next": address}),
        client.get("/console/sign-in", params={"next": address}),
    ]
    led = client.post("/wallet/language", data={"language": "fr", "next": address}, follow_redirects=False)

    for one in pages:
        assert one.status_code == 200
        for quote in ('href="', 'action="', 'name="next" value="'):
            for part in one.text.split(quote)[1:]:
                assert is_here(unescape(part.partition('"')[0]))
        assert "a=b" not in one.headers.get("set-cookie", "")
    assert led.status_code == 303 and is_here(led.headers["location"])


def is_here(address: str) -> bool:
    """Whether a browser on a page of ours stays with us, by address or name, as it follows this."""
    to = urlsplit(urljoin("http://127.0.0.1/wallet/", address.replace("\\", "/")))
    return to.scheme == "http" and to.netloc in ("127.0.0.1", "localhost")


# -- whose form it is


@pytest.mark.parametrize(
    "said",
    [
        {"origin": "null"},
        {"origin": "http://127.0.0.1:81"},
        {"origin": "http://127.0.0.1.evil.example"},
        {"origin": "http://evil.example#127.0.0.1"},
        {"origin": "http://127.0.0.1@evil.example"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "cross-site", "origin": "http://127.0.0.1"},
        {"sec-fetch-site": "SAME-ORIGIN"},
        {"sec-fetch-site": ""},
    ],
)
def test_a_form_that_does_not_come_from_here_does_nothing(
    ctx: Context, client: Client, league: LittleLeague, said: dict[str, str]
) -> None:
    sign_in(client, league)

    answer = client.post("/v1/freeze", json={}, headers=said)

    assert (answer.status_code, answer.json()["code"]) == (403, "web.cross_site")
    with ctx.tx() as tx:
        assert tx.execute(
            "select count(*) from approval.accounts where frozen_at is not null"
        ).fetchone() == (0,)


def test_a_session_that_was_planted_before_signing_in_opens_nothing(
    client: Client, league: LittleLeague
) -> None:
    account = next(iter(league.riders.values()))
    planted = "A" * 43
    client.cookies.set("hansa_session", planted)

    client.post("/wallet/sign-in", data={"account_id": str(account.account_id)}, follow_redirects=False)
    given = {one.value for one in client.cookies.jar if one.name == "hansa_session"} - {planted}

    assert len(given) == 1
    client.cookies.clear()
    for secret, status in ((planted, 401), (given.pop(), 200)):
        assert client.get("/v1/me", headers={"cookie": f"hansa_session={secret}"}).status_code == status


# -- what is written into a text


TEXTS = (
    "Pay \u202e00.1 nnA",
    "\u2066Tea\u2069",
    "Te\u200ba",
    "Tea\r\nPaid: yes",
    "Tea \x1b[2K",
    "T" + "\u0336" * 30,
)


@pytest.mark.parametrize("text", TEXTS, ids=ascii)
def test_no_text_that_misleads_is_shown_to_whoever_pays(
    ctx: Context, client: Client, league: LittleLeague, text: str
) -> None:
    with ctx.tx() as tx:
        key = trust.create_api_key(tx, "hangzhou-card", ["payments:write"], at=ctx.clock.now())
    headers = {"authorization": f"Bearer {key}", "idempotency-key": "k"}
    good = payments.Payee(payee_id="tea", member_id="hangzhou-card", name="Tea", currency="CNY")
    payments.open_payees(ctx, [good])
    payer = list(league.riders.values())[1].account_id
    body = {"payee_id": "tea", "amount": {"minor": 1, "currency": "CNY"}, "payer": str(payer)}

    refused = {
        "name": client.post(
            "/v1/payees", json={"payee_id": "t", "name": text, "currency": "CNY"}, headers=headers
        ),
        "description": client.post("/v1/payments", json=body | {"description": text}, headers=headers),
        "reference": client.post("/v1/payments", json=body | {"reference": text}, headers=headers),
    }
    sign_in(client, league)
    noted = client.post(
        "/v1/requests",
        json={"payer_id": str(payer), "amount": {"minor": 1, "currency": "CNY"}, "note": f"a{text}b"},
        headers={"idempotency-key": "n"},
    )

    for name, one in refused.items():
        assert (one.status_code, one.json()["param"]) == (422, name), one.text
    if "\n" not in text:  # a note is put on one line
        assert (noted.status_code, noted.json()["param"]) == (422, "note"), noted.text
    with ctx.tx() as tx:
        assert [one.payee_id for one in payments.list_payees(tx, "hangzhou-card")] == ["tea"]
        assert payments.list_payments(tx) == []


# -- pictures


def _png(width: int, height: int) -> bytes:
    """A picture that says that it is so large, and holds nothing of it."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    )


def _saved(size: tuple[int, int], form: str, mode: str = "1") -> bytes:
    made = io.BytesIO()
    Image.new(mode, size).save(made, form)
    return made.getvalue()


PICTURES = {
    "more pixels than any screen": lambda: _saved((5_000, PIXELS_MAX_WHOLE // 5_000 + 1), "PNG"),
    "one column without end": lambda: _saved((1, 1_000_000), "PNG"),
    "a size of four thousand millions": lambda: _png(2**31 - 1, 2**31 - 1),
    "no size": lambda: _png(0, 0),
    "nothing in it": lambda: _png(300, 300),
    "cut off": lambda: _saved((900, 900), "PNG", "RGB")[:60],
    "a letterhead of a GIF": lambda: b"GIF89a" + struct.pack("<HHBBB", 65_535, 65_535, 0xF7, 0, 0),
    "another format under its name": lambda: _saved((90, 90), "TIFF"),
    "a drawing": lambda: b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>',
    "a document": lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n(/etc/passwd) (r) file",
}


@pytest.mark.parametrize("make", PICTURES.values(), ids=PICTURES.keys())
def test_a_picture_that_is_none_or_too_large_is_not_opened(make: Any) -> None:
    with pytest.raises(InvalidInput) as refused:
        read_picture(make())

    assert refused.value.problems[0].where == "picture"


# -- a clock that goes back


def test_a_clock_that_goes_back_brings_nothing_back(
    ctx: Context, client: Client, league: LittleLeague
) -> None:
    assert isinstance(ctx.clock, FixedClock)
    account = sign_in(client, league)
    asked, rate, began = ask(ctx, account), Rate(2, timedelta(minutes=10)), ctx.clock.now()
    for _ in range(2):
        store.refuse_too_often(ctx, "test", rate)
    ctx.clock.at += timedelta(minutes=16)
    assert advancing.turn(ctx) >= 1
    for _ in range(2):
        store.refuse_too_often(ctx, "test", rate)

    ctx.clock.at = began + timedelta(minutes=1)
    given = client.post(f"/wallet/approvals/{asked.approval_id}", data={"method": "session"})
    ctx.clock.at = began - timedelta(hours=1)
    early = client.get("/v1/me")
    with pytest.raises(store.TooOften) as wait:
        store.refuse_too_often(ctx, "test", rate)

    assert given.status_code == 409, "what was out of time stays so"
    assert early.status_code == 401, "a sign-in of later is none"
    assert wait.value.retry_after <= rate.per, "nobody is shut out for as long as the clock went back"
    ctx.clock.at = began


# -- what is logged


def test_no_secret_and_no_line_of_a_strangers_is_in_the_log(
    ctx: Context, home: Path, league: LittleLeague, caplog: pytest.LogCaptureFixture
) -> None:
    breaks = False

    @contextmanager
    def open_tx() -> Generator[Tx]:
        with ctx.open_tx() as tx:
            if breaks:
                raise RuntimeError("The line broke.")
            yield tx

    app = create_app(replace(ctx, open_tx=open_tx), home=home, demo=True)
    with ctx.tx() as tx:
        key = trust.create_api_key(tx, "hangzhou-card", ["payments:read"], at=ctx.clock.now())
    account = next(iter(league.riders.values()))
    with (
        caplog.at_level(logging.DEBUG),
        TestClient(seen_from(app, "203.0.113.9"), raise_server_exceptions=False) as client,
    ):
        client.post("/wallet/sign-in", data={"account_id": str(account.account_id)}, follow_redirects=False)
        session = client.cookies["hansa_session"]
        by_key = {"authorization": f"Bearer {key}"}
        assert client.get("/v1/payments", headers=by_key).status_code == 200
        client.get("/v1/payments", headers={"authorization": f"Bearer {key}x"})
        breaks = True
        failed = [
            client.get("/wallet/me"),
            client.get("/v1/refunds", headers=by_key),
            client.get("/v1/payees/a%0aERROR%20forged", headers=by_key),
        ]

    assert [one.status_code for one in failed] == [500, 500, 500]
    assert all(
        key not in one.text and session not in one.text and "line broke" not in one.text for one in failed
    )
    assert key not in caplog.text and session not in caplog.text
    ours = [one.getMessage() for one in caplog.records if one.name == "hansa.web"]
    assert len(ours) >= 3 and not any("\n" in one or "\r" in one for one in ours)
