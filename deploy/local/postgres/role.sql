-- One service's login role and its database, for psql: variable `role`, password in HALFDAY_ROLE_PASSWORD.
-- Idempotent.
\getenv password HALFDAY_ROLE_PASSWORD

select format('create role %I login', :'role')
 where not exists (select from pg_roles where rolname = :'role') \gexec
alter role :"role" nosuperuser nocreatedb nocreaterole password :'password';

-- Limits, so that a lost client holds no lock for long; a session may set its own for a migration.
alter role :"role" set statement_timeout = '30s';
alter role :"role" set lock_timeout = '10s';
alter role :"role" set idle_in_transaction_session_timeout = '30s';

-- Only the owner may connect: each service has its own database.
select format('create database %I owner %I', :'role', :'role')
 where not exists (select from pg_database where datname = :'role') \gexec
revoke all on database :"role" from public;
