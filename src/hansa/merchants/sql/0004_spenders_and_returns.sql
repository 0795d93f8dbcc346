-- Who paid a sale from the payer's wallet, where it was not the payer: somebody whom they let spend.
alter table merchants.sales add column spender uuid;
create index sales_by_spender on merchants.sales (spender, begun_at desc) where spender is not null;

-- To which sites a payee's customers may go back once they paid: origins of its own, and no others.
create table merchants.return_origins (
    payee_id text not null,
    origin text not null check (length(origin) between 9 and 300),
    added_at timestamptz not null,
    added_by text not null,
    primary key (payee_id, origin)
);
