-- migrate:up

-- A sale made at a stall, by the terminal's own id of it: the natural key behind the upload's number.
create table stall_sale (
    sale        uuid primary key,
    terminal    text not null,
    pool        text not null,
    device      text not null,
    session     text not null,
    seq         bigint not null,
    recorded_at timestamptz not null,  -- device time
    received_at timestamptz not null,  -- business time
    lines       jsonb not null,
    total_fen   bigint not null
);

create table stall_sale_line (
    sale       uuid not null references stall_sale,
    line       integer not null,
    terminal   text not null,
    pool       text not null,
    item       text not null,
    quantity   bigint not null,
    amount_fen bigint not null,
    primary key (sale, line)
);
-- The quantity of each item that a terminal has sold, returned at every sync.
create index stall_sale_line_terminal on stall_sale_line (terminal, pool) include (item, quantity, sale);

-- A void, whether its sale has come yet or not; with its sale it takes effect.
create table stall_void (
    sale        uuid primary key,
    terminal    text not null,
    pool        text not null,
    device      text not null,
    session     text not null,
    seq         bigint not null,
    recorded_at timestamptz not null,
    received_at timestamptz not null
);

create table stall_session (
    terminal  text not null,
    device    text not null,
    session   text not null,
    pool      text not null,
    float_fen bigint not null,
    taken_fen bigint not null,         -- sales less voids
    last_seq  bigint,                  -- the manifest; null while open
    cash_fen  bigint,
    close_seq bigint,                  -- the upload that closed it
    closed_at timestamptz,             -- device time
    complete  boolean not null,
    primary key (terminal, device, session)
);

-- Projection of inventory's allotment events: cumulative totals, the highest version counts.
create table terminal_allotment (
    terminal       text not null,
    pool           text not null,
    item           text not null,
    granted_total  bigint not null,
    returned_total bigint not null,
    version        bigint not null,
    lease_until    timestamptz,
    primary key (terminal, pool, item)
);

-- Projection of inventory's sold-out events.
create table item_sold_out (
    pool     text not null,
    item     text not null,
    sold_out boolean not null,
    primary key (pool, item)
);

-- migrate:down
drop table item_sold_out;
drop table terminal_allotment;
drop table stall_session;
drop table stall_void;
drop table stall_sale_line;
drop table stall_sale;
