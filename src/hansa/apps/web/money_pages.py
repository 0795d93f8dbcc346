"""Pages of people's money: what there is, send, request, split, links to claim. Plain forms with ids of their own."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import Request, Response, get, post
from litestar.enums import RequestEncodingType
from litestar.params import Body, FromPath, QueryParameter
from litestar.response import Redirect

from hansa import approval, identity, ledger, merchants, payments, rides, wallets
from hansa.apps.personal_data import country_of
from hansa.apps.web.amounts import read_minor
from hansa.apps.web.approval_pages import REFUSALS
from hansa.apps.web.callers import get_signed_in
from hansa.apps.web.journey_views import Places, view_journey
from hansa.apps.web.languages import Words, spoken, words_for
from hansa.apps.web.lent_wallets import LentWallet, lent_wallets, name_of, owner_of
from hansa.apps.web.money_means import outside_of
from hansa.apps.web.pages import page
from hansa.apps.web.problem_words import in_words
from hansa.apps.web.qr_pictures import picture_of
from hansa.apps.web.site import Here, Site
from hansa.identity import AccountId
from hansa.kernel import CURRENCY_EXPONENTS, HansaError, InvalidInput, Money, Problem, new_id
from hansa.store import Tx
from hansa.wallets import approving, finding, legs, requests, transfers
from hansa.wallets.model import NOTE_MAX, REMINDERS_MAX

Asked = Request[Any, Any, Any]
Form = Body(media_type=RequestEncodingType.URL_ENCODED)
Line = Annotated[str, msgspec.Meta(max_length=400)]

LATEST = 6
LISTED = 50
PEOPLE_IN_A_SPLIT = 8
"""Fields for people on the form of a split; more can be asked over HTTP."""


@dataclass(frozen=True, slots=True)
class Seen:
    """Whoever is signed in, as each page needs them."""

    site: Site
    session: identity.Session
    account: identity.Account
    say: Words
    zone: str
    currency: str

    @property
    def partition(self) -> int:
        """The ledger partition of their money."""
        return self.site.ctx.directory.partition_of(self.account.account_id)

    @property
    def me(self) -> AccountId:
        """Their account."""
        return self.account.account_id

    def show(self, request: Asked, template: str, *, status_code: int = 200, **values: Any) -> Response[str]:
        """One of their pages."""
        answer = page(
            template,
            here="money",
            account=self.account,
            say=self.say,
            zone=self.zone,
            status_code=status_code,
            **values,
        )
        return spoken(answer, self.say, request)


def seen(request: Asked, site: Site) -> Seen:
    """Who is signed in. Errors: trust.NotSignedIn."""
    session, account = get_signed_in(request, site)
    with site.ctx.tx() as tx:
        city = Places(tx).network(account.home_city_id).city
    return Seen(
        site, session, account, words_for(request, account_language=account.language), city.tz, city.currency
    )


def told(refused: HansaError, say: Words) -> str:
    """A refusal in words for whoever sent the form: what is wrong, and what to do."""
    if type(refused) in REFUSALS:
        return say(REFUSALS[type(refused)])
    if refused.problems:
        return in_words(refused.problems, say)
    return say(refused.detail)


def balances_of(tx: Tx, who: Seen) -> list[tuple[Money, Money]]:
    """What each wallet can pay now, and what is held in it, by currency; the home currency first."""
    held = payments.balance_of(tx, who.me, partition=who.partition) or [Money(0, who.currency)]
    held.sort(key=lambda one: (one.currency != who.currency, one.currency))
    found: list[tuple[Money, Money]] = []
    for one in held:
        try:
            free = transfers.available(tx, who.me, one.currency)
        except ledger.UnknownAccount:
            free = one
        found.append((free, one - free))
    return found


# --- the hub


@dataclass(frozen=True, slots=True)
class Moved:
    """One line of the latest movements between people."""

    at: datetime
    title: str
    words: str
    amount: Money
    address: str
    state: str


@get("/wallet/money", sync_to_thread=True, include_in_schema=False)
def show_money(request: Asked, site: Here) -> Response[str]:
    """Balances, what waits for the person, and every way for money to go."""
    who = seen(request, site)
    with site.ctx.tx() as tx:
        waiting = requests.list_requests(tx, who.me, side="received", only_open=True, limit=5)
        names = transfers.names_of(tx, [one.asker_id for one in waiting])
        balances = balances_of(tx, who)
        latest = _latest(tx, who)
    code = finding.code_of(site.ctx, who.me)
    link = _pay_me_address(request, code)
    return who.show(
        request,
        "wallet/money.html",
        balances=balances,
        waiting=[one for one in waiting if one.state == "open"],
        names=names,
        latest=latest,
        code=wallets.code_text(code),
        link=link,
        picture=picture_of(link),
    )


def _latest(tx: Tx, who: Seen) -> list[Moved]:
    sent = transfers.list_sent(tx, who.me, partition=who.partition, limit=LATEST)
    came = transfers.list_arrivals(tx, who.me, partition=who.partition, limit=LATEST)
    names = transfers.names_of(
        tx, [one.receiver_id for one in sent if one.receiver_id] + [one.sender_id for one in came]
    )
    spenders = {one.spender_id: name_of(tx, one.spender_id) for one in sent if one.spender_id}
    lines = [
        Moved(
            one.created_at,
            who.say("To {name}", name=names.get(one.receiver_id, ""))
            if one.receiver_id
            else who.say("By a link"),
            one.note
            if one.spender_id is None
            else who.say("by {name}", name=spenders.get(one.spender_id, "")),
            -one.pays,
            f"/wallet/transfers/{one.transfer_id}",
            "" if one.state is wallets.State.SETTLED else state_words(one.state, who.say),
        )
        for one in sent
    ]
    lines += [
        Moved(
            one.arrived_at,
            who.say("From {name}", name=names.get(one.sender_id, "")),
            one.note,
            one.amount,
            f"/wallet/transfers/{one.transfer_id}",
            "",
        )
        for one in came
    ]
    lines.sort(key=lambda one: one.at, reverse=True)
    return lines[:LATEST]


def state_words(state: wallets.State, say: Words) -> str:
    """How far a transfer is, in a word or two."""
    words = {
        wallets.State.REQUIRES_APPROVAL: say("waits for your approval"),
        wallets.State.PROCESSING: say("on its way"),
        wallets.State.HELD: say("waits to be claimed"),
        wallets.State.CLAIMED: say("on its way"),
        wallets.State.IN_TRANSIT: say("on its way"),
        wallets.State.RETURNING: say("coming back"),
        wallets.State.VOIDING: say("coming back"),
        wallets.State.SETTLED: say("arrived"),
        wallets.State.RETURNED: say("came back"),
        wallets.State.FAILED: say("not sent"),
        wallets.State.CANCELED: say("taken back"),
        wallets.State.EXPIRED: say("ran out"),
    }
    return words[state]


def _pay_me_address(request: Asked, code: str) -> str:
    return f"{request.url.scheme}://{request.url.netloc}/wallet/send?to={code}"


# --- send


class SendForm(msgspec.Struct, frozen=True):
    """Money for a person. to: code, link, e-mail or phone; empty, with by_link, makes a link.

    owner_id: from whose wallet; empty for one's own.
    """

    to: Line = ""
    amount: Line = ""
    currency: Annotated[str, msgspec.Meta(max_length=3)] = ""
    note: Line = ""
    expected: Annotated[str, msgspec.Meta(max_length=200)] = ""
    receiver_id: Annotated[str, msgspec.Meta(max_length=36)] = ""
    transfer_id: Annotated[str, msgspec.Meta(max_length=36)] = ""
    by_link: Annotated[str, msgspec.Meta(max_length=5)] = ""
    owner_id: Annotated[str, msgspec.Meta(max_length=36)] = ""


class RequestForm(msgspec.Struct, frozen=True):
    """Money asked of a person. request_id: made with the form."""

    request_id: Annotated[str, msgspec.Meta(max_length=36)] = ""
    to: Line = ""
    amount: Line = ""
    currency: Annotated[str, msgspec.Meta(max_length=3)] = ""
    note: Line = ""
    receiver_id: Annotated[str, msgspec.Meta(max_length=36)] = ""
    expected: Annotated[str, msgspec.Meta(max_length=200)] = ""


@get("/wallet/send", sync_to_thread=True, include_in_schema=False)
def show_send(
    request: Asked,
    site: Here,
    to: Annotated[str, QueryParameter(max_length=400)] = "",
    receiver: Annotated[str, QueryParameter(max_length=36)] = "",
) -> Response[str]:
    """Whom, how much, and a note."""
    return _send_page(request, seen(request, site), SendForm(to=to, receiver_id=receiver))


@post("/wallet/send/check", sync_to_thread=True, include_in_schema=False, status_code=200)
def check_send(request: Asked, site: Here, data: Annotated[SendForm, Form]) -> Response[str]:
    """Who would be paid, before anything is: the masked name, and whether the expected one fits."""
    who = seen(request, site)
    try:
        amount = _amount(data, who)
        lent = _lent(who, data)
        receiver, match = (None, None) if data.by_link else _find(who, data)
        with site.ctx.tx() as tx:
            free = lent.left if lent else transfers.available(tx, who.me, amount.currency)
        if free < amount and lent:
            raise approval.DelegationExceeded
        if free < amount:
            raise wallets.InsufficientFunds
    except ledger.UnknownAccount:
        return _send_page(request, who, data, refused=who.say("You have no wallet in this currency."))
    except HansaError as refused:
        return _send_page(request, who, data, refused=told(refused, who.say))
    return who.show(
        request,
        "wallet/send_check.html",
        form=data,
        receiver=receiver,
        match=match.value if match else "",
        amount=amount,
        left=free - amount,
        lent=lent,
        transfer_id=new_id(),
    )


@post("/wallet/send", sync_to_thread=True, include_in_schema=False)
def send(request: Asked, site: Here, data: Annotated[SendForm, Form]) -> Response[Any]:
    """Send what was checked. The form carries the transfer's id, so sending it twice sends once."""
    who = seen(request, site)
    try:
        owner = owner_of(site, who.me, data.owner_id)
        new = wallets.NewTransfer(
            transfer_id=_uuid(data.transfer_id, "transfer_id"),
            sender_id=owner or who.me,
            spender_id=who.me if owner else None,
            receiver_id=None if data.by_link else AccountId(_uuid(data.receiver_id, "receiver")),
            amount=_amount(data, who),
            note=data.note,
            session_at=who.session.authenticated_at,
        )
        sent = transfers.send(site.ctx, new)
    except HansaError as refused:
        if refused.status >= 500:
            raise
        return _send_page(request, who, data, refused=told(refused, who.say))
    return _onward("transfer", sent.transfer_id, waits=sent.state is wallets.State.REQUIRES_APPROVAL)


