"""Callers: known by an API key of which only the hash is kept."""

import pytest

from hansa import trust
from hansa.kernel import InvalidInput
from hansa.store import Context, Tx
from hansa.trust import Caller, GateRecord, Member, MemberId


def league(tx: Tx) -> None:
    trust.add_members(
        tx,
        [
            Member(MemberId("london"), "London", "city", "london", MemberId("london"), "GB00"),
            Member(MemberId("london-tfl"), "TfL", "operator", "london", MemberId("london"), "GB01"),
            Member(MemberId("league"), "Hansa", "league", None, MemberId("league"), "GB02"),
        ],
    )
    trust.add_gates(
        tx,
        [
            GateRecord(
                "london/bank/1", MemberId("london-tfl"), "london", "london/bank", None, "entry", "metro"
            )
        ],
    )


@pytest.mark.parametrize(
    ("member_id", "gate_id", "caller_id", "kind"),
    [
        ("london", None, "london", "member"),
        ("london-tfl", None, "london-tfl", "operator"),
        ("league", None, "league", "league"),
        ("london-tfl", "london/bank/1", "london/bank/1", "gate"),
    ],
)
def test_a_key_says_who_calls(
    ctx: Context, member_id: str, gate_id: str | None, caller_id: str, kind: trust.CallerKind
) -> None:
    with ctx.tx() as tx:
        league(tx)

        secret = trust.create_api_key(tx, member_id, ["taps:write"], gate_id=gate_id)

        assert trust.caller_of_key(tx, secret) == Caller(
            caller_id, kind, frozenset({"taps:write"}), MemberId(member_id), gate_id=gate_id
        )


def test_the_database_does_not_know_the_secret(ctx: Context) -> None:
    with ctx.tx() as tx:
        league(tx)

        secret = trust.create_api_key(tx, "london", ["taps:write"])

        kept = tx.execute("select k::text from trust.api_keys k").fetchall()
        assert secret not in str(kept)
        assert secret.encode().hex() not in str(kept)


@pytest.mark.parametrize("secret", ["", "hansa_wrong", "\ud800", "a\0b"])
def test_a_wrong_key_is_nobody(ctx: Context, secret: str) -> None:
    with ctx.tx() as tx, pytest.raises(trust.NotSignedIn):
        trust.caller_of_key(tx, secret)


def test_an_ended_key_is_nobody(ctx: Context) -> None:
    with ctx.tx() as tx:
        league(tx)
        secret = trust.create_api_key(tx, "london", [])

        trust.end_api_key(tx, secret, ctx.clock.now())

        with pytest.raises(trust.NotSignedIn):
            trust.caller_of_key(tx, secret)


def test_a_member_gets_no_key_for_a_gate_that_is_not_its_own(ctx: Context) -> None:
    with ctx.tx() as tx:
        league(tx)

        for member_id, gate_id in (("london", "london/bank/1"), ("london-tfl", "nowhere")):
            with pytest.raises(trust.UnknownGate):
                trust.create_api_key(tx, member_id, [], gate_id=gate_id)

        assert tx.execute("select count(*) from trust.api_keys").fetchone() == (0,)


@pytest.mark.parametrize(
    "scope", ["", "taps", "taps:", ":write", "Taps:write", "taps:write ", "taps:write\n", "*"]
)
def test_a_key_is_made_for_scopes_only(ctx: Context, scope: str) -> None:
    with ctx.tx() as tx:
        league(tx)

        with pytest.raises(InvalidInput) as refused:
            trust.create_api_key(tx, "london-tfl", ["taps:write", scope])

        assert [one.where for one in refused.value.problems] == ["scopes"]
        assert tx.execute("select count(*) from trust.api_keys").fetchone() == (0,)


def test_a_scope_is_asked_for_by_name() -> None:
    caller = Caller("london", "member", frozenset({"taps:write"}))

    caller.require("taps:write")

    with pytest.raises(trust.NotAllowed):
        caller.require("members:write")
    with pytest.raises(trust.NotSignedIn):
        trust.ANONYMOUS.require("taps:write")
