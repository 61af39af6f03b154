-- migrate:up

-- Grows with every change of item_sold_out, beside the catalogue's version: processes keep both in memory and
-- read the two numbers in one statement.
alter table catalog_version add column sold_out_version bigint not null default 0;

-- migrate:down
alter table catalog_version drop column sold_out_version;
