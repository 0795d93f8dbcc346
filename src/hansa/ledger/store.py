"""The ledger's SQL: constants, and the column list they share; the type checker refuses any other text."""
# ruff: noqa: S608

import json
import select
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from struct import Struct
from typing import Any, LiteralString
from uuid import UUID

import numpy as np
import psycopg
from psycopg import Cursor, adapters
from psycopg.abc import Buffer
from psycopg.adapt import Dumper
from psycopg.errors import NotNullViolation, OperationalError, UniqueViolation, lookup
from psycopg.pq import DiagnosticField, ExecStatus, Format
from psycopg.pq.abc import PGconn, PGresult
from psycopg.rows import class_row

from hansa.ledger.accounts import LARGE, Accounts
from hansa.ledger.batch import code_of, microseconds
from hansa.ledger.blocks import GENESIS_HASH, Sealed
from hansa.ledger.chart import AccountCode, AccountFlag
from hansa.ledger.decide import ZERO, Body, Hold, HoldState, Standing
from hansa.ledger.folding import PLACE_BITS, Folding, bigint_array, uuid_array
from hansa.ledger.model import (
    Account,
    AccountId,
    Balance,
    Block,
    Booked,
    Entry,
    Head,
    Place,
    Transfer,
    TransferFlag,
    TransferId,
    TreeRow,
    TrialRow,
    WalletMove,
)
from hansa.ledger.rows import COLUMNS, COPY_HEADER, COPY_TRAILER
from hansa.store import Tx
from hansa.trust import tlog

BEFORE_ALL = datetime(2000, 1, 1, tzinfo=UTC)
"""When a partition's last booking was, before its first."""

# --- heads and engines

MAKE_HEADS = """
insert into ledger.heads (partition, number, hash, booked_at, size, peaks)
select partition, 0, %s, %s, 0, '' from unnest(%s::smallint[]) as partition
on conflict do nothing
"""

_HEAD: LiteralString = (
    "select h.partition, h.number, h.hash, h.booked_at, h.size, coalesce((select max(f.number) from ledger.folds f"
    " where f.partition = h.partition), 0) as folded"
)
HEAD: LiteralString = _HEAD + " from ledger.heads h where h.partition = %s"
LIST_HEADS: LiteralString = _HEAD + " from ledger.heads h order by h.partition"

LOCK_HEAD = "select peaks, writer, term from ledger.heads where partition = %s for no key update"

MOVE_HEAD = """
update ledger.heads set number = %s, hash = %s, booked_at = %s, size = %s, peaks = %s
where partition = %s and number = %s and term = %s
"""

# Advisory locks tell who lives, not who may write: that is the head's number and term (docs/ledger.md, "One writer").
TRY_ENGINE_LOCK = "select pg_try_advisory_lock(hashtext('hansa ledger engine'), %s)"
# Looked up and not tried: whoever tries holds the lock for a moment, and an engine that starts just then is sent away.
ENGINE_LIVES = """
select exists (
    select 1 from pg_locks
    where locktype = 'advisory' and granted and pid <> pg_backend_pid() and objsubid = 2
        and database = (select oid from pg_database where datname = current_database())
        and classid = (hashtext('hansa ledger engine')::bigint & 4294967295)::oid and objid = %s::bigint::oid
)
"""

ELECT = "update ledger.heads set writer = %s, term = term + 1 where partition = %s returning term"
CHECK_TERM = "select 1 from ledger.heads where partition = %s and term = %s"
RESIGN = "update ledger.heads set writer = null where partition = %s and term = %s"

# --- accounts

OPEN_ACCOUNTS = """
insert into ledger.accounts (partition, account_id, currency, code, holder, path, labels, flags, opened_at)
select partition, account_id, currency, code, holder, path, labels::jsonb, flags, coalesce(%s::timestamptz, now())
from unnest(%s::smallint[], %s::uuid[], %s::text[], %s::smallint[], %s::text[], %s::text[], %s::text[], %s::smallint[])
    as given (partition, account_id, currency, code, holder, path, labels, flags)
order by partition, account_id
on conflict do nothing
"""

_ACCOUNT: LiteralString = "account_id, currency, code, holder, flags, partition, path, labels"

ACCOUNTS: LiteralString = "select " + _ACCOUNT + " from ledger.accounts where account_id = any(%s)"

ALL_ACCOUNTS: LiteralString = (
    "select "
    + _ACCOUNT
    + ", opened_at from ledger.accounts where partition = %s order by opened_at, account_id"
)

SEARCH_ACCOUNTS: LiteralString = (
    "select " + _ACCOUNT + " from ledger.accounts"
    " where account_id > %(after)s and (%(holder)s::text is null or holder = %(holder)s)"
    " and (%(code)s::smallint is null or code = %(code)s)"
    " and (%(currency)s::text is null or currency = %(currency)s)"
    " and (%(path)s::text is null or path = %(path)s or path ^@ (%(path)s || ':'))"
    " and (%(labels)s::jsonb is null or labels @> %(labels)s::jsonb)"
    " order by account_id limit %(limit)s"
)

# The part of an account's path down to a depth, with all accounts under it added up.
TREE: LiteralString = """
select array_to_string((string_to_array(path, ':'))[:%(depth)s], ':') as branch, currency, count(*) as accounts,
    sum(debits_pending) as debits_pending, sum(debits_posted) as debits_posted,
    sum(credits_pending) as credits_pending, sum(credits_posted) as credits_posted
from ledger.balances
where path <> '' and (%(path)s = '' or path = %(path)s or path ^@ (%(path)s || ':'))
group by branch, currency order by branch, currency
"""

# An account's sums are those after its last transfer, if that is not folded; else those of its row.
BALANCES = """
with tail as materialized (
    select h.partition, p.account_id, max(p.place) as place
    from (select distinct partition from ledger.accounts where account_id = any(%(ids)s)) h
        cross join lateral ledger.tail_places(h.partition, %(ids)s) p
    group by 1, 2
)
select a.account_id,
    case when t is null then a.debits_pending when t.debit_account = a.account_id
        then coalesce(t.debit_debits_pending, 0) else coalesce(t.credit_debits_pending, 0) end,
    case when t is null then a.debits_posted when t.debit_account = a.account_id
        then t.debit_debits_posted else t.credit_debits_posted end,
    case when t is null then a.credits_pending when t.debit_account = a.account_id
        then coalesce(t.debit_credits_pending, 0) else coalesce(t.credit_credits_pending, 0) end,
    case when t is null then a.credits_posted when t.debit_account = a.account_id
        then t.debit_credits_posted else t.credit_credits_posted end
from ledger.accounts a
    left join tail l on l.partition = a.partition and l.account_id = a.account_id
    left join ledger.transfers t on t.partition = l.partition
        and t.block = l.place >> 16 and t.position = (l.place & 65535)::integer
where a.account_id = any(%(ids)s)
"""

# --- what the decider must know

STANDINGS = """
select account_id, currency, flags, debits_pending, debits_posted, credits_pending, credits_posted
from ledger.accounts where partition = %s and account_id = any(%b)
"""

# Accounts whose sums fit a column, as rows of one size; and the others.
COPY_STANDINGS = """
copy (
    select account_id, currency, flags, debits_pending::bigint, debits_posted::bigint,
        credits_pending::bigint, credits_posted::bigint
    from ledger.accounts
    where partition = %s and greatest(debits_pending, debits_posted, credits_pending, credits_posted) < %s limit %s
) to stdout (format binary)
"""

LARGE_STANDINGS = """
select account_id, currency, flags, debits_pending, debits_posted, credits_pending, credits_posted
from ledger.accounts
where partition = %s and greatest(debits_pending, debits_posted, credits_pending, credits_posted) >= %s limit %s
"""

# Each id is looked up by itself: while statistics are young, a plan made for an array of ids reads through all that a
# partition has, every time again.
KNOWN_IDS = """
select t.transfer_id from unnest(%b::uuid[]) as asked (transfer_id)
join lateral (
    select transfer_id from ledger.transfers where partition = %s and transfer_id = asked.transfer_id limit 1
) t on true
"""

EXISTING: LiteralString = (
    "select "
    + COLUMNS
    + """
from unnest(%b::uuid[]) as asked (asked_id)
join lateral (select * from ledger.transfers where partition = %s and transfer_id = asked_id limit 1) t on true
"""
)

HOLDS = """
select h.transfer_id, h.expires_at, h.state from unnest(%b::uuid[]) as asked (transfer_id)
join lateral (
    select * from ledger.holds where partition = %s and transfer_id = asked.transfer_id limit 1
) h on true
"""

