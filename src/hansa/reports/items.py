"""Item files: every item of a member's window, for hundreds of members in one reading of the journal.

The journal is read once, by the column; each item goes to the member on either side of its position. What waits to be
written is bounded, so memory does not grow with the window. On the way the items are added up by position and code, and
the sums are what the statements are made from.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from errno import EMFILE
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt

from hansa import clearing, ledger
from hansa.kernel import HansaError
from hansa.reports.model import FiguresDiffer, KindSum, PositionKey
from hansa.reports.products import CLEARINGS_OWN, kind_of
from hansa.reports.statements import key_of

ItemForm = Literal["parquet", "csv"]

WAITING_MAX = 1_000_000
"""Items of all members together that wait to be written: about 80 bytes each."""

_EPOCH_US = 946_684_800_000_000

_ITEM = np.dtype(
    [
        ("transfer_id", "V16"),
        ("reference", "V16"),
        ("place", "i8"),
        ("event_us", "i8"),
        ("booked_us", "i8"),
        ("minor", "i8"),
        ("position", "i4"),
        ("code", "i2"),
        ("owes", "i1"),
    ]
)

Items = npt.NDArray[Any]
"""Items as a member sees them. minor: what it adds to what the member is to receive. owes: 1 on the issuer's side."""


Blocks = Mapping[tuple[str, str, str, int], Mapping[int, int]]
"""After which block a window's items stand, by issuer, operator, currency and partition, and by code."""


class TooManyFiles(HansaError):
    """This machine does not let so many files be open at once as there are members. Name fewer, or raise the limit."""

    code: ClassVar[str] = "reports.too_many_files"
    status: ClassVar[int] = 503


@dataclass(slots=True)
class Sides:
    """Positions of a window as columns: who they are between, and for which members items are written."""

    keys: list[PositionKey]
    issuers: list[str]
    operators: list[str]
    members: list[str]
    debtors: npt.NDArray[np.int32]
    creditors: npt.NDArray[np.int32]

    @classmethod
    def of(cls, positions: Sequence[clearing.Position], members: Sequence[str]) -> Self:
        """members: who gets a file; a position's items go to the two that clear it, where they are among these."""
        places = {member: place for place, member in enumerate(members)}
        return cls(
            [key_of(one) for one in positions],
            [one.issuer_id for one in positions],
            [one.operator_id for one in positions],
            list(members),
            np.array([places.get(one.debtor_id, -1) for one in positions], np.int32),
            np.array([places.get(one.creditor_id, -1) for one in positions], np.int32),
        )


