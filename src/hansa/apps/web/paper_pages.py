"""The wallet's statements and receipts: what changed it, by month, on a page, on paper, as a table, with proof."""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Annotated, Any, BinaryIO
from uuid import UUID

from litestar import Request, Response, get
from litestar.params import FromPath, QueryParameter
from litestar.response import Stream

from hansa import identity, ledger, payments, trust
from hansa.apps.own_statement import (
    NoSuchMonth,
    OwnLine,
    OwnStatement,
    list_months,
    read_holds,
    read_lines,
    read_statement,
)
from hansa.apps.web.callers import find_caller, get_account
from hansa.apps.web.insight_pages import month_name
from hansa.apps.web.journey_views import Places
from hansa.apps.web.languages import Words, spoken, words_for
from hansa.apps.web.own_papers import (
    about,
    receipt_pdf,
    say_month,
    statement_csv,
    statement_pdf,
    statement_rows,
    write_bundle,
)
from hansa.apps.web.own_words import KIND_WORDS, About, Told, tell
from hansa.apps.web.pages import page
from hansa.apps.web.proofs import own_wallets
from hansa.apps.web.seals import READS_SEALS, StatementSealer
from hansa.apps.web.site import Here, Site
from hansa.kernel import Money, mark_text, paged, read_mark
from hansa.payments import Movement
from hansa.store import Rate, Tx, refuse_too_often
from hansa.trust.tlog.standalone import hansa_verify

Asked = Request[Any, Any, Any]
After = Annotated[str, QueryParameter(max_length=100)]
SealAsked = Annotated[str, QueryParameter(max_length=6_000)]

MOVEMENTS_ON_PAGE = 50
LINES_ON_PAGE = 2_000
"""Lines of a month that are shown; files have all."""

PIECE = 256 * 1024
BUNDLES = Rate(20, timedelta(hours=1))
"""How often one person may have a bundle made: each line's receipt costs some milliseconds."""

TYPES = {
    "pdf": "application/pdf",
    "csv": "text/csv; charset=utf-8",
    "zip": "application/zip",
    "seal": "text/plain; charset=utf-8",
}
ENDINGS = {"seal": "csv.seal.txt"}


@dataclass(frozen=True, slots=True)
class LineView:
    """A line on a page: the movement, and its words."""

    movement: Movement
    told: Told


@dataclass(frozen=True, slots=True)
class SectionView:
    """One wallet of a month. cut: how many of its lines the page leaves to the files."""

    currency: str
    opening: Money
    closing: Money
    came_in: Money
    went_out: Money
    held_after: Money
    lines: list[tuple[OwnLine, Told, Money, Money]]
    cut: int


@get("/wallet/statement", sync_to_thread=True, include_in_schema=False)
def show_statement(request: Asked, site: Here, after: After = "") -> Response[str]:
    """All that changed the wallet, the latest first, each line with what it left; and what is set aside."""
    account = get_account(request, site)
    say = words_for(request, account_language=account.language)
    partition = site.ctx.directory.partition_of(account.account_id)
    with site.ctx.tx() as tx:
        zone = _zone(tx, account)
        found = payments.movements(
            tx, account.account_id, MOVEMENTS_ON_PAGE + 1, before=read_mark(after), partition=partition
        )
        movements, older = paged(found, MOVEMENTS_ON_PAGE, lambda one: mark_text(*one.mark))
        told = tell(
            tx,
            site.ctx.directory,
            account,
            [About(one.kind, one.reference, one.amount.minor > 0) for one in movements],
            say,
        )
        debts = payments.debts_of(tx, account.account_id, partition=partition)
        held = _held(tx, account, partition) if not after else []
    return _shown(
        request,
        account,
        say,
        "wallet/statement.html",
        zone=zone,
        lines=[LineView(one, words) for one, words in zip(movements, told, strict=True)],
        debts=debts,
        held=held,
        after=after,
        older=older or "",
    )


