"""A shop's day: what was sold, given back and kept by the acquirer, and what is paid out when. Pure but for one door.

A fee is a share of what a sale came to, rounded half to even at the minor unit; a refund gives its part back, worked
out from what is left of the sale, so that a sale given back whole has cost nothing.
"""

import csv
import io
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from fractions import Fraction
from typing import Literal
from uuid import UUID

from hansa.kernel import Money, service_day_bounds
from hansa.merchants import paying, store
from hansa.merchants.model import Merchant, Refund, Sale
from hansa.store import Tx

_WEEKEND = 5


@dataclass(frozen=True, slots=True)
class DayLine:
    """One sale or refund. minor and fee_minor: above zero for a sale, below for a refund."""

    at: datetime
    kind: Literal["sale", "refund"]
    payment_id: UUID
    minor: int
    tip_minor: int
    fee_minor: int
    bill_number: str
    till: str
    channel: str
    by: str


@dataclass(frozen=True, slots=True)
class ShopDay:
    """A shop's day by its own clock. lines: in order of time. due_on: when the acquirer pays what is due.

    All sums in minor units of the shop's currency; due is sold less refunded less fees, and may be below zero.
    """

    merchant: Merchant
    day: date
    lines: tuple[DayLine, ...]
    sales: int
    refunds: int
    sold_minor: int
    tips_minor: int
    refunded_minor: int
    fees_minor: int
    due_on: date

    @property
    def due_minor(self) -> int:
        return self.sold_minor - self.refunded_minor - self.fees_minor

    def money(self, minor: int) -> Money:
        """An amount of this day."""
        return Money(minor, self.merchant.currency)


def shop_day(tx: Tx, merchant: Merchant, day: date) -> ShopDay:
    """What a shop's day came to, so far where it is not over."""
    first, last = service_day_bounds(day, merchant.tz)
    sold = store.sales_paid(tx, merchant.merchant_id, first, last)
    done, ever = paying.refunds_done(tx, merchant, first, last)
    found = {payment_id: store.find_sale(tx, payment_id) for payment_id in {one.payment_id for one in done}}
    sales = {payment_id: sale for payment_id, sale in found.items() if sale is not None}
    # A payment that is no sale of the shop's tills is in no day of theirs, and what was given back of it neither.
    back = [one for one in done if one.payment_id in sales]
    return day_of(merchant, day, sold, back, sales, ever)


def day_of(
    merchant: Merchant,
    day: date,
    sold: list[Sale],
    back: list[Refund],
    sales: dict[UUID, Sale],
    all_refunds: list[Refund],
) -> ShopDay:
    """The day from its sales and refunds. sales: of the refunds. all_refunds: of these sales, on any day, in order."""
    lines = [
        DayLine(
            at=one.paid_at or one.begun_at,
            kind="sale",
            payment_id=one.payment_id,
            minor=one.total.minor,
            tip_minor=one.tip_minor,
            fee_minor=fee_of(one.total.minor, one.fee_bp),
            bill_number=one.bill_number,
            till=one.till,
            channel=one.channel,
            by=one.made_by,
        )
        for one in sold
    ]
    for one in back:
        sale = sales[one.payment_id]
        before = sum(
            other.amount_minor
            for other in all_refunds
            if other.payment_id == one.payment_id and other.state == "done" and _earlier(other, one)
        )
        lines.append(
            DayLine(
                at=one.done_at or one.asked_at,
                kind="refund",
                payment_id=one.payment_id,
                minor=-one.amount_minor,
                tip_minor=0,
                fee_minor=-fee_back(sale, before, one.amount_minor),
                bill_number=sale.bill_number,
                till=sale.till,
                channel=sale.channel,
                by=one.made_by,
            )
        )
    lines.sort(key=lambda line: (line.at, line.kind == "refund"))  # sorting keeps the order of equals
    return ShopDay(
        merchant,
        day,
        tuple(lines),
        sales=len(sold),
        refunds=len(back),
        sold_minor=sum(line.minor for line in lines if line.kind == "sale"),
        tips_minor=sum(line.tip_minor for line in lines),
        refunded_minor=-sum(line.minor for line in lines if line.kind == "refund"),
        fees_minor=sum(line.fee_minor for line in lines),
        due_on=due_on(day),
    )


def fee_of(minor: int, fee_bp: int) -> int:
    """What the acquirer keeps of so much, rounded half to even."""
    return round(Fraction(minor * fee_bp, 10_000))


def fee_back(sale: Sale, refunded_before: int, minor: int) -> int:
    """What of a sale's fee a refund gives back: the fee on what was left before, less that on what is left after."""
    left = sale.total.minor - refunded_before
    return fee_of(left, sale.fee_bp) - fee_of(left - minor, sale.fee_bp)


def due_on(day: date) -> date:
    """When a day is paid out: the weekday after the night in which its clearing day closes."""
    after = day + timedelta(days=1)
    while after.weekday() >= _WEEKEND:
        after += timedelta(days=1)
    return after


def day_csv(day: ShopDay) -> str:
    """The day as CSV (RFC 4180): a line for each sale and refund, amounts in whole units with all their decimals."""
    made = io.StringIO()
    writer = csv.writer(made, lineterminator="\r\n")
    writer.writerow(
        ("at", "kind", "payment", "bill", "till", "channel", "amount", "of which tip", "fee", "currency")
    )
    for line in day.lines:
        writer.writerow(
            (
                line.at.isoformat().replace("+00:00", "Z"),
                line.kind,
                line.payment_id,
                _safe(line.bill_number),
                _safe(line.till),
                line.channel,
                day.money(line.minor).decimal(),
                day.money(line.tip_minor).decimal(),
                day.money(line.fee_minor).decimal(),
                day.merchant.currency,
            )
        )
    return made.getvalue()


def _earlier(one: Refund, other: Refund) -> bool:
    return (one.done_at or one.asked_at, one.refund_id) < (other.done_at or other.asked_at, other.refund_id)


def _safe(text: str) -> str:
    """A text that no spreadsheet takes for a formula."""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@") else text
