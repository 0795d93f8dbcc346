-- Refunds by when they were done: what a shop's day gave back, however it was asked for.
create index refunds_by_end on payments.refunds (ended_at, refund_id) where state = 'settled';
