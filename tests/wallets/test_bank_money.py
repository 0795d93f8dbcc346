"""Money between wallets and banks that misbehave: booked once, back when it comes back, never lost, never made."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hansa import ledger, payments
from hansa.apps.bank.people_bank import ENDINGS, PeopleBank, PeopleMishap
from hansa.apps.bank.people_wire import HttpRail, PeopleDoor
from hansa.identity import Account
from hansa.kernel import FixedClock, HansaError, InvalidInput, Money, fact_id
from hansa.ledger import AccountCode
from hansa.store import Context, TooOften
from hansa.wallets import automatic, bank_accounts, bank_store, hearing, top_ups, vouchers, withdrawals
from hansa.wallets.bank_model import (
    TOP_UP_WAYS,
    WITHDRAWAL_WAYS,
    BankAccount,
    BankAccountCooling,
    BatchDiffers,
    NewBatch,
    NewTopUp,
    NewWithdrawal,
    NoMandate,
    NotYourBankAccount,
    TopUpState,
    UnknownBankAccount,
    VoucherMoved,
    VoucherRefused,
    Way,
    WithdrawalMoved,
    WithdrawalState,
)
from hansa.wallets.model import InsufficientFunds
from hansa.wallets.rails import BadBankNumber, RailAway
from identity.levels import prove_names
from identity.sealed import Keys
from scratch import NOON
from wallets.people import START, Killed, free, held, killed_after, open_people, spread, sum_of

pytestmark = pytest.mark.usefixtures("allowed")

DONE = {
    *(state for state, ways in TOP_UP_WAYS.items() if not ways),
    TopUpState.SETTLED,
    TopUpState.FAILED,
}


class Town:
    """People, a bank, and a clock that moves."""

    def __init__(self, ctx: Context, *, people: int = 4, bank: PeopleBank | None = None) -> None:
        self.clock = FixedClock(NOON)
        self.ctx = spread(replace(ctx, clock=self.clock))
        self.people = open_people(self.ctx, people)
        self.bank = bank or PeopleBank(clock=self.clock)
        self.sealer = Keys().sealer()
        self.proved: set[int] = set()
        self.bank.clock = self.clock

    def rail_of(self, rail_id: str) -> PeopleBank | None:
        return self.bank if rail_id == self.bank.rail_id else None

    def add(
        self, of: int, ending: str = "4242", *, may_pull: bool = True, cooled: bool = True
    ) -> BankAccount:
        self.prove(of)
        added = bank_accounts.add(
            self.ctx,
            self.bank,
            self.sealer,
            self.people[of].account_id,
            f"62220{of}{ending}",
            "CNY",
            may_pull=may_pull,
        )
        if cooled:
            self.clock.at += timedelta(days=1)
        return added

    def prove(self, of: int) -> None:
        """Have somebody's name proved, once."""
        if of not in self.proved:
            prove_names(self.ctx, self.sealer, [self.people[of]])
            self.proved.add(of)

    def later(self, by: timedelta = timedelta(minutes=2)) -> None:
        """Time passes, and the worker looks at what is open."""
        self.clock.at += by
        self.work()

    def work(self) -> None:
        hearing.hear(self.ctx, self.bank)
        top_ups.finish(self.ctx, self.rail_of)
        withdrawals.finish(self.ctx, self.rail_of)
        vouchers.finish(self.ctx)

    def top_up(
        self,
        bank: BankAccount,
        minor: int = 50_00,
        number: int = 1,
        *,
        step: Callable[[str], None] | None = None,
    ) -> TopUpState:
        new = NewTopUp(
            top_up_id=fact_id(NOON, "pull", number),
            account_id=self.people[0].account_id,
            amount=Money(minor, "CNY"),
            bank_account_id=bank.bank_account_id,
        )
        return top_ups.begin(self.ctx, self.bank, new, step=step or payments.no_step).state

    def withdraw(
        self,
        bank: BankAccount,
        minor: int = 40_00,
        number: int = 1,
        *,
        step: Callable[[str], None] | None = None,
    ) -> WithdrawalState:
        new = NewWithdrawal(
            withdrawal_id=fact_id(NOON, "out", number),
            account_id=self.people[0].account_id,
            amount=Money(minor, "CNY"),
            bank_account_id=bank.bank_account_id,
        )
        return withdrawals.begin(self.ctx, self.bank, new, step=step or payments.no_step).state

    def state(self, number: int = 1) -> TopUpState:
        with self.ctx.tx() as tx:
            found = bank_store.find_top_up(tx, self.ctx.directory.partitions, fact_id(NOON, "pull", number))
        assert found is not None
        return found.state

    def out_state(self, number: int = 1) -> WithdrawalState:
        with self.ctx.tx() as tx:
            found = bank_store.find_withdrawal(
                tx, self.ctx.directory.partitions, fact_id(NOON, "out", number)
            )
        assert found is not None
        return found.state

    @property
    def held(self) -> int:
        return held(self.ctx, self.people[0])

    def check(self) -> None:
        """The wallet, less what is owed for it, has what the bank moved; the books are even."""
        with self.ctx.tx() as tx:
            home = self.ctx.directory.partition_of(self.people[0].account_id)
            owed = sum(one.minor for one in payments.debts_of(tx, self.people[0].account_id, partition=home))
            assert ledger.trial_balance(tx).is_even
        assert self.held - owed == START + sum(self.bank.moved().values())


