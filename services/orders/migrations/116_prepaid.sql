-- migrate:up

-- The order or join that a matched receipt pays; the one that the provider names may be another.
alter table receipt add column pays uuid;
update receipt set pays = order_id where state = 'matched';
alter table receipt add check ((pays is null) = (state = 'unmatched'));

-- The receipt, PROVIDER:TRANSACTION, of an order or join that was paid before it was placed; null where there is none.
-- An order that a join becomes has the receipt of the join.
alter table orders add column receipt text;
alter table campaign_join add column receipt text;
create unique index orders_receipt on orders (receipt) where receipt is not null;
create unique index campaign_join_receipt on campaign_join (receipt) where receipt is not null;

-- migrate:down
alter table campaign_join drop column receipt;
alter table orders drop column receipt;
alter table receipt drop column pays;
