-- Tokens are issued to phones, some for days that have not begun, and may be ended before their time.
alter table rides.tokens
    add column begins_at timestamptz,              -- gates take it from then; null: 24 h before its end
    add column phone_id uuid,                      -- null: not issued here to a phone
    add column companions smallint not null default 0,
    add column issued_at timestamptz,
    add column policy integer,                     -- version of the policy that it was issued under
    add column ended_at timestamptz,               -- put on the deny list then, before its time
    add column ended_for text,
    add constraint companions_fit check (companions between 0 and 15),
    add constraint token_begins_before_it_ends check (begins_at < expires_at),
    add constraint token_ended_for_a_reason check ((ended_at is null) = (ended_for is null));

create index tokens_of_account on rides.tokens (account_id, expires_at);
create index tokens_of_phone on rides.tokens (phone_id, expires_at) where phone_id is not null;
