-- migrate:up

-- Erasures: of which order, when, by which role and why. Erased again after an older backup was restored.
create table erased (
    order_id  uuid primary key references orders,
    erased_at timestamptz not null default clock_timestamp(),
    erased_by text not null,
    why       text not null
);

-- migrate:down
drop table erased;
