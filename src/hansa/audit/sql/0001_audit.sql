create schema audit;

-- Who did what. Written in the transaction of the deed, never changed.
create table audit.acts (
    act_id uuid primary key,                           -- UUIDv7
    chain text not null,                               -- whose record it is: a member's id, or 'league'
    at timestamptz not null,
    actor text not null,
    action text not null,
    subject text not null,
    reason text not null,
    details jsonb not null
);
create index acts_by_time on audit.acts (at, act_id);
create index acts_by_actor on audit.acts (actor, at);
create index acts_by_subject on audit.acts (subject, at);

-- Acts that no seal covers yet, in the order they were written; taken away as they are sealed.
create table audit.waiting (
    seq bigint generated always as identity primary key,
    act_id uuid not null unique
);

-- The chain: each seal covers its act and the seal before it.
create table audit.seals (
    chain text not null,
    place bigint not null check (place > 0),
    act_id uuid not null unique references audit.acts,
    previous bytea not null check (octet_length(previous) = 32),
    hash bytea not null check (octet_length(hash) = 32),
    primary key (chain, place)
);

-- Where each chain ends.
create table audit.heads (
    chain text primary key,
    place bigint not null,
    hash bytea not null check (octet_length(hash) = 32)
);

-- Heads that were signed, so that an end that is cut off is missed.
create table audit.checkpoints (
    chain text not null,
    place bigint not null,
    signed_at timestamptz not null,
    note text not null,
    primary key (chain, place)
);

create function audit.refuse_change() returns trigger language plpgsql as $$
begin
    raise exception 'the audit record is only added to' using errcode = 'restrict_violation';
end
$$;

create trigger acts_are_only_added before update or delete or truncate on audit.acts
    for each statement execute function audit.refuse_change();
create trigger seals_are_only_added before update or delete or truncate on audit.seals
    for each statement execute function audit.refuse_change();
create trigger checkpoints_are_only_added before update or delete or truncate on audit.checkpoints
    for each statement execute function audit.refuse_change();
