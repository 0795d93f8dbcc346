create schema payments;

-- What one unit of base buys of quote on a day, exactly. A rate once set never changes: refunds come back to it.
create table payments.rates (
    rate_day date not null,
    base char(3) not null,
    quote char(3) not null,
    numerator bigint not null check (numerator > 0),
    denominator bigint not null check (denominator > 0),
    primary key (rate_day, base, quote),
    constraint rates_join_two_currencies check (base <> quote)
);

create table payments.wallets (
    partition smallint not null,
    account_id uuid not null,
    currency char(3) not null,
    primary key (partition, account_id, currency)
);

create table payments.top_ups (
    partition smallint not null,
    top_up_id uuid not null,
    account_id uuid not null,
    issuer_id text not null,
    amount_minor bigint not null check (amount_minor > 0),
    currency char(3) not null,
    top_up_at timestamptz not null,
    state text not null check (state in ('intended', 'posted')),
    primary key (partition, top_up_id)
) with (fillfactor = 80);

create index top_ups_by_account on payments.top_ups (partition, account_id, top_up_at desc);

-- One row per charge: the intent is written before the ledger is asked, the outcome after it answered.
-- wallet_minor is in the wallet's currency and risk_minor in the payee's: above zero taken, below zero given back.
create table payments.charges (
    partition smallint not null,
    charge_id uuid not null,
    account_id uuid not null,
    issuer_id text not null,
    wallet_currency char(3) not null,
    amount_minor bigint not null check (amount_minor <> 0),
    currency char(3) not null,
    payee uuid not null,
    charge_at timestamptz not null,
    rate_day date not null,
    reference uuid not null,
    code smallint not null,
    wallet_minor bigint not null,
    risk_minor bigint not null,
    state text not null check (state in ('intended', 'posted')),
    primary key (partition, charge_id),
    constraint charge_is_carried_by_wallet_or_risk check (wallet_minor <> 0 or risk_minor <> 0),
    constraint charge_has_one_direction check (
        case when amount_minor > 0
            then wallet_minor >= 0 and risk_minor >= 0
            else wallet_minor <= 0 and risk_minor <= 0
        end
    ),
    constraint charge_is_on_risk_wholly check (risk_minor in (0, amount_minor) or amount_minor < 0)
) with (fillfactor = 80);

create index charges_by_account on payments.charges (partition, account_id, charge_at desc);
create index charges_unfinished on payments.charges (partition, charge_id) where state = 'intended';

-- What a rider owes the issuer for fares that were carried on risk: the sum of risk_minor, held so that two
-- give-backs at once cannot both take the same debt away.
create table payments.debts (
    partition smallint not null,
    account_id uuid not null,
    issuer_id text not null,
    currency char(3) not null,
    owed_minor bigint not null,
    primary key (partition, account_id, issuer_id, currency),
    constraint debts_are_never_repaid_twice check (owed_minor >= 0)
) with (fillfactor = 70);
