"""The package hansa-gate: what a box installs runs a gate, and has nothing of the server."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from gate.agents import HttpLeague, NowTime, Program, code, config_file

PACKAGE = Path(__file__).parents[2] / "packages" / "hansa-gate"
OURS = {"hansa.codes", "hansa.gate", "hansa.kernel"}
LIST_MODULES = """
import importlib.metadata, importlib.util, json, pkgutil, hansa
print(json.dumps({
    "rooms": ["hansa." + one.name for one in pkgutil.iter_modules(hansa.__path__)],
    "where": hansa.__file__,
    "packages": [one.name.lower() for one in importlib.metadata.distributions()],
}))
"""


def environ(**more: str) -> dict[str, str]:
    """This process's settings without those that would show it this checkout."""
    return {
        name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")
    } | more


def run(*command: str | Path, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, input="", env=environ(**more), cwd="/", capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the package in it, made with pip as a technician would."""
    folder = tmp_path_factory.mktemp("box")
    python = folder / "env" / "bin" / "python"
    made = run(sys.executable, "-m", "venv", folder / "env")
    assert made.returncode == 0, made.stderr
    found = run(python, "-m", "pip", "install", "-q", "hatchling", "cbor2>=6.1", "cryptography>=46")
    if found.returncode:
        pytest.skip(f"pip reaches no package index here: {found.stderr.strip().splitlines()[-1]}")
    wheel = run(
        python, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", folder, PACKAGE
    )
    assert wheel.returncode == 0, wheel.stderr
    removed = run(
        python, "-m", "pip", "uninstall", "-q", "-y", "hatchling", "packaging", "pathspec", "pluggy"
    )
    assert removed.returncode == 0, removed.stderr
    installed = run(python, "-m", "pip", "install", "-q", *folder.glob("hansa_gate-*.whl"))
    assert installed.returncode == 0, installed.stderr
    return folder / "env" / "bin"


@pytest.mark.slow
def test_a_box_with_the_package_has_nothing_of_the_server(box: Path) -> None:
    told = json.loads(run(box / "python", "-c", LIST_MODULES).stdout)

    assert set(told["rooms"]) == OURS
    assert str(box.parent) in told["where"]
    assert not set(told["packages"]) & {
        "litestar",
        "psycopg",
        "uvicorn",
        "msgspec",
        "typer",
        "numpy",
        "hansa",
    }


@pytest.mark.slow
def test_a_box_with_the_package_runs_a_gate(box: Path, tmp_path: Path) -> None:
    with HttpLeague(NowTime()) as league:
        program = Program(
            config_file(tmp_path, url=league.url),
            str(box / "hansa-gate"),
            environ=environ(TEST_GATE_KEY="key"),
        )
        program.wait_ready()

        assert program.show(code("ada", 1, league.time.at))["reason"] == "ok"
        assert program.show("nonsense")["reason"] == "malformed"
        program.process.terminate()

        assert program.process.wait(60) == 0
        assert sorted(league.taps) == [1]


@pytest.mark.slow
def test_what_is_not_installed_is_named(box: Path, tmp_path: Path) -> None:
    camera = run(
        box / "hansa-gate",
        "run",
        "--config",
        config_file(tmp_path, more='[source]\nkind = "camera"'),
        TEST_GATE_KEY="key",
    )
    mqtt = run(
        box / "hansa-gate",
        "run",
        "--config",
        config_file(tmp_path, more='[mqtt]\nhost = "broker"'),
        TEST_GATE_KEY="key",
    )

    assert (camera.returncode, mqtt.returncode) == (2, 2)
    assert "pip install 'hansa-gate[camera]'" in camera.stderr
    assert "pip install 'hansa-gate[mqtt]'" in mqtt.stderr
    assert not (tmp_path / "state").exists()
