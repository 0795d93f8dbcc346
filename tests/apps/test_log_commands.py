"""``hansa ledger receipt``, ``checkpoint`` and ``tiles`` on a home with books."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hansa import ledger
from hansa.apps.command import app
from hansa.apps.open import opened
from hansa.apps.witnessing import log_signer
from hansa.trust import tlog
from ledger_log.log_books import LogBooks, transfer, verifier

runner = CliRunner()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with some transfers in its books."""
    home = tmp_path_factory.mktemp("home")
    home.chmod(0o755)
    with opened(home) as ctx:
        LogBooks(ctx, log_signer(home)).open().post(3, 20)
    return home


def run(home: Path, *words: str | Path) -> str:
    result = runner.invoke(app, ["ledger", *map(str, words), "--home", str(home)])
    assert result.exit_code == 0, result.output
    return result.stdout


def test_what_the_commands_give_is_proven_by_the_one_file(home: Path, tmp_path: Path) -> None:
    key = run(home, "checkpoint", "--key").strip()
    kept, receipt, tiles = tmp_path / "kept", tmp_path / "receipt.json", tmp_path / "log"
    kept.write_text(run(home, "checkpoint"), encoding="utf-8")
    run(home, "receipt", str(transfer(5).transfer_id), "--out", receipt)
    run(home, "tiles", "--out", tiles)

    assert json.loads(run(home, "receipt", str(transfer(5).transfer_id))) == json.loads(receipt.read_text())
    assert tlog.Checkpoint.parse(tlog.Note.parse(kept.read_text()).text).size == 23
    assert verifier("receipt", receipt, "--log-key", key).returncode == 0
    assert verifier("history", "--tiles", tiles, "--old", kept, "--log-key", key).returncode == 0


def test_a_transfer_that_is_not_there_is_told(home: Path) -> None:
    result = runner.invoke(
        app, ["ledger", "receipt", "01a1eb3c-ba20-8030-b5f6-8f93f71c74af", "--home", str(home)]
    )

    assert isinstance(result.exception, ledger.UnknownTransfer)
