-- migrate:up

-- The head row of a stock pool: every writer of the pool locks it first, sorted by pool, and only then reads or writes
-- the rows below. They need no locks of their own.
create table pool (
    pool text primary key
);

-- Shortfall and available are recomputed in every write; the checks refuse a write that promises missing goods without
-- a shortfall.
create table stock (
    pool        text not null references pool,
    item        text not null,
    on_hand     bigint not null,
    held        bigint not null check (held >= 0),
    allocated   bigint not null check (allocated >= 0),
    allotted    bigint not null check (allotted >= 0),
    unconfirmed bigint not null check (unconfirmed >= 0),
    shortfall   bigint not null,
    available   bigint not null,
    closed      boolean not null,
    primary key (pool, item),
    check (available = on_hand - (held + allocated + allotted + unconfirmed) + shortfall),
    check (available >= 0 and shortfall >= 0 and (available = 0 or shortfall = 0))
);

create table lot (
    id           uuid primary key,
    pool         text not null references pool,
    item         text not null,
    household    text not null,
    received     bigint not null check (received > 0),
    harvested_at timestamptz not null,
    sell_by      timestamptz,
    state        text not null,
    released     bigint not null,
    rejected     bigint not null,
    on_hand      bigint not null check (on_hand >= 0),
    received_at  timestamptz not null
);
-- The lots of an item that still have goods: outgoing lots are inferred from them, and the stock page shows them.
create index lot_of_item on lot (pool, item) where on_hand > 0;

-- Every change of stock and lots; both are folds of it.
create table movement (
    n        bigint generated always as identity primary key,
    id       uuid not null unique,
    pool     text not null,
    item     text not null,
    source   text not null,
    target   text not null,
    quantity bigint not null check (quantity > 0),
    cause    text not null,             -- sale/<id>, reservation/<id>, lot/<id>, loss/<pool>/<terminal>/<item> ...
    lot      uuid,                      -- null: the item's unattributed lot, or a movement between claims
    inferred boolean not null,
    actor    text not null,             -- the consumer or the role that made it
    at       timestamptz not null
);
-- The movements of one sale, reservation or write-off, to undo them.
create index movement_of_cause on movement (cause);
-- The trace of a lot, and the inferred movements that a named one corrects.
create index movement_of_lot on movement (lot, n) where lot is not null;
-- The movements since a count, and those of the item's unattributed lot.
create index movement_of_item on movement (pool, item, at);

-- migrate:down
drop table movement;
drop table lot;
drop table stock;
drop table pool;
