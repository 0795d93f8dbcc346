create schema reconciliation;

-- Proofs of business days, each as it came out at one instant; proving a day again adds another. steps: what each step
-- counted, its sums by currency, what still waits, how much is not explained, and the first of that by name.
create table reconciliation.proofs (
    day date not null,
    number integer not null check (number > 0),
    made_at timestamptz not null,
    made_by text not null,
    verdict text not null check (verdict in ('holds', 'waits', 'fails')),
    windows text[] not null,
    steps jsonb not null check (jsonb_typeof(steps) = 'array'),
    primary key (day, number)
);

-- How a member's own files are read and matched, one profile for each member. A change is a new version; the highest holds.
create table reconciliation.profiles (
    member_id text not null,
    version integer not null check (version > 0),
    profile text not null,                            -- TOML
    set_by text not null,
    set_at timestamptz not null,
    primary key (member_id, version)
);

-- Files of members about business days, and what matching them came to. A later file of the same member and days takes the
-- place of one before.
create table reconciliation.files (
    file_id uuid primary key,
    number bigint generated always as identity unique,
    member_id text not null,
    first_day date not null,
    last_day date not null,
    name text not null,
    digest bytea not null check (octet_length(digest) = 32),
    profile_version integer not null,
    theirs bigint not null check (theirs >= 0),       -- rows of the file
    ours bigint not null check (ours >= 0),           -- items of ours
    read_by text not null,
    read_at timestamptz not null,
    constraint a_file_ends_after_it_begins check (first_day <= last_day),
    unique (member_id, first_day, last_day, digest)
);

-- The rows of both sides. n: of theirs, the row in the file from one; of ours, the item in order of booking.
-- minor: what it adds to what the member is to receive. ref: the id that both sides should know. Written by the million in
-- the transaction that writes their file, so without foreign keys.
create table reconciliation.rows (
    file_id uuid not null,
    side char(1) not null check (side in ('o', 't')),
    n bigint not null check (n > 0),
    ref text not null,
    minor bigint not null,
    currency char(3) not null,
    at timestamptz not null,
    transfer_id uuid,
    words text not null default '',
    primary key (file_id, side, n),
    constraint only_ours_are_transfers check ((side = 'o') = (transfer_id is not null))
);

-- What was matched, by a rule or by two persons. difference_minor: theirs less ours.
create table reconciliation.matches (
    file_id uuid not null references reconciliation.files,
    match_no bigint not null check (match_no > 0),
    rule text not null,
    difference_minor bigint not null,
    why text not null,
    made_by text not null,
    seconded_by text not null default '',
    made_at timestamptz not null,
    primary key (file_id, match_no),
    constraint by_hand_it_takes_two check (rule <> 'by hand' or seconded_by not in ('', made_by))
);

-- turn: how often this row was matched and undone before. No row is in two matches that stand.
create table reconciliation.matched (
    file_id uuid not null,
    side char(1) not null,
    n bigint not null,
    turn integer not null default 0 check (turn >= 0),
    match_no bigint not null,
    constraint no_row_is_matched_twice primary key (file_id, side, n, turn)
);
create index matched_by_match on reconciliation.matched (file_id, match_no);

create table reconciliation.undone (
    file_id uuid not null,
    match_no bigint not null,
    why text not null,
    made_by text not null,
    seconded_by text not null,
    made_at timestamptz not null,
    primary key (file_id, match_no),
    foreign key (file_id, match_no) references reconciliation.matches,
    constraint undoing_takes_two check (seconded_by <> made_by)
);

-- What one person wants matched, or undone, until a second decides on it.
create table reconciliation.proposals (
    proposal_id uuid primary key,
    file_id uuid not null references reconciliation.files,
    what text not null check (what in ('match', 'undo')),
    ours bigint[] not null,
    theirs bigint[] not null,
    match_no bigint,                                  -- to be undone
    why text not null check (why <> ''),
    made_by text not null,
    made_at timestamptz not null,
    constraint it_names_what_it_is_about check (
        what = 'match' and match_no is null and cardinality(ours) + cardinality(theirs) > 0
        or what = 'undo' and match_no is not null)
);
create table reconciliation.decisions (
    proposal_id uuid primary key references reconciliation.proposals,
    decision text not null check (decision in ('approved', 'refused')),
    why text not null,
    decided_by text not null,
    decided_at timestamptz not null
);

create function reconciliation.refuse_change() returns trigger language plpgsql as $$
begin
    raise exception 'what was reconciled is never rewritten: % of reconciliation.%', lower(tg_op), tg_table_name
        using errcode = 'restrict_violation', hint = 'Undo a match, or read another file: both are facts of their own.';
end
$$;

create trigger proofs_never_change before update or delete or truncate on reconciliation.proofs
    for each statement execute function reconciliation.refuse_change();
create trigger files_never_change before update or delete or truncate on reconciliation.files
    for each statement execute function reconciliation.refuse_change();
create trigger rows_never_change before update or delete or truncate on reconciliation.rows
    for each statement execute function reconciliation.refuse_change();
create trigger matches_never_change before update or delete or truncate on reconciliation.matches
    for each statement execute function reconciliation.refuse_change();
create trigger matched_never_change before update or delete or truncate on reconciliation.matched
    for each statement execute function reconciliation.refuse_change();
create trigger undone_never_change before update or delete or truncate on reconciliation.undone
    for each statement execute function reconciliation.refuse_change();
create trigger proposals_never_change before update or delete or truncate on reconciliation.proposals
    for each statement execute function reconciliation.refuse_change();
create trigger decisions_never_change before update or delete or truncate on reconciliation.decisions
    for each statement execute function reconciliation.refuse_change();
