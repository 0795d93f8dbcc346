"""What can be done with invoices: say who members are, invoice a period, read."""

import re
from collections.abc import Callable
from datetime import date, timedelta

from hansa import clearing, trust
from hansa.kernel import InvalidInput, Problem
from hansa.reports import invoice_store
from hansa.reports.invoices import (
    FeeKey,
    FeeLine,
    Invoice,
    Kind,
    NoParty,
    Party,
    UnknownInvoice,
    fees_of,
    lines_left,
    number_of,
)
from hansa.reports.taxes import Taxes, own_taxes, tax_between
from hansa.store import Context, Tx

_PAGE = 100
_COUNTRY = re.compile(r"[A-Z]{2}", re.ASCII)

Step = Callable[[str], None]


def no_step(_: str) -> None:
    """Nobody watches."""


def set_party(ctx: Context, party: Party, *, by: str) -> None:
    """Say who a member is to a tax office from a day on. Saying the same again is harmless.

    Errors: trust.UnknownMember; InvalidInput, also where that day has another.
    """
    problems = [
        Problem(name, "it is empty or too long", "Give 1 to 200 characters")
        for name in ("legal_name", "street", "city", "post_code")
        if not 0 < len(getattr(party, name).strip()) <= 200 or "\0" in getattr(party, name)
    ]
    if not _COUNTRY.fullmatch(party.country):
        problems.append(
            Problem("country", f"{party.country[:9]!r} is no country", "Give ISO 3166-1 alpha-2, as CN")
        )
    if len(party.tax_number) > 40 or not party.tax_number.isprintable():
        problems.append(Problem("tax_number", "it does not fit", "Give at most 40 printed characters"))
    if problems:
        raise InvalidInput("A member cannot be told to a tax office like this.", problems=tuple(problems))
    with ctx.tx() as tx:
        trust.get_member(tx, trust.MemberId(party.member_id))
        if invoice_store.add_party(tx, party, by=by, at=ctx.clock.now()):
            return
        if invoice_store.parties(tx, party.valid_from, party.member_id).get(party.member_id) != party:
            problem = Problem("valid_from", "another is set from that day", "Give a later day")
            raise InvalidInput(f"{party.member_id} is told already.", problems=(problem,))


def invoice_period(
    ctx: Context,
    first_day: date,
    last_day: date,
    *,
    by: str,
    taxes: Taxes | None = None,
    step: Step = no_step,
) -> list[Invoice]:
    """Invoice the fees of all closed windows of a period that stand on no document yet; the new documents.

    Between two members that are one to the tax office there is none. Each seller's come in a transaction of its own,
    numbered without gaps. Again gives none, unless windows of the period were closed since: then invoices over what was
    added, credit notes over what was taken. All is looked at before the first number is given.
    Errors: InvalidInput for a period that is not over, or that shares a day with another one that was invoiced, since
    its fees would be told twice; NoParty, NoRate; then there is none.
    """
    now = ctx.clock.now()
    with ctx.tx() as tx:
        settings = clearing.get_settings(tx)
        _refuse_period(first_day, last_day, settings.day_of(now))
        fees = _fees(tx, first_day, last_day)
        _refuse_overlap(tx, [key[0] for key in fees], first_day, last_day)
        parties = invoice_store.parties(tx, last_day)
        clears_as: dict[str, str] = {one.member_id: one.clears_as for one in trust.list_members(tx)}
    table, issued_on = taxes or own_taxes(), now.date()
    who = {member: _party(member, parties, clears_as) for key in fees for member in key[:2]}
    fees = {key: lines for key, lines in fees.items() if not who[key[0]].is_same(who[key[1]])}
    for seller, buyer, _ in fees:
        tax_between(table, who[seller].country, who[buyer].country, last_day)
    made: list[Invoice] = []
    for seller in sorted({key[0] for key in fees}):
        with ctx.tx() as tx:
            n = invoice_store.lock_seller(tx, seller)
            _refuse_overlap(tx, [seller], first_day, last_day)
            for key in sorted(key for key in fees if key[0] == seller):
                document = _document(
                    tx, key, fees[key], who, table, first_day, last_day, issued_on, number_of(seller, n + 1)
                )
                if document is not None:
                    n += 1
                    invoice_store.add_invoice(tx, n, document, by=by, at=now)
                    made.append(document)
            step(f"numbered {seller}")
        step(f"invoiced {seller}")
    return made


