create schema hub;

-- How payments in a currency settle; a currency without a row is deferred. Set before its first liquidity.
create table hub.currencies (
    currency char(3) primary key,
    model text not null check (model in ('deferred', 'gross')),
    set_by text not null,
    set_at timestamptz not null
);

-- A member in a currency: what it may send. cover_minor: deposits that are neither on their way out nor gone;
-- asking_minor: of an asked way out of which the ledger has not said yet whether it may be. released_minor: what settled
-- windows took off its position. granted_minor: what the ledger has moved from its limit account to its headroom.
-- Cover is counted here for deferred settlement alone; where it is gross, payments move it, and the ledger knows it.
create table hub.liquidity (
    member_id text not null,
    currency char(3) not null,
    partition smallint not null,
    model text not null check (model in ('deferred', 'gross')),
    cap_minor bigint not null default 0 check (cap_minor >= 0),
    warn_percent smallint not null default 80 check (warn_percent between 1 and 100),
    soft_minor bigint check (soft_minor >= 0),
    cover_minor bigint not null default 0,
    asking_minor bigint not null default 0 check (asking_minor >= 0),
    released_minor bigint not null default 0,
    granted_minor bigint not null default 0,
    primary key (member_id, currency),
    constraint cover_is_there check (model = 'gross' or cover_minor >= asking_minor)
);

-- What a member may owe at most, from an instant on. applied_at: when it came to count.
create table hub.caps (
    cap_id uuid primary key,
    member_id text not null,
    currency char(3) not null,
    cap_minor bigint not null check (cap_minor >= 0),
    warn_percent smallint not null check (warn_percent between 1 and 100),
    soft_minor bigint check (soft_minor >= 0),
    valid_from timestamptz not null,
    set_by text not null,
    set_at timestamptz not null,
    applied_at timestamptz,
    foreign key (member_id, currency) references hub.liquidity
);
create index caps_to_come on hub.caps (valid_from) where applied_at is null;

-- What the ledger is to move between limit and headroom so that the headroom follows cap, cover and releases.
-- moved_minor: what it did move; a debit takes no more than there is. At most one is under way.
create table hub.grants (
    grant_id uuid primary key,
    member_id text not null,
    currency char(3) not null,
    delta_minor bigint not null check (delta_minor <> 0),
    at timestamptz not null,
    moved_minor bigint,
    constraint moved_towards_it check (moved_minor between least(delta_minor, 0) and greatest(delta_minor, 0))
);
create unique index one_grant_under_way on hub.grants (member_id, currency) where moved_minor is null;

-- Money to and from the settlement bank. proposed -> booked or refused, by another person than proposed it; what is on
-- its way out is asked of the ledger first, which holds it or says that it cannot be spared. lowers_minor: headroom that
-- a way out takes along.
create table hub.funds (
    funds_id uuid primary key,
    member_id text not null,
    currency char(3) not null,
    way text not null check (way in ('in', 'out')),
    amount_minor bigint not null check (amount_minor > 0),
    bank_reference text not null,
    lowers_minor bigint not null default 0 check (lowers_minor >= 0),
    proposed_by text not null,
    proposed_at timestamptz not null,
    state text not null check (state in ('asked', 'proposed', 'booking', 'voiding', 'booked', 'refused')),
    decided_by text,
    decided_at timestamptz,
    booked_at timestamptz,
    foreign key (member_id, currency) references hub.liquidity
);
create unique index one_way_out_asked on hub.funds (member_id, currency) where state = 'asked';
create index funds_under_way on hub.funds (proposed_at) where state not in ('booked', 'refused');
create index funds_by_member on hub.funds (member_id, proposed_at);

-- What a settled window took off a member's position (above zero) or put on it.
create table hub.releases (
    window_id text not null,
    member_id text not null,
    currency char(3) not null,
    released_minor bigint not null,
    at timestamptz not null,
    primary key (window_id, member_id, currency)
);

