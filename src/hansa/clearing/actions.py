"""What can be done in clearing: agree, open positions, close a window, look into it.

Closing a window is three steps, each safe to repeat: *decide* (one transaction: watermark, positions, nets, totals),
*post* (ledger transfers with ids worked out from the window), *close* (one row). After a kill the same call goes on
where the last one stopped, by what was decided and not by what has arrived since.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from hansa import ledger, trust
from hansa.clearing import models, running, schedule, store
from hansa.clearing.agreements import TermsBook, terms_on
from hansa.clearing.model import (
    LEAGUE,
    AgreementDiffers,
    ClearingDay,
    DayClosed,
    DayNotOver,
    Due,
    Figure,
    Item,
    ItemCursor,
    NetPosition,
    NoWindowDue,
    Position,
    PositionAccount,
    PositionLine,
    Settings,
    Standing,
    Tally,
    UnknownDay,
    UnknownModel,
    UnknownWindow,
    Watermark,
    Window,
    WindowStatus,
    day_window,
    due_account,
    dues,
    line_of,
    obligations,
    transfers_of_window,
)
from hansa.clearing.netting import (
    Agreement,
    Terms,
    matrix,
    net,
)
from hansa.clearing.schedule import DAILY, Model, daily_model, window_id_of
from hansa.kernel import InvalidInput, Money, Problem, fact_id
from hansa.payments import earned_account, position_account
from hansa.store import Context, Event, Tx, write_outbox
from hansa.trust import MemberId

WINDOWS_TOPIC = "clearing.windows"
"""The outbox topic that says what becomes of windows: closing, closed, settling and settled by currency."""

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


def open_positions(
    ctx: Context, pairs: Iterable[tuple[str, str, str]], *, for_the_past: bool = False
) -> None:
    """Let these issuers owe these operators in these currencies: (issuer, operator, currency). Again is harmless.

    Opens the position accounts, and what clearing and settlement make of them, in every partition. for_the_past: for
    what happened while both might still do business; else one that is suspended or leaves opens no new ones.
    Errors: trust.UnknownMember, trust.MemberMayNot; none is opened then.
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
        if not for_the_past:
            _check_may_open(tx, wanted, ctx.clock.now())
        # Known to clearing before the ledger opens them: no window can be decided past a posting on one.
        store.add_position_accounts(tx, positions)
    ledger.open_accounts(ctx, accounts)


def close_day(ctx: Context, day: date, *, step: Step = no_step) -> ClearingDay:
    """Close a business day: what was booked on positions since the day before it, netted and made payable.

    Closing it again gives the same day; after a kill it goes on where it stopped. What is booked later belongs to
    the next day that is closed. Errors: DayNotOver before its cut-off; DayClosed if a later day is closed.
    """
    window_id = day_window(day)
    with ctx.tx() as tx:
        found = store.find_window(tx, window_id)
    if found is None:
        _finish_latest(ctx, DAILY)
        _decide(ctx, DAILY, window_id, lambda tx: _day_slot(tx, ctx.clock.now(), day))
        step("decided")
    _finish(ctx, window_id, step)
    with ctx.tx() as tx:
        return get_day(tx, day)


def close_window(ctx: Context, model_id: str, *, step: Step = no_step) -> Window:
    """Close the window of a model that is due; a later window takes also what earlier ones did not, that nobody closed.

    Run again, it closes the next one that is due. After a kill it ends what was decided, first. Errors: UnknownModel;
    NoWindowDue before the cut-off, and for an immediate model while nothing was booked.
    """
    left = _finish_latest(ctx, model_id, step)
    if left is not None:
        return left
    window_id = _decide(ctx, model_id, None, lambda tx: _due_slot(tx, ctx.clock.now(), model_id))
    step("decided")
    _finish(ctx, window_id, step)
    with ctx.tx() as tx:
        return get_window(tx, window_id)


