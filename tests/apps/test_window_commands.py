"""``hansa clearing`` for windows and models: what a person is told."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from clearing.example_day import ride_all, set_clock
from clearing.test_schedule import TWICE
from clearing.test_windows import MORNING, NOON
from hansa.apps import window_commands
from hansa.apps.clearing_commands import clearing_app
from hansa.store import Context


def test_a_model_is_proposed_decided_and_closed_on_the_command_line(
    ctx: Context, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    class Opened:
        def __init__(self, *_: Any, **__: Any) -> None: ...

        def __enter__(self) -> Context:
            return ctx

        def __exit__(self, *_: object) -> None: ...

    user = ["anna"]
    monkeypatch.setattr(window_commands, "opened", Opened)
    monkeypatch.setattr(window_commands.getpass, "getuser", lambda: user[0])
    ride_all(ctx)
    set_clock(ctx, MORNING)
    file = tmp_path / "twice.toml"
    file.write_text(TWICE, "utf-8")
    runner = CliRunner()

    def told(*words: str) -> str:
        answer = runner.invoke(clearing_app, list(words), catch_exceptions=False)
        assert answer.exit_code == 0, answer.output
        return answer.output

    assert "no problem found" in told("model-check", str(file))
    assert "waits for another person" in told(
        "model-propose", str(file), "--why", "agreed", "--from", f"{MORNING:%Y-%m-%d}"
    )
    user[0] = "bert"
    assert "version 1 is approved" in told("model-decide", "twice", "1", "--why", "voted")
    set_clock(ctx, MORNING + timedelta(seconds=1))
    assert "twice" in told("models")
    set_clock(ctx, NOON)
    assert "twice-20261117-1 is closed: 1 items" in told("close-window", "twice")
    assert "twice-20261117-1" in told("windows")
