-- Tariffs on their way into force. A proposal is what was written, as it was written; what was done with it are facts.

-- name to day_starts: as the text says, null where it cannot be read. replaces: the proposal it was written instead of.
create table rides.tariff_proposals (
    proposal_id uuid primary key,          -- made by whoever proposes, so that sending it again is harmless
    operator_id text not null,
    digest bytea not null check (octet_length(digest) = 32),
    toml text not null,
    tables jsonb not null,                 -- file name -> text
    name text,
    city_id text,
    currency char(3),
    valid_from date,
    valid_to date,
    tz text,
    day_starts time,
    note text not null,
    replaces uuid references rides.tariff_proposals,
    made_by text not null,
    made_at timestamptz not null
);

create index tariff_proposals_of_operator on rides.tariff_proposals (operator_id, made_at);

-- findings: what the checks found then, [[severity, where, what, remedy], ...]. network_version: of the city's network
-- that it was held against, null for none.
create table rides.tariff_proposal_facts (
    proposal_id uuid not null references rides.tariff_proposals,
    step text not null check (step in ('checked', 'proposed', 'approved', 'withdrawn', 'superseded', 'cancelled')),
    by_whom text not null,
    at timestamptz not null,
    why text not null,
    findings jsonb,
    network_version integer,
    primary key (proposal_id, step)
);

-- A proposal ends once: two that decide at one time are told by this who came first. Only what was approved and has not
-- begun can be cancelled after that.
create unique index tariff_proposals_end_once on rides.tariff_proposal_facts (proposal_id)
    where step in ('approved', 'withdrawn', 'superseded');