HOLDS_DUE = """
select transfer_id, expires_at from ledger.holds
where partition = %s and state = 0 and expires_at <= %s order by expires_at, transfer_id limit %s
"""

# --- what was decided

COPY_TRANSFERS: LiteralString = "copy ledger.transfers (" + COLUMNS + ") from stdin (format binary)"

INSERT_BLOCK = """
insert into ledger.blocks
    (partition, number, first, transfers, previous_hash, root, hash, booked_at, salt_key, signature)
values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
"""

INSERT_NODES = """
insert into ledger.nodes (partition, level, index, hash)
select %s, level, index, hash from unnest(%s::smallint[], %s::bigint[], %s::bytea[]) as given (level, index, hash)
"""

# Both at once, and the head moved on: a block as one statement. It has no partition, and is refused, if the head did
# not stand right before it, in this term.
PREPARE_SEAL = """
prepare hansa_seal (
    smallint, bigint, bigint, integer, bytea, bytea, bytea, timestamptz, bytea, bytea,
    bigint, bytea, smallint[], bigint[], bytea[]
) as
with moved as (
    update ledger.heads set number = $2, hash = $7, booked_at = $8, size = $3 + $4, peaks = $12
    where partition = $1 and number = $2 - 1 and term = $11
    returning partition
), noded as (
    insert into ledger.nodes (partition, level, index, hash)
    select $1, level, index, hash from unnest($13, $14, $15) as given (level, index, hash)
)
insert into ledger.blocks
    (partition, number, first, transfers, previous_hash, root, hash, booked_at, salt_key, signature)
values ((select partition from moved), $2, $3, $4, $5, $6, $7, $8, $9, $10)
"""

# --- folding

# Whoever folds holds the row of the fold before, or the head before the first: an engine that dies in mid fold may
# still be at it, in the server, while the next writer begins.
LOCK_FOLD = "select 1 from ledger.folds where partition = %s and number = %s for no key update"
LAST_FOLD = "select coalesce(max(number), 0) from ledger.folds where partition = %s"

# One statement adds the blocks after the last fold to everything that is worked out from the journal: the accounts'
# sums, the lists of their places, the holds; and writes down per currency what was added, which a constraint checks.
_FOLD_CHANGED: LiteralString = """
), changed as (
    update ledger.accounts a
    set debits_posted = s.debits, credits_posted = s.credits,
        debits_pending = s.held_debits, credits_pending = s.held_credits
    from stand s join ledger.accounts old on old.partition = %(partition)s and old.account_id = s.account_id
    where a.partition = %(partition)s and a.account_id = s.account_id
    returning a.currency, s.debits - old.debits_posted as debits, s.credits - old.credits_posted as credits,
        s.held_debits - old.debits_pending as held_debits, s.held_credits - old.credits_pending as held_credits
"""

_FOLD_REST: LiteralString = """
), holds as materialized (
    select hold_id, bool_or(opened) as opened, max(expires_at) as expires_at, max(state) as state,
        min(resolved_by::text)::uuid as resolved_by, count(resolved_by) as times
    from (
        select transfer_id as hold_id, true as opened, null::uuid as resolved_by, 0 as state,
            case when timeout_s > 0 then booked_at + timeout_s * interval '1 second' end as expires_at
        from tail where %(holds)s and flags & 2 <> 0
        union all
        select pending_id, false, transfer_id,
            case when flags & 512 <> 0 then 3 when flags & 8 <> 0 then 2 else 1 end, null
        from tail where %(holds)s and pending_id is not null
    ) told group by hold_id
), opened as (
    insert into ledger.holds (partition, transfer_id, expires_at, state, resolved_by)
    select %(partition)s, hold_id, expires_at, state, resolved_by from holds where opened
), ended as (
    update ledger.holds h set state = e.state, resolved_by = e.resolved_by
    from holds e where not e.opened and h.partition = %(partition)s and h.transfer_id = e.hold_id and h.state < 1
    returning 1
), added as (
    select currency, sum(debits) as debits, sum(credits) as credits,
        sum(held_debits) as held_debits, sum(held_credits) as held_credits, count(*) as accounts
    from changed group by currency
), moves as materialized (
    select currency, coalesce(sum(amount) filter (where flags & 10 = 0), 0) as moved, count(*) as transfers,
        bool_or(flags & 200 <> 0) as closing,
        count(*) filter (where amount < 0 or (flags & 12 <> 0) <> (pending_id is not null and released is not null))
            as unfit
    from tail group by currency
), fold as (
    insert into ledger.folds (partition, number, previous, transfers, sealed, named, found, ended, were_open, unfit)
    select %(partition)s, %(number)s, %(previous)s, coalesce((select sum(transfers) from moves), 0),
        (select sum(transfers) from ledger.blocks
            where partition = %(partition)s and number > %(previous)s and number <= %(number)s),
        (select count(*) from touched), coalesce((select sum(accounts) from added), 0),
        coalesce((select sum(times) from holds), 0),
        (select count(*) from holds where opened and state > 0) + (select count(*) from ended),
        coalesce((select sum(unfit) from moves), 0)
    returning transfers
), totals as (
    insert into ledger.fold_totals (partition, number, currency, debits, credits, moved, held_debits, held_credits)
    select %(partition)s, %(number)s, currency, coalesce(debits, 0), coalesce(credits, 0), coalesce(moved, 0),
        coalesce(held_debits, 0), coalesce(held_credits, 0)
    from added full join moves using (currency)
)
select transfers, coalesce((select bool_or(closing) from moves), false) from fold
"""

FOLD: LiteralString = (
    """
with tail as materialized (
    select block << 16 | position as place, transfer_id, debit_account, credit_account, amount, currency, flags,
        timeout_s, booked_at, pending_id, released
    from ledger.transfers where partition = %(partition)s and block > %(previous)s and block <= %(number)s
), touched as materialized (
    select account_id, min(place) as first, max(place) as last, array_agg(place) as places
    from (select debit_account as account_id, place from tail union all select credit_account, place from tail) sides
    group by account_id
), stand as (
    select s.account_id,
        case when t.debit_account = s.account_id then t.debit_debits_posted else t.credit_debits_posted end as debits,
        case when t.debit_account = s.account_id then t.debit_credits_posted
            else t.credit_credits_posted end as credits,
        coalesce(case when t.debit_account = s.account_id then t.debit_debits_pending
            else t.credit_debits_pending end, 0) as held_debits,
        coalesce(case when t.debit_account = s.account_id then t.debit_credits_pending
            else t.credit_credits_pending end, 0) as held_credits
    from touched s join ledger.transfers t on t.partition = %(partition)s
        and t.block = s.last >> 16 and t.position = (s.last & 65535)::integer
"""
    + _FOLD_CHANGED
    + """
), listed as (
    insert into ledger.entries (partition, first, account_id, places)
    select %(partition)s, first, account_id, places from touched
"""
    + _FOLD_REST
)

# The same, when the writer still knows what its blocks did: then nothing has to be worked out from the rows but what
# they are checked by. The lists of places go in by COPY, before.
FOLD_GIVEN: LiteralString = (
    """
with tail as not materialized (
    select transfer_id, amount, currency, flags, timeout_s, booked_at, pending_id, released
    from ledger.transfers where partition = %(partition)s and block > %(previous)s and block <= %(number)s
), touched as materialized (
    select * from unnest(%(ids)s, %(sums_0)s, %(sums_1)s, %(sums_2)s, %(sums_3)s)
        as given (account_id, held_debits, debits, held_credits, credits)
), stand as (
    select account_id, debits, credits, held_debits, held_credits from touched
"""
    + _FOLD_CHANGED
    + _FOLD_REST
)

COPY_ENTRIES = "copy ledger.entries (partition, account_id, first, places) from stdin (format binary)"

INSERT_RUN = "insert into ledger.runs (partition, number, previous) values (%s, %s, %s)"
COPY_RUN = (
    "copy ledger.run_places (partition, bucket, number, account_ids, places) from stdin (format binary)"
)
FORGET_RUNS = (
    "delete from ledger.run_places where partition = %s and number <= %s",
    "delete from ledger.runs where partition = %s and number <= %s",
)

