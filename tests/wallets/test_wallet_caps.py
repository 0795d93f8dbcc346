"""What a wallet may hold, by how well its holder is known: whatever way money comes, it stops at the cap or waits."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from hansa import identity, payments
from hansa.approval import BalanceCapReached
from hansa.apps.bank.people_bank import PeopleBank
from hansa.identity import ProofLevel
from hansa.kernel import InvalidInput, Money, fact_id
from hansa.store import Context
from hansa.wallets import automatic, bank_accounts, bank_store, top_ups, transfers, vouchers
from hansa.wallets.bank_model import (
    BankAccountInUse,
    NameNotProved,
    NotYourBankAccount,
    TopUpState,
    WithdrawalState,
)
from hansa.wallets.model import CannotReceive, NewTransfer, State
from hansa.wallets.rails import Verified
from identity.levels import set_level
from scratch import NOON
from wallets.people import START, check_books, held
from wallets.test_bank_money import Town, batch, rule, sell

pytestmark = pytest.mark.usefixtures("allowed")

NONE, NAME = 1_000_00, 50_000_00
"""The caps in yuan of a person nobody knows, and of one whose name is proved."""


def fill(town: Town, to: int, number: int = 1) -> None:
    """Let the first person's wallet hold so much."""
    one = town.people[0]
    more = Money(to - town.held, "CNY")
    top_up = payments.TopUp(fact_id(NOON, "fill", number), one.account_id, one.issuer_id, more, NOON)
    payments.top_up(town.ctx, [top_up])


def places(town: Town) -> int:
    with town.ctx.tx() as tx:
        row = tx.execute("select count(*) from approval.incoming").fetchone()
    assert row is not None
    return int(row[0])


def at_a_counter(town: Town, minor: int, number: int = 1) -> TopUpState:
    return vouchers.top_up_at_counter(
        town.ctx,
        fact_id(NOON, "counter", number),
        town.people[0].account_id,
        Money(minor, "CNY"),
        by="a",
        at_counter="b",
    ).state


def by_voucher(town: Town, minor: int, number: int = 1) -> TopUpState:
    assert minor == 20_00
    new, codes = batch(town, number, count=1)
    sell(town, new, 1, 1)
    return vouchers.redeem(town.ctx, town.people[0].account_id, codes[0]).state


@pytest.mark.parametrize("bring", [at_a_counter, by_voucher])
def test_what_is_brought_fits_to_the_cap_and_not_beyond(
    ctx: Context, bring: Callable[[Town, int, int], TopUpState]
) -> None:
    town = Town(ctx)
    fill(town, NONE - 20_00 + 1)

    with pytest.raises(BalanceCapReached) as refused:
        bring(town, 20_00, 1)

    assert "level none holds ¥1,000.00" in refused.value.detail
    assert (town.held, places(town)) == (NONE - 20_00 + 1, 0)
    with town.ctx.tx() as tx:
        partition = town.ctx.directory.partition_of(town.people[0].account_id)
        assert top_ups.list_of(tx, town.people[0].account_id, partition=partition) == []
    town.prove(0)
    assert bring(town, 20_00, 2) is TopUpState.SETTLED
    assert (town.held, places(town)) == (NONE + 1, 0)


def test_a_voucher_that_found_no_room_can_be_used_later(ctx: Context) -> None:
    town = Town(ctx)
    fill(town, NONE)
    new, codes = batch(town, count=1)
    sell(town, new, 1, 1)

    with pytest.raises(BalanceCapReached):
        vouchers.redeem(town.ctx, town.people[0].account_id, codes[0])
    with town.ctx.tx() as tx:
        set_level(tx, town.people[0].account_id, ProofLevel.CONTACT)

    assert vouchers.redeem(town.ctx, town.people[0].account_id, codes[0]).state is TopUpState.SETTLED
    assert town.held == NONE + 20_00


