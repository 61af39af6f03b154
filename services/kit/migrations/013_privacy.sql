-- migrate:up

-- When a body was blanked because the person in it was erased. Digest and hashes stay: a repetition is still one.
alter table sequenced add column erased_at timestamptz;
alter table sequenced_conflict add column erased_at timestamptz;

-- migrate:down
alter table sequenced drop column erased_at;
alter table sequenced_conflict drop column erased_at;
