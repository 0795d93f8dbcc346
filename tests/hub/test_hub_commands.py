"""``hansa hub``: what the league's clerks do at the machine."""

from contextlib import nullcontext

import pytest
from typer.testing import CliRunner

from hansa import hub
from hansa.apps import hub_commands
from hansa.apps.command import app
from hansa.store import Context
from hub.paying import MEMBERS, A, open_hub


def test_clerks_open_cap_and_fund_a_member(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    open_hub(ctx, covers=dict.fromkeys(MEMBERS, 100))
    monkeypatch.setattr(hub_commands, "opened", lambda *_, **__: nullcontext(ctx))  # pyright: ignore[reportUnknownLambdaType]

    def run(*words: str, fails: bool = False) -> str:
        done = CliRunner().invoke(app, ["hub", *words])
        assert (done.exit_code != 0) == fails, done.output
        return done.output

    run("open", A, "HKD")
    run("cap", A, "HKD", "500", "--by", "anna", "--soft", "400")
    proposed = run("funds", "in", A, "HKD", "300", "--reference", "camt 1", "--by", "anna").split()
    run("book", proposed[0], "--by", "anna", fails=True)
    run("book", proposed[0], "--by", "bo")
    refused = run("funds", "out", A, "HKD", "100", "--reference", "pain 1", "--by", "anna").split()
    run("book", refused[0], "--by", "bo", "--refuse")
    run("funds", "up", A, "HKD", "100", "--reference", "pain 1", "--by", "anna", fails=True)
    listed = run("liquidity")

    with ctx.tx() as tx:
        now = hub.get_liquidity(tx, A, "HKD")
    assert (now.cover_minor, now.headroom_minor, now.soft_minor) == (300, 300, 400)
    assert proposed[1] == "proposed"
    assert "HK$3.00" in listed and A in listed
