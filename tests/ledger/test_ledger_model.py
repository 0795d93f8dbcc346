"""The decider against a ledger that a reader can check, in every order hypothesis can think of; in memory alone."""

import random
from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hansa.ledger import Transfer
from hansa.ledger import TransferFlag as F
from hansa.ledger.batch import batch_of, microseconds, transfer_of
from hansa.ledger.decide import Book, Decision, HoldState, Standing, decide
from ledger.books import LIMITS, MORNING, account_id
from ledger.model import ACCOUNTS, Model, a_model, stories


def a_book() -> Book:
    return Book(
        {
            account_id(name).bytes: Standing(currency.encode(), int(LIMITS[limit]))
            for name, (currency, limit) in ACCOUNTS.items()
        }
    )


def decided(book: Book, transfers: Sequence[Transfer], now: datetime = MORNING) -> Decision:
    batch = batch_of(transfers)
    return decide(book, batch.bodies, now_us=microseconds(now), refused=batch.refused)


def expire(book: Book, model: Model, now: datetime) -> int:
    """End the holds of the book whose time is up, as the ledger does."""
    due = [
        (hold.expires_us, hold_id)
        for hold_id, hold in book.holds.items()
        if hold.state is HoldState.OPEN
        and hold.expires_us is not None
        and hold.expires_us <= microseconds(now)
    ]
    # a release bears the name of its hold, turned round
    bodies = [
        (hold_id[::-1], bytes(16), bytes(16), 0, hold_id, bytes(16), at, 0, 0, b"", 0, 8 | 512, "")
        for at, hold_id in sorted(due)
    ]
    decision = decide(book, bodies, now_us=microseconds(now), expiring=True)
    assert {code.value for code in decision.codes} <= {"created"}
    releases = [transfer_of(row, 0).transfer_id for row in decision.rows]
    assert model.expire(now, releases) == len(due)
    return len(due)


def compare(book: Book, model: Model) -> None:
    stands = {name: book.accounts[account_id(name).bytes] for name in ACCOUNTS}
    told = {name: model.balance(account_id(name)) for name in ACCOUNTS}
    assert {name: one.sums for name, one in stands.items()} == {
        name: (one.debits_pending, one.debits_posted, one.credits_pending, one.credits_posted)
        for name, one in told.items()
    }
    assert {name for name, one in stands.items() if one.flags & 4} == {
        name for name in ACCOUNTS if model.is_closed(account_id(name))
    }


def follow(batches: Sequence[tuple[int, Sequence[Transfer]]]) -> None:
    """Post the batches to both, so many seconds after another, and compare all that either says."""
    book, model, now = a_book(), a_model(), MORNING
    for seconds, batch in batches:
        now += timedelta(seconds=seconds)
        if seconds > 15:
            expire(book, model, now)
        before = len(model.booked)

        decision = decided(book, batch, now)

        assert [code.value for code in decision.codes] == model.post(batch, now)
        rows = [transfer_of(row, 0) for row in decision.rows]
        assert [row.transfer_id for row in rows] == [one.transfer_id for one in model.booked[before:]]
        assert [(row.amount, row.debit, row.tag, row.memo, row.reference) for row in rows] == [
            (one.amount, one.debit, one.tag, one.memo, one.reference) for one in model.booked[before:]
        ]
        compare(book, model)


batches = st.lists(
    st.tuples(st.sampled_from([0, 0, 1, 29, 30, 60]), st.lists(stories, min_size=6, max_size=24)),
    min_size=2,
    max_size=4,
)


@given(batches)
@settings(max_examples=70, deadline=None)
def test_the_decider_does_what_the_model_does(batches: list[tuple[int, list[Transfer]]]) -> None:
    follow(batches)


@pytest.mark.slow
@given(batches)
@settings(max_examples=2_000, deadline=None)
def test_the_decider_does_what_the_model_does_thousands_of_times(
    batches: list[tuple[int, list[Transfer]]],
) -> None:
    follow(batches)


# --- how transfers are cut into batches makes no difference


def units(batch: Sequence[Transfer]) -> list[list[Transfer]]:
    """The batch as single transfers and whole chains."""
    found: list[list[Transfer]] = [[]]
    for transfer in batch:
        found[-1].append(transfer)
        if not transfer.flags & F.LINKED:
            found.append([])
    return [unit for unit in found if unit]


@given(batch=st.lists(stories, min_size=10, max_size=40), cuts=st.integers(0, 2**32))
@settings(max_examples=150, deadline=None)
def test_one_batch_or_many_gives_the_same_results_rows_sums_and_balances(
    batch: list[Transfer], cuts: int
) -> None:
    whole_book, cut_book = a_book(), a_book()
    chance = random.Random(cuts)
    parts: list[list[Transfer]] = [[]]
    for unit in units(batch):
        parts[-1] += unit
        if chance.random() < 0.4:
            parts.append([])

    whole = decided(whole_book, batch)
    cut = [decided(cut_book, part) for part in parts]

    assert [code for one in cut for code in one.codes] == whole.codes
    assert [row for one in cut for row in one.rows] == whole.rows
    assert [held for one in cut for held in one.released] == whole.released
    assert [total for one in cut for total in one.sums] == whole.sums
    assert (cut_book.transfers, cut_book.holds) == (whole_book.transfers, whole_book.holds)


@given(batch=st.lists(stories, min_size=10, max_size=40))
@settings(max_examples=150, deadline=None)
def test_whatever_is_posted_debits_equal_credits_and_limits_hold(batch: list[Transfer]) -> None:
    book = a_book()

    decision = decided(book, batch)

    for currency in (b"CNY", b"HKD"):
        stands = [one for one in book.accounts.values() if one.currency == currency]
        assert sum(one.debits_posted for one in stands) == sum(one.credits_posted for one in stands)
        assert sum(one.debits_pending for one in stands) == sum(one.credits_pending for one in stands)
    stands = list(book.accounts.values())
    assert all(min(one.sums) >= 0 for one in stands)
    assert all(one.debits_pending + one.debits_posted < 2**128 for one in stands)
    assert all(one.credits_pending + one.credits_posted < 2**128 for one in stands)
    assert all(
        one.debits_pending + one.debits_posted <= one.credits_posted for one in stands if one.flags & 1
    )
    assert all(
        one.credits_pending + one.credits_posted <= one.debits_posted for one in stands if one.flags & 2
    )
    assert len(decision.rows) == len(decision.released) == len(decision.sums) / 8
    assert len(decision.rows) == [code.value for code in decision.codes].count("created")


@given(batch=st.lists(stories, min_size=1, max_size=30))
@settings(max_examples=150, deadline=None)
def test_posting_a_batch_again_books_nothing_that_was_booked_and_forgets_none_of_it(
    batch: list[Transfer],
) -> None:
    book = a_book()
    first = decided(book, batch)
    booked = {row[0] for row in first.rows}

    second = decided(book, batch)

    assert booked.isdisjoint(row[0] for row in second.rows)
    again = decided(book, [transfer for transfer in batch if transfer.transfer_id.bytes in booked])
    assert booked.isdisjoint(row[0] for row in again.rows)


@given(batch=st.lists(stories, min_size=1, max_size=30))
@settings(max_examples=150, deadline=None)
def test_a_batch_is_told_to_be_booked_as_it_was_given_only_where_that_is_so(batch: list[Transfer]) -> None:
    given_bodies = batch_of(batch).bodies

    decision = decided(a_book(), batch)

    if decision.as_given:
        assert decision.rows == given_bodies
