"""The SQL of clearing."""

from collections.abc import Sequence
from datetime import date, datetime, time

from psycopg.rows import class_row

from hansa import ledger
from hansa.clearing.model import (
    Figure,
    NetPosition,
    Position,
    PositionAccount,
    PositionLine,
    Settings,
    Tally,
    Watermark,
    Window,
    WindowTotal,
)
from hansa.clearing.netting import LOWEST, Agreement
from hansa.kernel import Money
from hansa.store import Tx
from hansa.trust import MemberId

SETTINGS = "select tz, cut_off from clearing.settings"

LOCK_SETTINGS = "select tz, cut_off from clearing.settings for no key update"

SET_SETTINGS = "update clearing.settings set tz = %s, cut_off = %s"

ADD_AGREEMENTS = """
insert into clearing.agreements (issuer_id, operator_id, issuer_fee_bp, league_fee_bp, valid_from)
select * from unnest(%s::text[], %s::text[], %s::integer[], %s::integer[], %s::date[])
on conflict do nothing
"""

LIST_AGREEMENTS = """
select issuer_id, operator_id, issuer_fee_bp, league_fee_bp, valid_from
from clearing.agreements
order by issuer_id, operator_id, valid_from
"""

ADD_POSITION_ACCOUNTS = """
insert into clearing.position_accounts (partition, account_id, issuer_id, operator_id, currency)
select * from unnest(%s::smallint[], %s::uuid[], %s::text[], %s::text[], %s::char(3)[])
on conflict do nothing
"""

LIST_POSITION_ACCOUNTS = """
select partition, account_id, issuer_id, operator_id, currency
from clearing.position_accounts
order by issuer_id, operator_id, currency, partition
"""

LATEST_WINDOW = "select window_id from clearing.windows where model_id = %s order by number desc limit 1"

LATEST_DAY = "select max(business_day) from clearing.windows"

LATEST_NUMBER = "select coalesce(max(number), 0) from clearing.windows where model_id = %s"

# Where each model's newest window ended, by partition.
LATEST_BLOCKS = """
select m.partition, max(m.up_to_block)
from clearing.watermarks m
join clearing.windows w using (window_id)
where w.model_id = %s
group by m.partition
"""

PARTS_OF_DAY = "select coalesce(max(part), 0) from clearing.windows where model_id = %s and business_day = %s"

ADD_WINDOW = """
insert into clearing.windows
    (window_id, model_id, model_version, number, business_day, part, basis, sides, timing, ends_at, decided_at)
values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
"""

ADD_WATERMARKS = """
insert into clearing.watermarks (window_id, partition, after_block, up_to_block)
select %s, * from unnest(%s::smallint[], %s::bigint[], %s::bigint[])
"""

ADD_POSITIONS = """
insert into clearing.positions
    (window_id, issuer_id, operator_id, currency, partition, items, gross_minor, issuer_fee_bp, league_fee_bp,
     operator_share_minor, issuer_fee_minor, league_fee_minor, debtor_id, creditor_id)
select %s, * from unnest(
    %b::text[], %b::text[], %b::char(3)[], %b::smallint[], %b::bigint[], %b::bigint[], %b::integer[], %b::integer[],
    %b::bigint[], %b::bigint[], %b::bigint[], %b::text[], %b::text[])
"""

# What a window takes: its figures are written down, begin anew, and stand with what windows have taken. Arrays travel
# as bytes (%b): as text, each of ten thousand names is looked through for quotes.
TAKE = """
with given as (
    select * from unnest(%(partitions)b::smallint[], %(accounts)b::uuid[], %(codes)b::smallint[], %(steps)b::bigint[])
        as given (partition, account_id, code, from_minor)
), taken as (
    insert into clearing.window_tallies
        (window_id, partition, issuer_id, operator_id, currency, code, from_minor, items, minor, after_block)
    select %(window)s, t.partition, a.issuer_id, a.operator_id, a.currency, t.code, t.from_minor, t.items, t.minor,
        t.after_block
    from clearing.tallies t
    join given using (partition, account_id, code, from_minor)
    join clearing.position_accounts a using (partition, account_id)
), anew as (
    update clearing.tallies t set items = 0, minor = 0, after_block = f.block
    from given g
    join clearing.followed f using (partition)
    where t.partition = g.partition and t.account_id = g.account_id and t.code = g.code
        and t.from_minor = g.from_minor
), sums as (
    select t.partition, t.account_id, sum(t.minor) as minor
    from clearing.tallies t
    join given using (partition, account_id, code, from_minor)
    group by t.partition, t.account_id
)
insert into clearing.tallies as t (partition, account_id, code, from_minor, items, minor, after_block)
select partition, account_id, 0, %(lowest)s, 0, minor, 0 from sums
on conflict (partition, account_id, code, from_minor) do update set minor = t.minor + excluded.minor
"""

