"""kill -9 at every write: what was opened is kept, no number is used twice, no used code opens, nothing is doubled."""

import json
import os
import random
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gate.agents import HttpLeague, NowTime, assert_chained, code, config_file, cti

POWERED = Path(__file__).with_name("powered.py")
SRC = Path(__file__).parents[2] / "src"
STRACE = shutil.which("strace")
WRITES = "write,pwrite64,pwritev,writev,fsync,fdatasync,ftruncate,unlink,rename,renameat,renameat2,sendto"
CODES = 4

STRIDE = int(os.environ.get("HANSA_CUT_STRIDE", "10"))
"""Each so many-th write is tried, to spare the clock; HANSA_CUT_STRIDE=1 tries all, in about a quarter of an hour."""


@pytest.fixture
def league() -> Iterator[HttpLeague]:
    with HttpLeague(NowTime(), denies_each_time=True) as league:
        yield league


def run(
    config: Path, codes: list[str], *, before: tuple[str, ...] = (), kill_at: int = 0
) -> tuple[int, str, str]:
    """The gate on these codes: how it ended, and what it wrote to standard output and error."""
    done = subprocess.run(
        [*before, sys.executable, str(POWERED), str(config)],
        input="\n".join(codes),
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": f"{SRC}:{POWERED.parents[1]}",
            "PYTHONDONTWRITEBYTECODE": "1",
            "TEST_GATE_KEY": "key",
            "HANSA_KILL_AT": str(kill_at),
        },
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def fresh(rider: str, first: int) -> list[str]:
    """Codes as good for as long as they can be, since a gate that starts on a busy machine reads them late: 45 s."""
    at = datetime.now(UTC) + timedelta(seconds=25)
    return [code(rider, counter, at, offline_cap=255) for counter in range(first, first + CODES)]


def opened(codes: list[str], out: str) -> set[str]:
    """The codes that opened: each that was shown has a line, the last of which may be torn."""
    lines: list[bool] = []
    for line in out.splitlines():
        try:
            lines.append(json.loads(line)["open"])
        except ValueError:
            break
    return {text for text, is_open in zip(codes, lines, strict=False) if is_open}


