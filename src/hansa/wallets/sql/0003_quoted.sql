-- A transfer by a quote: what the sender pays in another currency than what arrives, fee and all.
alter table wallets.transfers
    add column quote_id uuid,
    add column pays_minor bigint check (pays_minor > 0),
    add column pays_currency char(3),
    add column fee_minor bigint check (fee_minor >= 0),
    add constraint a_quote_is_whole check (
        (quote_id is null) = (pays_minor is null) and (quote_id is null) = (pays_currency is null)
        and (quote_id is null) = (fee_minor is null)
    ),
    add constraint a_link_has_no_quote check (quote_id is null or not is_link);