# The nets and their sums in one statement: where a currency does not sum to zero, the check refuses them all.
ADD_NET_POSITIONS = """
with nets as (
    insert into clearing.net_positions (window_id, currency, member_id, net_minor)
    select %(window)s, * from unnest(%(currencies)s::char(3)[], %(members)s::text[], %(nets)s::bigint[])
    returning currency, net_minor
), summed as (
    select currency, sum(net_minor) as net_sum, coalesce(sum(net_minor) filter (where net_minor > 0), 0) as to_pay
    from nets
    group by currency
), gross as (
    select currency, sum(items) as items, sum(gross_minor) as gross, sum(issuer_fee_minor) as issuer_fees,
        sum(league_fee_minor) as league_fees
    from clearing.positions
    where window_id = %(window)s
    group by currency
)
insert into clearing.window_totals
    (window_id, currency, items, gross_minor, issuer_fees_minor, league_fees_minor, net_sum_minor, to_pay_minor)
select %(window)s, currency, coalesce(items, 0), coalesce(gross, 0), coalesce(issuer_fees, 0),
    coalesce(league_fees, 0), net_sum, to_pay
from summed left join gross using (currency)
"""

CLOSE = "insert into clearing.closings (window_id, closed_at) values (%s, %s) on conflict do nothing"

WINDOWS = """
select w.window_id, w.model_id, w.model_version, w.number, w.business_day, w.part, w.basis, w.sides, w.timing,
    w.ends_at, w.decided_at, c.closed_at
from clearing.windows w
left join clearing.closings c using (window_id)
where (%(window)s::text is null or w.window_id = %(window)s::text)
    and (%(model)s::text is null or w.model_id = %(model)s::text)
    and (%(before)s::date is null or w.business_day < %(before)s::date)
    and (%(number)s::integer is null or w.number < %(number)s::integer)
order by w.business_day desc, w.ends_at desc, w.model_id
limit %(limit)s
"""

WATERMARKS = """
select window_id, partition, after_block, up_to_block
from clearing.watermarks
where window_id = any(%s::text[])
order by window_id, partition
"""

WINDOW_TOTALS = """
select t.window_id, t.currency, t.items, t.gross_minor, t.issuer_fees_minor, t.league_fees_minor, t.to_pay_minor,
    a.at, b.at
from clearing.window_totals t
left join clearing.settlement_facts a
    on a.window_id = t.window_id and a.currency = t.currency and a.fact = 'settling'
left join clearing.settlement_facts b
    on b.window_id = t.window_id and b.currency = t.currency and b.fact = 'settled'
where t.window_id = any(%s::text[])
order by t.window_id, t.currency
"""

ADD_SETTLEMENT_FACT = """
insert into clearing.settlement_facts (window_id, currency, fact, at) values (%s, %s, %s, %s)
on conflict do nothing
"""

# Windows of the same model before this one in which money of this currency is still to move.
UNSETTLED_BEFORE = """
select w.window_id
from clearing.windows w
join clearing.window_totals t using (window_id)
where w.model_id = %(model)s and w.number < %(number)s and t.currency = %(currency)s
    and not exists (select from clearing.settlement_facts f
        where f.window_id = w.window_id and f.currency = t.currency and f.fact = 'settled')
order by w.number
limit 1
"""

# The next window of the model in which this currency was cleared.
NEXT_WITH_CURRENCY = """
select w.window_id
from clearing.windows w
join clearing.window_totals t using (window_id)
join clearing.closings c using (window_id)
where w.model_id = %(model)s and w.number > %(number)s and t.currency = %(currency)s
order by w.number
limit 1
"""

