-- Which top-up an entry of a bank became, so that its money can be returned under the bank's own name for it.
alter table wallets.entries add column top_up_id uuid;
create index entries_of_top_up on wallets.entries (top_up_id) where top_up_id is not null;

-- Money that came from a bank and goes back the way it came: one row for each time that the bank was told to.
create table wallets.returns (
    return_id uuid primary key,
    rail_id text not null,
    entry_id text not null,
    partition smallint not null,
    holder text not null,
    top_up_id uuid,
    account_id uuid,
    amount_minor bigint not null check (amount_minor > 0),
    currency char(3) not null,
    state text not null check (state in ('processing', 'sent', 'unknown', 'settling', 'settled', 'failed', 'returned')),
    reason text not null default '',
    tries smallint not null default 0,
    created_at timestamptz not null,
    changed_at timestamptz not null,
    next_at timestamptz not null,
    foreign key (rail_id, entry_id) references wallets.entries,
    constraint whose_top_up_is_known check ((top_up_id is null) = (account_id is null))
);

create index returns_of_entry on wallets.returns (rail_id, entry_id, created_at);
create index returns_of_account on wallets.returns (account_id) where account_id is not null;
create index returns_open on wallets.returns (next_at) where state in ('processing', 'sent', 'unknown', 'settling');

-- At most one at a time is under way for an entry.
create unique index one_return_at_a_time on wallets.returns (rail_id, entry_id)
    where state in ('processing', 'sent', 'unknown');

-- What banks say by themselves of a withdrawal is found by its id alone.
create index withdrawals_by_id on wallets.withdrawals (withdrawal_id);

-- A share of a split by amounts is an amount.
alter table wallets.shares alter column weight type bigint;
