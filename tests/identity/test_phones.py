"""Phones: connected by proof with a fresh sign-in, ended for good; standings with their history."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from hansa import identity
from hansa.kernel import HansaError, InvalidInput
from hansa.store import Context, Tx
from identity.proving import PhoneKey
from identity.test_accounts import rider

AT = datetime(2026, 11, 17, 12, tzinfo=UTC)
ONE, OTHER = rider(1).account_id, rider(2).account_id
POLICY = identity.own_phone_policy()
CASE = UUID(int=7)


@pytest.fixture
def tx(ctx: Context) -> Iterator[Tx]:
    with ctx.tx() as tx:
        identity.open_accounts(tx, [rider(1), rider(2)])
        yield tx


def minutes(count: float) -> timedelta:
    return timedelta(minutes=count)


def proof_of(
    tx: Tx, key: PhoneKey, *, at: datetime = AT, account: identity.AccountId = ONE, session: str | None = None
) -> identity.Proof:
    """What the phone of this key proves, with a nonce of a sign-in of just now unless another is given."""
    secret = session or identity.start_session(tx, account, at)
    nonce, _ = identity.give_nonce(tx, account, secret, at=at, policy=POLICY)
    return identity.Proof(key.point, nonce)


def connect(
    tx: Tx,
    key: PhoneKey,
    *,
    at: datetime = AT,
    account: identity.AccountId = ONE,
    session: str | None = None,
    name: str = "Anna's phone",
) -> identity.Enrolled:
    proof = proof_of(tx, key, at=at, account=account, session=session)
    return identity.enrol_phone(tx, account, proof, name=name, at=at, policy=POLICY)


def all_there_is(tx: Tx) -> list[object]:
    """Phones, nonces, sign-ins and standings as they are."""
    tables = ("phones", "nonces", "sessions", "standings")
    return [
        tx.execute(f"select * from identity.{table} order by 1").fetchall()  # pyright: ignore
        for table in tables
    ]


def refused(tx: Tx, error: type[HansaError], *args: object, **values: object) -> None:
    """Connecting is refused and leaves everything as it was."""
    key = values.pop("key", None) or PhoneKey()
    proof = proof_of(tx, key, **values)  # pyright: ignore
    at, account = values.get("at", AT), values.get("account", ONE)
    before = all_there_is(tx)

    with pytest.raises(error), tx.transaction():
        identity.enrol_phone(tx, account, proof, name="phone", at=at, policy=POLICY)  # pyright: ignore

    assert all_there_is(tx) == before


# -- connecting ---------------------------------------------------------------------------------------------


def test_a_phone_is_connected_with_its_name(tx: Tx) -> None:
    key = PhoneKey()

    done = connect(tx, key, name="  Anna’s\u00a0 phone ")

    assert (done.phone.name, done.phone.status, done.phone.public_key) == (
        "Anna’s phone",
        "active",
        key.point,
    )
    assert done.phone.phone_id == identity.phone_id_of(key.point)
    assert identity.list_phones(tx, ONE) == [done.phone] and identity.list_phones(tx, OTHER) == []


def test_connecting_again_is_harmless(tx: Tx) -> None:
    key = PhoneKey()
    first = connect(tx, key)

    again = connect(tx, key, at=AT + minutes(1), name="another name")

    assert again.phone == first.phone and identity.list_phones(tx, ONE) == [first.phone]


@pytest.mark.parametrize("name", ["", "   ", "x" * 61, "a\u0000b", "a\u202eb", "\u200b"])
def test_a_name_nobody_can_read_is_refused(tx: Tx, name: str) -> None:
    proof = proof_of(tx, PhoneKey())
    before = all_there_is(tx)

    with pytest.raises(InvalidInput) as error, tx.transaction():
        identity.enrol_phone(tx, ONE, proof, name=name, at=AT, policy=POLICY)

    assert error.value.problems[0].where == "name" and all_there_is(tx) == before


def test_a_nonce_is_good_once(tx: Tx) -> None:
    proof = proof_of(tx, PhoneKey())
    identity.enrol_phone(tx, ONE, proof, name="phone", at=AT, policy=POLICY)
    before = all_there_is(tx)

    with pytest.raises(identity.NonceRefused), tx.transaction():
        identity.enrol_phone(tx, ONE, proof, name="phone", at=AT, policy=POLICY)

    assert all_there_is(tx) == before


def test_a_nonce_is_good_for_two_minutes_and_for_one_account(tx: Tx) -> None:
    proof = proof_of(tx, PhoneKey())
    before = all_there_is(tx)

    for account, at in ((OTHER, AT), (ONE, AT + minutes(2))):
        with pytest.raises(identity.NonceRefused), tx.transaction():
            identity.enrol_phone(tx, account, proof, name="phone", at=at, policy=POLICY)
    assert all_there_is(tx) == before

    identity.enrol_phone(tx, ONE, proof, name="phone", at=AT + minutes(1.99), policy=POLICY)


def test_nonces_go_with_their_sign_in(tx: Tx) -> None:
    secret = identity.start_session(tx, ONE, AT)
    proof = proof_of(tx, PhoneKey(), session=secret)

    identity.end_session(tx, secret)

    with pytest.raises(identity.NonceRefused), tx.transaction():
        identity.enrol_phone(tx, ONE, proof, name="phone", at=AT, policy=POLICY)


def test_nobody_piles_up_nonces(tx: Tx) -> None:
    secret = identity.start_session(tx, ONE, AT)

    for second in range(50):
        identity.give_nonce(tx, ONE, secret, at=AT + timedelta(seconds=second), policy=POLICY)

    row = tx.execute("select count(*) from identity.nonces").fetchone()
    assert row == (POLICY.nonces_max,)


def test_only_a_sign_in_of_the_account_gets_nonces(tx: Tx) -> None:
    secret = identity.start_session(tx, ONE, AT)

    for account, asked in ((OTHER, secret), (ONE, "made up"), (ONE, "")):
        with pytest.raises(identity.UnknownAccount), tx.transaction():
            identity.give_nonce(tx, account, asked, at=AT, policy=POLICY)

    assert tx.execute("select count(*) from identity.nonces").fetchone() == (0,)


def test_an_old_sign_in_connects_no_phone(tx: Tx) -> None:
    secret = identity.start_session(tx, ONE, AT)
    late = AT + POLICY.sign_in + timedelta(seconds=1)

    refused(tx, identity.SignInAnew, session=secret, at=late)
    connect(tx, PhoneKey(), session=secret, at=AT + POLICY.sign_in)


def test_a_sign_in_connects_one_phone(tx: Tx) -> None:
    secret = identity.start_session(tx, ONE, AT)
    key = PhoneKey()
    phone = connect(tx, key, session=secret).phone

    refused(tx, identity.SignInAnew, session=secret)
    assert connect(tx, key, session=secret).phone == phone
    proved = identity.start_session(tx, ONE, AT)
    identity.prove_phone(tx, ONE, phone.phone_id, proof_of(tx, key, session=proved), at=AT)
    refused(tx, identity.SignInAnew, session=proved)


def test_phones_that_are_active_come_first_in_a_long_list(tx: Tx) -> None:
    first = connect(tx, PhoneKey()).phone
    for number in range(120):
        phone = connect(tx, PhoneKey(), at=AT + minutes(number)).phone
        identity.end_phone(tx, ONE, phone.phone_id, "removed", at=AT + minutes(number), reason="removed")

    listed = identity.list_phones(tx, ONE)

    assert listed[0] == first and len(listed) == 100
    assert listed[1].enrolled_at == AT + minutes(119)


def test_no_more_phones_than_the_policy_says(tx: Tx) -> None:
    phones = [connect(tx, PhoneKey()).phone for _ in range(POLICY.phones_max)]

    refused(tx, identity.TooManyPhones)

    identity.end_phone(tx, ONE, phones[0].phone_id, "removed", at=AT, reason="removed")
    connect(tx, PhoneKey())


def test_a_key_is_one_phones_for_good(tx: Tx) -> None:
    key = PhoneKey()
    phone = connect(tx, key).phone

    refused(tx, identity.PhoneKeyTaken, key=key, account=OTHER)
    identity.end_phone(tx, ONE, phone.phone_id, "lost", at=AT, reason="lost")
    refused(tx, identity.PhoneKeyTaken, key=key)


def test_phones_that_connect_at_once_are_no_more_than_the_policy_says(committed_ctx: Context) -> None:
    with committed_ctx.tx() as tx:
        identity.open_accounts(tx, [rider(1)])
        proofs = [proof_of(tx, PhoneKey()) for _ in range(POLICY.phones_max + 3)]
    together = threading.Barrier(len(proofs))
    refusals: list[HansaError] = []

    def enrol(proof: identity.Proof) -> None:
        together.wait()
        try:
            with committed_ctx.tx() as tx:
                identity.enrol_phone(tx, ONE, proof, name="phone", at=AT, policy=POLICY)
        except identity.TooManyPhones as error:
            refusals.append(error)

    threads = [threading.Thread(target=enrol, args=(proof,)) for proof in proofs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    with committed_ctx.tx() as tx:
        assert len(identity.list_phones(tx, ONE)) == POLICY.phones_max and len(refusals) == 3


def test_a_proof_sent_twice_at_once_is_good_once(committed_ctx: Context) -> None:
    key = PhoneKey()
    with committed_ctx.tx() as tx:
        identity.open_accounts(tx, [rider(1)])
        phone = connect(tx, key).phone
        proof = proof_of(tx, key)
    together, outcomes = threading.Barrier(4), list[str]()

    def prove() -> None:
        together.wait()
        try:
            with committed_ctx.tx() as tx:
                identity.prove_phone(tx, ONE, phone.phone_id, proof, at=AT)
            outcomes.append("good")
        except identity.NonceRefused:
            outcomes.append("refused")

    threads = [threading.Thread(target=prove) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(outcomes) == ["good", "refused", "refused", "refused"]


# -- proving and ending -------------------------------------------------------------------------------------


def test_a_phone_proves_its_own_key_and_was_seen(tx: Tx) -> None:
    key = PhoneKey()
    phone = connect(tx, key).phone
    later = AT + minutes(600)
    secret = identity.start_session(tx, ONE, AT)

    seen = identity.prove_phone(
        tx, ONE, phone.phone_id, proof_of(tx, key, at=later, session=secret), at=later
    )

    assert seen == phone
    assert identity.list_phones(tx, ONE) == [replace(phone, last_seen_at=later)]


def test_another_key_another_account_or_no_phone_proves_nothing(tx: Tx) -> None:
    key, stolen = PhoneKey(), PhoneKey()
    phone = connect(tx, key).phone
    cases: list[tuple[type[HansaError], identity.AccountId, UUID, PhoneKey]] = [
        (identity.ProofRefused, ONE, phone.phone_id, stolen),
        (identity.UnknownPhone, OTHER, phone.phone_id, key),
        (identity.UnknownPhone, ONE, UUID(int=1), key),
    ]

    for error, account, phone_id, by in cases:
        proof = proof_of(tx, by, account=account)
        before = all_there_is(tx)
        with pytest.raises(error), tx.transaction():
            identity.prove_phone(tx, account, phone_id, proof, at=AT)
        assert all_there_is(tx) == before


@pytest.mark.parametrize("status", ["lost", "removed"])
def test_an_ended_phone_proves_nothing_and_nobody_is_signed_in_on_it(
    tx: Tx, status: identity.PhoneStatus
) -> None:
    key = PhoneKey()
    on_it, elsewhere = identity.start_session(tx, ONE, AT), identity.start_session(tx, ONE, AT)
    phone = connect(tx, key, session=on_it).phone

    ended = identity.end_phone(tx, ONE, phone.phone_id, status, at=AT + minutes(5), reason="why")
    again = identity.end_phone(tx, ONE, phone.phone_id, "removed", at=AT + minutes(9), reason="other")

    assert (ended.status, ended.ended_at, ended.ended_for) == (status, AT + minutes(5), "why")
    assert again == ended
    assert identity.session_of(tx, on_it, AT + minutes(6)) is None
    assert identity.session_of(tx, elsewhere, AT + minutes(6)) == rider(1)
    with pytest.raises(identity.PhoneEnded), tx.transaction():
        identity.prove_phone(tx, ONE, phone.phone_id, proof_of(tx, key, session=elsewhere), at=AT)


def test_another_riders_phone_is_neither_named_nor_ended(tx: Tx) -> None:
    phone = connect(tx, PhoneKey()).phone
    before = all_there_is(tx)

    with pytest.raises(identity.UnknownPhone), tx.transaction():
        identity.end_phone(tx, OTHER, phone.phone_id, "lost", at=AT, reason="lost")
    with pytest.raises(identity.UnknownPhone), tx.transaction():
        identity.name_phone(tx, OTHER, phone.phone_id, "mine")

    assert all_there_is(tx) == before


def test_a_phone_gets_another_name(tx: Tx) -> None:
    phone = connect(tx, PhoneKey()).phone

    assert identity.name_phone(tx, ONE, phone.phone_id, "The old one") == replace(phone, name="The old one")


# -- standings ----------------------------------------------------------------------------------------------


def test_an_account_is_clear_until_something_else_is_said_and_all_is_kept(tx: Tx) -> None:
    assert identity.standing_of(tx, ONE) == identity.Standing("clear", "", rider(1).created_at)

    up = identity.set_standing(tx, ONE, level="step_up", reason="two phones", at=AT, case_id=CASE)
    down = identity.set_standing(tx, ONE, level="clear", reason="a twin", at=AT + minutes(5))

    assert identity.standing_of(tx, ONE) == down
    assert identity.list_standings(tx, ONE) == [up, down]
    assert identity.standing_of(tx, OTHER).level == "clear" and identity.list_standings(tx, OTHER) == []


def test_saying_the_same_again_changes_nothing(tx: Tx) -> None:
    first = identity.set_standing(tx, ONE, level="blocked", reason="one", at=AT, case_id=CASE)

    again = identity.set_standing(tx, ONE, level="blocked", reason="two", at=AT + minutes(1), case_id=CASE)

    assert again == first and identity.list_standings(tx, ONE) == [first]


@pytest.mark.parametrize(
    ("level", "reason", "where"),
    [
        ("gone", "why", "level"),
        ("blocked", "", "reason"),
        ("blocked", " ", "reason"),
        ("clear", "x" * 501, "reason"),
    ],
)
def test_a_standing_that_is_none_is_refused(tx: Tx, level: identity.Level, reason: str, where: str) -> None:
    with pytest.raises(InvalidInput) as error, tx.transaction():
        identity.set_standing(tx, ONE, level=level, reason=reason, at=AT)

    assert error.value.problems[0].where == where and identity.list_standings(tx, ONE) == []


def test_nobodys_standing_is_not_there(tx: Tx) -> None:
    nobody = identity.AccountId(UUID(int=99))

    with pytest.raises(identity.UnknownAccount):
        identity.standing_of(tx, nobody)
    with pytest.raises(identity.UnknownAccount), tx.transaction():
        identity.set_standing(tx, nobody, level="blocked", reason="why", at=AT)


def test_a_step_up_is_answered_by_signing_in_and_connecting_anew(tx: Tx) -> None:
    before = identity.start_session(tx, ONE, AT)
    old = [connect(tx, PhoneKey(), session=before).phone, connect(tx, PhoneKey()).phone]
    identity.set_standing(tx, ONE, level="step_up", reason="two phones", at=AT + minutes(1), case_id=CASE)

    refused(tx, identity.SignInAnew, session=before, at=AT + minutes(2))
    anew = identity.start_session(tx, ONE, AT + minutes(3))
    done = connect(tx, PhoneKey(), session=anew, at=AT + minutes(3))

    assert done.cleared and {one.phone_id for one in done.ended} == {one.phone_id for one in old}
    assert identity.standing_of(tx, ONE).level == "clear"
    assert [one.level for one in identity.list_standings(tx, ONE)] == ["step_up", "clear"]
    assert [one.status for one in identity.list_phones(tx, ONE)] == ["active", "removed", "removed"]
    assert identity.session_of(tx, before, AT + minutes(4)) is None
    assert identity.session_of(tx, anew, AT + minutes(4)) == rider(1)


def test_the_old_key_answers_no_step_up(tx: Tx) -> None:
    key = PhoneKey()
    connect(tx, key)
    identity.set_standing(tx, ONE, level="step_up", reason="two phones", at=AT + minutes(1))

    refused(tx, identity.PhoneKeyTaken, key=key, at=AT + minutes(2))


def test_a_blocked_account_connects_no_phone(tx: Tx) -> None:
    identity.set_standing(tx, ONE, level="blocked", reason="fraud", at=AT)

    refused(tx, identity.AccountBlocked, at=AT + minutes(1))


# -- policy -------------------------------------------------------------------------------------------------

GOOD_POLICY = "version = 1\nphones_max = 5\nsign_in_s = 900\nnonce_s = 120\nnonces_max = 20\nclock_s = 60\n"


def test_the_policy_is_read_from_its_text() -> None:
    assert identity.read_phone_policy(GOOD_POLICY) == identity.PhonePolicy(1, 5, 900, 120, 20, 60)


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("phones_max = 5", "phones_max = 0", "phones_max"),
        ("nonce_s = 120", "nonce_s = 'long'", "nonce_s"),
        ("clock_s = 60", "", "clock_s"),
        ("version = 1", "version = 1\nphones = 2", "phones"),
        ("version = 1", "version", ""),
    ],
)
def test_a_policy_that_does_not_fit_names_the_field(old: str, new: str, named: str) -> None:
    with pytest.raises(identity.BadPolicy) as error:
        identity.read_phone_policy(GOOD_POLICY.replace(old, new))

    assert named in error.value.problems[0].what
