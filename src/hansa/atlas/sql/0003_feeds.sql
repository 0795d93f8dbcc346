-- Feeds on their way into force. A feed is kept as it was handed in, with what was found in it; what was done with it are
-- facts that are never changed. Who approves it is another person than who handed it in.

-- operator_id: whose lines they are. city: its facts, with which the feed was read. report: as a page shows it.
create table atlas.feeds (
    feed_id uuid primary key,              -- made by whoever hands it in, so that sending it again is harmless
    city_id text not null constraint feeds_city_fits check (city_id ~ '^[a-z0-9]+(-[a-z0-9]+)*$'),
    operator_id text not null,
    label text not null,
    archive bytea not null,
    digest bytea not null constraint feeds_digest_is_sha256 check (octet_length(digest) = 32),
    city jsonb not null,
    report jsonb not null,
    errors integer not null constraint feeds_errors_count check (errors >= 0),
    warnings integer not null constraint feeds_warnings_count check (warnings >= 0),
    stops integer not null,
    lines integer not null,
    valid_from date not null,
    note text not null,
    made_by text not null,
    made_at timestamptz not null
);

create index feeds_of_city on atlas.feeds (city_id, made_at);

-- version: of the city that an approved feed became. before: the one that held on its first day until then, if any.
create table atlas.feed_facts (
    feed_id uuid not null references atlas.feeds,
    step text not null constraint feed_facts_step_known check (step in ('approved', 'withdrawn')),
    by_whom text not null,
    at timestamptz not null,
    why text not null,
    version integer,
    before integer,
    primary key (feed_id),                 -- a feed is decided once: two that decide at one time are told who came first
    constraint feed_facts_version_of_approved check ((version is not null) = (step = 'approved'))
);
