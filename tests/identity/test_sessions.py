"""Sessions: a secret for the browser, a hash for us, times that end them, and rows of before carried over."""

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from pathlib import Path
from uuid import UUID, uuid4

import psycopg
import pytest

from hansa import identity
from hansa.apps.rooms import SQL_FOLDERS
from hansa.identity.model import hash_secret
from hansa.store import Context, Tx, migrate
from identity.test_accounts import rider
from scratch import ScratchServer

AT = datetime(2026, 11, 17, 12, tzinfo=UTC)
POLICY = identity.own_people_policy()
SECOND = timedelta(seconds=1)
ONE, TWO = rider(1).account_id, rider(2).account_id
IDLE, ABSOLUTE = timedelta(seconds=POLICY.own_idle_s), timedelta(seconds=POLICY.own_absolute_s)


@pytest.fixture
def tx(ctx: Context) -> Iterator[Tx]:
    with ctx.tx() as tx:
        identity.open_accounts(tx, [rider(1), rider(2)])
        yield tx


@pytest.mark.parametrize(
    ("after_sign_in", "signed_in"),
    [(-SECOND, False), (timedelta(0), True), (IDLE - SECOND, True), (IDLE, False)],
)
def test_a_session_that_nobody_uses_ends(tx: Tx, after_sign_in: timedelta, signed_in: bool) -> None:
    secret = identity.start_session(tx, ONE, AT)

    account = identity.session_of(tx, secret, AT + after_sign_in)

    assert account == (rider(1) if signed_in else None)


@pytest.mark.parametrize("by_many", [False, True])
def test_a_session_in_use_ends_all_the_same(tx: Tx, by_many: bool) -> None:
    secret = identity.start_session(tx, ONE, AT, shared=by_many)
    step = timedelta(seconds=POLICY.idle_s(shared=by_many)) - SECOND
    end = AT + POLICY.absolute(shared=by_many)

    at = AT
    while at + step < end:
        at += step
        assert identity.session_of(tx, secret, at) == rider(1)

    assert identity.session_of(tx, secret, end - SECOND) == rider(1)
    assert identity.session_of(tx, secret, end) is None


def test_that_a_session_was_used_is_written_once_a_minute(tx: Tx) -> None:
    secret = identity.start_session(tx, ONE, AT)
    seen = timedelta(seconds=POLICY.seen_s)

    def last_seen(at: datetime) -> datetime:
        identity.find_session(tx, secret, at)
        row = tx.execute("select last_seen_at from identity.sessions").fetchone()
        assert row is not None
        return row[0]

    assert last_seen(AT + seen - SECOND) == AT
    assert last_seen(AT + seen) == AT + seen
    assert last_seen(AT + SECOND) == AT + seen  # a clock that went back takes nothing away


def test_a_session_says_how_it_began_and_on_what(tx: Tx) -> None:
    agent = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1) AppleWebKit/605.1.15 Version/18.1 Mobile Safari/604.1"
    secret = identity.start_session(tx, ONE, AT, method="passkey", user_agent=agent, shared=True)

    session = identity.find_session(tx, secret, AT)

    assert session is not None and session == identity.list_sessions(tx, ONE, AT)[0]
    assert (session.method, session.device, session.shared) == ("passkey", "Safari, iPhone", True)
    assert session.authenticated_at == session.verified_at == session.last_seen_at == AT
    assert [one.kind for one in identity.list_security_events(tx, ONE)] == ["signed_in"]


@pytest.mark.parametrize(
    ("agent", "words"),
    [
        ("", ""),
        ("curl/8.5", ""),
        ("Mozilla/5.0 (Windows NT 10.0) Chrome/130.0 Safari/537.36 Edg/130.0", "Edge, Windows"),
        ("Mozilla/5.0 (Linux; Android 14) Chrome/130.0 MicroMessenger/8.0", "WeChat, Android"),
        ("Mozilla/5.0 (X11; Linux x86_64; rv:132.0) Gecko/20100101 Firefox/132.0", "Firefox, Linux"),
        ("<script>alert(1)</script>" * 400, ""),
    ],
)
def test_a_browser_is_told_in_two_words_and_never_in_its_own(agent: str, words: str) -> None:
    assert identity.device_words(agent) == words