-- Facts: raised, and ended. The last of a kind is how things stand.
create table hub.alarms (
    alarm_id uuid primary key,
    member_id text not null,
    currency char(3) not null,
    kind text not null check (kind in ('warning', 'soft', 'hard', 'over', 'exposure')),
    raised boolean not null,
    at timestamptz not null,
    place bigint not null,                             -- order within the member's alarms
    position_minor bigint not null,
    limit_minor bigint not null,
    unique (member_id, currency, kind, place)
);

-- When exposures were last looked at: one row.
create table hub.watches (
    one boolean primary key default true check (one),
    exposure_at timestamptz not null
);
insert into hub.watches (exposure_at) values ('epoch');

-- A payment as its payer asked for it. hold_s: how long the ledger holds the money at most.
create table hub.payments (
    partition smallint not null,
    payment_id uuid not null,
    payer_id text not null,
    payee_id text not null,
    amount_minor bigint not null check (amount_minor > 0),
    currency char(3) not null,
    model text not null check (model in ('deferred', 'gross')),
    condition bytea not null check (octet_length(condition) = 32),
    expires_at timestamptz not null,
    packet text not null,
    received_at timestamptz not null,
    hold_s integer not null check (hold_s > 0),
    primary key (partition, payment_id),
    constraint two_members check (payer_id <> payee_id)
);
create index payments_by_time on hub.payments (received_at, payment_id);

-- What became of it, in two steps: 1 is the ledger's word on the reservation, 2 the end of one that was reserved.
create table hub.steps (
    partition smallint not null,
    payment_id uuid not null,
    step smallint not null check (step in (1, 2)),
    state text not null,
    reason text not null default '',
    words text not null default '',
    fulfilment bytea,
    at timestamptz not null,
    primary key (partition, payment_id, step),
    constraint states_of_a_step check (
        state = 'ABORTED' or (step = 1 and state = 'RESERVED') or (step = 2 and state = 'COMMITTED')),
    constraint committed_by_its_fulfilment check ((state = 'COMMITTED') = (fulfilment is not null))
);

-- Payments that have not ended, for whoever must end them.
create table hub.open_payments (
    partition smallint not null,
    payment_id uuid not null,
    expires_at timestamptz not null,
    primary key (partition, payment_id)
);
create index open_payments_by_expiry on hub.open_payments (expires_at);

-- A member's feed: its last number, how far it was delivered, and when to try again. leased_until: one sender at a time.
create table hub.feeds (
    member_id text primary key,
    last_seq bigint not null default 0,
    delivered_seq bigint not null default 0,
    attempts integer not null default 0,
    next_at timestamptz not null default 'epoch',
    leased_until timestamptz not null default 'epoch',
    check (delivered_seq <= last_seq)
);

-- One row for each thing a member is told, numbered without a gap, in the commit that makes it true.
create table hub.notices (
    member_id text not null,
    seq bigint not null,
    kind text not null check (kind in ('reserved', 'committed', 'aborted', 'late', 'alarm')),
    partition smallint not null,
    subject_id uuid not null,                          -- the payment, or the alarm
    at timestamptz not null,
    primary key (member_id, seq)
);

-- What a member would not take while it took others: tried again, and what concerns the same payment waits behind it.
create table hub.undelivered (
    member_id text not null,
    seq bigint not null,
    subject_id uuid not null,
    attempts integer not null,
    next_at timestamptz not null,
    primary key (member_id, seq)
);

create function hub.refuse_change() returns trigger language plpgsql as $$
begin
    raise exception 'a fact never changes: % of hub.%', lower(tg_op), tg_table_name
        using errcode = 'restrict_violation';
end
$$;

create trigger releases_never_change before update or delete or truncate on hub.releases
    for each statement execute function hub.refuse_change();
create trigger alarms_never_change before update or delete or truncate on hub.alarms
    for each statement execute function hub.refuse_change();
create trigger payments_never_change before update or delete or truncate on hub.payments
    for each statement execute function hub.refuse_change();
create trigger steps_never_change before update or delete or truncate on hub.steps
    for each statement execute function hub.refuse_change();
create trigger notices_never_change before update or truncate on hub.notices
    for each statement execute function hub.refuse_change();
