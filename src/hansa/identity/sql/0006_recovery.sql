-- Codes for coming back without a passkey, each good once. selector finds a code; of the rest an Argon2id hash is kept.
create table identity.recovery_codes (
    selector text primary key constraint recovery_codes_selector_fits check (selector ~ '^[0-9A-HJKMNP-TV-Z]{8}$'),
    account_id uuid not null references identity.accounts,
    code_hash text not null constraint recovery_codes_are_argon2id check (starts_with(code_hash, '$argon2id$')),
    made_at timestamptz not null,
    used_at timestamptz,
    ended_at timestamptz
);

create index recovery_codes_of_account on identity.recovery_codes (account_id);

-- Who wants to come back without a passkey: by a code, or by a proof that a desk or a provider looks at.
create table identity.recoveries (
    recovery_id uuid primary key,
    reference text not null                      -- what the person says at the desk
        constraint recoveries_reference_fits check (reference ~ '^[0-9A-HJKMNP-TV-Z]{8}$'),
    secret_hash bytea not null                   -- the browser that asked; only it may make the passkey
        constraint recoveries_secret_is_sha256 check (length(secret_hash) = 32),
    proof text not null constraint recoveries_proof_known check (proof in ('code', 'desk', 'document')),
    account_id uuid references identity.accounts,
    said_name text not null constraint recoveries_name_fits check (length(said_name) <= 200),
    said_issuer_id text not null,
    device text not null constraint recoveries_device_fits check (length(device) <= 80),
    asked_at timestamptz not null,
    approved_at timestamptz,
    approved_by text,
    ready_at timestamptz,
    closes_at timestamptz not null,
    canceled_at timestamptz,
    finished_at timestamptz,
    constraint recoveries_reference_is_ones unique (reference),
    constraint recoveries_secret_is_ones unique (secret_hash),
    constraint recoveries_wait_for_somebody check (ready_at is null or account_id is not null),
    constraint recoveries_are_approved_by_somebody check ((approved_at is null) = (approved_by is null)),
    constraint recoveries_end_once check (canceled_at is null or finished_at is null),
    constraint recoveries_finish_after_the_wait check (finished_at is null or finished_at >= ready_at)
);

create unique index recoveries_one_open on identity.recoveries (account_id)
    where canceled_at is null and finished_at is null;
create index recoveries_of_account on identity.recoveries (account_id, finished_at);
create index recoveries_for_desks on identity.recoveries (said_issuer_id, asked_at)
    where approved_at is null and canceled_at is null and finished_at is null;
