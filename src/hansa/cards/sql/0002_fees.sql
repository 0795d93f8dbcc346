-- What a card costs, and what its holder leaves for it until it comes back: of the product, in minor units.
alter table cards.products
    add column price_minor bigint not null default 0
        constraint products_price_in_range check (price_minor between 0 and 100000000),
    add column deposit_minor bigint not null default 0
        constraint products_deposit_in_range check (deposit_minor between 0 and 100000000),
    add column currency char(3) check (currency ~ '^[A-Z]{3}$'),
    add constraint products_money_has_a_currency check (currency is not null or price_minor + deposit_minor = 0);

-- replaces: the card that was lost. warn_on: the day on which its holder is told next that it runs out.
alter table cards.cards
    add column replaces uuid references cards.cards constraint cards_replaced_once unique,
    add column warn_on date;

update cards.cards set warn_on = valid_until - 30 where state = 'active';

create index cards_to_warn on cards.cards (warn_on) where state = 'active' and warn_on is not null;

-- What is paid for one card. cleared: its holder may have it, so it is good once it is paid.
-- attempt: of paying from the wallet; each has ids of its own in the ledger.
-- deposit: none, or where it stands: with the issuer, on its way back, back, on its way to the issuer, the issuer's.
create table cards.fees (
    card_id uuid primary key references cards.cards,
    partition smallint not null,
    account_id uuid not null,
    issuer_id text not null,
    currency char(3) not null,
    price_minor bigint not null check (price_minor >= 0),
    deposit_minor bigint not null check (deposit_minor >= 0),
    state text not null constraint fees_state_known check (state in ('due', 'approving', 'paying', 'paid', 'dropped')),
    cleared boolean not null,
    attempt smallint not null default 1,
    spend_id uuid constraint fees_spend_once unique,        -- what the last attempt is called where it is approved
    way text not null default '' constraint fees_way_known check (way in ('', 'wallet', 'counter')),
    by_whom text not null default '',
    asked_at timestamptz not null,
    moved_at timestamptz not null,
    deposit text not null default 'none'
        constraint fees_deposit_known check (deposit in ('none', 'held', 'returning', 'returned', 'keeping', 'kept')),
    deposit_to text not null default '' constraint fees_deposit_to_known check (deposit_to in ('', 'wallet', 'counter')),
    deposit_by text not null default '',
    constraint fees_cost_something check (price_minor + deposit_minor > 0),
    constraint fees_deposit_once_paid check (deposit = 'none' or (state = 'paid' and deposit_minor > 0))
);

create index fees_open on cards.fees (moved_at) where state in ('due', 'approving', 'paying');
create index fees_deposits_moving on cards.fees (moved_at) where deposit in ('returning', 'keeping');
create index fees_by_account on cards.fees (account_id);
