"""A day of people's money: they top up, buy, visit, send, ask, split, withdraw; some are refused.

Every id is worked out from who does what, and the clock goes on by the same steps each time: doing it all again after a
crash finds what was done and finishes the rest. Once all is done, a file in the home folder says so, with what a
newcomer is shown: vouchers that nobody used, and a key of a shop's acquirer.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from random import Random
from uuid import UUID

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from hansa import approval, codes, identity, merchants, payments, trust, wallets
from hansa.approval import Channel
from hansa.apps.demo.cast import Cast, account_of, approve, derived_key, sign_in
from hansa.apps.demo.joining import (
    CLERK,
    ShopFacts,
    Tools,
    attraction,
    bank_number,
    money,
    shop_facts,
    shop_of,
    slots_of,
    unit_of,
)
from hansa.apps.demo.league import League
from hansa.apps.demo.people import Rider
from hansa.kernel import FixedClock, HansaError, Money, fact_id
from hansa.merchants import Asker
from hansa.payments import NewPayment
from hansa.store import Context
from hansa.wallets import NewRequest, NewSplit, NewTopUp, NewTransfer, NewWithdrawal, SplitWay, Way

FILE = "people-day.json"
"""In the home folder: that people's day is done, and what a newcomer is shown of it."""

VOUCHERS, SOLD, REDEEMED = 10, 6, 3
ONLINE_MAX = 2_000
KNOWN_FOR = timedelta(days=90)
"""Since when phones and passkeys of buyers are theirs."""

KEY_MEMBER = "hangzhou-card"
KEY_SCOPES = (
    "merchants:read",
    "merchants:write",
    "payments:read",
    "payments:write",
    "webhooks:read",
    "webhooks:write",
)

_BANK_BOOKS_AFTER = timedelta(seconds=10)
_STEP = timedelta(seconds=20)
_WAITS, _GOES_BACK = "Rent, third floor", "Invoice 4471"
"""What payers wrote on two transfers that find no wallet."""


@dataclass(slots=True)
class Kept:
    """What the home's file keeps. vouchers: codes of all that were printed, by serial number."""

    done: bool = False
    batch: int = 0
    vouchers: list[str] = field(default_factory=list[str])
    key: str = ""

    @property
    def for_newcomers(self) -> list[str]:
        """Vouchers that were sold and that nobody used."""
        return self.vouchers[REDEEMED:SOLD]


def read_kept(home: Path) -> Kept:
    """What is kept in this home folder; nothing where the day has not begun."""
    file = home / FILE
    return Kept(**json.loads(file.read_text("ascii"))) if file.is_file() else Kept()


def spend_the_day(
    ctx: Context,
    clock: FixedClock,
    league: League,
    cast: Cast,
    riders: Sequence[Rider],
    *,
    tools: Tools,
    home: Path,
) -> Iterator[int]:
    """Live people's day, act by act; gives how many things were done in each. A day that is done is left alone."""
    kept = read_kept(home)
    if kept.done:
        return
    # What a crash left half done is of this day, at whatever hour; nobody else is at it.
    payments.finish_payments(ctx, older_than=timedelta(days=-1))
    day = _Day(ctx, clock, league, cast, tools, home, kept)
    yield day.money_in()
    yield day.sales()
    yield day.visits()
    yield day.at_a_code()
    yield day.held_and_given_back()
    yield day.approved()
    yield day.refused()
    yield day.between_people()
    yield day.to_the_bank()
    yield day.online(riders)
    day.make_key()
    kept.done = True
    day.keep()


