"""Days rated by the column: what ``rating`` does with fresh plain days, at a fraction of its cost.

Nearly every day is fresh and plain: nothing of it is in the books yet, each entry has its exit, nothing came late, and
its tariff asks of the books no more than sums. Of such days whole columns are read, paired, priced and written. At the
least doubt about a day, it is left to ``rating`` with everything about it. The tests
hold the two equal: the same journeys, steps, charges and postings.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from hashlib import sha256
from struct import pack
from threading import Lock
from typing import Any
from uuid import UUID

import numpy as np
import numpy.typing as npt

from hansa import atlas, payments
from hansa.fares import Pricer, Tariff, period_start
from hansa.fares.columnar import Columnar, Earlier, Priced, RideColumns, columnar_for
from hansa.kernel import new_id
from hansa.rides import bulk_store, fresh_taps, looking_back_store, rating, rating_store, tap_runs_store
from hansa.rides.bulk_store import CHARGE, DueDays, LoadedTaps, Sums
from hansa.rides.evidence import load_beside, there_is
from hansa.rides.fresh_taps import FreshDays
from hansa.rides.looking_back import Look
from hansa.rides.model import RateCounts
from hansa.rides.store import DayKey, TariffVersion
from hansa.rides.tariffs import Tariffs
from hansa.store import Context, Tx
from hansa.store.copying import (
    NULL,
    POSTGRES_EPOCH_US,
    head_of,
    heads,
    postgres_day,
    rows_of,
    texts,
    us_of,
    uuid_pieces,
)

Int64 = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

CHUNK = 20_000
"""Days in one transaction."""

FEW = 24
"""Fewer days of one operator and date are quicker one by one."""

RUN_MAX = 8_192
"""Charges in one run: what the ledger takes in one batch."""


def rate(ctx: Context, limit: int = 100_000) -> RateCounts:
    """Rate up to ``limit`` days that wait for it. Safe to run again, to kill, and beside itself."""
    with ctx.tx() as tx:
        partitions = rating_store.due_partitions(tx, ctx.clock.now())
    counts = RateCounts()
    for partition in partitions:
        counts += rate_partition(ctx, partition, limit - counts.days)
    return counts


def rate_partition(ctx: Context, partition: int, limit: int) -> RateCounts:
    """The same, of one partition. Days of which the taps lie in fresh runs come first, all of many runs together."""
    counts = RateCounts()
    while counts.days < limit:
        with ctx.tx() as tx:
            rating_store.lock_rater(tx, partition)
            rated = _rate_fresh(tx, partition, ctx.clock.now())
        if rated is None:
            break
        counts += rated
    while counts.days < limit:
        with ctx.tx() as tx:
            rating_store.lock_rater(tx, partition)
            done = _rate_chunk(tx, partition, min(CHUNK, limit - counts.days), ctx.clock.now())
        if not done.days:
            break
        counts += done
    return counts


def _rate_fresh(tx: Tx, partition: int, at: datetime) -> RateCounts | None:
    """Rate the plain days of fresh runs, and make ready all others of them; None when no run is fresh."""
    chunk = _Chunk(tx, partition, at)
    fresh = fresh_taps.take(tx, partition, chunk.tariffs, at)
    if fresh is None:
        return None
    for group in fresh.groups():
        odd = chunk.rate_fresh(group)
        if odd is not None:
            fresh.keep_plain(group, odd)
    fresh.give_rows()
    chunk.write_runs()
    return chunk.counts


def _rate_chunk(tx: Tx, partition: int, limit: int, at: datetime) -> RateCounts:
    due = bulk_store.take_days(tx, partition, limit, at)
    chunk = _Chunk(tx, partition, at)
    fresh_taps.give_rows_around(
        tx,
        partition,
        [
            DayKey(partition, account_id, days.operator_id, days.service_day)
            for days in due
            for account_id in bulk_store.accounts_of(days, range(len(days)))
        ],
    )
    left: dict[DayKey, bool] = {}
    for days in due:
        for account_id in chunk.rate(days):
            left[DayKey(partition, account_id, days.operator_id, days.service_day)] = days.afresh
    counts, keys = chunk.counts, list(left)
    for start in range(0, len(keys), rating.CHUNK):
        some = {key: left[key] for key in keys[start : start + rating.CHUNK]}
        counts += rating.rate_days(tx, partition, some, at)
    chunk.write_runs()
    return counts


@dataclass(frozen=True, slots=True)
class _Rules:
    """By which the days of one operator and date are worked out, all as microseconds since 1970."""

    version: TariffVersion
    tariff: Tariff
    look: Look
    columnar: Columnar
    network_version: int
    starts_us: int
    ends_us: int
    longest_us: int
    late_us: int


@dataclass(frozen=True, slots=True)
class _Journeys:
    """Journeys of days, by account and then in order of their start; places of their taps.

    n: the account's place. last: -1 for a boarding.
    """

    n: Int64
    first: Int64
    last: Int64


class _Chunk:
    """Some days of one partition while they are rated."""

    def __init__(self, tx: Tx, partition: int, at: datetime) -> None:
        self.tx, self.partition, self.at = tx, partition, at
        self.tariffs = Tariffs(tx)
        self.counts = RateCounts()
        self._charges: list[npt.NDArray[Any]] = []
        self._words: dict[tuple[str, str, str, str], int] = {}

    def rate(self, days: DueDays) -> list[UUID]:
        """Rate those of the days that are fresh and plain; the accounts of the others."""
        everybody = range(len(days))
        rules = None if days.afresh or len(days) < FEW else self._rules(days)
        if rules is None:
            return bulk_store.accounts_of(days, everybody)
        span = self._span(days, rules)
        loaded = bulk_store.load_taps(self.tx, self.partition, days, *span)
        sums = self._sums(days, rules) if loaded is not None and rules.look.sums else None
        if loaded is None or (rules.look.sums and sums is None):
            return bulk_store.accounts_of(days, everybody)
        odd = np.zeros(len(days), np.bool_)
        odd[bulk_store.find_kept(self.tx, self.partition, days) if sums is None else sums.kept] = True
        self._rate(days, rules, loaded, odd, span, sums)
        return bulk_store.accounts_of(days, np.flatnonzero(odd).tolist())

    def rate_fresh(self, group: FreshDays) -> Flags | None:
        """Rate those of the days that are plain, from taps that are at hand; which are not, or None where none is."""
        days = group.days
        rules = None if len(days) < FEW else self._rules(days)
        if rules is None:
            return None
        sums = self._sums(days, rules) if rules.look.sums else None
        if rules.look.sums and sums is None:
            return None
        span = self._span(days, rules)
        odd = group.several.copy()
        odd[tap_runs_store.find_more(self.tx, self.partition, days, span)] = True
        self._rate(days, rules, group.loaded, odd, span, sums)
        return odd

    def _span(self, days: DueDays, rules: _Rules) -> tuple[datetime, datetime]:
        """The day, with the longest journey before and after."""
        reach = timedelta(microseconds=rules.longest_us)
        starts_at, ends_at = self.tariffs.bounds(days.operator_id, days.service_day)
        return starts_at - reach, ends_at + reach

    def _rate(
        self,
        days: DueDays,
        rules: _Rules,
        loaded: LoadedTaps,
        odd: Flags,
        span: tuple[datetime, datetime],
        sums: Sums | None,
    ) -> None:
        """Rate those of the days that nothing speaks against. odd: those that are not plain; more are marked here."""
        odd[self._beside(days, span)] = True
        if rules.look.passes:
            odd[self._holders(days)] = True
        journeys = pair_plain(loaded, odd, rules)
        if len(journeys.n):
            self._price(days, rules, loaded, journeys, sums)
        plain = int((~odd).sum())
        taps = len(journeys.n) + int((journeys.last >= 0).sum())
        self.counts += RateCounts(plain, taps, len(journeys.n))

    def _rules(self, days: DueDays) -> _Rules | None:
        """How these days are worked out; None where that takes more than columns."""
        tariffs, operator_id, day = self.tariffs, days.operator_id, days.service_day
        version = tariffs.version_on(operator_id, day) if tariffs.knows(operator_id) else None
        if version is None:
            return None
        look, tomorrow = tariffs.look(version), day + timedelta(days=1)
        pairing = tariffs.pairing(operator_id, day)
        around = (tariffs.pairing(operator_id, day + timedelta(days=step)) for step in (-1, 1))
        if (
            look.residence
            or look.habits
            or look.earlier
            or look.partners
            or look.tells
            or look.counts
            or not pairing.plain
            or pairing.same_stop_max is not None
            or pairing.walks
            or any(one.decides != pairing.decides for one in around)
            or tariffs.watchers(operator_id)
            or tariffs.makes_habits(operator_id, day)
            or tariffs.goes_on(operator_id, tomorrow)
        ):
            return None
        try:
            pricer = tariffs.pricer(version, day)
        except atlas.UnknownCity:
            return None
        columnar = _columnar_of(pricer)
        if columnar is None or not isinstance(pricer.places, atlas.Network):
            return None
        starts_at, ends_at = tariffs.bounds(operator_id, day)
        return _Rules(
            version,
            tariffs.read(version),
            look,
            columnar,
            pricer.places.version,
            us_of(starts_at),
            us_of(ends_at),
            pairing.journey_max // timedelta(microseconds=1),
            pairing.late // timedelta(microseconds=1),
        )

    def _sums(self, days: DueDays, rules: _Rules) -> Sums | None:
        """What the accounts' earlier days add up to; None where that does not fit columns."""
        day, look = days.service_day, rules.look
        month_starts = period_start(day, "month") if look.tiers else day
        period_starts = period_start(day, look.period) if look.period else day
        return bulk_store.load_sums(self.tx, self.partition, days, month_starts, period_starts)

    def _beside(self, days: DueDays, span: tuple[datetime, datetime]) -> list[int]:
        """Places of accounts of which more is known than their taps: corrected clocks, stated ends."""
        if not any(there_is(self.tx, self.partition)):
            return []
        keys = [
            DayKey(self.partition, account_id, days.operator_id, days.service_day)
            for account_id in bulk_store.accounts_of(days, range(len(days)))
        ]
        return list(load_beside(self.tx, self.partition, keys, [span] * len(keys)))

    def _holders(self, days: DueDays) -> list[int]:
        """Places of accounts that hold a pass on the day, which columns do not know."""
        accounts = bulk_store.accounts_of(days, range(len(days)))
        asks = [(n, account_id, days.operator_id, days.service_day) for n, account_id in enumerate(accounts)]
        return list(looking_back_store.load_passes(self.tx, self.partition, asks))

    # -- pricing -------------------------------------------------------------------------------------------

    def _price(
        self, days: DueDays, rules: _Rules, loaded: LoadedTaps, journeys: _Journeys, sums: Sums | None
    ) -> None:
        rides = ride_columns(loaded, journeys)
        numbers, firsts = np.unique(rides.riders, return_index=True)
        earlier = None
        if sums is not None:
            riders = np.full(len(days), -1, np.int64)
            riders[journeys.n[firsts]] = numbers
            earlier = self._earlier(days, rules, riders, len(numbers), sums)
        with _COLUMNARS.lock:
            priced = rules.columnar.price(rides, earlier)
            steps = [pack(">i", len(one)) + one for one in priced.told()]
        self._write_journeys(days, rules, loaded, journeys, rides, priced, steps)
        self._add_charges(days, rules, loaded, journeys, priced)
        held = int(priced.held.sum())
        self.counts += RateCounts(held=held, charges=int((priced.amounts > 0).sum()))

    def _earlier(self, days: DueDays, rules: _Rules, riders: Int64, count: int, sums: Sums) -> Earlier:
        """What earlier days used up. riders: of each account its number, or -1."""
        month, opening = np.zeros(count, np.int64), np.zeros(count, np.int64)
        rider = riders[sums.rows["n"]]
        some = (rider >= 0) & ((sums.rows["tier"] != 0) | (sums.rows["counted"] != 0))
        rider, rows = rider[some], sums.rows[some]
        np.add.at(month, rider, rows["tier"].astype(np.int64))
        products = {product: n for n, product in enumerate(dict.fromkeys(one for one, _ in sums.kinds))}
        labels = {label: n for n, label in enumerate(dict.fromkeys(one for _, one in sums.kinds))}
        kinds = np.array([(products[one], labels[other]) for one, other in sums.kinds], np.int64).reshape(
            -1, 2
        )
        day, look = days.service_day, rules.look
        starts = period_start(day, "month"), period_start(day, "week")
        for n, name, minor in bulk_store.load_opening(self.tx, days, *starts):
            one = int(riders[n])
            if one >= 0 and name == "month":
                month[one] += minor
            if one >= 0 and name == look.period:
                opening[one] += minor
        of, counted = kinds[rows["kind"].astype(np.int64)], rows["counted"].astype(np.int64)
        return Earlier(month, opening, rider, of[:, 0], of[:, 1], counted, tuple(products), tuple(labels))

    # -- writing -------------------------------------------------------------------------------------------

    def _write_journeys(
        self,
        days: DueDays,
        rules: _Rules,
        loaded: LoadedTaps,
        journeys: _Journeys,
        rides: RideColumns,
        priced: Priced,
        steps: list[bytes],
    ) -> None:
        taps, count = loaded.taps, len(journeys.n)
        rows = heads(_JOURNEY, _JOURNEY_LENGTHS, count)
        ids = taps["tap_id"][journeys.first]
        rows["partition"] = self.partition
        rows["journey_id"] = rows["first_tap"] = ids
        rows["account_id"] = np.frombuffer(days.accounts, "V16")[journeys.n]
        rows["service_day"] = postgres_day(days.service_day)
        rows["started_at"] = rides.started_us - POSTGRES_EPOCH_US
        rows["ended_at"] = rides.ended_us - POSTGRES_EPOCH_US
        rows["fare"] = rows["charged"] = priced.amounts
        rows["counted"], rows["tier"] = priced.counted, priced.tiers
        rows["tariff_from"] = postgres_day(rules.version.valid_from)
        rows["revision"] = priced.amounts > 0
        rows["rated_at"] = us_of(self.at) - POSTGRES_EPOCH_US
        rows["network_version"] = rules.network_version
        heads_of = _head_pieces(days.operator_id, rules.version.currency, loaded, rides)
        shapes = 2 * priced.held + rides.kinds
        payers, products = len(loaded.payers), len(rides.product_names)
        head = (shapes * payers + taps["payer"][journeys.first]) * products + rides.products
        stops = [texts(stop) for stop in (*rides.stops, None)]
        lines = [texts(line, label) for line in (*rides.line_ids, None) for label in priced.zone_labels]
        line = (
            np.where(rides.lines < 0, len(rides.line_ids), rides.lines) * len(priced.zone_labels)
            + priced.zones
        )
        bulk_store.copy_in(
            self.tx,
            bulk_store.COPY_JOURNEYS,
            rows_of(
                rows,
                [heads_of[one] for one in head.tolist()],
                [stops[one] for one in rides.origins.tolist()],
                [stops[one] for one in rides.destinations.tolist()],
                [lines[one] for one in line.tolist()],
                _tap_and_trip_pieces(ids, taps["tap_id"][journeys.last], journeys.last >= 0, priced),
                steps,
            ),
        )

    def _add_charges(
        self, days: DueDays, rules: _Rules, loaded: LoadedTaps, journeys: _Journeys, priced: Priced
    ) -> None:
        """Note what is to be charged: plain charges for the runs, others as intents of their own."""
        some = np.flatnonzero(priced.amounts > 0)
        if not len(some):
            return
        taps, currency = loaded.taps, rules.version.currency
        last = np.where(journeys.last >= 0, journeys.last, journeys.first)[some]
        records = np.empty(len(some), CHARGE)
        records["journey_id"] = taps["tap_id"][journeys.first[some]]
        records["account_id"] = np.frombuffer(days.accounts, "V16")[journeys.n[some]]
        records["amount"] = priced.amounts[some]
        records["event_us"] = taps["tapped_at"][last] + POSTGRES_EPOCH_US
        records["charge_id"] = charge_ids(records["journey_id"], records["event_us"].astype(np.int64))
        own = [wallet == currency for _, _, wallet in loaded.payers]
        words = [
            self._words.setdefault(
                (issuer, days.operator_id, currency, days.service_day.isoformat()), len(self._words)
            )
            for _, issuer, _ in loaded.payers
        ]
        payers = taps["payer"][journeys.first[some]]
        records["word"] = np.array(words, np.int64)[payers]
        plain = np.array(own, np.bool_)[payers]
        self._charges.append(records[plain])
        if not plain.all():
            rest = [(issuer, days.operator_id, wallet, currency) for _, issuer, wallet in loaded.payers]
            tails = [texts(*one, "intent") for one in rest]
            day = np.full(int((~plain).sum()), postgres_day(days.service_day), np.int64)
            rows = charge_rows(records[~plain], self.partition, day, self.at)
            ends = [tails[one] for one in payers[~plain].tolist()]
            bulk_store.copy_in(self.tx, bulk_store.COPY_CHARGES, rows_of(rows, ends))

    def write_runs(self) -> None:
        """Write the plain charges of the whole chunk, in the order in which the rides ended, run by run.

        Of an account with single intents that wait, all charges are single intents: a wallet pays in order of time.
        """
        if not self._charges:
            return
        records = np.frombuffer(b"".join([part.tobytes() for part in self._charges]), CHARGE)
        records = records[np.argsort(records["event_us"], kind="stable")]
        words = list(self._words)
        waiting = np.sort(bulk_store.accounts_waiting(self.tx, self.partition).view("S16"))
        if len(waiting):
            accounts = np.ascontiguousarray(records["account_id"]).view("S16")
            at = np.minimum(np.searchsorted(waiting, accounts), len(waiting) - 1)
            single = waiting[at] == accounts
            rows = intent_rows(self.partition, records[single], words, self.at)
            bulk_store.copy_in(self.tx, bulk_store.COPY_CHARGES, rows)
            records = records[~single]
        for start in range(0, len(records), RUN_MAX):
            run = records[start : start + RUN_MAX]
            bulk_store.add_run(self.tx, self.partition, new_id(), words, run.tobytes(), len(run), self.at)


