create schema identity;

create table identity.accounts (
    account_id uuid primary key,
    name text not null constraint accounts_name_fits check (length(name) between 1 and 200),
    issuer_id text not null,
    home_city_id text not null,
    rider_class text not null
        constraint accounts_rider_class_known check (rider_class in ('adult', 'child', 'senior', 'student')),
    language text not null,
    created_at timestamptz not null
);

create index accounts_by_city_and_class on identity.accounts (home_city_id, rider_class, account_id);

create table identity.sessions (
    secret_hash bytea primary key constraint sessions_hash_is_sha256 check (length(secret_hash) = 32),
    account_id uuid not null references identity.accounts,
    started_at timestamptz not null,
    expires_at timestamptz not null constraint sessions_end_after_start check (expires_at > started_at)
);

create index sessions_of_account on identity.sessions (account_id, expires_at);
