"""Callers: known by an API key of which only the hash is kept."""

import pytest

from hansa import trust
from hansa.kernel import InvalidInput
from hansa.store import Context, Tx
from hansa.trust import Caller, GateRecord, Member, MemberId
from hansa.trust.staff_model import ReasonNeeded


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

        caller = trust.caller_of_key(tx, secret)
        assert caller == Caller(
            caller_id,
            kind,
            frozenset({"taps:write"}),
            MemberId(member_id),
            gate_id=gate_id,
            key_id=caller.key_id,
            version=trust.API_VERSIONS[-1],
        )
        assert caller.key_id is not None and caller.who == f"{caller_id}:{caller.key_id}"


def test_each_key_is_somebody_and_all_keys_of_a_person_are_one(ctx: Context) -> None:
    with ctx.tx() as tx:
        league(tx)

        names = [
            trust.caller_of_key(tx, trust.create_api_key(tx, "london-tfl", [], person=person)).who
            for person in ("", "", "anna.berg", "anna.berg", "bo@tfl.example")
        ]

    assert names[2:] == ["london-tfl:anna.berg", "london-tfl:anna.berg", "london-tfl:bo@tfl.example"]
    assert len({*names}) == trust.count_persons(names) == 4


# one | other | may be one person, to be refused where two must look
SAME = [
    ("london-tfl:anna", "london-tfl:anna", True),
    ("london-tfl:anna", "london-tfl:bo", False),
    ("london-tfl:anna", "london-tfl", True),
    ("london-tfl", "london-tfl:0a1b2c3d4e5f6071", True),
    ("london-tfl", "london", False),
    ("london:anna", "london-tfl:anna", False),
    ("person:1", "person:2", False),
]


@pytest.mark.parametrize(("one", "other", "same"), SAME)
def test_a_member_alone_stands_for_each_of_its_keys(one: str, other: str, same: bool) -> None:
    assert trust.is_same_person(one, other) is same
    assert trust.is_same_person(other, one) is same
    assert trust.count_persons([one, other]) == 2 - same


@pytest.mark.parametrize("person", [" ", "Anna", "anna:bo", "anna berg", "anna\n", "-", "a" * 61, "\0"])
def test_a_key_is_made_for_a_person_with_a_fit_name(ctx: Context, person: str) -> None:
    with ctx.tx() as tx:
        league(tx)

        with pytest.raises(InvalidInput) as refused:
            trust.create_api_key(tx, "london-tfl", ["taps:write"], person=person)

        assert [one.where for one in refused.value.problems] == ["person"]
        assert tx.execute("select count(*) from trust.api_keys").fetchone() == (0,)


def test_the_database_does_not_know_the_secret(ctx: Context) -> None:
    with ctx.tx() as tx:
        league(tx)

        secret = trust.create_api_key(tx, "london", ["taps:write"])

        kept = tx.execute("select k::text from trust.api_keys k").fetchall()
        assert secret not in str(kept)
        assert secret.encode().hex() not in str(kept)
        assert (trust.caller_of_key(tx, secret).key_id or "?") not in secret


@pytest.mark.parametrize("secret", ["", "hansa_wrong", "\ud800", "a\0b"])
def test_a_wrong_key_is_nobody(ctx: Context, secret: str) -> None:
    with ctx.tx() as tx, pytest.raises(trust.NotSignedIn):
        trust.caller_of_key(tx, secret)


def test_an_ended_key_is_nobody(ctx: Context) -> None:
    with ctx.tx() as tx:
        league(tx)
        secret = trust.create_api_key(tx, "london", [])

        key_id = trust.caller_of_key(tx, secret).key_id or ""
        with pytest.raises(ReasonNeeded):
            trust.end_member_key(tx, "london", key_id, ctx.clock.now(), by="staff:ada")
        assert trust.caller_of_key(tx, secret)
        trust.end_member_key(tx, "london", key_id, ctx.clock.now(), by="staff:ada", reason="it leaked")

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
