create schema ledger;

-- Sums and amounts go to 2^128 - 1, as in TigerBeetle: 39 digits.
create domain ledger.amount as numeric(39, 0) check (value between 0 and 340282366920938463463374607431768211455);

-- The end of each partition's chain of blocks. A block counts if and only if it moved this row on: one writer.
create table ledger.heads (
    partition smallint primary key check (partition >= 0),
    number bigint not null check (number >= 0),
    hash bytea not null check (length(hash) = 32),
    booked_at timestamptz not null,
    size bigint not null check (size >= 0),          -- transfers so far: the size of the Merkle tree
    peaks bytea not null,                            -- the tree's right edge: roots of its complete subtrees, largest first
    writer text,                                     -- the engine that keeps this partition in memory; null: none does
    term bigint not null default 0 check (term >= 0) -- how many engines have been elected
) with (fillfactor = 20);

-- Accounts with their four running sums as of the last fold; `ledger.balances` gives them exactly.
-- The limits of the flags (1: debits, 2: credits) hold here whatever the code does.
create table ledger.accounts (
    partition smallint not null references ledger.heads,
    account_id uuid not null,
    currency char(3) not null check (currency ~ '^[A-Z]{3}$'),
    code smallint not null check (code > 0),
    holder text not null,
    path text not null default '' check (path ~ '^([a-z0-9-]+(:[a-z0-9-]+)*)?$'),
    labels jsonb not null default '{}' check (jsonb_typeof(labels) = 'object'),
    flags smallint not null check (flags between 0 and 15 and flags & 3 <> 3),
    opened_at timestamptz not null,
    debits_pending ledger.amount not null default 0,
    debits_posted ledger.amount not null default 0,
    credits_pending ledger.amount not null default 0,
    credits_posted ledger.amount not null default 0,
    primary key (partition, account_id),
    constraint debits_must_not_exceed_credits
        check (flags & 1 = 0 or debits_pending + debits_posted <= credits_posted),
    constraint credits_must_not_exceed_debits
        check (flags & 2 = 0 or credits_pending + credits_posted <= debits_posted)
) with (fillfactor = 70);
create index accounts_by_id on ledger.accounts (account_id);
create index accounts_by_holder on ledger.accounts (holder, code, account_id);
create index accounts_by_path on ledger.accounts (path text_pattern_ops, account_id) where path <> '';
create index accounts_by_label on ledger.accounts using gin (labels jsonb_path_ops) where labels <> '{}';

-- The journal. Rows are appended and never changed. Sums after the transfer stand beside it, for both accounts;
-- the pending ones are null where nothing is held on either. It has no foreign keys and one check, since each costs
-- every transfer; what they would say, each fold finds out for its rows at once and refuses (ledger.folds).
create table ledger.transfers (
    partition smallint not null,
    block bigint not null,
    position integer not null,
    transfer_id uuid not null,
    debit_account uuid not null,
    credit_account uuid not null,
    amount numeric(39, 0) not null,
    currency char(3) not null,
    code smallint not null,
    flags smallint not null,
    event_at timestamptz not null,
    booked_at timestamptz not null,
    timeout_s bigint,
    tag bigint,
    pending_id uuid,
    released numeric(39, 0),                         -- what the hold that this one ended had held
    reference uuid,
    debit_debits_posted numeric(39, 0) not null,
    debit_credits_posted numeric(39, 0) not null,
    credit_debits_posted numeric(39, 0) not null,
    credit_credits_posted numeric(39, 0) not null,
    debit_debits_pending numeric(39, 0),
    debit_credits_pending numeric(39, 0),
    credit_debits_pending numeric(39, 0),
    credit_credits_pending numeric(39, 0),
    memo text not null,
    primary key (partition, transfer_id),
    constraint transfers_place unique (partition, block, position),
    constraint two_accounts check (debit_account <> credit_account)
);

