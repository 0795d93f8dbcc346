create schema approval;

-- An issuer's own policy: what differs from the one that comes with Hansa. The greatest revision holds.
create table approval.policies (
    issuer_id text not null,
    revision integer not null,
    body text not null constraint policies_body_fits check (length(body) between 1 and 100000),
    set_at timestamptz not null,
    set_by text not null,
    primary key (issuer_id, revision)
);

-- What deciding needs of an account. Whoever decides on an account's spends, or changes what they may be, locks its row.
create table approval.accounts (
    partition integer not null,
    account_id uuid not null,
    issuer_id text not null,
    zone text not null,                        -- whose days and months count: the home city's time zone
    frozen_at timestamptz,
    frozen_by text constraint accounts_frozen_by_known check (frozen_by in ('owner', 'issuer')),
    frozen_for text,
    limited boolean not null default false,    -- the owner has set limits
    co_approved boolean not null default false, -- the owner has named a second person
    primary key (partition, account_id),
    constraint accounts_frozen_by_somebody check ((frozen_at is null) = (frozen_by is null))
);

-- What was spent in the present hour and the one before, day, and longer period, by holder: an account, a mandate, or a
-- delegation. Written under the lock of the account whose money it is.
create table approval.counters (
    partition integer not null,
    holder_id uuid not null,
    currency char(3) not null,
    scope text not null,                       -- empty, or a part of it: channel:qr, category:5411
    hour integer not null,                     -- hours since 1970
    hour_count integer not null,
    hour_minor bigint not null,
    before_count integer not null,
    before_minor bigint not null,
    day date not null,
    day_count integer not null,
    day_minor bigint not null,
    period date not null,                      -- its first day: of the month, or a mandate's own period
    period_minor bigint not null,
    primary key (partition, holder_id, currency, scope),
    constraint counters_not_below_zero
        check (hour_minor >= 0 and before_minor >= 0 and day_minor >= 0 and period_minor >= 0)
) with (fillfactor = 60);

-- Each spend that was allowed, once. It tells a repeat, and which counters to give back to.
create table approval.uses (
    partition integer not null,
    spend_id uuid not null,
    account_id uuid not null,
    at timestamptz not null,
    minor bigint not null constraint uses_above_zero check (minor > 0),
    currency char(3) not null,
    payee_key text not null,
    channel text not null,
    category text not null,
    level smallint not null,
    evidence uuid,                             -- the approval or the mandate
    under_id uuid,                             -- the mandate or the delegation whose counter it counts on
    given_back_at timestamptz,
    primary key (partition, spend_id)
);

create index uses_of_account on approval.uses (partition, account_id, at);

-- Whom an account has paid before.
create table approval.payees (
    partition integer not null,
    account_id uuid not null,
    payee_key text not null,
    first_at timestamptz not null,
    first_spend_id uuid not null,
    primary key (partition, account_id, payee_key)
);

-- Limits that owners set. A raise waits in next_minor until next_at; null there is no limit.
create table approval.limits (
    partition integer not null,
    account_id uuid not null,
    currency char(3) not null,
    scope text not null,
    span text not null constraint limits_span_known check (span in ('payment', 'day', 'month')),
    minor bigint constraint limits_not_below_zero check (minor >= 0),      -- null: none set
    next_minor bigint constraint limits_next_not_below_zero check (next_minor >= 0),
    next_at timestamptz,
    set_at timestamptz not null,
    primary key (partition, account_id, currency, scope, span)
);

-- Another account that may spend from this one's wallet.
create table approval.delegations (
    partition integer not null,
    delegation_id uuid not null,
    account_id uuid not null,                  -- whose money
    delegate_id uuid not null,
    kind text not null constraint delegations_kind_known check (kind in ('carer', 'child', 'employee', 'other')),
    currency char(3) not null,
    payment_minor bigint not null,
    day_minor bigint not null,
    month_minor bigint not null,
    ask_above_minor bigint,                    -- above this the owner agrees to each payment
    categories text[] not null,                -- allowed: 5411 or 5811-5814; none named: all
    categories_denied text[] not null,
    payees text[] not null,                    -- allowed payee keys; none named: all
    from_hour smallint not null,
    to_hour smallint not null,
    granted_at timestamptz not null,
    holds_from timestamptz not null,
    ends_at timestamptz not null,
    revoked_at timestamptz,
    revoked_by uuid,
    delegate_frozen boolean not null default false,
    primary key (partition, delegation_id),
    constraint delegations_caps_rise check (0 < payment_minor and payment_minor <= day_minor and day_minor <= month_minor),
    constraint delegations_hours_fit check (0 <= from_hour and from_hour < to_hour and to_hour <= 24),
    constraint delegations_not_to_oneself check (account_id <> delegate_id),
    constraint delegations_end_after_start check (holds_from < ends_at)
);

create index delegations_of_owner on approval.delegations (partition, account_id, delegate_id);
create index delegations_of_delegate on approval.delegations (delegate_id);

-- A payer's standing approval of what a payee pulls.
create table approval.mandates (
    partition integer not null,
    mandate_id uuid not null,
    account_id uuid not null,                  -- the payer
    payee_key text not null,
    payee_name text not null,
    member_id text not null,                   -- the member who asked for it; empty where the payer gave it unasked
    reference text not null,
    currency char(3) not null,
    each_minor bigint not null,
    period text not null constraint mandates_period_known check (period in ('day', 'week', 'month', 'year')),
    period_minor bigint not null,
    asked_at timestamptz not null,
    holds_from timestamptz,                    -- null until the payer approves
    ends_at timestamptz not null,
    revoked_at timestamptz,
    revoked_by text,
    primary key (partition, mandate_id),
    constraint mandates_caps_rise check (0 < each_minor and each_minor <= period_minor)
);

create index mandates_of_payer on approval.mandates (partition, account_id, asked_at);
create index mandates_of_member on approval.mandates (member_id, asked_at);
create index mandates_by_id on approval.mandates (mandate_id);
