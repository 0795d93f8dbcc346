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
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from operator import attrgetter
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
import numpy as np
import numpy.typing as npt
from psycopg.errors import UniqueViolation

from hansa import trust
from hansa.kernel import Directory, new_id
from hansa.rides import tap_runs_store
from hansa.rides.actions import AHEAD_MAX, BEFORE_ALL, EXPIRED_MAX, stands_at, stops_to_name
from hansa.rides.model import TAPS_MAX
from hansa.rides.tap_runs import RECORD, SPOT, Place, place_id_of, records_of
from hansa.rides.tap_runs_store import Clash, keep_payers, keep_places
from hansa.store import Context, StoreBusy, Tx
from hansa.store.copying import POSTGRES_EPOCH_US, us_of

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


class Known(Exception):
    """A number is taken, or not above all that its gate handed in: ``record_taps`` finds out."""


def take_in(ctx: Context, batches: Sequence[PlainBatch]) -> list[int | None]:
    """Keep these batches in one transaction; gives how many taps each had, or None for one that is not plain.

    Of a batch that is not plain nothing is kept. Errors: StoreUnavailable and the like, and nothing is kept.
    """
    try:
        with ctx.tx() as tx:
            kept = _Taking(tx, ctx.directory, ctx.clock.now()).take(batches)
    except (Known, Clash, UniqueViolation, StoreBusy):
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

# Of a payer that is known its id, else 0: told apart by all that it is, and not by its digest alone.
FIND_TOKENS = """
select string_agg(
    t.cti || uuid_send(t.account_id) || int8send((extract(epoch from t.expires_at) * 1000000)::bigint)
        || int8send(coalesce(p.payer_id, 0)), ''::bytea
)
from rides.tokens t
left join rides.tap_payers p on p.issuer_id = t.issuer_id and p.wallet_currency = t.wallet_currency
    and p.rider_class = t.rider_class
where t.cti = any(%s::bytea[]) and length(t.cti) = 8
"""

_TOKEN = np.dtype([("cti", ">u8"), ("account", "V16"), ("expires_us", ">i8"), ("payer", ">i8")])


@dataclass(frozen=True, slots=True)
class _Part:
    """Some taps of a batch, ready to be kept. gates: of each record, as its place in ``gate_ids``."""

    records: npt.NDArray[Any]
    partitions: Int64
    gate_ids: list[str]
    gates: Int64


