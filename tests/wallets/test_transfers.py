"""Money from person to person: every way through, every kill, every race; nothing made, nothing lost, nothing twice."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from itertools import product
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hansa import identity, ledger, payments
from hansa.kernel import FixedClock, InvalidInput, Money, fact_id
from hansa.store import Context
from hansa.wallets import finding, legs, model, transfers
from hansa.wallets.model import ENDS, WAYS, NewTransfer, State
from scratch import NOON
from wallets.people import (
    START,
    Killed,
    check_books,
    free,
    held,
    killed_after,
    open_people,
    person,
    spread,
    sum_of,
)

pytestmark = pytest.mark.usefixtures("allowed")


def new(
    number: int, sender: int, receiver: int | None, minor: int = 12_34, *, note: str = "tea"
) -> NewTransfer:
    return NewTransfer(
        transfer_id=fact_id(NOON, "send", number),
        sender_id=person(sender).account_id,
        receiver_id=person(receiver).account_id if receiver is not None else None,
        amount=Money(minor, "CNY"),
        note=note,
    )


def close_wallet(ctx: Context, of: int, currency: str = "CNY") -> None:
    """The issuer closes this person's wallet: nothing more goes in."""
    owner = person(of)
    partition = ctx.directory.partition_of(owner.account_id)
    closing = ledger.Transfer(
        transfer_id=ledger.TransferId(fact_id(NOON, "close", of)),
        debit=payments.cash_account(owner.issuer_id, currency, partition),
        credit=payments.wallet_id(owner.account_id, currency),
        amount=0,
        currency=currency,
        code=ledger.TransferCode.TOP_UP,
        event_at=NOON,
        partition=partition,
        flags=ledger.TransferFlag.PENDING | ledger.TransferFlag.CLOSING_CREDIT,
    )
    (result,) = ledger.post(ctx, [closing])
    assert result.ok


def test_money_goes_from_any_person_to_any_other(ctx: Context) -> None:
    ctx = spread(ctx)
    people = open_people(ctx, 6)

    for number, (a, b) in enumerate(product(range(6), range(6))):
        if a != b:
            sent = transfers.send(ctx, new(number, a, b, 100 + number))
            assert sent.state is State.SETTLED
            with ctx.tx() as tx:
                home = ctx.directory.partition_of(person(b).account_id)
                arrived = transfers.find_arrival(tx, person(b).account_id, sent.transfer_id, partition=home)
                assert arrived is not None and arrived.amount == sent.amount

    check_books(ctx, people, total=6 * START)
    assert len({ctx.directory.partition_of(one.account_id) for one in people}) > 1


@pytest.mark.parametrize("receiver", range(1, 6))
def test_a_transfer_survives_a_kill_at_any_step(ctx: Context, receiver: int) -> None:
    ctx = spread(ctx)
    people = open_people(ctx, 6)
    for number, steps in enumerate(range(1, 7)):
        try:
            transfers.send(ctx, new(number, 0, receiver, 10_00), step=killed_after(steps))
        except Killed:
            transfers.finish(ctx)

        assert transfers.send(ctx, new(number, 0, receiver, 10_00)).state is State.SETTLED
        check_books(ctx, people, total=6 * START)
        assert held(ctx, people[receiver]) == START + 10_00 * (number + 1)


@pytest.mark.parametrize("receiver", [1, 2, 4])
@pytest.mark.parametrize("steps", [0, 2, 3, 4, 5, 6, 7, 8])
def test_what_a_closed_wallet_refuses_comes_back_once(ctx: Context, receiver: int, steps: int) -> None:
    ctx = spread(ctx)
    people = open_people(ctx, 6)
    close_wallet(ctx, receiver)

    try:
        transfers.send(ctx, new(1, 0, receiver), step=killed_after(steps))
    except Killed:
        transfers.finish(ctx)

    ended = transfers.send(ctx, new(1, 0, receiver))
    assert ended.state in (State.RETURNED, State.FAILED)
    assert ended.reason in (
        "receiver_closed",
        "refused_by_the_books",
    )  # a kill may lose the words, never the money
    assert [held(ctx, one) for one in people] == [START] * 6
    check_books(ctx, people, total=6 * START)


