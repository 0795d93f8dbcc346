"""Deciding on spends in batches: each counts once, limits hold, and what came to nothing is given back."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from approval.spending import ANNA, AT, BO, CAI, SHOP, decided, open_riders, spend, used
from hansa import approval, identity
from hansa.approval import Allowed, ApprovalLevel, Channel, Needs, Refused, deciding
from hansa.kernel import InvalidInput, Money, new_id
from hansa.store import Context, Tx
from identity.sealed import Keys


@pytest.fixture
def tx(ctx: Context) -> Iterator[Tx]:
    with ctx.tx() as tx:
        open_riders(tx)
        yield tx


def test_a_small_purchase_is_allowed_by_the_sign_in_and_counts(tx: Tx) -> None:
    verdict = decided(tx, spend(1, 10_00))

    assert verdict == Allowed(ApprovalLevel.SESSION)
    assert used(tx, ANNA) == (1, 10_00, 10_00)


def test_what_needs_a_person_counts_nothing_until_they_approve(tx: Tx) -> None:
    verdict = decided(tx, spend(1, 120_00))

    assert isinstance(verdict, Needs) and verdict.level == ApprovalLevel.PASSKEY
    assert [one.name for one in verdict.reasons] == ["new_payee"]
    assert used(tx, ANNA) == (0, 0, 0)


def test_nobody_signed_in_means_that_somebody_is_asked(tx: Tx) -> None:
    assert decided(tx, spend(1, session_at=None)) == Needs(
        ApprovalLevel.SESSION, (approval.Reason("any", ApprovalLevel.SESSION),)
    )


def test_a_spend_counts_once_in_a_batch_and_across_batches(tx: Tx) -> None:
    one = spend(1)

    verdicts = approval.decide(tx, [one, one], AT) + approval.decide(tx, [one], AT + timedelta(hours=2))

    assert verdicts == [Allowed(ApprovalLevel.SESSION)] * 3
    assert used(tx, ANNA) == (1, 10_00, 10_00)


def test_an_id_that_says_something_else_is_refused(tx: Tx) -> None:
    decided(tx, spend(1))

    verdict = decided(tx, replace(spend(1), amount=Money(11_00, "CNY")))

    assert isinstance(verdict, Refused) and isinstance(verdict.error, approval.SpendDiffers)
    assert used(tx, ANNA) == (1, 10_00, 10_00)


def test_the_first_payment_that_makes_too_many_is_told_so_in_the_order_of_the_batch(tx: Tx) -> None:
    verdicts = approval.decide(tx, [spend(number, 1_00) for number in range(12)], AT)

    levels = [one.level for one in verdicts if not isinstance(one, Refused)]
    assert levels == [ApprovalLevel.SESSION] * 9 + [ApprovalLevel.PIN] * 3
    assert used(tx, ANNA) == (9, 9_00, 9_00)


def test_a_ceiling_of_the_issuer_is_not_passed(tx: Tx) -> None:
    verdict = decided(tx, spend(1, 2_000_01))

    assert isinstance(verdict, Refused) and isinstance(verdict.error, approval.LimitReached)
    assert "¥2,000.00" in verdict.error.detail
    assert used(tx, ANNA) == (0, 0, 0)


def test_an_account_that_nobody_has_is_refused_alone(tx: Tx) -> None:
    stranger = identity.AccountId(new_id())

    verdicts = approval.decide(tx, [spend(1), spend(2, account=stranger)], AT)

    assert verdicts[0] == Allowed(ApprovalLevel.SESSION)
    assert isinstance(verdicts[1], Refused) and isinstance(verdicts[1].error, identity.UnknownAccount)


def test_a_currency_without_a_unit_is_not_paid_in(tx: Tx) -> None:
    verdict = decided(tx, spend(1, currency="XPF"))

    assert isinstance(verdict, Refused) and isinstance(verdict.error, approval.UnratedCurrency)


@pytest.mark.parametrize(
    ("wrong", "where"),
    [({"minor": 0}, "amount"), ({"payee": ""}, "payee_key"), ({"category": "54"}, "category")],
)
def test_what_makes_no_sense_stops_the_batch(tx: Tx, wrong: dict[str, str], where: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        approval.decide(tx, [spend(1), spend(2, **wrong)], AT)  # pyright: ignore[reportArgumentType]

    assert [one.where for one in refused.value.problems] == [where]
    assert used(tx, ANNA) == (0, 0, 0)


def test_what_came_to_nothing_is_given_back_once_and_not_taken_up_again(tx: Tx) -> None:
    approval.decide(tx, [spend(1), spend(2, 20_00)], AT)
    ids = [spend(1).spend_id, new_id()]

    assert [approval.give_back(tx, ids, at=AT), approval.give_back(tx, ids, at=AT)] == [1, 0]

    assert used(tx, ANNA) == (1, 20_00, 20_00)
    verdict = decided(tx, spend(1))
    assert isinstance(verdict, Refused) and isinstance(verdict.error, approval.SpendEnded)


def test_a_payee_whose_only_payment_came_to_nothing_is_new_again(tx: Tx) -> None:
    decided(tx, spend(1))
    approval.give_back(tx, [spend(1).spend_id], at=AT)

    verdict = decided(tx, spend(2, 150_00))

    assert isinstance(verdict, Needs) and verdict.level == ApprovalLevel.PASSKEY


def test_giving_back_on_a_later_day_leaves_that_day_alone(tx: Tx) -> None:
    decided(tx, spend(1))
    later = AT + timedelta(days=1)
    decided(tx, spend(2, 5_00, session_at=later), later)

    approval.give_back(tx, [spend(1).spend_id], at=later)

    assert used(tx, ANNA) == (1, 5_00, 5_00)


def test_an_issuers_own_policy_holds_for_its_accounts(tx: Tx) -> None:
    tx.execute(
        "insert into approval.policies values ('beijing-card', 1, %s, %s, 'test')",
        ("version = 1\n[units]\nCNY = 1_00\n", AT),
    )

    verdict = decided(tx, spend(1, 10_00))

    assert isinstance(verdict, Needs) and verdict.level == ApprovalLevel.PASSKEY


@pytest.mark.parametrize(
    ("known", "minor", "refused", "level"),
    [
        (identity.Knowledge(recovered_at=AT - timedelta(hours=1)), 200_01, True, None),
        (identity.Knowledge(recovered_at=AT - timedelta(hours=1)), 150_00, False, ApprovalLevel.PASSKEY),
        (identity.Knowledge(recovered_at=AT - timedelta(hours=72)), 200_01, False, ApprovalLevel.PIN),
        (identity.Knowledge(guarded=True), 600_00, False, ApprovalLevel.SECOND_PERSON),
        (identity.Knowledge(level=identity.ProofLevel.DOCUMENT), 40_000_00, False, ApprovalLevel.PASSKEY),
    ],
)
def test_how_well_a_person_is_known_sets_what_they_may_spend(
    tx: Tx,
    monkeypatch: pytest.MonkeyPatch,
    known: identity.Knowledge,
    minor: int,
    refused: bool,
    level: ApprovalLevel | None,
) -> None:
    decided(tx, spend(1, 1_00), AT - timedelta(days=2))

    def know(asked: deciding.Asked) -> dict[identity.AccountId, identity.Knowledge]:
        return {one.account_id: known for one in asked.accounts}

    monkeypatch.setattr(deciding.Asked, "persons", know)

    verdict = decided(tx, spend(2, minor))

    assert isinstance(verdict, Refused) is refused
    assert isinstance(verdict, Refused) or verdict.level == level


# -- races --------------------------------------------------------------------------------------------------


def test_many_at_once_never_pass_a_limit_and_never_stand_in_each_others_way(committed_ctx: Context) -> None:
    with committed_ctx.tx() as tx:
        open_riders(tx)
    found: list[approval.Verdict] = []

    def pay(worker: int) -> None:
        for turn in range(5):
            first = worker * 100 + turn * 10
            batch = [
                spend(first + place, 90_00, account=(ANNA, BO)[(worker + place) % 2], channel=Channel.CODE)
                for place in range(4)
            ]
            with committed_ctx.tx() as tx:
                given_for = {
                    one.spend_id: approval.Given(ApprovalLevel.SECOND_PERSON, new_id()) for one in batch
                }
                found.extend(approval.judge(tx, batch, AT, given_for))

    threads = [threading.Thread(target=pay, args=(worker,)) for worker in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    # 1,000.00 a year at most for a person nobody knows: eleven payments of 90.00 for each of the two.
    assert len(found) == 8 * 5 * 4 and sum(isinstance(one, Allowed) for one in found) == 22
    with committed_ctx.tx() as tx:
        assert used(tx, ANNA) == used(tx, BO) == (11, 990_00, 990_00)


def test_fifty_at_once_with_one_id_count_once(committed_ctx: Context) -> None:
    with committed_ctx.tx() as tx:
        open_riders(tx)
    found: list[approval.Verdict] = []

    def pay() -> None:
        with committed_ctx.tx() as tx:
            found.append(decided(tx, spend(1)))

    threads = [threading.Thread(target=pay) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert found == [Allowed(ApprovalLevel.SESSION)] * 50
    with committed_ctx.tx() as tx:
        assert used(tx, ANNA) == (1, 10_00, 10_00)


# -- against a model ----------------------------------------------------------------------------------------

STEPS = st.lists(
    st.tuples(
        st.sampled_from(["pay", "pay", "pay", "again", "back"]),
        st.integers(1, 30_00),
        st.sampled_from([ANNA, BO]),
        st.sampled_from([0, 1, 30, 61, 24 * 60, 31 * 24 * 60]),
    ),
    max_size=40,
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(STEPS)
def test_what_counts_today_is_what_was_allowed_today_and_not_given_back(
    ctx: Context, steps: list[tuple[str, int, identity.AccountId, int]]
) -> None:
    at, number = AT, 0
    live: dict[object, tuple[object, int, object]] = {}
    asked: list[tuple[approval.Spend, approval.Verdict]] = []
    with ctx.tx() as tx, tx.transaction(force_rollback=True):
        open_riders(tx)
        for what, minor, account, minutes in steps:
            at += timedelta(minutes=minutes)
            if what == "pay":
                number += 1
                one = spend(number, minor, account=account, session_at=at, payee=f"{SHOP}{minor % 3}")
                asked.append((one, decided(tx, one, at)))
                if isinstance(asked[-1][1], Allowed):
                    live[one.spend_id] = (account, minor, at.date())
            elif what == "again" and asked:
                one, verdict = asked[minor % len(asked)]
                if isinstance(verdict, Allowed) and one.spend_id in live:
                    assert decided(tx, one, at) == verdict
            elif what == "back" and live:
                spend_id = list(live)[minor % len(live)]
                approval.give_back(tx, [spend_id], at=at)  # pyright: ignore[reportArgumentType]
                del live[spend_id]
        for account in (ANNA, BO):
            # The counter stands on its last day of use; riders of a city without a zone count in UTC.
            row = tx.execute(
                "select day, day_count, day_minor from approval.counters where holder_id = %s", (account,)
            ).fetchone()
            if row is not None:
                minors = [minor for who, minor, day in live.values() if (who, day) == (account, row[0])]
                assert (len(minors), sum(minors)) == (row[1], row[2])


def test_an_account_that_was_deleted_spends_nothing(tx: Tx) -> None:
    allowed = decided(tx, spend(1))
    before = used(tx, ANNA)
    identity.ask_deletion(tx, new_id(), ANNA, AT)
    identity.close_account(tx, ANNA, at=AT, erase_at=AT + timedelta(days=30))

    verdicts = approval.decide(tx, [spend(2), spend(3, account=BO), spend(1)], AT)

    assert isinstance(verdicts[0], Refused) and isinstance(verdicts[0].error, identity.AccountClosed)
    assert verdicts[1:] == [Allowed(ApprovalLevel.SESSION), allowed]  # a repeat has its first answer
    assert used(tx, ANNA) == before


def test_a_child_spends_nothing_until_a_guardian_answers_for_it(tx: Tx) -> None:
    sealer = Keys().sealer()
    identity.state_birth(tx, sealer, ANNA, date(2017, 6, 1), country="CN", at=AT)
    identity.state_birth(tx, sealer, BO, date(2011, 6, 1), country="CN", at=AT)

    verdicts = approval.decide(tx, [spend(1), spend(2, account=BO)], AT)

    assert isinstance(verdicts[0], Refused) and isinstance(verdicts[0].error, identity.GuardianNeeded)
    assert isinstance(verdicts[1], Allowed)
    assert used(tx, ANNA) == (0, 0, 0)

    tx.execute(
        """
        insert into identity.guardianships
            (guardianship_id, ward_id, guardian_id, state, rights, asked_at, expires_at, accepted_at, looked_on)
        values (%s, %s, %s, 'accepted', '{approve}', %s, %s, %s, %s)
        """,
        (new_id(), ANNA, CAI, AT, AT, AT, AT.date()),
    )
    assert not isinstance(decided(tx, spend(1)), Refused)
