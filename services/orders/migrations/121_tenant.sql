-- migrate:up

-- The tenant of an order, a join and a group-buy; null for those of before, which are of the main one.
alter table orders add column tenant text;
alter table campaign_join add column tenant text;
alter table campaign add column tenant text;

-- migrate:down
alter table campaign drop column tenant;
alter table campaign_join drop column tenant;
alter table orders drop column tenant;
