-- migrate:up

-- The head row of an order: its terms, which never change, then its state. Locked first by every writer.
create table orders (
    order_id     uuid primary key,
    body_hash    bytea not null,       -- of the request: the same request again gets the same answer
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
    code         text not null,        -- the receiver's proof
    hold_ttl_s   integer not null,
    due_by       timestamptz not null, -- delivery: start of the slot; pickup: closing of the point (business time)
    closes_at    timestamptz not null, -- of the market day
    placed_at    timestamptz not null, -- business time
    created_at   timestamptz not null default clock_timestamp(),

    state        text not null,
    attempt      integer not null,
    awaiting     text not null,        -- the command that an ending order waits for
    reason       text not null,
    reservation  uuid not null,        -- of the current attempt
    job          uuid not null,
    hold_until   timestamptz,
    wave         text,
    slot_from    timestamptz,
    slot_until   timestamptz,
    as_promised  boolean not null,
    paid_fen     bigint not null,
    refunded_fen bigint not null check (refunded_fen between 0 and paid_fen),
    version      integer not null      -- = number of rows in order_history
);
-- Lists by state and by market day, in order of id.
create index orders_state on orders (state, order_id);
create index orders_market_day on orders (market_day, order_id);

create table order_line (
    order_id   uuid not null references orders,
    line       integer not null,
    item       text not null,
    quantity   bigint not null check (quantity > 0),
    unit       text not null,
    price_fen  bigint not null,
    price_id   text not null,
    amount_fen bigint not null,
    primary key (order_id, line)
);

-- Every step of an order with its cause; `from_state` is null for the first.
create table order_history (
    order_id   uuid not null references orders,
    n          integer not null,
    from_state text,
    to_state   text not null,
    message    text not null,          -- the type of the message that led to it
    cause      text not null,          -- id of the event, deadline or request
    reason     text not null,
    at         timestamptz not null,   -- business time
    primary key (order_id, n)
);

create table payment (
    order_id   uuid not null references orders,
    payment_id text not null,          -- as the payer's side named it
    amount_fen bigint not null check (amount_fen >= 0),
    at         timestamptz not null,
    primary key (order_id, payment_id)
);

-- One refund a payment, whole: the key says so.
create table refund (
    order_id   uuid not null,
    payment_id text not null,
    amount_fen bigint not null,
    at         timestamptz not null,
    primary key (order_id, payment_id),
    foreign key (order_id, payment_id) references payment
);

-- The only table with the personal data of an order.
create table recipient (
    order_id uuid primary key references orders,
    name     text not null,
    phone    text not null,
    address  text not null,
    lat      double precision,
    lon      double precision
);

-- Another content under the id of an accepted order: stored without effect. No personal data.
create table order_conflict (
    order_id  uuid not null references orders,
    body_hash bytea not null,
    body      jsonb not null,
    at        timestamptz not null,
    primary key (order_id, body_hash)
);

-- migrate:down
drop table order_conflict;
drop table recipient;
drop table refund;
drop table payment;
drop table order_history;
drop table order_line;
drop table orders;