def test_proving_anew_gives_a_new_secret_and_ends_the_old_one(tx: Tx) -> None:
    old = identity.start_session(tx, ONE, AT)
    before = identity.find_session(tx, old, AT)
    assert before is not None
    policy = identity.own_phone_policy()
    identity.give_nonce(tx, ONE, old, at=AT, policy=policy)
    passkey_id = identity.PasskeyId(uuid4())
    tx.execute(
        "insert into identity.passkeys values "
        "(%s, %s, 'localhost', %s, %s, 0, %s, '{}', false, false, 'Key', %s, %s)",
        (passkey_id, ONE, bytes(16), bytes(32), UUID(int=0), AT, AT),
    )

    new = identity.verify_session(tx, old, ONE, passkey_id, AT + SECOND)

    assert new != old and identity.find_session(tx, old, AT + SECOND) is None
    after = identity.find_session(tx, new, AT + SECOND)
    assert after is not None and after.session_id == before.session_id
    assert after.verified_at == AT + SECOND and after.passkey_id == passkey_id
    assert tx.execute("select count(*) from identity.nonces").fetchone() == (1,)
    with pytest.raises(identity.UnknownSession):
        identity.verify_session(tx, new, TWO, passkey_id, AT + SECOND)
    with pytest.raises(identity.UnknownSession):
        identity.verify_session(tx, "made up", ONE, passkey_id, AT + SECOND)


@pytest.mark.parametrize(
    ("has_passkey", "verified", "age_s", "fresh"),
    [
        (True, True, POLICY.fresh_s, True),
        (True, True, POLICY.fresh_s + 1, False),
        (True, False, 0, False),
        (False, False, POLICY.fresh_s, True),
        (False, False, POLICY.fresh_s + 1, False),
        (True, True, -1, False),
    ],
)
def test_changes_of_security_need_a_proof_just_before(
    tx: Tx, has_passkey: bool, verified: bool, age_s: int, fresh: bool
) -> None:
    secret = identity.start_session(tx, ONE, AT, method="passkey" if verified else "demo")
    session = identity.find_session(tx, secret, AT)
    assert session is not None
    at = AT + timedelta(seconds=age_s)

    if fresh:
        identity.refuse_stale(session, at, has_passkey=has_passkey, policy=POLICY)
    else:
        with pytest.raises(identity.VerifyAnew):
            identity.refuse_stale(session, at, has_passkey=has_passkey, policy=POLICY)


@pytest.mark.parametrize(
    ("line", "instead"),
    [
        ("own_idle_s = 1_209_600", "own_idle_s = 5"),
        ("codes = 10", "codes = 10\nsms_codes = true"),
        ("fresh_s = 300", ""),
    ],
)
def test_a_policy_that_cannot_be_used_is_told(line: str, instead: str) -> None:
    own = (files("hansa.identity") / "people_policy.toml").read_text(encoding="utf-8")
    assert line in own and identity.read_people_policy(own) == POLICY

    with pytest.raises(identity.BadPolicy) as refused:
        identity.read_people_policy(own.replace(line, instead))
    assert refused.value.problems


def test_a_signed_out_secret_signs_nobody_in(tx: Tx) -> None:
    secret = identity.start_session(tx, ONE, AT)
    other_phone = identity.start_session(tx, ONE, AT)

    identity.end_session(tx, secret)
    identity.end_session(tx, secret)

    assert identity.session_of(tx, secret, AT) is None
    assert identity.session_of(tx, other_phone, AT) == rider(1)


