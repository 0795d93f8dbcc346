-- How the league pays, one profile for each bank. A change is a new version; the highest holds.
create table settlement.banks (
    bank_id text not null,
    version integer not null check (version > 0),
    profile text not null,
    set_by text not null,
    set_at timestamptz not null,
    primary key (bank_id, version)
);

-- A day and currency may need several payments of a member: one for each counterparty, in pieces, and anew.
alter table settlement.instructions drop constraint instructions_day_currency_member_id_key;
alter table settlement.instructions
    add column counterparty text not null default '',
    add column piece integer not null default 0 check (piece >= 0),
    add column attempt integer not null default 0 check (attempt >= 0),
    add column replaces text unique references settlement.instructions,
    add check ((attempt = 0) = (replaces is null)),
    add unique (day, currency, member_id, counterparty, direction, piece, attempt);

alter table settlement.files drop constraint files_day_currency_key;
alter table settlement.files
    add column bank_id text not null default 'league-bank',
    add column form text not null default 'pain.001.001.09',
    add column part integer not null default 0 check (part >= 0),
    add column execution_day date,
    add unique (day, currency, part);

-- What was done with a file, by whom and why. A person does each thing with it once.
create table settlement.file_facts (
    message_id text not null references settlement.files,
    step text not null check (step in ('prepared', 'approved', 'released', 'sent', 'acknowledged', 'refused')),
    by_whom text not null,
    at timestamptz not null,
    why text not null,
    primary key (message_id, step, by_whom)
);

-- What a bank said of a payment, and when we asked. source: the message that says so.
create table settlement.payment_facts (
    end_to_end_id text not null references settlement.instructions,
    answer text not null check (answer in ('received', 'pending', 'accepted', 'rejected', 'asked')),
    source text not null,
    said_at timestamptz not null,
    by_whom text not null,
    at timestamptz not null,
    code text not null,
    why text not null,
    primary key (end_to_end_id, answer, source)
);

-- Every message that went to a bank or came from it, byte for byte. taken: false for one of which nothing was taken,
-- such as one that says something else under an id that was used before; why says so, and it waits for a person.
create table settlement.messages (
    bank_id text not null,
    direction text not null check (direction in ('out', 'in')),
    message_id text not null,
    digest bytea not null check (octet_length(digest) = 32),
    form text not null,
    about text not null,
    body bytea not null,
    signature bytea not null,
    at timestamptz not null,
    taken boolean not null,
    why text not null,
    primary key (bank_id, direction, message_id, digest)
);
create unique index messages_taken_once on settlement.messages (bank_id, direction, message_id) where taken;

-- The bank's receipt for a message of ours, as the bank signed it.
create table settlement.receipts (
    bank_id text not null,
    message_id text not null,
    body bytea not null,
    at timestamptz not null,
    primary key (bank_id, message_id)
);

-- Entries of statements that undo an earlier entry. breaks_*: the wrong entry that is put right; else the payment
-- that was booked has come back.
create table settlement.reversals (
    statement_id text not null references settlement.statements,
    entry integer not null,
    end_to_end_id text not null,
    booked_day date not null,
    break_statement_id text,
    break_entry integer,
    primary key (statement_id, entry),
    unique (break_statement_id, break_entry),
    foreign key (break_statement_id, break_entry) references settlement.breaks (statement_id, entry),
    check ((break_statement_id is null) = (break_entry is null))
);
create unique index reversals_returned_once on settlement.reversals (end_to_end_id) where break_entry is null;

alter table settlement.breaks drop constraint breaks_kind_check;
alter table settlement.breaks add check (kind in (
    'unknown', 'amount', 'currency', 'direction', 'duplicate', 'not_booked', 'missing', 'reversal'));
create index breaks_by_payment on settlement.breaks (end_to_end_id);

-- What a statement says of its account, so that one that is missing between two others is seen.
alter table settlement.statements
    add column account text,
    add column created_at timestamptz,
    add column opening_minor bigint,
    add column closing_minor bigint;
