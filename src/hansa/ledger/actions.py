"""What can be done with the books: open accounts, post transfers, end holds, read, and prove."""

import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import replace
from datetime import date, datetime
from itertools import groupby
from uuid import UUID

from hansa.kernel import InvalidInput, Problem, UnknownCurrency, fact_id, in_utc, service_day_bounds
from hansa.kernel.money import CURRENCY_EXPONENTS
from hansa.ledger import store
from hansa.ledger.batch import Batch, batch_of, microseconds
from hansa.ledger.blocks import GENESIS_HASH, entries, hash_of
from hansa.ledger.chart import AccountFlag
from hansa.ledger.engine import find_engine
from hansa.ledger.mail import hand_over
from hansa.ledger.model import (
    AS_PENDING,
    BATCH_MAX,
    LABELS_MAX,
    PATH_MAX,
    Account,
    AccountConflict,
    AccountId,
    Balance,
    BatchTooLarge,
    Block,
    Booked,
    Entry,
    Finding,
    Head,
    Place,
    Result,
    ResultCode,
    Transfer,
    TransferFlag,
    TransferId,
    TreeRow,
    TrialBalance,
    Turnover,
    UnknownAccount,
    UnknownTransfer,
    is_path,
)
from hansa.ledger.rows import Rows, canonical_rows
from hansa.ledger.writer import write_now
from hansa.store import Context, StoreUnavailable, Tx
from hansa.trust import tlog

_FIRST = 0
_LAST = 2**63 - 1


# --- accounts


def open_accounts(ctx: Context | Tx, accounts: Sequence[Account], *, at: datetime | None = None) -> None:
    """Open these accounts; opening one again is harmless.

    ctx: opens its own transaction; a Tx joins the caller's. at: when; the present instant unless given.
    Errors: AccountConflict, UnknownCurrency, InvalidInput; then none of them was opened.
    """
    if isinstance(ctx, Context):
        with ctx.tx() as tx:
            open_accounts(tx, accounts, at=at or ctx.clock.now())
        return
    for account in accounts:
        if account.currency not in CURRENCY_EXPONENTS:
            raise UnknownCurrency(f"{account.currency!r} is not an active ISO 4217 currency code.")
        _check_openable(account)
    if not accounts:
        return
    store.make_heads(ctx, (account.partition for account in accounts))
    store.insert_accounts(ctx, accounts, at)
    standing = {
        (account.account_id, account.partition): replace(account, flags=account.flags & ~AccountFlag.CLOSED)
        for account in store.list_accounts(ctx, {account.account_id for account in accounts})
    }
    for account in accounts:
        if standing[account.account_id, account.partition] != account:
            raise AccountConflict(
                f"Account {account.account_id} is already open with another currency, code, holder or limit."
            )


def _check_openable(account: Account) -> None:
    both = AccountFlag.DEBITS_MUST_NOT_EXCEED_CREDITS | AccountFlag.CREDITS_MUST_NOT_EXCEED_DEBITS
    where = f"account {account.account_id}"
    problem = None
    if account.account_id.int in (0, 2**128 - 1):
        problem = Problem(where, "the id is zero or all ones", "Give it an id of its own")
    elif account.flags & both == both:
        problem = Problem(where, "limits both sides", "Choose one of the two limits")
    elif account.flags & AccountFlag.CLOSED:
        problem = Problem(where, "is opened closed", "Open it, then close it by a closing transfer")
    elif not is_path(account.path):
        problem = Problem(
            where,
            f"its path is {account.path[:PATH_MAX]!r}",
            f"Use small letters, digits and hyphens parted by colons, at most {PATH_MAX}",
        )
    elif len(account.labels) > LABELS_MAX or any(
        not 0 < len(word) <= PATH_MAX or "\0" in word for pair in account.labels.items() for word in pair
    ):
        problem = Problem(
            where, "its labels do not fit", f"At most {LABELS_MAX}, each of 1 to {PATH_MAX} characters"
        )
    if problem is not None:
        raise InvalidInput(problems=(problem,))