# Accounts that a closing hold closed, or its release opened again: the last of them counts.
FOLD_CLOSED = """
with told as (
    select t.debit_account as account_id, t.block << 16 | t.position as place, true as closed
    from ledger.transfers t
    where t.partition = %(partition)s and t.block > %(previous)s and t.block <= %(number)s and t.flags & 64 <> 0
    union all
    select t.credit_account, t.block << 16 | t.position, true
    from ledger.transfers t
    where t.partition = %(partition)s and t.block > %(previous)s and t.block <= %(number)s and t.flags & 128 <> 0
    union all
    select side.account_id, r.block << 16 | r.position, false
    from ledger.transfers r
        join ledger.transfers p on p.partition = r.partition and p.transfer_id = r.pending_id
        cross join lateral (values (p.debit_account, 64), (p.credit_account, 128)) as side (account_id, flag)
    where r.partition = %(partition)s and r.block > %(previous)s and r.block <= %(number)s
        and r.flags & 8 <> 0 and p.flags & side.flag <> 0
), last as (
    select distinct on (account_id) account_id, closed from told order by account_id, place desc
)
update ledger.accounts a set flags = case when last.closed then a.flags | 4 else a.flags & ~4 end
from last where a.partition = %(partition)s and a.account_id = last.account_id
"""

# --- reading the journal

GET_TRANSFER: LiteralString = (
    "select "
    + COLUMNS
    + " from ledger.transfers where transfer_id = %s and partition = any (select partition from ledger.heads)"
)

_AT_PLACES: LiteralString = (
    " join ledger.transfers t on t.partition = %(partition)s"
    " and t.block = p.place >> 16 and t.position = (p.place & 65535)::integer"
)

_T_COLUMNS: LiteralString = "t." + COLUMNS.replace(", ", ", t.")

ENTRIES: LiteralString = (
    "select " + _T_COLUMNS + " from (select place from ("
    "select place from ((select places from ledger.entries where partition = %(partition)s"
    " and account_id = %(account)s and first <= %(after)s order by first desc limit 1)"
    " union all (select places from ledger.entries where partition = %(partition)s"
    " and account_id = %(account)s and first > %(after)s order by first limit %(limit)s)"
    ") e cross join lateral unnest(e.places) as u (place) where place > %(after)s"
    " union all select place from ledger.tail_places(%(partition)s::smallint, array[%(account)s])"
    " where place > %(after)s"
    ") found order by place limit %(limit)s) p" + _AT_PLACES + " order by p.place"
)

ENTRIES_NEWEST_FIRST: LiteralString = (
    "select " + _T_COLUMNS + " from (select place from ("
    "select place from (select places from ledger.entries where partition = %(partition)s"
    " and account_id = %(account)s and first < %(after)s order by first desc limit %(limit)s"
    ") e cross join lateral unnest(e.places) as u (place) where place < %(after)s"
    " union all select place from ledger.tail_places(%(partition)s::smallint, array[%(account)s])"
    " where place < %(after)s"
    ") found order by place desc limit %(limit)s) p" + _AT_PLACES + " order by p.place desc"
)

POSTINGS: LiteralString = (
    "with tail as materialized (select account_id, place"
    " from ledger.tail_places(%(partition)s::smallint, %(accounts)s) where place > %(after)s and place <= %(to)s)"
    " select p.account_id, " + _T_COLUMNS + " from (select account_id, place from ("
    "select a.account_id, u.place from unnest(%(accounts)s::uuid[]) as a (account_id)"
    " cross join lateral ((select places from ledger.entries e where e.partition = %(partition)s"
    " and e.account_id = a.account_id and e.first <= %(after)s order by e.first desc limit 1)"
    " union all (select places from ledger.entries e where e.partition = %(partition)s"
    " and e.account_id = a.account_id and e.first > %(after)s and e.first <= %(to)s"
    " order by e.first limit %(limit)s)"
    ") e cross join lateral unnest(e.places) as u (place) where u.place > %(after)s and u.place <= %(to)s"
    " union all select account_id, place from tail"
    ") found order by place, account_id limit %(limit)s) p" + _AT_PLACES + " order by p.place, p.account_id"
)

# What blocks booked on accounts, counted and added up by transfer code: read once in the order of the journal, not
# account by account. steps: amounts from which on postings are counted apart; for most accounts none.
TURNOVER = """
select s.account_id, s.code, a.steps[nullif(width_bucket(s.minor, a.steps), 0)] as from_minor,
    count(*), sum(s.minor)::bigint
from (
    select credit_account as account_id, code, amount::bigint as minor from ledger.transfers
    where partition = %(partition)s and block > %(after)s and block <= %(to)s and flags & 10 = 0
    union all
    select debit_account, code, - amount::bigint from ledger.transfers
    where partition = %(partition)s and block > %(after)s and block <= %(to)s and flags & 10 = 0
) s
join (
    select account_id, case when steps <> '{}' then steps::bigint[] end as steps
    from unnest(%(ids)b::uuid[], %(steps)s::text[]) as given (account_id, steps)
) a using (account_id)
group by 1, 2, 3
"""

# The last place of each account up to a block of its partition, and the account's sums after the transfer there.
_SUMS_AT: LiteralString = (
    " left join lateral (select place from ("
    "select max(u.place) as place from (select places from ledger.entries e where e.partition = a.partition"
    " and e.account_id = a.account_id and e.first <= a.last order by e.first desc limit 1"
    ") e cross join lateral unnest(e.places) as u (place) where u.place <= a.last) one) e on true"
    " left join ledger.transfers t on t.partition = a.partition"
    " and t.block = coalesce(tail.place, e.place) >> 16"
    " and t.position = (coalesce(tail.place, e.place) & 65535)::integer"
)

_SIDE_SUMS: LiteralString = (
    "coalesce(case when t.debit_account = a.account_id then t.debit_debits_pending"
    " else t.credit_debits_pending end, 0) as debits_pending,"
    " coalesce(case when t.debit_account = a.account_id then t.debit_debits_posted"
    " else t.credit_debits_posted end, 0) as debits_posted,"
    " coalesce(case when t.debit_account = a.account_id then t.debit_credits_pending"
    " else t.credit_credits_pending end, 0) as credits_pending,"
    " coalesce(case when t.debit_account = a.account_id then t.debit_credits_posted"
    " else t.credit_credits_posted end, 0) as credits_posted"
)

BALANCES_AT_BLOCK: LiteralString = (
    "with tail as materialized (select account_id, max(place) as place"
    " from ledger.tail_places(%(partition)s::smallint, %(accounts)s) where place <= %(last)s group by account_id)"
    " select a.account_id, "
    + _SIDE_SUMS
    + " from (select %(partition)s::smallint as partition, account_id, %(last)s::bigint as last"
    " from unnest(%(accounts)s::uuid[]) as given (account_id)) a left join tail using (account_id)" + _SUMS_AT
)

BLOCK_AT = """
select number from ledger.blocks where partition = %s and booked_at <= %s order by booked_at desc, number desc limit 1
"""

BLOCK_BEFORE = """
select number from ledger.blocks where partition = %s and booked_at < %s order by booked_at desc, number desc limit 1
"""

TRIAL_NOW = """
select currency, code, count(*) as accounts,
    sum(debits_pending) as debits_pending, sum(debits_posted) as debits_posted,
    sum(credits_pending) as credits_pending, sum(credits_posted) as credits_posted
from ledger.balances group by currency, code order by currency, code
"""

TRIAL_AT: LiteralString = (
    "with cut as materialized (select h.partition, coalesce((select b.number from ledger.blocks b"
    " where b.partition = h.partition and b.booked_at <= %(at)s"
    " order by b.booked_at desc, b.number desc limit 1), 0) as number from ledger.heads h),"
    " tail as materialized (select s.partition, s.account_id, max(s.place) as place from ledger.tail_sides s"
    " join cut on cut.partition = s.partition and s.place <= cut.number << 16 | 65535"
    " group by s.partition, s.account_id),"
    " stood as (select a.currency, a.code, a.opened_at, t.transfer_id, "
    + _SIDE_SUMS
    + " from (select accounts.*, cut.number << 16 | 65535 as last from ledger.accounts"
    " join cut using (partition)) a left join tail using (partition, account_id)"
    + _SUMS_AT
    + ") select currency, code, count(*), sum(debits_pending), sum(debits_posted),"
    " sum(credits_pending), sum(credits_posted) from stood"
    " where opened_at <= %(at)s or transfer_id is not null group by currency, code order by currency, code"
)

# --- blocks

_BLOCK: LiteralString = (
    "partition, number, first, transfers, previous_hash, root, hash, booked_at, salt_key, signature"
)

LIST_BLOCKS: LiteralString = (
    "select " + _BLOCK + " from ledger.blocks where partition = %s and number > %s order by number limit %s"
)

ALL_BLOCKS: LiteralString = (
    "select " + _BLOCK + " from ledger.blocks where partition = %s and number <= %s order by number"
)

GET_BLOCK: LiteralString = "select " + _BLOCK + " from ledger.blocks where partition = %s and number = %s"

FIRSTS_OF_BLOCKS = "select number, first from ledger.blocks where partition = %s and number = any(%s)"

