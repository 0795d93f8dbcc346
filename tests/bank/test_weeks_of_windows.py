"""Weeks of windows of several models, with a misbehaving bank and kills: each moves its money once, in its order."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import date, timedelta
from itertools import pairwise

import pytest

from bank.weeks import CITIES, BankSpec, DirectLink, Weeks
from hansa import clearing, ledger, settlement
from hansa.apps.bank import Conduct
from hansa.apps.bank.conduct import rough
from hansa.settlement import State, desk
from hansa.settlement.iso20022 import read_account
from hansa.store import Context
from hansa.trust import list_members

EAST = BankSpec("east-bank", ("JPY", "CNY"), "America/New_York")
WEST = BankSpec("west-bank", ("KWD",), "Europe/London", form="pacs.009.001.08")

PAIRS = """
model_id = "pairs"
name = "Dinars, twice a day between each two members"
tz = "Europe/London"
takes = [{ currency = "KWD" }]
sides = "bilateral"
cut_offs = ["13:00", "25:30"]
"""
HOURLY = """
model_id = "hourly"
name = "Yen as they come"
tz = "Asia/Tokyo"
takes = [{ currency = "JPY" }]
basis = "gross"
timing = "immediate"
every_s = 3600
"""
WEEKDAYS = f"""
model_id = "weekdays"
name = "Yuan of one issuer, not at weekends"
tz = "Asia/Shanghai"
takes = [{{ issuer = "{CITIES[0]}-issuer", currency = "CNY" }}]
cut_offs = ["12:00", "28:00"]
holidays = ["CNY"]
"""


class WindowWeeks(Weeks):
    """Weeks in which the worker also closes windows of models, and their files are prepared and released."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.prepared: set[str] = set()
        for text in (PAIRS, HOURLY, WEEKDAYS):
            found = clearing.propose_model(self.ctx, text, in_force_from=self.first, by="anna", why="agreed")
            assert isinstance(found, clearing.Version)
            clearing.decide_model(self.ctx, found.model_id, 1, "approved", by="bert", why="voted")

    def _deliver(self, spec: BankSpec, link: DirectLink) -> None:
        self._may_die(self._windows)
        super()._deliver(spec, link)

    def _windows(self) -> None:
        clearing.close_due(self.ctx, step=self.step)
        clearing.follow(self.ctx, at_least=1)
        for window in all_windows(self.ctx):
            if (
                window.model_id != clearing.DAILY
                and window.closed_at
                and window.window_id not in self.prepared
            ):
                for file in desk.prepare(self.ctx, window.window_id):
                    for person in ("ann", "bob"):
                        self._release(file.message_id, person)
                    self.step("released")
                self.prepared.add(window.window_id)


def all_windows(ctx: Context) -> Sequence[clearing.Window]:
    with ctx.tx() as tx:
        return clearing.list_windows(tx, limit=10_000)


@pytest.mark.parametrize(
    ("first", "days", "kills", "is_rough"),
    [
        (date(2028, 2, 27), 3, 0.0, False),  # over a leap day, with a good bank
        # a weekend, and the clocks of London go on inside a cut-off
        pytest.param(date(2028, 3, 23), 5, 0.04, True, marks=pytest.mark.slow),
    ],
)
def test_windows_of_all_models_move_their_money_once_and_in_order(
    ctx: Context, first: date, days: int, kills: float, is_rough: bool
) -> None:
    conducts = {
        bank: rough(seed=number) if is_rough else Conduct()
        for number, bank in enumerate(("east-bank", "west-bank"))
    }
    weeks = WindowWeeks(ctx, [EAST, WEST], conducts, first, days, kills=kills, rests=15 if is_rough else 4)

    weeks.run()

    windows = all_windows(ctx)
    nets: dict[tuple[str, str], int] = defaultdict(int)
    with ctx.tx() as tx:
        assert clearing.verify_figures(tx) == [] and ledger.verify(tx) == []
        assert settlement.open_breaks(tx) == [] and settlement.gaps(tx) == []
        assert clearing.standings(tx, weeks.clock.at)[0].open == ()
        for window in windows:
            of_window: dict[str, int] = defaultdict(int)
            for net in clearing.window_nets(tx, window.window_id):
                nets[net.member_id, net.currency] += net.net
                of_window[net.currency] += net.net
            assert set(of_window.values()) <= {0}
        payments = desk.list_payments(tx, limit=100_000)
        members = {str(one.member_id): one for one in list_members(tx)}
    by_model: dict[str, list[clearing.Window]] = defaultdict(list)
    for window in sorted(windows, key=lambda one: one.number):
        by_model[window.model_id].append(window)
    assert set(by_model) == {"daily", "pairs", "hourly", "weekdays"}
    for some in by_model.values():
        assert [one.number for one in some] == list(range(1, len(some) + 1))
        assert [one.ends_at for one in some] == sorted(one.ends_at for one in some)
        for before, after in pairwise(some):
            assert all(
                a.settled_at is not None and b.settled_at is not None and a.settled_at <= b.settled_at
                for a in before.totals
                for b in after.totals
                if a.currency == b.currency
            )
    assert all(one.status == "settled" for one in windows if one.totals)
    assert all(one.business_day.weekday() < 5 for one in by_model["weekdays"])
    assert {one.state for one in payments} <= {State.BOOKED, State.RETURNED, State.REJECTED}
    for spec in weeks.banks:
        bank = weeks.links[spec.bank_id].bank
        for code in spec.currencies:
            assert bank.balance(bank.account, code) == 0
            for member_id, member in members.items():
                if (member_id, code) in nets:
                    assert bank.balance(read_account(member.account).number, code) == nets[member_id, code]
    assert all(len(documents) == 1 for link in weeks.links.values() for documents in link.handed.values())
    assert timedelta(0) < windows[0].ends_at - windows[-1].ends_at
