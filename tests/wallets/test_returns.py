"""Money that came from a bank and goes back the way it came: once, whatever the bank does and wherever it is killed."""

from contextlib import suppress
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hansa import audit, identity, ledger, payments
from hansa.apps.bank.people_bank import PeopleBank, PeopleMishap
from hansa.apps.bank.people_wire import HttpRail, PeopleDoor
from hansa.kernel import InvalidInput, Money, fact_id
from hansa.ledger import AccountCode
from hansa.store import Context
from hansa.wallets import (
    bank_accounts,
    bank_store,
    returns,
    returns_store,
    strays,
    top_ups,
)
from hansa.wallets.bank_model import RETURN_WAYS, Return, ReturnState, TopUpState, WithdrawalState
from hansa.wallets.rails import Answer, Entry, EntryKind, Order, OrderKind, Verdict
from scratch import NOON
from wallets.people import START, Killed, held, killed_after, sum_of
from wallets.test_bank_money import Town, ending

pytestmark = pytest.mark.usefixtures("allowed")

RAIL, CAP = "simbank", 1_000_00


class Desk(Town):
    """A town whose worker also returns money, and its treasurer."""

    def work(self) -> None:
        super().work()
        returns.finish(self.ctx, self.rail_of)

    def stray(self, minor: int = 70_00, *, sender: str = "4242", entry_id: str = "stray") -> None:
        self.bank.arrive("rent", Money(minor, "CNY"), entry_id=entry_id, sender=sender)
        self.work()

    def send_back(self, minor: int = 70_00, entry_id: str = "stray") -> Return:
        expected = Money(minor, "CNY")
        return strays.send_back(self.ctx, RAIL, entry_id, expected=expected, by="ada", reason="no slip")

    def assign(self, minor: int = 70_00, entry_id: str = "stray") -> TopUpState:
        to, expected = self.people[0].account_id, Money(minor, "CNY")
        return strays.assign(self.ctx, RAIL, entry_id, to, expected=expected, by="ada", reason="a slip").state

    def waiting(self) -> dict[str, str]:
        with self.ctx.tx() as tx:
            return {one.entry_id: one.not_returned for one in strays.list_strays(tx)}

    def told(self, entry_id: str = "stray") -> list[tuple[ReturnState, str]]:
        with self.ctx.tx() as tx:
            return [(one.state, one.reason) for one in returns_store.list_of_entry(tx, RAIL, entry_id)]

    @property
    def returned(self) -> int:
        return -sum(self.bank.moved().values())

    def even(self) -> None:
        """Nothing is on its way, and the league's cash is what it was: nothing."""
        assert sum_of(self.ctx, AccountCode.TRANSIT) == sum_of(self.ctx, AccountCode.TRANSIT, credit=False)
        with self.ctx.tx() as tx:
            assert ledger.trial_balance(tx).is_even
            for one in ledger.search_accounts(tx, code=AccountCode.CASH, limit=100):
                if one.holder == audit.LEAGUE:
                    balance = ledger.balance(tx, one.account_id)
                    assert balance.debit_minor == balance.credit_minor


ENDS = {
    # what the bank does | how the return ends | does the money wait for a treasurer again, and why | returned
    PeopleMishap.NONE: (ReturnState.SETTLED, None, 70_00),
    PeopleMishap.POOR: (ReturnState.FAILED, "AM04", 0),
    PeopleMishap.CLOSED: (ReturnState.FAILED, "AC04", 0),
    PeopleMishap.SLOW: (ReturnState.SETTLED, None, 70_00),
    PeopleMishap.SILENT: (ReturnState.SETTLED, None, 70_00),
    PeopleMishap.LOST: (ReturnState.SETTLED, None, 70_00),
    PeopleMishap.RETURN: (ReturnState.RETURNED, "MD06", 0),
    PeopleMishap.REPEAT: (ReturnState.SETTLED, None, 70_00),
    PeopleMishap.LATE: (ReturnState.SETTLED, None, 70_00),
}


@pytest.mark.parametrize("mishap", ENDS)
def test_whatever_a_bank_does_money_that_goes_back_is_back_once_or_waits_again(
    ctx: Context, mishap: PeopleMishap
) -> None:
    desk = Desk(ctx)
    desk.stray(sender="4242" if mishap is PeopleMishap.NONE else ending(mishap))

    desk.send_back()
    for refused in (desk.send_back, desk.assign):
        with pytest.raises(strays.UnknownStray):
            refused()
    for _ in range(4):
        desk.later()
    desk.later(timedelta(hours=2))
    desk.later(timedelta(days=3))
    desk.work()

    state, waits, back = ENDS[mishap]
    assert [found[0] for found in desk.told()] == [state]
    assert desk.waiting() == ({"stray": waits} if waits else {})
    assert desk.returned == back and desk.held == START
    desk.even()


