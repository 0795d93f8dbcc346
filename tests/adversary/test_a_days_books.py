"""A day of two hundred people who do everything with their money, while processes die: the books say what was done.

Seeded; it goes through the rooms' public doors. A process dies at steps that the dice choose, and what it left is
ended by the next turn of the worker.
"""

import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import pairwise
from uuid import UUID

import pytest

from hansa import approval, clearing, identity, ledger, payments, wallets
from hansa.apps.bank.people_bank import PeopleBank
from hansa.kernel import FixedClock, HansaError, Money, fact_id
from hansa.ledger import AccountCode
from hansa.payments import PaymentState
from hansa.store import Context, Tx
from hansa.wallets import bank_accounts, hearing, requests, top_ups, transfers, vouchers, withdrawals
from identity.levels import prove_names
from identity.sealed import Keys
from payments.shopping import POLICY
from scratch import NOON
from wallets.people import ISSUERS, Killed, killed_after, open_people, spread, sum_of

PEOPLE, DEEDS = 200, 200


@dataclass
class Day:
    """The people, their bank, and what they did."""

    ctx: Context
    clock: FixedClock
    people: list[identity.Account]
    bank: PeopleBank
    dice: random.Random
    codes: list[str]
    accounts: dict[UUID, UUID]
    links: list[tuple[UUID, identity.AccountId]] = field(
        default_factory=list[tuple[UUID, identity.AccountId]]
    )
    asked: list[wallets.Request] = field(default_factory=list[wallets.Request])
    paid: list[UUID] = field(default_factory=list[UUID])
    n: int = 0

    def new_id(self) -> UUID:
        self.n += 1
        return fact_id(NOON, "deed", self.n)

    def somebody(self) -> identity.Account:
        return self.dice.choice(self.people)

    def amount(self) -> Money:
        return Money(self.dice.choice((1, 99, 3_33, 20_00, 120_00)), "CNY")

    def step(self) -> Callable[[str], None]:
        return killed_after(self.dice.choice((0, 0, 1, 2, 3, 4)))

    # -- deeds

    def send(self) -> None:
        sender, receiver = self.dice.sample(self.people, 2)
        transfers.send(self.ctx, self.transfer(sender, receiver.account_id), step=self.step())

    def link(self) -> None:
        sender = self.somebody()
        new = self.transfer(sender, None)
        self.links.append((new.transfer_id, sender.account_id))
        transfers.send(self.ctx, new, step=self.step())

    def claim(self) -> None:
        transfer_id, sender_id = self.dice.choice(self.links)
        if self.dice.random() < 0.3:
            transfers.cancel(self.ctx, sender_id, transfer_id, step=self.step())
            return
        secret = transfers.renew_link(self.ctx, sender_id, transfer_id)
        transfers.claim(self.ctx, self.somebody().account_id, secret, step=self.step())

    def transfer(self, sender: identity.Account, receiver: identity.AccountId | None) -> wallets.NewTransfer:
        return wallets.NewTransfer(
            transfer_id=self.new_id(), sender_id=sender.account_id, receiver_id=receiver, amount=self.amount(),
            session_at=self.clock.now(),
        )  # fmt: skip

    def ask(self) -> None:
        asker, payer, third = self.dice.sample(self.people, 3)
        self.asked.append(
            requests.ask(
                self.ctx,
                wallets.NewRequest(
                    request_id=self.new_id(), asker_id=asker.account_id, payer_id=payer.account_id,
                    amount=self.amount(), note="",
                ),
            )
        )  # fmt: skip
        requests.split(
            self.ctx,
            wallets.NewSplit(
                split_id=self.new_id(), owner_id=asker.account_id, title="Tea", total=Money(10_01, "CNY"),
                way=wallets.SplitWay.EQUAL, among=tuple((one.account_id, 1) for one in (asker, payer, third)),
            ),
        )  # fmt: skip
        with self.ctx.tx() as tx:
            self.asked += requests.list_requests(tx, third.account_id, side="received", only_open=True)

    def pay_request(self) -> None:
        one = self.dice.choice(self.asked)
        requests.pay(
            self.ctx, identity.AccountId(one.payer_id), one.request_id, session_at=self.clock.now(),
            step=self.step(),
        )  # fmt: skip

    def buy(self) -> None:
        new = payments.NewPayment(
            payment_id=self.new_id(), payee_id=self.dice.choice(("tea", "books")), amount=self.amount(), by="shop",
            payer=self.somebody().account_id, capture=self.dice.choice(("automatic", "manual")),
            session_at=self.clock.now(),
        )  # fmt: skip
        self.paid.append(new.payment_id)
        payments.create(self.ctx, [new], watch=self.step())

    def afterwards(self) -> None:
        payment_id, step = self.dice.choice(self.paid), self.step()
        match self.dice.randrange(4):
            case 0:
                payments.void(self.ctx, payment_id, by="shop", watch=step)
            case 1:
                part = self.dice.choice((None, 1, 50))
                final = self.dice.random() < 0.5
                payments.capture(
                    self.ctx,
                    payment_id,
                    capture_id=self.new_id(),
                    by="shop",
                    minor=part,
                    final=final,
                    watch=step,
                )
            case _:
                part = self.dice.choice((None, 1, 40))
                payments.refund(
                    self.ctx, payment_id, refund_id=self.new_id(), by="shop", minor=part, watch=step
                )

    def bank_in(self) -> None:
        account_id = self.dice.choice(list(self.accounts))
        top_ups.begin(
            self.ctx, self.bank,
            wallets.NewTopUp(
                top_up_id=self.new_id(), account_id=identity.AccountId(account_id), amount=self.amount(),
                bank_account_id=self.accounts[account_id],
            ),
            step=self.step(),
        )  # fmt: skip

    def bank_out(self) -> None:
        account_id = self.dice.choice(list(self.accounts))
        withdrawals.begin(
            self.ctx, self.bank,
            wallets.NewWithdrawal(
                withdrawal_id=self.new_id(), account_id=identity.AccountId(account_id), amount=self.amount(),
                bank_account_id=self.accounts[account_id],
            ),
            session_at=self.clock.now(), step=self.step(),
        )  # fmt: skip

    def redeem(self) -> None:
        vouchers.redeem(self.ctx, self.somebody().account_id, self.dice.choice(self.codes), step=self.step())

    def work(self, by: timedelta) -> None:
        """Time passes, and the worker has its turn."""
        self.clock.at += by
        hearing.hear(self.ctx, self.bank)
        rail_of = {self.bank.rail_id: self.bank}.get
        top_ups.finish(self.ctx, rail_of)
        withdrawals.finish(self.ctx, rail_of)
        vouchers.finish(self.ctx)
        transfers.finish(self.ctx)
        requests.expire(self.ctx)
        payments.turn(self.ctx)


