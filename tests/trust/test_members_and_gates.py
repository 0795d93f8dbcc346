"""Members and gates: added in sets, once, and never changed by adding them again."""

import pytest

from hansa import trust
from hansa.store import Context
from hansa.trust import GateRecord, Member, MemberId


def member(member_id: str, role: trust.Role, clears_as: str) -> Member:
    city = None if role in ("league", "bank") else clears_as
    return Member(
        MemberId(member_id), member_id.title(), role, city, MemberId(clears_as), f"XX00 {member_id}"
    )


LEAGUE = [
    member("beijing-card", "issuer", "beijing"),
    member("beijing-subway", "operator", "beijing"),
    member("beijing", "city", "beijing"),
    member("league", "league", "league"),
]
GATES = [
    GateRecord(
        gate_id=f"beijing/xizhimen/{number:02}",
        operator_id=MemberId("beijing-subway"),
        city_id="beijing",
        stop_id="beijing/xizhimen",
        line_id=None,
        action="entry" if number % 2 else "exit",
        product="metro",
        cell=b"abc",
        facts={"hall": "west"},
    )
    for number in range(1, 6)
]


def test_members_are_added_in_one_set_whatever_their_order(ctx: Context) -> None:
    with ctx.tx() as tx:
        trust.add_members(tx, LEAGUE)

        assert trust.list_members(tx) == sorted(LEAGUE, key=lambda one: one.member_id)
        assert trust.get_member(tx, "beijing-card").clears_as == "beijing"


def test_adding_the_same_members_again_changes_nothing(ctx: Context) -> None:
    with ctx.tx() as tx:
        trust.add_members(tx, LEAGUE)

        trust.add_members(tx, LEAGUE)
        trust.add_members(tx, [])

        assert len(trust.list_members(tx)) == len(LEAGUE)


def test_a_member_is_not_changed_by_adding_it_with_other_words(ctx: Context) -> None:
    with ctx.tx() as tx:
        trust.add_members(tx, LEAGUE)
        before = trust.list_members(tx)

    with pytest.raises(trust.MemberDiffers), ctx.tx() as tx:
        trust.add_members(tx, [member("beijing", "city", "beijing"), member("league", "bank", "league")])

    with ctx.tx() as tx:
        assert trust.list_members(tx) == before


def test_a_member_clears_as_one_that_is_there(ctx: Context) -> None:
    with pytest.raises(trust.UnknownMember), ctx.tx() as tx:
        trust.add_members(tx, [member("london-tfl", "operator", "london")])

    with ctx.tx() as tx:
        assert trust.list_members(tx) == []


def test_an_unknown_member_is_a_clear_refusal(ctx: Context) -> None:
    with ctx.tx() as tx, pytest.raises(trust.UnknownMember) as refusal:
        trust.get_member(tx, "atlantis")

    assert (refusal.value.code, refusal.value.status) == ("trust.unknown_member", 404)


def test_gates_come_back_as_they_were_added(ctx: Context) -> None:
    with ctx.tx() as tx:
        trust.add_members(tx, LEAGUE)
        trust.add_gates(tx, GATES)
        trust.add_gates(tx, GATES[:2])

        assert trust.list_gates(tx) == GATES
        assert trust.list_gates(tx, operator_id="beijing-subway") == GATES
        assert trust.list_gates(tx, operator_id="london-tfl") == []
        assert trust.get_gate(tx, GATES[3].gate_id) == GATES[3]
        assert trust.find_gates(tx, [GATES[0].gate_id, "nowhere"]) == {GATES[0].gate_id: GATES[0]}


def test_gates_are_paged_by_their_id(ctx: Context) -> None:
    with ctx.tx() as tx:
        trust.add_members(tx, LEAGUE)
        trust.add_gates(tx, GATES)

        first = trust.list_gates_page(tx, limit=3)
        second = trust.list_gates_page(tx, after=first[-1].gate_id, limit=3)

        assert first + second == GATES


def test_a_gate_needs_an_operator_of_the_league(ctx: Context) -> None:
    with pytest.raises(trust.UnknownMember), ctx.tx() as tx:
        trust.add_gates(tx, GATES)

    with ctx.tx() as tx:
        assert trust.list_gates(tx) == []


def test_an_unknown_gate_is_a_clear_refusal(ctx: Context) -> None:
    with ctx.tx() as tx, pytest.raises(trust.UnknownGate) as refusal:
        trust.get_gate(tx, "beijing/nowhere/01")

    assert (refusal.value.code, refusal.value.status) == ("trust.unknown_gate", 404)
