"""A member's statement on paper, in English or Chinese."""

from hansa.reports.model import CurrencyStatement, Section, Statement
from hansa.reports.paper import Column, Paper
from hansa.reports.words import Language, say

_TITLES = {
    Section.ITEMS: "Items",
    Section.ADJUSTMENTS: "Adjustments",
    Section.FEES: "Fees",
    Section.PAYMENTS: "Payments",
}


def statement_pdf(statement: Statement, language: Language = "en") -> bytes:
    """A statement as PDF, A4; the same statement gives the same bytes."""
    paper = Paper(
        title=f"{say('Member statement', language)} {statement.number}",
        running_head=say("Hansa league, clearing house", language),
        foot=f"{statement.number}   {say('Above zero: the member receives. Below zero: it pays.', language)}",
        page_words=say("page", language),
    )
    paper.heading(say("Member statement", language))
    paper.facts(
        [
            (
                say("Business day", language),
                statement.day.isoformat()
                + ("" if statement.label == statement.day.isoformat() else f" ({statement.label})"),
            ),
            (say("Member", language), f"{statement.name} ({statement.member_id})"),
            (say("Ended", language), statement.at(statement.ends_at)),
            (
                say("Closed", language),
                statement.at(statement.closed_at) if statement.closed_at else "-",
            ),
        ]
    )
    if not statement.settles:
        paper.space(4)
        paper.text(
            say("This member clears as another: its figures are a part of that one's net.", language)
            + f" ({statement.name_of(statement.clears_as)})"
        )
    if not statement.currencies:
        paper.space()
        paper.text(say("Nothing moved on this day, and nothing is open.", language))
    for one in statement.currencies:
        _currency(paper, statement, one, language)
    return paper.finish()


def _currency(paper: Paper, statement: Statement, one: CurrencyStatement, language: Language) -> None:
    paper.space(10)
    paper.heading(one.currency, 14)
    balances = [
        (
            f"{say('Opening balance', language)} ({say('left unsettled by earlier days', language)})",
            one.opening,
        ),
        (say("Net of the day", language), one.net),
        (say("Paid by the bank", language), -one.paid),
    ]
    closing = say("Closing balance", language)
    if not statement.settles:
        balances, closing = [], say("Adds to the net", language)
    side = "to receive" if one.closing > 0 else "to pay" if one.closing < 0 else ""
    paper.table(
        [Column("", 4), Column(say("Amount", language), 1.4, right=True)],
        [(words, _figure(one, minor)) for words, minor in balances],
        foot=(f"{closing}, {say(side, language)}" if side else closing, _figure(one, one.closing)),
    )
    columns = [
        Column(say("Counterparty", language), 2.2),
        Column(say("Position", language), 3.2),
        Column(say("Kind", language), 1.6),
        Column(say("Count", language), 1, right=True),
        Column(f"{say('Amount', language)} {one.currency}", 1.5, right=True),
    ]
    for section in Section:
        lines = one.of(section)
        if not lines:
            continue
        paper.heading(say(_TITLES[section], language), 10.5)
        paper.table(
            columns,
            [
                (
                    statement.name_of(line.counterparty_id),
                    line.reference or " > ".join(filter(None, (line.issuer_id, line.operator_id))),
                    say(line.kind, language),
                    f"{line.count:,}",
                    _figure(one, line.minor),
                )
                for line in lines
            ],
            foot=(
                say("Sum", language),
                "",
                "",
                f"{sum(line.count for line in lines):,}",
                _figure(one, one.sum_of(section)),
            ),
        )


def _figure(one: CurrencyStatement, minor: int) -> str:
    """An amount as digits with thousands parted, without its currency: that stands above."""
    whole, dot, fraction = one.money(abs(minor)).decimal().partition(".")
    return f"{'-' if minor < 0 else ''}{int(whole):,}{dot}{fraction}"
