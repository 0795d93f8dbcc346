"""A shop's day: what was sold, given back and kept by the acquirer, and what is paid out when. Pure but for one door.

Sales of tills and payments that came by none count alike; the latter capture by capture, on the day of each.

A fee is a share of what a sale came to, rounded half to even at the minor unit; a refund gives its part back, worked
out from what is left of the sale, so that a sale given back whole has cost nothing.
"""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from fractions import Fraction
from typing import Literal
from uuid import UUID

from hansa import payments
from hansa.kernel import Money, service_day_bounds
from hansa.merchants import online, paying, store
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
    done, ever, partitions = paying.refunds_done(tx, merchant, first, last)
    found = {payment_id: store.find_sale(tx, payment_id) for payment_id in {one.payment_id for one in done}}
    sales = {payment_id: sale for payment_id, sale in found.items() if sale is not None}
    tills = day_of(merchant, day, sold, [one for one in done if one.payment_id in sales], sales, ever)
    back = {(partitions[one.payment_id], one.payment_id) for one in done if one.payment_id not in sales}
    return _with_online(tx, tills, back, first, last)


def _with_online(
    tx: Tx, tills: ShopDay, back: set[tuple[int, UUID]], first: datetime, last: datetime
) -> ShopDay:
    """The day of the tills and what came by none, capture by capture. back: which of the latter had refunds."""
    merchant = tills.merchant
    taken = online.captured_online(tx, merchant, first, last)
    keys = back | {(one.partition, one.payment_id) for one in taken}
    if not keys:
        return tills
    sales = online.sales_by(tx, merchant, keys)
    captures = payments.captures_of(tx, keys)
    refunds = paying.refunds_of_keys(tx, merchant, keys)
    lines = [line for line in online_lines(sales, captures, refunds) if first <= line.at < last]
    every = sorted([*tills.lines, *lines], key=lambda line: (line.at, line.kind == "refund"))
    sold = [line for line in lines if line.kind == "sale"]
    returned = [line for line in lines if line.kind == "refund"]
    return replace(
        tills,
        lines=tuple(every),
        sales=tills.sales + len(sold),
        refunds=tills.refunds + len(returned),
        sold_minor=tills.sold_minor + sum(line.minor for line in sold),
        refunded_minor=tills.refunded_minor - sum(line.minor for line in returned),
        fees_minor=tills.fees_minor + sum(line.fee_minor for line in lines),
    )


def online_lines(
    sales: Mapping[UUID, Sale], captures: Sequence[payments.Captured], refunds: Sequence[Refund]
) -> list[DayLine]:
    """A line for each capture and each refund of these sales, in order.

    The fee of a line is that on what the shop keeps after it less that on what it kept before, so the lines of a
    payment come to the fee on what is left of it, and a line never changes by what happens later.
    """
    moved: list[tuple[datetime, bool, UUID, int, str]] = [
        (one.at, False, one.payment_id, one.minor, sales[one.payment_id].made_by)
        for one in captures
        if one.payment_id in sales
    ]
    moved += [
        (one.done_at or one.asked_at, True, one.payment_id, -one.amount_minor, one.made_by)
        for one in sorted(refunds, key=lambda one: (one.done_at or one.asked_at, one.refund_id))
        if one.state == "done" and one.payment_id in sales
    ]
    kept: dict[UUID, int] = {}
    lines: list[DayLine] = []
    for at, is_back, payment_id, minor, by in sorted(moved, key=lambda one: (one[0], one[1])):
        sale, before = sales[payment_id], kept.get(payment_id, 0)
        kept[payment_id] = before + minor
        lines.append(
            DayLine(
                at=at,
                kind="refund" if is_back else "sale",
                payment_id=payment_id,
                minor=minor,
                tip_minor=0,
                fee_minor=fee_of(before + minor, sale.fee_bp) - fee_of(before, sale.fee_bp),
                bill_number=sale.bill_number,
                till="",
                channel=sale.channel,
                by=by,
            )
        )
    return lines


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