def _onward(kind: str, subject_id: UUID, *, waits: bool) -> Redirect:
    """To the page of approval where one is asked for, else to what came of it."""
    place = approving.page_of(kind, subject_id) if waits else f"/wallet/{kind}s/{subject_id}"
    return Redirect(place, status_code=303)


def _send_page(request: Asked, who: Seen, form: SendForm, *, refused: str = "") -> Response[str]:
    with who.site.ctx.tx() as tx:
        balances = balances_of(tx, who)
        recent = transfers.list_recent(tx, who.me, partition=who.partition)
        names = transfers.names_of(tx, recent)
        lent = lent_wallets(tx, who.site, who.me)
    return who.show(
        request,
        "wallet/send.html",
        form=form,
        lent=lent,
        more=sorted({one.currency for one in lent} - {one.currency for one, _ in balances}),
        balances=balances,
        recent=[(one, names[one]) for one in recent if one in names],
        refused=refused,
        note_max=NOTE_MAX,
        status_code=422 if refused else 200,
    )


def _find(who: Seen, form: SendForm) -> tuple[wallets.Receiver, wallets.NameMatch | None]:
    outside = outside_of(who.site)
    if form.receiver_id and not form.to.strip():
        with who.site.ctx.tx() as tx:
            receiver = finding.receiver_of(tx, AccountId(_uuid(form.receiver_id, "receiver")))
    else:
        with who.site.ctx.tx() as tx:
            country = country_of(tx, who.account)
        receiver = finding.find_receiver(
            who.site.ctx, who.me, form.to, sealer=outside.sealer, country=country
        )
    if not form.expected.strip():
        return receiver, None
    return receiver, finding.check_name(who.site.ctx, who.me, receiver.account_id, form.expected)


