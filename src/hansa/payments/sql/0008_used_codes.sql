-- A code is let go of by its age, and found again by the payment that it was used for.
create index used_codes_by_age on payments.used_codes (used_at);
create index used_codes_by_payment on payments.used_codes (payment_id);