POSITIONS = """
select w.business_day as day, p.issuer_id, p.operator_id, p.currency, sum(p.gross_minor)::bigint as gross,
    sum(p.issuer_fee_minor)::bigint as issuer_fee, sum(p.league_fee_minor)::bigint as league_fee,
    sum(p.operator_share_minor)::bigint as operator_share, sum(p.items)::bigint as items, p.debtor_id, p.creditor_id,
    p.window_id
from clearing.positions p
join clearing.windows w using (window_id)
where p.window_id = %s
group by w.business_day, p.issuer_id, p.operator_id, p.currency, p.debtor_id, p.creditor_id, p.window_id
order by p.currency, p.issuer_id, p.operator_id
"""

POSITION_LINES = """
select issuer_id, operator_id, currency, partition, items, gross_minor as gross, issuer_fee_bp, league_fee_bp,
    operator_share_minor as operator_share, issuer_fee_minor as issuer_fee, league_fee_minor as league_fee,
    debtor_id, creditor_id
from clearing.positions
where window_id = %s
order by issuer_id, operator_id, currency, partition
"""

NET_POSITIONS = """
select w.business_day as day, n.member_id, n.currency, n.net_minor as net, n.window_id
from clearing.net_positions n
join clearing.windows w using (window_id)
where n.window_id = %s
order by n.currency, n.member_id
"""

FIGURES = """
select issuer_id, operator_id, currency, code, sum(items)::bigint as items, sum(minor)::bigint as minor
from clearing.window_tallies
where window_id = %s
group by issuer_id, operator_id, currency, code
order by currency, issuer_id, operator_id, code
"""

PARTED_FIGURES = """
select partition, issuer_id, operator_id, currency, code, sum(items)::bigint, sum(minor)::bigint
from clearing.window_tallies
where window_id = %s and code = any(%s)
group by partition, issuer_id, operator_id, currency, code
order by partition, currency, issuer_id, operator_id, code
"""

# In which blocks the items of a window on a position stand, by partition and transfer code.
ITEM_BLOCKS = """
select partition, code, min(after_block)
from clearing.window_tallies
where window_id = %s and issuer_id = %s and operator_id = %s and currency = %s
group by partition, code
order by partition, code
"""

# --- running figures

ADD_FOLLOWED = """
insert into clearing.followed (partition, block, transfers)
select partition, 0, 0 from unnest(%s::smallint[]) as partition
on conflict do nothing
"""

LOCK_FOLLOWED = (
    "select partition, block, transfers from clearing.followed order by partition for no key update"
)

FOLLOWED = "select partition, block, transfers from clearing.followed order by partition"

SET_FOLLOWED = "update clearing.followed set block = %s, transfers = %s where partition = %s"

STEPS = "select account_id, steps from clearing.position_accounts where partition = %s order by account_id"

ADD_TALLIES = """
insert into clearing.tallies as t (partition, account_id, code, from_minor, items, minor, after_block)
select %(partition)s, account_id, code, from_minor, items, minor, %(after)s
from unnest(%(accounts)b::uuid[], %(codes)b::smallint[], %(steps)b::bigint[], %(items)b::bigint[], %(minors)b::bigint[])
    as given (account_id, code, from_minor, items, minor)
order by account_id, code, from_minor
on conflict (partition, account_id, code, from_minor) do update
set items = t.items + excluded.items, minor = t.minor + excluded.minor
"""

TALLIES = """
select t.partition, t.account_id, a.issuer_id, a.operator_id, a.currency, t.code, t.from_minor, t.items, t.minor,
    t.after_block
from clearing.tallies t
join clearing.position_accounts a using (partition, account_id)
where t.code not in (0, 5, 6) and t.items > 0
order by a.issuer_id, a.operator_id, a.currency, t.partition, t.code, t.from_minor
"""

# What each account comes to by its figures: what is open, what windows took, what clearing has booked.
STANDING = """
select partition, account_id, sum(minor)::bigint from clearing.tallies group by partition, account_id
"""

# What windows took and what is open, by account and transfer code.
ALL_FIGURES = """
select partition, account_id, code, sum(items)::bigint, sum(minor)::bigint
from (
    select partition, account_id, code, items, minor from clearing.tallies where code not in (0, 5, 6)
    union all
    select w.partition, a.account_id, w.code, w.items, w.minor
    from clearing.window_tallies w
    join clearing.position_accounts a using (partition, issuer_id, operator_id, currency)) f
group by partition, account_id, code
having sum(items) > 0
"""

FORGET_STEPS = """
delete from clearing.tallies where partition = %s and account_id = %s and code not in (0, 5, 6)
returning code, after_block
"""

SET_STEPS = "update clearing.position_accounts set steps = %s where partition = %s and account_id = %s"


