-- migrate:up

-- A scope that is blocked for a consumer: while the row stands, later records of the scope queue up in `parked`.
-- Arrivals and redrive both lock it.
create table parked_scope (
    consumer  text not null,
    scope     text not null,
    parked_at timestamptz not null default now(),
    primary key (consumer, scope)
);

create table parked (
    id           bigint generated always as identity primary key,
    consumer     text not null,
    scope        text not null,
    event_id     uuid not null,
    topic        text not null,
    partition    integer not null,
    "offset"     bigint not null,
    key          bytea,
    headers      jsonb not null,
    payload      bytea,
    error        text not null,        -- why; what only queues behind says so
    attempts     integer not null,     -- 0: queued behind, never tried
    parked_at    timestamptz not null default now(),
    discarded_at timestamptz,          -- kept as the record that an operator gave it up, and why
    why          text
);
-- A scope's queue in order.
create index parked_queue on parked (consumer, scope, id) where discarded_at is null;

-- migrate:down
drop table parked;
drop table parked_scope;
