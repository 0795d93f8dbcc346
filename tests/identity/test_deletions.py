"""Deletions: thought over, taken back, carried out; what law wants kept stays sealed, and only so long."""

from collections.abc import Iterator
from datetime import date, timedelta
from uuid import uuid4

import pytest

from hansa import identity
from hansa.identity import Sealer
from hansa.store import Context, Tx
from identity.sealed import Keys, Register, card
from identity.test_accounts import AT, rider

ONE, TWO = rider(1).account_id, rider(2).account_id
DUE = AT + identity.COOLING


@pytest.fixture
def sealer() -> Sealer:
    return Keys().sealer()


@pytest.fixture
def tx(ctx: Context, sealer: Sealer) -> Iterator[Tx]:
    """Two accounts; the first has proved its name, and has a day of birth with it."""
    with ctx.tx() as tx:
        identity.open_accounts(tx, [rider(1), rider(2)])
    prove(ctx, sealer, ONE)
    with ctx.tx() as tx:
        yield tx


def prove(ctx: Context, sealer: Sealer, account: identity.AccountId) -> identity.Proofing:
    return identity.ask_proofing(
        ctx,
        sealer,
        Register(),
        proofing_id=uuid4(),
        account_id=account,
        name="高兰",
        document=card(),
        policy=identity.own_level_policy(),
    )


def test_a_wish_is_kept_once_and_can_be_taken_back_until_it_is_carried_out(tx: Tx) -> None:
    first = identity.ask_deletion(tx, uuid4(), ONE, AT)
    assert identity.ask_deletion(tx, uuid4(), ONE, AT + timedelta(days=1)) == first
    assert identity.due_deletions(tx, DUE - timedelta(seconds=1)) == []
    assert [one.account_id for one in identity.due_deletions(tx, DUE)] == [ONE]

    identity.cancel_deletion(tx, ONE, AT)
    assert identity.due_deletions(tx, DUE) == []
    assert not identity.close_account(tx, ONE, at=DUE, erase_at=DUE)
    with pytest.raises(identity.NoDeletion):
        identity.cancel_deletion(tx, ONE, AT)
    assert identity.get_account(tx, ONE) == rider(1)


def test_one_that_is_blocked_is_looked_at_again_later(tx: Tx) -> None:
    identity.ask_deletion(tx, uuid4(), ONE, AT)
    identity.note_obstacles(tx, ONE, ["money"], DUE)

    assert identity.due_deletions(tx, DUE + timedelta(hours=5)) == []
    assert len(identity.due_deletions(tx, DUE + timedelta(hours=6))) == 1


def test_what_law_wants_kept_stays_sealed_until_its_day(ctx: Context, tx: Tx, sealer: Sealer) -> None:
    identity.ask_deletion(tx, uuid4(), ONE, AT)
    kept_until = DUE + timedelta(days=365)

    assert identity.close_account(tx, ONE, at=DUE, erase_at=kept_until)
    assert identity.get_account(tx, ONE).name == "Deleted account" and identity.is_closed(tx, ONE)
    assert identity.proven_name(tx, sealer, ONE) == "高兰"
    with pytest.raises(identity.AccountClosed):
        identity.ask_deletion(tx, uuid4(), ONE, DUE)
    with pytest.raises(identity.AccountClosed):
        identity.start_session(tx, ONE, DUE)
    assert prove(ctx, sealer, TWO).state == "matched"  # who left may come back under another account

    assert identity.erase_due(tx, kept_until - timedelta(seconds=1)) == 0
    assert identity.erase_due(tx, kept_until) == 1
    assert identity.proven_name(tx, sealer, ONE) is None
    assert identity.find_birth(tx, sealer, ONE) is None
    assert identity.person_of(tx, ONE) is None and identity.person_of(tx, TWO) is not None
    assert identity.proof_level(tx, TWO) == identity.ProofLevel.NAME
    birth = identity.find_birth(tx, sealer, TWO)
    assert birth is not None and birth.born == date(1990, 3, 7)
    assert set(identity.count_data_keys(tx).values()) == {1}