def get_settings(tx: Tx, *, lock: bool = False) -> Settings:
    """When the business day ends. lock: nobody else decides a day until the transaction ends."""
    row = tx.execute(LOCK_SETTINGS if lock else SETTINGS).fetchone()
    assert row is not None, "the migration puts one row there"
    return Settings(row[0], row[1])


def set_settings(tx: Tx, tz: str, cut_off: time) -> None:
    """Change when business days end."""
    tx.execute(SET_SETTINGS, (tz, cut_off))


def add_agreements(tx: Tx, agreements: Sequence[Agreement]) -> None:
    """Keep agreements that are not kept yet."""
    tx.execute(
        ADD_AGREEMENTS,
        (
            [agreement.issuer_id for agreement in agreements],
            [agreement.operator_id for agreement in agreements],
            [agreement.issuer_fee_bp for agreement in agreements],
            [agreement.league_fee_bp for agreement in agreements],
            [agreement.valid_from for agreement in agreements],
        ),
    )


def list_agreements(tx: Tx) -> list[Agreement]:
    """Every agreement, of all days."""
    with tx.cursor(row_factory=class_row(Agreement)) as cursor:
        return cursor.execute(LIST_AGREEMENTS).fetchall()


def add_position_accounts(tx: Tx, accounts: Sequence[PositionAccount]) -> None:
    """Remember which ledger accounts are positions."""
    tx.execute(
        ADD_POSITION_ACCOUNTS,
        (
            [account.partition for account in accounts],
            [account.account_id for account in accounts],
            [account.issuer_id for account in accounts],
            [account.operator_id for account in accounts],
            [account.currency for account in accounts],
        ),
    )


def list_position_accounts(tx: Tx) -> list[PositionAccount]:
    """Every position account of every partition."""
    with tx.cursor(row_factory=class_row(PositionAccount)) as cursor:
        return cursor.execute(LIST_POSITION_ACCOUNTS).fetchall()


def latest_window(tx: Tx, model_id: str) -> str | None:
    """The latest window of a model that is decided."""
    row = tx.execute(LATEST_WINDOW, (model_id,)).fetchone()
    return None if row is None else row[0]


def latest_day(tx: Tx) -> date | None:
    """The latest business day of which a window is decided, of whichever model."""
    row = tx.execute(LATEST_DAY).fetchone()
    return None if row is None else row[0]


def latest_number(tx: Tx, model_id: str) -> int:
    """How many windows of a model are decided."""
    return _value(tx.execute(LATEST_NUMBER, (model_id,)).fetchone())


def latest_blocks(tx: Tx, model_id: str) -> dict[int, int]:
    """The block where a model's newest window ended, by partition."""
    return dict(tx.execute(LATEST_BLOCKS, (model_id,)).fetchall())


def parts_of_day(tx: Tx, model_id: str, business_day: date) -> int:
    """The last part of a business day that is decided; 0 where none is."""
    return _value(tx.execute(PARTS_OF_DAY, (model_id, business_day)).fetchone())


def add_window(
    tx: Tx,
    window: Window,
    *,
    lines: Sequence[PositionLine],
    taken: Sequence[Tally],
    nets: dict[tuple[MemberId, str], int],
) -> None:
    """Write down everything that a window is."""
    tx.execute(
        ADD_WINDOW,
        (
            window.window_id,
            window.model_id,
            window.model_version,
            window.number,
            window.business_day,
            window.part,
            window.basis,
            window.sides,
            window.timing,
            window.ends_at,
            window.decided_at,
        ),
    )
    tx.execute(
        ADD_WATERMARKS,
        (
            window.window_id,
            [mark.partition for mark in window.watermark],
            [mark.after_block for mark in window.watermark],
            [mark.up_to_block for mark in window.watermark],
        ),
    )
    tx.execute(
        ADD_POSITIONS,
        (
            window.window_id,
            [line.issuer_id for line in lines],
            [line.operator_id for line in lines],
            [line.currency for line in lines],
            [line.partition for line in lines],
            [line.items for line in lines],
            [line.gross for line in lines],
            [line.issuer_fee_bp for line in lines],
            [line.league_fee_bp for line in lines],
            [line.operator_share for line in lines],
            [line.issuer_fee for line in lines],
            [line.league_fee for line in lines],
            [line.debtor_id for line in lines],
            [line.creditor_id for line in lines],
        ),
    )
    tx.execute(
        TAKE,
        {
            "window": window.window_id,
            "partitions": [one.account.partition for one in taken],
            "accounts": [one.account.account_id for one in taken],
            "codes": [one.code for one in taken],
            "steps": [one.from_minor for one in taken],
            "lowest": LOWEST,
        },
    )
    add_net_positions(tx, window.window_id, nets)