class _Taking:
    """Batches while one transaction takes them in."""

    def __init__(self, tx: Tx, directory: Directory, now: datetime) -> None:
        self._tx, self._directory, self._now = tx, directory, now
        self._parts: list[_Part] = []
        self._places: dict[Place, int] = {}

    def take(self, batches: Sequence[PlainBatch]) -> list[int | None]:
        """See ``take_in``. Errors: Known, UniqueViolation, Clash, and StoreBusy; nothing is kept then."""
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
        for _ in range(2):
            row = self._tx.execute(FIND_TOKENS, (wanted,), binary=True).fetchone()
            assert row is not None, "an aggregate has a row"
            found = np.frombuffer(row[0] or b"", _TOKEN)
            new = found["cti"][found["payer"] == 0].astype(">u8").tobytes()
            if not new:
                return found[np.argsort(found["cti"])]
            keep_payers(self._tx, [new[at : at + 8] for at in range(0, len(new), 8)])
        raise Clash

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
        records = np.empty(len(taps), RECORD)
        records["account"], records["payer"] = own["account"], own["payer"]
        records["tap_id"] = np.frombuffer(taps.tap_ids, "V16")
        records["place"] = self._place_ids(taps, found)[taps.gates]
        records["tapped_at"] = taps.tapped_us - POSTGRES_EPOCH_US
        records["made_at"] = taps.made_us - POSTGRES_EPOCH_US
        records["sequence"] = taps.sequences
        records["cti"] = ctis
        records["counter"] = taps.counters
        records["kid"] = np.frombuffer(taps.kids, "V4")
        records["list_version"] = taps.list_versions
        records["chain"] = np.frombuffer(taps.chains, "V32")
        records["digest"] = np.frombuffer(taps.digests, "V16")
        records["companion"] = taps.companions
        partitions = self._partitions(records["account"])
        self._parts.append(_Part(records, partitions, [gate.gate_id for gate in found], taps.gates))
        return len(taps)

    def _place_ids(self, taps: TapColumns, gates: Sequence[trust.GateRecord]) -> Int64:
        """The id of each of the batch's places."""
        ids: list[int] = []
        for gate, (_, _, stop) in zip(gates, taps.places, strict=True):
            place = Place(
                gate.gate_id, gate.operator_id, gate.action, stop or gate.stop_id, gate.line_id, gate.product
            )
            found = self._places.get(place)
            if found is None:
                found = self._places[place] = place_id_of(place)
            ids.append(found)
        return np.array(ids, np.int64)

    def _partitions(self, accounts: npt.NDArray[Any]) -> Int64:
        """Where each account's rows lie."""
        served = self._directory.partitions
        if served.count(served[0]) == len(served):
            return np.full(len(accounts), served[0], np.int64)
        joined = accounts.tobytes()
        hashed = b"".join([sha256(joined[at : at + 16]).digest() for at in range(0, len(joined), 16)])
        buckets = np.frombuffer(hashed, ">u2")[::16] >> 4
        return np.array(served, np.int64)[buckets]

    def _write(self) -> None:
        """Write one run for each partition, and which numbers of which gates are taken.

        All in order, so that two transactions never wait for each other.
        """
        if not self._parts:
            return
        names = sorted({gate_id for part in self._parts for gate_id in part.gate_ids})
        number_of = {gate_id: number for number, gate_id in enumerate(names)}
        gates = np.concatenate(
            [
                np.array([number_of[one] for one in part.gate_ids], np.int64)[part.gates]
                for part in self._parts
            ]
        )
        records = records_of(b"".join([part.records.tobytes() for part in self._parts]))
        partitions = np.concatenate([part.partitions for part in self._parts])
        order = np.lexsort((records["sequence"].astype(np.int64), gates))
        records, gates, partitions = records[order], gates[order], partitions[order]
        run_id = new_id()
        keep_places(self._tx, list(self._places))
        spots = np.empty(len(records), SPOT)
        spots["partition"] = partitions
        runs: list[tuple[int, npt.NDArray[Any]]] = []
        for partition in np.unique(partitions).tolist():
            own = np.flatnonzero(partitions == partition)
            spots["number"][own] = np.arange(len(own))
            runs.append((partition, own))
        self._take_numbers(names, gates, records["sequence"].astype(np.int64), run_id, spots.tobytes())
        for partition, own in runs:
            received_us = us_of(self._now) - POSTGRES_EPOCH_US
            tap_runs_store.add_run(self._tx, partition, run_id, received_us, records[own])

    def _take_numbers(
        self, names: list[str], gates: Int64, sequences: Int64, run_id: UUID, spots: bytes
    ) -> None:
        """Take the numbers as spans without a gap. Errors: Known, when one is not above its gate's last."""
        opens = np.ones(len(gates), np.bool_)
        opens[1:] = (gates[1:] != gates[:-1]) | (np.diff(sequences) != 1)
        starts = np.flatnonzero(opens)
        ends = np.append(starts[1:], len(gates)) - 1
        own, first, last = gates[starts], sequences[starts], sequences[ends]
        known = tap_runs_store.heads_of(self._tx, names)
        heads = np.array([known.get(name, 0) for name in names], np.int64)
        after = np.empty(len(starts), np.int64)
        fresh = np.ones(len(starts), np.bool_)
        fresh[1:] = own[1:] != own[:-1]
        after[fresh] = heads[own[fresh]]
        after[1:][~fresh[1:]] = last[:-1][~fresh[1:]]
        if (first <= after).any():
            raise Known
        tap_runs_store.add_spans(
            self._tx,
            [names[one] for one in own.tolist()],
            after=after,
            first=first,
            last=last,
            run_id=run_id,
            spots=spots,
        )


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
