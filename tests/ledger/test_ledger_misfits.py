"""What cannot be said in the books at all: told as that one transfer's code, never raised."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from hansa import ledger
from hansa.ledger import AMOUNT_MAX, TransferFlag
from hansa.ledger.batch import batch_of
from hansa.store import Context
from ledger.books import MORNING, Books, a_transfer, transfer_id

EAST, WEST = timezone(timedelta(hours=8)), timezone(-timedelta(hours=8))

MISFITS: dict[str, tuple[dict[str, Any], str]] = {
    "amount one too large": ({"amount": 2**128}, "amount_out_of_range"),
    "amount far too large": ({"amount": 10**60}, "amount_out_of_range"),
    "amount negative": ({"amount": -1}, "amount_out_of_range"),
    "timeout too long": ({"timeout_s": 2**32}, "timeout_out_of_range"),
    "timeout negative": ({"timeout_s": -1}, "timeout_out_of_range"),
    "tag too large": ({"tag": 2**32}, "tag_out_of_range"),
    "tag negative": ({"tag": -1}, "tag_out_of_range"),
    "code too large": ({"code": 2**15}, "code_out_of_range"),
    "code negative": ({"code": -1}, "code_out_of_range"),
    "flag unknown": ({"flags": TransferFlag(1024)}, "flags_out_of_range"),
    "instant without offset": ({"event_at": datetime(2026, 11, 17, 8)}, "event_at_out_of_range"),  # noqa: DTZ001
    "instant before the year 1": (
        {"event_at": datetime(1, 1, 1, 7, 59, tzinfo=EAST)},
        "event_at_out_of_range",
    ),
    "instant after the year 9999": (
        {"event_at": datetime(9999, 12, 31, 16, 0, tzinfo=WEST)},
        "event_at_out_of_range",
    ),
    "currency of four letters": ({"currency": "YUAN"}, "currency_must_be_a_code"),
    "currency of two letters": ({"currency": "CN"}, "currency_must_be_a_code"),
    "currency of no letters": ({"currency": "元人民"}, "currency_must_be_a_code"),
    "memo too long": ({"memo": "x" * 201}, "memo_must_be_short_text"),
    "memo with a NUL": ({"memo": "a\0b"}, "memo_must_be_short_text"),
    "memo with half a sign": ({"memo": "half \ud83d of a pair"}, "memo_must_be_short_text"),
}

FITS: dict[str, dict[str, Any]] = {
    "amount nothing": {"amount": 0},
    "amount largest": {"amount": AMOUNT_MAX},
    "tag largest": {"tag": 2**32 - 1},
    "code largest": {"code": 2**15 - 1},
    "instant first": {"event_at": datetime(1, 1, 1, tzinfo=UTC)},
    "instant last": {"event_at": datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)},
    "instant of another zone": {"event_at": datetime(2026, 11, 17, 16, tzinfo=EAST)},
    "hold longest": {"flags": TransferFlag.PENDING, "timeout_s": 2**32 - 1},
    "memo longest": {"memo": "北" * 200},
    "memo of signs": {"memo": "🚇 \n\t\\ '\" \x7f"},
}


@pytest.fixture
def books(ctx: Context) -> Books:
    books = Books(ctx)
    books.open(bank="free", shop="free")
    return books


@pytest.mark.parametrize("what", MISFITS)
def test_a_misfit_is_told_alone_and_the_rest_of_the_batch_is_booked(books: Books, what: str) -> None:
    change, code = MISFITS[what]
    misfit = replace(a_transfer("misfit", "bank", "shop", 1000), **change)

    told = books.post(a_transfer("before", "bank", "shop", 3), misfit, a_transfer("after", "bank", "shop", 4))

    assert told == ["created", code, "created"]
    assert books.balances()["shop"].credits_posted == 7
    with books.ctx.tx() as tx:
        assert ledger.find_transfer(tx, transfer_id("misfit")) is None
    books.verify()


def test_a_batch_of_misfits_alone_leaves_no_block(books: Books) -> None:
    before = books.snapshot()
    transfers = [
        replace(a_transfer(what, "bank", "shop", 1), **change) for what, (change, _) in MISFITS.items()
    ]

    assert books.post(*transfers) == [code for _, code in MISFITS.values()]
    assert books.snapshot() == before


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_misfit_breaks_its_chain_and_only_that(books: Books, place: int) -> None:
    chain = [a_transfer(f"m{at}", "bank", "shop", 1, "linked" if at < 2 else "") for at in range(3)]
    chain[place] = replace(chain[place], memo="a\0b")
    expected = ["linked_event_failed"] * 3
    expected[place] = "memo_must_be_short_text"

    told = books.post(*chain, a_transfer("after", "bank", "shop", 4))

    assert told == [*expected, "created"]
    assert books.balances()["shop"].credits_posted == 4


def test_a_misfit_at_the_end_of_a_chain_left_open_is_told_as_open(books: Books) -> None:
    first = a_transfer("m1", "bank", "shop", 1, "linked")
    last = replace(a_transfer("m2", "bank", "shop", 1, "linked"), amount=2**128)

    assert books.post(first, last) == ["linked_event_failed", "linked_event_chain_open"]


def test_a_misfit_under_an_id_in_use_is_told_as_a_misfit(books: Books) -> None:
    fare = a_transfer("fare", "bank", "shop", 1)
    assert books.post(fare) == ["created"]

    assert books.post(replace(fare, amount=2**128)) == ["amount_out_of_range"]


@pytest.mark.parametrize("what", FITS)
def test_what_just_fits_is_booked_and_read_back_as_it_was(books: Books, what: str) -> None:
    transfer = replace(a_transfer("fits", "bank", "shop", 1), **FITS[what])

    assert books.post(transfer) == ["created"]
    assert books.post(transfer) == ["exists"]

    with books.ctx.tx() as tx:
        assert ledger.get_transfer(tx, transfer_id("fits")).transfer == transfer
    books.verify()


def test_a_batch_keeps_the_order_and_the_ids_of_its_misfits() -> None:
    transfers = [a_transfer(f"t{at}", "bank", "shop", 2**128 if at % 2 else at) for at in range(6)]

    batch = batch_of(transfers)

    assert len(batch) == 6
    assert {index: code.value for index, code in batch.refused.items()} == dict.fromkeys(
        (1, 3, 5), "amount_out_of_range"
    )
    assert [body[0] for body in batch.bodies] == [transfer.transfer_id.bytes for transfer in transfers]
    assert [body[6] for body in batch.bodies][::2] == [int(MORNING.timestamp()) * 1_000_000 for _ in range(3)]
