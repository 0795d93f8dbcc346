"""Transfers and withdrawals wait for their approval, move once it is given, and come to nothing where it is not."""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest

from hansa import approval, identity
from hansa.approval import ApprovalState, approvals_store
from hansa.apps.bank.people_bank import PeopleBank
from hansa.apps.web.advancing import advance, turn
from hansa.kernel import FixedClock, Money, fact_id
from hansa.store import Context
from hansa.wallets import bank_accounts, transfers, withdrawals
from hansa.wallets.bank_model import NewWithdrawal, WithdrawalState
from hansa.wallets.model import NewTransfer, State, TransferMoved
from identity.levels import prove_names
from identity.sealed import Keys
from scratch import NOON
from wallets.people import START, check_books, free, held, open_people, person, spread


def new(number: int = 1, minor: int = 90_00) -> NewTransfer:
    return NewTransfer(
        transfer_id=fact_id(NOON, "send", number),
        sender_id=person(0).account_id,
        receiver_id=person(1).account_id,
        amount=Money(minor, "CNY"),
        note="rent",
    )


def own_clock(ctx: Context) -> Context:
    return spread(replace(ctx, clock=FixedClock(NOON)))


def state_of(ctx: Context, subject_id: UUID) -> ApprovalState:
    with ctx.tx() as tx:
        return approval.approval_state(tx, [subject_id])[subject_id]


def give(ctx: Context, kind: str, subject_id: UUID) -> None:
    """The approval is given, as its own room's tests give it; here only what follows matters."""
    with ctx.tx() as tx:
        waiting = approvals_store.find_approval(tx, approval.approval_id_of(kind, subject_id))
        assert waiting is not None
        given = replace(
            waiting, phase="given", ended_at=ctx.clock.now(), given_level=approval.ApprovalLevel.PASSKEY
        )
        approvals_store.put_approval(tx, given)
    assert advance(ctx, kind, subject_id)


def test_a_transfer_waits_for_its_approval_shows_what_is_signed_and_then_moves(ctx: Context) -> None:
    ctx = own_clock(ctx)
    people = open_people(ctx)

    sent = transfers.send(ctx, new())
    assert sent.state is State.REQUIRES_APPROVAL and transfers.send(ctx, new()) == sent
    assert [held(ctx, one) for one in people] == [START] * 4
    with ctx.tx() as tx:
        waiting, role = approval.get_approval(
            tx, approval.approval_id_of("transfer", sent.transfer_id), people[0].account_id, NOON
        )
    shown = approval.read_subject(waiting.canonical)
    assert (role, shown.amount, shown.about) == ("payer", sent.amount, "rent")
    assert shown.payee_name == identity.masked_name(people[1].name)

    give(ctx, "transfer", sent.transfer_id)

    assert transfers.get(ctx, people[0].account_id, sent.transfer_id).state is State.SETTLED
    assert held(ctx, people[1]) == START + 90_00
    check_books(ctx, people, total=4 * START)


def test_an_approval_that_is_refused_or_runs_out_sends_nothing(ctx: Context) -> None:
    ctx = own_clock(ctx)
    people = open_people(ctx)
    refused, over, back = (transfers.send(ctx, new(number)) for number in (1, 2, 3))

    approval.refuse(ctx, approval.approval_id_of("transfer", refused.transfer_id), people[0].account_id)
    transfers.cancel(ctx, people[0].account_id, back.transfer_id)
    assert isinstance(ctx.clock, FixedClock)
    ctx.clock.at += timedelta(days=2)
    turn(ctx)
    transfers.finish(ctx)

    ended = [transfers.get(ctx, people[0].account_id, one.transfer_id).state for one in (refused, over, back)]
    assert ended == [State.FAILED, State.EXPIRED, State.CANCELED]
    assert state_of(ctx, back.transfer_id) is not ApprovalState.WAITING
    with pytest.raises(TransferMoved):
        transfers.cancel(ctx, people[0].account_id, over.transfer_id)
    assert [held(ctx, one) for one in people] == [START] * 4


def test_a_frozen_account_sends_nothing(ctx: Context) -> None:
    ctx = own_clock(ctx)
    people = open_people(ctx)
    approval.freeze(ctx, people[0].account_id)

    with pytest.raises(approval.SpendingFrozen):
        transfers.send(ctx, new())

    with ctx.tx() as tx:
        home = ctx.directory.partition_of(people[0].account_id)
        assert transfers.list_sent(tx, people[0].account_id, partition=home) == []


def test_a_withdrawal_waits_for_its_approval(ctx: Context) -> None:
    ctx = own_clock(ctx)
    people = open_people(ctx)
    assert isinstance(ctx.clock, FixedClock)
    rail = PeopleBank(clock=ctx.clock)
    sealer = Keys().sealer()
    prove_names(ctx, sealer, people[:1])
    added = bank_accounts.add(ctx, rail, sealer, people[0].account_id, "622200014242", "CNY")
    ctx.clock.at += timedelta(days=1)
    wanted = NewWithdrawal(
        withdrawal_id=fact_id(NOON, "out"),
        account_id=people[0].account_id,
        amount=Money(60_00, "CNY"),
        bank_account_id=added.bank_account_id,
    )

    begun = withdrawals.begin(ctx, rail, wanted)
    assert (begun.state, free(ctx, people[0])) == (WithdrawalState.REQUIRES_APPROVAL, START)
    give(ctx, "withdrawal", begun.withdrawal_id)
    assert free(ctx, people[0]) == START - 60_00
    ctx.clock.at += timedelta(minutes=1)

    withdrawals.finish(ctx, lambda _: rail)
    ctx.clock.at += timedelta(hours=2)
    withdrawals.finish(ctx, lambda _: rail)
    assert held(ctx, people[0]) == START - 60_00