def test_what_goes_back_is_in_the_books_as_come_and_gone(ctx: Context) -> None:
    desk = Desk(ctx)
    desk.stray()

    one = desk.send_back()
    desk.work()
    with desk.ctx.tx() as tx:
        assert ledger.search_accounts(tx, code=AccountCode.TRANSIT, limit=10) == []
    desk.later()

    with desk.ctx.tx() as tx:
        (transit,) = ledger.search_accounts(tx, code=AccountCode.TRANSIT, limit=10)
        balance = ledger.balance(tx, transit.account_id)
        booked = ledger.get_transfer(tx, ledger.TransferId(fact_id(one.created_at, one.return_id, "went")))
    assert (transit.holder, balance.debits_posted, balance.credits_posted) == (audit.LEAGUE, 70_00, 70_00)
    assert (booked.transfer.amount, booked.transfer.reference) == (70_00, one.return_id)
    desk.even()


@pytest.mark.parametrize("steps", range(1, 6))
def test_a_kill_at_any_step_returns_nothing_twice(ctx: Context, steps: int) -> None:
    desk = Desk(ctx)
    desk.stray()
    one = desk.send_back()

    with suppress(Killed):
        returns.advance(desk.ctx, desk.bank, one, step=killed_after(steps))
    for _ in range(4):
        with suppress(Killed):
            desk.clock.at += timedelta(minutes=3)
            returns.advance(desk.ctx, desk.bank, one, step=killed_after(steps))
    for _ in range(4):
        desk.later()

    assert desk.told() == [(ReturnState.SETTLED, "")]
    assert (desk.returned, desk.held, desk.waiting()) == (70_00, START, {})
    desk.even()


def test_what_a_bank_does_not_return_can_be_returned_again_or_put_into_a_wallet(ctx: Context) -> None:
    desk = Desk(ctx)
    desk.stray(sender=ending(PeopleMishap.CLOSED))
    desk.send_back()
    desk.later()
    desk.send_back()
    desk.later()
    assert desk.waiting() == {"stray": "AC04"} and len(desk.told()) == 2

    with pytest.raises(InvalidInput):
        strays.close(desk.ctx, RAIL, "stray", expected=Money(70_00, "CNY"), by="ada", reason="gone")
    assert desk.assign() is TopUpState.SETTLED
    desk.later()

    assert (desk.held, desk.waiting(), desk.returned) == (START + 70_00, {}, 0)
    desk.even()


def full(desk: Desk) -> str:
    """Fill the first wallet to its cap but ten yuan; gives its reference."""
    one = desk.people[0]
    more = Money(CAP - START - 10_00, "CNY")
    payments.top_up(
        desk.ctx, [payments.TopUp(fact_id(NOON, "fill"), one.account_id, one.issuer_id, more, NOON)]
    )
    return bank_accounts.reference_of(desk.ctx, one.account_id, "CNY")


def a_week(desk: Desk) -> None:
    for _ in range(170):
        desk.clock.at += timedelta(hours=1)
        top_ups.finish(desk.ctx, desk.rail_of)


def outbox(desk: Desk) -> str:
    with desk.ctx.tx() as tx:
        return " ".join(str(row[0]) for row in tx.execute("select body::text from store.outbox").fetchall())


def test_what_finds_no_room_in_a_week_goes_back_by_itself_and_all_are_told(ctx: Context) -> None:
    desk = Desk(ctx)
    desk.bank.arrive(full(desk), Money(60_00, "CNY"), entry_id="too much")
    desk.work()

    a_week(desk)
    desk.later()
    desk.later()

    assert desk.told("too much") == [(ReturnState.SETTLED, "")]
    assert (desk.returned, desk.held, desk.waiting()) == (60_00, CAP - 10_00, {})
    told = outbox(desk)
    assert (told.count('"top_up.given_back"'), told.count('"top_up.went_back"')) == (1, 1)
    assert (told.count('"return.settled"'), told.count('"return.failed"')) == (1, 0)
    desk.even()