def _lent(who: Seen, form: SendForm) -> LentWallet | None:
    """The wallet of another that a form sends from; None for one's own.

    Errors: approval.NotDelegated; InvalidInput where it is lent in another currency, or for a link.
    """
    owner = owner_of(who.site, who.me, form.owner_id)
    if owner is None:
        return None
    if form.by_link:
        problem = Problem("by_link", "a link holds your own money", "Name a receiver")
        raise InvalidInput("A link holds your own money.", problems=(problem,))
    currency = form.currency or who.currency
    with who.site.ctx.tx() as tx:
        found = [one for one in lent_wallets(tx, who.site, who.me) if one.owner_id == owner]
    chosen = next((one for one in found if one.currency == currency), None)
    if chosen is None:
        units = ", ".join(one.currency for one in found)
        what = "the owner lets you spend another currency"
        remedy = "Choose {units}"
        raise InvalidInput(
            "This wallet is lent in another currency.",
            problems=(Problem("currency", what, who.say(remedy, units=units)),),
        )
    return chosen


def _amount(form: SendForm | RequestForm, who: Seen) -> Money:
    currency = form.currency or who.currency
    amount = Money(read_minor(form.amount, currency, where="amount"), currency)
    wallets.check_amount(amount)
    return amount


def _uuid(text: str, where: str) -> UUID:
    try:
        return UUID(text)
    except ValueError as error:
        problem = Problem(where, "the form is damaged", "Open it again")
        raise InvalidInput("The form is damaged.", problems=(problem,)) from error


