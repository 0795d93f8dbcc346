"""The console's counter: vouchers made, printed, sold and voided; money that a clerk takes for a person's wallet.

The league's treasurers work for each issuer; a member's own treasurers for their member, and for issuers that settle
through it. What is another's is not found.
"""

from datetime import UTC, datetime, time, timedelta
from itertools import chain
from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import Request, Response, get, post
from litestar.enums import RequestEncodingType
from litestar.params import Body, FromPath
from litestar.response import Redirect

from hansa import identity, trust, wallets
from hansa.apps.web.amounts import read_minor
from hansa.apps.web.clerks import clerk_of, clerk_words
from hansa.apps.web.console import member_names
from hansa.apps.web.console_looks import desk_of
from hansa.apps.web.pages import page
from hansa.apps.web.site import Here, Site
from hansa.identity import AccountId
from hansa.kernel import CURRENCY_EXPONENTS, HansaError, InvalidInput, Money, Problem, new_id
from hansa.wallets import finding, top_ups, vouchers

Asked = Request[Any, Any, Any]
Form = Body(media_type=RequestEncodingType.URL_ENCODED)
Text = Annotated[str, msgspec.Meta(max_length=200)]
COUNTER = "/console/counter"
LISTED = 30
EXPIRES_AFTER = timedelta(days=365)


class BatchForm(msgspec.Struct, frozen=True):
    """Vouchers to make."""

    batch_id: Text = ""
    issuer: Text = ""
    value: Text = ""
    currency: Text = ""
    count: Text = ""
    until: Text = ""
    expiry: Text = "keep"
    about: Text = ""


class SaleForm(msgspec.Struct, frozen=True):
    """Serial numbers that were sold."""

    first: Text = ""
    last: Text = ""


class CashForm(msgspec.Struct, frozen=True):
    """Money that a clerk took. to: the person's code, or the account's id."""

    top_up_id: Text = ""
    to: Text = ""
    amount: Text = ""
    currency: Text = ""
    at_counter: Text = ""


@get(COUNTER, sync_to_thread=True, include_in_schema=False)
def show_counter(request: Asked, site: Here) -> Response[str]:
    """Take money, sell vouchers, make more of them."""
    return _counter(request, site, BatchForm(str(new_id())), CashForm(str(new_id())))


@post(f"{COUNTER}/batches", sync_to_thread=True, include_in_schema=False, status_code=200)
def make_batch(request: Asked, site: Here, data: Annotated[BatchForm, Form]) -> Response[str]:
    """Make vouchers, and show the sheet to print: the codes are told this once."""
    by = clerk_of(request, site)
    try:
        value = Money(read_minor(data.value, data.currency, where="value"), data.currency)
        new = wallets.NewBatch(
            batch_id=_uuid(data.batch_id),
            issuer_id=_issuer(request, site, data.issuer),
            value=value,
            count=_number(data.count, "count"),
            expires_at=_until(data.until),
            expiry=data.expiry,
            about=data.about,
        )
        batch, codes = vouchers.make(site.ctx, new, by=by)
    except HansaError as refused:
        if refused.status >= 500:
            raise
        return _counter(request, site, data, CashForm(str(new_id())), refused=_told(refused))
    return page(
        "console/counter_sheet.html",
        here="counter",
        desk=desk_of(request, site),
        batch=batch,
        codes=[(serial, wallets.code_text(code, group=4)) for serial, code in enumerate(codes, start=1)],
    )


@get(f"{COUNTER}/batches/{{batch_id:uuid}}", sync_to_thread=True, include_in_schema=False)
def show_batch(request: Asked, site: Here, batch_id: FromPath[UUID]) -> Response[str]:
    """A batch: how many were sold and used, and the form to sell."""
    return _batch(request, site, batch_id, SaleForm())


