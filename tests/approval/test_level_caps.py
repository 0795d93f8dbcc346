"""What a level of proof lets a wallet hold and an account pay in a year: to the minor unit, and not beyond."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from approval.spending import ANNA, AT, decided, open_riders, spend
from hansa import approval, identity, ledger
from hansa.approval import Allowed, Channel, Incoming, Refused, YearCapReached
from hansa.identity import ProofLevel
from hansa.kernel import Money, fact_id
from hansa.store import Context, Tx
from identity.levels import set_level

SPRING = datetime(2026, 3, 3, 4, tzinfo=UTC)
NEW_YEAR = datetime(2027, 1, 1, tzinfo=UTC)


@pytest.fixture
def tx(ctx: Context) -> Iterator[Tx]:
    with ctx.tx() as tx:
        open_riders(tx)
        yield tx


def pay(tx: Tx, number: int, minor: int, at: datetime = AT, **more: object) -> approval.Verdict:
    """A payment that a person has approved by all that there is."""
    one = spend(number, minor, session_at=at, **more)  # pyright: ignore[reportArgumentType]
    given = approval.Given(approval.ApprovalLevel.SECOND_PERSON, fact_id(None, "given", number))
    return approval.judge(tx, [one], at, {one.spend_id: given})[0]


def over_the_year(verdict: approval.Verdict) -> bool:
    return isinstance(verdict, Refused) and isinstance(verdict.error, YearCapReached)


@pytest.mark.parametrize(
    ("level", "before"),
    [
        (ProofLevel.NONE, [999_00]),
        (ProofLevel.CONTACT, [5_000_00, 5_000_00, 5_000_00, 4_999_00]),
        (ProofLevel.NAME, [50_000_00, 49_999_00]),
        (ProofLevel.DOCUMENT, [199_999_00]),
    ],
)
def test_a_year_ends_at_the_cap_of_its_level(tx: Tx, level: ProofLevel, before: list[int]) -> None:
    set_level(tx, ANNA, level)
    for number, minor in enumerate(before):
        assert isinstance(pay(tx, number, minor, SPRING + timedelta(days=31 * number)), Allowed)

    refused = pay(tx, 100, 1_01)

    assert over_the_year(refused) and isinstance(refused, Refused)
    assert f"level {level.name.lower()}" in refused.error.detail
    assert ("/wallet/me/name" in refused.error.problems[0].remedy) is (level < ProofLevel.DOCUMENT)
    assert isinstance(pay(tx, 101, 1_00), Allowed)
    assert over_the_year(pay(tx, 102, 1, NEW_YEAR - timedelta(seconds=1)))
    assert isinstance(pay(tx, 103, 1, NEW_YEAR), Allowed)


def test_what_goes_to_ones_own_bank_account_is_no_part_of_the_year_and_what_came_to_nothing_is_none(
    tx: Tx,
) -> None:
    assert isinstance(pay(tx, 1, 900_00, channel=Channel.BANK), Allowed)
    assert isinstance(pay(tx, 2, 1_000_00), Allowed)
    assert over_the_year(pay(tx, 3, 1)) and isinstance(pay(tx, 4, 1, channel=Channel.BANK), Allowed)

    approval.give_back(tx, [spend(1).spend_id], at=AT)
    assert over_the_year(pay(tx, 5, 1))
    approval.give_back(tx, [spend(2).spend_id], at=AT)

    assert isinstance(pay(tx, 6, 1_000_00), Allowed) and over_the_year(pay(tx, 7, 1))
    assert isinstance(decided(tx, spend(8, 1, currency="USD")), Allowed)  # a currency without a cap


# -- what a wallet may hold ---------------------------------------------------------------------------------


def arriving(number: int, minor: int) -> Incoming:
    return Incoming(
        incoming_id=fact_id(None, "incoming", number),
        account_id=ANNA,
        wallet=ledger.AccountId(fact_id(None, "no wallet yet")),
        amount=Money(minor, "CNY"),
    )


def test_room_ends_at_the_cap_and_a_place_is_given_back(tx: Tx) -> None:
    first, whole = arriving(1, 600_00), arriving(2, 400_00)

    assert approval.admit(tx, [first, first, whole], AT) == [None, None, None]
    (refused,) = approval.admit(tx, [arriving(3, 1)], AT)

    assert refused is not None and "level none holds ¥1,000.00" in refused.detail
    assert "/wallet/me/name" in refused.problems[0].remedy
    assert approval.admit(tx, [first], AT) == [None]  # it has its place
    approval.end_incoming(tx, [first.incoming_id])
    assert [one is None for one in approval.admit(tx, [arriving(4, 600_01), arriving(5, 600_00)], AT)] == [
        False,
        True,
    ]
    set_level(tx, ANNA, ProofLevel.CONTACT)
    assert approval.admit(tx, [arriving(6, 4_000_00)], AT) == [None]


def test_of_many_at_once_as_many_come_in_as_there_is_room_for(committed_ctx: Context) -> None:
    with committed_ctx.tx() as tx:
        open_riders(tx)

    def come(number: int) -> bool:
        with committed_ctx.tx() as tx:
            return approval.admit(tx, [arriving(number, 300_00)], AT) == [None]

    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(come, range(24))) == 3
    with committed_ctx.tx() as tx:
        assert tx.execute("select count(*), sum(minor) from approval.incoming").fetchone() == (3, 900_00)


def test_nobodys_wallet_takes_nothing(ctx: Context) -> None:
    with pytest.raises(identity.UnknownAccount), ctx.tx() as tx:
        approval.admit(tx, [arriving(1, 1)], AT)
