"""Payments between members: flows as an accountant would check them."""

from dataclasses import replace
from datetime import timedelta

import pytest

from hansa import hub, ledger, trust
from hansa.kernel import Money
from hansa.store import Context
from hub.paying import (
    MEMBERS,
    NOW,
    A,
    B,
    C,
    asks,
    check_books,
    feed,
    figures,
    open_hub,
    pass_time,
    secret_of,
    shows,
    word,
    words,
)

# What is done: prepare n payer payee minor | fulfil n | abort n | expire; what is answered; and then, for Amsterdam and
# for Beijing: position, reserved, headroom. Both have a cover and a cap of 100.
FLOWS = {
    "a payment": """
        prepare 1 amsterdam beijing 40   | RESERVED            | 0 40 60     | 0 0 100
        fulfil 1                         | COMMITTED           | 40 0 60     | -40 0 140
    """,
    "what one was paid one may send on": """
        prepare 1 amsterdam beijing 100  | RESERVED            | 0 100 0     | 0 0 100
        prepare 2 beijing amsterdam 101  | ABORTED no_headroom | 0 100 0     | 0 0 100
        fulfil 1                         | COMMITTED           | 100 0 0     | -100 0 200
        prepare 3 beijing amsterdam 200  | RESERVED            | 100 0 0     | -100 200 0
        fulfil 3                         | COMMITTED           | -100 0 200  | 100 0 0
    """,
    "an abort gives back": """
        prepare 1 amsterdam beijing 70   | RESERVED            | 0 70 30     | 0 0 100
        prepare 2 amsterdam beijing 40   | ABORTED no_headroom | 0 70 30     | 0 0 100
        abort 1                          | ABORTED payee       | 0 0 100     | 0 0 100
        prepare 3 amsterdam beijing 40   | RESERVED            | 0 40 60     | 0 0 100
        abort 1                          | ABORTED payee       | 0 40 60     | 0 0 100
        fulfil 1                         | hub.payment_aborted | 0 40 60     | 0 0 100
    """,
    "time gives back": """
        prepare 1 amsterdam beijing 70   | RESERVED            | 0 70 30     | 0 0 100
        wait 29                          |                     | 0 70 30     | 0 0 100
        fulfil 1                         | COMMITTED           | 70 0 30     | -70 0 170
        prepare 2 amsterdam beijing 30   | RESERVED            | 70 30 0     | -70 0 170
        wait 30                          |                     | 70 0 30     | -70 0 170
        fulfil 2                         | hub.payment_expired | 70 0 30     | -70 0 170
        abort 2                          | ABORTED expired     | 70 0 30     | -70 0 170
        fulfil 1                         | COMMITTED           | 70 0 30     | -70 0 170
        abort 1                          | hub.payment_committed | 70 0 30   | -70 0 170
    """,
}


@pytest.mark.parametrize("flow", FLOWS)
def test_each_step_leaves_what_the_table_says(ctx: Context, flow: str) -> None:
    open_hub(ctx, covers=dict.fromkeys(MEMBERS, 100))
    kept: dict[str, hub.Prepare] = {}

    for line in FLOWS[flow].strip().splitlines():
        done, answer, *left = (part.strip() for part in line.split("|"))
        verb, n, *rest = done.split()
        if verb == "prepare":
            payer, payee, minor = rest
            kept[n] = asks(payer, payee, int(minor), now=ctx.clock.now())
            told = word(hub.prepare(ctx, [kept[n]])[0])
        elif verb == "fulfil":
            told = word(hub.fulfil(ctx, [shows(kept[n])])[0])
        elif verb == "abort":
            told = word(hub.abort(ctx, [hub.Abort(kept[n].payment_id, "no", kept[n].payee_id)])[0])
        else:
            pass_time(ctx, seconds=float(n))
            hub.turn(ctx)
            told = ""

        assert told == answer, line
        for member, wanted in zip((A, B), left, strict=True):
            assert figures(ctx, member) == tuple(map(int, wanted.split())), line
    check_books(ctx)


def test_the_same_payment_again_is_the_same_answer_and_another_body_is_refused(ctx: Context) -> None:
    open_hub(ctx, covers={A: 100, B: 100})
    one = asks(A, B, 60)
    poor = asks(A, B, 61)

    first = hub.prepare(ctx, [one, one, poor])
    again = hub.prepare(ctx, [one, poor])
    others = [
        replace(one, amount=Money(59, "CNY")),
        replace(one, payee_id=C),
        replace(one, condition=bytes(32)),
        replace(one, expires_at=one.expires_at + timedelta(seconds=1)),
        replace(one, packet="another"),
    ]
    differing = hub.prepare(ctx, others)
    together = hub.prepare(ctx, [asks(A, C, 1, n="x"), replace(asks(A, C, 1, n="x"), packet="another")])

    assert words(first) == ["RESERVED", "RESERVED", "ABORTED no_headroom"]
    assert again == [first[0], first[2]]
    assert words(differing) == ["hub.payment_differs"] * len(others)
    assert words(together) == ["RESERVED", "hub.payment_differs"]
    assert figures(ctx, A) == (0, 61, 39)


