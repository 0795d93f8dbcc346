-- The schema and its table of migrations are made by the runner, hansa/store/migrations.py.

-- Facts to be told to others, written in the transaction that makes them true.
create table store.outbox (
    partition smallint not null,
    topic text not null,
    xid xid8 not null default pg_current_xact_id(),
    seq integer not null,                              -- order within the writing transaction
    event_id uuid not null,
    body jsonb not null,
    written_at timestamptz not null default now(),
    primary key (partition, topic, xid, seq)
);

-- The first answer to each request that carries an idempotency key.
create table store.answers (
    partition smallint not null,
    scope text not null,                               -- whose key it is
    key text not null,
    request_digest bytea not null,
    answer json,                                       -- null only inside the transaction that does the work
    asked_at timestamptz not null default now(),
    primary key (partition, scope, key)
);

create index answers_by_age on store.answers (asked_at);
