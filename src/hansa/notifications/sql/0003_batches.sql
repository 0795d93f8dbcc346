-- batch_id: the one e-mail in which a message goes together with others, written down before it is handed over; null where
-- it goes by itself, or was not begun. Whoever goes on after a kill hands over the same e-mail under the same id.
alter table notifications.messages add column batch_id uuid;

create index messages_together on notifications.messages (partition, account_id) where digest and next_at is not null;