# -- pairing ------------------------------------------------------------------------------------------------


def pair_plain(loaded: LoadedTaps, odd: Flags, rules: _Rules) -> _Journeys:
    """The journeys of the days' accounts, but of those that are odd; which are, is marked.

    Odd is an account with a tap that came late, is a companion's, is made at the same instant as another, has no answer
    on its token, or lies near a tap of a neighbouring day.
    """
    taps = loaded.taps
    n, tapped = taps["n"].astype(np.int64), taps["tapped_at"].astype(np.int64) + POSTGRES_EPOCH_US
    received = taps["received_at"].astype(np.int64) + POSTGRES_EPOCH_US
    odd[n[(taps["companion"] != 0) | (received - tapped > rules.late_us)]] = True
    order = np.lexsort((tapped, n))
    n, tapped = n[order], tapped[order]
    inside = (tapped >= rules.starts_us) & (tapped < rules.ends_us)
    same, apart = n[1:] == n[:-1], np.diff(tapped)
    near = (inside[1:] != inside[:-1]) & (apart <= rules.longest_us)
    odd[n[1:][same & (near | (apart == 0))]] = True
    present = np.zeros(len(odd), np.bool_)
    present[n[inside]] = True
    odd |= ~present
    keep = inside & ~odd[n]
    order, n, tapped = order[keep], n[keep], tapped[keep]
    actions = np.array([_ACTIONS[place[0]] for place in loaded.places] or [0], np.int64)[taps["place"][order]]

    gates = np.flatnonzero(actions != _BOARD)
    by_token = gates[np.lexsort((tapped[gates], taps["cti"][order[gates]], n[gates]))]
    token, of, action = taps["cti"][order[by_token]], n[by_token], actions[by_token]
    fresh = np.ones(len(by_token), np.bool_)
    fresh[1:] = (of[1:] != of[:-1]) | (token[1:] != token[:-1])
    starts = np.flatnonzero(fresh)
    lengths = np.diff(np.append(starts, len(by_token)))
    number = np.arange(len(by_token)) - np.repeat(starts, lengths)
    wrong = action != number % 2
    wrong[1:] |= (number[1:] % 2 == 1) & (np.diff(tapped[by_token]) > rules.longest_us)
    odd[of[wrong]] = True
    odd[of[starts[lengths % 2 == 1]]] = True

    whole = by_token[~odd[of]]
    boards = np.flatnonzero((actions == _BOARD) & ~odd[n])
    first = np.concatenate([whole[0::2], boards])
    last = np.concatenate([whole[1::2], np.full(len(boards), -1, np.int64)])
    by_start = np.lexsort((tapped[first], n[first]))
    first, last = first[by_start], last[by_start]
    return _Journeys(n[first], order[first], np.where(last >= 0, order[last], -1))


