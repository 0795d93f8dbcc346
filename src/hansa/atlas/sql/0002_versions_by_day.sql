-- A version of a city holds from a day. Of those that have begun the one with the latest day holds, and of two with the
-- same day the later import; what was there before dates were kept has held for ever.
alter table atlas.versions add column valid_from date not null default '0001-01-01';

-- The Fares v2 of the feed a version came from, as JSON; small beside the network, and read whole.
create table atlas.fares_v2 (
    city_id text not null,
    version integer not null,
    fares bytea not null,
    primary key (city_id, version),
    foreign key (city_id, version) references atlas.versions
);
