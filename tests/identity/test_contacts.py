"""Contacts: read in one form, verified by a code with few tries; a recycled number changes hands, no account does."""

from datetime import timedelta

import pytest

from hansa import identity
from hansa.identity import ContactKind, ProofLevel, Sealer
from hansa.kernel import FixedClock, InvalidInput
from hansa.store import Context, TooOften
from identity.sealed import Keys
from identity.test_accounts import rider

ONE, TWO = rider(1).account_id, rider(2).account_id
NUMBER = "+86 138 0013 8000"


@pytest.fixture
def keys() -> Keys:
    return Keys()


@pytest.fixture
def sealer(keys: Keys) -> Sealer:
    return keys.sealer()


@pytest.fixture
def opened(ctx: Context) -> Context:
    with ctx.tx() as tx:
        identity.open_accounts(tx, [rider(1), rider(2)])
    return ctx


def ask(
    ctx: Context, sealer: Sealer, account: identity.AccountId, text: str, kind: ContactKind = "phone"
) -> identity.CodeToSend:
    return identity.ask_contact(ctx, sealer, account, kind, text, country="CN")


def verify(ctx: Context, sealer: Sealer, account: identity.AccountId, sent: identity.CodeToSend):
    return identity.verify_contact(ctx, sealer, account, sent.contact.contact_id, sent.code)


def pass_time(ctx: Context, time: timedelta) -> None:
    assert isinstance(ctx.clock, FixedClock)
    ctx.clock.at += time


def verified(ctx: Context, sealer: Sealer, account: identity.AccountId) -> dict[ContactKind, str | None]:
    with ctx.tx() as tx:
        return {kind: one.value for kind, one in identity.contact_of(tx, sealer, account).items()}