def test_a_bank_is_asked_for_no_more_than_there_is_room_for(ctx: Context) -> None:
    town = Town(ctx)
    bank = town.add(0, "0003")  # the bank books an hour later
    fill(town, NAME - 80_00)

    assert town.top_up(bank, 50_00, 1) is TopUpState.SENT
    with pytest.raises(BalanceCapReached):
        town.top_up(bank, 30_01, 2)
    assert town.top_up(bank, 30_00, 3) is TopUpState.SENT
    with pytest.raises(BalanceCapReached):
        town.top_up(bank, 1, 4)
    town.later(timedelta(hours=2))

    assert (town.state(1), town.state(3)) == (TopUpState.SETTLED, TopUpState.SETTLED)
    assert (town.held, places(town)) == (NAME, 0)
    failed = town.add(0, "0001")
    town.withdraw(bank, 10_00)
    town.later(timedelta(hours=2))
    assert town.top_up(failed, 10_00, 5) is TopUpState.FAILED
    assert places(town) == 0 and town.top_up(bank, 10_00, 6) is TopUpState.SENT


def test_two_ways_at_once_never_pass_the_cap_together(committed_ctx: Context) -> None:
    town = Town(committed_ctx)
    town.add(0)
    with town.ctx.tx() as tx:
        (bank,) = bank_accounts.list_of(tx, town.people[0].account_id)
    fill(town, NAME - 100_00)

    def come(number: int) -> bool:
        one = town.people[0]
        top_up = payments.TopUp(
            fact_id(NOON, "race", number), one.account_id, one.issuer_id, Money(30_00, "CNY"), NOON
        )
        try:
            if number % 3 == 0:
                payments.top_up(town.ctx, [top_up], capped=True)
            elif number % 3 == 1:
                at_a_counter(town, 30_00, number)
            else:
                town.top_up(bank, 30_00, number)
        except BalanceCapReached:
            return False
        return True

    with ThreadPoolExecutor(6) as threads:
        came = sum(threads.map(come, range(18)))
    for _ in range(3):
        town.later()
    assert 1 <= came <= 3 and town.held == NAME - 100_00 + came * 30_00
    for number in range(came, 3):  # who asked while another's money was just being booked, may ask again
        assert come(100 + 3 * number)

    assert not come(200)
    assert (town.held, places(town)) == (NAME - 10_00, 0)


def test_what_arrives_over_the_cap_waits_until_there_is_room_or_goes_back_after_a_week(ctx: Context) -> None:
    town = Town(ctx)
    one = town.people[0]
    reference = bank_accounts.reference_of(town.ctx, one.account_id, "CNY")
    fill(town, NONE - 50_00)
    for number, minor in enumerate((60_00, 45_00)):
        town.bank.arrive(reference, Money(minor, "CNY"), entry_id=f"arrival {number}")
    town.work()

    def states() -> list[tuple[int, str, str]]:
        with town.ctx.tx() as tx:
            home = town.ctx.directory.partition_of(one.account_id)
            found = top_ups.list_of(tx, one.account_id, partition=home)
        return sorted((top_up.amount_minor, top_up.state.value, top_up.reason) for top_up in found)

    assert states() == [(45_00, "settled", ""), (60_00, "aside", "balance_cap")]
    assert (town.held, places(town)) == (NONE - 5_00, 0)
    with town.ctx.tx() as tx:
        assert bank_store.list_strays(tx, 10) == []
    for _ in range(5):
        town.later(timedelta(hours=1))
    assert states()[1] == (60_00, "aside", "balance_cap")

    with town.ctx.tx() as tx:
        set_level(tx, one.account_id, ProofLevel.CONTACT)
    town.later(timedelta(hours=1))
    assert states() == [(45_00, "settled", ""), (60_00, "settled", "")]
    assert (town.held, places(town)) == (NONE + 55_00, 0)

    town.bank.arrive(reference, Money(4_500_00, "CNY"), entry_id="far too much")
    town.work()
    for _ in range(170):
        town.clock.at += timedelta(hours=1)
        top_ups.finish(town.ctx, town.rail_of)
    assert states()[-1] == (4_500_00, "failed", "balance_cap")
    with town.ctx.tx() as tx:
        told = " ".join(str(row[0]) for row in tx.execute("select body::text from store.outbox").fetchall())
    assert (told.count('"top_up.aside"'), told.count('"top_up.given_back"')) == (2, 1)


