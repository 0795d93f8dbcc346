-- Who a member is to a tax office. A change is a new row; of several that began, the latest holds.
create table reports.parties (
    member_id text not null,
    valid_from date not null,
    legal_name text not null,
    street text not null,
    city text not null,
    post_code text not null,
    country char(2) not null check (country ~ '^[A-Z]{2}$'),
    tax_number text not null,
    set_by text not null,
    set_at timestamptz not null,
    primary key (member_id, valid_from)
);

-- Held while a seller's next number is given: the row says how many there are.
create table reports.sellers (
    seller_id text primary key,
    invoices integer not null default 0 check (invoices >= 0)
);

-- Invoices and credit notes, numbered from one without gaps for each seller. net_minor: as it adds to what the buyer owes,
-- so a credit note's is below zero. body: the whole document as JSON, from which paper and XML are made.
create table reports.invoices (
    seller_id text not null references reports.sellers,
    n integer not null check (n > 0),
    number text not null unique,
    kind text not null check (kind in ('invoice', 'credit note')),
    buyer_id text not null,
    currency char(3) not null,
    first_day date not null,
    last_day date not null,
    issued_on date not null,
    net_minor bigint not null check (net_minor <> 0),
    tax_minor bigint not null,
    body bytea not null,
    digest bytea not null check (octet_length(digest) = 32),
    made_by text not null,
    made_at timestamptz not null,
    primary key (seller_id, n),
    constraint a_credit_note_takes_away check ((kind = 'credit note') = (net_minor < 0)),
    constraint a_period_has_a_day check (first_day <= last_day)
);
create index invoices_of_period on reports.invoices (seller_id, buyer_id, currency, first_day, last_day);
create index invoices_of_buyer on reports.invoices (buyer_id, issued_on);

create function reports.refuse_gap() returns trigger language plpgsql as $$
begin
    if new.n <> 1 + (select coalesce(max(n), 0) from reports.invoices where seller_id = new.seller_id) then
        raise exception 'invoice % is not the next one of %', new.n, new.seller_id
            using errcode = 'restrict_violation', hint = 'Lock the seller, then take the number after the last.';
    end if;
    return new;
end
$$;

create trigger invoices_without_gaps before insert on reports.invoices
    for each row execute function reports.refuse_gap();
create trigger invoices_never_change before update or delete or truncate on reports.invoices
    for each statement execute function reports.refuse_change();
create trigger parties_never_change before update or delete or truncate on reports.parties
    for each statement execute function reports.refuse_change();
