"""The league's trust list from the command line, and by itself where its root's key is."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from datetime import timedelta
from pathlib import Path
from threading import Barrier

import pytest
from typer.testing import CliRunner

from hansa import trust
from hansa.apps import trust_commands
from hansa.apps.command import app
from hansa.apps.trust_commands import keep_trust_list
from hansa.codes import read_trust_list
from hansa.store import Context
from hansa.trust import Member, MemberId


@pytest.fixture
def issuer(committed_ctx: Context) -> Context:
    now = committed_ctx.clock.now()
    with committed_ctx.tx() as tx:
        trust.add_members(
            tx,
            [
                Member(MemberId("london"), "London", "city", "london", MemberId("london"), "GB00"),
                Member(MemberId("london-card"), "Card", "issuer", "london", MemberId("london"), "GB01"),
            ],
        )
        trust.add_issuer_key(
            tx, "london-card", bytes(32), not_before=now, not_after=now + timedelta(days=365)
        )
    return committed_ctx


def opened_as(monkeypatch: pytest.MonkeyPatch, ctx: Context) -> None:
    """The command finds this test's database open already."""
    monkeypatch.setattr(trust_commands, "opened", lambda *_, **__: nullcontext(ctx))  # pyright: ignore[reportUnknownLambdaType]


def test_a_list_is_signed_by_itself_only_where_the_root_is(issuer: Context, tmp_path: Path) -> None:
    keys = trust.KeyFolder(tmp_path)
    keep_trust_list(issuer, keys)()
    with issuer.tx() as tx:
        assert trust.trust_list_ends_at(tx) is None
    assert not keys.has_league_root

    root = keys.league_root()
    keep = keep_trust_list(issuer, keys)
    keep()
    keep()

    with issuer.tx() as tx:
        assert read_trust_list(trust.signed_trust_list(tx), root.public_key()).version == 1


def test_two_that_renew_at_once_sign_one_list(issuer: Context, tmp_path: Path) -> None:
    root, at = trust.KeyFolder(tmp_path).league_root(), issuer.clock.now()
    start = Barrier(4)

    def renew(day: int) -> bool:
        start.wait()
        with issuer.tx() as tx:
            return trust.renew_trust_list(tx, root, at=at + timedelta(days=day)) is not None

    with ThreadPoolExecutor(4) as pool:
        rounds = [sum(pool.map(renew, [day] * 4)) for day in range(5)]

    assert rounds == [1] * 5
    with issuer.tx() as tx:
        assert read_trust_list(trust.signed_trust_list(tx), root.public_key()).version == 5


def test_publish_and_show(issuer: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened_as(monkeypatch, issuer)
    home = ["--home", str(tmp_path)]

    before = CliRunner().invoke(app, ["trust", "show", *home])
    published = CliRunner().invoke(app, ["trust", "publish", *home])
    again = CliRunner().invoke(app, ["trust", "publish", *home])
    after = CliRunner().invoke(app, ["trust", "show", *home])

    keys = trust.KeyFolder(tmp_path / "keys")
    assert "Nobody has signed a list yet" in before.output
    assert published.exit_code == 0, published.output
    assert f"Root: {keys.league_root().public_key().public_bytes_raw().hex()}" in published.output
    assert "signed within a day" in again.output
    assert f"List key: {keys.lists().public_key().public_bytes_raw().hex()}" in after.output
    assert "version 2" in after.output and "london-card" in after.output


@pytest.mark.parametrize("key", ["xyz", "00ff"])
def test_what_is_no_list_key_is_refused(
    issuer: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    opened_as(monkeypatch, issuer)

    refused = CliRunner().invoke(app, ["trust", "publish", "--list-key", key, "--home", str(tmp_path)])

    assert refused.exit_code != 0
    with issuer.tx() as tx:
        assert trust.current_trust_list(tx).list_key is None
        assert trust.trust_list_ends_at(tx) is None
