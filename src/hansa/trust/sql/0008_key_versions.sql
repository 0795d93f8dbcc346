-- The dated version of the interface that a key was made for: its requests are read and answered so, whatever came later.
-- Keys of before this was kept are of the first one. test: a key of a sandbox, with which no real money can be meant.
alter table trust.api_keys
    add column version date not null default '2026-11-17',
    add column test boolean not null default false;

create index api_keys_by_member on trust.api_keys (member_id, created_at);