@pytest.fixture
def day(ctx: Context) -> Day:
    clock = FixedClock(NOON)
    ctx = spread(replace(ctx, clock=clock))
    people = open_people(ctx, PEOPLE)
    with ctx.tx() as tx:
        for issuer in ISSUERS:
            approval.set_policy(tx, issuer, POLICY, by="test", at=NOON - timedelta(days=1))
    clearing.open_positions(
        ctx, [(one, other, "CNY") for one in ISSUERS for other in ISSUERS if one != other]
    )
    payments.open_payees(
        ctx,
        [
            payments.Payee(
                payee_id=name, member_id=issuer, name=name.title(), currency="CNY", category="5812"
            )
            for name, issuer in zip(("tea", "books"), ISSUERS, strict=True)
        ],
    )
    bank = PeopleBank(clock=clock)
    sealer = Keys().sealer()
    prove_names(ctx, sealer, people[:8])
    accounts: dict[UUID, UUID] = {}
    for number, one in enumerate(people[:8]):
        added = bank_accounts.add(
            ctx, bank, sealer, one.account_id, f"62220{number}4242", "CNY", may_pull=True
        )
        accounts[one.account_id] = added.bank_account_id
    codes: list[str] = []
    for issuer in ISSUERS:
        batch_id = fact_id(NOON, "batch", issuer)
        new = wallets.NewBatch(
            batch_id=batch_id, issuer_id=issuer, value=Money(7_00, "CNY"), count=12,
            expires_at=NOON + timedelta(days=40),
        )  # fmt: skip
        codes += vouchers.make(ctx, new, by="x")[1]
        vouchers.activate(ctx, batch_id, 1, 10, by="x", issuer_id=issuer)
    clock.at += timedelta(days=1)
    return Day(ctx, clock, people, bank, random.Random(7), codes, accounts)


