"""The command line as a person meets it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from hansa import fares

HANSA = [sys.executable, "-c", "from hansa.apps.command import main; main()"]


def hansa(*words: str, home: Path | None = None) -> "subprocess.CompletedProcess[str]":
    environment = (
        os.environ | {"COLUMNS": "140", "NO_COLOR": "1"} | ({"HANSA_HOME": str(home)} if home else {})
    )
    return subprocess.run(
        [*HANSA, *words], capture_output=True, text=True, timeout=120, check=False, env=environment
    )


def test_help_names_the_first_thing_to_do() -> None:
    told = hansa("--help")

    assert told.returncode == 0
    assert "hansa demo" in told.stdout


@pytest.mark.parametrize(
    "command", ["demo", "serve", "atlas", "tariff", "ledger", "clearing", "settlement", "key", "witness"]
)
def test_every_command_explains_itself(command: str) -> None:
    told = hansa(command, "--help")

    assert told.returncode == 0
    assert len(told.stdout.splitlines()) > 5


def test_a_feed_that_is_not_a_zip_is_refused_with_a_remedy(tmp_path: Path) -> None:
    feed = tmp_path / "feed.zip"
    feed.write_bytes(b"not a zip at all")
    city = Path(__file__).parents[2] / "src/hansa/atlas/cities/utsunomiya/city.toml"

    told = hansa(
        "atlas",
        "import",
        str(feed),
        "--city",
        str(city),
        "--operator",
        "utsunomiya-lightline",
        home=tmp_path / "h",
    )

    assert told.returncode == 1
    assert "feed.zip" in told.stderr
    assert "Traceback" not in told.stderr
    assert not (tmp_path / "h").exists()


def test_a_tariff_with_problems_names_file_and_field(tmp_path: Path) -> None:
    (tmp_path / "tariff.toml").write_text('operator = "nowhere"\ncurrency = "XXX"\n')

    told = hansa("tariff", "check", str(tmp_path))

    assert told.returncode == 1
    assert "tariff.toml" in told.stderr
    assert "currency" in told.stderr


def test_a_tariff_with_a_gap_names_a_pair_of_stops(tmp_path: Path) -> None:
    text = (fares.tariff_folder("beijing-subway") / "tariff.toml").read_text()
    head, _, tail = text.partition("[basis.beyond]")
    (tmp_path / "tariff.toml").write_text(head + tail[tail.index("\n[") :])

    told = hansa("tariff", "check", str(tmp_path))

    assert told.returncode == 1
    assert "error" in told.stdout and "tariff.toml" in told.stdout and "errors" in told.stdout
    assert hansa("tariff", "check", str(fares.tariff_folder("beijing-subway"))).returncode == 0


def test_fresh_leaves_a_folder_alone_that_holds_no_demonstration(tmp_path: Path) -> None:
    (tmp_path / "letters.txt").write_text("keep me")

    told = hansa("demo", "--once", "--fresh", "--riders", "1", home=tmp_path)

    assert told.returncode == 2
    assert (tmp_path / "letters.txt").read_text() == "keep me"
