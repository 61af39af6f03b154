-- migrate:up

-- The owner of an idempotency key; null for local tokens.
alter table idempotency add column owner text;

-- The subject that discarded a dead letter.
alter table parked add column discarded_by text;

-- Who read which person, and who acted by hand: appended, never changed; only whole months are dropped, by
-- `prepare_access_log`. Holds ids only, so it stays when a person is erased.
create table access_log (
    id        bigint generated always as identity,
    at        timestamptz not null default clock_timestamp(),  -- real time
    tenant    text not null,
    subject   text not null,
    kind      text not null,           -- of the principal
    action    text not null,           -- read, or the act
    record    text not null,           -- kind and id, such as order/0190f3a2-...
    fields    text[] not null,         -- the classes that were shown: person, address, code, note
    request   text                     -- the request's id
) partition by range (at);
-- Who read a record.
create index access_log_record on access_log (record, id);
-- What a subject read.
create index access_log_subject on access_log (subject, id);

create function refuse_change() returns trigger language plpgsql as $$
begin
    raise exception '% only grows: % is refused', tg_table_name, lower(tg_op) using errcode = 'insufficient_privilege';
end $$;
create trigger append_only before update or delete on access_log for each row execute function refuse_change();
create trigger append_only_whole before truncate on access_log execute function refuse_change();

-- Makes this month and the next two, in UTC, and drops those that ended before `keep`. Repeatable.
create function prepare_access_log(keep interval) returns void language plpgsql as $$
declare
    month timestamp := date_trunc('month', now() at time zone 'utc');
    found record;
begin
    perform pg_advisory_xact_lock(72003);
    for n in 0..2 loop
        if to_regclass(to_char(month, '"access_log_"YYYYMM')) is null then
            execute format('create table %I partition of access_log for values from (%L) to (%L)',
                to_char(month, '"access_log_"YYYYMM'),
                to_char(month, 'YYYY-MM-DD"T00:00Z"'), to_char(month + interval '1 month', 'YYYY-MM-DD"T00:00Z"'));
            execute format('create trigger append_only_whole before truncate on %I execute function refuse_change()',
                to_char(month, '"access_log_"YYYYMM'));
        end if;
        month := month + interval '1 month';
    end loop;
    for found in select inhrelid::regclass as name from pg_inherits where inhparent = 'access_log'::regclass loop
        if found.name::text < to_char(now() at time zone 'utc' - keep, '"access_log_"YYYYMM') then
            execute format('drop table %s', found.name);
        end if;
    end loop;
end $$;
select prepare_access_log(interval '400 days');

-- migrate:down
drop table access_log;
drop function prepare_access_log;
drop function refuse_change;
alter table parked drop column discarded_by;
alter table idempotency drop column owner;
