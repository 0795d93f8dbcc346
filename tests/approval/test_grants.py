"""Delegations and mandates: caps, kinds of things, hours, waits and ends; revoked at once; used up no further."""

from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from itertools import combinations
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from approval.approving import anna, join, later
from approval.spending import ANNA, AT, BO, CAI, SHOP, decided, open_riders, spend, used
from hansa import approval, identity
from hansa.approval import Allowed, ApprovalLevel, Channel, Needs, Refused
from hansa.kernel import FixedClock, HansaError, InvalidInput, fact_id
from hansa.store import Context, TooOften

DELEGATION, MANDATE = fact_id(None, "delegation"), fact_id(None, "mandate")


def grant(ctx: Context, **more: Any) -> approval.Delegation:
    new: dict[str, Any] = {
        "delegation_id": DELEGATION,
        "delegate_id": BO,
        "kind": "carer",
        "currency": "CNY",
        "payment_minor": 50_00,
        "day_minor": 80_00,
        "month_minor": 100_00,
        "ends_at": ctx.clock.now() + timedelta(days=60),
    }
    return approval.grant_delegation(ctx, ANNA, approval.NewDelegation(**new | more))


def granted(ctx: Context, **more: Any) -> approval.Delegation:
    """A delegation that holds."""
    with ctx.tx() as tx:
        open_riders(tx)
    delegation = grant(ctx, **more)
    later(ctx, days=1)
    return delegation


def pay(ctx: Context, number: int, minor: int = 10_00, **more: Any) -> approval.Verdict:
    at = ctx.clock.now()
    with ctx.tx() as tx:
        return decided(tx, spend(number, minor, **dict[str, Any](by=BO, session_at=at) | more), at)


def refusal(verdict: approval.Verdict) -> HansaError:
    assert isinstance(verdict, Refused), verdict
    return verdict.error


def test_a_delegate_spends_from_the_owners_wallet_once_it_holds(ctx: Context) -> None:
    with ctx.tx() as tx:
        open_riders(tx)
    assert isinstance(refusal(pay(ctx, 1)), approval.NotDelegated)
    grant(ctx)
    assert isinstance(refusal(pay(ctx, 2)), approval.NotDelegated)
    later(ctx, days=1)

    assert isinstance(pay(ctx, 3), Allowed)

    with ctx.tx() as tx:
        assert used(tx, ANNA) == used(tx, DELEGATION) == (1, 10_00, 10_00) and used(tx, BO) == (0, 0, 0)
        assert approval.use_delegation(tx, ANNA, BO, ctx.clock.now()) is not None


def test_caps_hold_for_a_payment_a_day_and_a_month(ctx: Context) -> None:
    granted(ctx)
    with ctx.tx() as tx:
        decided(tx, spend(90, 1_00))

    def delegated(number: int, minor: int) -> approval.Verdict:
        return pay(ctx, number, minor)

    assert isinstance(refusal(delegated(1, 50_01)), approval.DelegationExceeded)
    assert [isinstance(delegated(2 + place, 40_00), Allowed) for place in range(3)] == [True, True, False]
    later(ctx, days=1)
    assert isinstance(refusal(delegated(5, 20_01)), approval.DelegationExceeded)
    assert isinstance(delegated(6, 20_00), Allowed)
    with ctx.tx() as tx:
        approval.give_back(tx, [spend(6).spend_id], at=ctx.clock.now())
        assert used(tx, DELEGATION)[2] == 80_00


@pytest.mark.parametrize(
    ("granted_with", "pays", "good"),
    [
        ({"kind": "child"}, {"category": "5921"}, False),
        ({"kind": "child"}, {"category": "7995"}, False),
        ({"kind": "child"}, {"category": "5814"}, True),
        ({"kind": "child", "categories_denied": []}, {"category": "5921"}, True),
        ({"categories": ["5411", "5811-5814"]}, {"category": "5812"}, True),
        ({"categories": ["5411", "5811-5814"]}, {"category": "5815"}, False),
        ({"categories": ["5411"]}, {"category": ""}, False),
        ({"payees": [SHOP]}, {}, True),
        ({"payees": ["merchant:other"]}, {}, False),
        ({"from_hour": 8, "to_hour": 13}, {}, True),
        ({"from_hour": 13, "to_hour": 20}, {}, False),
        ({}, {"channel": Channel.BANK}, False),
        ({}, {"currency": "HKD"}, False),
    ],
)
def test_where_when_and_for_what(
    ctx: Context, granted_with: dict[str, Any], pays: dict[str, Any], good: bool
) -> None:
    granted(ctx, **granted_with)

    verdict = pay(ctx, 1, **pays)

    assert isinstance(verdict, Allowed) if good else isinstance(refusal(verdict), approval.DelegationExceeded)


