-- How payments get into settlement windows (docs/hub.md). What one member paid another since the last look, in a currency
-- that windows settle, is a lot: one transfer onto the position of the two, which clears like any other item. A lot names
-- the blocks in which its payments were booked, so it opens into them, and no payment is in two.
create table hub.gathered (
    partition smallint primary key,
    block bigint not null check (block >= 0),          -- payments up to this block of the ledger are in lots
    at timestamptz not null
);
create table hub.lots (
    lot_id uuid primary key,
    partition smallint not null,
    payer_id text not null,
    payee_id text not null,
    currency char(3) not null,
    after_block bigint not null,
    up_to_block bigint not null,
    payments bigint not null check (payments > 0),
    amount_minor bigint not null check (amount_minor > 0),
    gathered_at timestamptz not null,
    unique (partition, up_to_block, payer_id, payee_id, currency),
    foreign key (payer_id, currency) references hub.liquidity (member_id, currency),
    foreign key (payee_id, currency) references hub.liquidity (member_id, currency),
    constraint blocks_run_forward check (after_block < up_to_block)
);
create index lots_by_currency on hub.lots (currency);

-- Lots that the ledger is still to be told of.
create table hub.open_lots (lot_id uuid primary key references hub.lots);

-- What a window took of a member's payments off its positions: above zero the member owes it, below it is owed.
create table hub.window_payments (
    window_id text not null,
    member_id text not null,
    currency char(3) not null,
    taken_minor bigint not null check (taken_minor <> 0),
    at timestamptz not null,
    primary key (window_id, member_id, currency),
    foreign key (member_id, currency) references hub.liquidity
);

-- How far what becomes of windows was heard of: one row.
create table hub.windows_heard (
    one boolean primary key default true check (one),
    xid bigint not null,
    seq bigint not null
);
insert into hub.windows_heard (xid, seq) values (0, 0);

-- Of a member's position, both counted as the position is: what was ever booked on positions, and what of it windows took.
alter table hub.liquidity
    add column carried_minor bigint not null default 0,
    add column taken_minor bigint not null default 0;

create trigger lots_never_change before update or delete or truncate on hub.lots
    for each statement execute function hub.refuse_change();
create trigger window_payments_never_change before update or delete or truncate on hub.window_payments
    for each statement execute function hub.refuse_change();
