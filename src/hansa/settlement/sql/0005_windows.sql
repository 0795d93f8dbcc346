-- What was told to banks for a day is told for a window; a day's is that of the model "daily". The business day stays.
alter table settlement.instructions add column window_id text;
update settlement.instructions set window_id = 'daily-' || to_char(day, 'YYYYMMDD');
alter table settlement.instructions
    alter column window_id set not null,
    drop constraint instructions_day_currency_member_id_counterparty_direction__key,
    add unique (window_id, currency, member_id, counterparty, direction, piece, attempt);
create index instructions_by_window on settlement.instructions (window_id);

alter table settlement.files add column window_id text;
update settlement.files set window_id = 'daily-' || to_char(day, 'YYYYMMDD');
alter table settlement.files
    alter column window_id set not null,
    drop constraint files_day_currency_part_key,
    add unique (window_id, currency, part);

alter table settlement.settled add column window_id text;
update settlement.settled set window_id = 'daily-' || to_char(day, 'YYYYMMDD');
alter table settlement.settled
    drop constraint settled_pkey,
    drop column day,
    add primary key (window_id, currency);

-- Clearing is told how far its windows are; of those before, here.
insert into clearing.settlement_facts (window_id, currency, fact, at)
select window_id, currency, 'settling', min(created_at) from settlement.files group by window_id, currency
union all
select window_id, currency, 'settled', settled_at from settlement.settled;
