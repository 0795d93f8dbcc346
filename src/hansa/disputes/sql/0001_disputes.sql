create schema disputes;

-- What is in dispute. state, due_at and holds_minor are what its facts come to, kept here so that they can be searched.
-- root_id: the journey behind it, or the item itself. subject_id: a refund's journey, or the item's transfer.
-- sign: 1 where the issuer should get money back, -1 where the operator should. holds_minor: what it may still cost, or did.
-- at_most_minor: of a granted refund, what the rider shall pay for the journey at most.
create table disputes.cases (
    dispute_id uuid primary key,
    kind text not null check (kind in ('refund', 'item')),
    root_id uuid not null,
    subject_id uuid not null,
    partition smallint not null,
    account_id uuid,
    issuer_id text not null,
    operator_id text not null,
    currency char(3) not null,
    sign smallint not null check (sign in (-1, 1)),
    claim_minor bigint not null check (claim_minor > 0),
    reason text not null,
    words text not null,
    evidence jsonb not null,
    rules_version integer not null,
    raised_by text not null,
    raised_at timestamptz not null,
    state text not null,
    due_at timestamptz,
    holds_minor bigint not null,
    at_most_minor bigint,
    look_at timestamptz,
    constraint money_moves_within_the_claim check (holds_minor between 0 and claim_minor),
    constraint refunds_have_a_rider check (kind <> 'refund' or (account_id is not null and sign = 1))
) with (fillfactor = 80);

create unique index one_refund_per_journey on disputes.cases (subject_id) where kind = 'refund' and holds_minor > 0;
create index cases_by_root on disputes.cases (root_id);
create index cases_due on disputes.cases (due_at) where due_at is not null;
create index cases_to_look_at on disputes.cases (look_at) where look_at is not null;
create index cases_by_time on disputes.cases (raised_at desc, dispute_id desc);

-- One behind the other: who did what, when, and what it made of the dispute.
create table disputes.facts (
    dispute_id uuid not null references disputes.cases,
    n integer not null check (n >= 0),
    action_id uuid not null,
    action text not null,
    side text not null,
    caller_id text not null,
    at timestamptz not null,
    words text not null,
    amount_minor bigint,
    state text not null,
    due_at timestamptz,
    primary key (dispute_id, n),
    unique (dispute_id, action_id)
);

-- What a dispute moves: written before the ledger is asked, and marked after it answered. signed as seen from whoever claims.
create table disputes.bookings (
    dispute_id uuid not null references disputes.cases,
    revision integer not null check (revision >= 0),
    booking_id uuid not null unique,
    amount_minor bigint not null check (amount_minor <> 0),
    at timestamptz not null,
    posted_at timestamptz,
    primary key (dispute_id, revision)
);

create index bookings_to_post on disputes.bookings (at) where posted_at is null;

-- Taken before the claims of one journey or item are added up, so that two at once cannot both find room.
create table disputes.roots (
    root_id uuid primary key
);

create function disputes.refuse_change() returns trigger language plpgsql as $$
begin
    raise exception 'a fact of a dispute never changes: % of disputes.%', lower(tg_op), tg_table_name
        using errcode = 'restrict_violation', hint = 'Add another fact.';
end
$$;

create trigger facts_never_change before update or delete or truncate on disputes.facts
    for each statement execute function disputes.refuse_change();
