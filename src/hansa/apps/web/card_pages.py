"""City cards: a person's own, those that can be had, and the console's desk where applications are decided."""

from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from litestar import Request, Response, get, post
from litestar.enums import RequestEncodingType
from litestar.params import Body, FromPath, QueryParameter
from litestar.response import Redirect

from hansa import approval, atlas, cards, identity, payments, trust
from hansa.apps.web.callers import get_account, get_operator, get_signed_in
from hansa.apps.web.clerks import clerk_of, reader_of
from hansa.apps.web.console import member_names
from hansa.apps.web.console_looks import desk_of
from hansa.apps.web.journey_views import city_name
from hansa.apps.web.languages import Words, spoken, words_for
from hansa.apps.web.me_view import means, zone_of
from hansa.apps.web.pages import CLASS_NAMES, page
from hansa.apps.web.site import Here, Site
from hansa.cards import Product
from hansa.identity import AccountId, ProofLevel
from hansa.kernel import HansaError, InvalidInput, Money, Problem, new_id
from hansa.store import Tx
from hansa.trust.staff_model import own_of

Asked = Request[Any, Any, Any]
Form = Body(media_type=RequestEncodingType.URL_ENCODED)
Text = Annotated[str, msgspec.Meta(max_length=600)]
Done = Annotated[str, QueryParameter(max_length=20)]
CARDS = "/wallet/cards"
DESK = "/console/cards"
LISTED = 50

STATE_WORDS = {
    "applied": "waits for the issuer",
    "refused": "refused",
    "active": "in force",
    "suspended": "suspended",
    "expired": "run out",
    "ended": "ended",
}

LEVEL_ASKED = {
    ProofLevel.NONE: "no proof",
    ProofLevel.CONTACT: "a verified e-mail address or number",
    ProofLevel.NAME: "a proved name",
    ProofLevel.DOCUMENT: "a proved document",
}

MOVES: dict[str, tuple[cards.State, ...]] = {
    "applied": ("active", "refused"),
    "active": ("suspended", "ended"),
    "suspended": ("active", "ended"),
}
"""What a desk may do with a card that stands so."""


class ApplyForm(msgspec.Struct, frozen=True):
    """Which card. card_id: made with the form."""

    card_id: Text = ""
    product_id: Text = ""


class EndForm(msgspec.Struct, frozen=True):
    """Why a card ends: it was lost, or is not wanted any more."""

    why: Literal["lost", "unwanted"] = "unwanted"
    sure: Text = ""


class LostForm(msgspec.Struct, frozen=True):
    """Another card for one that was lost. card_id: made with the form."""

    card_id: Text = ""
    sure: Text = ""


class HandInForm(msgspec.Struct, frozen=True):
    """Where the deposit of a card that was handed in goes."""

    to: Literal["wallet", "counter"] = "wallet"


class DeskForm(msgspec.Struct, frozen=True):
    """A decision at the desk."""

    to: Literal["", "active", "refused", "suspended", "ended"] = ""
    reason: Text = ""


class OfferedForm(msgspec.Struct, frozen=True):
    """Whether a card can be had from now on, and why that changes."""

    offered: Literal["yes", "no"]
    reason: Text = ""


# --- the wallet


@get(CARDS, sync_to_thread=True, include_in_schema=False)
def show_cards(request: Asked, site: Here) -> Response[str]:
    """Cards side by side, and what else can be had."""
    account = get_account(request, site)
    return _wallet_page(request, site, account)


@post(CARDS, sync_to_thread=True, include_in_schema=False)
def apply(request: Asked, site: Here, data: Annotated[ApplyForm, Form]) -> Response[Any]:
    """Apply for a card."""
    account = get_account(request, site)
    try:
        card_id = UUID(data.card_id)
    except ValueError:
        card_id = new_id()
    try:
        card = cards.apply(site.ctx, means(site).sealer, account.account_id, card_id, data.product_id)
    except (cards.CardHeld, cards.UnknownProduct, cards.NotEligible, cards.CardDiffers) as refused:
        return _wallet_page(request, site, account, refused=refused)
    return Redirect(f"{CARDS}/{card.card_id}", status_code=303)


@get(f"{CARDS}/{{card_id:uuid}}", sync_to_thread=True, include_in_schema=False)
def show_card(request: Asked, site: Here, card_id: FromPath[UUID]) -> Response[str]:
    """One card: its number, until when it is good, what happened to it."""
    return _card_page(request, site, get_account(request, site), card_id)


