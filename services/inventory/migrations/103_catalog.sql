-- migrate:up

-- A projection of the catalogue that orders owns: the last published content of each entity.
create table catalog (
    kind text not null,
    id   text not null,
    body jsonb not null,
    primary key (kind, id)
);

-- migrate:down
drop table catalog;
