"""What can be done with cards: offer, apply, decide, renew, suspend, end; and what time does to them."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from uuid import UUID

from hansa import audit, identity, trust
from hansa.cards import fees, store
from hansa.cards.granting import enforce, field_of, follow, get, known_of, prepare, today_in
from hansa.cards.model import (
    WAYS,
    Card,
    CardDiffers,
    CardMoved,
    Known,
    NotEligible,
    Product,
    ProductDiffers,
    State,
    UnknownCard,
    UnknownProduct,
    check_product,
    judge,
    last_day,
    next_warning,
    read_number,
    read_reason,
)
from hansa.cards.telling import tell
from hansa.identity import AccountId, Sealer
from hansa.identity.persons import find_data_key
from hansa.identity.sealing import open_box
from hansa.kernel import fact_id
from hansa.store import Context, Tx

RENEWABLE = timedelta(days=60)
"""How long before its last day a card may be renewed, and its holder is told."""

TOLD: dict[State, str] = {
    "refused": "card.refused",
    "active": "card.unblocked",
    "suspended": "card.blocked",
    "ended": "card.ended",
}
"""Of what a desk decides, which notice and event tells it."""

STANDARD: tuple[Product, ...] = (
    Product(product_id="adult", issuer_id="", city_id="", name="City card", rider_class="adult", face="sea"),
    Product(
        product_id="child",
        issuer_id="",
        city_id="",
        name="Child card",
        rider_class="child",
        face="amber",
        min_level=identity.ProofLevel.NAME,
        max_age=15,
        valid_months=24,
    ),
    Product(
        product_id="student",
        issuer_id="",
        city_id="",
        name="Student card",
        rider_class="student",
        face="plum",
        min_level=identity.ProofLevel.NAME,
        document="Student card or enrolment letter of this term",
        valid_months=12,
    ),
    Product(
        product_id="senior",
        issuer_id="",
        city_id="",
        name="Senior card",
        rider_class="senior",
        face="teal",
        min_level=identity.ProofLevel.NAME,
        min_age=65,
        valid_months=60,
    ),
)
"""What each issuer offers until it says otherwise: a card for everybody, and one for each concession of fares."""


# --- what issuers offer


def offer(tx: Tx, product: Product, *, by: str, at: datetime) -> Product:
    """Offer a card. Again with the same is harmless. Errors: InvalidInput; ProductDiffers; trust.UnknownMember."""
    check_product(product)
    trust.get_member(tx, trust.MemberId(product.issuer_id))
    store.add_product(tx, product, by, at)
    known = store.find_product(tx, product.product_id)
    if known is None or replace(known, status="offered") != replace(product, status="offered"):
        raise ProductDiffers(f"A card product {product.product_id} is known with other content.")
    return known


def set_offered(
    tx: Tx, issuers: Collection[str], product_id: str, *, offered: bool, by: str, reason: str, at: datetime
) -> Product:
    """Offer a product again, or withdraw it; cards that were given stay good. Again changes nothing.

    issuers: for whom whoever asks decides. by, reason: who and why, for the audit record.
    Errors: UnknownProduct, also for another issuer's; InvalidInput without a reason.
    """
    product = get_product(tx, product_id)
    if product.issuer_id not in issuers:
        raise UnknownProduct(f"There is no card product {product_id[:80]!r} of yours.")
    reason = read_reason(reason)
    status = "offered" if offered else "withdrawn"
    if product.status != status:
        store.set_status(tx, product_id, status)
        action = "card.product-offer" if offered else "card.product-withdraw"
        told = {"product": product_id, "name": product.name}
        act = audit.Act(by, action, f"card-product:{product_id}", reason, told, product.issuer_id)
        audit.record(tx, act, at)
    return get_product(tx, product_id)


def get_product(tx: Tx, product_id: str) -> Product:
    """The product. Errors: UnknownProduct."""
    found = store.find_product(tx, product_id)
    if found is None:
        raise UnknownProduct(f"There is no card product {product_id[:80]!r}.")
    return found


def list_products(tx: Tx, *, issuer_id: str | None = None, offered: bool = True) -> list[Product]:
    """Products by city and class, of an issuer or of all. offered: only those that can be had."""
    return store.list_products(tx, issuer_id=issuer_id, status="offered" if offered else None)


def open_products(tx: Tx, issuer_id: str, city_id: str, at: datetime) -> list[Product]:
    """What an issuer offers; where it never said, what every issuer does, kept from now on."""
    if not store.list_products(tx, issuer_id=issuer_id, status=None):
        for one in STANDARD:
            own = replace(
                one, product_id=f"{issuer_id}-{one.product_id}"[:64], issuer_id=issuer_id, city_id=city_id
            )
            store.add_product(tx, own, "standard", at)
    return list_products(tx, issuer_id=issuer_id)


# --- what a person does


def own_cards(ctx: Context, sealer: Sealer, account_id: AccountId) -> list[Card]:
    """An account's cards. One that has none gets the card of the class it rides by: its class goes on.

    Errors: identity.UnknownAccount, store.SecretMissing.
    """
    with ctx.tx() as tx:
        found = store.of_account(tx, account_id)
        if found:
            return found
        account, at = identity.get_account(tx, account_id), ctx.clock.now()
        offered = open_products(tx, account.issuer_id, account.home_city_id, at)
        wanted = next((one for one in offered if one.rider_class == account.rider_class), None)
        if wanted is None:
            return []
        card_id = fact_id(None, "first card", account_id)
        if store.add_card(tx, card_id, account_id, wanted.product_id, at):
            card = get(tx, card_id)
            known = Known(identity.ProofLevel.NONE, None)
            prepare(tx, sealer, card, last_day(wanted, known, today_in(tx, wanted.city_id, at)), at)
            enforce(tx, card_id, at, "opened with", "", told=False)
        return store.of_account(tx, account_id)


def list_own(tx: Tx, account_id: AccountId) -> list[Card]:
    """An account's cards as they are kept, the oldest first."""
    return store.of_account(tx, account_id)