# --- one transfer


@get("/wallet/transfers/{transfer_id:uuid}", sync_to_thread=True, include_in_schema=False)
def show_transfer(request: Asked, site: Here, transfer_id: FromPath[UUID]) -> Response[str]:
    """What became of money that the person sent, or that came to them."""
    return _transfer_page(request, seen(request, site), transfer_id)


@post("/wallet/transfers/{transfer_id:uuid}/cancel", sync_to_thread=True, include_in_schema=False)
def cancel_transfer(request: Asked, site: Here, transfer_id: FromPath[UUID]) -> Response[Any]:
    """Take back what waits for approval, or a link that nobody claimed."""
    who = seen(request, site)
    try:
        transfers.cancel(site.ctx, who.me, transfer_id)
    except wallets.TransferMoved as refused:
        return _transfer_page(request, who, transfer_id, refused=told(refused, who.say))
    return Redirect(f"/wallet/transfers/{transfer_id}", status_code=303)


@post(
    "/wallet/transfers/{transfer_id:uuid}/link", sync_to_thread=True, include_in_schema=False, status_code=200
)
def show_link(request: Asked, site: Here, transfer_id: FromPath[UUID]) -> Response[str]:
    """The address of a link, told once; the one before leads nowhere."""
    who = seen(request, site)
    try:
        secret = transfers.renew_link(site.ctx, who.me, transfer_id)
    except wallets.TransferMoved as refused:
        return _transfer_page(request, who, transfer_id, refused=told(refused, who.say))
    address = f"{request.url.scheme}://{request.url.netloc}/wallet/claim/{secret}"
    return _transfer_page(request, who, transfer_id, link=address)


def _transfer_page(
    request: Asked, who: Seen, transfer_id: UUID, *, refused: str = "", link: str = ""
) -> Response[str]:
    with who.site.ctx.tx() as tx:
        sent = transfers.find(tx, who.me, transfer_id, directory=who.site.ctx.directory)
        came = transfers.find_arrival(tx, who.me, transfer_id, partition=who.partition)
        if sent is None and came is None:
            raise wallets.UnknownTransfer
        other = (sent.receiver_id if sent else None) or (came.sender_id if came else None)
        name = transfers.names_of(tx, [other]).get(other, "") if other else ""
        booked = _booked(sent) if sent is not None and sent.sender_id == who.me else None
        mine = sent is None or sent.sender_id == who.me
        owner = "" if mine or sent is None else name_of(tx, sent.sender_id)
        spender = name_of(tx, sent.spender_id) if sent and mine and sent.spender_id else ""
    return who.show(
        request,
        "wallet/transfer.html",
        sent=sent,
        came=came,
        name=name,
        owner=owner,
        spender=spender,
        state=state_words(sent.state, who.say) if sent else who.say("arrived"),
        why=_why(sent.reason, who.say) if sent else "",
        approve_at=approving.page_of("transfer", transfer_id),
        receipt=booked,
        refused=refused,
        link=link,
        picture=picture_of(link) if link else None,
        status_code=409 if refused else 200,
    )