def ride_columns(loaded: LoadedTaps, journeys: _Journeys) -> RideColumns:
    """The journeys as the columns price them."""
    taps = loaded.taps
    stops: dict[str, int] = {}
    lines: dict[str, int] = {}
    products: dict[str, int] = {}
    classes: dict[str, int] = {}
    places = np.array(
        [
            (
                -1 if stop is None else stops.setdefault(stop, len(stops)),
                -1 if line is None else lines.setdefault(line, len(lines)),
                products.setdefault(product, len(products)),
            )
            for _, stop, line, product in loaded.places
        ],
        np.int64,
    ).reshape(-1, 3)
    payers = np.array([classes.setdefault(payer[0], len(classes)) for payer in loaded.payers], np.int64)
    first, whole = journeys.first, journeys.last >= 0
    last = np.where(whole, journeys.last, first)
    at = places[taps["place"][first]]
    started = taps["tapped_at"][first].astype(np.int64) + POSTGRES_EPOCH_US
    return RideColumns(
        np.cumsum(np.concatenate(([0], journeys.n[1:] != journeys.n[:-1]))).astype(np.int64),
        started,
        taps["tapped_at"][last].astype(np.int64) + POSTGRES_EPOCH_US,
        np.where(whole, 0, 1),
        at[:, 0],
        np.where(whole, places[taps["place"][last], 0], -1),
        at[:, 1],
        at[:, 2],
        payers[taps["payer"][first]],
        tuple(stops),
        tuple(lines),
        tuple(products),
        tuple(classes),
    )


