create schema clearing;

-- When the league's business day ends: its time zone and the local wall time of the cut-off. One row.
create table clearing.settings (
    one boolean primary key default true check (one),
    tz text not null,
    cut_off time not null
);

insert into clearing.settings (tz, cut_off) values ('Asia/Shanghai', '04:00');

create table clearing.agreements (
    issuer_id text not null,
    operator_id text not null,
    valid_from date not null,
    issuer_fee_bp integer not null check (issuer_fee_bp >= 0),
    league_fee_bp integer not null check (league_fee_bp >= 0),
    primary key (issuer_id, operator_id, valid_from),
    constraint fees_leave_something_or_nothing check (issuer_fee_bp + league_fee_bp <= 10000)
);

-- Which ledger accounts are positions, so that closing a day asks for these few and not for every account.
create table clearing.position_accounts (
    partition smallint not null,
    account_id uuid not null,
    issuer_id text not null,
    operator_id text not null,
    currency char(3) not null,
    primary key (partition, account_id),
    unique (partition, issuer_id, operator_id, currency)
);

-- A day that is being closed, or is. Everything below is written in the transaction that decides the day; afterwards
-- only its closing is added, once the ledger has it all.
create table clearing.days (
    day date primary key,
    ends_at timestamptz not null,
    decided_at timestamptz not null,
    constraint a_day_is_decided_when_it_is_over check (decided_at >= ends_at)
);

-- The blocks of each ledger partition that make up the day: after_block < block <= up_to_block.
create table clearing.watermarks (
    day date not null references clearing.days,
    partition smallint not null,
    after_block bigint not null,
    up_to_block bigint not null,
    primary key (day, partition),
    constraint blocks_run_forward check (0 <= after_block and after_block <= up_to_block)
);

-- What issuer and operator made of it, by whom they clear as on that day: debtor_id and creditor_id.
create table clearing.positions (
    day date not null references clearing.days,
    issuer_id text not null,
    operator_id text not null,
    currency char(3) not null,
    partition smallint not null,
    items bigint not null check (items > 0),
    gross_minor bigint not null,
    issuer_fee_bp integer not null,
    league_fee_bp integer not null,
    operator_share_minor bigint not null,
    issuer_fee_minor bigint not null,
    league_fee_minor bigint not null,
    debtor_id text not null,
    creditor_id text not null,
    primary key (day, issuer_id, operator_id, currency, partition),
    constraint shares_add_up_to_the_gross check (operator_share_minor + issuer_fee_minor + league_fee_minor = gross_minor)
);

create table clearing.net_positions (
    day date not null references clearing.days,
    currency char(3) not null,
    member_id text not null,
    net_minor bigint not null,
    primary key (day, currency, member_id)
);

-- Added up by the database from the rows it was given, in the statement that gives them.
create table clearing.day_totals (
    day date not null references clearing.days,
    currency char(3) not null,
    items bigint not null,
    gross_minor bigint not null,
    issuer_fees_minor bigint not null,
    league_fees_minor bigint not null,
    net_sum_minor bigint not null,
    to_pay_minor bigint not null,
    primary key (day, currency),
    constraint nets_sum_to_zero check (net_sum_minor = 0)
);

create table clearing.closings (
    day date primary key references clearing.days,
    closed_at timestamptz not null
);

create function clearing.refuse_change() returns trigger language plpgsql as $$
begin
    raise exception 'a cleared day never changes: % of clearing.%', lower(tg_op), tg_table_name
        using errcode = 'restrict_violation', hint = 'Book a correction; it clears with the day on which it is booked.';
end
$$;

create function clearing.refuse_addition() returns trigger language plpgsql as $$
begin
    if exists (select from clearing.closings c where c.day = new.day) then
        raise exception 'day % is closed: nothing can be added to clearing.%', new.day, tg_table_name
            using errcode = 'restrict_violation', hint = 'Book it; it clears with the day on which it is booked.';
    end if;
    return new;
end
$$;

create trigger days_never_change before update or delete or truncate on clearing.days
    for each statement execute function clearing.refuse_change();
create trigger watermarks_never_change before update or delete or truncate on clearing.watermarks
    for each statement execute function clearing.refuse_change();
create trigger positions_never_change before update or delete or truncate on clearing.positions
    for each statement execute function clearing.refuse_change();
create trigger net_positions_never_change before update or delete or truncate on clearing.net_positions
    for each statement execute function clearing.refuse_change();
create trigger day_totals_never_change before update or delete or truncate on clearing.day_totals
    for each statement execute function clearing.refuse_change();
create trigger closings_never_change before update or delete or truncate on clearing.closings
    for each statement execute function clearing.refuse_change();

create trigger no_late_watermarks before insert on clearing.watermarks
    for each row execute function clearing.refuse_addition();
create trigger no_late_positions before insert on clearing.positions
    for each row execute function clearing.refuse_addition();
create trigger no_late_net_positions before insert on clearing.net_positions
    for each row execute function clearing.refuse_addition();
create trigger no_late_day_totals before insert on clearing.day_totals
    for each row execute function clearing.refuse_addition();
