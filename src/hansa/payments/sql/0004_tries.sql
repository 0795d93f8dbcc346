-- As what approval knows a try to pay, so that an approval that was given leads back to the payment it is for.
alter table payments.payers add column spend_id uuid;
create index payers_by_spend on payments.payers (spend_id);
