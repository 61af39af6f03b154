-- migrate:up

-- What access has published, as far as this service has read it. `changed` counts the changes of both tables in the
-- order in which they were committed, so that a reader who asks for later ones misses none.
create table identity_change (
    one  boolean primary key default true check (one),
    last bigint not null
);
insert into identity_change (last) values (0);

create table principal (
    subject    text primary key,
    version    integer not null,
    kind       text not null,
    tenant     text not null,
    scopes     text[] not null,
    bounds     jsonb not null,           -- ids by kind of place; a kind that is absent is no bound
    keys       jsonb not null,           -- of a device: thumbprint, x, y, since, revoked_at
    active     boolean not null,
    revoked_at timestamptz,
    changed    bigint not null
);
create index principal_changed on principal (changed);

-- The public keys of access (P-256).
create table signing_key (
    kid     text primary key,
    version integer not null,
    x       text not null,
    y       text not null,
    usable  boolean not null,            -- false: retired, it verifies nothing
    changed bigint not null
);
create index signing_key_changed on signing_key (changed);

-- migrate:down
drop table signing_key;
drop table principal;
drop table identity_change;
