-- migrate:up

-- What this service needs of the catalogue that orders owns, as it was last published.
create table catalog (
    kind text not null,
    id   text not null,
    body jsonb not null,
    primary key (kind, id)
);

-- migrate:down
drop table catalog;