def test_the_owner_or_the_delegate_ends_it_at_once(ctx: Context) -> None:
    granted(ctx)
    with pytest.raises(approval.UnknownDelegation):
        approval.revoke_delegation(ctx, DELEGATION, CAI, ANNA)

    ended = approval.revoke_delegation(ctx, DELEGATION, BO, ANNA)

    assert ended.state(ctx.clock.now()) == "revoked"
    assert approval.revoke_delegation(ctx, DELEGATION, ANNA, ANNA) == ended
    assert isinstance(refusal(pay(ctx, 1)), approval.NotDelegated)


def test_it_ends_by_itself(ctx: Context) -> None:
    granted(ctx)
    later(ctx, days=59)

    assert isinstance(refusal(pay(ctx, 1)), approval.NotDelegated)


@pytest.mark.parametrize("who", [ANNA, BO])
def test_a_freeze_of_the_owner_or_the_delegate_stops_it(ctx: Context, who: identity.AccountId) -> None:
    granted(ctx)
    approval.freeze(ctx, who)

    assert isinstance(refusal(pay(ctx, 1)), approval.SpendingFrozen | approval.NotDelegated)

    approval.unfreeze(ctx, who)
    assert isinstance(pay(ctx, 2), Allowed)


def test_who_froze_their_own_spending_spends_nothing_from_a_wallet_that_is_lent_afterwards(
    ctx: Context,
) -> None:
    with ctx.tx() as tx:
        open_riders(tx)
    approval.freeze(ctx, BO)
    grant(ctx)
    later(ctx, days=1)
    assert isinstance(refusal(pay(ctx, 1)), approval.NotDelegated)
    with ctx.tx() as tx:
        assert approval.use_delegation(tx, ANNA, BO, ctx.clock.now()) is None

    approval.unfreeze(ctx, BO)

    assert isinstance(pay(ctx, 2), Allowed)


def test_the_owners_own_limits_hold_for_the_delegate_too(ctx: Context) -> None:
    granted(ctx)
    approval.set_limit(ctx, ANNA, currency="CNY", span="payment", minor=5_00)

    assert isinstance(refusal(pay(ctx, 1)), approval.LimitReached)


def test_above_an_amount_the_owner_agrees(ctx: Context) -> None:
    owner = anna(ctx)
    grant(ctx, ask_above_minor=20_00)
    later(ctx, days=1)
    bo = join(ctx, BO)
    owner = join(ctx, ANNA)
    verdict = pay(ctx, 1, 30_00)
    assert isinstance(verdict, Needs) and verdict.level == ApprovalLevel.SECOND_PERSON

    at = ctx.clock.now()
    one = spend(1, 30_00, by=BO, session_at=at)
    with ctx.tx() as tx:
        subject = approval.subject_for(one, kind="payment", subject_id=one.spend_id, asked_at=at)
        asked = approval.open_approval(tx, one, verdict.level, subject, "/wallet/home", at)
    assert bo.approve(asked).approval.phase == "second"
    assert owner.approve(asked).given
    with ctx.tx() as tx:
        assert used(tx, DELEGATION) == (1, 30_00, 30_00)