def test_what_a_bank_refused_and_moved_nevertheless_waits_where_there_is_no_room_any_more(
    ctx: Context,
) -> None:
    town = Town(ctx)
    bank = town.add(0, "0009")
    fill(town, NAME - 50_00)

    assert town.top_up(bank, 50_00) is TopUpState.FAILED
    fill(town, NAME, 2)
    town.later(timedelta(minutes=20))
    town.work()

    assert (town.state(), town.held, places(town)) == (TopUpState.ASIDE, NAME, 0)
    town.withdraw(town.add(0), 60_00)
    town.later(timedelta(hours=2))
    town.later(timedelta(hours=2))
    assert (town.state(), town.held) == (TopUpState.SETTLED, NAME - 10_00)


def test_an_automatic_top_up_keeps_to_the_cap(ctx: Context) -> None:
    town = Town(ctx)
    bank = town.add(0)

    with pytest.raises(InvalidInput):
        rule(town, bank, below=NAME - 60_00 + 1)
    rule(town, bank, below=1_500_00)
    with town.ctx.tx() as tx:
        tx.execute("update identity.proofings set level = 0, state = 'ended', ended_at = now()")
        set_level(tx, town.people[0].account_id, ProofLevel.CONTACT)
    town.later(timedelta(minutes=1))
    assert automatic.turn(town.ctx, town.rail_of) == 0

    with town.ctx.tx() as tx:
        home = town.ctx.directory.partition_of(town.people[0].account_id)
        (found,) = automatic.list_of(tx, town.people[0].account_id, partition=home)
    assert (found.state, found.why, town.held) == ("stopped", "wallets.name_not_proved", START)


# --- whose bank account it is


