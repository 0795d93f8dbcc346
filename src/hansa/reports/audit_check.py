"""Checking an audit pack without a database, and without us: from the city's verifier key alone.

Each check says what it looked at and whether it holds. Hashes made anew over a changed file do not help: manifest and
checkpoint are signed, the checkpoint stands for every entry of the log, an entry for one row, and the rows add up to
the figures, those to the positions, those to the nets, those to the statements and to what the banks were told.
"""

import csv
import hashlib
import io
import json
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar, TypeVar, cast

from hansa import clearing, ledger, settlement
from hansa.disputes import Checked
from hansa.kernel import HansaError
from hansa.reports.audit import (
    AGREEMENTS,
    BANK,
    ENTRY_BYTES,
    FIGURES,
    FORMAT,
    ITEMS,
    LOG,
    MANIFEST,
    NETS,
    NOTE,
    PAYMENTS,
    POSITIONS,
    STATEMENTS,
    WINDOW,
    moves,
    note_text,
)
from hansa.trust import tlog

SMALL_MAX = 256 * 1024 * 1024
"""Bytes of a file that is read whole; items and entries are read piece by piece and may be larger."""

_PIECE = 1 << 20
_READ = 8_192

_UNREADABLE = (
    *(zipfile.BadZipFile, zlib.error, RuntimeError, EOFError, csv.Error, settlement.DocumentRefused),
    *(KeyError, TypeError, ValueError, AttributeError, OverflowError, IndexError),
)
"""What reading bytes that anybody may have made can raise."""

Row = dict[str, str]

_T = TypeVar("_T")


class BadPack(HansaError):
    """This is no audit pack."""

    code: ClassVar[str] = "reports.bad_pack"
    status: ClassVar[int] = 422


