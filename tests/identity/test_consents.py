"""Consents: nothing by silence, a withdrawal counts at once, a new text must be agreed to anew."""

from collections.abc import Iterator
from datetime import timedelta

import msgspec
import pytest

from hansa import identity
from hansa.identity import consents
from hansa.store import Context, Tx
from identity.test_accounts import AT, rider

ONE, TWO = rider(1).account_id, rider(2).account_id


@pytest.fixture
def tx(ctx: Context) -> Iterator[Tx]:
    with ctx.tx() as tx:
        identity.open_accounts(tx, [rider(1), rider(2)])
        yield tx


def say(tx: Tx, purpose: str, *, given: bool, hours: int = 0, version: int = 1) -> identity.Consent:
    return identity.say_consent(
        tx,
        ONE,
        purpose,
        given=given,
        text_version=version,
        language="zh",
        channel="wallet",
        by_id=ONE,
        at=AT + timedelta(hours=hours),
    )


def test_nothing_is_agreed_to_by_silence_and_a_withdrawal_counts_at_once(tx: Tx) -> None:
    assert not identity.may(tx, ONE, "insight")

    say(tx, "insight", given=True)
    assert identity.may(tx, ONE, "insight") and not identity.may(tx, ONE, "offers")
    assert identity.who_may(tx, [ONE, TWO], "insight") == {ONE}

    say(tx, "insight", given=False, hours=1)
    assert not identity.may(tx, ONE, "insight")
    history = identity.history_of_consents(tx, ONE)
    assert [(one.given, one.text_version, one.language, one.channel) for one in history] == [
        (False, 1, "zh", "wallet"),
        (True, 1, "zh", "wallet"),
    ]


def test_saying_the_same_again_keeps_the_first(tx: Tx) -> None:
    first = say(tx, "offers", given=True)

    assert say(tx, "offers", given=True, hours=5) == first
    assert len(identity.history_of_consents(tx, ONE)) == 1


def test_a_text_that_changed_must_be_agreed_to_anew(tx: Tx, monkeypatch: pytest.MonkeyPatch) -> None:
    say(tx, "insight", given=True)
    newer = {
        name: msgspec.structs.replace(one, version=2, anew=name == "insight")
        for name, one in identity.purposes().items()
    }
    say(tx, "offers", given=True)
    monkeypatch.setattr(consents, "purposes", lambda: newer)

    assert not identity.may(tx, ONE, "insight") and identity.may(tx, ONE, "offers")
    before = identity.history_of_consents(tx, ONE)
    with pytest.raises(identity.TextChanged):
        say(tx, "insight", given=True, version=1)
    assert identity.history_of_consents(tx, ONE) == before
    say(tx, "insight", given=False, version=1)  # taking back needs no reading
    say(tx, "insight", given=True, version=2)
    assert identity.may(tx, ONE, "insight")


def test_what_is_no_purpose_is_refused(tx: Tx) -> None:
    with pytest.raises(identity.UnknownPurpose):
        say(tx, "world-domination", given=True)
    with pytest.raises(identity.UnknownPurpose):
        identity.may(tx, ONE, "world-domination")

    assert identity.list_consents(tx, ONE) == []


def test_every_purpose_has_its_text_in_every_language() -> None:
    for name, one in identity.purposes().items():
        assert {"en", "zh", "fr"} <= one.text.keys(), name
        assert one.said("tlh") == (one.text["en"], "en")
