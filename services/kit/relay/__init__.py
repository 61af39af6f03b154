"""Publishing the outbox to Kafka."""
