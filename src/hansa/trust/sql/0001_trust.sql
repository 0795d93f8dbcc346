create schema trust;

-- Who belongs to the league. clears_as: the member that settles for this one (a city for its issuer and operator).
create table trust.members (
    member_id text primary key,
    name text not null,
    role text not null check (role in ('city', 'issuer', 'operator', 'bank', 'league')),
    city_id text,
    clears_as text not null references trust.members,
    account text not null
);

-- Devices that may hand in taps.
create table trust.gates (
    gate_id text primary key,
    operator_id text not null references trust.members,
    city_id text not null,
    stop_id text,
    line_id text,
    action text not null check (action in ('entry', 'exit', 'board')),
    product text not null,
    cell bytea not null check (octet_length(cell) = 3),
    facts jsonb not null
);
create index gates_by_operator on trust.gates (operator_id, gate_id);

-- Keys that sign ride tokens.
create table trust.issuer_keys (
    kid bytea primary key check (octet_length(kid) = 4),
    issuer_id text not null references trust.members,
    public_key bytea not null unique check (octet_length(public_key) = 32),
    not_before timestamptz not null,
    not_after timestamptz not null check (not_after > not_before),
    products text[] not null,
    status text not null check (status in ('active', 'retired', 'compromised'))
);

-- Every change of the keys is a version of the trust list; the newest is the list's number.
create table trust.key_changes (
    version bigint primary key,
    kid bytea not null references trust.issuer_keys,
    status text not null,
    changed_at timestamptz not null
);

-- The list as the league's root signed it: what gates fetch. The root's key is not needed to serve it.
create table trust.signed_lists (
    version bigint primary key,
    issued_at timestamptz not null,
    expires_at timestamptz not null,
    body bytea not null
);

-- Tokens that open no gate any more, until they would have ended by themselves.
create table trust.revoked_tokens (
    cti bytea primary key check (octet_length(cti) = 8),
    revoked_at timestamptz not null,
    expires_at timestamptz not null,
    version bigint not null
);
create index revoked_tokens_by_version on trust.revoked_tokens (version);

-- One row: its lock puts the versions of both lists in the order of their commits, so a reader misses none.
create table trust.versions (
    the_one boolean primary key default true check (the_one),
    trust_list bigint not null,
    deny_list bigint not null
);
insert into trust.versions (trust_list, deny_list) values (0, 0);

-- Keys of programs. Only the SHA-256 of a key is kept.
create table trust.api_keys (
    key_hash bytea primary key check (octet_length(key_hash) = 32),
    member_id text not null references trust.members,
    gate_id text references trust.gates,
    scopes text[] not null,
    created_at timestamptz not null,
    revoked_at timestamptz
);