@dataclass(frozen=True, slots=True)
class _Day:
    ctx: Context
    clock: FixedClock
    league: League
    cast: Cast
    tools: Tools
    home: Path
    kept: Kept

    def keep(self) -> None:
        trust.write_private(
            self.home / FILE,
            json.dumps({name: getattr(self.kept, name) for name in ("done", "batch", "vouchers", "key")}),
        )

    # -- helpers

    def _tick(self, by: timedelta = _STEP) -> None:
        self.clock.at += by

    def _asker(self, rider: Rider) -> Asker:
        now = self.clock.at
        return Asker(
            account_id=account_of(rider),
            by=f"person:{rider.account_id}",
            session_at=now,
            credential_at=now - KNOWN_FOR,
        )

    def _owner(self, shop: ShopFacts) -> str:
        return f"person:{self.cast.of(shop.city_id, 0).account_id}"

    def _currency(self, city_id: str) -> str:
        return self.league.currency(city_id)

    def _approve(self, rider: Rider, kind: str, subject_id: UUID) -> None:
        approve(self.ctx, self.cast, rider, kind, subject_id, self.tools.pepper)

    def _hear_the_bank(self) -> None:
        self._tick(_BANK_BOOKS_AFTER)
        while wallets.turn(self.ctx, self.tools.rails):
            pass

    # -- money in

    def money_in(self) -> int:
        """Collected from banks, at once as from a card, by credit transfer, by voucher, at a counter, and by itself."""
        done = 0
        by_itself = self.cast.of("hangzhou", 2)
        for place, rider in enumerate(self.cast.people):
            if rider != by_itself:
                way = Way.INSTANT if place % 8 == 1 else Way.DEBIT
                done += self._collect(rider, money((3, 1), self._currency(rider.home)), way, "morning")
        poor = self.cast.of("hangzhou", 1)
        empty = wallets.bank_accounts.add(
            self.ctx,
            self.tools.bank,
            self.tools.means.sealer,
            account_of(poor),
            f"{bank_number(poor)[:-4]}0001",
            "CNY",
            may_pull=True,
        )
        done += self._collect(poor, money((5, 1), "CNY"), Way.DEBIT, "empty account", empty)
        sender = self.cast.of("hangzhou", 0)
        reference = wallets.bank_accounts.reference_of(self.ctx, account_of(sender), "CNY")
        self.tools.bank.arrive(reference, money((2, 1), "CNY"), entry_id=f"demo {sender.account_id}")
        for what in (_WAITS, _GOES_BACK):
            self.tools.bank.arrive(what, money((3, 1), "CNY"), entry_id=f"demo {what}")
        traveller = self.cast.of("beijing", 2)
        with self.ctx.tx() as tx:
            account = identity.get_account(tx, account_of(traveller))
        payments.open_wallets(self.ctx, [(account, "HKD")])
        wallets.vouchers.top_up_at_counter(
            self.ctx,
            fact_id(None, "hansa.demo.counter", traveller.account_id),
            account_of(traveller),
            money((3, 1), "HKD"),
            by="beijing-card:" + CLERK,
            at_counter="Airport",
        )
        self._automatic(by_itself)
        self._hear_the_bank()
        return done + 4 + self._send_back() + self._vouchers()

    def _send_back(self) -> int:
        """Of two transfers that found no wallet one is returned by the bank; the other waits at the console."""
        entry_id = f"demo {_GOES_BACK}"
        with self.ctx.tx() as tx:
            waits = [one for one in wallets.strays.list_strays(tx) if one.entry_id == entry_id]
        for one in waits:
            wallets.strays.send_back(
                self.ctx,
                one.rail_id,
                one.entry_id,
                expected=one.amount,
                by=CLERK,
                reason="nobody here is meant by it",
            )
        for _ in range(2):  # the bank is told, and has booked it
            self._hear_the_bank()
        return 1

    def _collect(
        self, rider: Rider, amount: Money, way: Way, what: str, bank: wallets.BankAccount | None = None
    ) -> int:
        account_id = account_of(rider)
        if bank is None:
            with self.ctx.tx() as tx:
                bank = next(
                    one
                    for one in wallets.bank_accounts.list_of(tx, account_id)
                    if not one.shown.endswith("0001") and one.ended_at is None
                )
        new = NewTopUp(
            top_up_id=fact_id(None, "hansa.demo.bank", what, account_id),
            account_id=account_id,
            amount=amount,
            bank_account_id=bank.bank_account_id,
            way=way,
        )
        wallets.top_ups.begin(self.ctx, self.tools.bank, new)
        return 1

    def _automatic(self, rider: Rider) -> None:
        account_id = account_of(rider)
        with self.ctx.tx() as tx:
            (bank,) = wallets.bank_accounts.list_of(tx, account_id)
            known = wallets.automatic.list_of(
                tx, account_id, partition=self.ctx.directory.partition_of(account_id)
            )
        if not known:
            wallets.automatic.turn_on(
                self.ctx,
                account_id,
                below=money((4, 1), "CNY"),
                add=money((4, 1), "CNY"),
                day_max=money((4, 1), "CNY"),
                month_max=money((12, 1), "CNY"),
                bank_account_id=bank.bank_account_id,
            )

    def _vouchers(self) -> int:
        """Printed, sold at a counter, some redeemed. Codes are told once: a print that was lost is voided."""
        while not self.kept.vouchers:
            self.kept.batch += 1
            new = wallets.NewBatch(
                batch_id=self._batch_id(),
                issuer_id="beijing-card",
                value=money((1, 2), "CNY"),
                count=VOUCHERS,
                expires_at=self.clock.at + timedelta(days=3 * 365),
                about="A demonstration",
            )
            try:
                _, self.kept.vouchers = wallets.vouchers.make(self.ctx, new, by="beijing-card:" + CLERK)
            except wallets.BatchDiffers:
                wallets.vouchers.void(self.ctx, new.batch_id, issuer_id="beijing-card")
        self.keep()
        with self.ctx.tx() as tx:
            states = wallets.vouchers.list_vouchers(tx, self._batch_id(), first=1, last=SOLD)
        if all(one.state == "made" for one in states):
            wallets.vouchers.activate(
                self.ctx, self._batch_id(), 1, SOLD, by="beijing-card:" + CLERK, issuer_id="beijing-card"
            )
        for place, code in enumerate(self.kept.vouchers[:REDEEMED]):
            wallets.vouchers.redeem(self.ctx, account_of(self.cast.of("beijing", place)), code)
        return SOLD + REDEEMED

    def _batch_id(self) -> UUID:
        return fact_id(None, "hansa.demo.vouchers", self.cast.seed, self.kept.batch)

    # -- shops

    def sales(self) -> int:
        """Each shop is paid by orders, by the code on its counter, and by people of other cities."""
        done = 0
        for shop in shop_facts()[:-1]:
            people = self.cast.cities[shop.city_id]
            guests = _guests(self.cast, shop.city_id)
            dice = Random(f"hansa/{self.cast.seed}/shop/{shop.city_id}")
            for buyer in (*people[1:], *guests):
                if buyer.account_id == self.cast.of("hangzhou", 3).account_id:
                    continue  # has frozen all spending
                done += self._buy(
                    shop, buyer, money((dice.randint(8, 45), 100), self._currency(shop.city_id)), "1"
                )
                amount = money((dice.randint(5, 30), 100), self._currency(shop.city_id))
                self._tick()
                form_id = fact_id(None, "hansa.demo.counter sale", shop.merchant_id, buyer.account_id)
                merchants.pay_shop(
                    self.ctx,
                    form_id,
                    shop.merchant_id,
                    self._asker(buyer),
                    amount_minor=amount.minor,
                    tip_minor=amount.minor // 10,
                )
                done += 1
        return done

    def _buy(self, shop: ShopFacts, buyer: Rider, amount: Money, what: str, *, approves: bool = False) -> int:
        """A shop asks to be paid, and somebody pays its order."""
        self._tick()
        order_id = _order_id(shop, buyer, what)
        with self.ctx.tx() as tx:
            merchants.make_order(
                tx,
                order_id,
                shop.merchant_id,
                amount=amount,
                made_by=self._owner(shop),
                at=self.clock.at,
                bill_number=f"{buyer.number}-{what}",
            )
        self._pay(order_id, buyer, approves=approves)
        return 1

    def _pay(self, order_id: UUID, buyer: Rider, *, approves: bool = False) -> None:
        try:
            bought = merchants.pay_order(self.ctx, order_id, self._asker(buyer))
        except merchants.OrderPaid:
            return
        if approves:
            self._approve(buyer, payments.SUBJECT, bought.payment.spend_id)
            merchants.sync_sale(self.ctx, bought.payment.payment_id)

    def visits(self) -> int:
        """Tickets for a time in the afternoon: bought, and one given back by the rule."""
        place = attraction()
        with self.ctx.tx() as tx:
            slots = merchants.add_slots(
                tx, place.product_id, slots_of(self.ctx, self.clock.at.date() + timedelta(days=1))
            )
        done = 0
        visitors = [*self.cast.cities["hangzhou"][:3], *self.cast.cities["beijing"][:2]]
        for number, rider in enumerate(visitors):
            self._tick()
            order_id = fact_id(None, "hansa.demo.visit", rider.account_id)
            merchants.order_tickets(
                self.ctx,
                order_id,
                slots[1 + number % 3].slot_id,
                account_id=account_of(rider),
                wanted={"adult": 1, "child": number % 2} if number % 2 else {"adult": 1},
                made_by=f"person:{rider.account_id}",
            )
            self._pay(order_id, rider, approves=True)
            done += 1
        with self.ctx.tx() as tx:
            tickets = merchants.tickets_of_order(
                tx, fact_id(None, "hansa.demo.visit", visitors[-1].account_id)
            )
        merchants.return_ticket(self.ctx, tickets[0].ticket_id, account_of(visitors[-1]))
        return done + 1

    def at_a_code(self) -> int:
        """A phone without network shows a code of its own, and the shop takes it."""
        self._tick()
        shop, payer = shop_of("beijing"), self.cast.of("beijing", 4)
        form_id = fact_id(None, "hansa.demo.code", payer.account_id)
        key = derived_key(self.cast.seed, "phone", payer.account_id)
        point = key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        account_id, now = account_of(payer), self.clock.at
        secret, _ = sign_in(self.ctx, account_id)
        policy = identity.own_phone_policy()
        with self.ctx.tx() as tx:
            nonce, _ = identity.give_nonce(tx, account_id, secret, at=now, policy=policy)
            identity.enrol_phone(
                tx, account_id, identity.Proof(point, nonce), name="Old phone", at=now, policy=policy
            )
            issuer = next(one for one in trust.current_trust_list(tx).keys if one.issuer_id == "beijing-card")
        token = codes.make_token(
            trust.KeyFolder(self.home / "keys").issuer("beijing-card"),
            kid=issuer.kid,
            cti=fact_id(None, "hansa.demo.pay token", self.cast.seed, account_id).bytes[8:],
            expires_at=now + timedelta(hours=20),
            device_key=key.public_key(),
            scope=codes.Scope(payer.rider_class, issuer.products, (), 20),
        )
        text = codes.make_payer_code(key, token, made_at=now, counter=1)
        merchants.pay_by_code(
            self.ctx,
            form_id,
            shop.merchant_id,
            text,
            amount_minor=money((1, 5), "CNY").minor,
            made_by=self._owner(shop),
        )
        return 1

    def held_and_given_back(self) -> int:
        """Money is held and captured in part, held and let go; sales are given back, whole and in part."""
        shop, payer = shop_of("beijing"), self.cast.of("beijing", 1)
        amount, by = money((9, 10), "CNY"), "beijing-card"
        done = 0
        for what in ("captured", "let go"):
            self._tick()
            payment_id = self._ask_online(shop, payer, amount, f"held {what}", capture="manual")
            try:
                if what == "captured":
                    payments.capture(
                        self.ctx,
                        payment_id,
                        capture_id=fact_id(None, "hansa.demo.capture", payment_id),
                        by=by,
                        minor=amount.minor * 2 // 3,
                    )
                else:
                    payments.void(self.ctx, payment_id, by=by, words="Out of print")
            except payments.StateForbids:
                pass  # it was captured before a crash
            done += 2
        for one in shop_facts()[:-1]:
            buyers = self.cast.cities[one.city_id][1:]
            if not buyers:
                continue
            self._tick()
            with self.ctx.tx() as tx:
                order = merchants.get_order(tx, _order_id(one, buyers[0], "1"))
            assert order.payment_id is not None, "it was paid"
            with self.ctx.tx() as tx:
                sale = merchants.get_sale(self.ctx, tx, order.payment_id)
            back = Money(max(1, sale.total.minor // (1 if one.city_id == "london" else 2)), sale.currency)
            merchants.refund(
                self.ctx,
                fact_id(None, "hansa.demo.refund", order.payment_id),
                order.payment_id,
                amount=back,
                reason="Not as described",
                by=self._owner(one),
            )
            done += 1
        return done

    def _ask_online(self, shop: ShopFacts, payer: Rider, amount: Money, what: str, **more: object) -> UUID:
        """An online shop asks this payer, who is signed in; gives the payment."""
        with self.ctx.tx() as tx:
            payee_id = merchants.get_merchant(tx, shop.merchant_id).payee_id
        now = self.clock.at
        payment_id = fact_id(None, "hansa.demo.online", what, shop.merchant_id, payer.account_id)
        new = NewPayment(
            payment_id=payment_id,
            payee_id=payee_id,
            amount=amount,
            by=self.league.facts.role(shop.city_id).issuer_id,
            payer=account_of(payer),
            reference=f"order {payer.number}",
            description=shop.name,
            **{"session_at": now, "credential_at": now - KNOWN_FOR, **more},  # pyright: ignore[reportArgumentType]
        )
        (answer,) = payments.create(self.ctx, [new])
        if isinstance(answer, HansaError):
            raise answer
        return payment_id

    def approved(self) -> int:
        """By PIN above small amounts; by a child under its parent's word; by a mandate that a passkey signed."""
        done = 0
        for shop in shop_facts()[:-1]:
            people = self.cast.cities[shop.city_id]
            if len(people) > 1:
                done += self._buy(
                    shop, people[1], money((3, 2), self._currency(shop.city_id)), "2", approves=True
                )
        self._tick()
        owner, child = self.cast.of("beijing", 1), self.cast.of("beijing", 4)
        self._ask_online(shop_of("beijing"), owner, money((1, 4), "CNY"), "child", spender=account_of(child))
        tea, payer = shop_of("hangzhou"), self.cast.keeper_of_passkey
        with self.ctx.tx() as tx:
            shop = merchants.get_merchant(tx, tea.merchant_id)
        mandate_id = fact_id(None, "hansa.demo.mandate", payer.account_id)
        self._tick()
        approval.ask_mandate(
            self.ctx,
            approval.NewMandate(
                mandate_id=mandate_id,
                account_id=account_of(payer),
                payee_key=payments.payee_key(shop.payee_id),
                payee_name=shop.shown_name,
                member_id=shop.member_id,
                currency="CNY",
                each_minor=unit_of("CNY"),
                period="month",
                period_minor=2 * unit_of("CNY"),
                ends_at=self.clock.at + timedelta(days=365),
                reference="Tea of the month",
            ),
        )
        self._approve(payer, "mandate", mandate_id)
        self._tick()
        self._ask_online(
            tea,
            payer,
            money((4, 5), "CNY"),
            "mandate",
            method="mandate",
            mandate_id=mandate_id,
            session_at=None,
            credential_at=None,
        )
        return done + 3

    def refused(self) -> int:
        """One has frozen all spending, one has lowered a limit, one holds too little: each is told why."""
        done = 0
        for what, (city_id, place), amount in (
            ("frozen", ("hangzhou", 3), money((1, 5), "CNY")),
            ("over a limit", ("beijing", 3), money((4, 5), "CNY")),
        ):
            self._tick()
            self._ask_online(shop_of("beijing"), self.cast.of(city_id, place), amount, what)
            done += 1
        return done

    # -- between people

    def between_people(self) -> int:
        """Sent within a city and to another, by a link, on request; a dinner is split, and one part waits."""
        cast = self.cast
        done = 0
        pairs = [
            (cast.of("beijing", 2), cast.of("hangzhou", 1)),
            (cast.of("hangzhou", 1), cast.of("beijing", 0)),
        ]
        pairs += [(people[1], people[2]) for people in cast.cities.values() if len(people) > 2]
        for sender, receiver in pairs:
            self._send(sender, receiver, money((3, 10), self._currency(sender.home)), "For the tickets")
            done += 1
        giver, finder = cast.of("beijing", 0), cast.of("hangzhou", 0)
        link = self._send(giver, None, money((1, 5), "CNY"), "Happy birthday")
        if link.state is wallets.State.HELD:
            secret = wallets.transfers.renew_link(self.ctx, account_of(giver), link.transfer_id)
            wallets.transfers.claim(self.ctx, account_of(finder), secret)
        for what, asker, payer in (
            ("taxi", cast.of("hangzhou", 1), cast.of("beijing", 0)),
            ("museum", cast.of("beijing", 1), cast.of("beijing", 0)),
        ):
            self._tick()
            request_id = fact_id(None, "hansa.demo.request", what, asker.account_id)
            wallets.requests.ask(
                self.ctx,
                NewRequest(
                    request_id=request_id,
                    asker_id=account_of(asker),
                    payer_id=account_of(payer),
                    amount=money((1, 4), "CNY"),
                    note=f"Your part of the {what}",
                ),
            )
            if what == "taxi":
                self._pay_request(payer, request_id)
            done += 1
        owner = cast.of("beijing", 2)
        among = (owner, cast.of("beijing", 0), cast.of("beijing", 1), cast.of("hangzhou", 1))
        self._tick()
        split = wallets.requests.split(
            self.ctx,
            NewSplit(
                split_id=fact_id(None, "hansa.demo.split", owner.account_id),
                owner_id=account_of(owner),
                title="Dinner by the lake",
                total=money((2, 1), "CNY"),
                way=SplitWay.EQUAL,
                among=tuple((account_of(one), 1) for one in among),
            ),
        )
        for share in split.shares:
            rider = next(one for one in among if one.account_id == share.account_id)
            if share.request_id is not None and rider.home == "beijing":
                self._pay_request(rider, share.request_id)
                done += 1
        return done + 2

    def _send(self, sender: Rider, receiver: Rider | None, amount: Money, note: str) -> wallets.Transfer:
        self._tick()
        told = "link" if receiver is None else str(receiver.account_id)
        new = NewTransfer(
            transfer_id=fact_id(None, "hansa.demo.send", sender.account_id, told),
            sender_id=account_of(sender),
            receiver_id=None if receiver is None else account_of(receiver),
            amount=amount,
            note=note,
            session_at=self.clock.at,
        )
        wallets.transfers.send(self.ctx, new)
        self._approve(sender, "transfer", new.transfer_id)
        return wallets.transfers.advance(self.ctx, new.transfer_id)

    def _pay_request(self, payer: Rider, request_id: UUID) -> None:
        self._tick()
        transfer = wallets.requests.pay(self.ctx, account_of(payer), request_id, session_at=self.clock.at)
        self._approve(payer, "transfer", transfer.transfer_id)

    def to_the_bank(self) -> int:
        """Somebody takes money out, with a passkey that signs it."""
        self._tick()
        rider = self.cast.keeper_of_passkey
        account_id = account_of(rider)
        with self.ctx.tx() as tx:
            (bank,) = wallets.bank_accounts.list_of(tx, account_id)
        withdrawal_id = fact_id(None, "hansa.demo.withdrawal", account_id)
        new = NewWithdrawal(
            withdrawal_id=withdrawal_id,
            account_id=account_id,
            amount=money((1, 1), "CNY"),
            bank_account_id=bank.bank_account_id,
        )
        wallets.withdrawals.begin(self.ctx, self.tools.bank, new, session_at=self.clock.at)
        self._approve(rider, "withdrawal", withdrawal_id)
        self._hear_the_bank()  # it is sent to the bank
        self._hear_the_bank()  # and the bank has booked it
        return 1

    def online(self, riders: Sequence[Rider]) -> int:
        """Some of all riders pay a shop of their city online, many at a time."""
        shops = {shop.city_id: shop for shop in shop_facts()[:-1]}
        with self.ctx.tx() as tx:
            payees = {
                city_id: merchants.get_merchant(tx, shop.merchant_id).payee_id
                for city_id, shop in shops.items()
                if self.cast.cities[city_id]
            }
        self._tick()
        cast = {one.account_id for one in self.cast.people}
        now = self.clock.at
        new: list[NewPayment] = []
        for rider in riders[:: max(1, len(riders) // ONLINE_MAX, 10)]:
            if rider.account_id in cast or rider.home not in payees:
                continue
            dice = Random(f"hansa/{self.cast.seed}/online/{rider.number}")
            new.append(
                NewPayment(
                    payment_id=fact_id(None, "hansa.demo.online", "many", rider.account_id),
                    payee_id=payees[rider.home],
                    amount=money((dice.randint(3, 20), 100), self._currency(rider.home)),
                    by=self.league.facts.role(rider.home).issuer_id,
                    payer=account_of(rider),
                    channel=Channel.ONLINE,
                    reference=f"order {rider.number}",
                    description=shops[rider.home].name,
                    session_at=now,
                    credential_at=now - KNOWN_FOR,
                )
            )
        for start in range(0, len(new), 500):
            payments.create(self.ctx, new[start : start + 500])
        return len(new)

    def make_key(self) -> None:
        """A key for whoever tries the interface: of the acquirer of two shops, for tests alone."""
        with self.ctx.tx() as tx:
            self.kept.key = trust.create_api_key(tx, KEY_MEMBER, KEY_SCOPES, at=self.clock.at, test=True)


def _guests(cast: Cast, city_id: str) -> list[Rider]:
    """Who comes from another city and has this one's money."""
    if city_id == "hangzhou":
        return list(cast.cities["beijing"][1:3])
    if city_id == "beijing":
        return list(cast.cities["hangzhou"][1:3])
    return [cast.of("beijing", 2)] if city_id == "hong-kong" else []


def _order_id(shop: ShopFacts, buyer: Rider, what: str) -> UUID:
    return fact_id(None, "hansa.demo.order", shop.merchant_id, buyer.account_id, what)
