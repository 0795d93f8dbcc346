-- What counts against the cap of a level in a calendar year: the year in which the counter's period begins.
alter table approval.counters
    add column year_minor bigint not null default 0,
    add constraint counters_year_not_below_zero check (year_minor >= 0);

update approval.counters c set year_minor = s.minor
from (
    select partition, account_id, currency, sum(minor) as minor from approval.uses
    where given_back_at is null and channel <> 'bank' and at >= date_trunc('year', now())
    group by partition, account_id, currency
) s
where (c.partition, c.holder_id, c.currency, c.scope) = (s.partition, s.account_id, s.currency, '');

-- Money on its way into a wallet: its place under the cap of what the wallet may hold, until it is in the books or came
-- to nothing. Written under the lock of the account.
create table approval.incoming (
    partition integer not null,
    incoming_id uuid not null,                 -- of the top-up or the transfer
    account_id uuid not null,
    currency char(3) not null,
    minor bigint not null constraint incoming_above_zero check (minor > 0),
    since timestamptz not null,
    primary key (partition, incoming_id)
);

create index incoming_of_account on approval.incoming (partition, account_id);
