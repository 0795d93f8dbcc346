create schema merchants;

-- A shop, and what it asked for: a person applies, its acquirer opens or refuses it.
create table merchants.merchants (
    merchant_id uuid primary key,
    member_id text not null,
    name text not null,
    local_name text not null,
    category char(4) not null check (category ~ '^[0-9]{4}$'),
    city_id text not null,
    country char(2) not null,
    currency char(3) not null,
    tz text not null,
    address text not null,
    fee_bp integer not null default 0 check (fee_bp between 0 and 1000),
    status text not null check (status in ('applied', 'open', 'refused', 'closed')),
    applied_by uuid not null,
    applied_at timestamptz not null,
    decided_by text not null default '',
    decided_at timestamptz,
    reason text not null default ''
);

create index merchants_by_member on merchants.merchants (member_id, status, applied_at desc);

-- Who may act for a shop. One owner at least, since the one who applied is one and an owner cannot end themselves.
create table merchants.people (
    merchant_id uuid not null references merchants.merchants (merchant_id),
    account_id uuid not null,
    role text not null check (role in ('owner', 'cashier')),
    added_at timestamptz not null,
    ended_at timestamptz,
    primary key (merchant_id, account_id)
);

create index people_by_account on merchants.people (account_id) where ended_at is null;

create table merchants.invites (
    secret_hash bytea primary key,
    merchant_id uuid not null references merchants.merchants (merchant_id),
    role text not null check (role in ('owner', 'cashier')),
    made_by uuid not null,
    expires_at timestamptz not null,
    used_by uuid
);

create table merchants.tills (
    merchant_id uuid not null references merchants.merchants (merchant_id),
    label text not null,
    opened_at timestamptz not null,
    closed_at timestamptz,
    primary key (merchant_id, label)
);

-- What a shop asks to be paid, shown as a code; paid once. Of two payers the row's lock lets one in.
create table merchants.qr_orders (
    order_id uuid primary key,
    merchant_id uuid not null references merchants.merchants (merchant_id),
    kind text not null check (kind in ('sale', 'tickets')),
    amount_minor bigint not null check (amount_minor > 0),
    currency char(3) not null,
    tip_kind text not null check (tip_kind in ('none', 'prompt', 'fixed', 'percentage')),
    tip_value bigint not null check (tip_value >= 0),
    bill_number text not null,
    description text not null,
    till text not null,
    made_by text not null,
    made_at timestamptz not null,
    expires_at timestamptz not null,
    state text not null check (state in ('open', 'claimed', 'paid', 'expired', 'canceled')),
    attempts integer not null default 0,
    payment_id uuid,
    claimed_at timestamptz,
    ended_at timestamptz,
    constraint order_lasts check (expires_at > made_at),
    constraint claimed_or_paid_by_a_payment check ((state in ('claimed', 'paid')) = (payment_id is not null))
);

create index qr_orders_by_merchant on merchants.qr_orders (merchant_id, made_at desc);
create index qr_orders_unfinished on merchants.qr_orders (expires_at) where state in ('open', 'claimed');

-- What was bought from a shop: the intent before the payment, its outcome after. All that the shop's day is made of.
create table merchants.sales (
    payment_id uuid primary key,
    merchant_id uuid not null references merchants.merchants (merchant_id),
    order_id uuid references merchants.qr_orders (order_id),
    payer uuid not null,
    amount_minor bigint not null check (amount_minor > 0),
    tip_minor bigint not null check (tip_minor >= 0),
    currency char(3) not null,
    channel text not null check (channel in ('order', 'static', 'code')),
    bill_number text not null,
    till text not null,
    made_by text not null,
    begun_at timestamptz not null,
    state text not null check (state in ('begun', 'paid', 'failed')),
    paid_at timestamptz,
    refunded_minor bigint not null default 0 check (refunded_minor >= 0),
    fee_bp integer not null check (fee_bp >= 0),
    constraint paid_at_an_instant check ((state = 'paid') = (paid_at is not null)),
    constraint refunds_never_exceed_the_sale check (refunded_minor <= amount_minor + tip_minor)
);

create unique index sales_pay_an_order_once on merchants.sales (order_id) where state = 'paid';
create index sales_by_merchant on merchants.sales (merchant_id, begun_at desc);
create index sales_by_payer on merchants.sales (payer, begun_at desc);
create index sales_paid on merchants.sales (merchant_id, paid_at) where state = 'paid';
create index sales_unfinished on merchants.sales (begun_at) where state = 'begun';

create table merchants.refunds (
    refund_id uuid primary key,
    payment_id uuid not null references merchants.sales (payment_id),
    merchant_id uuid not null,
    amount_minor bigint not null check (amount_minor > 0),
    reason text not null,
    made_by text not null,
    asked_at timestamptz not null,
    state text not null check (state in ('asked', 'done', 'failed')),
    done_at timestamptz
);

create index refunds_by_payment on merchants.refunds (payment_id);
create index refunds_by_merchant on merchants.refunds (merchant_id, done_at);
create index refunds_unfinished on merchants.refunds (asked_at) where state = 'asked';
