create schema wallets;

-- The code by which an account is paid: short enough to say, with a check character, and naming nobody.
create table wallets.codes (
    account_id uuid primary key,
    code text not null unique,
    made_at timestamptz not null
);

-- Money on its way from one person to another; in the sender's ledger partition. A link that nobody has claimed yet
-- has no receiver.
create table wallets.transfers (
    partition smallint not null,
    transfer_id uuid not null,
    sender_id uuid not null,
    sender_issuer_id text not null,
    receiver_id uuid,
    receiver_issuer_id text,
    receiver_partition smallint,
    amount_minor bigint not null check (amount_minor > 0),
    currency char(3) not null,
    note text not null check (length(note) <= 140),
    request_id uuid,
    is_link boolean not null,
    state text not null check (state in ('requires_approval', 'processing', 'held', 'claimed', 'in_transit',
        'returning', 'voiding', 'settled', 'returned', 'failed', 'canceled', 'expired')),
    reason text not null default '',
    created_at timestamptz not null,
    expires_at timestamptz not null,
    changed_at timestamptz not null,
    primary key (partition, transfer_id),
    constraint receiver_is_known_whole check (
        (receiver_id is null) = (receiver_issuer_id is null) and (receiver_id is null) = (receiver_partition is null)
    ),
    constraint only_a_link_waits_for_its_receiver check (receiver_id is not null or is_link),
    constraint nobody_sends_to_themselves check (receiver_id is distinct from sender_id or state = 'failed')
) with (fillfactor = 70);

create index transfers_by_sender on wallets.transfers (partition, sender_id, created_at desc, transfer_id desc);
create index transfers_open on wallets.transfers (partition, changed_at)
    where state not in ('settled', 'returned', 'failed', 'canceled', 'expired');

-- What came to a person: the other end of a transfer, in the receiver's ledger partition, written once.
create table wallets.arrivals (
    partition smallint not null,
    transfer_id uuid not null,
    receiver_id uuid not null,
    sender_id uuid not null,
    amount_minor bigint not null check (amount_minor > 0),
    currency char(3) not null,
    note text not null,
    created_at timestamptz not null,
    arrived_at timestamptz not null,
    primary key (partition, transfer_id)
);

create index arrivals_by_receiver on wallets.arrivals (partition, receiver_id, arrived_at desc, transfer_id desc);

-- Where a link leads, by the hash of its secret.
create table wallets.links (
    secret_hash bytea primary key,
    partition smallint not null,
    transfer_id uuid not null unique
);

create table wallets.requests (
    request_id uuid primary key,
    asker_id uuid not null,
    payer_id uuid not null,
    amount_minor bigint not null check (amount_minor > 0),
    currency char(3) not null,
    note text not null check (length(note) <= 140),
    split_id uuid,
    state text not null check (state in ('open', 'paying', 'paid', 'declined', 'canceled', 'expired')),
    transfer_id uuid,
    attempts smallint not null default 0,
    reminders smallint not null default 0,
    reminded_at timestamptz,
    created_at timestamptz not null,
    expires_at timestamptz not null,
    changed_at timestamptz not null,
    constraint nobody_asks_themselves check (asker_id <> payer_id),
    constraint what_is_paid_has_its_transfer check (state not in ('paying', 'paid') or transfer_id is not null)
);

create index requests_by_payer on wallets.requests (payer_id, created_at desc, request_id desc);
create index requests_by_asker on wallets.requests (asker_id, created_at desc, request_id desc);
create index requests_by_split on wallets.requests (split_id) where split_id is not null;
create index requests_open on wallets.requests (expires_at) where state = 'open';

-- Whose requests a person does not want.
create table wallets.muted (
    account_id uuid not null,
    muted_id uuid not null,
    since timestamptz not null,
    primary key (account_id, muted_id)
);

create table wallets.splits (
    split_id uuid primary key,
    owner_id uuid not null,
    title text not null check (length(title) between 1 and 140),
    total_minor bigint not null check (total_minor > 0),
    currency char(3) not null,
    way text not null check (way in ('equal', 'shares', 'amounts')),
    source_kind text not null check (source_kind in ('bill', 'payment', 'journey')),
    source_id uuid,
    state text not null check (state in ('open', 'closed', 'canceled')),
    created_at timestamptz not null,
    changed_at timestamptz not null
);

create index splits_by_owner on wallets.splits (owner_id, created_at desc, split_id desc);

-- What each bears of a split; the shares come to its total. The owner's own share has no request.
create table wallets.shares (
    split_id uuid not null references wallets.splits,
    place smallint not null,
    account_id uuid not null,
    weight integer not null check (weight >= 0),
    amount_minor bigint not null check (amount_minor >= 0),
    request_id uuid,
    primary key (split_id, place),
    constraint each_bears_one_share unique (split_id, account_id)
);
