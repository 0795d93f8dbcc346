"""Persons at the console: invited once, in by passkey alone, out when idle, and two of them where two are needed."""

import threading
from datetime import datetime, timedelta

import psycopg
import pytest

from hansa import audit, trust
from hansa.kernel import HansaError, InvalidInput
from hansa.store import Context, Tx
from hansa.trust import staff
from hansa.trust.staff import SignedIn
from hansa.trust.staff_model import (
    HandleTaken,
    InvitationRefused,
    LastOne,
    NewPasskey,
    PasskeyKnown,
    Purpose,
    ReasonNeeded,
    RightMissing,
    SecondPersonNeeded,
    StaffChallengeRefused,
    StaffSignInRefused,
    UnknownProposal,
    own_staff_policy,
    read_staff_policy,
)
from scratch import NOON

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
BY = "operator:root"


def _passkey(number: int) -> NewPasskey:
    return NewPasskey(bytes([number]) * 20, b"public", 0, ("internal",), False)


def _come_in(
    tx: Tx,
    handle: str,
    number: int,
    *roles: str,
    at: datetime = NOON,
    member_id: trust.MemberId | None = None,
) -> str:
    """Invite, register, sign in: the secret of the sign-in."""
    code = staff.invite_staff(
        tx, handle, name=handle.title(), roles=roles, by=BY, at=at, reason="joins us", member_id=member_id
    )
    staff.register_by_code(tx, code, _passkey(number), name="Laptop", at=at)
    one, passkey = staff.get_passkey(tx, _passkey(number).credential_id)
    return staff.sign_in(tx, one, passkey, sign_count=0, backed_up=False, agent="Browser", at=at)


def _who(tx: Tx, secret: str, at: datetime = NOON) -> SignedIn:
    found = staff.find_signed_in(tx, secret, at)
    assert found is not None
    return found


def test_an_invitation_is_good_once_and_for_a_while(ctx: Context) -> None:
    with ctx.tx() as tx:
        code = staff.invite_staff(tx, "ada", name="Ada", roles=("viewer",), by=BY, at=NOON, reason="new")
        late = staff.invite_staff(tx, "bo", name="Bo", roles=("viewer",), by=BY, at=NOON, reason="new")
        spelt = "-".join(code.upper()[at : at + 5] for at in range(0, 26, 5))

        assert staff.find_invited(tx, spelt, NOON).handle == "ada"
        staff.register_by_code(tx, spelt, _passkey(1), name="Laptop", at=NOON)
        for refused, at in ((code, NOON), (late, NOON + 72 * HOUR), ("x" * 26, NOON)):
            with pytest.raises(InvitationRefused):
                staff.register_by_code(tx, refused, _passkey(2), name="", at=at)
        kept = tx.execute("select code_hash from trust.staff_invitations").fetchall()

    assert code.encode() not in b"".join(row[0] for row in kept)


def test_roles_are_rights_by_data_and_unknown_ones_are_refused(ctx: Context) -> None:
    with ctx.tx() as tx:
        who = _who(tx, _come_in(tx, "ada", 1, "viewer", "treasurer"))

        assert {"view", "money"} <= who.rights
        who.require("money")
        with pytest.raises(RightMissing, match="staff"):
            who.require("staff")
        for handle, roles in (("Ada", ("viewer",)), ("x", ("king",)), ("x", ()), ("a..b", ("viewer",))):
            with pytest.raises(InvalidInput):
                staff.invite_staff(tx, handle, name="X", roles=roles, by=BY, at=NOON, reason="new")
        with pytest.raises(HandleTaken):
            staff.invite_staff(tx, "ada", name="Other", roles=("viewer",), by=BY, at=NOON, reason="new")
        with pytest.raises(ReasonNeeded):
            staff.invite_staff(tx, "bo", name="Bo", roles=("viewer",), by=BY, at=NOON, reason=" ")