@post(f"{CARDS}/{{card_id:uuid}}/renew", sync_to_thread=True, include_in_schema=False)
def renew(request: Asked, site: Here, card_id: FromPath[UUID]) -> Response[Any]:
    """Go on with it."""
    account = get_account(request, site)
    try:
        cards.renew(site.ctx, means(site).sealer, account.account_id, card_id)
    except (cards.CardMoved, cards.NotEligible) as refused:
        return _card_page(request, site, account, card_id, refused=refused)
    return Redirect(f"{CARDS}/{card_id}", status_code=303)


@post(f"{CARDS}/{{card_id:uuid}}/end", sync_to_thread=True, include_in_schema=False)
def end(request: Asked, site: Here, card_id: FromPath[UUID], data: Annotated[EndForm, Form]) -> Response[Any]:
    """Give it back, or say that it was lost."""
    account = get_account(request, site)
    if not data.sure:
        problem = Problem("sure", "it is not ticked", "Tick it, if the card shall end")
        return _card_page(request, site, account, card_id, refused=InvalidInput(problems=(problem,)))
    try:
        cards.end_own(site.ctx, account.account_id, card_id, reason=data.why)
    except cards.FeeMoved as refused:
        return _card_page(request, site, account, card_id, refused=refused)
    return Redirect(f"{CARDS}/{card_id}", status_code=303)


@post(f"{CARDS}/{{card_id:uuid}}/pay", sync_to_thread=True, include_in_schema=False)
def pay(request: Asked, site: Here, card_id: FromPath[UUID]) -> Response[Any]:
    """Pay it from the wallet, once however often the button is pressed."""
    session, account = get_signed_in(request, site)
    try:
        card = cards.pay(site.ctx, account.account_id, card_id, session_at=session.authenticated_at)
    except cards.UnknownCard:
        raise
    except HansaError as refused:
        if refused.status >= 500:
            raise
        return _card_page(request, site, account, card_id, refused=refused)
    address = f"{CARDS}/{card_id}"
    if card.fee is not None and card.fee.state == "approving":
        address = f"/wallet/approvals/{approval.approval_id_of('card', cards.spend_of(card.fee))}"
    return Redirect(address, status_code=303)


@post(f"{CARDS}/{{card_id:uuid}}/replace", sync_to_thread=True, include_in_schema=False)
def replace(
    request: Asked, site: Here, card_id: FromPath[UUID], data: Annotated[LostForm, Form]
) -> Response[Any]:
    """It was lost: block its number, and have another one."""
    account = get_account(request, site)
    if not data.sure:
        problem = Problem("sure", "it is not ticked", "Tick it, if the card shall be blocked")
        return _card_page(request, site, account, card_id, refused=InvalidInput(problems=(problem,)))
    try:
        new_card = UUID(data.card_id)
    except ValueError:
        new_card = new_id()
    try:
        card = cards.replace_lost(site.ctx, means(site).sealer, account.account_id, card_id, new_card)
    except (cards.CardMoved, cards.CardDiffers) as refused:
        return _card_page(request, site, account, card_id, refused=refused)
    return Redirect(f"{CARDS}/{card.card_id}", status_code=303)


def _wallet_page(
    request: Asked, site: Site, account: identity.Account, *, refused: HansaError | None = None
) -> Response[str]:
    say = words_for(request, account_language=account.language)
    own = cards.own_cards(site.ctx, means(site).sealer, account.account_id)
    with site.ctx.tx() as tx:
        held = {one.product.product_id for one in own if one.state in ("applied", "active", "suspended")}
        offered = [one for one in cards.list_products(tx) if one.product_id not in held]
        cities = _cities(tx, say)
        issuers = {one.member_id: one.name for one in trust.list_members(tx)}
    live = [one for one in own if one.state in ("applied", "active", "suspended")]
    return _spoken(
        request,
        account,
        say,
        "wallet/cards.html",
        refused=_told(refused, say),
        live=live,
        past=[one for one in own if one not in live],
        home=[one for one in offered if one.issuer_id == account.issuer_id],
        away=[one for one in offered if one.issuer_id != account.issuer_id],
        cities=cities,
        issuers=issuers,
        asks={one.product_id: _asks(one, say) for one in offered},
        state_words=STATE_WORDS,
        class_words=CLASS_NAMES,
        fresh_id=new_id,
        rides_as=say(CLASS_NAMES[account.rider_class]),
    )


