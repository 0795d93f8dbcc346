-- Plain taps in runs: what one commit took in for one partition is one row of bytes, not a row for each tap. Taps that came
-- tap by tap, those of before, and those of days that are not plain are rows of rides.taps, as ever. docs/taps.md says
-- what a run holds and how each reader finds its taps; rides.every_tap shows all of them.

-- Where taps were made, told once: place_id is made from all the rest.
create table rides.tap_places (
    place_id bigint primary key,
    gate_id text not null,
    operator_id text not null,
    action text not null,
    stop_id text,
    line_id text,
    product text not null
);

-- Who pays for the tokens of taps, told once in the same way. A token's issuer, currency and class never change.
create table rides.tap_payers (
    payer_id bigint primary key,
    rider_class text not null,
    issuer_id text not null,
    wallet_currency text not null
);

-- body: records of 142 bytes in order of gate and number. fresh: until rating has looked at it.
create table rides.tap_runs (
    partition smallint not null,
    run_id uuid not null,                  -- UUIDv7, one for all runs of a commit
    xid xid8 not null default pg_current_xact_id(),
    received_at timestamptz not null,
    first_at timestamptz not null,
    last_at timestamptz not null,
    count integer not null check (count > 0),
    fresh boolean not null default true,
    body bytea not null,
    primary key (partition, run_id),
    constraint run_is_whole check (octet_length(body) = 142 * count)
);

-- Ids, links and digests do not grow shorter by compression; and a piece can be read without the rest.
alter table rides.tap_runs alter column body set storage external;

create index tap_runs_fresh on rides.tap_runs (partition, run_id) where fresh;
create index tap_runs_by_receipt on rides.tap_runs (xid, run_id);
create index tap_runs_by_time on rides.tap_runs (last_at);

-- Directory: which numbers of a gate are taken, span after span without a gap between rows: each begins after the last
-- number of the one before, and only one can. A number of a run lies in its span; any other taken number is a row of
-- tap_numbers, also such as came later between two spans. Global, as tap_numbers is.
create table rides.tap_spans (
    gate_id text not null,
    after bigint not null,                 -- last number of the span before; 0 for the first
    first_sequence bigint not null,
    last_sequence bigint not null,
    run_id uuid,                           -- null: its taps are rows
    places bytea,                          -- of each number: partition (2 bytes) and place in its run (4)
    primary key (gate_id, after),
    constraint span_goes_up check (after < first_sequence and first_sequence <= last_sequence),
    constraint span_tells_places check (
        (run_id is null and places is null) or octet_length(places) = 6 * (last_sequence - first_sequence + 1)
    )
);

alter table rides.tap_spans alter column places set storage external;

insert into rides.tap_spans (gate_id, after, first_sequence, last_sequence)
select gate_id, least(0, min(sequence) - 1), min(sequence), max(sequence)
from rides.tap_numbers
group by gate_id;

-- Where the taps of days lie that were rated from runs alone, account by account: pieces of one operator's day.
-- body: records of 22 bytes in order of account: account (16), which of the runs (2), place in it (4).
create table rides.rated_taps (
    partition smallint not null,
    operator_id text not null,
    service_day date not null,
    piece_id uuid not null,                -- UUIDv7
    first_account uuid not null,
    last_account uuid not null,
    first_at timestamptz not null,         -- of its first tap
    runs uuid[] not null,
    body bytea not null,
    primary key (partition, operator_id, service_day, piece_id)
);

alter table rides.rated_taps alter column body set storage external;

-- run_id: the run that the tap was copied out of, since its day was not plain; the run keeps it.
alter table rides.taps add column run_id uuid;

create function rides.whole_number(bytea) returns bigint
    language sql immutable strict parallel safe
    return ('x' || lpad(encode($1, 'hex'), 16, '0'))::bit(64)::bigint;

create function rides.instant(bytea) returns timestamptz
    language sql immutable strict parallel safe
    return timestamptz '2000-01-01 00:00:00+00' + rides.whole_number($1) * interval '1 microsecond';

-- For people and tests: all taps, each once. Rooms read runs as bytes.
create view rides.every_tap as
select t.partition, t.tap_id, t.account_id, t.operator_id, t.gate_id, t.sequence, t.action, t.stop_id, t.line_id,
    t.product, t.tapped_at, t.cti, t.counter, t.kid, t.made_at, t.list_version, t.chain, t.received_at, t.companion,
    t.xid, null::uuid as run_id
from rides.taps t
where t.run_id is null
union all
select r.partition, encode(substring(tap.one from 17 for 16), 'hex')::uuid,
    encode(substring(tap.one from 1 for 16), 'hex')::uuid, p.operator_id, p.gate_id,
    rides.whole_number(substring(tap.one from 65 for 8)), p.action, p.stop_id, p.line_id, p.product,
    rides.instant(substring(tap.one from 49 for 8)), substring(tap.one from 73 for 8),
    rides.whole_number(substring(tap.one from 81 for 4))::integer, substring(tap.one from 85 for 4),
    rides.instant(substring(tap.one from 57 for 8)), rides.whole_number(substring(tap.one from 89 for 4))::integer,
    substring(tap.one from 93 for 32), r.received_at,
    rides.whole_number(substring(tap.one from 141 for 2))::smallint, r.xid, r.run_id
from rides.tap_runs r
cross join lateral generate_series(0, r.count - 1) as place
cross join lateral (select substring(r.body from place * 142 + 1 for 142) as one offset 0) as tap
join rides.tap_places p on p.place_id = rides.whole_number(substring(tap.one from 33 for 8));
