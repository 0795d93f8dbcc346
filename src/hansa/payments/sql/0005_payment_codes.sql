-- Which payer codes have paid: a code is good once, for one payment. One row for each counter of a token that was used.
-- A row may go once its token has ended, for the code cannot come back then.
create table payments.used_codes (
    partition smallint not null,
    cti bytea not null check (length(cti) = 8),
    counter integer not null check (counter between 0 and 65535),
    account_id uuid not null,
    phone_id uuid not null,
    payment_id uuid not null,
    code_text text not null,
    made_at timestamptz not null,
    used_at timestamptz not null,
    primary key (partition, cti, counter)
);

create index used_codes_by_account on payments.used_codes (partition, account_id, used_at desc);
