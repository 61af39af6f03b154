-- migrate:up

-- One row for each request that made something: what it said (as a digest) and what was answered.
create table idempotency (
    scope      text not null,          -- whose key: a route, or a route and its owner
    key        text not null,
    body_hash  bytea not null,
    status     smallint,               -- null: the answer is read from the thing itself
    response   bytea,
    created_at timestamptz not null default now(),
    primary key (scope, key)
);
-- Old rows go by age, in small batches. BRIN: the table grows in order of time.
create index idempotency_age on idempotency using brin (created_at);

-- The same key with other content: evidence for whoever asks why the second request got a 409. The content itself is
-- not kept, because it may name a person.
create table idempotency_conflict (
    scope     text not null,
    key       text not null,
    body_hash bytea not null,
    seen      integer not null default 1,
    first_at  timestamptz not null default now(),
    last_at   timestamptz not null default now(),
    primary key (scope, key, body_hash)
);

-- migrate:down
drop table idempotency_conflict;
drop table idempotency;
