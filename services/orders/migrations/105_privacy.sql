-- migrate:up

-- A buyer's note on a step, such as the reason of a cancellation. Never published; deleted when the person is erased.
create table order_note (
    order_id uuid not null,
    n        integer not null,
    note     text not null,
    primary key (order_id, n),
    foreign key (order_id, n) references order_history
);

-- migrate:down
drop table order_note;