def test_a_late_call_cannot_book_what_went_back(ctx: Context) -> None:
    """A giving that was lost on its way and arrives after the money went back moves nothing."""
    ctx = spread(ctx)
    people = open_people(ctx, 6)
    far = next(
        n for n in range(1, 6)
        if ctx.directory.partition_of(person(n).account_id) != ctx.directory.partition_of(person(0).account_id)
    )  # fmt: skip
    close_wallet(ctx, far)
    ended = transfers.send(ctx, new(1, 0, far))
    opening = ledger.Transfer(
        transfer_id=ledger.TransferId(fact_id(NOON, "open again")),
        debit=ledger.AS_PENDING,
        credit=ledger.AS_PENDING,
        amount=0,
        currency="",
        code=0,
        event_at=NOON,
        partition=ctx.directory.partition_of(person(far).account_id),
        flags=ledger.TransferFlag.VOID_PENDING,
        pending_id=ledger.TransferId(fact_id(NOON, "close", far)),
    )
    assert ledger.post(ctx, [opening])[0].ok

    late = ledger.post(ctx, legs.give(ended))

    assert ended.state is State.RETURNED
    assert not any(one.ok for one in late)
    check_books(ctx, people, total=6 * START)


def test_too_little_money_sends_nothing_and_keeps_nothing(ctx: Context) -> None:
    people = open_people(ctx, 3)

    with pytest.raises(model.InsufficientFunds):
        transfers.send(ctx, new(1, 0, 2, START + 1))

    with ctx.tx() as tx:
        assert transfers.list_sent(tx, people[0].account_id) == []
    check_books(ctx, people, total=3 * START)


def test_what_cannot_be_sent_is_refused_and_nothing_changes(ctx: Context) -> None:
    people = open_people(ctx, 3)
    with ctx.tx() as tx:
        identity.set_standing(tx, person(2).account_id, level="blocked", reason="a case", at=NOON)
    refused: list[tuple[NewTransfer, type[Exception]]] = [
        (new(1, 0, 0), InvalidInput),
        (new(1, 0, 1, 0), InvalidInput),
        (new(1, 0, 1, -5), InvalidInput),
        (new(1, 0, 1, note="x" * 141), InvalidInput),
        (replace(new(1, 0, 1), amount=Money(100, "GBP")), InvalidInput),
        (new(1, 0, 2), model.CannotReceive),
        (new(1, 2, 0), identity.AccountBlocked),
        (replace(new(1, 0, 1), receiver_id=identity.AccountId(UUID(int=9))), identity.UnknownAccount),
    ]

    for one, error in refused:
        with pytest.raises(error):
            transfers.send(ctx, one)

    assert [held(ctx, one) for one in people] == [START] * 3
    with ctx.tx() as tx:
        assert transfers.list_sent(tx, people[0].account_id) == []


def test_a_known_transfer_with_another_body_is_refused(ctx: Context) -> None:
    people = open_people(ctx, 3)
    transfers.send(ctx, new(1, 0, 2))

    for other in (new(1, 0, 2, 99), new(1, 0, 1), new(1, 0, None), new(1, 0, 2, note="coffee")):
        with pytest.raises(model.TransferDiffers):
            transfers.send(ctx, other)

    assert held(ctx, people[2]) == START + 12_34


def test_a_receiver_without_a_wallet_in_the_currency_gets_one(ctx: Context) -> None:
    people = open_people(ctx, 2)
    payments.open_member_accounts(ctx, ["hangzhou-card"], ["HKD"])
    payments.top_up(
        ctx,
        [
            payments.TopUp(
                fact_id(NOON, "hkd"), people[0].account_id, people[0].issuer_id, Money(50_00, "HKD"), NOON
            )
        ],
    )

    sent = transfers.send(ctx, replace(new(1, 0, 1), amount=Money(20_00, "HKD")))

    assert sent.state is State.SETTLED and held(ctx, people[1], "HKD") == 20_00


# --- links


def test_a_link_holds_the_money_until_somebody_claims_it(ctx: Context) -> None:
    ctx = spread(ctx)
    people = open_people(ctx, 4)
    sent = transfers.send(ctx, new(1, 0, None))
    assert (sent.state, held(ctx, people[0]), free(ctx, people[0])) == (State.HELD, START, START - 12_34)
    old = transfers.renew_link(ctx, people[0].account_id, sent.transfer_id)
    secret = transfers.renew_link(ctx, people[0].account_id, sent.transfer_id)

    with pytest.raises(model.UnknownLink):
        transfers.claim(ctx, people[1].account_id, old)
    with pytest.raises(InvalidInput):
        transfers.claim(ctx, people[0].account_id, secret)
    assert transfers.look_at_link(ctx, secret).amount == Money(12_34, "CNY")
    assert transfers.claim(ctx, people[1].account_id, secret).state is State.SETTLED
    assert transfers.claim(ctx, people[1].account_id, secret).state is State.SETTLED
    with pytest.raises(model.UnknownLink):
        transfers.claim(ctx, people[2].account_id, secret)
    with pytest.raises(model.TransferMoved):
        transfers.cancel(ctx, people[0].account_id, sent.transfer_id)

    assert (held(ctx, people[0]), held(ctx, people[1])) == (START - 12_34, START + 12_34)
    check_books(ctx, people, total=4 * START)