def test_what_does_not_fit_names_the_field_and_leaves_nothing(ctx: Context) -> None:
    open_hub(ctx, covers={A: 100, B: 100})
    good = asks(A, B, 10)
    wrong = [
        (replace(good, payee_id=A), "payee_id"),
        (replace(good, amount=Money(0, "CNY")), "amount"),
        (replace(good, amount=Money(10**18, "CNY")), "amount"),
        (replace(good, condition=b"short"), "condition"),
        (replace(good, expires_at=NOW), "expires_at"),
        (replace(good, expires_at=NOW + timedelta(days=2)), "expires_at"),
        (replace(good, packet="x" * 32_769), "packet"),
        (replace(good, packet="\0"), "packet"),
    ]

    for one, field in wrong:
        (answer,) = hub.prepare(ctx, [one])
        assert word(answer) == "hansa.invalid_input"
        assert field in str(answer)
    strangers = hub.prepare(
        ctx, [replace(good, payee_id="nowhere"), replace(good, payment_id=good.payment_id, payee_id="x")]
    )

    assert words(strangers) == ["hub.unknown_liquidity", "hub.payment_differs"]
    with ctx.tx() as tx:
        assert hub.find_payments(tx, [good.payment_id]) == []
    assert figures(ctx, A) == (0, 0, 100)
    assert feed(ctx, A) == feed(ctx, B) == []


def test_only_the_payee_with_the_right_fulfilment_gets_the_money(ctx: Context) -> None:
    open_hub(ctx, covers={A: 100, B: 100})
    one = asks(A, B, 60)
    hub.prepare(ctx, [one])
    secret = secret_of(one.payment_id)

    refused = hub.fulfil(
        ctx,
        [
            hub.Fulfil(one.payment_id, secret, A),
            hub.Fulfil(one.payment_id, bytes(32), B),
            hub.Fulfil(one.payment_id, secret + b"\0", B),
            hub.Fulfil(asks(A, B, 1).payment_id, secret, B),
        ],
    )
    refused += hub.abort(ctx, [hub.Abort(one.payment_id, "", A), hub.Abort(one.payment_id, "w" * 201, B)])

    assert words(refused) == [
        "hub.not_the_party",
        "hub.wrong_fulfilment",
        "hub.wrong_fulfilment",
        "hub.unknown_payment",
        "hub.not_the_party",
        "hansa.invalid_input",
    ]
    assert figures(ctx, A) == (0, 60, 40)
    assert words(hub.fulfil(ctx, [shows(one), shows(one)])) == ["COMMITTED", "COMMITTED"]
    assert figures(ctx, B) == (-60, 0, 160)
    with ctx.tx() as tx:
        assert hub.get_payment(tx, one.payment_id).fulfilment == secret
        posted = ledger.statement(tx, hub.headroom_account(B, "CNY", 0))[-1]
    assert posted.booked.transfer.reference == one.payment_id
    assert posted.credit_minor == 60


def test_every_step_is_told_to_whom_it_concerns_in_order(ctx: Context) -> None:
    open_hub(ctx, covers={A: 100, B: 100})
    ends, stops, late, poor = (asks(A, B, minor) for minor in (10, 20, 30, 90))

    hub.prepare(ctx, [ends, stops, late, poor])
    hub.fulfil(ctx, [shows(ends)])
    hub.abort(ctx, [hub.Abort(stops.payment_id, "closed", B)])
    pass_time(ctx, seconds=31)
    answers = hub.fulfil(ctx, [shows(late)])

    assert words(answers) == ["hub.payment_expired"]
    assert [one for one in feed(ctx, A) if "hard" not in one] == [
        "aborted",
        "committed",
        "aborted",
        "aborted",
    ]
    assert feed(ctx, B) == ["reserved", "reserved", "reserved", "committed", "aborted", "aborted", "late"]
    with ctx.tx() as tx:
        (last,) = hub.read_notices(tx, B, after=6)
        assert last.payment is not None
        assert (last.payment.payment_id, last.payment.reason) == (late.payment_id, hub.Reason.EXPIRED)
        assert hub.get_payment(tx, stops.payment_id).words == "closed"


def test_where_settlement_is_gross_payments_move_cover_itself(ctx: Context) -> None:
    open_hub(ctx, covers={A: 100, B: 5}, model="gross")
    one, more = asks(A, B, 70), asks(A, B, 31)

    answers = hub.prepare(ctx, [one, more])
    hub.fulfil(ctx, [shows(one)])

    assert words(answers) == ["RESERVED", "ABORTED no_headroom"]
    assert (figures(ctx, A), figures(ctx, B)) == ((0, 0, 30), (0, 0, 75))
    with ctx.tx() as tx:
        assert [one.cover_minor for one in hub.list_liquidity(tx)][:2] == [30, 75]
    with pytest.raises(hub.ModelDiffers):
        hub.set_model(ctx, "CNY", "deferred", by="x")
    check_books(ctx)


def test_a_suspended_member_neither_pays_nor_is_paid_and_what_is_reserved_ends(ctx: Context) -> None:
    open_hub(ctx, covers=dict.fromkeys(MEMBERS, 100))
    begun = asks(A, B, 10)
    hub.prepare(ctx, [begun])
    with ctx.tx() as tx:
        trust.suspend(tx, B, by="league:anna", at=NOW, why="cover is late")
        trust.propose_leave(tx, C, NOW + timedelta(days=1), by="league:anna", at=NOW, why="merged")
        trust.decide_leave(tx, C, yes=True, by="league:bo", at=NOW, why="merged")

    answers = hub.prepare(ctx, [asks(A, B, 10), asks(B, A, 10), asks(A, C, 10), asks(C, A, 10)])

    assert words(answers) == ["trust.member_may_not", "trust.member_may_not", "RESERVED", "RESERVED"]
    assert figures(ctx, A) == (0, 20, 80)
    assert words(hub.fulfil(ctx, [shows(begun)])) == ["COMMITTED"]
    pass_time(ctx, days=1)
    later = [asks(A, C, 10, now=ctx.clock.now()), asks(C, A, 10, now=ctx.clock.now())]
    assert words(hub.prepare(ctx, later)) == ["trust.member_may_not"] * 2