@post(f"{COUNTER}/batches/{{batch_id:uuid}}/sell", sync_to_thread=True, include_in_schema=False)
def sell(
    request: Asked, site: Here, batch_id: FromPath[UUID], data: Annotated[SaleForm, Form]
) -> Response[Any]:
    """These serial numbers were sold: they count from now on."""
    by = clerk_of(request, site)
    try:
        first = _number(data.first, "first")
        last = _number(data.last, "last") if data.last.strip() else first
        issuer_id = _own_batch(request, site, batch_id).issuer_id
        vouchers.activate(site.ctx, batch_id, first, last, by=by, issuer_id=issuer_id)
    except (InvalidInput, wallets.VoucherMoved) as refused:
        return _batch(request, site, batch_id, data, refused=_told(refused))
    return Redirect(f"{COUNTER}/batches/{batch_id}?sold={first}-{last}", status_code=303)


@post(f"{COUNTER}/batches/{{batch_id:uuid}}/void", sync_to_thread=True, include_in_schema=False)
def void(request: Asked, site: Here, batch_id: FromPath[UUID]) -> Redirect:
    """Void what was not sold, such as a print that was lost."""
    clerk_of(request, site)
    vouchers.void(site.ctx, batch_id, issuer_id=_own_batch(request, site, batch_id).issuer_id)
    return Redirect(f"{COUNTER}/batches/{batch_id}", status_code=303)


@post(f"{COUNTER}/top-ups", sync_to_thread=True, include_in_schema=False)
def take_cash(request: Asked, site: Here, data: Annotated[CashForm, Form]) -> Response[Any]:
    """Money taken for a person's wallet; the page after it is the receipt. Sending it twice pays in once."""
    by = clerk_of(request, site)
    try:
        account = _person(request, site, data.to)
        done = vouchers.top_up_at_counter(
            site.ctx,
            _uuid(data.top_up_id),
            account.account_id,
            Money(read_minor(data.amount, data.currency, where="amount"), data.currency),
            by=by,
            at_counter=data.at_counter.strip() or "Counter",
        )
    except HansaError as refused:
        if refused.status >= 500:
            raise
        return _counter(request, site, BatchForm(str(new_id())), data, refused=_told(refused))
    return Redirect(f"{COUNTER}/top-ups/{done.account_id}/{done.top_up_id}", status_code=303)


@get(
    f"{COUNTER}/top-ups/{{account_id:uuid}}/{{top_up_id:uuid}}", sync_to_thread=True, include_in_schema=False
)
def show_receipt(
    request: Asked, site: Here, account_id: FromPath[UUID], top_up_id: FromPath[UUID]
) -> Response[str]:
    """The receipt of money taken at a counter, to print."""
    desk = desk_of(request, site)
    with site.ctx.tx() as tx:
        partition = site.ctx.directory.partition_of(account_id)
        found = top_ups.get(tx, AccountId(account_id), top_up_id, partition=partition)
        if found.issuer_id not in desk.own:
            raise wallets.UnknownTopUp
        account = identity.get_account(tx, AccountId(account_id))
        issuer = trust.get_member(tx, trust.MemberId(found.issuer_id))
    return page(
        "console/counter_receipt.html",
        here="counter",
        desk=desk,
        found=found,
        name=identity.masked_name(account.name),
        issuer=issuer.name,
    )


# --- inside


def _counter(
    request: Asked, site: Site, batch: BatchForm, cash: CashForm, *, refused: str = ""
) -> Response[str]:
    desk = desk_of(request, site)
    with site.ctx.tx() as tx:
        issuers = [
            one for one in trust.list_members(tx) if one.role == "issuer" and one.member_id in desk.own
        ]
        if desk.member_id is None:
            batches = vouchers.list_batches(tx, issuer_id=None, limit=LISTED)
        else:
            found = [vouchers.list_batches(tx, issuer_id=one.member_id, limit=LISTED) for one in issuers]
            batches = sorted(chain(*found), key=lambda one: one.made_at, reverse=True)[:LISTED]
    return page(
        "console/counter.html",
        here="counter",
        desk=desk,
        **clerk_words(request, site, back=COUNTER),
        batches=batches,
        issuers=issuers,
        currencies=[one for one in ("CNY", "HKD", "GBP", "JPY", "CAD", "EUR") if one in CURRENCY_EXPONENTS],
        batch=batch,
        cash=cash,
        until=(site.ctx.clock.now() + EXPIRES_AFTER).date(),
        refused=refused,
        status_code=422 if refused else 200,
    )


