"""Taps in runs that rating has not looked at: sorted out by day, and given rows where their day is not plain.

Rating takes the fresh runs of a partition together. Of a day that is fresh and plain all taps are among them, and it is
enough to keep where they lie. The taps of every other day become rows and it is marked, as if each had come alone.
"""

from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from uuid import UUID

import numpy as np
import numpy.typing as npt

from hansa.kernel import new_id
from hansa.rides import store, tap_runs_store
from hansa.rides.bulk_store import TAP, DueDays, LoadedTaps
from hansa.rides.store import DayKey
from hansa.rides.tap_runs import FENCED, Lying, Place, records_of
from hansa.rides.tap_runs_store import FreshRun, OwnRows, Payer
from hansa.rides.tariffs import Tariffs
from hansa.store import Tx
from hansa.store.copying import POSTGRES_EPOCH_US, instant_of, us_of

Int64 = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

TAPS_MAX = 400_000
"""About so many taps are looked at together: a day of some hundred thousand riders, 60 MB."""

PIECE = 2_000
"""About so many taps of a rated day stand in one piece of the directory by account."""


class FreshDays:
    """The fresh days of one operator and date, account by account.

    taps: places among all that were taken; n: the account's place, of each. several: accounts of which taps of other
    days were taken too.
    """

    def __init__(self, days: DueDays, loaded: LoadedTaps, taps: Int64, n: Int64, several: Flags) -> None:
        self.days, self.loaded, self.taps, self.n, self.several = days, loaded, taps, n, several


class FreshTaps:
    """All taps of fresh runs of one partition that one transaction of its rater takes."""

    def __init__(self, tx: Tx, partition: int, tariffs: Tariffs, runs: Sequence[FreshRun]) -> None:
        self._tx, self._partition, self._tariffs, self._runs = tx, partition, tariffs, runs
        self._records = records_of(b"".join([run.body for run in runs]))
        counts = [len(records_of(run.body)) for run in runs]
        self._run = np.repeat(np.arange(len(runs)), counts)
        self._number = np.arange(len(self._records)) - np.repeat(np.cumsum([0, *counts[:-1]]), counts)
        self._received = np.array([us_of(run.received_at) - POSTGRES_EPOCH_US for run in runs], np.int64)
        ids, self._place = np.unique(self._records["place"].astype(np.int64), return_inverse=True)
        self._places: dict[int, Place] = tap_runs_store.places_of(tx, ids.tolist())
        self._place_list = [self._places[key] for key in ids.tolist()]
        ids, self._payer = np.unique(self._records["payer"].astype(np.int64), return_inverse=True)
        payers = tap_runs_store.payers_of(tx, ids.tolist())
        self._payer_list: list[Payer] = [payers[key] for key in ids.tolist()]
        self._order = self._by_account()
        self._plain = np.zeros(len(self._records), np.bool_)
        self._days: dict[tuple[str, date], Int64] = {}

    def groups(self) -> Iterable[FreshDays]:
        """The days of operators that have a tariff, by operator and date."""
        operators = np.array([place.operator_id for place in self._place_list])[self._place]
        tapped_us = self._records["tapped_at"].astype(np.int64) + POSTGRES_EPOCH_US
        for operator_id in sorted({place.operator_id for place in self._place_list}):
            if not self._tariffs.knows(operator_id):
                continue
            own = self._order[(operators == operator_id)[self._order]]
            opened = self._opens(own)
            account = np.cumsum(opened) - 1
            number = np.zeros(len(own), np.int64)
            dates: list[date] = []
            left = np.arange(len(own))
            while len(left):
                day = self._tariffs.day_of(operator_id, instant_of(int(tapped_us[own[left[0]]])))
                starts_us, ends_us = (us_of(at) for at in self._tariffs.bounds(operator_id, day))
                inside = (tapped_us[own[left]] >= starts_us) & (tapped_us[own[left]] < ends_us)
                number[left[inside]] = len(dates)
                dates.append(day)
                left = left[~inside]
            first = number[np.flatnonzero(opened)]
            several = np.zeros(len(first), np.bool_)
            several[account[number != first[account]]] = True
            for place in sorted(range(len(dates)), key=lambda one: dates[one]):
                chosen = number == place
                self._days[operator_id, dates[place]] = own[chosen]
                yield self._group(operator_id, dates[place], own[chosen], several[account[chosen]])

    def keep_plain(self, group: FreshDays, odd: Flags) -> None:
        """The days of these accounts are rated, but of those that are odd: keep where their taps lie."""
        chosen = ~odd[group.n]
        taps = group.taps[chosen]
        if not len(taps):
            return
        self._plain[taps] = True
        opened = np.flatnonzero(self._opens(taps))
        nearest = np.searchsorted(opened, np.arange(0, len(taps), PIECE))
        cuts = opened[np.unique(np.minimum(nearest, len(opened) - 1))]
        for start, end in zip(cuts.tolist(), [*cuts[1:].tolist(), len(taps)], strict=True):
            self._keep_piece(group.days, taps[start:end])

    def give_rows(self) -> None:
        """Give rows to all taps of days that were not rated, and have those days rated."""
        rest = np.flatnonzero(~self._plain)
        if not len(rest):
            return
        ids = np.frombuffer(b"".join([run.run_id.bytes for run in self._runs]), "V16")
        xids = np.array([run.xid for run in self._runs], np.int64)
        of = self._run[rest]
        rows = OwnRows(self._records[rest], self._received[of], ids[of], xids[of])
        tap_runs_store.copy_out(self._tx, self._partition, rows, self._places)
        marked: dict[datetime, set[DayKey]] = {}
        for (operator_id, day), taps in self._days.items():
            for one in taps[~self._plain[taps]].tolist():
                account_id = UUID(bytes=self._records["account"][one].tobytes())
                key = DayKey(self._partition, account_id, operator_id, day)
                marked.setdefault(self._runs[int(self._run[one])].received_at, set()).add(key)
        for received_at, keys in marked.items():
            store.mark_days(self._tx, keys, received_at)

    # -- within -------------------------------------------------------------------------------------------

    def _by_account(self) -> Int64:
        """The places of all taps in order of account."""
        halves = np.ascontiguousarray(self._records["account"]).view(">u8").reshape(-1, 2).astype(np.uint64)
        order = np.argsort(halves[:, 0], kind="stable")
        high, low = halves[order, 0], halves[order, 1]
        self._halves = halves
        if ((high[1:] == high[:-1]) & (low[1:] != low[:-1])).any():
            order = np.lexsort((halves[:, 1], halves[:, 0]))
        return order

    def _opens(self, taps: Int64) -> Flags:
        """Whether each of these taps, in order of account, is the first of its account."""
        opens = np.ones(len(taps), np.bool_)
        halves = self._halves[taps]
        opens[1:] = (halves[1:] != halves[:-1]).any(axis=1)
        return opens

    def _group(self, operator_id: str, day: date, taps: Int64, several: Flags) -> FreshDays:
        opens = self._opens(taps)
        n = np.cumsum(opens) - 1
        records = self._records[taps]
        accounts = np.ascontiguousarray(records["account"][opens]).tobytes()
        found = np.empty(len(taps), TAP)
        found["n"] = n
        for name in ("tap_id", "tapped_at", "cti", "companion"):
            found[name] = records[name]
        found["received_at"] = self._received[self._run[taps]]
        used, found["place"] = np.unique(self._place[taps], return_inverse=True)
        paying, found["payer"] = np.unique(self._payer[taps], return_inverse=True)
        loaded = LoadedTaps(
            found,
            [
                (place.action, place.stop_id, place.line_id, place.product)
                for place in (self._place_list[one] for one in used.tolist())
            ],
            [self._payer_list[one] for one in paying.tolist()],
        )
        days = DueDays(operator_id, day, afresh=False, accounts=accounts)
        return FreshDays(days, loaded, taps, n, several[np.flatnonzero(opens)])

    def _keep_piece(self, days: DueDays, taps: Int64) -> None:
        runs, places = np.unique(self._run[taps], return_inverse=True)
        fenced = np.empty(len(taps), FENCED)
        fenced["account"] = self._records["account"][taps]
        fenced["run"], fenced["number"] = places, self._number[taps]
        first_us = int(self._records["tapped_at"][taps].min()) + POSTGRES_EPOCH_US
        tap_runs_store.add_rated(
            self._tx,
            self._partition,
            days.operator_id,
            days.service_day,
            new_id(),
            instant_of(first_us),
            [self._runs[one].run_id for one in runs.tolist()],
            fenced,
        )


