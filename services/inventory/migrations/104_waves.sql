-- migrate:up

-- Why goods were thrown away, counted otherwise or not let in: a code, which is published, and words, which are not.
-- `cause` is the one of their movements, or inspection/<lot>.
create table reason (
    cause text primary key,
    pool  text not null,
    item  text not null,
    code  text not null,
    note  text not null,
    actor text not null,
    at    timestamptz not null
);
-- What was lost of an item, by reason.
create index reason_of_item on reason (pool, item);

-- migrate:down
drop table reason;