def close_due(ctx: Context, *, step: Step = no_step) -> list[Window]:
    """Close every window that is due and that the worker is to close, and end what a kill left; those windows."""
    now = ctx.clock.now()
    with ctx.tx() as tx:
        names = [model.model_id for model in models.list_in_force(tx, now) if model.closes == "worker"]
        due = [name for name in names if _is_due(tx, name, now)]
        left = [name for name in (DAILY, *names) if _unfinished(tx, name) is not None]
    closed: list[Window] = []
    for name in left:
        found = _finish_latest(ctx, name, step)
        closed += [found] if found is not None else []
    for name in due:
        try:
            closed.append(close_window(ctx, name, step=step))
        except NoWindowDue:
            continue  # somebody else closed it meanwhile
    return closed


def get_day(tx: Tx, day: date) -> ClearingDay:
    """A clearing day. Errors: UnknownDay."""
    found = store.find_window(tx, day_window(day))
    if found is None:
        raise UnknownDay(f"{day} is not closed.")
    return found


def get_window(tx: Tx, window_id: str) -> Window:
    """A window. Errors: UnknownWindow."""
    found = store.find_window(tx, window_id)
    if found is None:
        raise UnknownWindow(f"There is no window {window_id[:60]!r}.")
    return found


def list_days(tx: Tx, *, before: date | None = None, limit: int = 100) -> list[ClearingDay]:
    """Clearing days, latest first."""
    return store.list_windows(tx, model_id=DAILY, before=before, limit=limit)


def list_windows(
    tx: Tx, *, model_id: str | None = None, before_number: int | None = None, limit: int = 100
) -> list[Window]:
    """Windows, latest business day first. before_number: of the one model that is named, to read on."""
    return store.list_windows(tx, model_id=model_id, before_number=before_number, limit=limit)


def standings(tx: Tx, now: datetime) -> list[Standing]:
    """How each model stands, the business day first: what is open, as far as it is counted, and what comes."""
    settings = store.get_settings(tx)
    daily = daily_model(settings.tz, settings.cut_off)
    others = models.list_in_force(tx, now)
    open_items = store.tallies(tx)
    found: list[Standing] = []
    for model in (daily, *others):
        slot = _Slot(model, 0, "", settings.day_of(now), 1, now)
        mine = [one for one in open_items if _takes(slot, others, one, on_any_day=True)]
        sums: dict[str, tuple[int, int]] = {}
        for one in mine:
            items_so_far, minor = sums.get(one.account.currency, (0, 0))
            sums[one.account.currency] = (items_so_far + one.items, minor + one.minor)
        coming = schedule.next_slot(model, after=now)
        found.append(
            Standing(
                model,
                None if coming is None else coming.ends_at,
                tuple((unit, count, Money(minor, unit)) for unit, (count, minor) in sorted(sums.items())),
            )
        )
    return found


def positions(tx: Tx, day: date) -> list[Position]:
    """What each issuer owes each operator for a day. Errors: UnknownDay."""
    return store.positions(tx, get_day(tx, day).window_id)


def window_positions(tx: Tx, window_id: str) -> list[Position]:
    """What each issuer owes each operator for a window. Errors: UnknownWindow."""
    return store.positions(tx, get_window(tx, window_id).window_id)


def net_positions(tx: Tx, day: date) -> list[NetPosition]:
    """What each member pays or receives for a day; every currency sums to zero. Errors: UnknownDay."""
    return store.net_positions(tx, get_day(tx, day).window_id)


def window_nets(tx: Tx, window_id: str) -> list[NetPosition]:
    """What each member pays or receives for a window; every currency sums to zero. Errors: UnknownWindow."""
    return store.net_positions(tx, get_window(tx, window_id).window_id)


def window_matrix(tx: Tx, window_id: str) -> Mapping[tuple[MemberId, MemberId, str], int]:
    """Who owes whom how much for a window before netting: (debtor, creditor, currency). Errors: UnknownWindow."""
    return matrix(obligations(window_positions(tx, window_id)))


