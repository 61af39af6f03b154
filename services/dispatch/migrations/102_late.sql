-- migrate:up

-- The few jobs that wait for an answer from a wave's plan: what the desk looks for many times a second.
create index job_late on job ((waits[1])) where state = 'incomplete' and waits[1] like 'wave/%';

-- migrate:down
drop index job_late;
