-- Who can be paid. member_id: the acquirer, who owes a payee what was paid.
create table payments.payees (
    payee_id text primary key check (payee_id ~ '^[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?$'),
    member_id text not null,
    name text not null,
    category text not null check (category ~ '^([0-9]{4})?$'),
    currency char(3) not null,
    status text not null check (status in ('open', 'paused', 'closed')),
    opened_at timestamptz not null
);

create index payees_by_member on payments.payees (member_id, payee_id);

-- Payments as they were asked for; a row never changes. partition: of the payment's own id, so that it is found by that
-- alone. payer: null where whoever comes may pay, who is then in payers.
create table payments.payments (
    partition smallint not null,
    payment_id uuid not null,
    payee_id text not null,
    acquirer_id text not null,
    amount_minor bigint not null check (amount_minor > 0),
    currency char(3) not null,
    method text not null check (method in ('wallet', 'mandate', 'code', 'connector')),
    channel text not null,
    capture text not null check (capture in ('automatic', 'manual')),
    payer uuid,
    issuer_id text,
    payer_partition smallint not null,                 -- of the ledger, where it is booked; of the payment, before
    mandate_id uuid,
    connector text not null,
    evidence text not null,
    reference text not null,
    description text not null,
    qr_order_id uuid,
    quote_id uuid,
    asked_by text not null,
    created_at timestamptz not null,
    expires_at timestamptz not null,
    digest bytea not null,
    primary key (partition, payment_id)
);

create index payments_by_payee on payments.payments (payee_id, created_at desc, payment_id desc);
create index payments_by_acquirer on payments.payments (acquirer_id, created_at desc, payment_id desc);
create index payments_by_payer on payments.payments (payer, created_at desc, payment_id desc) where payer is not null;
create index payments_by_order on payments.payments (qr_order_id) where qr_order_id is not null;

-- Who came to pay a payment that anybody may pay: each try is one.
create table payments.payers (
    partition smallint not null,
    payment_id uuid not null,
    attempt smallint not null check (attempt > 0),
    account_id uuid,
    issuer_id text not null,
    payer_partition smallint not null,
    method text not null,
    connector text not null,
    mandate_id uuid,
    at timestamptz not null,
    primary key (partition, payment_id, attempt)
);

create index payers_by_account on payments.payers (account_id, at desc) where account_id is not null;

-- What was done to payments, one row each, appended; the last row says how it stands. Of two who are at one payment the
-- second finds its number taken. Amounts are running sums but amount_minor, which is this step's own.
create table payments.steps (
    partition smallint not null,
    payment_id uuid not null,
    n smallint not null check (n > 0),
    action text not null,
    state text not null,
    at timestamptz not null,
    done_by text not null,
    amount_minor bigint not null,
    held_minor bigint not null check (held_minor >= 0),
    captured_minor bigint not null check (captured_minor >= 0),
    refunded_minor bigint not null check (refunded_minor >= 0),
    holds smallint not null,
    subject_id uuid,
    reason text not null,
    words text not null,
    primary key (partition, payment_id, n),
    constraint refunds_never_pass_captures check (refunded_minor <= captured_minor)
);

-- What is about to be done to a payment, while the ledger is asked: one at a time, so it is also the payment's lock.
create table payments.intents (
    partition smallint not null,
    payment_id uuid not null,
    action text not null,
    at timestamptz not null,
    done_by text not null,
    subject_id uuid not null,
    amount_minor bigint not null,
    final boolean not null,
    reason text not null,
    words text not null,
    primary key (partition, payment_id)
);

create index intents_by_age on payments.intents (at);

-- New payments of a batch, while the ledger is asked: one row for all of them.
create table payments.under_way (
    batch_id uuid primary key,
    partitions smallint[] not null,
    payment_ids uuid[] not null,
    begun_at timestamptz not null
);

-- Payments that somebody or something has to see to again: an offer or an approval that ends, money that is held, a
-- connector to be asked again.
create table payments.waiting (
    partition smallint not null,
    payment_id uuid not null,
    state text not null,
    due_at timestamptz not null,
    account_id uuid,
    held_minor bigint not null,
    primary key (partition, payment_id)
);

create index waiting_by_time on payments.waiting (due_at);
create index waiting_by_account on payments.waiting (account_id) where held_minor > 0;

create table payments.refunds (
    partition smallint not null,
    refund_id uuid not null,
    payment_id uuid not null,
    amount_minor bigint not null check (amount_minor > 0),
    currency char(3) not null,
    reference text not null,
    reason text not null,
    asked_by text not null,
    asked_at timestamptz not null,
    state text not null check (state in ('pending', 'settled', 'failed')),
    ended_at timestamptz,
    primary key (partition, refund_id)
);

create index refunds_by_payment on payments.refunds (partition, payment_id, asked_at);
