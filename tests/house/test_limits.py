"""A test that hangs is a failure that tells where its threads stand, and the tests after it are run."""

import os
import re
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).parents[1]

HANGING = """
import threading
import pytest
from hypothesis import given, strategies

locked = threading.Lock()
locked.acquire()

@pytest.fixture
def leaves():
    yield
    locked.acquire()

def waits_beside():
    locked.acquire()

@pytest.mark.limit(1)
def test_waits():
    threading.Thread(target=waits_beside, daemon=True).start()
    locked.acquire()

@pytest.mark.limit(1)
def test_waits_and_so_does_its_tear_down(leaves):
    locked.acquire()

@pytest.mark.limit(1)
def test_fails_and_its_tear_down_waits(leaves):
    assert False

@pytest.mark.limit(1)
@given(strategies.just(1))
def test_waits_with_every_example(number):
    locked.acquire()

def test_is_well():
    pass
"""


def test_what_hangs_fails_tells_where_and_lets_the_others_run(tmp_path: Path) -> None:
    (tmp_path / "test_hanging.py").write_text(HANGING)

    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-rA", "-p", "limits", "-p", "no:cacheprovider", "test_hanging.py"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(TESTS), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )

    told = re.findall(r"^(PASSED|FAILED|ERROR) test_hanging\.py::(\w+)", run.stdout, re.MULTILINE)
    assert sorted(told) == [
        ("ERROR", "test_fails_and_its_tear_down_waits"),
        ("ERROR", "test_waits_and_so_does_its_tear_down"),
        ("FAILED", "test_fails_and_its_tear_down_waits"),
        ("FAILED", "test_waits"),
        ("FAILED", "test_waits_and_so_does_its_tear_down"),
        ("FAILED", "test_waits_with_every_example"),
        ("PASSED", "test_is_well"),
    ], run.stdout
    assert "test_waits takes longer than its 1 s." in run.stdout
    assert "in waits_beside" in run.stdout
