-- Business days become windows of the model "daily"; other models have windows of their own. What a day was keyed by,
-- a window is: its id is the model's name, the business day, and, where a day has several, which of them.

drop function clearing.refuse_addition cascade;

alter table clearing.watermarks drop constraint watermarks_day_fkey;
alter table clearing.positions drop constraint positions_day_fkey;
alter table clearing.net_positions drop constraint net_positions_day_fkey;
alter table clearing.day_totals drop constraint day_totals_day_fkey;
alter table clearing.closings drop constraint closings_day_fkey;

alter table clearing.days rename to windows;
alter table clearing.day_totals rename to window_totals;
alter table clearing.windows rename column day to business_day;
alter table clearing.windows rename constraint a_day_is_decided_when_it_is_over to a_window_is_decided_when_it_is_over;
alter table clearing.windows
    drop constraint days_pkey,
    add column window_id text,
    add column model_id text not null default 'daily',
    add column model_version integer not null default 0 check (model_version >= 0),
    add column number integer,
    add column part integer not null default 1 check (part > 0),
    add column basis text not null default 'net' check (basis in ('net', 'gross')),
    add column sides text not null default 'multilateral' check (sides in ('multilateral', 'bilateral')),
    add column timing text not null default 'deferred' check (timing in ('deferred', 'immediate'));
alter table clearing.windows disable trigger days_never_change;
update clearing.windows w set window_id = 'daily-' || to_char(w.business_day, 'YYYYMMDD'), number = n.number
from (select business_day, row_number() over (order by business_day) as number from clearing.windows) n
where n.business_day = w.business_day;
alter table clearing.windows enable trigger days_never_change;
alter table clearing.windows
    alter column window_id set not null,
    alter column number set not null,
    alter column model_id drop default,
    alter column model_version drop default,
    alter column part drop default,
    alter column basis drop default,
    alter column sides drop default,
    alter column timing drop default,
    add primary key (window_id),
    add unique (model_id, number),
    add unique (model_id, business_day, part),
    add check (number > 0);

alter table clearing.watermarks rename column day to window_id;
alter table clearing.positions rename column day to window_id;
alter table clearing.net_positions rename column day to window_id;
alter table clearing.window_totals rename column day to window_id;
alter table clearing.closings rename column day to window_id;
alter table clearing.watermarks alter column window_id type text using 'daily-' || to_char(window_id, 'YYYYMMDD');
alter table clearing.positions alter column window_id type text using 'daily-' || to_char(window_id, 'YYYYMMDD');
alter table clearing.net_positions alter column window_id type text using 'daily-' || to_char(window_id, 'YYYYMMDD');
alter table clearing.window_totals alter column window_id type text using 'daily-' || to_char(window_id, 'YYYYMMDD');
alter table clearing.closings alter column window_id type text using 'daily-' || to_char(window_id, 'YYYYMMDD');
alter table clearing.watermarks add foreign key (window_id) references clearing.windows;
alter table clearing.positions add foreign key (window_id) references clearing.windows;
alter table clearing.net_positions add foreign key (window_id) references clearing.windows;
alter table clearing.window_totals add foreign key (window_id) references clearing.windows;
alter table clearing.closings add foreign key (window_id) references clearing.windows;

-- Settlement models, as they were proposed and decided on; "daily" is not among them, it is the league's business day.
create table clearing.models (
    model_id text not null check (model_id ~ '^[a-z][a-z0-9]{1,11}$' and model_id <> 'daily'),
    version integer not null check (version > 0),
    spec text not null,                              -- TOML
    in_force_from date not null,
    proposed_by text not null,
    proposed_at timestamptz not null,
    why text not null,
    primary key (model_id, version)
);
create table clearing.model_decisions (
    model_id text not null,
    version integer not null,
    decision text not null check (decision in ('approved', 'refused')),
    decided_by text not null,
    decided_at timestamptz not null,
    why text not null,
    primary key (model_id, version),
    foreign key (model_id, version) references clearing.models
);

-- Running figures of position accounts, up to the block that ``followed`` names: how many items of which transfer code
-- and what they add up to, by the steps of their sizes where a fee hangs on the size of each item (from_minor; one step
-- where none does). A window takes them and they begin anew. Code 0 is what windows have taken off, and 5 and 6 what
-- clearing has booked, so that all rows of an account add up to its balance. Worked out from the journal; they can be
-- made again from it.
alter table clearing.position_accounts add column steps bigint[] not null default '{}';
create table clearing.followed (
    partition smallint primary key,
    block bigint not null check (block >= 0),
    transfers bigint not null check (transfers >= 0)
);
create table clearing.tallies (
    partition smallint not null,
    account_id uuid not null,
    code smallint not null check (code >= 0),
    from_minor bigint not null,
    items bigint not null check (items >= 0),
    minor bigint not null,
    after_block bigint not null,                     -- the row counts what stands in blocks after this one
    primary key (partition, account_id, code, from_minor),
    check (items > 0 or minor = 0 or code in (0, 5, 6))
) with (fillfactor = 50);

