"""Plain batches of taps taken in by the column: what ``record_taps`` does with them, at a fraction of its cost.

Most batches are plain: every tap is new, written as the gate library writes it, and there is nothing to say against it.
Then it is enough to look at whole columns, and to hand their rows to PostgreSQL as the bytes that it takes in with
least work. At the least doubt nothing is kept and nothing is said here, and ``record_taps`` decides tap by tap. The
tests hold the two equal.
Source: PostgreSQL documentation, COPY, "Binary Format".
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from operator import attrgetter
from typing import Annotated, Any, Literal

import msgspec
import numpy as np
import numpy.typing as npt
from psycopg.errors import UniqueViolation

from hansa import trust
from hansa.kernel import Directory
from hansa.rides.actions import AHEAD_MAX, BEFORE_ALL, EXPIRED_MAX, stands_at, stops_to_name
from hansa.rides.model import TAPS_MAX
from hansa.rides.tariffs import Tariffs
from hansa.store import Context, StoreBusy, Tx
from hansa.store.copying import (
    HEADER,
    POSTGRES_EPOCH_US,
    TRAILER,
    array_text,
    head_of,
    instant_of,
    texts,
    us_of,
    uuid_array_text,
)

Int64 = npt.NDArray[np.int64]
Octets = npt.NDArray[np.uint8]

_Number = Annotated[int, msgspec.Meta(ge=0, le=2_147_483_647)]


class _Row(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """A tap as it is written; the texts are looked at by the column."""

    tap_id: str
    gate_id: str
    sequence: Annotated[int, msgspec.Meta(ge=1, le=9_007_199_254_740_991)]
    action: Literal["entry", "exit", "board"]
    stop_id: str | None
    tapped_at: str
    cti: str
    counter: _Number
    kid: str
    made_at: str
    list_version: _Number
    chain: str
    companion: Annotated[int, msgspec.Meta(ge=0, le=15)] = 0


class _Rows(msgspec.Struct, frozen=True, gc=False):
    taps: list[_Row]


_DECODER = msgspec.json.Decoder(_Rows)
_FIELDS = attrgetter(*_Row.__struct_fields__)


@dataclass(frozen=True, slots=True)
class TapColumns:
    """A batch as columns, in the order given. Instants are microseconds since 1970, ids and digests their bytes.

    gates: gate and stop of each tap, as its place in ``places``.
    """

    places: tuple[tuple[str, str, str | None], ...]
    gates: Int64
    sequences: Int64
    tap_ids: bytes
    tapped_us: Int64
    ctis: bytes
    counters: Int64
    kids: bytes
    made_us: Int64
    list_versions: Int64
    chains: bytes
    companions: Int64
    digests: bytes

    def __len__(self) -> int:
        return len(self.gates)


@dataclass(frozen=True, slots=True)
class PlainBatch:
    """Columns, and who hands them in: the one gate that speaks, and whose gates these must be; None where any may."""

    taps: TapColumns
    gate_id: str | None
    operator_id: str | None


def read_columns(body: bytes) -> TapColumns | None:
    """The batch in a body of ``POST /v1/taps``; None when anything in it is not as the gate library writes it.

    Each tap has an id made from its gate, number and instant, and no two have the same gate and number.
    """
    try:
        rows = _DECODER.decode(body).taps
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if not 0 < len(rows) <= TAPS_MAX:
        return None
    columns = list(zip(*map(_FIELDS, rows), strict=True))
    (
        ids,
        gate_ids,
        sequences,
        actions,
        stops,
        tapped,
        ctis,
        counters,
        kids,
        made,
        versions,
        chains,
        companions,
    ) = columns
    tap_ids = _uuids(ids)
    cti_bytes, kid_bytes, chain_bytes = _hex(ctis, 8), _hex(kids, 4), _hex(chains, 32)
    tapped_us, made_us = _instants(tapped), _instants(made)
    if (
        tap_ids is None
        or cti_bytes is None
        or kid_bytes is None
        or chain_bytes is None
        or tapped_us is None
        or made_us is None
        or len(set(zip(gate_ids, sequences, strict=True))) < len(rows)
    ):
        return None
    if not all(map(_NAME.fullmatch, {*gate_ids, *(stop for stop in stops if stop is not None)})):
        return None
    where: dict[tuple[str, str, str | None], int] = {}
    gates = [where.setdefault(place, len(where)) for place in zip(gate_ids, actions, stops, strict=True)]
    tapped_s = (tapped_us / 1e6).tolist()
    tapped_texts = list(map(repr, tapped_s))
    if _ids_of(gate_ids, sequences, tapped_texts, tapped_us) != tap_ids:
        return None
    return TapColumns(
        places=tuple(where),
        gates=np.array(gates, np.int64),
        sequences=np.array(sequences, np.int64),
        tap_ids=tap_ids,
        tapped_us=tapped_us,
        ctis=cti_bytes,
        counters=np.array(counters, np.int64),
        kids=kid_bytes,
        made_us=made_us,
        list_versions=np.array(versions, np.int64),
        chains=chain_bytes,
        companions=np.array(companions, np.int64),
        digests=_digests(
            *(ids, actions, stops, tapped_texts, ctis, counters),
            *(kids, list(map(repr, (made_us / 1e6).tolist())), versions, chains, companions),
        ),
    )


def take_in(ctx: Context, batches: Sequence[PlainBatch]) -> list[int | None]:
    """Keep these batches in one transaction; gives how many taps each had, or None for one that is not plain.

    Of a batch that is not plain nothing is kept. Errors: StoreUnavailable and the like, and nothing is kept.
    """
    try:
        with ctx.tx() as tx:
            kept = _Taking(tx, ctx.directory, ctx.clock.now()).take(batches)
    except (UniqueViolation, StoreBusy):
        if len(batches) == 1:
            return [None]
        return [took for batch in batches for took in take_in(ctx, [batch])]
    return kept


# -- reading ------------------------------------------------------------------------------------------------

_NAME = re.compile(r"[^\x00-\x1f]{1,200}")
_HEX = b"0123456789abcdef"
_ZERO, _NINE = 48, 57
_PATTERN = b"0000-00-00T00:00:00.000000Z"
_DIGITS = np.array([one == _ZERO for one in _PATTERN])
_SIGNS = np.frombuffer(_PATTERN, np.uint8)[~_DIGITS]
_FIRST_US, _LAST_US = (int(datetime(year, 1, 1, tzinfo=UTC).timestamp()) * 1_000_000 for year in (1970, 2200))


def _hex(texts: Sequence[str], octets: int) -> bytes | None:
    """All of them as bytes, one after another; None unless each is so many bytes in small hex digits."""
    if set(map(len, texts)) != {2 * octets}:
        return None
    joined = "".join(texts)
    if not joined.isascii() or joined.encode().translate(None, _HEX):
        return None
    return bytes.fromhex(joined)


def _uuids(texts: Sequence[str]) -> bytes | None:
    """All of them as bytes; None unless each is written in small digits with its four hyphens."""
    if set(map(len, texts)) != {36}:
        return None
    joined = "".join(texts)
    if not joined.isascii():
        return None
    letters = np.frombuffer(joined.encode(), np.uint8).reshape(-1, 36)
    if (letters[:, [8, 13, 18, 23]] != ord("-")).any():
        return None
    digits = np.delete(letters, [8, 13, 18, 23], axis=1).tobytes()
    return None if digits.translate(None, _HEX) else bytes.fromhex(digits.decode())


def _instants(texts: Sequence[str]) -> Int64 | None:
    """All of them as microseconds since 1970; None unless each is in UTC, of the years 1970 to 2199, and ends in Z."""
    lengths = set(map(len, texts))
    if not lengths <= {20, 27}:
        return None
    if 20 in lengths:
        texts = [text if len(text) == 27 else f"{text[:19]}.000000{text[19:]}" for text in texts]
    joined = "".join(texts)
    if not joined.isascii():
        return None
    letters = np.frombuffer(joined.encode(), np.uint8).reshape(-1, 27)
    digits = letters[:, _DIGITS]
    if (letters[:, ~_DIGITS] != _SIGNS).any() or (digits < _ZERO).any() or (digits > _NINE).any():
        return None
    try:
        instants = np.ascontiguousarray(letters[:, :26]).view("S26").ravel().astype("datetime64[us]")
    except ValueError:  # a day or an hour that there is not
        return None
    us = instants.astype(np.int64)
    return us if us.min() >= _FIRST_US and us.max() < _LAST_US else None


def _ids_of(
    gate_ids: Sequence[str], sequences: Sequence[int], tapped_texts: Sequence[str], tapped_us: Int64
) -> bytes:
    """``fact_id`` of each (instant, gate, number), as bytes."""
    heads: dict[str, bytes] = {}
    for gate_id in set(gate_ids):
        name = gate_id.encode()
        heads[gate_id] = len(name).to_bytes(4, "big") + name
    lengths = [length.to_bytes(4, "big") for length in range(20)]
    numbers = [b"%d" % sequence for sequence in sequences]
    hashed = b"".join(
        [
            sha256(heads[gate_id] + lengths[len(number)] + number + text.encode()).digest()
            for gate_id, number, text in zip(gate_ids, numbers, tapped_texts, strict=True)
        ]
    )
    ids = np.empty((len(gate_ids), 16), np.uint8)
    milliseconds = (tapped_us / 1e6 * 1000).astype(np.int64).astype(">i8")
    ids[:, :6] = milliseconds.view(np.uint8).reshape(-1, 8)[:, 2:]
    ids[:, 6:] = np.frombuffer(hashed, np.uint8).reshape(-1, 32)[:, :10]
    ids[:, 6] = ids[:, 6] & 0x0F | 0x80
    ids[:, 8] = ids[:, 8] & 0x3F | 0x80
    return ids.tobytes()


def _digests(
    ids: Sequence[str],
    actions: Sequence[str],
    stops: Sequence[str | None],
    tapped: Sequence[str],
    ctis: Sequence[str],
    counters: Sequence[int],
    kids: Sequence[str],
    made: Sequence[str],
    versions: Sequence[int],
    chains: Sequence[str],
    companions: Sequence[int],
) -> bytes:
    """``tap_digest`` of each, one after another."""
    bodies = [
        f"{tap_id.replace('-', '')}|{action}|{stop}|{at}|{cti}|{counter}|{kid}|{made_at}|{version}|{chain}"
        for tap_id, action, stop, at, cti, counter, kid, made_at, version, chain in zip(
            ids, actions, stops, tapped, ctis, counters, kids, made, versions, chains, strict=True
        )
    ]
    if any(companions):
        bodies = [
            f"{body}|{companion}" if companion else body
            for body, companion in zip(bodies, companions, strict=True)
        ]
    return b"".join([sha256(body.encode()).digest()[:16] for body in bodies])


# -- keeping ------------------------------------------------------------------------------------------------

FIND_TOKENS = """
select string_agg(
    cti || uuid_send(account_id) || int8send((extract(epoch from expires_at) * 1000000)::bigint), ''::bytea
    order by cti
)
from rides.tokens
where cti = any(%s::bytea[]) and length(cti) = 8
"""

COPY_NUMBERS = (
    "copy rides.tap_numbers (sequence, digest, partition, tap_id, gate_id) from stdin (format binary)"
)

COPY_TAPS = """
copy rides.taps (partition, tap_id, account_id, sequence, tapped_at, cti, counter, kid, made_at, list_version, chain,
    companion, received_at, operator_id, gate_id, action, stop_id, line_id, product)