def _booked(sent: wallets.Transfer | None) -> UUID | None:
    """The transfer in the books whose receipt proves it to its sender."""
    if sent is None or sent.state is not wallets.State.SETTLED:
        return None
    return legs.take_id(sent)


def _why(reason: str, say: Words) -> str:
    words = {
        "insufficient_funds": say("Your wallet held too little."),
        "not_approved": say("It was not approved."),
        "not_approved_in_time": say("It was not approved in time."),
        "receiver_closed": say("The receiver's wallet takes no money."),
        "receiver_full": say("The receiver's wallet cannot hold so much."),
        "issuers_do_no_business": say("The two issuers do no business with each other."),
        "refused_by_the_books": say("The receiver's wallet takes no money."),
        "expired": say("Nobody claimed it in time."),
    }
    return words.get(reason, "")


# --- links to claim


@get("/wallet/claim/{secret:str}", sync_to_thread=True, include_in_schema=False)
def show_claim(request: Asked, site: Here, secret: FromPath[str]) -> Response[str]:
    """What a link holds, and the button that takes it."""
    return _claim_page(request, seen(request, site), secret)


@post("/wallet/claim/{secret:str}", sync_to_thread=True, include_in_schema=False)
def claim(request: Asked, site: Here, secret: FromPath[str]) -> Response[Any]:
    """Take the money that a link holds."""
    who = seen(request, site)
    try:
        taken = transfers.claim(site.ctx, who.me, secret)
    except (
        wallets.UnknownLink, wallets.CannotReceive, approval.BalanceCapReached, InvalidInput
    ) as refused:  # fmt: skip
        return _claim_page(request, who, secret, refused=told(refused, who.say))
    return Redirect(f"/wallet/transfers/{taken.transfer_id}", status_code=303)


def _claim_page(request: Asked, who: Seen, secret: str, *, refused: str = "") -> Response[str]:
    held, name = None, ""
    try:
        held = transfers.look_at_link(who.site.ctx, secret[:100])
    except wallets.UnknownLink as unknown:
        refused = refused or told(unknown, who.say)
    if held is not None:
        with who.site.ctx.tx() as tx:
            name = transfers.names_of(tx, [held.sender_id]).get(held.sender_id, "")
    return who.show(
        request,
        "wallet/transfer_claim.html",
        held=held,
        name=name,
        secret=secret,
        own=held is not None and held.sender_id == who.me,
        refused=refused,
        status_code=409 if refused else 200,
    )


# --- requests


class DeclineForm(msgspec.Struct, frozen=True):
    """mute: take no more of this person's requests."""

    mute: Annotated[str, msgspec.Meta(max_length=5)] = ""


class PayRequestForm(msgspec.Struct, frozen=True):
    """owner_id: from whose wallet; empty for one's own."""

    owner_id: Annotated[str, msgspec.Meta(max_length=36)] = ""


@get("/wallet/requests", sync_to_thread=True, include_in_schema=False)
def show_requests(request: Asked, site: Here) -> Response[str]:
    """What others ask of the person, what the person asks of others, and the form to ask."""
    return _requests_page(request, seen(request, site), RequestForm(str(new_id())))


@post("/wallet/requests", sync_to_thread=True, include_in_schema=False)
def ask(request: Asked, site: Here, data: Annotated[RequestForm, Form]) -> Response[Any]:
    """Ask a person for money. Sending the form twice asks once."""
    who = seen(request, site)
    try:
        receiver, _ = _find(who, SendForm(to=data.to, receiver_id=data.receiver_id))
        made = requests.ask(
            site.ctx,
            wallets.NewRequest(
                request_id=_uuid(data.request_id, "request_id"),
                asker_id=who.me,
                payer_id=receiver.account_id,
                amount=_amount(data, who),
                note=data.note,
            ),
        )
    except HansaError as refused:
        if refused.status >= 500:
            raise
        return _requests_page(request, who, data, refused=told(refused, who.say))
    return Redirect(f"/wallet/requests/{made.request_id}", status_code=303)


