-- What rated days cost most was written and never looked for. Journeys of a day lie together, since days are rated one
-- after another: a range of pages finds them. Charges are asked for by their journey or because they wait.
create index journeys_by_day on rides.journeys using brin (service_day) with (pages_per_range = 16, autosummarize = on);
drop index rides.journeys_of_day;
drop index rides.charges_of_day;

-- An account's days without the operator between: comparing that text was part of what each entry cost, and few
-- accounts ride with more than one on a day.
create index journeys_by_account on rides.journeys (partition, account_id, service_day);
drop index rides.journeys_of_account;

-- The steps as text, as rating by the column writes them; null where they stand in steps, and then steps is not.
-- To read a fare's reasons into jsonb took a fifth of what it cost to write a journey.
alter table rides.journeys
    add column steps_text text,
    alter column steps drop not null,
    add constraint steps_stand_once check ((steps is null) <> (steps_text is null)) not valid;