@get("/wallet/statements", sync_to_thread=True, include_in_schema=False)
def show_months(request: Asked, site: Here) -> Response[str]:
    """The months of which there are statements."""
    account = get_account(request, site)
    say = words_for(request, account_language=account.language)
    with site.ctx.tx() as tx:
        zone = _zone(tx, account)
    months = list_months(account, zone, site.ctx.clock.now())
    return _shown(request, account, say, "wallet/statements.html", zone=zone, months=months)


@get("/wallet/statements/{month:str}", sync_to_thread=True, include_in_schema=False)
def show_month(request: Asked, site: Here, month: FromPath[str]) -> Response[str]:
    """A month: balances, lines, what is set aside, and the ways to keep it."""
    account = get_account(request, site)
    say = words_for(request, account_language=account.language)
    with site.ctx.tx() as tx:
        statement = _statement(site, tx, account, month)
        sections = list(_sections(site, tx, statement, say))
        owed = payments.list_owed(
            tx,
            account.account_id,
            first_at=statement.begins_at,
            end_at=statement.ends_at,
            partition=statement.partition,
        )
        held = {section.currency: list(read_holds(tx, statement, section)) for section in statement.sections}
    return _shown(
        request,
        account,
        say,
        "wallet/statement_month.html",
        zone=statement.zone,
        statement=statement,
        span=say_month(statement, say),
        sections=sections,
        owed=owed,
        held=held,
        kind_words=KIND_WORDS,
        log_key=str(site.signer.verifier_key(statement.partition)),
    )


@get("/wallet/statements/{month:str}/{form:str}", sync_to_thread=True, include_in_schema=False)
def give_month(request: Asked, site: Here, month: FromPath[str], form: FromPath[str]) -> Stream:
    """A month as a file. form: pdf, csv, zip, which proves itself, or seal, what the city signed of the table."""
    account = get_account(request, site)
    say = words_for(request, account_language=account.language)
    if form not in TYPES:
        raise NoSuchMonth("Statements are given as pdf, csv or zip, and their tables have a seal.")
    if form == "zip":
        refuse_too_often(site.ctx, f"statements.bundle/{account.account_id}", BUNDLES)
    file = tempfile.TemporaryFile()  # noqa: SIM115 - the answer closes it, when the last piece is sent
    with site.ctx.tx() as tx:
        statement = _statement(site, tx, account, month)
        write_month(file, tx, site, statement, form, say, origin=origin_of(request, site))
    name = f"hansa-{statement.name}.{ENDINGS.get(form, form)}"
    return Stream(
        _pieces(file),
        media_type=TYPES[form],
        headers={"content-disposition": f'attachment; filename="{name}"', "cache-control": "no-store"},
    )


@get("/wallet/papers/{transfer_id:uuid}", sync_to_thread=True, include_in_schema=False)
def show_paper(request: Asked, site: Here, transfer_id: FromPath[UUID]) -> Response[str]:
    """The receipt of one line of one's own wallet, in words."""
    account = get_account(request, site)
    say = words_for(request, account_language=account.language)
    with site.ctx.tx() as tx:
        line, currency, told = _line(request, site, tx, account, transfer_id, say)
        issuer = trust.get_member(tx, trust.MemberId(account.issuer_id)).name
        zone = _zone(tx, account)
    return _shown(
        request,
        account,
        say,
        "wallet/receipt_paper.html",
        zone=zone,
        line=line,
        told=told,
        amount=Money(line.minor, currency),
        balance=Money(line.balance_minor, currency),
        issuer=issuer,
    )


