-- On which day the bank booked an entry that does not agree; null for what no statement has.
alter table settlement.breaks add column booked_day date;
