-- What an attraction sells: a thing to enter, by slots of time with so many places each.
create table merchants.products (
    product_id uuid primary key,
    merchant_id uuid not null references merchants.merchants (merchant_id),
    name text not null,
    about text not null,
    entries smallint not null check (entries between 1 and 255),
    early_s integer not null check (early_s >= 0),
    refund_before_s integer check (refund_before_s >= 0),
    made_at timestamptz not null,
    ended_at timestamptz
);

create index products_by_merchant on merchants.products (merchant_id);

create table merchants.prices (
    product_id uuid not null references merchants.products (product_id),
    rider_class text not null check (rider_class in ('adult', 'child', 'senior', 'student')),
    amount_minor bigint not null check (amount_minor > 0),
    primary key (product_id, rider_class)
);

-- taken never passes capacity: the check is the last word, whatever raced.
create table merchants.slots (
    slot_id uuid primary key,
    product_id uuid not null references merchants.products (product_id),
    starts_at timestamptz not null,
    ends_at timestamptz not null,
    capacity integer not null check (capacity > 0),
    taken integer not null default 0,
    constraint slot_lasts check (ends_at > starts_at),
    constraint never_oversold check (taken between 0 and capacity),
    unique (product_id, starts_at)
) with (fillfactor = 70);

create table merchants.tickets (
    ticket_id uuid primary key,
    order_id uuid not null references merchants.qr_orders (order_id),
    slot_id uuid not null references merchants.slots (slot_id),
    product_id uuid not null,
    account_id uuid not null,
    rider_class text not null,
    price_minor bigint not null check (price_minor > 0),
    currency char(3) not null,
    state text not null check (state in ('held', 'valid', 'released', 'refunded')),
    bought_at timestamptz not null,
    refund_id uuid
);

create index tickets_by_order on merchants.tickets (order_id);
create index tickets_by_account on merchants.tickets (account_id, bought_at desc);

-- The tokens that phones got for a ticket; of one ticket at most one is good, the others are on the deny list.
create table merchants.ticket_tokens (
    cti bytea primary key check (length(cti) = 8),
    ticket_id uuid not null references merchants.tickets (ticket_id),
    phone_id uuid not null,
    token bytea not null,
    given_at timestamptz not null,
    ended_at timestamptz
);

create unique index one_good_token_of_a_ticket on merchants.ticket_tokens (ticket_id) where ended_at is null;

-- Entries as gates handed them in.
create table merchants.entries (
    tap_id uuid primary key,
    ticket_id uuid not null references merchants.tickets (ticket_id),
    merchant_id uuid not null,
    gate_id text not null,
    counter integer not null,
    entered_at timestamptz not null
);

create index entries_by_ticket on merchants.entries (ticket_id);
create index entries_by_merchant on merchants.entries (merchant_id, entered_at desc);