# The blocks that hold the log entries from one index to another.
BLOCKS_HOLDING: LiteralString = (
    "select "
    + _BLOCK
    + " from ledger.blocks where partition = %(partition)s and first < %(end)s and first >= coalesce((select max(first)"
    " from ledger.blocks where partition = %(partition)s and first <= %(begin)s), 0) order by number"
)

JOURNAL: LiteralString = (
    "select "
    + COLUMNS
    + " from ledger.transfers where partition = %s and block <= %s order by block, position"
)

# The head and the tree's edge there, and the first block beyond it that transfers or blocks stand in: there is none.
EDGE: LiteralString = (
    _HEAD + ", h.peaks, (select min(number) from (select min(block) as number from ledger.transfers"
    " where partition = h.partition and block > h.number union all select min(number) from ledger.blocks"
    " where partition = h.partition and number > h.number) beyond) from ledger.heads h order by h.partition"
)

JOURNAL_BETWEEN: LiteralString = (
    "select " + COLUMNS + " from ledger.transfers where partition = %(partition)s"
    " and (block, position) > (%(block)s, %(position)s) and block <= %(to)s"
    " order by block, position limit %(limit)s"
)

WALLET_MOVES = """
select a.account_id, a.holder, t.currency, t.block, t.code, s.sign * t.amount, s.held, t.reference, t.event_at
from ledger.transfers t
cross join lateral (values
    (t.debit_account, -1, t.debit_credits_posted - t.debit_debits_posted),
    (t.credit_account, 1, t.credit_credits_posted - t.credit_debits_posted)) as s (account_id, sign, held)
join ledger.accounts a on a.partition = t.partition and a.account_id = s.account_id and a.code = %(wallet)s
where t.partition = %(partition)s and t.block > %(after)s and t.block <= %(to)s and t.flags & %(still)s = 0
    and (t.code = any(%(codes)s::smallint[]) or t.debit_account = any(%(wallets)s)
        or t.credit_account = any(%(wallets)s))
order by t.block, t.position, s.sign
"""

NODES = (
    "select index, hash from ledger.nodes where partition = %s and level = %s and index >= %s and index < %s"
)

KEEP_COSIGNATURE = """
insert into ledger.cosignatures (partition, witness, size, line, cosigned_at) values (%s, %s, %s, %s, %s)
on conflict (partition, witness) do update
set size = excluded.size, line = excluded.line, cosigned_at = excluded.cosigned_at
where ledger.cosignatures.size <= excluded.size
"""

COSIGNATURES = """
select witness, size, line, cosigned_at from ledger.cosignatures where partition = %s order by witness
"""

# --- proof

# Balances, holds and places as the journal alone says they must be, against those kept beside it. Each statement looks
# up for itself how far is folded: an engine may fold on between two of them.
UNEQUAL_BALANCES = """
with folded as materialized (
    select coalesce(max(number), 0) as number from ledger.folds where partition = %(partition)s
), sides as (
    select debit_account as account_id,
        case when flags & 10 = 0 then amount else 0 end as debits, 0::numeric as credits,
        case when flags & 2 <> 0 then amount else - coalesce(released, 0) end as held_debits,
        0::numeric as held_credits
    from ledger.transfers where partition = %(partition)s and block <= (select number from folded)
    union all
    select credit_account, 0, case when flags & 10 = 0 then amount else 0 end,
        0, case when flags & 2 <> 0 then amount else - coalesce(released, 0) end
    from ledger.transfers where partition = %(partition)s and block <= (select number from folded)
), sums as (
    select account_id, sum(debits) as debits, sum(credits) as credits, sum(held_debits) as held_debits,
        sum(held_credits) as held_credits, count(*) as places
    from sides group by account_id
), listed as (
    select account_id, sum(cardinality(places)) as places from ledger.entries
    where partition = %(partition)s group by account_id
)
select coalesce(a.account_id, s.account_id)
from (select * from ledger.accounts where partition = %(partition)s) a
    full join sums s using (account_id) left join listed l using (account_id)
where a.account_id is null
    or a.debits_posted <> coalesce(s.debits, 0) or a.credits_posted <> coalesce(s.credits, 0)
    or a.debits_pending <> coalesce(s.held_debits, 0) or a.credits_pending <> coalesce(s.held_credits, 0)
    or coalesce(l.places, 0) <> coalesce(s.places, 0)
order by 1 limit 100
"""

UNEVEN_CURRENCIES = """
select currency, sum(debits_posted) as debits, sum(credits_posted) as credits from ledger.accounts
where partition = %s group by currency
having sum(debits_posted) <> sum(credits_posted) or sum(debits_pending) <> sum(credits_pending)
order by currency
"""

UNEQUAL_TOTALS = """
with moves as (
    select f.number, t.currency, coalesce(sum(t.amount) filter (where t.flags & 10 = 0), 0) as moved,
        sum(case when t.flags & 2 <> 0 then t.amount else - coalesce(t.released, 0) end) as held
    from ledger.folds f join ledger.transfers t
        on t.partition = f.partition and t.block > f.previous and t.block <= f.number
    where f.partition = %(partition)s group by f.number, t.currency
), kept as (
    select number, currency, debits, held_debits from ledger.fold_totals where partition = %(partition)s
)
select distinct number from moves full join kept using (number, currency)
where moved is distinct from debits or held is distinct from held_debits order by number limit 100
"""

UNEQUAL_FOLDS = """
select number
from (
    select number, previous, transfers, lag(number, 1, 0::bigint) over (order by number) as before
    from ledger.folds where partition = %(partition)s
) f
where previous <> before or transfers <> (
    select count(*) from ledger.transfers t
    where t.partition = %(partition)s and t.block > f.previous and t.block <= f.number
)
order by number limit 100
"""

UNEQUAL_PLACES = """
with folded as materialized (
    select coalesce(max(number), 0) as number from ledger.folds where partition = %(partition)s
), told as (
    select debit_account as account_id, block << 16 | position as place
    from ledger.transfers where partition = %(partition)s and block <= (select number from folded)
    union all
    select credit_account, block << 16 | position
    from ledger.transfers where partition = %(partition)s and block <= (select number from folded)
), kept as (
    select e.account_id, u.place from ledger.entries e cross join lateral unnest(e.places) as u (place)
    where e.partition = %(partition)s
), spans as (
    select account_id, first, (select min(place) from unnest(places) as place) as least,
        (select max(place) from unnest(places) as place) as most,
        lead(first) over (partition by account_id order by first) as next
    from ledger.entries where partition = %(partition)s
)
select account_id from (
    (table told except all table kept) union all (table kept except all table told)
) unlike
union
select account_id from spans where first is distinct from least or most >= next
order by account_id limit 100
"""

# Runs that do not follow on one another from some block up to the head's, or hold other places than the journal.
UNEQUAL_RUNS = """
with spans as (
    select number, previous, lag(number) over (order by number) as before
    from ledger.runs where partition = %(partition)s
), told as (
    select r.number, side.account_id, t.block << 16 | t.position as place
    from ledger.runs r
        join ledger.transfers t on t.partition = r.partition and t.block > r.previous and t.block <= r.number
        cross join lateral (values (t.debit_account), (t.credit_account)) as side (account_id)
    where r.partition = %(partition)s
), kept as (
    select r.number, u.account_id, u.place
    from ledger.run_places r cross join lateral unnest(r.account_ids, r.places) as u (account_id, place)
    where r.partition = %(partition)s and r.bucket = ledger.bucket_of(u.account_id)
)
select number from spans where previous <> before
    or number > (select h.number from ledger.heads h where h.partition = %(partition)s)
    or (before is null and previous > coalesce(
        (select max(number) from ledger.folds where partition = %(partition)s), 0))
union
select number from ((table told except all table kept) union all (table kept except all table told)) unlike
union
select number from ledger.run_places p where partition = %(partition)s
    and not exists (select from ledger.runs r where r.partition = p.partition and r.number = p.number)
order by number limit 100
"""

UNEQUAL_CLOSED = """
with folded as materialized (
    select coalesce(max(number), 0) as number from ledger.folds where partition = %(partition)s
), closing as (
    select t.debit_account, t.credit_account, t.flags from ledger.transfers t
    where t.partition = %(partition)s and t.flags & 2 <> 0 and t.flags & 192 <> 0
        and t.block <= (select number from folded)
        and not exists (
            select from ledger.transfers r where r.partition = t.partition and r.pending_id = t.transfer_id
                and r.block <= (select number from folded)
        )
), closed as (
    select debit_account as account_id from closing where flags & 64 <> 0
    union select credit_account from closing where flags & 128 <> 0
)
select account_id from ledger.accounts
where partition = %(partition)s and (flags & 4 <> 0) <> (account_id in (select account_id from closed))
order by account_id limit 100
"""

