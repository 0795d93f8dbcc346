-- Boxes that speak to the league: gates, validators, and what rides on vehicles. A device acts for one gate.
-- public_key: the box's own, DER (SubjectPublicKeyInfo); null until it has enrolled. facts: what an operator notes down.
create table trust.devices (
    device_id text primary key check (device_id ~ '^[a-z0-9]+([.-][a-z0-9]+)*$' and length(device_id) <= 64),
    kind text not null check (kind in ('gate', 'vehicle', 'validator')),
    member_id text not null references trust.members,
    gate_id text not null references trust.gates,
    vehicle text,
    roles text[] not null,
    public_key bytea,
    firmware text,
    status text not null check (status in ('invited', 'active', 'suspended', 'retired')),
    api_key_hash bytea,
    registered_at timestamptz not null,
    changed_at timestamptz not null
);
create index devices_by_member on trust.devices (member_id, device_id);
create index devices_by_gate on trust.devices (gate_id);

-- One-time codes with which a box enrols. Only the SHA-256 of a code is kept.
create table trust.device_codes (
    code_hash bytea primary key check (octet_length(code_hash) = 32),
    device_id text not null references trust.devices,
    made_at timestamptz not null,
    ends_at timestamptz not null,
    used_at timestamptz
);

-- Certificates given out; those ended before their time make the broker's revocation list. serial: 20 bytes at most.
create table trust.device_certificates (
    serial bytea primary key,
    device_id text not null references trust.devices,
    begins_at timestamptz not null,
    ends_at timestamptz not null,
    revoked_at timestamptz
);
create index device_certificates_by_device on trust.device_certificates (device_id, begins_at);

-- What a device said last. session: the connection it spoke on, so that the last will of an older one counts for nothing.
create table trust.device_states (
    device_id text primary key references trust.devices,
    connected boolean not null,
    since timestamptz not null,
    session text not null,
    last_seen_at timestamptz,
    clock_offset_ms bigint,
    trust_list bigint,
    deny_list bigint,
    deny_list_at timestamptz,
    settings bigint,
    sequence bigint,
    last_tap_at timestamptz,
    pending bigint,
    uptime_s bigint,
    firmware text,
    accepted bigint not null default 0,
    refused bigint not null default 0,
    tally jsonb not null default '{}',
    storage_free_pct smallint,
    battery_pct smallint,
    temperature_c smallint
);

-- Five minutes a row, a week long. accepted, refused: decisions in these minutes.
create table trust.device_telemetry (
    device_id text not null references trust.devices,
    slot timestamptz not null,
    messages bigint not null,
    accepted bigint not null,
    refused bigint not null,
    pending_max bigint,
    clock_offset_ms bigint,
    primary key (device_id, slot)
);
create index device_telemetry_by_slot on trust.device_telemetry (slot);

-- What a device is to be set to; the highest version counts. Versions are never reused, so an old one is known as old.
create table trust.device_settings (
    device_id text not null references trust.devices,
    version bigint not null,
    values jsonb not null,
    made_at timestamptz not null,
    made_by text not null,
    primary key (device_id, version)
);

-- When an operator wants to be told. threshold: in the unit that the words name.
create table trust.device_rules (
    rule text primary key,
    threshold bigint not null,
    words text not null,
    is_on boolean not null default true
);
insert into trust.device_rules (rule, threshold, words) values
    ('offline', 600, 'offline for more than %s s'),
    ('clock', 2000, 'clock off by more than %s ms'),
    ('list_old', 900, 'deny list not heard of for more than %s s'),
    ('pending', 500, 'more than %s taps not handed in'),
    ('certificate', 30, 'certificate ends within %s days'),
    ('refusals', 30, 'more than %s % of codes refused in 15 minutes, and three times as many as the day before'),
    ('storage', 10, 'less than %s % of storage free'),
    ('chain', 0, 'taps do not continue their chain');

-- Opened once, closed when it is over.
create table trust.device_alerts (
    alert_id uuid primary key,
    rule text not null references trust.device_rules,
    device_id text not null references trust.devices,
    opened_at timestamptz not null,
    closed_at timestamptz,
    facts jsonb not null
);
create unique index device_alerts_open on trust.device_alerts (rule, device_id) where closed_at is null;
create index device_alerts_by_device on trust.device_alerts (device_id, opened_at);
