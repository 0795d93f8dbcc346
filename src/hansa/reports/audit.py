"""An audit pack: all that a window was made of, in one zip that proves itself without us.

``manifest.json`` has the SHA-256 of every file, and ``manifest.note`` the city's signature over it. ``log/`` holds the
ledger's blocks of the window with all their entries, which are salted hashes and tell nothing, and the checkpoint after
them; ``items/`` opens the entries that are items of the window, and no others. The rest is what came of them: figures,
positions, nets, agreements, payments, bank messages, statements. ``audit_check`` reads it.
"""

import hashlib
import json
import os
import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any, BinaryIO

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hansa import clearing, ledger, settlement
from hansa.reports.products import CLEARINGS_OWN
from hansa.reports.statement_pdf import statement_pdf
from hansa.reports.statements import Maker, carry, key_of, position_sums
from hansa.reports.tables import statement_csv, to_csv
from hansa.store import Context, Tx
from hansa.trust import tlog

FORMAT = "hansa-audit-pack-1"
MANIFEST, NOTE, WINDOW = "manifest.json", "manifest.note", "window.json"
FIGURES, POSITIONS, NETS, AGREEMENTS, PAYMENTS = (
    "figures.csv",
    "positions.csv",
    "nets.csv",
    "agreements.json",
    "payments.csv",
)
ITEMS, LOG, BANK, STATEMENTS = "items/", "log/", "bank/", "statements/"

ITEM_COLUMNS = (
    ("index", int),
    ("issuer_id", str),
    ("operator_id", str),
    ("currency", str),
    ("code", int),
    ("amount_minor", int),
    ("transfer_id", str),
    ("salt", str),
    ("row", str),
)
FIGURE_COLUMNS = (
    ("issuer_id", str),
    ("operator_id", str),
    ("currency", str),
    ("code", int),
    ("items", int),
    ("amount_minor", int),
)
POSITION_COLUMNS = (
    ("issuer_id", str),
    ("operator_id", str),
    ("currency", str),
    ("items", int),
    ("gross_minor", int),
    ("operator_share_minor", int),
    ("issuer_fee_minor", int),
    ("league_fee_minor", int),
    ("debtor_id", str),
    ("creditor_id", str),
)
NET_COLUMNS = (("member_id", str), ("currency", str), ("net_minor", int))
PAYMENT_COLUMNS = (
    ("end_to_end_id", str),
    ("message_id", str),
    ("member_id", str),
    ("direction", str),
    ("currency", str),
    ("amount_minor", int),
    ("state", str),
    ("booked_day", str),
    ("returned_day", str),
)

ENTRY_BYTES = 32
_BLOCKS = 1_000
_PIECE = 1 << 20
_EPOCH = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Pack:
    """A pack as it was written. digest: SHA-256 of its manifest, hex: what two who compare packs say to each other."""

    path: Path
    window_id: str
    files: int
    items: int
    digest: str


class PackWriter:
    """A zip whose files are hashed as they go in; the same files give the same bytes."""

    def __init__(self, file: BinaryIO) -> None:
        self._zip = zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=6)
        self.hashes: dict[str, str] = {}

    def add(self, name: str, pieces: Iterable[bytes], *, listed: bool = True) -> None:
        """A file, piece by piece. listed: whether the manifest names it."""
        digest = hashlib.sha256()
        info = zipfile.ZipInfo(name, _EPOCH)
        info.compress_type = zipfile.ZIP_DEFLATED
        with self._zip.open(info, "w", force_zip64=True) as member:
            for piece in pieces:
                digest.update(piece)
                member.write(piece)
        if listed:
            self.hashes[name] = digest.hexdigest()

    def add_json(self, name: str, value: object) -> None:
        self.add(name, [as_json(value)])

    def close(self) -> None:
        self._zip.close()


def as_json(value: object) -> bytes:
    """JSON for a file that is hashed: sorted and indented; instants and days as text."""
    return json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False, default=_plain).encode()


def note_text(log_name: str, window_id: str, digest: str) -> str:
    """What is signed of a pack. Its second line is no number, so it can never be taken for a checkpoint."""
    return f"{log_name}/audit-pack\n{window_id}\n{digest}\n"


