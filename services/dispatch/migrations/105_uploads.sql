-- migrate:up

-- Our own time stands for the device's where that is no time.
alter table job_attempt add clock_invalid boolean not null default false;
alter table evidence add clock_invalid boolean not null default false;
alter table job add wrong_codes integer not null default 0;  -- in this epoch

-- migrate:down
alter table job drop wrong_codes;
alter table evidence drop clock_invalid;
alter table job_attempt drop clock_invalid;
