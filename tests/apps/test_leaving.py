"""What keeps a member from leaving, from its positions to its dues, and the reserve that is kept after it."""

from dataclasses import replace
from datetime import date, timedelta

import pytest

from clearing.example_day import AT, DAY, OVER, ride_all
from hansa import clearing, trust
from hansa.apps import leaving
from hansa.kernel import FixedClock, InvalidInput
from hansa.store import Context

ENDS = OVER + timedelta(hours=1)


def test_positions_then_dues_keep_a_member_and_each_is_named(ctx: Context) -> None:
    ride_all(ctx)
    with ctx.tx() as tx:
        assert leaving.last_deadline(tx, "hangzhou") is None, "no window had an item of it"
        trust.propose_leave(tx, "hangzhou", ENDS, by="league:ada", at=AT, why="merges")
        trust.decide_leave(tx, "hangzhou", yes=True, by="league:bo", at=AT, why="letter")
        positions = [(one.what, one.much) for one in leaving.open_things(tx, "hangzhou")]

    clearing.close_day(replace(ctx, clock=FixedClock(OVER)), DAY)

    with ctx.tx() as tx:
        dues = [(one.what, one.much) for one in leaving.open_things(tx, "hangzhou")]
        until = leaving.last_deadline(tx, "hangzhou")
    assert positions == [
        ("position of beijing-card to hangzhou-metro", "¥5.00"),
        ("position of hangzhou-card to beijing-subway", "¥9.00"),
        ("position of hangzhou-card to hong-kong-mtr", "HK$20.00"),
    ]
    assert dues == [
        ("due to hangzhou-card", "¥0.11"),
        ("due to hangzhou-card", "HK$0.24"),
        ("due to hangzhou-metro", "¥4.93"),
    ]
    assert until is not None and until > DAY + timedelta(days=90), "disputes are raised for 90 days"
    with pytest.raises(trust.NotYetLeft, match=r"due to hangzhou-metro: ¥4.93"), ctx.tx() as tx:
        leaving.finish_leave(tx, "hangzhou", by="league:bo", at=ENDS, why="done")
    with ctx.tx() as tx:
        assert trust.member_standing(tx, "hangzhou", ENDS) == "leaving"


def test_a_member_with_nothing_open_leaves_and_a_reserve_needs_something_to_be_kept_for(ctx: Context) -> None:
    ride_all(ctx)
    with ctx.tx() as tx:
        bank = trust.MemberId("north")
        trust.add_members(tx, [trust.Member(bank, "North", "bank", None, bank, "HNSASGSGXXX/9")])
        trust.propose_leave(tx, bank, ENDS, by="league:ada", at=AT, why="closes")
        trust.decide_leave(tx, bank, yes=True, by="league:bo", at=AT, why="letter")
        for reserve in ({"EUR": 1}, {"EUR": -1}):
            with pytest.raises(InvalidInput):
                leaving.finish_leave(tx, bank, by="league:bo", at=ENDS, why="done", reserve=reserve)
        assert trust.member_standing(tx, bank, ENDS) == "leaving"

        assert leaving.finish_leave(tx, bank, by="league:bo", at=ENDS, why="done").standing == "left"
        assert trust.member_facts(tx, bank)[-1].facts == {}


def nothing(*_: object) -> list[trust.Left]:
    return []


def test_the_reserve_and_its_day_stand_in_the_fact(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    ride_all(ctx)
    clearing.close_day(replace(ctx, clock=FixedClock(OVER)), DAY)
    monkeypatch.setattr(leaving, "open_things", nothing)  # as if a bank had moved what is due
    with ctx.tx() as tx:
        trust.propose_leave(tx, "hangzhou", ENDS, by="league:ada", at=AT, why="merges")
        trust.decide_leave(tx, "hangzhou", yes=True, by="league:bo", at=AT, why="letter")
        leaving.finish_leave(tx, "hangzhou", by="league:bo", at=ENDS, why="done", reserve={"CNY": 50_000})
        kept = trust.member_facts(tx, "hangzhou")[-1].facts
        until = leaving.last_deadline(tx, "hangzhou")

    assert until is not None
    assert kept == {"reserve_CNY": "500.00", "reserve_until": until.isoformat()}
    assert date.fromisoformat(kept["reserve_until"]) > DAY
