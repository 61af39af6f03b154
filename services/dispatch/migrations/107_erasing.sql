-- migrate:up

-- What a courier uploaded about a job is blanked when its person is erased, also what could not be read as a report.
create index sequenced_job on sequenced ((body->>'job'));

-- migrate:down
drop index sequenced_job;
