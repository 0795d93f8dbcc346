-- Idempotency keys: who asked what under which key, who is at it until when, and the first answer.
create table store.keys (
    partition smallint not null,
    scope text not null,                               -- who asks, and of which address
    key text not null,
    digest bytea not null,                             -- of what was asked
    owner uuid not null,                               -- who is at it
    claimed_at timestamptz not null,
    lease_until timestamptz not null,                  -- from then on another one may take it over
    answered_at timestamptz,
    status smallint,
    media_type text,
    answer bytea,
    primary key (partition, scope, key),
    constraint answers_are_whole check (num_nulls(answered_at, status, media_type, answer) in (0, 4))
) with (fillfactor = 70);

create index keys_by_age on store.keys (claimed_at);