def test_a_link_that_nobody_claims_or_that_is_taken_back_frees_the_money(ctx: Context) -> None:
    ctx = spread(replace(ctx, clock=FixedClock(NOON)))
    people = open_people(ctx, 3)
    left = transfers.send(ctx, new(1, 0, None, 30_00))
    back = transfers.send(ctx, new(2, 0, None, 30_00))
    secret = transfers.renew_link(ctx, people[0].account_id, left.transfer_id)

    assert transfers.cancel(ctx, people[0].account_id, back.transfer_id).state is State.CANCELED
    assert isinstance(ctx.clock, FixedClock)
    ctx.clock.at = NOON + model.LINK_LASTS
    with pytest.raises(model.UnknownLink):
        transfers.claim(ctx, people[1].account_id, secret)
    assert transfers.finish(ctx) == 1

    assert transfers.get(ctx, people[0].account_id, left.transfer_id).state is State.EXPIRED
    assert free(ctx, people[0]) == START
    check_books(ctx, people, total=3 * START)


def test_of_many_who_claim_a_link_at_once_and_one_who_takes_it_back_one_has_it(
    committed_ctx: Context,
) -> None:
    ctx = spread(committed_ctx)
    people = open_people(ctx, 6)
    for number in range(3):
        sent = transfers.send(ctx, new(number, 0, None, 10_00))
        secret = transfers.renew_link(ctx, people[0].account_id, sent.transfer_id)

        def claim(of: int, secret: str = secret) -> str:
            try:
                return str(transfers.claim(ctx, people[of].account_id, secret).receiver_id)
            except (model.UnknownLink, model.TransferMoved):
                return ""

        def cancel(transfer_id: UUID = sent.transfer_id) -> str:
            try:
                transfers.cancel(ctx, people[0].account_id, transfer_id)
            except model.TransferMoved:
                return ""
            return "back"

        with ThreadPoolExecutor(6) as pool:
            outcomes = [pool.submit(claim, of) for of in range(1, 6)]
            outcomes.append(pool.submit(cancel))
            won = [one.result() for one in outcomes if one.result()]
        transfers.finish(ctx)

        assert len(won) == 1
    check_books(ctx, people, total=6 * START)


def test_one_wallet_emptied_by_many_at_once_pays_what_it_has(committed_ctx: Context) -> None:
    ctx = spread(committed_ctx)
    people = open_people(ctx, 6)

    def send(number: int) -> State | None:
        try:
            return transfers.send(ctx, new(number % 12, 0, 1 + number % 12 % 5, 30_00)).state
        except model.InsufficientFunds:
            return None

    with ThreadPoolExecutor(8) as pool:
        ended = list(pool.map(send, range(24)))
    transfers.finish(ctx)

    assert State.SETTLED in ended and set(ended) <= {State.SETTLED, State.FAILED, None}
    assert held(ctx, people[0]) == START - 3 * 30_00
    check_books(ctx, people, total=6 * START)


# --- anything, killed anywhere


