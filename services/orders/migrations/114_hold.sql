-- migrate:up

-- The unpaid orders that count against a quota, under each holder: a subject in a pool, the subject of a client without
-- an account, a keyed hash of its address. Rows of orders that are paid or ended are deleted hourly.
create table hold (
    holder   text not null,
    order_id uuid not null references orders,
    primary key (holder, order_id)
);

-- migrate:down
drop table hold;
