-- An action that gives much waits here for a second person. n: how many facts the dispute had; once another is there, what
-- was proposed no longer counts. It is never edited, so that the story of a dispute tells who proposed what.
create table disputes.proposals (
    dispute_id uuid not null references disputes.cases,
    n integer not null check (n > 0),
    action_id uuid not null,
    action text not null,
    side text not null,
    caller_id text not null,
    at timestamptz not null,
    words text not null,
    amount_minor bigint,
    primary key (dispute_id, action_id)
);

create trigger proposals_never_change before update or delete or truncate on disputes.proposals
    for each statement execute function disputes.refuse_change();

-- A queue is read by deadline (cases_due) or by time; a search by the start of an id.
create index cases_by_subject on disputes.cases (subject_id);
