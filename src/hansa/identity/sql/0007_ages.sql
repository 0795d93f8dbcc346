-- Whether whoever was born then needs a guardian for the account, where they live: the box itself opens for few.
-- looked_on: the day as of which that was worked out; a day of birth nobody has looked at yet has none.
alter table identity.births
    add column guardian_needed boolean not null default false,
    add column looked_on date;

create index births_to_look_at on identity.births (looked_on nulls first, account_id)
    where looked_on is null or guardian_needed;
