-- How far what becomes of settlement windows was heard of, for payments: one row.
create table payments.windows_heard (
    one boolean primary key default true check (one),
    xid bigint not null,
    seq bigint not null
);
insert into payments.windows_heard (xid, seq) values (0, 0);
