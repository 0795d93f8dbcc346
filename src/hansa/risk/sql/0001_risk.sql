create schema risk;

-- The rules as they were written, each time they changed: a case names the version that judged it.
create table risk.rule_sets (
    version integer primary key,
    digest bytea not null,
    toml text not null,
    taken_at timestamptz not null
);

-- How far the watcher has read. Locked while it reads: one watcher at a time. `taps` and `refused` are the marks of the
-- rooms that keep the facts, and mean something to them only.
create table risk.watchers (
    name text primary key,
    marks jsonb not null
);

-- What is remembered of an account to judge the next fact by: its facts of some days, bounded in number.
create table risk.memories (
    partition smallint not null,
    account_id uuid not null,
    facts bytea not null,
    newest_at timestamptz not null,
    primary key (partition, account_id)
) with (fillfactor = 80);

create index memories_by_age on risk.memories (newest_at);

create table risk.cases (
    case_id uuid primary key,
    rule text not null,
    rules_version integer not null references risk.rule_sets,
    severity text not null check (severity in ('low', 'medium', 'high')),
    subject text not null,
    account_id uuid,
    issuer_id text,
    operators text[] not null,
    opened_at timestamptz not null,
    first_at timestamptz not null,
    last_at timestamptz not null,
    evidence jsonb not null,
    status text not null check (status in ('open', 'confirmed', 'dismissed')),
    decided_at timestamptz,
    decided_by text,
    reason text,
    constraint decided_with_a_reason check (
        (status = 'open') = (decided_at is null)
        and (status = 'open') = (decided_by is null)
        and (status = 'open') = (reason is null)
        and (reason is null or length(reason) >= 3)
    )
);

create index cases_by_time on risk.cases (last_at desc, case_id);
create index cases_of_account on risk.cases (account_id, last_at desc);
create index cases_of_rule on risk.cases (rule, last_at desc);
create index cases_of_issuer on risk.cases (issuer_id, last_at desc);

-- What was done for a case without asking: each at most once.
create table risk.case_actions (
    case_id uuid not null references risk.cases,
    action text not null,
    taken_at timestamptz not null,
    told jsonb not null,
    primary key (case_id, action)
);
