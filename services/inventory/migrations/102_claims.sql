-- migrate:up

create table reservation (
    id         uuid primary key,
    no         bigint generated always as identity,  -- a higher one is newer
    pool       text not null references pool,
    order_id   uuid not null,
    state      text not null,
    expires_at timestamptz
);

create table reservation_line (
    reservation uuid not null references reservation,
    line        integer not null,
    pool        text not null,
    item        text not null,
    quantity    bigint not null check (quantity >= 0),
    primary key (reservation, line)
);
-- The claims on an item, for the reservations that a shortfall affects.
create index reservation_line_of_item on reservation_line (pool, item);

create table allotment (
    terminal    text not null,
    pool        text not null references pool,
    item        text not null,
    granted     bigint not null,
    returned    bigint not null,
    sold        bigint not null,
    overdrawn   bigint not null,
    lost        bigint not null check (lost >= 0),
    allotted    bigint not null check (allotted >= 0),
    unconfirmed bigint not null check (unconfirmed >= 0),
    version     bigint not null,
    lease_until timestamptz,
    counted     boolean not null,
    closed      boolean not null,
    primary key (terminal, pool, item),
    check (granted - returned - (sold - overdrawn) - lost = allotted + unconfirmed)
);

-- Sales that took effect, so that none does twice; a void that arrives before its sale is kept the same way.
create table sale (
    id       uuid primary key,
    terminal text not null,
    pool     text not null,
    voided   boolean not null
);

-- migrate:down
drop table sale;
drop table allotment;
drop table reservation_line;
drop table reservation;
