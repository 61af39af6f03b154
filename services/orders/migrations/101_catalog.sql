-- migrate:up

-- The current catalogue entities, by their kind in the URL. A row is also the lock of its key on the topic,
-- and the head row of a terminal.
create table catalog (
    kind       text not null,
    id         text not null,
    body       jsonb not null,         -- as published, without the id
    version    bigint not null,
    changed_at timestamptz not null,   -- business time
    primary key (kind, id)             -- one entity; a kind's list in order of id
);

-- Grows with every change of the catalogue: processes keep the catalogue in memory until it has grown.
create table catalog_version (
    one     boolean primary key default true check (one),
    version bigint not null
);
insert into catalog_version (version) values (0);

-- migrate:down
drop table catalog_version;
drop table catalog;
