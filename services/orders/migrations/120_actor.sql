-- migrate:up

-- The subject of the request, or the service whose message led to the step; null for steps of before.
alter table order_history add column actor text;

-- How often a content came. The first ten of an id are stored; all others are counted in one row, with an empty hash.
alter table order_conflict add column seen integer;
alter table campaign_conflict add column seen integer;

-- migrate:down
alter table campaign_conflict drop column seen;
alter table order_conflict drop column seen;
alter table order_history drop column actor;