@pytest.mark.parametrize(
    ("wrong", "where"),
    [
        ({"delegate_id": ANNA}, "delegate_id"), ({"kind": "boss"}, "kind"), ({"currency": "XYZ"}, "currency"),
        ({"payment_minor": 90_00}, "payment"), ({"from_hour": 9, "to_hour": 9}, "from_hour"),
        ({"ends_at": AT - timedelta(days=1)}, "ends_at"), ({"categories": ["54"]}, "categories"),
        ({"categories": ["5814-5811"]}, "categories"), ({"ask_above_minor": -1}, "ask_above"),
        ({"payees": ["x"] * 51}, "payees"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_not_granted(ctx: Context, wrong: dict[str, Any], where: str) -> None:
    with ctx.tx() as tx:
        open_riders(tx)

    with pytest.raises(InvalidInput) as told:
        grant(ctx, **wrong)

    assert where in [one.where for one in told.value.problems]
    with ctx.tx() as tx:
        assert approval.list_delegations(tx, 0, ANNA) == []


def test_granting_again_is_harmless_and_another_body_is_refused(ctx: Context) -> None:
    first = granted(ctx)

    assert grant(ctx) == first
    with pytest.raises(approval.GrantDiffers):
        grant(ctx, payment_minor=60_00)


# -- one at a time for a thing -------------------------------------------------------------------------------


OVERLAPS = [
    # the one there is | the other | whether some payment could be made under either
    ({}, {}, True),
    ({}, {"categories": ["5411"]}, True),
    ({"categories": ["5411"]}, {"categories": ["5811-5814"]}, False),
    ({"categories": ["5400-5500"]}, {"categories": ["5411"]}, True),
    ({"categories": ["5400-5500"]}, {"categories": ["5411"], "categories_denied": ["5411"]}, False),
    ({"categories": ["5400-5500"]}, {"categories": ["5400-5420"], "categories_denied": ["5400-5419"]}, True),
    ({"categories_denied": ["5411"]}, {"categories": ["5411"]}, False),
    ({"categories": ["0000-9999"]}, {"categories_denied": ["0000-9998"]}, True),
    ({"categories": ["0000-9999"]}, {"categories_denied": ["0000-9999"]}, False),
    ({"payees": [SHOP]}, {"payees": ["merchant:other"]}, False),
    ({"payees": [SHOP]}, {}, True),
    ({"from_hour": 6, "to_hour": 12}, {"from_hour": 12, "to_hour": 20}, False),
    ({"from_hour": 6, "to_hour": 13}, {"from_hour": 12, "to_hour": 20}, True),
    ({}, {"delegate_id": CAI}, False),
    ({}, {"currency": "HKD"}, False),
]


@pytest.mark.parametrize(("first", "second", "overlap"), OVERLAPS)
def test_a_second_one_for_some_of_the_same_things_is_refused(
    ctx: Context, first: dict[str, Any], second: dict[str, Any], overlap: bool
) -> None:
    one = granted(ctx, **first)
    another: dict[str, Any] = {"delegation_id": fact_id(None, "second"), **second}

    if overlap:
        with pytest.raises(approval.DelegationOverlaps) as refused:
            grant(ctx, **another)
        assert str(one.delegation_id) in refused.value.detail
    else:
        grant(ctx, **another)

    with ctx.tx() as tx:
        assert len(approval.list_delegations(tx, one.partition, ANNA)) == (1 if overlap else 2)


def test_one_is_changed_by_another_that_takes_its_place_when_it_begins(ctx: Context) -> None:
    granted(ctx)
    second = {"delegation_id": fact_id(None, "second"), "payment_minor": 20_00, "replaces": DELEGATION}
    for wrong in ({"replaces": fact_id(None, "none")}, {"delegate_id": CAI}, {"currency": "HKD"}):
        with pytest.raises(InvalidInput) as refused:
            grant(ctx, **second | wrong)
        assert [one.where for one in refused.value.problems] == ["replaces"]

    changed = grant(ctx, **second)
    assert grant(ctx, **second) == changed, "again is harmless"
    assert isinstance(pay(ctx, 1, 50_00), Allowed), "what there is holds"
    assert isinstance(refusal(pay(ctx, 2, 40_00)), approval.DelegationExceeded), "and nothing beside it"
    later(ctx, days=1)

    assert isinstance(refusal(pay(ctx, 3, 50_00)), approval.DelegationExceeded)
    assert isinstance(pay(ctx, 4, 20_00), Allowed)
    with ctx.tx() as tx:
        states = {
            one.delegation_id: one.state(ctx.clock.now())
            for one in approval.list_delegations(tx, changed.partition, ANNA)
        }
    assert states == {changed.delegation_id: "active", DELEGATION: "ended"}


def test_of_two_that_were_asked_for_side_by_side_the_one_signed_last_holds(ctx: Context) -> None:
    signer = anna(ctx)
    asked: dict[UUID, approval.Approval] = {}
    first, second = fact_id(None, "side"), fact_id(None, "by side")
    for one in (first, second):
        new = approval.NewDelegation(
            delegation_id=one, delegate_id=BO, kind="carer", currency="CNY", payment_minor=50_00, day_minor=80_00,
            month_minor=100_00, ends_at=ctx.clock.now() + timedelta(days=60),
        )  # fmt: skip
        _, asked[one] = approval.ask_delegation(ctx, ANNA, new)

    for one in (first, second):
        signer.approve(asked[one])
        approval.advance_delegation(ctx, one)
        later(ctx, minutes=1)
    later(ctx, days=1)

    with ctx.tx() as tx:
        states = {
            one.delegation_id: one.state(ctx.clock.now()) for one in approval.list_delegations(tx, 0, ANNA)
        }
    assert states == {first: "ended", second: "active"}


_CAPS = st.fixed_dictionaries({
    "categories": st.sampled_from([(), ("5411",), ("5400-5500",), ("5811-5814",), ("0000-9999",)]),
    "categories_denied": st.sampled_from([(), ("5411",), ("5812-5813",), ("0000-5499",)]),
    "payees": st.sampled_from([(), (SHOP,), ("merchant:other",)]),
    "hours": st.sampled_from([(0, 24), (6, 12), (12, 18)]),
})  # fmt: skip
_STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("give"), _CAPS, st.booleans()),
        st.tuples(st.just("end"), st.integers(0, 5)),
        st.tuples(st.just("wait"), st.integers(1, 30)),
    ),
    min_size=2,
    max_size=10,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=_STEPS)
