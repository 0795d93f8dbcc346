"""Liquidity: caps, funds, releases, exposure and alarms."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from hansa import clearing, hub, ledger, trust
from hansa.kernel import new_id
from hansa.store import Context
from hub.paying import (
    ANNA,
    BO,
    MEMBERS,
    NOW,
    A,
    B,
    C,
    asks,
    check_books,
    deposit,
    feed,
    figures,
    open_hub,
    pass_time,
    set_cap,
    shows,
    take_out,
    words,
)


def pay(ctx: Context, payer: str, payee: str, minor: int) -> list[str]:
    """A payment, prepared and fulfilled."""
    one = asks(payer, payee, minor, now=ctx.clock.now())
    answers = hub.prepare(ctx, [one])
    return words(answers) + words(hub.fulfil(ctx, [shows(one)]))


def standing(ctx: Context, member: str) -> list[str]:
    """The alarms of a member that stand."""
    with ctx.tx() as tx:
        return sorted(one.kind for one in hub.standing_alarms(tx, member))


# cover | cap | headroom: never more than the lesser of both
LIMITS = [(100, 60, 60), (100, 100, 100), (60, 100, 60), (0, 100, 0), (100, 0, 0)]


@pytest.mark.parametrize(("cover", "cap", "headroom"), LIMITS)
def test_headroom_is_the_lesser_of_cap_and_cover(ctx: Context, cover: int, cap: int, headroom: int) -> None:
    open_hub(ctx, covers={A: cover, B: 0}, caps={A: cap})

    assert figures(ctx, A) == (0, 0, headroom)
    assert pay(ctx, A, B, headroom + 1)[0] == "ABORTED no_headroom"


def test_a_cap_below_the_position_stops_new_payments_until_the_member_owes_less(ctx: Context) -> None:
    open_hub(ctx, covers=dict.fromkeys(MEMBERS, 100))
    pay(ctx, A, B, 80)

    set_cap(ctx, A, 50)
    hub.turn(ctx)

    assert figures(ctx, A) == (80, 0, 0)
    with ctx.tx() as tx:
        assert hub.get_liquidity(tx, A, "CNY").short_minor == 30
    assert "over" in standing(ctx, A)
    assert pay(ctx, A, B, 1)[0] == "ABORTED over_limit"
    pay(ctx, B, A, 20)  # what comes in pays down what is over, and is not sent on
    assert figures(ctx, A) == (60, 0, 0)
    assert pay(ctx, A, B, 1)[0] == "ABORTED over_limit"
    pay(ctx, B, A, 20)
    assert figures(ctx, A) == (40, 0, 10)
    assert pay(ctx, A, B, 10) == ["RESERVED", "COMMITTED"]
    hub.turn(ctx)
    assert "over" not in standing(ctx, A)
    check_books(ctx)


def test_a_cap_may_be_set_for_a_later_instant_and_the_latest_begun_counts(ctx: Context) -> None:
    open_hub(ctx, covers={A: 100})
    later = set_cap(ctx, A, 70, valid_from=NOW + timedelta(hours=2))
    set_cap(ctx, A, 30, valid_from=NOW + timedelta(hours=1))

    seen = [figures(ctx, A)[2]]
    for _ in range(2):
        pass_time(ctx, hours=1)
        hub.turn(ctx)
        seen.append(figures(ctx, A)[2])
    again = set_cap(ctx, A, 70, cap_id=later.cap_id, valid_from=later.valid_from)

    assert seen == [100, 30, 70]
    assert again.applied_at == NOW + timedelta(hours=2)
    with pytest.raises(hub.CapDiffers):
        set_cap(ctx, A, 71, cap_id=later.cap_id, valid_from=later.valid_from)
    assert figures(ctx, A)[2] == 70


REFUSED_CAPS: list[dict[str, int]] = [
    {"minor": -1},
    {"minor": 10**18},
    {"minor": 5, "warn_percent": 0},
    {"minor": 5, "warn_percent": 101},
    {"minor": 5, "soft_minor": 6},
]


@pytest.mark.parametrize("cap", REFUSED_CAPS)
def test_a_cap_that_makes_no_sense_names_the_field(ctx: Context, cap: dict[str, int]) -> None:
    open_hub(ctx, covers={A: 100})

    with pytest.raises(hub.UnknownLiquidity):
        set_cap(ctx, "nowhere", 1)
    with pytest.raises(Exception, match=r"cap_minor|warn_percent|soft_minor"):
        set_cap(ctx, A, **cap)  # pyright: ignore[reportArgumentType]

    assert figures(ctx, A) == (0, 0, 100)


def test_funds_in_count_when_a_second_person_has_booked_them(ctx: Context) -> None:
    open_hub(ctx, caps={A: 500})
    kept = {
        "funds_id": new_id(),
        "member_id": A,
        "currency": "CNY",
        "way": "in",
        "amount_minor": 300,
        "bank_reference": "camt 7",
        "by": ANNA,
    }
    funds = hub.propose_funds(ctx, **kept)  # pyright: ignore[reportArgumentType]

    assert hub.propose_funds(ctx, **kept) == funds  # pyright: ignore[reportArgumentType]
    with pytest.raises(hub.FundsDiffer):
        hub.propose_funds(ctx, **kept | {"amount_minor": 301})  # pyright: ignore[reportArgumentType]
    for same in (ANNA, "league"):  # the league's key without a name may be hers
        with pytest.raises(trust.SamePerson):
            hub.confirm_funds(ctx, funds.funds_id, by=same)
    assert figures(ctx, A) == (0, 0, 0)
    booked = hub.confirm_funds(ctx, funds.funds_id, by=BO)
    assert hub.confirm_funds(ctx, funds.funds_id, by=BO) == booked
    with pytest.raises(hub.FundsDecided):
        hub.refuse_funds(ctx, funds.funds_id, by=BO)
    assert (booked.state, booked.decided_by) == ("booked", BO)
    assert figures(ctx, A) == (0, 0, 300)
    with ctx.tx() as tx:
        assert ledger.balance(tx, hub.house_account("CNY", 0)).debit_minor == 300
        assert ledger.balance(tx, hub.cover_account(A, "CNY", 0)).credit_minor == 300


# cover, cap, sent before, taken out | may it be, and the headroom that is left
WAYS_OUT = [
    (100, 100, 0, 100, True, 0),
    (100, 100, 40, 60, True, 0),
    (100, 100, 40, 61, False, 60),
    (100, 50, 0, 50, True, 50),
    (100, 50, 0, 70, True, 30),
    (100, 50, 40, 60, True, 0),
    (100, 50, 40, 61, False, 10),
    (100, 100, 0, 101, False, 100),
]


@pytest.mark.parametrize(("cover", "cap", "sent", "out", "may", "left"), WAYS_OUT)
def test_funds_that_a_position_needs_cannot_leave(
    ctx: Context, cover: int, cap: int, sent: int, out: int, may: bool, left: int
) -> None:
    open_hub(ctx, covers={A: cover, B: 0}, caps={A: cap})
    if sent:
        pay(ctx, A, B, sent)

    if not may:
        with pytest.raises(hub.CoverNeeded):
            take_out(ctx, A, out)
        assert figures(ctx, A) == (sent, 0, left)
        check_books(ctx)
        return
    funds = take_out(ctx, A, out)

    assert figures(ctx, A) == (sent, 0, left)
    with ctx.tx() as tx:  # held, not gone
        assert ledger.balance(tx, hub.cover_account(A, "CNY", 0)).debits_pending == out
    with pytest.raises(trust.SamePerson):
        hub.confirm_funds(ctx, funds.funds_id, by=ANNA)
    hub.confirm_funds(ctx, funds.funds_id, by=BO)
    assert figures(ctx, A) == (sent, 0, left)
    with ctx.tx() as tx:
        assert ledger.balance(tx, hub.cover_account(A, "CNY", 0)).credit_minor == cover - out
    check_books(ctx)


def test_the_reserve_of_a_member_that_has_left_stays_until_its_day_is_over(ctx: Context) -> None:
    open_hub(ctx, covers={A: 100})
    with ctx.tx() as tx:
        at, until = ctx.clock.now(), (NOW + timedelta(days=90)).date()
        trust.propose_leave(tx, A, at, by=ANNA, at=at, why="merges")
        trust.decide_leave(tx, A, yes=True, by=BO, at=at, why="letter")
        kept = {"reserve_CNY": "0.60", "reserve_until": until.isoformat()}
        trust.finish_leave(tx, A, by=BO, at=at, why="done", open_things=(), reserve=kept)
    first = take_out(ctx, A, 30)

    for days in (0, 90):
        pass_time(ctx, days=days)
        with pytest.raises(trust.MemberMayNot) as refused:
            take_out(ctx, A, 11)
        (problem,) = refused.value.problems
        assert problem.where == "amount_minor" and until.isoformat() in problem.what
        assert "at most 10 minor units" in problem.remedy
        assert figures(ctx, A) == (0, 0, 70), "nothing is held"
    hub.confirm_funds(ctx, first.funds_id, by=BO)
    take_out(ctx, A, 10)
    pass_time(ctx, days=2)
    assert take_out(ctx, A, 60).state == "proposed"
    check_books(ctx)


def test_refused_funds_are_cover_again(ctx: Context) -> None:
    open_hub(ctx, covers={A: 100})
    coming = hub.propose_funds(
        ctx,
        funds_id=new_id(),
        member_id=A,
        currency="CNY",
        way="in",
        amount_minor=5,
        bank_reference="camt",
        by=ANNA,
    )
    going = take_out(ctx, A, 70)
    assert figures(ctx, A)[2] == 30

    for funds in (coming, going):
        refused = hub.refuse_funds(ctx, funds.funds_id, by=ANNA)
        assert hub.refuse_funds(ctx, funds.funds_id, by=ANNA) == refused
        with pytest.raises(hub.FundsDecided):
            hub.confirm_funds(ctx, funds.funds_id, by=BO)

    assert figures(ctx, A) == (0, 0, 100)
    check_books(ctx)


def test_a_settled_window_releases_positions_once(ctx: Context) -> None:
    open_hub(ctx, covers=dict.fromkeys(MEMBERS, 100))
    pay(ctx, A, B, 80)

    for _ in range(2):
        hub.release(ctx, "daily-20261120", A, "CNY", 80)
        hub.release(ctx, "daily-20261120", B, "CNY", -80)

    assert figures(ctx, A) == figures(ctx, B) == (0, 0, 100)
    with pytest.raises(hub.ReleaseDiffers):
        hub.release(ctx, "daily-20261120", A, "CNY", 81)
    with pytest.raises(hub.UnknownLiquidity):
        hub.release(ctx, "daily-20261120", "nowhere", "CNY", 1)
    assert pay(ctx, A, B, 100) == ["RESERVED", "COMMITTED"]
    check_books(ctx)


def test_what_was_paid_out_to_a_member_that_sent_it_on_leaves_it_over_its_limit(ctx: Context) -> None:
    open_hub(ctx, covers=dict.fromkeys(MEMBERS, 100))
    pay(ctx, A, B, 80)
    pay(ctx, B, C, 170)

    hub.release(ctx, "w1", A, "CNY", 80)
    hub.release(ctx, "w1", B, "CNY", -80)
    hub.turn(ctx)

    assert figures(ctx, B) == (170, 0, 0)
    assert "over" in standing(ctx, B)
    assert pay(ctx, B, C, 1)[0] == "ABORTED over_limit"
    hub.release(ctx, "w2", B, "CNY", 170)
    hub.release(ctx, "w2", C, "CNY", -170)
    assert figures(ctx, B) == figures(ctx, C) == (0, 0, 100)
    check_books(ctx)


# what is sent of 100 | alarms that stand, with a warning at 80 % and a soft limit of 90
ALARMS = [
    (79, []),
    (80, ["warning"]),
    (89, ["warning"]),
    (90, ["soft", "warning"]),
    (100, ["soft", "warning"]),
]


@pytest.mark.parametrize(("sent", "alarms"), ALARMS)
def test_alarms_are_raised_once_told_and_ended(ctx: Context, sent: int, alarms: list[str]) -> None:
    open_hub(ctx, covers=dict.fromkeys(MEMBERS, 100))
    set_cap(ctx, A, 100, soft_minor=90)

    assert pay(ctx, A, B, sent) == ["RESERVED", "COMMITTED"]
    for _ in range(2):
        hub.turn(ctx)

    assert standing(ctx, A) == alarms
    pay(ctx, B, A, sent)
    hub.turn(ctx)
    assert standing(ctx, A) == []
    told = sorted(one for one in feed(ctx, A) if "on" in one.split() or "off" in one.split())
    assert told == sorted(f"{kind} {way}" for kind in alarms for way in ("on", "off"))


def test_a_refusal_raises_the_hard_alarm_at_once(ctx: Context) -> None:
    open_hub(ctx, covers=dict.fromkeys(MEMBERS, 100))
    pay(ctx, A, B, 95)

    assert pay(ctx, A, B, 6)[0] == "ABORTED no_headroom"
    assert pay(ctx, A, B, 6)[0] == "ABORTED no_headroom"

    assert standing(ctx, A) == ["hard"]
    assert feed(ctx, A).count("hard on") == 1


def test_rides_not_cleared_are_never_refused_but_count_in_the_exposure(ctx: Context) -> None:
    open_hub(ctx, covers=dict.fromkeys(MEMBERS, 100))
    with ctx.tx() as tx:
        league = trust.MemberId("league")
        trust.add_members(tx, [trust.Member(league, "League", "league", None, league, "IBAN")])
    clearing.open_positions(ctx, [(A, B, "CNY")])
    pay(ctx, A, B, 30)
    risk = ledger.AccountId(new_id())
    ledger.open_accounts(ctx, [ledger.Account(risk, "CNY", ledger.AccountCode.RISK, A)])
    ledger.post(
        ctx,
        [
            ledger.Transfer(
                ledger.TransferId(new_id()),
                risk,
                clearing.position_account(A, B, "CNY", 0),
                80,
                "CNY",
                ledger.TransferCode.FARE,
                NOW,
            )
        ],
    )

    hub.turn(ctx)

    with ctx.tx() as tx:
        seen = {one.member_id: (one.hub_minor, one.clearing_minor) for one in hub.exposure(tx)}
    assert seen[A] == (30, 80)
    assert seen[B] == (-30, -80)
    assert standing(ctx, A) == ["exposure"]
    assert figures(ctx, A) == (30, 0, 70)


class Killed(Exception):
    """The plug is pulled."""


def killed_at(number: int) -> Callable[[str], None]:
    """A step that pulls the plug at its so-many-th call."""
    calls = 0

    def step(_: str) -> None:
        nonlocal calls
        calls += 1
        if calls == number:
            raise Killed

    return step


@pytest.mark.parametrize("at", range(1, 8))
def test_funds_and_caps_killed_at_any_step_end_as_if_they_had_not_been(ctx: Context, at: int) -> None:
    open_hub(ctx, covers={A: 100, B: 100})
    pay(ctx, A, B, 20)
    funds_id, cap_id = new_id(), new_id()

    def do(step: Callable[[str], None]) -> None:
        take_out(ctx, A, 50, funds_id=funds_id, step=step)
        hub.confirm_funds(ctx, funds_id, by=BO, step=step)
        set_cap(ctx, A, 40, cap_id=cap_id, step=step)
        hub.release(ctx, "w", A, "CNY", 5, step=step)

    try:
        do(killed_at(at))
    except Killed:
        hub.finish(ctx)
        hub.turn(ctx)
        do(lambda _: None)

    assert figures(ctx, A) == (15, 0, 25)
    with ctx.tx() as tx:
        assert ledger.balance(tx, hub.cover_account(A, "CNY", 0)).credit_minor == 50
        assert hub.get_funds(tx, funds_id).state == "booked"
    hub.release(ctx, "w", B, "CNY", -5)
    check_books(ctx)


def test_deposits_raise_the_limit_as_far_as_the_cap(ctx: Context) -> None:
    open_hub(ctx, covers={A: 100}, caps={A: 150})

    deposit(ctx, A, 100)

    assert figures(ctx, A) == (0, 0, 150)
