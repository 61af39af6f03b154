-- migrate:up

-- The subject that opened the group-buy, and of an order the leader of the group-buy that it came of; null where a local
-- token opened it, and for those of before. `chat_key`: under it the ids of a chat list's entries can't be guessed; null
-- for those of before, whose ids go on as they began.
alter table campaign add column leader text, add column chat_key bytea;
alter table campaign_join add column leader text;
alter table orders add column leader text;

-- migrate:down
alter table orders drop column leader;
alter table campaign_join drop column leader;
alter table campaign drop column chat_key, drop column leader;
