-- migrate:up

-- The reason of waste, a count or a rejection: a code, which is published, and a note, which is not. `cause` is the one
-- of the movements, or inspection/<lot>.
create table reason (
    cause text primary key,
    pool  text not null,
    item  text not null,
    code  text not null,
    note  text not null,
    actor text not null,
    at    timestamptz not null
);
-- The losses of an item, by reason.
create index reason_of_item on reason (pool, item);

-- migrate:down
drop table reason;
