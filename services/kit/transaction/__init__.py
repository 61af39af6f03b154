"""One transaction of a service: unit of work, outbox, inbox, deadlines."""