@pytest.mark.parametrize(
    ("kind", "text", "country", "read"),
    [
        ("phone", "138 0013 8000", "CN", "+8613800138000"),
        ("phone", "+86-138-0013-8000", "GB", "+8613800138000"),
        ("phone", "０１２１ 496 0000", "GB", "+441214960000"),
        ("phone", "07400 123456", "GB", "+447400123456"),
        ("email", " Anna.Berg@Example.COM ", "GB", "Anna.Berg@example.com"),
        ("email", "anna@bücher.example", "DE", "anna@xn--bcher-kva.example"),
    ],
)
def test_a_contact_has_one_form(kind: ContactKind, text: str, country: str, read: str) -> None:
    assert identity.read_contact(kind, text, country=country) == read


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("phone", "12"),
        ("phone", "hello"),
        ("phone", "+86 138 0013"),
        ("phone", "0900 " * 20),
        ("email", "anna"),
        ("email", "@example.com"),
        ("email", "a@b"),
        ("email", "a b@example.com"),
        ("email", "a@-example.com"),
        ("email", "a@example..com"),
        ("email", "a@b.c\r\nBcc: x@example.com"),
        ("email", "x" * 65 + "@example.com"),
    ],
)
def test_what_reaches_nobody_is_refused(
    opened: Context, sealer: Sealer, kind: ContactKind, text: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        ask(opened, sealer, ONE, text, kind)

    assert refused.value.problems[0].where == "value" and refused.value.problems[0].remedy
    with opened.tx() as tx:
        assert tx.execute("select count(*) from identity.contacts").fetchone() == (0,)


def test_a_code_verifies_a_contact_and_raises_the_level(opened: Context, sealer: Sealer) -> None:
    sent = ask(opened, sealer, ONE, NUMBER)
    with opened.tx() as tx:
        assert identity.proof_level(tx, ONE) == ProofLevel.NONE

    done = verify(opened, sealer, ONE, sent)

    assert done.contact.state == "verified" and done.lost == ()
    with opened.tx() as tx:
        assert identity.proof_level(tx, ONE) == ProofLevel.CONTACT
        kept = repr(tx.execute("select * from identity.contacts").fetchall())
        kept += repr(tx.execute("select * from identity.contact_codes").fetchall())
    assert "138" not in kept and sent.code not in kept
    assert verified(opened, sealer, ONE) == {"phone": "+8613800138000"}


def test_a_code_has_five_tries_and_ten_minutes(opened: Context, sealer: Sealer) -> None:
    sent = ask(opened, sealer, ONE, NUMBER)
    wrong = "000000" if sent.code != "000000" else "111111"
    for _ in range(5):
        with pytest.raises(identity.ContactCodeRefused):
            identity.verify_contact(opened, sealer, ONE, sent.contact.contact_id, wrong)
    with pytest.raises(identity.ContactCodeRefused):
        verify(opened, sealer, ONE, sent)  # the right one, too late

    sent = ask(opened, sealer, ONE, NUMBER)
    pass_time(opened, timedelta(minutes=10, seconds=1))
    with pytest.raises(identity.ContactCodeRefused):
        verify(opened, sealer, ONE, sent)
    with pytest.raises(identity.UnknownContact):
        verify(opened, sealer, TWO, sent)

    assert verified(opened, sealer, ONE) == {}
    again = ask(opened, sealer, ONE, NUMBER)
    assert again.contact.contact_id == sent.contact.contact_id
    assert verify(opened, sealer, ONE, again).contact.state == "verified"


def test_nobody_is_flooded_with_codes(opened: Context, sealer: Sealer) -> None:
    for _ in range(3):
        ask(opened, sealer, ONE, NUMBER)
    with pytest.raises(TooOften):
        ask(opened, sealer, TWO, NUMBER)  # to the same number, whoever asks

    for place in range(2):
        ask(opened, sealer, ONE, f"anna{place}@example.com", "email")
    with pytest.raises(TooOften):
        ask(opened, sealer, ONE, "anna9@example.com", "email")


def test_a_recycled_number_changes_hands_and_no_account_does(opened: Context, sealer: Sealer) -> None:
    verify(opened, sealer, ONE, ask(opened, sealer, ONE, NUMBER))
    verify(opened, sealer, ONE, ask(opened, sealer, ONE, "one@example.com", "email"))

    newcomer = ask(opened, sealer, TWO, NUMBER)
    assert verified(opened, sealer, ONE)["phone"] == "+8613800138000"  # asking takes nothing away
    done = verify(opened, sealer, TWO, newcomer)

    assert done.lost == (ONE,)
    assert verified(opened, sealer, ONE) == {"email": "one@example.com"}
    assert verified(opened, sealer, TWO) == {"phone": "+8613800138000"}
    with opened.tx() as tx:
        old = [one for one in identity.list_contacts(tx, sealer, ONE) if one.kind == "phone"]
        assert [(one.state, one.ended_for) for one in old] == [("ended", "recycled")]
        assert identity.get_account(tx, ONE) == rider(1)


def test_a_recycled_number_is_known_after_the_key_of_digests_was_rotated(
    opened: Context, sealer: Sealer, keys: Keys
) -> None:
    verify(opened, sealer, ONE, ask(opened, sealer, ONE, NUMBER))
    keys.lookups.rotate()
    sealer.look_again()

    assert verify(opened, sealer, TWO, ask(opened, sealer, TWO, NUMBER)).lost == (ONE,)
    verify(opened, sealer, TWO, ask(opened, sealer, TWO, "two@example.com", "email"))
    assert identity.renew_contact_digests(opened, sealer) == 0
    keys.lookups.rotate()
    sealer.look_again()
    assert identity.renew_contact_digests(opened, sealer) == 2


def test_a_contact_that_was_removed_is_nobodys_and_may_be_named_anew(opened: Context, sealer: Sealer) -> None:
    done = verify(opened, sealer, ONE, ask(opened, sealer, ONE, NUMBER))
    with opened.tx() as tx:
        with pytest.raises(identity.UnknownContact):
            identity.end_contact(tx, sealer, TWO, done.contact.contact_id, at=opened.clock.now())
        for _ in range(2):
            gone = identity.end_contact(tx, sealer, ONE, done.contact.contact_id, at=opened.clock.now())
            assert gone.ended_for == "removed"

    assert verified(opened, sealer, ONE) == {}
    assert verify(opened, sealer, TWO, ask(opened, sealer, TWO, NUMBER)).lost == ()


@pytest.mark.parametrize(
    ("kind", "value", "masked"),
    [("email", "anna@example.com", "a•••@example.com"), ("phone", "+8613800138000", "+86 ••• 8000")],
)
def test_contacts_as_they_are_shown(kind: ContactKind, value: str, masked: str) -> None:
    assert identity.masked_contact(kind, value) == masked
    if kind == "phone":
        assert identity.written_number(value) == "+86 138 0013 8000"
