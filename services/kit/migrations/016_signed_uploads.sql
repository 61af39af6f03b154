-- migrate:up

-- A device has one key at a time; `key` is the thumbprint of its first one, the same after a renewal. Bound at first use.
create table upload_device (
    owner  text not null,
    device text not null,
    key    text not null,
    primary key (owner, device),
    unique (owner, key)
);

alter table sequenced_session
    add column frozen_through bigint;  -- received_through when the device's key was revoked

alter table sequenced
    add column signed_by text,         -- thumbprint of the key that signed it; digest is its link then
    add column forked boolean,         -- another upload has the same predecessor
    add column quarantined boolean;    -- without effect until staff decides
alter table sequenced_conflict add column signed_by text;
create index sequenced_successor on sequenced (owner, prev_hash) where signed_by is not null;
create index sequenced_forked on sequenced (n) where forked;

-- Uploads that wait for a decision of staff, and the decisions. One that is `received` has its number in `sequenced`.
create table upload_quarantine (
    id          bigint generated always as identity primary key,
    owner       text not null,
    device      text not null,
    session     text not null,
    seq         bigint not null,
    kind        text not null,
    link        text not null,
    signed_by   text not null,         -- thumbprint of the sender's key, empty without one
    received    boolean not null,
    reason      text not null,
    given       text not null,         -- JSON as it was sent
    about       jsonb not null,        -- what its effect needs beside it
    places      text[],                -- sites or stations of the device; null: any
    received_at timestamptz not null,
    decision    text check (decision in ('accepted', 'refused')),
    decided_by  text,
    decided_at  timestamptz,
    why         text,
    unique (owner, device, session, seq, link),
    check ((decision is null) = (decided_at is null))
);
create index upload_quarantine_waiting on upload_quarantine (owner, signed_by) where decision is null;

-- migrate:down
drop table upload_quarantine;
drop index sequenced_forked;
drop index sequenced_successor;
alter table sequenced_conflict drop signed_by;
alter table sequenced drop signed_by, drop forked, drop quarantined;
alter table sequenced_session drop frozen_through;
drop table upload_device;
