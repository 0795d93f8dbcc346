"""Who saw my data: kept with the reading, told by the hour, never one's own."""

from collections.abc import Iterator
from datetime import timedelta
from uuid import UUID

import pytest

from hansa import identity
from hansa.store import Context, Tx
from identity.test_accounts import AT, rider

ONE, TWO = rider(1).account_id, rider(2).account_id
MINUTE = timedelta(minutes=1)


@pytest.fixture
def tx(ctx: Context) -> Iterator[Tx]:
    with ctx.tx() as tx:
        identity.open_accounts(tx, [rider(1), rider(2)])
        yield tx


def test_reading_often_within_an_hour_is_one_line(tx: Tx) -> None:
    for minute in range(5):
        identity.saw(tx, ONE, "member:beijing-card", "wallet", "GET /v1/wallets", AT + minute * MINUTE)
    identity.saw(tx, ONE, "league:ada", "journeys", "case 12", AT + 10 * MINUTE)
    identity.saw(tx, ONE, "member:beijing-card", "wallet", "GET /v1/wallets", AT + 90 * MINUTE)

    found = identity.list_accesses(tx, ONE)
    assert [(one.reader, one.part, one.times) for one in found] == [
        ("member:beijing-card", "wallet", 1),
        ("league:ada", "journeys", 1),
        ("member:beijing-card", "wallet", 5),
    ]
    assert found[2].last_at == AT + 4 * MINUTE and found[1].why == "case 12"
    assert identity.list_accesses(tx, ONE, after=found[1].mark, limit=1) == [found[2]]
    assert identity.list_accesses(tx, TWO) == []


def test_ones_own_reading_and_accounts_that_are_not_there_are_not_kept(tx: Tx) -> None:
    nobody = identity.AccountId(UUID(int=99))

    identity.saw(tx, ONE, f"person:{ONE}", "wallet", "my wallet", AT)
    identity.saw_all(tx, [nobody, ONE, TWO], f"person:{TWO}", "profile", "", AT)

    assert [one.why for one in identity.list_accesses(tx, ONE)] == ["no reason was given"]
    assert tx.execute("select count(*) from identity.accesses").fetchone() == (1,)


def test_pages_lose_no_line_of_one_instant(tx: Tx) -> None:
    for number in range(7):
        identity.saw(tx, ONE, f"member:m{number}", "wallet", "at once", AT)
    whole = identity.list_accesses(tx, ONE)
    paged: list[identity.Access] = []
    while page := identity.list_accesses(tx, ONE, after=paged[-1].mark if paged else None, limit=2):
        paged += page

    assert paged == whole and len(whole) == 7