def apply(ctx: Context, sealer: Sealer, account_id: AccountId, card_id: UUID, product_id: str) -> Card:
    """Apply for a card: granted at once where proof suffices, else it waits for the issuer's desk.

    What costs something is in force once it is paid (``fees.pay``, ``fees.take_at_counter``).

    Safe to repeat by ``card_id``. Errors, and nothing is kept then: UnknownProduct, CardHeld, CardDiffers, NotEligible,
    identity.UnknownAccount.
    """
    own_cards(ctx, sealer, account_id)
    with ctx.tx() as tx:
        known_card = store.find_card(tx, card_id)
        if known_card is not None:
            if (known_card.account_id, known_card.product.product_id) != (account_id, product_id):
                raise CardDiffers
            return known_card
        product = get_product(tx, product_id)
        if product.status != "offered":
            raise UnknownProduct(f"{product.name} is not offered any more.")
        at = ctx.clock.now()
        known = known_of(tx, sealer, account_id)
        today = today_in(tx, product.city_id, at)
        verdict = judge(product, known, today)
        if verdict == "refuse":
            raise NotEligible
        if not store.add_card(tx, card_id, account_id, product_id, at):
            return get(tx, card_id)
        card = get(tx, card_id)
        if verdict == "grant":
            prepare(tx, sealer, card, last_day(product, known, today), at)
        if product.costs is not None:
            fees.ask(tx, card, ctx.directory.partition_of(account_id), at, cleared=verdict == "grant")
        elif verdict == "grant":
            enforce(tx, card_id, at, "proof", "")
        return get(tx, card_id)


def renew(ctx: Context, sealer: Sealer, account_id: AccountId, card_id: UUID) -> Card:
    """Go on with a card that runs out soon, where proof suffices still. Again is harmless.

    Errors: UnknownCard; CardMoved where it is not in force or does not run out soon; NotEligible where the desk must
    look again: apply once it has run out.
    """
    with ctx.tx() as tx:
        card = _own(tx, account_id, card_id)
        at = ctx.clock.now()
        today = today_in(tx, card.product.city_id, at)
        if not card.in_force(today) or card.valid_until is None or card.valid_until - today > RENEWABLE:
            raise CardMoved("This card is not in force, or does not run out soon.")
        known = known_of(tx, sealer, account_id)
        until = last_day(card.product, known, today)
        if judge(card.product, known, today) != "grant" or until <= card.valid_until:
            raise NotEligible
        warn = next_warning(until, today)
        store.move(tx, card_id, "active", at, "proof", "renewed", until=until, warn=warn)
        return get(tx, card_id)


