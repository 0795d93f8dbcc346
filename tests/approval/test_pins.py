"""Payment PINs: weak ones refused, tries counted before they are looked at, waits that grow, peppers that change."""

import threading
from datetime import date, timedelta
from uuid import UUID

import pytest

from approval.approving import PEPPER, later
from approval.spending import ANNA, BO, open_riders
from hansa import approval
from hansa.approval import pins
from hansa.kernel import InvalidInput
from hansa.store import Context, Secret

PIN, WRONG = "845291", "845292"


def set_pin(ctx: Context) -> None:
    with ctx.tx() as tx:
        open_riders(tx)
    approval.set_pin(ctx, ANNA, PIN, PEPPER)


def fails(ctx: Context, pin: str = WRONG) -> None:
    with pytest.raises(approval.PinWrong):
        approval.check_pin(ctx, ANNA, pin, PEPPER)


def standing(ctx: Context) -> approval.PinStanding:
    with ctx.tx() as tx:
        found = approval.find_pin(tx, 0, ANNA, ctx.clock.now())
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("pin", "why"),
    [
        ("12345", "six digits"), ("1234567", "six digits"), ("12a456", "six digits"), ("１２３４５６", "six digits"),
        ("000000", "all the same"), ("777777", "all the same"), ("123456", "run up"), ("654321", "run up"),
        ("890123", "run up"), ("135791", "run up"), ("112211", "two different"), ("121212", "two different"),
        ("123123", "repeats"), ("454545", "two different"), ("783783", "repeats"), ("794497", "mirrors"),
        ("778899", "three pairs"), ("159753", "most often"), ("520131", "most often"),
        ("901231", "date"), ("311290", "date"), ("123190", "date"), ("197905", "date"), ("051979", "date"),
    ],
)  # fmt: skip
def test_weak_pins_are_refused_with_the_reason(ctx: Context, pin: str, why: str) -> None:
    with ctx.tx() as tx:
        open_riders(tx)

    with pytest.raises(InvalidInput) as told:
        approval.set_pin(ctx, ANNA, pin, PEPPER)

    assert why.replace("six", "6") in told.value.problems[0].what
    with ctx.tx() as tx:
        assert approval.find_pin(tx, 0, ANNA, ctx.clock.now()) is None


def test_most_pins_will_do_and_ones_own_birthday_will_not() -> None:
    good = sum(not pins.weakness(f"{number:06}") for number in range(0, 1_000_000, 97))

    assert good > 0.85 * len(range(0, 1_000_000, 97))
    assert pins.weakness("198413", born=date(1984, 1, 3)) == ""
    assert pins._forms(date(1984, 1, 3)) >= {"840103", "030184", "010384", "198401", "011984"}


def test_the_right_pin_is_taken_and_the_table_holds_no_pin(ctx: Context) -> None:
    set_pin(ctx)

    assert approval.check_pin(ctx, ANNA, PIN, PEPPER) == ctx.clock.now()

    with ctx.tx() as tx:
        row = tx.execute("select hash from approval.pins").fetchone()
    assert row is not None and row[0].startswith("$argon2id$v=19$m=19456,t=2,p=1$")


def test_nobody_elses_pin_and_no_other_pepper_opens_it(ctx: Context) -> None:
    set_pin(ctx)
    approval.set_pin(ctx, BO, "392817", PEPPER)

    fails(ctx, "392817")
    with pytest.raises(approval.PinWrong):
        approval.check_pin(ctx, ANNA, PIN, Secret(PEPPER.name, {1: bytes(32)}))


def test_after_five_wrong_tries_waits_grow_and_then_only_a_new_pin_helps(ctx: Context) -> None:
    set_pin(ctx)
    for left in (4, 3, 2, 1):
        fails(ctx)
        assert (standing(ctx).tries_left, standing(ctx).wait_until) == (left, None)
    fails(ctx)

    for wait in (timedelta(minutes=15), timedelta(hours=1), timedelta(hours=4), timedelta(days=1)):
        assert standing(ctx).wait_until == ctx.clock.now() + wait
        with pytest.raises(approval.PinLocked):
            approval.check_pin(ctx, ANNA, PIN, PEPPER)
        later(ctx, seconds=wait.total_seconds())
        fails(ctx)

    assert standing(ctx).blocked
    later(ctx, days=365)
    with pytest.raises(approval.PinLocked):
        approval.check_pin(ctx, ANNA, PIN, PEPPER)
    approval.set_pin(ctx, ANNA, "392817", PEPPER)
    approval.check_pin(ctx, ANNA, "392817", PEPPER)


def test_the_right_pin_gives_all_tries_back(ctx: Context) -> None:
    set_pin(ctx)
    for _ in range(4):
        fails(ctx)

    approval.check_pin(ctx, ANNA, PIN, PEPPER)

    assert standing(ctx).tries_left == 5


def test_without_a_pin_there_is_none_to_try(ctx: Context) -> None:
    with ctx.tx() as tx:
        open_riders(tx)

    with pytest.raises(approval.NoPin):
        approval.check_pin(ctx, ANNA, PIN, PEPPER)


def test_a_new_pepper_takes_the_place_of_the_old_when_the_pin_is_used(ctx: Context) -> None:
    set_pin(ctx)
    both = Secret(PEPPER.name, {1: PEPPER.value, 2: bytes(32)})

    approval.check_pin(ctx, ANNA, PIN, both)

    with ctx.tx() as tx:
        assert tx.execute("select pepper_version from approval.pins").fetchone() == (2,)
    approval.check_pin(ctx, ANNA, PIN, Secret(PEPPER.name, {2: bytes(32)}))


def test_a_crash_while_a_pin_is_looked_at_costs_the_try(
    ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_pin(ctx)

    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(pins, "_peppered", crash)
    with pytest.raises(KeyboardInterrupt):
        approval.check_pin(ctx, ANNA, PIN, PEPPER)

    assert standing(ctx).tries_left == 4


def test_fifty_tries_at_once_are_five(committed_ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    ctx = committed_ctx
    set_pin(ctx)
    looked_at: list[str] = []
    peppered = pins._peppered

    def look_at(account: UUID, pin: str, pepper: bytes) -> bytes:
        looked_at.append(pin)
        return peppered(account, pin, pepper)

    monkeypatch.setattr(pins, "_peppered", look_at)
    told: list[type[Exception]] = []

    def attempt(number: int) -> None:
        try:
            approval.check_pin(ctx, ANNA, f"8452{number + 10}", PEPPER)
        except (approval.PinWrong, approval.PinLocked) as error:
            told.append(type(error))

    threads = [threading.Thread(target=attempt, args=(number,)) for number in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(looked_at) == 5 and told.count(approval.PinWrong) == 5 and told.count(approval.PinLocked) == 45
