"""Rooms import downward only, and a room that reaches up is caught."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LINT_IMPORTS = Path(sys.executable).parent / "lint-imports"


def _lint(house: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [LINT_IMPORTS, "--config", house / ".importlinter", "--no-cache"],
        cwd=house,
        env=os.environ | {"PYTHONPATH": str(house / "src")},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """A copy of the package and its contracts, to be spoilt."""
    shutil.copytree(
        ROOT / "src" / "hansa", tmp_path / "src" / "hansa", ignore=shutil.ignore_patterns("*.pyc")
    )
    shutil.copy(ROOT / ".importlinter", tmp_path)
    return tmp_path


def test_all_rooms_keep_the_contracts(house: Path) -> None:
    linted = _lint(house)

    assert linted.returncode == 0, linted.stdout


@pytest.mark.parametrize(
    ("room", "planted", "contract"),
    [
        ("ledger", "from hansa import payments", "Rooms import downward only"),
        ("kernel", "from hansa import store", "Rooms import downward only"),
        ("rides", "from hansa import settlement", "Rooms import downward only"),
        ("identity", "import hansa.atlas", "Rooms import downward only"),
        ("gate", "from hansa import trust", "The gate is a device program"),
        ("gate", "import psycopg", "The gate is a device program"),
        ("codes", "import litestar", "Kernel, codes and fares touch no database and no web"),
    ],
)
def test_a_planted_import_breaks_its_contract(house: Path, room: str, planted: str, contract: str) -> None:
    (house / "src" / "hansa" / room / "planted.py").write_text(f'"""Spoilt."""\n\n{planted}\n')

    linted = _lint(house)

    assert linted.returncode != 0
    broken = [line for line in linted.stdout.splitlines() if "BROKEN" in line]
    assert any(line.startswith(contract) for line in broken), linted.stdout
    assert f"hansa.{room}" in linted.stdout
