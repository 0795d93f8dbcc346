"""Payments from beginning to end, in the states of their one table."""

import pytest

from hansa.payments.life import TABLE, Action, PaymentState, StateForbids, after
from hansa.store import Context
from payments.shopping import KIOSK, asks, check_books, held, made, open_town, owed, told


@pytest.mark.parametrize("action", list(Action))
@pytest.mark.parametrize("state", list(PaymentState))
def test_every_action_in_every_state_is_what_the_table_says_or_refused(
    state: PaymentState, action: Action
) -> None:
    wanted = TABLE[state].get(action)

    if wanted is not None:
        assert after(state, action) is wanted
    else:
        with pytest.raises(StateForbids):
            after(state, action)


def test_a_code_pays_at_once_and_the_position_stands_between_two_members(ctx: Context) -> None:
    open_town(ctx)

    one = made(ctx, asks(30_00))

    assert (one.state, one.captured_minor, one.held_minor) == ("captured", 30_00, 0)
    assert held(ctx) == (70_00, 0)
    assert owed(ctx) == {"tea": 30_00, "kiosk": 0, "awaited": 30_00, "position": 30_00}
    assert told(ctx) == ["payment.captured"]
    check_books(ctx)


def test_within_one_member_nothing_is_owed_between_members(ctx: Context) -> None:
    open_town(ctx)

    one = made(ctx, asks(30_00, payee_id=KIOSK))

    assert one.state == "captured"
    assert owed(ctx) == {"tea": 0, "kiosk": 30_00, "awaited": 0, "position": 0}
    check_books(ctx)