class PositionFinder:
    """Finds which position an account is, for whole columns of accounts of one partition."""

    def __init__(self, keys: Sequence[PositionKey], partition: int) -> None:
        ids = b"".join(clearing.position_account(*key, partition).bytes for key in keys)
        halves = np.frombuffer(ids, ">u8").astype(np.uint64).reshape(-1, 2)
        self._order = np.argsort(halves[:, 1], kind="stable")
        self._high, self._low = halves[self._order, 0], halves[self._order, 1]

    def find(self, accounts: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
        """The place of each account's position among the keys; -1 where it is none."""
        if not len(self._low):
            return np.full(len(accounts), -1)
        halves = np.ascontiguousarray(accounts).view(">u8").astype(np.uint64).reshape(-1, 2)
        at = np.searchsorted(self._low, halves[:, 1])
        at[at == len(self._low)] = 0
        hit = (self._low[at] == halves[:, 1]) & (self._high[at] == halves[:, 0])
        return np.where(hit, self._order[at], -1)


class Taken:
    """Which items a window took in one partition: those of some codes on a position, after a block of each."""

    def __init__(self, keys: Sequence[PositionKey], blocks: Blocks, partition: int, after_block: int) -> None:
        """after_block: of the window, for one of which clearing kept no blocks: it took all."""
        rows = sorted(
            (place << 16 | code, after)
            for place, key in enumerate(keys)
            for code, after in blocks.get((*key, partition), {}).items()
        )
        self.all = not blocks
        self._keys = np.array([key for key, _ in rows], np.int64)
        self._after = np.array([after for _, after in rows], np.int64)
        self.after_block = after_block if self.all else min((after for _, after in rows), default=None)

    def __call__(self, items: Items) -> Items:
        """Those of these items that the window took."""
        if self.all or not len(items):
            return items
        if not len(self._keys):
            return items[:0]
        keys = items["position"].astype(np.int64) << 16 | items["code"].astype(np.int64)
        at = np.searchsorted(self._keys, keys)
        at[at == len(self._keys)] = 0
        return items[(self._keys[at] == keys) & (items["place"] >> 16 > self._after[at])]


def items_in(rows: ledger.Journal, finder: PositionFinder) -> Items:
    """The items among these transfers, one for each position that a transfer stands on, in order of booking.

    minor: as it adds to what the issuer owes; owes is not set yet.
    """
    codes = rows["code"]
    mine = ~np.isin(codes, np.array(CLEARINGS_OWN))
    parts: list[Items] = []
    for column, sign in (("debit", -1), ("credit", 1)):
        positions = finder.find(rows[column])
        which = np.flatnonzero((positions >= 0) & mine)
        made = np.zeros(len(which), _ITEM)
        made["transfer_id"] = np.ascontiguousarray(rows["transfer_id"][which]).view("V16")
        made["reference"] = np.ascontiguousarray(rows["reference"][which]).view("V16")
        for name in ("place", "event_us", "booked_us", "code"):
            made[name] = rows[name][which]
        made["minor"] = sign * rows["amount"][which]
        made["position"] = positions[which]
        parts.append(made)
    both = np.concatenate(parts)
    return both[np.argsort(both["place"], kind="stable")]


class Summing:
    """Adds items up by position and code, exactly."""

    def __init__(self) -> None:
        self._sums: dict[tuple[int, int], tuple[int, int]] = {}

    def add(self, items: Items) -> None:
        """Errors: FiguresDiffer where so much is moved at once that 64 bits do not hold it."""
        if not len(items):
            return
        if float(np.abs(items["minor"]).sum(dtype=np.float64)) >= 2**62:
            raise FiguresDiffer("A part of the window moves more than 64 bits hold.")
        keys = items["position"].astype(np.int64) << 16 | items["code"].astype(np.int64)
        order = np.argsort(keys, kind="stable")
        found, starts, counts = np.unique(keys[order], return_index=True, return_counts=True)
        sums = np.add.reduceat(items["minor"][order], starts)
        for key, count, minor in zip(found.tolist(), counts.tolist(), sums.tolist(), strict=True):
            at = key >> 16, key & 0xFFFF
            before = self._sums.get(at, (0, 0))
            self._sums[at] = (before[0] + count, before[1] + minor)

    def by_position(self, keys: Sequence[PositionKey]) -> dict[PositionKey, list[KindSum]]:
        """The sums, by position."""
        found: dict[PositionKey, list[KindSum]] = {}
        for (place, code), (count, minor) in sorted(self._sums.items()):
            found.setdefault(keys[place], []).append(KindSum(code, count, minor))
        return found


class ItemFiles:
    """The item files of a window's members, written side by side.

    An item stands in the file of the member that clears its issuer and in that of the one that clears its operator; in
    a member's own rides abroad and at home alike. Errors: TooManyFiles.
    """

    def __init__(self, folder: Path, sides: Sides, form: ItemForm) -> None:
        self._folder, self._sides = folder, sides
        self._form: ItemForm = form
        self._waiting: list[list[Items]] = [[] for _ in sides.members]
        self._count = 0
        self._writers: dict[int, _Writer] = {}
        self._names = _Names(sides)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._flush()
        for writer in self._writers.values():
            writer.close()

    @property
    def written(self) -> dict[str, int]:
        """How many items stand in each member's file."""
        return {self._sides.members[place]: writer.count for place, writer in sorted(self._writers.items())}

    def add(self, items: Items) -> None:
        """Items in order of booking, as they add to what the issuer owes."""
        parts: list[Items] = []
        members: list[npt.NDArray[np.int32]] = []
        for owes, clearers in ((1, self._sides.debtors), (0, self._sides.creditors)):
            who = clearers[items["position"]]
            mine = items[who >= 0].copy()
            mine["owes"] = owes
            if owes:
                mine["minor"] = -mine["minor"]
            parts.append(mine)
            members.append(who[who >= 0])
        both, who = np.concatenate(parts), np.concatenate(members)
        if not len(both):
            return  # nothing of these is anybody's here
        order = np.lexsort((both["place"], who))
        both, who = both[order], who[order]
        found, starts = np.unique(who, return_index=True)
        for member, one in zip(found.tolist(), np.split(both, starts[1:]), strict=True):
            self._waiting[member].append(one)
        self._count += len(both)
        if self._count >= WAITING_MAX:
            self._flush()

    def _flush(self) -> None:
        for member, waiting in enumerate(self._waiting):
            if waiting:
                writer = self._writers.get(member)
                if writer is None:
                    name = f"{self._sides.members[member]}.items.{self._form}"
                    writer = self._writers[member] = _open(self._folder / name, self._form, self._names)
                writer.write(np.concatenate(waiting))
                waiting.clear()
        self._count = 0


class _Names:
    """The words of items, each once: columns of items name them by their place."""

    def __init__(self, sides: Sides) -> None:
        import pyarrow as pa

        self._pa: Any = pa
        self._issuers = _places(sides.issuers)
        self._operators = _places(sides.operators)
        self._currencies = _places([currency for _, _, currency in sides.keys])
        self.schema: Any = pa.schema(
            [
                ("transfer_id", pa.string()),
                ("role", pa.dictionary(pa.int32(), pa.string())),
                ("issuer_id", pa.dictionary(pa.int32(), pa.string())),
                ("operator_id", pa.dictionary(pa.int32(), pa.string())),
                ("product", pa.dictionary(pa.int32(), pa.string())),
                ("kind", pa.dictionary(pa.int32(), pa.string())),
                ("currency", pa.dictionary(pa.int32(), pa.string())),
                ("amount_minor", pa.int64()),
                ("reference", pa.string()),
                ("event_at", pa.timestamp("us", "UTC")),
                ("booked_at", pa.timestamp("us", "UTC")),
                ("block", pa.int64()),
                ("position", pa.int32()),
            ],
            metadata={"amount_minor": "minor units of the currency; above zero the member receives"},
        )

    def table(self, items: Items) -> Any:
        """Items as an Arrow table."""
        pa = self._pa
        position = items["position"]
        codes, code_places = np.unique(items["code"], return_inverse=True)
        places = code_places.astype(np.int32)
        kinds = [kind_of(code) for code in codes.tolist()]
        columns = [
            self._uuids(items["transfer_id"]),
            self._worded(items["owes"].astype(np.int32), ["operator", "issuer"]),
            self._worded(self._issuers.places[position], self._issuers.words),
            self._worded(self._operators.places[position], self._operators.words),
            self._worded(places, [kind.product for kind in kinds]),
            self._worded(places, [kind.kind for kind in kinds]),
            self._worded(self._currencies.places[position], self._currencies.words),
            pa.array(items["minor"]),
            self._uuids(items["reference"], empty=True),
            pa.array(items["event_us"] + _EPOCH_US).cast(pa.timestamp("us", "UTC")),
            pa.array(items["booked_us"] + _EPOCH_US).cast(pa.timestamp("us", "UTC")),
            pa.array(items["place"] >> 16),
            pa.array((items["place"] & 0xFFFF).astype(np.int32)),
        ]
        return pa.Table.from_arrays(columns, schema=self.schema)

    def _worded(self, places: npt.NDArray[np.int32], words: Sequence[str]) -> Any:
        return self._pa.DictionaryArray.from_arrays(places, self._pa.array(words, self._pa.string()))

    def _uuids(self, ids: npt.NDArray[Any], *, empty: bool = False) -> Any:
        """Ids as people write them. empty: where there may be none, which is null."""
        pa = self._pa
        count = len(ids)
        digits = np.frombuffer(np.ascontiguousarray(ids).tobytes().hex().encode(), np.uint8).reshape(-1, 32)
        text = np.full((count, 36), ord("-"), np.uint8)
        for start, begin, end in ((0, 0, 8), (9, 8, 12), (14, 12, 16), (19, 16, 20), (24, 20, 32)):
            text[:, start : start + end - begin] = digits[:, begin:end]
        offsets = pa.py_buffer((np.arange(count + 1, dtype=np.int32) * 36).tobytes())
        valid = None
        if empty:
            valid = pa.array((digits != ord("0")).any(axis=1)).buffers()[1]
        return pa.StringArray.from_buffers(count, offsets, pa.py_buffer(text.tobytes()), valid)


@dataclass(frozen=True, slots=True)
class _Worded:
    """A column of few words. places: of each row's among the words."""

    words: list[str]
    places: npt.NDArray[np.int32]


def _places(values: Sequence[str]) -> _Worded:
    words = sorted(set(values))
    at = {word: place for place, word in enumerate(words)}
    return _Worded(words, np.array([at[value] for value in values], np.int32))


class _Writer:
    """One member's file of items."""

    def __init__(self, write: Callable[[Any], None], close: Callable[[], None], names: _Names) -> None:
        self.count = 0
        self._write, self.close, self._names = write, close, names

    def write(self, items: Items) -> None:
        self._write(self._names.table(items))
        self.count += len(items)


def _open(path: Path, form: ItemForm, names: _Names) -> _Writer:
    try:
        if form == "parquet":
            import pyarrow.parquet as pq

            # Statistics of every column are kept until a file is closed: of hundreds of files they would add up.
            writer: Any = pq.ParquetWriter
            made = writer(path, names.schema, compression="zstd", write_statistics=["booked_at"])
            return _Writer(made.write_table, made.close, names)
        file = path.open("xb", buffering=0)
    except OSError as error:
        if error.errno == EMFILE:
            raise TooManyFiles from error
        raise
    file.write((",".join(names.schema.names) + "\r\n").encode())
    return _Writer(lambda table: _write_csv(table, file.write), file.close, names)


def _write_csv(table: Any, write: Callable[[bytes], object]) -> None:
    """Rows as RFC 4180 has them. Arrow ends its lines with LF alone; no cell of ours holds one."""
    import pyarrow as pa
    import pyarrow.csv as pc

    sink: Any = pa.BufferOutputStream()
    pc.write_csv(table, sink, pc.WriteOptions(include_header=False, quoting_style="needed"))
    write(sink.getvalue().to_pybytes().replace(b"\n", b"\r\n"))