def audit_pack(
    ctx: Context, window_id: str, path: Path, signer: ledger.Signer, key: Ed25519PrivateKey
) -> Pack:
    """Write the audit pack of a closed window. The file appears whole or not at all; one that is there is replaced.

    signer, key: of the city's logs. Whoever has a pack reads the window's items. Memory does not grow with the window.
    Errors: clearing.UnknownWindow, NoStatement, FiguresDiffer.
    """
    carry(ctx, window_id)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with ctx.tx() as tx, draft.open("wb") as file:
            writer = PackWriter(file)
            items = _fill(tx, window_id, writer, signer)
            writer.add(
                MANIFEST, [manifest := as_json({"format": FORMAT, "files": writer.hashes})], listed=False
            )
            digest = hashlib.sha256(manifest).hexdigest()
            text = note_text(signer.name, window_id, digest)
            name = signer.verifier_key(0).name
            note = tlog.Note(text, (tlog.sign(text, name=name, key=key),))
            writer.add(NOTE, [str(note).encode()], listed=False)
            writer.close()
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    return Pack(path, window_id, len(writer.hashes), items, digest)


def _fill(tx: Tx, window_id: str, writer: PackWriter, signer: ledger.Signer) -> int:
    window = clearing.get_window(tx, window_id)
    positions = clearing.window_positions(tx, window_id)
    writer.add_json(WINDOW, _window(window, signer))
    by_position = position_sums(tx, window, positions)
    writer.add(
        FIGURES,
        [
            to_csv(
                FIGURE_COLUMNS,
                [
                    (*key, one.code, one.count, one.minor)
                    for key, sums in sorted(by_position.items())
                    for one in sums
                ],
            )
        ],
    )
    writer.add(POSITIONS, [to_csv(POSITION_COLUMNS, [_position(one) for one in positions])])
    nets = clearing.window_nets(tx, window_id)
    writer.add(NETS, [to_csv(NET_COLUMNS, [(one.member_id, one.currency, one.net) for one in nets])])
    writer.add_json(AGREEMENTS, _agreements(tx, window.business_day, positions))
    writer.add(PAYMENTS, [to_csv(PAYMENT_COLUMNS, list(_payments(tx, window_id)))])
    for name, body in _bank_files(tx, window_id):
        writer.add(f"{BANK}{name}", [body])
    maker = Maker(tx, window, positions)
    for member_id in maker.members:
        made = maker.statement(member_id, by_position)
        writer.add(f"{STATEMENTS}{member_id}.csv", [statement_csv(made)])
        writer.add(f"{STATEMENTS}{member_id}.pdf", [statement_pdf(made)])
    return sum(_log(tx, window, mark, positions, writer, signer) for mark in window.watermark)


def _log(
    tx: Tx,
    window: clearing.Window,
    mark: clearing.Watermark,
    positions: Sequence[clearing.Position],
    writer: PackWriter,
    signer: ledger.Signer,
) -> int:
    """The ledger's blocks in which the window's items of a partition stand, all entries, and the items opened."""
    of_window = clearing.window_blocks(tx, window.window_id)
    after = {key[:3]: codes for key, codes in of_window.items() if key[3] == mark.partition}
    first = (
        mark.after_block
        if not of_window
        else min((block for codes in after.values() for block in codes.values()), default=mark.up_to_block)
    )
    blocks = list(_blocks(tx, mark.partition, first, mark.up_to_block))
    if not blocks:
        return 0
    begin, end = blocks[0].first, blocks[-1].first + blocks[-1].transfers
    accounts = {
        clearing.position_account(*key_of(one), mark.partition).bytes: key_of(one) for one in positions
    }
    tree = ledger.tree_at(tx, mark.partition, begin)
    log = ledger.LogReader(tx, mark.partition)
    head = f"{LOG}{mark.partition}"
    writer.add_json(
        f"{head}.json",
        {
            "partition": mark.partition,
            "origin": ledger.log_origin(signer.name, mark.partition),
            "size_before": begin,
            "peaks_before": [peak.hex() for peak in tree.peaks],
            "blocks": [_block(block) for block in blocks],
        },
    )
    writer.add(f"{head}.checkpoint", [str(log.checkpoint(signer, end)).encode()])
    count = 0
    with tempfile.TemporaryFile() as opened:

        def entries() -> Iterator[bytes]:
            nonlocal count
            opened.write(to_csv(ITEM_COLUMNS, []))
            some: list[bytes] = []
            for index, (salt, row) in enumerate(ledger.salted_rows(tx, mark.partition, begin, end), begin):
                some.append(hashlib.sha256(salt + row).digest())
                items = _items(index, salt, row, accounts, after if of_window else None)
                if items:
                    count += len(items)
                    opened.write(to_csv(ITEM_COLUMNS, items).split(b"\r\n", 1)[1])
                if len(some) == 8_192:
                    yield b"".join(some)
                    some.clear()
            yield b"".join(some)

        writer.add(f"{head}.entries", entries())
        opened.seek(0)
        writer.add(f"{ITEMS}{mark.partition}.csv", iter(lambda: opened.read(_PIECE), b""))
    return count