def ending(mishap: PeopleMishap) -> str:
    return next(one for one, found in ENDINGS.items() if found is mishap)


ENDS = {
    # what the bank does | the top-up ends as | the withdrawal ends as
    PeopleMishap.NONE: ("settled", "settled"),
    PeopleMishap.POOR: ("failed", "failed"),
    PeopleMishap.CLOSED: ("failed", "failed"),
    PeopleMishap.SLOW: ("settled", "settled"),
    PeopleMishap.SILENT: ("settled", "settled"),
    PeopleMishap.LOST: ("settled", "settled"),
    PeopleMishap.RETURN: ("returned", "returned"),
    PeopleMishap.REPEAT: ("settled", "settled"),
    PeopleMishap.LATE: ("settled", "settled"),
}


@pytest.mark.parametrize("mishap", ENDS)
def test_whatever_a_bank_does_the_wallet_has_what_the_bank_moved(ctx: Context, mishap: PeopleMishap) -> None:
    town = Town(ctx)
    bank = town.add(0, "4242" if mishap is PeopleMishap.NONE else ending(mishap))

    town.top_up(bank)
    town.withdraw(bank)
    assert free(town.ctx, town.people[0]) <= START
    for _ in range(4):
        town.later()
    town.later(timedelta(hours=2))
    town.later(timedelta(days=3))
    town.work()

    assert (town.state().value, town.out_state().value) == ENDS[mishap]
    town.check()
    assert free(town.ctx, town.people[0]) == town.held


@pytest.mark.parametrize("steps", range(1, 8))
def test_a_kill_at_any_step_doubles_nothing(ctx: Context, steps: int) -> None:
    town = Town(ctx)
    bank = town.add(0)

    for do in (town.top_up, town.withdraw):
        with suppress(Killed):
            do(bank, step=killed_after(steps))
        for _ in range(3):
            town.later()
        assert do(bank).value == "settled"

    town.check()
    assert town.held == START + 10_00


