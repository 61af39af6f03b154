-- migrate:up

-- What a courier wrote beside a report. Never told to anybody; goes when the person is erased.
alter table evidence add column note text not null default '';

-- migrate:down
alter table evidence drop column note;
