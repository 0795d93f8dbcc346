create schema notifications;

-- How far the outbox was read: one row for each topic that becomes notices.
create table notifications.bookmarks (
    topic text primary key,
    xid bigint not null,
    seq integer not null
);

-- Whoever was told something: the number of their last notice, and how they want to be told.
-- quiet_from, quiet_to: minutes of their home city's day between which messages wait; both null: none do.
create table notifications.people (
    partition integer not null,
    account_id uuid not null,
    last_seq bigint not null default 0,
    quiet_from smallint constraint people_quiet_from_is_a_time check (quiet_from between 0 and 1439),
    quiet_to smallint constraint people_quiet_to_is_a_time check (quiet_to between 0 and 1439),
    amounts boolean not null default false,            -- text messages name amounts
    primary key (partition, account_id),
    constraint people_quiet_has_two_ends check ((quiet_from is null) = (quiet_to is null))
);

-- What a person was told, numbered without a gap. Each fact once: notice_id is worked out from it.
create table notifications.notices (
    partition integer not null,
    account_id uuid not null,
    seq bigint not null constraint notices_number_from_one check (seq > 0),
    notice_id uuid not null,
    kind text not null,
    at timestamptz not null,                           -- when it happened
    subject text not null,                             -- a later notice of it takes this one's place
    facts jsonb not null,
    made_at timestamptz not null,
    read_at timestamptz,
    primary key (partition, account_id, seq),
    constraint notices_once unique (partition, account_id, notice_id)
);

create index notices_unread on notifications.notices (partition, account_id, seq) where read_at is null;
create index notices_by_age on notifications.notices (made_at);

-- Where a person wants something else than the kind's own way.
create table notifications.settings (
    partition integer not null,
    account_id uuid not null,
    kind text not null,
    channel text not null constraint settings_channel_known check (channel in ('app', 'email', 'phone')),
    wanted boolean not null,
    set_at timestamptz not null,
    primary key (partition, account_id, kind, channel)
);

-- Notices that go out by e-mail or text message, each once: what hands it over twice hands over the same id.
create table notifications.messages (
    partition integer not null,
    account_id uuid not null,
    seq bigint not null,
    channel text not null constraint messages_channel_known check (channel in ('email', 'phone')),
    made_at timestamptz not null,
    next_at timestamptz,                               -- null once it is over
    leased_until timestamptz not null default 'epoch',
    tries integer not null default 0,
    outcome text not null default ''
        constraint messages_outcome_known check (outcome in ('', 'sent', 'no_contact', 'gave_up', 'read')),
    ended_at timestamptz,
    primary key (partition, account_id, seq, channel),
    constraint messages_end_with_an_outcome check ((next_at is null) = (outcome <> '' and ended_at is not null))
);

create index messages_due on notifications.messages (next_at) where next_at is not null;
create index messages_by_age on notifications.messages (made_at);
