-- migrate:up

-- What dispatch keeps of orders.catalog.v1: items, market days, sites, stations, couriers. A few hundred rows; read
-- by key or wholly, so the primary key is its only index.
create table catalog (
    key  text primary key,
    type text not null,
    body jsonb not null
);

-- Who receives an order, and the only place that knows a person. Also the head row of an order here: whoever changes
-- what an order's jobs wait for locks it first, so it exists (empty) from the first word about an order on.
create table recipient (
    "order" uuid primary key,
    name    text,
    phone   text,
    address text,
    lat     double precision,
    lon     double precision,
    code    text,
    erased  boolean not null default false
);

create table wave (
    id         text primary key,
    market_day text not null,
    station    text not null,
    slot_from  timestamptz not null,
    slot_until timestamptz not null,
    cutoff     timestamptz not null,
    capacity   integer not null,
    state      text not null,
    version    integer not null,
    solving_until timestamptz          -- wall clock: somebody solves it until then; after that anybody may
);
-- The waves that a job of a market day may go with.
create index wave_market_day on wave (market_day);
-- What the planning loop looks for: waves to plan and waves that may be done.
create index wave_busy on wave (state, cutoff) where state in ('cut', 'released');

create table job (
    id          uuid primary key,
    "order"     uuid not null,
    pool        text not null,
    reservation uuid not null,
    state       text not null,
    market_day  text not null,
    community   text not null,
    lines       jsonb not null,
    quote       jsonb,
    waits       text[] not null,
    load_g      bigint not null,
    cold_ml     bigint not null,
    wave        text,
    slot_from   timestamptz,
    slot_until  timestamptz,
    as_promised boolean,
    courier     text,
    epoch       integer not null,
    trip        integer not null,
    stop        integer not null,
    eta         timestamptz,
    attempts    integer not null,
    reason      text not null
);
-- The jobs of an order: commands and recipients.
create index job_order on job ("order");
-- The jobs of a wave: its count at each choice, its problem, its release, whether all have ended.
create index job_wave on job (wave, state);
-- Incomplete jobs that wait for a catalogue entry; nearly always empty.
create index job_waits on job using gin (waits) where state = 'incomplete';
-- A courier's route.
create index job_courier on job (courier, wave) where courier is not null;

-- Tries at the door: rows, never overwritten.
create table job_attempt (
    job         uuid not null,
    n           integer not null,
    courier     text not null,
    epoch       integer not null,
    outcome     text not null,          -- delivered | failed
    reason      text not null,
    recorded_at timestamptz not null,   -- device time
    received_at timestamptz not null,
    primary key (job, n)
);

-- Everything that couriers reported, with what became of it; a stale proof is kept here and lost nowhere. The upload
-- itself stands in `sequenced` under the same device, session and number.
create table evidence (
    courier     text not null,
    device      text not null,
    session     text not null,
    seq         bigint not null,
    job         uuid not null,
    epoch       integer not null,
    kind        text not null,
    code_right  boolean not null,       -- a valid proof of delivery, whatever its epoch
    verdict     text not null,
    why         text not null,
    recorded_at timestamptz not null,   -- device time
    received_at timestamptz not null,
    primary key (courier, device, session, seq)
);
-- What was reported about a job.
create index evidence_job on evidence (job);

create table shift (
    id         uuid primary key,
    courier    text not null,
    wave       text,
    market_day text,
    from_at    timestamptz not null,
    until_at   timestamptz not null,
    check ((wave is null) <> (market_day is null))
);
-- Who is on shift for a wave or for its market day.
create index shift_wave on shift (wave) where wave is not null;
create index shift_market_day on shift (market_day) where market_day is not null;

-- Each plan that was applied to a wave, by job id only: no person and no position stands here.
create table plan (
    wave    text not null,
    version integer not null,
    body    jsonb not null,
    made_at timestamptz not null,
    primary key (wave, version)
);

-- migrate:down
drop table plan;
drop table shift;
drop table evidence;
drop table job_attempt;
drop table job;
drop table wave;
drop table recipient;
drop table catalog;
