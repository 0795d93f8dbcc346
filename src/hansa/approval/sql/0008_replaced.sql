-- replaces: the delegation in whose place its owner gave this one. replaced_at: when another took this one's place.
alter table approval.delegations
    add column replaces uuid,
    add column replaced_at timestamptz;
