-- migrate:up

-- Rows are deleted as soon as Kafka has acknowledged them, so the table is short and hot.
create table outbox (
    id         bigint generated always as identity primary key,  -- sequence cache must stay 1: id order is commit order per key
    lane       smallint not null default 0,
    topic      text not null,          -- without the deployment's prefix
    key        text not null,
    subject    text not null,
    seq        bigint not null,
    event_id   uuid not null,
    headers    jsonb not null,
    payload    bytea,                  -- null is a tombstone
    created_at timestamptz not null default clock_timestamp(),
    held       boolean not null default false  -- the broker refuses it; later rows of its subject wait behind
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_cost_delay = 0);
-- The relay reads a lane from its head.
create index outbox_lane on outbox (lane, id);
-- Which subjects wait; nearly always empty.
create index outbox_held on outbox (topic, subject) where held;

-- The last number given to a subject on a topic. Its row lock also puts two writers of one subject in commit order.
create table outbox_seq (
    topic   text not null,
    subject text not null,
    seq     bigint not null,
    primary key (topic, subject)
);

-- What Kafka acknowledged and where it stands there; the source from which a lost log is published again.
create table outbox_sent (
    id          bigint not null,
    lane        smallint not null,
    topic       text not null,
    key         text not null,
    subject     text not null,
    seq         bigint not null,
    event_id    uuid not null,
    headers     jsonb not null,
    payload     bytea,
    created_at  timestamptz not null,
    partition   integer not null,
    "offset"    bigint not null,
    sent_at     timestamptz not null default clock_timestamp()
) partition by range (sent_at);
-- The audit compares positions with the log, and a lost tail is found by position.
create index outbox_sent_position on outbox_sent (topic, partition, "offset");

-- migrate:down
drop table outbox_sent;
drop table outbox_seq;
drop table outbox;