def test_what_found_no_room_and_is_not_returned_waits_and_finds_its_wallet_by_a_treasurer(
    ctx: Context,
) -> None:
    desk = Desk(ctx)
    desk.bank.arrive(full(desk), Money(60_00, "CNY"), entry_id="too much", sender=ending(PeopleMishap.CLOSED))
    desk.work()
    a_week(desk)
    desk.later()
    assert desk.waiting() == {"too much": "AC04"} and '"return.failed"' in outbox(desk)

    desk.prove(0)
    assert desk.assign(60_00, "too much") is TopUpState.SETTLED

    assert (desk.held, desk.waiting(), desk.returned) == (CAP + 50_00, {}, 0)
    desk.even()


def test_a_bank_that_returns_late_what_has_found_a_wallet_meanwhile_is_told_of_at_the_desk(
    ctx: Context,
) -> None:
    desk = Desk(ctx)
    desk.stray(sender=ending(PeopleMishap.LATE))
    one = desk.send_back()
    desk.work()
    assert desk.waiting() == {"stray": "MS03"}
    assert desk.assign() is TopUpState.SETTLED

    desk.later(timedelta(hours=1))
    desk.work()

    with desk.ctx.tx() as tx:
        (word,) = strays.list_strays(tx)
    assert (word.order_id, word.kind.value, word.is_money) == (one.return_id, "outcome", False)
    assert desk.held == START + 70_00 and [state for state, _ in desk.told()] == [ReturnState.FAILED]


def test_a_late_debit_that_finds_no_room_any_more_goes_back_too(ctx: Context) -> None:
    desk = Desk(ctx)
    bank = desk.add(0, ending(PeopleMishap.LATE))
    one = desk.people[0]
    cap = 50_000_00
    more = Money(cap - START - 50_00, "CNY")
    payments.top_up(
        desk.ctx, [payments.TopUp(fact_id(NOON, "fill"), one.account_id, one.issuer_id, more, NOON)]
    )
    assert desk.top_up(bank, 50_00) is TopUpState.FAILED
    payments.top_up(
        desk.ctx,
        [payments.TopUp(fact_id(NOON, "fill", 2), one.account_id, one.issuer_id, Money(50_00, "CNY"), NOON)],
    )
    desk.later(timedelta(minutes=20))
    desk.work()
    assert desk.state() is TopUpState.ASIDE

    a_week(desk)
    for _ in range(3):
        desk.later()

    assert desk.state() is TopUpState.FAILED and desk.held == cap
    assert sum(desk.bank.moved().values()) == 0 and desk.waiting() == {}
    desk.even()


def test_the_simulated_bank_returns_what_came_once_and_nothing_else(ctx: Context) -> None:
    desk = Desk(ctx)
    desk.stray()
    with PeopleDoor(desk.bank, "secret") as door:
        rail = HttpRail(RAIL, door.url, "secret", timeout_s=20)

        def order(number: int, entry_id: str = "stray", minor: int = 70_00) -> Answer:
            amount = Money(minor, "CNY")
            order_id = fact_id(NOON, "back", number)
            return rail.order(Order(order_id, OrderKind.RETURN, "", amount, "back", entry_id=entry_id))

        told = [order(1, minor=69_00), order(2, "none"), order(3), order(3), order(4)]
        desk.clock.at += timedelta(minutes=1)
        rail.entries(0, 10)
        told.append(order(3))
        told.append(order(5))

    assert [(one.verdict, one.reason) for one in told] == [
        (Verdict.REFUSED, "AM09"),
        (Verdict.REFUSED, "NOOR"),
        (Verdict.ACCEPTED, ""),
        (Verdict.ACCEPTED, ""),
        (Verdict.REFUSED, "ARDT"),
        (Verdict.SETTLED, ""),
        (Verdict.REFUSED, "ARDT"),
    ]
    assert desk.returned == 70_00


def go(desk: Desk) -> None:
    """The first person is gone: their wallet is empty, and nobody opens it any more."""
    one = desk.people[0].account_id
    with desk.ctx.tx() as tx:
        identity.ask_deletion(tx, fact_id(NOON, "go"), one, desk.clock.at)
        assert identity.close_account(tx, one, at=desk.clock.at, erase_at=desk.clock.at)


