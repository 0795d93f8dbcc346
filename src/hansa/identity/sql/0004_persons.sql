-- The key that seals what is known of an account's holder, itself wrapped. Without this row, all boxes stay closed.
create table identity.data_keys (
    account_id uuid primary key references identity.accounts,
    version integer not null constraint data_keys_version_counts check (version > 0),
    box bytea not null constraint data_keys_box_fits check (length(box) between 29 and 200),
    made_at timestamptz not null,
    wrapped_at timestamptz not null
);

create index data_keys_by_version on identity.data_keys (version, account_id);

-- An account that was deleted stays as an id in the books, and nobody signs in to it.
alter table identity.accounts add column closed_at timestamptz;

-- Ways to reach a person, each verified by a code. The value is sealed; the digest finds it.
create table identity.contacts (
    contact_id uuid primary key,
    account_id uuid not null references identity.accounts,
    kind text not null constraint contacts_kind_known check (kind in ('email', 'phone')),
    box bytea not null,
    digest bytea not null constraint contacts_digest_is_sha256 check (length(digest) = 32),
    digest_version integer not null,
    state text not null constraint contacts_state_known check (state in ('asked', 'verified', 'ended')),
    asked_at timestamptz not null,
    verified_at timestamptz,
    ended_at timestamptz,
    ended_for text constraint contacts_end_known check (ended_for in ('removed', 'recycled', 'replaced', 'deleted')),
    constraint contacts_verified_when check (state <> 'verified' or verified_at is not null),
    constraint contacts_ended_when check ((state = 'ended') = (ended_at is not null and ended_for is not null))
);

create index contacts_of_account on identity.contacts (account_id, asked_at);
create unique index contacts_asked_once on identity.contacts (account_id, digest) where state <> 'ended';

-- Whose a verified value is now: the latest who showed that it reaches them.
create table identity.contact_directory (
    digest bytea primary key,
    contact_id uuid not null references identity.contacts
);

-- The code that a contact waits for. Only its keyed digest is kept, and few tries are given.
create table identity.contact_codes (
    contact_id uuid primary key references identity.contacts,
    code_digest bytea not null,
    digest_version integer not null,
    tries_left smallint not null constraint contact_codes_tries_end check (tries_left >= 0),
    sent_at timestamptz not null,
    expires_at timestamptz not null
);

-- One human being, known by documents, with the accounts that they proved to be theirs.
create table identity.persons (
    person_id uuid primary key,
    known_at timestamptz not null
);

create table identity.person_accounts (
    account_id uuid primary key references identity.accounts,
    person_id uuid not null references identity.persons,
    joined_at timestamptz not null
);

create index person_accounts_of_person on identity.person_accounts (person_id);

-- One document is one person's in the whole league. Only the keyed digest of its number is here.
create table identity.documents (
    digest bytea primary key constraint documents_digest_is_sha256 check (length(digest) = 32),
    digest_version integer not null,
    person_id uuid not null references identity.persons,
    known_at timestamptz not null
);

create index documents_of_person on identity.documents (person_id);

-- Questions to a provider of proofs: is this the name, and is this the document? Asked again until it answers.
create table identity.proofings (
    proofing_id uuid primary key,
    account_id uuid not null references identity.accounts,
    provider text not null,
    kind text not null constraint proofings_kind_known check (kind in ('resident', 'passport', 'other')),
    wanted smallint not null constraint proofings_wanted_known check (wanted in (2, 3)),
    question bytea,                                -- sealed: the name and the document as they were given
    evidence bytea,                                -- sealed: what the provider said
    document_digest bytea not null,
    document_digest_version integer not null,
    body_digest bytea not null,                    -- of the whole question, so that a repeat is known as one
    state text not null
        constraint proofings_state_known check (state in ('asked', 'matched', 'not_matched', 'refused', 'lapsed', 'ended')),
    level smallint not null default 0 constraint proofings_level_known check (level in (0, 2, 3)),
    tries integer not null default 0,
    asked_at timestamptz not null,
    next_ask_at timestamptz,
    answered_at timestamptz,
    good_until date,
    ended_at timestamptz,
    ended_for text,
    constraint proofings_waits_when_asked check ((state = 'asked') = (next_ask_at is not null)),
    constraint proofings_match_has_level check (state <> 'matched' or (level > 0 and good_until is not null)),
    constraint proofings_ended_when check ((state = 'ended') = (ended_at is not null))
);

create index proofings_of_account on identity.proofings (account_id, asked_at);
create index proofings_waiting on identity.proofings (next_ask_at) where state = 'asked';
create index proofings_good_until on identity.proofings (good_until) where state = 'matched';
create unique index proofings_one_at_a_time on identity.proofings (account_id) where state = 'asked';

-- When a person was born: as they stated it, once, or as a proof says, which counts more. Sealed.
create table identity.births (
    account_id uuid primary key references identity.accounts,
    box bytea not null,
    source text not null constraint births_source_known check (source in ('stated', 'proof')),
    noted_at timestamptz not null
);

-- Who answers for a minor. A ward invites; whoever has the words of the invitation accepts.
create table identity.guardianships (
    guardianship_id uuid primary key,
    ward_id uuid not null references identity.accounts,
    guardian_id uuid references identity.accounts,
    invitation bytea constraint guardianships_invitation_is_sha256 check (length(invitation) = 32),
    state text not null constraint guardianships_state_known check (state in ('asked', 'accepted', 'ended')),
    rights text[] not null,
    asked_at timestamptz not null,
    expires_at timestamptz not null,
    accepted_at timestamptz,
    ended_at timestamptz,
    ended_for text constraint guardianships_end_known
        check (ended_for in ('withdrawn', 'lapsed', 'by_ward', 'by_guardian', 'by_issuer', 'majority', 'deleted')),
    looked_on date,
    constraint guardianships_not_of_oneself check (guardian_id is null or guardian_id <> ward_id),
    constraint guardianships_accepted_by_somebody check (state <> 'accepted' or guardian_id is not null),
    constraint guardianships_ended_when check ((state = 'ended') = (ended_at is not null and ended_for is not null))
);

create index guardianships_of_ward on identity.guardianships (ward_id, asked_at);
create index guardianships_of_guardian on identity.guardianships (guardian_id, asked_at) where guardian_id is not null;
create unique index guardianships_invitation_once on identity.guardianships (invitation) where state = 'asked';
create unique index guardianships_pair_once on identity.guardianships (ward_id, guardian_id) where state = 'accepted';
create index guardianships_to_look_at on identity.guardianships (looked_on) where state = 'accepted';