@get("/wallet/papers/{transfer_id:uuid}/pdf", sync_to_thread=True, include_in_schema=False)
def give_paper(request: Asked, site: Here, transfer_id: FromPath[UUID]) -> Response[bytes]:
    """The same on paper, with the checkpoint that its receipt stands under."""
    account = get_account(request, site)
    say = words_for(request, account_language=account.language)
    with site.ctx.tx() as tx:
        line, currency, told = _line(request, site, tx, account, transfer_id, say)
        receipt = str(ledger.receipt(tx, ledger.TransferId(transfer_id), site.signer))
        issuer = trust.get_member(tx, trust.MemberId(account.issuer_id)).name
        zone = _zone(tx, account)
    paper = receipt_pdf(line, told, currency, receipt, holder=account.name, issuer=issuer, zone=zone, say=say)
    return Response(
        paper,
        media_type=TYPES["pdf"],
        headers={
            "content-disposition": f'attachment; filename="hansa-receipt-{transfer_id}.pdf"',
            "cache-control": "no-store",
        },
    )


# --- inside


def write_month(
    file: BinaryIO, tx: Tx, site: Site, statement: OwnStatement, form: str, say: Words, *, origin: str = ""
) -> None:
    """Write a month's file. form: pdf, csv, zip or seal. origin: where browsers find the wallet."""
    directory = site.ctx.directory
    if form == "zip":
        write_bundle(file, tx, directory, statement, site.signer, say, origin=origin)
        return
    sealer = StatementSealer(tx, statement, site.signer, origin)
    for piece in statement_csv(tx, directory, statement, say):
        sealer.take(piece)
        if form == "csv":
            file.write(piece)
    if form == "pdf":
        file.write(statement_pdf(tx, directory, statement, say, sealer))
    elif form == "seal":
        file.write(str(sealer.sealed({"statement.csv": sealer.table})).encode())


def origin_of(request: Asked, site: Site) -> str:
    """Where this reader's browser finds the wallet."""
    return site.origins.wallet or f"{request.base_url.scheme}://{request.base_url.netloc}"


def _pieces(file: BinaryIO) -> Iterator[bytes]:
    with file:
        file.seek(0)
        while piece := file.read(PIECE):
            yield piece


def _sections(site: Site, tx: Tx, statement: OwnStatement, say: Words) -> Iterator[SectionView]:
    for section in statement.sections:
        shown: list[tuple[OwnLine, Told, Money, Money]] = []
        came = went = cut = 0
        told_lines = statement_rows(tx, site.ctx.directory, statement, section, say)
        for line, told in told_lines:
            shown.append(
                (line, told, Money(line.minor, section.currency), Money(line.balance_minor, section.currency))
            )
            came, went = came + max(0, line.minor), went + min(0, line.minor)
            if len(shown) == LINES_ON_PAGE:
                break
        if len(shown) == LINES_ON_PAGE:
            came = went = 0
            total = 0
            for lines in read_lines(tx, statement, section):
                total += len(lines)
                came += sum(max(0, one.minor) for one in lines)
                went += sum(min(0, one.minor) for one in lines)
            cut = total - len(shown)
        yield SectionView(
            section.currency,
            section.opening,
            section.closing,
            Money(came, section.currency),
            Money(went, section.currency),
            section.held_after,
            shown,
            cut,
        )


def _statement(site: Site, tx: Tx, account: identity.Account, month: str) -> OwnStatement:
    """Errors: NoSuchMonth."""
    try:
        first = date.fromisoformat(f"{month[:7]}-01") if len(month) == 7 else None
    except ValueError:
        first = None
    if first is None:
        raise NoSuchMonth(f"There is no month {month[:20]!r}; write it as 2026-11.")
    return read_statement(site.ctx, tx, account, first, _zone(tx, account))


