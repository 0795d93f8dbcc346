-- Quotes that nobody used are forgotten a day after their time was up.
create index quotes_by_end on payments.quotes (expires_at);
