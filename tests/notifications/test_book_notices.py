"""What the books tell: a wallet that runs low, budgets of a month, guardians; and news of a day in one e-mail."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa import approval, identity, ledger, notifications, payments, trust, wallets, webhooks
from hansa.apps import book_notices
from hansa.apps.notices import send_due
from hansa.apps.web.notice_words import said, words_in
from hansa.kernel import InvalidInput, Money, new_id
from hansa.notifications import Settings, digest_due, watches
from hansa.store import Context
from identity.sealed import Keys
from notifications.hearing import hear_here, heard, told
from notifications.test_notices import Outbox, reach
from payments.shopping import ANN, BEN, CARD, asks, made, open_town, person, set_clock

WALLET = payments.wallet_id(ANN, "CNY")


def follow(ctx: Context) -> int:
    """Read the books to their end."""
    return book_notices.turn(ctx, blocks=10_000)


def low(ctx: Context, minor: int | None) -> None:
    with ctx.tx() as tx:
        watches.set_low_mark(tx, ANN, "CNY", WALLET, minor, at=ctx.clock.now())


def plan(ctx: Context, **plans: int | None) -> None:
    with ctx.tx() as tx:
        watches.set_budgets(tx, ANN, "CNY", WALLET, plans, at=ctx.clock.now())


def new_texts(ctx: Context, before: list[str]) -> list[str]:
    """What Ann hears from the books beside what she paid."""
    follow(ctx)
    texts = heard(ctx, ANN)
    return [one for one in texts[len(before) :] if not one.startswith("You paid")]


def test_a_wallet_that_runs_low_is_told_once_until_it_was_filled(ctx: Context) -> None:
    open_town(ctx, money=100_00)
    assert follow(ctx) == 0, "it begins at the end of the books"
    low(ctx, 50_00)
    made(ctx, asks(40_00))
    texts = heard(ctx, ANN)
    assert new_texts(ctx, texts) == []

    made(ctx, asks(20_00, n=1))
    made(ctx, asks(1_00, n=2))
    assert new_texts(ctx, texts) == ["Your wallet holds ¥39.00, less than ¥50.00."]
    texts = heard(ctx, ANN)
    made(ctx, asks(1_00, n=3))
    assert new_texts(ctx, texts) == []

    payments.top_up(
        ctx, [payments.TopUp(new_id(), ANN, trust.MemberId(CARD), Money(50_00, "CNY"), ctx.clock.now())]
    )
    texts = heard(ctx, ANN)
    assert new_texts(ctx, texts) == []
    made(ctx, asks(60_00, n=4))
    assert new_texts(ctx, texts) == ["Your wallet holds ¥28.00, less than ¥50.00."]
    low(ctx, None)
    texts = heard(ctx, ANN)
    made(ctx, asks(1_00, n=5))
    assert new_texts(ctx, texts) == [] and follow(ctx) == 0
    with ctx.tx() as tx, pytest.raises(InvalidInput):
        watches.set_low_mark(tx, ANN, "CNY", WALLET, 0, at=ctx.clock.now())


def test_a_budget_is_told_at_four_fifths_and_when_it_is_spent_each_once_in_a_month(ctx: Context) -> None:
    open_town(ctx, money=1_000_00)
    follow(ctx)
    plan(ctx, eating=100_00, all=200_00, shops=None)
    made(ctx, asks(79_99))
    texts = heard(ctx, ANN)
    assert new_texts(ctx, texts) == []

    made(ctx, asks(1, n=1))
    assert new_texts(ctx, texts) == ["Eating out: ¥80.00 of the ¥100.00 of this month are spent."]
    texts = heard(ctx, ANN)
    made(ctx, asks(19_99, n=2))
    assert new_texts(ctx, texts) == []
    made(ctx, asks(1, n=3))
    made(ctx, asks(70_00, n="kiosk", payee_id="kiosk"))
    assert sorted(new_texts(ctx, texts)) == [
        "All spending: ¥170.00 of the ¥200.00 of this month are spent.",
        "Eating out: ¥100.00 are spent this month, and you planned ¥100.00.",
    ]
    texts = heard(ctx, ANN)
    plan(ctx, eating=100_00)
    made(ctx, asks(1_00, n=4))
    assert new_texts(ctx, texts) == [], "the same plan again tells nothing again"
    set_clock(ctx, datetime(2026, 12, 5, 12, tzinfo=UTC))
    made(ctx, asks(85_00, n=5))
    assert new_texts(ctx, texts) == ["Eating out: ¥85.00 of the ¥100.00 of this month are spent."]
    before = [(one.category, one.minor) for one in _budgets(ctx)]
    for wrong in ({"eating": 0}, {"eating": 5, "all": -1}):
        with pytest.raises(InvalidInput):
            plan(ctx, **wrong)
    assert (
        [(one.category, one.minor) for one in _budgets(ctx)]
        == before
        == [("all", 200_00), ("eating", 100_00)]
    )
    with ctx.tx() as tx:
        notifications.forget_person(tx, ANN)
    assert _budgets(ctx) == []


def _budgets(ctx: Context) -> list[notifications.Budget]:
    with ctx.tx() as tx:
        return watches.list_budgets(tx, ANN, currency="CNY")


@given(st.integers(0, 10**6), st.integers(1, 10**6))
def test_a_budget_is_passed_exactly(spent: int, planned: int) -> None:
    passed = notifications.reached(spent, planned)

    assert passed == (100 if spent >= planned else 80 if 5 * spent >= 4 * planned else 0)


def guarded(ctx: Context, *guardianships: tuple[identity.AccountId, list[str]]) -> None:
    """These persons are guardians of Ann, with these rights."""
    with ctx.tx() as tx:
        for guardian, rights in guardianships:
            tx.execute(
                """
                insert into identity.guardianships (guardianship_id, ward_id, guardian_id, state, rights, asked_at,
                    expires_at, accepted_at, looked_on)
                values (%s, %s, %s, 'accepted', %s, now(), now(), now(), now())
                """,
                (new_id(), ANN, guardian, rights),
            )


def test_guardians_who_may_see_money_hear_what_their_ward_pays_and_cannot(ctx: Context) -> None:
    open_town(ctx, more=1, money=50_00)
    other = person("person-0")
    guarded(ctx, (BEN, ["see_money"]), (other, ["approve"]))
    made(ctx, asks(30_00))
    payments.create(ctx, [asks(40_00, n=2)])
    failed = webhooks.ForPerson(
        account_id=ANN, kind="payment.failed", at=ctx.clock.now(), subject="x", fact=(1,),
        facts={"payee": "Tea house", "amount": {"minor": 99_00, "currency": "CNY"}},
    )  # fmt: skip
    with ctx.tx() as tx:
        webhooks.tell(tx, failed, failed)
    # A limit of Ann's forbids what she would send: that is told though all of it is undone.
    approval.set_limit(ctx, ANN, currency="CNY", span="payment", minor=5_00)
    sent = wallets.NewTransfer(
        transfer_id=new_id(),
        sender_id=ANN,
        receiver_id=BEN,
        amount=Money(6_00, "CNY"),
        session_at=ctx.clock.now(),
    )
    for _ in range(2):
        with pytest.raises(approval.LimitReached):
            wallets.transfers.send(ctx, sent)

    texts = [one for one in heard(ctx, BEN) if "limit was" not in one]

    with ctx.tx() as tx:
        name, ben = (identity.masked_name(identity.get_account(tx, one).name) for one in (ANN, BEN))
    assert sorted(texts) == [
        f"{name} could not pay ¥40.00 to Tea house.",
        f"{name} could not pay ¥99.00 to Tea house.",
        f"{name} paid ¥30.00 to Tea house.",
        f"{name} wanted to spend ¥6.00 on {ben}, and a limit forbade it.",
    ]
    # Why, where the fact says it; one of before said nothing, and is told all the same.
    for language, why in (
        ("en", "The wallet held too little."),
        ("fr", "Le portefeuille contenait trop peu."),
    ):
        for who in (ANN, BEN):
            failures = [
                said(one, words_in(language), "UTC") for one in told(ctx, who) if "failed" in one.kind
            ]
            assert sorted(one.more for one in failures if one) == ["", why], (language, who)
    assert (
        f"A limit forbade ¥6.00 to {ben}. Nothing was taken." in heard(ctx, ANN) and heard(ctx, other) == []
    )


def test_guardians_hear_what_a_wards_ride_cost_and_not_where_it_was(ctx: Context) -> None:
    open_town(ctx, more=1)
    guarded(ctx, (BEN, ["see_money"]), (person("person-0"), ["approve"]))
    follow(ctx)
    for n, minor in enumerate((3_00, 2_00)):
        (done,) = ledger.post(
            ctx,
            [
                ledger.Transfer(
                    ledger.TransferId(new_id()), WALLET, payments.wallet_id(BEN, "CNY"), minor, "CNY",
                    ledger.TransferCode.FARE, event_at=ctx.clock.now(), reference=new_id(),
                )
            ],
        )  # fmt: skip
        assert done.code is ledger.ResultCode.CREATED, n

    follow(ctx)

    with ctx.tx() as tx:
        name = identity.masked_name(identity.get_account(tx, ANN).name)
    assert heard(ctx, BEN) == [f"{name} paid ¥{minor}.00 for a ride." for minor in (3, 2)]
    assert heard(ctx, person("person-0")) == [] and follow(ctx) == 0


@given(st.integers(0, 1439), st.integers(0, 525_600))
def test_news_of_a_day_comes_at_the_next_such_time_of_day(minute: int, since: int) -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=since)

    due = digest_due(Settings(digest_at=minute), at, "Asia/Shanghai")

    assert due is not None and timedelta(0) <= due - at <= timedelta(days=1)
    local = due.astimezone(UTC) + timedelta(hours=8)
    assert local.hour * 60 + local.minute == minute
    assert digest_due(Settings(), at, "UTC") is None


def raised(error: type[BaseException]) -> Any:
    """Something that ends in this error whatever it is given."""

    def fail(*_: object) -> None:
        raise error

    return fail


def test_what_can_wait_comes_together_in_one_email_and_warnings_by_themselves(
    ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_town(ctx)
    keys, messenger = Keys(), Outbox()
    reach(ctx, keys)
    with ctx.tx() as tx:
        wanted = Settings({("payment.paid", "email"): True}, digest_at=18 * 60)
        kept = notifications.set_settings(tx, ANN, wanted, at=ctx.clock.now())
        assert kept.digest_at == 18 * 60
        with pytest.raises(InvalidInput):
            notifications.set_settings(tx, ANN, Settings(digest_at=1440), at=ctx.clock.now())
    for n in range(3):
        made(ctx, asks(1_00, n=n))
    with ctx.tx() as tx:
        urgent = webhooks.ForPerson(
            account_id=ANN, kind="spending.frozen", at=ctx.clock.now(), subject="", facts={}, fact=(2,)
        )
        webhooks.tell(tx, urgent)
    hear_here(ctx)

    assert send_due(ctx, keys.sealer(), messenger) == 1, "a warning does not wait"
    set_clock(ctx, ctx.clock.now() + timedelta(hours=24))
    # Killed once it was taken and before it was handed over; the next sender, at another time, has the same e-mail.
    first = notifications.lease_messages(ctx, limit=1)
    assert len(first) == 3 and len({one.message_id for one in first}) == 1, "a person's are never parted"
    assert send_due(ctx, keys.sealer(), messenger) == 0, "it is the first sender's still"
    made(ctx, asks(2_00, n="late"))
    hear_here(ctx)
    set_clock(ctx, ctx.clock.now() + timedelta(minutes=3))
    # And killed after it was handed over, before that was written down: handed over again, it is the same message.
    with monkeypatch.context() as dies:
        dies.setattr(notifications, "ended", raised(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            send_due(ctx, keys.sealer(), messenger)
    assert set(messenger.sent) >= {first[0].message_id} and messenger.times == 2
    set_clock(ctx, ctx.clock.now() + timedelta(minutes=3))
    assert send_due(ctx, keys.sealer(), messenger) == 3 and send_due(ctx, keys.sealer(), messenger) == 0
    assert messenger.times == 3 and len(messenger.sent) == 2, "one id, so one e-mail"

    (digest,) = [one for one in messenger.sent.values() if one.kind == "digest"]
    assert len(messenger.sent) == 2 and digest.text.count("- You paid ¥1.00 to Tea house.") == 3
    with ctx.tx() as tx:
        assert ledger.trial_balance(tx).is_even
