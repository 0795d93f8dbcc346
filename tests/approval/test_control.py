"""What owners and issuers do to spending: limits fall at once and rise slowly; the freeze stops all."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from approval.approving import guard, later
from approval.spending import ANNA, AT, BO, CAI, decided, open_riders, spend, used
from hansa import approval, audit, identity
from hansa.approval import Allowed, Channel, Limit, Refused, Span, deciding
from hansa.approval.limits import changed
from hansa.kernel import InvalidInput, Money
from hansa.store import Context

DAY = timedelta(days=1)


@pytest.fixture
def ctx_(ctx: Context) -> Context:
    with ctx.tx() as tx:
        open_riders(tx)
    return ctx


def set_limit(ctx: Context, minor: int | None, *, span: Span = "day", scope: str = "") -> Limit:
    return approval.set_limit(ctx, ANNA, currency="CNY", span=span, minor=minor, scope=scope)


def pay(ctx: Context, number: int, minor: int, **more: object) -> approval.Verdict:
    at = ctx.clock.now()
    with ctx.tx() as tx:
        return decided(tx, spend(number, minor, session_at=at, **more), at)  # pyright: ignore[reportArgumentType]


def over(verdict: approval.Verdict) -> bool:
    return isinstance(verdict, Refused) and isinstance(verdict.error, approval.LimitReached)


def test_a_first_limit_holds_at_once(ctx_: Context) -> None:
    set_limit(ctx_, 15_00)

    assert isinstance(pay(ctx_, 1, 10_00), Allowed)
    assert over(pay(ctx_, 2, 5_01)) and isinstance(pay(ctx_, 3, 5_00), Allowed)


def test_a_lower_limit_holds_at_once_and_a_higher_one_after_a_day(ctx_: Context) -> None:
    set_limit(ctx_, 50_00)
    set_limit(ctx_, 5_00)
    assert over(pay(ctx_, 1, 6_00))
    raised = set_limit(ctx_, 60_00)
    assert raised.next_at == ctx_.clock.now() + timedelta(days=1)

    later(ctx_, hours=23, minutes=59)
    assert over(pay(ctx_, 2, 6_00))
    later(ctx_, minutes=1)
    assert isinstance(pay(ctx_, 3, 6_00), Allowed)


def test_taking_a_limit_away_waits_as_any_raise(ctx_: Context) -> None:
    set_limit(ctx_, 5_00)
    assert approval.raises(ctx_, ANNA, currency="CNY", span="day", minor=None)

    set_limit(ctx_, None)

    assert over(pay(ctx_, 1, 6_00))
    later(ctx_, days=1)
    assert isinstance(pay(ctx_, 2, 6_00), Allowed)


def test_a_raise_that_waits_is_called_off_by_any_lower_limit(ctx_: Context) -> None:
    set_limit(ctx_, 5_00)
    set_limit(ctx_, 50_00)
    set_limit(ctx_, 5_00)

    later(ctx_, days=2)

    assert over(pay(ctx_, 1, 6_00))
    with ctx_.tx() as tx:
        kinds = [one.kind for one in approval.list_changes(tx, 0, ANNA)]
    assert kinds == ["limit_raise_canceled", "limit_raise_asked", "limit_lowered"]


def test_asking_again_for_the_same_raise_does_not_begin_the_wait_anew(ctx_: Context) -> None:
    set_limit(ctx_, 5_00)
    first = set_limit(ctx_, 50_00)
    later(ctx_, hours=20)

    assert set_limit(ctx_, 50_00) == first


@pytest.mark.parametrize(
    ("scope", "hit", "free"),
    [
        ("channel:online", {"channel": Channel.ONLINE}, {"channel": Channel.QR}),
        ("category:5813", {"category": "5813"}, {"category": "5411"}),
    ],
)
def test_a_limit_on_a_part_counts_what_was_spent_of_it_before(
    ctx_: Context, scope: str, hit: dict[str, object], free: dict[str, object]
) -> None:
    pay(ctx_, 1, 10_00, **hit)
    set_limit(ctx_, 15_00, scope=scope)

    assert over(pay(ctx_, 2, 6_00, **hit)) and isinstance(pay(ctx_, 3, 6_00, **free), Allowed)
    assert isinstance(pay(ctx_, 4, 5_00, **hit), Allowed)
    with ctx_.tx() as tx:
        assert used(tx, ANNA, scope=scope) == (2, 15_00, 15_00)
        approval.give_back(tx, [spend(1).spend_id], at=ctx_.clock.now())
        assert used(tx, ANNA, scope=scope) == (1, 5_00, 5_00)


@pytest.mark.parametrize(
    ("wrong", "where"),
    [
        ({"scope": "channel:moon"}, "scope"), ({"scope": "colour:red"}, "scope"), ({"scope": "category:54"}, "scope"),
        ({"currency": "XYZ"}, "currency"), ({"span": "year"}, "span"), ({"minor": -1}, "amount"),
    ],
)  # fmt: skip
def test_a_limit_that_makes_no_sense_is_refused(ctx_: Context, wrong: dict[str, object], where: str) -> None:
    with pytest.raises(InvalidInput) as told:
        approval.set_limit(ctx_, ANNA, **({"currency": "CNY", "span": "day", "minor": 1} | wrong))  # pyright: ignore

    assert told.value.problems[0].where == where
    with ctx_.tx() as tx:
        assert approval.list_changes(tx, 0, ANNA) == []


LIMITS = st.none() | st.integers(0, 100)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(LIMITS, st.integers(0, 30)), min_size=1, max_size=8), st.integers(0, 60))
def test_a_fall_shows_at_once_and_a_rise_no_sooner_than_a_day_after_it_was_asked(
    steps: list[tuple[int | None, int]], ask_h: int
) -> None:
    blank = Limit("CNY", "", "day", None, None, None, AT)
    limit, at, before = blank, AT, size(None)
    for minor, hours in steps:
        at += timedelta(hours=hours)
        before = size(limit.holds(at))
        limit = changed(limit, blank, minor, at=at, raise_at=at + timedelta(hours=24))
        assert size(limit.holds(at)) == min(before, size(minor))
    last = size(steps[-1][0])

    then = size(limit.holds(at + timedelta(hours=ask_h)))

    assert then == (last if ask_h >= 24 else min(before, last))


def size(minor: int | None) -> float:
    """No limit is more than any."""
    return float("inf") if minor is None else minor


def test_after_a_recovery_the_owners_limits_count_a_tenth_and_no_raise_of_before_holds(
    ctx_: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_limit(ctx_, 100_00)
    set_limit(ctx_, 40_00, scope="channel:qr")
    set_limit(ctx_, 5_000_00)  # asked for by who took the account; it would hold a day from now
    recovered_at = ctx_.clock.now() + timedelta(hours=20)

    def know(asked: deciding.Asked) -> dict[identity.AccountId, identity.Knowledge]:
        return {one.account_id: identity.Knowledge(recovered_at=recovered_at) for one in asked.accounts}

    monkeypatch.setattr(deciding.Asked, "persons", know)
    later(ctx_, hours=25)

    assert over(pay(ctx_, 1, 4_01)) and isinstance(pay(ctx_, 2, 4_00), Allowed)
    assert over(pay(ctx_, 3, 6_01, channel=Channel.CODE))
    assert isinstance(pay(ctx_, 4, 6_00, channel=Channel.CODE), Allowed)
    set_limit(ctx_, 8_00)
    assert over(pay(ctx_, 5, 1, channel=Channel.CODE))
    later(ctx_, hours=72)
    assert over(pay(ctx_, 6, 8_01)) and isinstance(pay(ctx_, 7, 8_00), Allowed)


# -- the freeze ---------------------------------------------------------------------------------------------


def test_a_freeze_stops_all_spending_and_nothing_is_counted(ctx_: Context) -> None:
    frozen = approval.freeze(ctx_, ANNA, reason="My phone is gone.")
    assert approval.freeze(ctx_, ANNA) == frozen

    verdict = pay(ctx_, 1, 1_00)

    assert isinstance(verdict, Refused) and isinstance(verdict.error, approval.SpendingFrozen)
    assert isinstance(pay(ctx_, 2, 1_00, account=BO), Allowed)
    assert approval.unfreeze(ctx_, ANNA) and not approval.unfreeze(ctx_, ANNA)
    assert isinstance(pay(ctx_, 3, 1_00), Allowed)


def test_only_the_issuer_lifts_an_issuers_freeze(ctx_: Context) -> None:
    approval.freeze(ctx_, ANNA)
    assert approval.freeze(ctx_, ANNA, by="issuer", reason="Reported by the police.").frozen_by == "issuer"

    with pytest.raises(approval.FrozenByIssuer):
        approval.unfreeze(ctx_, ANNA)

    assert isinstance(pay(ctx_, 1, 1_00), Refused)
    assert approval.unfreeze(ctx_, ANNA, by="issuer", actor="staff:Li")
    with ctx_.tx() as tx:
        acts = audit.search(tx, chain="beijing-card")
    assert {(one.actor, one.action, one.subject) for one in acts} == {
        ("issuer:beijing-card", "spending.freeze", f"account:{ANNA}"),
        ("staff:Li", "spending.unfreeze", f"account:{ANNA}"),
    }


def test_a_repeat_of_what_was_allowed_before_the_freeze_gives_the_first_answer(ctx_: Context) -> None:
    first = pay(ctx_, 1, 1_00)
    approval.freeze(ctx_, ANNA)

    with ctx_.tx() as tx:
        assert decided(tx, replace(spend(1, 1_00), session_at=None)) == first


# -- policy and people --------------------------------------------------------------------------------------


def test_a_guardian_stops_a_ward_who_cannot_lift_that_while_somebody_answers_for_them(ctx_: Context) -> None:
    guard(ctx_, ANNA, by=BO)
    with pytest.raises(identity.UnknownGuardianship):
        approval.freeze(ctx_, ANNA, by="guardian", guardian_id=CAI)
    approval.freeze(ctx_, ANNA)

    found = approval.freeze(ctx_, ANNA, by="guardian", guardian_id=BO)

    assert found.frozen_by == "guardian"
    assert approval.freeze(ctx_, ANNA).frozen_by == "guardian", "the ward's own does not take its place"
    with pytest.raises(approval.FrozenByGuardian):
        approval.unfreeze(ctx_, ANNA)
    verdict = pay(ctx_, 1, 10_00)
    assert isinstance(verdict, Refused) and verdict.error.detail.endswith("frozen by the guardian.")
    approval.freeze(ctx_, ANNA, by="issuer", actor="staff:li")
    with pytest.raises(approval.FrozenByIssuer):
        approval.unfreeze(ctx_, ANNA, by="guardian", guardian_id=BO)
    approval.unfreeze(ctx_, ANNA, by="issuer", actor="staff:li")

    approval.freeze(ctx_, ANNA, by="guardian", guardian_id=BO)
    assert approval.unfreeze(ctx_, ANNA, by="guardian", guardian_id=BO)
    with ctx_.tx() as tx:
        last = approval.list_changes(tx, 0, ANNA)[0]
    assert (last.kind, last.by, last.other_id) == ("unfrozen", "guardian", BO)
    approval.freeze(ctx_, ANNA, by="guardian", guardian_id=BO)
    with ctx_.tx() as tx:
        tx.execute(
            "update identity.guardianships set state = 'ended', ended_at = now(), ended_for = 'majority'"
        )
    assert approval.unfreeze(ctx_, ANNA), "who is of age lifts what nobody else can lift any more"


def test_guardians_alone_raise_a_wards_limits(ctx_: Context) -> None:
    guard(ctx_, ANNA, by=BO)
    set_limit(ctx_, 80_00)
    set_limit(ctx_, 50_00)
    with pytest.raises(approval.GuardianRaises):
        set_limit(ctx_, 60_00)
    with pytest.raises(approval.GuardianRaises):
        set_limit(ctx_, None)
    with pytest.raises(identity.UnknownGuardianship):
        approval.set_limit(ctx_, ANNA, currency="CNY", span="day", minor=60_00, guardian_id=CAI)

    limit = approval.set_limit(ctx_, ANNA, currency="CNY", span="day", minor=60_00, guardian_id=BO)

    now = ctx_.clock.now()
    assert (limit.holds(now), limit.holds(now + DAY)) == (50_00, 60_00)
    with ctx_.tx() as tx:
        last = approval.list_changes(tx, 0, ANNA)[0]
    assert (last.kind, last.by, last.other_id) == ("limit_raise_asked", "guardian", BO)
    assert set_limit(ctx_, 40_00).holds(now + DAY) == 40_00, "the ward lowers, and calls the raise off"


def test_an_issuer_sets_its_own_policy_and_a_faulty_one_leaves_the_old(ctx_: Context) -> None:
    with ctx_.tx() as tx:
        assert (
            approval.set_policy(tx, "beijing-card", "version = 1\n[units]\nCNY = 5_00", by="staff", at=AT)
            == 1
        )
        with pytest.raises(approval.BadPolicy):
            approval.set_policy(tx, "beijing-card", "[units]\nCNY = 0", by="staff", at=AT)

        assert approval.policy_of(tx, "beijing-card").units == {"CNY": 5_00}
        assert approval.policy_of(tx, "london-card").units["CNY"] == 100_00


def named(ctx: Context) -> dict[identity.AccountId, tuple[datetime, datetime | None]]:
    with ctx.tx() as tx:
        found = approval.list_co_approvers(tx, 0, ANNA)
    return {one.approver_id: (one.holds_from, one.until) for one in found}


def test_the_first_second_person_is_asked_at_once_and_another_after_a_day(ctx_: Context) -> None:
    now = ctx_.clock.now()
    first = approval.name_co_approver(ctx_, ANNA, BO)
    assert approval.name_co_approver(ctx_, ANNA, BO) == first
    assert approval.name_co_approver(ctx_, ANNA, CAI).holds_from == now + DAY
    assert named(ctx_) == {BO: (now, None), CAI: (now + DAY, None)}

    assert approval.remove_co_approver(ctx_, ANNA, CAI) is None, "who is not asked yet is gone at once"
    assert named(ctx_) == {BO: (now, None)}
    with pytest.raises(InvalidInput):
        approval.name_co_approver(ctx_, ANNA, ANNA)


def test_a_second_person_is_asked_no_more_after_a_day_and_can_be_kept_until_then(ctx_: Context) -> None:
    now = ctx_.clock.now()
    approval.name_co_approver(ctx_, ANNA, BO)

    leaves = approval.remove_co_approver(ctx_, ANNA, BO)
    later(ctx_, hours=1)
    assert leaves == approval.remove_co_approver(ctx_, ANNA, BO), "asking again does not begin the wait anew"
    assert named(ctx_) == {BO: (now, now + DAY)} and approval.end_co_approvers(ctx_) == 0
    approval.name_co_approver(ctx_, ANNA, BO)
    later(ctx_, hours=24)
    assert approval.end_co_approvers(ctx_) == 0 and named(ctx_) == {BO: (now, None)}

    approval.remove_co_approver(ctx_, ANNA, BO)
    later(ctx_, hours=24)
    assert approval.end_co_approvers(ctx_) == 1 and approval.end_co_approvers(ctx_) == 0
    assert named(ctx_) == {}
    with ctx_.tx() as tx:
        kinds = [one.kind for one in approval.list_changes(tx, 0, ANNA)]
    assert kinds == [
        "co_approver_removed",
        "co_approver_leaves",
        "co_approver_named",
        "co_approver_leaves",
        "co_approver_named",
    ]


def test_what_may_be_spent_is_seen_with_what_was_spent(ctx_: Context) -> None:
    pay(ctx_, 1, 10_00)
    set_limit(ctx_, 50_00)

    with ctx_.tx() as tx:
        (view,) = approval.view_spending(ctx_, tx, ANNA, ["CNY", "XPF"])

    assert [str(one) for one in view.ceilings] == ["¥1,000.00"] * 3  # of the year
    assert (view.spent_day.minor, view.spent_month.minor, view.recovered) == (10_00, 10_00, False)
    assert (view.year, view.spent_year, view.balance) == (
        Money(1_000_00, "CNY"),
        Money(10_00, "CNY"),
        Money(1_000_00, "CNY"),
    )
    assert [one.minor for one in view.limits] == [50_00]


def test_nobodys_limits_are_set(ctx: Context) -> None:
    with pytest.raises(identity.UnknownAccount):
        set_limit(ctx, 5_00)