def _head_pieces(operator_id: str, currency: str, loaded: LoadedTaps, rides: RideColumns) -> list[bytes]:
    """The first texts of journeys: by status, kind, payer and product, in that order, the last changing fastest."""
    return [
        texts(operator_id, kind, currency, status, *payer, product)
        for status in ("priced", "held")
        for kind in ("complete", "boarding")
        for payer in loaded.payers
        for product in rides.product_names
    ]


def _tap_and_trip_pieces(
    ids: npt.NDArray[Any], last: npt.NDArray[Any], whole: Flags, priced: Priced
) -> Sequence[bytes]:
    """The tap that ended each journey, none for boardings; and the journey by which its trip began, if another did."""
    pieces = np.zeros(len(ids), [("size", ">i4"), ("id", "V16"), ("trip", ">i4")])
    pieces["size"], pieces["id"], pieces["trip"] = 16, last, -1
    found: list[bytes] = pieces.view("V24").ravel().tolist()
    went_on = priced.went_on
    if whole.all() and not went_on.any():
        return found
    places = np.arange(len(ids))
    begun = np.maximum.accumulate(np.where(went_on, -1, places))
    trips = uuid_pieces(ids[np.maximum(begun, 0)])
    return [
        (piece[:20] if ended else NULL) + (trip if on else NULL)
        for piece, trip, ended, on in zip(found, trips, whole.tolist(), went_on.tolist(), strict=True)
    ]