class _Reading:
    """A pack being read: its files, and what was found."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._zip = archive
        infos = archive.infolist()
        self.names = [one.filename for one in infos]
        self._sizes = {one.filename: one.file_size for one in infos}
        self.found: list[Checked] = []

    def tell(self, what: str, ok: bool | None, told: str) -> None:
        self.found.append(Checked(what, ok, told))

    def pieces(self, name: str, size: int = _PIECE) -> Iterator[bytes]:
        with self._zip.open(name) as file:
            while piece := file.read(size):
                yield piece

    def bytes(self, name: str) -> bytes:
        if self._sizes[name] > SMALL_MAX:
            raise BadPack(f"{name} is larger than {SMALL_MAX} bytes.")
        return self._zip.read(name)

    def json(self, name: str) -> Any:
        return json.loads(self.bytes(name))

    def rows(self, name: str) -> Iterator[Row]:
        with self._zip.open(name) as file, io.TextIOWrapper(file, "utf-8", newline="") as text:
            yield from csv.DictReader(text, strict=True)


def check_pack(path: Path, *, log_keys: Sequence[str] = ()) -> list[Checked]:
    """Check an audit pack. log_keys: verifier keys of the city's logs; without one, signatures stay open.

    Errors: BadPack when it cannot be read at all.
    """
    try:
        keys = [tlog.VerifierKey.parse(one) for one in log_keys]
    except tlog.BadVerifierKey as error:
        raise BadPack(f"This is no verifier key: {error.detail}") from error
    try:
        with zipfile.ZipFile(path) as archive:
            reading = _Reading(archive)
            _check_files(reading)
            try:
                _check_all(reading, keys)
            except (HansaError, ledger.NoLog, *_UNREADABLE) as error:
                reading.tell("pack", False, f"it cannot be read on: {error!r}"[:300])
    except (OSError, *_UNREADABLE) as error:
        raise BadPack(f"This is no audit pack: {error}") from error
    return reading.found


def _check_files(pack: _Reading) -> None:
    manifest = pack.json(MANIFEST)
    hashes = cast(dict[str, str], manifest["files"])
    if manifest["format"] != FORMAT:
        raise BadPack(f"This is no pack of the form {FORMAT}.")
    twice = sorted(name for name, count in Counter(pack.names).items() if count > 1)
    found: dict[str, str] = {}
    for name in set(pack.names) - {MANIFEST, NOTE}:
        digest = hashlib.sha256()
        for piece in pack.pieces(name):
            digest.update(piece)
        found[name] = digest.hexdigest()
    odd = sorted(name for name in {*found, *hashes} if found.get(name) != hashes.get(name))
    pack.tell(
        "files",
        not odd and not twice,
        f"twice: {', '.join(twice)}"[:300]
        if twice
        else f"changed, missing or added: {', '.join(odd)}"[:300]
        if odd
        else f"{len(found)}, each with the hash that the manifest names",
    )


def _check_all(pack: _Reading, keys: Sequence[tlog.VerifierKey]) -> None:
    window = pack.json(WINDOW)
    _check_signature(pack, window, keys)
    positions = {(row["issuer_id"], row["operator_id"], row["currency"]): row for row in pack.rows(POSITIONS)}
    sums: Counter[tuple[str, str, str, str]] = Counter()
    counts: Counter[tuple[str, str, str, str]] = Counter()
    for mark in window["watermark"]:
        _check_log(pack, mark, keys)
        _check_items(pack, mark, positions, sums, counts)
    _check_figures(pack, window, positions, sums, counts)
    nets = _check_nets(pack, positions)
    _check_agreements(pack, positions)
    _check_statements(pack, window, nets)
    _check_bank(pack, window, nets)


def _check_signature(pack: _Reading, window: Mapping[str, Any], keys: Sequence[tlog.VerifierKey]) -> None:
    digest = hashlib.sha256(pack.bytes(MANIFEST)).hexdigest()
    note = tlog.Note.parse(pack.bytes(NOTE))
    same = note.text == note_text(window["log_name"], window["window_id"], digest)
    told = f"digest {digest}"
    if not same:
        pack.tell("signature", False, "it is not over this manifest and window")
    else:
        pack.tell("signature", _is_signed(note, keys), told)


def _is_signed(note: tlog.Note, keys: Sequence[tlog.VerifierKey]) -> bool | None:
    """None without a key to believe."""
    if not keys:
        return None
    try:
        note.verify(keys)
    except (tlog.NotSigned, tlog.BadSignature):
        return False
    return True


def _check_log(pack: _Reading, mark: Mapping[str, int], keys: Sequence[tlog.VerifierKey]) -> None:
    """The entries grow the tree from before the window to each block's root, and to the signed checkpoint."""
    name = f"{LOG}{mark['partition']}"
    if f"{name}.json" not in pack.names:
        return
    log = pack.json(f"{name}.json")
    tree = tlog.Tree(log["size_before"], tuple(bytes.fromhex(one) for one in log["peaks_before"]))
    entries = _cut(pack.pieces(f"{name}.entries"), ENTRY_BYTES)
    before: str | None = None
    last = mark["after_block"]
    wrong = ""
    for told in log["blocks"]:
        block = ledger.Block(
            partition=log["partition"],
            number=told["number"],
            first=told["first"],
            transfers=told["transfers"],
            previous_hash=bytes.fromhex(told["previous_hash"]),
            root=bytes.fromhex(told["root"]),
            hash=bytes.fromhex(told["hash"]),
            booked_at=datetime.fromisoformat(told["booked_at"]),
            salt_key=bytes(32),
        )
        is_next = block.first == tree.size and (before is None or told["previous_hash"] == before)
        for _ in range(0, block.transfers, _READ):
            some = min(_READ, block.first + block.transfers - tree.size)
            tree.append([_next(entries) for _ in range(some)])
        if not wrong and not (is_next and tree.root() == block.root and ledger.hash_of(block) == block.hash):
            wrong = f"block {block.number} does not follow from its entries and the block before it"
        before, last = told["hash"], block.number
    if next(entries, None) is not None or last != mark["up_to_block"]:
        wrong = wrong or "there are entries of no block, or the last block is not the watermark's"
    pack.tell(f"log {log['partition']}: blocks", not wrong, wrong or f"{len(log['blocks'])}, chained")
    note = tlog.Note.parse(pack.bytes(f"{name}.checkpoint"))
    checkpoint = tlog.Checkpoint.parse(note.text)
    same = (checkpoint.origin, checkpoint.size, checkpoint.root) == (log["origin"], tree.size, tree.root())
    # A city signs the logs of all its partitions with one key, each under the log's own name.
    of_log = [
        tlog.VerifierKey(checkpoint.origin, key.kind, key.public)
        for key in keys
        if key.name.rpartition("/")[0] == checkpoint.origin.rpartition("/")[0]
    ]
    pack.tell(
        f"log {log['partition']}: checkpoint",
        _is_signed(note, of_log) if same and (of_log or not keys) else False,
        f"{checkpoint.origin} at {checkpoint.size:,} entries" if same else "it is not that of these entries",
    )