def end_own(ctx: Context, account_id: AccountId, card_id: UUID, *, reason: str) -> Card:
    """Give a card back, or say that it was lost; it is good no more. Again is harmless.

    Errors: UnknownCard; FeeMoved while it is being paid.
    """
    with ctx.tx() as tx:
        card = _own(tx, account_id, card_id, lock=True)
        if card.state not in ("ended", "expired", "refused"):
            at = ctx.clock.now()
            fees.drop(tx, card_id, at)
            store.move(tx, card_id, "ended", at, "holder", read_reason(reason))
            follow(tx, account_id, at)
            if card.state != "applied":
                tell(tx, get(tx, card_id), "card.ended", at, reason=reason)
        return get(tx, card_id)


def replace_lost(ctx: Context, sealer: Sealer, account_id: AccountId, card_id: UUID, new_id: UUID) -> Card:
    """Have another card for one that was lost: the old number is good no more from now on; the last day is the same.

    What the wallet holds is the account's and stays. A card that costs something is paid again before it is in force.
    Safe to repeat by ``new_id``. Errors, and nothing changes then: UnknownCard; CardMoved where it is not in force, or
    was replaced by another; CardDiffers for an id that another card has.
    """
    with ctx.tx() as tx:
        old = _own(tx, account_id, card_id, lock=True)
        known = store.find_card(tx, new_id)
        if known is not None:
            if (known.account_id, known.replaces) != (account_id, card_id):
                raise CardDiffers
            return known
        at = ctx.clock.now()
        if not old.in_force(today_in(tx, old.product.city_id, at)) or old.valid_until is None:
            raise CardMoved("This card is not in force, so it cannot be replaced. Apply for another one.")
        store.move(tx, card_id, "ended", at, "holder", "lost")
        tell(tx, get(tx, card_id), "card.ended", at, reason="lost")
        store.add_card(tx, new_id, account_id, old.product.product_id, at, replaces=card_id)
        card = get(tx, new_id)
        prepare(tx, sealer, card, old.valid_until, at)
        if old.product.costs is not None:
            fees.ask(tx, card, ctx.directory.partition_of(account_id), at, cleared=True)
        else:
            enforce(tx, new_id, at, "holder", "replaces one that was lost")
        follow(tx, account_id, at)
        return get(tx, new_id)


def number_of(tx: Tx, sealer: Sealer, card: Card) -> str | None:
    """A card's number, for its holder; None before it is in force, or where its holder's data are destroyed."""
    box = None if card.state == "applied" else store.number_box(tx, card.card_id)
    key = find_data_key(tx, sealer, AccountId(card.account_id)) if box else None
    if box is None or key is None:
        return None
    return open_box(key, box, owner=card.account_id, field=field_of(card.card_id)).decode()


# --- an issuer's desk


def list_cards(
    tx: Tx,
    issuers: Sequence[str],
    *,
    state: State | None = None,
    after: tuple[datetime, UUID] | None = None,
    limit: int = 50,
) -> list[Card]:
    """Cards of these issuers, the oldest application first. after: instant and id of the last one seen."""
    return store.list_cards(tx, issuers, state, after, limit)


def get_card(tx: Tx, issuers: Sequence[str], card_id: UUID) -> Card:
    """A card of one of these issuers. Errors: UnknownCard."""
    found = store.find_card(tx, card_id)
    if found is None or found.product.issuer_id not in issuers:
        raise UnknownCard
    return found


