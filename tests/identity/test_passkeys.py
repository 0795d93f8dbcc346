"""Passkeys as they are kept: challenges good once and for one purpose, what is bound, races, and what is left."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import pytest

from hansa import identity
from hansa.kernel import HansaError, InvalidInput
from hansa.store import Context, Tx
from identity.authenticating import Authenticator
from identity.test_accounts import rider

AT = datetime(2026, 11, 17, 12, tzinfo=UTC)
ONE, TWO = rider(1).account_id, rider(2).account_id
RP = identity.RelyingParty("localhost", "http://localhost")
POLICY = identity.own_people_policy()
SECOND = timedelta(seconds=1)
PAYMENT = sha256(b"Pay 12.00 CNY to Longjing Tea").digest()


@pytest.fixture
def tx(ctx: Context) -> Iterator[Tx]:
    with ctx.tx() as tx:
        identity.open_accounts(tx, [rider(1), rider(2)])
        yield tx


def add(
    tx: Tx, device: Authenticator, account_id: identity.AccountId = ONE, name: str = "Phone"
) -> identity.Passkey:
    options = identity.begin_registration(
        tx, account_id, person="Rider", rp=RP, purpose="add", owner="session", at=AT
    )
    return identity.finish_registration(
        tx, device.create(options), rp=RP, purpose="add", owner="session", name=name, at=AT
    )


def bind(tx: Tx, challenge: bytes, owner: str = "session", at: datetime = AT) -> str:
    return identity.begin_assertion(
        tx, rp=RP, purpose="bound", owner=owner, at=at, account_id=ONE, challenge=challenge
    )


def finish(
    tx: Tx,
    credential: str,
    *,
    purpose: identity.Purpose = "bound",
    owner: str = "session",
    at: datetime = AT,
    challenge: bytes | None = None,
) -> identity.Asserted:
    return identity.finish_assertion(
        tx, credential, rp=RP, purpose=purpose, owner=owner, at=at, challenge=challenge
    )


def kept(tx: Tx) -> list[object]:
    return [
        tx.execute(f"select t::text from identity.{table} t order by 1").fetchall()
        for table in ("passkeys", "challenges", "security_events")
    ]


def test_what_a_passkey_signed_is_bound_and_can_be_checked_for_ever(tx: Tx) -> None:
    device = Authenticator()
    passkey = add(tx, device)

    asserted = finish(tx, device.get(bind(tx, PAYMENT)), challenge=PAYMENT)

    assert (asserted.passkey_id, asserted.account_id) == (passkey.passkey_id, ONE)
    identity.check_evidence(asserted.evidence, PAYMENT, RP.rp_id, RP.origin)
    with pytest.raises(identity.CeremonyRefused):
        identity.check_evidence(asserted.evidence, sha256(b"Pay 1,200.00 CNY").digest(), RP.rp_id, RP.origin)


def test_what_is_bound_may_be_asked_again_by_its_account_and_by_nobody_else(tx: Tx) -> None:
    device = Authenticator()
    add(tx, device)
    add(tx, Authenticator(), TWO)
    bind(tx, PAYMENT, owner="first session")

    again = device.get(bind(tx, PAYMENT, owner="second session"))
    with pytest.raises(identity.ChallengeRefused):
        identity.begin_assertion(
            tx, rp=RP, purpose="bound", owner="thief", at=AT, account_id=TWO, challenge=PAYMENT
        )

    with pytest.raises(identity.ChallengeRefused):
        finish(tx, again, owner="first session")
    assert finish(tx, again, owner="second session").challenge == PAYMENT


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"purpose": "verify"}, identity.ChallengeRefused),
        ({"purpose": "sign_in"}, identity.ChallengeRefused),
        ({"owner": "another session"}, identity.ChallengeRefused),
        ({"at": AT + timedelta(seconds=POLICY.challenge_s)}, identity.ChallengeRefused),
        ({"challenge": bytes(32)}, identity.ChallengeRefused),
    ],
)
def test_a_challenge_is_good_for_what_it_was_given_for(
    ctx: Context, tx: Tx, changed: dict[str, object], error: type[HansaError]
) -> None:
    device = Authenticator()
    add(tx, device)
    credential = device.get(bind(tx, PAYMENT))
    before = kept(tx)

    with pytest.raises(error), ctx.tx() as inner:
        finish(inner, credential, **changed)  # type: ignore[arg-type]

    assert kept(tx) == before
    assert finish(tx, credential).account_id == ONE
    with pytest.raises(identity.ChallengeRefused):
        finish(tx, credential)


def test_another_accounts_passkey_another_hosts_and_one_that_was_removed_do_nothing(
    ctx: Context, tx: Tx
) -> None:
    mine, theirs = Authenticator(), Authenticator()
    add(tx, mine)
    second = add(tx, Authenticator())
    add(tx, theirs, TWO)
    wide = identity.begin_assertion(tx, rp=RP, purpose="sign_in", owner="session", at=AT)
    elsewhere = identity.RelyingParty("localhost", "http://localhost:9")
    session = identity.find_session(tx, identity.start_session(tx, ONE, AT), AT)
    assert session is not None

    bound = bind(tx, PAYMENT)
    stolen = theirs.get(wide.replace(_challenge(wide), _challenge(bound)))
    with pytest.raises(identity.UnknownPasskey), ctx.tx() as inner:
        finish(inner, stolen)
    with pytest.raises(identity.CeremonyRefused), ctx.tx() as inner:
        identity.finish_assertion(
            inner, mine.get(bound), rp=elsewhere, purpose="bound", owner="session", at=AT
        )
    other = identity.RelyingParty("wallet.example", "https://wallet.example")
    with pytest.raises(identity.NoPasskey):
        identity.begin_assertion(tx, rp=other, purpose="verify", owner="session", at=AT, account_id=ONE)

    credential = mine.get(bound, which=0)
    first = identity.list_passkeys(tx, ONE)[0]
    identity.remove_passkey(tx, ONE, first.passkey_id, by=session, at=AT)
    with pytest.raises(identity.UnknownPasskey), ctx.tx() as inner:
        finish(inner, credential)
    assert identity.list_passkeys(tx, ONE) == [second]


def test_a_credential_is_one_accounts_for_good(ctx: Context, tx: Tx) -> None:
    device = Authenticator()
    add(tx, device)
    options = identity.begin_registration(
        tx, TWO, person="Rider", rp=RP, purpose="add", owner="session", at=AT
    )
    answer = device.create(options)
    tx.execute("update identity.passkeys set credential_id = %s", (device.credentials[-1].credential_id,))

    with pytest.raises(identity.PasskeyTaken), ctx.tx() as inner:
        identity.finish_registration(
            inner, answer, rp=RP, purpose="add", owner="session", name="Phone", at=AT
        )

    assert identity.list_passkeys(tx, TWO) == []


def test_an_authenticator_is_told_which_passkeys_it_has_and_an_account_has_so_many(
    ctx: Context, tx: Tx
) -> None:
    devices = [Authenticator() for _ in range(POLICY.passkeys_max)]
    for number, device in enumerate(devices):
        add(tx, device, name=f"Phone {number}")
    options = identity.begin_registration(
        tx, ONE, person="Rider", rp=RP, purpose="add", owner="session", at=AT
    )

    with pytest.raises(AssertionError, match="InvalidStateError"):
        devices[0].create(options)
    with pytest.raises(identity.TooManyPasskeys), ctx.tx() as inner:
        add(inner, Authenticator())

    assert len(identity.list_passkeys(tx, ONE)) == POLICY.passkeys_max


@pytest.mark.parametrize("name", ["", " ", "x" * 61, "a\u0000", "a\u202eb"])
def test_a_passkey_has_a_name_people_can_read(ctx: Context, tx: Tx, name: str) -> None:
    passkey = add(tx, Authenticator())
    before = kept(tx)

    with pytest.raises(InvalidInput), ctx.tx() as inner:
        identity.name_passkey(inner, ONE, passkey.passkey_id, name, at=AT)
    with pytest.raises(identity.UnknownPasskey), ctx.tx() as inner:
        identity.name_passkey(inner, TWO, passkey.passkey_id, "Mine now", at=AT)

    assert kept(tx) == before


def test_a_browser_has_so_many_challenges_open_and_old_ones_go(tx: Tx) -> None:
    for number in range(POLICY.challenges_max + 5):
        identity.begin_assertion(tx, rp=RP, purpose="sign_in", owner="browser", at=AT + number * SECOND)
    assert tx.execute("select count(*) from identity.challenges").fetchone() == (POLICY.challenges_max,)
    assert b"browser" not in str(tx.execute("select t::text from identity.challenges t").fetchall()).encode()

    later = AT + timedelta(seconds=POLICY.challenge_s + 60)
    identity.begin_assertion(tx, rp=RP, purpose="sign_in", owner="another browser", at=later)
    assert tx.execute("select count(*) from identity.challenges").fetchone() == (1,)


def test_of_many_who_send_one_answer_at_once_one_is_let_in(committed_ctx: Context) -> None:
    ctx = committed_ctx
    device = Authenticator()
    with ctx.tx() as tx:
        identity.open_accounts(tx, [rider(1)])
        add(tx, device)
        credential = device.get(
            identity.begin_assertion(tx, rp=RP, purpose="sign_in", owner="browser", at=AT)
        )
    together, told = threading.Barrier(8), list[str]()

    def send() -> None:
        together.wait()
        try:
            with ctx.tx() as tx:
                finish(tx, credential, purpose="sign_in", owner="browser")
            told.append("in")
        except identity.ChallengeRefused:
            told.append("refused")

    threads = [threading.Thread(target=send) for _ in range(8)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()

    assert sorted(told) == ["in"] + ["refused"] * 7


def _challenge(options: str) -> str:
    return options.split('"challenge": "')[1].split('"')[0]
