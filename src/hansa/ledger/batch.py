"""A batch of transfers on its way to the decider: from ``Transfer`` objects, or from bytes of 128 each.

The bytes are how batches travel between processes: ``HTB1``, the number of records (4 bytes), one record per
transfer, all numbers big-endian, then the memos. What became of them travels back as two bytes for each, in order:
its number among ``RESULTS``, big-endian.
The records are also a NumPy array, of which whole columns are taken at once: that is where a batch's speed is.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import repeat
from struct import Struct
from typing import Any, overload
from uuid import UUID

import numpy as np
import numpy.typing as npt

from hansa.kernel import InvalidInput, Problem
from hansa.ledger.decide import INSTANT_MAX_US, INSTANT_MIN_US, LINKED, ZERO, Body
from hansa.ledger.model import (
    AMOUNT_MAX,
    CODE_MAX,
    MEMO_MAX,
    TAG_MAX,
    TIMEOUT_MAX_S,
    AccountId,
    ResultCode,
    Transfer,
    TransferCode,
    TransferFlag,
    TransferId,
)

Records = npt.NDArray[np.void]

_RESULTS = """
created linked_event_failed linked_event_chain_open linked_event_crosses_partitions amount_out_of_range
timeout_out_of_range tag_out_of_range code_out_of_range flags_out_of_range event_at_out_of_range
currency_must_be_a_code memo_must_be_short_text reserved_flag id_must_not_be_zero id_must_not_be_int_max
exists_with_different_flags exists_with_different_pending_id exists_with_different_timeout
exists_with_different_debit_account_id exists_with_different_credit_account_id exists_with_different_amount
exists_with_different_reference exists_with_different_event_at exists_with_different_tag
exists_with_different_memo exists_with_different_ledger exists_with_different_code exists
flags_are_mutually_exclusive debit_account_id_must_not_be_zero debit_account_id_must_not_be_int_max
credit_account_id_must_not_be_zero credit_account_id_must_not_be_int_max accounts_must_be_different
pending_id_must_be_zero pending_id_must_not_be_zero pending_id_must_not_be_int_max
pending_id_must_be_different timeout_reserved_for_pending_transfer closing_transfer_must_be_pending
ledger_must_not_be_zero code_must_not_be_zero debit_account_not_found credit_account_not_found
accounts_must_have_the_same_ledger transfer_must_have_the_same_ledger_as_accounts
pending_transfer_not_found pending_transfer_not_pending pending_transfer_has_different_debit_account_id
pending_transfer_has_different_credit_account_id pending_transfer_has_different_ledger
pending_transfer_has_different_code exceeds_pending_transfer_amount
pending_transfer_has_different_amount pending_transfer_already_posted pending_transfer_already_voided
pending_transfer_expired debit_account_already_closed credit_account_already_closed
overflows_debits_pending overflows_credits_pending overflows_debits_posted overflows_credits_posted
overflows_debits overflows_credits overflows_timeout exceeds_credits exceeds_debits
"""

RESULTS: tuple[ResultCode, ...] = tuple(map(ResultCode, _RESULTS.split()))
"""Every result by its number in the binary form, from 0. Numbers never change: a new result goes to the end."""

RESULT_NUMBERS: dict[ResultCode, int] = {code: number for number, code in enumerate(RESULTS)}

RECORD = np.dtype(
    [
        ("transfer_id", "V16"),
        ("debit", "V16"),
        ("credit", "V16"),
        ("amount_high", ">u8"),
        ("amount_low", ">u8"),
        ("pending_id", "V16"),
        ("reference", "V16"),
        ("event_us", ">i8"),
        ("tag", ">u4"),
        ("timeout_s", ">u4"),
        ("currency", "S3"),
        ("reserved", "V1"),
        ("code", ">u2"),
        ("flags", ">u2"),
        ("memo_bytes", ">u2"),
        ("partition", ">u2"),
        ("spare", "V4"),
    ]
)
"""One transfer in 128 bytes. event_us: microseconds since 1970 UTC. memo_bytes: length of its memo, which stands behind
all records in their order, as UTF-8. Reserved bytes are zero."""

assert RECORD.itemsize == 128, "a record's size is part of the wire format"

MAGIC = b"HTB1"
_HEADER = Struct(">4sI")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND = timedelta(microseconds=1)


_ID_COLUMNS = ("transfer_id", "debit", "credit")


@dataclass(frozen=True, slots=True)
class Batch:
    """Transfers in order. refused: those that no ``Body`` can say, by index, with the code that says why."""

    bodies: Sequence[Body]
    records: Records | None = None
    refused: dict[int, ResultCode] = field(default_factory=dict[int, ResultCode])
    _columns: dict[int, list[bytes]] = field(
        default_factory=dict[int, list[bytes]], compare=False, repr=False
    )

    def __len__(self) -> int:
        return len(self.bodies)

    def column(self, place: int) -> list[bytes]:
        """One id of each transfer. place: where it stands in a ``Body``: 0 transfer_id, 1 debit, 2 credit."""
        found = self._columns.get(place)
        if found is None:
            if self.records is None:
                found = [body[place] for body in self.bodies]  # pyright: ignore[reportAssignmentType]
            else:
                found = self.records[_ID_COLUMNS[place]].tolist()
            self._columns[place] = found  # pyright: ignore[reportArgumentType]
        return found  # pyright: ignore[reportReturnType]

    @property
    def has_memos(self) -> bool:
        if isinstance(self.bodies, RecordBodies):
            return self.bodies.memos is not None
        return any(body[12] for body in self.bodies)

    @property
    def is_open(self) -> bool:
        """Its last transfer is linked to a next one: whatever is decided after it would be taken for that."""
        if self.records is not None:
            return bool(len(self.records) and int(self.records["flags"][-1]) & LINKED)
        return bool(self.bodies and self.bodies[-1][11] & LINKED)


class RecordBodies(Sequence[Body]):
    """The bodies of these records, made when somebody first asks for one: most batches are decided by column.

    memos: of each record; None if all are empty.
    """

    __slots__ = ("_made", "_memos", "_records")

    def __init__(self, records: Records, memos: Sequence[str] | None = None) -> None:
        self._records = records
        self._memos = memos
        self._made: list[Body] | None = None

    def __len__(self) -> int:
        return len(self._records)

    @overload
    def __getitem__(self, index: int) -> Body: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Body]: ...
    def __getitem__(self, index: int | slice) -> Body | Sequence[Body]:
        return self._list()[index]

    def __iter__(self) -> Iterator[Body]:
        return iter(self._list())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and self._list() == list(other)  # pyright: ignore[reportUnknownArgumentType]

    __hash__ = None  # pyright: ignore[reportAssignmentType]

    @property
    def memos(self) -> Sequence[str] | None:
        """The memos alone; None if all are empty."""
        return self._memos

    def _list(self) -> list[Body]:
        if self._made is None:
            self._made = _bodies_of(self._records, self._memos)
        return self._made


def batch_of(transfers: Sequence[Transfer]) -> Batch:
    """The batch of these transfers."""
    try:
        bodies = [_body(transfer) for transfer in transfers]
    except (ValueError, OverflowError, TypeError, AttributeError):
        bodies, refused = [], dict[int, ResultCode]()
        for index, transfer in enumerate(transfers):
            code = _misfit(transfer)
            if code is not None:
                refused[index] = code
                transfer = _stand_in(transfer)
            bodies.append(_body(transfer))
        return Batch(bodies, None, refused)
    return Batch(bodies)


def batch_of_records(records: Records) -> Batch:
    """The batch of these records, of the form ``RECORD``, without memos."""
    return Batch(RecordBodies(records), records)


def _body(transfer: Transfer) -> Body:
    """Errors: ValueError for what does not fit; ``_misfit`` then says what."""
    amount, timeout_s, code, tag = transfer.amount, transfer.timeout_s, int(transfer.code), transfer.tag
    flags, memo = int(transfer.flags), transfer.memo
    if not (
        0 <= amount <= AMOUNT_MAX
        and 0 <= timeout_s <= TIMEOUT_MAX_S
        and 0 <= code <= CODE_MAX
        and 0 <= tag <= TAG_MAX
        and 0 <= flags < 1024
    ):
        raise ValueError
    if memo and not is_short_text(memo):
        raise ValueError
    pending_id, reference = transfer.pending_id, transfer.reference
    return (
        transfer.transfer_id.bytes,
        transfer.debit.bytes,
        transfer.credit.bytes,
        amount,
        ZERO if pending_id is None else pending_id.bytes,
        ZERO if reference is None else reference.bytes,
        microseconds(transfer.event_at),
        tag,
        timeout_s,
        _currency(transfer.currency),
        code,
        flags,
        memo,
    )


def _misfit(transfer: Transfer) -> ResultCode | None:
    """The first field of a transfer that cannot be told, or None."""
    numbers = (
        (transfer.amount, AMOUNT_MAX, ResultCode.AMOUNT_OUT_OF_RANGE),
        (transfer.timeout_s, TIMEOUT_MAX_S, ResultCode.TIMEOUT_OUT_OF_RANGE),
        (transfer.tag, TAG_MAX, ResultCode.TAG_OUT_OF_RANGE),
        (int(transfer.code), CODE_MAX, ResultCode.CODE_OUT_OF_RANGE),
        (int(transfer.flags), 1023, ResultCode.FLAGS_OUT_OF_RANGE),
    )
    for number, most, code in numbers:
        if not 0 <= number <= most:
            return code
    try:
        microseconds(transfer.event_at)
    except (ValueError, TypeError):
        return ResultCode.EVENT_AT_OUT_OF_RANGE
    try:
        _currency(transfer.currency)
    except ValueError:
        return ResultCode.CURRENCY_MUST_BE_A_CODE
    if not is_short_text(transfer.memo):
        return ResultCode.MEMO_MUST_BE_SHORT_TEXT
    return None


def _stand_in(transfer: Transfer) -> Transfer:
    """The same transfer's id and links with nothing in it that could misfit; it is never booked."""
    return Transfer(
        transfer.transfer_id,
        transfer.debit,
        transfer.credit,
        0,
        "",
        0,
        _EPOCH,
        flags=transfer.flags & TransferFlag.LINKED,
    )


