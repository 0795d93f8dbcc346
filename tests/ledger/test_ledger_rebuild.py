"""What folds made can be thrown away and made again from the journal, which alone is the truth."""

from typing import LiteralString

import pytest

from hansa import ledger
from hansa.kernel import InvalidInput
from hansa.ledger import Engine
from hansa.store import Context
from ledger.books import Books, a_transfer, an_end
from ledger.engines import HELD_OFF, crash, stand

DERIVED: list[LiteralString] = [
    "select account_id, flags, debits_pending, debits_posted, credits_pending, credits_posted from ledger.accounts"
    " where partition = 0 order by account_id",
    "select transfer_id, expires_at, state, resolved_by from ledger.holds where partition = 0 order by transfer_id",
    "select partition, account_id, place from ledger.account_places where partition = 0 order by account_id, place",
]
FACTS: list[LiteralString] = [
    "select * from ledger.transfers order by partition, block, position",
    "select * from ledger.blocks order by partition, number",
    "select * from ledger.nodes order by partition, level, index",
    "select partition, number, hash, booked_at, size, peaks from ledger.heads order by partition",
]


def rows(ctx: Context, statements: list[LiteralString]) -> list[object]:
    with ctx.tx() as tx:
        return [tx.execute(statement).fetchall() for statement in statements]


@pytest.fixture
def books(committed_ctx: Context) -> Books:
    """Transfers and holds in every state, and an account that is closed; another partition beside."""
    books = Books(committed_ctx)
    books.open(bank="free", ann="no overdraft", bob="no overdraft", shop="free", gone="free")
    books.fund("ann", 100)
    books.post_table(
        """
        event  | debit | credit | amount | flags                 | result
        fare   | ann   | shop   | 30     |                       | created
        open   | ann   | shop   | 7      | pending 600s          | created
        posted | ann   | shop   | 7      | pending               | created
        voided | ann   | shop   | 7      | pending               | created
        close  | gone  | bank   | 0      | pending closing_debit | created
        shut   | bob   | bank   | 0      | pending closing_debit | created
        """
    )
    books.post(an_end("p", "post of:posted"), an_end("v", "void of:voided"), an_end("o", "void of:shut"))
    far = Books(committed_ctx, 3)
    far.open(far_bank="free", far_ann="free")
    far.post(a_transfer("far", "far_bank", "far_ann", 5, partition=3))
    return books


@pytest.mark.parametrize(
    "damage",
    [
        "update ledger.accounts set credits_posted = credits_posted + 1000, debits_posted = debits_posted + 7",
        "update ledger.accounts set flags = flags & ~4",
        "update ledger.accounts set flags = flags | 4",
        "delete from ledger.holds",
        "update ledger.holds set state = 2, resolved_by = transfer_id",
        "delete from ledger.entries",
        "update ledger.entries set places = array[1::bigint]",
        "delete from ledger.fold_totals",
        "with gone as (delete from ledger.fold_totals) delete from ledger.folds where number > 1",
        "insert into ledger.holds select partition, transfer_id, null, 0, null from ledger.transfers where block = 1",
    ],
)
def test_whatever_was_damaged_beside_the_journal_is_made_again(books: Books, damage: LiteralString) -> None:
    derived, facts = rows(books.ctx, DERIVED), rows(books.ctx, FACTS)
    with books.ctx.tx() as tx:
        tx.execute("alter table ledger.fold_totals drop constraint fold_totals_partition_number_fkey")
        tx.execute(damage)
        assert ledger.verify(tx, 0) != []

    made = ledger.rebuild(books.ctx, 0)

    assert made == 10
    assert rows(books.ctx, DERIVED) == derived
    assert rows(books.ctx, FACTS) == facts, "the journal and its proof are as they were"
    with books.ctx.tx() as tx:
        assert ledger.verify(tx, 0) == []
    assert books.post(a_transfer("next", "ann", "shop", 1), a_transfer("fare", "ann", "shop", 30)) == [
        "created",
        "exists",
    ]
    with books.ctx.tx() as tx:
        assert ledger.verify(tx, 0) == []


def test_books_that_are_well_stay_as_they_are_and_empty_ones_are_made_of_nothing(books: Books) -> None:
    before = rows(books.ctx, DERIVED)

    assert (ledger.rebuild(books.ctx, 0), ledger.rebuild(books.ctx, 3), ledger.rebuild(books.ctx, 8)) == (
        10,
        1,
        0,
    )

    assert rows(books.ctx, DERIVED) == before
    books.verify()


def test_books_that_an_engine_keeps_are_not_rebuilt(books: Books) -> None:
    with Engine(books.ctx, pace=HELD_OFF):
        books.post(a_transfer("t", "ann", "shop", 1))
        before = rows(books.ctx, DERIVED)

        with pytest.raises(InvalidInput):
            ledger.rebuild(books.ctx, 0)

        assert rows(books.ctx, DERIVED) == before
        books.verify()


def test_what_a_dead_engine_had_not_folded_is_rebuilt_too(books: Books) -> None:
    engine = Engine(books.ctx, pace=HELD_OFF)
    engine.start()
    books.post(a_transfer("t", "ann", "shop", 1))
    crash(engine)
    assert stand(books.ctx)[1:] == (4, 3)

    assert ledger.rebuild(books.ctx, 0) == 11

    assert stand(books.ctx)[1:] == (4, 4)
    books.verify()
