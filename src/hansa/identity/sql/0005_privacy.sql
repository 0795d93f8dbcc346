-- What a person agreed to, and what they took back. Appended: the greatest revision is how it stands.
create table identity.consents (
    account_id uuid not null references identity.accounts,
    purpose text not null,
    revision integer not null,
    given boolean not null,
    text_version integer not null,
    text_digest bytea not null constraint consents_digest_is_sha256 check (length(text_digest) = 32),
    language text not null,
    channel text not null,
    by_id uuid not null references identity.accounts,         -- the person, or the guardian who answers for them
    at timestamptz not null,
    primary key (account_id, purpose, revision)
);

-- Who read a person's data, when, and why: one row for each hour, reader, part and reason.
create table identity.accesses (
    account_id uuid not null references identity.accounts,
    hour timestamptz not null,
    reader text not null constraint accesses_reader_fits check (length(reader) between 1 and 200),
    part text not null constraint accesses_part_fits check (length(part) between 1 and 60),
    why text not null constraint accesses_why_fits check (length(why) between 1 and 500),
    times integer not null default 1,
    first_at timestamptz not null,
    last_at timestamptz not null,
    primary key (account_id, hour, reader, part, why)
);

create index accesses_of_account on identity.accesses (account_id, last_at desc);

-- A person wants to go: asked, then after a time to think again carried out, or taken back.
create table identity.deletions (
    deletion_id uuid primary key,
    account_id uuid not null references identity.accounts,
    state text not null constraint deletions_state_known check (state in ('asked', 'canceled', 'closed', 'erased')),
    asked_at timestamptz not null,
    due_at timestamptz not null constraint deletions_leave_time_to_think check (due_at >= asked_at),
    looked_at timestamptz,
    obstacles text[] not null default '{}',                   -- codes of what stood in the way when last looked at
    canceled_at timestamptz,
    closed_at timestamptz,
    erase_at timestamptz,                                     -- until then law wants the proof of the name kept, sealed
    erased_at timestamptz,
    constraint deletions_closed_when check ((closed_at is not null) = (state in ('closed', 'erased'))),
    constraint deletions_erased_when check ((erased_at is not null) = (state = 'erased'))
);

create unique index deletions_one_at_a_time on identity.deletions (account_id) where state <> 'canceled';
create index deletions_due on identity.deletions (due_at) where state = 'asked';
create index deletions_to_erase on identity.deletions (erase_at) where state = 'closed';
