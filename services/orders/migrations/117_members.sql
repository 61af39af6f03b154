-- migrate:up

-- A person in a community, known by an id that says nothing, and by the keyed hash of the phone until it is forgotten.
-- The credit is for the subject that finance names: whoever knows a phone is not its owner.
create table member (
    member_id  uuid primary key,
    tenant     text not null,
    community  text not null,
    phone_hash bytea,                -- HMAC-SHA-256 of the number in E.164; null once forgotten
    created_at timestamptz not null, -- real time
    subject    text,                 -- who may order on account
    credit     boolean not null default false,
    limit_fen  bigint not null default 0 check (limit_fen >= 0),
    unique (community, phone_hash, tenant)
);

-- The member that an order or join is for; null where the phone is no number, and for those of before.
alter table orders add column member_id uuid;
alter table campaign_join add column member_id uuid;
create index orders_member on orders (member_id) where member_id is not null;
create index campaign_join_member on campaign_join (member_id, campaign_id) where member_id is not null;

-- migrate:down
alter table campaign_join drop column member_id;
alter table orders drop column member_id;
drop table member;
