"""Coming back without a passkey: codes, desks, the wait, the no, and what is over afterwards."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from hansa import identity
from hansa.kernel import InvalidInput
from hansa.store import Context, Tx
from identity.authenticating import Authenticator
from identity.test_accounts import rider

AT = datetime(2026, 11, 17, 12, tzinfo=UTC)
ONE, TWO = rider(1).account_id, rider(2).account_id
RP = identity.RelyingParty("localhost", "http://localhost")
POLICY = identity.own_people_policy()
WAIT = timedelta(seconds=POLICY.code_wait_s)
PROOFED = timedelta(seconds=POLICY.proofed_wait_s)
SECOND = timedelta(seconds=1)


@pytest.fixture
def tx(ctx: Context) -> Iterator[Tx]:
    with ctx.tx() as tx:
        identity.open_accounts(tx, [rider(1), rider(2)])
        yield tx


def kept(tx: Tx) -> list[object]:
    return [
        tx.execute(f"select t::text from identity.{table} t order by 1").fetchall()
        for table in ("passkeys", "sessions", "recoveries", "recovery_codes", "security_events")
    ]


def come_back(tx: Tx, secret: str, at: datetime) -> identity.Passkey:
    options = identity.begin_recovered_passkey(tx, secret, rp=RP, at=at)
    answer = Authenticator().create(options)
    return identity.finish_recovery(tx, answer, rp=RP, secret=secret, name="New phone", at=at)


def test_a_code_is_shown_once_kept_as_argon2id_and_typed_as_people_type(tx: Tx) -> None:
    codes = identity.make_codes(tx, ONE, at=AT)

    assert len(set(codes)) == POLICY.codes == identity.codes_left(tx, ONE)
    rows = str(tx.execute("select t::text from identity.recovery_codes t").fetchall())
    assert "$argon2id$" in rows and not any(code.replace("-", "")[8:] in rows for code in codes)
    typed = codes[0].lower().replace("-", " ").replace("0", "o").replace("1", "l")
    assert identity.ask_by_code(tx, typed, secret="a", at=AT).account_id == ONE
    assert identity.codes_left(tx, ONE) == POLICY.codes - 1


def test_coming_back_by_a_code_waits_then_makes_the_only_passkey(tx: Tx) -> None:
    code = identity.make_codes(tx, ONE, at=AT)[0]
    session = identity.start_session(tx, ONE, AT)
    asked = identity.ask_by_code(tx, code, secret="browser", at=AT, device="Firefox, Linux")

    assert asked.state(AT) == "waiting" and asked.ready_at == AT + WAIT
    assert identity.find_open_recovery(tx, ONE, AT) == asked
    with pytest.raises(identity.RecoveryNotReady):
        identity.begin_recovered_passkey(tx, "browser", rp=RP, at=AT + WAIT - SECOND)
    with pytest.raises(identity.RecoveryNotReady):
        identity.begin_recovered_passkey(tx, "another browser", rp=RP, at=AT + WAIT)

    passkey = come_back(tx, "browser", AT + WAIT)

    assert identity.list_passkeys(tx, ONE) == [passkey]
    assert identity.session_of(tx, session, AT + WAIT) is None
    assert identity.codes_left(tx, ONE) == 0
    assert identity.recovered_at(tx, ONE) == AT + WAIT
    assert identity.lowered_until(tx, ONE, AT + WAIT) == AT + WAIT + POLICY.lowered
    assert identity.lowered_until(tx, ONE, AT + WAIT + POLICY.lowered) is None
    kinds = [one.kind for one in identity.list_security_events(tx, ONE)]
    assert kinds[0] == "recovered" and "recovery_asked" in kinds
    with pytest.raises(identity.RecoveryNotReady):
        come_back(tx, "browser", AT + WAIT + SECOND)
    with pytest.raises(identity.CodeRefused):
        identity.ask_by_code(tx, code, secret="again", at=AT + WAIT + SECOND)


@pytest.mark.parametrize(
    "text", ["", "ABCDE", "ABCDE-ABCDE-ABCDE-ABCDE", "zzzzz-zzzzz-zzzzz-zzzzU", "ABCDE" * 200, "\0" * 20]
)
def test_what_is_no_code_opens_nothing_and_tells_nothing(tx: Tx, text: str) -> None:
    identity.make_codes(tx, ONE, at=AT)
    before = kept(tx)

    with pytest.raises(identity.CodeRefused) as refused:
        identity.ask_by_code(tx, text, secret="a", at=AT)

    assert refused.value.detail == identity.CodeRefused().detail and kept(tx) == before


def test_one_letter_wrong_or_a_code_of_before_is_refused(tx: Tx) -> None:
    first = identity.make_codes(tx, ONE, at=AT)[0]
    second = identity.make_codes(tx, ONE, at=AT + SECOND)[0]
    wrong = second[:-1] + ("0" if second[-1] != "0" else "2")
    before = kept(tx)

    for text in (first, wrong):
        with pytest.raises(identity.CodeRefused):
            identity.ask_by_code(tx, text, secret="a", at=AT + SECOND)

    assert kept(tx) == before


def test_whoever_is_signed_in_says_no(tx: Tx) -> None:
    codes = identity.make_codes(tx, ONE, at=AT)
    identity.ask_by_code(tx, codes[0], secret="thief", at=AT)

    identity.cancel_recovery(tx, ONE, at=AT + SECOND)

    with pytest.raises(identity.RecoveryNotReady):
        identity.begin_recovered_passkey(tx, "thief", rp=RP, at=AT + WAIT)
    with pytest.raises(identity.CodeRefused):
        identity.ask_by_code(tx, codes[0], secret="thief", at=AT + SECOND)
    with pytest.raises(identity.UnknownRecovery):
        identity.cancel_recovery(tx, ONE, at=AT + SECOND)
    anew = identity.ask_by_code(tx, codes[1], secret="thief again", at=AT + SECOND)
    assert anew.ready_at == AT + SECOND + WAIT


def test_the_same_code_goes_on_in_another_browser_and_another_code_waits_anew(tx: Tx) -> None:
    codes = identity.make_codes(tx, ONE, at=AT)
    identity.ask_by_code(tx, codes[0], secret="a", at=AT)
    later = AT + timedelta(hours=20)

    same = identity.ask_by_code(tx, codes[0], secret="b", at=later)
    assert same.ready_at == AT + WAIT and identity.find_recovery(tx, "a") is None

    other = identity.ask_by_code(tx, codes[1], secret="c", at=later)
    assert other.ready_at == later + WAIT and other.recovery_id == same.recovery_id
    with pytest.raises(identity.RecoveryNotReady):
        identity.begin_recovered_passkey(tx, "b", rp=RP, at=AT + WAIT)


def test_a_desk_finds_whose_it_is_and_shortens_the_wait(tx: Tx) -> None:
    asked = identity.ask_at_desk(tx, name=" Rider  1 ", issuer_id="beijing-card", secret="b", at=AT)
    assert (asked.state(AT), asked.account_id, asked.said_name) == ("asked", None, "Rider 1")
    assert identity.list_recoveries_for_desk(tx, issuer_id="beijing-card", at=AT) == [asked]
    assert identity.list_recoveries_for_desk(tx, issuer_id="london-card", at=AT) == []
    before = kept(tx)
    with pytest.raises(InvalidInput):
        identity.approve_recovery(tx, asked.recovery_id, ONE, proof="desk", by="staff:a", reason=" ", at=AT)
    assert kept(tx) == before

    approved = identity.approve_recovery(
        tx, asked.recovery_id, ONE, proof="desk", by="staff:a", reason="Passport, same face", at=AT
    )

    assert approved.ready_at == AT + PROOFED and approved.account_id == ONE
    assert identity.list_recoveries_for_desk(tx, at=AT) == []
    acts = tx.execute("select count(*) from audit.acts where action = 'recovery.approve'").fetchone()
    assert acts == (1,)
    assert come_back(tx, "b", AT + PROOFED).account_id == ONE


def test_a_desk_cannot_give_one_request_to_two_accounts_nor_an_account_two(tx: Tx) -> None:
    code = identity.make_codes(tx, ONE, at=AT)[0]
    by_code = identity.ask_by_code(tx, code, secret="a", at=AT)
    by_desk = identity.ask_at_desk(tx, name="Rider 1", issuer_id="beijing-card", secret="b", at=AT)
    words = {"proof": "desk", "by": "staff:a", "reason": "Passport", "at": AT}

    with pytest.raises(identity.RecoveryOpen):
        identity.approve_recovery(tx, by_desk.recovery_id, ONE, **words)  # type: ignore[arg-type]
    with pytest.raises(identity.RecoveryNotReady):
        identity.approve_recovery(tx, by_code.recovery_id, TWO, **words)  # type: ignore[arg-type]

    shorter = identity.approve_recovery(tx, by_code.recovery_id, ONE, **words)  # type: ignore[arg-type]
    assert shorter.ready_at == AT + PROOFED and shorter.proof == "desk"


def test_an_account_that_was_deleted_does_not_come_back(tx: Tx) -> None:
    asked = identity.ask_at_desk(tx, name="Rider 1", issuer_id="beijing-card", secret="b", at=AT)
    end = AT + identity.COOLING
    identity.ask_deletion(tx, UUID(int=1), ONE, AT)
    assert identity.close_account(tx, ONE, at=end, erase_at=end)
    before = kept(tx)

    with pytest.raises(identity.UnknownAccount):
        identity.approve_recovery(
            tx,
            asked.recovery_id,
            ONE,
            proof="desk",
            by="staff:a",
            reason="Passport",
            at=AT + timedelta(days=1),
        )

    assert kept(tx) == before


def test_a_blocked_account_does_not_come_back(tx: Tx) -> None:
    code = identity.make_codes(tx, ONE, at=AT)[0]
    identity.set_standing(tx, ONE, level="blocked", reason="a case", at=AT)

    with pytest.raises(identity.AccountBlocked):
        identity.ask_by_code(tx, code, secret="a", at=AT)


def test_a_request_nobody_finishes_closes(tx: Tx) -> None:
    codes = identity.make_codes(tx, ONE, at=AT)
    asked = identity.ask_by_code(tx, codes[0], secret="a", at=AT)

    assert asked.state(asked.closes_at - SECOND) == "ready" and asked.state(asked.closes_at) == "closed"
    with pytest.raises(identity.RecoveryNotReady):
        identity.begin_recovered_passkey(tx, "a", rp=RP, at=asked.closes_at)
    assert identity.find_open_recovery(tx, ONE, asked.closes_at) is None
    assert identity.ask_by_code(tx, codes[1], secret="b", at=asked.closes_at).recovery_id != asked.recovery_id