def get_account(tx: Tx, account_id: AccountId) -> Account:
    """The account, with its flags as of the last fold. Errors: UnknownAccount."""
    return _get_accounts(tx, [account_id])[0]


def _get_accounts(tx: Tx, account_ids: Iterable[AccountId]) -> list[Account]:
    wanted = list(account_ids)
    accounts = store.list_accounts(tx, wanted)
    missing = set(wanted) - {account.account_id for account in accounts}
    if missing:
        raise UnknownAccount(f"There is no account {min(missing)}.")
    return accounts


def find_accounts(tx: Tx, account_ids: Iterable[AccountId]) -> list[Account]:
    """Those of these accounts that there are."""
    return store.list_accounts(tx, account_ids)


def search_accounts(
    tx: Tx,
    *,
    holder: str | None = None,
    code: int | None = None,
    currency: str | None = None,
    path: str | None = None,
    labels: Mapping[str, str] | None = None,
    after: AccountId | None = None,
    limit: int = 100,
) -> list[Account]:
    """Accounts for which all that is given is true, by id.

    path: this place in the tree and all below it. labels: all of these. after: the last id of the page before.
    """
    return store.search_accounts(
        tx,
        holder=holder,
        code=code,
        currency=currency,
        path=path,
        labels=labels,
        after=after or UUID(int=0),
        limit=limit,
    )


def tree(tx: Tx, path: str = "", *, depth: int = 1) -> list[TreeRow]:
    """The accounts at and below a place of the tree, added up by branch and currency.

    depth: how many words of a path make a branch, counted from the root; 1 and up. Accounts without a path are in
    no tree. Errors: InvalidInput for what is no path.
    """
    if not is_path(path) or depth < 1:
        problem = Problem(
            "path", f"{path[:PATH_MAX]!r} at depth {depth}", "Give words parted by colons, depth 1 or more"
        )
        raise InvalidInput("There is no such place in the tree of accounts.", problems=(problem,))
    return store.list_tree(tx, path, depth)


# --- posting


def post(ctx: Context, transfers: Sequence[Transfer]) -> list[Result]:
    """Book these transfers, in order, as if each were handed in alone: one result for each.

    transfers: at most 8,192. Each partition's share is one durable commit; linked ones share a partition.
    Posting the same transfers again gives EXISTS and changes nothing, so after StoreUnavailable simply post again.
    Errors: BatchTooLarge. Every other refusal is a result.
    """
    if len(transfers) > BATCH_MAX:
        raise BatchTooLarge(f"{len(transfers):,} transfers in one call; at most {BATCH_MAX:,}.")
    codes, shares = _by_partition(transfers)
    for partition, indexes in shares.items():
        share = [transfers[index] for index in indexes] if len(shares) > 1 else transfers
        decided = post_batch(ctx, batch_of(share), partition=partition)
        for index, code in zip(indexes, decided, strict=True):
            codes[index] = code
    return [
        Result(index, transfer.transfer_id, code)
        for index, (transfer, code) in enumerate(zip(transfers, codes, strict=True))
    ]


def post_batch(ctx: Context, batch: Batch, *, partition: int = 0, expiring: bool = False) -> list[ResultCode]:
    """Book a batch of one partition: by its engine in this process, by one in another, or, where none is, here.

    Errors: as ``post``.
    """
    while True:
        engine = find_engine(ctx, partition)
        if engine is not None:
            return engine.post(batch, expiring=expiring)
        with ctx.tx() as tx:
            codes = write_now(tx, partition, batch, ctx.clock.now(), expiring=expiring)
        if codes is None:
            codes = hand_over(ctx, partition, batch, expiring=expiring)
        if codes is not None:
            return codes