def day_dues(tx: Tx, day: date) -> list[Due]:
    """What a day made payable to each issuer, operator and the league, before netting. Errors: UnknownDay."""
    return dues(store.position_lines(tx, get_day(tx, day).window_id))


def window_dues(tx: Tx, window_id: str) -> list[Due]:
    """What a window made payable to each issuer, operator and the league, before netting. Errors: UnknownWindow."""
    return dues(store.position_lines(tx, get_window(tx, window_id).window_id))


def window_figures(tx: Tx, window_id: str) -> list[Figure]:
    """How many items of which transfer code a window took on each position, and their sums. Errors: UnknownWindow."""
    return store.figures(tx, get_window(tx, window_id).window_id)


def parted_figures(tx: Tx, window_id: str, codes: Sequence[int]) -> list[tuple[int, Figure]]:
    """``window_figures`` of these transfer codes, each with its ledger partition. Errors: UnknownWindow."""
    return store.parted_figures(tx, get_window(tx, window_id).window_id, codes)


def items(
    tx: Tx, day: date, issuer_id: str, operator_id: str, currency: str, *, after: str = "", limit: int = 100
) -> list[Item]:
    """The postings that make up a position of a day, in order of booking; nothing where there is no such position.

    after: the cursor of the last item already seen. Errors: UnknownDay; InvalidInput for a cursor that is none.
    """
    return _items(tx, get_day(tx, day), issuer_id, operator_id, currency, after=after, limit=limit)


def window_items(
    tx: Tx,
    window_id: str,
    issuer_id: str,
    operator_id: str,
    currency: str,
    *,
    after: str = "",
    limit: int = 100,
) -> list[Item]:
    """The postings that make up a position of a window, in order of booking, as ``items`` does for a day.

    Errors: UnknownWindow; InvalidInput for a cursor that is none.
    """
    return _items(tx, get_window(tx, window_id), issuer_id, operator_id, currency, after=after, limit=limit)


def note_settling(tx: Tx, window_id: str, currency: str, at: datetime) -> None:
    """Say that a bank is to move a closed window's money in a currency. Saying it again changes nothing."""
    _note(tx, get_window(tx, window_id), currency, WindowStatus.SETTLING, at)


def note_settled(tx: Tx, window_id: str, currency: str, at: datetime) -> None:
    """Say that all of a closed window's money in a currency has moved. Saying it again changes nothing."""
    _note(tx, get_window(tx, window_id), currency, WindowStatus.SETTLED, at)


def unsettled_before(tx: Tx, window_id: str, currency: str) -> str | None:
    """The first earlier window of the same model whose money in this currency is still to move; None where none is."""
    return store.unsettled_before(tx, get_window(tx, window_id), currency)


def next_window(tx: Tx, window_id: str, currency: str) -> str | None:
    """The next closed window of the same model in which this currency was cleared; None where there is none."""
    return store.next_with_currency(tx, get_window(tx, window_id), currency)


# --- inside: deciding


@dataclass(frozen=True, slots=True)
class _Slot:
    """A window that may be decided now: of which model, under which id, and when it ends."""

    model: Model
    version: int
    window_id: str
    business_day: date
    part: int
    ends_at: datetime


def _day_slot(tx: Tx, now: datetime, day: date) -> _Slot:
    """Errors: DayNotOver, DayClosed."""
    settings = store.get_settings(tx)
    ends_at = settings.ends_at(day)
    if now < ends_at:
        raise DayNotOver(f"{day} ends at {ends_at.isoformat()} ({settings.cut_off} in {settings.tz}).")
    latest = _latest(tx, DAILY)
    if latest is not None and latest.business_day > day:
        raise DayClosed(
            f"{latest.business_day} is closed already, and {day} was before it; its items cleared with it."
        )
    return _Slot(daily_model(settings.tz, settings.cut_off), 0, day_window(day), day, 1, ends_at)