def find_by_number(tx: Tx, sealer: Sealer, issuers: Sequence[str], text: str) -> Card:
    """The card of a number, as it was read or written. Errors: InvalidInput; UnknownCard, for other issuers' too."""
    digests = [one.octets for one in sealer.digests("card", read_number(text))]
    card_id = store.find_number(tx, digests)
    if card_id is None:
        raise UnknownCard
    return get_card(tx, issuers, card_id)


def decide(
    ctx: Context,
    sealer: Sealer,
    issuers: Sequence[str],
    card_id: UUID,
    to: State,
    *,
    by: str,
    reason: str,
) -> Card:
    """Grant or refuse an application, suspend a card, put it in force again, or end it.

    What costs something stays applied for until it is paid, once the desk has granted it: ``fee.cleared`` says so.
    Errors, and nothing changes then: UnknownCard; FeeMoved while it is being paid; CardMoved where it cannot go there
    from where it stands; InvalidInput for a reason that is none.
    """
    why = read_reason(reason)
    with ctx.tx() as tx:
        get_card(tx, issuers, card_id)
        card = get(tx, card_id, lock=True)
        granted = card.state == "applied" and to == "active"
        if to not in WAYS[card.state] or to == "expired" or (granted and card.fee and card.fee.cleared):
            raise CardMoved(f"A card that is {card.state} cannot become {to}.")
        at = ctx.clock.now()
        account_id = AccountId(card.account_id)
        today = today_in(tx, card.product.city_id, at)
        if granted:
            known = known_of(tx, sealer, account_id)
            prepare(tx, sealer, card, last_day(card.product, known, today), at)
        if granted and card.fee is not None:
            store.move(tx, card_id, "applied", at, by, why)
            fees.clear(tx, card, at)
        elif granted:
            enforce(tx, card_id, at, by, why)
        else:
            fees.drop(tx, card_id, at)
            warn = next_warning(card.valid_until, today) if to == "active" and card.valid_until else None
            store.move(tx, card_id, to, at, by, why, warn=warn)
            tell(tx, get(tx, card_id), TOLD[to], at, reason=why)
        follow(tx, account_id, at)
        audit.record(
            tx,
            audit.Act(
                by,
                f"card.{to}",
                f"card:{card_id}",
                why,
                {"product": card.product.product_id},
                card.product.issuer_id,
            ),
            at,
        )
        return get(tx, card_id)


def history(tx: Tx, card: Card) -> list[tuple[State, datetime, str, str]]:
    """What happened to a card, in order: state, when, by whom, why."""
    return store.events(tx, card.card_id)


# --- by itself


def turn(ctx: Context, *, limit: int = 500) -> int:
    """What time does: cards run out, holders are told before, payments that a crash left are ended; how many."""
    at = ctx.clock.now()
    with ctx.tx() as tx:
        over = 0
        # A day is over first where the sun rises first: each card is asked by its own city's clock.
        for card in store.due(tx, at.date() + timedelta(days=1), limit):
            if card.valid_until is not None and card.valid_until < today_in(tx, card.product.city_id, at):
                store.move(tx, card.card_id, "expired", at, "time", "its last day is over")
                follow(tx, AccountId(card.account_id), at)
                tell(tx, get(tx, card.card_id), "card.expired", at)
                over += 1
        for card_id, warn_on in store.to_warn(tx, at.date() + timedelta(days=1), limit):
            over += _warn(tx, get(tx, card_id), warn_on, at)
    return over + fees.finish(ctx, limit=limit)


# --- inside


def _warn(tx: Tx, card: Card, warn_on: date, at: datetime) -> bool:
    """Tell the holder that a card runs out, once that day has come in the card's city."""
    assert card.valid_until is not None, "a card in force has a last day"
    today = today_in(tx, card.product.city_id, at)
    if today < warn_on:
        return False
    again = next_warning(card.valid_until, today)
    tell(tx, card, "card.expiring", at, fact=(card.valid_until, again))
    store.warned(tx, card.card_id, again)
    return True


def _own(tx: Tx, account_id: AccountId, card_id: UUID, *, lock: bool = False) -> Card:
    found = store.find_card(tx, card_id, lock=lock)
    if found is None or found.account_id != account_id:
        raise UnknownCard
    return found