def test_a_sign_in_ends_when_idle_after_its_time_and_with_its_person(ctx: Context) -> None:
    with ctx.tx() as tx:
        secret = _come_in(tx, "ada", 1, "viewer")
        _come_in(tx, "root", 2, "admin")

        assert staff.find_signed_in(tx, secret, NOON + 15 * MINUTE, touch=False) is not None
        assert staff.find_signed_in(tx, secret, NOON + 15 * MINUTE + timedelta(seconds=1)) is None
        assert staff.find_signed_in(tx, secret, NOON + 10 * MINUTE) is None, "no clock brings it back"
        one, passkey = staff.get_passkey(tx, _passkey(1).credential_id)
        secret = staff.sign_in(tx, one, passkey, sign_count=0, backed_up=False, agent="", at=NOON)
        for minutes in range(10, 8 * 60 + 1, 10):
            assert staff.find_signed_in(tx, secret, NOON + minutes * MINUTE) is not None, minutes
        assert staff.find_signed_in(tx, secret, NOON + 8 * HOUR + MINUTE) is None
        assert staff.find_signed_in(tx, "guess", NOON) is None
        assert staff.find_signed_in(tx, secret, NOON - MINUTE) is None, (
            "by a clock that went back nobody is in"
        )
        again = NOON + 9 * HOUR
        one, passkey = staff.get_passkey(tx, _passkey(1).credential_id)
        fresh = staff.sign_in(tx, one, passkey, sign_count=0, backed_up=False, agent="", at=again)
        staff.end_staff(tx, "ada", by="staff:root", at=again, reason="left")
        assert staff.find_signed_in(tx, fresh, again) is None
        with pytest.raises(StaffSignInRefused):
            staff.get_passkey(tx, _passkey(1).credential_id)


def test_a_part_that_renews_itself_keeps_nobody_signed_in(ctx: Context) -> None:
    with ctx.tx() as tx:
        secret = _come_in(tx, "ada", 1, "viewer")
        for minutes in range(1, 16):
            assert staff.find_signed_in(tx, secret, NOON + minutes * MINUTE, touch=False) is not None

        assert staff.find_signed_in(tx, secret, NOON + 16 * MINUTE, touch=False) is None


def test_a_confirmed_sign_in_goes_on_under_another_secret(ctx: Context) -> None:
    later = NOON + 10 * MINUTE
    with ctx.tx() as tx:
        secret = _come_in(tx, "ada", 1, "admin")
        _come_in(tx, "bo", 2, "admin")
        who = _who(tx, secret, later)
        assert not who.session.is_fresh(later, own_staff_policy())
        _, passkey = staff.get_passkey(tx, _passkey(1).credential_id)
        _, of_other = staff.get_passkey(tx, _passkey(2).credential_id)

        with pytest.raises(StaffSignInRefused):
            staff.step_up(tx, who, of_other, sign_count=0, backed_up=False, at=later)
        renewed = staff.step_up(tx, who, passkey, sign_count=0, backed_up=False, at=later)

        assert staff.find_signed_in(tx, secret, later) is None
        assert _who(tx, renewed, later).session.is_fresh(later, own_staff_policy())


def test_a_challenge_is_good_once_for_its_purpose_browser_and_time(ctx: Context) -> None:
    challenge = bytes(32)

    def give(tx: Tx) -> None:
        tx.execute("delete from trust.staff_challenges")
        staff.give_challenge(tx, challenge, "sign-in", bound_to="browser", at=NOON)

    with ctx.tx() as tx:
        give(tx)
        assert (
            staff.take_challenge(tx, challenge, "sign-in", bound_to="browser", at=NOON + 4 * MINUTE) is None
        )
        cases: list[tuple[Purpose, str, datetime]] = [
            ("sign-in", "browser", NOON),
            ("step-up", "browser", NOON),
            ("sign-in", "other", NOON),
            ("sign-in", "browser", NOON + 5 * MINUTE),
        ]
        for purpose, bound_to, at in cases:
            if (purpose, bound_to, at) != ("sign-in", "browser", NOON):
                give(tx)
            with pytest.raises(StaffChallengeRefused):
                staff.take_challenge(tx, challenge, purpose, bound_to=bound_to, at=at)