def _check_items(
    pack: _Reading,
    mark: Mapping[str, int],
    positions: Mapping[tuple[str, str, str], Row],
    sums: Counter[tuple[str, str, str, str]],
    counts: Counter[tuple[str, str, str, str]],
) -> None:
    """Each item opens an entry of the log, says what its row says, and stands on the position it names, once."""
    partition = mark["partition"]
    if f"{LOG}{partition}.json" not in pack.names:
        return
    begin: int = pack.json(f"{LOG}{partition}.json")["size_before"]
    accounts = {key: clearing.position_account(*key, partition) for key in positions}
    entries = enumerate(_cut(pack.pieces(f"{LOG}{partition}.entries"), ENTRY_BYTES), begin)
    at, entry = -1, b""
    seen: set[tuple[str, str, str]] = set()
    number, wrong = 0, ""
    for number, row in enumerate(pack.rows(f"{ITEMS}{partition}.csv"), 1):
        index = int(row["index"])
        if index != at:
            seen.clear()
        while at < index:
            at, entry = _next(entries)
        data = bytes.fromhex(row["row"])
        read = tlog.decode_row(data)
        key = (row["issuer_id"], row["operator_id"], row["currency"])
        account, amount = accounts.get(key), int(row["amount_minor"])
        side = read.credit_account if amount > 0 else read.debit_account
        if not wrong and not (
            at == index
            and hashlib.sha256(bytes.fromhex(row["salt"]) + data).digest() == entry
            and (str(read.transfer_id), read.code, read.amount, read.currency)
            == (row["transfer_id"], int(row["code"]), abs(amount), row["currency"])
            and account == side
            and moves(read)
            and read.block <= mark["up_to_block"]
            and key not in seen
        ):
            wrong = f"item {number} is not what entry {index} of the log says"
        seen.add(key)
        sums[*key, row["code"]] += amount
        counts[*key, row["code"]] += 1
    pack.tell(f"items {partition}", not wrong, wrong or f"{number:,}, each in the log")


def _check_figures(
    pack: _Reading,
    window: Mapping[str, Any],
    positions: Mapping[tuple[str, str, str], Row],
    sums: Counter[tuple[str, str, str, str]],
    counts: Counter[tuple[str, str, str, str]],
) -> None:
    told = {
        (row["issuer_id"], row["operator_id"], row["currency"], row["code"]): (
            int(row["items"]),
            int(row["amount_minor"]),
        )
        for row in pack.rows(FIGURES)
    }
    found = {key: (counts[key], sums[key]) for key in counts}
    odd = sorted(key for key in {*told, *found} if told.get(key) != found.get(key))
    pack.tell("figures", not odd, f"not what their items come to: {odd[0]}" if odd else f"{len(told):,}")
    gross: Counter[tuple[str, str, str]] = Counter()
    items: Counter[tuple[str, str, str]] = Counter()
    for (issuer, operator, currency, _), (count, minor) in told.items():
        gross[issuer, operator, currency] += minor
        items[issuer, operator, currency] += count
    wrong = sorted(
        key
        for key in {*positions, *items}
        if key not in positions
        or (items[key], gross[key]) != (int(positions[key]["items"]), int(positions[key]["gross_minor"]))
        or gross[key]
        != sum(
            int(positions[key][f"{share}_minor"]) for share in ("operator_share", "issuer_fee", "league_fee")
        )
    )
    total = sum(items.values())
    pack.tell(
        "positions",
        not wrong and total == window["items"],
        f"not what their figures come to: {wrong[0]}"
        if wrong
        else f"{len(positions):,} of {total:,} items; the window has {window['items']:,}",
    )


def _check_nets(pack: _Reading, positions: Mapping[tuple[str, str, str], Row]) -> dict[tuple[str, str], int]:
    nets = {(row["member_id"], row["currency"]): int(row["net_minor"]) for row in pack.rows(NETS)}
    owed: Counter[tuple[str, str]] = Counter()
    for (_, _, currency), row in positions.items():
        share, fee = int(row["operator_share_minor"]), int(row["league_fee_minor"])
        owed[row["debtor_id"], currency] -= share + fee
        owed[row["creditor_id"], currency] += share
        owed[clearing.LEAGUE, currency] += fee
    by_currency: Counter[str] = Counter()
    for (_, currency), minor in nets.items():
        by_currency[currency] += minor
    odd = sorted(key for key in {*nets, *owed} if nets.get(key, 0) != owed[key])
    odd += [("all", currency) for currency, minor in by_currency.items() if minor]
    pack.tell(
        "nets",
        not odd,
        f"not what the positions come to: {odd[0]}" if odd else f"{len(nets):,}, each currency sums to zero",
    )
    return nets


def _check_agreements(pack: _Reading, positions: Mapping[tuple[str, str, str], Row]) -> None:
    told = {(one["issuer_id"], one["operator_id"], one["currency"]) for one in pack.json(AGREEMENTS)}
    lacking = sorted(set(positions) - told)
    pack.tell(
        "agreements",
        not lacking,
        f"none is told for {lacking[0]}" if lacking else f"told for all {len(positions):,} positions",
    )


