-- Who a key is for, where a person acts with it; empty for a program's. All keys of one person are one person.
alter table trust.api_keys add column person text not null default ''
    check (person = '' or (person ~ '^[a-z0-9]+([._@-][a-z0-9]+)*$' and length(person) <= 60));
