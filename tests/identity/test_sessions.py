"""Sign-ins: a secret for the browser, a hash for us, and an end."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from hansa import identity
from hansa.store import Context
from identity.test_accounts import rider

AT = datetime(2026, 11, 17, 12, tzinfo=UTC)
LASTS = timedelta(seconds=identity.own_people_policy().own_idle_s)
SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("after_sign_in", "signed_in"),
    [
        (-SECOND, False),
        (timedelta(0), True),
        (LASTS - SECOND, True),
        (LASTS, False),
    ],
)
def test_a_sign_in_holds_from_its_start_until_its_expiry(
    ctx: Context, after_sign_in: timedelta, signed_in: bool
) -> None:
    with ctx.tx() as tx:
        identity.open_accounts(tx, [rider(1)])
        secret = identity.start_session(tx, rider(1).account_id, AT)

        account = identity.session_of(tx, secret, AT + after_sign_in)

    assert account == (rider(1) if signed_in else None)


def test_a_signed_out_secret_signs_nobody_in(ctx: Context) -> None:
    with ctx.tx() as tx:
        identity.open_accounts(tx, [rider(1)])
        secret = identity.start_session(tx, rider(1).account_id, AT)
        other_phone = identity.start_session(tx, rider(1).account_id, AT)

        identity.end_session(tx, secret)
        identity.end_session(tx, secret)

        assert identity.session_of(tx, secret, AT) is None
        assert identity.session_of(tx, other_phone, AT) == rider(1)


def test_a_made_up_secret_signs_nobody_in(ctx: Context) -> None:
    with ctx.tx() as tx:
        assert identity.session_of(tx, "made up", AT) is None
        assert identity.session_of(tx, "", AT) is None


def test_the_table_does_not_hold_the_secret(ctx: Context) -> None:
    with ctx.tx() as tx:
        identity.open_accounts(tx, [rider(1)])
        secret = identity.start_session(tx, rider(1).account_id, AT)

        kept = str(tx.execute("select secret_hash::text, s::text from identity.sessions s").fetchall())

    assert secret not in kept


def test_an_unknown_account_cannot_be_signed_in(ctx: Context) -> None:
    with ctx.tx() as tx, pytest.raises(identity.UnknownAccount):
        identity.start_session(tx, identity.AccountId(UUID(int=7)), AT)


def test_expired_sign_ins_are_swept_when_the_person_signs_in_again(ctx: Context) -> None:
    with ctx.tx() as tx:
        identity.open_accounts(tx, [rider(1)])
        identity.start_session(tx, rider(1).account_id, AT)

        identity.start_session(tx, rider(1).account_id, AT + LASTS)

        row = tx.execute("select count(*) from identity.sessions").fetchone()
    assert row == (1,)