# -- charges ------------------------------------------------------------------------------------------------


def charge_ids(journey_ids: npt.NDArray[Any], event_us: Int64) -> npt.NDArray[Any]:
    """The id of each journey's first charge, as ``rating`` makes it."""
    head, tail = texts("rides.charge") + b"\0\0\0$", texts("0")
    hashed = b"".join(
        [
            sha256(head + text + tail + repr(at).encode()).digest()
            for text, at in zip(payments.uuid_texts(journey_ids), (event_us / 1e6).tolist(), strict=True)
        ]
    )
    return payments.shaped_ids(hashed, event_us)


def intent_rows(
    partition: int, records: npt.NDArray[Any], words: Sequence[tuple[str, str, str, str]], made_at: datetime
) -> bytes:
    """Single intents as ``COPY_CHARGES`` takes them. words: (issuer, operator, currency, service day)."""
    places = records["word"].astype(np.int64)
    rows = charge_rows(records, partition, days_of(words)[places], made_at)
    return rows_of(rows, charge_tails(words, places, "intent"))


def days_of(words: Sequence[tuple[str, str, str, str]]) -> Int64:
    """The service day of each word, since 2000."""
    return np.array([postgres_day(date.fromisoformat(day)) for _, _, _, day in words], np.int64)


def charge_tails(words: Sequence[tuple[str, str, str, str]], places: Int64, status: str) -> list[bytes]:
    """The texts of charges' rows. places: of their words."""
    tails = [texts(issuer, operator, currency, currency, status) for issuer, operator, currency, _ in words]
    return [tails[place] for place in places.tolist()]