-- One row per commit: its number fences a second writer out, its hash chains it to the block before.
create table ledger.blocks (
    partition smallint not null references ledger.heads,
    number bigint not null check (number > 0),
    first bigint not null check (first >= 0),        -- transfers in the blocks before it
    transfers integer not null check (transfers > 0),
    previous_hash bytea not null check (length(previous_hash) = 32),
    root bytea not null check (length(root) = 32),   -- of the Merkle tree after it
    hash bytea not null check (length(hash) = 32),
    booked_at timestamptz not null,
    salt_key bytea not null check (length(salt_key) = 32),
    signature bytea check (length(signature) = 64),  -- of the checkpoint after it
    primary key (partition, number)
);
create index blocks_booked on ledger.blocks (partition, booked_at, number);
create unique index blocks_first on ledger.blocks (partition, first);

-- Roots of the Merkle tree's complete subtrees of 256, 65,536, ... transfers: what its tiles of level 1 and up hold.
create table ledger.nodes (
    partition smallint not null,
    level smallint not null check (level > 0),
    index bigint not null check (index >= 0),
    hash bytea not null check (length(hash) = 32),
    primary key (partition, level, index)
);

-- The newest checkpoint that each witness cosigned.
create table ledger.cosignatures (
    partition smallint not null references ledger.heads,
    witness text not null,
    size bigint not null check (size >= 0),
    line text not null,                              -- its signature line, as it stands under the checkpoint
    cosigned_at timestamptz not null,
    primary key (partition, witness)
);

-- Folds: which blocks' transfers have been added to the accounts, to the holds and to the entries. Counted by the
-- database from the rows themselves: transfers, those of the blocks' own count, accounts named and accounts found, holds
-- ended and holds that were open to be ended, and rows that no transfer can be.
create table ledger.folds (
    partition smallint not null references ledger.heads,
    number bigint not null check (number > previous),
    previous bigint not null check (previous >= 0),
    transfers bigint not null,
    sealed bigint not null,
    named bigint not null,
    found bigint not null,
    ended bigint not null,
    were_open bigint not null,
    unfit bigint not null,
    primary key (partition, number),
    constraint folded_once unique (partition, previous),
    constraint every_transfer_is_in_a_block check (transfers = sealed),
    constraint every_account_is_there check (named = found),
    constraint a_hold_ends_once check (ended = were_open),
    constraint every_row_is_a_transfer check (unfit = 0)
);

-- What a fold added to the accounts and what its transfers moved, each summed by the database from the rows themselves.
create table ledger.fold_totals (
    partition smallint not null,
    number bigint not null,
    currency char(3) not null,
    debits numeric not null,
    credits numeric not null,
    moved numeric not null,
    held_debits numeric not null,
    held_credits numeric not null,
    primary key (partition, number, currency),
    foreign key (partition, number) references ledger.folds,
    constraint zero_sum check (debits = credits and debits = moved and held_debits = held_credits)
);

-- Which folded transfers stand on an account: their places, block * 65,536 + position. A fold adds one row for each
-- account that it touched, however often: the index of a statement for a fraction of an index entry per transfer.
create table ledger.entries (
    partition smallint not null,
    first bigint not null,
    account_id uuid not null,
    places bigint[] not null,
    primary key (partition, account_id, first)
);
alter table ledger.entries alter places set storage external; -- to compress them costs more than they are worth

-- Where very many accounts are touched a time or two each, folding them costs more than booking. A run keeps where in
-- its blocks which accounts are, one row for each bucket of accounts, until they are folded; then it goes.
create table ledger.runs (
    partition smallint not null references ledger.heads,
    number bigint not null,                          -- its last block
    previous bigint not null check (previous >= 0 and previous < number),
    primary key (partition, number)
);

create function ledger.bucket_of(account_id uuid) returns smallint immutable strict parallel safe language sql
    return ((get_byte(uuid_send(account_id), 14) & 15) << 8 | get_byte(uuid_send(account_id), 15))::smallint;

create table ledger.run_places (
    partition smallint not null,
    bucket smallint not null check (bucket between 0 and 4095),
    number bigint not null,
    account_ids uuid[] not null,
    places bigint[] not null,
    primary key (partition, bucket, number),
    check (cardinality(account_ids) = cardinality(places))
);
alter table ledger.run_places alter account_ids set storage external, alter places set storage external;
create index run_places_number on ledger.run_places (partition, number);

