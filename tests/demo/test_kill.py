"""kill -9 anywhere loses nothing and doubles nothing: the day still comes out to the cent."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.limit(1_800)

RIDERS = "240"
SCRIPT = Path(__file__).parent / "dying_run.py"

# Where to die, how many milliseconds (of taken, batches) into it, and who dies there.
DEATHS = [
    [("people", 150, "process"), ("day", 300, "both")],
    [("tap", 40, "database"), ("tap", 15, "both"), ("price", 60, "process")],
    [("post", 30, "both"), ("post", 90, "process"), ("correct", 10, "both")],
    [("clear", 8, "both"), ("clear", 25, "process"), ("settle", 20, "both"), ("next-post", 5, "process")],
    [("agree", 15, "both"), ("early", 60, "process"), ("pay", 15, "both"), ("report", 200, "process")],
    [("join", 250, "both"), ("spend", 150, "process"), ("spend", 900, "both"), ("spend", 2_400, "process")],
    [("taken", 2, "process"), ("taken", 3, "both"), ("taken", 7, "process"), ("taken", 9, "both")],
    [("dispute", 120, "both"), ("dispute", 350, "process"), ("watch", 10, "process"), ("watch", 25, "both")],
]


@pytest.fixture
def home() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="hansa-kill-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        yield Path(folder) / "home"


@pytest.fixture(scope="module")
def undisturbed() -> dict[str, int]:
    with tempfile.TemporaryDirectory(prefix="hansa-calm-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        return figures(run(Path(folder) / "home", "none", 0, "nobody"))


def run(home: Path, stage: str, delay_ms: int, whom: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, str(SCRIPT), str(home), RIDERS, stage, str(delay_ms), whom],
        capture_output=True,
        text=True,
        timeout=1_200,
        check=False,
    )


def figures(done: "subprocess.CompletedProcess[str]") -> dict[str, int]:
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow
@pytest.mark.parametrize("deaths", DEATHS, ids=lambda deaths: "+".join(f"{s}-{w}" for s, _, w in deaths))
def test_a_killed_day_comes_out_to_the_cent(
    home: Path, deaths: list[tuple[str, int, str]], undisturbed: dict[str, int]
) -> None:
    died = sum(run(home, *death).returncode != 0 for death in deaths)

    survived = figures(run(home, "none", 0, "nobody"))

    assert died > 0, "no kill struck; the stages have grown too fast for these delays"
    assert survived == undisturbed


@pytest.mark.slow
def test_the_same_seed_gives_the_same_cents_and_a_second_run_changes_none(
    home: Path, undisturbed: dict[str, int]
) -> None:
    first = figures(run(home, "none", 0, "nobody"))
    again = figures(run(home, "none", 0, "nobody"))

    assert first == undisturbed
    assert again == undisturbed
    assert sum(figure for name, figure in first.items() if name.startswith("fares ")) > 0
