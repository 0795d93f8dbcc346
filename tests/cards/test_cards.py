"""City cards: who gets one at once, who waits for the desk, how one lives, and by which class its holder rides."""

from dataclasses import replace
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa import cards, identity, trust
from hansa.cards import model
from hansa.cards.actions import STANDARD
from hansa.identity import AccountId, ProofLevel, Sealer
from hansa.identity.persons import note_birth
from hansa.kernel import InvalidInput, fact_id
from hansa.store import Context, read_secret

ISSUER, OTHER = "hangzhou-card", "toronto-card"
DAY = date(2026, 11, 17)
PRODUCT = replace(STANDARD[1], product_id="x", issuer_id=ISSUER, city_id="hangzhou")


@pytest.fixture
def sealer(tmp_path: Path) -> Sealer:
    read = partial(read_secret, folder=tmp_path, make=True)
    return Sealer(partial(read, identity.PERSONAL_DATA), partial(read, identity.LOOKUPS))


def rider(ctx: Context, number: int, rider_class: identity.RiderClass = "adult") -> AccountId:
    account_id = AccountId(fact_id(None, "card rider", number))
    account = identity.Account(
        account_id, f"Rider {number}", ISSUER, "hangzhou", rider_class, "en", ctx.clock.now()
    )
    with ctx.tx() as tx:
        known = {one.member_id for one in trust.list_members(tx)}
        for name in {ISSUER, OTHER} - known:
            member = trust.Member(
                trust.MemberId(name),
                name,
                "issuer",
                name.partition("-")[0],
                trust.MemberId(name),
                f"T-{name}",
            )
            trust.add_members(tx, [member])
        identity.open_accounts(tx, [account])
    return account_id


def class_of(ctx: Context, account_id: AccountId) -> str:
    with ctx.tx() as tx:
        return identity.get_account(tx, account_id).rider_class


def proved(ctx: Context, sealer: Sealer, account_id: AccountId, born: date) -> None:
    with ctx.tx() as tx:
        note_birth(tx, sealer, account_id, born, source="proof", at=ctx.clock.now())
        tx.execute(
            "insert into identity.contacts (contact_id, account_id, kind, box, digest, digest_version, state, asked_at,"
            " verified_at) values (%s, %s, 'email', '', decode(repeat('00', 32), 'hex'), 1, 'verified', now(), now())",
            (fact_id(None, "contact", account_id), account_id),
        )


# product | what is known | day | verdict
JUDGED = [
    ({}, (ProofLevel.NAME, date(2015, 1, 1)), "grant"),
    ({}, (ProofLevel.NAME, date(2010, 11, 18)), "grant"),
    ({}, (ProofLevel.NAME, date(2010, 11, 17)), "refuse"),
    ({}, (ProofLevel.CONTACT, date(2015, 1, 1)), "desk"),
    ({}, (ProofLevel.DOCUMENT, None), "desk"),
    ({"document": "a letter"}, (ProofLevel.DOCUMENT, date(2015, 1, 1)), "desk"),
    ({"document": "a letter"}, (ProofLevel.DOCUMENT, date(1990, 1, 1)), "refuse"),
    ({"max_age": None, "min_age": 65}, (ProofLevel.NAME, date(1961, 11, 17)), "grant"),
    ({"max_age": None, "min_age": 65}, (ProofLevel.NAME, date(1961, 11, 18)), "refuse"),
    ({"max_age": None, "min_level": ProofLevel.NONE}, (ProofLevel.NONE, None), "grant"),
]


@pytest.mark.parametrize(("changed", "known", "verdict"), JUDGED)
def test_proof_grants_contradicts_or_leaves_it_to_the_desk(
    changed: dict[str, object], known: tuple[ProofLevel, date | None], verdict: str
) -> None:
    product = replace(PRODUCT, **changed)  # type: ignore[arg-type]

    assert model.judge(product, model.Known(*known), DAY) == verdict


