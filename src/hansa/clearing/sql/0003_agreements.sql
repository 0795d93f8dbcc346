-- Agreements as texts (docs/agreements.md), and what was done with them. clearing.agreements keeps those of the simple
-- form, in basis points alone. issuer to valid_to: what the text says; body: the text as read, for whoever needs all.
create table clearing.agreement_texts (
    agreement_id uuid primary key,         -- made by whoever proposes, so that sending it again is harmless
    name text not null,
    issuer text not null,                  -- a member, a city for all who clear as it, or * for any
    operator text not null,
    both_ways boolean not null,
    currency char(3),                      -- null where it holds for items in any
    products text[] not null check (cardinality(products) > 0),
    valid_from date not null,
    valid_to date,
    toml text not null,
    body jsonb not null,
    note text not null,
    made_by text not null,
    made_at timestamptz not null,
    constraint an_agreement_ends_after_it_begins check (valid_to is null or valid_to >= valid_from)
);
create index agreement_texts_by_time on clearing.agreement_texts (made_at, agreement_id);

-- last_day: of steps about an end, the last day on which the agreement holds.
create table clearing.agreement_facts (
    agreement_id uuid not null references clearing.agreement_texts,
    number integer not null check (number > 0),
    step text not null check (step in
        ('proposed', 'approved', 'refused', 'withdrawn', 'end_proposed', 'ended', 'end_refused')),
    by_whom text not null,
    at timestamptz not null,
    why text not null,
    last_day date,
    primary key (agreement_id, number),
    constraint an_end_names_its_day check ((last_day is not null) = (step in ('end_proposed', 'ended')))
);

-- An agreement is decided once, and ends once: two who decide at one time are told by this who came first.
create unique index agreements_are_decided_once on clearing.agreement_facts (agreement_id)
    where step in ('approved', 'refused');
create unique index agreements_end_once on clearing.agreement_facts (agreement_id) where step = 'ended';

create function clearing.refuse_rewriting() returns trigger language plpgsql as $$
begin
    raise exception 'an agreement is never rewritten: % of clearing.%', lower(tg_op), tg_table_name
        using errcode = 'restrict_violation', hint = 'Propose another that takes its place from a later day on.';
end
$$;

create trigger agreement_texts_never_change before update or delete or truncate on clearing.agreement_texts
    for each statement execute function clearing.refuse_rewriting();
create trigger agreement_facts_never_change before update or delete or truncate on clearing.agreement_facts
    for each statement execute function clearing.refuse_rewriting();
