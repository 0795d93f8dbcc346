"""Where the agent meets the world: lines, scanners, pictures, doors, health, and the program as a process."""

import io
import json
import os
import pty
import signal
import stat
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from threading import Event, Thread

import pytest
import zxingcpp
from hypothesis import given
from hypothesis import strategies as st

from gate.agents import NOON, Bench, HttpLeague, NowTime, Program, asked, code, config_file, wait_for
from hansa.gate.agent import camera
from hansa.gate.agent.actuators import ActuatorFailed, CommandActuator, LineActuator, Notice, PinActuator
from hansa.gate.agent.camera import BadPictures, CameraSource, NoDecoder, pictures, qr_reader
from hansa.gate.agent.health import ALERTS, OUT_OF_ORDER, HealthPortTaken, HealthServer
from hansa.gate.agent.sources import LINE_MAX, LineBuffer, LineSource, ScannerSource

OPENS = Notice(True, "ok", "entry", (("fr", "Entrez"), ("en", "Please enter")), NOON, 7)
REFUSES = Notice(False, "replay", "entry", (("en", "This code was used already."),), NOON)


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_GATE_KEY", "key")


# -- lines ------------------------------------------------------------------------------------------------------


@given(st.lists(st.binary(max_size=300), max_size=8), st.integers(1, 50))
def test_lines_come_out_the_same_however_the_bytes_came_in(lines: list[bytes], size: int) -> None:
    clean = [line.replace(b"\r", b"").replace(b"\n", b"") for line in lines]
    data = b"\n".join(clean)
    whole, bits = LineBuffer(), LineBuffer()

    at_once = [*whole.feed(data), *whole.end()]
    bit_by_bit = [
        text for start in range(0, len(data), size) for text in bits.feed(data[start : start + size])
    ] + [*bits.end()]

    assert at_once == bit_by_bit
    wanted = [line.decode("utf-8", "replace").strip() for line in clean]
    assert at_once == [text for text in wanted if text]


def test_an_endless_line_is_cut_and_costs_no_memory() -> None:
    buffer = LineBuffer()
    for _ in range(1_000):
        assert list(buffer.feed(b"A" * 10_000)) == []
    assert len(buffer._line) == LINE_MAX

    assert list(buffer.feed(b"\nHR1:B\n")) == ["A" * LINE_MAX, "HR1:B"]


def test_standard_input_ends_with_its_last_line() -> None:
    reading, writing = os.pipe()
    os.write(writing, b"one\r\n\n  two  \nthree")
    os.close(writing)
    source = LineSource(reading)

    assert list(source.texts(Event())) == ["one", "two", "three"]
    assert not source.is_there
    os.close(reading)


def test_a_scanner_that_goes_is_opened_again(tmp_path: Path) -> None:
    path, stopped, seen = tmp_path / "scanner", Event(), list[str]()
    source = ScannerSource(path)
    thread = Thread(target=lambda: seen.extend(source.texts(stopped)))
    thread.start()
    os.mkfifo(path)

    for text in ("first", "second"):
        wait_for(lambda: source.is_there, "the scanner is opened")
        with path.open("w") as scanner:
            scanner.write(f"{text}\n")
        wait_for(lambda: not source.is_there, "its end is noticed")
    stopped.set()
    thread.join()

    assert seen == ["first", "second"]


def test_a_scanner_on_a_terminal_line_is_read_raw() -> None:
    ours, theirs = pty.openpty()
    stopped, seen = Event(), list[str]()
    source = ScannerSource(Path(os.ttyname(theirs)))

    def read() -> None:
        for text in source.texts(stopped):
            seen.append(text)
            stopped.set()

    thread = Thread(target=read)
    thread.start()
    wait_for(lambda: source.is_there, "the scanner is opened")
    os.write(ours, b"HR1:\x03ABC\r")  # what would be Ctrl-C is a letter, and the scanner's Enter the end
    thread.join()

    assert seen == ["HR1:\x03ABC"]
    os.close(ours)
    os.close(theirs)


# -- the camera -------------------------------------------------------------------------------------------------


def qr(text: str, *, scale: int = 3) -> memoryview:
    image = zxingcpp.create_barcode(text, zxingcpp.BarcodeFormat.QRCode).to_image(scale=scale)
    return memoryview(image)  # pyright: ignore[reportArgumentType]


def frame(picture: memoryview, width: int = 400, height: int = 400) -> bytes:
    """A picture in the upper left of a grey frame."""
    high, wide = picture.shape or (0, 0)
    flat = picture.tobytes()
    lines = [
        flat[y * wide : (y + 1) * wide].ljust(width, b"\x80") if y < high else b"\x80" * width
        for y in range(height)
    ]
    return b"FRAME\n" + b"".join(lines)


