-- Whose wallet the codes of a person's phone pay from, where it is not their own: an owner who lets them spend.
create table approval.code_wallets (
    partition integer not null,                -- of the person who shows codes
    account_id uuid not null,
    owner_id uuid not null,
    set_at timestamptz not null,
    primary key (partition, account_id),
    constraint code_wallets_are_anothers check (account_id <> owner_id)
);

-- Who else a change is about: a delegate, a second person.
alter table approval.changes add column other_id uuid;