def _batch(
    request: Asked,
    site: Site,
    batch_id: UUID,
    form: SaleForm,
    *,
    refused: str = "",
) -> Response[str]:
    found = _own_batch(request, site, batch_id)
    with site.ctx.tx() as tx:
        names = member_names(tx)
    return page(
        "console/counter_batch.html",
        here="counter",
        desk=desk_of(request, site),
        **clerk_words(request, site, back=f"{COUNTER}/batches/{batch_id}"),
        batch=found,
        issuer=names.get(found.issuer_id, found.issuer_id),
        form=form,
        sold=request.query_params.get("sold", "")[:20],
        refused=refused,
        status_code=409 if refused else 200,
    )


def _own_batch(request: Asked, site: Site, batch_id: UUID) -> wallets.Batch:
    """A batch of an issuer for whom this clerk works. Errors: wallets.UnknownBatch, also for another's."""
    own = desk_of(request, site).own
    with site.ctx.tx() as tx:
        found = vouchers.get_batch(tx, batch_id, issuer_id=None)
    if found.issuer_id not in own:
        raise wallets.UnknownBatch
    return found


def _issuer(request: Asked, site: Site, wanted: str) -> str:
    """An issuer for whom this clerk works. Errors: InvalidInput, also for who is no issuer."""
    own = desk_of(request, site).own
    with site.ctx.tx() as tx:
        members = {one.member_id: one for one in trust.list_members(tx) if one.role == "issuer"}
    if wanted not in own or wanted not in members:
        problem = Problem("issuer", f"{wanted[:40]!r} is no issuer of yours", "Choose one from the list")
        raise InvalidInput("Vouchers are made for an issuer.", problems=(problem,))
    return wanted


def _person(request: Asked, site: Site, text: str) -> identity.Account:
    """The person of a code or an account's id, where this operator may top them up."""
    own = desk_of(request, site).own
    found = finding.account_of_code(site.ctx, text)
    with site.ctx.tx() as tx:
        account = identity.find_account(tx, found) if found else None
        if account is None:
            try:
                account = identity.find_account(tx, AccountId(UUID(text.strip())))
            except ValueError:
                account = None
    if account is None or account.issuer_id not in own:
        raise wallets.UnknownReceiver("Nobody has this code here. Ask for the code on their page of money.")
    return account


def _until(text: str) -> datetime:
    try:
        day = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC).date()
    except ValueError as error:
        problem = Problem("until", "is no day", "Write it as 2027-12-31")
        raise InvalidInput("This is no day.", problems=(problem,)) from error
    return datetime.combine(day, time(23, 59, 59), UTC)


def _number(text: str, where: str) -> int:
    if not text.strip().isascii() or not text.strip().isdigit() or len(text) > 6:
        problem = Problem(where, f"{text[:20]!r} is no number", "Write digits alone")
        raise InvalidInput("This is no number.", problems=(problem,))
    return int(text)


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError as error:
        problem = Problem("form", "is damaged", "Open it again")
        raise InvalidInput("The form is damaged.", problems=(problem,)) from error


def _told(refused: HansaError) -> str:
    return " ".join(f"{one.where}: {one.what}. {one.remedy}." for one in refused.problems) or refused.detail


ROUTES = [show_counter, make_batch, show_batch, sell, void, take_cash, show_receipt]
