-- A person's own bank account. Its number stays with the bank's rail: here are its token, its country and last digits.
create table wallets.bank_accounts (
    bank_account_id uuid primary key,
    account_id uuid not null,
    rail_id text not null,
    token text not null,
    currency char(3) not null,
    shown text not null,
    may_pull boolean not null,
    mandate_id text not null,
    added_at timestamptz not null,
    usable_at timestamptz not null,
    ended_at timestamptz,
    constraint a_mandate_has_its_name check (not may_pull or mandate_id <> '')
);

create unique index bank_accounts_once on wallets.bank_accounts (account_id, rail_id, token) where ended_at is null;

-- The reference that a person writes on a credit transfer, so that the money finds their wallet.
create table wallets.payment_references (
    account_id uuid not null,
    currency char(3) not null,
    reference text not null unique,
    made_at timestamptz not null,
    primary key (account_id, currency)
);

-- Money on its way into a wallet. What is settled is posted by payments under the same id.
create table wallets.top_ups (
    partition smallint not null,
    top_up_id uuid not null,
    account_id uuid not null,
    issuer_id text not null,
    amount_minor bigint not null check (amount_minor > 0),
    currency char(3) not null,
    way text not null check (way in ('transfer', 'debit', 'instant', 'voucher', 'counter')),
    bank_account_id uuid,
    rail_id text not null,
    token text not null,
    words text not null,
    is_automatic boolean not null default false,
    state text not null check (state in ('processing', 'sent', 'unknown', 'settling', 'settled', 'failed',
        'returning', 'returned')),
    reason text not null default '',
    tries smallint not null default 0,
    created_at timestamptz not null,
    changed_at timestamptz not null,
    next_at timestamptz not null,
    primary key (partition, top_up_id)
) with (fillfactor = 70);

create index top_ups_by_account on wallets.top_ups (partition, account_id, created_at desc, top_up_id desc);
create index top_ups_open on wallets.top_ups (partition, next_at)
    where state not in ('settled', 'failed', 'returned');

-- Money on its way to a person's bank. It is held in the wallet until the bank has booked it.
create table wallets.withdrawals (
    partition smallint not null,
    withdrawal_id uuid not null,
    account_id uuid not null,
    issuer_id text not null,
    amount_minor bigint not null check (amount_minor > 0),
    currency char(3) not null,
    bank_account_id uuid not null,
    rail_id text not null,
    token text not null,
    shown text not null,
    state text not null check (state in ('requires_approval', 'processing', 'held', 'sent', 'unknown', 'settling',
        'settled', 'releasing', 'failed', 'returning', 'returned', 'collecting', 'canceled', 'expired')),
    reason text not null default '',
    tries smallint not null default 0,
    created_at timestamptz not null,
    expires_at timestamptz not null,
    changed_at timestamptz not null,
    next_at timestamptz not null,
    primary key (partition, withdrawal_id)
) with (fillfactor = 70);

create index withdrawals_by_account on wallets.withdrawals (partition, account_id, created_at desc, withdrawal_id desc);
create index withdrawals_open on wallets.withdrawals (partition, next_at)
    where state not in ('settled', 'failed', 'returned', 'canceled', 'expired');

-- What a bank said by itself: how far it was read, and each entry once. An entry that belongs to nothing waits.
create table wallets.rails (
    rail_id text primary key,
    seen bigint not null
);

create table wallets.entries (
    rail_id text not null,
    entry_id text not null,
    kind text not null,
    order_id uuid,
    reference text not null,
    amount_minor bigint not null,
    currency char(3) not null,
    reason text not null,
    at timestamptz not null,
    outcome text not null,
    primary key (rail_id, entry_id)
);

create index entries_stray on wallets.entries (rail_id, at) where outcome = 'stray';

-- Top up by itself: below so much, add so much; no more than so much in 24 hours and in 30 days.
create table wallets.automatic (
    partition smallint not null,
    account_id uuid not null,
    currency char(3) not null,
    below_minor bigint not null check (below_minor > 0),
    add_minor bigint not null check (add_minor > 0),
    day_max_minor bigint not null,
    month_max_minor bigint not null,
    bank_account_id uuid not null,
    state text not null check (state in ('on', 'off', 'stopped')),
    why text not null default '',
    refusals smallint not null default 0,
    runs bigint not null default 0,
    looked_at timestamptz not null,
    changed_at timestamptz not null,
    primary key (partition, account_id, currency),
    constraint one_addition_fits_its_caps check (add_minor <= day_max_minor and day_max_minor <= month_max_minor)
);

create index automatic_on on wallets.automatic (looked_at) where state = 'on';

create table wallets.voucher_batches (
    batch_id uuid primary key,
    issuer_id text not null,
    currency char(3) not null,
    value_minor bigint not null check (value_minor > 0),
    count integer not null check (count > 0),
    expires_at timestamptz not null,
    expiry text not null check (expiry in ('keep', 'earn')),
    about text not null,
    made_by text not null,
    made_at timestamptz not null
);

-- A code is kept as its hash. home: the ledger partition in which its money waits.
create table wallets.vouchers (
    voucher_id uuid primary key,
    batch_id uuid not null references wallets.voucher_batches,
    serial integer not null,
    code_hash bytea not null unique,
    home smallint not null,
    state text not null check (state in ('made', 'activating', 'active', 'redeeming', 'redeemed', 'expiring', 'expired',
        'void')),
    activated_by text not null default '',
    activated_at timestamptz,
    account_id uuid,
    changed_at timestamptz not null,
    constraint serials_once unique (batch_id, serial),
    constraint who_redeems_is_known check (state not in ('redeeming', 'redeemed') or account_id is not null)
);

create index vouchers_open on wallets.vouchers (changed_at) where state in ('activating', 'redeeming', 'expiring');