@given(
    born=st.dates(date(1900, 1, 1), date(2026, 1, 1)),
    day=st.dates(date(2026, 1, 1), date(2060, 1, 1)),
    months=st.integers(1, 240),
    most=st.none() | st.integers(0, 130),
)
def test_a_card_never_outlives_its_holders_age(born: date, day: date, months: int, most: int | None) -> None:
    product = replace(PRODUCT, valid_months=months, max_age=most)

    until = model.last_day(product, model.Known(ProofLevel.NAME, born), day)

    if most is not None and model.age_on(born, day) <= most:
        assert until >= day and model.age_on(born, until) <= most
    if most is None:
        assert (until.year * 12 + until.month) - (day.year * 12 + day.month) == months


@given(st.integers(0, 15), st.integers(1, 9))
def test_a_number_with_one_wrong_digit_is_found_out(place: int, more: int) -> None:
    number = model.new_number()
    wrong = number[:place] + str((int(number[place]) + more) % 10) + number[place + 1 :]

    assert model.read_number(f"{number[:4]} {number[4:8]}-{number[8:]}") == number
    with pytest.raises(InvalidInput):
        model.read_number(wrong)


def test_who_rides_already_gets_the_card_of_that_class(ctx: Context, sealer: Sealer) -> None:
    senior = rider(ctx, 1, "senior")

    (card,) = cards.own_cards(ctx, sealer, senior)

    assert cards.own_cards(ctx, sealer, senior) == [card]
    assert (card.state, card.product.rider_class, class_of(ctx, senior)) == ("active", "senior", "senior")
    with ctx.tx() as tx:
        number = cards.number_of(tx, sealer, card)
        assert number is not None and number[-4:] == card.number_end
        assert cards.find_by_number(tx, sealer, [ISSUER], number) == card
        with pytest.raises(cards.UnknownCard):
            cards.find_by_number(tx, sealer, [OTHER], number)
        kept = tx.execute("select number_box from cards.cards").fetchone()
        assert kept is not None and number.encode() not in bytes(kept[0])


def test_a_class_follows_the_cards_in_force(ctx: Context, sealer: Sealer) -> None:
    """A desk grants a student card; it is suspended, goes on, and runs out; each time the class follows."""
    student = rider(ctx, 2)
    cards.own_cards(ctx, sealer, student)
    card_id = fact_id(None, "student card")

    card = cards.apply(ctx, sealer, student, card_id, f"{ISSUER}-student")

    assert card.state == "applied" and class_of(ctx, student) == "adult"
    assert cards.apply(ctx, sealer, student, card_id, f"{ISSUER}-student") == card
    with pytest.raises(cards.CardHeld):
        cards.apply(ctx, sealer, student, fact_id(None, "again"), f"{ISSUER}-student")
    with pytest.raises(cards.CardDiffers):
        cards.apply(ctx, sealer, student, card_id, f"{ISSUER}-child")

    def decided(to: cards.State, why: str = "saw the letter") -> cards.Card:
        return cards.decide(ctx, sealer, [ISSUER], card_id, to, by="desk:ann", reason=why)

    for refused, error in (("expired", cards.CardMoved), ("suspended", cards.CardMoved)):
        with pytest.raises(error):
            decided(refused)  # type: ignore[arg-type]
    with pytest.raises(InvalidInput):
        decided("active", "  ")
    with pytest.raises(cards.UnknownCard):
        cards.decide(ctx, sealer, [OTHER], card_id, "active", by="x", reason="y")
    assert class_of(ctx, student) == "adult"

    card = decided("active")
    assert class_of(ctx, student) == "student" and card.valid_until == date(2027, 11, 17)
    decided("suspended", "a question")
    assert class_of(ctx, student) == "adult"
    decided("active")
    ctx.clock.at += timedelta(days=364)  # type: ignore[attr-defined]
    assert cards.turn(ctx) == 1 and cards.turn(ctx) == 0, "its holder is told that it runs out"
    assert class_of(ctx, student) == "student"
    ctx.clock.at += timedelta(days=3)  # type: ignore[attr-defined]
    assert cards.turn(ctx) == 1 and cards.turn(ctx) == 0
    assert class_of(ctx, student) == "adult"
    with pytest.raises(cards.CardMoved):
        decided("active")
    with ctx.tx() as tx:
        (card,) = list(cards.list_cards(tx, [ISSUER], state="expired"))
        assert [state for state, *_ in cards.history(tx, card)] == [
            "active", "suspended", "active", "expired",
        ]  # fmt: skip


