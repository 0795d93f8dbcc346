-- Who let a device in or shut it out, and why. made_by: a caller's id, or the command line.
create table trust.device_changes (
    device_id text not null references trust.devices,
    number bigint not null,
    at timestamptz not null,
    status text not null check (status in ('invited', 'active', 'suspended', 'retired')),
    made_by text not null,
    reason text not null check (length(reason) <= 500),
    primary key (device_id, number)
);
