"""Transactions commit, roll back, and come back after the server did."""

from hansa.store import Context


def test_a_transaction_sees_the_store(ctx: Context) -> None:
    with ctx.tx() as tx:
        row = tx.execute("select count(*) from store.migrations").fetchone()

    assert row is not None
    assert row[0] >= 1


def test_a_database_of_its_own_starts_migrated(committed_ctx: Context) -> None:
    with committed_ctx.tx() as tx:
        row = tx.execute("select count(*) from store.migrations").fetchone()

    assert row is not None
    assert row[0] >= 1
