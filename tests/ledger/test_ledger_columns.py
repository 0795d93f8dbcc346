"""By column and one by one: the same results, the same sums, the same accounts; and accounts that come and go."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hansa.ledger.accounts import LARGE, Accounts
from hansa.ledger.batch import Batch, records_of
from hansa.ledger.columns import Moves, decide_columns, is_plain
from hansa.ledger.decide import ID_MAX, PENDING, ZERO, Body, Book, Standing, decide
from hansa.ledger.model import ResultCode

NOW_US = 1_794_888_000_000_000
NAMES = [bytes([0xA0 + n]) * 16 for n in range(6)]
IDS = [number.to_bytes(16, "big") for number in range(1, 40)]


def a_body(
    number: bytes, debit: bytes, credit: bytes, amount: int, *, pending: bool = False, **other: Any
) -> Body:
    return (
        number,
        debit,
        credit,
        amount,
        ZERO,
        other.get("reference", ZERO),
        NOW_US,
        0,
        other.get("timeout_s", 0),
        other.get("currency", b"CNY"),
        other.get("code", 2),
        other.get("flags", PENDING if pending else 0),
        "",
    )


def the_accounts(standings: dict[bytes, Standing]) -> Accounts:
    accounts = Accounts()
    accounts.add({name: Standing(one.currency, one.flags, *one.sums) for name, one in standings.items()})
    return accounts


def stands(accounts: Accounts) -> dict[bytes, tuple[Any, ...]]:
    return {name: (one.currency, one.flags, *one.sums) for name, one in accounts.take(list(accounts)).items()}


def by_column(accounts: Accounts, bodies: Sequence[Body], known: Sequence[set[bytes]] = ()) -> Moves | None:
    records = records_of(bodies)
    batch = Batch(bodies, records)
    if not is_plain(records):
        return None
    debits, credits = accounts.slots_of(batch.column(1)), accounts.slots_of(batch.column(2))
    if debits is None or credits is None:
        return None
    return decide_columns(accounts, records, batch.column(0), debits, credits, known)


small = st.integers(0, 40)
standings = st.builds(
    Standing,
    st.sampled_from([b"CNY", b"CNY", b"CNY", b"HKD"]),
    st.sampled_from([0, 0, 1, 1, 2, 4, 8]),
    st.just(0),
    st.just(0),
    st.just(0),
    small,
)


def any_body(
    number: bytes, debit: bytes, credit: bytes, amount: int, flags: int, timeout_s: int, code: int
) -> Body:
    return a_body(number, debit, credit, amount, flags=flags, timeout_s=timeout_s, code=code)


bodies = st.builds(
    any_body,
    st.sampled_from(IDS),
    st.sampled_from(NAMES),
    st.sampled_from(NAMES),
    st.one_of(small, st.sampled_from([LARGE - 1, LARGE, 2**64, 2**127])),
    st.sampled_from([0, 0, 0, PENDING, PENDING, 1, 16]),
    st.sampled_from([0, 0, 0, 60]),
    st.sampled_from([2, 2, 2, 2, 0]),
)


@settings(max_examples=600)
@given(
    st.lists(standings, min_size=6, max_size=6),
    st.lists(bodies, min_size=1, max_size=12),
    st.sets(st.sampled_from(IDS[:6])),
)
def test_what_is_said_by_column_is_what_is_said_one_by_one(
    given_standings: list[Standing], given_bodies: list[Body], known: set[bytes]
) -> None:
    book = Book(dict(zip(NAMES, given_standings, strict=True)))
    accounts = the_accounts(book.accounts)
    before = stands(accounts)

    moves = by_column(accounts, given_bodies, [known])

    if moves is None:
        assert stands(accounts) == before, "at a doubt nothing is changed"
        return
    decision = decide(book, given_bodies, now_us=NOW_US)
    assert set(decision.codes) == {ResultCode.CREATED} and decision.as_given
    assert not {body[0] for body in given_bodies} & known
    assert moves.sums.ravel().tolist() == decision.sums
    assert stands(accounts) == {
        name: (one.currency, one.flags, *one.sums) for name, one in book.accounts.items()
    }
    held = [] if moves.holds is None else np.flatnonzero(moves.holds).tolist()
    assert {given_bodies[index][0] for index in held} == book.holds.keys()


@settings(max_examples=300)
@given(st.lists(standings, min_size=6, max_size=6), st.lists(bodies, min_size=1, max_size=6))
def test_whatever_is_plain_and_booked_whole_is_said_by_column(
    given_standings: list[Standing], given_bodies: list[Body]
) -> None:
    """Not too shy: it says nothing only of what is refused in part, or not plain, or too large."""
    book = Book(dict(zip(NAMES, given_standings, strict=True)))
    accounts = the_accounts(book.accounts)
    decision = decide(book, given_bodies, now_us=NOW_US)
    plain = all(not body[11] & ~PENDING and body[3] < 100 for body in given_bodies)

    moves = by_column(accounts, given_bodies)

    assert (moves is not None) == (plain and set(decision.codes) == {ResultCode.CREATED})


RICH, POOR, ELSEWHERE, CLOSED = NAMES[:4]


@pytest.mark.parametrize(
    ("why", "given_bodies"),
    [
        ("overdrawn", [a_body(IDS[0], POOR, RICH, 11)]),
        ("overdrawn in the end", [a_body(IDS[0], POOR, RICH, 6), a_body(IDS[1], POOR, RICH, 5)]),
        ("overdrawn in between", [a_body(IDS[0], POOR, RICH, 11), a_body(IDS[1], RICH, POOR, 5)]),
        ("held too much", [a_body(IDS[0], POOR, RICH, 6, pending=True), a_body(IDS[1], POOR, RICH, 5)]),
        ("closed", [a_body(IDS[0], RICH, CLOSED, 1)]),
        ("another currency", [a_body(IDS[0], RICH, ELSEWHERE, 1)]),
        ("said to be another currency", [a_body(IDS[0], RICH, POOR, 1, currency=b"HKD")]),
        ("twice", [a_body(IDS[0], RICH, POOR, 1)] * 2),
        ("in the books", [a_body(IDS[9], RICH, POOR, 1)]),
        ("no id", [a_body(ZERO, RICH, POOR, 1)]),
        ("the last id", [a_body(ID_MAX, RICH, POOR, 1)]),
        ("to itself", [a_body(IDS[0], RICH, RICH, 1)]),
        ("no account", [a_body(IDS[0], RICH, NAMES[5], 1)]),
        ("no reason", [a_body(IDS[0], RICH, POOR, 1, code=0)]),
        ("a timeout without a hold", [a_body(IDS[0], RICH, POOR, 1, timeout_s=5)]),
        ("an end of a hold", [a_body(IDS[0], RICH, POOR, 1, flags=4)]),
        ("a chain", [a_body(IDS[0], RICH, POOR, 1, flags=1)]),
        ("too large", [a_body(IDS[0], RICH, POOR, LARGE)]),
        ("too large together", [a_body(IDS[n], RICH, POOR, LARGE // 4) for n in range(5)]),
    ],
)
def test_at_a_doubt_nothing_is_said_and_nothing_changed(why: str, given_bodies: list[Body]) -> None:
    accounts = the_accounts(
        {
            RICH: Standing(b"CNY", 0, 0, 0, 0, 1_000),
            POOR: Standing(b"CNY", 1, 0, 0, 0, 10),
            ELSEWHERE: Standing(b"HKD"),
            CLOSED: Standing(b"CNY", 4),
        }
    )
    before = stands(accounts)

    assert by_column(accounts, given_bodies, [{IDS[9]}]) is None, why
    assert stands(accounts) == before


# --- accounts in memory


def test_an_account_whose_sums_grow_beyond_a_column_is_kept_apart_and_comes_back() -> None:
    accounts = the_accounts({RICH: Standing(b"CNY", 1, 2, 3, 4, 5), POOR: Standing(b"HKD", 2)})

    accounts.put({RICH: Standing(b"CNY", 5, 0, 2**100, 0, LARGE)}, touched=7)
    assert accounts.slots_of([RICH]) is None
    assert stands(accounts) == {RICH: (b"CNY", 5, 0, 2**100, 0, LARGE), POOR: (b"HKD", 2, 0, 0, 0, 0)}
    assert len(accounts) == 2 and RICH in accounts

    accounts.put({RICH: Standing(b"CNY", 1, 0, 1, 0, 1)}, touched=8)
    assert accounts.slots_of([RICH]) is not None
    assert stands(accounts)[RICH] == (b"CNY", 1, 0, 1, 0, 1)


def test_what_is_taken_is_a_copy_until_it_is_put_back() -> None:
    accounts = the_accounts({RICH: Standing(b"CNY"), POOR: Standing(b"CNY", 0, 0, 0, 0, LARGE)})
    taken = accounts.take([RICH, POOR, NAMES[5]])
    for standing in taken.values():
        standing.debits_posted += 1

    assert taken.keys() == {RICH, POOR}
    assert {one[3] for one in stands(accounts).values()} == {0}
    accounts.put(taken, touched=1)
    assert {one[3] for one in stands(accounts).values()} == {1}


def test_only_accounts_that_nothing_unfolded_touched_are_let_go() -> None:
    many = {number.to_bytes(16, "big"): Standing(b"CNY", 0, 0, 0, 0, number) for number in range(1, 2_001)}
    accounts = the_accounts(many)
    busy = [number.to_bytes(16, "big") for number in range(1, 101)]
    accounts.put({one: many[one] for one in busy}, touched=9)

    accounts.shed(1_950, folded=8)

    assert set(accounts) == set(busy)
    assert accounts.missing(many) == many.keys() - set(busy)
    assert accounts.count_touched_after(8) == 100 and accounts.count_touched_after(9) == 0
    accounts.add({one: many[one] for one in list(many)[500:1_500]})
    assert stands(accounts)[(700).to_bytes(16, "big")][5] == 700, "a slot that was free is another's now"
    assert all(accounts.ids[accounts.slots_of([one])].tobytes() == one for one in accounts)  # type: ignore[index]
