-- migrate:up

-- Digests are HMAC-SHA-256 under a pepper that is not in the database. No name, no phone number and no secret is here
-- in clear; logins of staff are names that they chose.

-- Every principal; `version` counts its published states.
create table account (
    subject    text primary key,
    kind       text not null,
    role       text,
    tenant     text not null,
    bounds     jsonb not null,
    status     text not null check (status in ('active', 'revoked')),
    revoked_at timestamptz,
    version    bigint not null check (version > 0),
    made_at    timestamptz not null,
    check ((status = 'revoked') = (revoked_at is not null)),
    check ((kind = 'staff') = (role is not null))
);

-- Public keys of devices, revoked ones included: what they signed before still counts.
create table device_key (
    thumbprint text primary key,
    subject    text not null references account,
    x          text not null,
    y          text not null,
    since      timestamptz not null,
    expires_at timestamptz not null,
    revoked_at timestamptz
);
-- One active device a subject.
create unique index device_key_active on device_key (subject) where revoked_at is null;
create index device_key_of on device_key (subject);

-- The principal that signs in with a phone; the digest is of the tenant and the number.
create table phone (
    digest  bytea primary key,
    subject text not null unique references account
);

-- Local logins of staff: argon2id hash, TOTP secret (encrypted), the newest time step that was used.
create table login (
    name      text primary key,
    subject   text not null unique references account,
    password  text not null,
    totp      bytea not null,
    last_step bigint not null
);

-- Open enrolment codes, one a subject.
create table enrolment (
    handle     text primary key,
    digest     bytea not null,
    subject    text not null unique,
    kind       text not null,
    tenant     text not null,
    bounds     jsonb not null,
    made_by    text not null,
    expires_at timestamptz not null,
    tries      int not null check (tries > 0)
);
create index enrolment_expires on enrolment (expires_at);

create table invitation (
    digest     bytea primary key,
    kind       text not null,
    role       text,
    tenant     text not null,
    bounds     jsonb not null,
    made_by    text not null,
    expires_at timestamptz not null
);
create index invitation_expires on invitation (expires_at);

create table otp (
    phone   bytea primary key,
    digest  bytea not null,
    made_at timestamptz not null,
    tries   int not null check (tries > 0)
);
create index otp_made on otp (made_at);

-- Used tokens stay until they expire: a second use ends their family.
create table refresh_token (
    digest     bytea primary key,
    family     uuid not null,
    subject    text not null references account,
    expires_at timestamptz not null,
    used_at    timestamptz
);
create index refresh_token_family on refresh_token (family);
create index refresh_token_of on refresh_token (subject);
create index refresh_token_expires on refresh_token (expires_at);

create table session (
    digest     bytea primary key,
    subject    text not null references account,
    expires_at timestamptz not null
);
create index session_of on session (subject);
create index session_expires on session (expires_at);

-- Ids of accepted assertions, until they expire.
create table used_assertion (
    thumbprint text not null,
    jti        text not null,
    expires_at timestamptz not null,
    primary key (thumbprint, jti)
);
create index used_assertion_expires on used_assertion (expires_at);

-- Attempts that count against a limit; the digest is of the phone, login or network address and the kind of attempt.
create table attempt (
    digest bytea primary key,
    times  timestamptz[] not null,
    until  timestamptz not null
);
create index attempt_until on attempt (until);

create table token_key (
    kid        text primary key,
    x          text not null,
    y          text not null,
    sealed     bytea not null,
    status     text not null check (status in ('next', 'current', 'previous', 'retired')),
    changed_at timestamptz not null,
    version    bigint not null check (version > 0)
);
create unique index token_key_current on token_key (status) where status = 'current';

-- Append-only: who gave, changed or took away which credential.
create table act (
    n       bigint generated always as identity primary key,
    at      timestamptz not null,
    actor   text not null,
    action  text not null,
    subject text not null
);

-- migrate:down
drop table act, token_key, attempt, used_assertion, session, refresh_token, otp, invitation, enrolment, login, phone,
    device_key, account;
