"""What can be done with the books: open accounts, post transfers, end holds, read, and prove."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import date, datetime
from itertools import groupby
from uuid import UUID

from hansa.kernel import InvalidInput, Problem, UnknownCurrency, fact_id, in_utc, service_day_bounds
from hansa.kernel.money import CURRENCY_EXPONENTS
from hansa.ledger import store
from hansa.ledger.blocks import GENESIS_HASH, block_hash, pack_rows
from hansa.ledger.chart import AccountFlag
from hansa.ledger.decide import Book, HoldState, Row, decide
from hansa.ledger.model import (
    AS_PENDING,
    BATCH_MAX,
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
    TrialBalance,
    UnknownAccount,
    UnknownTransfer,
)
from hansa.store import Context, Tx

_FIRST = Place(0, -1)
_LAST = Place(2**63 - 1, 0)


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
    if account.account_id.int == 0:
        raise InvalidInput(problems=(Problem(where, "the id is zero", "Give it an id of its own"),))
    if account.flags & both == both:
        raise InvalidInput(problems=(Problem(where, "limits both sides", "Choose one of the two limits"),))
    if account.flags & AccountFlag.CLOSED:
        raise InvalidInput(problems=(Problem(where, "is opened closed", "Open it, then close it"),))


def close_accounts(ctx: Context, account_ids: Sequence[AccountId]) -> None:
    """Let nothing more be booked on these accounts, save the release of holds. Closing again is harmless."""
    with ctx.tx() as tx:
        accounts = _get_accounts(tx, account_ids)
        accounts.sort(key=lambda account: account.partition)
        for partition, of_partition in groupby(accounts, key=lambda account: account.partition):
            store.lock_head(tx, partition)
            store.close_accounts(tx, partition, [account.account_id for account in of_partition])


def get_account(tx: Tx, account_id: AccountId) -> Account:
    """The account, with its flags as they are now. Errors: UnknownAccount."""
    return _get_accounts(tx, [account_id])[0]


def _get_accounts(tx: Tx, account_ids: Iterable[AccountId]) -> list[Account]:
    wanted = list(account_ids)
    accounts = store.list_accounts(tx, wanted)
    missing = set(wanted) - {account.account_id for account in accounts}
    if missing:
        raise UnknownAccount(f"There is no account {min(missing)}.")
    return accounts


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
        with ctx.tx() as tx:
            decided = _post_share(tx, store.lock_head(tx, partition), share, ctx.clock.now())
        for index, code in zip(indexes, decided, strict=True):
            codes[index] = code
    return [
        Result(index, transfer.transfer_id, code)
        for index, (transfer, code) in enumerate(zip(transfers, codes, strict=True))
    ]


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


def _post_share(
    tx: Tx, head: Head, transfers: Sequence[Transfer], now: datetime, *, expiring: bool = False
) -> list[ResultCode]:
    """Decide one partition's transfers and write what came out as the block after ``head``."""
    now = max(in_utc(now), head.booked_at)
    book = _load_book(tx, head.partition, transfers)
    decision = decide(book, transfers, now=now, expiring=expiring)
    if decision.rows:
        _write_block(tx, head, book, decision.rows, now)
    return decision.codes


def _load_book(tx: Tx, partition: int, transfers: Sequence[Transfer]) -> Book:
    pending_ids = {transfer.pending_id for transfer in transfers if transfer.pending_id is not None}
    ids: set[UUID] = {transfer.transfer_id for transfer in transfers}
    existing = store.load_transfers(tx, partition, ids | pending_ids)
    holds = store.load_holds(tx, partition, existing, pending_ids) if pending_ids else {}
    accounts: set[UUID] = {transfer.debit for transfer in transfers}
    accounts.update(transfer.credit for transfer in transfers)
    for hold in holds.values():
        accounts.update((hold.pending.debit, hold.pending.credit))
    return Book(store.load_standings(tx, partition, accounts), existing, holds)


