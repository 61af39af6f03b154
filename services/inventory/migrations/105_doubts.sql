-- migrate:up

-- What a terminal sold far beyond what it was lent: no order fails for it before staff has confirmed it.
alter table allotment
    add column doubted bigint,    -- overdrawn beyond the plausible quantity
    add column confirmed bigint;  -- overdrawn when staff confirmed it
alter table stock add column doubted bigint;  -- the sum of the item's allotments
create index stock_doubted on stock (pool, item) where doubted > 0;

-- migrate:down
drop index stock_doubted;
alter table stock drop doubted;
alter table allotment drop doubted, drop confirmed;