def _items(
    index: int,
    salt: bytes,
    row: bytes,
    accounts: dict[bytes, tuple[str, str, str]],
    after: dict[tuple[str, str, str], dict[int, int]] | None,
) -> list[tuple[str | int, ...]]:
    """The items that a transfer is, one for each position it stands on."""
    read = tlog.decode_row(row)
    if not moves(read):
        return []
    found: list[tuple[str | int, ...]] = []
    for account, sign in ((read.debit_account, -1), (read.credit_account, 1)):
        key = accounts.get(account.bytes)
        if key is None or (after is not None and read.block <= after.get(key, {}).get(read.code, read.block)):
            continue
        found.append(
            (
                *(index, *key, read.code, sign * read.amount, str(read.transfer_id)),
                *(salt.hex(), row.hex()),
            )
        )
    return found


def moves(row: tlog.Row) -> bool:
    """Whether a row moves money and is no transfer of clearing's own."""
    released = ledger.TransferFlag.PENDING | ledger.TransferFlag.VOID_PENDING
    return not row.flags & released and row.amount > 0 and row.code not in CLEARINGS_OWN


def _blocks(tx: Tx, partition: int, after: int, to: int) -> Iterator[ledger.Block]:
    while after < to:
        page = ledger.list_blocks(tx, partition, after=after, limit=_BLOCKS)
        for block in page:
            if block.number > to:
                return
            yield block
        if len(page) < _BLOCKS:
            return
        after = page[-1].number


def _block(block: ledger.Block) -> dict[str, Any]:
    return {
        "number": block.number,
        "first": block.first,
        "transfers": block.transfers,
        "previous_hash": block.previous_hash.hex(),
        "root": block.root.hex(),
        "hash": block.hash.hex(),
        "booked_at": block.booked_at.isoformat(),
    }


def _window(window: clearing.Window, signer: ledger.Signer) -> dict[str, Any]:
    return {
        "window_id": window.window_id,
        "model_id": window.model_id,
        "number": window.number,
        "basis": window.basis,
        "sides": window.sides,
        "business_day": window.business_day,
        "ends_at": window.ends_at,
        "decided_at": window.decided_at,
        "closed_at": window.closed_at,
        "items": window.items,
        "log_name": signer.name,
        "watermark": [asdict(mark) for mark in window.watermark],
    }


def _position(one: clearing.Position) -> tuple[str | int, ...]:
    return (
        *(one.issuer_id, one.operator_id, one.currency, one.items),
        *(one.gross, one.operator_share, one.issuer_fee, one.league_fee),
        *(one.debtor_id, one.creditor_id),
    )


def _agreements(tx: Tx, day: date, positions: Sequence[clearing.Position]) -> list[dict[str, Any]]:
    """What held on the day between the two of each position, product by product."""
    book = clearing.terms_on(tx, day)
    return [
        {"issuer_id": one.issuer_id, "operator_id": one.operator_id, "currency": one.currency}
        | asdict(book.terms(one.issuer_id, one.operator_id, product, one.currency))
        for one in positions
        for product in clearing.PRODUCTS
    ]


def _payments(tx: Tx, window_id: str) -> Iterator[tuple[str | int, ...]]:
    after = ""
    while True:
        page = settlement.desk.list_payments(tx, window_id=window_id, after=after, limit=_BLOCKS)
        for one in page:
            told = one.told
            yield (
                *(told.end_to_end_id, told.message_id, told.member_id, told.direction.value),
                *(told.currency, told.amount_minor, one.state.value),
                *("" if day is None else day.isoformat() for day in (one.booked_day, one.returned_day)),
            )
        if len(page) < _BLOCKS:
            return
        after = page[-1].told.end_to_end_id


def _bank_files(tx: Tx, window_id: str) -> Iterator[tuple[str, bytes]]:
    """The window's files as they were decided, and every message about them as it went and came."""
    for file in settlement.list_files(tx, window_id):
        yield f"files/{file.message_id}.xml", settlement.file_document(tx, file.message_id)
    for number, paper in enumerate(settlement.papers_of(tx, window_id), 1):
        way = "to" if paper.direction == "out" else "from" if paper.taken else "set-aside-from"
        name = f"messages/{number:06d}-{way}-{paper.bank_id}"
        yield f"{name}.xml", paper.body
        if paper.signature:
            yield f"{name}.sig", paper.signature


def _plain(value: object) -> str:
    if isinstance(value, (datetime, date)):
        return value.isoformat()
    raise TypeError(value)