def charge_rows(
    records: npt.NDArray[Any], partition: int, days: Int64, made_at: datetime
) -> npt.NDArray[Any]:
    """Heads of rows of ``rides.charges`` as ``COPY_CHARGES`` takes them. days: service days, since 2000."""
    rows = heads(_CHARGE, _CHARGE_LENGTHS, len(records))
    fill_charges(rows, records, partition, days, made_at)
    return rows


def fill_charges(
    rows: npt.NDArray[Any], records: npt.NDArray[Any], partition: int, days: Int64, made_at: datetime
) -> None:
    """What all rows of charges have."""
    rows["partition"] = partition
    for name in ("journey_id", "charge_id", "account_id", "amount"):
        rows[name] = records[name]
    rows["event_at"] = records["event_us"] - POSTGRES_EPOCH_US
    rows["service_day"] = days
    rows["made_at"] = us_of(made_at) - POSTGRES_EPOCH_US


CHARGE_COLUMNS = [
    ("partition", ">i2"),
    ("journey_id", "V16"),
    ("revision", ">i4"),
    ("charge_id", "V16"),
    ("account_id", "V16"),
    ("amount", ">i8"),
    ("event_at", ">i8"),
    ("service_day", ">i4"),
    ("made_at", ">i8"),
    ("on_risk", "?"),
]
_CHARGE, _CHARGE_LENGTHS = head_of(CHARGE_COLUMNS, 5)

