#!/bin/sh
# Creates the broker's log folder with its users, once, then executes the broker.
set -eu
bin=${KAFKA_BIN:-/opt/kafka/bin}
config=${KAFKA_CONFIG:-/etc/halfday/server.properties}
set --
for user in admin observer orders inventory dispatch access; do
    set -- "$@" --add-scram "SCRAM-SHA-512=[name=$user,password=$(printenv "HALFDAY_PASSWORD_$user")]"
done
# Its output has password verifiers, and a container's output is kept.
"$bin/kafka-storage.sh" format --ignore-formatted --cluster-id "$HALFDAY_CLUSTER" --config "$config" "$@" >/dev/null
exec "$bin/kafka-server-start.sh" "$config"
