"""How a card comes into force: its number, its last day, and the class by which its holder rides from then on."""

from datetime import date, datetime
from uuid import UUID

from hansa import atlas, identity
from hansa.cards import store
from hansa.cards.model import Card, Known, UnknownCard, class_of, new_number, next_warning
from hansa.cards.telling import tell
from hansa.identity import AccountId, Sealer
from hansa.identity.actions import set_rider_class
from hansa.identity.persons import data_key
from hansa.identity.sealing import seal
from hansa.kernel import service_day
from hansa.store import Tx


def get(tx: Tx, card_id: UUID, *, lock: bool = False) -> Card:
    """The card. Errors: UnknownCard."""
    found = store.find_card(tx, card_id, lock=lock)
    if found is None:
        raise UnknownCard
    return found


def prepare(tx: Tx, sealer: Sealer, card: Card, until: date, at: datetime) -> None:
    """Give a card its number, sealed with its holder's key, and its last day. It is not in force by that."""
    key = data_key(tx, sealer, AccountId(card.account_id), at)
    while True:
        number = new_number()
        digest = sealer.digest("card", number)
        if store.add_number(tx, digest.octets, digest.version, card.card_id):
            break
    box = seal(key, number.encode(), owner=card.account_id, field=field_of(card.card_id))
    store.prepare(tx, card.card_id, box, number[-4:], until)


def enforce(tx: Tx, card_id: UUID, at: datetime, by: str, reason: str, *, told: bool = True) -> None:
    """Put a card in force that has its number, and have its holder ride as their cards say; told: they hear of it."""
    card = get(tx, card_id)
    assert card.valid_until is not None, "a card has its last day before it is in force"
    warn = next_warning(card.valid_until, today_in(tx, card.product.city_id, at))
    store.move(tx, card_id, "active", at, by, reason, warn=warn)
    follow(tx, AccountId(card.account_id), at)
    if told:
        tell(tx, get(tx, card_id), "card.issued", at)


def follow(tx: Tx, account_id: AccountId, at: datetime) -> None:
    """Have the account ride as its cards in force say. Tokens that phones hold are replaced when those ask next."""
    account = identity.get_account(tx, account_id)
    today = today_in(tx, account.home_city_id, at)
    wanted = class_of(store.of_account(tx, account_id), account.issuer_id, today)
    if wanted != account.rider_class:
        set_rider_class(tx, account_id, wanted)


def known_of(tx: Tx, sealer: Sealer, account_id: AccountId) -> Known:
    """What is known of a person that a card may ask for."""
    birth = identity.find_birth(tx, sealer, account_id)
    proved = birth.born if birth is not None and birth.source == "proof" else None
    return Known(identity.proof_level(tx, account_id), proved)


def today_in(tx: Tx, city_id: str, at: datetime) -> date:
    """The day of a city's clock; of UTC for a city that is not known."""
    try:
        return service_day(at, atlas.get_city(tx, city_id).tz)
    except atlas.UnknownCity:
        return at.date()


def field_of(card_id: UUID) -> str:
    """What a card's number is called where it is sealed."""
    return f"card/{card_id}"
