"""The ledger's logs over HTTP: hashes and checkpoints for everybody, receipts for whose transfer it is."""

from datetime import timedelta
from typing import Annotated
from uuid import UUID

import msgspec
from litestar import Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath, PathParameter

from hansa import trust
from hansa.ledger import log
from hansa.ledger.model import TransferId, UnknownTransfer
from hansa.store import Context
from hansa.trust import tlog

Ctx = NamedDependency[Context]
LogSigner = NamedDependency[log.Signer]
Partition = Annotated[int, PathParameter(ge=0, le=32_767)]

FOR_GOOD = f"public, max-age={int(timedelta(days=365).total_seconds())}, immutable"
FOR_A_WHILE = "public, max-age=300"
FOR_SECONDS = "public, max-age=2"
FOR_ALL_SITES = {"access-control-allow-origin": "*", "cross-origin-resource-policy": "cross-origin"}
"""A log is watched from elsewhere: other cities' pages may read it too."""


class ReceiptTransfer(msgspec.Struct, frozen=True):
    """A row's fields for a person to read. Block and amount are text, since many programs cannot hold such numbers."""

    partition: int
    block: str
    position: int
    transfer_id: str
    debit_account: str
    credit_account: str
    amount: str
    pending_id: str | None
    reference: str | None
    tag: int
    timeout_s: int
    currency: str
    code: int
    flags: int
    event_at: str
    booked_at: str
    memo: str


class ReceiptView(msgspec.Struct, frozen=True):
    """A receipt (docs/tamper-evidence.md). salt, row: hexadecimal. proof: a C2SP tlog-proof."""

    version: int
    origin: str
    partition: int
    index: int
    salt: str
    row: str
    transfer: ReceiptTransfer
    proof: str


@get("/v1/ledger/log/key", sync_to_thread=True, tags=["Ledger"], media_type="text/plain")
def read_log_keys(ctx: Ctx, log_signer: LogSigner) -> Response[str]:
    """The verifier keys of this city's logs, one a line. Take them from here and keep them, not from a receipt."""
    with ctx.tx() as tx:
        keys = [str(log_signer.verifier_key(partition)) for partition in log.partitions(tx)]
    return _text("".join(f"{key}\n" for key in keys))


@get(
    "/v1/ledger/log/{partition:int}/checkpoint",
    sync_to_thread=True,
    tags=["Ledger"],
    media_type="text/plain",
    opt={"refuses": (log.NoLog,)},
)
def read_checkpoint(ctx: Ctx, log_signer: LogSigner, partition: Partition) -> Response[str]:
    """The newest checkpoint of a partition's log, signed, with the witnesses' signatures that are under it so far."""
    with ctx.tx() as tx:
        note = log.LogReader(tx, partition).checkpoint(log_signer)
    return _text(str(note))


@get(
    "/v1/ledger/log/{partition:int}/tile/{place:path}",
    sync_to_thread=True,
    tags=["Ledger"],
    media_type=tlog.TILE_TYPE,
    opt={"refuses": (log.NoLog, tlog.OutsideTree)},
)
def read_tile(
    ctx: Ctx, partition: Partition, place: Annotated[str, PathParameter(max_length=80)]
) -> Response[bytes]:
    """A tile of hashes, or a bundle of entries, at its address of C2SP tlog-tiles: `0/x001/067`, `entries/003.p/12`."""
    tile = tlog.parse_path(f"tile{place}")
    if tile is None:
        raise tlog.OutsideTree(f"There is no tile {place[:80]}.")
    with ctx.tx() as tx:
        reader = log.LogReader(tx, partition)
        data = (
            reader.bundle(tile.index, tile.width)
            if tile.level is None
            else reader.tile(tile.level, tile.index, tile.width)
        )
    caching = FOR_GOOD if tile.width == log.TILE_WIDTH else FOR_A_WHILE
    return Response(data, media_type=tlog.TILE_TYPE, headers={"cache-control": caching, **FOR_ALL_SITES})


@get(
    "/v1/ledger/transfers/{transfer_id:uuid}/receipt",
    sync_to_thread=True,
    tags=["Ledger"],
    opt={"needs": "ledger:read", "who": ("key", "session"), "refuses": (UnknownTransfer,)},
)
def read_receipt(
    ctx: Ctx, caller: NamedDependency[trust.Caller], log_signer: LogSigner, transfer_id: FromPath[UUID]
) -> Response[ReceiptView]:
    """The proof that a transfer stands in the log, to keep and to check offline. For those who may see the transfer.

    A member gets those of the accounts it holds, a rider those of her wallets. `ledger.unknown_transfer` for everyone
    else's too.
    """
    if caller.kind != "person":
        caller.require("ledger:read")
    with ctx.tx() as tx:
        log.open_transfer(tx, caller, TransferId(transfer_id))
        receipt = log.receipt(tx, TransferId(transfer_id), log_signer)
    return Response(
        msgspec.convert(receipt.to_json(), ReceiptView),
        headers={
            "cache-control": "no-store",
            "content-disposition": f'attachment; filename="hansa-receipt-{transfer_id}.json"',
        },
    )


def _text(text: str) -> Response[str]:
    return Response(text, media_type="text/plain", headers={"cache-control": FOR_SECONDS, **FOR_ALL_SITES})


ROUTES = [read_log_keys, read_checkpoint, read_tile, read_receipt]
