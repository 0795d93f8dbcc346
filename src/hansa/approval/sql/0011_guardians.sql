-- A guardian stops a ward's spending too. What there is fits the new rule: it allows one word more.
alter table approval.accounts drop constraint accounts_frozen_by_known;

alter table approval.accounts
    add constraint accounts_frozen_by_known check (frozen_by in ('owner', 'guardian', 'issuer')) not valid;