def test_what_a_bank_pays_late_finds_its_refusal_in_the_books_first(ctx: Context) -> None:
    """The process is killed between the bank's refusal and the books; meanwhile the bank pays nevertheless."""
    town = Town(ctx)
    bank = town.add(0, ending(PeopleMishap.LATE))
    steps = 0
    while True:
        steps += 1
        with suppress(Killed):
            town.withdraw(bank, 5_00, steps, step=killed_after(steps))
        if town.out_state(steps) is WithdrawalState.RELEASING:
            break
        assert steps < 9, "no step leaves a withdrawal between the refusal and the books"

    town.clock.at += timedelta(days=3)
    town.work()
    town.work()

    assert town.out_state(steps) is WithdrawalState.SETTLED
    town.check()


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.integers(0, 10_000),
    orders=st.lists(
        st.tuples(st.booleans(), st.integers(1, 60_00), st.integers(0, 9), st.booleans()),
        min_size=2,
        max_size=8,
    ),
)
def test_nothing_is_made_or_lost_with_any_bank_and_wherever_it_is_killed(
    ctx: Context, seed: int, orders: list[tuple[bool, int, int, bool]]
) -> None:
    with ctx.tx() as tx, tx.transaction(force_rollback=True):
        rough = tuple(one for one in PeopleMishap if one is not PeopleMishap.OTHER_NAME)
        town = Town(ctx, bank=PeopleBank(seed=seed, mishaps=rough, out_of=1))
        bank = town.add(0)
        for number, (into, minor, steps, away) in enumerate(orders):
            town.bank.away = away
            try:
                if into:
                    town.top_up(bank, minor, number, step=killed_after(steps))
                else:
                    town.withdraw(bank, minor, number, step=killed_after(steps))
            except (Killed, InsufficientFunds):
                pass
            town.bank.away = False
            town.later(timedelta(minutes=minor % 40))
        for _ in range(8):
            town.later(timedelta(hours=3))
        town.later(timedelta(days=3))
        town.work()

        town.check()
        assert free(town.ctx, town.people[0]) == town.held


def test_a_transfer_with_the_reference_arrives_once_and_any_other_waits_for_the_desk(ctx: Context) -> None:
    town = Town(ctx)
    reference = bank_accounts.reference_of(town.ctx, town.people[0].account_id, "CNY")
    assert bank_accounts.reference_of(town.ctx, town.people[0].account_id, "CNY") == reference
    spaced = " ".join(reference[i : i + 4] for i in range(0, len(reference), 4)).lower()

    town.bank.arrive(spaced, Money(70_00, "CNY"), entry_id="a")
    town.bank.arrive(spaced, Money(70_00, "CNY"), entry_id="a")
    town.bank.arrive(spaced, Money(5_00, "HKD"), entry_id="b")
    town.bank.arrive(f"RF99{reference[4:]}", Money(6_00, "CNY"), entry_id="c")
    town.work()
    town.work()

    assert town.held == START + 70_00
    with town.ctx.tx() as tx:
        assert [row[1] for row in bank_store.list_strays(tx, 10)] == ["b", "c"]


def test_a_bank_account_is_the_persons_own_and_cools(ctx: Context) -> None:
    town = Town(ctx)
    first = town.add(0, cooled=False)
    one = town.people[0]

    with pytest.raises(BankAccountCooling):
        town.withdraw(first)
    with pytest.raises(NotYourBankAccount):
        town.add(0, ending(PeopleMishap.OTHER_NAME))
    for number, error in (("GB82WEST12345698765431", BadBankNumber), ("12", BadBankNumber)):
        with pytest.raises(error):
            bank_accounts.add(town.ctx, town.bank, town.sealer, one.account_id, number, "CNY")
    assert town.add(0) == first
    assert town.add(1).account_id == town.people[1].account_id
    with pytest.raises(UnknownBankAccount):
        withdrawals.begin(
            town.ctx,
            town.bank,
            NewWithdrawal(
                withdrawal_id=fact_id(NOON, "theirs"),
                account_id=town.people[1].account_id,
                amount=Money(1, "CNY"),
                bank_account_id=first.bank_account_id,
            ),
        )
    with town.ctx.tx() as tx:
        bank_accounts.set_mandate(tx, one.account_id, first.bank_account_id, may_pull=False)
    with pytest.raises(NoMandate):
        town.top_up(first)
    with town.ctx.tx() as tx:
        home = town.ctx.directory.partition_of(one.account_id)
        bank_accounts.end(tx, one.account_id, first.bank_account_id, town.clock.at, partition=home)
    with pytest.raises(UnknownBankAccount):
        town.top_up(first)
    assert [tried for tried in range(6) if refused(lambda: town.add(0, cooled=False))]
    assert town.held == START


