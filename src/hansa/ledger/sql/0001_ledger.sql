create schema ledger;

-- The end of each partition's chain of blocks. Whoever posts locks this row: one writer per partition.
create table ledger.heads (
    partition smallint primary key,
    number bigint not null check (number >= 0),
    hash bytea not null check (length(hash) = 32),
    booked_at timestamptz not null
) with (fillfactor = 50);

-- Accounts with their four running sums. The limits of the flags (1: debits, 2: credits) hold here whatever the code does.
-- Three constraints cannot be broken by the poster; they are for whoever writes SQL by hand.
create table ledger.accounts (
    partition smallint not null references ledger.heads,
    account_id uuid not null,
    currency char(3) not null check (currency ~ '^[A-Z]{3}$'),
    code smallint not null check (code > 0),
    holder text not null,
    flags smallint not null check (flags between 0 and 7 and flags & 3 <> 3),
    opened_at timestamptz not null,
    debits_pending bigint not null default 0 check (debits_pending >= 0),
    debits_posted bigint not null default 0 check (debits_posted >= 0),
    credits_pending bigint not null default 0 check (credits_pending >= 0),
    credits_posted bigint not null default 0 check (credits_posted >= 0),
    primary key (partition, account_id),
    -- Serves the currency's foreign keys, and finds an account whose partition is not known.
    constraint accounts_currency unique (account_id, partition, currency),
    constraint debits_must_not_exceed_credits
        check (flags & 1 = 0 or debits_pending + debits_posted <= credits_posted),
    constraint credits_must_not_exceed_debits
        check (flags & 2 = 0 or credits_pending + credits_posted <= debits_posted)
) with (fillfactor = 70);

-- Holds: which pending transfers are open. The facts are the transfers; this row says how the hold ended
-- (state 0 open, 1 posted, 2 voided, 3 expired) so that open ones can be found by their time.
create table ledger.holds (
    partition smallint not null,
    transfer_id uuid not null,
    expires_at timestamptz,
    state smallint not null default 0 check (state between 0 and 3),
    resolved_by uuid,
    primary key (partition, transfer_id),
    check ((state = 0) = (resolved_by is null))
) with (fillfactor = 70);
create index holds_open on ledger.holds (partition, expires_at) where state = 0;

-- The journal. Rows are appended and never changed. Sums after the transfer stand beside it, for both accounts;
-- the pending ones are null where nothing is held on either.
create table ledger.transfers (
    partition smallint not null,
    block bigint not null check (block > 0),
    position integer not null check (position >= 0),
    transfer_id uuid not null,
    debit_account uuid not null,
    credit_account uuid not null,
    amount bigint not null check (amount > 0),
    currency char(3) not null,
    code smallint not null check (code > 0),
    flags smallint not null check (flags between 0 and 31),
    timeout_s integer not null check (timeout_s >= 0),
    event_at timestamptz not null,
    booked_at timestamptz not null,
    debit_debits_posted bigint not null,
    debit_credits_posted bigint not null,
    credit_debits_posted bigint not null,
    credit_credits_posted bigint not null,
    pending_id uuid,
    reference uuid,
    debit_debits_pending bigint,
    debit_credits_pending bigint,
    credit_debits_pending bigint,
    credit_credits_pending bigint,
    memo text not null,
    primary key (partition, transfer_id),
    constraint transfers_place unique (partition, block, position),
    constraint two_accounts check (debit_account <> credit_account),
    constraint resolves_a_hold check ((flags & 12 <> 0) = (pending_id is not null)),
    constraint debit_account_of_the_currency foreign key (partition, debit_account, currency)
        references ledger.accounts (partition, account_id, currency),
    constraint credit_account_of_the_currency foreign key (partition, credit_account, currency)
        references ledger.accounts (partition, account_id, currency),
    constraint pending_transfer foreign key (partition, pending_id) references ledger.holds (partition, transfer_id)
);
create unique index one_resolution on ledger.transfers (partition, pending_id) where pending_id is not null;
create index transfers_of_debit on ledger.transfers (partition, debit_account, block, position);
create index transfers_of_credit on ledger.transfers (partition, credit_account, block, position);

-- One row per commit: its number fences a second writer out, its hash chains it to the block before.
create table ledger.blocks (
    partition smallint not null references ledger.heads,
    number bigint not null check (number > 0),
    previous_hash bytea not null check (length(previous_hash) = 32),
    hash bytea not null check (length(hash) = 32),
    booked_at timestamptz not null,
    transfers integer not null check (transfers > 0),
    primary key (partition, number)
);
create index blocks_booked on ledger.blocks (partition, booked_at, number);

-- What a block did to the accounts' posted sums and what its transfers moved, each summed from the rows themselves.
create table ledger.block_totals (
    partition smallint not null,
    number bigint not null,
    currency char(3) not null,
    debits numeric not null,
    credits numeric not null,
    moved numeric not null,
    primary key (partition, number, currency),
    foreign key (partition, number) references ledger.blocks,
    constraint zero_sum check (debits = credits and debits = moved)
);
