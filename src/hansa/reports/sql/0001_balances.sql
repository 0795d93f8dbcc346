create schema reports;

-- Up to which business day balances are carried. A day is carried once it is closed, and in the order of days.
create table reports.carried (
    day date primary key,
    carried_at timestamptz not null
);

-- What each member's account with the league comes to with a closed day: what earlier days left unsettled, what the
-- day adds, what the bank moved in the ledger's blocks of the day. Worked out once from facts that never change.
create table reports.balances (
    day date not null references reports.carried,
    member_id text not null,
    currency char(3) not null,
    opening_minor bigint not null,
    net_minor bigint not null,
    paid_minor bigint not null,
    primary key (day, member_id, currency)
);

create function reports.refuse_change() returns trigger language plpgsql as $$
begin
    raise exception 'what was reported never changes: % of reports.%', lower(tg_op), tg_table_name
        using errcode = 'restrict_violation', hint = 'A correction is booked and stands in a later report.';
end
$$;

create trigger carried_never_changes before update or delete or truncate on reports.carried
    for each statement execute function reports.refuse_change();
create trigger balances_never_change before update or delete or truncate on reports.balances
    for each statement execute function reports.refuse_change();
