-- migrate:up

-- Why a wave that is cut can't be planned, in words; null for every other wave. Any change of the wave clears it.
alter table wave add column blocked text;

-- migrate:down
alter table wave drop column blocked;
