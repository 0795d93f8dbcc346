-- digest_at: the minute of their home city's day at which a person's e-mails that can wait come together; null: each by itself.
alter table notifications.people
    add column digest_at smallint constraint people_digest_at_is_a_time check (digest_at between 0 and 1439);

-- Messages that come together with others.
alter table notifications.messages add column digest boolean not null default false;

-- How far each partition of the books was read for what they tell persons.
create table notifications.books_read (
    partition integer primary key,
    block bigint not null
);

-- When a person is told that a wallet runs low. wallet: its account in the books. is_low: they were told, and it still is.
create table notifications.low_marks (
    partition integer not null,
    account_id uuid not null,
    currency char(3) not null,
    wallet uuid not null,
    low_minor bigint not null check (low_minor > 0),
    is_low boolean not null default false,
    set_at timestamptz not null,
    primary key (partition, account_id, currency)
);

-- What a person plans to spend in a month on a category ('all' for all of it).
-- told_month, told_percent: of which month they were told what last: 80 or 100.
create table notifications.budgets (
    partition integer not null,
    account_id uuid not null,
    currency char(3) not null,
    category text not null check (category ~ '^[a-z_]{2,20}$'),
    wallet uuid not null,
    minor bigint not null check (minor > 0),
    set_at timestamptz not null,
    told_month date,
    told_percent smallint not null default 0 check (told_percent in (0, 80, 100)),
    primary key (partition, account_id, currency, category)
);
