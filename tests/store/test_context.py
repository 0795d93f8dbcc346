"""A transaction keeps all or nothing, says what went wrong outside, and the next one works again."""

import threading
from collections.abc import Generator
from datetime import UTC

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from hansa.kernel import HansaError, new_id
from hansa.store import Context, StoreBusy, StoreFull, StoreUnavailable, open_context
from hansa.store.context import BadDatabaseAddress
from scratch import NOON

TABLE = "create table parcel (id int primary key)"


def _count(ctx: Context) -> int:
    with ctx.tx() as tx:
        row = tx.execute("select count(*) from parcel").fetchone()
    assert row is not None
    return int(row[0])


@pytest.fixture
def parcels(committed_ctx: Context) -> Generator[Context]:
    """A Context on a database with a table of parcels, which has one; without it the next test can use the database."""
    with committed_ctx.tx() as tx:
        tx.execute(TABLE)
        tx.execute("insert into parcel values (1)")
    yield committed_ctx
    with psycopg.connect(committed_ctx.url, autocommit=True) as connection:
        connection.execute("drop table parcel")


def test_a_block_that_ends_well_is_kept(parcels: Context) -> None:
    with parcels.tx() as tx:
        tx.execute("insert into parcel values (2)")

    assert _count(parcels) == 2


def test_a_block_that_raises_leaves_nothing(parcels: Context) -> None:
    with pytest.raises(ZeroDivisionError), parcels.tx() as tx:  # noqa: PT012 - the error ends the transaction
        tx.execute("insert into parcel values (2)")
        raise ZeroDivisionError

    assert _count(parcels) == 1


def test_what_a_test_does_in_ctx_is_gone_in_the_next(ctx: Context) -> None:
    for _ in range(2):  # the same in both runs: nothing is left over
        with ctx.tx() as tx:
            assert tx.execute("select to_regclass('parcel')").fetchone() == (None,)
    with ctx.tx() as tx:
        tx.execute(TABLE)


def test_what_the_test_before_did_is_gone(ctx: Context) -> None:
    test_what_a_test_does_in_ctx_is_gone_in_the_next(ctx)


def test_a_ctx_transaction_that_fails_undoes_itself_alone(ctx: Context) -> None:
    with ctx.tx() as tx:
        tx.execute(TABLE)
        tx.execute("insert into parcel values (1)")

    with pytest.raises(psycopg.errors.UniqueViolation), ctx.tx() as tx:
        tx.execute("insert into parcel values (2), (1)")

    assert _count(ctx) == 1


def test_instants_come_back_in_utc_whatever_the_servers_zone(ctx: Context, committed_ctx: Context) -> None:
    for context in (ctx, committed_ctx):
        with context.tx() as tx:
            row = tx.execute("select timestamptz '2026-11-17 20:00+08'").fetchone()

        assert row is not None
        assert row == (NOON,)
        assert row[0].utcoffset() == UTC.utcoffset(None)


@pytest.mark.parametrize(
    ("sqlstate", "error", "code", "status"),
    [
        ("53100", StoreFull, "store.full", 507),  # disk full
        ("53200", StoreUnavailable, "store.unavailable", 503),  # out of memory
        ("57P01", StoreUnavailable, "store.unavailable", 503),  # the server is shutting down
        ("58030", StoreUnavailable, "store.unavailable", 503),  # the disk does not answer
        ("40P01", StoreBusy, "store.busy", 503),  # deadlock
        ("40001", StoreBusy, "store.busy", 503),  # serialization failure
        ("55P03", StoreBusy, "store.busy", 503),  # lock not available
        ("57014", StoreBusy, "store.busy", 503),  # statement timeout
    ],
)
def test_what_went_wrong_outside_is_told_and_nothing_is_kept(
    parcels: Context, sqlstate: str, error: type[HansaError], code: str, status: int
) -> None:
    with parcels.tx() as tx:
        tx.execute("create function fail(state text) returns void language plpgsql as $$"
                   " begin raise exception 'so it went' using errcode = state; end $$")  # fmt: skip

    with pytest.raises(error) as told, parcels.tx() as tx:  # noqa: PT012 - it comes after work was done
        tx.execute("insert into parcel values (2)")
        tx.execute("select fail(%s)", (sqlstate,))

    assert (told.value.code, told.value.status) == (code, status)
    assert "so it went" not in str(told.value)  # the server's words stay in our log
    assert _count(parcels) == 1


