-- notice_h: how many hours before each payment its payee announces it, as the payer signed; 0: not at all.
-- lead_h: how many the payer wants now, no fewer. paused_until: nothing is taken before.
alter table approval.mandates
    add column notice_h smallint not null default 0,
    add column lead_h smallint not null default 0,
    add column paused_until timestamptz,
    add constraint mandates_notice_fits check (0 <= notice_h and notice_h <= lead_h and lead_h <= 720);

-- A payment under a mandate that its payee announced; it is taken by itself when it is due, unless its payer skips it.
-- pull_id is the payment's and the spend's too, so that it counts once.
create table approval.pulls (
    partition integer not null,
    pull_id uuid not null,
    mandate_id uuid not null,
    account_id uuid not null,                  -- the payer
    minor bigint not null constraint pulls_above_zero check (minor > 0),
    currency char(3) not null,
    reference text not null,
    announced_at timestamptz not null,
    due_at timestamptz not null,
    remind_at timestamptz,                     -- when its payer is told once more; null: they are not
    state text not null
        constraint pulls_state_known check (state in ('announced', 'skipped', 'called_off', 'taken', 'failed')),
    ended_at timestamptz,
    reason text not null default '',           -- why it failed: a code of /errors
    primary key (partition, pull_id),
    constraint pulls_end_at_an_instant check ((state = 'announced') = (ended_at is null)),
    constraint pulls_are_due_later check (announced_at <= due_at)
);

create index pulls_of_mandate on approval.pulls (mandate_id, due_at);
create index pulls_due on approval.pulls (due_at) where state = 'announced';
create index pulls_to_remind on approval.pulls (remind_at) where remind_at is not null;