def microseconds(instant: datetime) -> int:
    """Whole microseconds since 1970 UTC.

    Errors: ValueError for an instant without an offset, or in UTC before the year 1 or after 9999.
    """
    try:
        since = instant - _EPOCH
    except (TypeError, OverflowError) as error:
        raise ValueError("an instant needs an offset from UTC") from error
    us = (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
    if not INSTANT_MIN_US <= us <= INSTANT_MAX_US:
        raise ValueError("an instant lies in the years 1 to 9999 of UTC")
    return us


def instant_of(us: int) -> datetime:
    """The instant of these microseconds since 1970 UTC."""
    return _EPOCH + us * _SECOND


@cache
def _currency(code: str) -> bytes:
    if code and not (len(code) == 3 and code.isascii() and code.isprintable()):
        raise ValueError("a currency is three letters")
    return code.encode()


def is_short_text(memo: str) -> bool:
    """Text the database can store: at most 200 characters, no NUL, no half of a surrogate pair."""
    return (
        len(memo) <= MEMO_MAX
        and "\0" not in memo
        and (memo.isascii() or not any("\ud800" <= sign <= "\udfff" for sign in memo))
    )


def by_partition(flags: Sequence[int], partitions: Sequence[int]) -> dict[int, list[int]]:
    """Which transfers, by index, are for which partition, in order. A chain that crosses partitions is for none."""
    if len(set(partitions)) == 1:
        return {partitions[0]: list(range(len(partitions)))}
    shares: dict[int, list[int]] = {}
    chain: list[int] = []
    for index, partition in enumerate(partitions):
        chain.append(index)
        if flags[index] & TransferFlag.LINKED.value and index < len(partitions) - 1:
            continue
        if len({partitions[member] for member in chain}) == 1:
            shares.setdefault(partition, []).extend(chain)
        chain = []
    return shares


def parted(batch: Batch, partitions: Sequence[int]) -> dict[int, tuple[Sequence[int], Batch]]:
    """The batch in one for each partition, with the indexes of its transfers. partitions: of each transfer."""
    if len(set(partitions)) == 1:
        return {partitions[0]: (range(len(batch)), batch)}
    bodies, records, refused = batch.bodies, batch.records, batch.refused
    flags: list[int] = [body[11] for body in bodies] if records is None else records["flags"].tolist()
    return {
        partition: (
            indexes,
            Batch(
                [bodies[index] for index in indexes],
                None if records is None else records[indexes],
                {place: refused[index] for place, index in enumerate(indexes) if index in refused},
            ),
        )
        for partition, indexes in by_partition(flags, partitions).items()
    }


def transfer_of(body: Body, partition: int) -> Transfer:
    """The body as a transfer for people and rooms."""
    (
        transfer_id,
        debit,
        credit,
        amount,
        pending_id,
        reference,
        event_us,
        tag,
        timeout_s,
        currency,
        code,
        flags,
        memo,
    ) = body
    return Transfer(
        TransferId(UUID(bytes=transfer_id)),
        AccountId(UUID(bytes=debit)),
        AccountId(UUID(bytes=credit)),
        amount,
        currency.decode(),
        code_of(code),
        instant_of(event_us),
        partition=partition,
        flags=TransferFlag(flags),
        pending_id=None if pending_id == ZERO else TransferId(UUID(bytes=pending_id)),
        timeout_s=timeout_s,
        reference=None if reference == ZERO else UUID(bytes=reference),
        memo=memo,
        tag=tag,
    )


_CODES: dict[int, TransferCode] = {code.value: code for code in TransferCode}


def code_of(code: int) -> TransferCode | int:
    """The code as a word of the chart, or the number itself where the chart has none."""
    return _CODES.get(code, code)


# --- bytes


def write_batch(batch: Batch, *, partition: int = 0) -> bytes:
    """The batch as bytes, for another process. Errors: an assertion if it holds refused transfers."""
    assert not batch.refused, "what cannot be told cannot be written"
    records = batch.records if batch.records is not None else records_of(batch.bodies, partition)
    memos = [memo.encode() for memo in _memos_of(batch.bodies) if memo]
    return b"".join((_HEADER.pack(MAGIC, len(records)), records.tobytes(), *memos))


def _memos_of(bodies: Sequence[Body]) -> Sequence[str]:
    if isinstance(bodies, RecordBodies):
        return bodies.memos or ()
    return [body[12] for body in bodies]


def read_batch(data: bytes | memoryview, *, count_max: int) -> Batch:
    """The batch that these bytes are. Errors: InvalidInput, with the field and the remedy."""
    if len(data) < _HEADER.size or data[:4] != MAGIC:
        raise _bad("batch", f"it does not begin with {MAGIC.decode()}", "Send it as docs/ledger.md describes")
    count = _HEADER.unpack_from(data)[1]
    if count > count_max:
        raise _bad("batch", f"it has {count:,} transfers", f"Send at most {count_max:,}")
    end = _HEADER.size + count * RECORD.itemsize
    if len(data) < end:
        raise _bad("batch", f"{count:,} records are announced and {len(data):,} bytes came", "Send it whole")
    records = np.frombuffer(data, RECORD, count, _HEADER.size)
    if int(records["memo_bytes"].sum(dtype=np.int64)) != len(data) - end:
        raise _bad("memo_bytes", "they do not add up to the text at the end", "Count bytes of UTF-8")
    if records["reserved"].tobytes().strip(b"\0") or records["spare"].tobytes().strip(b"\0"):
        raise _bad("reserved", "a reserved byte is not zero", "Send zeros there")
    if int(records["code"].max(initial=0)) > CODE_MAX:
        raise _bad("code", f"a code is over {CODE_MAX}", f"Send codes from 1 to {CODE_MAX}")
    event_us = records["event_us"]
    if count and not INSTANT_MIN_US <= int(event_us.min()) <= int(event_us.max()) <= INSTANT_MAX_US:
        raise _bad("event_us", "an instant is not in the years 1 to 9999", "Send microseconds since 1970 UTC")
    memos = _memos(records["memo_bytes"], bytes(data[end:])) if len(data) > end else None
    return Batch(RecordBodies(records, memos), records)


def _bodies_of(records: Records, memos: Sequence[str] | None) -> list[Body]:
    high: list[int] = records["amount_high"].tolist()
    low: list[int] = records["amount_low"].tolist()
    amounts = [top << 64 | rest for top, rest in zip(high, low, strict=True)] if any(high) else low
    names = ("pending_id", "reference", "event_us", "tag", "timeout_s", "currency", "code", "flags")
    columns: list[Iterable[Any]] = [records[name].tolist() for name in ("transfer_id", "debit", "credit")]
    columns += [amounts, *(_column(records[name]) for name in names)]
    columns.append(repeat("") if memos is None else memos)
    return list(zip(*columns, strict=False))  # a column of one value has no end


def write_results(codes: Sequence[ResultCode]) -> bytes:
    """What became of a batch, as bytes: two for each transfer, in order."""
    if codes.count(ResultCode.CREATED) == len(codes):
        return bytes(2 * len(codes))
    return np.array([RESULT_NUMBERS[code] for code in codes], ">u2").tobytes()


def read_results(data: bytes) -> list[ResultCode]:
    """The results that these bytes are. Errors: InvalidInput for a number that we do not know, or half of one."""
    if len(data) % 2:
        raise _bad("results", f"{len(data)} bytes came", "Send two for each transfer")
    numbers: list[int] = np.frombuffer(data, ">u2").tolist()
    if numbers and max(numbers) >= len(RESULTS):
        raise _bad("results", f"there is no result {max(numbers)}", "Take a newer version of this program")
    return [RESULTS[number] for number in numbers]


def _column(column: npt.NDArray[Any]) -> Iterable[Any]:
    """The values of a column; of one that holds a single value, as most do, that value again and again."""
    if len(column) and column[0] == column[-1] and (column == column[0]).all():
        return repeat(column[0].item())
    return column.tolist()


def _memos(lengths: npt.NDArray[Any], text: bytes) -> list[str]:
    memos: list[str] = []
    at = 0
    for length in lengths.tolist():
        try:
            memo = text[at : at + length].decode()
        except UnicodeDecodeError as error:
            raise _bad("memo", "it is not UTF-8", "Send text") from error
        if not is_short_text(memo):
            raise _bad("memo", "it is too long or holds a NUL", f"Send at most {MEMO_MAX} characters")
        memos.append(memo)
        at += length
    return memos


def _bad(where: str, what: str, remedy: str) -> InvalidInput:
    return InvalidInput("This batch cannot be read.", problems=(Problem(where, what, remedy),))


def records_of(bodies: Sequence[Body], partition: int = 0) -> Records:
    """The bodies as an array of records."""
    records = np.zeros(len(bodies), RECORD)
    if not bodies:
        return records
    (
        ids,
        debits,
        credits,
        amounts,
        pending,
        references,
        events,
        tags,
        timeouts,
        currencies,
        codes,
        flags,
        memos,
    ) = zip(*bodies, strict=True)
    for name, column in (
        ("transfer_id", ids),
        ("debit", debits),
        ("credit", credits),
        ("pending_id", pending),
        ("reference", references),
    ):
        records[name] = np.frombuffer(b"".join(column), "V16")
    try:
        records["amount_low"] = np.array(amounts, np.uint64)
    except OverflowError:
        records["amount_low"] = np.array([amount & 2**64 - 1 for amount in amounts], np.uint64)
        records["amount_high"] = np.array([amount >> 64 for amount in amounts], np.uint64)
    for name, column in (
        ("event_us", events),
        ("tag", tags),
        ("timeout_s", timeouts),
        ("currency", currencies),
        ("code", codes),
        ("flags", flags),
    ):
        records[name] = column
    if any(memos):
        records["memo_bytes"] = [len(memo.encode()) for memo in memos]
    records["partition"] = partition
    return records
