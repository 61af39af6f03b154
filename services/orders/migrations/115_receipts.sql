-- migrate:up

-- Money that a payment provider says it received, under the provider's own id of it: a transaction counts once.
create table receipt (
    provider       text not null,
    transaction_id text not null,
    n              bigint generated always as identity unique, -- in the order of arrival, for lists
    order_id       uuid not null,        -- as the provider names it; there may be no such order
    amount_fen     bigint not null check (amount_fen > 0),
    currency       text not null,
    paid_at        timestamptz not null, -- by the provider's clock
    received_at    timestamptz not null, -- real time
    state          text not null check (state in ('matched', 'unmatched')),
    reason         text not null,        -- why it is unmatched
    primary key (provider, transaction_id)
);
-- What the desk has to look at.
create index receipt_unmatched on receipt (n) where state = 'unmatched';

-- Another content under a known transaction: stored without effect.
create table receipt_conflict (
    provider       text not null,
    transaction_id text not null,
    order_id       uuid not null,
    amount_fen     bigint not null,
    currency       text not null,
    paid_at        timestamptz not null,
    received_at    timestamptz not null, -- the first time
    seen           integer not null,
    primary key (provider, transaction_id, order_id, amount_fen, currency, paid_at),
    foreign key (provider, transaction_id) references receipt
);

-- migrate:down
drop table receipt_conflict;
drop table receipt;
