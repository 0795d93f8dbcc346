"""``hansa webhooks``: a clerk's walk at the machine of the league."""

from contextlib import nullcontext
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hansa.apps import webhook_commands
from hansa.apps.command import app
from hansa.store import Context
from webhooks.receiving import A, join_league, receiving, step, tell


def test_a_clerk_adds_verifies_sends_and_ends_an_endpoint(
    committed_ctx: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ctx = committed_ctx
    join_league(ctx)
    monkeypatch.setenv("HANSA_WEBHOOK_NETWORKS", "127.0.0.0/8")
    monkeypatch.setattr(webhook_commands, "opened", lambda *_, **__: nullcontext(ctx))  # pyright: ignore[reportUnknownLambdaType]

    def run(*words: str, fails: bool = False) -> str:
        done = CliRunner().invoke(app, ["webhooks", *words, "--home", str(tmp_path)])
        assert (done.exit_code != 0) == fails, done.output
        return done.output

    with receiving() as receiver:
        run("add", A, "https://192.168.1.1/", fails=True)
        added = run("add", A, receiver.url, "--type", "dispute.moved").split()
        run("verify", added[0], "wrong", fails=True)
        verified = run("verify", added[0], receiver.got[0].told["data"]["code"])
        tell(ctx, step(1, at=ctx))
        run("test", added[0])
        sent = run("send")
        run("redeliver", added[0], "1", "1")
        run("send")
        tried = run("deliveries", added[0])
        rotated = run("rotate", added[0])
        run("disable", added[0], "--why", "moved away")
        listed = run("list")
        enabled = run("enable", added[0])

    assert added[1] == "unverified" and added[2].startswith("whsec_") and added[3].startswith("whpk_")
    assert "answered 200" in " ".join(added)
    assert "enabled" in verified and "enabled" in enabled
    assert "events were taken" in sent and tried.count("200") >= 2
    assert rotated.startswith("whsec_") and rotated.strip() != added[2]
    assert "disabled: moved away" in " ".join(listed.split())
    assert [one.told["type"] for one in receiver.got][1] == "dispute.moved"