# Nodes of the tree that would need more transfers than there are.
STRAY_NODES = """
select n.level, n.index from ledger.nodes n join ledger.heads h using (partition)
where partition = %(partition)s and (n.index + 1) * 256::numeric ^ n.level > h.size order by n.level, n.index limit 100
"""

UNEQUAL_HOLDS = """
with folded as materialized (
    select coalesce(max(number), 0) as number from ledger.folds where partition = %(partition)s
), facts as (
    select t.transfer_id, r.transfer_id as resolved_by,
        case when r.transfer_id is null then 0 when r.flags & 512 <> 0 then 3 when r.flags & 8 <> 0 then 2 else 1 end
            as state,
        case when t.timeout_s > 0 then t.booked_at + t.timeout_s * interval '1 second' end as expires_at
    from ledger.transfers t
        left join ledger.transfers r on r.partition = t.partition and r.pending_id = t.transfer_id
            and r.block <= (select number from folded)
    where t.partition = %(partition)s and t.flags & 2 <> 0 and t.block <= (select number from folded)
), kept as (
    select transfer_id, resolved_by, state, expires_at from ledger.holds where partition = %(partition)s
)
select transfer_id from facts full join kept using (transfer_id)
where facts.state is distinct from kept.state or facts.resolved_by is distinct from kept.resolved_by
    or facts.expires_at is distinct from kept.expires_at
order by transfer_id limit 100
"""

# --- rebuilding

FORGET_FOLDED = (
    "delete from ledger.run_places where partition = %(partition)s",
    "delete from ledger.runs where partition = %(partition)s",
    "delete from ledger.fold_totals where partition = %(partition)s",
    "delete from ledger.folds where partition = %(partition)s",
    "delete from ledger.entries where partition = %(partition)s",
    "delete from ledger.holds where partition = %(partition)s",
    "update ledger.accounts set debits_posted = 0, credits_posted = 0, debits_pending = 0, credits_pending = 0,"
    " flags = flags & ~4 where partition = %(partition)s",
)

# --- mail

SEND_MAIL = "insert into ledger.mail (partition, mail_id, batch) values (%s, %s, %s)"
WAITING_MAIL = (
    "select mail_id, batch from ledger.mail where partition = %s and answer is null order by posted_at"
)
ANSWER_MAIL = "update ledger.mail set answer = %s where partition = %s and mail_id = %s"
TAKE_ANSWER = (
    "delete from ledger.mail where partition = %s and mail_id = %s and answer is not null returning answer"
)
HAS_MAIL = "select exists (select 1 from ledger.mail where partition = %s and mail_id = %s)"
# Letters to an engine that is dead: their senders post again, and what they are told then must stay true.
FORGET_MAIL = """
delete from ledger.mail where partition = %s and (answer is null or posted_at < now() - interval '10 minutes')
"""


# --- heads and engines


def make_heads(tx: Tx, partitions: Iterable[int]) -> None:
    tx.execute(MAKE_HEADS, (GENESIS_HASH, BEFORE_ALL, sorted(set(partitions))))


def list_heads(tx: Tx) -> list[Head]:
    return [Head(*row) for row in tx.execute(LIST_HEADS)]


def find_head(tx: Tx, partition: int) -> Head | None:
    row = tx.execute(HEAD, (partition,)).fetchone()
    return None if row is None else Head(*row)


@dataclass(frozen=True, slots=True)
class Locked:
    """A partition's head, and the tree at it, while its row is locked. writer: the engine that keeps it in memory."""

    head: Head
    tree: tlog.Tree
    writer: str | None
    term: int


def lock_head(tx: Tx, partition: int) -> Locked:
    """Lock the head's row until the transaction ends. One that is not there is made."""
    row = tx.execute(LOCK_HEAD, (partition,)).fetchone()
    if row is None:
        make_heads(tx, [partition])
        row = tx.execute(LOCK_HEAD, (partition,)).fetchone()
        assert row is not None, "the head was just made"
    head = find_head(tx, partition)  # after the lock: what the one before us committed
    assert head is not None, "the row is locked"
    peaks = bytes(row[0])
    tree = tlog.Tree(head.size, tuple(peaks[at : at + 32] for at in range(0, len(peaks), 32)))
    return Locked(head, tree, row[1], row[2])


def try_engine_lock(tx: Tx, partition: int) -> bool:
    """Be the partition's one engine for as long as this connection lives, unless another is."""
    row = tx.execute(TRY_ENGINE_LOCK, (partition,)).fetchone()
    return row is not None and bool(row[0])


def engine_lives(tx: Tx, partition: int) -> bool:
    """Whether some other connection is the partition's engine."""
    row = tx.execute(ENGINE_LIVES, (partition,)).fetchone()
    return row is not None and bool(row[0])


def elect(tx: Tx, partition: int, writer: str | None) -> int:
    """Write down who keeps the partition from here on; gives the new term. None: whoever locks the head."""
    row = tx.execute(ELECT, (writer, partition)).fetchone()
    assert row is not None, "the head is there"
    return row[0]


def check_term(tx: Tx, partition: int, term: int) -> None:
    """Go on only if this is still the partition's term. Errors: Deposed."""
    if tx.execute(CHECK_TERM, (partition, term)).fetchone() is None:
        raise Deposed


def resign(tx: Tx, partition: int, term: int) -> None:
    tx.execute(RESIGN, (partition, term))


# --- accounts


def insert_accounts(tx: Tx, accounts: Sequence[Account], at: datetime | None) -> None:
    tx.execute(
        OPEN_ACCOUNTS,
        (
            at,
            [account.partition for account in accounts],
            [account.account_id for account in accounts],
            [account.currency for account in accounts],
            [int(account.code) for account in accounts],
            [account.holder for account in accounts],
            [account.path for account in accounts],
            [json.dumps(dict(account.labels)) for account in accounts],
            [int(account.flags) for account in accounts],
        ),
    )


def list_accounts(tx: Tx, account_ids: Iterable[AccountId]) -> list[Account]:
    return [_account(row) for row in tx.execute(ACCOUNTS, (list(account_ids),))]


def read_accounts(tx: Tx, partition: int) -> Iterator[tuple[Account, datetime]]:
    """All accounts of a partition and when each was opened, streamed in that order."""
    with tx.cursor("ledger_accounts") as cursor:
        cursor.itersize = 5_000
        for *row, opened_at in cursor.execute(ALL_ACCOUNTS, (partition,)):
            yield _account(tuple(row)), opened_at


def search_accounts(
    tx: Tx,
    *,
    holder: str | None,
    code: int | None,
    currency: str | None,
    path: str | None,
    labels: Mapping[str, str] | None,
    after: UUID,
    limit: int,
) -> list[Account]:
    rows = tx.execute(
        SEARCH_ACCOUNTS,
        {
            "holder": holder,
            "code": code,
            "currency": currency,
            "path": path,
            "labels": None if labels is None else json.dumps(dict(labels)),
            "after": after,
            "limit": limit,
        },
    )
    return [_account(row) for row in rows]


def _account(row: tuple[Any, ...]) -> Account:
    account_id, currency, code, holder, flags, partition, path, labels = row
    return Account(
        AccountId(account_id),
        currency,
        AccountCode(code),
        holder,
        AccountFlag(flags),
        partition,
        path,
        labels,
    )


def list_balances(tx: Tx, account_ids: Iterable[AccountId]) -> dict[AccountId, Balance]:
    return {AccountId(row[0]): _balance(row[1:]) for row in tx.execute(BALANCES, {"ids": list(account_ids)})}


def _balance(sums: Iterable[Any]) -> Balance:
    return Balance(*map(int, sums))


def list_tree(tx: Tx, path: str, depth: int) -> list[TreeRow]:
    rows = tx.execute(TREE, {"path": path, "depth": depth})
    return [TreeRow(branch, currency, count, _balance(sums)) for branch, currency, count, *sums in rows]


# --- what the decider must know


def load_standings(tx: Tx, partition: int, account_ids: Iterable[bytes]) -> dict[bytes, Standing]:
    """These accounts as of the last fold, by the bytes of their ids, as far as there are."""
    cursor = tx.cursor(binary=True).execute(STANDINGS, (partition, _uuids(account_ids)))
    return {row[0].bytes: _standing(row) for row in cursor}


