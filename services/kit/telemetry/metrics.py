"""Metrics of messaging: counters that it increments, gauges that `process.gauges` sets; see deploy/dashboards."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

HANDLED = Counter("halfday_handled", "Messages with a committed effect", ["consumer"])
DUPLICATES = Counter("halfday_duplicates_absorbed", "Redelivered messages that the inbox dropped", ["consumer"])
DEAD_LETTERED = Counter("halfday_parked", "Records dead-lettered, those behind another included", ["consumer"])
UNKNOWN = Counter(
    "halfday_unknown_types",
    "Records of a type that this version does not know: passed over, or dead-lettered without blocking their subject",
    ["consumer", "outcome"],
)
BATCH_SECONDS = Histogram("halfday_batch_seconds", "One transaction of a consumer, commit included", ["consumer"])
LAST_BATCH = Gauge("halfday_last_batch_timestamp_seconds", "When a consumer last finished a batch", ["consumer"])
FIRED = Counter("halfday_deadlines_fired", "Deadlines that were acted on", ["consumer"])
RELAYED = Counter("halfday_relayed", "Outbox rows that Kafka acknowledged")
RELAY_LAG = Gauge("halfday_relay_lag_seconds", "From the oldest row of the last page to its acknowledgement")
RELAY_RESTARTS = Counter("halfday_relay_restarts", "Times the relay gave up its producer or its lock and started again")
OUTBOX_AGE = Gauge("halfday_outbox_oldest_seconds", "Age of the oldest row that Kafka has not acknowledged")
DEAD_LETTER_AGE = Gauge("halfday_parked_oldest_seconds", "Age of the oldest dead letter; 0 when there is none")
DEAD_LETTERS = Gauge("halfday_parked_waiting", "Dead letters that wait now")
OVERDUE = Gauge("halfday_deadlines_overdue_seconds", "How late the longest overdue deadline is, by its own clock")
LAG = Gauge("halfday_lag_records", "Records in this process's partitions that it has not taken yet", ["consumer"])
MISSING = Gauge("halfday_uploads_missing", "Numbers that a device left out so far while later ones arrived", ["owner"])
GAUGES_FAILED = Counter("halfday_signals_failed", "Values that could not be measured: the database or Kafka was away")
UPLOADS_FLAGGED = Counter("halfday_uploads_flagged", "Uploads kept, in conflict, or with a flag", ["flag"])
QUOTES_UNVERIFIED = Counter(
    "halfday_quotes_unverified", "Orders with a promised slot that dispatch's keys did not sign"
)
CODES_LOCKED = Counter("halfday_codes_locked", "Jobs and orders that take no code after too many wrong ones")
