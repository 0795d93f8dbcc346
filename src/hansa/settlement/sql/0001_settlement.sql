create schema settlement;

-- What the bank is told to move for a day: one row per member and currency whose net is not zero. The names and
-- accounts are those of the moment of instruction, so that the file can be written again byte for byte.
create table settlement.instructions (
    end_to_end_id text primary key,
    day date not null,
    currency char(3) not null,
    member_id text not null,
    direction text not null check (direction in ('in', 'out')),
    amount_minor bigint not null check (amount_minor > 0),
    message_id text not null,
    name text not null,
    account text not null,
    unique (day, currency, member_id)
);

create index instructions_by_message on settlement.instructions (message_id);

create table settlement.files (
    message_id text primary key,
    day date not null,
    currency char(3) not null,
    created_at timestamptz not null,
    holder text not null,
    account text not null,
    control_sum_minor bigint not null check (control_sum_minor > 0),
    transactions integer not null check (transactions > 0),
    digest bytea not null check (octet_length(digest) = 32),
    unique (day, currency)
);

create table settlement.statements (
    statement_id text primary key,
    currency char(3) not null,
    digest bytea not null check (octet_length(digest) = 32),
    entries integer not null,
    read_at timestamptz not null
);

-- An instruction that the bank has carried out as told. Once: a second entry for it is a break.
create table settlement.matches (
    end_to_end_id text primary key references settlement.instructions,
    statement_id text not null references settlement.statements,
    entry integer not null,
    booked_day date not null,
    unique (statement_id, entry)
);

-- What a statement says and we did not, or we said and it does not. entry is its place in the statement, counted
-- from one; for what is missing from a statement it counts on, below zero.
create table settlement.breaks (
    statement_id text not null references settlement.statements,
    entry integer not null,
    kind text not null check (kind in (
        'unknown', 'amount', 'currency', 'direction', 'duplicate', 'not_booked', 'missing')),
    end_to_end_id text not null,
    expected_minor bigint,
    found_minor bigint,
    currency char(3) not null,
    detail text not null,
    found_at timestamptz not null,
    primary key (statement_id, entry)
);

-- A currency of a day whose money has all moved, after the ledger has it.
create table settlement.settled (
    day date not null,
    currency char(3) not null,
    settled_at timestamptz not null,
    primary key (day, currency)
);
