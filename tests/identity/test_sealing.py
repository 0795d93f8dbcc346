"""Sealing: it opens for its own account and field alone, keys turn while people read, erasure is final."""

import threading
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa import identity
from hansa.identity import persons, persons_store, sealing
from hansa.store import Context
from hansa.store.secrets import SecretMissing
from identity.sealed import Keys
from identity.test_accounts import rider

AT = datetime(2026, 11, 17, 12, tzinfo=UTC)
ONE = rider(1).account_id
accounts = st.uuids(version=4)
fields = st.text(min_size=1, max_size=60)


@given(content=st.binary(max_size=2_000), owner=accounts, field=fields, others=st.tuples(accounts, fields))
def test_a_box_opens_for_its_account_field_and_key_alone(
    content: bytes, owner: UUID, field: str, others: tuple[UUID, str]
) -> None:
    key, other_key = bytes(range(32)), bytes(32)
    box = sealing.seal(key, content, owner=owner, field=field)

    assert sealing.open_box(key, box, owner=owner, field=field) == content
    assert content not in box or len(content) < 4
    for owner_, field_, key_ in (
        (others[0], field, key),
        (owner, others[1], key),
        (owner, field, other_key),
    ):
        if (owner_, field_, key_) != (owner, field, key):
            with pytest.raises(identity.BoxDamaged):
                sealing.open_box(key_, box, owner=owner_, field=field_)


@given(place=st.integers(0, 200), flip=st.integers(1, 255), length=st.integers(0, 60))
def test_a_box_that_was_changed_or_cut_does_not_open(place: int, flip: int, length: int) -> None:
    key, owner = bytes(range(32)), UUID(int=7)
    box = bytearray(sealing.seal(key, b"110101199003070011", owner=owner, field="number"))
    place %= len(box)
    box[place] ^= flip

    for spoilt in (bytes(box), bytes(box[:length])):
        with pytest.raises(identity.BoxDamaged):
            sealing.open_box(key, spoilt, owner=owner, field="number")


@given(turns=st.lists(st.sampled_from(["rotate", "wrap", "open"]), max_size=12))
def test_a_data_key_opens_under_any_order_of_rotations(turns: list[str]) -> None:
    keys, owner = Keys(), uuid4()
    sealer = keys.sealer()
    key, wrapped = sealer.new_key(owner)

    for turn in turns:
        if turn == "rotate":
            keys.wrapping.rotate()
            sealer.look_again()
        elif turn == "wrap":
            wrapped = sealer.wrap(sealer.unwrap(wrapped, owner), owner)
            assert wrapped.version == sealer.newest
        assert sealer.unwrap(wrapped, owner) == key


def test_two_seals_of_the_same_differ_and_a_digest_does_not() -> None:
    keys = Keys()
    sealer, key = keys.sealer(), bytes(32)
    once, again = (sealing.seal(key, b"same", owner=ONE, field="f") for _ in range(2))

    assert once != again
    assert sealer.digest("phone", "+8613800138000") == sealer.digest("phone", "+8613800138000")
    assert sealer.digest("phone", "1") != sealer.digest("document", "1")
    assert sealer.digest("phone", "1") != Keys().sealer().digest("phone", "1")


def test_a_version_made_by_another_process_is_read_when_it_is_met() -> None:
    keys = Keys()
    old, owner = keys.sealer(), uuid4()
    keys.wrapping.rotate()
    key, wrapped = keys.sealer().new_key(owner)

    assert wrapped.version == 2
    assert old.unwrap(wrapped, owner) == key


def test_a_version_that_was_thrown_away_is_named() -> None:
    keys, owner = Keys(), uuid4()
    _, wrapped = keys.sealer().new_key(owner)
    keys.wrapping.rotate()
    del keys.wrapping.versions[1]

    with pytest.raises(SecretMissing, match="Version 1 of the secret personal-data is gone"):
        keys.sealer().unwrap(wrapped, owner)


# -- in the database ----------------------------------------------------------------------------------------


def test_keys_are_wrapped_anew_in_batches_while_people_read(committed_ctx: Context) -> None:
    ctx, keys = committed_ctx, Keys()
    sealer = keys.sealer()
    riders = [rider(n).account_id for n in range(1, 26)]
    with ctx.tx() as tx:
        identity.open_accounts(tx, [rider(n) for n in range(1, 26)])
        before = {one: persons.data_key(tx, sealer, one, AT) for one in riders}
    keys.wrapping.rotate()
    sealer.look_again()
    faults: list[BaseException] = []
    stop = threading.Event()

    def read() -> None:
        try:
            while not stop.is_set():
                with ctx.tx() as tx:
                    assert {one: persons.find_data_key(tx, sealer, one) for one in riders} == before
        except BaseException as error:  # told below
            faults.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    turned = [identity.rewrap(ctx, sealer, limit=10) for _ in range(4)]
    stop.set()
    reader.join()

    assert turned == [10, 10, 5, 0] and not faults
    with ctx.tx() as tx:
        assert identity.count_data_keys(tx) == {2: 25}
    del keys.wrapping.versions[1]
    with ctx.tx() as tx:
        assert {one: persons.find_data_key(tx, keys.sealer(), one) for one in riders} == before


def test_when_an_old_version_is_gone_nothing_is_wrapped_anew(ctx: Context) -> None:
    keys = Keys()
    with ctx.tx() as tx:
        identity.open_accounts(tx, [rider(1)])
        persons.data_key(tx, keys.sealer(), ONE, AT)
    keys.wrapping.rotate()
    del keys.wrapping.versions[1]

    with pytest.raises(SecretMissing):
        identity.rewrap(ctx, keys.sealer())

    with ctx.tx() as tx:
        assert identity.count_data_keys(tx) == {1: 1}


def test_without_its_data_key_nothing_of_an_account_opens(ctx: Context) -> None:
    keys = Keys()
    sealer = keys.sealer()
    with ctx.tx() as tx:
        identity.open_accounts(tx, [rider(1)])
        identity.state_birth(tx, sealer, ONE, AT.date().replace(year=1990), country="CN", at=AT)
        persons_store.destroy_key(tx, ONE)

        assert identity.find_birth(tx, sealer, ONE) is None