def add_net_positions(tx: Tx, window_id: str, nets: dict[tuple[MemberId, str], int]) -> None:
    """Write down a window's nets; the database adds them up and refuses what is not zero."""
    ordered = sorted(nets.items())
    tx.execute(
        ADD_NET_POSITIONS,
        {
            "window": window_id,
            "currencies": [currency for (_, currency), _ in ordered],
            "members": [member for (member, _), _ in ordered],
            "nets": [minor for _, minor in ordered],
        },
    )


def close(tx: Tx, window_id: str, at: datetime) -> bool:
    """Close a decided window, which keeps its instant; whether it was open before."""
    return tx.execute(CLOSE, (window_id, at)).rowcount == 1


def find_window(tx: Tx, window_id: str) -> Window | None:
    """A decided or closed window."""
    found = list_windows(tx, window_id=window_id)
    return found[0] if found else None


def list_windows(
    tx: Tx,
    *,
    window_id: str | None = None,
    model_id: str | None = None,
    before: date | None = None,
    before_number: int | None = None,
    limit: int = 100,
) -> list[Window]:
    """Windows with their totals, latest first. before: a business day. before_number: of the model."""
    values = {
        "window": window_id,
        "model": model_id,
        "before": before,
        "number": before_number,
        "limit": limit,
    }
    heads = tx.execute(WINDOWS, values).fetchall()
    ids = [row[0] for row in heads]
    marks: dict[str, list[Watermark]] = {}
    for of, partition, after_block, up_to_block in tx.execute(WATERMARKS, (ids,)).fetchall():
        marks.setdefault(of, []).append(Watermark(partition, after_block, up_to_block))
    totals: dict[str, list[WindowTotal]] = {}
    for of, unit, items, *minors, settling_at, settled_at in tx.execute(WINDOW_TOTALS, (ids,)).fetchall():
        gross, issuer_fees, league_fees, to_pay = (Money(minor, unit) for minor in minors)
        totals.setdefault(of, []).append(
            WindowTotal(unit, items, gross, issuer_fees, league_fees, to_pay, settling_at, settled_at)
        )
    return [
        Window(
            *row,
            watermark=tuple(marks.get(row[0], ())),
            items=sum(total.items for total in totals.get(row[0], ())),
            totals=tuple(totals.get(row[0], ())),
        )
        for row in heads
    ]


def add_settlement_fact(tx: Tx, window_id: str, currency: str, fact: str, at: datetime) -> bool:
    """Remember that a window's money is on its way, or has moved; whether it is new."""
    return tx.execute(ADD_SETTLEMENT_FACT, (window_id, currency, fact, at)).rowcount == 1


def unsettled_before(tx: Tx, window: Window, currency: str) -> str | None:
    """The first window of the model before this one whose money in a currency has not all moved."""
    values = {"model": window.model_id, "number": window.number, "currency": currency}
    row = tx.execute(UNSETTLED_BEFORE, values).fetchone()
    return None if row is None else row[0]


def next_with_currency(tx: Tx, window: Window, currency: str) -> str | None:
    """The next closed window of the model in which a currency was cleared."""
    values = {"model": window.model_id, "number": window.number, "currency": currency}
    row = tx.execute(NEXT_WITH_CURRENCY, values).fetchone()
    return None if row is None else row[0]


def positions(tx: Tx, window_id: str) -> list[Position]:
    """A window's positions, all partitions together."""
    with tx.cursor(row_factory=class_row(Position)) as cursor:
        return cursor.execute(POSITIONS, (window_id,)).fetchall()


def position_lines(tx: Tx, window_id: str) -> list[PositionLine]:
    """A window's positions, partition by partition, in the order in which they are booked."""
    with tx.cursor(row_factory=class_row(PositionLine)) as cursor:
        return cursor.execute(POSITION_LINES, (window_id,)).fetchall()


def net_positions(tx: Tx, window_id: str) -> list[NetPosition]:
    """A window's nets, by currency and member."""
    with tx.cursor(row_factory=class_row(NetPosition)) as cursor:
        return cursor.execute(NET_POSITIONS, (window_id,)).fetchall()


