create schema webhooks;

-- How far the outbox of news has been numbered: one row for each topic that is read here.
create table webhooks.bookmarks (
    topic text primary key,
    xid bigint not null,
    seq integer not null
);

-- A member's feed: the number of its last event.
create table webhooks.feeds (
    member_id text primary key,
    last_seq bigint not null check (last_seq >= 0)
);

-- What members are told, numbered without a gap for each, in the order in which it was committed.
create table webhooks.events (
    member_id text not null,
    seq bigint not null check (seq > 0),
    event_id uuid not null unique,                     -- made from the fact and the member: heard twice, kept once
    type text not null,
    subject text not null,                             -- what it is about: events of one subject keep their order
    at timestamptz not null,                           -- when it happened
    data json not null,
    recorded_at timestamptz not null,
    primary key (member_id, seq)
);

-- Where a member listens. Its secrets are not here: they are worked out from a key in a folder (see secrets).
-- seen_seq: events up to this number were delivered, did not interest it, or stand in waiting.
-- failing_since: of an endpoint that has taken nothing since; failures: in how many turns in a row it was away.
-- leased_by: whoever sends to it at the moment, until leased_until.
create table webhooks.endpoints (
    endpoint_id uuid primary key,
    member_id text not null,
    url text not null,
    about text not null,
    types text[] not null,                             -- none: every type
    made_by text not null,
    made_at timestamptz not null,
    first_seq bigint not null,
    state text not null check (state in ('unverified', 'enabled', 'disabled')),
    why text not null default '',                      -- of one that is disabled
    changed_at timestamptz not null,
    seen_seq bigint not null,
    failing_since timestamptz,
    failures integer not null default 0,
    next_at timestamptz not null,
    leased_by uuid,
    leased_until timestamptz not null default 'epoch',
    check (seen_seq >= first_seq)
);
create index endpoints_by_member on webhooks.endpoints (member_id, made_at);

-- Versions of an endpoint's secrets; those that have not ended all sign. The secret of a version is derived.
create table webhooks.secrets (
    endpoint_id uuid not null references webhooks.endpoints,
    version integer not null,
    made_at timestamptz not null,
    ends_at timestamptz,
    primary key (endpoint_id, version)
);

-- What an endpoint did not take yet, and what waits behind it because it is about the same (next_at is null then).
create table webhooks.waiting (
    endpoint_id uuid not null references webhooks.endpoints,
    seq bigint not null,
    subject text not null,
    attempts integer not null,
    next_at timestamptz,
    primary key (endpoint_id, seq)
);
create index waiting_by_time on webhooks.waiting (endpoint_id, next_at);

-- Each attempt, kept for some weeks. status: of the answer, null where none came; body: its first kilobyte.
create table webhooks.attempts (
    endpoint_id uuid not null,
    at timestamptz not null,
    attempt_id uuid not null,
    event_id uuid not null,
    seq bigint not null,
    number integer not null,
    took_ms integer not null,
    status integer,
    fault text not null,
    body bytea not null,
    next_at timestamptz,
    primary key (endpoint_id, at, attempt_id)
);
create index attempts_by_time on webhooks.attempts (at);

create function webhooks.refuse_change() returns trigger language plpgsql as $$
begin
    raise exception 'a fact never changes: % of webhooks.%', lower(tg_op), tg_table_name
        using errcode = 'restrict_violation';
end
$$;

create trigger events_never_change before update or delete or truncate on webhooks.events
    for each statement execute function webhooks.refuse_change();