_JOURNEY, _JOURNEY_LENGTHS = head_of(
    [
        ("partition", ">i2"),
        ("journey_id", "V16"),
        ("account_id", "V16"),
        ("service_day", ">i4"),
        ("started_at", ">i8"),
        ("ended_at", ">i8"),
        ("first_tap", "V16"),
        ("fare", ">i8"),
        ("counted", ">i8"),
        ("tier", ">i8"),
        ("tariff_from", ">i4"),
        ("charged", ">i8"),
        ("revision", ">i4"),
        ("rated_at", ">i8"),
        ("network_version", ">i4"),
    ],
    15,
)
_ACTIONS = {"entry": 0, "exit": 1, "board": 2}
_BOARD = 2


class _Columnars:
    """Columns by pricer: what they worked out once is true for as long as the pricer stands."""

    def __init__(self) -> None:
        self.lock = Lock()
        self._known: dict[int, tuple[Pricer, Columnar | None]] = {}

    def get(self, pricer: Pricer) -> Columnar | None:
        with self.lock:
            found = self._known.get(id(pricer))
            if found is None or found[0] is not pricer:
                if len(self._known) >= 50:
                    self._known.clear()
                found = self._known[id(pricer)] = pricer, columnar_for(pricer)
            return found[1]


_COLUMNARS = _Columnars()


def _columnar_of(pricer: Pricer) -> Columnar | None:
    return _COLUMNARS.get(pricer)
