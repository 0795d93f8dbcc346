-- What a tariff asks of the books beyond plain sums: kept with each journey, so that later days can be given it.
alter table rides.journeys
    add column counts jsonb not null default '{}',        -- counter -> what this journey adds for later days
    add column window_from date,                          -- first day of the rolling window it counts in; null: in none
    add column subsidy_payer text,                        -- the member who pays a part of the fare
    add column subsidy_minor bigint not null default 0,   -- on top of fare_minor
    add column notes jsonb not null default '[]',         -- decisions of pairing: [[rule, 0, figures], ...]
    add column trip_id uuid,                              -- first journey of the trip that it goes on with; null: of its own
    add column network_version integer,                   -- of the city's network that its day is priced over
    add column medium text not null default '',
    add column distance_m integer,
    add constraint subsidy_has_a_payer check ((subsidy_payer is null) = (subsidy_minor = 0)) not valid,
    add constraint subsidy_is_not_negative check (subsidy_minor >= 0) not valid;

create index journeys_held on rides.journeys (operator_id, service_day) where status = 'held';

-- Operators whose rides open windows of a tariff's transfers: where one of theirs changes, its days are rated again.
alter table rides.tariffs add column partners text[] not null default '{}';

-- afresh: price it over the network that holds on that day now, and not over the one it was priced over before.
alter table rides.dirty_days add column afresh boolean not null default false;

-- What was sent to the ledger for the part of a fare that a member pays, or still has to be; the same revisions as charges.
create table rides.subsidies (
    partition smallint not null,
    journey_id uuid not null,
    revision integer not null,
    payer_id text not null,
    subsidy_id uuid not null,
    operator_id text not null,
    amount_minor bigint not null,
    currency char(3) not null,
    event_at timestamptz not null,
    service_day date not null,
    status text not null,                  -- intent, posted
    transfer_id uuid,
    made_at timestamptz not null,
    posted_at timestamptz,
    primary key (partition, journey_id, revision, payer_id),
    constraint subsidy_moves_something check (amount_minor <> 0)
) with (fillfactor = 80);

create index subsidies_to_post on rides.subsidies (event_at, subsidy_id) where status = 'intent';

-- Passes that riders bought. Their price is charged as revision 0 of rides.charges under the pass's id, a refund as 1.
create table rides.passes (
    partition smallint not null,
    pass_id uuid not null,
    account_id uuid not null,
    operator_id text not null,
    name text not null,
    from_day date not null,
    until_day date not null,               -- inclusive
    rider_class text not null,
    issuer_id text not null,
    wallet_currency char(3) not null,
    price_minor bigint not null check (price_minor >= 0),
    currency char(3) not null,
    tariff_from date not null,             -- version of the tariff that priced it
    bought_at timestamptz not null,
    refunded_at timestamptz,
    primary key (partition, pass_id),
    constraint pass_lasts check (from_day <= until_day)
);

create index passes_of_account on rides.passes (partition, account_id, operator_id, until_day);
