"""A real Kafka, a real PostgreSQL and the services, as child processes under one data folder."""