def _write_block(tx: Tx, head: Head, book: Book, rows: Sequence[Row], now: datetime) -> None:
    """One block: holds, journal, balances with their zero-sum check, and the head moved on."""
    partition, number = head.partition, head.number + 1
    packed = pack_rows(rows, partition=partition, block=number, booked_at=now)
    digest = block_hash(
        head.hash, partition=partition, number=number, booked_at=now, count=len(rows), rows=packed
    )
    block = Block(partition, number, head.hash, digest, now, len(rows))

    opened: list[tuple[TransferId, datetime | None]] = []
    resolved: list[tuple[TransferId, HoldState, TransferId]] = []
    touched: dict[int, UUID] = {}
    for row in rows:
        transfer = row.transfer
        touched[transfer.debit.int] = transfer.debit
        touched[transfer.credit.int] = transfer.credit
        if transfer.pending_id is not None:
            state = book.holds[transfer.pending_id.int].state
            resolved.append((transfer.pending_id, state, transfer.transfer_id))
        elif transfer.transfer_id.int in book.holds:
            opened.append((transfer.transfer_id, book.holds[transfer.transfer_id.int].expires_at))

    if opened:
        store.insert_holds(tx, partition, opened)
    if resolved:
        store.resolve_holds(tx, partition, resolved)
    store.copy_transfers(tx, packed)
    store.insert_block(tx, block)
    standings = [(touched[key], book.accounts[key]) for key in sorted(touched)]
    store.set_balances(tx, partition, number, standings)
    store.move_head(tx, block)


def expire_pending(ctx: Context, *, partition: int | None = None, limit: int = BATCH_MAX) -> int:
    """Release the holds whose time is up; gives how many. The release is a transfer like any other.

    partition: one; None is all. limit: holds per partition in this call; call again while it returns something.
    """
    with ctx.tx() as tx:
        partitions = [head.partition for head in store.list_heads(tx) if partition in (None, head.partition)]
    expired = 0
    for number in partitions:
        with ctx.tx() as tx:
            head = store.lock_head(tx, number)
            now = max(in_utc(ctx.clock.now()), head.booked_at)
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
                for hold, expires_at in store.list_due_holds(tx, number, now, limit)
            ]
            codes = _post_share(tx, head, releases, now, expiring=True) if releases else []
            assert all(code is ResultCode.OK for code in codes), "an open hold can always be released"
            expired += len(codes)
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
    start = after or (_LAST if newest_first else _FIRST)
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
    return store.list_postings(
        tx,
        account_ids,
        partition=partition,
        after_block=after_block,
        to_block=to_block,
        after=after or _FIRST,
        limit=limit,
    )


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

    The chain of hashes is recomputed from the rows, the running sums are walked, and balances, holds and block
    totals are worked out again from the journal. partition: one; None is all.
    """
    heads = [head for head in store.list_heads(tx) if partition in (None, head.partition)]
    return [finding for head in heads for finding in _verify_partition(tx, head)]


def _verify_partition(tx: Tx, head: Head) -> Iterator[Finding]:
    yield from _verify_chain(tx, head)
    for account_id in store.list_unequal_balances(tx, head.partition):
        yield Finding(
            head.partition, None, f"the balance of account {account_id} is not what its journal says"
        )
    for currency, debits, credits in store.list_uneven_currencies(tx, head.partition):
        yield Finding(head.partition, None, f"{currency} is not even: debits {debits}, credits {credits}")
    for number in store.list_unequal_totals(tx, head.partition):
        yield Finding(head.partition, number, "the block's totals are not what its transfers moved")
    for hold in store.list_unequal_holds(tx, head.partition):
        yield Finding(head.partition, None, f"hold {hold} is not in the state its journal says")


def _verify_chain(tx: Tx, head: Head) -> Iterator[Finding]:
    """Hash every block again from its rows, and follow the chain to the head."""
    previous, number, booked_at = GENESIS_HASH, 0, store.BEFORE_ALL
    journal = groupby(store.read_journal(tx, head.partition), key=lambda row: row.block)
    written = next(journal, None)
    for block in store.read_blocks(tx, head.partition):
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
        packed = pack_rows(
            [row.row for row in rows],
            partition=block.partition,
            block=block.number,
            booked_at=block.booked_at,
        )
        digest = block_hash(
            block.previous_hash,
            partition=block.partition,
            number=block.number,
            booked_at=block.booked_at,
            count=len(rows),
            rows=packed,
        )
        in_place = [(row.position, row.booked_at) for row in rows] == [
            (position, block.booked_at) for position in range(block.transfers)
        ]
        if digest != block.hash or not in_place:
            yield Finding(head.partition, block.number, "its transfers are not those that were hashed")
        previous, booked_at = block.hash, block.booked_at
    if written is not None:
        yield Finding(head.partition, written[0], "transfers stand in a block that is not there")
    if (number, previous) != (head.number, head.hash):
        yield Finding(head.partition, None, "the head is not the last block")