def test_too_much_is_not_withdrawn_and_what_the_bank_has_is_not_cancelled(ctx: Context) -> None:
    town = Town(ctx)
    bank = town.add(0)

    with pytest.raises(InsufficientFunds):
        town.withdraw(bank, START + 1)
    town.withdraw(bank)
    with pytest.raises(WithdrawalMoved):
        withdrawals.cancel(town.ctx, town.people[0].account_id, fact_id(NOON, "out", 1))

    assert (town.held, free(town.ctx, town.people[0])) == (START, START - 40_00)


def test_a_bank_over_http_is_the_same_bank(ctx: Context) -> None:
    town = Town(ctx)
    with PeopleDoor(town.bank, "secret") as door:
        rail = HttpRail("simbank", door.url, "secret", timeout_s=20)
        stranger = HttpRail("simbank", door.url, "guess", timeout_s=20)
        one = town.people[0]
        town.prove(0)
        silent = bank_accounts.add(
            town.ctx, rail, town.sealer, one.account_id, f"622200{ending(PeopleMishap.SILENT)}", "CNY"
        )
        town.clock.at += timedelta(days=1)
        with pytest.raises(BadBankNumber):
            rail.verify("62220000000X", one.name)
        with pytest.raises(RailAway):
            stranger.entries(0, 10)
        assert town.withdraw(silent) is WithdrawalState.UNKNOWN

        new = NewTopUp(
            top_up_id=fact_id(NOON, "pull", 1),
            account_id=one.account_id,
            amount=Money(50_00, "CNY"),
            bank_account_id=silent.bank_account_id,
            way=Way.INSTANT,
        )
        assert top_ups.begin(town.ctx, rail, new).state is TopUpState.UNKNOWN
        town.clock.at += timedelta(minutes=2)
        assert hearing.hear(town.ctx, rail) >= 0
        top_ups.finish(town.ctx, lambda _: rail)
        withdrawals.finish(town.ctx, lambda _: rail)

    assert town.state() is TopUpState.SETTLED
    town.later()
    town.check()


# --- by itself


def rule(
    town: Town, bank: BankAccount, *, below: int = 150_00, add: int = 60_00, month: int = 180_00
) -> None:
    automatic.turn_on(
        town.ctx,
        town.people[0].account_id,
        below=Money(below, "CNY"),
        add=Money(add, "CNY"),
        day_max=Money(120_00, "CNY"),
        month_max=Money(month, "CNY"),
        bank_account_id=bank.bank_account_id,
    )


def look(town: Town, by: timedelta = timedelta(minutes=1)) -> int:
    town.later(by)
    begun = automatic.turn(town.ctx, town.rail_of)
    town.later()
    return begun


def test_a_low_wallet_tops_itself_up_within_its_caps(ctx: Context) -> None:
    town = Town(ctx)
    bank = town.add(0)
    rule(town, bank, below=1_000_00)

    assert [look(town) for _ in range(4)] == [1, 1, 0, 0]
    assert town.held == START + 120_00
    assert [look(town, timedelta(days=1)) for _ in range(3)] == [1, 0, 0]
    assert town.held == START + 180_00
    assert look(town, timedelta(days=31)) == 1
    automatic.turn_off(town.ctx, town.people[0].account_id, "CNY")
    assert look(town, timedelta(days=2)) == 0
    town.check()


@pytest.mark.parametrize(
    ("mishap", "tries", "why"),
    [(PeopleMishap.CLOSED, 1, "AC04"), (PeopleMishap.POOR, 3, "AM04"), (PeopleMishap.RETURN, 2, "MD06")],
)
def test_an_automatic_top_up_that_is_refused_stops_itself(
    ctx: Context, mishap: PeopleMishap, tries: int, why: str
) -> None:
    town = Town(ctx)
    rule(town, town.add(0, ending(mishap)))

    begun = sum(look(town, timedelta(hours=30)) for _ in range(6))

    with town.ctx.tx() as tx:
        home = town.ctx.directory.partition_of(town.people[0].account_id)
        (found,) = automatic.list_of(tx, town.people[0].account_id, partition=home)
        told = tx.execute(
            "select count(*) from store.outbox where body::text like '%automatic.stopped%'"
        ).fetchone()
    assert (found.state, found.why) == ("stopped", why)
    assert begun <= tries and told == (1,)
    town.check()