def test_codes_are_read_from_pictures() -> None:
    text = code("ada", 1, NOON)
    film = b"YUV4MPEG2 W400 H400 F15:1 Ip A1:1 Cmono\n" + frame(qr(text)) + b"FRAME\ncut short"

    found = [qr_reader()(picture) for picture in pictures(io.BytesIO(film))]

    assert found == [[text]]


@pytest.mark.parametrize(
    ("colour", "rest"),
    [("Cmono", 0), ("C420jpeg", 8), ("C420mpeg2", 8), ("", 8)],
)
def test_only_the_grey_plane_is_kept(colour: str, rest: int) -> None:
    grey = bytes(range(16))
    film = f"YUV4MPEG2 W4 H4 {colour}\n".encode() + (b"FRAME\n" + grey + bytes(rest)) * 3

    assert [one.tobytes() for one in pictures(io.BytesIO(film))] == [grey] * 3


@pytest.mark.parametrize(
    "film",
    [
        b"",
        b"RIFF....AVI ",
        b"YUV4MPEG2 W4\nFRAME\n",
        b"YUV4MPEG2 W0 H4 Cmono\n",
        b"YUV4MPEG2 W4 H99999 Cmono\n",
        b"YUV4MPEG2 Wx H4 Cmono\n",
        b"YUV4MPEG2 W4 H4 C444\n",
        b"YUV4MPEG2 W4 H4 C420p10\n",
        b"YUV4MPEG2 W4 H4 Cmono" + b" X" * 1_000 + b"\n",
        b"YUV4MPEG2 W4 H4 Cmono\nFRAMEX" + b"\0" * 1_000,
        b"YUV4MPEG2 W4 H4 Cmono\nnonsense\n",
    ],
)
def test_other_films_are_refused(film: bytes) -> None:
    with pytest.raises(BadPictures):
        list(pictures(io.BytesIO(film)))


@given(st.binary(max_size=200))
def test_no_film_raises_anything_else(noise: bytes) -> None:
    for head in (b"", b"YUV4MPEG2 ", b"YUV4MPEG2 W4 H4 Cmono\n", b"YUV4MPEG2 W4 H4 Cmono\nFRAME\n"):
        try:
            list(pictures(io.BytesIO(head + noise)))
        except BadPictures:
            continue


def test_a_camera_program_is_watched_and_started_again(tmp_path: Path) -> None:
    text = code("ada", 1, NOON)
    film = tmp_path / "film.y4m"
    film.write_bytes(b"YUV4MPEG2 W400 H400 Cmono\n" + frame(qr(text)) * 2)
    source, stopped, seen = CameraSource(f"cat {film}"), Event(), list[str]()

    for found in source.texts(stopped):
        seen.append(found)
        if len(seen) >= 3:
            stopped.set()

    assert set(seen) == {text}
    assert source.pictures >= 2
    assert not source.is_there


def test_a_camera_that_is_not_there_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(camera, "AGAIN_MIN_S", 0.01)
    source, stopped = CameraSource("/nonexistent/camera"), Event()
    threading.Timer(0.2, stopped.set).start()

    assert list(source.texts(stopped)) == []


def test_without_zxing_the_camera_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "zxingcpp", None)

    with pytest.raises(NoDecoder, match=r"pip install 'hansa-gate\[camera\]'"):
        CameraSource("cat")


# -- doors ------------------------------------------------------------------------------------------------------


def test_a_line_says_all_of_a_notice() -> None:
    out = io.StringIO()

    LineActuator(out).tell(OPENS)

    assert json.loads(out.getvalue()) == {
        "open": True,
        "reason": "ok",
        "action": "entry",
        "at": "2026-12-01T12:00:00Z",
        "sequence": 7,
        "words": [{"language": "fr", "text": "Entrez"}, {"language": "en", "text": "Please enter"}],
    }


def test_a_closed_output_is_told() -> None:
    out = io.StringIO()
    out.close()

    with pytest.raises(ActuatorFailed):
        LineActuator(out).tell(OPENS)


def script(folder: Path, body: str) -> Path:
    file = folder / "door.sh"
    file.write_text(f"#!/bin/sh\n{body}\n")
    file.chmod(file.stat().st_mode | stat.S_IXUSR)
    return file


def test_a_program_gets_the_verdict_and_the_words(tmp_path: Path) -> None:
    door = script(tmp_path, f'echo "$@|$HANSA_LANGUAGE|$HANSA_TEXT|$HANSA_NOTICE" >> {tmp_path}/told')
    actuator = CommandActuator(f"{door} --lane 3")

    actuator.tell(OPENS)
    actuator.tell(REFUSES)
    actuator.show_digits("0042")

    first, second, third = (tmp_path / "told").read_text().splitlines()
    assert first.startswith("--lane 3 open ok|fr|Entrez|")
    assert json.loads(first.split("|", 3)[3])["sequence"] == 7
    assert second.startswith("--lane 3 refuse replay|en|")
    assert third.startswith("--lane 3 digits 0042|")