def _requests_page(request: Asked, who: Seen, form: RequestForm, *, refused: str = "") -> Response[str]:
    with who.site.ctx.tx() as tx:
        found = requests.list_requests(tx, who.me, limit=LISTED)
        names = transfers.names_of(tx, [one.asker_id for one in found] + [one.payer_id for one in found])
        balances = balances_of(tx, who)
        recent = transfers.list_recent(tx, who.me, partition=who.partition)
        recent_names = transfers.names_of(tx, recent)
    return who.show(
        request,
        "wallet/requests.html",
        form=form,
        received=[one for one in found if one.payer_id == who.me],
        asked=[one for one in found if one.asker_id == who.me],
        names=names,
        balances=balances,
        recent=[(one, recent_names[one]) for one in recent if one in recent_names],
        request_words=_request_words(who.say),
        refused=refused,
        note_max=NOTE_MAX,
        status_code=422 if refused else 200,
    )


def _request_words(say: Words) -> dict[str, str]:
    return {
        "open": say("open"),
        "paying": say("being paid"),
        "paid": say("paid"),
        "declined": say("declined"),
        "canceled": say("taken back"),
        "expired": say("ran out"),
    }


@get("/wallet/requests/{request_id:uuid}", sync_to_thread=True, include_in_schema=False)
def show_request(request: Asked, site: Here, request_id: FromPath[UUID]) -> Response[str]:
    """One request, and what can be done with it."""
    return _request_page(request, seen(request, site), request_id)


@post("/wallet/requests/{request_id:uuid}/pay", sync_to_thread=True, include_in_schema=False)
def pay_request(
    request: Asked, site: Here, request_id: FromPath[UUID], data: Annotated[PayRequestForm, Form]
) -> Response[Any]:
    """Pay it, once however often the button is pressed."""
    who = seen(request, site)
    try:
        owner = owner_of(site, who.me, data.owner_id)
        paid = requests.pay(
            site.ctx, who.me, request_id, owner_id=owner, session_at=who.session.authenticated_at
        )
    except HansaError as refused:
        if refused.status >= 500 or isinstance(refused, wallets.UnknownRequest):
            raise
        return _request_page(request, who, request_id, refused=told(refused, who.say))
    return _onward("transfer", paid.transfer_id, waits=paid.state is wallets.State.REQUIRES_APPROVAL)


@post("/wallet/requests/{request_id:uuid}/decline", sync_to_thread=True, include_in_schema=False)
def decline_request(
    request: Asked, site: Here, request_id: FromPath[UUID], data: Annotated[DeclineForm, Form]
) -> Response[Any]:
    """Say no."""
    who = seen(request, site)
    return _moved(
        request,
        who,
        request_id,
        lambda: requests.decline(site.ctx, who.me, request_id, mute=bool(data.mute)),
    )


@post("/wallet/requests/{request_id:uuid}/cancel", sync_to_thread=True, include_in_schema=False)
def cancel_request(request: Asked, site: Here, request_id: FromPath[UUID]) -> Response[Any]:
    """Take it back."""
    who = seen(request, site)
    return _moved(request, who, request_id, lambda: requests.cancel(site.ctx, who.me, request_id))


@post("/wallet/requests/{request_id:uuid}/remind", sync_to_thread=True, include_in_schema=False)
def remind_request(request: Asked, site: Here, request_id: FromPath[UUID]) -> Response[Any]:
    """Remind the payer."""
    who = seen(request, site)
    return _moved(request, who, request_id, lambda: requests.remind(site.ctx, who.me, request_id))


def _moved(request: Asked, who: Seen, request_id: UUID, do: Any) -> Response[Any]:
    try:
        do()
    except (wallets.RequestMoved, wallets.RemindedEnough) as refused:
        return _request_page(request, who, request_id, refused=told(refused, who.say))
    return Redirect(f"/wallet/requests/{request_id}", status_code=303)


def _request_page(request: Asked, who: Seen, request_id: UUID, *, refused: str = "") -> Response[str]:
    with who.site.ctx.tx() as tx:
        found = requests.get(tx, who.me, request_id)
        other = found.asker_id if found.payer_id == who.me else found.payer_id
        name = transfers.names_of(tx, [other]).get(other, "")
        free = [one for one, _ in balances_of(tx, who)]
        lent = lent_wallets(tx, who.site, who.me, currency=found.currency)
    held = next((one for one in free if one.currency == found.currency), None)
    return who.show(
        request,
        "wallet/request.html",
        found=found,
        held=held,
        can=held is not None or lent,
        quotes=(held is None or held < found.amount) and any(one.currency != found.currency for one in free),
        lent=lent,
        name=name,
        is_payer=found.payer_id == who.me,
        request_words=_request_words(who.say),
        reminders_left=REMINDERS_MAX - found.reminders,
        refused=refused,
        status_code=409 if refused else 200,
    )


