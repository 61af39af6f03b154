"""The longer statements of access."""

from __future__ import annotations

NEW_ATTEMPTS = """
insert into attempt select d, '{}', now() + interval '1 hour' from unnest($1::bytea[]) d order by d
on conflict do nothing
"""
ENROLMENT = """
insert into enrolment (handle, digest, subject, kind, tenant, bounds, made_by, expires_at, tries)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
on conflict (handle) do update set
  (digest, subject, kind, tenant, bounds, made_by, expires_at, tries) =
  (excluded.digest, excluded.subject, excluded.kind, excluded.tenant, excluded.bounds, excluded.made_by,
   excluded.expires_at, excluded.tries)
"""
OTP = """
insert into otp (phone, digest, made_at, tries) values ($1, $2, $3, $4)
on conflict (phone) do update set (digest, made_at, tries) = (excluded.digest, excluded.made_at, excluded.tries)
"""
ACCOUNT = """
insert into account (subject, kind, role, tenant, bounds, status, revoked_at, version, made_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
on conflict (subject) do update set
  (kind, role, bounds, status, revoked_at, version) =
  (excluded.kind, excluded.role, excluded.bounds, excluded.status, excluded.revoked_at, excluded.version)
"""
ACCOUNTS = """
select * from account where subject > $1 and ($3::text[] is null or kind = any($3)) order by subject limit $2
"""
OUTDATED = """
select a.subject from account a left join principal p using (subject)
where p.subject is null or to_jsonb(p.scopes) <> $1::jsonb -> coalesce(a.role, a.kind) order by a.subject limit $2
"""
LOGIN = """
insert into login (name, subject, password, totp, last_step) values ($1, $2, $3, $4, $5)
on conflict (name) do update set last_step = excluded.last_step where login.subject = excluded.subject
returning true
"""
KEYS_OF = "select * from device_key where subject = any($1::text[]) order by subject, since, thumbprint"
DEVICE_KEY = """
insert into device_key (thumbprint, subject, x, y, since, expires_at, device, retired_at, revoked_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
on conflict (thumbprint) do update set retired_at = excluded.retired_at, revoked_at = excluded.revoked_at
"""
REFRESH = """
insert into refresh_token (digest, family, subject, expires_at, used_at) values ($1, $2, $3, $4, $5)
on conflict (digest) do update set used_at = excluded.used_at
"""
USE_ASSERTION = """
insert into used_assertion (thumbprint, jti, expires_at) values ($1, $2, $3) on conflict do nothing returning true
"""
SIGNING_KEYS = "select * from token_key where status <> 'retired' order by changed_at, kid"
UNPUBLISHED_KEY = """
select exists (select from token_key where status <> 'retired' and kid not in (select kid from signing_key))
"""
SIGNING_KEY = """
insert into token_key (kid, x, y, sealed, status, changed_at, version) values ($1, $2, $3, $4, $5, $6, $7)
on conflict (kid) do update set
  (status, changed_at, version) = (excluded.status, excluded.changed_at, excluded.version)
"""
ACT = "insert into act (at, actor, action, subject) values ($1, $2, $3, $4)"

EXPIRED = {
    "enrolment": "delete from enrolment where handle in (select handle from enrolment where expires_at < $1 "
    "limit 1000) returning 1",
    "invitation": "delete from invitation where digest in (select digest from invitation where expires_at < $1 "
    "limit 1000) returning 1",
    "otp": "delete from otp where phone in (select phone from otp where made_at < $1 limit 1000) returning 1",
    "refresh_token": "delete from refresh_token where digest in (select digest from refresh_token where "
    "expires_at < $1 limit 1000) returning 1",
    "session": "delete from session where digest in (select digest from session where expires_at < $1 limit 1000) "
    "returning 1",
    "used_assertion": "delete from used_assertion where (thumbprint, jti) in (select thumbprint, jti "
    "from used_assertion where expires_at < $1 limit 1000) returning 1",
    "attempt": "delete from attempt where digest in (select digest from attempt where until < $1 limit 1000) "
    "returning 1",
}
"""One small batch of each table's expired rows."""