def test_a_program_that_hangs_is_killed_with_its_children(tmp_path: Path) -> None:
    door = script(tmp_path, f"sleep 60 & echo $! > {tmp_path}/child\nwait")

    with pytest.raises(ActuatorFailed, match="took longer"):
        CommandActuator(str(door), timeout_s=2).tell(OPENS)

    child = int((tmp_path / "child").read_text())
    wait_for(lambda: not _runs(child), "its child is gone")


def _runs(pid: int) -> bool:
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("body", ["exit 3", None])
def test_a_program_that_fails_is_told(tmp_path: Path, body: str | None) -> None:
    command = str(script(tmp_path, body)) if body else "/nonexistent/door"

    with pytest.raises(ActuatorFailed):
        CommandActuator(command).tell(OPENS)


def test_a_pin_pulses_and_falls_by_itself(tmp_path: Path) -> None:
    pin = tmp_path / "value"
    pin.write_text("1\n")
    actuator = PinActuator(pin, pulse_ms=1_000)
    assert pin.read_text() == "0\n"

    actuator.tell(REFUSES)
    assert pin.read_text() == "0\n"
    actuator.tell(OPENS)
    assert pin.read_text() == "1\n"
    wait_for(lambda: pin.read_text() == "0\n", "the pulse ends")
    actuator.tell(OPENS)
    actuator.close()

    assert pin.read_text() == "0\n"


def test_a_pin_that_goes_is_told_and_comes_down_when_it_is_back(tmp_path: Path) -> None:
    pin = tmp_path / "value"
    pin.write_text("0\n")
    actuator = PinActuator(pin, pulse_ms=10)
    pin.rename(tmp_path / "gone")

    with pytest.raises(ActuatorFailed):
        actuator.tell(OPENS)
    with pytest.raises(ActuatorFailed, match="shows no digits"):
        actuator.show_digits("0042")
    (tmp_path / "gone").rename(pin)
    actuator.tell(OPENS)
    wait_for(lambda: pin.read_text() == "0\n", "the pulse ends")
    actuator.close()


def test_a_pin_that_is_not_there_is_refused_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(ActuatorFailed):
        PinActuator(tmp_path / "none", pulse_ms=10)


# -- health -----------------------------------------------------------------------------------------------------


def test_health_is_asked_over_http(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    server = HealthServer("127.0.0.1", 0, bench.agent.health)
    server.start()
    url = f"http://127.0.0.1:{server.port}"

    before = asked(f"{url}/healthz")
    bench.ready()
    after = asked(f"{url}/healthz")

    assert (before[0], json.loads(before[1])["state"]) == (503, "out_of_order")
    assert (after[0], json.loads(after[1])["state"]) == (200, "ok")
    assert asked(f"{url}/metrics")[1].startswith("# HELP hansa_gate_info ")
    assert asked(f"{url}/other")[0] == 404
    with pytest.raises(HealthPortTaken):
        HealthServer("127.0.0.1", server.port, bench.agent.health)
    server.close()
    bench.agent.close()


def test_each_word_of_health_stands_in_the_handbook() -> None:
    handbook = (Path(__file__).parents[2] / "docs/operating/gates.md").read_text(encoding="utf-8")

    for word, remedy in (OUT_OF_ORDER | ALERTS).items():
        assert f"| `{word}` | {remedy} |" in handbook, word


# -- the program ------------------------------------------------------------------------------------------------


@pytest.fixture
def league() -> Iterator[HttpLeague]:
    with HttpLeague(NowTime()) as league:
        yield league


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT, None])
def test_a_gate_runs_opens_and_ends_properly(league: HttpLeague, tmp_path: Path, ending: int | None) -> None:
    program = Program(config_file(tmp_path, url=league.url))
    program.wait_ready()

    assert program.show(code("ada", 1, league.time.at))["open"] is True
    assert program.show("nonsense")["reason"] == "malformed"
    if ending is None:
        assert program.process.stdin is not None
        program.process.stdin.close()
    else:
        program.process.send_signal(ending)

    assert program.process.wait(60) == 0
    assert sorted(league.taps) == [1]
    assert [row["reason"] for row in league.refusals] == ["malformed"]


def test_a_gate_that_cannot_begin_says_why(tmp_path: Path) -> None:
    config = config_file(tmp_path, root="00")

    program = Program(config)

    assert program.process.wait(60) == 2
    assert "league.roots: '00' is no root key. Give 64 hex digits of Ed25519" in program.said
    assert not (tmp_path / "state").exists()
