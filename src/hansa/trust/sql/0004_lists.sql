-- The league's key that signs deny lists and settings of devices; it stands on the trust list, and the root vouches for it.
alter table trust.versions add column list_key bytea check (octet_length(list_key) = 32);

-- A version of the trust list that no issuer's key made: the list key changed, or the list was signed anew (no kid).
alter table trust.key_changes alter column kid drop not null;
