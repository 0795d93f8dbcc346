-- Who rides along on another's token, and what others read of taps in the order of their receipt.

-- xid: the transaction that took the tap in. Read below the oldest one still running, no tap can appear behind a reader.
alter table rides.taps
    add column companion smallint not null default 0,
    add column xid xid8 not null default pg_current_xact_id(),
    add constraint companion_has_a_number check (companion between 0 and 15);

create index taps_by_receipt on rides.taps (xid, tap_id);

alter table rides.journeys add column companion smallint not null default 0;

-- Codes that gates refused although their phone and their issuer signed them: they name a token, so somebody's.
create table rides.refused_codes (
    refused_id uuid primary key,           -- made from all that identifies it, so that telling it again is harmless
    gate_id text not null,
    operator_id text not null,
    at timestamptz not null,
    reason text not null,
    kid bytea not null,
    cti bytea not null,
    companion smallint not null check (companion between 0 and 15),
    counter bigint not null,
    made_at timestamptz not null,
    received_at timestamptz not null,
    xid xid8 not null default pg_current_xact_id()
);

create index refused_codes_by_receipt on rides.refused_codes (xid, refused_id);

-- Places where a gate's taps do not hold together. sequence: of the tap whose link, or whose neighbour before, is wrong.
create table rides.chain_breaks (
    break_id uuid primary key,
    gate_id text not null,
    operator_id text not null,
    sequence bigint not null,
    fault text not null check (fault in ('gap', 'mismatch', 'two_taps')),
    at timestamptz not null,               -- when the gate made that tap
    found_at timestamptz not null,
    healed_at timestamptz,                 -- a gap's missing tap came after all
    told_xid xid8                          -- since when others may read of it; null while a gap may still fill
);

create index chain_breaks_by_receipt on rides.chain_breaks (told_xid, break_id);
create index chain_breaks_of_gate on rides.chain_breaks (gate_id, sequence);

-- How far this room's own readers have come.
create table rides.marks (
    reader text primary key,
    xid xid8 not null,
    fact_id uuid not null
);

-- Taps of tokens that no issuer has told of yet: kept until one does, then taken in as if they had come then.
create table rides.waiting_taps (
    gate_id text not null,
    sequence bigint not null,
    digest bytea not null,
    operator_id text not null,
    cti bytea not null,
    body jsonb not null,                   -- the tap as the gate wrote it
    received_at timestamptz not null,
    refused text,                          -- why it was not taken in once its token was known; null while it waits
    primary key (gate_id, sequence, digest)
);

create index waiting_taps_of_token on rides.waiting_taps (cti) where refused is null;
