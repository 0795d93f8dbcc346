-- A member's net of one currency settled in another: what was offered, until when, and what was taken up. rate: how many
-- of the other currency one of the net's is, both in major units.
create table clearing.quotes (
    quote_id uuid primary key,                       -- made by whoever offers, so that sending it again is harmless
    provider_id text not null,
    member_id text not null check (member_id <> provider_id),
    net_currency char(3) not null,
    paid_currency char(3) not null check (paid_currency <> net_currency),
    rate_numerator numeric(30, 0) not null check (rate_numerator > 0),
    rate_denominator numeric(30, 0) not null check (rate_denominator > 0),
    expires_at timestamptz not null,
    quoted_by text not null,
    quoted_at timestamptz not null check (quoted_at < expires_at)
);

-- net_minor: the member's net as it was cleared. paid_minor: what stands in its place, of the same sign. The provider has
-- the one and owes the other, so in each currency the nets still sum to zero.
create table clearing.swaps (
    window_id text not null references clearing.windows,
    member_id text not null,
    net_currency char(3) not null,
    quote_id uuid not null unique references clearing.quotes,
    provider_id text not null check (member_id <> provider_id),
    paid_currency char(3) not null check (paid_currency <> net_currency),
    net_minor bigint not null check (net_minor <> 0),
    paid_minor bigint not null check (sign(paid_minor) in (0, sign(net_minor))),
    accepted_by text not null,
    accepted_at timestamptz not null,
    primary key (window_id, member_id, net_currency)
);

-- Swaps of which the ledger has both legs.
create table clearing.swap_postings (
    quote_id uuid primary key references clearing.swaps (quote_id),
    posted_at timestamptz not null
);

create trigger quotes_never_change before update or delete or truncate on clearing.quotes
    for each statement execute function clearing.refuse_change();
create trigger swaps_never_change before update or delete or truncate on clearing.swaps
    for each statement execute function clearing.refuse_change();
create trigger swap_postings_never_change before update or delete or truncate on clearing.swap_postings
    for each statement execute function clearing.refuse_change();
