"""Tariffs on the command line: proposed by one user, approved by another, compared over past journeys."""

import re
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hansa import rides
from hansa.apps import tariff_commands
from hansa.store import Context
from rides.riding import League, local, tariff_of

HANGZHOU = "hangzhou-metro"
NEAR = ("hangzhou/xianghu", "hangzhou/binkanglu")


@pytest.fixture
def run(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> "Run":
    """Commands on this test's database, as whichever user."""

    @contextmanager
    def opened(*_: object, **__: object) -> Generator[Context]:
        yield ctx

    monkeypatch.setattr(tariff_commands, "opened", opened)
    return Run(monkeypatch)


class Run:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.monkeypatch = monkeypatch

    def __call__(self, *words: str, user: str = "ada") -> tuple[int, str]:
        self.monkeypatch.setattr("getpass.getuser", lambda: user)
        done = CliRunner().invoke(tariff_commands.tariff_app, list(words))
        return done.exit_code, done.output + (str(done.exception) if done.exception else "")


def folder(path: Path, old: str = 'fare = "2.00"', new: str = 'fare = "2.50"') -> str:
    text = tariff_of(HANGZHOU).source.toml.replace("2024-01-01", "2030-01-01").replace(old, new, 1)
    (path / "tariff.toml").write_text(text, encoding="utf-8")
    return str(path)


def test_one_user_proposes_and_another_approves(ctx: Context, run: Run, tmp_path: Path) -> None:
    League(ctx, HANGZHOU)
    code, said = run("propose", folder(tmp_path), "--note", "dearer")
    again = run("propose", str(tmp_path), "--note", "dearer")
    found = re.match(r"(\S+): proposed, from 2030-01-01", said)
    assert code == 0 and found is not None and again == (code, said)

    same = run("approve", found[1])
    other = run("approve", found[1], user="bo")
    back = run("withdraw", found[1], "--why", "a slip", user="bo")

    assert same[0] == 1 and "cannot approve it" in same[1]
    assert other == (0, f"{found[1]}: scheduled, from 2030-01-01.\n")
    assert back == (0, f"{found[1]}: withdrawn.\n")


def test_one_with_errors_is_a_draft_and_ends_with_code_1(ctx: Context, run: Run, tmp_path: Path) -> None:
    League(ctx, HANGZHOU)

    code, said = run("propose", folder(tmp_path, '"04:00"', '"05:00"'))

    assert code == 1 and "draft" in said and "day_starts" in said


def test_two_are_compared_over_past_journeys(ctx: Context, run: Run, tmp_path: Path) -> None:
    league, tariff = League(ctx, HANGZHOU), tariff_of(HANGZHOU)
    ride = league.ride(HANGZHOU, *NEAR, local(tariff, "08:00"), league.rider(1))
    ctx.clock.at = local(tariff, "20:00")  # type: ignore[attr-defined]
    league.hand_in(ride)
    rides.rate(ctx)
    table = tmp_path / "figures.csv"

    code, said = run("compare", folder(tmp_path), "--from", "2026-11-17", "--csv", str(table))

    assert code == 0, said
    assert "0 better off, 0 the same, 1 worse" in said and "¥0.50" in said
    assert "class,adult,1,,2.00,2.50,0.50,CNY" in table.read_text(encoding="utf-8").splitlines()
