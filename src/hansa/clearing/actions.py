"""What can be done in clearing: agree, open positions, close a day, look into it.

Closing a day is three steps, each safe to repeat: *decide* (one transaction: watermark, positions, nets, totals),
*post* (ledger transfers with ids worked out from the day), *close* (one row). After a kill the same call goes on
where the last one stopped, by what was decided and not by what has arrived since.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date, time
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from hansa import ledger, trust
from hansa.clearing import store
from hansa.clearing.model import (
    LEAGUE,
    AgreementDiffers,
    ClearingDay,
    DayClosed,
    DayNotOver,
    DayStatus,
    Due,
    Item,
    ItemCursor,
    NetPosition,
    Position,
    PositionAccount,
    PositionLine,
    Settings,
    UnknownDay,
    Watermark,
    due_account,
    dues,
    earned_account,
    line_of,
    obligations,
    position_account,
    transfers_of_day,
)
from hansa.clearing.netting import Agreement, agreement_of, matrix, net
from hansa.kernel import InvalidInput, Money, Problem
from hansa.store import Context, Tx
from hansa.trust import MemberId

Step = Callable[[str], None]
"""Told the name of each step once it is durable: where an operator watches, and where a test pulls the plug."""

_CLEARED = frozenset((ledger.TransferCode.CLEARED, ledger.TransferCode.FEE))
"""Clearing's own transfers stand on the position accounts too, and are no items."""

_PAGE = ledger.BATCH_MAX


def no_step(_: str) -> None:
    """Nobody watches."""


def get_settings(tx: Tx) -> Settings:
    """When the league's business day ends."""
    return store.get_settings(tx)


def set_settings(tx: Tx, *, tz: str, cut_off: time) -> None:
    """Set when business days end, for the days that are not decided yet. Errors: InvalidInput."""
    try:
        ZoneInfo(tz)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise InvalidInput(
            "The business day needs a time zone.",
            problems=(Problem("tz", f"{tz!r} is not known", "Give an IANA name such as Asia/Shanghai"),),
        ) from error
    store.set_settings(tx, tz, cut_off)


def add_agreements(tx: Tx, agreements: Sequence[Agreement]) -> None:
    """Agree on fees from a day on; doing so again is harmless. Errors: AgreementDiffers, then none is added."""
    store.add_agreements(tx, agreements)
    kept = set(store.list_agreements(tx))
    for agreement in agreements:
        if agreement not in kept:
            raise AgreementDiffers(
                f"{agreement.issuer_id} and {agreement.operator_id} have other fees from {agreement.valid_from} on."
            )


def open_positions(ctx: Context, pairs: Iterable[tuple[str, str, str]]) -> None:
    """Let these issuers owe these operators in these currencies: (issuer, operator, currency). Again is harmless.

    Opens the position accounts, and what clearing and settlement make of them, in every partition.
    Errors: trust.UnknownMember.
    """
    wanted = sorted(set(pairs))
    partitions = sorted(set(ctx.directory.partitions))
    positions = [
        PositionAccount(
            partition, position_account(issuer, operator, unit, partition), issuer, operator, unit
        )
        for issuer, operator, unit in wanted
        for partition in partitions
    ]
    parties = sorted(
        {(member, unit) for issuer, operator, unit in wanted for member in (issuer, operator, LEAGUE)}
    )
    accounts = [
        ledger.Account(
            account_id=position.account_id,
            currency=position.currency,
            code=ledger.AccountCode.POSITION,
            holder=f"{position.issuer_id} to {position.operator_id}",
            partition=position.partition,
            path=ledger.account_path(ledger.AccountCode.POSITION, position.issuer_id, position.operator_id),
        )
        for position in positions
    ]
    accounts += [
        ledger.Account(
            account_id=account_of(member, unit, partition),
            currency=unit,
            code=code,
            holder=member,
            partition=partition,
            path=ledger.account_path(code, member),
        )
        for member, unit in parties
        for partition in partitions
        for account_of, code in (
            (due_account, ledger.AccountCode.DUE),
            (earned_account, ledger.AccountCode.EARNED),
        )
    ]
    with ctx.tx() as tx:
        _check_members(tx, {member for member, _ in parties})
        # Known to clearing before the ledger opens them: no day can be closed past a posting on one.
        store.add_position_accounts(tx, positions)
    ledger.open_accounts(ctx, accounts)


