"""The HTTP edge: application, problems, idempotency keys, group commit, fast path."""