-- What a window took: its items by code, and in which blocks they stand (after_block < block <= the watermark).
create table clearing.window_tallies (
    window_id text not null references clearing.windows,
    partition smallint not null,
    issuer_id text not null,
    operator_id text not null,
    currency char(3) not null,
    code smallint not null check (code > 0),
    from_minor bigint not null,
    items bigint not null check (items > 0),
    minor bigint not null,
    after_block bigint not null check (after_block >= 0),
    primary key (window_id, issuer_id, operator_id, currency, partition, code, from_minor)
);

-- How far a closed window's money is, said by settlement: both by currency.
create table clearing.settlement_facts (
    window_id text not null references clearing.windows,
    currency char(3) not null,
    fact text not null check (fact in ('settling', 'settled')),
    at timestamptz not null,
    primary key (window_id, currency, fact)
);

-- Figures begin where the last day ended: what it took is not booked as cleared before that block.
insert into clearing.followed (partition, block, transfers)
select partition, max(up_to_block), 0 from clearing.watermarks group by partition;
insert into clearing.tallies (partition, account_id, code, from_minor, items, minor, after_block)
select p.partition, a.account_id, 0, -4611686018427387904, 0, p.gross_minor, 0
from clearing.positions p
join clearing.position_accounts a using (partition, issuer_id, operator_id, currency)
where p.window_id = (select window_id from clearing.windows order by number desc limit 1);
insert into clearing.tallies (partition, account_id, code, from_minor, items, minor, after_block)
select a.partition, a.account_id, t.code, -4611686018427387904, 0, 0, f.block
from clearing.position_accounts a
join clearing.followed f using (partition)
cross join (values (2), (3), (10), (11), (12), (14), (15)) as t (code)
where f.block > 0;

create or replace function clearing.refuse_change() returns trigger language plpgsql as $$
begin
    raise exception 'what is cleared never changes: % of clearing.%', lower(tg_op), tg_table_name
        using errcode = 'restrict_violation', hint = 'Book a correction; it clears with the window in which it is booked.';
end
$$;

create function clearing.refuse_addition() returns trigger language plpgsql as $$
begin
    if exists (select from clearing.closings c where c.window_id = new.window_id) then
        raise exception 'window % is closed: nothing can be added to clearing.%', new.window_id, tg_table_name
            using errcode = 'restrict_violation', hint = 'Book it; it clears with the window in which it is booked.';
    end if;
    return new;
end
$$;

create function clearing.refuse_disorder() returns trigger language plpgsql as $$
begin
    if new.number <> 1 + (select coalesce(max(number), 0) from clearing.windows where model_id = new.model_id) then
        raise exception 'window % is not the next one of model %', new.window_id, new.model_id
            using errcode = 'restrict_violation', hint = 'Windows of a model are decided one after the other.';
    end if;
    return new;
end
$$;

create trigger models_never_change before update or delete or truncate on clearing.models
    for each statement execute function clearing.refuse_change();
create trigger model_decisions_never_change before update or delete or truncate on clearing.model_decisions
    for each statement execute function clearing.refuse_change();
create trigger window_tallies_never_change before update or delete or truncate on clearing.window_tallies
    for each statement execute function clearing.refuse_change();
create trigger settlement_facts_never_change before update or delete or truncate on clearing.settlement_facts
    for each statement execute function clearing.refuse_change();

create trigger windows_in_order before insert on clearing.windows
    for each row execute function clearing.refuse_disorder();
create trigger no_late_watermarks before insert on clearing.watermarks
    for each row execute function clearing.refuse_addition();
create trigger no_late_positions before insert on clearing.positions
    for each row execute function clearing.refuse_addition();
create trigger no_late_net_positions before insert on clearing.net_positions
    for each row execute function clearing.refuse_addition();
create trigger no_late_window_totals before insert on clearing.window_totals
    for each row execute function clearing.refuse_addition();
create trigger no_late_window_tallies before insert on clearing.window_tallies
    for each row execute function clearing.refuse_addition();
