-- migrate:up

-- The head row knows its gaps, so no upload looks at those before it.
alter table sequenced_session
    add last_seq   bigint not null default 0,      -- the highest that has arrived
    add gaps       bigint[] not null default '{}', -- first, last, first, last ...: missing between received_through and last_seq
    add missing    bigint not null default 0,      -- how many numbers that are
    add touched_at timestamptz not null default now();  -- business time of the last new upload

update sequenced_session q
set last_seq = greatest(received_through, last), gaps = coalesce(holes, '{}'), missing = last - received_through - arrived
from (
    select owner, device, session, max(seq) as last, count(*) as arrived,
        (select array_agg(n order by n) from unnest(array_agg(before + 1) filter (where seq > before + 1)
            || array_agg(seq - 1) filter (where seq > before + 1)) as n) as holes
    from (
        select owner, device, session, seq,
            lag(seq, 1, received_through) over (partition by owner, device, session order by seq) as before
        from sequenced join sequenced_session using (owner, device, session)
        where seq > received_through
    ) as later
    group by owner, device, session
) as state
where (q.owner, q.device, q.session) = (state.owner, state.device, state.session);
update sequenced_session set last_seq = received_through where last_seq = 0;

create index sequenced_session_missing on sequenced_session (owner) where missing > 0;

alter table sequenced
    alter body drop not null,              -- null: can't be stored as JSON; the text is in `parked`
    add n bigint generated always as identity,
    add link text,                         -- ours: the next upload's prev_hash
    add device_time text,                  -- what the device said where that is no time; recorded_at is then the receipt
    add chain_broken boolean not null default false,  -- prev_hash is not the link of the number before
    add kept text;                         -- why it has no effect (yet); null once it has
create index sequenced_flagged on sequenced (n) where kept is not null or device_time is not null or chain_broken;

alter table sequenced_conflict
    alter body drop not null,
    add n bigint generated always as identity,
    add link text,
    add device_time text,
    add given text;                        -- the whole upload where its body can't be stored as JSON
create index sequenced_conflict_n on sequenced_conflict (n);

-- migrate:down
alter table sequenced_conflict drop n, drop link, drop device_time, drop given;
drop index sequenced_flagged;
alter table sequenced drop n, drop link, drop device_time, drop chain_broken, drop kept;
drop index sequenced_session_missing;
alter table sequenced_session drop last_seq, drop gaps, drop missing, drop touched_at;