def term_here(ctx: Context, partition: int) -> int | None:
    """The term of the engine that keeps this partition in this process; None where none does, or it is being elected.

    A term ends with the engine's connections: a batch that is good for one alone does not outlive a fall of the server.
    """
    engine = find_engine(ctx, partition)
    return None if engine is None else engine.term


def begin_post(
    ctx: Context, batch: Batch, *, partition: int = 0, term: int | None = None
) -> "Future[list[ResultCode]]":
    """Book a batch of one partition, without waiting where its engine is in this process; the codes come to the future.

    term: of that engine; in any other nothing is booked. Errors, given to the future: as ``post``.
    """
    engine = find_engine(ctx, partition)
    if engine is not None:
        return engine.begin_post(batch, term=term)
    done: Future[list[ResultCode]] = Future()
    try:
        if term is not None:
            raise StoreUnavailable("The ledger has another writer now. Send the same request again.")
        done.set_result(post_batch(ctx, batch, partition=partition))
    except Exception as error:  # the future's reader gets it, as from an engine
        done.set_exception(error)
    return done


def _by_partition(transfers: Sequence[Transfer]) -> tuple[list[ResultCode], dict[int, list[int]]]:
    """Which transfers, by index, are for which partition, in order; chains that cross partitions are refused."""
    codes = [ResultCode.LINKED_EVENT_CROSSES_PARTITIONS] * len(transfers)
    partitions = {transfer.partition for transfer in transfers}
    if len(partitions) == 1:
        return codes, {partitions.pop(): list(range(len(transfers)))}
    shares: dict[int, list[int]] = {}
    chain: list[int] = []
    for index, transfer in enumerate(transfers):
        chain.append(index)
        if transfer.flags & TransferFlag.LINKED and index < len(transfers) - 1:
            continue
        if len({transfers[member].partition for member in chain}) == 1:
            shares.setdefault(transfer.partition, []).extend(chain)
        chain = []
    return codes, shares


def expire_pending(ctx: Context, *, partition: int | None = None, limit: int = BATCH_MAX) -> int:
    """Release the holds whose time is up, oldest first; gives how many. The release is a transfer like any other.

    partition: one; None is all. limit: holds per partition in this call; call again while it returns something.
    """
    with ctx.tx() as tx:
        partitions = [head.partition for head in store.list_heads(tx) if partition in (None, head.partition)]
    expired = 0
    for number in partitions:
        engine = find_engine(ctx, number)
        if engine is not None:
            engine.fold()  # holds that were opened just now become rows, and those that ended are told so
        with ctx.tx() as tx:
            due = store.list_due_holds(tx, number, in_utc(ctx.clock.now()), limit)
        if not due:
            continue
        releases = [
            Transfer(
                transfer_id=TransferId(fact_id(expires_at, "ledger.expired", number, hold)),
                debit=AS_PENDING,
                credit=AS_PENDING,
                amount=0,
                currency="",
                code=0,
                event_at=expires_at,
                partition=number,
                flags=TransferFlag.VOID_PENDING | TransferFlag.EXPIRED,
                pending_id=hold,
            )
            for hold, expires_at in due
        ]
        codes = post_batch(ctx, batch_of(releases), partition=number, expiring=True)
        # A hold may have been posted or voided since we looked; then there is nothing left to release.
        expired += codes.count(ResultCode.CREATED)
    return expired


# --- reading


def balance(tx: Tx, account_id: AccountId) -> Balance:
    """The account's sums now. Errors: UnknownAccount."""
    return balances(tx, [account_id])[account_id]


def balances(tx: Tx, account_ids: Iterable[AccountId]) -> dict[AccountId, Balance]:
    """The sums of these accounts now. Errors: UnknownAccount if one is not there."""
    wanted = set(account_ids)
    found = store.list_balances(tx, wanted)
    if missing := wanted - set(found):
        raise UnknownAccount(f"There is no account {min(missing)}.")
    return found


