#!/bin/sh
# Run once by the PostgreSQL image, when it creates the cluster: makes each service's role and the database of its name.
set -eu
for role in orders inventory dispatch access; do
    HALFDAY_ROLE_PASSWORD=$(printenv "HALFDAY_PASSWORD_$role")
    export HALFDAY_ROLE_PASSWORD
    psql -X -q -v ON_ERROR_STOP=1 -v "role=$role" -U "${POSTGRES_USER:-postgres}" -d postgres -f /etc/halfday/role.sql
done