_STANDING = np.dtype(
    [
        ("columns", ">i2"),
        ("id_size", ">i4"),
        ("id", "V16"),
        ("currency_size", ">i4"),
        ("currency", "S3"),
        ("flags_size", ">i4"),
        ("flags", ">i2"),
        ("sums", [("size", ">i4"), ("sum", ">i8")], 4),
    ]
)
_STANDINGS_AT_ONCE = 50_000


def read_standings(tx: Tx, partition: int, accounts: Accounts, limit: int) -> None:
    """Bring up to ``limit`` accounts of a partition in, as of the last fold, but for those that are there already."""
    rows: list[bytes] = []

    def bring_in() -> None:
        found = np.frombuffer(b"".join(rows), _STANDING)
        rows.clear()
        if len(accounts):
            found = found[[account_id not in accounts for account_id in found["id"].tolist()]]
        accounts.add_columns(found["id"], found["currency"], found["flags"], found["sums"]["sum"])

    with tx.cursor().copy(COPY_STANDINGS, (partition, LARGE, limit)) as copy:
        for data in copy:
            row = bytes(data)
            if len(row) > _STANDING.itemsize:  # the first comes with the format's header
                row = row[-_STANDING.itemsize :]
            if len(row) == _STANDING.itemsize:
                rows.append(row)
            if len(rows) == _STANDINGS_AT_ONCE:
                bring_in()
    bring_in()
    large = tx.cursor(binary=True).execute(LARGE_STANDINGS, (partition, LARGE, limit))
    found = {row[0].bytes: _standing(row) for row in large}
    accounts.add({one: standing for one, standing in found.items() if one not in accounts})


def _standing(row: tuple[Any, ...]) -> Standing:
    return Standing(row[1].encode(), row[2], int(row[3]), int(row[4]), int(row[5]), int(row[6]))


def find_known(tx: Tx, partition: int, transfer_ids: Iterable[bytes]) -> list[bytes]:
    """Which of these transfers are in the books."""
    cursor = tx.cursor(binary=True).execute(KNOWN_IDS, (_uuids(transfer_ids), partition))
    return [row[0].bytes for row in cursor]


def load_transfers(tx: Tx, partition: int, transfer_ids: Iterable[bytes]) -> dict[bytes, Body]:
    cursor = tx.cursor(binary=True).execute(EXISTING, (_uuids(transfer_ids), partition))
    return {row[3].bytes: _body(row) for row in cursor}


def load_holds(
    tx: Tx, partition: int, transfers: Mapping[bytes, Body], ids: Iterable[bytes]
) -> dict[bytes, Hold]:
    """The holds of these ids, as far as there are, as of the last fold; transfers: the pending ones among others."""
    return {
        transfer_id.bytes: Hold(
            transfers[transfer_id.bytes],
            None if expires_at is None else microseconds(expires_at),
            HoldState(state),
        )
        for transfer_id, expires_at, state in tx.execute(HOLDS, (_uuids(ids), partition))
    }


def list_due_holds(tx: Tx, partition: int, now: datetime, limit: int) -> list[tuple[TransferId, datetime]]:
    return [
        (TransferId(transfer_id), expires_at)
        for transfer_id, expires_at in tx.execute(HOLDS_DUE, (partition, now, limit))
    ]


@dataclass(frozen=True, slots=True)
class UuidArray:
    """Ids of 16 bytes as a parameter: a tenth of the cost of making a UUID of each."""

    ids: tuple[bytes, ...]


class _UuidArrayDumper(Dumper):
    """Source: PostgreSQL's ``array_recv``: dimensions, flags, type; then for each dimension its length and lower
    bound; then for each element its size and bytes."""

    format = Format.BINARY
    oid = adapters.types["uuid"].array_oid

    def dump(self, obj: UuidArray) -> Buffer:
        if not obj.ids:
            return _NO_IDS
        size = b"\0\0\0\x10"
        return _ARRAY_HEAD.pack(1, 0, _UUID, len(obj.ids), 1) + size + size.join(obj.ids)


_UUID = adapters.types["uuid"].oid
_ARRAY_HEAD = Struct(">iiIii")
_NO_IDS = Struct(">iiI").pack(0, 0, _UUID)
adapters.register_dumper(UuidArray, _UuidArrayDumper)


@dataclass(frozen=True, slots=True)
class ArrayBytes:
    """An array of bigint that is a parameter's bytes already."""

    data: bytes


class UuidArrayBytes(ArrayBytes):
    """The same, of uuid."""


class _BigintArrayBytesDumper(Dumper):
    format = Format.BINARY
    oid = adapters.types["int8"].array_oid

    def dump(self, obj: ArrayBytes) -> Buffer:
        return obj.data


class _UuidArrayBytesDumper(_BigintArrayBytesDumper):
    oid = adapters.types["uuid"].array_oid


adapters.register_dumper(ArrayBytes, _BigintArrayBytesDumper)
adapters.register_dumper(UuidArrayBytes, _UuidArrayBytesDumper)


def _uuids(ids: Iterable[bytes]) -> UuidArray:
    return UuidArray(tuple(ids))


# --- what was decided


class Deposed(Exception):
    """Another writer has written a block, or was elected: this one must not write."""


def write_rows(tx: Tx, sealed: Sealed, rows: bytes) -> None:
    """What a block appends: the journal's rows by binary COPY, the block, and its nodes. It does not count yet.

    rows: in COPY's binary form.
    Errors: Deposed if another's rows stand there; then the transaction must be given up.
    """
    block = sealed.block
    try:
        with tx.cursor().copy(COPY_TRANSFERS) as copy:
            copy.write(COPY_HEADER + rows + COPY_TRAILER)
    except UniqueViolation as error:
        raise Deposed from error
    tx.execute(
        INSERT_BLOCK,
        (
            block.partition,
            block.number,
            block.first,
            block.transfers,
            block.previous_hash,
            block.root,
            block.hash,
            block.booked_at,
            block.salt_key,
            block.signature,
        ),
    )
    if sealed.nodes:
        tx.execute(
            INSERT_NODES,
            (
                block.partition,
                [node.level for node in sealed.nodes],
                [node.index for node in sealed.nodes],
                [node.hash for node in sealed.nodes],
            ),
        )


def move_head(tx: Tx, sealed: Sealed, *, term: int) -> None:
    """Make the block count: the head moves on to it, from the block before and in the term of whoever writes.

    Errors: Deposed; then the transaction must be given up.
    """
    block = sealed.block
    moved = tx.execute(
        MOVE_HEAD,
        (
            block.number,
            block.hash,
            block.booked_at,
            sealed.tree.size,
            b"".join(sealed.tree.peaks),
            *(block.partition, block.number - 1, term),
        ),
    )
    if moved.rowcount != 1:
        raise Deposed


def prepare_commits(tx: Tx) -> None:
    """Make ``commit_block`` known to a connection of its own, that commits each statement."""
    tx.execute(PREPARE_SEAL)


def commit_block(tx: Tx, sealed: Sealed, rows: bytes, *, term: int, sent: Callable[[], None]) -> None:
    """Write a block and make it count, as a transaction of its own in one message: two ways there and back, not seven.

    sent: called when only PostgreSQL has something left to do.
    Errors: Deposed, and psycopg's; then nothing of it stays.
    """
    block, pgconn = sealed.block, tx.pgconn
    signature = "null" if block.signature is None else _hex(block.signature)
    levels = ",".join(str(node.level) for node in sealed.nodes)
    indexes = ",".join(str(node.index) for node in sealed.nodes)
    hashes = ",".join(_hex(node.hash) for node in sealed.nodes)
    seal = (
        f"execute hansa_seal({block.partition},{block.number},{block.first},{block.transfers},"
        f"{_hex(block.previous_hash)},{_hex(block.root)},{_hex(block.hash)},'{block.booked_at.isoformat()}',"
        f"{_hex(block.salt_key)},{signature},{term},{_hex(b''.join(sealed.tree.peaks))},"
        f"array[{levels}]::smallint[],array[{indexes}]::bigint[],array[{hashes}]::bytea[]);"
    )
    pgconn.send_query(seal.encode() + COPY_TRANSFERS.encode())
    results = _results(pgconn)
    if results[-1].status == ExecStatus.COPY_IN:
        for part in (b"".join((COPY_HEADER, rows, COPY_TRAILER)), None):
            while (pgconn.put_copy_end() if part is None else pgconn.put_copy_data(part)) == 0:
                _wait(pgconn, select.POLLIN | select.POLLOUT)
        sent()
        results = _results(pgconn)
    for result in results:
        if result.status not in (ExecStatus.COMMAND_OK, ExecStatus.COPY_IN):
            state = (result.error_field(DiagnosticField.SQLSTATE) or b"").decode()
            if state in (UniqueViolation.sqlstate, NotNullViolation.sqlstate):
                raise Deposed
            raise _error(state)(result.get_error_message())


