"""Shops of the little league: one in Hangzhou that is open, with its owner, and phones that pay there."""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from uuid import UUID

from hansa import identity, merchants, payments, trust
from hansa.identity import AccountId
from hansa.kernel import Money, fact_id
from hansa.merchants import Asker, Merchant, Product, QrOrder
from hansa.store import Context
from web import little_league
from web.little_league import LittleLeague

SHOP = UUID("0198c0de-0000-7000-8000-000000000001")
BIG = Money(100_00, "CNY")
"""What each rider of Hangzhou holds."""


@dataclass(frozen=True)
class Town:
    """A little league with a tea shop in it."""

    ctx: Context
    league: LittleLeague
    shop: Merchant

    @property
    def owner(self) -> identity.Account:
        return self.league.riders["Gao Lan"]

    @property
    def buyer(self) -> identity.Account:
        return self.league.riders["Qian Qing"]

    def asker(self, name: str = "Qian Qing") -> Asker:
        """A rider who has just signed in."""
        account = self.league.riders[name]
        now = self.ctx.clock.now()
        return Asker(
            account_id=account.account_id,
            by=f"person:{account.account_id}",
            session_at=now,
            credential_at=now - timedelta(days=90),
        )

    def balance(self, account_id: AccountId) -> Money:
        with self.ctx.tx() as tx:
            (held,) = payments.balance_of(tx, account_id)
        return held

    def order(self, number: int = 1, minor: int = 5_00, **more: object) -> QrOrder:
        with self.ctx.tx() as tx:
            return merchants.make_order(
                tx,
                fact_id(None, "test order", number),
                self.shop.merchant_id,
                amount=Money(minor, "CNY"),
                made_by="person:test",
                at=self.ctx.clock.now(),
                **more,  # pyright: ignore[reportArgumentType]
            )

    def read_order(self, order: QrOrder) -> QrOrder:
        with self.ctx.tx() as tx:
            return merchants.get_order(tx, order.order_id)


def build(ctx: Context, home: Path) -> Town:
    """The league, the shop open, its payee known."""
    league = little_league.build(ctx, trust.KeyFolder(home / "keys"))
    now = ctx.clock.now()
    with ctx.tx() as tx:
        merchants.apply(
            tx,
            SHOP,
            account_id=league.riders["Gao Lan"].account_id,
            member_id="hangzhou-card",
            name="West Lake Tea",
            local_name="西湖茶庄",
            category="5441",
            address="1 Nanshan Road",
            at=now,
        )
    shop = merchants.decide(ctx, SHOP, yes=True, by="hangzhou-card:test", at=now, fee_bp=60)
    return Town(ctx, league, shop)


def pagoda(
    town: Town, *, capacity: int = 10, entries: int = 1, refund_before_s: int | None = 3600
) -> Product:
    """Something to enter, with two times today."""
    now = town.ctx.clock.now()
    with town.ctx.tx() as tx:
        product = merchants.add_product(
            tx,
            fact_id(None, "test product", capacity, entries),
            town.shop.merchant_id,
            name="Pagoda",
            prices={"adult": 4_00, "child": 2_00},
            at=now,
            entries=entries,
            refund_before_s=refund_before_s,
        )
        merchants.add_slots(
            tx,
            product.product_id,
            [
                (now + timedelta(hours=2), now + timedelta(hours=4), capacity),
                (now + timedelta(hours=4), now + timedelta(hours=6), capacity),
            ],
        )
    return product
