-- migrate:up

-- A key that another one replaced is retired: records that it signed before still count. A revoked key has lost that.
alter table device_key
    add column retired_at timestamptz,
    add column device text;  -- the thumbprint of the device's first key; null: this one

-- One active key a subject.
drop index device_key_active;
create unique index device_key_active on device_key (subject) where revoked_at is null and retired_at is null;

-- migrate:down
drop index device_key_active;
update device_key set revoked_at = coalesce(revoked_at, retired_at);
create unique index device_key_active on device_key (subject) where revoked_at is null;
alter table device_key drop retired_at, drop device;
