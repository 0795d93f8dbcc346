-- Plain first charges of many journeys, written in one piece by rating and carried in one batch by posting: intents that
-- become rows of charges when the ledger has them. body: their records one after another; words: what they point to.
create table rides.charge_runs (
    partition smallint not null,
    run_id uuid not null,                  -- UUIDv7: runs go to the ledger in the order in which they were rated
    count integer not null check (count > 0),
    words jsonb not null,                  -- [[issuer, operator, currency, service day], ...]
    body bytea not null,
    made_at timestamptz not null,
    primary key (partition, run_id)
);

-- Ids and digests do not grow shorter by compression.
alter table rides.charge_runs alter column body set storage external;
