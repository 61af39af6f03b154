-- migrate:up
create table account (
    name  text primary key,
    total bigint not null default 0 check (total >= 0),
    sent  bigint not null default 0
);
create table effect (
    id       bigint generated always as identity primary key,
    account  text not null,
    n        bigint not null,
    what     text not null,
    event_id uuid not null
);
-- migrate:down
drop table effect;
drop table account;