def _line(
    request: Asked, site: Site, tx: Tx, account: identity.Account, transfer_id: UUID, say: Words
) -> tuple[OwnLine, str, Told]:
    """The posting of a transfer on one's own wallet, its currency and words. Errors: ledger.UnknownTransfer."""
    caller = find_caller(request, site)
    booked = ledger.open_transfer(tx, caller, ledger.TransferId(transfer_id))
    moved = booked.transfer
    wallets = own_wallets(tx, account)
    is_debit = moved.debit in wallets
    if not booked.moves_minor or not (is_debit or moved.credit in wallets):
        raise ledger.UnknownTransfer(f"Transfer {transfer_id} moved nothing on your wallet.")
    after = booked.debit_after if is_debit else booked.credit_after
    line = OwnLine(
        moved.transfer_id,
        booked.place,
        booked.booked_at,
        moved.event_at,
        payments.kind_of_posting(moved.code, is_debit=is_debit),
        -booked.moves_minor if is_debit else booked.moves_minor,
        after.credit_minor,
        moved.reference,
    )
    (told,) = tell(tx, site.ctx.directory, account, [about(line)], say)
    return line, moved.currency, told


def _held(tx: Tx, account: identity.Account, partition: int) -> list[Money]:
    """What of each wallet is set aside now, where anything is."""
    found = payments.balance_of(tx, account.account_id, partition=partition)
    wallets = {payments.wallet_id(account.account_id, one.currency): one.currency for one in found}
    balances = ledger.balances(tx, list(wallets)) if wallets else {}
    return [
        Money(balances[wallet].debits_pending, currency)
        for wallet, currency in wallets.items()
        if balances[wallet].debits_pending
    ]


def _zone(tx: Tx, account: identity.Account) -> str:
    return Places(tx).network(account.home_city_id).city.tz


def _shown(
    request: Asked, account: identity.Account, say: Words, template: str, **values: Any
) -> Response[str]:
    answer = page(template, here="money", account=account, say=say, month_name=month_name, **values)
    return spoken(answer, say, request)


@get(READS_SEALS, sync_to_thread=True, include_in_schema=False)
def read_seal(request: Asked, site: Here, seal: SealAsked = "") -> Response[str]:
    """What a paper's code says: which statement the city has sealed, and whether the books still begin as they did.

    It names nobody: whoever holds the paper compares month, account and balances with it. Without a seal it asks for
    one.
    """
    say = words_for(request)
    told, steps = (None, []) if not seal else _sealed(site, seal.strip())
    answer = page(
        "verify_statement.html",
        here="verify",
        say=say,
        asked=seal,
        told=told,
        steps=steps,
        proven=bool(steps) and all(step.ok is not False for step in steps),
        opening={one.currency: Money(one.opening_minor, one.currency) for one in told.wallets}
        if told
        else {},
        closing={one.currency: Money(one.closing_minor, one.currency) for one in told.wallets}
        if told
        else {},
        status_code=200 if not seal or told else 422,
    )
    return spoken(answer, say, request)


def _sealed(site: Site, text: str) -> tuple[hansa_verify.Seal | None, list[hansa_verify.Step]]:
    """A seal that is ours, and what was checked of it."""
    name = "The city has sealed this statement"
    try:
        seal = hansa_verify.read_seal(hansa_verify.unpack_seal(text))
    except hansa_verify.Unproven as error:
        return None, [hansa_verify.Step(name, False, str(error))]
    with site.ctx.tx() as tx:
        partition = next(
            (
                one.partition
                for one in ledger.list_heads(tx)
                if ledger.log_origin(site.signer.name, one.partition) == seal.log
            ),
            None,
        )
        if partition is None:
            return None, [
                hansa_verify.Step(name, False, f"{hansa_verify.shown(seal.log)} is not a log of ours")
            ]
        key = hansa_verify.parse_key(str(site.signer.verifier_key(partition)))
        steps = list(hansa_verify.check_seal(hansa_verify.unpack_seal(text), hansa_verify.Policy(key, (), 0)))
        if steps[0].ok is False:
            return None, steps
        log = ledger.LogReader(tx, partition)
        same = seal.size <= log.size and log.root(seal.size) == seal.root
    words = "the first {n} entries are the same ones" if same else "the books do not begin as they did then"
    return seal, [*steps, hansa_verify.Step("Nothing was rewritten since", same, words)]


ROUTES = [show_statement, show_months, show_month, give_month, show_paper, give_paper, read_seal]