def _due_slot(tx: Tx, now: datetime, model_id: str) -> _Slot:
    """Errors: UnknownModel, NoWindowDue."""
    if model_id == DAILY:
        settings = store.get_settings(tx)
        latest = _latest(tx, DAILY)
        day = settings.day_of(now) - timedelta(days=1)
        if latest is not None and latest.business_day >= day:
            raise NoWindowDue(f"{latest.business_day} is closed, and no later day is over.")
        return _day_slot(tx, now, day)
    version, model, since = models.get_in_force(tx, model_id, now)
    latest = _latest(tx, model_id)
    after = since if latest is None else max(since, latest.ends_at)
    if model.timing == "immediate":
        assert model.every_s is not None, "read_model sees to it"
        if now < after + timedelta(seconds=model.every_s):
            raise NoWindowDue(
                f"The next window of {model_id} ends {model.every_s} s after {after.isoformat()}."
            )
        day = now.astimezone(ZoneInfo(model.tz)).date()
        part = store.parts_of_day(tx, model_id, day) + 1
        return _Slot(model, version, window_id_of(model_id, day, part, several=True), day, part, now)
    slot = schedule.due(model, after=after, now=now)
    if slot is None:
        coming = schedule.next_slot(model, after=now)
        when = "never" if coming is None else f"at {coming.ends_at.isoformat()}"
        raise NoWindowDue(f"No window of {model_id} is over; the next one ends {when}.")
    several = len(model.cut_offs) > 1
    name = window_id_of(model_id, slot.business_day, slot.part, several=several)
    return _Slot(model, version, name, slot.business_day, slot.part, slot.ends_at)


def _decide(ctx: Context, model_id: str, window_id: str | None, slot_of: Callable[[Tx], _Slot]) -> str:
    """Write down what a window is: watermark, figures, positions, nets and their zero sums; its id.

    window_id: give it back if it is decided by then. Errors: those of ``slot_of``; NoWindowDue.
    """
    with ctx.tx() as tx:
        store.get_settings(tx, lock=True)  # one window is decided at a time
        if window_id is not None and store.find_window(tx, window_id) is not None:
            return window_id
        slot = slot_of(tx)
        now = ctx.clock.now()
        up_to = running.catch_up(tx)
        others = models.list_in_force(tx, now)
        open_items = [one for one in store.tallies(tx) if _takes(slot, others, one)]
        if slot.model.timing == "immediate" and not open_items:
            raise NoWindowDue(f"Nothing was booked that {model_id} takes.")
        book = terms_on(tx, slot.business_day)
        open_items = _told_apart(tx, slot, others, open_items, book, up_to)
        _check_balances(tx, up_to)
        lines = _lines(tx, open_items, book)
        taken = store.latest_blocks(tx, model_id)
        window = Window(
            window_id=slot.window_id,
            model_id=model_id,
            model_version=slot.version,
            number=store.latest_number(tx, model_id) + 1,
            business_day=slot.business_day,
            part=slot.part,
            basis=slot.model.basis,
            sides=slot.model.sides,
            timing=slot.model.timing,
            ends_at=slot.ends_at,
            decided_at=now,
            closed_at=None,
            watermark=tuple(
                Watermark(partition, taken.get(partition, 0), block)
                for partition, block in sorted(up_to.items())
            ),
            items=sum(line.items for line in lines),
            totals=(),
        )
        store.add_window(tx, window, lines=lines, taken=open_items, nets=net(obligations(lines)))
        _tell(tx, window, WindowStatus.CLOSING, now)
        return window.window_id


def _takes(slot: _Slot, others: Sequence[Model], open_items: Tally, *, on_any_day: bool = False) -> bool:
    """Whether the model of this window takes these items, and clears their currency on this day, or on some day.

    The business day takes what no other model takes.
    """
    at = open_items.account
    what = (at.issuer_id, at.operator_id, at.currency, open_items.product)
    if slot.model.model_id == DAILY:
        return not any(model.takes_it(*what) for model in others)
    return slot.model.takes_it(*what) and (on_any_day or slot.model.is_open(slot.business_day, at.currency))


