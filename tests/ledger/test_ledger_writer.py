"""One partition in memory, step by step: what may be forgotten after a fold, and what must not be."""

from collections.abc import Iterator

import pytest

from hansa import ledger
from hansa.ledger import Transfer, store
from hansa.ledger.batch import batch_of, read_batch, write_batch
from hansa.ledger.writer import Writer, fold_all
from hansa.store import Context, Tx
from ledger.books import Books, a_transfer, account_id, an_end, transfer_id


class Keeper:
    """A writer whose blocks are written at once and folded when the test says so."""

    def __init__(self, tx: Tx, books: Books, *, accounts_max: int) -> None:
        self.tx, self.books = tx, books
        locked = store.lock_head(tx, 0)
        self.term = locked.term
        self.writer = Writer(fold_all(tx, locked.head), locked.tree, accounts_max=accounts_max)
        self.folded = self.writer.head.number

    def post(self, *transfers: Transfer, by_wire: bool = False) -> list[str]:
        batch = batch_of(transfers)
        if by_wire:
            batch = read_batch(write_batch(batch), count_max=100)
        self.writer.load(self.tx, [batch])
        (codes,), made = self.writer.decide([batch], self.books.clock.now())
        if made is not None:
            store.write_rows(self.tx, made.sealed, made.rows)
            store.move_head(self.tx, made.sealed, term=self.term)
        return [code.value for code in codes]

    def fold(self, number: int) -> None:
        store.fold(self.tx, 0, previous=self.folded, number=number)
        self.folded = number
        self.writer.folded(number)

    def holds(self) -> set[bytes]:
        return set(self.writer.book.holds)


@pytest.fixture
def books(ctx: Context) -> Books:
    books = Books(ctx)
    books.open(bank="free", ann="no overdraft", bob="no overdraft", shop="free", park="free")
    books.fund("ann", 100)
    return books


@pytest.fixture
def keeper(books: Books) -> Iterator[Keeper]:
    with books.ctx.tx() as tx:
        yield Keeper(tx, books, accounts_max=2)


def test_a_hold_that_is_folded_open_is_kept_while_its_end_is_not_folded(keeper: Keeper) -> None:
    keeper.post(a_transfer("hold", "ann", "shop", 10, "pending"))  # block 2
    keeper.post(an_end("post", "post of:hold"))  # block 3
    keeper.fold(2)

    assert keeper.holds() == {transfer_id("hold").bytes}
    assert keeper.post(an_end("again", "post of:hold")) == ["pending_transfer_already_posted"]
    assert keeper.post(an_end("post", "post of:hold")) == ["exists"]
    keeper.fold(3)

    assert not keeper.holds() and not keeper.writer.book.transfers
    assert keeper.post(an_end("again", "void of:hold")) == ["pending_transfer_already_posted"]
    assert ledger.verify(keeper.tx) == []


def test_an_account_that_an_unfolded_block_touched_is_not_read_in_again_as_it_was(keeper: Keeper) -> None:
    keeper.post(a_transfer("t2", "bank", "shop", 1), a_transfer("u2", "bank", "park", 1))  # block 2
    assert keeper.post(a_transfer("t3", "ann", "shop", 70)) == ["created"]  # block 3
    keeper.fold(2)

    assert set(keeper.writer.accounts) >= {account_id("ann").bytes, account_id("shop").bytes}
    assert keeper.post(a_transfer("t4", "ann", "shop", 31)) == ["exceeds_credits"]
    assert keeper.post(a_transfer("t5", "ann", "shop", 30)) == ["created"]
    keeper.fold(4)
    assert keeper.post(a_transfer("t6", "ann", "shop", 1)) == ["exceeds_credits"]
    assert ledger.verify(keeper.tx) == []


def test_a_transfer_is_recognised_before_and_after_its_block_is_folded(keeper: Keeper) -> None:
    fare, other = a_transfer("fare", "ann", "shop", 10), a_transfer("fare", "ann", "shop", 11)
    keeper.post(fare)
    told = [keeper.post(fare), keeper.post(other)]
    keeper.fold(2)

    told += [keeper.post(fare), keeper.post(other)]

    assert told == [["exists"], ["exists_with_different_amount"]] * 2
    assert not keeper.writer.book.transfers, "what was read in to compare goes again"


def test_what_a_refused_chain_read_in_and_ended_is_open_as_before(keeper: Keeper) -> None:
    keeper.post(a_transfer("hold", "ann", "shop", 10, "pending"))
    keeper.fold(2)

    told = keeper.post(
        a_transfer("end", "-", "-", 0, "linked void of:hold", currency="", code=0),
        a_transfer("much", "ann", "shop", 500),
    )

    assert told == ["linked_event_failed", "exceeds_credits"]
    assert not keeper.holds()
    assert keeper.post(an_end("end", "void of:hold")) == ["created"]
    keeper.fold(3)
    assert ledger.verify(keeper.tx) == []


@pytest.mark.parametrize("count", [1, 40])
def test_what_came_by_wire_is_written_as_it_came_out_not_as_it_was_asked(keeper: Keeper, count: int) -> None:
    """Both ways of packing, 40 rows and one: ends that leave all to their holds, and sweeps of all there is."""
    holds = [
        a_transfer(f"hold-{n}", "ann", "shop", 1, "pending", tag=n + 1, memo="taxi") for n in range(count)
    ]
    keeper.post(*holds, by_wire=True)

    ends = [an_end(f"end-{n}", f"post of:hold-{n}") for n in range(count)]
    assert keeper.post(*ends, by_wire=True) == ["created"] * count
    sweep = a_transfer("sweep", "ann", "bob", ledger.AMOUNT_MAX, "balancing_debit")
    assert keeper.post(sweep, by_wire=True) == ["created"]
    keeper.fold(4)

    for n in range(count):
        end = ledger.get_transfer(keeper.tx, transfer_id(f"end-{n}")).transfer
        assert end == a_transfer(f"end-{n}", "ann", "shop", 1, f"post of:hold-{n}", tag=n + 1, memo="taxi")
    assert ledger.get_transfer(keeper.tx, transfer_id("sweep")).transfer.amount == 100 - count
    assert ledger.verify(keeper.tx) == []


def test_two_batches_of_one_block_see_each_other_and_share_its_time(keeper: Keeper) -> None:
    first = batch_of([a_transfer("t1", "ann", "bob", 100)])
    second = batch_of([a_transfer("t2", "bob", "shop", 60), a_transfer("t3", "ann", "shop", 1)])
    for batch in (first, second):
        keeper.writer.load(keeper.tx, [batch])

    codes, made = keeper.writer.decide([first, second], keeper.books.clock.now())

    assert [[code.value for code in some] for some in codes] == [["created"], ["created", "exceeds_credits"]]
    assert made is not None
    assert made.transfers == 2