# --- splits


class SplitForm(msgspec.Struct, frozen=True):
    """A bill among people. to_1 to to_8: whom; share_1 to share_8: how much each bears, where they do not all alike.

    source: the journey or payment that is split, where it is one.
    """

    split_id: Annotated[str, msgspec.Meta(max_length=36)] = ""
    source: Annotated[str, msgspec.Meta(max_length=60)] = ""
    title: Line = ""
    amount: Line = ""
    currency: Annotated[str, msgspec.Meta(max_length=3)] = ""
    way: Annotated[str, msgspec.Meta(pattern="^(equal|shares|amounts)$")] = "equal"
    with_me: Annotated[str, msgspec.Meta(max_length=5)] = ""
    share_me: Line = ""
    to_1: Line = ""
    to_2: Line = ""
    to_3: Line = ""
    to_4: Line = ""
    to_5: Line = ""
    to_6: Line = ""
    to_7: Line = ""
    to_8: Line = ""
    share_1: Line = ""
    share_2: Line = ""
    share_3: Line = ""
    share_4: Line = ""
    share_5: Line = ""
    share_6: Line = ""
    share_7: Line = ""
    share_8: Line = ""

    @property
    def rows(self) -> list[tuple[int, str, str]]:
        """The people's fields: number, whom, how much."""
        numbers = range(1, PEOPLE_IN_A_SPLIT + 1)
        return [(n, getattr(self, f"to_{n}"), getattr(self, f"share_{n}")) for n in numbers]


@get("/wallet/split", sync_to_thread=True, include_in_schema=False)
def show_split_form(
    request: Asked, site: Here, source: Annotated[str, QueryParameter(max_length=60)] = ""
) -> Response[str]:
    """The form of a bill, and the bills that were split. source: ``journey:<id>`` or ``payment:<id>`` to split."""
    who = seen(request, site)
    return _split_page(request, who, _form_of(who, source))


def _form_of(who: Seen, source: str) -> SplitForm:
    """The form as it begins: filled in where this person paid what is to be split, else empty."""
    empty = SplitForm(str(new_id()), with_me="yes")
    kind, _, text = source.partition(":")
    try:
        source_id = UUID(text)
    except ValueError:
        return empty
    try:
        with who.site.ctx.tx() as tx:
            if kind == "journey":
                detail = rides.journey(tx, rides.JourneyId(source_id))
                if detail.journey.account_id != who.me or not detail.charges:
                    return empty
                total = Money(
                    sum(one.amount.minor for one in detail.charges), detail.charges[0].amount.currency
                )
                title = view_journey(Places(tx), detail.journey, who.say).title
            elif kind == "payment":
                sale = merchants.get_sale(who.site.ctx, tx, source_id)
                if sale.payer != who.me or sale.state != "paid":
                    return empty
                total = Money(sale.total.minor - sale.refunded_minor, sale.currency)
                title = merchants.get_merchant(tx, sale.merchant_id).shown_name
            else:
                return empty
    except (rides.UnknownJourney, merchants.UnknownSale):
        return empty
    if total.minor <= 0:
        return empty
    return SplitForm(
        split_id=empty.split_id,
        title=title[:NOTE_MAX],
        amount=f"{Decimal(total.minor).scaleb(-CURRENCY_EXPONENTS[total.currency]):f}",
        currency=total.currency,
        with_me="yes",
        source=source,
    )


