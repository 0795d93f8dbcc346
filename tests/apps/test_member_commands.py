"""Members and agreements on the command line: proposed by one user, approved by another, asked what holds."""

import re
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest
from typer import Typer
from typer.testing import CliRunner

from clearing.example_day import open_league
from hansa.apps import agreement_commands, member_commands
from hansa.apps.web.agreement_pages import SKELETON as AGREEMENT
from hansa.apps.web.member_pages import SKELETON as APPLICATION
from hansa.store import Context


class Run:
    """Commands on this test's database, as whichever user."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, app: Typer) -> None:
        self.monkeypatch, self.app = monkeypatch, app

    def __call__(self, *words: str, user: str = "ada") -> tuple[int, str]:
        self.monkeypatch.setattr("getpass.getuser", lambda: user)
        done = CliRunner().invoke(self.app, list(words))
        return done.exit_code, done.output + (str(done.exception) if done.exception else "")


@pytest.fixture
def opened_here(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    @contextmanager
    def opened(*_: object, **__: object) -> Generator[Context]:
        yield ctx

    for commands in (agreement_commands, member_commands):
        monkeypatch.setattr(commands, "opened", opened)
    open_league(ctx)
    return monkeypatch


def test_an_agreement_from_file_to_fare(opened_here: pytest.MonkeyPatch, tmp_path: Path) -> None:
    run = Run(opened_here, agreement_commands.agreements_app)
    file = tmp_path / "agreed.toml"
    text = AGREEMENT.format(
        issuer="hangzhou-card", operator="beijing-subway", valid_from="2027-01-01", currency="CNY"
    )
    file.write_text(text.replace("hangzhou-card", "atlantis"), encoding="utf-8")
    code, said = run("check", str(file))
    assert code == 1 and "no member 'atlantis'" in said
    assert run("propose", str(file))[0] == 1

    file.write_text(text, encoding="utf-8")
    assert run("check", str(file)) == (0, "Nothing is wrong with it.\n")
    code, said = run("propose", str(file), "--note", "as signed")
    found = re.match(r"(\S+): proposed, from 2027-01-01", said)
    assert (
        code == 0 and found is not None and run("propose", str(file), "--note", "as signed") == (code, said)
    )
    assert run("approve", found[1], "--why", "y")[0] == 1
    assert run("approve", found[1], "--why", "y", user="bo") == (
        0,
        f"{found[1]}: scheduled, from 2027-01-01.\n",
    )
    assert found[1] in run("list")[1]
    told = run("terms", "hangzhou-card", "beijing-subway", "CNY", "--day", "2027-01-01")[1]
    assert "¥3.00 on 2027-01-01" in told and "¥2.95" in told and found[1] in told
    assert run("withdraw", found[1], "--why", "a slip", user="bo")[1].startswith(f"{found[1]}: withdrawn")
    assert run("schema", str(tmp_path))[0] == 0 and (tmp_path / "agreements.schema.json").is_file()


def test_a_member_from_application_to_leaving(opened_here: pytest.MonkeyPatch, tmp_path: Path) -> None:
    run = Run(opened_here, member_commands.members_app)
    file = tmp_path / "lyon.toml"
    file.write_text(APPLICATION, encoding="utf-8")
    assert "Nothing is wrong" in run("check", str(file))[1]
    code, said = run("apply", str(file))
    found = re.match(r"(\S+): applied", said)
    assert code == 0 and found is not None
    assert run("approve", found[1], "--why", "y")[0] == 1
    assert run("approve", found[1], "--why", "y", user="bo") == (0, "lyon, lyon-card, lyon-tcl: let in.\n")

    assert run("suspend", "lyon", "--why", "silent") == (0, "lyon: suspended.\n")
    assert run("resume", "lyon", "--why", "answers") == (0, "lyon: suspended.\n")
    assert run("resume", "lyon", "--why", "y", "--yes", user="bo") == (0, "lyon: active.\n")
    assert run("leave", "lyon", "--why", "y")[0] == 2
    assert run("leave", "lyon", "--why", "merges", "--last-day", "2027-06-30") == (0, "lyon: active.\n")
    assert run("leave", "lyon", "--why", "y", "--yes", user="bo") == (0, "lyon: leaving.\n")
    code, said = run("leave", "lyon", "--why", "y", "--done", user="bo")
    assert code == 1 and "new business" in said
    assert run("open", "lyon") == (0, "Nothing is open.\n")
    assert "leaving" in run("list")[1]
