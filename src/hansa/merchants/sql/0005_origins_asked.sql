-- second_owner: the shop's terms, as its acquirer set them: what owners change of the sites to go back to, another owner agrees to.
alter table merchants.merchants add column second_owner boolean not null default false;

-- Sites that an owner named and another one has not agreed to; one at a time for each shop.
create table merchants.origins_asked (
    merchant_id uuid primary key references merchants.merchants (merchant_id),
    asked_id uuid not null,
    origins text[] not null,
    asked_by uuid not null,
    asked_at timestamptz not null,
    expires_at timestamptz not null
);
