"""`hansa audit check` and `hansa secrets`, as an operator runs them."""

import base64
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from hansa import audit
from hansa.apps.audit_commands import NOTES, keep_record, sign_heads
from hansa.apps.command import app
from hansa.audit import Act
from hansa.store import Context
from hansa.trust import staff
from hansa.trust.tlog import BadSignature
from scratch import NOON

Run = Callable[..., Result]


@pytest.fixture
def run(committed_ctx: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("HANSA_DATABASE_URL", committed_ctx.url)
    monkeypatch.setenv("HANSA_HOME", str(tmp_path))

    def _run(*words: str) -> Result:
        return CliRunner().invoke(app, list(words))

    return _run


def test_a_record_written_anew_is_caught_by_the_heads_that_were_signed(
    run: Run, committed_ctx: Context, tmp_path: Path
) -> None:
    for number in range(3):
        with committed_ctx.tx() as tx:
            audit.record(tx, Act("staff:ada", "member.admit", f"member:{number}", "asked for"), NOON)
    audit.seal(committed_ctx)
    keep_record(committed_ctx, tmp_path)()
    whole = run("audit", "check")
    copy = tmp_path / "elsewhere"
    copy.write_text((tmp_path / NOTES).read_text())
    with committed_ctx.tx() as tx:
        audit.record(tx, Act("staff:ada", "member.suspend", "member:1", "late"), NOON)
    shown = run("audit", "record", "suspend")

    with committed_ctx.tx() as tx:
        for table in ("acts", "seals", "checkpoints"):
            tx.execute(f"alter table audit.{table} disable trigger user".encode())
        tx.execute(
            "truncate audit.seals, audit.checkpoints; delete from audit.heads; delete from audit.waiting"
        )
        tx.execute("update audit.acts set actor = 'staff:bo'")
        tx.execute("insert into audit.waiting (act_id) select act_id from audit.acts order by act_id")
    (tmp_path / NOTES).unlink()
    alone, against = run("audit", "check"), run("audit", "check", "--heads", str(copy))

    assert (whole.exit_code, "3 acts in 1 chains" in whole.output) == (0, True)
    assert (shown.exit_code, "member.suspend" in shown.output, "member.admit" in shown.output) == (
        0,
        True,
        False,
    )
    assert alone.exit_code == 0
    assert against.exit_code == 1
    assert "league, place 3" in against.output
    assert "not the seal that was signed" in " ".join(against.output.split())


def test_a_head_that_the_house_did_not_sign_is_refused(
    run: Run, committed_ctx: Context, tmp_path: Path
) -> None:
    with committed_ctx.tx() as tx:
        audit.record(tx, Act("staff:ada", "member.admit", "member:1"), NOON)
    audit.seal(committed_ctx)
    sign_heads(committed_ctx, tmp_path, committed_ctx.clock)
    forged = tmp_path / "forged"
    forged.write_text((tmp_path / NOTES).read_text().replace("\n1\n", "\n2\n"))

    checked = run("audit", "check", "--heads", str(forged))

    assert checked.exit_code == 1
    assert isinstance(checked.exception, BadSignature)


def test_secrets_are_listed_and_rotated_and_never_shown(run: Run, tmp_path: Path) -> None:
    made = [run("secrets", "rotate", "sealing") for _ in range(2)]
    told = run("secrets", "list")

    assert [one.exit_code for one in (*made, told)] == [0, 0, 0]
    assert "version 2" in made[1].output
    assert "1, 2" in told.output
    for version in (1, 2):
        text = (tmp_path / "keys" / f"sealing.{version}").read_text().strip()
        assert len(base64.urlsafe_b64decode(text + "=")) == 32
        assert text not in told.output + made[0].output + made[1].output


def test_the_first_admin_is_invited_at_the_machine(run: Run, committed_ctx: Context) -> None:
    made = run("staff", "invite", "ada", "--role", "admin", "--reason", "the first one")
    again = run("staff", "invite", "ada", "--role", "admin", "--reason", "lost it", "--again")
    told = run("staff", "list")

    assert [one.exit_code for one in (made, again, told)] == [0, 0, 0]
    assert "staff:ada" in told.output and "invited" in told.output
    with committed_ctx.tx() as tx:
        assert staff.find_invited(tx, again.output.strip(), NOON).handle == "ada"
        assert [act.action for act in audit.search(tx)] == ["staff.invite-again", "staff.invite"]
