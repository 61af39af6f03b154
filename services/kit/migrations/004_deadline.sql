-- migrate:up

create table deadline (
    kind    text not null,
    subject text not null,
    due_at  timestamptz not null,
    version bigint not null,
    real    boolean not null,          -- due_at is wall-clock, not business time
    n       bigint generated always as identity,  -- new with every setting: what fires is exactly what was set
    primary key (kind, subject)
);
-- The sweeper reads what is due on each clock, oldest first.
create index deadline_due on deadline (real, due_at);

-- migrate:down
drop table deadline;