def _check_statements(pack: _Reading, window: Mapping[str, Any], nets: Mapping[tuple[str, str], int]) -> None:
    """Each member with a net has a statement that says so, and every statement adds up."""
    told: dict[tuple[str, str], int] = {}
    wrong = ""
    names = [one for one in pack.names if one.startswith(STATEMENTS) and one.endswith(".csv")]
    for name in names:
        member = name.removeprefix(STATEMENTS).removesuffix(".csv")
        sums: dict[str, Counter[str]] = {}
        for row in pack.rows(name):
            parts = sums.setdefault(row["currency"], Counter())
            parts[row["section"]] += int(row["amount_minor"])
            if (row["window_id"], row["member_id"]) != (window["window_id"], member):
                wrong = wrong or f"{name} is of another member or window"
        for currency, parts in sums.items():
            told[member, currency] = parts["net"]
            net = parts["items"] + parts["adjustments"] + parts["fees"]
            if net != parts["net"] or parts["opening"] + net + parts["payments"] != parts["closing"]:
                wrong = wrong or f"{name} does not add up in {currency}"
        if f"{STATEMENTS}{member}.pdf" not in pack.names:
            wrong = wrong or f"{member} has no statement on paper"
    odd = sorted(key for key in {*nets, *told} if nets.get(key, 0) != told.get(key, 0))
    pack.tell(
        "statements",
        not wrong and not odd,
        wrong or (f"not the net of {odd[0]}" if odd else f"{len(names):,}, each adds up to the member's net"),
    )


def _check_bank(pack: _Reading, window: Mapping[str, Any], nets: Mapping[tuple[str, str], int]) -> None:
    """The files tell the banks exactly the payments, and what they moved is no more than the nets."""
    told: dict[str, dict[str, tuple[str, int]]] = {}
    of_member: Counter[tuple[str, str]] = Counter()
    rows = list(pack.rows(PAYMENTS))
    for row in rows:
        payment = (row["currency"], int(row["amount_minor"]))
        told.setdefault(row["message_id"], {})[row["end_to_end_id"]] = payment
        sign = 1 if row["direction"] == "out" else -1
        if not row["booked_day"] or row["returned_day"]:
            continue
        of_member[row["member_id"], row["currency"]] += sign * int(row["amount_minor"])
    files = [one for one in pack.names if one.startswith(f"{BANK}files/")]
    wrong = ""
    for name in files:
        message_id = name.removeprefix(f"{BANK}files/").removesuffix(".xml")
        if _payments_in(pack.bytes(name)) != told.pop(message_id, None):
            wrong = wrong or f"{name} tells the bank something else than payments.csv"
    if told:
        wrong = wrong or f"the file {sorted(told)[0]} is not here"
    pack.tell("bank files", not wrong, wrong or f"{len(files):,} with {len(rows):,} payments")
    settled = sum(1 for key, minor in nets.items() if minor and of_member[key] == minor)
    owed = sum(1 for minor in nets.values() if minor)
    by_net = (window["basis"], window["sides"]) == ("net", "multilateral")
    strange = sorted(key for key in of_member if by_net and abs(of_member[key]) > abs(nets.get(key, 0)))
    pack.tell(
        "settled",
        not strange,
        f"more was paid than the net of {strange[0]}" if strange else f"{settled:,} of {owed:,} nets",
    )


def _payments_in(document: bytes) -> dict[str, tuple[str, int]]:
    """The payments that a bank file tells, by end-to-end id. Errors: settlement.DocumentRefused."""
    found: dict[str, tuple[str, int]] = {}
    for one in settlement.read_xml(document, size_max=SMALL_MAX).iter():
        if one.tag.rpartition("}")[2] not in ("CdtTrfTxInf", "DrctDbtTxInf"):
            continue
        words = {part.tag.rpartition("}")[2]: part for part in one.iter()}
        amount = words.get("InstdAmt", words.get("IntrBkSttlmAmt"))
        if amount is None:
            raise ValueError("a payment has an amount")
        currency = amount.get("Ccy", "")
        found[words["EndToEndId"].text or ""] = (currency, _minor(amount.text or "", currency))
    return found


def _minor(text: str, currency: str) -> int:
    from hansa.kernel import CURRENCY_EXPONENTS

    whole, _, fraction = text.partition(".")
    digits = CURRENCY_EXPONENTS[currency]
    if len(fraction.rstrip("0")) > digits:
        raise ValueError("an amount has no more decimals than its currency")
    return int(whole + fraction[:digits].ljust(digits, "0"))


def _next(values: Iterator[_T]) -> _T:
    for value in values:
        return value
    raise ValueError("the log has fewer entries than are spoken of")


def _cut(pieces: Iterator[bytes], size: int) -> Iterator[bytes]:
    left = b""
    for piece in pieces:
        data = left + piece
        whole = len(data) - len(data) % size
        yield from (data[at : at + size] for at in range(0, whole, size))
        left = data[whole:]
    if left:
        raise ValueError("it ends within an entry")
