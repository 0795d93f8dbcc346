-- Balances go on from window to window of a model. What was kept by day is worked out again when it is asked for.
drop table reports.balances;
drop table reports.carried;

create table reports.carried (
    model_id text not null,
    number integer not null check (number > 0),
    window_id text not null unique,
    carried_at timestamptz not null,
    primary key (model_id, number)
);

-- What each member's account with the league comes to with a closed window of a model: what earlier ones left
-- unsettled, what it adds, what the bank moved for the model's windows in the ledger's blocks of this one.
create table reports.balances (
    window_id text not null references reports.carried (window_id),
    member_id text not null,
    currency char(3) not null,
    opening_minor bigint not null,
    net_minor bigint not null,
    paid_minor bigint not null,
    primary key (window_id, member_id, currency)
);

create trigger carried_never_changes before update or delete or truncate on reports.carried
    for each statement execute function reports.refuse_change();
create trigger balances_never_change before update or delete or truncate on reports.balances
    for each statement execute function reports.refuse_change();