def test_at_no_instant_do_caps_for_the_same_payment_add_up(ctx: Context, steps: list[Any]) -> None:
    clock = FixedClock(AT)
    with ctx.tx() as tx, tx.transaction(force_rollback=True):
        ctx = replace(ctx, clock=clock)
        open_riders(tx)
        made: list[approval.Delegation] = []
        for number, (kind, *rest) in enumerate(steps):
            if kind == "give":
                caps, changes = rest
                hours = caps["hours"]
                new = {name: caps[name] for name in ("categories", "categories_denied", "payees")}
                last = made[-1].delegation_id if made and changes else None
                with suppress(approval.DelegationOverlaps, InvalidInput), tx.transaction():
                    made.append(
                        grant(
                            ctx,
                            delegation_id=fact_id(None, "one", number),
                            from_hour=hours[0],
                            to_hour=hours[1],
                            replaces=last,
                            **new,
                        )
                    )
            elif kind == "end" and made:
                approval.revoke_delegation(ctx, made[rest[0] % len(made)].delegation_id, ANNA, ANNA)
            elif kind == "wait":
                clock.at += timedelta(hours=rest[0])
            live = [one for one in approval.list_delegations(tx, 0, ANNA) if one.state(clock.at) == "active"]
            assert not any(one.overlaps(other) for one, other in combinations(live, 2))
            for one in live:
                for hour in range(24):
                    for category in ("", "5411", "5812", "5814"):
                        for payee in (SHOP, "merchant:other"):
                            good = [
                                each
                                for each in live
                                if each.lets(category)
                                and each.from_hour <= hour < each.to_hour
                                and (not each.payees or payee in each.payees)
                            ]
                            assert len(good) <= 1, (one, good)


# -- mandates -----------------------------------------------------------------------------------------------


def ask(ctx: Context, **more: Any) -> approval.Approval:
    new: dict[str, Any] = {
        "mandate_id": MANDATE,
        "account_id": ANNA,
        "payee_key": SHOP,
        "payee_name": "Tea house",
        "member_id": "beijing-card",
        "currency": "CNY",
        "each_minor": 30_00,
        "period": "week",
        "period_minor": 50_00,
        "ends_at": AT + timedelta(days=60),
        "reference": "A box of tea",
    }
    return approval.ask_mandate(ctx, approval.NewMandate(**new | more))[1]


def pull(ctx: Context, number: int, minor: int = 10_00, **more: Any) -> approval.Verdict:
    at = ctx.clock.now()
    one = spend(number, minor, channel=Channel.MANDATE, mandate_id=MANDATE, session_at=None)
    with ctx.tx() as tx:
        return decided(tx, replace(one, **more), at)


def holds(ctx: Context) -> None:
    person = anna(ctx)
    asked = ask(ctx)
    assert person.approve(asked).given
    approval.tell(ctx, advance)


def advance(ctx: Context, kind: str, subject_id: Any) -> bool:
    assert kind == "mandate"
    approval.advance_mandate(ctx, subject_id)
    return True


def test_a_payee_pulls_once_the_payer_has_signed_the_mandate(ctx: Context) -> None:
    person = anna(ctx)
    asked = ask(ctx)
    assert asked.shown.details == {
        "each payment, at most": "¥30.00", "each week, at most": "¥50.00", "until": "2027-01-16",
    }  # fmt: skip
    assert isinstance(refusal(pull(ctx, 1)), approval.MandateEnded)
    assert person.approve(asked).given and approval.tell(ctx, advance) == 1

    assert pull(ctx, 2) == Allowed(ApprovalLevel.CODE, MANDATE)

    with ctx.tx() as tx:
        assert used(tx, ANNA) == used(tx, MANDATE) == (1, 10_00, 10_00)