def test_the_books_of_a_busy_day_say_what_was_done(day: Day) -> None:
    deeds = [
        day.send, day.send, day.link, day.claim, day.ask, day.pay_request, day.pay_request, day.buy, day.buy, day.buy,
        day.afterwards, day.afterwards, day.bank_in, day.bank_out, day.redeem,
    ]  # fmt: skip
    done, killed = 0, 0
    for deed in (day.link, day.ask, day.buy):
        with suppress(Killed):
            deed()
    for number in range(DEEDS):
        try:
            day.dice.choice(deeds)()
            done += 1
        except Killed:
            killed += 1
        except HansaError as refused:
            if refused.status >= 500:
                raise
        if number % 50 == 49:
            day.work(timedelta(minutes=2))
    day.work(timedelta(minutes=2))
    assert done > DEEDS / 3 and killed > DEEDS / 10, (done, killed)

    check(day)
    for by in (
        timedelta(hours=2),
        timedelta(days=8),
        timedelta(minutes=2),
        timedelta(days=30),
        timedelta(hours=1),
    ):
        day.work(by)
    check(day)
    check_statements(day)
    assert unexplained(day) == {}
    find_what_nobody_asked_for(day)
    with day.ctx.tx() as tx:
        assert not any(payments.holds_of(tx, one.account_id) for one in day.people)
        assert all(one.debits_pending == 0 for one in balances(day).values())


def balances(day: Day) -> dict[UUID, ledger.Balance]:
    """All wallets' balances, by account."""
    with day.ctx.tx() as tx:
        ids = {payments.wallet_id(one.account_id, "CNY"): one.account_id for one in day.people}
        found = ledger.balances(tx, list(ids))
    return {ids[wallet]: balance for wallet, balance in found.items()}


def check(day: Day) -> None:
    """Even and proved; nothing in transit; vouchers, holds, shops and issuers agree to the cent."""
    ctx, kept = day.ctx, balances(day)
    with ctx.tx() as tx:
        assert ledger.trial_balance(tx).is_even
        assert ledger.verify(tx) == []
        found = payments.list_payments(tx, limit=10_000)
        holds = sum(one.amount.minor for who in day.people for one in payments.holds_of(tx, who.account_id))
        waiting = tx.execute(
            "select (select coalesce(sum(amount_minor), 0) from wallets.transfers where state = 'held'),"
            " (select coalesce(sum(amount_minor), 0) from wallets.withdrawals"
            "   where state in ('held', 'sent', 'unknown')),"
            " (select count(*) from wallets.vouchers where state = 'active'"
            "   or (state = 'expired' and activated_at is not null))"
        ).fetchone()
    assert waiting is not None
    links, out, unredeemed = waiting
    assert sum_of(ctx, AccountCode.TRANSIT) == 0
    assert sum_of(ctx, AccountCode.PREPAID) == unredeemed * 7_00
    assert sum_of(ctx, AccountCode.POSITION) == sum_of(ctx, AccountCode.RECEIVABLE, credit=False)
    captured = sum(one.captured_minor - one.refunded_minor for one in found)
    assert sum_of(ctx, AccountCode.MERCHANT) == captured
    assert holds == sum(one.held_minor for one in found)
    assert sum(one.debits_pending for one in kept.values()) == holds + links + out
    assert all(one.credit_minor >= one.debits_pending >= 0 for one in kept.values())
    assert not [one for one in found if one.state is PaymentState.PROCESSING]


def check_statements(day: Day) -> None:
    """Each person's lines come to what the wallet holds, and each says what it held then."""
    ctx, kept = day.ctx, balances(day)
    with ctx.tx() as tx:
        for one in day.people:
            partition = ctx.directory.partition_of(one.account_id)
            lines = payments.movements(tx, one.account_id, 1_000, partition=partition)
            has = kept[one.account_id].credit_minor
            assert sum(line.amount.minor for line in lines) == has == lines[0].balance.minor
            for newer, older in pairwise(lines):
                assert newer.balance.minor - newer.amount.minor == older.balance.minor, (newer, older)