def _hex(data: bytes) -> str:
    return f"'\\x{data.hex()}'::bytea"


def _error(state: str) -> type[psycopg.Error]:
    try:
        return lookup(state)
    except KeyError:
        return OperationalError


def _results(pgconn: PGconn) -> list[PGresult]:
    """What the server answers, until it is done or waits for rows. Errors: OperationalError if it is gone."""
    while pgconn.flush():
        _wait(pgconn, select.POLLIN | select.POLLOUT)
    found: list[PGresult] = []
    while True:
        while pgconn.is_busy():
            _wait(pgconn, select.POLLIN)
            pgconn.consume_input()
        result = pgconn.get_result()
        if result is None:
            if not found:
                raise OperationalError(pgconn.get_error_message())
            return found
        found.append(result)
        if result.status == ExecStatus.COPY_IN:
            return found


def _wait(pgconn: PGconn, events: int) -> None:
    poll = select.poll()
    poll.register(pgconn.socket, events)
    if any(event & select.POLLIN for _, event in poll.poll()):
        pgconn.consume_input()


# --- folding


def lock_fold(tx: Tx, partition: int, number: int) -> int:
    """Wait for whoever folds after this fold, and keep others from it; gives the last fold there is then."""
    tx.execute(*((LOCK_FOLD, (partition, number)) if number else (LOCK_HEAD, (partition,))))
    row = tx.execute(LAST_FOLD, (partition,)).fetchone()
    assert row is not None, "an aggregate has one row"
    return row[0]


def fold(tx: Tx, partition: int, *, previous: int, number: int) -> int:
    """Add the transfers after block ``previous`` up to ``number`` to accounts, entries and holds; gives how many.

    Errors: Deposed if another has folded after ``previous``; then the transaction must be given up.
    """
    _begin_fold(tx, partition, previous)
    tx.execute("set local enable_mergejoin = off")
    given = {"partition": partition, "previous": previous, "number": number, "holds": True}
    return _end_fold(tx, tx.execute(FOLD, given), partition, previous, number)


def fold_given(tx: Tx, partition: int, folding: Folding, *, previous: int, number: int, holds: bool) -> int:
    """The same, with what the writer knows. holds: whether these blocks opened or ended any.

    Errors: Deposed if another has folded after ``previous``; then the transaction must be given up.
    """
    _begin_fold(tx, partition, previous)
    with tx.cursor().copy(COPY_ENTRIES) as copy:
        copy.write(b"".join((COPY_HEADER, folding.entries, COPY_TRAILER)))
    sums = {f"sums_{number}": ArrayBytes(bigint_array(folding.sums[:, number])) for number in range(4)}
    given = {"partition": partition, "previous": previous, "number": number, "holds": holds}
    ids = UuidArrayBytes(uuid_array(folding.ids))
    return _end_fold(tx, tx.execute(FOLD_GIVEN, given | sums | {"ids": ids}), partition, previous, number)


def _begin_fold(tx: Tx, partition: int, previous: int) -> None:
    if lock_fold(tx, partition, previous) != previous:
        raise Deposed
    tx.execute("set local work_mem = '256MB'")


def _end_fold(tx: Tx, folded: Cursor[Any], partition: int, previous: int, number: int) -> int:
    row = folded.fetchone()
    assert row is not None, "a fold inserts one row"
    transfers, closing = row
    if closing:
        tx.execute(FOLD_CLOSED, {"partition": partition, "previous": previous, "number": number})
    for statement in FORGET_RUNS:
        tx.execute(statement, (partition, number))
    return transfers


def write_run(tx: Tx, partition: int, rows: bytes, *, previous: int, number: int, folded: int) -> None:
    """Keep where in the blocks after ``previous`` up to ``number`` which accounts are. rows: of COPY.

    folded: the last fold. Errors: Deposed if another has folded since; then the transaction must be given up.
    """
    if lock_fold(tx, partition, folded) != folded:
        raise Deposed
    tx.execute(INSERT_RUN, (partition, number, previous))
    with tx.cursor().copy(COPY_RUN) as copy:
        copy.write(b"".join((COPY_HEADER, rows, COPY_TRAILER)))


def forget_folded(tx: Tx, partition: int) -> None:
    """Take everything back that folds made, so that it can be made again from the journal."""
    for statement in FORGET_FOLDED:
        tx.execute(statement, {"partition": partition})


# --- reading


def find_transfer(tx: Tx, transfer_id: TransferId) -> Booked | None:
    row = tx.execute(GET_TRANSFER, (transfer_id,)).fetchone()
    return None if row is None else _booked(row)


def place_number(place: Place) -> int:
    """A place as the entries keep it."""
    return (place.block << PLACE_BITS) + place.position


def last_place(block: int) -> int:
    """The last place that a block could have, as a number."""
    return (block << PLACE_BITS) | (1 << PLACE_BITS) - 1


def list_entries(tx: Tx, account: Account, *, after: int, limit: int, newest_first: bool) -> list[Entry]:
    """after: a place as a number, exclusive."""
    rows = tx.execute(
        ENTRIES_NEWEST_FIRST if newest_first else ENTRIES,
        {
            "partition": account.partition,
            "account": account.account_id,
            "after": after,
            "limit": limit,
        },
    )
    return [Entry(account.account_id, _booked(row)) for row in rows]


def list_postings(
    tx: Tx, account_ids: Sequence[AccountId], *, partition: int, after: int, to: int, limit: int | None
) -> list[Entry]:
    """after, to: places as numbers; after is exclusive, to is not."""
    rows = tx.cursor(binary=True).execute(
        POSTINGS,
        {
            "partition": partition,
            "accounts": list(account_ids),
            "after": after,
            "to": to,
            "limit": limit,
        },
    )
    return [Entry(AccountId(row[0]), _booked(row[1:])) for row in rows]


def list_turnover(
    tx: Tx, partition: int, steps: Mapping[AccountId, Sequence[int]], *, after_block: int, to_block: int
) -> list[tuple[UUID, int, int | None, int, int]]:
    """Rows of account, code, step, items, minor."""
    values = {"partition": partition, "after": after_block, "to": to_block, "ids": list(steps)}
    texts = ["{" + ",".join(map(str, some)) + "}" for some in steps.values()]
    return tx.execute(TURNOVER, values | {"steps": texts}).fetchall()


def list_balances_at_block(
    tx: Tx, partition: int, block: int, account_ids: Sequence[AccountId]
) -> dict[AccountId, Balance]:
    rows = tx.execute(
        BALANCES_AT_BLOCK,
        {"partition": partition, "last": last_place(block), "accounts": list(account_ids)},
    )
    return {AccountId(row[0]): _balance(row[1:]) for row in rows}


def block_at(tx: Tx, partition: int, instant: datetime) -> int:
    row = tx.execute(BLOCK_AT, (partition, instant)).fetchone()
    return 0 if row is None else row[0]


def block_before(tx: Tx, partition: int, instant: datetime) -> int:
    row = tx.execute(BLOCK_BEFORE, (partition, instant)).fetchone()
    return 0 if row is None else row[0]


def list_trial_rows(tx: Tx, at: datetime | None) -> list[TrialRow]:
    rows = tx.execute(TRIAL_NOW) if at is None else tx.execute(TRIAL_AT, {"at": at})
    return [
        TrialRow(currency, AccountCode(code), count, int(dp), int(d), int(cp), int(c))
        for currency, code, count, dp, d, cp, c in rows
    ]


def list_blocks(tx: Tx, partition: int, *, after: int, limit: int) -> list[Block]:
    cursor = tx.cursor(row_factory=class_row(Block))
    return cursor.execute(LIST_BLOCKS, (partition, after, limit)).fetchall()


def find_block(tx: Tx, partition: int, number: int) -> Block | None:
    return tx.cursor(row_factory=class_row(Block)).execute(GET_BLOCK, (partition, number)).fetchone()


def list_blocks_holding(tx: Tx, partition: int, *, begin: int, end: int) -> list[Block]:
    """The blocks that hold the log entries from ``begin`` until before ``end``."""
    cursor = tx.cursor(row_factory=class_row(Block))
    return cursor.execute(BLOCKS_HOLDING, {"partition": partition, "begin": begin, "end": end}).fetchall()


def firsts_of_blocks(tx: Tx, partition: int, numbers: Sequence[int]) -> dict[int, int]:
    """Where in the log each of these blocks begins; those that are not there are left out."""
    return dict(tx.execute(FIRSTS_OF_BLOCKS, (partition, list(numbers))).fetchall())