def test_a_mandate_lets_no_more_be_taken_than_it_says(ctx: Context) -> None:
    holds(ctx)

    assert isinstance(refusal(pull(ctx, 1, 30_01)), approval.MandateExceeded)
    assert [isinstance(pull(ctx, 2 + place, 25_00), Allowed) for place in range(3)] == [True, True, False]
    later(ctx, days=7)
    assert isinstance(pull(ctx, 6, 25_00), Allowed)
    with ctx.tx() as tx:
        approval.give_back(tx, [spend(6).spend_id], at=ctx.clock.now())
        assert used(tx, MANDATE)[2] == 0


@pytest.mark.parametrize(
    "other",
    [
        {"payee_key": "merchant:other"},
        {"account_id": BO},
        {"mandate_id": fact_id(None, "x")},
        {"mandate_id": None},
    ],
)
def test_a_mandate_is_for_one_payer_and_one_payee(ctx: Context, other: dict[str, Any]) -> None:
    holds(ctx)

    assert isinstance(refusal(pull(ctx, 1, **other)), approval.UnknownMandate)


@pytest.mark.parametrize("by", [{"payer": ANNA}, {"member": "beijing-card"}])
def test_payer_or_payee_end_it_at_once(ctx: Context, by: dict[str, Any]) -> None:
    holds(ctx)
    with pytest.raises(approval.UnknownMandate):
        approval.revoke_mandate(ctx, MANDATE, payer=BO)

    approval.revoke_mandate(ctx, MANDATE, **by)

    assert isinstance(refusal(pull(ctx, 1)), approval.MandateEnded)


def test_a_payer_who_says_no_gives_no_mandate(ctx: Context) -> None:
    anna(ctx)
    asked = ask(ctx)
    approval.refuse(ctx, asked.approval_id, ANNA)
    approval.tell(ctx, advance)

    assert isinstance(refusal(pull(ctx, 1)), approval.MandateEnded)


def test_the_freeze_stops_mandates(ctx: Context) -> None:
    holds(ctx)
    approval.freeze(ctx, ANNA)

    assert isinstance(refusal(pull(ctx, 1)), approval.SpendingFrozen)


def test_mandates_are_found_by_those_they_concern(ctx: Context) -> None:
    holds(ctx)
    with ctx.tx() as tx:
        assert [one.mandate_id for one in approval.find_mandates(tx, payer=ANNA)] == [MANDATE]
        assert [one.mandate_id for one in approval.find_mandates(tx, member="beijing-card")] == [MANDATE]
        assert approval.find_mandates(tx, payer=BO) == []
        assert approval.find_mandates(tx, payer=ANNA, after=MANDATE) == []
        with pytest.raises(approval.UnknownMandate):
            approval.get_mandate(tx, MANDATE, payer=BO)


@pytest.mark.parametrize(
    ("wrong", "where"),
    [
        ({"currency": "XYZ"}, "currency"), ({"each_minor": 60_00}, "each"), ({"period": "decade"}, "period"),
        ({"ends_at": AT - timedelta(days=1)}, "ends_at"), ({"payee_name": ""}, "payee_name"),
    ],
)  # fmt: skip
def test_a_mandate_that_makes_no_sense_is_not_asked_for(
    ctx: Context, wrong: dict[str, Any], where: str
) -> None:
    with ctx.tx() as tx:
        open_riders(tx)

    with pytest.raises(InvalidInput) as told:
        ask(ctx, **wrong)

    assert told.value.problems[0].where == where


def test_a_mandate_for_much_is_approved_as_so_much_money_is(ctx: Context) -> None:
    person = anna(ctx)
    much = ask(ctx, each_minor=200_00, period_minor=4_000_00, notice_h=72)

    assert much.level > ApprovalLevel.PASSKEY and much.shown.details["announced before"] == "3 d"

    outcome = person.approve(much)
    if outcome.approval.phase == "cooling":
        assert approval.tell(ctx, advance) == 0
        later(ctx, hours=24)
        approval.turn(ctx)
        assert approval.tell(ctx, advance) == 1
        assert isinstance(refusal(pull(ctx, 2)), approval.MandateUnannounced)


def test_a_payee_asks_one_person_for_ten_mandates_a_day_and_no_more(ctx: Context) -> None:
    with ctx.tx() as tx:
        open_riders(tx)
    for number in range(10):
        ask(ctx, mandate_id=fact_id(None, "mandate", number))
    ask(ctx, mandate_id=fact_id(None, "mandate", 0))

    with pytest.raises(TooOften):
        ask(ctx, mandate_id=fact_id(None, "mandate", 10))

    with ctx.tx() as tx:
        assert len(approval.find_mandates(tx, payer=ANNA, limit=50)) == 10
    later(ctx, hours=3)
    ask(ctx, mandate_id=fact_id(None, "mandate", 10))