def balance_at(tx: Tx, account_id: AccountId, instant: datetime) -> Balance:
    """The account's sums after all that was booked up to and including an instant. Errors: UnknownAccount."""
    account = get_account(tx, account_id)
    block = store.block_at(tx, account.partition, in_utc(instant))
    return store.list_balances_at_block(tx, account.partition, block, [account_id]).get(account_id, Balance())


def balances_at_block(
    tx: Tx, account_ids: Iterable[AccountId], block: int, *, partition: int = 0
) -> dict[AccountId, Balance]:
    """The sums of these accounts of a partition as they stood after a block; zeros where nothing was booked yet."""
    wanted = list(account_ids)
    found = store.list_balances_at_block(tx, partition, block, wanted)
    return {account_id: found.get(account_id, Balance()) for account_id in wanted}


def last_block_before(tx: Tx, instant: datetime, *, partition: int = 0) -> int:
    """The number of a partition's last block that was booked before an instant; 0 where there was none."""
    return store.block_before(tx, partition, in_utc(instant))


def statement(
    tx: Tx,
    account_id: AccountId,
    *,
    after: Place | None = None,
    limit: int = 100,
    newest_first: bool = False,
) -> list[Entry]:
    """The account's lines with the running balance, oldest first unless asked otherwise.

    after: the place of the last line already seen, in the same order. Errors: UnknownAccount.
    """
    account = get_account(tx, account_id)
    start = store.place_number(after) if after is not None else _LAST if newest_first else _FIRST
    return store.list_entries(tx, account, after=start, limit=limit, newest_first=newest_first)


def postings(
    tx: Tx,
    account_ids: Sequence[AccountId],
    *,
    after_block: int,
    to_block: int,
    partition: int = 0,
    after: Place | None = None,
    limit: int | None = None,
) -> list[Entry]:
    """What was booked on these accounts of a partition after one block and up to another, in order of booking.

    after, limit: for paging within the range; an account on each side of a transfer gives a line each.
    """
    start = store.last_place(after_block)
    if after is not None:
        start = max(start, store.place_number(after))
    return store.list_postings(
        tx, account_ids, partition=partition, after=start, to=store.last_place(to_block), limit=limit
    )


def turnover(
    tx: Tx,
    steps: Mapping[AccountId, Sequence[int]],
    *,
    after_block: int,
    to_block: int,
    partition: int = 0,
) -> list[Turnover]:
    """What was booked on these accounts of a partition after one block and up to another, added up by transfer code.

    steps: for each account, rising amounts in minor units from which on postings are added up apart; mostly none. A
    debit counts below zero. Costs one reading of those blocks, however many accounts there are.
    """
    if not steps or to_block <= after_block:
        return []
    rows = store.list_turnover(tx, partition, steps, after_block=after_block, to_block=to_block)
    return [Turnover(AccountId(row[0]), *row[1:]) for row in rows]


def transfers_of(
    tx: Tx,
    account_ids: Sequence[AccountId],
    *,
    booked_from: datetime,
    booked_to: datetime,
    partition: int = 0,
) -> list[Booked]:
    """Each transfer on any of these accounts booked from one instant until before another, in order."""
    first = store.block_before(tx, partition, in_utc(booked_from))
    last = store.block_before(tx, partition, in_utc(booked_to))
    entries = postings(tx, account_ids, after_block=first, to_block=last, partition=partition)
    return [next(lines).booked for _, lines in groupby(entries, key=lambda entry: entry.booked.place)]


def get_transfer(tx: Tx, transfer_id: TransferId) -> Booked:
    """The transfer as it stands in the books. Errors: UnknownTransfer."""
    found = find_transfer(tx, transfer_id)
    if found is None:
        raise UnknownTransfer(f"There is no transfer {transfer_id} in the books.")
    return found


def find_transfer(tx: Tx, transfer_id: TransferId) -> Booked | None:
    """The transfer as it stands in the books, or None: the answer to "did it get through?"."""
    return store.find_transfer(tx, transfer_id)


