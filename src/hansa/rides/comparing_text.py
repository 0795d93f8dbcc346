"""A comparison of two tariffs as CSV: every figure of it in one table that any spreadsheet opens."""

import csv
import io
from collections.abc import Iterator

from hansa.kernel import Money, cell_text
from hansa.rides.comparing import Comparison, TypicalRider

HEAD = ("what", "name", "journeys", "riders", "before", "after", "change", "currency")


def comparison_csv(found: Comparison) -> str:
    """Rows of (what, name, journeys, riders, before, after, change, currency), amounts in major units; empty for none.

    A name that a spreadsheet would take for a formula is led by an apostrophe.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(HEAD)
    for row in _rows(found):
        writer.writerow([_plain(cell) for cell in row])
    return out.getvalue()


def _rows(found: Comparison) -> Iterator[tuple[object, ...]]:
    def money(minor: int) -> str:
        return Money(minor, found.currency).decimal()

    def amounts(before: int, after: int) -> tuple[str, str, str, str]:
        return money(before), money(after), money(after - before), found.currency

    span = f"{found.first_day} to {found.last_day}"
    yield "all", span, found.journeys, found.riders, *amounts(found.before_minor, found.after_minor)
    yield "in the books", span, found.journeys, found.riders, money(found.books_minor), "", "", found.currency
    yield (
        "paid by others",
        span,
        "",
        "",
        *amounts(found.subsidy_before_minor, found.subsidy_after_minor),
    )
    for what, rows in (
        ("class", found.by_class),
        ("line", found.by_line),
        ("product", found.by_product),
        ("hour", found.by_hour),
    ):
        for row in rows:
            yield what, row.name, row.journeys, "", *amounts(row.before_minor, row.after_minor)
    yield "line by the way", span, found.lines_by_way, "", "", "", "", ""
    for words, riders in (("better", found.better), ("same", found.same), ("worse", found.worse)):
        yield "riders", words, "", riders, "", "", "", ""
    for one in found.bins:
        yield (
            "change of riders",
            f"{money(one.over_minor)} to {money(one.up_to_minor)}",
            "",
            one.riders,
            "",
            "",
            "",
            found.currency,
        )
    for what, people in (("loses most", found.losers), ("gains most", found.winners)):
        for person in people:
            yield what, _trip(person), person.journeys, 1, *amounts(person.before_minor, person.after_minor)
    for reason in found.unpriced:
        yield f"no fare {reason.side}", reason.why, reason.journeys, "", "", "", "", ""


def _trip(one: TypicalRider) -> str:
    ends = f"{one.origin or '?'} to {one.destination or '?'}" if one.origin or one.destination else ""
    return ", ".join(filter(None, (one.rider_class, one.product, one.line_id, ends)))


def _plain(cell: object) -> object:
    return cell_text(cell) if isinstance(cell, str) else cell
