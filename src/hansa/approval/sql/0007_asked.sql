-- given_at: when its owner signed a delegation; null while they are asked. asked_by: the member who asked; empty: the owner.
alter table approval.delegations
    add column given_at timestamptz,
    add column asked_by text not null default '';

update approval.delegations set given_at = granted_at;

-- retry_d: after how many days from the due one a payment that failed for lack of money is tried again, as was signed.
alter table approval.mandates
    add column retry_d smallint[] not null default '{}'
        constraint mandates_retries_fit check (cardinality(retry_d) <= 5);

-- tries: how many were made. next_at: when the next one is, at first when it is due. payment_id: of the next try, or of
-- the last one where there is no other; the first is pull_id's own.
alter table approval.pulls
    add column tries smallint not null default 0 constraint pulls_tries_fit check (tries between 0 and 6),
    add column next_at timestamptz,
    add column payment_id uuid;

update approval.pulls set next_at = due_at, payment_id = pull_id;

alter table approval.pulls
    alter column next_at set not null,
    alter column payment_id set not null,
    add constraint pulls_are_tried_once_due check (due_at <= next_at);

drop index approval.pulls_due;
create index pulls_due on approval.pulls (next_at) where state = 'announced';
create unique index pulls_by_payment on approval.pulls (partition, payment_id);
