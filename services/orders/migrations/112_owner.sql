-- migrate:up

-- The subject that placed the order or the join; null where a local token did, and for those of before. An order that a
-- join becomes has the owner of the join.
alter table orders add column owner text;
alter table campaign_join add column owner text;

-- migrate:down
alter table campaign_join drop column owner;
alter table orders drop column owner;
