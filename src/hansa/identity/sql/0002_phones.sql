-- How far an account is trusted. Appended: the greatest revision is how it stands now; no row is clear.
create table identity.standings (
    account_id uuid not null references identity.accounts,
    revision integer not null,
    level text not null constraint standings_level_known check (level in ('clear', 'step_up', 'blocked')),
    reason text not null constraint standings_reason_fits check (length(reason) between 1 and 500),
    since timestamptz not null,
    case_id uuid,
    primary key (account_id, revision)
);

-- Phones by their keys. A key is one phone's for good: a lost phone's key never comes back.
create table identity.phones (
    phone_id uuid primary key,
    account_id uuid not null references identity.accounts,
    public_key bytea not null                      -- a point of P-256, uncompressed (SEC 1 section 2.3.3)
        constraint phones_key_is_a_point check (length(public_key) = 65),
    name text not null constraint phones_name_fits check (length(name) between 1 and 60),
    status text not null default 'active'
        constraint phones_status_known check (status in ('active', 'lost', 'removed')),
    enrolled_at timestamptz not null,
    last_seen_at timestamptz not null,
    ended_at timestamptz,
    ended_for text,
    constraint phones_key_is_one_phones unique (public_key),
    constraint phones_end_for_a_reason check ((ended_at is null) = (ended_for is null)),
    constraint phones_that_end_are_not_active check ((status = 'active') = (ended_at is null))
);

create index phones_of_account on identity.phones (account_id, enrolled_at);

-- Numbers given out to be signed once. Only their hashes are kept.
create table identity.nonces (
    nonce_hash bytea primary key constraint nonces_hash_is_sha256 check (length(nonce_hash) = 32),
    account_id uuid not null references identity.accounts,
    secret_hash bytea not null references identity.sessions on delete cascade,     -- the sign-in that asked for it
    expires_at timestamptz not null
);

create index nonces_of_account on identity.nonces (account_id, expires_at);
create index nonces_of_session on identity.nonces (secret_hash);

-- The phone that a sign-in is on, once it has proved its key: the sign-in ends with the phone.
alter table identity.sessions add column phone_id uuid references identity.phones;

create index sessions_of_phone on identity.sessions (phone_id) where phone_id is not null;
