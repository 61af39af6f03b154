"""The local stack: a real Kafka, a real PostgreSQL and the services, as child processes on one data folder."""