def test_sessions_are_ended_by_their_person_alone(tx: Tx) -> None:
    mine, here, others = (identity.start_session(tx, who, AT) for who in (ONE, ONE, TWO))
    listed = {one.session_id for one in identity.list_sessions(tx, ONE, AT)}
    theirs = identity.list_sessions(tx, TWO, AT)[0].session_id
    kept = identity.find_session(tx, here, AT)
    assert kept is not None and len(listed) == 2 and theirs not in listed

    with pytest.raises(identity.UnknownSession):
        identity.end_session_by_id(tx, ONE, theirs, at=AT)
    assert identity.end_other_sessions(tx, ONE, kept.session_id, at=AT) == 1

    assert identity.session_of(tx, mine, AT) is None
    assert identity.session_of(tx, here, AT) == rider(1)
    assert identity.session_of(tx, others, AT) == rider(2)


def test_one_session_too_many_ends_the_one_that_was_not_used_for_longest(tx: Tx) -> None:
    first, second = (identity.start_session(tx, ONE, AT + n * SECOND) for n in (0, 1))
    identity.find_session(tx, first, AT + timedelta(minutes=2))

    for n in range(POLICY.sessions_max - 1):
        identity.start_session(tx, ONE, AT + timedelta(minutes=3, seconds=n))

    at = AT + timedelta(minutes=4)
    assert len(identity.list_sessions(tx, ONE, at)) == POLICY.sessions_max
    assert identity.find_session(tx, second, at) is None and identity.find_session(tx, first, at) is not None


def test_a_made_up_secret_signs_nobody_in(tx: Tx) -> None:
    assert identity.session_of(tx, "made up", AT) is None
    assert identity.session_of(tx, "", AT) is None


def test_the_table_does_not_hold_the_secret(tx: Tx) -> None:
    secret = identity.start_session(tx, ONE, AT)

    kept = str(tx.execute("select secret_hash::text, s::text from identity.sessions s").fetchall())

    assert secret not in kept and len(secret) >= 43  # 256 bits in base64url


def test_an_unknown_account_cannot_be_signed_in(tx: Tx) -> None:
    with pytest.raises(identity.UnknownAccount):
        identity.start_session(tx, identity.AccountId(UUID(int=7)), AT)


def test_sessions_that_are_over_are_swept_when_the_person_signs_in_again(tx: Tx) -> None:
    identity.start_session(tx, ONE, AT)

    identity.start_session(tx, ONE, AT + ABSOLUTE)

    assert tx.execute("select count(*) from identity.sessions").fetchone() == (1,)


def test_sessions_of_a_database_of_before_are_carried_over(
    scratch_server: ScratchServer, tmp_path: Path
) -> None:
    rooms = list(SQL_FOLDERS)
    below = [SQL_FOLDERS[one] for one in rooms[: rooms.index("identity")]]
    old = tmp_path / "identity" / "sql"
    old.mkdir(parents=True)
    for name in ("0001_identity.sql", "0002_phones.sql"):
        shutil.copy(SQL_FOLDERS["identity"] / name, old)
    database = f"{scratch_server.template}_before"
    scratch_server.make(database, template="template0")
    try:
        url = scratch_server.url_of(database)
        migrate(url, [*below, old])
        with psycopg.connect(url, autocommit=True) as tx:
            identity.open_accounts(tx, [rider(1)])
            started_at = datetime.now(UTC) - timedelta(days=20)
            tx.execute(
                "insert into identity.sessions values (%s, %s, %s, %s)",
                (hash_secret("of before"), ONE, started_at, started_at + timedelta(days=30)),
            )

        migrate(url, [*below, SQL_FOLDERS["identity"]])

        with psycopg.connect(url) as tx:
            session = identity.find_session(tx, "of before", datetime.now(UTC))
        assert session is not None and session.method == "demo"
        assert session.started_at == started_at and session.expires_at == started_at + timedelta(days=30)
    finally:
        scratch_server.drop(database)