def test_many_workers_at_once_begin_one_automatic_top_up(committed_ctx: Context) -> None:
    town = Town(committed_ctx)
    rule(town, town.add(0), add=120_00)
    town.clock.at += timedelta(minutes=1)

    with ThreadPoolExecutor(6) as pool:
        tries = [pool.submit(automatic.turn, town.ctx, town.rail_of) for _ in range(6)]
        begun = [one.result() for one in tries]
    town.later()

    assert sum(begun) == 1 and town.held == START + 120_00


@pytest.mark.parametrize("wrong", [{"below": 0}, {"add": 0}, {"add": 121_00}, {"month": 100_00}])
def test_an_automatic_top_up_that_does_not_fit_is_refused(ctx: Context, wrong: dict[str, int]) -> None:
    town = Town(ctx)
    bank = town.add(0)

    with pytest.raises(InvalidInput):
        rule(town, bank, **wrong)

    with town.ctx.tx() as tx:
        home = town.ctx.directory.partition_of(town.people[0].account_id)
        assert automatic.list_of(tx, town.people[0].account_id, partition=home) == []


# --- vouchers


def batch(town: Town, number: int = 1, *, count: int = 4, expiry: str = "keep") -> tuple[NewBatch, list[str]]:
    new = NewBatch(
        batch_id=fact_id(NOON, "batch", number),
        issuer_id=town.people[0].issuer_id,
        value=Money(20_00, "CNY"),
        count=count,
        expires_at=NOON + timedelta(days=365),
        expiry=expiry,
    )
    return new, vouchers.make(town.ctx, new, by="hangzhou:anna")[1]


def sell(
    town: Town, new: NewBatch, first: int, last: int, step: Callable[[str], None] = payments.no_step
) -> None:
    vouchers.activate(
        town.ctx, new.batch_id, first, last, by="hangzhou:bo", issuer_id=new.issuer_id, step=step
    )


def refusal(do: Callable[[], object]) -> type[HansaError] | None:
    try:
        do()
    except HansaError as error:
        return type(error)
    return None


def refused(do: Callable[[], object]) -> bool:
    return refusal(do) is not None


def test_a_voucher_counts_from_its_sale_and_is_redeemed_once(ctx: Context) -> None:
    town = Town(ctx)
    new, codes = batch(town)
    one, other, foreign = town.people[0], town.people[2], town.people[1]

    with pytest.raises(VoucherRefused):
        vouchers.redeem(town.ctx, one.account_id, codes[0])
    sell(town, new, 1, 3)
    sell(town, new, 1, 3)
    assert sum_of(town.ctx, AccountCode.PREPAID) == 60_00
    with pytest.raises(VoucherRefused):
        vouchers.redeem(town.ctx, foreign.account_id, codes[0])
    redeemed = vouchers.redeem(town.ctx, one.account_id, codes[0].lower())
    assert vouchers.redeem(town.ctx, one.account_id, codes[0]) == redeemed
    for code in (codes[0], codes[3], codes[1][:-1] + "#", "nonsense"):
        with pytest.raises(VoucherRefused):
            vouchers.redeem(town.ctx, other.account_id, code)

    assert (redeemed.way, redeemed.state) == (Way.VOUCHER, TopUpState.SETTLED)
    assert (town.held, held(town.ctx, other)) == (START + 20_00, START)
    assert sum_of(town.ctx, AccountCode.PREPAID) == 40_00
    guesses = [refusal(lambda: vouchers.redeem(town.ctx, other.account_id, "0" * 16)) for _ in range(10)]
    assert TooOften in guesses and set(guesses) <= {VoucherRefused, TooOften}


