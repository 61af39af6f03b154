-- migrate:up

-- The time of receipt replaces a device time that is not a time.
alter table stall_sale add clock_invalid boolean not null default false;
alter table stall_void add clock_invalid boolean not null default false;
alter table stall_session
    add close_clock_invalid boolean not null default false,
    add adjusted_fen bigint not null default 0;  -- of uploads after the session was closed and complete; not in taken_fen

-- The active device of a terminal: the first that syncs, until an operator resets it.
create table terminal_device (
    terminal text primary key,
    device   text,                          -- null after a reset, until the next new device syncs
    retired  text[] not null default '{}'   -- may still upload what they hold, and get no allotment
);

-- Wrong codes at a pickup, by real time. A row outlives the request that failed.
create table code_try (
    "order" uuid primary key,
    n       integer not null,
    since   timestamptz not null
);

-- migrate:down
drop table code_try;
drop table terminal_device;
alter table stall_session drop adjusted_fen, drop close_clock_invalid;
alter table stall_void drop clock_invalid;
alter table stall_sale drop clock_invalid;
