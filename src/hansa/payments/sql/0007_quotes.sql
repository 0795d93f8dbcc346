-- What an issuer asks for changing money of one currency into another: appended, the latest holds. into: empty is any.
create table payments.quote_terms (
    issuer_id text not null,
    currency char(3) not null,
    into_currency text not null check (into_currency ~ '^([A-Z]{3})?$'),
    set_at timestamptz not null,
    margin_bp smallint not null check (margin_bp between 0 and 2000),
    fee_minor bigint not null check (fee_minor >= 0),
    lasts_s smallint not null check (lasts_s between 60 and 600),
    set_by text not null,
    primary key (issuer_id, currency, into_currency, set_at)
);

-- Amounts and rate that are locked until expires_at; in the ledger partition of the account. A row never changes.
create table payments.quotes (
    partition smallint not null,
    quote_id uuid not null,
    account_id uuid not null,
    issuer_id text not null,
    pays_minor bigint not null check (pays_minor > 0),
    pays_currency char(3) not null,
    fee_minor bigint not null check (fee_minor >= 0 and fee_minor < pays_minor),
    gets_minor bigint not null check (gets_minor > 0),
    gets_currency char(3) not null check (gets_currency <> pays_currency),
    fixed text not null check (fixed in ('pays', 'gets')),
    numerator bigint not null check (numerator > 0),
    denominator bigint not null check (denominator > 0),
    margin_bp smallint not null,
    rate_day date not null,
    payee_key text not null,
    asked_by text not null,
    made_at timestamptz not null,
    expires_at timestamptz not null,
    primary key (partition, quote_id)
);

create index quotes_by_account on payments.quotes (partition, account_id, made_at desc);

-- What a quote was used for: it is used once, whoever of two comes first.
create table payments.quote_uses (
    partition smallint not null,
    quote_id uuid not null,
    subject text not null check (subject in ('payment', 'transfer')),
    subject_id uuid not null,
    used_at timestamptz not null,
    primary key (partition, quote_id)
);

-- A try to pay may be by a quote; that of the first one stands with the payment.
alter table payments.payers add column quote_id uuid;