def _card_page(
    request: Asked, site: Site, account: identity.Account, card_id: UUID, *, refused: HansaError | None = None
) -> Response[str]:
    say = words_for(request, account_language=account.language)
    sealer = means(site).sealer
    own = {one.card_id: one for one in cards.own_cards(site.ctx, sealer, account.account_id)}
    if card_id not in own:
        raise cards.UnknownCard
    card = own[card_id]
    with site.ctx.tx() as tx:
        number = cards.number_of(tx, sealer, card)
        history = cards.history(tx, card)
        cities = _cities(tx, say)
        issuer = trust.get_member(tx, trust.MemberId(card.product.issuer_id)).name
        zone = zone_of(tx, account)
        partition = site.ctx.directory.partition_of(account.account_id)
        held = {one.currency for one in payments.balance_of(tx, account.account_id, partition=partition)}
    today = site.ctx.clock.now().date()
    soon = card.valid_until is not None and card.valid_until - today <= cards.RENEWABLE
    return _spoken(
        request,
        account,
        say,
        "wallet/card.html",
        zone=zone,
        refused=_told(refused, say),
        card=card,
        number=" ".join(number[at : at + 4] for at in range(0, 16, 4)) if number else "",
        history=history,
        cities=cities,
        issuer=issuer,
        renewable=card.state == "active" and soon,
        own_issuer=card.product.issuer_id == account.issuer_id,
        by_quote=card.fee is not None and card.fee.currency not in held,
        fresh_id=new_id,
        state_words=STATE_WORDS,
        class_words=CLASS_NAMES,
    )


def _asks(product: Product, say: Words) -> str:
    """What a card asks of its holder, in a sentence."""
    parts: list[str] = []
    if product.min_age is not None:
        parts.append(say("from {age} years", age=product.min_age))
    if product.max_age is not None:
        parts.append(say("up to {age} years", age=product.max_age))
    if product.min_level:
        parts.append(say(LEVEL_ASKED[product.min_level]))
    if product.costs is not None:
        parts.append(say("costs {amount}", amount=product.costs))
    if product.deposit_minor:
        parts.append(
            say("{amount} of it is a deposit", amount=Money(product.deposit_minor, product.currency))
        )
    if product.document:
        parts.append(say("shown at the desk: {document}", document=say(product.document)))
    return " · ".join(parts) or say("for everybody")


def _told(refused: HansaError | None, say: Words) -> str:
    if refused is None:
        return ""
    if refused.problems:
        return " ".join(say(one.remedy) + "." for one in refused.problems)
    return say(refused.detail)


def _cities(tx: Tx, say: Words) -> dict[str, str]:
    return {one.city_id: city_name(one, say) for one in atlas.list_cities(tx)}


def _spoken(
    request: Asked, account: identity.Account, say: Words, template: str, *, refused: str, **values: Any
) -> Response[str]:
    answer = page(
        template,
        here="me",
        account=account,
        say=say,
        refused=refused,
        status_code=409 if refused else 200,
        **values,
    )
    return spoken(answer, say, request)


# --- the console's desk


@get(DESK, sync_to_thread=True, include_in_schema=False)
def show_desk(
    request: Asked,
    site: Here,
    number: Annotated[str, QueryParameter(max_length=40)] = "",
    done: Done = "",
) -> Response[str]:
    """Who waits for a card, the oldest first; and any card by its number."""
    return _desk_page(request, site, number=number, done=done)


@post(f"{DESK}/{{card_id:uuid}}", sync_to_thread=True, include_in_schema=False)
def decide(
    request: Asked, site: Here, card_id: FromPath[UUID], data: Annotated[DeskForm, Form]
) -> Response[Any]:
    """Grant, refuse, suspend, put in force again, or end, with the reason."""
    own, by = _own(request, site), clerk_of(request, site)
    if not data.to:
        problem = Problem("to", "nothing was chosen", "Choose what becomes of the card")
        return _desk_page(request, site, refused=InvalidInput("Nothing was decided.", problems=(problem,)))
    try:
        cards.decide(site.ctx, means(site).sealer, own, card_id, data.to, by=by, reason=data.reason)
    except (cards.CardMoved, cards.FeeMoved, InvalidInput) as refused:
        return _desk_page(request, site, refused=refused)
    return Redirect(f"{DESK}?done={data.to}", status_code=303)


