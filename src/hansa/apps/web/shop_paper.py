"""A shop's day on paper, as statements are drawn."""

from hansa.apps.web.languages import Words
from hansa.apps.web.pages import in_zone
from hansa.merchants import ShopDay
from hansa.reports.paper import Column, Paper


def day_pdf(found: ShopDay, say: Words) -> bytes:
    """The day as PDF: what it came to, then a line for each sale and refund. The same day gives the same bytes."""
    shop = found.merchant
    title = say("{shop}: {day}", shop=shop.shown_name, day=say.day(found.day))
    paper = Paper(title, title, f"{shop.name} · {shop.member_id}", say("Page"))
    paper.heading(title)
    paper.text(f"{shop.address} · {shop.category}")
    paper.space()
    paper.facts(
        [
            (say("Sales"), f"{found.sales}"),
            (say("Sold"), str(found.money(found.sold_minor))),
            (say("Of which tips"), str(found.money(found.tips_minor))),
            (say("Given back"), str(found.money(found.refunded_minor))),
            (say("Fees"), str(found.money(found.fees_minor))),
            (say("Due to you"), str(found.money(found.due_minor))),
            (say("Paid out on"), say.day(found.due_on)),
        ]
    )
    paper.space()
    paper.table(
        [
            Column(say("Time"), 1),
            Column(say("What"), 1),
            Column(say("Bill number"), 1.6),
            Column(say("Till"), 1),
            Column(say("Amount"), 1.3, right=True),
            Column(say("Fee"), 1, right=True),
        ],
        [
            [
                in_zone(line.at, shop.tz),
                say("Sale") if line.kind == "sale" else say("Given back"),
                line.bill_number,
                line.till,
                str(found.money(line.minor)),
                str(found.money(line.fee_minor)),
            ]
            for line in found.lines
        ],
        foot=[
            "",
            "",
            "",
            "",
            str(found.money(found.sold_minor - found.refunded_minor)),
            str(found.money(found.fees_minor)),
        ],
    )
    return paper.finish()
