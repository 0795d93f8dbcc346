"""Money asked of others: paid once, declined, run out, reminded within bounds; bills split to the last cent."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa import identity
from hansa.kernel import FixedClock, InvalidInput, Money, fact_id
from hansa.store import Context
from hansa.wallets import model, requests, transfers
from hansa.wallets.model import NewRequest, NewSplit, RequestState, SplitState, SplitWay, State
from scratch import NOON
from wallets.people import START, Killed, check_books, held, killed_after, open_people, person, spread

pytestmark = pytest.mark.usefixtures("allowed")


def asked(number: int, asker: int, payer: int, minor: int = 20_00) -> NewRequest:
    return NewRequest(
        request_id=fact_id(NOON, "ask", number),
        asker_id=person(asker).account_id,
        payer_id=person(payer).account_id,
        amount=Money(minor, "CNY"),
        note="dinner",
    )


def bill(number: int, way: SplitWay, among: dict[int, int], minor: int = 100_00) -> NewSplit:
    return NewSplit(
        split_id=fact_id(NOON, "split", number),
        owner_id=person(0).account_id,
        title="Hot pot",
        total=Money(minor, "CNY"),
        way=way,
        among=tuple((person(who).account_id, weight) for who, weight in among.items()),
    )


def state_of(ctx: Context, request_id: UUID, of: int) -> RequestState:
    with ctx.tx() as tx:
        return requests.get(tx, person(of).account_id, request_id).state


def later(ctx: Context, by: timedelta) -> None:
    assert isinstance(ctx.clock, FixedClock)
    ctx.clock.at += by


def own_clock(ctx: Context) -> Context:
    return replace(ctx, clock=FixedClock(NOON))


def test_a_request_is_paid_once_however_often_it_is_paid(ctx: Context) -> None:
    ctx = spread(ctx)
    people = open_people(ctx)
    one = requests.ask(ctx, asked(1, 0, 1))
    assert requests.ask(ctx, asked(1, 0, 1)) == one

    first = requests.pay(ctx, people[1].account_id, one.request_id)
    again = requests.pay(ctx, people[1].account_id, one.request_id)

    assert first == again and first.state is State.SETTLED
    assert state_of(ctx, one.request_id, 0) is RequestState.PAID
    assert (held(ctx, people[0]), held(ctx, people[1])) == (START + 20_00, START - 20_00)
    with pytest.raises(model.RequestMoved):
        requests.cancel(ctx, people[0].account_id, one.request_id)


def test_a_request_that_cannot_be_paid_stays_open_and_is_paid_later(ctx: Context) -> None:
    people = open_people(ctx, 4)
    one = requests.ask(ctx, asked(1, 0, 2, START + 1))

    with pytest.raises(model.InsufficientFunds):
        requests.pay(ctx, people[2].account_id, one.request_id)
    assert state_of(ctx, one.request_id, 2) is RequestState.OPEN
    transfers.send(
        ctx,
        model.NewTransfer(
            transfer_id=UUID(int=77),
            sender_id=people[1].account_id,
            receiver_id=people[2].account_id,
            amount=Money(1, "CNY"),
        ),
    )

    assert requests.pay(ctx, people[2].account_id, one.request_id).state is State.SETTLED
    assert held(ctx, people[0]) == 2 * START + 1


@pytest.mark.parametrize("steps", range(1, 6))
def test_paying_a_request_survives_a_kill_at_any_step(ctx: Context, steps: int) -> None:
    ctx = spread(ctx)
    people = open_people(ctx, 4)
    one = requests.ask(ctx, asked(1, 0, 1))

    try:
        requests.pay(ctx, people[1].account_id, one.request_id, step=killed_after(steps))
    except Killed:
        transfers.finish(ctx)

    assert requests.pay(ctx, people[1].account_id, one.request_id).state is State.SETTLED
    assert state_of(ctx, one.request_id, 0) is RequestState.PAID
    assert held(ctx, people[0]) == START + 20_00
    check_books(ctx, people, total=4 * START)


def test_one_request_paid_declined_and_cancelled_at_once_ends_one_way(committed_ctx: Context) -> None:
    ctx = spread(committed_ctx)
    people = open_people(ctx, 4)

    def tried(do: Callable[[], object]) -> bool:
        try:
            do()
        except model.RequestMoved:
            return False
        return True

    for number in range(3):
        one = requests.ask(ctx, asked(number, 0, 1, 10_00)).request_id
        with ThreadPoolExecutor(6) as pool:
            pays = [
                pool.submit(tried, lambda one=one: requests.pay(ctx, people[1].account_id, one))
                for _ in range(4)
            ]
            decline = pool.submit(tried, lambda one=one: requests.decline(ctx, people[1].account_id, one))
            cancel = pool.submit(tried, lambda one=one: requests.cancel(ctx, people[0].account_id, one))
        ended = state_of(ctx, one, 0)

        assert (ended is RequestState.PAID) == any(p.result() for p in pays)
        assert (ended is RequestState.DECLINED) == decline.result()
        assert (ended is RequestState.CANCELED) == cancel.result()
    paid = (held(ctx, people[0]) - START) // 10_00
    assert paid == sum(state_of(ctx, fact_id(NOON, "ask", n), 0) is RequestState.PAID for n in range(3))
    check_books(ctx, people, total=4 * START)


def test_requests_are_bounded_muted_and_nobody_elses(ctx: Context) -> None:
    people = open_people(ctx)
    for number in range(model.OPEN_REQUESTS_MAX):
        requests.ask(ctx, asked(number, 0, 1))

    with pytest.raises(model.CannotAsk):
        requests.ask(ctx, asked(99, 0, 1))
    with pytest.raises(model.UnknownRequest):
        requests.pay(ctx, people[2].account_id, asked(0, 0, 1).request_id)
    with pytest.raises(model.UnknownRequest):
        requests.cancel(ctx, people[1].account_id, asked(0, 0, 1).request_id)
    with pytest.raises(model.RequestDiffers):
        requests.ask(ctx, asked(0, 0, 1, 5))
    with pytest.raises(InvalidInput):
        requests.ask(ctx, asked(98, 0, 0))

    requests.decline(ctx, people[1].account_id, asked(0, 0, 1).request_id, mute=True)
    with pytest.raises(model.CannotAsk):
        requests.ask(ctx, asked(97, 0, 1))
    with ctx.tx() as tx:
        assert requests.list_muted(tx, people[1].account_id) == [people[0].account_id]
        requests.unmute(tx, people[1].account_id, people[0].account_id)
    requests.ask(ctx, asked(97, 0, 1))
    assert [held(ctx, one) for one in people] == [START] * 4


def test_reminders_are_few_and_a_day_apart_and_a_request_runs_out(ctx: Context) -> None:
    ctx = own_clock(ctx)
    people = open_people(ctx)
    one = requests.ask(ctx, asked(1, 0, 1)).request_id

    with pytest.raises(model.RemindedEnough):
        requests.remind(ctx, people[0].account_id, one)
    for number in range(model.REMINDERS_MAX):
        later(ctx, model.REMIND_AFTER)
        assert requests.remind(ctx, people[0].account_id, one).reminders == number + 1
        with pytest.raises(model.RemindedEnough):
            requests.remind(ctx, people[0].account_id, one)
    later(ctx, model.REMIND_AFTER)
    with pytest.raises(model.RemindedEnough):
        requests.remind(ctx, people[0].account_id, one)

    later(ctx, model.REQUEST_LASTS)
    with pytest.raises(model.RequestMoved):
        requests.pay(ctx, people[1].account_id, one)
    assert requests.expire(ctx) == 1
    assert state_of(ctx, one, 1) is RequestState.EXPIRED


def test_a_split_closes_by_itself_when_its_last_part_is_paid(ctx: Context) -> None:
    people = open_people(ctx)
    made = requests.split(ctx, bill(1, SplitWay.EQUAL, {0: 1, 1: 1, 2: 1}))
    assert [one.amount_minor for one in made.shares] == [33_34, 33_33, 33_33]
    assert requests.split(ctx, bill(1, SplitWay.EQUAL, {0: 1, 1: 1, 2: 1})) == made

    shares = {one.account_id: one.request_id for one in made.shares}
    first, second = shares[people[1].account_id], shares[people[2].account_id]
    assert first is not None and second is not None and shares[people[0].account_id] is None
    requests.pay(ctx, people[1].account_id, first)
    requests.decline(ctx, people[2].account_id, second)

    with ctx.tx() as tx:
        ended = requests.get_split(tx, people[0].account_id, made.split_id)
    assert (ended.state, ended.paid_minor, ended.asked_minor) == (SplitState.CLOSED, 33_33, 66_66)
    again = requests.ask_share_again(ctx, people[0].account_id, made.split_id, people[2].account_id)
    assert again.state is SplitState.OPEN
    (open_one,) = [one.request_id for one in again.shares if one.state is RequestState.OPEN]
    assert open_one is not None
    requests.pay(ctx, people[2].account_id, open_one)
    with ctx.tx() as tx:
        ended = requests.get_split(tx, people[0].account_id, made.split_id)
    assert (ended.state, ended.paid_minor) == (SplitState.CLOSED, 66_66)
    assert held(ctx, people[0]) == START + 66_66


def test_two_last_parts_paid_at_once_close_a_split(committed_ctx: Context) -> None:
    ctx = spread(committed_ctx)
    people = open_people(ctx, 6)
    for number in range(3):
        made = requests.split(ctx, bill(number, SplitWay.EQUAL, {1: 1, 2: 1, 3: 1, 4: 1}, 10_00))
        asked_of = [(one.account_id, one.request_id) for one in made.shares]

        with ThreadPoolExecutor(4) as pool:
            for account_id, request_id in asked_of:
                assert request_id is not None
                pool.submit(requests.pay, ctx, identity.AccountId(account_id), request_id)

        with ctx.tx() as tx:
            assert requests.get_split(tx, people[0].account_id, made.split_id).state is SplitState.CLOSED


def test_a_split_that_is_taken_back_leaves_what_was_paid(ctx: Context) -> None:
    people = open_people(ctx)
    made = requests.split(ctx, bill(1, SplitWay.SHARES, {1: 1, 2: 3}))
    first = made.shares[0].request_id
    assert first is not None
    requests.pay(ctx, people[1].account_id, first)

    ended = requests.cancel_split(ctx, people[0].account_id, made.split_id)

    assert ended == requests.cancel_split(ctx, people[0].account_id, made.split_id)
    assert [one.state for one in ended.shares] == [RequestState.PAID, RequestState.CANCELED]
    assert held(ctx, people[0]) == START + 25_00


LARGEST = 1_000_000_000_000


@pytest.mark.parametrize("currency", ["JPY", "CNY", "BHD", "IDR"])
@pytest.mark.parametrize(
    ("way", "among", "minor", "borne"),
    [
        (SplitWay.AMOUNTS, {0: 1, 1: LARGEST - 1}, LARGEST, [1, LARGEST - 1]),
        (SplitWay.EQUAL, {0: 1, 1: 1, 2: 1}, LARGEST, [333_333_333_334, 333_333_333_333, 333_333_333_333]),
        (SplitWay.EQUAL, {0: 1, 1: 1, 2: 1}, 1, [1, 0, 0]),
        (SplitWay.SHARES, {0: 1, 1: 1_000_000}, LARGEST, [999_999, 999_999_000_001]),
    ],
)
def test_a_split_of_the_least_and_the_largest_is_kept_in_any_currency(
    ctx: Context, currency: str, way: SplitWay, among: dict[int, int], minor: int, borne: list[int]
) -> None:
    open_people(ctx, currency=currency, minor=0)
    one = bill(1, way, among, minor)

    kept = requests.split(ctx, replace(one, total=Money(minor, currency)))

    assert [share.amount_minor for share in kept.shares] == borne
    with ctx.tx() as tx:
        assert requests.get_split(tx, one.owner_id, one.split_id) == kept


@pytest.mark.parametrize(
    "wrong",
    [
        bill(1, SplitWay.AMOUNTS, {0: 50_00, 1: 49_99}),
        bill(1, SplitWay.EQUAL, {1: 1}),
        bill(1, SplitWay.SHARES, {0: 1, 1: -1}),
        bill(1, SplitWay.SHARES, {0: 0, 1: 0}),
        bill(1, SplitWay.SHARES, {0: 1, 1: 1_000_001}),
        bill(1, SplitWay.EQUAL, {0: 1, 1: 1}, 0),
        replace(bill(1, SplitWay.EQUAL, {0: 1, 1: 1}), title="  "),
        replace(bill(1, SplitWay.EQUAL, {0: 1, 1: 1}), source_kind="rumour"),
    ],
)
def test_a_split_that_does_not_come_out_asks_nobody(ctx: Context, wrong: NewSplit) -> None:
    people = open_people(ctx)

    with pytest.raises(InvalidInput):
        requests.split(ctx, wrong)

    with ctx.tx() as tx:
        assert requests.list_requests(tx, people[0].account_id) == []
        assert requests.list_splits(tx, people[0].account_id) == []


@given(
    minor=st.integers(1, 10**9),
    weights=st.lists(st.integers(0, 1_000), min_size=2, max_size=50).filter(lambda found: sum(found) > 0),
    way=st.sampled_from((SplitWay.EQUAL, SplitWay.SHARES)),
)
def test_shares_come_to_the_bill_and_nobody_bears_a_cent_too_much(
    minor: int, weights: list[int], way: SplitWay
) -> None:
    shares = requests.share_out(bill(1, way, dict(enumerate(weights)), minor))

    counted = [1] * len(weights) if way is SplitWay.EQUAL else weights
    assert sum(one.amount_minor for one in shares) == minor
    for share, weight in zip(shares, counted, strict=True):
        assert abs(share.amount_minor * sum(counted) - minor * weight) < sum(counted)


NAMES = [
    ("Gao Lan", "Gao Lan", "match"),
    ("lan GAO", "Gao Lan", "match"),
    ("Émilie Trémblay", "Emilie Tremblay", "match"),
    ("高兰", "高兰", "match"),
    ("E. Tremblay", "Emily Tremblay", "close"),
    ("Emily Trembley", "Emily Tremblay", "close"),
    ("Tremblay", "Emily Tremblay", "close"),
    ("Omar Singh", "Emily Tremblay", "no_match"),
    ("Li", "Lu", "no_match"),
    ("E", "Emily Tremblay", "no_match"),
    ("", "Emily Tremblay", "no_match"),
]


@pytest.mark.parametrize(("expected", "actual", "told"), NAMES)
def test_the_name_that_a_payer_expects_is_compared(expected: str, actual: str, told: str) -> None:
    assert model.compare_names(expected, actual).value == told


@given(st.data())
def test_a_mistyped_code_is_found(data: st.DataObject) -> None:
    letters = model.CODE_LETTERS
    body = data.draw(st.text(letters, min_size=9, max_size=9))
    code = body + model.check_letter(body)
    place = data.draw(st.integers(0, 9))
    other = data.draw(st.sampled_from([one for one in letters if one != code[place]]))

    assert model.read_code(model.code_text(code).lower()) == code
    assert model.read_code(code[:place] + other + code[place + 1 :]) is None