def test_proof_of_age_grants_at_once_and_what_it_contradicts_is_refused(ctx: Context, sealer: Sealer) -> None:
    elder = rider(ctx, 3)
    with ctx.tx() as tx:
        easy = replace(
            STANDARD[3],
            product_id="easy-senior",
            issuer_id=ISSUER,
            city_id="hangzhou",
            min_level=ProofLevel.CONTACT,
        )
        cards.offer(tx, easy, by="me", at=ctx.clock.now())
        assert cards.offer(tx, easy, by="me", at=ctx.clock.now()).product_id == "easy-senior"
        with pytest.raises(cards.ProductDiffers):
            cards.offer(tx, replace(easy, name="Other"), by="me", at=ctx.clock.now())
        with pytest.raises(InvalidInput):
            cards.offer(tx, replace(easy, product_id="A b", valid_months=0), by="me", at=ctx.clock.now())
        young = replace(easy, product_id="young", rider_class="child", min_age=None, max_age=15)
        cards.offer(tx, young, by="me", at=ctx.clock.now())
    proved(ctx, sealer, elder, date(1950, 3, 1))

    card = cards.apply(ctx, sealer, elder, fact_id(None, "senior"), "easy-senior")

    assert (card.state, class_of(ctx, elder)) == ("active", "senior")
    with pytest.raises(cards.NotEligible):
        cards.apply(ctx, sealer, elder, fact_id(None, "young"), "young")
    assert {one.product.product_id for one in cards.own_cards(ctx, sealer, elder)} >= {"easy-senior"}
    with pytest.raises(cards.CardMoved):
        cards.renew(ctx, sealer, elder, card.card_id)
    assert card.valid_until is not None
    ctx.clock.at += card.valid_until - DAY - timedelta(days=10)  # type: ignore[attr-defined]
    longer = cards.renew(ctx, sealer, elder, card.card_id)
    assert longer.valid_until is not None and longer.valid_until > card.valid_until
    ended = cards.end_own(ctx, elder, card.card_id, reason="lost")
    assert cards.end_own(ctx, elder, card.card_id, reason="lost") == ended
    assert class_of(ctx, elder) == "adult"
    with pytest.raises(cards.UnknownCard):
        cards.end_own(ctx, rider(ctx, 4), card.card_id, reason="lost")


def test_a_card_of_another_city_stands_beside_and_changes_no_class(ctx: Context, sealer: Sealer) -> None:
    guest = rider(ctx, 5)
    with ctx.tx() as tx:
        visitor = replace(
            STANDARD[3], product_id="visitor", issuer_id=OTHER, city_id="toronto", min_level=ProofLevel.NONE,
            min_age=None,
        )  # fmt: skip
        cards.offer(tx, visitor, by="me", at=ctx.clock.now())

    card = cards.apply(ctx, sealer, guest, fact_id(None, "visitor"), "visitor")

    assert card.state == "active" and class_of(ctx, guest) == "adult"
    assert {one.product.city_id for one in cards.own_cards(ctx, sealer, guest)} == {"hangzhou", "toronto"}
    with ctx.tx() as tx:
        said: dict[str, Any] = {"by": "me", "reason": "no more tourists", "at": ctx.clock.now()}
        cards.set_offered(tx, [OTHER], "visitor", offered=False, **said)
        with pytest.raises(cards.UnknownProduct):
            cards.set_offered(tx, [ISSUER], "visitor", offered=True, **said)
    with pytest.raises(cards.UnknownProduct):
        cards.apply(ctx, sealer, rider(ctx, 6), fact_id(None, "late"), "visitor")