def cut_and_check(
    league: HttpLeague, folder: Path, *, before: tuple[str, ...] = (), kill_at: int = 0
) -> bool:
    """One life that is cut short, and the next; gives whether it was cut. ``before``: what runs it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    league.taps.clear()
    config = config_file(folder, url=league.url)
    first = fresh("ada", 1)

    ended, out, err = run(config, first, before=before, kill_at=kill_at)
    opened_first = opened(first, out)
    assert ended in (0, -9, 137), err
    handed_in_first = set(league.taps)
    again, second = first, fresh("bob", 1)
    ended_then, out, err = run(config, [*again, *second])
    opened_then = opened([*again, *second], out)

    assert ended_then == 0, err
    assert not opened_first & opened_then, "a used code opened again"
    assert opened_then >= set(second), "a fresh code did not open"
    taps = [tap for _, tap in sorted(league.taps.items())]
    assert_chained(taps)
    assert len(taps) >= len(opened_first | opened_then), "an opened tap is missing"
    assert len(taps) <= len(first) + len(second)
    assert len({(tap.cti, tap.counter) for tap in taps}) == len(taps)
    assert handed_in_first <= set(league.taps)
    return ended != 0


@pytest.mark.slow
def test_killed_before_each_statement_request_and_file(league: HttpLeague, tmp_path: Path) -> None:
    config = config_file(tmp_path, url=league.url)
    ended, _, err = run(config, fresh("ada", 1))
    assert ended == 0, err
    found = re.search(r"steps (\d+)", err)
    assert found is not None
    steps = int(found[1])

    cuts = [cut_and_check(league, tmp_path / "gate", kill_at=step) for step in range(1, steps + 1, STRIDE)]

    print(f"\n{sum(cuts)} cuts at {steps} steps")
    assert sum(cuts) >= len(cuts) * 0.9  # a run with fewer polls has a few steps less


@pytest.mark.slow
@pytest.mark.skipif(
    STRACE is None, reason="no strace here: `apt-get install strace` runs the cuts at system calls"
)
def test_killed_at_each_system_call_that_writes(league: HttpLeague, tmp_path: Path) -> None:
    cuts, number = 0, 1
    while True:
        trace = tmp_path / "trace"
        before = (
            str(STRACE),
            "-f",
            "-qq",
            "-o",
            str(trace),
            "-e",
            f"trace={WRITES}",
            "-e",
            f"inject={WRITES}:signal=KILL:when={number}",
        )
        if not cut_and_check(league, tmp_path / "gate", before=before):
            break
        cuts += 1
        number += STRIDE
    print(f"\n{cuts} cuts, the last at call {number - STRIDE}")
    assert cuts > 50 / STRIDE


def test_killed_at_a_few_steps(league: HttpLeague, tmp_path: Path) -> None:
    for step in (20, 60, 75, 90):
        cut_and_check(league, tmp_path / "gate", kill_at=step)


@pytest.mark.skipif(
    STRACE is None, reason="no strace here: `apt-get install strace` shows the order of writes"
)
def test_each_tap_is_flushed_to_the_disk_before_the_door_opens(league: HttpLeague, tmp_path: Path) -> None:
    """What a kill cannot show, for the system's memory outlives it: that the flush came first."""
    trace = tmp_path / "trace"
    before = (
        str(STRACE),
        "-y",
        "-qq",
        "-s",
        "64",
        "-o",
        str(trace),
        "-e",
        "trace=write,pwrite64,fsync,fdatasync",
    )

    ended, out, err = run(config_file(tmp_path, url=league.url), fresh("ada", 1), before=before)

    assert ended == 0, err
    assert out.count('"open": true') == CODES
    written = flushed = doors = 0
    for line in trace.read_text().splitlines():
        if "gate.db" in line:
            written += "write64(" in line
            if "sync(" in line:
                flushed = written
        elif line.startswith("write(1<") and '\\"open\\": true' in line:
            doors += 1
            assert written == flushed > 0, line
            written = flushed = 0
    assert doors == CODES


@pytest.mark.slow
def test_a_gate_that_is_killed_again_and_again_keeps_one_chain(league: HttpLeague, tmp_path: Path) -> None:
    """The program as it runs, threads and all, killed at any moment of twelve lives on one folder."""
    dice, config, counter = random.Random(7), config_file(tmp_path, url=league.url), 0
    opened_by_now: set[str] = set()
    shown: dict[str, int] = {}
    for life in range(12):
        gate = subprocess.Popen(
            [sys.executable, "-m", "hansa.gate.agent.command", "run", "--config", str(config)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=os.environ | {"TEST_GATE_KEY": "key", "PYTHONPATH": str(SRC)},
        )
        assert gate.stdin is not None and gate.stdout is not None
        killer = threading.Timer(dice.uniform(0.3, 3.0), gate.kill)
        killer.start()
        try:
            while gate.poll() is None:
                again = sorted(opened_by_now)[-1:] if dice.random() < 0.2 else []
                counter += 1
                for text in (code("ada", counter, datetime.now(UTC), offline_cap=255), *again):
                    shown.setdefault(text, counter)
                    gate.stdin.write(f"{text}\n")
                    gate.stdin.flush()
                    told = json.loads(gate.stdout.readline())
                    if told["open"]:
                        assert text not in opened_by_now, f"opened again in life {life}"
                        opened_by_now.add(text)
        except (BrokenPipeError, json.JSONDecodeError):
            pass  # it was killed in the middle of it
        finally:
            killer.cancel()
            gate.kill()
            gate.communicate()

    ended, _, err = run(config, fresh("bob", 1))
    assert ended == 0, err
    taps = [tap for _, tap in sorted(league.taps.items())]
    print(f"\n{len(opened_by_now)} opened, {len(taps)} handed in, {counter} codes shown")
    assert_chained(taps)
    counters = {tap.counter for tap in taps if tap.cti == cti("ada")}
    assert counters >= {shown[text] for text in opened_by_now}
    assert len(opened_by_now) > 0
