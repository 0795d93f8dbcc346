create schema cards;

-- What an issuer offers. rider_class: the concession that the card proves. Ages are whole years, both ends included.
create table cards.products (
    product_id text primary key check (product_id ~ '^[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?$'),
    issuer_id text not null,
    city_id text not null,
    name text not null check (length(name) between 1 and 80),
    rider_class text not null check (rider_class in ('adult', 'child', 'senior', 'student')),
    face text not null check (face in ('sea', 'teal', 'amber', 'plum', 'slate')),
    min_level smallint not null check (min_level between 0 and 3),
    min_age smallint check (min_age between 0 and 150),
    max_age smallint check (max_age between 0 and 150),
    document text not null check (length(document) <= 80),
    valid_months smallint not null check (valid_months between 1 and 240),
    status text not null check (status in ('offered', 'withdrawn')),
    made_by text not null,
    made_at timestamptz not null,
    constraint products_ages_in_order check (min_age is null or max_age is null or min_age <= max_age)
);

create index products_by_issuer on cards.products (issuer_id, product_id);

-- A person's cards. number_box: the number, sealed with the holder's data key. valid_until: the last day it is good.
create table cards.cards (
    card_id uuid primary key,
    account_id uuid not null,
    product_id text not null references cards.products,
    state text not null check (state in ('applied', 'refused', 'active', 'suspended', 'expired', 'ended')),
    number_box bytea,
    number_end char(4),
    valid_until date,
    applied_at timestamptz not null,
    changed_at timestamptz not null,
    reason text not null,
    decided_by text not null,
    constraint cards_in_force_have_a_number check (
        state in ('applied', 'refused', 'ended') or (number_box is not null and valid_until is not null)
    )
);

create index cards_by_account on cards.cards (account_id, applied_at);
create index cards_waiting on cards.cards (applied_at, card_id) where state = 'applied';
create index cards_to_expire on cards.cards (valid_until) where state in ('active', 'suspended');

-- One card of a product at a time.
create unique index cards_once on cards.cards (account_id, product_id) where state in ('applied', 'active', 'suspended');

-- Whose a number is: found by a keyed digest, never read.
create table cards.numbers (
    digest bytea primary key check (length(digest) = 32),
    digest_version integer not null,
    card_id uuid not null references cards.cards
);

-- What happened to a card, appended.
create table cards.events (
    card_id uuid not null references cards.cards,
    n smallint not null check (n > 0),
    state text not null,
    at timestamptz not null,
    by_whom text not null,
    reason text not null,
    primary key (card_id, n)
);
