"""Approvals: bound to the very payment, given once, at the level that is asked; checked again from what is stored."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest

from approval.approving import PEPPER, RP, Person, anna, ask, guard, join, later
from approval.spending import ANNA, AT, BO, CAI, SHOP, decided, spend, used
from hansa import approval, identity
from hansa.approval import Allowed, ApprovalLevel, ApprovalState, Channel, Needs, Refused
from hansa.kernel import HansaError, InvalidInput, Money, new_id
from hansa.store import Context
from identity.authenticating import base64url
from identity.test_accounts import rider


def state_of(ctx: Context, asked: approval.Approval) -> ApprovalState:
    with ctx.tx() as tx:
        return approval.approval_state(tx, [asked.subject_id])[asked.subject_id]


def all_there_is(ctx: Context) -> list[object]:
    tables = ("approvals", "evidence", "uses", "counters", "payees")
    with ctx.tx() as tx:
        return [
            tx.execute(f"select * from approval.{table} order by 1, 2").fetchall()  # pyright: ignore
            for table in tables
        ]


def lends(delegate_id: identity.AccountId) -> approval.NewDelegation:
    return approval.NewDelegation(
        delegation_id=new_id(),
        delegate_id=delegate_id,
        kind="other",
        currency="CNY",
        payment_minor=900_00,
        day_minor=900_00,
        month_minor=2_000_00,
        ends_at=AT + timedelta(days=90),
    )


def refused(ctx: Context, error: type[HansaError], give: Callable[[], object]) -> HansaError:
    """It is refused and leaves everything as it was."""
    before = all_there_is(ctx)
    with pytest.raises(error) as told:
        give()
    assert all_there_is(ctx) == before
    return told.value


def test_a_passkey_approves_and_the_payment_is_then_allowed_and_counts(ctx: Context) -> None:
    person, asked = anna(ctx), ask(ctx)

    outcome = person.approve(asked)

    assert outcome.given and state_of(ctx, asked) is ApprovalState.GIVEN
    with ctx.tx() as tx:
        assert decided(tx, spend(1, 120_00)) == Allowed(ApprovalLevel.PASSKEY, asked.approval_id)
        assert used(tx, ANNA) == (1, 120_00, 120_00)


def test_asking_again_finds_the_same_and_other_bytes_are_refused(ctx: Context) -> None:
    anna(ctx)
    asked = ask(ctx)

    assert ask(ctx) == asked
    refused(ctx, approval.SpendDiffers, lambda: ask(ctx, replace(spend(1, 120_00), payee_name="Coffee")))


def test_what_is_shown_is_what_is_signed(ctx: Context) -> None:
    person, asked = anna(ctx), ask(ctx)

    options = json.loads(approval.begin_passkey(ctx, asked.approval_id, person.session, RP))

    assert asked.shown.amount == Money(120_00, "CNY")
    assert (asked.shown.payee_name, asked.shown.about) == ("Tea house", "Two pots of tea")
    signed = approval.challenge_of(asked.canonical)
    assert options["challenge"] == base64url(signed)


def test_one_approval_is_good_once(ctx: Context) -> None:
    person, asked = anna(ctx), ask(ctx)
    options = approval.begin_passkey(ctx, asked.approval_id, person.session, RP)
    credential = person.device.get(options)
    approval.give_by_passkey(ctx, asked.approval_id, person.session, credential, RP)

    refused(
        ctx,
        approval.ApprovalEnded,
        lambda: approval.give_by_passkey(ctx, asked.approval_id, person.session, credential, RP),
    )


def test_a_signature_over_another_payment_is_refused(ctx: Context) -> None:
    person, asked = anna(ctx), ask(ctx)
    other = ask(ctx, spend(2, 130_00, payee="merchant:other"))
    credential = person.device.get(approval.begin_passkey(ctx, other.approval_id, person.session, RP))

    refused(
        ctx,
        identity.ChallengeRefused,
        lambda: approval.give_by_passkey(ctx, asked.approval_id, person.session, credential, RP),
    )


@pytest.mark.parametrize("changed", [{"origin": "http://evil.example"}, {"crossOrigin": True}])
def test_a_signature_from_another_page_is_refused(ctx: Context, changed: dict[str, object]) -> None:
    person, asked = anna(ctx), ask(ctx)

    refused(ctx, identity.CeremonyRefused, lambda: person.approve(asked, **changed))


def test_nobody_else_may_see_or_give_it(ctx: Context) -> None:
    anna(ctx)
    asked = ask(ctx)
    bo = join(ctx, BO)

    refused(ctx, approval.UnknownApproval, lambda: bo.approve(asked))
    refused(ctx, approval.UnknownApproval, lambda: approval.refuse(ctx, asked.approval_id, BO))
    refused(ctx, approval.UnknownApproval, lambda: approval.give_by_session(ctx, new_id(), bo.session))


def test_less_than_what_is_asked_does_not_do(ctx: Context) -> None:
    person, asked = anna(ctx), ask(ctx)

    refused(
        ctx, approval.LevelTooLow, lambda: approval.give_by_session(ctx, asked.approval_id, person.session)
    )
    refused(
        ctx,
        approval.LevelTooLow,
        lambda: approval.give_by_pin(ctx, asked.approval_id, person.session, "845291", PEPPER),
    )


def test_a_pin_approves_what_asks_for_one(ctx: Context) -> None:
    person = anna(ctx)
    with ctx.tx() as tx:
        decided(tx, spend(7))
    approval.set_pin(ctx, ANNA, "845291", PEPPER)
    later(ctx, days=2)
    asked = ask(ctx, spend(1, 120_00))
    assert asked.level == ApprovalLevel.PIN

    refused(
        ctx,
        approval.PinWrong,
        lambda: approval.give_by_pin(ctx, asked.approval_id, person.session, "845292", PEPPER),
    )
    outcome = approval.give_by_pin(ctx, asked.approval_id, person.session, "845291", PEPPER)

    assert outcome.given and outcome.approval.given_level == ApprovalLevel.PIN


def test_a_pin_set_just_now_does_not_do_where_a_passkey_would_be_asked_of_what_is_new(ctx: Context) -> None:
    person = anna(ctx)
    with ctx.tx() as tx:
        decided(tx, spend(7))
    later(ctx, days=2)
    approval.set_pin(ctx, ANNA, "845291", PEPPER)
    asked = ask(ctx, spend(1, 120_00))

    with pytest.raises(approval.LevelTooLow):
        approval.give_by_pin(ctx, asked.approval_id, person.session, "845291", PEPPER)

    with ctx.tx() as tx:
        now, _ = approval.get_approval(tx, asked.approval_id, ANNA, ctx.clock.now())
    assert (now.level, now.phase) == (ApprovalLevel.PASSKEY, "waiting")
    assert person.approve(asked).given


def test_time_runs_out(ctx: Context) -> None:
    person, asked = anna(ctx), ask(ctx)
    later(ctx, minutes=15)

    with ctx.tx() as tx:
        assert approval.get_approval(tx, asked.approval_id, ANNA, ctx.clock.now())[0].phase == "expired"
    refused(ctx, approval.ApprovalExpired, lambda: person.approve(asked))

    assert approval.turn(ctx) == 1
    assert state_of(ctx, asked) is ApprovalState.EXPIRED


def test_refusing_ends_it(ctx: Context) -> None:
    person, asked = anna(ctx), ask(ctx)

    assert approval.refuse(ctx, asked.approval_id, ANNA).phase == "refused"

    assert state_of(ctx, asked) is ApprovalState.REFUSED
    refused(ctx, approval.ApprovalEnded, lambda: person.approve(asked))


def test_a_freeze_in_between_refuses_it_and_counts_nothing(ctx: Context) -> None:
    person, asked = anna(ctx), ask(ctx)
    approval.freeze(ctx, ANNA)

    refused(ctx, approval.SpendingFrozen, lambda: person.approve(asked))

    approval.unfreeze(ctx, ANNA)
    assert person.approve(asked).given


def test_a_limit_lowered_in_between_refuses_it(ctx: Context) -> None:
    person, asked = anna(ctx), ask(ctx)
    approval.set_limit(ctx, ANNA, currency="CNY", span="day", minor=100_00)

    refused(ctx, approval.LimitReached, lambda: person.approve(asked))


# -- passkey and delay --------------------------------------------------------------------------------------


def cooling(ctx: Context) -> tuple[Person, approval.Approval]:
    """A payment that has cooled for no time yet: by a passkey that is new."""
    with ctx.tx() as tx:
        identity.open_accounts(tx, [rider(1)])
    person = join(ctx, ANNA, ago=timedelta(hours=1))
    asked = ask(ctx, spend(1, 600_00))
    outcome = person.approve(asked)
    assert outcome.approval.phase == "cooling"
    return person, outcome.approval


def test_a_new_passkey_gives_a_large_payment_after_a_day(ctx: Context) -> None:
    _, asked = cooling(ctx)
    with ctx.tx() as tx:
        assert used(tx, ANNA) == (1, 600_00, 600_00)

    later(ctx, hours=23, minutes=59)
    assert approval.turn(ctx) == 0 and state_of(ctx, asked) is ApprovalState.WAITING
    later(ctx, minutes=1)
    assert approval.turn(ctx) == 1 and state_of(ctx, asked) is ApprovalState.GIVEN

    with ctx.tx() as tx:
        assert decided(tx, spend(1, 600_00)) == Allowed(ApprovalLevel.PASSKEY_DELAY, asked.approval_id)
        assert approval.check(tx, asked.approval_id)[0].given_level == ApprovalLevel.PASSKEY_DELAY


def test_what_cools_is_called_off_and_given_back(ctx: Context) -> None:
    _, asked = cooling(ctx)

    assert approval.refuse(ctx, asked.approval_id, ANNA).phase == "canceled"

    later(ctx, days=2)
    assert approval.turn(ctx) == 0 and state_of(ctx, asked) is ApprovalState.REFUSED
    with ctx.tx() as tx:
        assert used(tx, ANNA) == (0, 0, 0)


def test_what_cools_while_frozen_is_called_off_at_its_time(ctx: Context) -> None:
    _, asked = cooling(ctx)
    approval.freeze(ctx, ANNA)
    later(ctx, days=1)

    assert approval.turn(ctx) == 1

    assert state_of(ctx, asked) is ApprovalState.REFUSED
    with ctx.tx() as tx:
        assert used(tx, ANNA)[2] == 0


def test_what_holds_for_minutes_only_waits_neither_a_day_nor_for_a_second_person_beyond_that(
    ctx: Context,
) -> None:
    """By a quote, whose rate ends: it was told to be made tomorrow, and could not."""
    with ctx.tx() as tx:
        identity.open_accounts(tx, [rider(1), rider(2)])
    person, bo = join(ctx, ANNA, ago=timedelta(hours=1)), join(ctx, BO)
    asked = ask(ctx, spend(1, 600_00), lasts=timedelta(minutes=5))
    refused(ctx, approval.WaitsTooLong, lambda: person.approve(asked))

    approval.name_co_approver(ctx, ANNA, BO)
    second = ask(ctx, spend(2, 600_00), lasts=timedelta(minutes=5))
    person.approve(second)
    later(ctx, minutes=5)
    refused(ctx, approval.ApprovalExpired, lambda: bo.approve(second))


# -- a second person ----------------------------------------------------------------------------------------


def test_a_second_person_agrees_to_what_is_large(ctx: Context) -> None:
    person, bo, cai = anna(ctx), join(ctx, BO), join(ctx, CAI)
    approval.name_co_approver(ctx, ANNA, BO)
    asked = ask(ctx, spend(1, 600_00))
    assert asked.level == ApprovalLevel.SECOND_PERSON
    refused(ctx, approval.ApprovalEnded, lambda: bo.approve(asked))

    assert person.approve(asked).approval.phase == "second"
    with ctx.tx() as tx:
        assert used(tx, ANNA) == (0, 0, 0)
        assert [one.approval_id for one in approval.list_open(tx, BO, ctx.clock.now())] == [asked.approval_id]
    refused(ctx, approval.UnknownApproval, lambda: cai.approve(asked))
    refused(ctx, approval.ApprovalEnded, lambda: person.approve(asked))
    outcome = bo.approve(asked)

    assert outcome.given and outcome.approval.given_level == ApprovalLevel.SECOND_PERSON
    with ctx.tx() as tx:
        assert used(tx, ANNA) == (1, 600_00, 600_00)
        _, proofs = approval.check(tx, asked.approval_id)
    assert [(one.account_id, one.role) for one in proofs] == [(ANNA, "payer"), (BO, "second")]


def test_a_second_person_says_no(ctx: Context) -> None:
    person = anna(ctx)
    join(ctx, BO)
    approval.name_co_approver(ctx, ANNA, BO)
    asked = ask(ctx, spend(1, 600_00))
    person.approve(asked)

    approval.refuse(ctx, asked.approval_id, BO)

    assert state_of(ctx, asked) is ApprovalState.REFUSED


def test_another_second_person_is_asked_after_a_wait_and_so_is_one_no_more(ctx: Context) -> None:
    person, bo, cai = anna(ctx), join(ctx, BO), join(ctx, CAI)
    approval.name_co_approver(ctx, ANNA, BO)
    approval.name_co_approver(ctx, ANNA, CAI)
    asked = ask(ctx, spend(1, 600_00))
    person.approve(asked)
    refused(ctx, approval.UnknownApproval, lambda: cai.approve(asked))

    later(ctx, hours=24)
    assert approval.remove_co_approver(ctx, ANNA, BO)
    assert approval.refuse(ctx, asked.approval_id, CAI).phase == "refused"

    later(ctx, hours=23)
    assert approval.end_co_approvers(ctx) == 0
    again = ask(ctx, spend(2, 600_00))
    person.approve(again)
    assert bo.approve(again).given, "until the wait is over"


def test_whoever_a_ward_named_never_agrees_in_a_guardians_place(ctx: Context) -> None:
    person, bo, cai = anna(ctx), join(ctx, BO), join(ctx, CAI)
    approval.name_co_approver(ctx, ANNA, BO)
    guard(ctx, ANNA, by=CAI)
    asked = ask(ctx, spend(1, 600_00))
    person.approve(asked)

    refused(ctx, approval.UnknownApproval, lambda: bo.approve(asked))
    refused(ctx, InvalidInput, lambda: approval.name_co_approver(ctx, ANNA, BO))

    assert cai.approve(asked).given


def test_a_guardian_agrees_to_what_another_spends_from_a_wards_wallet(ctx: Context) -> None:
    ward, bo, cai = anna(ctx), join(ctx, BO), join(ctx, CAI)
    approval.grant_delegation(ctx, ANNA, lends(BO))
    for guardian, second, other in ((CAI, cai, ward), (BO, ward, cai)):
        guard(ctx, ANNA, by=guardian)
        later(ctx, hours=24)
        asked = ask(ctx, spend(1 if guardian == CAI else 2, 600_00, by=BO))
        bo.approve(asked)
        refused(ctx, approval.UnknownApproval, lambda other=other, asked=asked: other.approve(asked))

        assert approval.refuse(ctx, asked.approval_id, second.account_id).phase == "refused"

        with ctx.tx() as tx:
            tx.execute("delete from identity.guardianships")


# -- telling ------------------------------------------------------------------------------------------------


def test_whoever_waits_is_told_each_end_until_it_worked(ctx: Context) -> None:
    person, asked = anna(ctx), ask(ctx)
    person.approve(asked)
    told: list[tuple[str, UUID]] = []

    def fails(_: Context, kind: str, subject_id: UUID) -> bool:
        raise approval.ApprovalEnded

    def works(_: Context, kind: str, subject_id: UUID) -> bool:
        told.append((kind, subject_id))
        return True

    with pytest.raises(approval.ApprovalEnded):
        approval.tell(ctx, fails)
    assert (approval.tell(ctx, works), approval.tell(ctx, works)) == (1, 0)
    assert told == [("payment", asked.subject_id)]


# -- evidence -----------------------------------------------------------------------------------------------


def test_evidence_is_checked_again_from_what_is_stored(ctx: Context) -> None:
    person, asked = anna(ctx), ask(ctx)
    person.approve(asked)

    with ctx.tx() as tx:
        found, proofs = approval.check(tx, asked.approval_id)

    assert found.given_level == ApprovalLevel.PASSKEY
    assert [(one.method, one.origin) for one in proofs] == [("passkey", "http://localhost")]


@pytest.mark.parametrize(
    ("tampered", "named"),
    [
        ("update approval.evidence set signature = set_byte(signature, 9, get_byte(signature, 9) # 1)", "evidence 1"),
        ("update approval.evidence set client_data = convert_to(replace(convert_from(client_data, 'UTF8'), "
         "'localhost', 'evil.test'), 'UTF8')", "evidence 1"),
        ("update approval.evidence set authenticator_data = set_byte(authenticator_data, 36, 9)", "evidence 1"),
        ("update approval.evidence set signed = convert_to(replace(convert_from(signed, 'UTF8'), "
         "'12000', '12'), 'UTF8')", "evidence 1 signed"),
        ("update approval.approvals set canonical = convert_to(replace(convert_from(canonical, 'UTF8'), "
         "'\"minor\":12000', '\"minor\":99999'), 'UTF8')", "canonical"),
        ("update approval.approvals set spend = jsonb_set(spend, '{minor}', '99999')", "canonical"),
        ("update approval.approvals set canonical = '\\x7b7d'", "canonical"),
        ("update approval.approvals set given_level = 6", "evidence"),
        ("delete from approval.evidence", "evidence"),
    ],
)  # fmt: skip
def test_whatever_is_changed_afterwards_is_found(ctx: Context, tampered: str, named: str) -> None:
    person, asked = anna(ctx), ask(ctx)
    person.approve(asked)

    with ctx.tx() as tx:
        tx.execute(tampered)  # pyright: ignore[reportArgumentType, reportCallIssue]
        with pytest.raises(approval.EvidenceBroken) as told:
            approval.check(tx, asked.approval_id)

    assert told.value.problems[0].where == named


# -- where to go on -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "away",
    [
        "https://evil.example",
        "//evil.example",
        "/\\evil.example",
        "wallet",
        "/a b",
        "/a\nb",
        "",
        "/" + "x" * 500,
    ],
)
def test_nobody_is_sent_to_another_site(away: str) -> None:
    with pytest.raises(InvalidInput):
        approval.check_next(away)


def test_a_path_of_this_site_is_kept() -> None:
    assert approval.check_next("/wallet/pay/1?x=%20y#z") == "/wallet/pay/1?x=%20y#z"


def test_withdrawing_stops_asking(ctx: Context) -> None:
    person, asked = anna(ctx), ask(ctx)

    with ctx.tx() as tx:
        assert approval.withdraw(tx, [asked.subject_id, new_id()], ctx.clock.now()) == 1

    assert state_of(ctx, asked) is ApprovalState.REFUSED
    refused(ctx, approval.ApprovalEnded, lambda: person.approve(asked))


def test_a_code_that_is_too_much_is_approved_by_a_person(ctx: Context) -> None:
    person = anna(ctx)
    asked = ask(ctx, spend(1, 600_00, channel=Channel.CODE, payee=SHOP))

    assert asked.level == ApprovalLevel.PASSKEY and person.approve(asked).given


def test_needs_and_refusals_are_told_apart(ctx: Context) -> None:
    anna(ctx)
    with ctx.tx() as tx:
        assert isinstance(decided(tx, spend(1, 600_00)), Needs)
        assert isinstance(decided(tx, spend(1, 60_000_00)), Refused)
