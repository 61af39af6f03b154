-- migrate:up

-- What a buyer wrote beside a step, such as why it is cancelled. Never told to anybody; goes when the person is erased.
create table order_note (
    order_id uuid not null,
    n        integer not null,
    note     text not null,
    primary key (order_id, n),
    foreign key (order_id, n) references order_history
);

-- migrate:down
drop table order_note;
