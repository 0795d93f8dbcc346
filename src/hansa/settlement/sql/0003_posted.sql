-- What of the bank's money is in the books: a payment that moved, and one whose money came back. What a statement has
-- and this has not is what a kill left.
create table settlement.posted (
    end_to_end_id text not null references settlement.instructions,
    what text not null check (what in ('moved', 'came back')),
    posted_at timestamptz not null,
    primary key (end_to_end_id, what)
);
