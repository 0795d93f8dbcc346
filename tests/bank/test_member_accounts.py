"""A member's bank account changes: files are written to it once it has cooled, and not before."""

from datetime import date, datetime, timedelta
from pathlib import Path

import pytest

from bank.test_desk import BANK
from bank.weeks import Weeks, ride
from hansa import clearing, settlement, trust
from hansa.apps.bank import Conduct
from hansa.kernel import fact_id
from hansa.settlement import desk, store
from hansa.store import Context

DAY = date(2028, 3, 1)
OVER = datetime.fromisoformat("2028-03-01T20:05:00Z")


@pytest.mark.parametrize("with_profile", [True, False])
@pytest.mark.parametrize(("after", "is_new"), [(timedelta(hours=23), False), (timedelta(hours=24), True)])
def test_a_bank_file_names_a_changed_account_once_it_has_cooled(
    ctx: Context, tmp_path: Path, after: timedelta, is_new: bool, with_profile: bool
) -> None:
    weeks = Weeks(ctx, [BANK], {"east-bank": Conduct()}, DAY, 1, kills=0.0)
    weeks.clock.at = datetime.fromisoformat("2028-03-01T12:00:00Z")
    ride(ctx, DAY, ["CNY"], weeks.rng)
    weeks.clock.at = OVER
    clearing.close_day(ctx, DAY)
    with ctx.tx() as tx:
        member = next(net.member_id for net in clearing.net_positions(tx, DAY) if net.net)
        before = trust.get_member(tx, member).account
        change, account = fact_id(None, "another bank"), trust.account_of("CRLYFRPPXXX", "42", "CNY")
        trust.propose_account(tx, change, member, account, by="league:ada", at=OVER, why="new bank")
        trust.decide_account(tx, change, yes=True, by="league:bo", at=OVER, why="called them")
    weeks.clock.at = OVER + after  # no worker has run since

    if with_profile:
        [name] = [file.message_id for file in desk.prepare(weeks.ctx, DAY)]
    else:
        bank = trust.MemberId("league-bank")
        with ctx.tx() as tx:
            trust.add_members(tx, [trust.Member(bank, "Bank", "bank", None, bank, "HNSACNBJXXX/9")])
        [name] = [file.message_id for file in settlement.write_files(weeks.ctx, DAY, tmp_path)]

    with ctx.tx() as tx:
        told = {one.account for one in store.instructions_of_file(tx, name) if one.member_id == member}
        assert trust.get_member(tx, member).account == before, "its account for other currencies stays"
    assert told == {"CRLYFRPPXXX/42" if is_new else before}
