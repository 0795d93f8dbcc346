"""The torture in its short forms; the long ones are ``make torture`` and ``make torture ARGS=--rooms``."""

import subprocess
import sys
from pathlib import Path

import pytest

TORTURE = Path(__file__).parent / "torture.py"


@pytest.mark.slow
@pytest.mark.limit(1_200)
@pytest.mark.parametrize(("seed", "words"), [("11", ()), ("12", ("--rooms",))])
def test_nothing_is_lost_or_doubled_however_often_they_are_killed(seed: str, words: tuple[str, ...]) -> None:
    done = subprocess.run(
        [sys.executable, str(TORTURE), "--short", "--seed", seed, *words],
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )

    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-3000:]
    assert done.stdout.startswith(f"seed {seed}\n")
