-- Who sent a transfer from its sender's wallet, where it was not the sender: somebody whom they let spend.
alter table wallets.transfers add column spender_id uuid;
create index transfers_of_spender on wallets.transfers (spender_id, created_at desc) where spender_id is not null;
