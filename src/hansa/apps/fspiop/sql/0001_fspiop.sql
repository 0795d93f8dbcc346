-- What the Mojaloop doors keep beside the hub: names and numbers that Mojaloop's clients ask by, who lives where, and
-- what is still to be told. Money is the hub's; nothing here moves any.
create schema fspiop;

-- Members that take part through these doors. number: Mojaloop's participant id. is_active: whether they may just now.
create table fspiop.members (
    member_id text primary key,
    number integer generated always as identity unique,
    is_active boolean not null default true,
    opened_at timestamptz not null
);

-- Mojaloop's ledger accounts, by number. Their figures are worked out from the hub's.
create table fspiop.accounts (
    account_id integer generated always as identity primary key,
    member_id text not null,
    currency char(3) not null,
    kind text not null,
    is_active boolean not null default true,
    opened_at timestamptz not null,
    unique (member_id, currency, kind)
);

create table fspiop.endpoints (
    member_id text not null,
    kind text not null,
    value text not null,
    set_at timestamptz not null,
    primary key (member_id, kind)
);

-- Public keys with which members sign. One that is revoked stays, so that what it signed can be looked at.
create table fspiop.keys (
    member_id text not null,
    key_id bytea not null,                              -- SHA-256 of the key
    pem text not null,
    added_at timestamptz not null,
    revoked_at timestamptz,
    primary key (member_id, key_id)
);

-- Whose customers are reached by which identifiers. sub_id: '' where there is none.
create table fspiop.parties (
    party_type text not null,
    party_id text not null,
    sub_id text not null,
    member_id text not null,
    currency text not null,
    registered_at timestamptz not null,
    primary key (party_type, party_id, sub_id)
);

-- Requests that are forwarded between members, by their id: so that another under the same id is refused.
create table fspiop.requests (
    kind text not null,
    request_id text not null,
    member_id text not null,
    to_member text not null,
    digest bytea not null,
    body bytea not null,
    received_at timestamptz not null,
    answer bytea,
    answered_at timestamptz,
    primary key (kind, request_id)
);

-- Transfers as they were asked for, kept before they are answered. refused: why the hub took nothing of it.
create table fspiop.transfers (
    transfer_id uuid primary key,
    payer_id text not null,
    payee_id text not null,
    digest bytea not null,
    headers jsonb not null,
    body bytea not null,
    received_at timestamptz not null,
    taken_at timestamptz,
    refused jsonb,
    ended_headers jsonb,                                -- of the payee's fulfilment or error
    ended_body bytea,
    ended_state text                                    -- what the payee said: COMMITTED, RESERVED or ERROR
);

create index transfers_not_taken on fspiop.transfers (received_at) where taken_at is null;

-- Calls to members that are still to be made. They are deleted once they are.
create table fspiop.calls (
    call_id uuid primary key,
    member_id text not null,
    method text not null,
    path text not null,
    headers jsonb not null,
    body bytea not null,
    tells text,                                         -- whom to tell if it is in vain
    tells_path text not null default '',                -- and about what
    attempts integer not null default 0,
    next_at timestamptz not null,
    written_at timestamptz not null
);

create index calls_due on fspiop.calls (next_at);

create table fspiop.models (
    name text primary key,
    currency char(3) unique nulls not distinct,         -- null: every currency without a model of its own
    granularity text not null,
    interchange text not null,
    delay text not null,
    body jsonb not null,
    made_at timestamptz not null
);

-- Settlement windows of payments between members.
create table fspiop.windows (
    window_id integer generated always as identity primary key,
    state text not null,
    reason text not null default '',
    opened_at timestamptz not null,
    changed_at timestamptz not null
);

create unique index windows_one_open on fspiop.windows ((state)) where state = 'OPEN';

create table fspiop.settlements (
    settlement_id integer generated always as identity primary key,
    model text not null references fspiop.models (name),
    state text not null,
    reason text not null,
    made_at timestamptz not null,
    changed_at timestamptz not null
);

-- What a closed window comes to: net of each account, above zero it owes. Sums to zero by window and currency.
create table fspiop.nets (
    window_id integer not null references fspiop.windows (window_id),
    account_id integer not null references fspiop.accounts (account_id),
    member_id text not null,
    currency char(3) not null,
    net_minor bigint not null,
    settlement_id integer references fspiop.settlements (settlement_id),
    primary key (window_id, account_id)
);

create index nets_by_settlement on fspiop.nets (settlement_id);

create table fspiop.settlement_accounts (
    settlement_id integer not null references fspiop.settlements (settlement_id),
    account_id integer not null references fspiop.accounts (account_id),
    member_id text not null,
    currency char(3) not null,
    net_minor bigint not null,
    state text not null,
    reason text not null default '',
    external_reference text not null default '',
    is_released boolean not null default false,
    changed_at timestamptz not null,
    primary key (settlement_id, account_id)
);

create index settlement_accounts_to_release on fspiop.settlement_accounts (settlement_id) where not is_released;

-- Whoever closes a window or moves a settlement on holds this row.
create table fspiop.desk (
    one boolean primary key default true check (one)
);
insert into fspiop.desk default values;
