-- How much of its rate each bucket has used. Unlogged: losing it in a crash only gives everybody a full bucket again, and a
-- taking costs no write-ahead log. No index but the key, and pages half empty: a taking changes its row in place.
-- Microseconds, not timestamps and intervals: all of it is sums.
create unlogged table store.throttles (
    partition smallint not null,
    bucket bytea not null check (octet_length(bucket) = 16),  -- a digest: names of buckets hold addresses of people
    free_us bigint not null,                                  -- since 1970: when the bucket is full again
    full_us bigint not null check (full_us > 0),              -- how long it takes from empty to full
    each_us bigint not null check (each_us > 0),              -- what its newest taking cost of that, for each
    granted integer not null,                                 -- how many its newest taking was given
    primary key (partition, bucket)
) with (fillfactor = 50);