# What each ground of a movement came to, once all is over, by kind of account: what its record says.
SAID = """
with said (ground, account, minor) as (
    select t.transfer_id, a.account, a.minor from wallets.transfers t,
        lateral (values ('position', t.amount_minor), ('receivable', -t.amount_minor)) as a (account, minor)
    where t.state = 'settled' and t.receiver_issuer_id <> t.sender_issuer_id
    union all
    select p.payment_id, a.account, a.minor * (s.captured_minor - s.refunded_minor)
    from payments.payments p
    join lateral (
        select * from payments.steps s where (s.partition, s.payment_id) = (p.partition, p.payment_id)
        order by n desc limit 1
    ) s on true
    left join lateral (
        select issuer_id from payments.payers c where (c.partition, c.payment_id) = (p.partition, p.payment_id)
        order by attempt desc limit 1
    ) c on true
    cross join lateral (select (coalesce(c.issuer_id, p.issuer_id) <> p.acquirer_id)::int as apart) m
    cross join lateral (values
        ('wallet', -1), ('merchant', 1), ('position', m.apart), ('receivable', -m.apart)
    ) as a (account, minor)
    union all
    select withdrawal_id, a.account, a.minor from wallets.withdrawals,
        lateral (values ('wallet', -amount_minor), ('cash', amount_minor)) as a (account, minor)
    where state = 'settled'
    union all
    select top_up_id, a.account, a.minor from wallets.top_ups,
        lateral (values ('wallet', amount_minor), ('cash', -amount_minor)) as a (account, minor)
    where state = 'settled' and way <> 'voucher'
    union all
    select v.voucher_id, a.account, a.minor from wallets.vouchers v join wallets.voucher_batches b using (batch_id),
        lateral (values
            (case v.state when 'redeemed' then 'wallet' when 'expired' then 'earned' else 'prepaid' end, b.value_minor),
            ('cash', -b.value_minor)
        ) as a (account, minor)
    where v.activated_at is not null
),
booked (ground, account, minor) as (
    select coalesce(t.reference, h.reference, t.pending_id, t.transfer_id), side.account_id, side.minor
    from ledger.transfers t
    left join ledger.transfers h on h.partition = t.partition and h.transfer_id = t.pending_id,
        lateral (values (t.debit_account, -t.amount), (t.credit_account, t.amount)) as side (account_id, minor)
    where t.flags & %(pending)s = 0
),
come (ground, account, minor) as (
    select b.ground, k.name, sum(b.minor)
    from booked b join ledger.accounts a on a.account_id = b.account
    join unnest(%(codes)s::int[], %(names)s::text[]) as k (code, name) on k.code = a.code
    group by 1, 2
)
select coalesce(c.ground, s.ground), coalesce(c.account, s.account), coalesce(c.minor, 0), coalesce(s.minor, 0)
from come c
full join (select ground, account, sum(minor) as minor from said group by 1, 2) s using (ground, account)
where coalesce(c.minor, 0) <> coalesce(s.minor, 0) and coalesce(c.ground, s.ground) <> all(%(before)s)
"""


def unexplained(day: Day) -> dict[UUID, dict[str, tuple[int, int]]]:
    """What is in the books and in no record, or the other way round: by ground and kind of account, booked and said."""
    found: dict[UUID, dict[str, tuple[int, int]]] = {}
    values = {
        "pending": int(ledger.TransferFlag.PENDING | ledger.TransferFlag.VOID_PENDING),
        "before": [fact_id(NOON, "first", one.account_id) for one in day.people],
        "codes": [code.value for code in AccountCode],
        "names": [code.name.lower() for code in AccountCode],
    }
    with day.ctx.tx() as tx:
        for ground, account, booked, said in tx.execute(SAID, values):
            found.setdefault(ground, {})[account] = (int(booked), int(said))
    return found


def find_what_nobody_asked_for(day: Day) -> None:
    """Money moved by hand is found by its ground, though the books are even and prove themselves."""
    one = day.people[0]
    partition = day.ctx.directory.partition_of(one.account_id)
    with day.ctx.tx() as tx:
        known = transfers_of(tx)
    for reference in (None, known):
        moved = ledger.Transfer(
            transfer_id=ledger.TransferId(fact_id(NOON, "by hand", reference)),
            debit=payments.cash_account(one.issuer_id, "CNY", partition),
            credit=payments.wallet_id(one.account_id, "CNY"),
            amount=5_00,
            currency="CNY",
            code=ledger.TransferCode.TOP_UP,
            event_at=NOON,
            partition=partition,
            reference=reference,
        )
        assert ledger.post(day.ctx, [moved])[0].code is ledger.ResultCode.CREATED
        with day.ctx.tx() as tx:
            assert ledger.trial_balance(tx).is_even and ledger.verify(tx) == []
        found = unexplained(day).get(reference or moved.transfer_id, {})
        assert {name: booked - said for name, (booked, said) in found.items()} == {
            "wallet": 5_00,
            "cash": -5_00,
        }


def transfers_of(tx: Tx) -> UUID:
    """The id of a transfer between people that arrived."""
    row = tx.execute("select transfer_id from wallets.transfers where state = 'settled' limit 1").fetchone()
    assert row is not None
    return row[0]