def close_day(ctx: Context, day: date, *, step: Step = no_step) -> ClearingDay:
    """Close a business day: what was booked on positions since the day before it, netted and made payable.

    Closing it again gives the same day; after a kill it goes on where it stopped. What is booked later belongs to
    the next day that is closed. Errors: DayNotOver before its cut-off; DayClosed if a later day is closed.
    """
    with ctx.tx() as tx:
        found = store.find_day(tx, day)
        unfinished = store.latest_day(tx)
    if found is None:
        if unfinished is not None and unfinished < day:
            _finish_day(ctx, unfinished, no_step)
        _decide_day(ctx, day)
        step("decided")
    _finish_day(ctx, day, step)
    with ctx.tx() as tx:
        return get_day(tx, day)


def get_day(tx: Tx, day: date) -> ClearingDay:
    """A clearing day. Errors: UnknownDay."""
    found = store.find_day(tx, day)
    if found is None:
        raise UnknownDay(f"{day} is not closed.")
    return found


def list_days(tx: Tx, *, before: date | None = None, limit: int = 100) -> list[ClearingDay]:
    """Clearing days, latest first."""
    return store.list_days(tx, before=before, limit=limit)


def positions(tx: Tx, day: date) -> list[Position]:
    """What each issuer owes each operator for a day. Errors: UnknownDay."""
    get_day(tx, day)
    return store.positions(tx, day)


def net_positions(tx: Tx, day: date) -> list[NetPosition]:
    """What each member pays or receives for a day; every currency sums to zero. Errors: UnknownDay."""
    get_day(tx, day)
    return store.net_positions(tx, day)


def day_matrix(tx: Tx, day: date) -> Mapping[tuple[MemberId, MemberId, str], int]:
    """Who owes whom how much for a day before netting: (debtor, creditor, currency). Errors: UnknownDay."""
    get_day(tx, day)
    return matrix(obligations(store.positions(tx, day)))


def day_dues(tx: Tx, day: date) -> list[Due]:
    """What a day made payable to each issuer, operator and the league, before netting. Errors: UnknownDay."""
    get_day(tx, day)
    return dues(store.position_lines(tx, day))


def items(
    tx: Tx, day: date, issuer_id: str, operator_id: str, currency: str, *, after: str = "", limit: int = 100
) -> list[Item]:
    """The postings that make up a position of a day, in order of booking; nothing where there is no such position.

    after: the cursor of the last item already seen. Errors: UnknownDay; InvalidInput for a cursor that is none.
    """
    found = get_day(tx, day)
    start = ItemCursor.read(after) if after else ItemCursor(-1, 0, -1)
    listed: list[Item] = []
    for mark in found.watermark:
        if mark.partition < start.partition or len(listed) == limit:
            continue
        account = position_account(issuer_id, operator_id, currency, mark.partition)
        place = ledger.Place(start.block, start.position) if mark.partition == start.partition else None
        for entry in _postings(tx, account, mark, after=place, page=limit):
            listed.append(_item(entry, currency))
            if len(listed) == limit:
                break
    return listed


def _decide_day(ctx: Context, day: date) -> None:
    """Write down what the day is: the watermark of each partition, positions, nets and their zero sums."""
    with ctx.tx() as tx:
        settings = store.get_settings(tx, lock=True)
        if store.find_day(tx, day) is not None:
            return
        now, ends_at = ctx.clock.now(), settings.ends_at(day)
        if now < ends_at:
            raise DayNotOver(f"{day} ends at {ends_at.isoformat()} ({settings.cut_off} in {settings.tz}).")
        latest = store.latest_day(tx)
        if latest is not None and latest > day:
            raise DayClosed(
                f"{latest} is closed already, and {day} was before it; its items cleared with {latest}."
            )
        taken = store.latest_blocks(tx)
        marks = [
            Watermark(head.partition, taken.get(head.partition, 0), head.number)
            for head in ledger.list_heads(tx)
        ]
        lines = _decide_lines(tx, day, {mark.partition: mark for mark in marks})
        store.add_day(
            tx,
            day,
            ends_at=ends_at,
            decided_at=now,
            watermarks=marks,
            lines=lines,
            nets=net(obligations(lines)),
        )