def test_two_who_redeem_one_voucher_at_once_get_it_once(committed_ctx: Context) -> None:
    town = Town(committed_ctx, people=6)
    new, codes = batch(town, count=3)
    sell(town, new, 1, 3)
    takers: list[Account] = [town.people[0], town.people[2], town.people[4]]

    for code in codes:
        with ThreadPoolExecutor(6) as pool:
            tries = [
                pool.submit(
                    refused, lambda who=who, code=code: vouchers.redeem(town.ctx, who.account_id, code)
                )
                for who in takers * 2
            ]
            won = [one.result() for one in tries].count(False)
        assert 1 <= won <= 2  # whoever has it may ask twice

    assert sum(held(town.ctx, who) for who in takers) == 3 * START + 60_00
    assert sum_of(town.ctx, AccountCode.PREPAID) == 0


@pytest.mark.parametrize("steps", range(1, 8))
def test_a_voucher_survives_a_kill_at_any_step(ctx: Context, steps: int) -> None:
    town = Town(ctx)
    new, codes = batch(town)

    for do in (
        lambda: sell(town, new, 1, 2, killed_after(steps)),
        lambda: vouchers.redeem(town.ctx, town.people[0].account_id, codes[0], step=killed_after(steps)),
    ):
        with suppress(Killed):
            do()
        town.work()
        with suppress(VoucherMoved):
            sell(town, new, 1, 2)
    vouchers.redeem(town.ctx, town.people[0].account_id, codes[0])

    assert town.held == START + 20_00
    assert sum_of(town.ctx, AccountCode.PREPAID) == 20_00


@pytest.mark.parametrize(("expiry", "owed"), [("keep", 40_00), ("earn", 0)])
def test_what_nobody_redeems_in_time_is_whose_the_policy_says(ctx: Context, expiry: str, owed: int) -> None:
    town = Town(ctx)
    new, codes = batch(town, expiry=expiry)
    sell(town, new, 1, 2)

    town.later(timedelta(days=400))
    town.work()

    with pytest.raises(VoucherRefused):
        vouchers.redeem(town.ctx, town.people[0].account_id, codes[0])
    with pytest.raises(VoucherMoved):
        sell(town, new, 3, 3)
    assert sum_of(town.ctx, AccountCode.PREPAID) == owed
    assert sum_of(town.ctx, AccountCode.EARNED) == 40_00 - owed


def test_a_batch_is_printed_once_and_voided_when_the_print_is_lost(ctx: Context) -> None:
    town = Town(ctx)
    new, codes = batch(town)
    sell(town, new, 1, 1)

    with pytest.raises(BatchDiffers):
        batch(town)
    ended = vouchers.void(town.ctx, new.batch_id, issuer_id=new.issuer_id)

    assert ended.states == {"active": 1, "void": 3}
    with pytest.raises(VoucherMoved):
        sell(town, new, 1, 2)
    with town.ctx.tx() as tx:
        kept = tx.execute("select code_hash from wallets.vouchers").fetchall()
    assert all(code.encode() not in bytes(row[0]) for code in codes for row in kept)


def test_a_counter_tops_up_once_with_a_receipt(ctx: Context) -> None:
    town = Town(ctx)
    top_up_id = fact_id(NOON, "counter")

    done, again = (
        vouchers.top_up_at_counter(
            town.ctx,
            top_up_id,
            town.people[0].account_id,
            Money(30_00, "CNY"),
            by="anna",
            at_counter="West station",
        )
        for _ in range(2)
    )

    assert done == again
    assert (done.state, done.words) == (TopUpState.SETTLED, "West station · anna")
    assert town.held == START + 30_00


def test_every_state_of_money_in_and_out_has_its_ways() -> None:
    assert set(TOP_UP_WAYS) == set(TopUpState) and set(WITHDRAWAL_WAYS) == set(WithdrawalState)
    assert {TopUpState.RETURNED, TopUpState.SETTLED, TopUpState.FAILED} == DONE
