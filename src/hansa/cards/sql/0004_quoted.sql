-- A card in a currency that the wallet has not is paid by a quote, which the attempt keeps: what a kill leaves goes on by it.
alter table cards.fees add column quote_id uuid;
