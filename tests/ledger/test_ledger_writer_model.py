"""The writer against the model, by column where it can be; its blocks are committed and folded by chance."""

from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hansa import ledger
from hansa.ledger import Transfer, TransferFlag, rows, store, writer
from hansa.ledger.batch import Batch, batch_of, read_batch, write_batch
from hansa.ledger.folding import Sides, folding
from hansa.ledger.writer import Writer, fold_all
from hansa.store import Context, Tx
from ledger.books import LIMITS, MORNING, Books, a_transfer, account_id
from ledger.model import ACCOUNTS, a_model, stories

plain = stories.filter(lambda transfer: transfer.flags & ~TransferFlag.PENDING == TransferFlag.NONE)


def a_fare(number: int, payee: str, amount: int, flags: str) -> Transfer:
    return a_transfer(f"fare-{number}", "bank", payee, amount, flags)


fares = st.builds(
    a_fare,
    st.integers(0, 60),
    st.sampled_from(["ann", "bob", "shop"]),
    st.integers(0, 30),
    st.sampled_from(["", "", "pending"]),
)
batches = st.one_of(
    st.lists(fares, min_size=1, max_size=8, unique_by=lambda transfer: transfer.transfer_id),
    st.lists(plain, min_size=1, max_size=3),
    st.lists(stories, min_size=1, max_size=8),
)
blocks = st.tuples(
    st.lists(batches, min_size=1, max_size=4),
    st.sampled_from(["", "", "committed", "folded from rows", "folded from memory"]),
    st.booleans(),
)


class Desk:
    """A writer whose blocks are written at once; it hears of that, and of folds, only when the test says so."""

    def __init__(self, tx: Tx) -> None:
        self.tx = tx
        locked = store.lock_head(tx, 0)
        self.term = locked.term
        self.writer = Writer(fold_all(tx, locked.head), locked.tree)
        self.folded = self.writer.head.number
        self.known: list[tuple[int, Sides | None, bool]] = []

    def post(self, given_batches: list[Batch], seconds: int) -> list[list[str]]:
        self.writer.load(self.tx, given_batches)
        codes, made = self.writer.decide(given_batches, MORNING + timedelta(seconds=seconds))
        if made is not None:
            store.write_rows(self.tx, made.sealed, made.rows)
            store.move_head(self.tx, made.sealed, term=self.term)
            self.known.append((made.number, made.sides, made.holds))
        return [[code.value for code in some] for some in codes]

    def hear(self, what: str) -> None:
        number = self.writer.head.number
        if what == "committed":
            self.writer.committed(number)
        elif what and number > self.folded:
            given_sides = [(block, sides) for block, sides, _ in self.known if sides is not None]
            if what == "folded from memory" and len(given_sides) == len(self.known):
                found = folding(0, given_sides, self.writer.accounts.ids)
                holds = any(held for _, _, held in self.known)
                store.fold_given(self.tx, 0, found, previous=self.folded, number=number, holds=holds)
            else:
                store.fold(self.tx, 0, previous=self.folded, number=number)
            self.writer.folded(number)
            self.folded = number
            self.known.clear()


def as_a_batch(transfers: list[Transfer], by_wire: bool) -> Batch:
    batch = batch_of(transfers)
    return batch if batch.refused or not by_wire else read_batch(write_batch(batch), count_max=100)


@pytest.fixture
def books(ctx: Context) -> Books:
    books = Books(ctx)
    for name, (currency, limit) in ACCOUNTS.items():
        assert limit in LIMITS
        books.open(currency, **{name: limit})
    return books


@pytest.mark.parametrize("few", [0, 3])
def test_the_writer_says_what_the_model_says(books: Books, monkeypatch: pytest.MonkeyPatch, few: int) -> None:
    """few: so many go one by one, so that most of these small blocks are decided by column."""
    monkeypatch.setattr(writer, "FEW", few)
    monkeypatch.setattr(rows, "FEW", few)
    by_column = 0
    really = writer.decide_columns

    def counted(*given_arguments: object) -> object:
        nonlocal by_column
        moves = really(*given_arguments)  # type: ignore[arg-type]
        by_column += moves is not None
        return moves

    monkeypatch.setattr(writer, "decide_columns", counted)

    @settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(st.lists(blocks, min_size=1, max_size=7))
    def whatever_comes(story: list[tuple[list[list[Transfer]], str, bool]]) -> None:
        model = a_model()
        with books.ctx.tx() as tx, tx.transaction(force_rollback=True):
            desk = Desk(tx)
            for seconds, (asked, what, by_wire) in enumerate(story):
                block: list[list[Transfer]] = []
                for one in asked:  # a chain that is left open ends its block
                    block.append(one)
                    if one[-1].flags & TransferFlag.LINKED:
                        break
                expected = [model.post(one, MORNING + timedelta(seconds=seconds)) for one in block]

                assert desk.post([as_a_batch(one, by_wire) for one in block], seconds) == expected
                desk.hear(what)
            ids = [account_id(name) for name in ACCOUNTS]
            assert ledger.balances(tx, ids) == {one: model.balance(one) for one in ids}
            taken = desk.writer.accounts.take([one.bytes for one in ids])
            assert all(
                standing.sums == astuple_of(model.balance(one))
                for one in ids
                if (standing := taken.get(one.bytes)) is not None
            )
            assert ledger.verify(tx) == []

    whatever_comes()
    assert by_column > (20 if few == 0 else 0), "the way by column was gone"


def astuple_of(balance: ledger.Balance) -> tuple[int, int, int, int]:
    return balance.debits_pending, balance.debits_posted, balance.credits_pending, balance.credits_posted


@pytest.mark.parametrize("by_wire", [True, False])
def test_sums_too_large_for_a_column_stand_beside_plain_ones_in_one_block(
    books: Books, monkeypatch: pytest.MonkeyPatch, by_wire: bool
) -> None:
    monkeypatch.setattr(writer, "FEW", 0)
    monkeypatch.setattr(rows, "FEW", 0)
    fares = [a_fare(number, "ann", 1, "") for number in range(5)]
    huge = [
        a_transfer("huge", "bank", "shop", 2**100, memo="all of it"),
        a_transfer("more", "bank", "bob", 3),
    ]
    later = [a_transfer("later", "ann", "bob", 2)]
    with books.ctx.tx() as tx:
        desk = Desk(tx)

        told = desk.post([as_a_batch(some, by_wire) for some in (fares, huge, later)], 0)
        told += desk.post([as_a_batch([*fares, a_fare(9, "bob", 1, "")], by_wire)], 1)

        assert told == [["created"] * 5, ["created"] * 2, ["created"], [*["exists"] * 5, "created"]]
        desk.hear("folded from memory")
        names = [account_id(name) for name in ("bank", "ann", "bob", "shop")]
        stands = ledger.balances(tx, names)
        assert [(stands[name].debits_posted, stands[name].credits_posted) for name in names] == [
            (5 + 2**100 + 3 + 1, 0),
            (2, 5),
            (0, 6),
            (0, 2**100),
        ]
        assert ledger.get_transfer(tx, huge[0].transfer_id).transfer.memo == "all of it"
        assert ledger.verify(tx) == []