def get_invoice(tx: Tx, number: str) -> Invoice:
    """A document by its number. Errors: UnknownInvoice."""
    found = invoice_store.find_invoice(tx, number)
    if found is None:
        raise UnknownInvoice(f"There is no invoice {number[:80]!r}.")
    return found


def _document(
    tx: Tx,
    key: FeeKey,
    lines: list[FeeLine],
    who: dict[str, Party],
    taxes: Taxes,
    first_day: date,
    last_day: date,
    issued_on: date,
    number: str,
) -> Invoice | None:
    """The document over what is not told yet, or None where all is."""
    seller, buyer, currency = key
    before = invoice_store.invoices_of_period(tx, seller, buyer, currency, first_day, last_day)
    left = lines_left(lines, [line for one in before for line in one.lines])
    total = sum(line.minor for line in left)
    if not total:
        return None
    kind: Kind = "invoice" if total > 0 else "credit note"
    return Invoice(
        number=number,
        kind=kind,
        seller=who[seller],
        buyer=who[buyer],
        currency=currency,
        first_day=first_day,
        last_day=last_day,
        issued_on=issued_on,
        lines=tuple(left),
        tax=tax_between(taxes, who[seller].country, who[buyer].country, last_day),
        corrects=before[0].number
        if before
        else invoice_store.find_last_number(tx, seller, buyer, currency)
        if kind == "credit note"
        else "",
    )


def _fees(tx: Tx, first_day: date, last_day: date) -> dict[FeeKey, list[FeeLine]]:
    found: list[clearing.Position] = []
    for model_id in ("daily", *sorted({one.model.model_id for one in clearing.list_model_versions(tx)})):
        before: int | None = None
        while True:
            page = clearing.list_windows(tx, model_id=model_id, before_number=before, limit=_PAGE)
            for window in page:
                if window.closed_at is not None and first_day <= window.business_day <= last_day:
                    found += clearing.window_positions(tx, window.window_id)
            if len(page) < _PAGE or page[-1].business_day < first_day:
                break
            before = page[-1].number
    return fees_of(found)


def _party(member: str, parties: dict[str, Party], clears_as: dict[str, str]) -> Party:
    """Who a member is, or else the one that clears it. Errors: NoParty."""
    found = parties.get(member) or parties.get(clears_as.get(member, ""))
    if found is None:
        raise NoParty(f"Nobody has said who {member} is to a tax office.")
    return Party(
        member,
        found.legal_name,
        found.street,
        found.city,
        found.post_code,
        found.country,
        found.tax_number,
        found.valid_from,
    )


def _refuse_period(first_day: date, last_day: date, today: date) -> None:
    if first_day > last_day:
        problem = Problem("last_day", f"it is before {first_day}", "Give the last day of the period")
        raise InvalidInput("A period has a day.", problems=(problem,))
    if last_day >= today:
        problem = Problem("last_day", f"{last_day} is not over", f"Wait until {last_day + timedelta(days=1)}")
        raise InvalidInput("Only what is over is invoiced.", problems=(problem,))


def _refuse_overlap(tx: Tx, sellers: list[str], first_day: date, last_day: date) -> None:
    other = invoice_store.find_overlapping(tx, sellers, first_day, last_day)
    if other is not None:
        problem = Problem(
            "first_day",
            f"{other[0]} to {other[1]} was invoiced, and shares a day with it",
            "Name that period again, or one that shares no day with it",
        )
        raise InvalidInput("A day is invoiced with one period.", problems=(problem,))