@post("/wallet/split", sync_to_thread=True, include_in_schema=False)
def split(request: Asked, site: Here, data: Annotated[SplitForm, Form]) -> Response[Any]:
    """Split it, and ask each for their part. Sending the form twice asks once."""
    who = seen(request, site)
    try:
        currency = data.currency or who.currency
        total = Money(read_minor(data.amount, currency, where="amount"), currency)
        way = wallets.SplitWay(data.way)
        kind, _, of = data.source.partition(":")
        made = requests.split(
            site.ctx,
            wallets.NewSplit(
                split_id=_uuid(data.split_id, "split_id"),
                owner_id=who.me,
                title=data.title,
                total=total,
                way=way,
                among=tuple(_among(who, data, way, currency)),
                source_kind=kind or "bill",
                source_id=_uuid(of, "source") if of else None,
            ),
        )
    except HansaError as refused:
        if refused.status >= 500:
            raise
        return _split_page(request, who, data, refused=told(refused, who.say))
    return Redirect(f"/wallet/split/{made.split_id}", status_code=303)


def _among(
    who: Seen, form: SplitForm, way: wallets.SplitWay, currency: str
) -> Sequence[tuple[AccountId, int]]:
    found: list[tuple[AccountId, int]] = []
    if form.with_me:
        found.append((who.me, _weight(form.share_me, way, currency)))
    for number, to, share in form.rows:
        if not to.strip():
            continue
        try:
            receiver, _ = _find(who, SendForm(to=to))
        except wallets.UnknownReceiver as unknown:
            problem = Problem(f"to_{number}", f"nobody is known as {to[:40]}", "Check it with them")
            raise InvalidInput("Somebody is not found.", problems=(problem,)) from unknown
        found.append((receiver.account_id, _weight(share, way, currency)))
    return found


def _weight(text: str, way: wallets.SplitWay, currency: str) -> int:
    if way is wallets.SplitWay.EQUAL:
        return 1
    if way is wallets.SplitWay.AMOUNTS:
        return read_minor(text or "0", currency, where="share")
    if not text.strip().isdigit() or len(text) > 6:
        problem = Problem("share", "is no whole number", "Write shares as 1, 2 or 3")
        raise InvalidInput("A share does not fit.", problems=(problem,))
    return int(text)


def _split_page(request: Asked, who: Seen, form: SplitForm, *, refused: str = "") -> Response[str]:
    with who.site.ctx.tx() as tx:
        made = requests.list_splits(tx, who.me, limit=LISTED)
        balances = balances_of(tx, who)
    return who.show(
        request,
        "wallet/split.html",
        form=form,
        splits=made,
        balances=balances,
        refused=refused,
        note_max=NOTE_MAX,
        status_code=422 if refused else 200,
    )


@get("/wallet/split/{split_id:uuid}", sync_to_thread=True, include_in_schema=False)
def show_split(request: Asked, site: Here, split_id: FromPath[UUID]) -> Response[str]:
    """Who has paid of a bill, and who has not."""
    who = seen(request, site)
    with site.ctx.tx() as tx:
        found = requests.get_split(tx, who.me, split_id)
        names = transfers.names_of(tx, [one.account_id for one in found.shares])
    return who.show(
        request,
        "wallet/split_view.html",
        split=found,
        names=names,
        paid=Money(found.paid_minor, found.currency),
        asked=Money(found.asked_minor, found.currency),
        request_words=_request_words(who.say),
    )


@post("/wallet/split/{split_id:uuid}/cancel", sync_to_thread=True, include_in_schema=False)
def cancel_split(request: Asked, site: Here, split_id: FromPath[UUID]) -> Redirect:
    """Take back what is open."""
    who = seen(request, site)
    requests.cancel_split(site.ctx, who.me, split_id)
    return Redirect(f"/wallet/split/{split_id}", status_code=303)


class AgainForm(msgspec.Struct, frozen=True):
    """Whom to ask again."""

    account_id: UUID


@post("/wallet/split/{split_id:uuid}/again", sync_to_thread=True, include_in_schema=False)
def ask_again(
    request: Asked, site: Here, split_id: FromPath[UUID], data: Annotated[AgainForm, Form]
) -> Redirect:
    """Ask again for a part that was declined or ran out."""
    who = seen(request, site)
    requests.ask_share_again(site.ctx, who.me, split_id, AccountId(data.account_id))
    return Redirect(f"/wallet/split/{split_id}", status_code=303)


ROUTES = [
    show_money,
    show_send,
    check_send,
    send,
    show_transfer,
    cancel_transfer,
    show_link,
    show_claim,
    claim,
    show_requests,
    ask,
    show_request,
    pay_request,
    decline_request,
    cancel_request,
    remind_request,
    show_split_form,
    split,
    show_split,
    cancel_split,
    ask_again,
]