def trial_balance(
    tx: Tx, at: datetime | None = None, *, day: date | None = None, tz: str = "UTC"
) -> TrialBalance:
    """All accounts added up by currency and kind: now, at an instant, or at the end of a day in ``tz``."""
    if day is not None:
        at = service_day_bounds(day, tz)[1]
    instant = None if at is None else in_utc(at)
    return TrialBalance(tuple(store.list_trial_rows(tx, instant)), instant)


def block_head(tx: Tx, partition: int = 0) -> tuple[int, bytes]:
    """Number and hash of a partition's last block: a watermark. (0, zeros) before the first."""
    head = store.find_head(tx, partition)
    return (0, GENESIS_HASH) if head is None else (head.number, head.hash)


def list_heads(tx: Tx) -> list[Head]:
    """The last block of every partition, by partition."""
    return store.list_heads(tx)


def list_blocks(tx: Tx, partition: int = 0, *, after: int = 0, limit: int = 100) -> list[Block]:
    """A partition's blocks after a number, in order."""
    return store.list_blocks(tx, partition, after=after, limit=limit)


# --- proof


def verify(tx: Tx, partition: int | None = None) -> list[Finding]:
    """Everything in the books that does not add up; an empty list is the proof that they do.

    From the journal's rows alone are worked out again: every hash, the Merkle tree with its stored nodes and edge, the
    sums after every transfer, and what the folds made of them: balances, holds, statements' places and totals.
    partition: one; None is all.
    """
    edges = [edge for edge in store.list_edges(tx) if partition in (None, edge.head.partition)]
    return [finding for edge in edges for finding in _verify_partition(tx, edge)]


def rebuild(ctx: Context, partition: int) -> int:
    """Throw away what folds made of a partition's journal and make it again; gives how many transfers.

    For books whose derived rows were damaged. No engine may keep the partition meanwhile.
    Errors: InvalidInput when one does.
    """
    with ctx.tx() as tx:
        locked = store.lock_head(tx, partition)
        if locked.writer is not None and store.engine_lives(tx, partition):
            problem = Problem("partition", f"{locked.writer} keeps it", "Stop that engine first")
            raise InvalidInput("These books are in use.", problems=(problem,))
        store.forget_folded(tx, partition)
        return store.fold(tx, partition, previous=0, number=locked.head.number) if locked.head.number else 0


def _verify_partition(tx: Tx, edge: store.Edge) -> Iterator[Finding]:
    head = edge.head
    yield from _verify_chain(tx, edge)
    for account_id in store.list_unequal_balances(tx, head.partition):
        yield Finding(
            head.partition, None, f"the balance of account {account_id} is not what its journal says"
        )
    for currency, debits, credits in store.list_uneven_currencies(tx, head.partition):
        yield Finding(head.partition, None, f"{currency} is not even: debits {debits}, credits {credits}")
    for number in store.list_unequal_totals(tx, head.partition):
        yield Finding(head.partition, number, "the fold's totals are not what its transfers moved")
    for number in store.list_unequal_folds(tx, head.partition):
        yield Finding(head.partition, number, "the fold is not of the transfers after the fold before it")
    for account_id in store.list_unequal_places(tx, head.partition):
        yield Finding(
            head.partition, None, f"the lines of account {account_id} are not those of its transfers"
        )
    for number in store.list_unequal_runs(tx, head.partition):
        yield Finding(head.partition, number, "the run is not of its blocks' transfers")
    for account_id in store.list_unequal_closed(tx, head.partition):
        yield Finding(head.partition, None, f"account {account_id} is closed, or open, against its journal")
    for level, index in store.list_stray_nodes(tx, head.partition):
        yield Finding(head.partition, None, f"node {index} of level {level} stands beyond the head")
    for hold in store.list_unequal_holds(tx, head.partition):
        yield Finding(head.partition, None, f"hold {hold} is not in the state its journal says")