def test_passkeys_are_added_and_the_last_one_stays(ctx: Context) -> None:
    with ctx.tx() as tx:
        who = _who(tx, _come_in(tx, "ada", 1, "viewer"))
        with pytest.raises(PasskeyKnown):
            staff.add_passkey(tx, who, _passkey(1), name="Again", at=NOON)
        with pytest.raises(LastOne):
            staff.remove_passkey(tx, who, _passkey(1).credential_id, at=NOON)
        staff.add_passkey(tx, who, _passkey(2), name="Phone", at=NOON)
        staff.remove_passkey(tx, who, _passkey(1).credential_id, at=NOON)

        assert staff.list_staff_sessions(tx, who.staff, NOON) == []
        with pytest.raises(StaffSignInRefused):
            staff.get_passkey(tx, _passkey(1).credential_id)


def test_who_lost_their_passkeys_comes_in_by_a_new_invitation_and_the_old_open_nothing(ctx: Context) -> None:
    with ctx.tx() as tx:
        secret = _come_in(tx, "ada", 1, "viewer")
        with pytest.raises(SecondPersonNeeded):
            staff.invite_again(tx, "ada", by="staff:ada", at=NOON, reason="lost")
        code = staff.invite_again(tx, "ada", by="staff:root", at=NOON, reason="lost")

        assert staff.find_signed_in(tx, secret, NOON) is None
        with pytest.raises(StaffSignInRefused):
            staff.get_passkey(tx, _passkey(1).credential_id)
        assert staff.register_by_code(tx, code, _passkey(3), name="New", at=NOON).handle == "ada"


def test_nobody_changes_their_own_roles_and_an_admin_stays(ctx: Context) -> None:
    with ctx.tx() as tx:
        for number, handle in enumerate(("ada", "bo"), 1):
            _come_in(tx, handle, number, "admin")
        for change in (
            lambda: staff.set_roles(tx, "ada", ("viewer",), by="staff:ada", at=NOON, reason="why"),
            lambda: staff.end_staff(tx, "ada", by="staff:ada", at=NOON, reason="why"),
        ):
            with pytest.raises(SecondPersonNeeded):
                change()
        staff.set_roles(tx, "bo", ("viewer",), by="staff:ada", at=NOON, reason="rests")
        for refused in (
            lambda: staff.set_roles(tx, "ada", ("viewer",), by="staff:bo", at=NOON, reason="why"),
            lambda: staff.end_staff(tx, "ada", by="staff:bo", at=NOON, reason="why"),
        ):
            with pytest.raises(LastOne):
                refused()

        assert staff.get_staff(tx, "ada").roles == ("admin",)


