-- migrate:up

-- When a subject was last numbered, and when its number was copied to `outbox_seq_kept` while it was silent.
alter table outbox_seq
    add column spoke_at timestamptz not null default now(),
    add column kept_at  timestamptz;
-- Silent subjects are found by age, in small batches. BRIN: no write of an event has to touch it.
create index outbox_seq_age on outbox_seq using brin (spoke_at);

-- The last numbers of subjects that were silent for longer than the log remembers: a quarter of the bytes.
create table outbox_seq_kept (
    about uuid primary key,            -- md5 of topic and subject
    seq   bigint not null
);

-- migrate:down
drop table outbox_seq_kept;
alter table outbox_seq drop column spoke_at, drop column kept_at;
