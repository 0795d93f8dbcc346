create schema rides;

-- Tariffs as they were written; read again when used, so that what is kept is what a clerk can check.
create table rides.tariffs (
    operator_id text not null,
    valid_from date not null,
    valid_to date,
    city_id text not null,
    name text not null,
    currency char(3) not null,
    tz text not null,
    day_starts time not null,
    journey_max interval not null,
    toml text not null,
    tables jsonb not null,                 -- file name -> text
    digest bytea not null,
    imported_at timestamptz not null,
    primary key (operator_id, valid_from),
    check (valid_to >= valid_from)
);

-- Directory: whom a ride token stands for. Global, since a tap knows nothing but the token.
create table rides.tokens (
    cti bytea primary key,
    account_id uuid not null,
    issuer_id text not null,
    wallet_currency char(3) not null,
    rider_class text not null,
    expires_at timestamptz not null
);

-- Directory: which tap a gate's sequence number stands for. Global, since the taps of one gate lie in the partitions
-- of many riders; a second body for a known number is a contradiction.
create table rides.tap_numbers (
    gate_id text not null,
    sequence bigint not null,
    digest bytea not null,
    partition smallint not null,
    tap_id uuid not null,
    primary key (gate_id, sequence)
);

-- Accepted codes, as the gates handed them in. Appended, never changed.
create table rides.taps (
    partition smallint not null,
    tap_id uuid not null,
    account_id uuid not null,
    operator_id text not null,
    gate_id text not null,
    sequence bigint not null,
    action text not null,
    stop_id text,
    line_id text,
    product text not null,
    tapped_at timestamptz not null,
    cti bytea not null,
    counter integer not null,
    kid bytea not null,
    made_at timestamptz not null,
    list_version integer not null,
    chain bytea not null,
    received_at timestamptz not null,
    primary key (partition, tap_id)
);

create index taps_of_account on rides.taps (partition, account_id, tapped_at);
create index taps_by_time on rides.taps using brin (tapped_at);

-- Service days to be worked out again. Written over by every new tap, so that a tap that arrives while its day is
-- being rated is never overlooked. due_at: not before then; a day with a ride under way waits for its exit.
create table rides.dirty_days (
    partition smallint not null,
    account_id uuid not null,
    operator_id text not null,
    service_day date not null,
    due_at timestamptz not null,
    primary key (partition, account_id, operator_id, service_day)
);

-- One row per partition, locked while it is being rated: one rater at a time.
create table rides.raters (
    partition smallint primary key
);

-- Journeys with their present fare. charged_minor: sum of all charges, so the next one is the difference.
create table rides.journeys (
    partition smallint not null,
    journey_id uuid not null,
    account_id uuid not null,
    operator_id text not null,
    service_day date not null,
    kind text not null,
    product text not null,
    rider_class text not null,
    issuer_id text not null,
    wallet_currency char(3) not null,
    started_at timestamptz not null,
    ended_at timestamptz not null,
    origin text,
    destination text,
    line_id text,
    first_tap uuid not null,
    last_tap uuid,
    status text not null,                  -- priced, held, withdrawn
    fare_minor bigint not null,
    currency char(3) not null,
    steps jsonb not null,                  -- [[rule, amount, figures], ...]
    zones text not null,
    counted_minor bigint not null,         -- towards the weekly or monthly cap
    tier_minor bigint not null,            -- towards the month's tiers
    tariff_from date not null,
    charged_minor bigint not null,
    revision integer not null,             -- charges made so far
    rated_at timestamptz not null,
    primary key (partition, journey_id),
    constraint fare_is_not_negative check (fare_minor >= 0)
) with (fillfactor = 90);

create index journeys_of_account on rides.journeys (partition, account_id, operator_id, service_day);
create index journeys_of_day on rides.journeys (service_day, operator_id);

-- What was sent to the ledger for a journey, or still has to be. A correction is a new row.
create table rides.charges (
    partition smallint not null,
    journey_id uuid not null,
    revision integer not null,
    charge_id uuid not null,
    account_id uuid not null,
    issuer_id text not null,
    operator_id text not null,
    wallet_currency char(3) not null,
    amount_minor bigint not null,
    currency char(3) not null,
    event_at timestamptz not null,
    service_day date not null,
    status text not null,                  -- intent, posted
    wallet_minor bigint,
    on_risk boolean not null,
    transfer_ids uuid[],
    made_at timestamptz not null,
    posted_at timestamptz,
    primary key (partition, journey_id, revision),
    constraint charge_moves_something check (amount_minor <> 0)
) with (fillfactor = 80);

create index charges_to_post on rides.charges (event_at, journey_id, revision) where status = 'intent';
create index charges_of_day on rides.charges (service_day, operator_id);

-- What an account had spent with an operator in a week or month before Hansa kept its books.
create table rides.opening_spend (
    account_id uuid not null,
    operator_id text not null,
    period text not null check (period in ('week', 'month')),
    start_day date not null,
    minor bigint not null check (minor >= 0),
    primary key (account_id, operator_id, period, start_day)
);

-- What gates refused: counts only, since a refused code is nobody's tap.
create table rides.refusals (
    gate_id text not null,
    minute timestamptz not null,
    reason text not null,
    operator_id text not null,
    count integer not null check (count > 0),
    primary key (gate_id, minute, reason)
);

create index refusals_by_time on rides.refusals (minute);
