-- Members' life: who asked to be let in, and everything that was decided about a member since, dated and never edited.
-- What stands in trust.members is what the latest of these came to.

-- An application as it was written: a city, a bank, or an issuer or operator that clears by itself, with its parts.
create table trust.applications (
    application_id uuid primary key,       -- made by whoever hands it in, so that sending it again is harmless
    member_id text not null,
    name text not null,
    toml text not null,
    body jsonb not null,                   -- the text as read
    note text not null,
    made_by text not null,
    made_at timestamptz not null
);
create index applications_by_time on trust.applications (made_at, application_id);

create table trust.application_facts (
    application_id uuid not null references trust.applications,
    number integer not null check (number > 0),
    step text not null check (step in ('applied', 'approved', 'refused', 'withdrawn')),
    by_whom text not null,
    at timestamptz not null,
    why text not null,
    primary key (application_id, number)
);

-- An application is decided once: two who decide at one time are told by this who came first.
create unique index applications_are_decided_once on trust.application_facts (application_id)
    where step in ('approved', 'refused', 'withdrawn');

-- What a member that was let in said of itself: time zone, currencies, contact; by its application.
create table trust.member_profiles (
    member_id text primary key references trust.members,
    application_id uuid not null references trust.applications,
    tz text not null,
    currencies text[] not null,
    contact jsonb not null
);

-- from_at: from when a step counts; of 'leave_proposed' and 'leaving' when new business ends. facts: what else is kept.
create table trust.member_facts (
    member_id text not null references trust.members,
    number integer not null check (number > 0),
    step text not null check (step in
        ('joined', 'suspended', 'resume_proposed', 'resume_refused', 'resumed',
         'leave_proposed', 'leave_refused', 'leaving', 'stays', 'left')),
    from_at timestamptz not null,
    by_whom text not null,
    at timestamptz not null,
    why text not null,
    facts jsonb not null default '{}',
    primary key (member_id, number)
);

-- Changes of bank accounts: proposed by one, approved by another, in force once the cooling time is over.
create table trust.account_changes (
    change_id uuid primary key,            -- made by whoever proposes
    member_id text not null references trust.members,
    currency char(3),                      -- null for the account that serves every currency without its own
    account text not null,                 -- BIC/number
    why text not null,
    made_by text not null,
    made_at timestamptz not null
);
create table trust.account_facts (
    change_id uuid not null references trust.account_changes,
    number integer not null check (number > 0),
    step text not null check (step in ('approved', 'refused', 'stopped', 'in_force')),
    by_whom text not null,
    at timestamptz not null,
    why text not null,
    from_at timestamptz,                   -- of 'approved': when the cooling time is over
    primary key (change_id, number),
    constraint an_approval_cools check ((from_at is not null) = (step = 'approved'))
);
create unique index accounts_are_decided_once on trust.account_facts (change_id) where step in ('approved', 'refused');
create unique index accounts_end_once on trust.account_facts (change_id) where step in ('stopped', 'in_force', 'refused');

-- The accounts that hold now, where a currency has its own; trust.members has the one for all others.
create table trust.member_accounts (
    member_id text not null references trust.members,
    currency char(3) not null,
    account text not null,
    primary key (member_id, currency)
);

create function trust.refuse_rewriting() returns trigger language plpgsql as $$
begin
    raise exception 'what was decided is never rewritten: % of trust.%', lower(tg_op), tg_table_name
        using errcode = 'restrict_violation', hint = 'Decide anew; the new fact stands beside the old one.';
end
$$;

create trigger applications_never_change before update or delete or truncate on trust.applications
    for each statement execute function trust.refuse_rewriting();
create trigger application_facts_never_change before update or delete or truncate on trust.application_facts
    for each statement execute function trust.refuse_rewriting();
create trigger member_facts_never_change before update or delete or truncate on trust.member_facts
    for each statement execute function trust.refuse_rewriting();
create trigger account_changes_never_change before update or delete or truncate on trust.account_changes
    for each statement execute function trust.refuse_rewriting();
create trigger account_facts_never_change before update or delete or truncate on trust.account_facts
    for each statement execute function trust.refuse_rewriting();