actions = st.lists(
    st.tuples(
        st.sampled_from(("send", "link", "claim", "cancel", "finish", "later")),
        st.integers(0, 5),
        st.integers(0, 5),
        st.integers(1, 60_00),
        st.integers(0, 7),
    ),
    min_size=4,
    max_size=14,
)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(actions=actions, closed=st.sets(st.integers(1, 5), max_size=2))
def test_nothing_is_made_or_lost_whatever_people_do_and_wherever_it_is_killed(
    ctx: Context, actions: list[tuple[str, int, int, int, int]], closed: set[int]
) -> None:
    with ctx.tx() as tx, tx.transaction(force_rollback=True):
        inner = spread(replace(ctx, clock=FixedClock(NOON)))
        people = open_people(inner, 6)
        for one in closed:
            close_wallet(inner, one)
        links: list[tuple[int, UUID, str]] = []
        for number, (what, a, b, minor, steps) in enumerate(actions):
            assert isinstance(inner.clock, FixedClock)
            inner.clock.at += timedelta(seconds=1)
            step = killed_after(steps)
            try:
                if what == "send" and a != b:
                    transfers.send(inner, new(number, a, b, minor), step=step)
                elif what == "link":
                    sent = transfers.send(inner, new(number, a, None, minor), step=step)
                    secret = transfers.renew_link(inner, people[a].account_id, sent.transfer_id)
                    links.append((a, sent.transfer_id, secret))
                elif what == "claim" and links:
                    transfers.claim(inner, people[b].account_id, links[minor % len(links)][2], step=step)
                elif what == "cancel" and links:
                    of, transfer_id, _ = links[minor % len(links)]
                    transfers.cancel(inner, people[of].account_id, transfer_id, step=step)
                elif what == "finish":
                    transfers.finish(inner)
                elif what == "later":
                    inner.clock.at += timedelta(days=3)
            except (Killed, model.InsufficientFunds, model.UnknownLink, model.TransferMoved, InvalidInput):
                pass
        transfers.finish(inner)

        check_books(inner, people, total=6 * START)
        with inner.tx() as again:
            for one in people:
                home = inner.directory.partition_of(one.account_id)
                kept = transfers.list_sent(again, one.account_id, partition=home)
                waiting = sum(t.amount_minor for t in kept if t.state is State.HELD)
                assert all(t.state in ENDS or t.state is State.HELD for t in kept)
                assert held(inner, one) - free(inner, one) == waiting


def test_every_state_has_its_ways_and_every_way_ends() -> None:
    assert set(WAYS) == set(State)
    for state in State:
        seen, front = {state}, {state}
        while front:
            front = {to for one in front for to in WAYS[one]} - seen
            seen |= front
        assert seen & ENDS


def test_the_books_of_transit_open_only_where_they_are_needed(ctx: Context) -> None:
    open_people(ctx, 3)

    transfers.send(ctx, new(1, 0, 2))

    assert sum_of(ctx, ledger.AccountCode.TRANSIT) == 0


def delete_account(ctx: Context, number: int) -> None:
    with ctx.tx() as tx:
        account_id = person(number).account_id
        identity.ask_deletion(tx, fact_id(NOON, "go", number), account_id, NOON)
        assert identity.close_account(tx, account_id, at=NOON, erase_at=NOON)


def test_an_account_that_was_deleted_is_sent_nothing_and_found_by_nobody(ctx: Context) -> None:
    ctx = spread(ctx)
    people = open_people(ctx, 4)
    code = finding.code_of(ctx, person(1).account_id)
    delete_account(ctx, 1)

    with pytest.raises(model.CannotReceive):
        transfers.send(ctx, new(1, 0, 1))
    with pytest.raises(model.UnknownReceiver):
        finding.find_receiver(ctx, person(0).account_id, code)
    with pytest.raises(model.UnknownReceiver):
        finding.check_name(ctx, person(0).account_id, person(1).account_id, "Person1 Family1")
    assert finding.account_of_code(ctx, code) is None
    with ctx.tx() as tx:
        assert transfers.list_sent(tx, person(0).account_id) == []
    check_books(ctx, people, total=4 * START)


@pytest.mark.parametrize("stop", [0, 1, 2, 3])
def test_money_on_its_way_to_an_account_that_was_deleted_comes_back(ctx: Context, stop: int) -> None:
    ctx = spread(ctx)
    people = open_people(ctx, 4)
    away = next((a, b) for a, b in product(range(4), range(4)) if not new_is_direct(ctx, a, b))

    with pytest.raises(Killed):
        transfers.send(ctx, new(1, *away), step=killed_after(4))
    delete_account(ctx, away[1])
    try:
        transfers.advance(ctx, new(1, *away).transfer_id, step=killed_after(stop))
    except Killed:
        transfers.finish(ctx)

    with ctx.tx() as tx:
        found = transfers.find(
            tx, person(away[0]).account_id, new(1, *away).transfer_id, directory=ctx.directory
        )
    assert found is not None and (found.state, found.reason) == (State.RETURNED, "receiver_closed")
    check_books(ctx, people, total=4 * START)


def new_is_direct(ctx: Context, a: int, b: int) -> bool:
    homes = {ctx.directory.partition_of(person(one).account_id) for one in (a, b)}
    return a == b or len(homes) == 1