@post(f"{DESK}/{{card_id:uuid}}/paid", sync_to_thread=True, include_in_schema=False)
def take_payment(request: Asked, site: Here, card_id: FromPath[UUID]) -> Response[Any]:
    """The money for a card was taken over the counter: it is in force."""
    own, by = _own(request, site), clerk_of(request, site)
    try:
        cards.take_at_counter(site.ctx, own, card_id, by=by)
    except (cards.NotCleared, cards.FeeMoved) as refused:
        return _desk_page(request, site, refused=refused)
    return Redirect(f"{DESK}?done=active", status_code=303)


@post(f"{DESK}/{{card_id:uuid}}/returned", sync_to_thread=True, include_in_schema=False)
def take_back(
    request: Asked, site: Here, card_id: FromPath[UUID], data: Annotated[HandInForm, Form]
) -> Response[Any]:
    """A card was handed in: it ends, and its deposit goes back."""
    own, by = _own(request, site), clerk_of(request, site)
    try:
        cards.hand_in(site.ctx, own, card_id, to=data.to, by=by)
    except (cards.NoDeposit, cards.PaidAtCounter) as refused:
        return _desk_page(request, site, refused=refused)
    return Redirect(f"{DESK}?done=ended", status_code=303)


@post(f"{DESK}/products/{{product_id:str}}", sync_to_thread=True, include_in_schema=False)
def set_offered(
    request: Asked, site: Here, product_id: FromPath[str], data: Annotated[OfferedForm, Form]
) -> Response[Any]:
    """Offer a card again, or no more, with the reason; those that were given stay good."""
    own, by = _own(request, site), clerk_of(request, site)
    at, offered = site.ctx.clock.now(), data.offered == "yes"
    try:
        with site.ctx.tx() as tx:
            cards.set_offered(tx, own, product_id, offered=offered, by=by, reason=data.reason, at=at)
    except InvalidInput as refused:
        return _desk_page(request, site, refused=refused)
    return Redirect(f"{DESK}?done={'offered' if offered else 'withdrawn'}", status_code=303)


def _desk_page(
    request: Asked, site: Site, *, number: str = "", done: str = "", refused: HansaError | None = None
) -> Response[str]:
    own, reader, now = _own(request, site), reader_of(request, site), site.ctx.clock.now()
    with site.ctx.tx() as tx:
        found = None
        if number:
            try:
                found = cards.find_by_number(tx, means(site).sealer, own, number)
            except (InvalidInput, cards.UnknownCard) as error:
                refused = error
        shown = [found] if found else cards.list_cards(tx, own, state="applied", limit=LISTED)
        holders = identity.find_accounts(tx, [AccountId(one.account_id) for one in shown])
        levels = identity.proof_levels(tx, [AccountId(one.account_id) for one in shown])
        for one in shown:
            identity.saw(tx, AccountId(one.account_id), reader, "profile", "deciding on a card", now)
        products = [one for one in cards.list_products(tx, offered=False) if one.issuer_id in own]
        names = member_names(tx)
    return page(
        "console/cards.html",
        here="cards",
        desk=desk_of(request, site),
        number=number,
        done=STATE_WORDS.get(done, ""),
        changed=done if done in ("offered", "withdrawn") else "",
        refused=refused,
        cards=shown,
        by_number=found is not None,
        holders=holders,
        levels={account_id: level.name.lower() for account_id, level in levels.items()},
        moves=MOVES,
        state_words=STATE_WORDS,
        products=products,
        names=names,
        status_code=200 if refused is None else refused.status,
    )


def _own(request: Asked, site: Site) -> list[str]:
    """The issuers this desk decides for: a member's own, or for the league's staff all.

    Errors: trust.NotSignedIn, trust.NotAllowed.
    """
    operator = get_operator(request, site)
    with site.ctx.tx() as tx:
        members = trust.list_members(tx)
    if operator.member_id is None or operator.kind == "league":
        return [one.member_id for one in members]
    return sorted(own_of(operator.member_id, {one.member_id: one.clears_as for one in members}))


ROUTES = [
    show_cards,
    apply,
    show_card,
    renew,
    end,
    pay,
    replace,
    show_desk,
    decide,
    take_payment,
    take_back,
    set_offered,
]