def test_two_admins_who_end_each_other_at_once_leave_one(committed_ctx: Context) -> None:
    with committed_ctx.tx() as tx:
        for number, handle in enumerate(("ada", "bo"), 1):
            _come_in(tx, handle, number, "admin")
    refused: list[str] = []

    def end(handle: str, by: str) -> None:
        try:
            with committed_ctx.tx() as tx:
                staff.end_staff(tx, handle, by=by, at=NOON, reason="race")
        except HansaError as error:
            refused.append(error.code)

    threads = [threading.Thread(target=end, args=pair) for pair in (("ada", "staff:bo"), ("bo", "staff:ada"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert refused == ["trust.last_one"]


def test_a_proposal_is_decided_once_by_another_with_the_right(ctx: Context) -> None:
    with ctx.tx() as tx:
        people = {
            handle: _who(tx, _come_in(tx, handle, number, role))
            for number, (handle, role) in enumerate(
                (("ada", "treasurer"), ("bo", "treasurer"), ("cy", "viewer"), ("di", "treasurer")), 1
            )
        }
        form = {"member": "london", "cap": "9 EUR"}

        def propose() -> staff.Proposal:
            return staff.propose(
                tx,
                "/console/liquidity/cap",
                form,
                who=people["ada"],
                needed="money",
                reason="winter",
                at=NOON,
            )

        made = propose()
        with pytest.raises(SecondPersonNeeded):
            staff.decide_proposal(tx, made.proposal_id, "confirmed", who=people["ada"], at=NOON)
        with pytest.raises(RightMissing):
            staff.decide_proposal(tx, made.proposal_id, "confirmed", who=people["cy"], at=NOON)
        with pytest.raises(UnknownProposal):
            staff.decide_proposal(tx, made.proposal_id, "confirmed", who=people["bo"], at=NOON + 48 * HOUR)
        done = staff.decide_proposal(tx, made.proposal_id, "confirmed", who=people["bo"], at=NOON)
        with pytest.raises(UnknownProposal):
            staff.decide_proposal(tx, made.proposal_id, "refused", who=people["di"], at=NOON)
        back = propose()
        staff.decide_proposal(tx, back.proposal_id, "refused", who=people["ada"], at=NOON)

        assert (done.path, done.fields, done.made_by) == ("/console/liquidity/cap", form, "staff:ada")
        with pytest.raises(psycopg.errors.CheckViolation), tx.transaction():
            tx.execute("update trust.staff_proposals set decided_by = made_by")


def test_every_change_of_staff_is_in_the_audit_record(ctx: Context) -> None:
    with ctx.tx() as tx:
        secret = _come_in(tx, "ada", 1, "admin")
        _come_in(tx, "bo", 2, "viewer")
        # Acts of one instant have no order.
        later = [NOON + timedelta(seconds=number) for number in (1, 2, 3)]
        staff.set_roles(tx, "bo", ("operator",), by="staff:ada", at=later[0], reason="learned it")
        staff.sign_out(tx, _who(tx, secret), later[1])
        staff.end_staff(tx, "bo", by="staff:ada", at=later[2], reason="left")
        found = [(act.action, act.actor, act.subject, act.reason) for act in audit.search(tx, action="staff")]
        changed = audit.search(tx, action="staff.set-roles")[0]

    assert found[:3] == [
        ("staff.end", "staff:ada", "staff:bo", "left"),
        ("staff.sign-out", "staff:ada", "staff:ada", ""),
        ("staff.set-roles", "staff:ada", "staff:bo", "learned it"),
    ]
    assert {action for action, *_ in found} >= {"staff.invite", "staff.add-passkey", "staff.sign-in"}
    assert changed.details == {"before": ["viewer"], "after": ["operator"]}


def test_a_policy_that_does_not_fit_is_refused() -> None:
    with pytest.raises(InvalidInput, match=r"staff_policy\.toml"):
        read_staff_policy("[roles]\nviewer = ['view']\n[sessions]\nidle_s = 0\n")


def test_a_key_that_staff_make_has_its_reason_in_the_audit_record(ctx: Context) -> None:
    with ctx.tx() as tx:
        league = trust.MemberId("league")
        trust.add_members(tx, [trust.Member(league, "The League", "league", None, league, "TEST-1")])

    def make(reason: str) -> str:
        with ctx.tx() as tx:
            secret = trust.create_api_key(
                tx, "league", ["rates:write"], at=ctx.clock.now(), by="operator:root", reason=reason
            )
            return trust.caller_of_key(tx, secret).key_id or ""

    with pytest.raises(ReasonNeeded):
        make(" ")
    key_id = make("sets the day's rates")

    with ctx.tx() as tx:
        [act] = audit.search(tx, action="key.make")
        keys = trust.list_api_keys(tx, "league")
    assert (act.actor, act.subject, act.reason) == ("operator:root", f"key:{key_id}", "sets the day's rates")
    assert [one.key_id for one in keys] == [key_id]