def take(tx: Tx, partition: int, tariffs: Tariffs, at: datetime) -> FreshTaps | None:
    """The taps of the partition's fresh runs; None when there are none. Whoever calls is the partition's one rater."""
    runs = tap_runs_store.take_runs(tx, partition, at, TAPS_MAX)
    return FreshTaps(tx, partition, tariffs, runs) if runs else None


def give_all_rows(tx: Tx, partition: int, tariffs: Tariffs, at: datetime) -> None:
    """Give rows to the taps of all fresh runs, and have their days rated, as if each tap had come alone."""
    while (fresh := take(tx, partition, tariffs, at)) is not None:
        for _ in fresh.groups():
            pass
        fresh.give_rows()


def give_rows_around(tx: Tx, partition: int, keys: Iterable[DayKey]) -> None:
    """Give rows to the taps of these days, and of days around them, that were rated from runs.

    Whoever calls is the partition's one rater.
    """
    near = timedelta(days=2)
    asked = [
        (key.account_id, key.operator_id, key.service_day - near, key.service_day + near) for key in keys
    ]
    _give_rows(tx, partition, tap_runs_store.rated_records(tx, partition, asked))


def give_rows_to(tx: Tx, partition: int, numbers: Sequence[tuple[str, int]]) -> None:
    """Give rows to the taps of a partition's runs under these (gate, sequence). Whoever calls is its one rater."""
    gate_ids, sequences = [gate_id for gate_id, _ in numbers], [number for _, number in numbers]
    found = tap_runs_store.run_records_by_number(tx, gate_ids, sequences)
    _give_rows(tx, partition, [part for part in found if part.partition == partition])


def _give_rows(tx: Tx, partition: int, found: Sequence[Lying]) -> None:
    if found:
        rows = tap_runs_store.own_rows(found)
        places = tap_runs_store.places_of(tx, np.unique(rows.records["place"].astype(np.int64)).tolist())
        tap_runs_store.copy_out(tx, partition, rows, places)
