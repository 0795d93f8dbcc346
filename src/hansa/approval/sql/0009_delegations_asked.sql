-- What a member asked for is listed to it by the page.
create index delegations_asked_by on approval.delegations (asked_by, granted_at desc, delegation_id desc)
    where asked_by <> '';