def _verify_chain(tx: Tx, edge: store.Edge) -> Iterator[Finding]:
    """Seal every block again from its rows, walk the sums, and follow the chain and the tree to the head."""
    head = edge.head
    previous, number, booked_at = GENESIS_HASH, 0, store.BEFORE_ALL
    tree = tlog.Tree()
    sums: dict[bytes, tuple[int, ...]] = {}
    journal = groupby(store.read_journal(tx, head.partition, head.number), key=lambda row: row.block)
    written = next(journal, None)
    for block in store.read_blocks(tx, head.partition, head.number):
        while written is not None and written[0] < block.number:
            yield Finding(head.partition, written[0], "transfers stand in a block that is not there")
            written = next(journal, None)
        rows: list[store.JournalRow] = []
        if written is not None and written[0] == block.number:
            rows = list(written[1])
            written = next(journal, None)
        number += 1
        if block.number != number:
            yield Finding(head.partition, block.number, f"block {number} is missing before it")
            number = block.number
        if block.previous_hash != previous:
            yield Finding(head.partition, block.number, "it does not name the hash of the block before it")
        if block.booked_at < booked_at:
            yield Finding(head.partition, block.number, "it was booked before the block before it")
        if block.hash != hash_of(block):
            yield Finding(head.partition, block.number, "its header is not the one that was hashed")
        try:
            sealed = entries(canonical_rows(_rows_of(block, rows)), block.salt_key) if rows else []
        except (ArithmeticError, ValueError, struct.error):
            yield Finding(head.partition, block.number, "a transfer holds what none can")
            sealed = [bytes(32)] * len(rows)
        nodes = tree.append(sealed)
        in_place = [(row.position, row.booked_us) for row in rows] == [
            (position, microseconds(block.booked_at)) for position in range(block.transfers)
        ]
        if tree.root() != block.root or not in_place or block.first + len(rows) != tree.size:
            yield Finding(head.partition, block.number, "its transfers are not those that were hashed")
        for node in nodes:
            if not store.has_node(tx, head.partition, node):
                yield Finding(
                    head.partition,
                    block.number,
                    f"node {node.index} of level {node.level} is not its transfers'",
                )
        for row in rows:
            if not _sums_follow(sums, row):
                yield Finding(
                    head.partition, block.number, f"the sums after transfer {row.position} do not follow"
                )
        previous, booked_at = block.hash, block.booked_at
    if written is not None:
        yield Finding(head.partition, written[0], "transfers stand in a block that is not there")
    if (number, previous, tree.size, booked_at) != (head.number, head.hash, head.size, head.booked_at):
        yield Finding(head.partition, None, "the head is not the last block")
    if edge.beyond is not None:
        yield Finding(head.partition, edge.beyond, "it, or transfers in it, stand beyond the head")
    if edge.peaks != b"".join(tree.peaks):
        yield Finding(head.partition, None, "the tree's edge at the head is not that of its transfers")


def _rows_of(block: Block, rows: Sequence[store.JournalRow]) -> Rows:
    return Rows(
        block.partition,
        block.number,
        microseconds(block.booked_at),
        [row.body for row in rows],
        [row.released for row in rows],
        [],
    )


def _sums_follow(sums: dict[bytes, tuple[int, ...]], row: store.JournalRow) -> bool:
    """Whether both accounts' sums after this row are those before it with what the row moved; goes on from the row."""
    body, flags = row.body, row.body[11]
    moved = 0 if flags & (TransferFlag.PENDING | TransferFlag.VOID_PENDING) else body[3]
    held = body[3] if flags & TransferFlag.PENDING else -(row.released or 0)
    debit, credit = sums.get(body[1], (0, 0, 0, 0)), sums.get(body[2], (0, 0, 0, 0))
    debit = (debit[0] + held, debit[1] + moved, debit[2], debit[3])
    credit = (credit[0], credit[1], credit[2] + held, credit[3] + moved)
    follows = row.sums == (*debit, *credit)
    sums[body[1]], sums[body[2]] = row.sums[:4], row.sums[4:]
    return follows