def _told_apart(
    tx: Tx,
    slot: _Slot,
    others: Sequence[Model],
    open_items: list[Tally],
    book: TermsBook,
    up_to: Mapping[int, int],
) -> list[Tally]:
    """The same items, those told apart by size whose fees hang on it as things stand on the day."""
    wanted: dict[tuple[int, ledger.AccountId], set[int]] = {}
    for one in open_items:
        steps = _terms(book, one).steps
        if len(steps) > 1:
            wanted.setdefault((one.account.partition, one.account.account_id), set()).update(steps)
    if not wanted:
        return open_items
    changed = False
    for partition in {partition for partition, _ in wanted}:
        kept = store.steps(tx, partition)
        for (where, account_id), steps in sorted(wanted.items()):
            if where == partition and not steps <= set(kept[account_id]):
                running.tell_apart(
                    tx,
                    partition,
                    account_id,
                    sorted(steps | set(kept[account_id])),
                    followed=up_to[partition],
                )
                changed = True
    return [one for one in store.tallies(tx) if _takes(slot, others, one)] if changed else open_items


def _check_balances(tx: Tx, up_to: Mapping[int, int]) -> None:
    """What the figures add up to must be what the ledger's own running balances say, for every position."""
    standing = store.standing(tx)
    for partition, block in up_to.items():
        told = {account: minor for (where, account), minor in standing.items() if where == partition}
        balances = ledger.balances_at_block(tx, told, block, partition=partition)
        for account_id, minor in told.items():
            assert balances[account_id].credit_minor == minor, (account_id, minor, balances[account_id])


def _lines(tx: Tx, open_items: Sequence[Tally], book: TermsBook) -> list[PositionLine]:
    """A window's positions: its items by account, shared out by what was agreed for the day."""
    clears_as = _clears_as(tx)
    by_account: dict[PositionAccount, list[Tally]] = {}
    for one in open_items:
        by_account.setdefault(one.account, []).append(one)
    return [
        line_of(
            account,
            [(_terms(book, one), one) for one in some],
            debtor=clears_as[account.issuer_id],
            creditor=clears_as[account.operator_id],
        )
        for account, some in by_account.items()
    ]


def _terms(book: TermsBook, items: Tally) -> Terms:
    """What holds for these items."""
    at = items.account
    return book.terms(at.issuer_id, at.operator_id, items.product, at.currency)


# --- inside: ending


def _finish(ctx: Context, window_id: str, step: Step) -> None:
    """Book a decided window and close it; a closed one is left alone."""
    with ctx.tx() as tx:
        found = get_window(tx, window_id)
        if found.closed_at is not None:
            return
        lines = store.position_lines(tx, window_id)
    transfers = transfers_of_window(window_id, found.ends_at, lines)
    _post(ctx, transfers, step)
    with ctx.tx() as tx:
        now = ctx.clock.now()
        if store.close(tx, window_id, now):
            _tell(tx, found, WindowStatus.CLOSED, now)
    step("closed")


def _post(ctx: Context, transfers: Sequence[ledger.Transfer], step: Step) -> None:
    """Book these, some thousands at a time; while one part is made durable the next is on its way."""
    parts = [
        transfers[start : start + ledger.BATCH_MAX] for start in range(0, len(transfers), ledger.BATCH_MAX)
    ]

    def post(part: Sequence[ledger.Transfer]) -> None:
        results = ledger.post(ctx, part)
        assert all(result.ok for result in results), [result for result in results if not result.ok]

    if len(parts) < 2:
        for part in parts:
            post(part)
            step("posted")
        return
    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(post, part) for part in parts]:
            done.result()
            step("posted")


def _finish_latest(ctx: Context, model_id: str, step: Step = no_step) -> Window | None:
    """End the window of a model that a kill left; None where none was left."""
    with ctx.tx() as tx:
        left = _unfinished(tx, model_id)
    if left is None:
        return None
    _finish(ctx, left, step)
    with ctx.tx() as tx:
        return get_window(tx, left)