def figures(tx: Tx, window_id: str) -> list[Figure]:
    """What a window took, by position and transfer code."""
    with tx.cursor(row_factory=class_row(Figure)) as cursor:
        return cursor.execute(FIGURES, (window_id,)).fetchall()


def parted_figures(tx: Tx, window_id: str, codes: Sequence[int]) -> list[tuple[int, Figure]]:
    """What a window took of these transfer codes, by ledger partition, position and code."""
    rows = tx.execute(PARTED_FIGURES, (window_id, list(codes))).fetchall()
    return [(row[0], Figure(*row[1:])) for row in rows]


def item_blocks(
    tx: Tx, window_id: str, issuer_id: str, operator_id: str, currency: str
) -> dict[int, dict[int, int]]:
    """After which block the items of a window on a position stand, by partition and transfer code."""
    found: dict[int, dict[int, int]] = {}
    values = (window_id, issuer_id, operator_id, currency)
    for partition, code, after_block in tx.execute(ITEM_BLOCKS, values).fetchall():
        found.setdefault(partition, {})[code] = after_block
    return found


# --- running figures


def lock_followed(tx: Tx, partitions: Sequence[int]) -> dict[int, int]:
    """Up to which block figures are kept, by partition; nobody else follows until the transaction ends."""
    tx.execute(ADD_FOLLOWED, (sorted(partitions),))
    return {partition: block for partition, block, _ in tx.execute(LOCK_FOLLOWED).fetchall()}


def followed(tx: Tx) -> dict[int, tuple[int, int]]:
    """Up to which block figures are kept, and how many transfers of the journal that are, by partition."""
    return {partition: (block, transfers) for partition, block, transfers in tx.execute(FOLLOWED).fetchall()}


def set_followed(tx: Tx, partition: int, block: int, transfers: int) -> None:
    """Figures are kept up to this block."""
    tx.execute(SET_FOLLOWED, (block, transfers, partition))


def steps(tx: Tx, partition: int) -> dict[ledger.AccountId, Sequence[int]]:
    """Each position account of a partition, and the steps by which its items are told apart."""
    return dict(tx.execute(STEPS, (partition,)).fetchall())


def set_steps(tx: Tx, partition: int, account_id: ledger.AccountId, some: Sequence[int]) -> dict[int, int]:
    """Tell an account's items apart by other steps from now on; gives the open figures that go, code to block."""
    gone = tx.execute(FORGET_STEPS, (partition, account_id)).fetchall()
    tx.execute(SET_STEPS, (list(some), partition, account_id))
    blocks: dict[int, int] = {}
    for code, after_block in gone:
        blocks[code] = min(after_block, blocks.get(code, after_block))
    return blocks


def add_tallies(tx: Tx, partition: int, rows: Sequence[ledger.Turnover], *, after_block: int) -> None:
    """Add to the running figures. after_block: where rows that are new begin."""
    tx.execute(
        ADD_TALLIES,
        {
            "partition": partition,
            "after": after_block,
            "accounts": [row.account_id for row in rows],
            "codes": [row.code for row in rows],
            "steps": [LOWEST if row.from_minor is None else row.from_minor for row in rows],
            "items": [row.items for row in rows],
            "minors": [row.minor for row in rows],
        },
    )


def tallies(tx: Tx) -> list[Tally]:
    """What is open: items that no window has taken, in the order of their positions."""
    return [Tally(PositionAccount(*row[:5]), *row[5:]) for row in tx.execute(TALLIES).fetchall()]


def standing(tx: Tx) -> dict[tuple[int, ledger.AccountId], int]:
    """What each position account must come to by its figures, by partition and account."""
    return {(partition, account): minor for partition, account, minor in tx.execute(STANDING).fetchall()}


def all_figures(tx: Tx) -> dict[int, dict[tuple[ledger.AccountId, int], tuple[int, int]]]:
    """Items and sum of each position account and transfer code, open or in a window, by partition."""
    found: dict[int, dict[tuple[ledger.AccountId, int], tuple[int, int]]] = {}
    for partition, account, code, items, minor in tx.execute(ALL_FIGURES).fetchall():
        found.setdefault(partition, {})[account, code] = (items, minor)
    return found


def _value(row: tuple[int] | None) -> int:
    assert row is not None, "an aggregate returns a row"
    return row[0]