def list_nodes(tx: Tx, partition: int, level: int, *, begin: int, end: int) -> list[tuple[int, bytes]]:
    return [(index, bytes(found)) for index, found in tx.execute(NODES, (partition, level, begin, end))]


def has_node(tx: Tx, partition: int, node: tlog.Node) -> bool:
    """Whether the node is kept as it should be."""
    kept = list_nodes(tx, partition, node.level, begin=node.index, end=node.index + 1)
    return kept == [(node.index, node.hash)]


def keep_cosignature(
    tx: Tx, partition: int, witness: str, size: int, line: str, cosigned_at: datetime
) -> None:
    tx.execute(KEEP_COSIGNATURE, (partition, witness, size, line, cosigned_at))


def list_cosignatures(tx: Tx, partition: int) -> list[tuple[str, int, str, datetime]]:
    return [(row[0], row[1], row[2], row[3]) for row in tx.execute(COSIGNATURES, (partition,))]


# --- proof


@dataclass(frozen=True, slots=True)
class JournalRow:
    """A transfer as it stands written: its place, and all that the decider gave."""

    block: int
    position: int
    booked_us: int
    body: Body
    released: int | None
    sums: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Edge:
    """Where a partition ends: its head, the tree's peaks there, and a block beyond it, if there wrongly is one."""

    head: Head
    peaks: bytes
    beyond: int | None


def list_edges(tx: Tx) -> list[Edge]:
    return [Edge(Head(*row[:6]), bytes(row[6]), row[7]) for row in tx.execute(EDGE)]


def read_blocks(tx: Tx, partition: int, to_block: int) -> Iterator[Block]:
    """All blocks of a partition up to one, in order, streamed."""
    with tx.cursor("ledger_blocks", row_factory=class_row(Block)) as cursor:
        cursor.itersize = 1_000
        yield from cursor.execute(ALL_BLOCKS, (partition, to_block))


def read_journal(tx: Tx, partition: int, to_block: int) -> Iterator[JournalRow]:
    """All transfers of a partition up to a block, in order, streamed."""
    with tx.cursor("ledger_journal", binary=True) as cursor:
        cursor.itersize = 8_192
        for row in cursor.execute(JOURNAL, (partition, to_block)):
            yield _journal_row(row)


def list_journal(tx: Tx, partition: int, *, after: Place, to_block: int, limit: int) -> list[JournalRow]:
    """The transfers after a place, up to a block, in order."""
    rows = tx.cursor(binary=True).execute(
        JOURNAL_BETWEEN,
        {
            "partition": partition,
            "block": after.block,
            "position": after.position,
            "to": to_block,
            "limit": limit,
        },
    )
    return [_journal_row(row) for row in rows]


def list_booked(tx: Tx, partition: int, *, after: Place, to_block: int, limit: int) -> list[Booked]:
    """The same transfers as they stand in the books."""
    rows = tx.cursor(binary=True).execute(
        JOURNAL_BETWEEN,
        {
            "partition": partition,
            "block": after.block,
            "position": after.position,
            "to": to_block,
            "limit": limit,
        },
    )
    return [_booked(row) for row in rows]


def list_wallet_moves(
    tx: Tx, partition: int, after: int, to: int, codes: Collection[int], wallets: Collection[AccountId]
) -> list[WalletMove]:
    """What moved wallets in the blocks after one, up to another."""
    values = {
        "wallet": AccountCode.WALLET.value,
        "partition": partition,
        "after": after,
        "to": to,
        "still": int(TransferFlag.PENDING | TransferFlag.VOID_PENDING),
        "codes": list(codes),
        "wallets": list(wallets),
    }
    return [
        WalletMove(row[0], row[1], row[2], row[3], row[4], int(row[5]), int(row[6]), row[7], row[8])
        for row in tx.execute(WALLET_MOVES, values)
    ]


def list_unequal_balances(tx: Tx, partition: int) -> list[UUID]:
    return [row[0] for row in tx.execute(UNEQUAL_BALANCES, {"partition": partition})]


def list_uneven_currencies(tx: Tx, partition: int) -> list[tuple[str, Decimal, Decimal]]:
    return [(row[0], row[1], row[2]) for row in tx.execute(UNEVEN_CURRENCIES, (partition,))]


def list_unequal_totals(tx: Tx, partition: int) -> list[int]:
    return [row[0] for row in tx.execute(UNEQUAL_TOTALS, {"partition": partition})]


def list_unequal_folds(tx: Tx, partition: int) -> list[int]:
    return [row[0] for row in tx.execute(UNEQUAL_FOLDS, {"partition": partition})]


def list_unequal_places(tx: Tx, partition: int) -> list[UUID]:
    return [row[0] for row in tx.execute(UNEQUAL_PLACES, {"partition": partition})]


def list_unequal_runs(tx: Tx, partition: int) -> list[int]:
    return [row[0] for row in tx.execute(UNEQUAL_RUNS, {"partition": partition})]


def list_unequal_closed(tx: Tx, partition: int) -> list[UUID]:
    return [row[0] for row in tx.execute(UNEQUAL_CLOSED, {"partition": partition})]


def list_stray_nodes(tx: Tx, partition: int) -> list[tuple[int, int]]:
    return [(row[0], row[1]) for row in tx.execute(STRAY_NODES, {"partition": partition})]


def list_unequal_holds(tx: Tx, partition: int) -> list[UUID]:
    return [row[0] for row in tx.execute(UNEQUAL_HOLDS, {"partition": partition})]


# --- mail


def send_mail(tx: Tx, partition: int, mail_id: UUID, batch: bytes) -> None:
    tx.execute(SEND_MAIL, (partition, mail_id, batch))


def waiting_mail(tx: Tx, partition: int) -> list[tuple[UUID, bytes]]:
    return [(mail_id, bytes(batch)) for mail_id, batch in tx.execute(WAITING_MAIL, (partition,))]


def answer_mail(tx: Tx, partition: int, mail_id: UUID, answer: bytes) -> None:
    tx.execute(ANSWER_MAIL, (answer, partition, mail_id))


def take_answer(tx: Tx, partition: int, mail_id: UUID) -> bytes | None:
    row = tx.execute(TAKE_ANSWER, (partition, mail_id)).fetchone()
    return None if row is None else bytes(row[0])


def has_mail(tx: Tx, partition: int, mail_id: UUID) -> bool:
    """Whether the letter is still there: a crash of the server and the next engine's election lose them."""
    row = tx.execute(HAS_MAIL, (partition, mail_id)).fetchone()
    return row is not None and bool(row[0])


def forget_mail(tx: Tx, partition: int) -> None:
    """Forget what was sent to engines before this one, and old answers that nobody fetched."""
    tx.execute(FORGET_MAIL, (partition,))


# --- rows to words

_FLAGS: dict[int, TransferFlag] = {flags: TransferFlag(flags) for flags in range(1024)}


def _body(row: tuple[Any, ...]) -> Body:
    """The body of a row of ``COLUMNS``."""
    return (
        row[3].bytes,
        row[4].bytes,
        row[5].bytes,
        int(row[6]),
        ZERO if row[14] is None else row[14].bytes,
        ZERO if row[16] is None else row[16].bytes,
        microseconds(row[10]),
        row[13] or 0,
        row[12] or 0,
        row[7].encode(),
        row[8],
        row[9],
        row[25],
    )


def _sums(row: tuple[Any, ...]) -> tuple[int, ...]:
    """The eight sums after a transfer, in the order of ``Decision.sums``."""
    dd, dc, cd, cc = map(int, row[17:21])
    ddp, dcp, cdp, ccp = (int(total or 0) for total in row[21:25])
    return ddp, dd, dcp, dc, cdp, cd, ccp, cc


def _journal_row(row: tuple[Any, ...]) -> JournalRow:
    released = None if row[15] is None else int(row[15])
    return JournalRow(row[1], row[2], microseconds(row[11]), _body(row), released, _sums(row))


def _booked(row: tuple[Any, ...]) -> Booked:
    sums = _sums(row)
    transfer = Transfer(
        transfer_id=row[3],
        debit=row[4],
        credit=row[5],
        amount=int(row[6]),
        currency=row[7],
        code=code_of(row[8]),
        event_at=row[10],
        partition=row[0],
        flags=_FLAGS[row[9]],
        pending_id=row[14],
        timeout_s=row[12] or 0,
        reference=row[16],
        memo=row[25],
        tag=row[13] or 0,
    )
    return Booked(
        transfer,
        Place(row[1], row[2]),
        row[11],
        debit_after=Balance(*sums[:4]),
        credit_after=Balance(*sums[4:]),
        released=None if row[15] is None else int(row[15]),
    )
