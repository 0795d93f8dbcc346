"""Notices: each fact once, to whom it concerns, by the ways they want, in their language, whatever is killed."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hansa import approval, identity, notifications, payments, webhooks
from hansa.apps.messages import FolderMessenger, Message, NotSent
from hansa.apps.notices import FOOT, SUBJECT, payee_names, send_due
from hansa.apps.web.languages import catalogue
from hansa.identity import AccountId
from hansa.kernel import FixedClock, InvalidInput, new_id
from hansa.notifications import Settings, kinds, quiet_until, sentences
from hansa.notifications.model import names_in
from hansa.store import Context
from identity.sealed import Keys
from notifications.hearing import hear_here, heard, told
from payments.shopping import ANN, BANK, BEN, asks, made, open_town, pass_time


def tell(
    ctx: Context, kind: str, *, fact: object = 0, subject: str = "", to: AccountId = ANN, **facts: object
) -> None:
    one = webhooks.ForPerson(
        account_id=to, kind=kind, at=ctx.clock.now(), subject=subject, facts=facts, fact=(fact,)
    )
    with ctx.tx() as tx:
        webhooks.tell(tx, one)


def unread(ctx: Context, account_id: AccountId = ANN) -> int:
    with ctx.tx() as tx:
        return notifications.count_unread(tx, account_id)


# --- what is told


def test_a_payment_its_hold_and_its_refund_are_told_to_the_payer_alone(ctx: Context) -> None:
    open_town(ctx)

    one = made(ctx, asks(30_00))
    payments.refund(ctx, one.payment_id, refund_id=new_id(), by=BANK, minor=5_00)
    hold = made(ctx, asks(20_00, n=1, capture="manual"))
    payments.void(ctx, hold.payment_id, by=BANK)

    assert heard(ctx, ANN) == [
        "You paid ¥30.00 to Tea house.",
        "Tea house gave you ¥5.00 back.",
        "¥20.00 is held for Tea house.",
        "¥20.00 that was held for Tea house is yours again.",
    ]
    assert heard(ctx, ANN, "zh")[0] == "您向 Tea house 支付了 ¥30.00。"
    assert heard(ctx, ANN, "fr")[1] == "Tea house vous a rendu ¥5.00."
    assert told(ctx, BEN) == []
    assert unread(ctx) == 2, "of one payment, only the latest is news"


def test_money_held_by_a_link_is_told_of_in_the_readers_language(ctx: Context) -> None:
    open_town(ctx)

    tell(ctx, "approval.waiting", payee="whoever has the link", amount={"minor": 5_00, "currency": "CNY"})

    assert heard(ctx, ANN) == ["Whoever has the link waits for you to approve ¥5.00."]
    assert heard(ctx, ANN, "fr") == ["Qui a le lien attend que vous approuviez ¥5.00."]


def test_members_are_not_told_what_persons_are(ctx: Context) -> None:
    open_town(ctx)
    made(ctx, asks(30_00))

    with ctx.tx() as tx:
        bodies = [
            row[0] for row in tx.execute("select body from store.outbox where topic = 'webhooks'").fetchall()
        ]

    assert bodies and all(str(ANN) not in json.dumps(one["data"]) for one in bodies)


def test_what_changes_control_over_spending_is_told(ctx: Context) -> None:
    open_town(ctx)
    approval.freeze(ctx, ANN, by="owner")
    approval.unfreeze(ctx, ANN, by="owner")

    assert heard(ctx, ANN) == [
        "All spending from your wallet is stopped.",
        "Spending from your wallet goes on.",
    ]


def test_a_browser_seen_before_is_no_news_and_a_new_one_is(ctx: Context) -> None:
    open_town(ctx)
    firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
    safari = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Mobile/15E148 Safari/604.1"

    for agent in (firefox, firefox, safari):
        with ctx.tx() as tx:
            identity.start_session(tx, ANN, ctx.clock.now(), method="passkey", user_agent=agent)
        pass_time(ctx, minutes=1)

    devices = [one.facts["device"] for one in told(ctx, ANN) if hear_here(ctx) or True]
    assert devices == []
    texts = heard(ctx, ANN)
    assert len(texts) == 2 and all("not seen before" in one for one in texts)


def test_who_looked_at_ones_data_is_told_once_a_day_for_each_part(ctx: Context) -> None:
    open_town(ctx)
    for hours, part in ((0, "wallet"), (2, "wallet"), (2, "profile"), (26, "wallet")):
        with ctx.tx() as tx:
            at = ctx.clock.now() + timedelta(hours=hours)
            identity.saw(tx, ANN, f"{BANK}:anna", "wallet" if part == "wallet" else "profile", "a call", at)

    assert sorted(heard(ctx, ANN)) == [
        "Market-Bank looked at your data: what your wallet holds and paid.",
        "Market-Bank looked at your data: what your wallet holds and paid.",
        "Market-Bank looked at your data: your name and account.",
    ]


# --- once, in order


FACTS = st.lists(st.tuples(st.integers(0, 4), st.sampled_from([ANN, BEN]), st.booleans()), max_size=12)


def test_however_often_a_fact_is_told_and_heard_it_is_one_notice_with_the_next_number(ctx: Context) -> None:
    open_town(ctx, money=0)

    @settings(max_examples=25, deadline=None)
    @given(FACTS)
    def check(facts: list[tuple[int, AccountId, bool]]) -> None:
        with ctx.tx() as tx:
            tx.execute("delete from store.outbox")
            tx.execute("delete from notifications.notices")
            tx.execute("delete from notifications.people")
        for fact, to, hears in facts:
            tell(ctx, "proof.matched", fact=fact, to=to)
            if hears:
                hear_here(ctx)
        hear_here(ctx)

        for person in (ANN, BEN):
            known = [one.seq for one in reversed(told(ctx, person))]
            assert known == list(range(1, len({fact for fact, to, _ in facts if to == person}) + 1))

    check()


def test_what_cannot_be_told_is_logged_and_holds_nothing_up(
    ctx: Context, caplog: pytest.LogCaptureFixture
) -> None:
    open_town(ctx, money=0)
    tell(ctx, "no.such.kind")
    tell(ctx, "payment.paid", payee="Tea house")
    tell(ctx, "proof.matched")
    tell(ctx, "proof.matched", to=AccountId(new_id()))

    assert heard(ctx, ANN) == ["Your name is proved."]
    assert len(caplog.records) == 2


def test_the_worker_hears_what_was_committed_once_and_the_outbox_is_empty_after(
    committed_ctx: Context,
) -> None:
    ctx = committed_ctx
    open_town(ctx)
    made(ctx, asks(30_00))
    tell(ctx, "proof.matched")

    webhooks.number(ctx)
    assert notifications.hear(ctx, payees=payee_names) == 2
    assert notifications.hear(ctx, payees=payee_names) == 0

    assert {one.kind for one in told(ctx, ANN)} == {"payment.paid", "proof.matched"}
    with ctx.tx() as tx:
        assert tx.execute("select count(*) from store.outbox where topic = 'people'").fetchone() == (0,)


# --- read and unread


def test_reading_all_leaves_what_came_since(ctx: Context) -> None:
    open_town(ctx, money=0)
    for fact in range(3):
        tell(ctx, "proof.matched", fact=fact)
    hear_here(ctx)
    now = ctx.clock.now()

    with ctx.tx() as tx:
        assert notifications.mark_all_read(tx, ANN, up_to=2, at=now) == 2
        assert notifications.mark_read(tx, ANN, [2, 3, 99], at=now) == 1
        assert notifications.mark_read(tx, BEN, [1], at=now) == 0

    assert unread(ctx) == 0


# --- settings


def test_what_warns_of_others_cannot_be_turned_off_and_nothing_is_changed(ctx: Context) -> None:
    open_town(ctx, money=0)
    wanted = Settings(
        {("payment.paid", "app"): False, ("security.recovery_asked", "phone"): False}, quiet_from=5
    )
    with ctx.tx() as tx, pytest.raises(InvalidInput) as refused:
        notifications.set_settings(tx, ANN, wanted, at=ctx.clock.now())

    assert [one.where for one in refused.value.problems] == ["wishes", "quiet_from"]
    with ctx.tx() as tx:
        assert notifications.read_settings(tx, ANN) == Settings()


def test_what_is_not_wanted_in_the_wallet_is_kept_as_read(ctx: Context) -> None:
    open_town(ctx)
    with ctx.tx() as tx:
        notifications.set_settings(tx, ANN, Settings({("payment.paid", "app"): False}), at=ctx.clock.now())
    made(ctx, asks(30_00))
    hear_here(ctx)

    assert [one.read_at is None for one in told(ctx, ANN)] == [False]


ZONES = ("Asia/Shanghai", "America/Toronto", "Europe/London", "UTC")


@given(
    st.integers(0, 525_600).map(lambda minute: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=minute)),
    st.integers(0, 1439),
    st.integers(0, 1439),
    st.sampled_from(ZONES),
)
def test_a_message_goes_at_once_or_at_the_end_of_quiet_hours(
    at: datetime, first: int, last: int, zone: str
) -> None:
    until = quiet_until(Settings(quiet_from=first, quiet_to=last), at, zone)

    assert at <= until <= at + timedelta(hours=25)
    local = at.astimezone(ZoneInfo(zone))
    minute = local.hour * 60 + local.minute
    quiet = first <= minute < last if first <= last else not last <= minute < first
    assert quiet or until == at


# --- messages


class Outbox:
    """A messenger that keeps what it is handed, by id, and can be away."""

    def __init__(self) -> None:
        self.sent: dict[object, Message] = {}
        self.times = 0
        self.away = False

    def send(self, message: Message) -> None:
        self.times += 1
        if self.away:
            raise NotSent
        self.sent[message.message_id] = message

    @property
    def texts(self) -> list[tuple[str, str]]:
        return [(one.way, one.text) for one in self.sent.values()]


@pytest.fixture
def outbox() -> Outbox:
    return Outbox()


def reach(ctx: Context, keys: Keys, account_id: AccountId = ANN) -> None:
    """Give a person a verified e-mail address and number."""
    sealer = keys.sealer()
    for kind, value in (("email", "ann@example.org"), ("phone", "+8613800138000")):
        assert kind in ("email", "phone")
        to_send = identity.ask_contact(ctx, sealer, account_id, kind, value, country="CN")
        identity.verify_contact(ctx, sealer, account_id, to_send.contact.contact_id, to_send.code)


def test_messages_go_by_the_ways_that_are_wanted_without_amounts_by_telephone(
    ctx: Context, outbox: Outbox
) -> None:
    open_town(ctx)
    keys = Keys()
    reach(ctx, keys)
    with ctx.tx() as tx:
        wanted = Settings({("payment.paid", "email"): True, ("payment.paid", "phone"): True})
        notifications.set_settings(tx, ANN, wanted, at=ctx.clock.now())
    made(ctx, asks(30_00))
    hear_here(ctx)

    assert send_due(ctx, keys.sealer(), outbox) == 2
    assert send_due(ctx, keys.sealer(), outbox) == 0

    assert sorted(outbox.texts) == [
        ("email", f"You paid ¥30.00 to Tea house.\n\n{FOOT}"),
        ("phone", "Hansa: You paid Tea house."),
    ]
    assert "http" not in str(outbox.texts)

    with ctx.tx() as tx:
        notifications.set_settings(tx, ANN, Settings(amounts=True), at=ctx.clock.now())
    made(ctx, asks(1_00, n=1))
    hear_here(ctx)
    send_due(ctx, keys.sealer(), outbox)
    assert ("phone", "Hansa: You paid ¥1.00 to Tea house.") in outbox.texts


def test_quiet_hours_hold_back_what_can_wait_and_what_was_read_is_not_sent(
    ctx: Context, outbox: Outbox
) -> None:
    open_town(ctx)
    keys = Keys()
    reach(ctx, keys)
    night = Settings({("payment.paid", "email"): True}, quiet_from=0, quiet_to=6 * 60)
    with ctx.tx() as tx:
        notifications.set_settings(tx, ANN, night, at=ctx.clock.now())
    made(ctx, asks(1_00))
    made(ctx, asks(2_00, n=1))
    approval.freeze(ctx, ANN, by="owner")
    hear_here(ctx)  # two at night

    send_due(ctx, keys.sealer(), outbox)
    assert ["stopped" in text for _, text in outbox.texts] == [True]
    pass_time(ctx, hours=1)
    with ctx.tx() as tx:
        first = [one.seq for one in told(ctx, ANN) if one.kind == "payment.paid"][-1]
        notifications.mark_read(tx, ANN, [first], at=ctx.clock.now())
    pass_time(ctx, hours=4)
    send_due(ctx, keys.sealer(), outbox)

    assert [text.partition(" to ")[0] for _, text in outbox.texts][1:] == ["You paid ¥2.00"]


def test_a_sender_that_was_killed_sends_the_same_message_again_and_one_that_is_away_is_tried_later(
    ctx: Context, outbox: Outbox
) -> None:
    open_town(ctx)
    keys = Keys()
    reach(ctx, keys)
    approval.freeze(ctx, ANN, by="owner")
    hear_here(ctx)
    outbox.away = True
    assert send_due(ctx, keys.sealer(), outbox) == 1
    assert send_due(ctx, keys.sealer(), outbox) == 0
    outbox.away = False
    pass_time(ctx, minutes=1)

    (leased,) = notifications.lease_messages(ctx)  # and killed before anything else
    assert send_due(ctx, keys.sealer(), outbox) == 0
    pass_time(ctx, minutes=2)
    assert send_due(ctx, keys.sealer(), outbox) == 1

    assert list(outbox.sent) == [leased.message_id]
    assert send_due(ctx, keys.sealer(), outbox) == 0


def test_who_cannot_be_reached_is_tried_once_and_a_messenger_that_stays_away_is_given_up(
    ctx: Context, outbox: Outbox
) -> None:
    open_town(ctx)
    keys = Keys()
    reach(ctx, keys)
    outbox.away = True
    approval.freeze(ctx, ANN, by="owner")
    approval.freeze(ctx, BEN, by="owner")
    hear_here(ctx)
    for _ in range(10):
        send_due(ctx, keys.sealer(), outbox)
        pass_time(ctx, hours=9)

    with ctx.tx() as tx:
        rows = tx.execute("select outcome, tries from notifications.messages order by outcome").fetchall()
    assert rows == [("gave_up", 6), ("no_contact", 1)]


def test_a_folder_takes_a_message_once(ctx: Context, tmp_path: Path) -> None:
    open_town(ctx)
    keys = Keys()
    reach(ctx, keys)
    approval.freeze(ctx, ANN, by="owner")
    hear_here(ctx)
    folder = FolderMessenger(tmp_path)
    send_due(ctx, keys.sealer(), folder)

    (message,) = folder.latest()
    assert (message.to, message.subject, message.kind) == ("ann@example.org", SUBJECT, "spending.frozen")


# --- keeping, and the rules


def test_old_notices_and_messages_go_and_numbers_go_on(ctx: Context) -> None:
    open_town(ctx, money=0)
    tell(ctx, "security.recovered")
    hear_here(ctx)
    assert isinstance(ctx.clock, FixedClock)
    pass_time(ctx, days=401)
    with ctx.tx() as tx:
        tx.execute("update notifications.messages set next_at = null, outcome = 'sent', ended_at = made_at")
    tell(ctx, "security.recovered", fact=1)
    hear_here(ctx)

    assert notifications.forget(ctx) == 3
    assert [one.seq for one in told(ctx, ANN)] == [2]

    with ctx.tx() as tx:
        notifications.forget_person(tx, ANN)
    assert told(ctx, ANN) == []


def test_every_sentence_is_translated_with_the_same_names() -> None:
    for language in ("zh", "fr"):
        words = catalogue(language)
        for sentence in (*sentences(), SUBJECT, FOOT, "Somebody", "The league"):
            assert sentence in words, (language, sentence)
            assert names_in(words[sentence]) <= names_in(sentence), (language, sentence)


def test_what_concerns_security_is_told_by_more_than_the_wallet_and_cannot_be_turned_off() -> None:
    for name in (
        "passkey_added",
        "passkey_removed",
        "recovery_asked",
        "recovered",
        "signed_in",
        "codes_made",
    ):
        assert {"app", "email"} <= set(kinds()[f"security.{name}"].fixed), name
        assert kinds()[f"security.{name}"].urgent
    for name in approval.KINDS:
        assert f"spending.{name}" in kinds()
