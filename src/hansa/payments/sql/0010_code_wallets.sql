-- From whose wallet a code paid, where whoever showed it spends from an owner's.
alter table payments.used_codes add column pays_from uuid;
