-- Whose bank account it is: the person whose proved name the bank knew its holder by. One that was added before names
-- were proved has none, and is neither paid nor pulled until it is added again.
alter table wallets.bank_accounts add column person_id uuid;

-- Money that came from a bank and that the wallet may not hold: aside, until there is room or it goes back.
alter table wallets.top_ups drop constraint top_ups_state_check;
alter table wallets.top_ups add constraint top_ups_state_check check (state in ('processing', 'sent', 'unknown',
    'settling', 'aside', 'settled', 'failed', 'returning', 'returned'));