-- Holds, as of the last fold. The facts are the transfers; this row says how the hold ended (state 0 open, 1 posted,
-- 2 voided, 3 expired) so that open ones can be found by their time.
create table ledger.holds (
    partition smallint not null,
    transfer_id uuid not null,
    expires_at timestamptz,
    state smallint not null check (state between 0 and 3),
    resolved_by uuid,
    primary key (partition, transfer_id),
    check ((state = 0) = (resolved_by is null))
) with (fillfactor = 70);
create index holds_open on ledger.holds (partition, expires_at) where state = 0;

-- Batches that other processes hand over to the engine, and its answers. Lost in a crash, and then sent again.
create unlogged table ledger.mail (
    partition smallint not null,
    mail_id uuid not null,
    batch bytea not null,
    answer bytea,
    posted_at timestamptz not null default now(),
    primary key (partition, mail_id)
);

-- The journal's rows that are in no account's sums yet.
create view ledger.tail as
select t.*
from ledger.heads h
    cross join lateral (
        select coalesce(max(f.number), 0) as folded from ledger.folds f where f.partition = h.partition
    ) f
    join ledger.transfers t on t.partition = h.partition and t.block > f.folded;

-- Where these accounts' transfers that are not folded stand: out of the runs, and row by row in the blocks after them.
create function ledger.tail_places(in_partition smallint, account_ids uuid[])
returns table (account_id uuid, place bigint) stable language sql as $$
    select p.account_id, p.place
    from (select distinct ledger.bucket_of(one) as bucket from unnest(account_ids) as one) b
        join ledger.run_places r on r.partition = in_partition and r.bucket = b.bucket
        cross join lateral unnest(r.account_ids, r.places) as p (account_id, place)
    where p.account_id = any(account_ids)
        and p.place > coalesce((select max(number) from ledger.folds where partition = in_partition), 0) << 16 | 65535
    union all
    select side.account_id, t.block << 16 | t.position
    from (
        select greatest(
            (select max(f.number) from ledger.folds f where f.partition = in_partition),
            (select max(r.number) from ledger.runs r where r.partition = in_partition), 0) as number
        ) as read
        join ledger.transfers t on t.partition = in_partition and t.block > read.number
        cross join lateral (values (t.debit_account), (t.credit_account)) as side (account_id)
    where (t.debit_account = any(account_ids) or t.credit_account = any(account_ids))
        and side.account_id = any(account_ids)
$$;

-- Each side of each of those rows: what it adds to its account.
create view ledger.tail_sides as
select partition, debit_account as account_id, block << 16 | position as place,
    case when flags & 2 <> 0 then amount else - coalesce(released, 0) end as debits_pending,
    case when flags & 10 = 0 then amount else 0 end as debits_posted,
    0::numeric as credits_pending, 0::numeric as credits_posted
from ledger.tail
union all
select partition, credit_account, block << 16 | position,
    0, 0,
    case when flags & 2 <> 0 then amount else - coalesce(released, 0) end,
    case when flags & 10 = 0 then amount else 0 end
from ledger.tail;

-- Every account with its sums as of this very statement.
create view ledger.balances as
select a.partition, a.account_id, a.currency, a.code, a.holder, a.path, a.labels, a.flags,
    a.debits_pending + coalesce(t.debits_pending, 0) as debits_pending,
    a.debits_posted + coalesce(t.debits_posted, 0) as debits_posted,
    a.credits_pending + coalesce(t.credits_pending, 0) as credits_pending,
    a.credits_posted + coalesce(t.credits_posted, 0) as credits_posted
from ledger.accounts a
    left join (
        select partition, account_id, sum(debits_pending) as debits_pending, sum(debits_posted) as debits_posted,
            sum(credits_pending) as credits_pending, sum(credits_posted) as credits_posted
        from ledger.tail_sides group by partition, account_id
    ) t using (partition, account_id);

-- Where every account's transfers stand in the journal, folded or not.
create view ledger.account_places as
select e.partition, e.account_id, p.place
from ledger.entries e cross join lateral unnest(e.places) as p (place)
union all
select partition, account_id, place from ledger.tail_sides;
