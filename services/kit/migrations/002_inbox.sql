-- migrate:up

-- One row for each event whose effect a consumer has committed (or parked). The day of handling must not be part of the key: a
-- redelivery after midnight would act twice.
create table inbox (
    consumer   text not null,
    event_id   uuid not null,
    handled_at timestamptz not null default now(),
    primary key (consumer, event_id)
);
-- Old rows go by age, in small batches. BRIN: the table grows in order of time.
create index inbox_age on inbox using brin (handled_at);

-- migrate:down
drop table inbox;
