-- migrate:up

-- Head row of one session of one device: locked by every upload into it.
create table sequenced_session (
    owner            text not null,
    device           text not null,
    session          text not null,
    received_through bigint not null default 0,  -- 1 up to here have all arrived
    primary key (owner, device, session)
);

-- What devices recorded, each once. The key is the device's own, so no repetition can double an effect.
create table sequenced (
    owner       text not null,
    device      text not null,
    session     text not null,
    seq         bigint not null check (seq > 0),
    kind        text not null,
    body        jsonb not null,
    digest      bytea not null,        -- ours, of kind and body; what a repetition is compared by
    body_hash   text,                  -- as the device claims it
    prev_hash   text,
    recorded_at timestamptz not null,  -- by the device's clock
    received_at timestamptz not null default clock_timestamp(),
    primary key (owner, device, session, seq)
);

-- Another content under a sequence number that was taken: kept, without effect. The digest tells several apart.
create table sequenced_conflict (
    owner       text not null,
    device      text not null,
    session     text not null,
    seq         bigint not null,
    kind        text not null,
    body        jsonb not null,
    digest      bytea not null,
    body_hash   text,
    prev_hash   text,
    recorded_at timestamptz not null,
    received_at timestamptz not null default clock_timestamp(),
    primary key (owner, device, session, seq, digest)
);

-- migrate:down
drop table sequenced_conflict;
drop table sequenced;
drop table sequenced_session;
