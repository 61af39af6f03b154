-- migrate:up

-- The segment of business time that this database's service runs along, where HALFDAY_CLOCK is `postgres`: business
-- time = start + (real - anchor) x speed, at most latest. One row, replaced by whoever plays a day.
create table business_clock (
    one    boolean primary key default true check (one),
    anchor timestamptz not null,
    start  timestamptz not null,
    speed  double precision not null check (speed > 0),
    latest timestamptz
);

-- migrate:down
drop table business_clock;
