-- migrate:up

-- Grows with every change of item_sold_out, beside the catalogue's version: who takes orders keeps both in memory and
-- asks for the two numbers in one statement.
alter table catalog_version add column sold_out_version bigint not null default 0;

-- migrate:down
alter table catalog_version drop column sold_out_version;