def _unfinished(tx: Tx, model_id: str) -> str | None:
    latest = _latest(tx, model_id)
    return latest.window_id if latest is not None and latest.closed_at is None else None


def _latest(tx: Tx, model_id: str) -> Window | None:
    found = store.latest_window(tx, model_id)
    return None if found is None else store.find_window(tx, found)


def _is_due(tx: Tx, model_id: str, now: datetime) -> bool:
    """Whether a window is over; of an immediate model, whether there is anything that it takes."""
    try:
        slot = _due_slot(tx, now, model_id)
    except (NoWindowDue, UnknownModel):
        return False
    if slot.model.timing == "deferred":
        return True
    running.catch_up(tx)
    others = models.list_in_force(tx, now)
    return any(_takes(slot, others, one) for one in store.tallies(tx))


def _note(tx: Tx, window: Window, currency: str, status: WindowStatus, at: datetime) -> None:
    if window.closed_at is None:
        raise NoWindowDue(f"{window.label} is being closed; its money moves after.")
    if store.add_settlement_fact(tx, window.window_id, currency, status.value, at):
        _tell(tx, window, status, at, currency)


def _tell(tx: Tx, window: Window, status: WindowStatus, at: datetime, currency: str = "") -> None:
    """Tell others, in the same commit, what has become of a window."""
    body = {
        "window_id": window.window_id,
        "model_id": window.model_id,
        "number": window.number,
        "business_day": window.business_day.isoformat(),
        "status": status.value,
        "currency": currency,
        "at": at.isoformat(),
    }
    event_id = fact_id(at, "window", window.window_id, status.value, currency)
    write_outbox(tx, WINDOWS_TOPIC, [Event(event_id, body)])


# --- inside: items


def _items(
    tx: Tx, window: Window, issuer_id: str, operator_id: str, currency: str, *, after: str, limit: int
) -> list[Item]:
    start = ItemCursor.read(after) if after else ItemCursor(-1, 0, -1)
    listed: list[Item] = []
    blocks = store.item_blocks(tx, window.window_id, issuer_id, operator_id, currency)
    if not blocks:
        blocks = {mark.partition: {} for mark in window.watermark}  # of a time before figures were kept
    for mark in window.watermark:
        if mark.partition < start.partition or mark.partition not in blocks or len(listed) == limit:
            continue
        after_code = blocks[mark.partition]
        first = min(after_code.values(), default=mark.after_block)
        account = position_account(issuer_id, operator_id, currency, mark.partition)
        place = ledger.Place(start.block, start.position) if mark.partition == start.partition else None
        span = Watermark(mark.partition, first, mark.up_to_block)
        for entry in _postings(tx, account, span, after=place, page=limit):
            code = int(entry.booked.transfer.code)
            if after_code and entry.booked.place.block <= after_code.get(code, mark.up_to_block):
                continue
            listed.append(_item(entry, currency))
            if len(listed) == limit:
                break
    return listed


def _postings(
    tx: Tx,
    account: ledger.AccountId,
    mark: Watermark,
    *,
    after: ledger.Place | None = None,
    page: int = _PAGE,
) -> Iterator[ledger.Entry]:
    """The postings of a position account in some blocks; clearing's own transfers and holds are none."""
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


def _check_may_open(tx: Tx, pairs: Sequence[tuple[str, str, str]], at: datetime) -> None:
    known = {(one.issuer_id, one.operator_id, one.currency) for one in store.list_position_accounts(tx)}
    for issuer_id, operator_id, currency in pairs:
        if (issuer_id, operator_id, currency) not in known:
            trust.check_may(tx, issuer_id, "open", at)
            trust.check_may(tx, operator_id, "open", at)


def _check_members(tx: Tx, member_ids: set[str]) -> None:
    for member_id in sorted(member_ids):
        trust.get_member(tx, MemberId(member_id))
