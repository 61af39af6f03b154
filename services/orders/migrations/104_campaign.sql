-- migrate:up

-- The head row of a group-buy: its terms, which never change, then its state. Joins lock it FOR SHARE, the cutoff
-- and all that follows FOR UPDATE: so the clock that the cutoff reads under its lock is later than that of every join.
create table campaign (
    campaign_id   uuid primary key,
    body_hash     bytea not null,       -- of the request: the same request again gets the same answer
    market_day    text not null,
    community     text not null,
    pool          text not null,
    closes_at     timestamptz not null, -- the first instant that is too late (business time)
    day_closes_at timestamptz not null,
    opened_at     timestamptz not null,
    goods         jsonb not null,       -- items with their caps
    threshold     jsonb not null,
    shortfall     text not null,

    state         text not null,
    unsettled     integer not null check (unsettled >= 0), -- joins that are neither an order nor given back yet
    settled       boolean not null,
    reached       bigint not null,
    reason        text not null,
    version       integer not null
);

-- The pledges of the active joins. Locked after the head row: it serialises the joins of a campaign while they are
-- counted against the caps, and so numbers them in the order of their commits.
create table campaign_tally (
    campaign_id uuid primary key references campaign,
    joined      integer not null,       -- ever accepted
    standing    integer not null,       -- less those withdrawn
    pledged     jsonb not null          -- item: quantity
);

-- A pledge, with the terms of the order that it may become; the columns up to `join_id` are those of `orders`.
create table campaign_join (
    order_id     uuid not null unique,  -- of that order, created with the join and shown only once it exists
    channel      text not null,
    market_day   text not null,
    community    text not null,
    pool         text not null,
    fulfilment   text not null,
    point        text,
    payment      text not null,
    total_fen    bigint not null,
    basket_id    uuid,
    quote        jsonb,
    code         text not null,
    hold_ttl_s   integer not null,
    due_by       timestamptz not null,
    closes_at    timestamptz not null,
    placed_at    timestamptz not null,
    campaign_id  uuid not null references campaign,
    join_id      uuid primary key,

    n            integer not null,      -- its place in the log of the campaign's joins
    member       integer not null,      -- `n` of the same person's first join
    lines        jsonb not null,
    body_hash    bytea not null,
    state        text not null,
    granted      jsonb,                 -- each line's share, once there is a verdict
    refunded_fen bigint not null check (refunded_fen between 0 and total_fen)
);
-- The joins of a campaign in log order: lists, the verdict, the parts in which they are settled.
create unique index campaign_join_log on campaign_join (campaign_id, n);

-- The recipient of an active join, until it becomes an order's or the join is refunded.
create table campaign_person (
    order_id    uuid primary key,
    name        text not null,
    phone       text not null,
    address     text not null,
    lat         double precision,
    lon         double precision,
    campaign_id uuid not null references campaign,
    caller      text not null,          -- the phone's digits
    member      integer not null
);
-- Finds earlier joins of a caller, so that one person counts once.
create index campaign_person_caller on campaign_person (campaign_id, caller);

-- The verdict and its inputs, as canonical texts: a replay of the inputs gives the verdict, byte for byte.
create table campaign_verdict (
    campaign_id uuid primary key references campaign,
    inputs      bytea not null,
    verdict     bytea not null,
    at          timestamptz not null
);

-- Another content under the id of a campaign or join: stored without effect. No personal data.
create table campaign_conflict (
    id        uuid not null,
    body_hash bytea not null,
    body      jsonb not null,
    at        timestamptz not null,
    primary key (id, body_hash)
);

alter table orders add column campaign_id uuid, add column join_id uuid;

-- migrate:down
alter table orders drop column campaign_id, drop column join_id;
drop table campaign_conflict;
drop table campaign_verdict;
drop table campaign_person;
drop table campaign_join;
drop table campaign_tally;
drop table campaign;
