-- Persons who work at the console: of the league (no member), or of one member. A handle is never given to another.
create table trust.staff (
    staff_id uuid primary key,
    handle text not null unique,
    name text not null,
    member_id text references trust.members,
    roles text[] not null,
    user_handle bytea not null unique check (octet_length(user_handle) = 32),  -- what a passkey knows the person by
    made_at timestamptz not null,
    made_by text not null,
    ended_at timestamptz
);

-- Codes that let a person register a passkey, good once. Only a digest is kept.
create table trust.staff_invitations (
    code_hash bytea primary key check (octet_length(code_hash) = 32),
    staff_id uuid not null references trust.staff,
    made_at timestamptz not null,
    expires_at timestamptz not null,
    used_at timestamptz
);
create index staff_invitations_by_person on trust.staff_invitations (staff_id);

create table trust.staff_passkeys (
    credential_id bytea primary key check (octet_length(credential_id) between 16 and 1023),
    staff_id uuid not null references trust.staff,
    public_key bytea not null,
    sign_count bigint not null,
    name text not null,
    transports text[] not null,
    backed_up boolean not null,
    added_at timestamptz not null,
    used_at timestamptz,
    removed_at timestamptz
);
create index staff_passkeys_by_person on trust.staff_passkeys (staff_id);

-- Challenges that a browser was given; taken away when answered. bound_to: a digest of what only that browser has.
create table trust.staff_challenges (
    challenge_hash bytea primary key check (octet_length(challenge_hash) = 32),
    purpose text not null check (purpose in ('register', 'sign-in', 'step-up')),
    bound_to bytea not null,
    staff_id uuid references trust.staff,
    expires_at timestamptz not null
);
create index staff_challenges_by_age on trust.staff_challenges (expires_at);

create table trust.staff_sessions (
    session_id uuid primary key,
    secret_hash bytea not null unique check (octet_length(secret_hash) = 32),
    staff_id uuid not null references trust.staff,
    credential_id bytea not null references trust.staff_passkeys,
    started_at timestamptz not null,
    seen_at timestamptz not null,
    verified_at timestamptz not null,      -- when a passkey was last used in it
    agent text not null,
    ended_at timestamptz
);
create index staff_sessions_by_person on trust.staff_sessions (staff_id, started_at);

-- What one person wants done that needs a second: the form as it was sent, to be sent again by the other.
create table trust.staff_proposals (
    proposal_id uuid primary key,
    path text not null,
    fields jsonb not null,
    member_id text,                        -- whose staff may confirm it; null for the league's
    needed text not null,                  -- the right that the deed needs
    reason text not null,
    made_by text not null,
    made_at timestamptz not null,
    expires_at timestamptz not null,
    decision text check (decision in ('confirmed', 'refused')),
    decided_by text check (decided_by is null or decided_by <> made_by),
    decided_at timestamptz
);
create index staff_proposals_open on trust.staff_proposals (expires_at) where decision is null;
