"""The commands around a running gate: what they refuse, and how a new device takes an old one's place."""

import io
from contextlib import closing, nullcontext
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gate.agents import assert_chained, config_file
from gate.city import city
from hansa.apps import gate_commands
from hansa.apps.command import app
from hansa.gate.agent.actuators import LineActuator
from hansa.gate.agent.agent import STATE
from hansa.gate.agent.command import agent_of, main
from hansa.gate.agent.config import read_config
from hansa.kernel import SystemClock
from hansa.store import Context
from web.little_league import WAY_IN, Phone


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["run", "--config", "/nonexistent"], "/nonexistent: it cannot be read"),
        (["go-on", "--config", "/nonexistent", "1", "00"], "/nonexistent: it cannot be read"),
        (["renew", "--config", "/nonexistent"], "/nonexistent: it cannot be read"),
        (["enrol", "http://127.0.0.1:9", "CODE", "--folder", "/nonexistent"], "127.0.0.1"),
    ],
)
def test_what_cannot_be_done_is_said_with_code_2(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2

    told = capsys.readouterr()
    assert said in told.err
    assert told.out == ""


@pytest.mark.parametrize("words", [[], ["fly"], ["run"], ["go-on", "--config", "x", "one", "00"]])
def test_wrong_use_is_refused(words: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)

    assert ended.value.code == 2


def test_hansa_gate_run_is_the_same_program(tmp_path: Path) -> None:
    told = CliRunner().invoke(app, ["gate", "run", "--config", str(tmp_path / "none.toml")])

    assert told.exit_code == 2
    assert "it cannot be read" in told.output


def test_a_lost_device_is_replaced_with_the_last_tap_of_the_books(
    committed_ctx: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ctx = replace(committed_ctx, clock=SystemClock())
    monkeypatch.setattr(gate_commands, "opened", lambda *_, **__: nullcontext(ctx))  # pyright: ignore[reportUnknownLambdaType]

    def last_tap() -> list[str]:
        told = CliRunner().invoke(app, ["gate", "last-tap", WAY_IN])
        assert told.exit_code == 0, told.output
        return told.stdout.split()

    with city(ctx, tmp_path / "home") as here:
        monkeypatch.setenv("TEST_GATE_KEY", here.api_key)
        phone = Phone(ctx, here.league, "Gao Lan")
        (tmp_path / "box").mkdir()
        config = config_file(tmp_path / "box", url=here.url, root=here.root)
        assert last_tap()[:5] == ["There", "is", "no", "tap", "of"]

        with closing(agent_of(read_config(config), LineActuator(io.StringIO()))) as agent:
            agent.exchange()
            assert [agent.show(phone.show()) is not None for _ in range(3)] == [True] * 3
            agent._tasks["taps"].due_s = 0
            agent.exchange()
        (tmp_path / "box" / "state" / STATE).unlink()

        number, link = last_tap()
        assert number == "3"
        gone_on = CliRunner().invoke(app, ["gate", "go-on", "--config", str(config), number, link])
        assert gone_on.exit_code == 0, gone_on.output
        with closing(agent_of(read_config(config), LineActuator(io.StringIO()))) as agent:
            agent.exchange()
            agent.show(phone.show())
            agent._tasks["taps"].due_s = 0
            agent.exchange()

        assert [tap.sequence for tap in here.taps()] == [1, 2, 3, 4]
        assert_chained(here.taps())
        again = CliRunner().invoke(app, ["gate", "go-on", "--config", str(config), number, link])
        assert again.exit_code == 2
        assert "goes on from its own taps" in again.output