from stdin (format binary)
"""

MARK_DAYS = """
insert into rides.dirty_days (partition, account_id, operator_id, service_day, due_at)
select distinct g.partition, g.account_id, d.operator_id, d.service_day, %s::timestamptz
from unnest(%s::smallint[], %s::uuid[], %s::integer[]) as g (partition, account_id, day)
join unnest(%s::text[], %s::date[]) with ordinality as d (operator_id, service_day, day) on d.day = g.day
order by 1, 2, 3, 4
on conflict (partition, account_id, operator_id, service_day)
    do update set due_at = excluded.due_at where dirty_days.due_at > excluded.due_at
"""

_TOKEN = np.dtype([("cti", ">u8"), ("account", "V16"), ("expires_us", ">i8")])

_NUMBER, _NUMBER_ROW = head_of(
    [("sequence", ">i8"), ("digest", "V16"), ("partition", ">i2"), ("tap_id", "V16")], 1
)
_TAP, _TAP_ROW = head_of(
    [
        ("partition", ">i2"),
        ("tap_id", "V16"),
        ("account", "V16"),
        ("sequence", ">i8"),
        ("tapped_at", ">i8"),
        ("cti", "V8"),
        ("counter", ">i4"),
        ("kid", "V4"),
        ("made_at", ">i8"),
        ("list_version", ">i4"),
        ("chain", "V32"),
        ("companion", ">i2"),
        ("received_at", ">i8"),
    ],
    6,
)


class _Taking:
    """Batches while one transaction takes them in."""

    def __init__(self, tx: Tx, directory: Directory, now: datetime) -> None:
        self._tx, self._directory, self._now = tx, directory, now
        self._tariffs = Tariffs(tx)
        self._numbers: list[tuple[str, int, bytes]] = []
        self._rows: list[bytes] = []
        self._day_numbers: dict[tuple[str, date], int] = {}
        self._day_partitions: list[Int64] = []
        self._day_accounts: list[bytes] = []
        self._days: list[Int64] = []

    def take(self, batches: Sequence[PlainBatch]) -> list[int | None]:
        """See ``take_in``. Errors: UniqueViolation when a tap is known, and StoreBusy; nothing is kept then."""
        gate_ids = {place[0] for batch in batches for place in batch.taps.places}
        gates = trust.find_gates(self._tx, gate_ids)
        stops = stops_to_name(
            self._tx,
            [(place[0], place[2]) for batch in batches for place in batch.taps.places],
            gates,
        )
        tokens = self._tokens(b"".join(batch.taps.ctis for batch in batches))
        kept = [self._add(batch, gates, stops, tokens) for batch in batches]
        self._write()
        return kept

    def _tokens(self, ctis: bytes) -> npt.NDArray[Any]:
        """Those of the tokens that are known, in order of their id."""
        digits = ctis.hex()
        wanted = "{" + ",".join([rf'"\\x{digits[at : at + 16]}"' for at in range(0, len(digits), 16)]) + "}"
        row = self._tx.execute(FIND_TOKENS, (wanted,), binary=True).fetchone()
        assert row is not None, "an aggregate has a row"
        return np.frombuffer(row[0] or b"", _TOKEN)

    def _add(
        self,
        batch: PlainBatch,
        gates: dict[str, trust.GateRecord],
        stops: dict[str, frozenset[str]],
        tokens: npt.NDArray[Any],
    ) -> int | None:
        """Make the rows of a batch ready, if it is plain."""
        taps = batch.taps
        records = [_gate_of(batch, place, gates, stops) for place in taps.places]
        found = [record for record in records if record is not None]
        if len(found) < len(records):
            return None
        now_us = us_of(self._now)
        first_us, last_us = int(taps.tapped_us.min()), int(taps.tapped_us.max())
        if first_us < us_of(BEFORE_ALL) or last_us > now_us + AHEAD_MAX // timedelta(microseconds=1):
            return None
        ctis = np.frombuffer(taps.ctis, ">u8")
        if not len(tokens):
            return None
        places = np.minimum(np.searchsorted(tokens["cti"], ctis), len(tokens) - 1)
        own = tokens[places]
        if (own["cti"] != ctis).any() or (
            taps.tapped_us - EXPIRED_MAX // timedelta(microseconds=1) > own["expires_us"]
        ).any():
            return None
        accounts = np.ascontiguousarray(own["account"])
        partitions = self._partitions(accounts)
        self._add_rows(taps, found, accounts, partitions, now_us)
        self._add_days(taps, found, accounts, partitions)
        return len(taps)

    def _partitions(self, accounts: npt.NDArray[Any]) -> Int64:
        """Where each account's rows lie."""
        served = self._directory.partitions
        if served.count(served[0]) == len(served):
            return np.full(len(accounts), served[0], np.int64)
        joined = accounts.tobytes()
        buckets = [
            int.from_bytes(sha256(joined[at : at + 16]).digest()[:2], "big") >> 4
            for at in range(0, len(joined), 16)
        ]
        return np.array([served[bucket] for bucket in buckets], np.int64)

    def _add_rows(
        self,
        taps: TapColumns,
        gates: Sequence[trust.GateRecord],
        accounts: npt.NDArray[Any],
        partitions: Int64,
        now_us: int,
    ) -> None:
        count = len(taps)
        rows = np.frombuffer(_TAP_ROW * count, _TAP).copy()
        rows["partition"] = partitions
        rows["tap_id"] = np.frombuffer(taps.tap_ids, "V16")
        rows["account"] = accounts
        rows["sequence"] = taps.sequences
        rows["tapped_at"] = taps.tapped_us - POSTGRES_EPOCH_US
        rows["cti"] = np.frombuffer(taps.ctis, "V8")
        rows["counter"] = taps.counters
        rows["kid"] = np.frombuffer(taps.kids, "V4")
        rows["made_at"] = taps.made_us - POSTGRES_EPOCH_US
        rows["list_version"] = taps.list_versions
        rows["chain"] = np.frombuffer(taps.chains, "V32")
        rows["companion"] = taps.companions
        rows["received_at"] = now_us - POSTGRES_EPOCH_US
        places = taps.gates.tolist()
        tails = [
            texts(
                gate.operator_id, gate.gate_id, gate.action, stop or gate.stop_id, gate.line_id, gate.product
            )
            for gate, (_, _, stop) in zip(gates, taps.places, strict=True)
        ]
        heads, size = rows.tobytes(), _TAP.itemsize
        self._rows += [
            part
            for at, place in zip(range(0, count * size, size), places, strict=True)
            for part in (heads[at : at + size], tails[place])
        ]

        numbers = np.frombuffer(_NUMBER_ROW * count, _NUMBER).copy()
        numbers["sequence"] = taps.sequences
        numbers["digest"] = np.frombuffer(taps.digests, "V16")
        numbers["partition"] = partitions
        numbers["tap_id"] = rows["tap_id"]
        heads, size = numbers.tobytes(), _NUMBER.itemsize
        names = [gate.gate_id for gate in gates]
        tails = [texts(name) for name in names]
        self._numbers += [
            (names[place], sequence, heads[at : at + size] + tails[place])
            for at, place, sequence in zip(
                range(0, count * size, size), places, taps.sequences.tolist(), strict=True
            )
        ]

    def _add_days(
        self,
        taps: TapColumns,
        gates: Sequence[trust.GateRecord],
        accounts: npt.NDArray[Any],
        partitions: Int64,
    ) -> None:
        """Note which service days are to be rated."""
        operators = [gate.operator_id for gate in gates]
        for operator_id in sorted(set(operators)):
            if not self._tariffs.knows(operator_id):
                continue
            chosen = np.array([one == operator_id for one in operators])[taps.gates]
            tapped_us = taps.tapped_us[chosen]
            own_accounts, own_partitions = accounts[chosen], partitions[chosen]
            while len(tapped_us):
                day = self._tariffs.day_of(operator_id, instant_of(int(tapped_us[0])))
                starts_at, ends_at = self._tariffs.bounds(operator_id, day)
                inside = (tapped_us >= us_of(starts_at)) & (tapped_us < us_of(ends_at))
                number = self._day_numbers.setdefault((operator_id, day), len(self._day_numbers) + 1)
                self._day_accounts.append(own_accounts[inside].tobytes())
                self._day_partitions.append(own_partitions[inside])
                self._days.append(np.full(int(inside.sum()), number, np.int64))
                tapped_us = tapped_us[~inside]
                own_accounts, own_partitions = own_accounts[~inside], own_partitions[~inside]

    def _write(self) -> None:
        """Write all rows. Numbers and days go in order, so that two transactions never wait for each other."""
        if not self._rows:
            return
        self._numbers.sort()
        with self._tx.cursor() as cursor:
            with cursor.copy(COPY_NUMBERS) as copy:
                copy.write(b"".join((HEADER, *(row for _, _, row in self._numbers), TRAILER)))
            with cursor.copy(COPY_TAPS) as copy:
                copy.write(b"".join((HEADER, *self._rows, TRAILER)))
            if self._days:
                values = (
                    self._now,
                    array_text(np.concatenate(self._day_partitions).tolist()),
                    uuid_array_text(b"".join(self._day_accounts)),
                    array_text(np.concatenate(self._days).tolist()),
                    [operator_id for operator_id, _ in self._day_numbers],
                    [day for _, day in self._day_numbers],
                )
                cursor.execute(MARK_DAYS, values)


def _gate_of(
    batch: PlainBatch,
    place: tuple[str, str, str | None],
    gates: dict[str, trust.GateRecord],
    stops: dict[str, frozenset[str]],
) -> trust.GateRecord | None:
    """The gate, if it may make such taps and this caller may hand them in."""
    gate_id, action, stop_id = place
    gate = gates.get(gate_id)
    if (
        gate is None
        or action != gate.action
        or batch.gate_id not in (None, gate_id)
        or batch.operator_id not in (None, gate.operator_id)
        or (stop_id is not None and not stands_at(gate, stop_id, stops))
    ):
        return None
    return gate
