-- Passkeys by their credential ids. A credential is one account's for good: one that was removed never comes back.
create table identity.passkeys (
    passkey_id uuid primary key,
    account_id uuid not null references identity.accounts,
    rp_id text not null constraint passkeys_party_fits check (length(rp_id) between 1 and 253),
    credential_id bytea not null constraint passkeys_credential_fits check (length(credential_id) between 16 and 1023),
    public_key bytea not null constraint passkeys_key_fits check (length(public_key) between 32 and 2000),  -- COSE_Key
    sign_count bigint not null constraint passkeys_count_is_unsigned check (sign_count between 0 and 4294967295),
    aaguid uuid not null,                        -- which model made it; all zeros where it does not say
    transports text[] not null,
    backup_eligible boolean not null,
    backed_up boolean not null,
    name text not null constraint passkeys_name_fits check (length(name) between 1 and 60),
    created_at timestamptz not null,
    last_used_at timestamptz not null,
    ended_at timestamptz,
    ended_for text,
    constraint passkeys_credential_is_one_accounts unique (credential_id),
    constraint passkeys_end_for_a_reason check ((ended_at is null) = (ended_for is null))
);

create index passkeys_of_account on identity.passkeys (account_id, created_at);

-- What an authenticator was asked to sign, once and soon. Only its hash is kept.
create table identity.challenges (
    challenge_hash bytea primary key constraint challenges_hash_is_sha256 check (length(challenge_hash) = 32),
    purpose text not null constraint challenges_purpose_known
        check (purpose in ('join', 'add', 'recover', 'sign_in', 'verify', 'bound')),
    owner_hash bytea not null                    -- the session or the browser that asked
        constraint challenges_owner_is_sha256 check (length(owner_hash) = 32),
    account_id uuid,                             -- whose it is to be; of one that joins, before it is there
    expires_at timestamptz not null
);

create index challenges_of_owner on identity.challenges (owner_hash, expires_at);
create index challenges_by_end on identity.challenges (expires_at);

-- What sessions say of themselves. Those of before were all begun by the one click of a demonstration.
alter table identity.sessions
    add column session_id uuid not null default gen_random_uuid(),
    add column method text not null default 'demo'
        constraint sessions_method_known check (method in ('demo', 'passkey', 'recovery')),
    add column authenticated_at timestamptz,     -- when the person last proved who they are, by whatever method
    add column verified_at timestamptz,          -- when a passkey last verified them in this session
    add column last_seen_at timestamptz,
    add column idle_s integer not null default 1209600
        constraint sessions_idle_is_some_time check (idle_s between 60 and 31536000),
    add column shared boolean not null default false,
    add column device text not null default ''
        constraint sessions_device_fits check (length(device) <= 80),
    add column passkey_id uuid references identity.passkeys;

update identity.sessions set authenticated_at = started_at, last_seen_at = greatest(started_at, now());

alter table identity.sessions
    alter column session_id drop default,
    alter column method drop default,
    alter column authenticated_at set not null,
    alter column last_seen_at set not null,
    alter column idle_s drop default,
    alter column shared drop default,
    alter column device drop default,
    add constraint sessions_id_is_one_sessions unique (session_id);

create index sessions_of_passkey on identity.sessions (passkey_id) where passkey_id is not null;

-- A session gets a new secret whenever its person proves anew who they are; numbers to sign stay with it.
alter table identity.nonces drop constraint nonces_secret_hash_fkey,
    add constraint nonces_secret_hash_fkey foreign key (secret_hash)
        references identity.sessions on delete cascade on update cascade;

-- What happened to how an account is entered, for its person to read. Appended.
create table identity.security_events (
    event_id uuid primary key,
    account_id uuid not null references identity.accounts,
    kind text not null constraint security_events_kind_is_a_name check (kind ~ '^[a-z_]{1,40}$'),
    about text not null constraint security_events_about_fits check (length(about) <= 100),
    device text not null constraint security_events_device_fits check (length(device) <= 80),
    at timestamptz not null
);

create index security_events_of_account on identity.security_events (account_id, at desc, event_id);