def test_money_goes_to_and_comes_from_accounts_in_the_proved_name_only(
    ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    town = Town(ctx)
    one = town.people[0]
    names: list[str] = []
    verify = PeopleBank.verify

    def noted(bank: PeopleBank, number: str, holder: str) -> Verified:
        names.append(holder)
        return verify(bank, number, holder)

    monkeypatch.setattr(PeopleBank, "verify", noted)

    for level in (ProofLevel.NONE, ProofLevel.CONTACT):
        with town.ctx.tx() as tx:
            set_level(tx, one.account_id, level)
        with pytest.raises(NameNotProved):
            bank_accounts.add(town.ctx, town.bank, town.sealer, one.account_id, "6222004242", "CNY")
    with pytest.raises(NameNotProved), town.ctx.tx() as tx:
        bank_accounts.get_own(tx, one.account_id, fact_id(NOON, "none"))
    bank = town.add(0)
    assert names == ["Person Family"]  # as it was proved; the account's own name is Person0 Family0

    with town.ctx.tx() as tx:
        identity.release_document(tx, one.account_id, at=town.clock.at)
    for do in (town.top_up, town.withdraw):
        with pytest.raises(NameNotProved):
            do(bank)
    assert town.held == START


def test_a_bank_account_of_another_name_is_added_anew(ctx: Context) -> None:
    town = Town(ctx)
    one = town.people[0]
    bank = town.add(0)
    with town.ctx.tx() as tx:
        tx.execute("update wallets.bank_accounts set person_id = null")  # as it was before names were proved

    for do in (town.top_up, town.withdraw):
        with pytest.raises(NotYourBankAccount):
            do(bank)
    renewed = town.add(0, may_pull=False, cooled=False)

    assert renewed.bank_account_id == bank.bank_account_id and not renewed.may_pull
    assert renewed.usable_at == town.clock.at + timedelta(days=1)
    with town.ctx.tx() as tx:
        assert bank_accounts.list_of(tx, one.account_id) == [renewed]
    assert town.held == START


def test_a_bank_account_stays_while_a_withdrawal_to_it_is_under_way(ctx: Context) -> None:
    town = Town(ctx)
    one = town.people[0]
    bank = town.add(0, "0003")
    home = town.ctx.directory.partition_of(one.account_id)

    def end() -> None:
        with town.ctx.tx() as tx:
            bank_accounts.end(tx, one.account_id, bank.bank_account_id, town.clock.at, partition=home)

    assert town.withdraw(bank) is WithdrawalState.SENT
    with pytest.raises(BankAccountInUse) as refused:
        end()
    assert str(fact_id(NOON, "out", 1)) in refused.value.detail
    with town.ctx.tx() as tx:
        assert bank_accounts.get(tx, one.account_id, bank.bank_account_id) == bank
    town.later(timedelta(hours=2))
    assert town.out_state() is WithdrawalState.SETTLED
    end()
    end()

    with town.ctx.tx() as tx:
        assert bank_accounts.list_of(tx, one.account_id) == []
    assert held(town.ctx, one) == START - 40_00


# --- money from people


@pytest.mark.parametrize("receiver", [1, 2])
def test_what_is_sent_fits_to_the_cap_or_stays_with_its_sender(ctx: Context, receiver: int) -> None:
    """To somebody at another issuer, and at the same one; in the same partition of the ledger, or in another."""
    town = Town(ctx)
    one = town.people[receiver]
    top_up = payments.TopUp(
        fact_id(NOON, "fill", 1), one.account_id, one.issuer_id, Money(NONE - START - 10_00, "CNY"), NOON
    )
    payments.top_up(town.ctx, [top_up])

    def send(number: int, minor: int) -> tuple[str, str]:
        new = NewTransfer(
            transfer_id=fact_id(NOON, "send", number),
            sender_id=town.people[0].account_id,
            receiver_id=one.account_id,
            amount=Money(minor, "CNY"),
        )
        sent = transfers.send(town.ctx, new)
        assert transfers.send(town.ctx, new) == sent
        return sent.state.value, sent.reason

    assert send(1, 10_01) == ("failed", "receiver_full")
    assert send(2, 10_00) == ("settled", "")
    assert send(3, 1) == ("failed", "receiver_full")
    assert (held(town.ctx, one), town.held, places(town)) == (NONE, START - 10_00, 0)
    assert send(4, 1) == ("failed", "receiver_full")
    with pytest.raises(CannotReceive):  # how full another's wallet is, is not to be tried out
        send(5, 1)
    check_books(town.ctx, town.people, total=4 * START + NONE - START - 10_00)


def test_a_link_is_claimed_when_there_is_room_for_it(ctx: Context) -> None:
    town = Town(ctx)
    receiver = town.people[3]
    new = NewTransfer(
        transfer_id=fact_id(NOON, "link"),
        sender_id=town.people[0].account_id,
        receiver_id=None,
        amount=Money(30_00, "CNY"),
    )
    transfers.send(town.ctx, new)
    secret = transfers.renew_link(town.ctx, new.sender_id, new.transfer_id)
    top_up = payments.TopUp(
        fact_id(NOON, "fill", 1), receiver.account_id, receiver.issuer_id, Money(NONE - START, "CNY"), NOON
    )
    payments.top_up(town.ctx, [top_up])

    with pytest.raises(BalanceCapReached):
        transfers.claim(town.ctx, receiver.account_id, secret)
    assert transfers.look_at_link(town.ctx, secret).receiver_id is None
    assert (held(town.ctx, receiver), places(town)) == (NONE, 0)
    with town.ctx.tx() as tx:
        set_level(tx, receiver.account_id, ProofLevel.CONTACT)

    assert transfers.claim(town.ctx, receiver.account_id, secret).state is State.SETTLED
    assert (held(town.ctx, receiver), places(town)) == (NONE + 30_00, 0)