def test_a_withdrawal_that_comes_back_for_somebody_who_is_gone_waits_for_a_treasurer(ctx: Context) -> None:
    desk = Desk(ctx)
    desk.withdraw(desk.add(0, ending(PeopleMishap.RETURN)), START)
    desk.later()
    assert (desk.out_state(), desk.held) == (WithdrawalState.SETTLED, 0)
    go(desk)

    desk.later(timedelta(days=3))
    desk.work()

    with desk.ctx.tx() as tx:
        (stray,) = strays.list_strays(tx)
        assert (stray.kind.value, stray.amount, stray.is_money) == ("return", Money(START, "CNY"), True)
    assert desk.held == 0, "nothing is put where nobody is"
    with pytest.raises(InvalidInput):
        desk.assign(START, stray.entry_id)
    done = strays.assign(
        desk.ctx,
        RAIL,
        stray.entry_id,
        desk.people[2].account_id,
        expected=stray.amount,
        by="ada",
        reason="heir",
    )
    assert done.state is TopUpState.SETTLED and held(desk.ctx, desk.people[2]) == 2 * START
    desk.even()


def test_a_withdrawal_of_which_a_part_comes_back_is_money_for_a_treasurer(ctx: Context) -> None:
    desk = Desk(ctx)
    desk.withdraw(desk.add(0), 40_00)
    desk.later()
    order_id = fact_id(NOON, "out", 1)
    part = Entry(99, "part", EntryKind.RETURN, Money(38_00, "CNY"), desk.clock.at, order_id=order_id)
    with desk.ctx.tx() as tx:
        assert bank_store.add_entry(tx, RAIL, part, "stray")

        (stray,) = strays.list_strays(tx)
    assert stray.is_money
    assert desk.assign(38_00, "part") is TopUpState.SETTLED
    assert desk.held == START - 2_00


def test_a_debit_that_a_bank_books_late_for_somebody_who_is_gone_goes_back(ctx: Context) -> None:
    desk = Desk(ctx)
    assert desk.top_up(desk.add(0, ending(PeopleMishap.LATE)), 50_00) is TopUpState.FAILED
    desk.withdraw(desk.add(0), START)
    go(desk)

    for _ in range(4):
        desk.later(timedelta(minutes=20))

    assert (desk.state(), desk.held) == (TopUpState.FAILED, 0)
    moved = desk.bank.moved()
    assert moved[fact_id(NOON, "pull", 1)] == 50_00 and sum(moved.values()) == -START
    desk.even()


def test_what_a_bank_takes_back_of_somebody_who_is_gone_is_carried_by_their_issuer(ctx: Context) -> None:
    desk = Desk(ctx)
    desk.top_up(desk.add(0, ending(PeopleMishap.RETURN)), 50_00)
    desk.later()
    desk.withdraw(desk.add(0), START + 50_00)
    desk.later()
    go(desk)

    desk.later(timedelta(days=3))
    desk.work()

    assert (desk.state(), desk.held) == (TopUpState.RETURNED, 0)
    desk.check()


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.integers(0, 10_000),
    arrivals=st.lists(
        st.tuples(st.booleans(), st.integers(1, 60_00), st.integers(0, 6)), min_size=1, max_size=6
    ),
)
def test_all_that_arrives_is_in_a_wallet_or_back_or_waits(
    ctx: Context, seed: int, arrivals: list[tuple[bool, int, int]]
) -> None:
    with ctx.tx() as tx, tx.transaction(force_rollback=True):
        rough = tuple(one for one in PeopleMishap if one is not PeopleMishap.OTHER_NAME)
        desk = Desk(ctx, bank=PeopleBank(seed=seed, mishaps=rough, out_of=1))
        for number, (back, minor, steps) in enumerate(arrivals):
            entry_id = f"a{number}"
            desk.stray(minor, sender="", entry_id=entry_id)
            if back:
                one = desk.send_back(minor, entry_id)
                with suppress(Killed):
                    returns.advance(desk.ctx, desk.bank, one, step=killed_after(steps))
            elif number % 2:
                desk.assign(minor, entry_id)
            desk.later(timedelta(minutes=minor % 40))
        for _ in range(8):
            desk.later(timedelta(hours=3))
        desk.later(timedelta(days=3))
        desk.work()

        waiting = desk.waiting()
        wait = sum(minor for number, (_, minor, _) in enumerate(arrivals) if f"a{number}" in waiting)
        assert desk.held - START + desk.returned + wait == sum(minor for _, minor, _ in arrivals)
        desk.even()


def test_every_state_of_a_return_has_its_ways() -> None:
    assert set(RETURN_WAYS) == set(ReturnState)
