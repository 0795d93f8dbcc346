-- When taps were really made, where their gate's clock was wrong. Worked out from the gate's taps, and again when more of
-- them come; a tap of which that turned out otherwise stays here with corrected_at = read_at, since its journey may stand
-- under another day by then.
create table rides.tap_clocks (
    partition smallint not null,
    tap_id uuid not null,
    account_id uuid not null,
    operator_id text not null,
    gate_id text not null,
    sequence bigint not null,
    read_at timestamptz not null,          -- what the gate's clock said: the tap's own instant
    corrected_at timestamptz not null,
    not_before timestamptz,                -- bounds that the gate's other taps and the receipt give
    not_after timestamptz not null,
    why text not null check (why in ('sequence', 'code', 'received', 'right')),
    found_at timestamptz not null,
    primary key (partition, tap_id),
    constraint right_is_as_read check (why <> 'right' or corrected_at = read_at)
);

create index tap_clocks_of_account on rides.tap_clocks (partition, account_id, corrected_at);
create index tap_clocks_of_gate on rides.tap_clocks (gate_id, sequence);

-- Where a journey with a missing tap really ended or began, as its rider or a clerk says. Appended; the last revision counts
-- for as long as no tap tells.
create table rides.stated_ends (
    partition smallint not null,
    journey_id uuid not null,              -- the journey as it was then: the id of its only tap
    revision integer not null,
    account_id uuid not null,
    operator_id text not null,
    tapped_at timestamptz not null,        -- of that tap
    stop_id text not null,
    at timestamptz not null,
    stated_by text not null check (stated_by in ('rider', 'operator')),
    caller_id text not null,
    reason text not null,
    stated_at timestamptz not null,
    primary key (partition, journey_id, revision)
);

create index stated_ends_of_account on rides.stated_ends (partition, account_id, tapped_at);
