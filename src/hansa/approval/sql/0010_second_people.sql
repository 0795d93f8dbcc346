-- Whoever makes large payments easier waits, as for a higher limit: another second person is asked from an instant on,
-- and one that is named no more is asked until then.
alter table approval.co_approvers
    add column holds_from timestamptz,
    add column until timestamptz;

update approval.co_approvers set holds_from = since;

alter table approval.co_approvers alter column holds_from set not null;

create index co_approvers_that_leave on approval.co_approvers (until) where until is not null;
