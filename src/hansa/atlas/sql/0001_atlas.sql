create schema atlas;

-- Small tables that hardly change: they stand whole on every database node.
-- A city's network is kept version by version; version 0 is a city of which nothing has been imported yet.

create table atlas.cities (
    city_id text primary key constraint cities_id_fits check (city_id ~ '^[a-z0-9]+(-[a-z0-9]+)*$'),
    version integer not null default 0 constraint cities_version_counts check (version >= 0)
);

create table atlas.versions (
    city_id text not null references atlas.cities,
    version integer not null constraint versions_from_one check (version >= 1),
    digest bytea not null constraint versions_digest_is_sha256 check (length(digest) = 32),
    imported_at timestamptz not null default now(),
    name text not null,
    local_name text not null,
    country char(2) not null,
    tz text not null,
    currency char(3) not null,
    day_starts time not null,
    character text not null,
    primary key (city_id, version)
);

create table atlas.operators (
    city_id text not null,
    version integer not null,
    operator_id text not null,
    name text not null,
    local_name text not null,
    primary key (city_id, version, operator_id),
    foreign key (city_id, version) references atlas.versions
);

create table atlas.stops (
    city_id text not null,
    version integer not null,
    stop_id text not null constraint stops_id_of_city check (starts_with(stop_id, city_id || '/')),
    name text not null,
    local_name text not null,
    lat double precision constraint stops_lat_in_degrees check (lat between -90 and 90),
    lon double precision constraint stops_lon_in_degrees check (lon between -180 and 180),
    zone text,
    code text,
    primary key (city_id, version, stop_id),
    foreign key (city_id, version) references atlas.versions,
    constraint stops_both_or_neither check ((lat is null) = (lon is null))
);

create table atlas.lines (
    city_id text not null,
    version integer not null,
    line_id text not null constraint lines_id_of_city check (starts_with(line_id, city_id || '/')),
    place integer not null,
    operator_id text not null,
    name text not null,
    mode text not null constraint lines_mode_known check (mode in ('metro', 'tram', 'bus', 'rail', 'ferry')),
    color text not null constraint lines_color_fits check (color ~ '^#[0-9A-F]{6}$'),
    loop boolean not null,
    own_fare boolean not null,
    primary key (city_id, version, line_id),
    foreign key (city_id, version, operator_id) references atlas.operators
);

create table atlas.calls (
    city_id text not null,
    version integer not null,
    line_id text not null,
    place integer not null,
    stop_id text not null,
    distance_m integer not null constraint calls_distance_not_negative check (distance_m >= 0),
    primary key (city_id, version, line_id, place),
    foreign key (city_id, version, line_id) references atlas.lines,
    foreign key (city_id, version, stop_id) references atlas.stops
);
