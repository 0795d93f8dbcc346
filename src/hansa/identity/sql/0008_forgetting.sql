-- Sessions and numbers to sign are let go of once they have ended, whoever's they were.
create index sessions_by_end on identity.sessions (expires_at);
create index nonces_by_end on identity.nonces (expires_at);