def _decide_lines(tx: Tx, day: date, marks: Mapping[int, Watermark]) -> list[PositionLine]:
    """The day's positions; what the items add up to must be what the ledger's running balances say."""
    agreements = store.list_agreements(tx)
    clears_as = _clears_as(tx)
    lines: list[PositionLine] = []
    accounts = store.list_position_accounts(tx)
    standing: dict[ledger.AccountId, int] = {}
    for partition, mark in marks.items():
        ids = [account.account_id for account in accounts if account.partition == partition]
        at_mark = ledger.balances_at_block(tx, ids, mark.up_to_block, partition=partition)
        standing.update((account_id, balance.credit_minor) for account_id, balance in at_mark.items())
    for account in accounts:
        if account.partition not in marks:
            continue
        count = gross = subsidies = 0
        for entry in _postings(tx, account.account_id, marks[account.partition]):
            count += 1
            gross += entry.credit_minor
            if entry.booked.transfer.code == ledger.TransferCode.SUBSIDY:
                subsidies += entry.credit_minor
        assert gross == standing[account.account_id], (account, gross, standing[account.account_id])
        if count:
            lines.append(
                line_of(
                    account,
                    agreement_of(agreements, account.issuer_id, account.operator_id, day),
                    items=count,
                    gross=gross,
                    subsidies=subsidies,
                    debtor=clears_as[account.issuer_id],
                    creditor=clears_as[account.operator_id],
                )
            )
    return lines


def _finish_day(ctx: Context, day: date, step: Step) -> None:
    """Book a decided day and close it; a closed day is left alone."""
    with ctx.tx() as tx:
        found = get_day(tx, day)
        if found.status is DayStatus.CLOSED:
            return
        lines = store.position_lines(tx, day)
    transfers = transfers_of_day(day, found.ends_at, lines)
    for start in range(0, len(transfers), ledger.BATCH_MAX):
        results = ledger.post(ctx, transfers[start : start + ledger.BATCH_MAX])
        assert all(result.ok for result in results), [result for result in results if not result.ok]
        step("posted")
    with ctx.tx() as tx:
        store.close(tx, day, ctx.clock.now())
    step("closed")


def _postings(
    tx: Tx,
    account: ledger.AccountId,
    mark: Watermark,
    *,
    after: ledger.Place | None = None,
    page: int = _PAGE,
) -> Iterator[ledger.Entry]:
    """The items of a position account in a day's blocks; clearing's own transfers and holds are none."""
    while True:
        entries = ledger.postings(
            tx,
            [account],
            after_block=mark.after_block,
            to_block=mark.up_to_block,
            partition=mark.partition,
            after=after,
            limit=page,
        )
        yield from (
            entry for entry in entries if entry.credit_minor and entry.booked.transfer.code not in _CLEARED
        )
        if len(entries) < page:
            return
        after = entries[-1].booked.place


def _item(entry: ledger.Entry, currency: str) -> Item:
    transfer, place = entry.booked.transfer, entry.booked.place
    return Item(
        transfer_id=transfer.transfer_id,
        reference=transfer.reference,
        amount=Money(entry.credit_minor, currency),
        code=int(transfer.code),
        event_at=transfer.event_at,
        booked_at=entry.booked.booked_at,
        cursor=str(ItemCursor(transfer.partition, place.block, place.position)),
    )


def _clears_as(tx: Tx) -> dict[str, MemberId]:
    return {member.member_id: member.clears_as for member in trust.list_members(tx)}


def _check_members(tx: Tx, member_ids: set[str]) -> None:
    for member_id in sorted(member_ids):
        trust.get_member(tx, MemberId(member_id))
