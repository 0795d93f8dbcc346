-- What a person is asked to approve: one for each subject. What is shown and signed is canonical, byte for byte.
create table approval.approvals (
    partition integer not null,
    approval_id uuid not null,
    account_id uuid not null,                  -- whose money, or whose mandate
    approver_id uuid not null,                 -- who is asked: the owner, or a delegate
    kind text not null,
    subject_id uuid not null,
    canonical bytea not null constraint approvals_canonical_fits check (length(canonical) between 2 and 16384),
    spend jsonb,                               -- null where nothing is spent by it, as by a mandate
    level smallint not null,
    reasons text[] not null,
    next_url text not null,
    state text not null constraint approvals_state_known
        check (state in ('waiting', 'second', 'cooling', 'given', 'refused', 'canceled', 'expired')),
    opened_at timestamptz not null,
    expires_at timestamptz not null,
    executes_at timestamptz,
    ended_at timestamptz,
    given_level smallint,
    advanced_at timestamptz,                   -- whoever waits for it was told how it ended
    primary key (partition, approval_id),
    constraint approvals_cool_until_some_time check ((state = 'cooling') <= (executes_at is not null)),
    constraint approvals_given_at_a_level check ((state in ('given', 'cooling')) <= (given_level is not null))
);

create index approvals_of_subject on approval.approvals (subject_id);
create index approvals_by_id on approval.approvals (approval_id);
create index approvals_of_account on approval.approvals (account_id, opened_at);
create index approvals_that_wait on approval.approvals (expires_at) where state in ('waiting', 'second');
create index approvals_that_cool on approval.approvals (executes_at) where state = 'cooling';
create index approvals_to_tell on approval.approvals (ended_at) where ended_at is not null and advanced_at is null;

-- What each person gave for an approval, appended. signed: the bytes whose SHA-256 was the challenge.
create table approval.evidence (
    partition integer not null,
    approval_id uuid not null,
    n smallint not null,
    account_id uuid not null,
    role text not null constraint evidence_role_known check (role in ('payer', 'second')),
    method text not null constraint evidence_method_known check (method in ('session', 'pin', 'passkey')),
    given_at timestamptz not null,
    session_id uuid,
    passkey_id uuid,
    signed bytea,
    rp_id text,
    origin text,
    credential_id bytea,
    public_key bytea,
    authenticator_data bytea,
    client_data bytea,
    signature bytea,
    primary key (partition, approval_id, n),
    constraint evidence_of_a_passkey_is_whole check ((method = 'passkey') = (
        signed is not null and rp_id is not null and origin is not null and credential_id is not null
        and public_key is not null and authenticator_data is not null and client_data is not null
        and signature is not null))
);

-- Payment PINs. failed counts tries since the last right one, before each is looked at.
create table approval.pins (
    partition integer not null,
    account_id uuid not null,
    hash text not null,                        -- Argon2id, PHC form, over HMAC-SHA-256 of the PIN under a pepper
    pepper_version integer not null,
    set_at timestamptz not null,
    failed integer not null default 0,
    next_try_at timestamptz,
    primary key (partition, account_id)
);

-- Whom an owner wants to agree to large payments.
create table approval.co_approvers (
    partition integer not null,
    account_id uuid not null,
    approver_id uuid not null,
    since timestamptz not null,
    primary key (partition, account_id, approver_id),
    constraint co_approvers_not_oneself check (account_id <> approver_id)
);

create index co_approvers_of_approver on approval.co_approvers (approver_id);

-- What was changed about spending, kept for the account's owner to read.
create table approval.changes (
    partition integer not null,
    account_id uuid not null,
    change_id uuid not null,
    at timestamptz not null,
    kind text not null,
    about text not null,
    by text not null,
    primary key (partition, account_id, change_id)
);
