"""The gate's camera: a picture of a living code, held before it as a video, opens the gate."""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import zxingcpp
from playwright.sync_api import Browser, BrowserContext, expect

from browser.conftest import ARGUMENTS, DESK, PATIENCE_S, Served, find_chromium, shown_code, sign_in
from hansa.codes import NO_PLACE, REASONS
from hansa.gate.conformance.bench import Bench
from hansa.gate.conformance.drafts import text_of
from web.little_league import WAY_IN

pytestmark = pytest.mark.browser

WIDTH, HEIGHT = 640, 480
BLACK, WHITE, GREY = 16, 235, 128
"""Luma of black and white in studio range, and no colour (ITU-R BT.601)."""


@pytest.fixture
def film(tmp_path: Path) -> Path:
    """What the camera sees: nothing but white until a test writes another film."""
    path = tmp_path / "camera.y4m"
    write_film(path, [[False]])
    return path


@pytest.fixture
def gate_desk(chromium: Browser, film: Path) -> Iterator[BrowserContext]:
    """A gate's own browser, whose camera plays the film."""
    browser = chromium.browser_type.launch(
        executable_path=find_chromium(), args=[*ARGUMENTS, f"--use-file-for-fake-video-capture={film}"]
    )
    context = browser.new_context(viewport=DESK)  # pyright: ignore[reportArgumentType]
    context.set_default_timeout(PATIENCE_S * 1000)
    yield context
    browser.close()


def test_a_code_on_the_phones_screen_opens_the_gate_by_camera(
    served: Served, phone: BrowserContext, gate_desk: BrowserContext, film: Path
) -> None:
    gate, wallet = gate_desk.new_page(), phone.new_page()
    gate.goto(f"{served.url}/gate/{WAY_IN}")
    sign_in(wallet, served.url, "Gao Lan")
    # As early as can be in a code's life: the picture of one that was just made.
    shown_code(wallet, other_than=shown_code(wallet))
    picture = wallet.locator("svg.qr")
    path = picture.locator("path").get_attribute("d")
    size = int((picture.get_attribute("viewBox") or "").split()[-1])
    write_film(film, modules(path or "", size))

    gate.get_by_role("button", name="Scan with the camera").click()

    expect(gate.locator("[data-result]")).to_have_attribute("data-state", "accepted")
    expect(gate.locator("[data-title]")).to_have_text("Go in")
    with served.ctx.tx() as tx:
        assert tx.execute("select gate_id from rides.every_tap").fetchall() == [(WAY_IN,)]


def untrusted_code() -> str:
    """A code, well made by a phone whose issuer this league does not know."""
    return text_of(Bench(3).phone().code(datetime.now(UTC), cell=NO_PLACE))


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: "https://example.com/ride?code=1", "malformed"),
        (lambda: "HR2:NOT YET", "unknown_suite"),
        (untrusted_code, "untrusted_issuer"),
    ],
    ids=["a web address", "another suite", "an issuer nobody knows"],
)
def test_a_code_that_is_refused_shows_its_reason_by_camera(
    served: Served, gate_desk: BrowserContext, film: Path, make: Callable[[], str], reason: str
) -> None:
    gate = gate_desk.new_page()
    gate.goto(f"{served.url}/gate/{WAY_IN}")
    write_film(film, drawn(make()))

    gate.get_by_role("button", name="Scan with the camera").click()

    expect(gate.locator("[data-result]")).to_have_attribute("data-state", "refused")
    expect(gate.locator("[data-reason]")).to_have_text(reason)
    expect(gate.locator("[data-words]")).to_have_text(REASONS[reason])
    with served.ctx.tx() as tx:
        assert tx.execute("select count(*) from rides.every_tap").fetchone() == (0,)


def drawn(text: str) -> list[list[bool]]:
    """The dark modules of a text's picture, with white around them."""
    picture = zxingcpp.create_barcode(text, zxingcpp.BarcodeFormat.QRCode, ec_level="L").to_image(scale=1)
    return [[bool(luma < 128) for luma in row] for row in np.array(picture)]


def modules(path: str, size: int) -> list[list[bool]]:
    """The dark modules of the picture as the phone draws it: runs such as ``M4 4h7v1h-7z``."""
    rows = [[False] * size for _ in range(size)]
    for x, y, run in re.findall(r"M(\d+) (\d+)h(\d+)", path):
        for column in range(int(x), int(x) + int(run)):
            rows[int(y)][column] = True
    assert any(any(row) for row in rows)
    return rows


def write_film(path: Path, rows: list[list[bool]]) -> None:
    """A film of two frames in YUV4MPEG2, which Chromium plays over and over: the modules amid white."""
    scale = min(WIDTH, HEIGHT) // len(rows)
    left, top = (WIDTH - scale * len(rows)) // 2, (HEIGHT - scale * len(rows)) // 2
    luma = bytearray([WHITE]) * (WIDTH * HEIGHT)
    for y, row in enumerate(rows):
        line = bytes(BLACK if dark else WHITE for dark in row for _ in range(scale))
        for dy in range(scale):
            start = (top + y * scale + dy) * WIDTH + left
            luma[start : start + len(line)] = line
    frame = b"FRAME\n" + luma + bytes([GREY]) * (WIDTH * HEIGHT // 2)
    path.write_bytes(f"YUV4MPEG2 W{WIDTH} H{HEIGHT} F10:1 Ip A1:1 C420jpeg\n".encode() + frame * 2)