def test_a_lost_connection_is_told_and_the_next_transaction_works(parcels: Context) -> None:
    with pytest.raises(StoreUnavailable), parcels.tx() as tx, psycopg.connect(parcels.url) as other:  # noqa: PT012
        tx.execute("insert into parcel values (2)")
        other.execute("select pg_terminate_backend(%s)", (tx.info.backend_pid,))
        tx.execute("insert into parcel values (3)")

    assert _count(parcels) == 1


@pytest.mark.parametrize("fresh_s", [0, 600])
def test_connections_that_died_in_the_pool_are_not_handed_out(
    parcels: Context, fresh_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hansa.store.context.FRESH_S", fresh_s)  # asked always, and never
    start = threading.Barrier(4)

    def use() -> None:
        with parcels.tx() as tx:
            tx.execute("select 1")
            start.wait()

    def use_all() -> None:
        threads = [threading.Thread(target=use) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    with psycopg.connect(parcels.url, autocommit=True) as other:
        use_all()
        other.execute(
            "select pg_terminate_backend(pid, 10000) from pg_stat_activity"
            " where datname = current_database() and application_name = 'hansa'"
        )

    assert [_count(parcels) for _ in range(6)] == [1] * 6


def test_no_statement_is_compiled_whatever_the_server_does_of_itself(
    ctx: Context, committed_ctx: Context
) -> None:
    with psycopg.connect(committed_ctx.url, autocommit=True) as connection:
        connection.execute(
            "do $$ begin execute format('alter database %I set jit to on', current_database()); end $$"
        )

    with open_context(committed_ctx.url) as opened, opened.tx() as tx, ctx.tx() as shared:
        assert tx.execute("show jit").fetchone() == shared.execute("show jit").fetchone() == ("off",)


def test_one_transaction_too_many_is_told_after_a_while(parcels: Context) -> None:
    with open_context(parcels.url, connections_max=1, wait_s=0.1) as small:
        first, second = small.tx(), small.tx()

        with first, pytest.raises(StoreUnavailable):
            second.__enter__()


def test_opening_what_is_not_there_says_why(parcels: Context) -> None:
    nowhere = make_conninfo(parcels.url, dbname=f"no_{new_id().hex}")

    with pytest.raises(StoreUnavailable, match="does not exist"):
        open_context(nowhere)


def test_closing_twice_does_nothing(parcels: Context) -> None:
    context = open_context(parcels.url)

    context.close()
    context.close()

    with pytest.raises(StoreUnavailable), context.tx():
        pass


@pytest.mark.parametrize(
    "address",
    [
        "garbage-s3cret",
        "mysql://hansa:s3cret@db.example/hansa",
        "postgresql://hansa:pa@s3cret@db.example/hansa",
        "postgresql://hansa:s3cret/x@db.example/hansa",
        "postgresql://hansa:s3cret@db.example/hansa?colour=red",
    ],
)
def test_what_is_no_address_is_told_with_an_example_and_without_its_password(address: str) -> None:
    with pytest.raises(BadDatabaseAddress) as refused:
        open_context(address)

    assert refused.value.code == "store.bad_address"
    assert "HANSA_DATABASE_URL" in str(refused.value)
    assert "postgresql://hansa:password@" in str(refused.value)
    assert "s3cret" not in str(refused.value)


def test_a_server_that_is_not_there_is_named_without_the_password() -> None:
    with pytest.raises(StoreUnavailable) as refused:
        open_context("postgresql://hansa:s3cret@127.0.0.1:1/hansa")

    assert "127.0.0.1:1" in str(refused.value)
    assert "s3cret" not in str(refused.value)
